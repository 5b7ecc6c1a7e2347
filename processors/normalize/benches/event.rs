//! What normalize costs without its stores, step by step: `cargo bench -p normalize`.
//!
//! Events hold 1 item (70 %), 3 (25 %) or 20 (5 %), a fact each, as those of `dvss bench hop`. Figures are
//! microseconds per event of the wall, on a thread that does nothing else, with the system's allocator; the least
//! of several rounds.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Json, Timestamp, VendorId, keys};
use mapping::{EventContext, Mapped, Mapping};
use normalize::decide::{Decision, decide};
use normalize::{Options, facts};
use stores::normalized::{Head, Line, Object};
use tokio::time::Instant;

const EVENTS: usize = 1_000;
const ROUNDS: u32 = 20;

fn body(number: usize) -> String {
    let items = match number * 37 % 100 {
        0..70 => 1,
        70..95 => 3,
        _ => 20,
    };
    let item = |item: usize| {
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
    let items: Vec<String> = (0..items).map(item).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

fn event(number: usize) -> (Event, Bytes) {
    let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
    let vendor_id = VendorId::parse("bench").expect("an id");
    let external_event_id = ExternalEventId::parse(format!("evt-{number:09}")).expect("an id");
    let event_type = EventType::parse("InventoryUpdated").expect("a type");
    let payload = body(number);
    let bytes = Bytes::from(format!(
        r#"{{"externalEventId":"{external_event_id}","eventType":"{event_type}","occurredAt":"{now}","payload":{payload}}}"#
    ));
    let ingest_id = IngestId::derive(&vendor_id, &external_event_id, now);
    let raw_ref = RawRef { bucket: "raw".to_owned(), key: keys::raw(&vendor_id, now, ingest_id) };
    let payload = Json::parse(payload.as_bytes()).expect("JSON");
    let draft = Draft {
        ingest_id,
        vendor_id,
        external_event_id,
        fingerprint: Fingerprint::of_json(&event_type, &payload),
        event_type,
        occurred_at: now,
        mode: Mode::Envelope,
        content_type: "application/json".to_owned(),
    };
    let sha256 = Fingerprint::of_bytes(&bytes);
    let (traceparent, conflict_with) = (None, None);
    (Event { draft, received_at: now, raw_ref, sha256, traceparent, conflict_with, release: 0 }, bytes)
}

/// Prints what `step` takes per event, and returns what it made of each.
fn timed<I, O>(name: &str, inputs: &[I], step: impl Fn(&I) -> O) -> Vec<O> {
    let mut least = Duration::MAX;
    let mut outputs = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        outputs = inputs.iter().map(|input| black_box(step(black_box(input)))).collect();
        least = least.min(begun.elapsed());
    }
    let micros = least.as_secs_f64() * 1e6 / f64::from(u32::try_from(inputs.len()).unwrap_or(u32::MAX));
    println!("{name:<34} {micros:>7.2}");
    outputs
}

fn main() {
    let (_, text) = mapping::shipped()
        .into_iter()
        .find(|(path, _)| *path == "dvss/inventory-updated.yaml")
        .expect("the shipped mapping");
    let mapping = Mapping::parse(text).expect("it compiles");
    let options = Options::default();
    println!("{:<34} {:>7}", "step", "µs");
    let events: Vec<(Event, Bytes)> = (0..EVENTS).map(event).collect();
    let pairs: Vec<_> = events.iter().map(|(event, _)| event.to_headers()).collect();
    timed("headers", &pairs, |pairs| {
        Event::from_headers(|name| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        })
    });
    timed("SHA-256 of the bytes", &events, |(_, bytes)| Fingerprint::of_bytes(bytes));
    let payloads = timed("JSON", &events, |(event, bytes)| event.draft.mode.payload(bytes).expect("JSON"));
    let with_payload: Vec<(&Event, Json)> = events.iter().map(|(event, _)| event).zip(payloads).collect();
    let mapped = timed("mapping", &with_payload, |(event, payload)| {
        let draft = &event.draft;
        let context = EventContext {
            vendor_id: draft.vendor_id.clone(),
            external_event_id: draft.external_event_id.clone(),
            event_type: draft.event_type.clone(),
            occurred_at: draft.occurred_at,
        };
        mapping.apply(payload, &context).expect("facts")
    });
    let with_mapped: Vec<(&(&Event, Json), Mapped)> = with_payload.iter().zip(mapped).collect();
    let facts = timed("facts, checked (and a copy)", &with_mapped, |((event, payload), mapped)| {
        facts::facts(event, payload, mapped.clone(), &options).expect("within bounds")
    });
    let with_facts: Vec<_> = with_payload.iter().map(|(event, _)| *event).zip(facts).collect();
    let lines = timed("decision (and a copy)", &with_facts, |(_, facts)| {
        match decide(None, 1, facts.clone()).expect("short keys") {
            Decision::Create(lines) => lines,
            other => panic!("{other:?}"),
        }
    });
    let head = |event: &Event| Head {
        activation: 1,
        mapping: "dvss/InventoryUpdated/1".to_owned(),
        vendor_id: event.draft.vendor_id.clone(),
        ingest_id: event.draft.ingest_id,
        external_event_id: event.draft.external_event_id.clone(),
        traceparent: None,
    };
    let with_lines: Vec<(&Event, Vec<Line>)> =
        with_facts.iter().map(|(event, _)| *event).zip(lines).collect();
    timed("object and records (and a copy)", &with_lines, |(event, lines)| {
        Object { head: head(event), lines: lines.clone() }.outputs().expect("short keys")
    });
}
