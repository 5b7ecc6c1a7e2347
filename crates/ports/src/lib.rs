//! # ports: what the pipeline needs from outside
//!
//! | port | Kafka, S3, DynamoDB | here |
//! |---|---|---|
//! | [`Log`] | Apache Kafka | partitions, groups, transactions |
//! | [`Blobs`] | one S3 bucket | conditional puts, verified reads, listings in pages |
//! | [`Tables`] | DynamoDB | conditions, transactions, key ranges, lagging indexes |
//! | [`Schemas`] | a schema registry | ids of Avro schemas |
//! | [`Clock`] | the machine's clock | now |
//!
//! Each in the smallest form that fits the servers and a simulator. What a port promises is written
//! on its methods; [`suite`] checks every implementation against the same sentences.
//! State in `Blobs` and `Tables` is right by conditions and identities alone; transactions of `Log`
//! add that topics hold no repeats for readers of committed records.

pub mod blobs;
pub mod clock;
pub mod log;
pub mod partition;
pub mod schemas;
#[cfg(feature = "suite")]
pub mod suite;
pub mod tables;

pub use blobs::Blobs;
pub use clock::Clock;
pub use log::Log;
pub use schemas::Schemas;
pub use tables::Tables;

use std::sync::Arc;

/// One implementation of every port, as the binary wires them and hands them to components.
#[derive(Clone)]
pub struct Ports {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The bucket of vendors' own bytes.
    pub raw: Arc<dyn Blobs>,
    /// The bucket of normalized objects.
    pub normalized: Arc<dyn Blobs>,
    /// The bucket of suppliers' documents, what was read in them, and plans.
    pub invoices: Arc<dyn Blobs>,
    /// The tables.
    pub tables: Arc<dyn Tables>,
    /// The schema registry.
    pub schemas: Arc<dyn Schemas>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
