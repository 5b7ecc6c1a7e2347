//! # telemetry: names of metrics and log fields, in one place
//!
//! Documentation writes metric names with dots; `/metrics` shows Prometheus's form of the same name,
//! dots as underscores (`dvss.ingest.accepted` is `dvss_ingest_accepted`). [`metric::ALL`] describes
//! each of them: kind, unit, labels, meaning.
//!
//! Labels have few values. A vendor id becomes a label only where the vendor is configured, an event
//! type only where a mapping names it: [`vendor_label`] and [`event_type_label`] are the guards, so that
//! nobody outside can grow the number of time series. Every other label is a constant of dvss: a stage,
//! a topic, an error code.
//!
//! ```
//! use telemetry::{label, metric, vendor_label};
//! metrics::counter!(metric::INGEST_ACCEPTED, label::VENDOR_ID => vendor_label(true, "acme")).increment(1);
//! ```
//!
//! Log fields have constant names too, so that one search finds an event in every role's log:
//!
//! ```
//! use telemetry::field;
//! tracing::info!({ field::INGEST_ID } = "01J0000000ABCDEFGHJKMNPQRS", { field::STAGE } = "dedup", "claimed");
//! ```
//!
//! Levels follow consequence: ERROR means that data are at risk or a person is needed, WARN that
//! something heals by itself but should not go on, INFO marks changes of state (start, assignment,
//! drain) and what each stage did with an event, DEBUG what it tried. Logs go to standard error; standard output is for data.

mod logs;
pub mod metric;
mod recorder;

pub use logs::{LogFormat, LogsError, init_logs};
pub use metrics::SharedString;
pub use recorder::{InstallError, Metrics, install_metrics};

/// Names of metric labels.
pub mod label {
    /// A configured vendor: only through [`crate::vendor_label`].
    pub const VENDOR_ID: &str = "vendorId";
    /// An event type that a mapping names: only through [`crate::event_type_label`].
    pub const EVENT_TYPE: &str = "eventType";
    /// A `contract::Code`.
    pub const REASON: &str = "reason";
    /// A stage's name (`Processor::NAME`), or `gateway`.
    pub const STAGE: &str = "stage";
    /// A public topic.
    pub const TOPIC: &str = "topic";
    /// A kind of divergence.
    pub const KIND: &str = "kind";
    /// How a transaction ended.
    pub const RESULT: &str = "result";
    /// What a client of Kafka is for: `consumer`, `producer`, `append`, `reader`, `admin`.
    pub const CLIENT: &str = "client";
    /// A service of AWS: `s3`, `dynamodb`.
    pub const SERVICE: &str = "service";
}

/// Names of log fields.
pub mod field {
    /// Our id of the event.
    pub const INGEST_ID: &str = "ingestId";
    /// Who said it.
    pub const VENDOR_ID: &str = "vendorId";
    /// The vendor's id of it.
    pub const EXTERNAL_EVENT_ID: &str = "externalEventId";
    /// The stage at work.
    pub const STAGE: &str = "stage";
}

/// Label value of every vendor that is not configured.
pub const UNKNOWN_VENDOR: &str = "unknown";
/// Label value of every event type that no mapping names.
pub const UNMAPPED_EVENT_TYPE: &str = "unmapped";

/// A vendor as a label: its id where it is `known` (configured), else [`UNKNOWN_VENDOR`].
pub fn vendor_label(known: bool, id: &str) -> SharedString {
    if known { SharedString::from_owned(id.to_owned()) } else { SharedString::const_str(UNKNOWN_VENDOR) }
}

/// An event type as a label: itself where a mapping names it, else [`UNMAPPED_EVENT_TYPE`].
pub fn event_type_label(mapped: bool, event_type: &str) -> SharedString {
    if mapped {
        SharedString::from_owned(event_type.to_owned())
    } else {
        SharedString::const_str(UNMAPPED_EVENT_TYPE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_vendors_and_mapped_types_make_labels() {
        assert_eq!(&*vendor_label(true, "acme"), "acme");
        assert_eq!(vendor_label(false, "a1"), vendor_label(false, "a2"));
        assert_eq!(&*event_type_label(true, "stock.report"), "stock.report");
        assert_eq!(event_type_label(false, "x"), event_type_label(false, "y"));
    }
}
