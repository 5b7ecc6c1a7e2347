//! Parked, released, parked again; a vendor over its budget; and the store being down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::{Code, Fingerprint, IngestId, Timestamp, VendorId, headers, topics};
use embedded::{Embedded, Parts, TokioClock};
use faults::{Call, Moment, Policy, Verdict};
use parking_lot::Mutex;
use ports::log::{Coordinates, Headers, Partition, RawRecord, Record};
use ports::tables::{Attr, Condition, Edit, Key, Write, get_one};
use ports::{Ports, blobs};
use runtime::{Failure, Output, Poison, Processor, Quarantine, Service};
use stores::audit::{self, Entry};
use stores::codec::Codec;
use stores::outbox::{RowRef, state};
use stores::quarantine::{
    MOST_SHOWN, Options, Parked, QuarantineStore, Refused, Status, by_event, depth, discard, list, list_some,
    release, resume, show,
};
use stores::tables::QUARANTINE;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const STAGE: &str = "dvss.normalize";

struct World {
    ports: Ports,
    codec: Arc<Codec>,
}

impl World {
    fn new() -> Self {
        let schemas = stores::codec::schemas();
        let parts = Parts {
            tables: stores::tables::ALL.to_vec(),
            schemas: schemas.into_iter().map(|(subject, text)| (subject, text.to_owned())).collect(),
            topics: [topics::ACCEPTED, topics::NORMALIZED, topics::OUTBOX]
                .map(|topic| (topic.to_owned(), 2))
                .into(),
            groups: vec![(STAGE.to_owned(), vec![topics::ACCEPTED.to_owned()])],
        };
        let clock = TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("an instant"));
        let store =
            Embedded::in_memory(embedded::Options::default(), parts, Arc::new(clock)).expect("a store");
        let ports = store.ports();
        Self { codec: Arc::new(Codec::new(Arc::clone(&ports.schemas))), ports }
    }

    fn store(&self, budget: u32) -> QuarantineStore {
        QuarantineStore::new(self.ports.clone(), Arc::clone(&self.codec), Options { budget })
    }

    /// An accepted event, its object in the raw bucket and its record on the log, as it is read.
    async fn event(&self, vendor: &str, number: u32, value: &str) -> RawRecord {
        let key = format!("raw/{vendor}/{number}.json");
        let bytes = Bytes::copy_from_slice(value.as_bytes());
        let put = self.ports.raw.put(&key, bytes.clone(), blobs::Metadata::new(), blobs::Condition::Absent);
        put.await.expect("an object");
        let pairs = [
            (headers::INGEST_ID, id(number).to_string()),
            (headers::VENDOR_ID, vendor.to_owned()),
            (headers::RAW_BUCKET, self.ports.raw.bucket().to_owned()),
            (headers::RAW_KEY, key),
            (headers::SHA256, Fingerprint::of_bytes(&bytes).to_string()),
        ];
        let headers = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        self.produce(topics::ACCEPTED, Some(vendor), bytes, headers).await
    }

    async fn produce(&self, topic: &str, key: Option<&str>, value: Bytes, headers: Headers) -> RawRecord {
        let key = key.map(|key| Bytes::copy_from_slice(key.as_bytes()));
        let record = Record { topic: topic.into(), partition: None, key, value, headers };
        let at = self.ports.log.append(record).await.expect("a record");
        self.record(&at).await
    }

    async fn record(&self, at: &Coordinates) -> RawRecord {
        let (mut records, _) = self.ports.log.read(&at.partition, at.offset, 1).await.expect("records");
        records.remove(0)
    }

    /// How many records a topic has.
    async fn count(&self, topic: &str) -> usize {
        let mut count = 0;
        for index in 0..2 {
            let read = self.ports.log.read(&Partition::new(topic, index), 0, 1_000).await;
            count += read.expect("records").0.len();
        }
        count
    }

    /// What the row publishes, decoded.
    async fn published(&self, output: &Output) -> (u32, serde_json::Value) {
        let row: RowRef = serde_json::from_slice(&output.record.value).expect("a reference");
        let item =
            get_one(&*self.ports.tables, &QUARANTINE, row.key()).await.expect("tables").expect("a row");
        let publication = state(&item).expect("outbox columns").publication;
        assert_eq!(output.record.key.as_deref(), Some(publication.key.as_bytes()));
        (publication.revision, self.codec.decode(&publication.value).await.expect("a value"))
    }
}

