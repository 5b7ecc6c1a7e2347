//! # kafka: the log on Apache Kafka, and the schema registry
//!
//! The only owner of librdkafka and of the registry's client. [`KafkaLog`] is the port
//! [`ports::Log`], [`Registry`] the port [`ports::Schemas`]; [`Admin`] changes topics for
//! `dvss topics apply`.
//!
//! What librdkafka does not do by itself is done here:
//!
//! - Its calls block, so every member and every transactional producer has a thread of its own.
//! - Ownership changes only in a poll: eager range assignment, and an assignment is taken over when the
//!   committed offsets are known and lie inside of the log. The group's metadata is taken with the
//!   assignment, so a commit of a batch that was polled before a rebalance is refused.
//! - Static members are kept for their session when they close; leaving unsubscribes first.
//! - A record that the client refuses locally leaves its transaction as it was; here it dooms it.
//! - Partitions are chosen by `ports::partition`, as Java's clients choose them.
//! - Properties that these promises stand on are not the operator's to set ([`Options::properties`]).

mod admin;
mod append;
mod cluster;
mod config;
mod consumer;
mod context;
mod error;
pub mod floor;
mod groups;
mod log;
mod options;
mod prefixed;
mod producer;
mod read;
mod record;
mod schemas;

pub use admin::{Admin, AdminError, Creation, Setting, Topic};
pub use log::{KafkaLog, OpenError};
pub use options::{Mechanism, Options, Properties, RegistryOptions, Sasl, Secret, Security, Tls};
pub use prefixed::Prefixed;
pub use schemas::{Registry, RegistryOpenError};
