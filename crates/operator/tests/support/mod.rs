//! The API on stores in memory, as its tests share it.

#![allow(dead_code, reason = "each test target uses a part of it")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{
    Code, EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, headers, keys, topics,
};
use embedded::{Embedded, Options, Parts, TokioClock};
use operator::problem::Problem;
use operator::{Host, Operator, StageHealth};
use ports::log::{Coordinates, Offset, Partition, RawRecord, Record};
use runtime::{Failure, Poison, Quarantine as _};
use serde_json::{Value, json};
use stores::quarantine::QuarantineStore;
use stores::receipts::COPIED_GROUP;
use tower::ServiceExt as _;

/// The one stage.
pub const STAGE: &str = "dvss.normalize";
/// A time in the past of nobody.
pub const NOON: &str = "2026-11-16T12:00:00Z";

/// A process with one stage.
pub struct OneStage;

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
    async fn recompute(&self, _entity: &str) -> Result<(), Problem> {
        let poison = Poison {
            code: Code::FoldOverflow,
            message: "too many digits".to_owned(),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        };
        Err(Failure::Poison(poison).into())
    }
}

/// The API and the stores below it.
pub struct World {
    pub operator: Operator,
    pub store: Embedded,
}

impl World {
    pub fn new() -> Self {
        let schemas = stores::codec::schemas();
        let topics = topics::INTERNAL.iter().chain(&topics::PUBLIC);
        let parts = Parts {
            tables: stores::tables::ALL.to_vec(),
            schemas: schemas.into_iter().map(|(subject, text)| (subject, text.to_owned())).collect(),
            topics: topics.map(|topic| ((*topic).to_owned(), 1)).collect(),
            groups: vec![
                ("dvss.dedup".to_owned(), vec![topics::RAW.to_owned()]),
                (STAGE.to_owned(), vec![topics::ACCEPTED.to_owned()]),
                (COPIED_GROUP.to_owned(), vec![topics::RECEIPTS.to_owned()]),
            ],
        };
        let clock = Arc::new(TokioClock::new(Timestamp::parse(NOON).expect("time")));
        let store = Embedded::in_memory(Options::default(), parts, clock).expect("a store in memory");
        Self { operator: Operator::new(store.ports(), Arc::new(OneStage)), store }
    }

    pub async fn send(
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

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, &[("host", "localhost:8081")], json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Every row of a list, page by page, in the order in which they came; `path` ends where parameters are added.
    pub async fn all(&self, path: &str, member: &str, limit: usize) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}limit={limit}{cursor}")).await;
            let found = page[member].as_array().expect("rows");
            assert!(found.len() <= limit, "{page}");
            rows.extend(found.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send("POST", path, &[("host", "127.0.0.1:8081")], body).await
    }

    pub async fn append(&self, topic: &str, value: Bytes) -> Coordinates {
        let record = Record { topic: topic.into(), partition: Some(0), key: None, value, headers: vec![] };
        self.operator.ports.log.append(record).await.expect("a record")
    }

    /// Adds a vendor's record to what normalize has parked.
    pub async fn park(&self, number: Offset) {
        self.park_of("acme", number).await;
    }

    /// The same, of another vendor.
    pub async fn park_of(&self, vendor: &str, number: Offset) {
        let id = format!("01J0000000ABCDEFGHJK{number:06}");
        let pairs = [(headers::INGEST_ID, id.as_str()), (headers::VENDOR_ID, vendor)];
        let record = RawRecord {
            partition: Partition::new(topics::ACCEPTED, 0),
            offset: number,
            timestamp: 0,
            key: Some("acme".into()),
            value: "{}".into(),
            headers: pairs.map(|(name, value)| (name.to_owned(), value.to_owned().into())).into(),
        };
        self.park_record(&record).await;
    }

    /// Normalize cannot work on a record.
    pub async fn park_record(&self, record: &RawRecord) {
        let Operator { ports, codec, .. } = &self.operator;
        let store = QuarantineStore::new(ports.clone(), Arc::clone(codec), Default::default());
        let poison = Poison {
            code: Code::MappingMissing,
            message: "no".to_owned(),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        };
        store.park(STAGE, record, &poison).await.expect("parked");
    }
}

/// An event of `acme`, at noon.
pub fn event() -> Event {
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
