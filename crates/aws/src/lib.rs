//! # aws: S3 and DynamoDB behind the ports
//!
//! | type | port |
//! |---|---|
//! | [`Bucket`] | [`ports::Blobs`], one bucket |
//! | [`DynamoTables`] | [`ports::Tables`] |
//! | [`Together`] | [`ports::Tables`] over any other: reads that are asked for at once become one |
//! | [`BucketAdmin`], [`TableAdmin`] | what must be there before: planned, shown, made; never deleted |
//!
//! **Attempts.** The SDK's own retries are off; there is one rule, in `retry`. Whatever the service says that
//! it has not done (slow down, another transaction holds the row) is tried again with jittered, doubling
//! pauses until the call's time is over. Where the service may have done it (no answer, an error of its own),
//! only what is harmless to do twice is tried again: reads, and transactions by their token. A put or a
//! single write then is `Unavailable` at once, and the caller recognises its own work as the ports ask it to.
//!
//! **How many at once.** Calls wait here before a service gets more than it answers in time; the rule is in `limit`.
//! Such a wait counts as the call's time, and takes two thirds of it at most.
//!
//! **Clocks.** Requests are signed with the time, and the services refuse what is more than some minutes off.
//! The SDK learns the difference from the answer's `Date` and signs the next request with it, so a clock that
//! is off costs one refused request a client, which is repeated here. Presigned requests are not corrected:
//! with a clock that is behind, they expire early by as much. Where an answer has no `Date`, calls stay
//! `Denied`, and the message is the service's own (`RequestTimeTooSkewed`, `Signature expired`).

mod connect;
mod fault;
mod limit;
mod options;
mod retry;
mod s3;
mod tables;
mod together;

#[cfg(test)]
mod tests;

pub use connect::Aws;
pub use options::{Credentials, DynamoOptions, Options, S3Options};
pub use s3::Bucket;
pub use s3::admin::{BucketAdmin, BucketPlan, BucketStep};
pub use tables::DynamoTables;
pub use tables::admin::{TableAdmin, TablePlan, TableStep};
pub use together::Together;
