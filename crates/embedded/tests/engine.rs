//! The engine: groups of changes, what an error undoes, what the disk holds.

use std::collections::BTreeSet;
use std::convert::Infallible;

use contract::Code;
use embedded::{Durability, Engine, OpenError, Options, StoreError};
use redb::{ReadableTable, TableDefinition, WriteTransaction};

const TABLE: TableDefinition<u64, u64> = TableDefinition::new("test");

type Answer<E> = Result<Result<(), E>, redb::Error>;

fn put(key: u64) -> impl FnOnce(&WriteTransaction) -> Answer<Infallible> + Send + 'static {
    move |transaction| {
        transaction.open_table(TABLE)?.insert(key, key)?;
        Ok(Ok(()))
    }
}

fn keys(engine: &Engine) -> BTreeSet<u64> {
    let found = engine.read(|snapshot| {
        let mut found = BTreeSet::new();
        for row in snapshot.open_table(TABLE)?.iter()? {
            found.insert(row?.0.value());
        }
        Ok(found)
    });
    found.expect("the store reads")
}

async fn accepted(engine: &Engine, durability: Durability, key: u64) {
    let Ok(()) = engine.write(durability, put(key)).await.expect("the store takes a row");
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(directory: &tempfile::TempDir) -> Engine {
    Engine::open(directory.path(), Options::default()).expect("the store opens")
}

#[tokio::test]
async fn what_was_answered_is_there_after_opening_again() {
    let directory = directory();
    let engine = open(&directory);
    let many: Vec<_> = (0..200)
        .map(|key| {
            let engine = engine.clone();
            tokio::spawn(async move { accepted(&engine, Durability::Immediate, key).await })
        })
        .collect();
    for task in many {
        task.await.expect("no task panics");
    }
    accepted(&engine, Durability::Eventual, 200).await;
    assert_eq!(keys(&engine), (0..=200).collect(), "readers see what was answered");
    drop(engine);
    assert_eq!(keys(&open(&directory)), (0..=200).collect(), "closing makes eventual changes durable");
}

/// Copies the file of a running store, as a crash would leave it, and opens the copy.
fn as_after_a_crash(directory: &tempfile::TempDir) -> (tempfile::TempDir, Engine) {
    let copy = self::directory();
    std::fs::copy(directory.path().join("dvss.redb"), copy.path().join("dvss.redb")).expect("a copy");
    let engine = open(&copy);
    (copy, engine)
}

#[tokio::test]
async fn an_eventual_change_is_durable_with_the_next_immediate_one_and_soon_without() {
    let directory = directory();
    let engine = open(&directory);
    accepted(&engine, Durability::Immediate, 0).await;
    accepted(&engine, Durability::Eventual, 1).await;
    accepted(&engine, Durability::Immediate, 2).await;
    assert_eq!(keys(&as_after_a_crash(&directory).1), [0, 1, 2].into());
    accepted(&engine, Durability::Eventual, 3).await;
    let began = tokio::time::Instant::now();
    while !keys(&as_after_a_crash(&directory).1).contains(&3) {
        assert!(began.elapsed().as_secs() < 60, "nobody made it durable");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn errors_undo_what_they_must(engine: Engine) {
    accepted(&engine, Durability::Immediate, 1).await;
    let refused = engine.write(Durability::Immediate, |transaction: &WriteTransaction| {
        let taken = transaction.open_table(TABLE)?.get(1)?.is_some();
        Ok(if taken { Err("taken") } else { Ok(()) })
    });
    assert_eq!(refused.await, Ok(Err("taken")));

    let failed = engine.write(Durability::Immediate, |transaction: &WriteTransaction| -> Answer<()> {
        transaction.open_table(TABLE)?.insert(2, 2)?;
        Err(redb::Error::TableDoesNotExist("nowhere".to_owned()))
    });
    assert!(matches!(failed.await, Err(StoreError::Failed(message)) if message.contains("nowhere")));

    let panicked = engine.write(Durability::Immediate, |transaction: &WriteTransaction| -> Answer<()> {
        transaction.open_table(TABLE)?.insert(3, 3)?;
        panic!("a change that panics (this test wants it)");
    });
    assert!(matches!(panicked.await, Err(StoreError::Failed(_))));
    accepted(&engine, Durability::Immediate, 4).await;
    assert_eq!(keys(&engine), [1, 4].into());

    let seen = engine.read_ordered(|transaction| Ok(transaction.open_table(TABLE)?.get(4)?.is_some()));
    assert_eq!(seen.await, Ok(true));
}

#[tokio::test]
async fn errors_undo_what_they_must_on_disk() {
    let directory = directory();
    errors_undo_what_they_must(open(&directory)).await;
    assert_eq!(keys(&open(&directory)), [1, 4].into());
}

#[tokio::test(start_paused = true)]
async fn errors_undo_what_they_must_in_memory() {
    errors_undo_what_they_must(Engine::in_memory()).await;
}

#[tokio::test]
async fn a_dropped_future_takes_nothing_back() {
    let directory = directory();
    let engine = open(&directory);
    let (began, hold) =
        (std::sync::Arc::new(tokio::sync::Notify::new()), std::sync::mpsc::sync_channel::<()>(1));
    let (release, held) = hold;
    let told = std::sync::Arc::clone(&began);
    let slow = engine.write(Durability::Immediate, move |transaction: &WriteTransaction| {
        told.notify_one();
        let _ = held.recv();
        put(7)(transaction)
    });
    tokio::select! {
        _ = slow => panic!("it waits for its release"),
        () = began.notified() => (),
    }
    release.send(()).expect("the change waits");
    accepted(&engine, Durability::Immediate, 8).await;
    assert_eq!(keys(&engine), [7, 8].into());
}

#[test]
fn a_second_opening_is_told_what_to_do() {
    let directory = directory();
    let engine = open(&directory);
    let error = Engine::open(directory.path(), Options::default()).err().expect("it is in use");
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    assert_eq!(error.code(), Code::DataDirectoryLocked);
    assert!(error.to_string().contains("--data"), "{error}");
    drop(engine);
    open(&directory);
}

#[test]
fn another_format_is_refused() {
    let directory = directory();
    drop(open(&directory));
    {
        let database = redb::Database::open(directory.path().join("dvss.redb")).expect("it opens");
        let transaction = database.begin_write().expect("a transaction");
        let meta: TableDefinition<&str, u64> = TableDefinition::new("meta");
        transaction.open_table(meta).expect("a table").insert("format", 99).expect("a row");
        transaction.commit().expect("a commit");
    }
    let error = Engine::open(directory.path(), Options::default()).err().expect("it is too new");
    assert!(matches!(error, OpenError::Format { found: 99, .. }), "{error}");
    assert_eq!(error.code(), Code::DataDirectoryFormat);
}

#[test]
fn what_is_not_a_store_is_refused() {
    let directory = directory();
    std::fs::write(directory.path().join("dvss.redb"), "not a store at all").expect("a file");
    let error = Engine::open(directory.path(), Options::default()).err().expect("it is no store");
    assert!(matches!(error, OpenError::Failed { full: false, .. }), "{error}");
    let under_a_file = directory.path().join("dvss.redb").join("deeper");
    let error = Engine::open(&under_a_file, Options::default()).err().expect("no directory can be there");
    assert_eq!(error.code(), Code::Unavailable);
}
