//! Metric names, and what each of them means.

use crate::label;

/// `dvss.ingest.accepted{vendorId}`
pub const INGEST_ACCEPTED: &str = "dvss.ingest.accepted";
/// `dvss.ingest.duplicate{vendorId}`
pub const INGEST_DUPLICATE: &str = "dvss.ingest.duplicate";
/// `dvss.ingest.conflict{vendorId}`
pub const INGEST_CONFLICT: &str = "dvss.ingest.conflict";
/// `dvss.ingest.failed_validation{vendorId,reason}`
pub const INGEST_FAILED_VALIDATION: &str = "dvss.ingest.failed_validation";
/// `dvss.normalize.success{vendorId,eventType}`
pub const NORMALIZE_SUCCESS: &str = "dvss.normalize.success";
/// `dvss.normalize.failed{vendorId,eventType,reason}`
pub const NORMALIZE_FAILED: &str = "dvss.normalize.failed";
/// `dvss.divergence.found{vendorId,kind}`
pub const DIVERGENCE_FOUND: &str = "dvss.divergence.found";
/// `dvss.pipeline.latency_ms{stage}`
pub const PIPELINE_LATENCY_MS: &str = "dvss.pipeline.latency_ms";
/// `dvss.pipeline.settled{stage}`
pub const PIPELINE_SETTLED: &str = "dvss.pipeline.settled";
/// `dvss.pipeline.retried{stage}`
pub const PIPELINE_RETRIED: &str = "dvss.pipeline.retried";
/// `dvss.pipeline.rewound{stage}`
pub const PIPELINE_REWOUND: &str = "dvss.pipeline.rewound";
/// `dvss.pipeline.batch_records{stage}`
pub const PIPELINE_BATCH_RECORDS: &str = "dvss.pipeline.batch_records";
/// `dvss.pipeline.outputs{stage}`
pub const PIPELINE_OUTPUTS: &str = "dvss.pipeline.outputs";
/// `dvss.pipeline.transactions{stage,result}`
pub const PIPELINE_TRANSACTIONS: &str = "dvss.pipeline.transactions";
/// `dvss.pipeline.lag{stage}`
pub const PIPELINE_LAG: &str = "dvss.pipeline.lag";
/// `dvss.quarantine.parked{stage,reason}`
pub const QUARANTINE_PARKED: &str = "dvss.quarantine.parked";
/// `dvss.quarantine.depth{stage}`
pub const QUARANTINE_DEPTH: &str = "dvss.quarantine.depth";
/// `dvss.outbox.published{topic}`
pub const OUTBOX_PUBLISHED: &str = "dvss.outbox.published";
/// `dvss.outbox.copy_lag`
pub const OUTBOX_COPY_LAG: &str = "dvss.outbox.copy_lag";
/// `dvss.kafka.sent{client}`
pub const KAFKA_SENT: &str = "dvss.kafka.sent";
/// `dvss.kafka.received{client}`
pub const KAFKA_RECEIVED: &str = "dvss.kafka.received";
/// `dvss.kafka.queued{client}`
pub const KAFKA_QUEUED: &str = "dvss.kafka.queued";
/// `dvss.kafka.round_trip_ms{client}`
pub const KAFKA_ROUND_TRIP_MS: &str = "dvss.kafka.round_trip_ms";
/// `dvss.kafka.requests_timed_out{client}`
pub const KAFKA_REQUESTS_TIMED_OUT: &str = "dvss.kafka.requests_timed_out";
/// `dvss.kafka.errors{client}`
pub const KAFKA_ERRORS: &str = "dvss.kafka.errors";
/// `dvss.kafka.rebalances{client}`
pub const KAFKA_REBALANCES: &str = "dvss.kafka.rebalances";
/// `dvss.invoices.read{result}`
pub const INVOICES_READ: &str = "dvss.invoices.read";
/// `dvss.aws.calls_limit{service}`
pub const AWS_CALLS_LIMIT: &str = "dvss.aws.calls_limit";

/// Upper bounds of the latency histogram's buckets, in milliseconds. Fixed, so that instances and
/// releases add up.
pub const LATENCY_BUCKETS_MS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0,
    60_000.0, 300_000.0,
];

/// Upper bounds of the buckets of batch sizes, in records.
pub const BATCH_BUCKETS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0];

/// What a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets of values.
    Histogram,
}

/// A metric's description, as `/metrics` and the reference show it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name with dots.
    pub name: &'static str,
    /// What it counts.
    pub kind: Kind,
    /// Its labels, exactly these.
    pub labels: &'static [&'static str],
    /// One sentence; gives the unit.
    pub help: &'static str,
}

impl Metric {
    const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind, labels, help }
    }

    /// The name on `/metrics`.
    pub fn prometheus_name(&self) -> String {
        self.name.replace('.', "_")
    }
}

