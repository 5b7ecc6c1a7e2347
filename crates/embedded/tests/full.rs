//! The disk is full: writes are refused, nothing is torn, and it goes on when there is room.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use embedded::clock::SystemClock;
use embedded::log::{EmbeddedLog, LogOptions, TopicSpec};
use embedded::{Embedded, Engine, Options, Parts};
use ports::log::{Error, Log, Partition, Record};
use tokio::time::Instant;

const LIMIT: u64 = 6 * 1024 * 1024;

fn record(number: usize) -> Record {
    let mut value = vec![b'.'; 20_000];
    value[..8].copy_from_slice(&number.to_be_bytes());
    Record { topic: "t".into(), partition: Some(0), key: None, value: value.into(), headers: Vec::new() }
}

fn open(directory: &tempfile::TempDir, max_bytes: Option<u64>) -> EmbeddedLog {
    let options = Options { max_bytes, ..Options::default() };
    let engine = Engine::open(directory.path(), options).expect("the store opens");
    EmbeddedLog::new(engine, Arc::new(SystemClock), LogOptions::default()).expect("the log opens")
}

async fn numbers(log: &EmbeddedLog, from: i64) -> Vec<(i64, usize)> {
    let (mut from, mut found) = (from, Vec::new());
    loop {
        let (records, next) = log.read(&Partition::new("t", 0), from, 100).await.expect("it reads");
        if next == from {
            return found;
        }
        let number = |value: &Bytes| usize::from_be_bytes(value[..8].try_into().expect("8 bytes"));
        found.extend(records.iter().map(|record| (record.offset, number(&record.value))));
        from = next;
    }
}

/// Appends, many at once, until the log is full. Returns what was acknowledged.
async fn fill(log: &EmbeddedLog, first: usize) -> Vec<(i64, usize)> {
    let mut acknowledged = Vec::new();
    for base in (first..first + 10_000).step_by(16) {
        let appends =
            (base..base + 16).map(|number| async move { (number, log.append(record(number)).await) });
        let mut full = false;
        for (number, appended) in futures::future::join_all(appends).await {
            match appended {
                Ok(placed) => acknowledged.push((placed.offset, number)),
                Err(Error::Full) => full = true,
                Err(other) => panic!("{other}"),
            }
        }
        if full {
            return acknowledged;
        }
    }
    panic!("200 MB went into {LIMIT} bytes");
}

