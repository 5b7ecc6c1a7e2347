//! Vendors, the audit and the ingest index on real tables, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use contract::{Timestamp, VendorId};
use embedded::tables::EmbeddedTables;
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key as RowKey, Page, Query, Table, Write};
use rand::SeedableRng;
use rand::rngs::StdRng;
use stores::audit::{self, Deed};
use stores::vendors::{self, Key, Settings};

/// Tables whose next transactions happen and are not answered.
struct Mute {
    tables: EmbeddedTables,
    mute: AtomicUsize,
}

impl Mute {
    fn new() -> Self {
        let engine = embedded::Engine::in_memory();
        let tables = EmbeddedTables::new(engine, &stores::tables::ALL).expect("tables");
        Self { tables, mute: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Tables for Mute {
    async fn get(&self, table: &'static Table, keys: &[RowKey]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, RowKey)]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.snapshot(rows).await
    }
    async fn write(&self, write: Write) -> Result<(), Error> {
        self.tables.write(write).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        self.tables.transact(token, writes).await?;
        let mute = self.mute.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if mute.is_ok() { Err(Error::Unavailable("no answer".to_owned())) } else { Ok(()) }
    }
    async fn query(&self, query: Query) -> Result<Page, Error> {
        self.tables.query(query).await
    }
    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        self.tables.scan(table, after, limit).await
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").expect("time")
}

fn id(text: &str) -> VendorId {
    VendorId::parse(text).expect("id")
}

fn key(vendor: &str, seed: u64) -> Key {
    Key::draw(&id(vendor), &mut StdRng::seed_from_u64(seed))
}

async fn whole_day(tables: &dyn Tables) -> Vec<audit::Entry> {
    let day = audit::list(tables, "2026-11-22", None, 10_000).await.expect("rows");
    assert_eq!(audit::verify(&day), None, "the chain holds");
    day
}

#[tokio::test]
async fn a_vendors_life_and_its_traces() {
    let tables = Mute::new();
    let (first, second, third) = (key("acme", 1), key("acme", 2), key("acme", 3));
    let added = vendors::add(&tables, now(), "ann", Settings::default(), &first).await.expect("added");
    assert_eq!(vendors::get(&tables, &id("acme")).await, Ok(Some(added.clone())));
    let again = vendors::add(&tables, now(), "ann", Settings::default(), &second).await;
    assert_eq!(again, Err(vendors::Error::Exists(id("acme"))));

    let rotated = vendors::rotate(&tables, now(), "ben", &second).await.expect("rotated");
    assert!(vendors::admits(Some(&rotated), &first) && vendors::admits(Some(&rotated), &second));
    assert_eq!(
        vendors::rotate(&tables, now(), "ben", &third).await,
        Err(vendors::Error::TwoKeys(id("acme")))
    );
    let revoked = vendors::revoke(&tables, now(), "ben", &id("acme"), None).await.expect("the older one");
    assert!(!vendors::admits(Some(&revoked), &first) && vendors::admits(Some(&revoked), &second));
    let unknown = vendors::revoke(&tables, now(), "ben", &id("acme"), Some("000000000000")).await;
    assert!(matches!(unknown, Err(vendors::Error::NoSuchKey(..))), "{unknown:?}");
    assert!(
        vendors::revoke(&tables, now(), "ben", &id("acme"), None).await.is_err(),
        "there is no older one"
    );
    vendors::disable(&tables, now(), "ann", &id("acme")).await.expect("disabled");
    let same = vendors::disable(&tables, now(), "ann", &id("acme")).await.expect("nothing changes");
    assert!(same.disabled);
    vendors::enable(&tables, now(), "ann", &id("acme")).await.expect("enabled");
    let bad = Settings { ordering_pointer: Some("payload.sku".to_owned()), ..Settings::default() };
    assert!(matches!(
        vendors::configure(&tables, now(), "ann", &id("acme"), &bad).await,
        Err(vendors::Error::Invalid(_))
    ));
    let nobody = vendors::disable(&tables, now(), "ann", &id("nobody")).await;
    assert_eq!(nobody, Err(vendors::Error::Unknown(id("nobody"))));

    let day = whole_day(&tables).await;
    let deeds: Vec<_> = day.iter().map(|entry| (&*entry.deed.actor, &*entry.deed.action)).collect();
    let expected = [
        ("ann", "vendor.add"),
        ("ben", "vendor.rotate"),
        ("ben", "vendor.revoke"),
        ("ann", "vendor.disable"),
        ("ann", "vendor.enable"),
    ];
    assert_eq!(deeds, expected, "what changed nothing left no trace");
    assert!(day[0].deed.before.is_null());
    assert_eq!(day[1].deed.before, day[0].deed.after);
    let written = format!("{day:?}");
    assert!(!written.contains(first.reveal()) && !written.contains(second.reveal()), "no secrets");
    let (all, next) = vendors::list(&tables, None, 10).await.expect("listed");
    assert_eq!((all.len(), next), (1, None));
    let rest = audit::list(&tables, "2026-11-22", Some(&day[2].id), 1).await.expect("rows");
    assert_eq!(rest, day[3..4], "a page goes on behind the one before");
}

#[tokio::test]
async fn changes_without_an_answer_happen_once() {
    let tables = Mute::new();
    tables.mute.store(2, Ordering::SeqCst);
    vendors::add(&tables, now(), "ann", Settings::default(), &key("acme", 1)).await.expect("recognised");
    assert_eq!(tables.mute.load(Ordering::SeqCst), 0, "the fault happened");
    tables.mute.store(1, Ordering::SeqCst);
    let rotated = vendors::rotate(&tables, now(), "ann", &key("acme", 2)).await.expect("recognised");
    assert_eq!((rotated.keys.len(), rotated.version), (2, 2));
    assert_eq!(whole_day(&tables).await.len(), 2);
}

#[tokio::test]
async fn many_append_at_once() {
    let tables = Arc::new(Mute::new());
    let append = |number: usize| {
        let tables = Arc::clone(&tables);
        tokio::spawn(async move {
            let deed = Deed {
                actor: "ann".to_owned(),
                action: "test.append".to_owned(),
                subject: number.to_string(),
                before: serde_json::Value::Null,
                after: serde_json::Value::from(number),
            };
            // A busy end of the chain is an error that the caller may try again.
            while audit::append(&*tables, now(), &deed).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    for appended in (0..30).map(append).collect::<Vec<_>>() {
        appended.await.expect("no panic");
    }
    let mut subjects: Vec<usize> =
        whole_day(&*tables).await.iter().map(|entry| entry.deed.subject.parse().expect("a number")).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, (0..30).collect::<Vec<_>>());
}
