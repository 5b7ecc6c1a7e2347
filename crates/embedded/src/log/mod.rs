//! The log: partitions, groups and transactions with Kafka's meaning, on the engine.
//!
//! Records, offsets and the runs of open transactions are in the store; who is a member of which
//! group and which producer has which transactional id is in memory, for it ends with the process.
//! What decides about a commit is checked INSIDE of the change that commits, and whoever takes over
//! (a new owner, a new producer) looks behind every change handed over before: so a commit either
//! happens before its successor looks, or is refused.
//!
//! One [`EmbeddedLog`] an engine; its clones share everything.

mod consumer;
mod decide;
mod group;
mod producer;
mod record;
mod shared;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::Code;
use ports::Clock;
use ports::log::{
    Consumer, Coordinates, Ends, Error, First, Log, Offset, Partition, Producer, RawRecord, Record,
};

use crate::engine::{Durability, Engine};
use crate::error::StoreError;
use consumer::EmbeddedConsumer;
use producer::EmbeddedProducer;
use shared::{Shared, unavailable};
use store::{Place, Room};

/// How the log behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// A member of a group that has not polled for this long loses its partitions. Default 10 s.
    pub session_timeout: Duration,
    /// A transaction that is open for this long is aborted and its producer fenced. Default 10 s.
    pub transaction_timeout: Duration,
    /// Most bytes of a record: key, value and headers. Default 1 MiB.
    pub max_record_bytes: usize,
    /// Most bytes that one poll or read returns, but for its first record. Default 8 MiB.
    pub max_fetch_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(10),
            max_record_bytes: 1024 * 1024,
            max_fetch_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A topic that is to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions it has, for ever.
    pub partitions: u32,
}

/// Why topics were not applied; none was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Partition counts never change in place: keys would move.
    #[error("the topic {topic} has {has} partitions and cannot get {wanted}; make a new topic")]
    PartitionsChanged {
        /// The topic.
        topic: String,
        /// What it has.
        has: u32,
        /// What was asked for.
        wanted: u32,
    },
    /// A topic without partitions.
    #[error("the topic {0} must have at least one partition")]
    NoPartitions(String),
    /// Anything else.
    #[error(transparent)]
    Log(#[from] Error),
}

impl ApplyError {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::PartitionsChanged { .. } | Self::NoPartitions(_) => Code::ConfigInvalid,
            Self::Log(Error::Missing(_)) => Code::TopicMissing,
            Self::Log(Error::Full) => Code::StorageFull,
            Self::Log(_) => Code::Unavailable,
        }
    }
}

/// The log of one process.
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Shared>);

impl EmbeddedLog {
    /// Opens the log. What a dead process left open is aborted, on a full disk as soon as there is room.
    pub fn new(engine: Engine, clock: Arc<dyn Clock>, options: LogOptions) -> Result<Self, StoreError> {
        let found = match engine.read(store::open)? {
            Some(found) => found,
            None => {
                let Ok(()) = engine.write_blocking(|transaction| {
                    store::make(transaction).map(Ok::<(), std::convert::Infallible>)
                })?;
                store::Found::default()
            }
        };
        let left = found.left.clone();
        let shared = Shared::new(engine, clock, options, found);
        match shared.abort_blocking(left) {
            Ok(()) => {}
            Err(StoreError::Full) => {
                tracing::warn!("the disk is full: transactions that a dead process left open wait for room");
            }
            Err(error) => return Err(error),
        }
        Ok(Self(Arc::new(shared)))
    }

