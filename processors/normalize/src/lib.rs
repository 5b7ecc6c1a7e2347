//! # normalize: from a vendor's payload to facts
//!
//! | | |
//! |---|---|
//! | consumes | `dvss.accepted` |
//! | produces | `dvss.normalized`: one record a line of the normalized object, keyed by entity |
//! | writes | `normalized/<eventType>/YYYY/MM/DD/<ingestId>.json`; the status in `dvss_ingest_index` |
//! | identity | (ingestId, line, leg) is a fact's, its revision is assigned here and nowhere else |
//! | order | none is needed: an event's object depends on the event and on the newest activation alone |
//! | poison codes | `record-invalid`, `object-corrupt`, `json-*`, `mapping-*`, `source-schema-mismatch`, `entity-too-long`, `occurred-at-out-of-range`, `record-too-large` |
//!
//! A record goes this way:
//!
//! 1. the effective mapping for (vendor, event type), compiled and kept while the counter of
//!    activations stands still ([`Catalog`]);
//! 2. the payload to facts ([`facts`]), checked against what the stores can keep;
//! 3. the facts into the object ([`decide`]): put where there is none, published as it is where it was
//!    made under the same activation, replaced where under an older one, and under a newer one this
//!    process is the one that is behind;
//! 4. the index status, then the records: a function of the object alone.
//!
//! A crash between any two of these is answered by the same record once more, with the same bytes.

mod catalog;
pub mod decide;
mod error;
pub mod facts;
mod options;
mod processor;
mod shipped;

pub use catalog::{Catalog, Compiled, Effective};
pub use error::{Error, Refusal};
pub use options::Options;
pub use processor::{Input, Normalize};
pub use shipped::{documents, seed};
