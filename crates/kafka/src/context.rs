//! What every client tells of itself: logs, errors, statistics.

use parking_lot::Mutex;
use ports::log::Error;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;
use telemetry::{label, metric};

/// A client's voice. `kind` is the label of its metrics: one of [`crate::context::kind`].
#[derive(Debug)]
pub struct Voice {
    kind: &'static str,
    last: Mutex<Totals>,
    /// Why the last connection failed, until one is of use again.
    trouble: Mutex<Option<String>>,
}

/// Kinds of clients: the values of the label `client`.
pub mod kind {
    /// A member of a group.
    pub const CONSUMER: &str = "consumer";
    /// A transactional producer.
    pub const PRODUCER: &str = "producer";
    /// The producer outside of transactions.
    pub const APPEND: &str = "append";
    /// A reader without a group.
    pub const READER: &str = "reader";
    /// Whatever asks for metadata and offsets.
    pub const ADMIN: &str = "admin";
}

/// Totals since the client began, as it last said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    sent: u64,
    received: u64,
    requests_timed_out: u64,
}

impl Voice {
    /// The voice of a client.
    pub fn new(kind: &'static str) -> Self {
        Self { kind, last: Mutex::default(), trouble: Mutex::default() }
    }

    /// A call succeeded: earlier trouble explains nothing any more.
    pub fn is_well(&self) {
        *self.trouble.lock() = None;
    }

    /// An error of a call that had no answer, with what is known of why.
    pub fn explained(&self, error: Error) -> Error {
        match (error, &*self.trouble.lock()) {
            (Error::Unavailable(message), Some(trouble)) => {
                Error::Unavailable(format!("{message}; {trouble}"))
            }
            (error, _) => error,
        }
    }

    /// Counts a rebalance.
    pub fn rebalanced(&self) {
        metrics::counter!(metric::KAFKA_REBALANCES, label::CLIENT => self.kind).increment(1);
    }

    fn tell(&self, statistics: &Statistics) {
        let now = statistics.totals();
        let before = std::mem::replace(&mut *self.last.lock(), now);
        for (name, now, before) in [
            (metric::KAFKA_SENT, now.sent, before.sent),
            (metric::KAFKA_RECEIVED, now.received, before.received),
            (metric::KAFKA_REQUESTS_TIMED_OUT, now.requests_timed_out, before.requests_timed_out),
        ] {
            metrics::counter!(name, label::CLIENT => self.kind).increment(now.saturating_sub(before));
        }
        metrics::gauge!(metric::KAFKA_QUEUED, label::CLIENT => self.kind).set(as_f64(statistics.queued));
        metrics::gauge!(metric::KAFKA_ROUND_TRIP_MS, label::CLIENT => self.kind)
            .set(as_f64(statistics.round_trip_us()) / 1_000.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; exact up to 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

/// What is used of librdkafka's statistics.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Statistics {
    #[serde(rename = "txmsgs")]
    sent: u64,
    #[serde(rename = "rxmsgs")]
    received: u64,
    #[serde(rename = "msg_cnt")]
    queued: u64,
    brokers: std::collections::HashMap<String, Broker>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Broker {
    #[serde(rename = "req_timeouts")]
    requests_timed_out: u64,
    rtt: Window,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Window {
    p99: u64,
}

impl Statistics {
    fn totals(&self) -> Totals {
        let requests_timed_out = self.brokers.values().map(|broker| broker.requests_timed_out).sum();
        Totals { sent: self.sent, received: self.received, requests_timed_out }
    }

    /// The slowest broker's 99th percentile.
    fn round_trip_us(&self) -> u64 {
        self.brokers.values().map(|broker| broker.rtt.p99).max().unwrap_or(0)
    }
}

impl ClientContext for Voice {
    fn log(&self, level: Level, facility: &str, message: &str) {
        let client = self.kind;
        match level {
            // librdkafka's idea of an error is a connection that was refused; what puts data at risk or
            // needs a person comes back from the call that failed.
            Level::Emerg | Level::Alert | Level::Critical | Level::Error | Level::Warning => {
                tracing::warn!(client, facility, "{message}");
            }
            Level::Notice | Level::Info => tracing::info!(client, facility, "{message}"),
            Level::Debug => tracing::debug!(client, facility, "{message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.tell(&statistics),
            Err(error) => tracing::debug!(client = self.kind, %error, "statistics that nobody can read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(error, KafkaError::Global(RDKafkaErrorCode::PartitionEOF)) {
            return; // readers ask to be told of it
        }
        metrics::counter!(metric::KAFKA_ERRORS, label::CLIENT => self.kind).increment(1);
        tracing::warn!(client = self.kind, %error, "{reason}");
        if !matches!(error, KafkaError::Global(RDKafkaErrorCode::AllBrokersDown)) {
            // Times and counts behind it differ each time, and nobody is told the same twice.
            *self.trouble.lock() = reason.split(" (after ").next().map(str::to_owned);
        }
    }
}

impl rdkafka::consumer::ConsumerContext for Voice {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_and_counted_once() {
        let text = r#"{"name":"x","txmsgs":5,"rxmsgs":7,"msg_cnt":3,"brokers":{
            "a":{"req_timeouts":1,"rtt":{"p99":2500,"min":1}},"b":{"req_timeouts":2,"rtt":{"p99":9000}},"c":{}}}"#;
        let statistics: Statistics = serde_json::from_str(text).expect("statistics");
        assert_eq!(statistics.totals(), Totals { sent: 5, received: 7, requests_timed_out: 3 });
        assert_eq!((statistics.queued, statistics.round_trip_us()), (3, 9_000));
        let voice = Voice::new(kind::APPEND);
        voice.stats_raw(text.as_bytes());
        assert_eq!(*voice.last.lock(), statistics.totals());
        voice.stats_raw(b"not JSON");
        assert_eq!(*voice.last.lock(), statistics.totals());
    }

    #[test]
    fn what_has_no_answer_is_explained() {
        let voice = Voice::new(kind::ADMIN);
        let unavailable = |text: &str| Error::Unavailable(text.to_owned());
        assert_eq!(voice.explained(unavailable("t: timed out")), unavailable("t: timed out"));
        let refused = "b:1/bootstrap: Connect to b:1 failed: Connection refused (after 0ms in state CONNECT)";
        voice.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), refused);
        voice.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        let why = unavailable("t: timed out; b:1/bootstrap: Connect to b:1 failed: Connection refused");
        assert_eq!(voice.explained(unavailable("t: timed out")), why);
        assert_eq!(voice.explained(Error::Full), Error::Full);
        voice.is_well();
        assert_eq!(voice.explained(unavailable("t: timed out")), unavailable("t: timed out"));
    }
}
