//! What an operator may set about the outbox.

use std::time::Duration;

use serde::Deserialize;

/// Bounds of the outbox and of its sweeper. Times are written `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most receipts that are held because they are not copied into their rows yet; beyond, the stage
    /// waits for the tables.
    pub max_uncopied: usize,
    /// Uncopied receipts at which an alarm is raised: retention of `dvss.receipts` must not reach them.
    pub alarm_uncopied: usize,
    /// Receipts that are copied at the same time.
    pub copy_concurrency: usize,
    /// How long a new owner waits for open transactions on its receipts to end.
    #[serde(with = "runtime::duration")]
    pub settle_timeout: Duration,
    /// How often the sweeper looks for rows that were left pending.
    #[serde(with = "runtime::duration")]
    pub sweep_interval: Duration,
    /// Rows that are pending for a shorter time are on their way; the sweeper leaves them alone.
    #[serde(with = "runtime::duration")]
    pub sweep_min_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_uncopied: 100_000,
            alarm_uncopied: 20_000,
            copy_concurrency: 128,
            settle_timeout: Duration::from_secs(15),
            sweep_interval: Duration::from_secs(30),
            sweep_min_age: Duration::from_mins(1),
        }
    }
}
