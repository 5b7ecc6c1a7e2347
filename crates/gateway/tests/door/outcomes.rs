//! Accepted, duplicate, conflict: what is answered and what is kept.

use contract::event::Event;
use contract::{ExternalEventId, Fingerprint, IngestId, VendorId, keys};
use ports::log::{Coordinates, Partition, RawRecord};
use serde_json::json;
use stores::ingest;
use stores::vendors::Settings;

use crate::support::{Running, envelope, envelope_at};

fn event(record: &RawRecord) -> Event {
    Event::from_headers(|name| record.header(name)).expect("an event's headers")
}

fn ids() -> (VendorId, ExternalEventId) {
    (VendorId::parse("acme").expect("id"), ExternalEventId::parse("e1").expect("id"))
}

/// What dedup does with a record.
async fn claim(gateway: &Running, record: &RawRecord) {
    let source = Coordinates { partition: record.partition.clone(), offset: record.offset };
    ingest::claim(&*gateway.ports.tables, &event(record), &source).await.expect("claimed");
}

#[tokio::test]
async fn accepted_is_durable_and_complete() {
    let gateway = Running::start().await;
    let body = envelope("e1", r#"{"sku": "A",   "qty": 1.50}"#);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = gateway.request("/v1/events", &gateway.key).header("content-type", "application/json");
    let answer = gateway.send(request.header("traceparent", trace).body(body.clone())).await;
    assert_eq!((answer.status, answer.word()), (202, "ACCEPTED"));
    assert_eq!(answer.json.as_object().expect("an object").len(), 3);

    let [record] = &gateway.records().await[..] else { panic!("one record") };
    assert_eq!(record.value, body.as_bytes());
    assert_eq!(record.key.as_deref(), Some(&b"acme"[..]));
    let event = event(record);
    assert_eq!(event.draft.ingest_id.to_string(), answer.text("ingestId"));
    assert_eq!(event.received_at.to_string(), answer.text("receivedAt"));
    assert_eq!(event.traceparent.as_deref(), Some(trace));
    assert_eq!(event.sha256, Fingerprint::of_bytes(body.as_bytes()));
    assert_eq!(event.raw_ref.bucket, "raw-bucket");
    assert_eq!(
        event.raw_ref.key,
        keys::raw(&event.draft.vendor_id, event.draft.occurred_at, event.draft.ingest_id)
    );

    let object = gateway.ports.raw.get(&event.raw_ref.key).await.expect("an object");
    assert_eq!(object.bytes, body.as_bytes());
    let headers = |record: &RawRecord| {
        record
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8(value.to_vec()).expect("text")))
            .collect()
    };
    assert_eq!(object.metadata, headers(record), "the metadata are the record's headers");
}

