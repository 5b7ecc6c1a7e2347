//! # contract: what every part of dvss must agree on
//!
//! Pure data and pure functions; no clock, no network, no randomness.
//!
//! | module | what it fixes |
//! |---|---|
//! | [`json`] | strict, exact JSON: duplicate keys refused, numbers kept as written |
//! | [`decimal`] | exact decimals, 28 digits, never a float |
//! | [`duration`] | durations as configuration writes them |
//! | [`time`] | RFC 3339 instants, nanosecond precision |
//! | [`ids`] | vendor, event and ingest ids; the derivation of an ingest id |
//! | [`fingerprint`] | RFC 8785 with exact numbers, SHA-256 |
//! | [`envelope`] | envelope v1: the body of `POST /v1/events` |
//! | [`cloudevents`] | CloudEvents 1.0, structured and binary |
//! | [`event`] | an accepted event: what travels on `dvss.raw` and `dvss.accepted` |
//! | [`canonical`] | canonical events and their data |
//! | [`entity`] | entity keys: what a fact is about |
//! | [`headers`], [`topics`], [`keys`] | names on the wire and in the stores |
//! | [`code`] | stable codes of every error that a person sees |

pub mod canonical;
pub mod cloudevents;
pub mod code;
pub mod decimal;
pub mod duration;
pub mod entity;
pub mod envelope;
pub mod event;
pub mod fingerprint;
pub mod headers;
pub mod ids;
pub mod json;
pub mod keys;
pub mod time;
pub mod topics;

pub use code::Code;
pub use decimal::Decimal;
pub use fingerprint::Fingerprint;
pub use ids::{EventType, ExternalEventId, IngestId, VendorId};
pub use json::Json;
pub use time::Timestamp;
