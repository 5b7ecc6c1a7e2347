//! What others may know about a running stage.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ports::Log;
use ports::log::{Error, Partition};
use tokio::time::Instant;

use crate::{Fatal, Lag, lag};

/// Where a stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It was made, or is joining its group.
    Starting,
    /// It polls, handles and commits. A member without partitions is ready too.
    Ready,
    /// It runs but does not get on, for this reason; it keeps trying.
    NotReady(String),
    /// It finishes the batch in hand, on request.
    Draining,
    /// It left its group on request.
    Stopped,
    /// It stopped by itself, uncommitted; a person is needed.
    Failed(Fatal),
}

/// A cheap view on a stage; outlives it.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub stage: &'static str,
    pub topics: Vec<String>,
    pub log: Arc<dyn Log>,
    pub max_poll_interval: Duration,
    pub state: Mutex<State>,
}

pub(crate) struct State {
    pub status: Status,
    pub assigned: Vec<Partition>,
    pub turned: Instant,
}

impl Handle {
    /// The stage's name.
    pub fn stage(&self) -> &'static str {
        self.shared.stage
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.shared.state.lock().status.clone()
    }

    /// Whether it polls, handles and commits.
    pub fn is_ready(&self) -> bool {
        self.shared.state.lock().status == Status::Ready
    }

    /// Whether starting it anew would not help: it has not failed, and its loop turned within the last
    /// two poll intervals.
    pub fn is_live(&self) -> bool {
        let state = self.shared.state.lock();
        match state.status {
            Status::Failed(_) => false,
            Status::Stopped | Status::Starting => true,
            _ => state.turned.elapsed() < 2 * self.shared.max_poll_interval,
        }
    }

    /// The partitions it holds.
    pub fn assigned(&self) -> Vec<Partition> {
        self.shared.state.lock().assigned.clone()
    }

    /// How far its group is behind, in all partitions of its topics.
    pub async fn lag(&self) -> Result<Vec<Lag>, Error> {
        self.shared.lag().await
    }
}

impl Shared {
    /// Once it drains, a stage only stops or fails.
    pub fn set(&self, status: Status) {
        let mut state = self.state.lock();
        let last = matches!(status, Status::Stopped | Status::Failed(_));
        if last || state.status != Status::Draining {
            state.status = status;
        }
    }

    pub async fn lag(&self) -> Result<Vec<Lag>, Error> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        lag(self.log.as_ref(), self.stage, &topics).await
    }
}
