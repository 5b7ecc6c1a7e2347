//! Buckets: S3's conditional puts, on the store.
//!
//! A bucket is a tree of objects by key. What lies beside an object's bytes stands before them: a format
//! byte, whether the bytes are here or in the tree of large objects, their SHA-256, their length and the
//! metadata. The entity tag is the SHA-256, and as with S3 it tells bytes apart, not writes.

use std::ops::Bound;

use async_trait::async_trait;
use bytes::Bytes;
use contract::Fingerprint;
use ports::Blobs;
use ports::blobs::{Condition, Entry, Error, Metadata, Object, Page, check};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use tokio::task::coop::consume_budget;

use crate::{Durability, Engine, StoreError};
use head::Head;

mod head;

/// Most bytes of an object that stands in the tree of keys; a listing reads past those.
const MAX_INLINE: usize = 16 * 1_024;

type Read<T> = Result<Result<T, Error>, redb::Error>;

/// One bucket of a store.
#[derive(Clone)]
pub struct EmbeddedBlobs {
    engine: Engine,
    bucket: String,
    trees: Trees,
}

/// Names of the bucket's trees.
#[derive(Debug, Clone)]
struct Trees {
    objects: String,
    large: String,
}

impl Trees {
    /// Keys, heads, and bytes of small objects.
    fn objects(&self) -> TableDefinition<'_, &'static str, &'static [u8]> {
        TableDefinition::new(&self.objects)
    }

    /// Bytes of large objects.
    fn large(&self) -> TableDefinition<'_, &'static str, &'static [u8]> {
        TableDefinition::new(&self.large)
    }
}

impl EmbeddedBlobs {
    /// A bucket, which is there as soon as something is in it.
    pub fn new(engine: Engine, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        let trees = Trees { objects: format!("objects/{bucket}"), large: format!("large/{bucket}") };
        Self { engine, bucket, trees }
    }

    /// For tests: puts other bytes in the place of an object's, as a failing disk would; the checksum and
    /// all else stay.
    pub async fn corrupt(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        let (trees, key) = (self.trees.clone(), key.to_owned());
        let change = move |transaction: &WriteTransaction| {
            let objects = transaction.open_table(trees.objects())?;
            let head =
                objects.get(key.as_str())?.and_then(|row| Head::read(row.value()).map(|(head, _)| head));
            drop(objects);
            let Some(head) = head else { return Ok(Err(Error::NotFound)) };
            insert(transaction, &trees, &key, head, &bytes).map(Ok)
        };
        self.engine.write(Durability::Immediate, change).await.map_err(of_store)?
    }
}

#[async_trait]
impl Blobs for EmbeddedBlobs {
    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: Condition,
    ) -> Result<String, Error> {
        check::key(key)?;
        check::metadata(&metadata)?;
        let head = Head::of(&bytes, metadata);
        let etag = head.etag();
        let (trees, key) = (self.trees.clone(), key.to_owned());
        let change = move |transaction: &WriteTransaction| {
            let objects = transaction.open_table(trees.objects())?;
            let there = objects.get(key.as_str())?;
            let holds = match &condition {
                Condition::Absent => there.is_none(),
                Condition::Match(tag) => there
                    .as_ref()
                    .and_then(|row| Head::read(row.value()))
                    .is_some_and(|(head, _)| head.etag() == *tag),
            };
            drop(there);
            drop(objects);
            if !holds {
                return Ok(Err(Error::Precondition));
            }
            insert(transaction, &trees, &key, head, &bytes).map(Ok)
        };
        self.engine.write(Durability::Immediate, change).await.map_err(of_store)??;
        Ok(etag)
    }

    async fn get(&self, key: &str) -> Result<Object, Error> {
        // The store never waits here; the scheduler must get its turn all the same.
        consume_budget().await;
        check::key(key)?;
        let (head, bytes) =
            self.engine.read(|transaction| get(transaction, &self.trees, key)).map_err(of_store)??;
        if Fingerprint::of_bytes(&bytes) != head.sha256 {
            return Err(Error::Corrupt);
        }
        let etag = head.etag();
        Ok(Object { bytes, metadata: head.metadata, etag, sha256: head.sha256 })
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        consume_budget().await;
        let limit = check::limit(limit)?;
        self.engine
            .read(|transaction| list(transaction, &self.trees, prefix, after, limit))
            .map_err(of_store)?
    }
}

/// Puts an object in the place of whatever is there.
fn insert(
    transaction: &WriteTransaction,
    trees: &Trees,
    key: &str,
    mut head: Head,
    bytes: &[u8],
) -> Result<(), redb::Error> {
    let mut objects = transaction.open_table(trees.objects())?;
    head.apart = bytes.len() > MAX_INLINE;
    let mut row = head.bytes();
    if !head.apart {
        row.extend_from_slice(bytes);
    }
    let before = objects.insert(key, row.as_slice())?;
    let was_apart = before.and_then(|row| Head::read(row.value()).map(|(head, _)| head.apart));
    if head.apart {
        transaction.open_table(trees.large())?.insert(key, bytes)?;
    } else if was_apart == Some(true) {
        transaction.open_table(trees.large())?.remove(key)?;
    }
    Ok(())
}

fn get(transaction: &ReadTransaction, trees: &Trees, key: &str) -> Read<(Head, Bytes)> {
    let objects = match transaction.open_table(trees.objects()) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Err(Error::NotFound)),
        opened => opened?,
    };
    let Some(row) = objects.get(key)? else { return Ok(Err(Error::NotFound)) };
    let Some((head, inline)) = Head::read(row.value()) else { return Ok(Err(Error::Corrupt)) };
    if !head.apart {
        let bytes = Bytes::copy_from_slice(inline);
        return Ok(Ok((head, bytes)));
    }
    let Some(bytes) = transaction.open_table(trees.large())?.get(key)? else {
        return Ok(Err(Error::Corrupt));
    };
    Ok(Ok((head, Bytes::copy_from_slice(bytes.value()))))
}

fn list(
    transaction: &ReadTransaction,
    trees: &Trees,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Read<Page> {
    let objects = match transaction.open_table(trees.objects()) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Ok(Page::default())),
        opened => opened?,
    };
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let mut page = Page::default();
    for row in objects.range::<&str>((from, Bound::Unbounded))? {
        let (key, row) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if page.entries.len() == limit {
            page.next = page.entries.last().map(|entry| entry.key.clone());
            break;
        }
        let Some((head, _)) = Head::read(row.value()) else { return Ok(Err(Error::Corrupt)) };
        page.entries.push(Entry { key: key.value().to_owned(), size: head.size });
    }
    Ok(Ok(page))
}

fn of_store(error: StoreError) -> Error {
    match error {
        StoreError::Full => Error::Full,
        StoreError::Failed(message) => Error::Unavailable(message),
    }
}
