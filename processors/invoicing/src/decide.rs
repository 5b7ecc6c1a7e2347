//! What a nudge leads to, by the job's row alone.

use invoices::{Job, State};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// It is to be parsed, if nobody else has it.
    Parse,
    /// Its plan is on its way.
    Advance,
    /// Nothing: it waits for a person, or it is over.
    Nothing,
}

/// What is to be done about a job.
pub fn decide(job: &Job) -> Todo {
    match job.state {
        State::Queued | State::Parsing => Todo::Parse,
        State::Applying => Todo::Advance,
        State::AwaitingUpload
        | State::Review
        | State::Applied
        | State::Failed
        | State::Expired
        | State::Reversed => Todo::Nothing,
    }
}
