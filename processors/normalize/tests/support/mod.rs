//! Events in few words, mappings, and a stage on stores in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, keys, topics};
use embedded::Engine;
use embedded::blobs::EmbeddedBlobs;
use embedded::tables::EmbeddedTables;
use mapping::Mapping;
use normalize::{Normalize, Options, documents};
use parking_lot::Mutex;
use ports::blobs::{self, Metadata, Object};
use ports::log::{Coordinates, Partition, RawRecord};
use ports::tables::{self, Cursor, Item, Key, Query, Table, Write};
use ports::{Blobs, Tables};
use runtime::{Failure, Output, Poison, Processor};
use stores::ingest::{self, Entry};
use stores::{mappings, normalized, records};

/// Stores, and what happens on them.
#[derive(Clone)]
pub struct World {
    pub tables: Arc<dyn Tables>,
    pub objects: Arc<EmbeddedBlobs>,
}

impl World {
    pub fn new() -> Self {
        let objects = Arc::new(EmbeddedBlobs::new(Engine::in_memory(), "normalized"));
        Self { tables: no_tables(), objects }
    }

    /// The same objects; tables of their own, as of a process that has not heard of what came since.
    pub fn beside(&self) -> Self {
        Self { tables: no_tables(), objects: Arc::clone(&self.objects) }
    }

    /// Puts and activates a document.
    pub async fn activate(&self, text: &str) -> u64 {
        let mut activation = 0;
        for document in documents(&Mapping::parse(text).expect("a mapping"), text) {
            mappings::put(&*self.tables, now(), "op", &document).await.expect("put");
            let active = mappings::activate(&*self.tables, now(), "op", &document.id).await;
            activation = active.expect("activated").activation;
        }
        activation
    }

    pub async fn retire(&self, owner: &str, event_type: &str) {
        let owner = mappings::Owner::parse(owner).expect("owner");
        let event_type = EventType::parse(event_type).expect("type");
        let rows = mappings::list(&*self.tables, Some(&owner)).await.expect("read");
        let ids: Vec<_> =
            rows.into_iter().map(|row| row.id).filter(|id| id.event_type == event_type).collect();
        mappings::retire_all(&*self.tables, now(), "op", &ids).await.expect("retired");
    }

    pub fn stage(&self) -> Normalize {
        Normalize::new(Arc::clone(&self.tables), Arc::clone(&self.objects) as _, Options::default())
    }

    /// What the loop does with an accepted event, in a new process each time.
    pub async fn take(&self, said: &Said) -> Result<Vec<Output>, Failure> {
        self.claim(said).await;
        take(&self.stage(), said).await
    }

    /// What dedup did before.
    pub async fn claim(&self, said: &Said) {
        let event = records::event(&said.record()).expect("headers");
        let source = Coordinates { partition: Partition::new(topics::RAW, 0), offset: 0 };
        ingest::claim(&*self.tables, &event, &source).await.expect("claimed");
    }

    pub async fn object(&self, said: &Said) -> Option<normalized::Object> {
        let stored = normalized::get(&*self.objects, &said.key()).await.expect("readable");
        stored.map(|stored| stored.object)
    }

    pub async fn entry(&self, said: &Said) -> Entry {
        let Draft { vendor_id, external_event_id, .. } = said.event().draft;
        let entry = ingest::lookup(&*self.tables, &vendor_id, &external_event_id).await;
        entry.expect("tables in memory").expect("claimed")
    }

    /// A process that dies at its `fault`-th moment: even ones before a call's effect, odd ones after.
    pub fn crashing_at(&self, fault: usize) -> Normalize {
        let life = Arc::new(Life { moments: AtomicUsize::new(0), fault });
        let tables = Arc::new(Mortal { inner: Arc::clone(&self.tables), life: Arc::clone(&life) });
        let objects = Arc::new(Mortal { inner: Arc::clone(&self.objects) as Arc<dyn Blobs>, life });
        Normalize::new(tables, objects, Options::default())
    }
}

