//! What can go wrong with a job, for whoever asked for something.

use contract::Code;
use ports::{blobs, log, tables};

use crate::{JobId, State};

/// Why something could not be done. Nothing was done then, except where it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody knows the job, or nobody that this vendor may see.
    #[error(
        "there is no invoice job {0}: its id is in the answer that announced it, and operators find it by `dvss invoices list`"
    )]
    NotFound(String),
    /// The job's state does not let it.
    #[error("job {job} is {state}: {wanted}")]
    State {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: State,
        /// What would be needed, and what to do.
        wanted: String,
    },
    /// What was read has changed since.
    #[error("job {job} has version {found}, not {named}: look at it again, then repeat with its version")]
    Version {
        /// The job.
        job: JobId,
        /// Its version now.
        found: u64,
        /// The version that was named.
        named: u64,
    },
    /// The invoice is applied.
    #[error(
        "{what} is applied already, by job {first}: reverse that one first if this one shall take its place"
    )]
    Applied {
        /// Which claim is taken, in words.
        what: String,
        /// The job that has it.
        first: JobId,
    },
    /// Nothing was put under the signed address yet.
    #[error("job {0} has no document yet: put it to the signed address first")]
    NotUploaded(JobId),
    /// The bytes are not those that were announced or submitted.
    #[error("{0}")]
    OtherBytes(String),
    /// Lines, or the invoice itself, wait for a person's word.
    #[error("{0}")]
    Unreviewed(String),
    /// The request has a mistake.
    #[error("{0}")]
    Invalid(String),
    /// The document is larger than is taken.
    #[error("the document has {length} bytes; at most {most} are taken (`invoices.maxDocumentBytes`)")]
    TooLarge {
        /// Its length.
        length: u64,
        /// The bound.
        most: u64,
    },
    /// A signed address is not one that was signed here, or not for this.
    #[error("{0}")]
    Signature(String),
    /// Somebody else changes it all the time, or a store does not answer; the same request may go through later.
    #[error("{0}; try again")]
    Unavailable(String),
    /// No space left.
    #[error("no space is left")]
    Full,
    /// A row or an object is not what was written.
    #[error("{0}")]
    Damaged(String),
}

impl Error {
    /// Stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFound(_) => Code::NotFound,
            Self::State { .. } => Code::InvoiceState,
            Self::Version { .. } => Code::VersionConflict,
            Self::Applied { .. } => Code::InvoiceApplied,
            Self::NotUploaded(_) => Code::InvoiceNotUploaded,
            Self::OtherBytes(_) => Code::InvoiceReplaced,
            Self::Unreviewed(_) => Code::InvoiceUnreviewed,
            Self::Invalid(_) => Code::RequestInvalid,
            Self::TooLarge { .. } => Code::BodyTooLarge,
            Self::Signature(_) => Code::UploadForbidden,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Full => Code::StorageFull,
            Self::Damaged(_) => Code::ObjectCorrupt,
        }
    }
}

impl From<tables::Error> for Error {
    fn from(error: tables::Error) -> Self {
        match error {
            tables::Error::Full => Self::Full,
            tables::Error::Invalid(problem) => Self::Damaged(problem),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<blobs::Error> for Error {
    fn from(error: blobs::Error) -> Self {
        match error {
            blobs::Error::Full => Self::Full,
            blobs::Error::Corrupt
            | blobs::Error::NotFound
            | blobs::Error::TooLarge(_)
            | blobs::Error::Invalid(_) => Self::Damaged(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        match error {
            log::Error::Full => Self::Full,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<stores::normalized::Error> for Error {
    fn from(error: stores::normalized::Error) -> Self {
        match error {
            stores::normalized::Error::Blobs(error) => error.into(),
            unreadable @ stores::normalized::Error::Unreadable { .. } => {
                Self::Damaged(unreadable.to_string())
            }
        }
    }
}
