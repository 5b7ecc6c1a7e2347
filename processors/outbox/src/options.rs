//! What an operator may set about the outbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of the outbox and of its sweeper. Times are written `250ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most receipts that are held because they are not copied into their rows yet; beyond, the stage
    /// waits for the tables.
    pub max_uncopied: usize,
    /// Age of an uncopied receipt at which an alarm is raised: retention of `dvss.receipts` must not
    /// reach it.
    #[serde(with = "runtime::duration")]
    pub alarm_age: Duration,
    /// Receipts that are copied at the same time.
    pub copy_concurrency: usize,
    /// How often the copies' position is committed, and how soon a copy that failed is tried again.
    #[serde(with = "runtime::duration")]
    pub copy_interval: Duration,
    /// How long a new owner waits at a time for open transactions on its receipts to end.
    #[serde(with = "runtime::duration")]
    pub settle_timeout: Duration,
    /// How often the sweeper looks for rows that were left pending.
    #[serde(with = "runtime::duration")]
    pub sweep_interval: Duration,
    /// Rows that are pending for a shorter time are on their way; the sweeper leaves them alone.
    #[serde(with = "runtime::duration")]
    pub sweep_min_age: Duration,
    /// Most rows that one sweep refers to.
    pub sweep_most: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_uncopied: 100_000,
            alarm_age: Duration::from_hours(1),
            copy_concurrency: 128,
            copy_interval: Duration::from_secs(1),
            settle_timeout: Duration::from_secs(5),
            sweep_interval: Duration::from_secs(30),
            sweep_min_age: Duration::from_mins(1),
            sweep_most: 10_000,
        }
    }
}
