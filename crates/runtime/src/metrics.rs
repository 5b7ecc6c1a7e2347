//! What the loop measures. Labels: the stage, and nothing that a vendor chooses.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Histogram: milliseconds from the poll that returned a record to the commit that settled it.
pub const LATENCY: &str = "dvss.pipeline.latency_ms";
/// Histogram: records of a batch.
pub const BATCH: &str = "dvss.pipeline.batch_records";
/// Counter: records settled and committed.
pub const RECORDS: &str = "dvss.pipeline.records";
/// Counter: records produced in transactions that were committed.
pub const OUTPUTS: &str = "dvss.pipeline.outputs";
/// Counter: transactions by `result` (`committed`, `aborted`, `unknown`).
pub const TRANSACTIONS: &str = "dvss.pipeline.transactions";
/// Counter: partitions that were rewound because something failed.
pub const REWINDS: &str = "dvss.pipeline.rewinds";
/// Counter: attempts that failed and may succeed later.
pub const RETRIES: &str = "dvss.pipeline.retries";
/// Counter: records that were parked.
pub const QUARANTINED: &str = "dvss.pipeline.quarantined";
/// Gauge: data records between the committed offsets and the last stable ones.
pub const LAG: &str = "dvss.pipeline.lag";

pub(crate) fn polled(stage: &'static str, records: usize) {
    histogram!(BATCH, "stage" => stage).record(count(records));
}

pub(crate) fn committed(stage: &'static str, records: usize, outputs: usize, since_poll: Duration) {
    counter!(TRANSACTIONS, "stage" => stage, "result" => "committed").increment(1);
    counter!(RECORDS, "stage" => stage).increment(records as u64);
    counter!(OUTPUTS, "stage" => stage).increment(outputs as u64);
    histogram!(LATENCY, "stage" => stage).record_many(since_poll.as_secs_f64() * 1_000.0, records);
}

pub(crate) fn uncommitted(stage: &'static str, result: &'static str) {
    counter!(TRANSACTIONS, "stage" => stage, "result" => result).increment(1);
}

pub(crate) fn rewound(stage: &'static str) {
    counter!(REWINDS, "stage" => stage).increment(1);
}

pub(crate) fn retried(stage: &'static str) {
    counter!(RETRIES, "stage" => stage).increment(1);
}

pub(crate) fn quarantined(stage: &'static str) {
    counter!(QUARANTINED, "stage" => stage).increment(1);
}

pub(crate) fn lag(stage: &'static str, records: u64) {
    gauge!(LAG, "stage" => stage).set(count(usize::try_from(records).unwrap_or(usize::MAX)));
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles, and counts stay far below 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}
