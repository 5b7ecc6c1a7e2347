//! Records of `dvss.raw` and `dvss.accepted`: the vendor's bytes and an event's headers.

use bytes::Bytes;
use contract::Code;
use contract::event::Event;
use ports::log::{RawRecord, Record};
use runtime::{Failure, Poison};

/// The record of an event. `key` is the vendor's ordering key, and so the partition's.
pub fn of_event(topic: &'static str, key: Bytes, bytes: Bytes, event: &Event) -> Record {
    let headers = event.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value.into()));
    Record { topic: topic.into(), partition: None, key: Some(key), value: bytes, headers: headers.collect() }
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
