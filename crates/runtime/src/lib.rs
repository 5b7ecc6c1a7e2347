//! # runtime: the loop that every stage runs in
//!
//! Knows ports, not Kafka. One iteration:
//!
//! 1. poll a batch with the proof of who owns its partitions;
//! 2. handle its records, first in first out per key, others concurrently, under one deadline;
//! 3. take the *settled prefix* of every partition: records up to the first one that is not settled;
//! 4. commit the prefix's outputs and the next offsets in ONE transaction;
//! 5. rewind the rest: seek back, pause that partition with backoff, alarm.
//!
//! A record is settled when its outputs are known and its own writes are durable, or when it is
//! poison and quarantine has it durably. Transient failures never become poison. Whatever fails
//! uncommitted comes again, and [`Processor::handle`] answers it with the same bytes.

//!
//! A panic on a record is a defect; the record is tried a few times and then parked with the code
//! `internal`, so that one payload never stops what stands behind it (see [`Processor::PARKS_PANICS`]). Any
//! other panic may have left anything behind in memory: it is fatal, like whatever else going on after would
//! do harm. Dropping the loop's future is a crash.

mod batch;
mod error;
mod lag;
pub mod metrics;
mod options;
mod processor;
mod quarantine;
mod service;
mod settle;
mod status;
mod transaction;
mod turn;

pub use contract::duration;
pub use error::Fatal;
pub use lag::{Lag, lag};
pub use options::{Backoff, Options};
pub use processor::{Failure, Output, Placed, Poison, Processor};
pub use quarantine::Quarantine;
pub use service::Service;
pub use status::{Handle, Status};
