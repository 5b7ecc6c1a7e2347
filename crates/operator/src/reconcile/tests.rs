//! Books and repairs, on stores in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::extract::{Path, State};
use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, keys, topics};
use embedded::{Embedded, Options, Parts, TokioClock};
use faults::{Call, Moment, Policy, Verdict};
use ports::blobs::{Condition, Metadata};
use ports::log::{Coordinates, Partition, RawRecord};
use ports::tables::{Attr, Key, Write};
use stores::normalized::{self, Head, Object};
use stores::tables::QUARANTINE;
use stores::{ingest, records};
use tokio::sync::Semaphore;

use super::super::decide::Report;
use super::super::{books, put_right};
use crate::problem::Problem;
use crate::server::{Host, Operator, StageHealth};

struct Nobody;

#[async_trait]
impl Host for Nobody {
    fn stages(&self) -> Vec<StageHealth> {
        Vec::new()
    }
    fn metrics(&self) -> String {
        String::new()
    }
    async fn recompute(&self, _entity: &str) -> Result<(), Problem> {
        Err(Problem::not_found("stage here"))
    }
}

struct World {
    operator: Operator,
    store: Embedded,
}

const MONDAY: &str = "2026-11-16T10:00:00Z";

impl World {
    fn new() -> Self {
        let topics = topics::INTERNAL.iter().chain(&topics::PUBLIC);
        let parts = Parts {
            tables: stores::tables::ALL.to_vec(),
            schemas: Vec::new(),
            topics: topics.map(|topic| ((*topic).to_owned(), 1)).collect(),
            groups: vec![("dvss.dedup".to_owned(), vec![topics::RAW.to_owned()])],
        };
        let clock = Arc::new(TokioClock::new(Timestamp::parse(MONDAY).expect("time")));
        let store = Embedded::in_memory(Options::default(), parts, clock).expect("a store in memory");
        Self { operator: Operator::new(store.ports(), Arc::new(Nobody)), store }
    }

    /// Produces an event as the gateway does; dedup has read it.
    async fn accept(&self, event: &Event) {
        let log = &self.operator.ports.log;
        log.append(records::of_event(topics::RAW, "acme".into(), Bytes::new(), event)).await.expect("log");
        let end = log.ends(topics::RAW).await.expect("log")[0].stable;
        log.set_committed("dvss.dedup", &[(Partition::new(topics::RAW, 0), end)]).await.expect("log");
    }

    async fn claim(&self, event: &Event) {
        let source = Coordinates { partition: Partition::new(topics::RAW, 0), offset: 0 };
        ingest::claim(&*self.operator.ports.tables, event, &source).await.expect("tables");
    }

    /// What normalize does where the mapping finds no fact: published as it is.
    async fn normalize(&self, event: &Event) -> String {
        let draft = &event.draft;
        let (vendor, external, id) = (&draft.vendor_id, &draft.external_event_id, draft.ingest_id);
        let head = Head {
            activation: 1,
            mapping: "acme/stock/1".to_owned(),
            vendor_id: vendor.clone(),
            ingest_id: id,
            external_event_id: external.clone(),
            traceparent: None,
        };
        let key = keys::normalized(&draft.event_type, draft.occurred_at, id);
        let object = Object { head, lines: Vec::new() };
        normalized::put(&self.store.normalized, &key, &object, None).await.expect("put");
        let tables = &*self.operator.ports.tables;
        ingest::normalized(tables, vendor, external, id, 1, 0, &key).await.expect("tables");
        key
    }

    async fn park(&self, identity: &str, id: IngestId) {
        let text = |text: &str| Attr::S(text.to_owned());
        let item = [
            ("status", text("OPEN")),
            ("count", Attr::N(1)),
            ("code", text("record-invalid")),
            ("message", text("no")),
            ("at", text("dvss.raw/0/0")),
            ("parkedAt", text(MONDAY)),
            ("ingestId", text(&id.to_string())),
        ];
        let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let key = Key::sorted("dvss.dedup", identity);
        let write = Write::put(&QUARANTINE, key, item, ports::tables::Condition::Always);
        self.operator.ports.tables.write(write).await.expect("tables");
    }

    async fn books(&self) -> Report {
        books(&self.operator).await.expect("books")
    }

    async fn put_right(&self) -> Report {
        put_right(&self.operator).await.expect("books")
    }

    async fn records(&self, topic: &str) -> Vec<RawRecord> {
        self.operator.ports.log.read(&Partition::new(topic, 0), 0, 100).await.expect("log").0
    }
}

