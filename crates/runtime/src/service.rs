//! A stage as the binary runs it: options in, a future to run, a cheap handle out.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use parking_lot::Mutex;
use ports::Log;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::status::{Handle, Shared, State, Status};
use crate::turn::Loop;
use crate::{Fatal, Options, Processor, Quarantine, metrics};

/// One member of one stage's group.
pub struct Service<P> {
    pub(crate) processor: Arc<P>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) quarantine: Arc<dyn Quarantine>,
    pub(crate) member: String,
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
}

impl<P: Processor> Service<P> {
    /// The member `member` of the group [`Processor::NAME`], reading `topics`. The member's name is
    /// part of its transactional id, so no two that run at the same time may share it.
    pub fn new(
        processor: Arc<P>,
        log: Arc<dyn Log>,
        quarantine: Arc<dyn Quarantine>,
        topics: &[&str],
        member: &str,
        options: Options,
    ) -> Self {
        let state = State { status: Status::Starting, assigned: Vec::new(), turned: Instant::now() };
        let shared = Shared {
            stage: P::NAME,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            log: Arc::clone(&log),
            max_poll_interval: options.max_poll_interval,
            state: Mutex::new(state),
        };
        let member = member.to_owned();
        Self { processor, log, quarantine, member, options, shared: Arc::new(shared) }
    }

    /// A view on it, to be kept while [`Service::run`] has it.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Runs until `shutdown`, and then finishes the batch in hand, commits it and leaves the group.
    ///
    /// Dropping the future instead is a crash: nothing is settled by it, and what was not committed
    /// comes again.
    ///
    /// # Errors
    /// [`Fatal`] where going on would do harm, and at once where the options contradict themselves.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Fatal> {
        let outcome = match self.options.validate(P::NAME) {
            Err(fatal) => Err(fatal),
            // In order, here and wherever branches are raced: equal seeds must give equal runs.
            Ok(()) => tokio::select! {
                biased;
                outcome = Loop::new(&self, shutdown.clone()).run() => outcome,
                never = self.look_on(&shutdown) => match never {},
            },
        };
        match &outcome {
            Ok(()) => {
                tracing::info!(stage = P::NAME, member = self.member, "stopped");
                self.shared.set(Status::Stopped);
            }
            Err(fatal) => {
                tracing::error!(stage = P::NAME, member = self.member, code = %fatal.code, "{fatal}");
                self.shared.set(Status::Failed(fatal.clone()));
            }
        }
        self.shared.state.lock().assigned.clear();
        outcome
    }

    /// Measures lag, and makes the status `Draining` as soon as the end is asked for.
    async fn look_on(&self, shutdown: &CancellationToken) -> Infallible {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => self.shared.set(Status::Draining),
            never = self.measure_lag() => match never {},
        }
        pending().await
    }

    async fn measure_lag(&self) -> Infallible {
        let mut ticks = interval(self.options.lag_interval);
        loop {
            ticks.tick().await;
            if let Ok(Ok(lags)) = timeout(self.options.call_timeout, self.shared.lag()).await {
                metrics::lag(P::NAME, lags.iter().map(|lag| lag.records).sum());
            }
        }
    }
}
