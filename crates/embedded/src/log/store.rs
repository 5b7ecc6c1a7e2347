//! The log's tables, and what is done to them inside of one transaction.
//!
//! | table | key | value |
//! |---|---|---|
//! | `log_topics` | name | id, partitions |
//! | `log_partitions` | topic, partition | start, uncommitted end |
//! | `log_records` | topic, partition, offset | a record's bytes |
//! | `log_open` | topic, partition, first offset | last offset, transaction |
//! | `log_offsets` | group, topic, partition | the next offset |
//!
//! `log_open` has one row for each run of records that an open transaction wrote; the lowest of a
//! partition is its stable offset. A commit takes the rows away; an abort takes the records away too,
//! so that a reader below the stable offset need not ask about transactions at all. Both leave a
//! marker: an offset without a record.

use std::collections::{BTreeMap, BTreeSet};

use ports::log::{Ends, Offset, Partition, RawRecord, next};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::record;

const TOPICS: TableDefinition<&str, (u32, u32)> = TableDefinition::new("log_topics");
const PARTITIONS: TableDefinition<(u32, u32), (i64, i64)> = TableDefinition::new("log_partitions");
const RECORDS: TableDefinition<(u32, u32, i64), &[u8]> = TableDefinition::new("log_records");
const OPEN: TableDefinition<(u32, u32, i64), (i64, u64)> = TableDefinition::new("log_open");
const OFFSETS: TableDefinition<(&str, u32, u32), i64> = TableDefinition::new("log_offsets");

/// A partition, as the tables name it: the topic's id and the partition's number.
pub type Place = (u32, u32);

/// A topic, as the tables know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Stands for its name in keys.
    pub id: u32,
    /// How many partitions it has.
    pub partitions: u32,
}

type Done<T = ()> = Result<T, redb::Error>;

/// What a store has when it is opened.
#[derive(Debug, Default)]
pub struct Found {
    /// All topics, by name.
    pub topics: BTreeMap<String, Topic>,
    /// Transactions that a dead process left open. No other process has the file, so nobody can finish them.
    pub left: BTreeSet<u64>,
}

/// Makes the tables of a new store.
pub fn make(transaction: &WriteTransaction) -> Done {
    transaction.open_table(TOPICS)?;
    transaction.open_table(PARTITIONS)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(OFFSETS)?;
    transaction.open_table(OPEN)?;
    Ok(())
}

/// What is there; `None` where the store is new. Only looks, so that a full disk keeps nobody from opening.
pub fn open(transaction: &ReadTransaction) -> Done<Option<Found>> {
    let table = match transaction.open_table(TOPICS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        opened => opened?,
    };
    let runs = runs_of(&transaction.open_table(OPEN)?)?;
    let left = runs.into_iter().map(|run| run.transaction).collect();
    Ok(Some(Found { topics: topics_of(&table)?, left }))
}

/// All topics, by name.
pub fn topics(transaction: &WriteTransaction) -> Done<BTreeMap<String, Topic>> {
    topics_of(&transaction.open_table(TOPICS)?)
}

fn topics_of(table: &impl ReadableTable<&'static str, (u32, u32)>) -> Done<BTreeMap<String, Topic>> {
    let mut topics = BTreeMap::new();
    for row in table.iter()? {
        let (name, topic) = row?;
        let (id, partitions) = topic.value();
        topics.insert(name.value().to_owned(), Topic { id, partitions });
    }
    Ok(topics)
}

/// Makes a topic.
pub fn create(transaction: &WriteTransaction, name: &str, partitions: u32) -> Done<Topic> {
    let mut topics = transaction.open_table(TOPICS)?;
    let mut id = 0;
    for row in topics.iter()? {
        id = id.max(row?.1.value().0 + 1);
    }
    topics.insert(name, (id, partitions))?;
    let mut table = transaction.open_table(PARTITIONS)?;
    for index in 0..partitions {
        table.insert((id, index), (0, 0))?;
    }
    Ok(Topic { id, partitions })
}