fn event(external: &str, payload: &str, against: Option<IngestId>) -> Event {
    let vendor_id = VendorId::parse("acme").expect("id");
    let external_event_id = ExternalEventId::parse(external).expect("id");
    let occurred_at = Timestamp::parse(MONDAY).expect("time");
    let ingest_id = IngestId::derive(&vendor_id, &external_event_id, occurred_at);
    let key = keys::raw(&vendor_id, occurred_at, ingest_id);
    Event {
        draft: Draft {
            ingest_id,
            vendor_id,
            external_event_id,
            event_type: EventType::parse("stock").expect("type"),
            occurred_at,
            fingerprint: Fingerprint::of_bytes(payload.as_bytes()),
            mode: Mode::Envelope,
            content_type: "application/json".to_owned(),
        },
        received_at: occurred_at,
        raw_ref: RawRef { bucket: "raw".to_owned(), key },
        sha256: Fingerprint::of_bytes(payload.as_bytes()),
        traceparent: None,
        conflict_with: against,
        release: 0,
    }
}

#[tokio::test]
async fn a_missing_event_goes_on_where_it_stopped() {
    let first = event("e1", "a", None);
    let newcomer = event("e1", "b", Some(first.draft.ingest_id));
    let again = event("e1", "a", Some(first.draft.ingest_id));
    for (claimed, missing, topic) in [
        (false, &first, topics::RAW),
        (true, &first, topics::ACCEPTED),
        // It has the winner's ingest id; normalize would park it, for dedup emits no flagged record.
        (true, &newcomer, topics::RAW),
        (true, &again, topics::RAW),
    ] {
        let world = World::new();
        if claimed {
            world.claim(&first).await;
        }
        world.accept(missing).await;
        let report = world.put_right().await;
        assert_eq!(report.vendors[0].missing, [missing.draft.ingest_id]);
        assert!(report.repaired[0].contains(&format!("again to {topic}/0/")), "{:?}", report.repaired);
        let last = world.records(topic).await.pop().expect("produced");
        assert_eq!(records::event(&last).expect("headers"), *missing);
        let accepted = world.records(topics::ACCEPTED).await.len();
        assert_eq!(accepted, usize::from(topic == topics::ACCEPTED), "{topic}");
    }
}

#[tokio::test]
async fn what_cannot_be_repaired_does_not_keep_the_rest_from_it() {
    let world = World::new();
    let (bad, good, lost) = (event("e1", "a", None), event("e2", "b", None), event("e3", "c", None));
    let headers = good.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for (event, metadata) in [(&bad, Metadata::new()), (&good, headers)] {
        let put = world.operator.ports.raw.put(&event.raw_ref.key, "{}".into(), metadata, Condition::Absent);
        put.await.expect("put");
    }
    world.accept(&lost).await;
    let repaired = world.put_right().await.repaired;
    let said = |text: String| repaired.iter().any(|line| line.starts_with(&text));
    assert!(said(format!("could not repair {}: header ", bad.raw_ref.key)), "{repaired:?}");
    assert!(said(format!("produced the orphan {} to", good.raw_ref.key)), "{repaired:?}");
    assert!(said(format!("produced {} again to", lost.draft.ingest_id)), "{repaired:?}");
    assert_eq!(repaired.len(), 3);
}

#[tokio::test]
async fn a_parked_newcomer_does_not_stand_for_its_winner() {
    let first = event("e1", "a", None);
    let id = first.draft.ingest_id;
    let newcomer = event("e1", "b", Some(id));
    let flagged = format!("{id}#{}", newcomer.draft.fingerprint);
    for (identity, event, is_parked) in [
        (&flagged, &newcomer, true),
        (&flagged, &first, false),
        (&id.to_string(), &first, true),
        (&id.to_string(), &newcomer, false),
        (&format!("{id}#0#0#1"), &first, true),
    ] {
        let world = World::new();
        world.accept(event).await;
        world.park(identity, id).await;
        let account = world.books().await.vendors.remove(0);
        let counts = (account.quarantined, account.missing.len());
        assert_eq!(counts, if is_parked { (1, 0) } else { (0, 1) }, "{identity} {event:?}");
    }
}