    /// Makes the topics that are missing, and gives each group the offset 0 in every partition of its
    /// topics where it has none. Applying the same again changes nothing.
    pub async fn apply(&self, topics: &[TopicSpec], groups: &[(&str, &[&str])]) -> Result<(), ApplyError> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let groups = groups.iter().map(|(group, names)| ((*group).to_owned(), owned(names))).collect();
        let change = apply_topics(topics.to_vec(), groups);
        let shared = Arc::clone(&self.0);
        let publish = move |known: &Topics| shared.set_topics(known);
        let applied = self.0.engine.write_then(Durability::Immediate, change, publish).await;
        applied.map_err(unavailable)?.map(drop)
    }

    /// The same, for constructors: blocks the thread.
    pub fn apply_blocking(
        &self,
        topics: Vec<TopicSpec>,
        groups: Vec<(String, Vec<String>)>,
    ) -> Result<(), ApplyError> {
        // A full disk keeps nobody from opening what is complete.
        if self.has(&topics, &groups).map_err(unavailable)? {
            return Ok(());
        }
        let change = apply_topics(topics, groups);
        let known = self.0.engine.write_blocking(change).map_err(unavailable)??;
        self.0.set_topics(&known);
        Ok(())
    }

    /// Whether nothing of this is to be made.
    fn has(&self, topics: &[TopicSpec], groups: &[(String, Vec<String>)]) -> Result<bool, StoreError> {
        let known = self.0.topics();
        let is_there =
            |spec: &TopicSpec| known.get(&spec.name).is_some_and(|topic| topic.partitions == spec.partitions);
        if !topics.iter().all(is_there) {
            return Ok(false);
        }
        self.0.engine.read(|snapshot| {
            for (group, names) in groups {
                for name in names {
                    let Some(topic) = known.get(name) else { return Ok(false) };
                    let places: Vec<Place> = (0..topic.partitions).map(|index| (topic.id, index)).collect();
                    if !store::has_offsets(snapshot, group, &places)? {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
    }

    /// Forgets a partition's records below `before` (at most up to its stable offset).
    pub async fn truncate(&self, partition: &Partition, before: Offset) -> Result<(), Error> {
        let place = self.0.place(partition)?;
        let change = move |transaction: &redb::WriteTransaction| {
            store::truncate(transaction, place, before).map(Ok::<(), Error>)
        };
        self.0.engine.write(Durability::Immediate, change).await.map_err(unavailable)?
    }

    /// Names and partition counts of all topics, by name.
    pub fn topics(&self) -> Vec<TopicSpec> {
        let specs = self.0.topics().into_iter();
        specs.map(|(name, topic)| TopicSpec { name, partitions: topic.partitions }).collect()
    }
}

type Topics = BTreeMap<String, store::Topic>;

/// The change that makes topics and first offsets, and returns all topics.
fn apply_topics(
    topics: Vec<TopicSpec>,
    groups: Vec<(String, Vec<String>)>,
) -> impl FnOnce(&redb::WriteTransaction) -> Result<Result<Topics, ApplyError>, redb::Error> + Send + 'static
{
    move |transaction| {
        let mut known = store::topics(transaction)?;
        for spec in &topics {
            if let Err(error) = check_topic(spec, known.get(&spec.name).map(|topic| topic.partitions)) {
                return Ok(Err(error));
            }
        }
        let wanted = |name: &String| topics.iter().any(|spec| spec.name == *name);
        let mut subscribed = groups.iter().flat_map(|(_, names)| names);
        if let Some(name) = subscribed.find(|name| !known.contains_key(*name) && !wanted(name)) {
            return Ok(Err(Error::Missing(name.clone()).into()));
        }
        for spec in &topics {
            if !known.contains_key(&spec.name) {
                let topic = store::create(transaction, &spec.name, spec.partitions)?;
                known.insert(spec.name.clone(), topic);
            }
        }
        for (group, names) in &groups {
            for topic in names.iter().filter_map(|name| known.get(name)) {
                for place in (0..topic.partitions).map(|index| (topic.id, index)) {
                    if store::offset(transaction, group, place)?.is_none() {
                        store::set_offset(transaction, group, place, 0)?;
                    }
                }
            }
        }
        Ok(Ok(known))
    }
}

fn check_topic(spec: &TopicSpec, has: Option<u32>) -> Result<(), ApplyError> {
    if spec.partitions == 0 {
        return Err(ApplyError::NoPartitions(spec.name.clone()));
    }
    match has {
        Some(has) if has != spec.partitions => {
            Err(ApplyError::PartitionsChanged { topic: spec.name.clone(), has, wanted: spec.partitions })
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        Ok(Box::new(EmbeddedConsumer::join(Arc::clone(&self.0), group, member, topics, first)?))
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, Error> {
        Ok(Box::new(EmbeddedProducer::take_over(Arc::clone(&self.0), transactional_id).await?))
    }

    async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        let (partition, place) = self.0.route(&record)?;
        let records = vec![(place, self.0.encode(&record)?)];
        let change = move |transaction: &redb::WriteTransaction| {
            store::append(transaction, &records, None).map(Ok::<_, Error>)
        };
        let shared = Arc::clone(&self.0);
        let appended =
            self.0.engine.write_then(Durability::Immediate, change, move |_| shared.changed.notify_waiters());
        let offsets = appended.await.map_err(unavailable)??;
        let offset = *offsets.first().ok_or_else(|| Error::Unavailable("no offset".to_owned()))?;
        Ok(Coordinates { partition, offset })
    }

    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        let place = self.0.place(partition)?;
        self.0.abort_overdue().await;
        let room = Room { records: limit, bytes: self.0.options.max_fetch_bytes };
        let read = self.0.engine.read(|snapshot| store::read(snapshot, partition, place, from, room));
        let (records, next, _) = read.map_err(unavailable)?;
        Ok((records, next))
    }

    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.0.names(prefix))
    }

    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        Ok(self.0.topic(topic)?.partitions)
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error> {
        let topic = self.0.topic(topic)?;
        self.0.abort_overdue().await;
        let ends = self.0.engine.read(|snapshot| {
            (0..topic.partitions).map(|index| store::ends(snapshot, (topic.id, index))).collect()
        });
        ends.map_err(unavailable)
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        let topic = self.0.topic(topic)?;
        let group = group.to_owned();
        let look = move |transaction: &redb::WriteTransaction| {
            let places = (0..topic.partitions).map(|index| (topic.id, index));
            places.map(|place| store::offset(transaction, &group, place)).collect()
        };
        self.0.engine.read_ordered(look).await.map_err(unavailable)
    }

    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error> {
        let next: Vec<(Place, Offset)> = next
            .iter()
            .map(|(partition, offset)| Ok((self.0.place(partition)?, *offset)))
            .collect::<Result<_, Error>>()?;
        self.0.expire(group);
        let (shared, group) = (Arc::clone(&self.0), group.to_owned());
        let change = move |transaction: &redb::WriteTransaction| {
            if !shared.is_empty(&group) {
                return Ok(Err(Error::GroupNotEmpty(group)));
            }
            for (place, offset) in next {
                store::set_offset(transaction, &group, place, offset)?;
            }
            Ok(Ok(()))
        };
        self.0.engine.write(Durability::Immediate, change).await.map_err(unavailable)?
    }
}
