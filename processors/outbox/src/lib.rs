//! # outbox: publishes what the other stages decided to publish, once
//!
//! | | |
//! |---|---|
//! | consumes | `dvss.outbox`: references to rows, keyed as the rows' public records |
//! | produces | the rows' exact bytes to the public topics; receipts to `dvss.receipts` |
//! | writes | coordinates into the rows, after the commit |
//! | identity | (row, revision) |
//! | order | per key of the public record: one key, one input partition, one owner |
//! | poison codes | none: there is no further outbox to go to, so poison halts (`record-invalid`) |
//!
//! **The receipts topic is its memory**, as a changelog is a state store's. One transaction holds the
//! public records, the receipts that say where they are, and the input's offsets. Receipts are copied
//! into the rows afterwards; how far is committed as an offset of its own. A row is published only if
//! it has no coordinates for its revision and no uncopied receipt lists it. Whoever gets an input
//! partition first reads its uncopied receipts, up to an end that no open transaction can still change.

mod copier;
mod decide;
mod error;
mod options;
mod processor;
mod recall;
pub mod sweeper;

pub use error::Error;
pub use options::Options;
pub use processor::Outbox;
