//! Effects: the job's row, the document, the plan's facts.

use std::sync::Arc;

use async_trait::async_trait;
use invoices::apply::Advance;
use invoices::work::Take;
use invoices::{Invoices, Job, JobId, store};
use ports::log::RawRecord;
use runtime::{Failure, Output, Processor};
use serde::Deserialize;
use telemetry::{field, label, metric};

use crate::decide::{Todo, decide};
use crate::error::{failure, unreadable};
use crate::{Parsed, Parser};

/// The stage.
pub struct Invoicing {
    invoices: Invoices,
    parser: Arc<dyn Parser>,
    holder: String,
}

/// A nudge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Input {
    job_id: JobId,
}

impl Invoicing {
    /// The stage. `holder` is the name of its leases: no two processes share one, nor one process with itself before
    /// a restart, for what took a process down is to count as an attempt.
    pub fn new(invoices: Invoices, parser: Arc<dyn Parser>, holder: String) -> Self {
        Self { invoices, parser, holder }
    }

    async fn parse(&self, job: &Job) -> Result<(), Failure> {
        let failed = |error: invoices::Error| failure(&error, job);
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
        match ended {
            Parsed::Read(reading) => self.invoices.read(&job, reading).await,
            Parsed::Refused(reason) => self.invoices.fail(&job, reason).await,
            Parsed::Killed(reason) => self.invoices.again(&job, reason).await,
            Parsed::Unavailable(why) => {
                return Err(Failure::Transient(format!(
                    "job {}: the parser could not be started: {why}",
                    job.job_id
                )));
            }
        }
        .map_err(failed)
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
        let job = job.map_err(|error| Failure::Transient(format!("job {}: {error}", input.job_id)))?;
        // Nobody nudges before the row is there; one that is not is another installation's.
        let Some(job) = job else { return Err(unreadable(format!("there is no job {}", input.job_id))) };
        match decide(&job) {
            Todo::Parse => self.parse(&job).await.map(|()| Vec::new()),
            Todo::Advance => {
                match self.invoices.advance(&job).await.map_err(|error| failure(&error, &job))? {
                    Advance::Waits { outputs, .. } => Ok(outputs),
                    Advance::Done | Advance::Idle => Ok(Vec::new()),
                }
            }
            Todo::Nothing => Ok(Vec::new()),
        }
    }
}