fn id(number: u32) -> IngestId {
    IngestId::parse(&format!("01J0000000ABCDEFGHJK{number:06}")).expect("an id")
}

fn poison(code: Code) -> Poison {
    Poison {
        code,
        message: "no".to_owned(),
        pointer: Some("/payload/sku".to_owned()),
        vendor_id: None,
        ingest_id: None,
    }
}

#[tokio::test(start_paused = true)]
async fn parked_released_parked_again() {
    let world = World::new();
    let store = world.store(100);
    let record = world.event("acme", 1, r#"{"payload":{}}"#).await;
    let first = store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let again = store.park(STAGE, &record, &poison(Code::MappingFieldMissing)).await.expect("parked");
    assert_eq!(first, again, "the same delivery changes nothing");
    let identity = id(1).to_string();
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!((row.status, row.count, row.code.as_str()), (Status::Open, 1, "mapping-missing"));
    assert_eq!(row.at, record.coordinates());
    let (revision, value) = world.published(&first[0]).await;
    assert_eq!(revision, 1);
    let raw = serde_json::json!({"bucket": world.ports.raw.bucket(), "key": "raw/acme/1.json"});
    let expected = serde_json::json!({
        "stage": STAGE, "identity": identity, "count": 1, "vendorId": "acme", "ingestId": identity,
        "code": "mapping-missing", "pointer": "/payload/sku", "message": "no", "rawRef": raw,
    });
    assert_eq!(value, expected);

    let (released, at) = release(&world.ports, STAGE, &identity).await.expect("released");
    assert_eq!((released.status, released.count), (Status::Released, 2));
    let reproduced = world.record(&at).await;
    assert_eq!(reproduced.partition, record.partition);
    assert_eq!((&reproduced.key, &reproduced.value), (&record.key, &record.value));
    assert_eq!(reproduced.header(headers::RELEASE), Some("1"));
    for (name, value) in &record.headers {
        assert!(reproduced.headers.contains(&(name.clone(), value.clone())), "{name}");
    }
    let before = world.count(topics::ACCEPTED).await;
    let (_, same) = release(&world.ports, STAGE, &identity).await.expect("released");
    assert_eq!((same, world.count(topics::ACCEPTED).await), (at, before), "twice changes nothing");

    store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!(row.status, Status::Released, "the first delivery, once more, is old news");
    let outputs = store.park(STAGE, &reproduced, &poison(Code::MappingFieldMissing)).await.expect("parked");
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!((row.status, row.count, row.code.as_str()), (Status::Open, 2, "mapping-field-missing"));
    let (revision, value) = world.published(&outputs[0]).await;
    assert_eq!((revision, &value["count"]), (2, &serde_json::json!(2)));

    let (_, at) = release(&world.ports, STAGE, &identity).await.expect("released");
    assert_eq!(world.record(&at).await.header(headers::RELEASE), Some("2"));
    let found = by_event(&world.ports, id(1)).await.expect("rows");
    assert_eq!(found.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_row_and_record_is_mended_by_releasing_again() {
    let world = World::new();
    let record = world.event("acme", 1, "{}").await;
    world.store(100).park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let policy = Arc::new(FailNext::default());
    let faulty = faults::around(&world.ports, "operator", Arc::clone(&policy) as _);
    *policy.0.lock() = Some(("append", Moment::Before));
    let identity = id(1).to_string();
    assert!(matches!(release(&faulty, STAGE, &identity).await, Err(Refused::Log(_))));
    assert!(policy.0.lock().is_none(), "the fault happened");
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!((row.status, world.count(topics::ACCEPTED).await), (Status::Released, 1));
    let (_, at) = release(&world.ports, STAGE, &identity).await.expect("released");
    assert_eq!(world.record(&at).await.header(headers::RELEASE), Some("1"));
    assert_eq!(world.count(topics::ACCEPTED).await, 2);
}

#[tokio::test(start_paused = true)]
async fn resume_takes_up_what_was_released_and_never_produced() {
    let world = World::new();
    let acme = VendorId::parse("acme").expect("a vendor");
    let record = world.event("acme", 1, "{}").await;
    world.store(100).park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let policy = Arc::new(FailNext::default());
    let faulty = faults::around(&world.ports, "operator", Arc::clone(&policy) as _);
    *policy.0.lock() = Some(("append", Moment::Before));
    let resumed = resume(&faulty, &acme).await.expect("resumed");
    assert_eq!((resumed.released, resumed.failed), (0, 1), "the fault happened");
    let row = show(&world.ports, STAGE, &id(1).to_string()).await.expect("a row");
    assert_eq!((row.status, row.produced), (Status::Released, None));
    assert_eq!(world.count(topics::ACCEPTED).await, 1);

    let resumed = resume(&world.ports, &acme).await.expect("resumed");
    assert_eq!((resumed.released, resumed.failed), (1, 0));
    assert!(resumed.rows[0].status == Status::Released && world.count(topics::ACCEPTED).await == 2);
    let resumed = resume(&world.ports, &acme).await.expect("resumed");
    assert_eq!((resumed.released, world.count(topics::ACCEPTED).await), (0, 2), "once is enough");
    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn discarded_stays_discarded() {
    let world = World::new();
    let store = world.store(100);
    let record = world.event("acme", 1, "{}").await;
    store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let identity = id(1).to_string();
    let row = discard(&world.ports, STAGE, &identity, "a test of theirs").await.expect("discarded");
    assert_eq!((row.status, row.reason.as_deref()), (Status::Discarded, Some("a test of theirs")));
    store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let row = discard(&world.ports, STAGE, &identity, "again").await.expect("discarded");
    assert_eq!((row.status, row.reason.as_deref()), (Status::Discarded, Some("a test of theirs")));
    assert!(matches!(release(&world.ports, STAGE, &identity).await, Err(Refused::Discarded(_))));
    assert!(matches!(release(&world.ports, STAGE, "nobody").await, Err(Refused::NotFound { .. })));
    assert!(matches!(
        show(&world.ports, "budget#dvss.normalize", "acme").await,
        Err(Refused::NotFound { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn bytes_of_any_size_come_back() {
    let world = World::new();
    let store = world.store(100);
    let large = Bytes::from(vec![b'x'; 400 * 1_024]);
    let odd = vec![("odd".to_owned(), Bytes::from(&[0xff, 0xfe][..]))];
    for (value, headers) in [(Bytes::from("not json"), odd), (large, vec![])] {
        let record = world.produce(topics::ACCEPTED, None, value.clone(), headers.clone()).await;
        store.park(STAGE, &record, &poison(Code::RecordInvalid)).await.expect("parked");
        let (row, at) = release(&world.ports, STAGE, &record.coordinates()).await.expect("released");
        assert_eq!((row.vendor_id, row.ingest_id), (None, None));
        let reproduced = world.record(&at).await;
        assert_eq!(reproduced.value, value);
        assert!(headers.iter().all(|header| reproduced.headers.contains(header)));
        // It has other coordinates now, and is the same record still.
        store.park(STAGE, &reproduced, &poison(Code::RecordInvalid)).await.expect("parked");
        let row = show(&world.ports, STAGE, &record.coordinates()).await.expect("a row");
        assert_eq!((row.status, row.count), (Status::Open, 2));
    }
    assert_eq!(rows(&world.ports).await.len(), 2);
    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(2), "what is nobody's counts too");
}

#[tokio::test(start_paused = true)]
async fn what_fails_anew_after_its_release_is_open_again() {
    let world = World::new();
    let store = world.store(100);
    let record = world.event("acme", 1, "{}").await;
    store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    let identity = id(1).to_string();
    // A copy that is on the log before the released record is old news: the released one comes behind it.
    let copy = async || {
        world.produce(topics::ACCEPTED, Some("acme"), record.value.clone(), record.headers.clone()).await
    };
    let between = copy().await;
    release(&world.ports, STAGE, &identity).await.expect("released");
    for old in [&record, &between] {
        store.park(STAGE, old, &poison(Code::MappingMissing)).await.expect("parked");
        assert_eq!(show(&world.ports, STAGE, &identity).await.expect("a row").status, Status::Released);
    }
    // The released one went well, the mapping was broken, and dedup's log was replayed.
    let replayed = copy().await;
    assert_eq!(replayed.header(headers::RELEASE), None);
    let outputs = store.park(STAGE, &replayed, &poison(Code::MappingFieldMissing)).await.expect("parked");
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!((row.status, row.count, row.code.as_str()), (Status::Open, 2, "mapping-field-missing"));
    assert_eq!(row.at, replayed.coordinates());
    assert_eq!(world.published(&outputs[0]).await.0, 2, "and is published as a new revision");
    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(1));
    let (row, at) = release(&world.ports, STAGE, &identity).await.expect("released");
    assert_eq!((row.count, world.record(&at).await.header(headers::RELEASE)), (3, Some("2")));

    discard(&world.ports, STAGE, &identity, "enough").await.expect("discarded");
    store.park(STAGE, &copy().await, &poison(Code::MappingMissing)).await.expect("parked");
    let row = show(&world.ports, STAGE, &identity).await.expect("a row");
    assert_eq!(row.status, Status::Discarded, "a replay of what was discarded is settled");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_released_holds_up_none_behind_it() {
    let world = World::new();
    let store = world.store(100);
    for number in 1..=3 {
        let record = world.event("acme", number, &format!("{number}")).await;
        store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    }
    // The first one's bytes are gone.
    let key = Key::sorted(STAGE, id(1).to_string());
    let edits = vec![Edit::Set("rawKey", Attr::S("raw/acme/gone.json".to_owned()))];
    let write = Write::edit(&QUARANTINE, key, edits, Condition::Always);
    world.ports.tables.write(write).await.expect("written");
    let acme = VendorId::parse("acme").expect("a vendor");
    let resumed = resume(&world.ports, &acme).await.expect("resumed");
    let released: Vec<_> = resumed.rows.iter().map(|row| row.identity.clone()).collect();
    assert_eq!(released, [id(2).to_string(), id(3).to_string()]);
    let [(_, identity, Refused::Bytes(_))] = resumed.failures.as_slice() else { panic!("{resumed:?}") };
    assert_eq!((identity, resumed.failed), (&id(1).to_string(), 1));
    assert_eq!(show(&world.ports, STAGE, identity).await.expect("a row").status, Status::Open);
}

#[tokio::test(start_paused = true)]
async fn a_change_and_its_entry_in_the_audit_are_there_together() {
    let world = World::new();
    let store = world.store(100);
    for number in [1, 2] {
        let record = world.event("acme", number, "{}").await;
        store.park(STAGE, &record, &poison(Code::MappingMissing)).await.expect("parked");
    }
    // Releasing does not get as far as the record: the row is released all the same, and told of.
    let policy = Arc::new(FailNext::default());
    let faulty = faults::around(&world.ports, "operator", Arc::clone(&policy) as _);
    *policy.0.lock() = Some(("append", Moment::Before));
    release(&faulty, STAGE, &id(1).to_string()).await.expect_err("the log is away");
    release(&world.ports, STAGE, &id(1).to_string()).await.expect("released");
    discard(&world.ports, STAGE, &id(2).to_string(), "theirs").await.expect("discarded");
    let day = audit::day(world.ports.clock.now());
    let entries = audit::list(&*world.ports.tables, &day, None, 100).await.expect("entries");
    assert_eq!(audit::verify(&entries), None);
    let told: Vec<_> = entries
        .iter()
        .map(|Entry { deed, .. }| {
            let of = |value: &serde_json::Value| format!("{} {}", value["status"], value["count"]);
            (deed.action.as_str(), deed.subject.clone(), of(&deed.before), of(&deed.after))
        })
        .collect();
    let [first, second] = [1, 2].map(|number| format!("{STAGE} {}", id(number)));
    let [open, released] = [r#""OPEN" 1"#, r#""RELEASED" 2"#].map(str::to_owned);
    let discarded = r#""DISCARDED" 1"#.to_owned();
    assert_eq!(
        told,
        [
            ("quarantine.release", first, open.clone(), released),
            ("quarantine.discard", second, open, discarded)
        ]
    );
    assert_eq!(entries[1].deed.after["reason"], "theirs");
}

#[tokio::test(start_paused = true)]
async fn revisions_of_a_fact_have_rows_of_their_own() {
    let world = World::new();
    let store = world.store(100);
    for revision in [1, 2] {
        let id = id(1);
        let fact =
            format!(r#"{{"ingestId":"{id}","line":0,"leg":0,"revision":{revision},"vendorId":"acme"}}"#);
        let record = world.produce(topics::NORMALIZED, Some("acme|w|A||"), fact.into(), vec![]).await;
        store.park("dvss.divergence", &record, &poison(Code::FoldTooLong)).await.expect("parked");
    }
    assert_eq!(by_event(&world.ports, id(1)).await.expect("rows").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_its_vendor_and_no_other() {
    let world = World::new();
    let store = world.store(3);
    let acme = VendorId::parse("acme").expect("a vendor");
    let mut records = vec![];
    for number in 0..6 {
        records.push(world.event("acme", number, "{}").await);
    }
    let other = world.event("other", 100, "{}").await;
    for record in &records[..4] {
        assert!(!store.over_budget(STAGE, record).await.expect("known"));
        store.park(STAGE, record, &poison(Code::MappingMissing)).await.expect("parked");
    }
    for store in [&store, &world.store(3)] {
        assert!(store.over_budget(STAGE, &records[4]).await.expect("known"), "also after a restart");
        assert!(!store.over_budget(STAGE, &other).await.expect("known"));
        assert!(
            !store.over_budget("dvss.dedup", &records[4]).await.expect("known"),
            "each stage has its own"
        );
    }
    for record in &records[4..] {
        store.park(STAGE, record, &poison(Code::OverBudget)).await.expect("parked");
    }
    let mut released = records[4].clone();
    released.headers.push((headers::RELEASE.to_owned(), "1".into()));
    assert!(!store.over_budget(STAGE, &released).await.expect("known"), "what is released is tried");

    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(6));
    let before: Vec<i64> = ends(&world).await;
    let resumed = resume(&world.ports, &acme).await.expect("resumed");
    assert_eq!((resumed.released, resumed.failed), (6, 0));
    let mut order = vec![];
    for (index, from) in (0..).zip(before) {
        let read = world.ports.log.read(&Partition::new(topics::ACCEPTED, index), from, 100).await;
        order.extend(
            read.expect("records")
                .0
                .into_iter()
                .filter_map(|r| r.header(headers::INGEST_ID).map(str::to_owned)),
        );
    }
    let expected: Vec<String> = (0..6).map(|number| id(number).to_string()).collect();
    assert_eq!(order, expected, "in the order in which they came");
    sleep(Duration::from_secs(1)).await;
    assert!(!store.over_budget(STAGE, &records[4]).await.expect("known"), "it goes on");
    assert_eq!(resume(&world.ports, &acme).await.expect("resumed").released, 0);
    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_rows_are_listed_and_resumed_whole() {
    const ROWS: u32 = 2_300;
    let world = World::new();
    let store = world.store(100_000);
    let poison = poison(Code::MappingMissing);
    for number in 0..ROWS {
        // Identities in another order than the records'.
        let shuffled = (number * 1_009) % ROWS;
        let vendor = if number % 10 == 0 { "other" } else { "acme" };
        let record = world.event(vendor, shuffled, "{}").await;
        let stage = if number % 2 == 0 { STAGE } else { "dvss.dedup" };
        store.park(stage, &record, &poison).await.expect("parked");
    }
    for stage in [None, Some(STAGE)] {
        let (mut met, mut after, mut pages) = (std::collections::BTreeSet::new(), None, 0);
        loop {
            let (page, next) = list_some(&world.ports, stage, after, 70).await.expect("a page");
            assert!(page.len() <= 70);
            for row in page {
                assert!(met.insert((row.stage.clone(), row.identity.clone())), "{row:?} twice");
            }
            (after, pages) = (next, pages + 1);
            if after.is_none() {
                break;
            }
        }
        let expected = if stage.is_some() { ROWS / 2 } else { ROWS };
        assert_eq!(met.len(), expected as usize, "{stage:?} in {pages} pages");
    }
    let before = ends(&world).await;
    let acme = VendorId::parse("acme").expect("a vendor");
    let resumed = resume(&world.ports, &acme).await.expect("resumed");
    assert_eq!((resumed.released, resumed.failed), (u64::from(ROWS / 10 * 9), 0));
    assert_eq!(resumed.rows.len(), MOST_SHOWN);
    assert_eq!(depth(&*world.ports.tables, STAGE).await, Ok(u64::from(ROWS / 10)), "the other's, all even");
    assert_eq!(depth(&*world.ports.tables, "dvss.dedup").await, Ok(0));
    // By stage, and within it as the records came: the n-th record has number 1,009 n.
    let mut order = Vec::new();
    for (index, from) in (0..).zip(before) {
        let partition = Partition::new(topics::ACCEPTED, index);
        let mut at = from;
        loop {
            let (page, next) = world.ports.log.read(&partition, at, 1_000).await.expect("records");
            if page.is_empty() {
                break;
            }
            order.extend(page.iter().filter_map(|r| r.header(headers::INGEST_ID).map(str::to_owned)));
            at = next;
        }
    }
    let of = |odd: u32| (0..ROWS).filter(move |number| number % 10 != 0 && number % 2 == odd);
    let expected: Vec<String> =
        of(1).chain(of(0)).map(|number| id((number * 1_009) % ROWS).to_string()).collect();
    assert_eq!(order, expected);
}

async fn ends(world: &World) -> Vec<i64> {
    world.ports.log.ends(topics::ACCEPTED).await.expect("ends").iter().map(|ends| ends.stable).collect()
}

async fn rows(ports: &Ports) -> Vec<Parked> {
    list(ports, Some(STAGE), None).await.expect("rows").0
}

/// A stage that can do nothing with `bad` until it is mended.
struct Stage {
    mended: Mutex<bool>,
    handled: Mutex<Vec<String>>,
}

#[async_trait]
impl Processor for Stage {
    const NAME: &'static str = STAGE;
    type Input = String;

    fn decode(&self, record: &RawRecord) -> Result<String, Failure> {
        Ok(String::from_utf8_lossy(&record.value).into_owned())
    }

    async fn handle(&self, value: &String) -> Result<Vec<Output>, Failure> {
        if value.starts_with("bad") && !*self.mended.lock() {
            return Err(Failure::Poison(poison(Code::MappingMissing)));
        }
        self.handled.lock().push(value.clone());
        Ok(vec![])
    }
}

#[tokio::test(start_paused = true)]
async fn the_partition_moves_past_what_is_parked_and_not_past_what_is_not() {
    let world = World::new();
    for number in 0..4 {
        world.event("acme", number, &format!("bad {number}")).await;
    }
    for number in 4..8 {
        world.event("other", number, &format!("good {number}")).await;
    }
    // The tables are down at first.
    let down = Arc::new(Down(Mutex::new(true)));
    let faulty = faults::around(&world.ports, "normalize", Arc::clone(&down) as _);
    let quarantine = Arc::new(QuarantineStore::new(faulty, Arc::clone(&world.codec), Options { budget: 1 }));
    let stage = Arc::new(Stage { mended: Mutex::new(false), handled: Mutex::default() });
    let stop = CancellationToken::new();
    let service = Service::new(
        Arc::clone(&stage),
        Arc::clone(&world.ports.log),
        quarantine,
        &[topics::ACCEPTED],
        "m0",
        runtime::Options::default(),
    );
    let task = tokio::spawn(service.run(stop.clone()));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(lag(&world).await, 8, "nothing is committed while quarantine is down");
    *down.0.lock() = false;
    until_lag_is_0(&world).await;
    assert_eq!(stage.handled.lock().len(), 4, "the other vendor's");
    let codes = rows(&world.ports).await.into_iter().fold(BTreeMap::new(), |mut codes, row| {
        *codes.entry(row.code).or_insert(0) += 1;
        codes
    });
    assert_eq!(codes, [("mapping-missing".to_owned(), 2), ("over-budget".to_owned(), 2)].into());
    assert_eq!(world.count(topics::OUTBOX).await, 4, "each is referred to in the outbox");

    *stage.mended.lock() = true;
    let acme = VendorId::parse("acme").expect("a vendor");
    assert_eq!(resume(&world.ports, &acme).await.expect("resumed").released, 4);
    until_lag_is_0(&world).await;
    let handled = stage.handled.lock().split_off(4);
    assert_eq!(handled, ["bad 0", "bad 1", "bad 2", "bad 3"]);
    assert!(rows(&world.ports).await.iter().all(|row| row.status == Status::Released));
    stop.cancel();
    task.await.expect("no panic").expect("a clean end");
}

async fn lag(world: &World) -> u64 {
    let lags = runtime::lag(&*world.ports.log, STAGE, &[topics::ACCEPTED]).await.expect("lag");
    lags.iter().map(|lag| lag.records).sum()
}

async fn until_lag_is_0(world: &World) {
    let since = Instant::now();
    while lag(world).await > 0 {
        assert!(since.elapsed() < Duration::from_mins(10), "lag stays");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Fails the next call of a method.
#[derive(Default)]
struct FailNext(Mutex<Option<(&'static str, Moment)>>);

#[async_trait]
impl Policy for FailNext {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        let mut next = self.0.lock();
        if *next == Some((call.method, moment)) {
            *next = None;
            return Verdict::Fail;
        }
        Verdict::Go
    }
}

/// Fails every write, while it is so.
struct Down(Mutex<bool>);

#[async_trait]
impl Policy for Down {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        let hit = *self.0.lock() && call.port == "tables" && moment == Moment::Before;
        if hit { Verdict::Fail } else { Verdict::Go }
    }
}
