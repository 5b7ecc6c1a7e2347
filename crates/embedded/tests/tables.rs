//! The contract of tables: on disk, in memory, with lagging indexes and transactions that are seen row by row.

use std::sync::Arc;
use std::time::Duration;

use contract::Timestamp;
use embedded::clock::TokioClock;
use embedded::tables::{EmbeddedTables, LaggingIndexes, TornReads};
use embedded::{Engine, Options};
use ports::suite::tables::{ALL, PLAIN, SORTED};
use ports::tables::{Attr, Condition, Edit, Error, Item, Key, Query, Table, Write, get_one};
use ports::{Tables, tables};
use tempfile::TempDir;

fn open(dir: &TempDir, tables: &[&'static Table]) -> EmbeddedTables {
    let engine = Engine::open(dir.path(), Options::default()).expect("a store");
    EmbeddedTables::new(engine, tables).expect("tables")
}

async fn on_disk() -> (Arc<dyn Tables>, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (Arc::new(open(&dir, &ALL)), dir)
}

async fn in_memory() -> (Arc<dyn Tables>, ()) {
    (Arc::new(EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables")), ())
}

/// Lags by three writes.
async fn unsteady() -> (Arc<dyn Tables>, ()) {
    let tables = EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables");
    (Arc::new(LaggingIndexes::new(Arc::new(tables), 3)), ())
}

/// Of each transaction, every second row is seen late.
fn tearing(lasting: Duration) -> Arc<dyn Tables> {
    let tables = EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables");
    Arc::new(TornReads::new(Arc::new(tables), lasting, Box::new(|writes| (0..writes).step_by(2).collect())))
}

async fn torn() -> (Arc<dyn Tables>, ()) {
    (tearing(Duration::from_millis(2)), ())
}

mod disk {
    ports::tables_suite!(super::on_disk);
}

mod rows_seen_late {
    ports::tables_suite!(super::torn);
}

mod memory {
    ports::tables_suite!(super::in_memory);
}

mod lagging {
    ports::tables_suite!(super::unsteady);
}

fn pending(number: i64) -> Item {
    Item::from([
        ("shard".to_owned(), Attr::S("p00".into())),
        ("since".to_owned(), Attr::S(format!("{number:03}"))),
        ("n".to_owned(), Attr::N(number)),
    ])
}

fn put(number: i64) -> Write {
    Write::put(&SORTED, Key::sorted("pk", format!("{number:03}")), pending(number), Condition::Absent)
}

async fn count(tables: &dyn Tables, query: Query) -> usize {
    tables.query(query).await.expect("a page").rows.len()
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let add = || vec![Write::edit(&PLAIN, Key::of("n"), vec![Edit::Add("n", 1)], Condition::Always)];
    let tables = open(&dir, &ALL);
    tables.write(put(1)).await.unwrap();
    tables.transact("token", add()).await.unwrap();
    drop(tables);

    let tables = open(&dir, &ALL);
    assert_eq!(get_one(&tables, &SORTED, Key::sorted("pk", "001")).await, Ok(Some(pending(1))));
    assert_eq!(count(&tables, Query::over(&SORTED, "pending", "p00")).await, 1);
    tables.transact("token", add()).await.unwrap();
    let counted = Item::from([("n".to_owned(), Attr::N(1))]);
    assert_eq!(
        get_one(&tables, &PLAIN, Key::of("n")).await,
        Ok(Some(counted)),
        "a token outlives the process"
    );
    let others = vec![Write::edit(&PLAIN, Key::of("n"), vec![Edit::Add("n", 2)], Condition::Always)];
    assert!(matches!(tables.transact("token", others).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_new_index_gets_the_rows_that_are_there() {
    static BEFORE: Table = Table { name: "suite_sorted", sorted: true, indexes: &[] };
    let dir = tempfile::tempdir().unwrap();
    let tables = open(&dir, &[&BEFORE]);
    for number in 0..5 {
        tables.write(Write { table: &BEFORE, ..put(number) }).await.unwrap();
    }
    tables.write(Write::put(&BEFORE, Key::sorted("pk", "x"), Item::new(), Condition::Always)).await.unwrap();
    drop(tables);

    let tables = open(&dir, &[&SORTED]);
    assert_eq!(count(&tables, Query::over(&SORTED, "pending", "p00")).await, 5);
    assert_eq!(count(&tables, Query::of(&SORTED, "pk")).await, 6);
}

#[tokio::test]
async fn a_table_that_was_not_opened_is_refused() {
    let tables = EmbeddedTables::new(Engine::in_memory(), &[&PLAIN]).unwrap();
    assert!(matches!(tables.write(put(1)).await, Err(Error::Invalid(_))));
    assert!(matches!(tables.query(Query::of(&SORTED, "pk")).await, Err(Error::Invalid(_))));
    assert!(matches!(tables.scan(&SORTED, None, 1).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_check_needs_a_transaction_and_a_cursor_its_own_query() {
    let tables = EmbeddedTables::new(Engine::in_memory(), &ALL).unwrap();
    let check = Write { change: tables::Change::Check, ..put(1) };
    assert!(matches!(tables.write(check).await, Err(Error::Invalid(_))));
    for number in 0..3 {
        tables.write(put(number)).await.unwrap();
    }
    let next = tables.query(Query { limit: 1, ..Query::of(&SORTED, "pk") }).await.unwrap().next;
    assert!(next.is_some());
    let query = Query { after: next, ..Query::of(&SORTED, "other") };
    assert!(matches!(tables.query(query).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_lagging_index_lags_and_catches_up() {
    let inner = EmbeddedTables::new(Engine::in_memory(), &ALL).unwrap();
    let tables = LaggingIndexes::new(Arc::new(inner), 2);
    let index = || Query::over(&SORTED, "pending", "p00");
    for number in 0..5 {
        tables.write(put(number)).await.unwrap();
        assert_eq!(get_one(&tables, &SORTED, put(number).key).await, Ok(Some(pending(number))));
    }
    assert_eq!(count(&tables, Query::of(&SORTED, "pk")).await, 5, "the table itself does not lag");
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(count(&tables, index()).await);
    }
    assert_eq!(seen, [3, 4, 5, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_for_ten_minutes() {
    let start = Timestamp::parse("2026-03-16T08:35:06Z").unwrap();
    let tables =
        EmbeddedTables::new(Engine::in_memory(), &ALL).unwrap().with_clock(Arc::new(TokioClock::new(start)));
    let add = || vec![Write::edit(&PLAIN, Key::of("n"), vec![Edit::Add("n", 1)], Condition::Always)];
    let counted = async || get_one(&tables, &PLAIN, Key::of("n")).await.unwrap().unwrap()["n"].as_i64();
    tables.transact("token", add()).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    tables.transact("token", add()).await.unwrap();
    assert_eq!(counted().await, Some(1));
    tokio::time::advance(Duration::from_secs(120)).await;
    tables.transact("another token", add()).await.unwrap();
    tables.transact("token", add()).await.unwrap();
    assert_eq!(counted().await, Some(3), "tokens are not kept for ever");
}

#[tokio::test]
async fn a_conflict_writes_nothing_and_passes() {
    let inner = EmbeddedTables::new(Engine::in_memory(), &ALL).unwrap();
    let tables = LaggingIndexes::new(Arc::new(inner), 0);
    tables.conflict(2);
    for expected in [Err(Error::Conflict), Err(Error::Conflict), Ok(()), Ok(())] {
        let before = get_one(&tables, &SORTED, put(1).key).await.unwrap();
        assert_eq!(tables.transact("token", vec![put(1)]).await, expected);
        let after = get_one(&tables, &SORTED, put(1).key).await.unwrap();
        assert!(expected.is_ok() || before == after);
    }
    assert_eq!(get_one(&tables, &SORTED, put(1).key).await, Ok(Some(pending(1))));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_seen_row_by_row_until_it_returns_and_whole_by_a_snapshot() {
    let tables = tearing(Duration::from_millis(20));
    let numbered = |key: &str, number| {
        let item = Item::from([("n".to_owned(), Attr::N(number))]);
        Write::put(&PLAIN, Key::of(key), item, Condition::Always)
    };
    let number = |row: &Option<Item>| row.as_ref().and_then(|item| item["n"].as_i64());
    let keys = ["first", "second"].map(Key::of);
    let read = async || {
        let rows = tables.get(&PLAIN, &keys).await.expect("a read");
        let scanned = tables.scan(&PLAIN, None, 9).await.expect("a page").rows;
        assert_eq!(rows.iter().flatten().count(), scanned.len());
        rows.iter().map(number).collect::<Vec<_>>()
    };
    let both = |value| keys.each_ref().map(|key| numbered(&key.pk, value)).to_vec();
    for (token, before, after) in [("one", None, Some(1)), ("two", Some(1), Some(2))] {
        let writer = Arc::clone(&tables);
        let writes = both(after.unwrap_or_default());
        let writing = tokio::spawn(async move { writer.transact(token, writes).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(read().await, [before, after], "in part");
        let asked = keys.each_ref().map(|key| (&PLAIN, key.clone()));
        let whole = tables.snapshot(&asked).await.expect("a snapshot");
        assert_eq!(whole.iter().map(number).collect::<Vec<_>>(), [after; 2], "all of it");
        assert!(writing.is_finished(), "the snapshot waited");
        assert_eq!(read().await, [after; 2]);
    }
}
