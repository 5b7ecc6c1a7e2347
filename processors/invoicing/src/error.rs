//! What the invoices' errors mean to the loop.

use contract::Code;
use invoices::{Error, Job};
use runtime::{Failure, Poison};

/// What an error about a job means to the loop: damage is poison, all else passes.
pub fn failure(error: &Error, job: &Job) -> Failure {
    match error {
        Error::Damaged(message) => Failure::Poison(Poison {
            code: Code::ObjectCorrupt,
            message: format!("job {}: {message}", job.job_id),
            pointer: None,
            vendor_id: Some(job.vendor_id.clone()),
            ingest_id: None,
        }),
        other => Failure::Transient(format!("job {}: {other}", job.job_id)),
    }
}

/// A record that is no nudge.
pub fn unreadable(message: String) -> Failure {
    Failure::Poison(Poison {
        code: Code::RecordInvalid,
        message,
        pointer: None,
        vendor_id: None,
        ingest_id: None,
    })
}
