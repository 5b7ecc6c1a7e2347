//! Mapping documents on tables in memory: who is effective when.

use rand::SeedableRng as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use contract::{Code, EventType, Timestamp, VendorId};
use embedded::clock::TokioClock;
use embedded::tables::{EmbeddedTables, TornReads};
use embedded::{Embedded, Engine, Parts};
use faults::{Call, Moment, Policy, Verdict};
use parking_lot::Mutex;
use ports::{Ports, Tables};
use stores::audit;
use stores::mappings::{self, Document, Error, Id, Owner, Status};
use stores::tables::ALL;
use stores::vendors::{self, Settings};

fn tables() -> Arc<dyn Tables> {
    Arc::new(EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables in memory"))
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").expect("time")
}

fn acme() -> VendorId {
    VendorId::parse("acme").expect("id")
}

fn event_type(name: &str) -> EventType {
    EventType::parse(name).expect("type")
}

/// `OWNER/TYPE/VERSION`
fn id(text: &str) -> Id {
    let mut parts = text.split('/');
    let mut next = || parts.next().expect("owner/type/version");
    let owner = Owner::parse(next()).expect("owner");
    Id { owner, event_type: event_type(next()), version: next().parse().expect("a version") }
}

fn document(name: &str, text: &str) -> Document {
    Document { id: id(name), text: text.to_owned() }
}

async fn put_active(tables: &dyn Tables, name: &str) -> u64 {
    mappings::put(tables, now(), "op", &document(name, name)).await.expect("put");
    mappings::activate(tables, now(), "op", &id(name)).await.expect("activated").activation
}

/// The effective document for acme's `stock`, and its activation.
async fn effective(tables: &dyn Tables) -> Option<(String, u64)> {
    let (counter, found) = mappings::effective(tables, &acme(), &event_type("stock")).await.expect("read");
    assert_eq!(counter, mappings::counter(tables).await.expect("read"));
    found.map(|effective| (effective.row.id.to_string(), effective.activation))
}

async fn add_acme(tables: &dyn Tables, platform: Option<&str>) {
    let key = vendors::Key::draw(&acme(), &mut rand::rngs::StdRng::seed_from_u64(1));
    let settings = Settings { platform: platform.map(str::to_owned), ..Settings::default() };
    vendors::add(tables, now(), "op", settings, &key).await.expect("added");
}

async fn set_platform(tables: &dyn Tables, platform: Option<&str>) {
    let settings = Settings { platform: platform.map(str::to_owned), ..Settings::default() };
    vendors::configure(tables, now(), "op", &acme(), &settings).await.expect("configured");
}

fn some(name: &str, activation: u64) -> Option<(String, u64)> {
    Some((name.to_owned(), activation))
}

#[tokio::test]
async fn the_vendors_own_before_its_platforms_before_dvss() {
    let tables = tables();
    let tables = &*tables;
    assert_eq!(effective(tables).await, None);
    put_active(tables, "platform:dvss/stock/1").await; // activation 1
    put_active(tables, "platform:other/stock/1").await; // 2: of no platform of acme's
    assert_eq!(effective(tables).await, some("platform:dvss/stock/1", 1));
    add_acme(tables, Some("shop")).await; // 3
    assert_eq!(effective(tables).await, some("platform:dvss/stock/1", 3), "nothing on its platform yet");
    put_active(tables, "platform:shop/stock/1").await; // 4
    assert_eq!(effective(tables).await, some("platform:shop/stock/1", 4));
    put_active(tables, "acme/stock/1").await; // 5
    assert_eq!(effective(tables).await, some("acme/stock/1", 5));
    put_active(tables, "acme/stock#2/1").await; // 6: another event type
    assert_eq!(effective(tables).await, some("acme/stock/1", 5));
    let retired = mappings::retire_all(tables, now(), "op", &[id("acme/stock/1")]).await.expect("retired");
    assert_eq!((retired[0].status, retired[0].activation), (Status::Retired, 7));
    assert_eq!(effective(tables).await, some("platform:shop/stock/1", 7), "the fall back is the newer state");
    set_platform(tables, Some("other")).await; // 8
    assert_eq!(effective(tables).await, some("platform:other/stock/1", 8));
    set_platform(tables, None).await; // 9
    assert_eq!(effective(tables).await, some("platform:dvss/stock/1", 9));
    vendors::disable(tables, now(), "op", &acme()).await.expect("disabled");
    assert_eq!(mappings::counter(tables).await, Ok(9), "what is no other mapping takes no activation");
}

#[tokio::test]
async fn one_version_is_active_and_an_older_one_may_come_back() {
    let tables = tables();
    let tables = &*tables;
    put_active(tables, "acme/stock/1").await;
    put_active(tables, "acme/stock/2").await;
    let states = async || {
        let rows = mappings::list(tables, None).await.expect("read");
        rows.into_iter().map(|row| (row.id.version, row.status, row.activation)).collect::<Vec<_>>()
    };
    assert_eq!(states().await, [(1, Status::Retired, 2), (2, Status::Active, 2)]);
    put_active(tables, "acme/stock/1").await;
    assert_eq!(states().await, [(1, Status::Active, 3), (2, Status::Retired, 3)]);
    put_active(tables, "acme/stock/1").await;
    assert_eq!(mappings::counter(tables).await, Ok(3), "active already");
}

#[tokio::test]
async fn a_text_that_was_active_stays() {
    let tables = tables();
    let tables = &*tables;
    let put = async |name, text| mappings::put(tables, now(), "op", &document(name, text)).await;
    put("acme/stock/1", "one").await.expect("a draft");
    let draft = put("acme/stock/1", "two").await.expect("drafts may change");
    assert_eq!((draft.status, draft.activation), (Status::Draft, 0));
    mappings::activate(tables, now(), "op", &id("acme/stock/1")).await.expect("activated");
    assert_eq!(put("acme/stock/1", "two").await.map(|row| row.status), Ok(Status::Active), "the same text");
    let taken = put("acme/stock/1", "three").await.expect_err("another text");
    assert_eq!(taken.code(), Code::VersionConflict);
    assert_eq!(mappings::show(tables, &id("acme/stock/1")).await.expect("read").expect("there").text, "two");
    let missing = mappings::activate(tables, now(), "op", &id("acme/stock/9")).await;
    assert!(matches!(missing, Err(Error::NotFound(_))));
    let huge = "x".repeat(mappings::MAX_TEXT + 1);
    assert_eq!(put("acme/stock/2", &huge).await.expect_err("too long").code(), Code::MappingInvalid);
    assert_eq!(put("acme/stock/0", "x").await.expect_err("version 0").code(), Code::MappingInvalid);
}

#[tokio::test]
async fn a_vendor_may_be_called_as_the_counter_is() {
    let tables = tables();
    let tables = &*tables;
    put_active(tables, "activation/counter/1").await;
    let owner = Owner::parse("activation").expect("owner");
    assert_eq!(mappings::list(tables, Some(&owner)).await.expect("read").len(), 1);
    assert_eq!(mappings::counter(tables).await, Ok(1));
}

#[tokio::test]
async fn what_comes_with_dvss_is_seeded_once() {
    let tables = tables();
    let tables = &*tables;
    let first = [document("platform:shop/stock/1", "a"), document("platform:shop/order/1", "b")];
    let seeded = mappings::seed(tables, now(), &first).await.expect("seeded");
    assert_eq!(seeded, first.each_ref().map(|document| document.id.clone()));
    assert_eq!(mappings::seed(tables, now(), &first).await, Ok(vec![]), "again");
    let newer = [document("platform:shop/stock/2", "a2"), first[1].clone()];
    assert_eq!(mappings::seed(tables, now(), &newer).await, Ok(vec![id("platform:shop/stock/2")]));
    assert_eq!(mappings::seed(tables, now(), &first).await, Ok(vec![]), "an older dvss beside it");
    put_active(tables, "platform:shop/stock/3").await;
    let newest = [document("platform:shop/stock/3", "a3")];
    assert_eq!(mappings::seed(tables, now(), &newest).await, Ok(vec![]), "an operator's own stays");
    let kept = mappings::show(tables, &id("platform:shop/stock/4")).await.expect("read").expect("kept");
    assert_eq!((kept.status, kept.shipped, &*kept.text), (Status::Draft, true, "a3"));
    assert_eq!(mappings::seed(tables, now(), &newest).await, Ok(vec![]));
}

#[tokio::test]
async fn changes_at_the_same_time_get_numbers_of_their_own() {
    let tables = tables();
    let names = ["acme/a/1", "acme/b/1", "acme/c/1", "acme/d/1"];
    let changes = names.map(|name| {
        let tables = Arc::clone(&tables);
        tokio::spawn(async move { put_active(&*tables, name).await })
    });
    let mut numbers = Vec::new();
    for change in changes {
        numbers.push(change.await.expect("done"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

/// One text for two event types, as a release or an operator puts it.
fn both(version: u32) -> [Document; 2] {
    ["stock", "count"]
        .map(|name| document(&format!("platform:dvss/{name}/{version}"), &format!("v{version}")))
}

async fn put_both(tables: &dyn Tables, version: u32, shipped: bool) -> Result<(), Error> {
    let documents = both(version);
    if shipped {
        return mappings::seed(tables, now(), &documents).await.map(drop);
    }
    mappings::put_all(tables, now(), "op", &documents).await?;
    let ids = documents.map(|document| document.id);
    mappings::activate_all(tables, now(), "op", &ids).await.map(drop)
}

/// The versions that are effective for the two event types, and their activations.
async fn effective_both(tables: &dyn Tables) -> [(u32, u64); 2] {
    let mut found = [(0, 0); 2];
    for (at, name) in ["stock", "count"].into_iter().enumerate() {
        let (_, effective) = mappings::effective(tables, &acme(), &event_type(name)).await.expect("read");
        found[at] = effective.map_or((0, 0), |effective| (effective.row.id.version, effective.activation));
    }
    found
}

/// A process that gets no answer any more from one moment on.
struct DiesAt {
    fault: usize,
    moments: AtomicUsize,
}

#[async_trait::async_trait]
impl Policy for DiesAt {
    async fn at(&self, _: Call, _: Moment) -> Verdict {
        if self.moments.fetch_add(1, Ordering::SeqCst) < self.fault { Verdict::Go } else { Verdict::Fail }
    }
}

fn ports() -> Ports {
    let parts = Parts { tables: ALL.to_vec(), schemas: Vec::new(), topics: Vec::new(), groups: Vec::new() };
    let clock = Arc::new(TokioClock::new(now()));
    Embedded::in_memory(embedded::Options::default(), parts, clock).expect("a store").ports()
}

#[tokio::test(start_paused = true)]
async fn whoever_dies_leaves_all_event_types_of_a_document_on_one_version() {
    for shipped in [false, true] {
        let mut ends = [0, 0];
        for fault in 0.. {
            let ports = ports();
            put_both(&*ports.tables, 1, shipped).await.expect("version 1");
            assert_eq!(effective_both(&*ports.tables).await, [(1, 1); 2], "one activation for both");
            let policy = Arc::new(DiesAt { fault, moments: AtomicUsize::new(0) });
            let dying = faults::around(&ports, "operator", policy);
            let done = put_both(&*dying.tables, 2, shipped).await;
            let found = effective_both(&*ports.tables).await;
            assert!(found == [(1, 1); 2] || found == [(2, 2); 2], "{shipped} {fault}: {found:?}");
            ends[usize::from(found[0].0 == 2)] += 1;
            put_both(&*ports.tables, 2, shipped).await.expect("again");
            assert_eq!(effective_both(&*ports.tables).await, [(2, 2); 2], "{shipped} {fault}");
            if done.is_ok() {
                break;
            }
        }
        // Before the transaction, in it, and after it: it died there, and the last one lived.
        assert!(ends[0] > 2 && ends[1] > 1, "{shipped}: {ends:?}");
    }
}

#[tokio::test]
async fn a_document_is_retired_as_a_whole() {
    let tables = tables();
    let tables = &*tables;
    put_both(tables, 1, false).await.expect("put");
    // Another document has taken one of its event types.
    let ids = both(1).map(|document| document.id);
    let retire = async || mappings::retire_all(tables, now(), "op", &ids).await.expect("retired");
    put_active(tables, "platform:dvss/stock/7").await; // activation 2
    let rows = retire().await;
    let found: Vec<_> = rows.iter().map(|row| (row.status, row.activation)).collect();
    assert_eq!(found, [(Status::Retired, 2), (Status::Retired, 3)]);
    assert_eq!(effective_both(tables).await, [(7, 2), (0, 0)], "what is another's stays");
    assert_eq!(retire().await, rows, "again");
    assert_eq!(mappings::counter(tables).await, Ok(3));
    mappings::activate_all(tables, now(), "op", &ids).await.expect("activated");
    assert_eq!(effective_both(tables).await, [(1, 4), (1, 4)]);
    assert!(retire().await.iter().all(|row| (row.status, row.activation) == (Status::Retired, 5)));
    let missing = mappings::retire_all(tables, now(), "op", &[id("acme/stock/9")]).await;
    assert!(matches!(missing, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_small_document_may_take_the_place_of_many_large_ones() {
    let tables = tables();
    let tables = &*tables;
    let ids = |version: u32| (0..20).map(|at| id(&format!("acme/t{at}/{version}"))).collect::<Vec<_>>();
    let huge = "x".repeat(mappings::MAX_TEXT);
    for id in ids(1) {
        mappings::put(tables, now(), "op", &Document { id: id.clone(), text: huge.clone() })
            .await
            .expect("put");
        mappings::activate(tables, now(), "op", &id).await.expect("activated");
    }
    let one: Vec<_> = ids(2).into_iter().map(|id| Document { id, text: "small".to_owned() }).collect();
    mappings::put_all(tables, now(), "op", &one).await.expect("put");
    let rows = mappings::activate_all(tables, now(), "op", &ids(2)).await.expect("activated");
    assert!(rows.iter().all(|row| row.status == Status::Active));
    let all = mappings::list(tables, Some(&Owner::parse("acme").expect("owner"))).await.expect("read");
    let stands = |status| all.iter().filter(|row| row.status == status).count();
    assert_eq!((stands(Status::Active), stands(Status::Retired), all.len()), (20, 20, 40));
    let error = mappings::activate_all(tables, now(), "op", &ids(1)).await.expect_err("too much at once");
    assert!(error.code() == Code::MappingInvalid && error.to_string().contains("activate fewer"), "{error}");
}

/// What is effective for acme's `stock`: the version and its activation, at a counter.
async fn effective_at(tables: &dyn Tables) -> (u64, (u64, u64)) {
    let (counter, found) = mappings::effective(tables, &acme(), &event_type("stock")).await.expect("read");
    (counter, found.map_or((0, 0), |found| (u64::from(found.row.id.version), found.activation)))
}

/// Which version plain reads call active, 0 where none.
async fn active_by_plain_reads(tables: &dyn Tables) -> u64 {
    let rows = mappings::list(tables, None).await.expect("read");
    rows.iter().find(|row| row.status == Status::Active).map_or(0, |row| u64::from(row.id.version))
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_is_seen_in_part_is_not_taken_for_another() {
    let mut seen_in_part = 0;
    // A transaction writes the document or looks at it, writes the state, takes the number and tells the audit.
    for seen_late in 1_usize..32 {
        let late = move |writes| (0..writes).filter(|place| seen_late >> place & 1 == 1).collect();
        let tables = Arc::new(TornReads::new(tables(), Duration::from_millis(20), Box::new(late)));
        for version in [1_u64, 2, 3] {
            let name = format!("acme/stock/{version}");
            let writer = Arc::clone(&tables);
            let changed = tokio::spawn(async move {
                let document = document(&name, &name);
                if version == 1 {
                    mappings::seed(&*writer, now(), &[document]).await.expect("seeded");
                } else {
                    mappings::put(&*writer, now(), "op", &document).await.expect("put");
                    mappings::activate(&*writer, now(), "op", &id(&name)).await.expect("activated");
                }
            });
            let plain = Arc::clone(&tables);
            let whole = tokio::spawn(async move {
                let mut in_part = 0;
                while mappings::counter(&*plain).await.expect("read") < version
                    || active_by_plain_reads(&*plain).await < version
                {
                    let counter = mappings::counter(&*plain).await.expect("read");
                    in_part += u32::from(counter != active_by_plain_reads(&*plain).await);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                in_part
            });
            while !changed.is_finished() {
                let (counter, found) = effective_at(&*tables).await;
                assert_eq!(found, (counter, counter), "{seen_late:b}: every version has its own activation");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            changed.await.expect("done");
            seen_in_part += whole.await.expect("done");
            assert_eq!(effective_at(&*tables).await, (version, (version, version)));
        }
    }
    assert!(seen_in_part > 100, "plain reads see parts: {seen_in_part}");
}

type Else = Box<dyn FnOnce() -> futures::future::BoxFuture<'static, ()> + Send>;

/// Something else happens before a call to the tables, once.
struct Between {
    method: &'static str,
    happens: Mutex<Option<Else>>,
}

#[async_trait::async_trait]
impl Policy for Between {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        let here = (call.port, call.method, moment) == ("tables", self.method, Moment::Before);
        let happens = if here { self.happens.lock().take() } else { None };
        if let Some(happens) = happens {
            happens().await;
        }
        Verdict::Go
    }
}

/// The tables, where something else happens before the first call of `method`.
fn between(ports: &Ports, method: &'static str, happens: Else) -> Arc<dyn Tables> {
    let policy = Between { method, happens: Mutex::new(Some(happens)) };
    faults::around(ports, "operator", Arc::new(policy)).tables
}

#[tokio::test]
async fn whoever_comes_in_between_is_noticed() {
    let (first, other) = (document("acme/stock/1", "one"), document("acme/stock/1", "two"));
    let text = async |tables: &dyn Tables| {
        let row = mappings::show(tables, &id("acme/stock/1")).await.expect("read").expect("there");
        (row.text, row.status)
    };

    // Somebody activates a draft whose text is being replaced: it keeps the text that it has.
    let ports = ports();
    let tables = &ports.tables;
    mappings::put(&**tables, now(), "op", &first).await.expect("put");
    let inner = Arc::clone(tables);
    let activate: Else = Box::new(|| {
        Box::pin(async move {
            mappings::activate(&*inner, now(), "op", &id("acme/stock/1")).await.expect("activated");
        })
    });
    let disturbed = between(&ports, "transact", activate);
    let taken = mappings::put(&*disturbed, now(), "op", &other).await;
    assert_eq!(taken, Err(Error::Taken(id("acme/stock/1"))));
    assert_eq!(text(&**tables).await, ("one".to_owned(), Status::Active));

    // Somebody replaces the text of a draft that is being activated: who activates it is told of the text that it is.
    let ports = self::ports();
    let tables = &ports.tables;
    mappings::put(&**tables, now(), "op", &first).await.expect("put");
    let inner = Arc::clone(tables);
    let replace: Else = Box::new(move || {
        Box::pin(async move {
            mappings::put(&*inner, now(), "op", &other).await.expect("put");
        })
    });
    let disturbed = between(&ports, "transact", replace);
    let row = mappings::activate(&*disturbed, now(), "op", &id("acme/stock/1")).await.expect("activated");
    assert_eq!((row.text, row.activation), ("two".to_owned(), 1));
    assert_eq!(text(&**tables).await, ("two".to_owned(), Status::Active));

    // Somebody gives the vendor another platform while it is read what is effective.
    let ports = self::ports();
    let tables = &ports.tables;
    add_acme(&**tables, None).await;
    put_active(&**tables, "platform:dvss/stock/1").await;
    put_active(&**tables, "platform:shop/stock/2").await;
    let inner = Arc::clone(tables);
    let platform: Else = Box::new(|| Box::pin(async move { set_platform(&*inner, Some("shop")).await }));
    let disturbed = between(&ports, "snapshot", platform);
    assert_eq!(effective(&*disturbed).await, some("platform:shop/stock/2", 3));
}

#[tokio::test]
async fn the_audit_tells_of_a_document_as_a_whole() {
    let tables = tables();
    let tables = &*tables;
    put_both(tables, 1, false).await.expect("put");
    put_active(tables, "acme/stock/1").await;
    let entries = audit::list(tables, &audit::day(now()), None, 10).await.expect("entries");
    let told: Vec<_> = entries.iter().map(|entry| (&*entry.deed.action, &*entry.deed.subject)).collect();
    let subject = "platform:dvss/stock/1, platform:dvss/count/1";
    assert_eq!(
        told,
        [
            ("mapping.put", subject),
            ("mapping.activate", subject),
            ("mapping.put", "acme/stock/1"),
            ("mapping.activate", "acme/stock/1")
        ]
    );
    assert_eq!(entries[1].deed.after[1]["status"], "active");
    assert_eq!(entries[3].deed.after["status"], "active");
}

#[tokio::test]
async fn what_could_not_be_activated_at_once_is_not_put() {
    let tables = tables();
    let tables = &*tables;
    let documents = |count: usize, text: &str| -> Vec<Document> {
        (0..count).map(|at| document(&format!("acme/t{at}/1"), text)).collect()
    };
    let huge = "x".repeat(mappings::MAX_TEXT);
    for refused in [documents(49, "x"), documents(15, &huge)] {
        let error = mappings::put_all(tables, now(), "op", &refused).await.expect_err("too many");
        assert_eq!(error.code(), Code::MappingInvalid, "{error}");
    }
    assert_eq!(mappings::list(tables, None).await, Ok(vec![]));
    // The second round of each takes the first one's place.
    for (version, count, text) in [(1, 48, "x"), (2, 48, "x"), (3, 14, &*huge), (4, 14, &*huge)] {
        let taken: Vec<Document> = documents(count, text)
            .into_iter()
            .map(|document| Document { id: Id { version, ..document.id }, ..document })
            .collect();
        mappings::put_all(tables, now(), "op", &taken).await.expect("put");
        let ids: Vec<Id> = taken.into_iter().map(|document| document.id).collect();
        let rows = mappings::activate_all(tables, now(), "op", &ids).await.expect("activated");
        assert!(rows.iter().all(|row| row.status == Status::Active), "{version}");
    }
}
