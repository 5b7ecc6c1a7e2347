//! What the ports' errors mean to a stage.

use ports::{blobs, log, schemas, tables};
use runtime::Failure;

/// An error of the tables that the caller did not expect: everything but bounds may pass later.
pub fn of_tables(error: &tables::Error) -> Failure {
    match error {
        tables::Error::Invalid(message) => internal(message),
        other => Failure::Transient(other.to_string()),
    }
}

/// An error of the object store that the caller did not expect.
pub fn of_blobs(error: &blobs::Error) -> Failure {
    match error {
        blobs::Error::Invalid(message) => internal(message),
        other => Failure::Transient(other.to_string()),
    }
}

/// An error of the registry: waits, never poison.
pub fn of_schemas(error: &schemas::Error) -> Failure {
    Failure::Transient(error.to_string())
}

/// An error of the log.
pub fn of_log(error: &log::Error) -> Failure {
    Failure::Transient(error.to_string())
}

fn internal(message: &str) -> Failure {
    Failure::Fatal { code: contract::Code::Internal, message: message.to_owned() }
}
