//! Why a record could not be settled.

use ports::tables;
use runtime::Failure;
use stores::failure;

/// Why a record could not be settled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ingest index.
    #[error(transparent)]
    Tables(#[from] tables::Error),
    /// The divergence row.
    #[error(transparent)]
    Divergence(#[from] Failure),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Tables(error) => failure::of_tables(&error),
            Error::Divergence(failure) => failure,
        }
    }
}