#[tokio::test]
async fn a_retry_before_dedup_came_by() {
    let gateway = Running::start().await;
    let first = gateway.post(envelope("e1", r#"{"a":1,"b":2}"#)).await;
    // Written otherwise, the same said.
    let retry = gateway.post(envelope("e1", r#"{ "b": 2.0, "a": 1 }"#)).await;
    assert_eq!((retry.status, retry.word()), (200, "DUPLICATE"));
    assert_eq!(retry.text("ingestId"), first.text("ingestId"));
    assert_eq!(retry.text("receivedAt"), first.text("receivedAt"));
    let [one, two] = &gateway.records().await[..] else { panic!("the first one is produced again") };
    assert_eq!((&one.value, &one.headers, &one.key), (&two.value, &two.headers, &two.key), "as it is stored");
    assert_eq!(gateway.objects().await.len(), 1);
}

#[tokio::test]
async fn a_redated_retry_after_dedup_came_by() {
    let gateway = Running::start().await;
    let first = gateway.post(envelope("e1", "{}")).await;
    claim(&gateway, &gateway.records().await[0]).await;
    let retry = gateway.post(envelope_at("e1", "2026-11-20T00:00:00Z", "{}")).await;
    assert_eq!((retry.status, retry.word()), (200, "DUPLICATE"));
    assert_eq!(retry.text("ingestId"), first.text("ingestId"), "the original id");
    assert_eq!(retry.text("receivedAt"), first.text("receivedAt"));
    assert_eq!(gateway.kept().await, (1, 1), "nothing new");
}

#[tokio::test]
async fn the_same_id_with_another_payload() {
    let gateway = Running::start().await;
    let first = gateway.post(envelope("e1", r#"{"qty":1}"#)).await;
    let newcomer = envelope("e1", r#"{"qty":2}"#);
    let redated = envelope_at("e1", "2026-11-20T00:00:00Z", r#"{"qty":3}"#);
    for (round, body) in [(1, &newcomer), (2, &newcomer)] {
        let answer = gateway.post(body.clone()).await;
        assert_eq!((answer.status, answer.word()), (409, "conflict"), "round {round}");
        assert_eq!(answer.text("ingestId"), first.text("ingestId"), "the first one's");
    }
    claim(&gateway, &gateway.records().await[0]).await;
    let answer = gateway.post(redated.clone()).await;
    assert_eq!(
        (answer.status, answer.text("ingestId")),
        (409, first.text("ingestId")),
        "known from the index"
    );

    let objects = gateway.objects().await;
    assert_eq!(objects.iter().filter(|key| key.starts_with("conflicts/acme/")).count(), 2, "{objects:?}");
    assert_eq!(objects.iter().filter(|key| key.starts_with("raw/acme/")).count(), 1, "{objects:?}");
    let records = gateway.records().await;
    let flagged: Vec<_> = records.iter().filter(|record| event(record).conflict_with.is_some()).collect();
    let bodies: Vec<_> = flagged.iter().map(|record| record.value.as_ref()).collect();
    assert_eq!(bodies, [newcomer.as_bytes(), newcomer.as_bytes(), redated.as_bytes()]);
    assert_eq!(flagged[0].headers, flagged[1].headers, "a repeated conflict says the same");
    for record in flagged {
        let event = event(record);
        assert_eq!(event.conflict_with.map(|id| id.to_string()).as_deref(), Some(first.text("ingestId")));
        let object = gateway.ports.raw.get(&event.raw_ref.key).await.expect("the newcomer's bytes");
        assert_eq!(object.bytes, record.value);
    }
    let unflagged: Vec<_> = records.iter().filter(|record| event(record).conflict_with.is_none()).collect();
    assert_eq!(unflagged.len(), 3, "each meeting at the raw object produces the first one again");
    assert!(unflagged.iter().all(|record| record.value == unflagged[0].value));
}

#[tokio::test]
async fn many_at_once_are_one() {
    let gateway = Running::start().await;
    let answers = futures::future::join_all((0..50).map(|_| gateway.post(envelope("e1", "{}")))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    assert_eq!((accepted, answers.iter().filter(|answer| answer.status == 200).count()), (1, 49));
    assert!(answers.iter().all(|answer| answer.text("ingestId") == answers[0].text("ingestId")));
    assert!(answers.iter().all(|answer| answer.text("receivedAt") == answers[0].text("receivedAt")));
    assert_eq!(gateway.objects().await.len(), 1);
}

#[tokio::test]
async fn ordering_keys_spread_a_vendor() {
    let gateway = Running::start().await;
    let settings = Settings { ordering_pointer: Some("/payload/sku".to_owned()), ..Settings::default() };
    let large = gateway.vendor("large", settings).await;
    for (id, payload) in
        [("1", r#"{"sku":"A"}"#), ("2", r#"{"sku":"B"}"#), ("3", r#"{"sku":"A","x":1}"#), ("4", "{}")]
    {
        let request = gateway.request("/v1/events", &large).header("content-type", "application/json");
        assert_eq!(gateway.send(request.body(envelope(id, payload))).await.status, 202);
    }
    let records = gateway.records().await;
    let key = |id: &str| {
        let record = records.iter().find(|record| record.header("dvss-external-event-id") == Some(id));
        String::from_utf8(record.and_then(|record| record.key.clone()).expect("a key").to_vec())
            .expect("text")
    };
    assert_eq!(key("1"), key("3"));
    assert_ne!(key("1"), key("2"));
    assert!(key("1").starts_with("large|") && key("1").len() == "large|".len() + 16);
    assert_eq!(key("4"), "large");
}

#[tokio::test]
async fn what_became_of_an_event() {
    let gateway = Running::start().await;
    let (vendor, external) = ids();
    let tables = &*gateway.ports.tables;
    let unknown = IngestId::derive(&vendor, &external, gateway.ports.clock.now()).to_string();
    assert_eq!(gateway.get(&unknown, &gateway.key).await.word(), "not-found");

    let first = gateway.post(envelope("e1", "{}")).await;
    let id = first.text("ingestId").to_owned();
    let status = gateway.get(&id, &gateway.key).await;
    assert_eq!(status.status, 200);
    assert_eq!((status.word(), status.text("receivedAt")), ("ACCEPTED", first.text("receivedAt")));
    assert_eq!((status.text("externalEventId"), status.text("eventType")), ("e1", "stock"));
    let record = gateway.records().await.remove(0);
    claim(&gateway, &record).await;
    assert_eq!(gateway.get(&id, &gateway.key).await.json, status.json, "the index says the same");

    let ingest_id = IngestId::parse(&id).expect("id");
    assert!(ingest::failed(tables, &vendor, &external, ingest_id, 1).await.expect("set"));
    assert_eq!(gateway.get(&id, &gateway.key).await.word(), "QUARANTINED");
    assert!(
        ingest::normalized(tables, &vendor, &external, ingest_id, 1, 3, "normalized/x").await.expect("set")
    );
    let normalized = gateway.get(&id, &gateway.key).await;
    assert_eq!((normalized.word(), &normalized.json["facts"]), ("NORMALIZED", &json!(3)));
    let entry = ingest::lookup(tables, &vendor, &external).await.expect("read").expect("there");
    assert_eq!((entry.facts, entry.normalized_key.as_deref()), (Some(3), Some("normalized/x")));
    assert_eq!(entry.schema_version.as_deref(), Some(contract::canonical::SCHEMA_VERSION));
    assert!(
        !ingest::failed(tables, &vendor, &external, IngestId::parse(&unknown).expect("id"), 1)
            .await
            .expect("not its")
    );

    let mut redated = event(&record);
    redated.draft.occurred_at = gateway.ports.clock.now();
    redated.draft.ingest_id = IngestId::derive(&vendor, &external, redated.draft.occurred_at);
    ingest::alias(tables, &redated, ingest_id).await.expect("noted");
    ingest::alias(tables, &redated, ingest_id).await.expect("noted again");
    let alias = gateway.get(&redated.draft.ingest_id.to_string(), &gateway.key).await;
    assert_eq!((alias.word(), alias.text("duplicateOf")), ("DUPLICATE", &*id));
    let repeats = ingest::repeats(tables, &vendor, &external).await.expect("read");
    assert_eq!(repeats.iter().map(|repeat| repeat.ingest_id).collect::<Vec<_>>(), [redated.draft.ingest_id]);

    let mut other = redated.clone();
    other.draft.occurred_at = contract::Timestamp::parse("2026-11-01T00:00:00Z").expect("time");
    other.draft.ingest_id = IngestId::derive(&vendor, &external, other.draft.occurred_at);
    other.draft.fingerprint = Fingerprint::of_bytes(b"other");
    ingest::conflict(tables, &other, ingest_id).await.expect("noted");
    let conflict = gateway.get(&other.draft.ingest_id.to_string(), &gateway.key).await;
    assert_eq!((conflict.word(), conflict.text("conflictWith")), ("CONFLICT", &*id));
    let conflicts = ingest::conflicts(tables, &vendor, &external).await.expect("read");
    assert_eq!(conflicts.iter().map(|newcomer| newcomer.winner).collect::<Vec<_>>(), [ingest_id]);
    // A newcomer with the winner's date has the winner's id, which goes on to mean the winner.
    other.draft.ingest_id = ingest_id;
    other.draft.fingerprint = Fingerprint::of_bytes(b"another");
    ingest::conflict(tables, &other, ingest_id).await.expect("noted");
    assert_eq!(gateway.get(&id, &gateway.key).await.word(), "NORMALIZED");
}

#[tokio::test]
async fn claims_recognise_their_own_row() {
    let gateway = Running::start().await;
    gateway.post(envelope("e1", "{}")).await;
    let record = gateway.records().await.remove(0);
    let event = event(&record);
    let at = |offset| Coordinates { partition: Partition::new("dvss.raw", 0), offset };
    let tables = &*gateway.ports.tables;
    let claim = |event: Event, source: Coordinates| async move {
        ingest::claim(tables, &event, &source).await.expect("an answer")
    };
    assert_eq!(claim(event.clone(), at(1)).await, ingest::Claim::Claimed);
    assert_eq!(
        claim(event.clone(), at(1)).await,
        ingest::Claim::Claimed,
        "asked again after an unanswered call"
    );
    assert_eq!(claim(event.clone(), at(2)).await, ingest::Claim::Same);
    let mut redated = event.clone();
    redated.draft.ingest_id =
        IngestId::derive(&event.draft.vendor_id, &event.draft.external_event_id, event.received_at);
    assert!(
        matches!(claim(redated, at(3)).await, ingest::Claim::Duplicate { winner } if winner.source == at(1))
    );
    let mut other = event;
    other.draft.fingerprint = Fingerprint::of_bytes(b"other");
    assert!(
        matches!(claim(other, at(4)).await, ingest::Claim::Conflict { winner } if winner.source == at(1))
    );
}
