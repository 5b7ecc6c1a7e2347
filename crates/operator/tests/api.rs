//! The API as a client meets it, on stores in memory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use contract::canonical::{Fact, Outcome, RawRef};
use contract::event::{Draft, Event, Mode};
use contract::{
    Code, EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, headers, keys, topics,
};
use embedded::{Embedded, Options, Parts, TokioClock};
use operator::{Host, Operator, StageHealth};
use ports::Tables;
use ports::log::{Coordinates, Offset, Partition, RawRecord, Record};
use ports::tables::{Attr, Condition, Cursor, Edit, Error, Item, Key, Page, Query, Table, Write};
use runtime::{Poison, Quarantine as _};
use serde_json::{Value, json};
use stores::effects::{self, Effect};
use stores::normalized::{self, Head, Line, Object};
use stores::outbox::RowRef;
use stores::quarantine::QuarantineStore;
use stores::receipts::{self, COPIED_GROUP, Receipt};
use stores::tables::{EFFECTS, QUARANTINE};
use stores::{ingest, vendors};
use tower::ServiceExt as _;

const STAGE: &str = "dvss.normalize";
const NOON: &str = "2026-11-16T12:00:00Z";

struct OneStage;

#[async_trait]
impl Host for OneStage {
    fn stages(&self) -> Vec<StageHealth> {
        vec![StageHealth {
            group: STAGE.to_owned(),
            topic: topics::ACCEPTED.to_owned(),
            live: true,
            ready: true,
        }]
    }
    fn metrics(&self) -> String {
        String::new()
    }
    async fn recompute(&self, _entity: &str) -> Result<(), String> {
        Err("nobody is here".to_owned())
    }
}

/// Tables that cannot be read from end to end.
struct NoScan(Arc<dyn Tables>);

#[async_trait]
impl Tables for NoScan {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        self.0.get(table, keys).await
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

struct World {
    operator: Operator,
    store: Embedded,
}

impl World {
    fn new() -> Self {
        let schemas = stores::codec::schemas();
        let topics = topics::INTERNAL.iter().chain(&topics::PUBLIC);
        let parts = Parts {
            tables: stores::tables::ALL.to_vec(),
            schemas: schemas.into_iter().map(|(subject, text)| (subject, text.to_owned())).collect(),
            topics: topics.map(|topic| ((*topic).to_owned(), 1)).collect(),
            groups: vec![
                (STAGE.to_owned(), vec![topics::ACCEPTED.to_owned()]),
                (COPIED_GROUP.to_owned(), vec![topics::RECEIPTS.to_owned()]),
            ],
        };
        let clock = Arc::new(TokioClock::new(Timestamp::parse(NOON).expect("time")));
        let store = Embedded::in_memory(Options::default(), parts, clock).expect("a store in memory");
        Self { operator: Operator::new(store.ports(), Arc::new(OneStage)), store }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let router = self.operator.clone().router(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let answer = router.oneshot(request).await.expect("an answer");
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, &[("host", "localhost:8081")], json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send("POST", path, &[("host", "127.0.0.1:8081")], body).await
    }

    async fn append(&self, topic: &str, value: Bytes) -> Coordinates {
        let record = Record { topic: topic.into(), partition: Some(0), key: None, value, headers: vec![] };
        self.operator.ports.log.append(record).await.expect("a record")
    }

    /// Adds a vendor's record to what normalize has parked.
    async fn park(&self, number: Offset) {
        let id = format!("01J0000000ABCDEFGHJK{number:06}");
        let pairs = [(headers::INGEST_ID, id.as_str()), (headers::VENDOR_ID, "acme")];
        let record = RawRecord {
            partition: Partition::new(topics::ACCEPTED, 0),
            offset: number,
            timestamp: 0,
            key: Some("acme".into()),
            value: "{}".into(),
            headers: pairs.map(|(name, value)| (name.to_owned(), value.to_owned().into())).into(),
        };
        let Operator { ports, codec, .. } = &self.operator;
        let store = QuarantineStore::new(ports.clone(), Arc::clone(codec), Default::default());
        let poison = Poison {
            code: Code::MappingMissing,
            message: "no".to_owned(),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        };
        store.park(STAGE, &record, &poison).await.expect("parked");
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
        ("/vendors/acme", json!({ "quarantineBudget": 3 }), 422),
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
    let failed = &answer["failed"][0];
    assert_eq!(
        [&failed["stage"], &failed["identity"], &failed["code"]],
        [&json!(STAGE), &json!(first), &json!("not-found")]
    );
    assert_eq!((answer["failed"].as_array().map(Vec::len), &answer["complete"]), (Some(1), &json!(false)));
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

fn event() -> Event {
    let vendor_id = VendorId::parse("acme").expect("id");
    let external_event_id = ExternalEventId::parse("e1").expect("id");
    let occurred_at = Timestamp::parse(NOON).expect("time");
    let ingest_id = IngestId::derive(&vendor_id, &external_event_id, occurred_at);
    let key = keys::raw(&vendor_id, occurred_at, ingest_id);
    Event {
        draft: Draft {
            ingest_id,
            vendor_id,
            external_event_id,
            event_type: EventType::parse("stock").expect("type"),
            occurred_at,
            fingerprint: Fingerprint::of_bytes(b"{}"),
            mode: Mode::Envelope,
            content_type: "application/json".to_owned(),
        },
        received_at: occurred_at,
        raw_ref: RawRef { bucket: "raw".to_owned(), key },
        sha256: Fingerprint::of_bytes(b"{}"),
        traceparent: None,
        conflict_with: None,
        release: 0,
    }
}
