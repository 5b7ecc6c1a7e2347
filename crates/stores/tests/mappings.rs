//! Mapping documents on tables in memory: who is effective when.

use rand::SeedableRng as _;
use std::sync::Arc;

use contract::{Code, EventType, Timestamp, VendorId};
use embedded::Engine;
use embedded::tables::EmbeddedTables;
use ports::Tables;
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
    let owner = Owner::Vendor(acme());
    let retired = mappings::retire(tables, now(), "op", &owner, &event_type("stock")).await;
    assert_eq!(retired.expect("retired").map(|row| row.activation), Some(7));
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