#[tokio::test]
async fn a_full_disk_refuses_and_tears_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(&directory, Some(LIMIT));
    let topics = [TopicSpec { name: "t".to_owned(), partitions: 1 }];
    log.apply(&topics, &[("g", &["t"])]).await.expect("a topic is applied");
    let mut producer = log.producer("p").await.expect("a producer");
    producer.begin().await.expect("a transaction begins");
    producer.send(vec![record(1_000_000)]).await.expect("records are placed");

    let acknowledged = fill(&log, 0).await;
    assert!(acknowledged.len() > 16, "{} records went in", acknowledged.len());
    let size = std::fs::metadata(directory.path().join("dvss.redb")).expect("a file").len();
    assert!(size <= LIMIT, "{size}");

    // Full is full, for transactions too, and reading goes on.
    assert_eq!(log.append(record(9)).await, Err(Error::Full));
    let error = producer.send(vec![record(1_000_001)]).await.expect_err("it is full");
    assert_eq!(error, Error::Full);
    let ends = log.ends("t").await.expect("a topic has ends");
    assert_eq!(ends[0].stable, 0);

    // Room is made from within: the transaction is aborted, old records are forgotten.
    let began = Instant::now();
    // A refusal is remembered for a moment, so the store may need to be asked again.
    while let Err(error) = producer.abort().await {
        assert_eq!(error, Error::Full);
        assert!(began.elapsed() < Duration::from_secs(60), "an abort never fits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ends = log.ends("t").await.expect("a topic has ends");
    assert_eq!(ends[0].stable, ends[0].uncommitted);
    assert_eq!(numbers(&log, 0).await, acknowledged, "no more and no less than was acknowledged");
    loop {
        match log.truncate(&Partition::new("t", 0), acknowledged[acknowledged.len() / 2].0).await {
            Ok(()) => break,
            Err(error) => assert_eq!(error, Error::Full),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "forgetting never fits");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(numbers(&log, 0).await, acknowledged[acknowledged.len() / 2..]);
    let again = fill(&log, 100_000).await;
    assert!(!again.is_empty(), "there was room again");
    let kept = [&acknowledged[acknowledged.len() / 2..], &again[..]].concat();
    assert_eq!(numbers(&log, 0).await, kept);

    // And from without: a larger disk.
    drop((producer, log));
    let log = open(&directory, None);
    assert_eq!(numbers(&log, 0).await, kept);
    let placed = log.append(record(77)).await.expect("there is room");
    assert_eq!(numbers(&log, placed.offset).await, [(placed.offset, 77)]);
}

/// A send is durable with its commit only, so an error of the disk between the two may take its records
/// back. Then the commit is refused; it never commits offsets without their outputs.
#[tokio::test]
async fn a_commit_is_refused_when_the_disk_took_its_records_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(&directory, Some(LIMIT));
    let topics = ["t", "out"].map(|name| TopicSpec { name: name.to_owned(), partitions: 1 });
    log.apply(&topics, &[("g", &["t"])]).await.expect("topics are applied");
    let mut consumer =
        log.join("g", "one", &["t"], ports::log::First::Committed).await.expect("a consumer joins");
    let mut producer = log.producer("p").await.expect("a producer");
    fill(&log, 0).await;
    let small = Record { topic: "out".into(), value: Bytes::from_static(b"small"), ..record(0) };
    let (mut committed, mut refused) = (0, 0);
    for _ in 0..50 {
        let owner = consumer.poll(1, Duration::ZERO).await.expect("a poll").owner;
        producer.begin().await.expect("a transaction begins");
        if let Err(error) = producer.send(vec![small.clone()]).await {
            assert_eq!(error, Error::Full);
            let _ = producer.abort().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        // Makes the store open its file anew, unless there is room.
        let _ = log.append(record(0)).await;
        let outcome = loop {
            match producer.commit(&owner, &[(Partition::new("t", 0), 1)]).await {
                Err(Error::Full) => tokio::time::sleep(Duration::from_millis(20)).await,
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(()) => committed += 1,
            Err(Error::Abort(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        let (visible, _) = log.read(&Partition::new("out", 0), 0, 100).await.expect("it reads");
        assert_eq!(visible.len(), committed);
        if refused > 0 {
            assert_eq!(log.committed("g", "t").await, Ok(vec![Some(i64::from(committed > 0))]));
            return;
        }
    }
    panic!("the disk never took anything back ({committed} were committed)");
}

/// Appends smaller and smaller records until not one byte fits.
async fn fill_to_the_brim(log: &EmbeddedLog) {
    fill(log, 0).await;
    let mut size = 10_000;
    while size > 0 {
        let small = Record { value: vec![b'.'; size].into(), ..record(0) };
        match log.append(small).await {
            Ok(_) => {}
            Err(Error::Full) => {
                size /= 2;
                // A refusal is remembered for a moment.
                tokio::time::sleep(Duration::from_millis(110)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// A process that is killed on a full disk starts again, as often as it likes: what is there needs no room.
/// What it left open is aborted when there is some.
#[tokio::test]
async fn killed_on_a_full_disk_it_opens_at_once() {
    let parts = || Parts {
        topics: ["t", "u"].map(|name| (name.to_owned(), 1)).into(),
        groups: vec![("g".to_owned(), vec!["t".to_owned()])],
        ..Parts::default()
    };
    let open = |directory: &tempfile::TempDir, max_bytes| {
        let options = Options { max_bytes, ..Options::default() };
        Embedded::open(directory.path(), options, parts(), Arc::new(SystemClock))
    };
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&directory, Some(LIMIT)).expect("the store opens");
    let mut producer = store.log.producer("p").await.expect("a producer");
    producer.begin().await.expect("a transaction begins");
    producer.send(vec![Record { topic: "u".into(), ..record(0) }]).await.expect("records are placed");
    fill_to_the_brim(&store.log).await;
    let written = store.log.ends("t").await.expect("ends");
    // What a process that is killed now leaves behind.
    let killed = || {
        let copy = tempfile::tempdir().expect("a directory");
        std::fs::copy(directory.path().join("dvss.redb"), copy.path().join("dvss.redb")).expect("a copy");
        copy
    };
    let (mut dead, mut held_back) = (killed(), 0);
    for start in 0..6 {
        // Both what a killed process left, and what a start on that left.
        if start == 3 {
            dead = killed();
        }
        let store = open(&dead, Some(LIMIT)).unwrap_or_else(|error| panic!("start {start}: {error}"));
        assert_eq!(store.log.ends("t").await.expect("ends"), written);
        let left = store.log.ends("u").await.expect("ends")[0];
        assert!(
            [(0, 1), (2, 2)].contains(&(left.stable, left.uncommitted)),
            "held back or aborted: {left:?}"
        );
        held_back += usize::from(left.stable == 0);
    }
    assert!(held_back > 0, "no start found the disk full");

    let store = open(&dead, None).expect("the store opens on a larger disk");
    let settled = store.log.ends("u").await.expect("ends")[0];
    assert_eq!((settled.stable, settled.uncommitted), (2, 2), "aborted: a record and its marker");
    let mut fresh = store.log.producer("q").await.expect("a producer");
    fresh.begin().await.expect("a transaction begins");
    let placed = fresh.send(vec![Record { topic: "u".into(), ..record(7) }]).await.expect("there is room");
    assert_eq!(placed[0].offset, 2);
}
