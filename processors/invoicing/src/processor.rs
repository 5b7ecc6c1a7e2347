//! Effects: the job's row, the document, the plan's facts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use invoices::apply::Advance;
use invoices::job::Reason;
use invoices::work::Take;
use invoices::{Invoices, Job, JobId, store};
use ports::log::RawRecord;
use runtime::{Failure, Output, Processor};
use serde::Deserialize;
use telemetry::{field, label, metric};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::decide::{Todo, decide};
use crate::error::{failure, unreadable};
use crate::{Parsed, Parser};

/// How long a document waits for its turn within a batch; then it comes again.
const WAIT: Duration = Duration::from_millis(500);

/// The stage.
pub struct Invoicing {
    invoices: Invoices,
    parser: Arc<dyn Parser>,
    holder: String,
    /// Documents that are read at the same time.
    room: Semaphore,
}

/// A nudge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    job_id: JobId,
}

impl Invoicing {
    /// The stage. `holder` is the name of its leases: no two processes share one, nor one process with itself before
    /// a restart, for what took a process down is to count as an attempt. `at_once` documents are read at the same
    /// time: a parser's wall clock runs whether it gets a processor or not.
    pub fn new(invoices: Invoices, parser: Arc<dyn Parser>, holder: String, at_once: usize) -> Self {
        Self { invoices, parser, holder, room: Semaphore::new(at_once.max(1)) }
    }

    async fn parse(&self, job: &Job) -> Result<(), Failure> {
        let failed = |error: invoices::Error| failure(&error, job);
        // Before it is taken: who waits for room has no attempt behind it.
        let Ok(Ok(_room)) = timeout(WAIT, self.room.acquire()).await else {
            return Err(Failure::Later(format!("job {}: every parser is busy", job.job_id)));
        };
        let Take::Ours(job) = self.invoices.take(job, &self.holder).await.map_err(failed)? else {
            return Ok(());
        };
        let bytes = match self.invoices.bytes(&job).await.map_err(failed)? {
            Ok(bytes) => bytes,
            Err(reason) => return self.invoices.fail(&job, reason).await.map_err(failed),
        };
        let ended = self.parser.parse(&job.file, bytes).await;
        metrics::counter!(metric::INVOICES_READ, label::RESULT => result(&ended)).increment(1);
        tracing::info!(
            { field::STAGE } = Self::NAME,
            job = %job.job_id,
            { field::VENDOR_ID } = %job.vendor_id,
            ended = said(&ended),
            "parsed"
        );
        let done = match ended {
            Parsed::Read(reading) => self.invoices.read(&job, reading).await,
            Parsed::Refused(reason) => self.invoices.fail(&job, reason).await,
            Parsed::Killed(reason) => self.invoices.again(&job, reason).await,
            Parsed::Unavailable(why) => {
                return Err(Failure::Transient(format!(
                    "job {}: the parser could not be started: {why}",
                    job.job_id
                )));
            }
        };
        match done {
            // What cannot be kept of a document will not be kept the next time.
            Err(invoices::Error::Damaged(message)) => {
                let reason = Reason { code: "parser-failed".to_owned(), message };
                self.invoices.fail(&job, reason).await.map_err(failed)
            }
            done => done.map_err(failed),
        }
    }
}

/// A label has few values: reasons are words of dvss' own, never of the document's.
fn result(ended: &Parsed) -> String {
    match ended {
        Parsed::Read(_) => "read".to_owned(),
        Parsed::Refused(reason) | Parsed::Killed(reason) => reason.code.clone(),
        Parsed::Unavailable(_) => "unavailable".to_owned(),
    }
}

fn said(ended: &Parsed) -> String {
    match ended {
        Parsed::Read(reading) => format!("{} invoices", reading.invoices.len()),
        Parsed::Refused(reason) | Parsed::Killed(reason) => reason.code.clone(),
        Parsed::Unavailable(_) => "unavailable".to_owned(),
    }
}

#[async_trait]
impl Processor for Invoicing {
    const NAME: &'static str = "dvss.invoices";
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        serde_json::from_slice(&record.value)
            .map_err(|error| unreadable(format!("{} is not a job's nudge: {error}", record.coordinates())))
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        let job = store::load(&*self.invoices.ports.tables, input.job_id).await;
        let job = job.map_err(|error| match error {
            // It would hold up every job behind it, and come to nothing.
            invoices::Error::Damaged(message) => unreadable(message),
            other => Failure::Transient(format!("job {}: {other}", input.job_id)),
        })?;
        // Nobody nudges before the row is there; one that is not is another installation's.
        let Some(job) = job else { return Err(unreadable(format!("there is no job {}", input.job_id))) };
        let done = match decide(&job) {
            Todo::Parse => self.parse(&job).await.map(|()| Vec::new()),
            Todo::Advance => match self.invoices.advance(&job).await {
                Ok(Advance::Waits { outputs, .. }) => Ok(outputs),
                Ok(Advance::Done | Advance::Idle) => Ok(Vec::new()),
                Err(error) => Err(failure(&error, &job)),
            },
            Todo::Nothing => Ok(Vec::new()),
        };
        match done {
            // It stands in the job's row, where whoever looks for the job finds it. Nudges have no identity of their
            // own, and every sweep makes one: parked, they would be many.
            Err(Failure::Poison(poison)) => {
                tracing::error!(job = %job.job_id, code = poison.code.as_str(), "{}", poison.message);
                let reason = Reason { code: poison.code.as_str().to_owned(), message: poison.message };
                let noted = self.invoices.trouble(job.job_id, reason).await;
                noted.map_err(|error| Failure::Transient(error.to_string())).map(|()| Vec::new())
            }
            done => done,
        }
    }
}