fn no_tables() -> Arc<dyn Tables> {
    let tables = EmbeddedTables::new(Engine::in_memory(), &stores::tables::ALL);
    Arc::new(tables.expect("tables in memory"))
}

pub async fn take(stage: &Normalize, said: &Said) -> Result<Vec<Output>, Failure> {
    stage.handle(&stage.decode(&said.record())?).await
}

pub fn now() -> Timestamp {
    time("2026-11-22T12:00:00Z")
}

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// acme's mapping of `stock`: a fact an item, `rules` being the fields beside the sku.
pub fn stock(version: u32, fields: &str) -> String {
    format!(
        "mapping: v1\nvendor: acme\neventType: stock\nversion: {version}\nfacts:\n  - type: InventoryUpdated\n    \
         each: .items[]\n    fields: {{warehouseId: {{from: .place, optional: true}}, {fields}}}\n"
    )
}

/// The poison that it came to.
pub fn poison(outcome: Result<Vec<Output>, Failure>) -> Poison {
    match outcome {
        Err(Failure::Poison(poison)) => poison,
        other => panic!("no poison but {other:?}"),
    }
}

/// The values of records, in order, each cut down to what a test looks at:
/// `LINE.LEG rREVISION SKU QUANTITY`, retracted ones with a minus before the SKU.
pub fn shown(outputs: &[Output]) -> Vec<String> {
    let one = |output: &Output| {
        let fact: serde_json::Value = serde_json::from_slice(&output.record.value).expect("json");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let minus = if fact["retracted"] == true { "-" } else { "" };
        let (sku, quantity) = (text(&fact["data"]["sku"]), text(&fact["data"]["quantityOnHand"]));
        format!("{}.{} r{} {minus}{sku} {quantity}", fact["line"], fact["leg"], fact["revision"])
    };
    outputs.iter().map(one).collect()
}

/// What `acme` says.
#[derive(Debug, Clone)]
pub struct Said {
    pub external_event_id: &'static str,
    pub event_type: &'static str,
    pub mode: Mode,
    pub bytes: Bytes,
    pub sha256: Fingerprint,
    pub traceparent: Option<String>,
    pub against: Option<IngestId>,
}

impl Said {
    /// An envelope with the payload `{"items":[…]}`.
    pub fn items(items: &str) -> Self {
        Self::bytes(Mode::Envelope, format!(r#"{{"vendorId":"acme","payload":{{"items":[{items}]}}}}"#))
    }

    pub fn bytes(mode: Mode, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let sha256 = Fingerprint::of_bytes(&bytes);
        Self {
            external_event_id: "e1",
            event_type: "stock",
            mode,
            bytes,
            sha256,
            traceparent: None,
            against: None,
        }
    }

    pub fn event(&self) -> Event {
        let vendor_id = VendorId::parse("acme").expect("id");
        let external_event_id = ExternalEventId::parse(self.external_event_id).expect("id");
        let occurred_at = time("2026-11-22T11:00:00Z");
        let ingest_id = IngestId::derive(&vendor_id, &external_event_id, occurred_at);
        let key = keys::raw(&vendor_id, occurred_at, ingest_id);
        Event {
            draft: Draft {
                ingest_id,
                vendor_id,
                external_event_id,
                event_type: EventType::parse(self.event_type).expect("type"),
                occurred_at,
                fingerprint: Fingerprint::of_bytes(&self.bytes),
                mode: self.mode,
                content_type: "application/json".to_owned(),
            },
            received_at: now(),
            raw_ref: RawRef { bucket: "raw".to_owned(), key },
            sha256: self.sha256,
            traceparent: self.traceparent.clone(),
            conflict_with: self.against,
            release: 0,
        }
    }

    pub fn key(&self) -> String {
        let Draft { event_type, occurred_at, ingest_id, .. } = self.event().draft;
        keys::normalized(&event_type, occurred_at, ingest_id)
    }

    pub fn record(&self) -> RawRecord {
        let headers = self.event().to_headers().into_iter();
        RawRecord {
            partition: Partition::new(topics::ACCEPTED, 0),
            offset: 0,
            timestamp: 0,
            key: Some(Bytes::from_static(b"acme")),
            value: self.bytes.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), Bytes::from(value))).collect(),
        }
    }
}

