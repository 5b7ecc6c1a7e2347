//! `explain` answers in one shape, whatever became of the event.

mod support;

use contract::canonical::{Divergence, DivergenceKind};
use contract::event::Event;
use contract::{Fingerprint, IngestId, Timestamp, keys, topics};
use ports::blobs::{Condition, Metadata};
use ports::log::{Coordinates, Partition};
use serde_json::{Value, json};
use stores::{divergences, ingest, records};
use support::{World, event};

/// The same external id with another date, and so under an ingest id of its own.
fn redated(date: &str, payload: &[u8]) -> Event {
    let mut event = event();
    let draft = &mut event.draft;
    draft.occurred_at = Timestamp::parse(date).expect("time");
    draft.ingest_id = IngestId::derive(&draft.vendor_id, &draft.external_event_id, draft.occurred_at);
    draft.fingerprint = Fingerprint::of_bytes(payload);
    event.raw_ref.key = keys::raw(&draft.vendor_id, draft.occurred_at, draft.ingest_id);
    event
}

async fn explained(world: &World, event: &Event) -> Value {
    world.get(&format!("/events/{}", event.draft.ingest_id)).await
}

async fn park(world: &World, event: &Event) {
    let record = records::of_event(topics::RAW, "acme".into(), "{}".into(), event);
    let at = world.operator.ports.log.append(record).await.expect("a record");
    let (mut records, _) = world.operator.ports.log.read(&at.partition, at.offset, 1).await.expect("records");
    world.park_record(&records.remove(0)).await;
}

#[tokio::test]
async fn one_shape_whatever_became_of_it() {
    let world = World::new();
    let tables = &*world.operator.ports.tables;
    let winner = event();
    let source = Coordinates { partition: Partition::new(topics::RAW, 0), offset: 0 };
    ingest::claim(tables, &winner, &source).await.expect("claimed");
    let repeat = redated("2026-11-16T13:00:00Z", b"{}");
    ingest::alias(tables, &repeat, winner.draft.ingest_id).await.expect("noted");
    let other = redated("2026-11-16T14:00:00Z", b"other");
    ingest::conflict(tables, &other, winner.draft.ingest_id).await.expect("noted");
    let finding = Divergence {
        kind: DivergenceKind::Conflict,
        vendor_id: other.draft.vendor_id.clone(),
        ingest_id: other.draft.ingest_id,
        line: 0,
        leg: 0,
        revision: 1,
        entity: None,
        occurred_at: other.draft.occurred_at,
        message: "another payload has the id".to_owned(),
        ours: "{}".to_owned(),
        theirs: None,
    };
    let now = world.operator.ports.clock.now();
    divergences::record(tables, &world.operator.codec, finding, now).await.expect("recorded");
    let parked = redated("2026-11-16T15:00:00Z", b"{}");
    let headers = parked.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let put = world.operator.ports.raw.put(&parked.raw_ref.key, "{}".into(), headers, Condition::Absent);
    put.await.expect("an object");
    park(&world, &parked).await;
    // Nothing is beside the bytes of one, and the other one's are gone.
    let bare = redated("2026-11-16T16:00:00Z", b"{}");
    let put =
        world.operator.ports.raw.put(&bare.raw_ref.key, "{}".into(), Metadata::new(), Condition::Absent);
    put.await.expect("an object");
    park(&world, &bare).await;
    let gone = redated("2026-11-16T17:00:00Z", b"{}");
    park(&world, &gone).await;

    let shape = |shown: &Value| shown.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let expected = shape(&explained(&world, &winner).await);
    for name in ["vendorId", "externalEventId", "eventType", "raw", "quarantine", "divergence", "winner"] {
        assert!(expected.iter().any(|member| member == name), "{name} of {expected:?}");
    }
    for (event, status, is_told) in [
        (&winner, "ACCEPTED", true),
        (&repeat, "DUPLICATE", true),
        (&other, "CONFLICT", true),
        (&parked, "QUARANTINED", true),
        (&bare, "QUARANTINED", false),
        (&gone, "QUARANTINED", false),
    ] {
        let shown = explained(&world, event).await;
        assert_eq!(shape(&shown), expected, "{status}");
        assert_eq!([&shown["status"], &shown["vendorId"]], [&json!(status), &json!("acme")], "{shown}");
        assert_eq!(shown["ingestId"], json!(event.draft.ingest_id));
        assert_eq!(shown["raw"]["key"], json!(event.raw_ref.key), "{shown}");
        let told = json!([shown["externalEventId"], shown["eventType"]]);
        assert_eq!(told, if is_told { json!(["e1", "stock"]) } else { json!([null, null]) }, "{shown}");
        let quarantined = usize::from(status == "QUARANTINED");
        assert_eq!(shown["quarantine"].as_array().map(Vec::len), Some(quarantined), "{shown}");
        let found = if status == "CONFLICT" { json!("CONFLICT") } else { Value::Null };
        assert_eq!(shown["divergence"][0]["kind"], found, "{shown}");
    }
}