#[tokio::test]
async fn a_newcomer_that_dedup_parked_untried_is_no_alarm() {
    let winner = event("e1", "a", None);
    for payload in ["a", "b"] {
        // The gateway does not flag what has another date: whether it repeats or conflicts is dedup's to find.
        let mut redated = event("e1", payload, None);
        let draft = &mut redated.draft;
        draft.occurred_at = Timestamp::parse("2026-11-16T11:00:00Z").expect("time");
        draft.ingest_id = IngestId::derive(&draft.vendor_id, &draft.external_event_id, draft.occurred_at);
        let id = redated.draft.ingest_id;
        for parked in [true, false] {
            let world = World::new();
            world.claim(&winner).await;
            world.accept(&redated).await;
            if parked {
                world.park(&id.to_string(), id).await;
            }
            let account = world.books().await.vendors.remove(0);
            let counts = (account.quarantined, account.missing);
            assert_eq!(counts, if parked { (1, vec![]) } else { (0, vec![id]) }, "{payload}");
        }
    }
}

#[tokio::test]
async fn a_damaged_object_is_named_and_the_books_are_drawn_up() {
    for rotten in [true, false] {
        let world = World::new();
        let (bad, good) = (event("e1", "a", None), event("e2", "b", None));
        let mut keys = Vec::new();
        for event in [&bad, &good] {
            world.accept(event).await;
            world.claim(event).await;
            keys.push(world.normalize(event).await);
        }
        let report = world.books().await;
        assert!(report.balanced && report.vendors[0].published == 2, "{report:?}");
        let blobs = &world.operator.ports.normalized;
        if rotten {
            world.store.normalized.corrupt(&keys[0], "{}\n".into()).await.expect("damaged");
        } else {
            let object = blobs.get(&keys[0]).await.expect("an object");
            let put = blobs.put(&keys[0], "{}\n".into(), object.metadata, Condition::Match(object.etag));
            put.await.expect("damaged");
        }
        let report = world.books().await;
        assert_eq!((report.balanced, &report.damaged), (false, &vec![keys[0].clone()]));
        let account = &report.vendors[0];
        assert_eq!((account.published, &account.missing), (1, &vec![bad.draft.ingest_id]), "{report:?}");

        let explained =
            crate::events::explain(State(world.operator.clone()), Path(bad.draft.ingest_id.to_string()));
        let document = explained.await.expect("explained").0;
        assert_eq!(document["normalized"]["key"], keys[0]);
        assert!(document["normalized"]["damaged"].is_string(), "{document}");
        let found = normalized::get(&world.store.normalized, &keys[0]).await.expect_err("damaged");
        let problem = crate::problem::Problem::from(found);
        assert!(
            format!("{problem:?}").contains(&keys[0]) && format!("{problem:?}").contains("ObjectCorrupt")
        );
    }
}

/// Counts the calls, and lets none on until it is open.
struct Gate {
    calls: AtomicUsize,
    open: Semaphore,
}

#[async_trait]
impl Policy for Gate {
    async fn at(&self, _: Call, moment: Moment) -> Verdict {
        if moment == Moment::Before {
            self.calls.fetch_add(1, Ordering::SeqCst);
            drop(self.open.acquire().await.expect("a gate"));
        }
        Verdict::Go
    }
}

#[tokio::test]
async fn books_are_drawn_up_one_at_a_time() {
    let world = World::new();
    world.accept(&event("e1", "a", None)).await;
    let gate = Arc::new(Gate { calls: AtomicUsize::new(0), open: Semaphore::new(0) });
    let ports = faults::around(&world.store.ports(), "operator", Arc::clone(&gate) as _);
    let operator = Operator::new(ports, Arc::new(Nobody));
    let draw_up = || {
        let operator = operator.clone();
        tokio::spawn(async move { books(&operator).await.expect("books") })
    };
    let (first, second) = (draw_up(), draw_up());
    // One thread: by then both have come as far as they can.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.calls.load(Ordering::SeqCst), 1, "the second one waits for the first");
    gate.open.add_permits(1);
    let (first, second) = (first.await.expect("drawn up"), second.await.expect("drawn up"));
    assert!(first == second && first.vendors[0].accepted == 1, "{first:?}");
}

#[tokio::test]
async fn one_of_very_many_newcomers_is_no_alarm() {
    let world = World::new();
    let winner = event("e1", "a", None);
    let id = winner.draft.ingest_id;
    world.claim(&winner).await;
    let tables = &*world.operator.ports.tables;
    let mut last = winner.clone();
    for number in 0..=ingest::MAX_LISTED {
        last = Event { conflict_with: Some(id), ..winner.clone() };
        last.draft.fingerprint = Fingerprint::parse(&format!("{number:064x}")).expect("a fingerprint");
        ingest::conflict(tables, &last, id).await.expect("noted");
    }
    world.accept(&last).await;
    let report = world.books().await;
    assert_eq!((report.balanced, report.vendors[0].conflict), (true, 1), "{report:?}");
}
