//! What a log's consumers and producers share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use ports::Clock;
use ports::log::{Error, Partition, Record};
use ports::partition::partition_of;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::LogOptions;
use super::group::Group;
use super::record;
use super::store::{self, Place, Topic};
use crate::engine::{Durability, Engine};
use crate::error::StoreError;

/// Neither instances nor transactions of two logs in one process are ever confused.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A number that nothing else in this process has.
pub fn unique() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// The log's insides. No lock of it is held while the engine is called; changes take them, shortly.
pub struct Shared {
    pub engine: Engine,
    pub options: LogOptions,
    /// Something happened that a waiting poll may want to know.
    pub changed: Notify,
    pub groups: Mutex<HashMap<Arc<str>, Group>>,
    pub transactions: Mutex<Transactions>,
    clock: Arc<dyn Clock>,
    topics: RwLock<HashMap<Arc<str>, Topic>>,
}

/// Producers by their transactional ids.
#[derive(Default)]
pub struct Transactions {
    pub producers: HashMap<Arc<str>, Slot>,
    /// Transactions whose abort is decided but perhaps not written yet.
    pub doomed: BTreeSet<u64>,
}

/// What is known of a transactional id.
#[derive(Default)]
pub struct Slot {
    /// Grows with every producer that takes the id; older ones are fenced.
    pub epoch: u64,
    pub open: Option<Open>,
}

/// An open transaction.
pub struct Open {
    pub number: u64,
    pub deadline: Instant,
    /// How many runs of records the store must have of it.
    pub runs: usize,
    /// A record was refused, so it can only be aborted.
    pub refused: bool,
}

impl Shared {
    pub fn new(engine: Engine, clock: Arc<dyn Clock>, options: LogOptions, found: store::Found) -> Self {
        let store::Found { topics, left } = found;
        // Numbers of a dead process are not given again while its transactions are in the store.
        NUMBERS.fetch_max(left.last().map_or(0, |last| last + 1), Ordering::Relaxed);
        let topics = topics.into_iter().map(|(name, topic)| (name.into(), topic)).collect();
        Self {
            engine,
            options,
            changed: Notify::new(),
            groups: Mutex::default(),
            transactions: Mutex::new(Transactions { doomed: left, ..Transactions::default() }),
            clock,
            topics: RwLock::new(topics),
        }
    }

    pub fn topics(&self) -> BTreeMap<String, Topic> {
        self.topics.read().iter().map(|(name, topic)| (name.to_string(), *topic)).collect()
    }

    pub fn set_topics(&self, known: &BTreeMap<String, Topic>) {
        let mut topics = self.topics.write();
        for (name, topic) in known {
            topics.entry(name.as_str().into()).or_insert(*topic);
        }
    }

    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        self.topics.read().get(name).copied().ok_or_else(|| Error::Missing(name.to_owned()))
    }

    /// Names that begin with `prefix`, in order.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let topics = self.topics.read();
        let mut names: Vec<String> =
            topics.keys().filter(|name| name.starts_with(prefix)).map(|name| (**name).to_owned()).collect();
        names.sort();
        names
    }

    pub fn place(&self, partition: &Partition) -> Result<Place, Error> {
        let topic = self.topic(&partition.topic)?;
        if partition.index >= topic.partitions {
            return Err(Error::Missing(partition.to_string()));
        }
        Ok((topic.id, partition.index))
    }

    /// Where a record goes.
    pub fn route(&self, record: &Record) -> Result<(Partition, Place), Error> {
        let topic = self.topic(&record.topic)?;
        let index = record.partition.unwrap_or_else(|| partition_of(record.key.as_deref(), topic.partitions));
        let partition = Partition::new(Arc::clone(&record.topic), index);
        let place = self.place(&partition)?;
        Ok((partition, place))
    }

    /// A record's bytes, stamped with the clock's time.
    pub fn encode(&self, record: &Record) -> Result<Vec<u8>, Error> {
        let (size, most) = (record::size(record), self.options.max_record_bytes);
        if size > most {
            return Err(Error::TooLarge { size, most });
        }
        Ok(record::encode(record, self.clock.now().as_millis()))
    }

    /// Drops the silent members of a group.
    pub fn expire(&self, group: &str) {
        let now = Instant::now();
        let dropped = match self.groups.lock().get_mut(group) {
            Some(group) => group.expire(now, self.options.session_timeout),
            None => false,
        };
        if dropped {
            self.changed.notify_waiters();
        }
    }

    pub fn is_empty(&self, group: &str) -> bool {
        self.groups.lock().get(group).is_none_or(Group::is_empty)
    }

    /// When the next open transaction times out.
    pub fn next_deadline(&self) -> Option<Instant> {
        let transactions = self.transactions.lock();
        transactions.producers.values().filter_map(|slot| slot.open.as_ref()).map(|open| open.deadline).min()
    }

    /// Aborts transactions that have been open for too long and fences their producers. Where the
    /// store refuses, it stays decided and is tried again with the next call.
    pub async fn abort_overdue(self: &Arc<Self>) {
        let now = Instant::now();
        {
            let mut guard = self.transactions.lock();
            let Transactions { producers, doomed } = &mut *guard;
            for slot in producers.values_mut() {
                if let Some(open) = slot.open.take_if(|open| open.deadline <= now) {
                    slot.epoch += 1;
                    doomed.insert(open.number);
                }
            }
            if doomed.is_empty() {
                return;
            }
        }
        if let Err(error) = self.abort_doomed().await {
            tracing::warn!(%error, "an open transaction could not be aborted yet");
        }
    }

    /// Writes the aborts of what a dead process left open, for constructors: blocks the thread.
    pub fn abort_blocking(&self, left: BTreeSet<u64>) -> Result<(), StoreError> {
        if left.is_empty() {
            return Ok(());
        }
        let Ok(aborted) = self.engine.write_blocking(move |transaction| {
            for number in &left {
                store::finish(transaction, *number, false)?;
            }
            Ok(Ok::<_, std::convert::Infallible>(left))
        })?;
        self.settle_doomed(&aborted);
        Ok(())
    }

    /// Writes the aborts that are decided; with or without any, returns behind every earlier change.
    pub async fn abort_doomed(self: &Arc<Self>) -> Result<(), StoreError> {
        let numbers = self.transactions.lock().doomed.clone();
        if numbers.is_empty() {
            return self.engine.read_ordered(|_| Ok(())).await;
        }
        let aborting = numbers.clone();
        let change = move |transaction: &redb::WriteTransaction| {
            let mut wrote = false;
            for number in &aborting {
                wrote |= store::finish(transaction, *number, false)?;
            }
            Ok(if wrote { Ok(aborting) } else { Err(()) })
        };
        let shared = Arc::clone(self);
        let settled = move |aborted: &BTreeSet<u64>| shared.settle_doomed(aborted);
        // Durable, so that the stable offset never goes back: readers move on with it.
        match self.engine.write_then(Durability::Immediate, change, settled).await? {
            Ok(_) => (),
            Err(()) => self.settle_doomed(&numbers),
        }
        Ok(())
    }

    fn settle_doomed(&self, aborted: &BTreeSet<u64>) {
        self.transactions.lock().doomed.retain(|number| !aborted.contains(number));
        self.changed.notify_waiters();
    }
}

/// What the store's error means to a caller of the log.
pub fn unavailable(error: StoreError) -> Error {
    match error {
        StoreError::Full => Error::Full,
        StoreError::Failed(message) => Error::Unavailable(message),
    }
}
