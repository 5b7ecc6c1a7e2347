//! The thread that writes: groups of changes, one commit a group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use redb::{ReadableTable, WriteTransaction};
use tokio::time::Instant;

use crate::engine::{COMMITS_ROW, Durability, META, Queued, Store};
use crate::error::StoreError;

/// Most changes of a group.
const MOST_CHANGES: usize = 1_000;
/// A group takes in no more changes when it has been at it for this long, which bounds its bytes too.
const MOST_TIME: Duration = Duration::from_millis(50);
/// How long an eventual change waits for an immediate one.
const EVENTUAL: Duration = Duration::from_millis(500);
/// After a full disk, writes are refused without a try for this long: each try opens the file anew.
const REFUSE: Duration = Duration::from_millis(100);

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It wrote.
    Changed,
    /// It found a reason not to.
    Unchanged,
}

/// What a change needs of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It only looks.
    Look,
    /// It may write, and must be on the disk then.
    Write(Durability),
}

/// A change, its types forgotten.
pub trait Job: Send {
    /// What it needs.
    fn need(&self) -> Need;
    /// Runs it, once.
    fn apply(&mut self, transaction: &WriteTransaction) -> Result<Applied, redb::Error>;
    /// Answers: with its own outcome, or with what befell the group.
    fn settle(self: Box<Self>, group: Result<(), StoreError>);
}

/// Serves the queue until its last sender is gone.
pub fn run(store: &Store, queue: &Receiver<Queued>) {
    let mut eventual_since: Option<Instant> = None;
    let mut full_until: Option<Instant> = None;
    loop {
        let first = match eventual_since {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => queue.recv_timeout((since + EVENTUAL).saturating_duration_since(Instant::now())),
        };
        let first = match first {
            Ok(queued) => queued,
            Err(end) => {
                if eventual_since.take().is_some() {
                    flush(store);
                }
                match end {
                    RecvTimeoutError::Timeout => continue,
                    RecvTimeoutError::Disconnected => return,
                }
            }
        };
        let refusing = full_until.is_some_and(|until| Instant::now() < until);
        if refusing && first.job.need() != Need::Look {
            first.job.settle(Err(StoreError::Full));
            continue;
        }
        // While writes are refused, a look runs alone: in company it could only fail with them.
        let most = if refusing { 1 } else { MOST_CHANGES };
        let overdue = !refusing && eventual_since.is_some_and(|since| since.elapsed() >= EVENTUAL);
        let group = Group::collect(store, first, queue, most);
        let (jobs, outcome) = group.finish(store, overdue);
        match &outcome {
            Ok(Committed::Durable) => (eventual_since, full_until) = (None, None),
            Ok(Committed::Eventual) => {
                eventual_since = eventual_since.or_else(|| Some(Instant::now()));
                full_until = None;
            }
            Ok(Committed::Nothing) => (),
            Err(error) => {
                if full_until.is_none() {
                    tracing::error!(%error, changes = jobs.len(), "a group of changes was not written");
                }
                if *error == StoreError::Full {
                    // Opening the file anew undoes what was not durable.
                    (eventual_since, full_until) = (None, Some(Instant::now() + REFUSE));
                }
            }
        }
        let outcome = outcome.map(|_| ());
        for queued in jobs {
            queued.job.settle(outcome.clone());
        }
    }
}

/// Applies one change where it is called (in memory).
pub fn apply_inline(store: &Store, job: Box<dyn Job>, durable: bool) {
    let mut group = Group::begin(store);
    group.add(Queued { job, _room: None });
    let wanted = if durable { Durability::Immediate } else { Durability::Eventual };
    group.wanted = wanted;
    let (jobs, outcome) = group.commit();
    let outcome = outcome.map(|_| ()).map_err(|error| StoreError::of(&error));
    for queued in jobs {
        queued.job.settle(outcome.clone());
    }
}

