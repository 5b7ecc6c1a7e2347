//! The sweeper: jobs that dvss has to move on are nudged until they are, and what nobody submits expires.
//!
//! What it knows of its own nudges is in memory alone: after a restart a job is nudged once too often.

use std::collections::HashMap;
use std::time::Duration;

use contract::Timestamp;
use invoices::store::Order;
use invoices::work::Due;
use invoices::{Error, Invoices, Job, JobId, State, store};
use tokio_util::sync::CancellationToken;

/// Jobs of one state that a sweep looks at, the longest unchanged first; those behind come when these have moved on.
const MOST: usize = 1_000;
/// Longest wait between two nudges of a job at one version.
const LONGEST: Duration = Duration::from_secs(30);

/// When a job at a version was nudged, and how long the next nudge waits.
type Nudged = HashMap<JobId, (u64, Timestamp, Duration)>;

/// Sweeps every so often, until `stop`.
pub async fn run(invoices: &Invoices, stop: CancellationToken) {
    let mut sweeper = Sweeper::new(invoices.clone());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(invoices.options.sweep_interval) => {}
        }
        if let Err(error) = sweeper.sweep().await {
            tracing::warn!(%error, "the sweep of invoice jobs failed; the next one goes on");
        }
    }
}

/// Looks after jobs.
pub struct Sweeper {
    invoices: Invoices,
    nudged: Nudged,
}

impl Sweeper {
    /// One that has nudged nobody yet.
    pub fn new(invoices: Invoices) -> Self {
        Self { invoices, nudged: Nudged::new() }
    }

    /// Looks at every job that is in motion, the longest unchanged first.
    pub async fn sweep(&mut self) -> Result<(), Error> {
        let mut seen = Nudged::new();
        for state in State::ALL.into_iter().filter(|state| state.is_in_motion()) {
            let (mut looked_at, mut after) = (0, None);
            while looked_at < MOST {
                let page =
                    store::in_state(&*self.invoices.ports.tables, state, Order::OldestFirst, after, 100)
                        .await;
                let (jobs, next) = page?;
                looked_at += 100;
                for job in jobs {
                    self.look_after(&job, &mut seen).await;
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        self.nudged = seen;
        Ok(())
    }

    async fn look_after(&self, job: &Job, seen: &mut Nudged) {
        let now = self.invoices.ports.clock.now();
        match self.invoices.due(job, now) {
            Due::Nothing => {}
            Due::Expire => {
                // One that cannot be written now is the next sweep's.
                if let Err(error) = self.invoices.expire(job).await {
                    tracing::warn!(job = %job.job_id, %error, "a job that nobody submitted does not expire");
                }
            }
            Due::Nudge => {
                let first = self.invoices.options.sweep_interval;
                let before = self.nudged.get(&job.job_id).filter(|(version, ..)| *version == job.version);
                // Whoever changed it has just nudged it himself.
                let (_, at, wait) = before.copied().unwrap_or((job.version, job.updated_at, first));
                if now < at.plus(wait) {
                    seen.insert(job.job_id, (job.version, at, wait));
                } else {
                    self.invoices.nudge(job.job_id).await;
                    seen.insert(job.job_id, (job.version, now, (wait * 2).min(LONGEST)));
                }
            }
        }
    }
}
