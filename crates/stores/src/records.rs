//! Records of `dvss.raw` and `dvss.accepted`: the vendor's bytes and an event's headers.

use bytes::Bytes;
use contract::event::Event;
use contract::{Code, Fingerprint, Json, VendorId, fingerprint};
use ports::log::{RawRecord, Record};
use runtime::{Failure, Poison};

/// The record of an event. `key` is the vendor's ordering key, and so the partition's.
pub fn of_event(topic: &'static str, key: Bytes, bytes: Bytes, event: &Event) -> Record {
    let headers = event.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Record { topic: topic.into(), partition: None, key: Some(key), value: bytes, headers: headers.collect() }
}

/// The key of an event's record: events with equal keys stay in order. The vendor's id and, where its
/// ordering pointer finds a value in the document, a hash of that.
pub fn ordering_key(vendor: &VendorId, pointer: Option<&str>, document: &[u8]) -> Bytes {
    let value = pointer.and_then(|pointer| {
        // A document that is not JSON (binary mode) has no place to point at.
        let document = Json::parse(document).ok()?;
        document.at(pointer).map(fingerprint::canonical)
    });
    match value {
        None => Bytes::copy_from_slice(vendor.as_str().as_bytes()),
        Some(text) => {
            let hash = Fingerprint::of_bytes(text.as_bytes()).to_string();
            format!("{vendor}|{}", hash.get(..16).unwrap_or_default()).into()
        }
    }
}

/// Reads an event's headers; poison where they are not there.
pub fn event(record: &RawRecord) -> Result<Event, Failure> {
    Event::from_headers(|name| record.header(name)).map_err(|error| {
        Failure::Poison(Poison {
            code: Code::RecordInvalid,
            message: format!("{} is not a record of the gateway: {error}", record.coordinates()),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        })
    })
}
