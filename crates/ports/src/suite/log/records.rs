//! Records and where they are.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::partition::partition_of;

/// Key, value and headers come back as they were given, absent and empty ones too.
pub async fn records_read_back(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "records_read_back");
    harness.topic(topic, 1, &[]).await;
    let full = Record {
        topic: topic.into(),
        partition: Some(0),
        key: Some(Bytes::from_static(b"\x00key")),
        value: Bytes::from_static(b"\xff\x00"),
        headers: vec![
            ("name".to_owned(), Bytes::from_static(b"first")),
            ("name".to_owned(), Bytes::from_static(b"\xfe")),
            ("empty".to_owned(), Bytes::new()),
        ],
    };
    let bare = record(topic, Some(0), None, "");
    let empty_key = record(topic, Some(0), Some(""), "x");
    let mut placed = Vec::new();
    for record in [&full, &bare, &empty_key] {
        placed.push(log.append(record.clone()).await.expect("the log takes a record"));
    }
    let partition = Partition::new(topic, 0);
    let (read, _) = log.read(&partition, 0, 10).await.expect("a partition reads");
    assert_eq!(read.len(), 3);
    for ((sent, placed), read) in [full, bare, empty_key].iter().zip(placed).zip(read) {
        assert_eq!((&placed.partition, placed.offset), (&read.partition, read.offset));
        assert_eq!((&sent.key, &sent.value, &sent.headers), (&read.key, &read.value, &read.headers));
        assert!(read.timestamp > 0, "a record has the time of its production");
    }
}

/// Records of a partition have ascending offsets in the order in which they were taken.
pub async fn a_partition_keeps_its_order(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "a_partition_keeps_its_order");
    harness.topic(topic, 2, &[]).await;
    let mut offsets = Vec::new();
    for number in 0..20 {
        let place = log.append(record(topic, Some(number % 2), None, &number.to_string())).await;
        offsets.push(place.expect("the log takes a record").offset);
    }
    for index in 0..2 {
        let (read, end) = log.read(&Partition::new(topic, index), 0, 100).await.expect("a partition reads");
        let expected: Vec<String> = (0..20).filter(|n| n % 2 == index).map(|n| n.to_string()).collect();
        assert_eq!(values(&read), expected);
        assert!(read.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let ends = log.ends(topic).await.expect("a topic has ends");
        let ends = ends[usize::try_from(index).expect("it is small")];
        assert_eq!((ends.start, ends.stable, ends.uncommitted), (0, end, end));
    }
}

/// A record with a key goes to the partition that Kafka's own clients choose; one without, to 0.
pub async fn keys_go_where_kafka_puts_them(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "keys_go_where_kafka_puts_them");
    harness.topic(topic, 7, &[]).await;
    let mut used = BTreeSet::new();
    for number in 0..30 {
        let key = format!("vendor-{number}");
        let placed = log.append(record(topic, None, Some(&key), "")).await.expect("the log takes a record");
        assert_eq!(placed.partition, Partition::new(topic, partition_of(Some(key.as_bytes()), 7)));
        used.insert(placed.partition.index);
    }
    assert!(used.len() > 3, "30 keys spread");
    let placed = log.append(record(topic, None, None, "")).await.expect("the log takes a record");
    assert_eq!(placed.partition.index, 0);
}

/// A read returns at most what was asked for and tells where to go on; at the end it stays there.
pub async fn reads_go_on_where_they_ended(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "reads_go_on_where_they_ended");
    harness.topic(topic, 1, &[]).await;
    append_all(&*log, topic, 0, &["a", "b", "c", "d", "e"]).await;
    let partition = Partition::new(topic, 0);
    let (mut from, mut read) = (0, Vec::new());
    for _ in 0..5 {
        let (records, next) = log.read(&partition, from, 2).await.expect("a partition reads");
        assert!(records.len() <= 2);
        read.extend(values(&records).into_iter().map(str::to_owned));
        from = next;
    }
    assert_eq!(read, ["a", "b", "c", "d", "e"]);
    let (records, next) = log.read(&partition, from, 2).await.expect("a partition reads");
    assert_eq!((records.len(), next), (0, from));
    append_all(&*log, topic, 0, &["f"]).await;
    let (records, _) = log.read(&partition, from, 2).await.expect("a partition reads");
    assert_eq!(values(&records), ["f"]);
}

/// Appends made at the same time are each there once, at an offset of its own.
pub async fn appends_at_once_are_all_there(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "appends_at_once_are_all_there");
    harness.topic(topic, 1, &[]).await;
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.append(plain(topic, &number.to_string())).await })
        })
        .collect();
    let mut offsets = BTreeSet::new();
    for task in tasks {
        let placed = task.await.expect("no task panics").expect("the log takes a record");
        offsets.insert(placed.offset);
    }
    assert_eq!(offsets.len(), 100);
    let read: BTreeSet<String> = committed_values(&*log, topic, 0).await.into_iter().collect();
    assert_eq!(read, (0..100).map(|number: u32| number.to_string()).collect());
}

/// Topics and partitions that do not exist are named, and are never made on the way.
pub async fn what_is_missing_is_named(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "what_is_missing_is_named");
    harness.topic(topic, 1, &[]).await;
    let missing = |error: Error, name: &str| match error {
        Error::Missing(message) => assert!(message.contains(name), "{message} names {name}"),
        other => panic!("{other} instead of a missing {name}"),
    };
    for _ in 0..2 {
        let absent = "what_is_missing_is_named-absent";
        missing(log.append(plain(absent, "")).await.expect_err("no topic"), absent);
        missing(log.partitions(absent).await.expect_err("no topic"), absent);
        missing(log.ends(absent).await.expect_err("no topic"), absent);
        missing(log.committed("group", absent).await.expect_err("no topic"), absent);
        missing(log.read(&Partition::new(topic, 1), 0, 1).await.expect_err("no partition"), topic);
        missing(log.append(record(topic, Some(1), None, "")).await.expect_err("no partition"), topic);
    }
    assert_eq!(log.partitions(topic).await, Ok(1));
}

/// A record beyond the configured size is refused with both sizes, and nothing is written.
pub async fn a_record_too_large_is_refused(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "a_record_too_large_is_refused");
    harness.topic(topic, 1, &[]).await;
    let value = "x".repeat(harness.max_record_bytes() + 1);
    let error = log.append(plain(topic, &value)).await.expect_err("it is too large");
    assert!(matches!(error, Error::TooLarge { size, most } if size > most), "{error}");
    append_all(&*log, topic, 0, &["small"]).await;
    assert_eq!(committed_values(&*log, topic, 0).await, ["small"]);
}
