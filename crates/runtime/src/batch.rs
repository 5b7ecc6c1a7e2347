//! Step two of the loop: the batch's records, first in first out per ordering key, keys at the same
//! time, under one deadline.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use contract::{Code, headers, topics};
use futures::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use ports::log::{Partition, RawRecord};
use rand::rngs::StdRng;
use telemetry::field;
use tokio::time::{Instant, sleep, timeout_at};

use crate::settle::Size;
use crate::{Failure, Fatal, Options, Output, Poison, Processor, Quarantine, metrics};

/// How often a record is tried on which the stage panics.
const PANICS: u32 = 3;

/// What became of a record. There is no default: what was not settled comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Its outputs are known and its writes are durable, in the stage's stores or in quarantine.
    Settled(Vec<Output>),
    /// It was tried until the deadline.
    Failed(String),
    /// Its turn has not come, and nothing further of its partition was started behind it.
    Later,
    /// It was not tried: one before it under its key failed, the deadline passed, or the batch has put
    /// out as much as one transaction takes.
    Untried,
}

/// What handling needs; shared by all records of a batch.
pub(crate) struct Stage<'a, P> {
    pub processor: &'a P,
    pub quarantine: &'a dyn Quarantine,
    pub options: &'a Options,
    pub rng: &'a Mutex<StdRng>,
}

/// Handles a batch until `deadline`; one slot a record, in order.
pub(crate) async fn handle<P: Processor>(
    stage: &Stage<'_, P>,
    records: &[RawRecord],
    deadline: Instant,
) -> Result<Vec<Slot>, Fatal> {
    let admitted = Admitted::default();
    let mut slots = vec![Slot::Untried; records.len()];
    let groups = by_key(records).into_iter();
    let groups = groups.map(|group| in_order(stage, records, group, deadline, &admitted));
    let mut groups = stream::iter(groups).buffer_unordered(stage.options.concurrency);
    while let Some(done) = groups.next().await {
        for (index, slot) in done? {
            slots[index] = slot;
        }
    }
    Ok(slots)
}

/// Indexes of records that share partition and key, in order; records without a key have no order. Groups
/// whose first record lies further ahead in its partition come first, so that the settled prefixes grow from
/// their starts.
fn by_key(records: &[RawRecord]) -> Vec<Vec<usize>> {
    let mut ranks: HashMap<&Partition, usize> = HashMap::new();
    let mut places: HashMap<(&Partition, &Bytes), usize> = HashMap::new();
    let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let next = ranks.entry(&record.partition).or_default();
        let rank = *next;
        *next += 1;
        let place = match &record.key {
            Some(key) => *places.entry((&record.partition, key)).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(place) {
            Some((_, group)) => group.push(index),
            None => groups.push((rank, vec![index])),
        }
    }
    groups.sort_by_key(|(rank, _)| *rank);
    groups.into_iter().map(|(_, group)| group).collect()
}

/// What the batch has put out so far: memory is bounded by not starting further records.
#[derive(Default)]
struct Admitted {
    outputs: AtomicUsize,
    bytes: AtomicUsize,
    /// Partitions of which a record's turn has not come: nothing further of them is started.
    later: Mutex<HashSet<Partition>>,
}

impl Admitted {
    fn full(&self, options: &Options) -> bool {
        self.outputs.load(Ordering::Relaxed) >= options.max_outputs
            || self.bytes.load(Ordering::Relaxed) >= options.max_bytes
    }

    fn add(&self, size: Size) {
        self.outputs.fetch_add(size.outputs, Ordering::Relaxed);
        self.bytes.fetch_add(size.bytes, Ordering::Relaxed);
    }
}

/// Records of one ordering key, one behind the other, up to the first one that does not settle.
async fn in_order<P: Processor>(
    stage: &Stage<'_, P>,
    records: &[RawRecord],
    group: Vec<usize>,
    deadline: Instant,
    admitted: &Admitted,
) -> Result<Vec<(usize, Slot)>, Fatal> {
    let mut slots = Vec::with_capacity(group.len());
    for index in group {
        let waits = admitted.later.lock().contains(&records[index].partition);
        if waits || admitted.full(stage.options) || Instant::now() >= deadline {
            break;
        }
        let slot = match timeout_at(deadline, settle(stage, &records[index], deadline)).await {
            Ok(slot) => slot?,
            // A dropped future settles nothing.
            Err(_) => Slot::Failed("the batch's deadline passed".to_owned()),
        };
        let settled = matches!(slot, Slot::Settled(_));
        match &slot {
            Slot::Settled(outputs) => admitted.add(Size::of(outputs)),
            Slot::Later => drop(admitted.later.lock().insert(records[index].partition.clone())),
            Slot::Failed(_) | Slot::Untried => {}
        }
        slots.push((index, slot));
        if !settled {
            break;
        }
    }
    Ok(slots)
}