/// Every metric.
pub const ALL: [Metric; 28] = {
    use Kind::{Counter, Gauge, Histogram};
    [
        Metric::new(
            INGEST_ACCEPTED,
            Counter,
            &[label::VENDOR_ID],
            "Events accepted: durable in S3 and Kafka.",
        ),
        Metric::new(INGEST_DUPLICATE, Counter, &[label::VENDOR_ID], "Repeats of accepted events."),
        Metric::new(INGEST_CONFLICT, Counter, &[label::VENDOR_ID], "Known event ids with another payload."),
        Metric::new(
            INGEST_FAILED_VALIDATION,
            Counter,
            &[label::VENDOR_ID, label::REASON],
            "Events refused, by error code.",
        ),
        Metric::new(
            NORMALIZE_SUCCESS,
            Counter,
            &[label::VENDOR_ID, label::EVENT_TYPE],
            "Events whose normalized object is written.",
        ),
        Metric::new(
            NORMALIZE_FAILED,
            Counter,
            &[label::VENDOR_ID, label::EVENT_TYPE, label::REASON],
            "Events that went to quarantine in normalize, by error code.",
        ),
        Metric::new(
            DIVERGENCE_FOUND,
            Counter,
            &[label::VENDOR_ID, label::KIND],
            "Divergences written, by kind.",
        ),
        Metric::new(
            PIPELINE_LATENCY_MS,
            Histogram,
            &[label::STAGE],
            "Milliseconds of work on an event: at the gateway from its body to the answer, else from poll to commit.",
        ),
        Metric::new(PIPELINE_SETTLED, Counter, &[label::STAGE], "Records settled and committed."),
        Metric::new(
            PIPELINE_BATCH_RECORDS,
            Histogram,
            &[label::STAGE],
            "Records of the batches that were polled.",
        ),
        Metric::new(
            PIPELINE_OUTPUTS,
            Counter,
            &[label::STAGE],
            "Records produced in transactions that were committed.",
        ),
        Metric::new(
            PIPELINE_TRANSACTIONS,
            Counter,
            &[label::STAGE, label::RESULT],
            "Transactions, by result: committed, aborted, unknown.",
        ),
        Metric::new(PIPELINE_RETRIED, Counter, &[label::STAGE], "Attempts that failed and were made again."),
        Metric::new(
            PIPELINE_REWOUND,
            Counter,
            &[label::STAGE],
            "Rewinds of a partition to an unsettled record.",
        ),
        Metric::new(
            PIPELINE_LAG,
            Gauge,
            &[label::STAGE],
            "Data records below the last stable offset that the stage has not committed.",
        ),
        Metric::new(
            QUARANTINE_PARKED,
            Counter,
            &[label::STAGE, label::REASON],
            "Records put to quarantine, by error code.",
        ),
        Metric::new(QUARANTINE_DEPTH, Gauge, &[label::STAGE], "Open rows in quarantine."),
        Metric::new(OUTBOX_PUBLISHED, Counter, &[label::TOPIC], "Records committed to public topics."),
        Metric::new(
            OUTBOX_COPY_LAG,
            Gauge,
            &[],
            "Receipt records whose coordinates are not yet in the rows.",
        ),
        Metric::new(KAFKA_SENT, Counter, &[label::CLIENT], "Records that Kafka's clients sent."),
        Metric::new(KAFKA_RECEIVED, Counter, &[label::CLIENT], "Records that Kafka's clients fetched."),
        Metric::new(
            KAFKA_QUEUED,
            Gauge,
            &[label::CLIENT],
            "Records that wait in a client of Kafka for the broker's report.",
        ),
        Metric::new(
            KAFKA_ROUND_TRIP_MS,
            Gauge,
            &[label::CLIENT],
            "Milliseconds of a request to the slowest broker, 99th percentile.",
        ),
        Metric::new(
            KAFKA_REQUESTS_TIMED_OUT,
            Counter,
            &[label::CLIENT],
            "Requests that no broker answered in time.",
        ),
        Metric::new(
            KAFKA_ERRORS,
            Counter,
            &[label::CLIENT],
            "Errors that Kafka's clients reported: brokers away, credentials refused.",
        ),
        Metric::new(KAFKA_REBALANCES, Counter, &[label::CLIENT], "Assignments that groups gave to members."),
        Metric::new(
            INVOICES_READ,
            Counter,
            &[label::RESULT],
            "Attempts at reading a document: `read`, or why it was not.",
        ),
        Metric::new(
            AWS_CALLS_LIMIT,
            Gauge,
            &[label::SERVICE],
            "Calls that may be under way at once: shrinks while the service is slow, grows when more than half are used.",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_also_as_prometheus_writes_them() {
        let mut names: Vec<String> = ALL.iter().map(Metric::prometheus_name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            let fine = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.starts_with("dvss_") && name.bytes().all(fine), "{name}");
        }
        assert!(LATENCY_BUCKETS_MS.is_sorted() && BATCH_BUCKETS.is_sorted());
    }
}
