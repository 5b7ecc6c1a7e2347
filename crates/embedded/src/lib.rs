//! # embedded: every port in one process, with no server beside it
//!
//! What `dvss up` runs on, and the ground that simulation stands on.
//!
//! | port | here |
//! |---|---|
//! | [`ports::Log`] | [`log::EmbeddedLog`]: offsets with gaps, groups, transactions that hold the stable offset |
//! | [`ports::Blobs`] | [`blobs::EmbeddedBlobs`]: conditional puts, checksums verified at every read |
//! | [`ports::Tables`] | [`tables::EmbeddedTables`]: conditions, transactions, tokens, sparse indexes |
//! | [`ports::Schemas`] | [`schemas::EmbeddedSchemas`]: ids that stay |
//! | [`ports::Clock`] | [`clock::SystemClock`], [`clock::TokioClock`] |
//!
//! All stand on one [`Engine`]: one file (redb), one thread that writes, one fsync for all changes that
//! wait. What was answered is on the disk; a process that is killed at any moment leaves a store that
//! opens again at once; a full disk refuses writes and loses nothing. In memory there is no thread, and
//! time is tokio's, so that a run under a paused clock is the same every time.
//!
//! It behaves as the servers do where that matters to callers, so that what passes here passes there;
//! the suites in [`ports::suite`] hold both to the same sentences. It is one process's store: there is
//! no second broker, and no replica of the file.

pub mod blobs;
mod bounded;
pub mod clock;
pub mod engine;
mod error;
pub mod log;
mod options;
pub mod schemas;
pub mod tables;
mod writer;

use std::path::Path;
use std::sync::Arc;

use ports::tables::Table;
use ports::{Clock, Ports};

use blobs::EmbeddedBlobs;
pub use clock::{SystemClock, TokioClock};
pub use engine::{Durability, Engine};
pub use error::{OpenError, StoreError};
use log::{ApplyError, EmbeddedLog, TopicSpec};
pub use options::Options;
use schemas::EmbeddedSchemas;
use tables::EmbeddedTables;

/// The bucket of vendors' own bytes.
pub const RAW_BUCKET: &str = "dvss-raw";
/// The bucket of normalized objects.
pub const NORMALIZED_BUCKET: &str = "dvss-normalized";

/// The bucket of suppliers' documents, what was read in them, and plans.
pub const INVOICES_BUCKET: &str = "dvss-invoices";

/// What there is to be: the crates that own it say so, the binary hands it in.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The tables.
    pub tables: Vec<&'static Table>,
    /// Subjects, and the texts of their schemas.
    pub schemas: Vec<(String, String)>,
    /// Topics, and how many partitions they have.
    pub topics: Vec<(String, u32)>,
    /// Consumer groups, and the topics in which they get first offsets (0).
    pub groups: Vec<(String, Vec<String>)>,
}

/// Every port, on one store.
#[derive(Clone)]
pub struct Embedded {
    /// The log.
    pub log: EmbeddedLog,
    /// The bucket of vendors' own bytes.
    pub raw: EmbeddedBlobs,
    /// The bucket of normalized objects.
    pub normalized: EmbeddedBlobs,
    /// The bucket of suppliers' documents, what was read in them, and plans.
    pub invoices: EmbeddedBlobs,
    /// The tables.
    pub tables: Arc<EmbeddedTables>,
    /// The schema registry.
    pub schemas: Arc<EmbeddedSchemas>,
    clock: Arc<dyn Clock>,
}

impl Embedded {
    /// Opens the store in a directory, or makes it, with all of `parts`. Blocks the thread.
    pub fn open(
        dir: &Path,
        options: Options,
        parts: Parts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let log = options.log.clone();
        let engine = Engine::open(dir, options)?;
        Self::on(engine, log, parts, clock).map_err(|error| match error {
            Failure::Store(error) => OpenError::of(dir, &error),
            Failure::Topics(source) => OpenError::Topics { path: dir.to_owned(), source },
        })
    }

    /// A store in memory with all of `parts`, for tests and simulation.
    pub fn in_memory(options: Options, parts: Parts, clock: Arc<dyn Clock>) -> Result<Self, ApplyError> {
        Self::on(Engine::in_memory(), options.log, parts, clock).map_err(|error| match error {
            Failure::Store(error) => ApplyError::Log(ports::log::Error::Unavailable(error.to_string())),
            Failure::Topics(error) => error,
        })
    }

    fn on(
        engine: Engine,
        options: log::LogOptions,
        parts: Parts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let Parts { tables, schemas, topics, groups } = parts;
        let log = EmbeddedLog::new(engine.clone(), Arc::clone(&clock), options)?;
        let topics = topics.into_iter().map(|(name, partitions)| TopicSpec { name, partitions });
        log.apply_blocking(topics.collect(), groups).map_err(Failure::Topics)?;
        Ok(Self {
            log,
            raw: EmbeddedBlobs::new(engine.clone(), RAW_BUCKET),
            normalized: EmbeddedBlobs::new(engine.clone(), NORMALIZED_BUCKET),
            invoices: EmbeddedBlobs::new(engine.clone(), INVOICES_BUCKET),
            tables: Arc::new(EmbeddedTables::new(engine.clone(), &tables)?),
            schemas: Arc::new(EmbeddedSchemas::new(&engine, schemas)?),
            clock,
        })
    }

    /// All of it, as components take it.
    pub fn ports(&self) -> Ports {
        Ports {
            log: Arc::new(self.log.clone()),
            raw: Arc::new(self.raw.clone()),
            normalized: Arc::new(self.normalized.clone()),
            invoices: Arc::new(self.invoices.clone()),
            tables: Arc::clone(&self.tables) as Arc<dyn ports::Tables>,
            schemas: Arc::clone(&self.schemas) as Arc<dyn ports::Schemas>,
            clock: Arc::clone(&self.clock),
        }
    }
}

enum Failure {
    Store(StoreError),
    Topics(ApplyError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
