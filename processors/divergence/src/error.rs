//! Why a fact could not be taken in.

use contract::canonical::Fact;
use contract::{Code, IngestId, VendorId};
use ports::tables;
use runtime::{Failure, Poison};
use stores::codec::CodecError;
use stores::failure;

/// Why a fact could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A table did not do what was asked.
    #[error("tables: {0}")]
    Tables(#[from] tables::Error),
    /// The public record could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More rows must be read than are read for one fact.
    #[error(
        "folding this fact into `{entity}` reads more than {most} rows; `dvss recompute {entity}` does it"
    )]
    FoldTooLong {
        /// The entity.
        entity: String,
        /// The bound.
        most: usize,
    },
    /// A sum has more digits than are kept.
    #[error("{what} of `{entity}` would have more than 28 digits")]
    FoldOverflow {
        /// The entity.
        entity: String,
        /// Which sum.
        what: &'static str,
    },
    /// The fact's row would exceed what the table keeps.
    #[error("the row of this fact would have {bytes} bytes; at most {most} are kept")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// Others kept changing the entity's rows.
    #[error("others keep writing the rows of `{0}`")]
    Contended(String),
}

impl Error {
    /// What it means to the loop.
    pub fn into_failure(self, fact: &Fact) -> Failure {
        let code = match &self {
            Self::Tables(error) => return failure::of_tables(error),
            Self::Codec(error) => return named(error.failure(), fact),
            Self::Contended(_) => return Failure::Transient(self.to_string()),
            Self::FoldTooLong { .. } => Code::FoldTooLong,
            Self::FoldOverflow { .. } => Code::FoldOverflow,
            Self::TooLarge { .. } => Code::RecordTooLarge,
        };
        poison(code, self.to_string(), Some((&fact.vendor_id, fact.ingest_id)))
    }
}

/// Poison, with whose record and which event it is where that is known.
pub(crate) fn poison(code: Code, message: String, whose: Option<(&VendorId, IngestId)>) -> Failure {
    let (vendor_id, ingest_id) = whose.map(|(vendor, event)| (vendor.clone(), event)).unzip();
    Failure::Poison(Poison { code, message, pointer: None, vendor_id, ingest_id })
}

fn named(failure: Failure, fact: &Fact) -> Failure {
    let Failure::Poison(poison) = failure else { return failure };
    let (vendor_id, ingest_id) = (Some(fact.vendor_id.clone()), Some(fact.ingest_id));
    Failure::Poison(Poison { vendor_id, ingest_id, ..poison })
}