/// Tries a record until it is settled, or its next attempt would lie behind the deadline.
async fn settle<P: Processor>(
    stage: &Stage<'_, P>,
    record: &RawRecord,
    deadline: Instant,
) -> Result<Slot, Fatal> {
    let mut poison: Option<Poison> = None;
    let (mut attempt, mut panics) = (0, 0);
    loop {
        let tried = match &poison {
            Some(poison) => unpanicked(stage.quarantine.park(P::NAME, record, poison)).await,
            None => match caught(attempt_once(stage, record)).await {
                Ok(tried) => tried,
                Err(words) if P::PARKS_PANICS => {
                    panics += 1;
                    let at = record.coordinates();
                    tracing::error!(stage = P::NAME, at, panics, "a defect of dvss, it panicked: {words}");
                    if panics < PANICS {
                        continue;
                    }
                    Err(Failure::Poison(panicked(&words)))
                }
                Err(words) => Err(fatal(&words)),
            },
        };
        let message = match tried {
            Ok(outputs) => {
                if let Some(poison) = &poison {
                    metrics::parked(P::NAME, poison.code);
                    // On their own topics vendors write what they like into headers.
                    let own = topics::inbound_vendor(&record.partition.topic).map(|id| id.to_string());
                    let said = |name| record.header(name).map(str::to_owned);
                    let text = |name| if own.is_none() { said(name) } else { None };
                    let vendor = own.clone().or(poison.vendor_id.as_ref().map(ToString::to_string));
                    tracing::warn!(
                        { field::STAGE } = P::NAME,
                        { field::INGEST_ID } =
                            poison.ingest_id.map(|id| id.to_string()).or(text(headers::INGEST_ID)),
                        { field::VENDOR_ID } = vendor.or(text(headers::VENDOR_ID)),
                        { field::EXTERNAL_EVENT_ID } = text(headers::EXTERNAL_EVENT_ID),
                        at = record.coordinates(),
                        "quarantined: {poison}"
                    );
                }
                return Ok(Slot::Settled(outputs));
            }
            Err(Failure::Poison(found)) if poison.is_none() => {
                poison = Some(found);
                continue;
            }
            Err(Failure::Transient(message)) => message,
            Err(Failure::Later(message)) => {
                tracing::debug!(stage = P::NAME, at = record.coordinates(), message, "its turn has not come");
                return Ok(Slot::Later);
            }
            Err(other) => {
                let mut fatal = Fatal::of(P::NAME, other);
                fatal.message = format!("{} (record {})", fatal.message, record.coordinates());
                return Err(fatal);
            }
        };
        attempt += 1;
        let wait = stage.options.backoff.wait(attempt, &mut *stage.rng.lock());
        metrics::retried(P::NAME);
        if Instant::now() + wait >= deadline {
            return Ok(Slot::Failed(message));
        }
        tracing::debug!(stage = P::NAME, at = record.coordinates(), message, "trying again");
        sleep(wait).await;
    }
}

async fn attempt_once<P: Processor>(
    stage: &Stage<'_, P>,
    record: &RawRecord,
) -> Result<Vec<Output>, Failure> {
    if stage.quarantine.over_budget(P::NAME, record).await? {
        return Err(Failure::Poison(Poison {
            code: Code::OverBudget,
            message: format!("parked untried: its vendor has too much in quarantine at {}", P::NAME),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        }));
    }
    let input = stage.processor.decode(record)?;
    stage.processor.handle(&input).await
}

/// A panic outside of a record's own work is a defect, and nobody knows what it left behind in memory.
pub(crate) async fn unpanicked<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    caught(work).await.unwrap_or_else(|words| Err(fatal(&words)))
}

/// What the work came to, or the words of its panic.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| words(panic.as_ref()).to_owned())
}

fn fatal(words: &str) -> Failure {
    Failure::Fatal { code: Code::Internal, message: format!("a defect of dvss, it panicked: {words}") }
}

fn panicked(words: &str) -> Poison {
    let message = format!(
        "a defect of dvss, it panicked {PANICS} times: {words}; report it, and release the record with the \
         mended version"
    );
    Poison { code: Code::Internal, message, pointer: None, vendor_id: None, ingest_id: None }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(index: u32, offset: i64, key: Option<&'static str>) -> RawRecord {
        RawRecord {
            partition: Partition::new("t", index),
            offset,
            timestamp: 0,
            key: key.map(|key| Bytes::from_static(key.as_bytes())),
            value: Bytes::new(),
            headers: vec![],
        }
    }

    #[test]
    fn groups_are_keys_of_a_partition_first_come_first() {
        let records = [
            record(0, 5, Some("a")),
            record(0, 6, Some("b")),
            record(0, 8, Some("a")),
            record(1, 2, Some("a")),
            record(1, 3, None),
            record(1, 4, None),
        ];
        assert_eq!(by_key(&records), [vec![0, 2], vec![3], vec![1], vec![4], vec![5]]);
    }
}
