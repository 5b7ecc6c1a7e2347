//! Why the store does not open, read or write.

use std::path::{Path, PathBuf};

use contract::Code;

use crate::log::ApplyError;

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the file open.
    #[error(
        "the data directory {} is in use by another dvss process; stop that one, or give this one a \
         directory of its own with --data",
        .0.display()
    )]
    Locked(PathBuf),
    /// The file was written by another version.
    #[error(
        "the data directory {} has format {found}, this dvss reads format {known}; start the version \
         that wrote it, or give this one an empty directory with --data",
        .path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// What is in the file.
        found: u64,
        /// What this version reads.
        known: u64,
    },
    /// The topics cannot be as they are asked for.
    #[error("the data directory {}: {source}", .path.display())]
    Topics {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: ApplyError,
    },
    /// Anything else: no permission, no space, a damaged file.
    #[error("the data directory {} does not open: {message}", .path.display())]
    Failed {
        /// The directory.
        path: PathBuf,
        /// The operating system's or redb's words.
        message: String,
        /// Whether there is no space left.
        full: bool,
    },
}

impl OpenError {
    /// A failure of the store while it was being opened.
    pub(crate) fn of(path: &Path, error: &StoreError) -> Self {
        Self::Failed { path: path.to_owned(), message: error.to_string(), full: *error == StoreError::Full }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked(_) => Code::DataDirectoryLocked,
            Self::Format { .. } => Code::DataDirectoryFormat,
            Self::Topics { source, .. } => source.code(),
            Self::Failed { full: true, .. } => Code::StorageFull,
            Self::Failed { .. } => Code::Unavailable,
        }
    }
}

/// Why a change or a look did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space left, or the configured limit reached: **nothing was written**. Writes work again
    /// when there is room.
    #[error("the store is full")]
    Full,
    /// The store failed. A change **may have happened**.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// What redb's error means.
    pub fn of(error: &redb::Error) -> Self {
        match error {
            redb::Error::Io(io) if is_full(io) => Self::Full,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Whether the operating system says that there is no room.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
