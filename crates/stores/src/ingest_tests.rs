use contract::event::Draft;

use super::*;

fn event(date: &str, payload: &str) -> Event {
    let vendor_id = VendorId::parse("acme").expect("id");
    let external_event_id = ExternalEventId::parse("shop#7").expect("id");
    let event_type = EventType::parse("stock").expect("type");
    let occurred_at = Timestamp::parse(date).expect("time");
    let ingest_id = IngestId::derive(&vendor_id, &external_event_id, occurred_at);
    let key = contract::keys::raw(&vendor_id, occurred_at, ingest_id);
    Event {
        draft: Draft {
            ingest_id,
            vendor_id,
            external_event_id,
            event_type,
            occurred_at,
            fingerprint: Fingerprint::of_bytes(payload.as_bytes()),
            mode: Mode::Envelope,
            content_type: "application/json".to_owned(),
        },
        received_at: Timestamp::parse("2026-11-22T12:00:00Z").expect("time"),
        raw_ref: RawRef { bucket: "raw".to_owned(), key },
        sha256: Fingerprint::of_bytes(payload.as_bytes()),
        traceparent: None,
        conflict_with: None,
        release: 0,
    }
}

fn at(offset: i64) -> Coordinates {
    Coordinates { partition: Partition::new("dvss.raw", 3), offset }
}

fn entry(event: &Event, source: Coordinates) -> Entry {
    let mut item = common_columns(event);
    for (name, value) in [("mode", "envelope"), ("contentType", "application/json"), ("status", "RECEIVED")] {
        item.insert(name.to_owned(), Attr::S(value.to_owned()));
    }
    item.insert("sourceTopic".to_owned(), Attr::S(source.partition.topic.to_string()));
    item.insert("sourcePartition".to_owned(), Attr::N(i64::from(source.partition.index)));
    item.insert("sourceOffset".to_owned(), Attr::N(source.offset));
    read_entry(&event_key(&event.draft.vendor_id, &event.draft.external_event_id), &item).expect("an entry")
}

const MONDAY: &str = "2026-11-16T10:00:00Z";
const TUESDAY: &str = "2026-11-17T10:00:00Z";

#[test]
fn what_a_taken_id_means() {
    let first = event(MONDAY, "a");
    let winner = || entry(&first, at(5));
    for (newcomer, source, expected) in [
        (event(MONDAY, "a"), at(5), Claim::Claimed),
        (event(MONDAY, "a"), at(6), Claim::Same),
        (event(TUESDAY, "a"), at(6), Claim::Duplicate { winner: winner() }),
        // Even at the winner's own coordinates: a recreated topic has other records there.
        (event(TUESDAY, "a"), at(5), Claim::Duplicate { winner: winner() }),
        (event(MONDAY, "b"), at(5), Claim::Conflict { winner: winner() }),
        (event(MONDAY, "b"), at(6), Claim::Conflict { winner: winner() }),
        (event(TUESDAY, "b"), at(6), Claim::Conflict { winner: winner() }),
    ] {
        assert_eq!(decide(&newcomer, &source, winner()), expected, "{newcomer:?} at {source:?}");
    }
}

#[test]
fn rows_without_an_attribute_are_named() {
    let key = Key::sorted("acme#e1", EVENT);
    let error = read_entry(&key, &Item::new()).expect_err("nothing there");
    assert!(error.to_string().contains("ingestId"), "{error}");
    let key = Key::sorted("no separator", EVENT);
    assert!(read(&Row { key, item: Item::new() }).is_err());
}

