//! The contracts of blobs and of schemas, on disk and in memory.

use std::sync::Arc;

use bytes::Bytes;
use embedded::blobs::EmbeddedBlobs;
use embedded::schemas::EmbeddedSchemas;
use embedded::{Engine, Options};
use ports::blobs::{Condition, Error, Metadata};
use ports::suite::schemas::KNOWN;
use ports::{Blobs, Schemas};
use tempfile::TempDir;

fn store() -> (Engine, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    (Engine::open(dir.path(), Options::default()).expect("a store"), dir)
}

async fn on_disk() -> (Arc<dyn Blobs>, TempDir) {
    let (engine, dir) = store();
    (Arc::new(EmbeddedBlobs::new(engine, "bucket")), dir)
}

async fn in_memory() -> (Arc<dyn Blobs>, ()) {
    (Arc::new(EmbeddedBlobs::new(Engine::in_memory(), "bucket")), ())
}

fn known(engine: &Engine) -> Arc<dyn Schemas> {
    let known = KNOWN.map(|(subject, text)| (subject.to_owned(), text.to_owned()));
    Arc::new(EmbeddedSchemas::new(engine, known.into()).expect("schemas"))
}

async fn schemas_on_disk() -> (Arc<dyn Schemas>, TempDir) {
    let (engine, dir) = store();
    (known(&engine), dir)
}

async fn schemas_in_memory() -> (Arc<dyn Schemas>, ()) {
    (known(&Engine::in_memory()), ())
}

mod disk {
    ports::blobs_suite!(super::on_disk);
    ports::schemas_suite!(super::schemas_on_disk);
}

mod memory {
    ports::blobs_suite!(super::in_memory);
    ports::schemas_suite!(super::schemas_in_memory);
}

#[tokio::test]
async fn other_bytes_than_were_written_are_corrupt() {
    let (engine, _dir) = store();
    let blobs = EmbeddedBlobs::new(engine, "bucket");
    for size in [3, 100_000] {
        let key = format!("{size}");
        let bytes = Bytes::from(vec![b'x'; size]);
        let etag = blobs.put(&key, bytes.clone(), Metadata::new(), Condition::Absent).await.unwrap();
        let mut altered = bytes.to_vec();
        altered[1] ^= 1;
        for stored in [Bytes::from(altered), bytes.slice(..size - 1), Bytes::new()] {
            blobs.corrupt(&key, stored).await.unwrap();
            assert_eq!(blobs.get(&key).await, Err(Error::Corrupt));
        }
        blobs.corrupt(&key, bytes.clone()).await.unwrap();
        assert_eq!(blobs.get(&key).await.unwrap().etag, etag);
    }
    assert_eq!(blobs.corrupt("absent", Bytes::new()).await, Err(Error::NotFound));
}

#[tokio::test]
async fn buckets_are_apart_and_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Engine::open(dir.path(), Options::default()).unwrap();
    let small = Bytes::from_static(b"small");
    let large = Bytes::from(vec![b'x'; 100_000]);
    {
        let blobs = EmbeddedBlobs::new(open(), "one");
        for (key, bytes) in [("small", &small), ("large", &large)] {
            blobs.put(key, bytes.clone(), Metadata::new(), Condition::Absent).await.unwrap();
        }
    }
    let engine = open();
    let (one, two) = (EmbeddedBlobs::new(engine.clone(), "one"), EmbeddedBlobs::new(engine, "two"));
    assert_eq!(one.get("small").await.unwrap().bytes, small);
    assert_eq!(one.get("large").await.unwrap().bytes, large);
    assert_eq!(two.get("small").await, Err(Error::NotFound));
    assert!(two.list("", None, 10).await.unwrap().entries.is_empty());
}
