//! The effects.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use ports::Ports;
use ports::log::{Coordinates, Partition, RawRecord, Record, next};
use ports::tables::get_one;
use runtime::{Failure, Output, Placed, Processor};
use serde::{Deserialize, Serialize};
use stores::outbox::{self, RowRef, Subject};
use stores::receipts::{self, Receipt};
use telemetry::{field, metric};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Options;
use crate::copier::Copier;
use crate::decide::{Entry, Memory, publishes};
use crate::error::Error;
use crate::recall::recall;

/// The outbox. Its receipts are copied by a task of its own, from its first assignment until it is
/// dropped. Should that task end, a defect, the outbox stops: nobody else would copy, nor say so.
pub struct Outbox {
    shared: Arc<Copier>,
    copying: OnceLock<JoinHandle<()>>,
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
    /// For the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
}

impl Outbox {
    /// An outbox on these ports.
    pub fn new(ports: &Ports, options: Options) -> Self {
        let shared = Copier {
            log: Arc::clone(&ports.log),
            tables: Arc::clone(&ports.tables),
            clock: Arc::clone(&ports.clock),
            options,
            memory: Mutex::default(),
            wake: Notify::new(),
        };
        Self { shared: Arc::new(shared), copying: OnceLock::new() }
    }

    /// How many receipts are not copied into their rows yet.
    pub fn uncopied(&self) -> usize {
        self.shared.memory.lock().len()
    }

    fn copies(&self) -> Result<(), Error> {
        match self.copying.get() {
            Some(copying) if copying.is_finished() => Err(Error::Copier),
            _ => Ok(()),
        }
    }

    async fn publish(&self, Input { row, at }: &Input) -> Result<Vec<Output>, Error> {
        self.copies()?;
        let broken = |problem: &str| Error::Broken(format!("{at} refers to {row:?}, {problem}"));
        // Memory before the row: a receipt leaves memory only once its coordinates are in the row, so
        // what is found in neither was published by nobody.
        let (listed, uncopied) = {
            let memory = self.shared.memory.lock();
            (memory.revisions(row), memory.len())
        };
        let table = row.table().ok_or_else(|| broken("which is in no table that dvss knows"))?;
        let item = get_one(&*self.shared.tables, table, row.key()).await?;
        let item = item.ok_or_else(|| broken("which is gone"))?;
        let state = outbox::read(&item).map_err(|damaged| broken(&format!("and {damaged}")))?;
        let state = state.ok_or_else(|| broken("which has nothing to publish"))?;
        let Some(publication) = publishes(state, &listed) else { return Ok(Vec::new()) };
        if uncopied >= self.shared.options.max_uncopied {
            return Err(Error::Later(format!("{uncopied} receipts wait to be copied into their rows")));
        }
        // Reading a row's subject costs something, so only where somebody listens.
        let subject = tracing::enabled!(tracing::Level::INFO).then(|| outbox::subject(row, &item));
        let identity = Identity { row: row.clone(), revision: publication.revision, subject };
        let identity = serde_json::to_string(&identity).map_err(|error| broken(&error.to_string()))?;
        let headers =
            outbox::public_headers(row, &item).map_err(|damaged| broken(&format!("and {damaged}")))?;
        let record = Record {
            topic: publication.topic.into(),
            partition: None,
            key: Some(Bytes::from(publication.key)),
            value: publication.value,
            headers,
        };
        Ok(vec![Output { record, identity: Some(identity) }])
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(copying) = self.copying.get() {
            copying.abort();
        }
    }
}

#[async_trait]
impl Processor for Outbox {
    const NAME: &'static str = "dvss.outbox";
    const PARKS_PANICS: bool = false;
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        let at = record.coordinates();
        let row =
            RowRef::read(record).ok_or_else(|| Error::Broken(format!("{at} is not a reference to a row")))?;
        Ok(Input { row, at })
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        Ok(self.publish(input).await?)
    }

    async fn assigned(&self, partitions: &[Partition]) -> Result<(), Failure> {
        let indexes: Vec<u32> = partitions.iter().map(|partition| partition.index).collect();
        let recalled = recall(&*self.shared.log, &self.shared.options, &indexes).await?;
        *self.shared.memory.lock() = Memory::of(recalled);
        self.copying.get_or_init(|| tokio::spawn(Arc::clone(&self.shared).run()));
        self.shared.wake.notify_one();
        Ok(())
    }

    fn receipts(&self, input: &Partition, placed: &[(Output, Coordinates)]) -> Vec<Record> {
        receipts::records(input.index, &listed(placed))
    }

    async fn committed(&self, placed: &[Placed]) -> Result<(), Failure> {
        let since = self.shared.clock.now();
        let mut memory = self.shared.memory.lock();
        for Placed { input, outputs, receipts } in placed {
            for (output, at) in outputs {
                told(output, at);
                metrics::counter!(metric::OUTBOX_PUBLISHED, "topic" => output.record.topic.to_string())
                    .increment(1);
            }
            let offsets = || receipts.iter().map(|at| at.offset);
            if let (Some(first), Some(last)) = (offsets().min(), offsets().max()) {
                let receipts = listed(outputs);
                memory.remember(input.index, Entry { first, next: next(last), since, receipts });
            }
        }
        self.shared.wake.notify_one();
        Ok(self.copies()?)
    }
}

/// Says which event's row is out, and where.
fn told(output: &Output, at: &Coordinates) {
    let Some(Identity { subject: Some(subject), .. }) = identity(output) else { return };
    tracing::info!(
        { field::STAGE } = Outbox::NAME,
        { field::INGEST_ID } = subject.ingest_id,
        { field::VENDOR_ID } = subject.vendor_id,
        { field::EXTERNAL_EVENT_ID } = subject.external_event_id,
        topic = &*at.partition.topic,
        partition = at.partition.index,
        offset = at.offset,
        "published"
    );
}

fn identity(output: &Output) -> Option<Identity> {
    serde_json::from_str(output.identity.as_deref()?).ok()
}

/// A receipt for every output: one without would be published once more by whoever comes next.
fn listed(placed: &[(Output, Coordinates)]) -> Vec<Receipt> {
    let receipt = |(output, at): &(Output, Coordinates)| {
        let Identity { row, revision, .. } =
            identity(output).expect("`publish` wrote the identity, and nobody else makes outputs here");
        let (topic, partition) = (at.partition.topic.to_string(), at.partition.index);
        Receipt { row, revision, topic, partition, offset: at.offset }
    };
    placed.iter().map(receipt).collect()
}
