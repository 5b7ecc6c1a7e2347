//! What an operator may set about the gateway.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
pub use stores::vendors::Rate;

/// Limits of the gateway. Times are written `250ms`, `5s`, `2m`; sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most bytes of one event, decoded.
    pub max_body_bytes: usize,
    /// Most bytes of one batch, decoded.
    pub max_batch_bytes: usize,
    /// Most items of one batch.
    pub max_batch_items: usize,
    /// Items of one batch that are worked on at the same time.
    pub batch_concurrency: usize,
    /// How far ahead of our clock `occurredAt` may lie.
    #[serde(with = "runtime::duration")]
    pub max_clock_skew: Duration,

    /// How fast a vendor may send that has no rate of its own.
    pub default_rate: Rate,
    /// Requests that are worked on at the same time, all vendors together. A batch counts as many
    /// times as its size limit holds an event's, so that times `maxBodyBytes` this is the most memory
    /// that bodies take.
    pub max_in_flight: u32,
    /// The same, of one vendor.
    pub max_in_flight_per_vendor: u32,
    /// What `Retry-After` says with a 503.
    #[serde(with = "runtime::duration")]
    pub retry_after: Duration,
    /// How long a vendor's row is remembered: so long may a revoked key and a disabled vendor still
    /// pass. A new key works at once.
    #[serde(with = "runtime::duration")]
    pub vendor_cache: Duration,

    /// Most open connections; beyond it the one that idles longest is closed for a new one.
    pub max_connections: usize,
    /// Most bytes of a request's head.
    pub max_header_bytes: usize,
    /// Longest time for a request's head, from its first byte on (watched in steps of this, so that
    /// a connection may last twice as long).
    #[serde(with = "runtime::duration")]
    pub header_timeout: Duration,
    /// Longest time for a request's body.
    #[serde(with = "runtime::duration")]
    pub body_timeout: Duration,
    /// Longest time that a connection idles between requests.
    #[serde(with = "runtime::duration")]
    pub idle_timeout: Duration,
    /// Longest time that requests are given to finish when the process stops.
    #[serde(with = "runtime::duration")]
    pub drain_timeout: Duration,

    /// Longest time that one call to a store takes.
    #[serde(with = "runtime::duration")]
    pub store_timeout: Duration,
    /// Longest wait for the log's report.
    #[serde(with = "runtime::duration")]
    pub append_timeout: Duration,
    /// Longest time that a batch is worked on; items that are not settled then are refused as
    /// `unavailable`.
    #[serde(with = "runtime::duration")]
    pub batch_timeout: Duration,
    /// How often the Kafka door looks which topics vendors write to.
    #[serde(with = "runtime::duration")]
    pub inbound_look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let rate = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            max_body_bytes: 256 * 1_024,
            max_batch_bytes: 4 * 1_024 * 1_024,
            max_batch_items: 1_000,
            batch_concurrency: 32,
            max_clock_skew: Duration::from_mins(10),
            default_rate: Rate { events_per_second: rate(10_000), burst: rate(20_000) },
            max_in_flight: 1_024,
            max_in_flight_per_vendor: 256,
            retry_after: Duration::from_secs(1),
            vendor_cache: Duration::from_secs(2),
            max_connections: 4_096,
            max_header_bytes: 16 * 1_024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(20),
            store_timeout: Duration::from_secs(3),
            append_timeout: Duration::from_secs(5),
            batch_timeout: Duration::from_secs(20),
            inbound_look: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// How many requests a batch counts for.
    pub(crate) fn batch_weight(&self) -> u32 {
        let weight = self.max_batch_bytes.div_ceil(self.max_body_bytes.max(1));
        u32::try_from(weight).unwrap_or(u32::MAX).clamp(1, self.max_in_flight_per_vendor.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_strict_and_partial() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        let some = read(r#"{"maxBodyBytes":1000,"bodyTimeout":"2s"}"#).expect("options");
        assert_eq!((some.max_body_bytes, some.body_timeout), (1_000, Duration::from_secs(2)));
        assert_eq!(some.max_batch_items, Options::default().max_batch_items);
        for bad in [
            r#"{"maxBodyByte":1}"#,
            r#"{"bodyTimeout":2}"#,
            r#"{"defaultRate":{"eventsPerSecond":0,"burst":1}}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(Options::default().batch_weight(), 16);
    }
}
