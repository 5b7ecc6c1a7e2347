//! Why an event could not be normalized.

use contract::event::{Event, Mode};
use contract::{Code, json};
use ports::{blobs, tables};
use runtime::{Failure, Poison};
use stores::{failure, mappings, normalized};

/// Why an event could not be normalized.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It never will, as it is.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The ingest index.
    #[error(transparent)]
    Tables(#[from] tables::Error),
    /// The mappings.
    #[error(transparent)]
    Mappings(#[from] mappings::Error),
    /// The normalized object could not be written.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The stored object names a newer activation than this process knows.
    #[error(
        "{key} was made under activation {stored}, this process knows {known}; \
         if this stays, dvss_vendor_mappings was restored from an older copy"
    )]
    Outdated {
        /// The object.
        key: String,
        /// Its activation.
        stored: u64,
        /// Ours.
        known: u64,
    },
    /// Others kept replacing the object.
    #[error("others keep writing {0}")]
    Contended(String),
}

/// Why an event is poison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Stable code.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// RFC 6901 pointer into the vendor's document.
    pub pointer: Option<String>,
}

impl Refusal {
    /// A refusal that blames no place of the document.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None }
    }

    /// What the mapping says of the payload, seen from the vendor's document.
    pub fn of_rejection(mode: Mode, rejection: mapping::Rejection) -> Self {
        let mapping::Rejection { code, message, pointer } = rejection;
        Self { code, message, pointer: Some(format!("{}{pointer}", mode.payload_pointer())) }
    }
}

impl From<json::Error> for Refusal {
    fn from(json::Error { code, message, pointer }: json::Error) -> Self {
        Self { code, message, pointer }
    }
}

impl Error {
    /// What reading a normalized object came to: one that is not what was written is poison, for
    /// trying again gives the same bytes.
    pub(crate) fn of_stored(error: normalized::Error) -> Self {
        match error {
            normalized::Error::Blobs(error) => Self::Blobs(error),
            unreadable @ normalized::Error::Unreadable { .. } => {
                Self::Refused(Refusal::new(Code::ObjectCorrupt, unreadable.to_string()))
            }
        }
    }

    /// What it means to the loop.
    pub(crate) fn into_failure(self, event: &Event) -> Failure {
        match self {
            Self::Refused(Refusal { code, message, pointer }) => Failure::Poison(Poison {
                code,
                message,
                pointer,
                vendor_id: Some(event.draft.vendor_id.clone()),
                ingest_id: Some(event.draft.ingest_id),
            }),
            Self::Tables(error) | Self::Mappings(mappings::Error::Tables(error)) => {
                failure::of_tables(&error)
            }
            Self::Blobs(error) => failure::of_blobs(&error),
            Self::Mappings(_) | Self::Outdated { .. } | Self::Contended(_) => {
                Failure::Transient(self.to_string())
            }
        }
    }
}
