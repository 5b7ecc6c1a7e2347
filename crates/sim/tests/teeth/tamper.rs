//! Ports that do not do what they say.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ports::blobs::{self, Blobs, Metadata, Object};
use ports::log::{
    self, Batch, Consumer, Coordinates, Ends, Log, Offset, Owner, Partition, Producer, RawRecord, Record,
};
use ports::tables::{self, Cursor, Item, Key, Query, Table, Tables, Write};
use ports::{Ports, blobs::Condition};

/// What is done to calls; as it stands, nothing. Where a method says false, the call does not happen,
/// and its caller is told that it did.
pub trait Tamper: Send + Sync + 'static {
    /// A record is appended.
    fn append(&self, _record: &Record) -> bool {
        true
    }
    /// Records were read without a group.
    fn read(&self, _partition: &Partition, _records: &mut Vec<RawRecord>) {}
    /// Records were polled.
    fn poll(&self, _records: &mut Vec<RawRecord>) {}
    /// Records are produced in a transaction; as many coordinates are returned as were wanted.
    fn send(&self, _records: &mut Vec<Record>) {}
    /// One write.
    fn write(&self, _write: &mut Write) -> bool {
        true
    }
    /// A write's condition did not hold: the rows as they are.
    fn refused(&self, _rows: &mut [Option<Item>]) {}
    /// One transaction.
    fn transact(&self, _writes: &mut Vec<Write>) -> bool {
        true
    }
    /// An object is put.
    fn put(&self) -> bool {
        true
    }
}

/// The same ports, tampered with.
pub fn with(ports: Ports, tamper: impl Tamper) -> Ports {
    let tamper: Arc<dyn Tamper> = Arc::new(tamper);
    let bucket = |inner| Arc::new(Bucket { inner, tamper: Arc::clone(&tamper) });
    Ports {
        log: Arc::new(Logs { inner: ports.log, tamper: Arc::clone(&tamper) }),
        raw: bucket(ports.raw),
        normalized: bucket(ports.normalized),
        invoices: bucket(ports.invoices),
        tables: Arc::new(Rows { inner: ports.tables, tamper: Arc::clone(&tamper) }),
        ..ports
    }
}

struct Logs {
    inner: Arc<dyn Log>,
    tamper: Arc<dyn Tamper>,
}

struct Reader {
    inner: Box<dyn Consumer>,
    tamper: Arc<dyn Tamper>,
}

struct Writer {
    inner: Box<dyn Producer>,
    tamper: Arc<dyn Tamper>,
}

struct Bucket {
    inner: Arc<dyn Blobs>,
    tamper: Arc<dyn Tamper>,
}

struct Rows {
    inner: Arc<dyn Tables>,
    tamper: Arc<dyn Tamper>,
}

#[async_trait]
impl Log for Logs {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: log::First,
    ) -> Result<Box<dyn Consumer>, log::Error> {
        let inner = self.inner.join(group, member, topics, first).await?;
        Ok(Box::new(Reader { inner, tamper: Arc::clone(&self.tamper) }))
    }
    async fn producer(&self, id: &str) -> Result<Box<dyn Producer>, log::Error> {
        let inner = self.inner.producer(id).await?;
        Ok(Box::new(Writer { inner, tamper: Arc::clone(&self.tamper) }))
    }
    async fn append(&self, record: Record) -> Result<Coordinates, log::Error> {
        if self.tamper.append(&record) {
            return self.inner.append(record).await;
        }
        Ok(Coordinates { partition: Partition::new(record.topic, 0), offset: 0 })
    }
    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), log::Error> {
        let (mut records, next) = self.inner.read(partition, from, limit).await?;
        self.tamper.read(partition, &mut records);
        Ok((records, next))
    }
    async fn topics(&self, prefix: &str) -> Result<Vec<String>, log::Error> {
        self.inner.topics(prefix).await
    }
    async fn partitions(&self, topic: &str) -> Result<u32, log::Error> {
        self.inner.partitions(topic).await
    }
    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, log::Error> {
        self.inner.ends(topic).await
    }
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, log::Error> {
        self.inner.committed(group, topic).await
    }
    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), log::Error> {
        self.inner.set_committed(group, next).await
    }
}

#[async_trait]
impl Consumer for Reader {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, log::Error> {
        let mut batch = self.inner.poll(max_records, max_wait).await?;
        self.tamper.poll(&mut batch.records);
        Ok(batch)
    }
    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), log::Error> {
        self.inner.rewind(partition, to, pause).await
    }
    async fn leave(self: Box<Self>) -> Result<(), log::Error> {
        self.inner.leave().await
    }
}

#[async_trait]
impl Producer for Writer {
    async fn begin(&mut self) -> Result<(), log::Error> {
        self.inner.begin().await
    }
    async fn send(&mut self, mut records: Vec<Record>) -> Result<Vec<Coordinates>, log::Error> {
        let wanted = records.len();
        self.tamper.send(&mut records);
        let mut places = self.inner.send(records).await?;
        let nowhere = Coordinates { partition: Partition::new("nowhere", 0), offset: 0 };
        places.resize(wanted, nowhere);
        Ok(places)
    }
    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), log::Error> {
        self.inner.commit(owner, next).await
    }
    async fn abort(&mut self) -> Result<(), log::Error> {
        self.inner.abort().await
    }
}

#[async_trait]
impl Blobs for Bucket {
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
        if self.tamper.put() {
            self.inner.put(key, bytes, metadata, condition).await
        } else {
            Ok(String::new())
        }
    }
    async fn get(&self, key: &str) -> Result<Object, blobs::Error> {
        self.inner.get(key).await
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

#[async_trait]
impl Tables for Rows {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.inner.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.inner.snapshot(rows).await
    }
    async fn write(&self, mut write: Write) -> Result<(), tables::Error> {
        if !self.tamper.write(&mut write) {
            return Ok(());
        }
        self.inner.write(write).await.map_err(|mut error| {
            if let tables::Error::Condition(rows) = &mut error {
                self.tamper.refused(rows);
            }
            error
        })
    }
    async fn transact(&self, token: &str, mut writes: Vec<Write>) -> Result<(), tables::Error> {
        if self.tamper.transact(&mut writes) { self.inner.transact(token, writes).await } else { Ok(()) }
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
