//! Header names on `dvss.raw` and `dvss.accepted` (and as metadata of raw objects).

/// Our id of the event.
pub const INGEST_ID: &str = "dvss-ingest-id";
/// Who said it.
pub const VENDOR_ID: &str = "dvss-vendor-id";
/// The vendor's id of it.
pub const EXTERNAL_EVENT_ID: &str = "dvss-external-event-id";
/// The vendor's word for the kind of event.
pub const EVENT_TYPE: &str = "dvss-event-type";
/// When it happened, as the vendor says.
pub const OCCURRED_AT: &str = "dvss-occurred-at";
/// When the first gateway took it.
pub const RECEIVED_AT: &str = "dvss-received-at";
/// Bucket of the raw object.
pub const RAW_BUCKET: &str = "dvss-raw-bucket";
/// Key of the raw object.
pub const RAW_KEY: &str = "dvss-raw-key";
/// SHA-256 of the bytes.
pub const SHA256: &str = "dvss-sha256";
/// Fingerprint of the event.
pub const FINGERPRINT: &str = "dvss-fingerprint";
/// Media type of the bytes.
pub const CONTENT_TYPE: &str = "content-type";
/// How the bytes hold the payload: see [`crate::event::Mode`].
pub const MODE: &str = "dvss-mode";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// On a flagged record: the ingest id of the event that won.
pub const CONFLICT_WITH: &str = "dvss-conflict-with";
/// On a record re-produced from quarantine: which release this is.
pub const RELEASE: &str = "dvss-release";
