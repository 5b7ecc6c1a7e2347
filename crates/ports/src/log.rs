//! The log: Kafka, in its own words, cut to what is used.
//!
//! Topics have partitions, partitions have records at ascending offsets, **with gaps**: markers of
//! commits and aborts occupy offsets too. Three ends matter: *start*, the first offset that is kept;
//! *stable*, the first offset of an open transaction, else the end, beyond which readers of
//! committed records see nothing; *uncommitted*, the offset that the next record gets.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// An offset. What is committed is the NEXT offset, the one to read first.
pub type Offset = i64;

/// The offset behind `offset`: the only place where one is added.
pub fn next(offset: Offset) -> Offset {
    offset + 1
}

/// Header names and values, in order.
pub type Headers = Vec<(String, Bytes)>;

/// The last value of a header, as text.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rev().find(|(key, _)| key == name)?;
    std::str::from_utf8(value).ok()
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub index: u32,
}

impl Partition {
    /// A partition.
    pub fn new(topic: impl Into<Arc<str>>, index: u32) -> Self {
        Self { topic: topic.into(), index }
    }
}

impl std::fmt::Display for Partition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.index)
    }
}

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// `None`: the partition of the key ([`crate::partition::partition_of`]).
    pub partition: Option<u32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers.
    pub headers: Headers,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Where it is.
    pub partition: Partition,
    /// Where in it.
    pub offset: Offset,
    /// When it was produced, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers.
    pub headers: Headers,
}

impl RawRecord {
    /// The last value of a header, as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Where it is, as people write it: `topic/partition/offset`.
    pub fn coordinates(&self) -> String {
        format!("{}/{}", self.partition, self.offset)
    }
}

/// Where a record was put.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coordinates {
    /// The partition.
    pub partition: Partition,
    /// The offset.
    pub offset: Offset,
}

/// Where a group begins in a partition of which it never committed an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// Nowhere: that is [`Error::OutOfRange`], for somebody has lost the offset.
    Committed,
    /// At offset 0, for topics that others make; [`Error::OutOfRange`] where the log no longer reaches so far
    /// back.
    Zero,
}

impl First {
    /// Where to begin, of what is committed; -1, which no log has, where it cannot be said.
    pub fn of(self, committed: Option<Offset>) -> Offset {
        committed.unwrap_or(match self {
            Self::Committed => -1,
            Self::Zero => 0,
        })
    }
}

/// Proof of who owned a batch's partitions when it was polled: the group metadata of Kafka.
/// Taken with the batch, before any later poll; a fresh one would vouch for partitions lost since.
#[derive(Clone)]
pub struct Owner(pub Arc<dyn Any + Send + Sync>);

/// What one poll returned.
pub struct Batch {
    /// Proof of ownership for [`Producer::commit`].
    pub owner: Owner,
    /// The whole assignment, where it changed with this poll: whatever was held before is lost, and
    /// reading goes on from the committed offsets. Ownership changes nowhere else.
    pub assigned: Option<Vec<Partition>>,
    /// Records of assigned, unpaused partitions; ascending within each partition.
    pub records: Vec<RawRecord>,
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// First offset that is kept.
    pub start: Offset,
    /// First offset of an open transaction, else [`Ends::uncommitted`].
    pub stable: Offset,
    /// The offset that the next record gets.
    pub uncommitted: Offset,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The transaction cannot be committed (ownership lost, a record refused); abort it, then go on.
    #[error("the transaction must be aborted: {0}")]
    Abort(String),
    /// Another producer has the transactional id; rebuild this one.
    #[error("fenced by another producer: {0}")]
    Fenced(String),
    /// Nobody knows whether it happened; rebuild the producer, which settles it, and go on from the
    /// committed offsets.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// The broker does not answer. Where something was being produced, **it may have happened**.
    #[error("the log does not answer: {0}")]
    Unavailable(String),
    /// The record is larger than the log takes; nothing was written.
    #[error("a record of {size} bytes; the log takes {most}")]
    TooLarge {
        /// Bytes of the record.
        size: usize,
        /// Bytes that are taken.
        most: usize,
    },
    /// No such topic or partition; it is never made on the way.
    #[error("no such topic or partition: {0}")]
    Missing(String),
    /// A committed offset is missing or lies outside of the log. Halts; never skips.
    #[error("the offset {offset} of {group} in {partition} is outside of the log ({start} to {end})")]
    OutOfRange {
        /// The group.
        group: String,
        /// The partition.
        partition: Partition,
        /// What is committed; -1 where nothing is.
        offset: Offset,
        /// First offset that is kept.
        start: Offset,
        /// The uncommitted end.
        end: Offset,
    },
    /// The group has members, so its offsets cannot be set from outside.
    #[error("the group {0} has members; stop them first")]
    GroupNotEmpty(String),
    /// No space left; nothing was written.
    #[error("the log is full")]
    Full,
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync {
    /// Joins a consumer group as the static member `member`: eager range assignment over all
    /// partitions of the topics, committed records only, from the committed offsets on, or from `first`.
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error>;

    /// A transactional producer. Settles what a predecessor with the same id left open (an unfinished
    /// transaction is aborted) and fences it.
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, Error>;

    /// Appends one record outside of transactions and waits until it is durable (`acks=all`,
    /// idempotent).
    async fn append(&self, record: Record) -> Result<Coordinates, Error>;

    /// Committed records of a partition from `from` (or the first one behind it), without a group;
    /// at most `limit`. Also returns the offset to go on from, which gaps may put further.
    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error>;

    /// Names of the topics that begin with `prefix`, in order.
    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error>;

    /// How many partitions a topic has.
    async fn partitions(&self, topic: &str) -> Result<u32, Error>;

    /// The ends of every partition of a topic, in order.
    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error>;

    /// A group's committed offsets in every partition of a topic, in order; `None` where it has
    /// none. Stable: waits for transactions that carry offsets of the group.
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error>;

    /// Sets a group's committed offsets from outside. Refused while the group has members.
    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error>;
}

/// A member of a consumer group. Dropping it leaves the group too, behind the caller's back where that
/// takes a call to a broker (a crash does not).
#[async_trait]
pub trait Consumer: Send {
    /// Waits up to `max_wait` for records and returns at most `max_records`. Rebalances are served
    /// here and nowhere else, and an assignment that a failed poll brought is told by the next one. A
    /// member that does not poll for too long (its session; on Kafka, `max.poll.interval.ms` and then the
    /// session) loses its partitions.
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error>;

    /// Goes back: the next poll returns the partition's records from `to` on, after `pause`.
    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error>;

    /// Leaves the group, so that others take over at once.
    async fn leave(self: Box<Self>) -> Result<(), Error>;
}

/// A transactional producer: one transaction at a time.
#[async_trait]
pub trait Producer: Send {
    /// Begins a transaction.
    async fn begin(&mut self) -> Result<(), Error>;
    /// Produces records and waits for the reports: their coordinates, in order. Readers of committed
    /// records see them after the commit.
    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error>;
    /// Commits the records and, under `owner`'s ownership, the NEXT offsets of its group: all or
    /// nothing. Once it is answered it holds; readers and stable offsets may hear of it a moment later.
    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error>;
    /// Aborts the transaction: its records are never seen by readers of committed records.
    async fn abort(&mut self) -> Result<(), Error>;
}