/// Appends records, in order, as one transaction's where a number is given (a run a partition).
/// Returns their offsets.
pub fn append(
    transaction: &WriteTransaction,
    records: &[(Place, Vec<u8>)],
    number: Option<u64>,
) -> Done<Vec<Offset>> {
    let mut ends = transaction.open_table(PARTITIONS)?;
    let mut table = transaction.open_table(RECORDS)?;
    // start, first new offset, end
    let mut grown: BTreeMap<Place, (Offset, Offset, Offset)> = BTreeMap::new();
    let mut offsets = Vec::with_capacity(records.len());
    for (place, bytes) in records {
        let (_, _, end) = match grown.entry(*place) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let (start, end) = ends.get(*place)?.map(|row| row.value()).ok_or_else(|| damaged("ends"))?;
                entry.insert((start, end, end))
            }
        };
        table.insert((place.0, place.1, *end), bytes.as_slice())?;
        offsets.push(*end);
        *end = next(*end);
    }
    for (place, (start, _, end)) in &grown {
        ends.insert(*place, (*start, *end))?;
    }
    if let Some(number) = number {
        let mut open = transaction.open_table(OPEN)?;
        for ((topic, index), (_, first, end)) in &grown {
            open.insert((*topic, *index, *first), (end - 1, number))?;
        }
    }
    Ok(offsets)
}

struct Run {
    topic: u32,
    index: u32,
    first: Offset,
    last: Offset,
    transaction: u64,
}

/// All runs of open transactions: as many as producers have sends in flight, not more.
fn runs(transaction: &WriteTransaction) -> Done<Vec<Run>> {
    runs_of(&transaction.open_table(OPEN)?)
}

fn runs_of(table: &impl ReadableTable<(u32, u32, i64), (i64, u64)>) -> Done<Vec<Run>> {
    let mut runs = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        let ((topic, index, first), (last, transaction)) = (key.value(), value.value());
        runs.push(Run { topic, index, first, last, transaction });
    }
    Ok(runs)
}

/// How many runs a transaction has.
pub fn count(transaction: &WriteTransaction, number: u64) -> Done<usize> {
    Ok(runs(transaction)?.iter().filter(|run| run.transaction == number).count())
}

/// Ends a transaction, keeping its records or not, with a marker in each partition it wrote to.
/// Returns whether it had any.
pub fn finish(transaction: &WriteTransaction, number: u64, keep: bool) -> Done<bool> {
    let runs: Vec<Run> = runs(transaction)?.into_iter().filter(|run| run.transaction == number).collect();
    let mut open = transaction.open_table(OPEN)?;
    let mut records = transaction.open_table(RECORDS)?;
    let mut places: BTreeSet<Place> = BTreeSet::new();
    for run in &runs {
        let Run { topic, index, first, last, .. } = *run;
        open.remove((topic, index, first))?;
        if !keep {
            records.retain_in((topic, index, first)..=(topic, index, last), |_, _| false)?;
        }
        places.insert((topic, index));
    }
    let mut ends = transaction.open_table(PARTITIONS)?;
    for place in places {
        let (start, end) = ends.get(place)?.map(|row| row.value()).ok_or_else(|| damaged("ends"))?;
        ends.insert(place, (start, next(end)))?;
    }
    Ok(!runs.is_empty())
}

/// Moves a partition's start to `before`, at most to its stable offset, and forgets what is below.
pub fn truncate(transaction: &WriteTransaction, place: Place, before: Offset) -> Done {
    let (topic, index) = place;
    let ends = ends(transaction, place)?;
    let before = before.clamp(ends.start, ends.stable);
    let mut records = transaction.open_table(RECORDS)?;
    records.retain_in((topic, index, ends.start)..(topic, index, before), |_, _| false)?;
    transaction.open_table(PARTITIONS)?.insert(place, (before, ends.uncommitted))?;
    Ok(())
}

