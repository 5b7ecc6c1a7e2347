//! # divergence: what the facts about an entity come to
//!
//! | | |
//! |---|---|
//! | consumes | `dvss.normalized`, group `dvss.divergence`: one [`Fact`](contract::canonical::Fact) as JSON, keyed by entity |
//! | produces | `dvss.outbox`: references to the rows that it wrote |
//! | writes | `dvss_effects`, `dvss_canonical_state`, `dvss_divergence`: ONE transaction a fact |
//! | identity | (entity, ingestId, line, leg), revision: what a row already knows is emitted again and changes nothing |
//! | order | per entity as the partition has it; the result is the same in any order ([`fold`]) |
//! | poison | `record-invalid`, `entity-too-long`, `fold-overflow`, `fold-too-long`, `record-too-large` |
//!
//! [`fold`] says what a fact does to the state, [`find`] what about it a person should see, [`decide`]
//! puts the two together; all three are pure, and ask for what they must read ([`decide::Need`]).
//! [`Divergence`] reads and writes. [`Divergence::recompute`] is the way out of `fold-too-long`.
//! See `docs/adr/0003-fold.md`.

pub mod decide;
mod error;
pub mod find;
pub mod fold;
mod options;
mod processor;
mod reads;
mod recompute;

pub use error::Error;
pub use options::{AnomalousChange, Member, Options, SharedWarehouse};
pub use processor::{Divergence, Input};
pub use recompute::Recomputed;