/// Makes eventual changes durable.
fn flush(store: &Store) {
    if let (_, Err(error)) = Group::begin(store).finish(store, true) {
        tracing::error!(%error, "changes that were to become durable did not");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Committed {
    Durable,
    Eventual,
    Nothing,
}

/// Changes that share one transaction.
struct Group {
    transaction: Result<WriteTransaction, redb::Error>,
    jobs: Vec<Queued>,
    wanted: Durability,
    applied: Applied,
}

impl Group {
    fn begin(store: &Store) -> Self {
        Self {
            transaction: store.begin(),
            jobs: Vec::new(),
            wanted: Durability::Eventual,
            applied: Applied::Unchanged,
        }
    }

    /// Applies `first` and whatever else waits.
    fn collect(store: &Store, first: Queued, queue: &Receiver<Queued>, most: usize) -> Self {
        let began = Instant::now();
        let mut group = Self::begin(store);
        let mut next = Some(first);
        while let Some(queued) = next {
            group.add(queued);
            let room = group.jobs.len() < most && began.elapsed() < MOST_TIME;
            next = if room && group.transaction.is_ok() { queue.try_recv().ok() } else { None };
        }
        group
    }

    fn add(&mut self, mut queued: Queued) {
        if let Ok(transaction) = &self.transaction {
            // A change that panics half-way leaves half of itself in the transaction.
            let applied = catch_unwind(AssertUnwindSafe(|| queued.job.apply(transaction)));
            match applied {
                Ok(Ok(Applied::Unchanged)) => (),
                Ok(Ok(Applied::Changed)) => {
                    self.applied = Applied::Changed;
                    if queued.job.need() == Need::Write(Durability::Immediate) {
                        self.wanted = Durability::Immediate;
                    }
                }
                Ok(Err(error)) => self.transaction = Err(error),
                Err(_) => self.transaction = Err(redb::Error::TransactionPoisoned),
            }
        }
        self.jobs.push(queued);
    }

    /// Commits on disk and, where that fails, finds out what the file holds.
    fn finish(mut self, store: &Store, overdue: bool) -> (Vec<Queued>, Result<Committed, StoreError>) {
        if overdue {
            // Even an empty commit makes durable what earlier groups left.
            (self.wanted, self.applied) = (Durability::Immediate, Applied::Changed);
        }
        let durable = self.applied == Applied::Changed && self.wanted == Durability::Immediate;
        let number = if durable { self.count() } else { None };
        let (jobs, outcome) = self.commit();
        let error = match outcome {
            Ok(committed) => return (jobs, Ok(committed)),
            Err(error) => error,
        };
        let Some(number) = number else {
            // Readers must not wait for the next change to open the file anew.
            if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo)
                && let Err(error) = store.reopen()
            {
                tracing::error!(%error, "the store does not open again yet");
            }
            return (jobs, Err(StoreError::of(&error)));
        };
        match store.reopen().and_then(|()| store.commits()) {
            Ok(found) if found == number => (jobs, Ok(Committed::Durable)),
            Ok(_) => (jobs, Err(StoreError::of(&error))),
            // Not known to have failed, so it must not be called full.
            Err(unknown) => (jobs, Err(StoreError::Failed(format!("{error}; {unknown}")))),
        }
    }

    /// Numbers a durable commit, so that the file can tell afterwards whether it happened.
    fn count(&mut self) -> Option<u64> {
        let transaction = self.transaction.as_mut().ok()?;
        let counted = (|| {
            let mut meta = transaction.open_table(META)?;
            let number = meta.get(COMMITS_ROW)?.map_or(0, |row| row.value()) + 1;
            meta.insert(COMMITS_ROW, number)?;
            Ok::<u64, redb::Error>(number)
        })();
        match counted {
            Ok(number) => Some(number),
            Err(error) => {
                self.transaction = Err(error);
                None
            }
        }
    }

    fn commit(self) -> (Vec<Queued>, Result<Committed, redb::Error>) {
        let Self { transaction, jobs, wanted, applied } = self;
        let committed = transaction.and_then(|mut transaction| {
            if applied == Applied::Unchanged {
                transaction.abort()?;
                return Ok(Committed::Nothing);
            }
            match wanted {
                Durability::Immediate => {
                    transaction.commit()?;
                    Ok(Committed::Durable)
                }
                Durability::Eventual => {
                    transaction.set_durability(redb::Durability::None)?;
                    transaction.commit()?;
                    Ok(Committed::Eventual)
                }
            }
        });
        (jobs, committed)
    }
}
