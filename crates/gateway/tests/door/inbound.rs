//! The Kafka door, in the loop that runs it, on a log in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::{Inbound, Options};
use ports::log::{Error as LogError, Headers, Partition, RawRecord, Record};
use runtime::{Fatal, Processor as _, Service};
use serde_json::json;
use stores::codec::Codec;
use stores::quarantine::{self, Parked, QuarantineStore};
use stores::vendors::Settings;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Fault, Running, rate};

const ACME: &str = "dvss.inbound.acme";

/// The loop at the door, and how it is stopped.
struct Door {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Fatal>>,
}

impl Door {
    fn open(running: &Running) -> Self {
        let ports = running.ports.clone();
        let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
        let quarantine = QuarantineStore::new(ports.clone(), codec, quarantine::Options::default());
        let service = Service::new(
            Arc::clone(&running.inbound),
            ports.log,
            Arc::new(quarantine),
            &[ACME, "dvss.inbound.stranger"],
            "one",
            runtime::Options { max_wait: Duration::from_millis(20), ..runtime::Options::default() },
        );
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(service.run(stop.clone())), stop }
    }

    async fn close(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("it drains");
    }
}

fn envelope(id: &str, on_hand: &str) -> String {
    json!({
        "externalEventId": id, "eventType": "InventoryUpdated", "occurredAt": "2026-11-22T10:00:00Z",
        "payload": { "sku": "A", "warehouseId": "w1", "quantityOnHand": on_hand },
    })
    .to_string()
}

impl Running {
    /// A vendor writes.
    async fn write(&self, topic: &str, value: impl Into<Bytes>, headers: &[(&str, &[u8])]) {
        let pair = |(name, value): &(&str, &[u8])| ((*name).to_owned(), Bytes::copy_from_slice(value));
        let headers: Headers = headers.iter().map(pair).collect();
        let record = Record { topic: topic.into(), partition: None, key: None, value: value.into(), headers };
        self.ports.log.append(record).await.expect("written");
    }

    /// Waits until the door has taken or refused everything that vendors wrote.
    async fn taken(&self) {
        for topic in [ACME, "dvss.inbound.stranger"] {
            let end = self.ports.log.ends(topic).await.expect("ends")[0].uncommitted;
            self.until(async || {
                let at = self.ports.log.committed(Inbound::NAME, topic).await.expect("offsets")[0];
                end == 0 || at == Some(end)
            })
            .await;
        }
    }

    async fn until(&self, mut look: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !look().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes to pass");
    }

    async fn refused(&self) -> Vec<Parked> {
        let (rows, next) = quarantine::list(&self.ports, Some(Inbound::NAME), None).await.expect("rows");
        assert_eq!(next, None);
        rows
    }

    async fn external_ids(&self) -> Vec<String> {
        let id = |record: &RawRecord| {
            record.header(contract::headers::EXTERNAL_EVENT_ID).expect("a header").to_owned()
        };
        let mut ids: Vec<String> = self.records().await.iter().map(id).collect();
        ids.sort();
        ids
    }
}

