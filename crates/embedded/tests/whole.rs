//! All ports on one store, opened as the binary opens it.

use std::sync::Arc;

use bytes::Bytes;
use contract::Code;
use embedded::{Embedded, OpenError, Options, Parts, SystemClock};
use ports::blobs::{Condition, Metadata};
use ports::log::{Partition, Record};
use ports::suite::tables::PLAIN;
use ports::tables::{Item, Key, Write, get_one};

fn parts() -> Parts {
    Parts {
        tables: vec![&PLAIN],
        schemas: vec![("t-value".to_owned(), r#"{"type":"string"}"#.to_owned())],
        topics: vec![("t".to_owned(), 2)],
        groups: vec![("g".to_owned(), vec!["t".to_owned()])],
    }
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || Embedded::open(directory.path(), Options::default(), parts(), Arc::new(SystemClock));
    let record = Record {
        topic: "t".into(),
        partition: Some(1),
        key: None,
        value: Bytes::from_static(b"v"),
        headers: Vec::new(),
    };
    let id = {
        let ports = open().expect("the store opens").ports();
        ports.log.append(record).await.expect("the log takes a record");
        let put = ports.raw.put("k", Bytes::from_static(b"b"), Metadata::new(), Condition::Absent).await;
        put.expect("the bucket takes an object");
        let row = Write::put(&PLAIN, Key::of("k"), Item::new(), ports::tables::Condition::Always);
        ports.tables.write(row).await.expect("the table takes a row");
        ports.schemas.id("t-value", r#"{"type":"string"}"#).await.expect("the schema has an id")
    };
    let ports = open().expect("the store opens again").ports();
    let (read, _) = ports.log.read(&Partition::new("t", 1), 0, 10).await.expect("the log reads");
    assert_eq!(read.len(), 1);
    assert_eq!(ports.log.committed("g", "t").await, Ok(vec![Some(0), Some(0)]));
    assert_eq!(ports.raw.get("k").await.expect("the object reads").bytes, Bytes::from_static(b"b"));
    assert!(ports.normalized.get("k").await.is_err(), "buckets are apart");
    assert_eq!(get_one(&*ports.tables, &PLAIN, Key::of("k")).await, Ok(Some(Item::new())));
    assert_eq!(ports.schemas.id("t-value", r#"{"type":"string"}"#).await, Ok(id));
}

#[test]
fn partition_counts_never_change_in_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = |count| {
        let parts = Parts { topics: vec![("t".to_owned(), count)], ..parts() };
        Embedded::open(directory.path(), Options::default(), parts, Arc::new(SystemClock))
    };
    drop(open(2).expect("the store opens"));
    for (count, shown) in [(1, "2 partitions"), (3, "2 partitions"), (0, "at least one")] {
        let error = open(count).err().expect("it is refused");
        assert!(matches!(error, OpenError::Topics { .. }), "{error}");
        assert_eq!(error.code(), Code::ConfigInvalid);
        assert!(error.to_string().contains(shown), "{error}");
    }
    let unknown = Parts { groups: vec![("g".to_owned(), vec!["nowhere".to_owned()])], ..parts() };
    let error = Embedded::in_memory(Options::default(), unknown, Arc::new(SystemClock)).err();
    assert_eq!(error.expect("it is refused").code(), Code::TopicMissing);
}
