//! What the loop measures. Labels: the stage, and nothing that a vendor chooses.

use std::time::Duration;

use contract::Code;
use metrics::{counter, gauge, histogram};
use telemetry::metric;

pub(crate) fn polled(stage: &'static str, records: usize) {
    histogram!(metric::PIPELINE_BATCH_RECORDS, "stage" => stage).record(count(records));
}

/// The latency is the loop's own part of it: from the poll that returned the records to the commit.
pub(crate) fn committed(stage: &'static str, records: usize, outputs: usize, since_poll: Duration) {
    counter!(metric::PIPELINE_TRANSACTIONS, "stage" => stage, "result" => "committed").increment(1);
    counter!(metric::PIPELINE_SETTLED, "stage" => stage).increment(records as u64);
    counter!(metric::PIPELINE_OUTPUTS, "stage" => stage).increment(outputs as u64);
    histogram!(metric::PIPELINE_LATENCY_MS, "stage" => stage)
        .record_many(since_poll.as_secs_f64() * 1_000.0, records);
}

pub(crate) fn uncommitted(stage: &'static str, result: &'static str) {
    counter!(metric::PIPELINE_TRANSACTIONS, "stage" => stage, "result" => result).increment(1);
}

pub(crate) fn rewound(stage: &'static str) {
    counter!(metric::PIPELINE_REWOUND, "stage" => stage).increment(1);
}

pub(crate) fn retried(stage: &'static str) {
    counter!(metric::PIPELINE_RETRIED, "stage" => stage).increment(1);
}

pub(crate) fn parked(stage: &'static str, code: Code) {
    counter!(metric::QUARANTINE_PARKED, "stage" => stage, "reason" => code.as_str()).increment(1);
}

pub(crate) fn lag(stage: &'static str, records: u64) {
    gauge!(metric::PIPELINE_LAG, "stage" => stage).set(count(usize::try_from(records).unwrap_or(usize::MAX)));
}

#[expect(clippy::cast_precision_loss, reason = "metrics are doubles, and counts stay far below 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}
