//! The API as a client meets it, on stores in memory.

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use contract::canonical::{Fact, Outcome};
use contract::{VendorId, keys, topics};
use ports::Tables;
use ports::log::{Coordinates, Partition};
use ports::tables::{Attr, Condition, Cursor, Edit, Error, Item, Key, Page, Query, Table, Write};
use serde_json::{Value, json};
use stores::effects::{self, Effect};
use stores::normalized::{self, Head, Line, Object};
use stores::outbox::RowRef;
use stores::receipts::{self, Receipt};
use stores::tables::{EFFECTS, QUARANTINE};
use stores::{ingest, vendors};
use support::{NOON, STAGE, World, event};

/// Tables that cannot be read from end to end.
struct NoScan(Arc<dyn Tables>);

#[async_trait]
impl Tables for NoScan {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        self.0.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        self.0.snapshot(rows).await
    }
    async fn write(&self, write: Write) -> Result<(), Error> {
        self.0.write(write).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        self.0.transact(token, writes).await
    }
    async fn query(&self, query: Query) -> Result<Page, Error> {
        self.0.query(query).await
    }
    async fn scan(&self, table: &'static Table, _: Option<Cursor>, _: usize) -> Result<Page, Error> {
        Err(Error::Unavailable(format!("{} is too large to be read", table.name)))
    }
}