#[tokio::test]
async fn every_form_is_taken_as_at_the_other_door() {
    let running = Running::start().await;
    let door = Door::open(&running);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    running.write(ACME, envelope("e1", "5"), &[("traceparent", trace.as_bytes())]).await;
    running.write(ACME, envelope("e2", "5"), &[("content-type", b"application/json")]).await;
    let structured = json!({
        "specversion": "1.0", "id": "s1", "source": "/erp", "type": "InventoryUpdated",
        "time": "2026-11-22T10:00:00Z", "data": { "sku": "A" },
    });
    let kind = ("content-type", &b"application/cloudevents+json; charset=UTF-8"[..]);
    running.write(ACME, structured.to_string(), &[kind]).await;
    let binary: [(&str, &[u8]); 6] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"b1"),
        ("ce_source", b"/erp"),
        ("ce_type", b"InventoryUpdated"),
        ("ce_time", b"2026-11-22T10:00:00Z"),
        ("content-type", b"application/json"),
    ];
    running.write(ACME, "{\"sku\": \"A\"}", &binary).await;
    running.taken().await;
    assert_eq!(running.external_ids().await, ["/erp#b1", "/erp#s1", "e1", "e2"]);
    let records = running.records().await;
    let first =
        records.iter().find(|record| record.header("traceparent").is_some()).expect("it is carried on");
    assert_eq!((first.header("traceparent"), &first.value), (Some(trace), &Bytes::from(envelope("e1", "5"))));
    assert_eq!(running.refused().await, vec![]);

    // The same again, through either door, is the same event.
    running.write(ACME, envelope("e1", "5"), &[]).await;
    running.taken().await;
    let answer = running.post(envelope("e2", "5")).await;
    assert_eq!((answer.status, answer.word()), (200, "DUPLICATE"));
    assert_eq!(running.objects().await.len(), 4);
    // Another payload under a taken id is a conflict, which dedup tells of.
    running.write(ACME, envelope("e1", "6"), &[]).await;
    running.taken().await;
    let flagged = running.records().await;
    let flagged = flagged.iter().filter(|record| record.header(contract::headers::CONFLICT_WITH).is_some());
    assert_eq!(flagged.count(), 1);
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_is_kept_with_its_reason_and_its_bytes() {
    let running = Running::with(Options { max_body_bytes: 1_000, ..Options::default() }).await;
    let door = Door::open(&running);
    let other = json!({
        "vendorId": "other", "externalEventId": "e", "eventType": "t", "occurredAt": "2026-11-22T10:00:00Z",
        "payload": {},
    });
    // What a vendor writes into headers that are dvss's own is not believed.
    let forged: [(&str, &[u8]); 4] = [
        ("dvss-vendor-id", b"other"),
        ("dvss-ingest-id", b"01J0000000ABCDEFGHJKMNPQRS"),
        ("dvss-quarantine-identity", b"dvss.inbound.other/0/0"),
        ("dvss-release", b"7"),
    ];
    // Nor that it is a record which was released: not as a row of its own that waits for nothing …
    let again: [(&str, &[u8]); 2] =
        [("dvss-quarantine-identity", b"dvss.inbound.acme/0/0"), ("dvss-release", b"1")];
    // … and not as a row that no table can have.
    let long = format!("dvss.inbound.acme/{}", "9".repeat(2_000));
    let long: [(&str, &[u8]); 1] = [("dvss-quarantine-identity", long.as_bytes())];
    running.write(ACME, "{\"no", &forged).await;
    running.write(ACME, other.to_string(), &[]).await;
    running.write(ACME, vec![b' '; 1_001], &[]).await;
    running.write(ACME, "", &[("ce_id", b"x")]).await;
    running.write(ACME, envelope("future", "1").replace("2026-11-22", "2099-11-22"), &[]).await;
    running.write(ACME, "[]", &again).await;
    running.write(ACME, "[]", &long).await;
    // None of them holds up what stands behind it.
    running.write(ACME, envelope("good", "1"), &[]).await;
    running.taken().await;
    assert_eq!(running.external_ids().await, ["good"]);
    let refused = running.refused().await;
    let said: Vec<_> = refused.iter().map(|row| (row.identity.as_str(), row.code.as_str())).collect();
    assert_eq!(
        said,
        [
            ("dvss.inbound.acme/0/0", "json-syntax"),
            ("dvss.inbound.acme/0/1", "vendor-mismatch"),
            ("dvss.inbound.acme/0/2", "body-too-large"),
            ("dvss.inbound.acme/0/3", "cloudevent-invalid"),
            ("dvss.inbound.acme/0/4", "occurred-at-out-of-range"),
            ("dvss.inbound.acme/0/5", "envelope-field-invalid"),
            ("dvss.inbound.acme/0/6", "envelope-field-invalid"),
        ]
    );
    assert!(refused.iter().all(|row| row.vendor_id.as_ref().is_some_and(|id| id.as_str() == "acme")));
    assert!(refused.iter().all(|row| row.ingest_id.is_none()), "none of them is an accepted event");
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_waited_for_its_vendor_is_taken_when_it_is_released() {
    let running = Running::start().await;
    let door = Door::open(&running);
    let topic = "dvss.inbound.stranger";
    // Far more than a row of the tables holds.
    let note = vec![b'n'; 500_000];
    running.write(topic, envelope("early", "5"), &[("note", &note)]).await;
    running.taken().await;
    let [parked] = &running.refused().await[..] else { panic!("one") };
    assert_eq!((parked.code.as_str(), parked.status), ("vendor-unknown", quarantine::Status::Open));

    running.vendor("stranger", Settings::default()).await;
    quarantine::release(&running.ports, Inbound::NAME, &parked.identity).await.expect("released");
    running.taken().await;
    assert_eq!(running.external_ids().await, ["early"]);
    let released = running.ports.log.read(&Partition::new(topic, 0), 1, 1).await.expect("readable").0;
    assert_eq!(released[0].value, Bytes::from(envelope("early", "5")));
    assert_eq!(released[0].header("note").map(str::len), Some(note.len()), "headers come back");
    let [parked] = &running.refused().await[..] else { panic!("one") };
    assert_eq!(parked.status, quarantine::Status::Released);
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_be_taken_now_waits() {
    let running = Running::start().await;
    running.write(ACME, envelope("e0", "1"), &[]).await;
    let away = || LogError::Unavailable("away".to_owned());
    running.log.appends.lock().extend([Fault::Before(away()), Fault::Before(away()), Fault::After(away())]);
    let door = Door::open(&running);
    running.taken().await;
    assert_eq!(running.refused().await, vec![], "what may work later is no poison");
    assert!(running.log.appends.lock().is_empty(), "it met all of them");
    let ids = running.external_ids().await;
    assert!(!ids.is_empty() && ids.iter().all(|id| id == "e0"), "{ids:?}");
    door.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_vendor_that_writes_too_fast_waits_in_its_own_topic() {
    let running = Running::start().await;
    let settings = Settings { rate: Some(rate(20, 2)), ..Settings::default() };
    running.vendor("stranger", settings).await;
    let many: Vec<String> = (0..12).map(|number| format!("fast-{number:02}")).collect();
    for id in &many {
        running.write("dvss.inbound.stranger", envelope(id, "1"), &[]).await;
    }
    let begun = Instant::now();
    let door = Door::open(&running);
    running.write(ACME, envelope("calm", "1"), &[]).await;
    running.taken().await;
    // Two at once, then twenty a second; a clock that ticks coarsely may hand out one more.
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    let mut wanted = many;
    wanted.insert(0, "calm".to_owned());
    let mut ids = running.external_ids().await;
    ids.dedup();
    assert_eq!(ids, wanted, "nothing is dropped");
    assert_eq!(running.refused().await, vec![]);
    door.close().await;
    running.stop().await;
}
