//! Why the outbox cannot go on.

use contract::Code;
use ports::{log, tables};
use runtime::Failure;
use stores::failure;

/// Why the outbox cannot go on. It has no further outbox to go to, so nothing here is poison.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row or its coordinates.
    #[error(transparent)]
    Tables(#[from] tables::Error),
    /// Receipts or positions.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// A record that is not a reference or not a receipt, or refers to nothing.
    #[error("{0}")]
    Broken(String),
    /// The partition counts of the outbox's topics do not agree.
    #[error("dvss.receipts has no partition {0}; it must have as many as dvss.outbox")]
    Partitions(u32),
    /// The copier's task has ended, which it never does by itself.
    #[error(
        "copying receipts into their rows has ended by a defect (the log says where); nothing is lost, \
         and a restart copies what is missing"
    )]
    Copier,
    /// Not now.
    #[error("{0}")]
    Later(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Tables(error) => failure::of_tables(&error),
            Error::Log(error) => failure::of_log(&error),
            Error::Broken(message) => Self::Fatal { code: Code::RecordInvalid, message },
            Error::Partitions(_) => Self::Fatal { code: Code::TopicMissing, message: error.to_string() },
            Error::Copier => Self::Fatal { code: Code::Internal, message: error.to_string() },
            Error::Later(message) => Self::Transient(message),
        }
    }
}
