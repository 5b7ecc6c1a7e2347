//! Object keys. The date is that of `occurredAt` in UTC, so that a retry finds the same key.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{EventType, Fingerprint, IngestId, Timestamp, VendorId};

/// Everything but RFC 3986's unreserved characters; `.` too, so that no part can be `..`.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Prefix of raw objects.
pub const RAW_PREFIX: &str = "raw/";
/// Prefix of the bytes of conflicting newcomers.
pub const CONFLICTS_PREFIX: &str = "conflicts/";
/// Prefix of normalized objects.
pub const NORMALIZED_PREFIX: &str = "normalized/";

/// `raw/<vendorId>/YYYY/MM/DD/<ingestId>.json`
pub fn raw(vendor: &VendorId, occurred_at: Timestamp, id: IngestId) -> String {
    format!("{RAW_PREFIX}{vendor}/{}/{id}.json", occurred_at.date_path())
}

/// `conflicts/<vendorId>/YYYY/MM/DD/<ingestId>/<fingerprint>.json`, the id being the newcomer's own.
pub fn conflict(vendor: &VendorId, occurred_at: Timestamp, id: IngestId, print: Fingerprint) -> String {
    format!("{CONFLICTS_PREFIX}{vendor}/{}/{id}/{print}.json", occurred_at.date_path())
}

/// `normalized/<eventType>/YYYY/MM/DD/<ingestId>.json`, the event type as sent, percent-encoded.
pub fn normalized(event_type: &EventType, occurred_at: Timestamp, id: IngestId) -> String {
    let event_type = utf8_percent_encode(event_type.as_str(), PART);
    format!("{NORMALIZED_PREFIX}{event_type}/{}/{id}.json", occurred_at.date_path())
}
