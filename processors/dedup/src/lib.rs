//! # dedup: one event an id
//!
//! | | |
//! |---|---|
//! | consumes | `dvss.raw` |
//! | produces | `dvss.accepted`: the record itself, same key, bytes and headers; `dvss.outbox`: references to divergence rows |
//! | writes | `dvss_ingest_index`: the claim, alias rows, conflict rows; `dvss_divergence`: `CONFLICT` |
//! | identity | (vendorId, externalEventId) claims; ingestId and fingerprint tell what a second claim is |
//! | order | first in, first out per key; which of two events wins is decided by the index alone |
//! | poison codes | `record-invalid` |
//!
//! | the record | outcome |
//! |---|---|
//! | flagged by the gateway as a conflict | never claims; conflict row and divergence against the winner it names |
//! | its id is free | claimed, emitted |
//! | its id is taken by the same ingestId and fingerprint | emitted again: a redelivery, a re-produced or released record; later stages absorb it |
//! | … by another ingestId, same fingerprint | duplicate: alias row, counted, dropped |
//! | … by another fingerprint | conflict: conflict row and divergence; the first one wins |
//!
//! Where a record lies is evidence for `explain`, never the test: a topic that was recreated from the
//! raw bucket, or mirrored, loses nothing. Writes come before what is emitted and are repeatable, so a
//! crash anywhere between is answered by the same record once more.

pub mod decide;
mod error;
mod options;
mod processor;

pub use error::Error;
pub use options::Options;
pub use processor::{Dedup, Input};
