//! The effects.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::topics;
use futures::StreamExt as _;
use parking_lot::Mutex;
use ports::log::{Coordinates, Offset, Partition, RawRecord, Record, next};
use ports::tables::get_one;
use ports::{Log, Ports, Tables};
use runtime::{Failure, Output, Placed, Processor};
use serde::{Deserialize, Serialize};
use stores::outbox::{self, RowRef};
use stores::receipts::{self, COPIED_GROUP, Receipt};
use telemetry::metric;

use crate::Options;
use crate::decide::{Entry, Memory, publishes};
use crate::error::Error;

/// Records of one read of receipts.
const PAGE: usize = 500;
/// How often the end of the receipts is looked at while transactions are open on them.
const LOOK: Duration = Duration::from_millis(20);

/// The outbox.
pub struct Outbox {
    log: Arc<dyn Log>,
    tables: Arc<dyn Tables>,
    options: Options,
    memory: Mutex<Memory>,
}

/// A decoded reference, and where it was.
pub struct Input {
    row: RowRef,
    at: String,
}

/// What an output publishes; travels as its identity, from `handle` to `receipts`.
#[derive(Serialize, Deserialize)]
struct Identity {
    row: RowRef,
    revision: u32,
}

impl Outbox {
    /// An outbox on these ports.
    pub fn new(ports: &Ports, options: Options) -> Self {
        let (log, tables) = (Arc::clone(&ports.log), Arc::clone(&ports.tables));
        Self { log, tables, options, memory: Mutex::default() }
    }

    async fn publish(&self, Input { row, at }: &Input) -> Result<Vec<Output>, Error> {
        let broken = |problem: &str| Error::Broken(format!("{at} refers to {row:?}, {problem}"));
        let uncopied = self.memory.lock().len();
        if uncopied > self.options.max_uncopied {
            return Err(Error::Later(format!("{uncopied} receipts wait to be copied into their rows")));
        }
        let table = row.table().ok_or_else(|| broken("which is in no table that dvss knows"))?;
        let item = get_one(&*self.tables, table, row.key()).await?.ok_or_else(|| broken("which is gone"))?;
        let Some(state) = outbox::state(&item) else { return Ok(Vec::new()) };
        let Some(publication) = publishes(row, state, &self.memory.lock()) else { return Ok(Vec::new()) };
        let identity = Identity { row: row.clone(), revision: publication.revision };
        let identity = serde_json::to_string(&identity).map_err(|error| broken(&error.to_string()))?;
        let record = Record {
            topic: publication.topic.into(),
            partition: None,
            key: Some(Bytes::from(publication.key)),
            value: publication.value,
            headers: Vec::new(),
        };
        Ok(vec![Output { record, identity: Some(identity) }])
    }

    /// Reads the uncopied receipts of a partition, up to an end that is settled.
    async fn recall(&self, index: u32, from: Offset) -> Result<(), Error> {
        let partition = Partition::new(topics::RECEIPTS, index);
        let end = self.ends(index).await?.uncommitted;
        let begun = tokio::time::Instant::now();
        while self.ends(index).await?.stable < end {
            if begun.elapsed() > self.options.settle_timeout {
                return Err(Error::Later(format!("a transaction is open on {partition}")));
            }
            tokio::time::sleep(LOOK).await;
        }
        let mut position = from;
        while position < end {
            let (records, after) = self.log.read(&partition, position, PAGE).await?;
            for record in records {
                let receipts = receipts::read(&record)
                    .ok_or_else(|| Error::Broken(format!("{} is not a receipt", record.coordinates())))?;
                let entry = Entry { next: next(record.offset), receipts };
                self.memory.lock().remember(index, record.offset, entry);
            }
            if after <= position {
                break;
            }
            position = after;
        }
        Ok(())
    }

    async fn ends(&self, index: u32) -> Result<ports::log::Ends, Error> {
        let ends = self.log.ends(topics::RECEIPTS).await?;
        let missing = || Error::Broken(format!("{} has no partition {index}", topics::RECEIPTS));
        ends.get(index as usize).copied().ok_or_else(missing)
    }

    /// Copies what is uncopied into the rows, and commits how far.
    async fn copy(&self) -> Result<(), Error> {
        let before = self.memory.lock().positions();
        let uncopied = self.memory.lock().uncopied();
        let copied = futures::stream::iter(uncopied)
            .map(|(partition, first, receipts)| async move {
                for receipt in &receipts {
                    let at = receipt.coordinates();
                    outbox::set_coordinates(&*self.tables, &receipt.row, receipt.revision, &at).await?;
                }
                Ok::<_, Error>((partition, first))
            })
            .buffer_unordered(self.options.copy_concurrency)
            .collect::<Vec<_>>()
            .await;
        let mut failed = None;
        let (left, after) = {
            let mut memory = self.memory.lock();
            for copied in copied {
                match copied {
                    Ok((partition, first)) => memory.copied(partition, first),
                    Err(error) => failed = Some(error),
                }
            }
            (memory.len(), memory.positions())
        };
        metrics::gauge!(metric::OUTBOX_COPY_LAG).set(u32::try_from(left).map_or(f64::MAX, f64::from));
        if left > self.options.alarm_uncopied {
            tracing::error!(left, "receipts are not copied into their rows; retention must not reach them");
        }
        let moved: Vec<_> = after
            .into_iter()
            .filter(|position| !before.contains(position))
            .map(|(index, offset)| (Partition::new(topics::RECEIPTS, index), offset))
            .collect();
        if !moved.is_empty() {
            self.log.set_committed(COPIED_GROUP, &moved).await?;
        }
        failed.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Processor for Outbox {
    const NAME: &'static str = "dvss.outbox";
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        let at = record.coordinates();
        let row = RowRef::read(record).ok_or_else(|| Error::Broken(format!("{at} is not a reference to a row")))?;
        Ok(Input { row, at })
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        Ok(self.publish(input).await?)
    }

    async fn assigned(&self, partitions: &[Partition]) -> Result<(), Failure> {
        *self.memory.lock() = Memory::default();
        let copied = self.log.committed(COPIED_GROUP, topics::RECEIPTS).await.map_err(Error::from)?;
        for partition in partitions {
            let copied = copied.get(partition.index as usize).copied().flatten();
            let start = self.ends(partition.index).await?.start;
            self.recall(partition.index, copied.unwrap_or(start).max(start)).await?;
        }
        Ok(self.copy().await?)
    }

    fn receipts(&self, input: &Partition, placed: &[(Output, Coordinates)]) -> Vec<Record> {
        receipts::records(input.index, &listed(placed))
    }

    async fn committed(&self, placed: &[Placed]) -> Result<(), Failure> {
        {
            // Remembered before anything can fail or be cancelled: it is published, copied or not.
            let mut memory = self.memory.lock();
            for Placed { input, outputs, receipts } in placed {
                let offsets = || receipts.iter().map(|at| at.offset);
                if let (Some(first), Some(last)) = (offsets().min(), offsets().max()) {
                    memory.remember(input.index, first, Entry { next: next(last), receipts: listed(outputs) });
                }
            }
        }
        Ok(self.copy().await?)
    }
}

fn listed(placed: &[(Output, Coordinates)]) -> Vec<Receipt> {
    let receipt = |(output, at): &(Output, Coordinates)| {
        let Identity { row, revision } = serde_json::from_str(output.identity.as_deref()?).ok()?;
        let (topic, partition) = (at.partition.topic.to_string(), at.partition.index);
        Some(Receipt { row, revision, topic, partition, offset: at.offset })
    };
    placed.iter().filter_map(receipt).collect()
}