#[tokio::test(start_paused = true)]
async fn patience_with_an_index_that_lags() {
    let engine = embedded::Engine::in_memory();
    let tables = embedded::tables::EmbeddedTables::new(engine, &[&INGEST_INDEX]).expect("tables");
    let tables = embedded::tables::LaggingIndexes::new(std::sync::Arc::new(tables), 2);
    let event = event(MONDAY, "a");
    let id = event.draft.ingest_id;
    assert_eq!(claim(&tables, &event, &at(1)).await, Ok(Claim::Claimed));
    let alias_of = |at: &str| {
        let occurred_at = Timestamp::parse(at).expect("time");
        let mut alias = event.clone();
        alias.draft.ingest_id =
            IngestId::derive(&event.draft.vendor_id, &event.draft.external_event_id, occurred_at);
        alias
    };
    alias(&tables, &alias_of(TUESDAY), id).await.expect("noted");
    assert_eq!(by_ingest_id(&tables, id, Patience::NONE).await, Ok(None), "the index does not know yet");
    let patience = Patience { attempts: 10, pause: Duration::from_millis(50) };
    let started = tokio::time::Instant::now();
    let found = by_ingest_id(&tables, id, patience).await;
    assert!(matches!(found, Ok(Some(Found::Event(entry))) if entry.ingest_id == id));
    assert!(started.elapsed() < Duration::from_millis(500), "it stops as soon as it knows");
    let never = IngestId::derive(&event.draft.vendor_id, &event.draft.external_event_id, event.received_at);
    let started = tokio::time::Instant::now();
    assert_eq!(by_ingest_id(&tables, never, patience).await, Ok(None));
    assert_eq!(started.elapsed(), Duration::from_millis(450), "ten questions, nine pauses");
}

fn tables() -> embedded::tables::EmbeddedTables {
    let engine = embedded::Engine::in_memory();
    embedded::tables::EmbeddedTables::new(engine, &[&INGEST_INDEX]).expect("tables")
}

#[tokio::test]
async fn an_older_activation_settles_nothing() {
    let (tables, event) = (tables(), event(MONDAY, "a"));
    let Draft { vendor_id: vendor, external_event_id: external, ingest_id: id, .. } = &event.draft;
    claim(&tables, &event, &at(1)).await.expect("claimed");
    let normalized = async |activation, facts| {
        normalized(&tables, vendor, external, *id, activation, facts, "k").await.expect("tables")
    };
    let failed = async |activation| failed(&tables, vendor, external, *id, activation).await.expect("tables");
    let seen = async || {
        let entry = lookup(&tables, vendor, external).await.expect("tables").expect("claimed");
        (entry.status, entry.facts, entry.activation)
    };
    assert!(failed(5).await);
    assert_eq!(seen().await, (Status::FailedNormalize, None, Some(5)));
    assert!(normalized(6, 2).await && normalized(6, 2).await, "repeatable");
    assert!(!failed(5).await && !normalized(5, 9).await);
    assert_eq!(seen().await, (Status::Normalized, Some(2), Some(6)));
    assert!(failed(6).await, "the same activation changes its mind: its object was damaged");
    assert!(!normalized(5, 9).await);
    assert_eq!(seen().await, (Status::FailedNormalize, Some(2), Some(6)));
}

#[tokio::test]
async fn one_of_very_many_newcomers_is_found() {
    let (tables, winner) = (tables(), event(MONDAY, "a"));
    let Draft { vendor_id: vendor, external_event_id: external, ingest_id: id, .. } = &winner.draft;
    let mut newcomers = Vec::new();
    for number in 0..=MAX_LISTED {
        let occurred_at = format!("2026-11-17T10:{:02}:{:02}Z", number / 60, number % 60);
        let newcomer = event(&occurred_at, &number.to_string());
        alias(&tables, &newcomer, *id).await.expect("noted");
        conflict(&tables, &newcomer, *id).await.expect("noted");
        newcomers.push(newcomer.draft);
    }
    assert_eq!(repeats(&tables, vendor, external).await.expect("tables").len(), MAX_LISTED, "a listing ends");
    for draft in &newcomers {
        let alias = alias_of(&tables, vendor, external, draft.ingest_id).await.expect("tables");
        assert_eq!(alias.map(|found| found.fingerprint), Some(draft.fingerprint));
        let conflict = conflict_of(&tables, vendor, external, draft.fingerprint).await.expect("tables");
        assert_eq!(conflict.map(|found| found.ingest_id), Some(draft.ingest_id));
    }
    assert_eq!(alias_of(&tables, vendor, external, *id).await, Ok(None));
    assert_eq!(conflict_of(&tables, vendor, external, winner.draft.fingerprint).await, Ok(None));
}
