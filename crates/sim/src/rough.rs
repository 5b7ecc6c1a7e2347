//! What only servers do, beneath everything else: a transaction that meets another one or is seen row by row, a put
//! that meets another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use embedded::tables::{Late, TornReads};
use ports::blobs::{self, Blobs, Condition, Metadata, Object};
use ports::tables::{self, Cursor, Item, Key, Query, Table, Tables, Write};

use crate::draw;
use crate::weather::Weather;

/// How long a transaction may be seen in part.
const TORN: Duration = Duration::from_millis(20);

/// Tables whose transactions now and then meet another one, or are seen row by row.
pub struct RoughTables {
    inner: Arc<dyn Tables>,
    weather: Arc<Weather>,
    count: AtomicU64,
}

impl RoughTables {
    /// Around `inner`.
    pub fn new(inner: Arc<dyn Tables>, weather: &Arc<Weather>) -> Self {
        let inner = Arc::new(TornReads::new(inner, TORN, late(weather)));
        Self { inner, weather: Arc::clone(weather), count: AtomicU64::new(0) }
    }
}

/// Every set of a transaction's rows may be the one that is seen late.
fn late(weather: &Arc<Weather>) -> Box<Late> {
    let (weather, count) = (Arc::clone(weather), AtomicU64::new(0));
    Box::new(move |writes| {
        let count = count.fetch_add(1, Ordering::Relaxed);
        if !weather.tears(count) {
            return Vec::new();
        }
        let late = |place: &usize| draw::chance(weather.number(("late", count, *place)), 500_000);
        (0..writes).filter(late).collect()
    })
}

#[async_trait]
impl Tables for RoughTables {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.inner.get(table, keys).await
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        if self.weather.rough("a snapshot meets a transaction", self.count.fetch_add(1, Ordering::Relaxed)) {
            return Err(tables::Error::Conflict);
        }
        self.inner.snapshot(rows).await
    }

    async fn write(&self, write: Write) -> Result<(), tables::Error> {
        self.inner.write(write).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), tables::Error> {
        if self.weather.rough("a transaction meets another one", self.count.fetch_add(1, Ordering::Relaxed)) {
            return Err(tables::Error::Conflict);
        }
        self.inner.transact(token, writes).await
    }

    async fn query(&self, query: Query) -> Result<tables::Page, tables::Error> {
        self.inner.query(query).await
    }

    async fn scan(
        &self,
        table: &'static Table,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<tables::Page, tables::Error> {
        self.inner.scan(table, after, limit).await
    }
}

/// A bucket whose puts now and then meet another one.
pub struct RoughBlobs {
    inner: Arc<dyn Blobs>,
    weather: Arc<Weather>,
    count: AtomicU64,
}

impl RoughBlobs {
    /// Around `inner`.
    pub fn new(inner: Arc<dyn Blobs>, weather: &Arc<Weather>) -> Self {
        Self { inner, weather: Arc::clone(weather), count: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Blobs for RoughBlobs {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: Condition,
    ) -> Result<String, blobs::Error> {
        if self.weather.rough("a put meets another one", self.count.fetch_add(1, Ordering::Relaxed)) {
            return Err(blobs::Error::Conflict);
        }
        self.inner.put(key, bytes, metadata, condition).await
    }

    async fn get(&self, key: &str) -> Result<Object, blobs::Error> {
        self.inner.get(key).await
    }

    async fn version(
        &self,
        key: &str,
        version: Option<&str>,
        most: u64,
    ) -> Result<blobs::Version, blobs::Error> {
        self.inner.version(key, version, most).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<blobs::Page, blobs::Error> {
        self.inner.list(prefix, after, limit).await
    }
}