#[tokio::test]
async fn web_pages_do_not_operate_dvss() {
    let world = World::new();
    let body = json!({ "vendorId": "acme" });
    let local = ("host", "127.0.0.1:8081");
    for headers in [
        &[local, ("origin", "https://evil.example")][..],
        &[local, ("sec-fetch-site", "cross-site")],
        &[("host", "evil.example:8081")],
        &[
            ("host", "evil.example:8081"),
            ("origin", "http://evil.example:8081"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[],
    ] {
        let (status, answer) = world.send("POST", "/vendors", headers, body.clone()).await;
        assert_eq!((status.as_u16(), &answer["code"]), (403, &json!("foreign-request")), "{headers:?}");
    }
    let (status, _) = world.send("GET", "/vendors", &[("host", "evil.example")], json!({})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "nor read it under a name of their own");
    assert_eq!(world.get("/vendors").await["vendors"], json!([]));
    let console = [local, ("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")];
    assert_eq!(world.send("POST", "/vendors", &console, body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn settings_change_one_by_one() {
    let world = World::new();
    let body = json!({ "vendorId": "acme", "platform": "shopify", "eventsPerSecond": 5 });
    assert_eq!(world.post("/vendors", body).await.0, StatusCode::OK);
    let (_, set) = world.post("/vendors/acme", json!({ "orderingPointer": "/payload/sku" })).await;
    assert_eq!(
        [&set["platform"], &set["orderingPointer"], &set["eventsPerSecond"]],
        [&json!("shopify"), &json!("/payload/sku"), &json!(5)]
    );
    let (_, set) = world.post("/vendors/acme", json!({ "platform": null, "eventsPerSecond": null })).await;
    assert_eq!((set.get("platform"), set.get("eventsPerSecond")), (None, None), "{set}");
    assert_eq!(set["orderingPointer"], "/payload/sku");
    for (path, body, status) in [
        ("/vendors/acme", json!({ "orderingPointer": "sku" }), 400),
        ("/vendors/acme", json!({ "quarantineBudget": 3 }), 400),
        ("/vendors/nobody", json!({}), 404),
    ] {
        assert_eq!(world.post(path, body.clone()).await.0.as_u16(), status, "{path} {body}");
    }
    let id = VendorId::parse("acme").expect("an id");
    let known = vendors::get(&*world.operator.ports.tables, &id).await.expect("tables").expect("a vendor");
    assert_eq!(known.settings.ordering_pointer.as_deref(), Some("/payload/sku"));
}

#[tokio::test]
async fn depth_is_known_without_reading_what_is_parked() {
    let mut world = World::new();
    for number in 0..3 {
        world.park(number).await;
    }
    world.operator.ports.tables = Arc::new(NoScan(Arc::clone(&world.operator.ports.tables)));
    assert_eq!(world.get("/status").await["counts"]["quarantined"], 3);
}

#[tokio::test]
async fn resume_goes_on_past_a_row_that_fails_and_names_it() {
    let world = World::new();
    for number in 0..3 {
        world.park(number).await;
    }
    let first = format!("01J0000000ABCDEFGHJK{:06}", 0);
    // Its bytes are nowhere.
    let write =
        Write::edit(&QUARANTINE, Key::sorted(STAGE, &first), vec![Edit::Remove("value")], Condition::Always);
    world.operator.ports.tables.write(write).await.expect("written");
    let (status, answer) = world.post("/vendors/acme/resume", json!({})).await;
    assert_eq!((status, answer["rows"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{answer}");
    let failed = &answer["failures"][0];
    assert_eq!(
        [&failed["stage"], &failed["identity"], &failed["code"]],
        [&json!(STAGE), &json!(first), &json!("not-found")]
    );
    assert_eq!([&answer["released"], &answer["failed"]], [&json!(2), &json!(1)]);
}

#[tokio::test]
async fn damage_is_a_defect_and_not_the_callers_mistake() {
    let world = World::new();
    world.park(0).await;
    let id = format!("01J0000000ABCDEFGHJK{:06}", 0);
    let edits = vec![Edit::Set("status", Attr::S("???".to_owned()))];
    let write = Write::edit(&QUARANTINE, Key::sorted(STAGE, &id), edits, Condition::Always);
    world.operator.ports.tables.write(write).await.expect("written");
    let (status, answer) =
        world.send("GET", &format!("/quarantine/{STAGE}/{id}"), &[("host", "localhost")], json!({})).await;
    assert_eq!((status.as_u16(), &answer["code"]), (500, &json!("internal")));
    assert!(!answer["detail"].to_string().contains("try again"), "{answer}");
}

#[tokio::test]
async fn pages_are_bounded_by_bytes_and_none_is_lost() {
    let world = World::new();
    for number in 0..12 {
        let value = json!({ "number": number, "much": "x".repeat(900_000) });
        world.append(topics::ACCEPTED, value.to_string().into()).await;
    }
    let (mut cursor, mut numbers, mut pages) = ("start".to_owned(), vec![], 0);
    loop {
        let page = world.get(&format!("/topics/{}/records?cursor={cursor}", topics::ACCEPTED)).await;
        assert!(page.to_string().len() < 6 * 1_024 * 1_024);
        pages += 1;
        numbers.extend(
            page["records"].as_array().expect("records").iter().map(|r| r["value"]["number"].clone()),
        );
        if page["atEnd"] == true {
            break;
        }
        cursor = page["next"].as_str().expect("a cursor").to_owned();
    }
    assert_eq!(numbers, (0..12).map(Value::from).collect::<Vec<_>>());
    assert!(pages >= 3, "{pages}");
}

#[tokio::test]
async fn a_public_record_that_cannot_be_decoded_is_shown_as_that() {
    let world = World::new();
    world.append(topics::INVENTORY_UPDATED, "not Avro".into()).await;
    world.append(topics::INVENTORY_UPDATED, "nor this".into()).await;
    let page = world.get(&format!("/topics/{}/records?cursor=start", topics::INVENTORY_UPDATED)).await;
    let records = page["records"].as_array().expect("records");
    assert_eq!(records.len(), 2, "what lies behind it is seen");
    assert!(records.iter().all(|record| record["value"]["undecodable"].is_string()), "{page}");
}

#[tokio::test]
async fn explain_says_published_when_the_books_do() {
    let world = World::new();
    let (ports, tables) = (&world.operator.ports, &*world.operator.ports.tables);
    let event = event();
    let draft = &event.draft;
    let source = Coordinates { partition: Partition::new(topics::RAW, 0), offset: 0 };
    ingest::claim(tables, &event, &source).await.expect("tables");
    let fact: Fact = serde_json::from_value(json!({
        "ingestId": draft.ingest_id, "line": 0, "leg": 0, "revision": 1, "vendorId": "acme", "externalEventId": "e1",
        "eventType": "InventoryUpdated", "data": { "sku": "A", "warehouseId": "w1", "quantityOnHand": "15" },
        "schemaVersion": "1.0", "occurredAt": NOON, "rawRef": event.raw_ref,
    }))
    .expect("a fact");
    let head = Head {
        activation: 1,
        mapping: "acme/stock/1".to_owned(),
        vendor_id: draft.vendor_id.clone(),
        ingest_id: draft.ingest_id,
        external_event_id: draft.external_event_id.clone(),
        traceparent: None,
    };
    let key = keys::normalized(&draft.event_type, draft.occurred_at, draft.ingest_id);
    let object = Object { head, lines: vec![Line::new(fact.clone())] };
    normalized::put(&world.store.normalized, &key, &object, None).await.expect("put");
    let entity = fact.entity_key().expect("a key");
    let effect = Effect { entity, fact, outcome: Outcome::Applied, findings: vec![], outbox: None };
    let line = serde_json::to_string(&effect.fact).expect("JSON");
    let (row, item) = effects::row(&effect, &line, "bytes".into(), ports.clock.now());
    tables.write(Write::put(&EFFECTS, row.clone(), item, Condition::Absent)).await.expect("written");

    let path = format!("/events/{}", draft.ingest_id);
    let settled = || {
        ingest::normalized(tables, &draft.vendor_id, &draft.external_event_id, draft.ingest_id, 1, 1, &key)
    };
    settled().await.expect("tables");
    let shown = world.get(&path).await;
    assert_eq!([&shown["status"], &shown["facts"][0]["published"]], [&json!("ACCEPTED"), &Value::Null]);
    // Out, and its receipt is not copied into the row yet: the books count it, and so does explain.
    let topic = topics::INVENTORY_UPDATED.to_owned();
    let receipt = Receipt { row: RowRef::new(&EFFECTS, &row), revision: 1, topic, partition: 0, offset: 7 };
    for record in receipts::records(0, &[receipt]) {
        ports.log.append(record).await.expect("a receipt");
    }
    let shown = world.get(&path).await;
    let at = json!({ "topic": topics::INVENTORY_UPDATED, "partition": 0, "offset": 7 });
    assert_eq!([&shown["status"], &shown["facts"][0]["published"]], [&json!("PUBLISHED"), &at]);
    // A newer mapping fails: an old object does not make it published.
    ingest::failed(tables, &draft.vendor_id, &draft.external_event_id, draft.ingest_id, 2)
        .await
        .expect("tables");
    assert_eq!(world.get(&path).await["status"], "ACCEPTED");
}