/// A process's life: from one moment on it gets no answer, and nothing of it happens.
struct Life {
    moments: AtomicUsize,
    fault: usize,
}

impl Life {
    fn lives(&self) -> Result<(), String> {
        match self.moments.fetch_add(1, Ordering::SeqCst) {
            moment if moment >= self.fault => Err(format!("dead at {}", self.fault)),
            _ => Ok(()),
        }
    }
}

struct Mortal<P: ?Sized> {
    inner: Arc<P>,
    life: Arc<Life>,
}

impl<P: ?Sized> Mortal<P> {
    async fn call<T, E>(
        &self,
        dead: impl Fn(String) -> E,
        effect: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.life.lives().map_err(&dead)?;
        let answer = effect.await;
        self.life.lives().map_err(&dead)?;
        answer
    }
}

#[async_trait]
impl Tables for Mortal<dyn Tables> {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.get(table, keys)).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.snapshot(rows)).await
    }
    async fn write(&self, write: Write) -> Result<(), tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.write(write)).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.transact(token, writes)).await
    }
    async fn query(&self, query: Query) -> Result<tables::Page, tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.query(query)).await
    }
    async fn scan(
        &self,
        table: &'static Table,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<tables::Page, tables::Error> {
        self.call(tables::Error::Unavailable, self.inner.scan(table, after, limit)).await
    }
}

#[async_trait]
impl Blobs for Mortal<dyn Blobs> {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: blobs::Condition,
    ) -> Result<String, blobs::Error> {
        self.call(blobs::Error::Unavailable, self.inner.put(key, bytes, metadata, condition)).await
    }
    async fn get(&self, key: &str) -> Result<Object, blobs::Error> {
        self.call(blobs::Error::Unavailable, self.inner.get(key)).await
    }
    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<blobs::Page, blobs::Error> {
        self.call(blobs::Error::Unavailable, self.inner.list(prefix, after, limit)).await
    }
}

/// Tables that count how often each kind of read is made.
pub struct Counting {
    pub inner: Arc<dyn Tables>,
    pub gets: AtomicUsize,
    pub snapshots: AtomicUsize,
}

#[async_trait]
impl Tables for Counting {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.inner.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        self.inner.snapshot(rows).await
    }
    async fn write(&self, write: Write) -> Result<(), tables::Error> {
        self.inner.write(write).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), tables::Error> {
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

/// Something that happens while a process is at work: once, just before its first conditional write of
/// what it has read or settled.
pub struct Meanwhile<P: ?Sized> {
    inner: Arc<P>,
    event: Mutex<Option<BoxFuture>>,
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl<P: ?Sized> Meanwhile<P> {
    pub fn new(inner: Arc<P>, event: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        Arc::new(Self { inner, event: Mutex::new(Some(Box::pin(event))) })
    }

    pub fn happened(&self) -> bool {
        self.event.lock().is_none()
    }

    async fn happen(&self) {
        let event = self.event.lock().take();
        if let Some(event) = event {
            event.await;
        }
    }
}

#[async_trait]
impl Blobs for Meanwhile<dyn Blobs> {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: blobs::Condition,
    ) -> Result<String, blobs::Error> {
        if matches!(condition, blobs::Condition::Match(_)) {
            self.happen().await;
        }
        self.inner.put(key, bytes, metadata, condition).await
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
impl Tables for Meanwhile<dyn Tables> {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.inner.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.inner.snapshot(rows).await
    }
    async fn write(&self, write: Write) -> Result<(), tables::Error> {
        self.happen().await;
        self.inner.write(write).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), tables::Error> {
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
