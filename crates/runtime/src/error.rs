//! Why a stage stopped.

use contract::Code;
use ports::log;

use crate::Failure;

/// Going on would do harm: the stage stopped, uncommitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stage} stopped ({code}): {message}")]
pub struct Fatal {
    /// The stage.
    pub stage: &'static str,
    /// Stable code.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
}

impl Fatal {
    /// A failure that a stage may not survive: fatal as it is, anything else is a defect.
    pub(crate) fn of(stage: &'static str, failure: Failure) -> Self {
        match failure {
            Failure::Fatal { code, message } => Self { stage, code, message },
            other => Self { stage, code: Code::Internal, message: other.to_string() },
        }
    }
}

/// What an error of the log means to the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing of the transaction will be seen; abort it and go on.
    Abort(String),
    /// The producer must be rebuilt.
    Rebuild(String),
    /// Stop.
    Fatal(Fatal),
}

/// An error of an operation inside a transaction, before its commit.
pub(crate) fn in_transaction(stage: &'static str, error: &log::Error) -> Trouble {
    match error {
        log::Error::Fenced(_) | log::Error::Unknown(_) => Trouble::Rebuild(error.to_string()),
        log::Error::OutOfRange { .. } => Trouble::Fatal(out_of_range(stage, error)),
        _ => Trouble::Abort(error.to_string()),
    }
}

/// An error of the commit. No answer means that nobody knows whether it happened.
pub(crate) fn in_commit(stage: &'static str, error: &log::Error) -> Trouble {
    match error {
        log::Error::Abort(_) | log::Error::Full => Trouble::Abort(error.to_string()),
        log::Error::OutOfRange { .. } => Trouble::Fatal(out_of_range(stage, error)),
        _ => Trouble::Rebuild(error.to_string()),
    }
}

/// An offset that is missing or outside of the log halts; it never skips.
pub(crate) fn out_of_range(stage: &'static str, error: &log::Error) -> Fatal {
    Fatal { stage, code: Code::OffsetOutOfRange, message: error.to_string() }
}
