//! What a stage is, to the loop.

use async_trait::async_trait;
use contract::{Code, IngestId, VendorId};
use ports::log::{Coordinates, First, Partition, RawRecord, Record};

/// A stage of the pipeline. Only `decode` and `handle` are a must; the outbox overrides the rest.
#[async_trait]
pub trait Processor: Send + Sync {
    /// Group id, metric label, span name.
    const NAME: &'static str;
    /// Whether a record on which the stage panics goes to quarantine. Not where the stage keeps something
    /// in memory that its stores do not have: nobody knows what a panic left of it, so it is fatal there.
    const PARKS_PANICS: bool = true;
    /// Where the group begins in a partition of which it never committed an offset.
    const FIRST: First = First::Committed;
    /// A decoded record.
    type Input: Send + Sync;

    /// Reads a record; pure.
    fn decode(&self, record: &RawRecord) -> Result<Self::Input, Failure>;

    /// Does the stage's work. Ok only when its own writes are durable; the same record again gives
    /// the same outgoing bytes.
    async fn handle(&self, input: &Self::Input) -> Result<Vec<Output>, Failure>;

    /// The whole assignment changed; runs before any record of it is handled.
    async fn assigned(&self, _partitions: &[Partition]) -> Result<(), Failure> {
        Ok(())
    }

    /// Records that belong into the same transaction as `placed`: the outputs of one input
    /// partition, in order, with the coordinates that the log gave them.
    fn receipts(&self, _input: &Partition, _placed: &[(Output, Coordinates)]) -> Vec<Record> {
        Vec::new()
    }

    /// The transaction is committed: `placed` as for [`Processor::receipts`], followed by where the
    /// receipts were put. A failure costs nothing but time: the work must be repeatable.
    async fn committed(&self, _placed: &[Placed]) -> Result<(), Failure> {
        Ok(())
    }
}

/// What one transaction placed for one input partition.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The input partition.
    pub input: Partition,
    /// The outputs and where they are.
    pub outputs: Vec<(Output, Coordinates)>,
    /// Where the receipts are.
    pub receipts: Vec<Coordinates>,
}

/// A record to be produced in the batch's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The record.
    pub record: Record,
    /// Outputs with an equal identity are produced once a batch (the first of them), in however many
    /// transactions it is committed.
    pub identity: Option<String>,
}

impl From<Record> for Output {
    fn from(record: Record) -> Self {
        Self { record, identity: None }
    }
}

/// Why a record was not settled by its stage.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// It may work later: the record is tried again, and then rewound to; it never becomes poison.
    #[error("transient: {0}")]
    Transient(String),
    /// Its turn has not come: it is not tried again in this batch, and its partition is rewound to it.
    #[error("later: {0}")]
    Later(String),
    /// It will never work; the record goes to quarantine.
    #[error("poison: {0}")]
    Poison(Poison),
    /// Going on would do harm: the process stops, uncommitted.
    #[error("fatal ({code}): {message}")]
    Fatal {
        /// Stable code.
        code: Code,
        /// What happened and what to do.
        message: String,
    },
}

/// Why a record is poison.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Poison {
    /// Stable code.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
    /// RFC 6901 pointer into the vendor's document, where one place is to blame.
    pub pointer: Option<String>,
    /// Whose record it is, where that is known.
    pub vendor_id: Option<VendorId>,
    /// The event, where it is known.
    pub ingest_id: Option<IngestId>,
}