/// Sets a group's next offset.
pub fn set_offset(transaction: &WriteTransaction, group: &str, place: Place, offset: Offset) -> Done {
    transaction.open_table(OFFSETS)?.insert((group, place.0, place.1), offset)?;
    Ok(())
}

/// Whether a group has an offset in every one of these partitions.
pub fn has_offsets(transaction: &ReadTransaction, group: &str, places: &[Place]) -> Done<bool> {
    let table = transaction.open_table(OFFSETS)?;
    for (topic, index) in places {
        if table.get((group, *topic, *index))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A group's next offset.
pub fn offset(transaction: &WriteTransaction, group: &str, (topic, index): Place) -> Done<Option<Offset>> {
    Ok(transaction.open_table(OFFSETS)?.get((group, topic, index))?.map(|row| row.value()))
}

/// Reading is the same in a snapshot and in the transaction of a group of changes.
pub trait Reads {
    /// The three ends of a partition.
    fn ends(&self, place: Place) -> Done<Ends>;
}

impl Reads for ReadTransaction {
    fn ends(&self, place: Place) -> Done<Ends> {
        ends_of(&self.open_table(PARTITIONS)?, &self.open_table(OPEN)?, place)
    }
}

impl Reads for WriteTransaction {
    fn ends(&self, place: Place) -> Done<Ends> {
        ends_of(&self.open_table(PARTITIONS)?, &self.open_table(OPEN)?, place)
    }
}

/// The three ends of a partition.
pub fn ends(transaction: &impl Reads, place: Place) -> Done<Ends> {
    transaction.ends(place)
}

fn ends_of(
    partitions: &impl ReadableTable<(u32, u32), (i64, i64)>,
    open: &impl ReadableTable<(u32, u32, i64), (i64, u64)>,
    (topic, index): Place,
) -> Done<Ends> {
    let row = partitions.get((topic, index))?.map(|row| row.value());
    let (start, uncommitted) = row.ok_or_else(|| damaged("ends"))?;
    let first = open.range((topic, index, Offset::MIN)..=(topic, index, Offset::MAX))?.next().transpose()?;
    let stable = first.map_or(uncommitted, |(key, _)| key.value().2);
    Ok(Ends { start, stable, uncommitted })
}

/// How much a read may return. The first record is returned whatever its size.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Most records.
    pub records: usize,
    /// Most bytes.
    pub bytes: usize,
}

/// Committed records from `from` on (at least the partition's start), the offset to go on from, and
/// what is left of the room.
pub fn read(
    transaction: &ReadTransaction,
    partition: &Partition,
    (topic, index): Place,
    from: Offset,
    mut room: Room,
) -> Done<(Vec<RawRecord>, Offset, Room)> {
    let ends = ends(transaction, (topic, index))?;
    let from = from.max(ends.start);
    let mut records = Vec::new();
    if from >= ends.stable {
        return Ok((records, from, room));
    }
    let table = transaction.open_table(RECORDS)?;
    for row in table.range((topic, index, from)..(topic, index, ends.stable))? {
        let (key, value) = row?;
        let offset = key.value().2;
        let size = value.value().len();
        if room.records == 0 || (size > room.bytes && !records.is_empty()) {
            return Ok((records, offset, room));
        }
        let stored = record::decode(value.value()).ok_or_else(|| damaged("record"))?;
        room = Room { records: room.records - 1, bytes: room.bytes.saturating_sub(size) };
        records.push(RawRecord {
            partition: partition.clone(),
            offset,
            timestamp: stored.timestamp,
            key: stored.key,
            value: stored.value,
            headers: stored.headers,
        });
    }
    Ok((records, ends.stable, room))
}

fn damaged(what: &str) -> redb::Error {
    redb::Error::Corrupted(format!("the log's {what} are missing or damaged"))
}
