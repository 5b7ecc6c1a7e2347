//! What one event of a benchmark says: 1 item (70 %), 3 (25 %) or 20 (5 %), a fact each.

use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Json, Timestamp, VendorId, keys};

/// How many items the event of this number has.
fn items(number: u64) -> u64 {
    match number * 37 % 100 {
        0..70 => 1,
        70..95 => 3,
        _ => 20,
    }
}

fn body(number: u64) -> String {
    let item = |item: u64| {
        let mixed = number * 31 + item * 7;
        format!(
            r#"{{"sku":"SKU-{:06}","warehouseId":"W{}","quantityOnHand":"{}","quantityAvailable":{},"quantityReserved":{}}}"#,
            mixed % 10_000,
            mixed % 12,
            mixed % 500,
            mixed % 450,
            mixed % 50
        )
    };
    let items: Vec<String> = (0..items(number)).map(item).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

/// The event of this number, as the gateway would have accepted it at `now`, and its bytes.
pub fn event(number: u64, now: Timestamp) -> anyhow::Result<(Event, Bytes)> {
    let vendor_id = VendorId::parse("bench")?;
    let external_event_id = ExternalEventId::parse(format!("evt-{number:09}"))?;
    let event_type = EventType::parse("InventoryUpdated")?;
    let payload = body(number);
    let bytes = Bytes::from(format!(
        r#"{{"externalEventId":"{external_event_id}","eventType":"{event_type}","occurredAt":"{now}","payload":{payload}}}"#
    ));
    let payload = Json::parse(payload.as_bytes()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let ingest_id = IngestId::derive(&vendor_id, &external_event_id, now);
    let raw_ref = RawRef { bucket: "raw".to_owned(), key: keys::raw(&vendor_id, now, ingest_id) };
    let fingerprint = Fingerprint::of_json(&event_type, &payload);
    let draft = Draft {
        ingest_id,
        vendor_id,
        external_event_id,
        event_type,
        occurred_at: now,
        fingerprint,
        mode: Mode::Envelope,
        content_type: "application/json".to_owned(),
    };
    let sha256 = Fingerprint::of_bytes(&bytes);
    let (traceparent, conflict_with) = (None, None);
    Ok((Event { draft, received_at: now, raw_ref, sha256, traceparent, conflict_with, release: 0 }, bytes))
}

/// The mapping of such events.
pub fn mapping() -> anyhow::Result<mapping::Mapping> {
    let shipped = mapping::shipped();
    let found = shipped.iter().find(|(path, _)| *path == "dvss/inventory-updated.yaml");
    let (_, text) = found.ok_or_else(|| anyhow::anyhow!("the mapping does not come with dvss"))?;
    mapping::Mapping::parse(text).map_err(|error| anyhow::anyhow!("{error}"))
}
