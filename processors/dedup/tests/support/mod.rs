//! Events in few words, and a stage on tables in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use contract::canonical::RawRef;
use contract::event::{Draft, Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, keys, topics};
use dedup::{Dedup, Options};
use embedded::Engine;
use embedded::clock::TokioClock;
use embedded::schemas::EmbeddedSchemas;
use embedded::tables::EmbeddedTables;
use ports::log::{Partition, RawRecord};
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Table, Write};
use ports::{Clock, Tables};
use runtime::{Failure, Output, Processor};
use stores::codec::Codec;
use stores::ingest::{self, Entry};

/// Tables, and what a stage needs beside them.
pub struct World {
    pub tables: Arc<dyn Tables>,
    codec: Arc<Codec>,
    clock: Arc<dyn Clock>,
}

impl World {
    pub fn new() -> Self {
        let engine = Engine::in_memory();
        let tables = EmbeddedTables::new(engine.clone(), &stores::tables::ALL).expect("tables in memory");
        let schemas = stores::codec::schemas().into_iter().map(|(subject, text)| (subject, text.to_owned()));
        let schemas = EmbeddedSchemas::new(&engine, schemas.collect()).expect("schemas in memory");
        Self {
            tables: Arc::new(tables),
            codec: Arc::new(Codec::new(Arc::new(schemas))),
            clock: Arc::new(TokioClock::new(time("2026-11-22T12:00:00Z"))),
        }
    }

    /// What the loop does with a record, in a new process each time.
    pub async fn take(&self, record: &RawRecord) -> Result<Vec<Output>, Failure> {
        let stage = self.on(Arc::clone(&self.tables));
        stage.handle(&stage.decode(record)?).await
    }

    /// A process that dies at its `fault`-th moment: even ones before a call's effect, odd ones after.
    pub fn crashing_at(&self, fault: usize) -> Dedup {
        let moments = AtomicUsize::new(0);
        self.on(Arc::new(Crashing { inner: Arc::clone(&self.tables), moments, fault }))
    }

    fn on(&self, tables: Arc<dyn Tables>) -> Dedup {
        Dedup::new(tables, Arc::clone(&self.codec), Arc::clone(&self.clock), Options::default())
    }

    /// Who has the id of every [`Said`].
    pub async fn entry(&self) -> Option<Entry> {
        let Draft { vendor_id, external_event_id, .. } = Said::new("2026-11-16T10:00:00Z", "").event().draft;
        ingest::lookup(&*self.tables, &vendor_id, &external_event_id).await.expect("tables in memory")
    }
}

pub fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// What the vendor `acme` says under the id `shop#7`.
#[derive(Debug, Clone)]
pub struct Said {
    occurred_at: Timestamp,
    payload: &'static str,
    against: Option<IngestId>,
    release: u32,
    offset: i64,
}

impl Said {
    pub fn new(date: &str, payload: &'static str) -> Self {
        Self { occurred_at: time(date), payload, against: None, release: 0, offset: 0 }
    }

    /// Flagged by the gateway as a conflict with `winner`.
    pub fn against(self, winner: IngestId) -> Self {
        Self { against: Some(winner), ..self }
    }

    pub fn released(self, release: u32) -> Self {
        Self { release, ..self }
    }

    pub fn at(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    pub fn id(&self) -> IngestId {
        self.event().draft.ingest_id
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_bytes(self.payload.as_bytes())
    }

    pub fn raw_ref(&self) -> RawRef {
        self.event().raw_ref
    }

    pub fn event(&self) -> Event {
        let vendor_id = VendorId::parse("acme").expect("id");
        let external_event_id = ExternalEventId::parse("shop#7").expect("id");
        let ingest_id = IngestId::derive(&vendor_id, &external_event_id, self.occurred_at);
        let key = match self.against {
            Some(_) => keys::conflict(&vendor_id, self.occurred_at, ingest_id, self.fingerprint()),
            None => keys::raw(&vendor_id, self.occurred_at, ingest_id),
        };
        Event {
            draft: Draft {
                ingest_id,
                vendor_id,
                external_event_id,
                event_type: EventType::parse("stock").expect("type"),
                occurred_at: self.occurred_at,
                fingerprint: self.fingerprint(),
                mode: Mode::Envelope,
                content_type: "application/json".to_owned(),
            },
            received_at: time("2026-11-22T12:00:00Z"),
            raw_ref: RawRef { bucket: "raw".to_owned(), key },
            sha256: self.fingerprint(),
            traceparent: None,
            conflict_with: self.against,
            release: self.release,
        }
    }

    pub fn record(&self) -> RawRecord {
        let headers = self.event().to_headers().into_iter();
        RawRecord {
            partition: Partition::new(topics::RAW, 3),
            offset: self.offset,
            timestamp: 0,
            key: Some(Bytes::from_static(b"acme")),
            value: Bytes::from_static(self.payload.as_bytes()),
            headers: headers.map(|(name, value)| (name.to_owned(), Bytes::from(value))).collect(),
        }
    }
}

/// Tables whose caller dies at one moment: from there on nothing is answered, and nothing happens.
struct Crashing {
    inner: Arc<dyn Tables>,
    moments: AtomicUsize,
    fault: usize,
}

impl Crashing {
    async fn call<T>(&self, effect: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        self.moment()?;
        let answer = effect.await;
        self.moment()?;
        answer
    }

    fn moment(&self) -> Result<(), Error> {
        match self.moments.fetch_add(1, Ordering::SeqCst) {
            moment if moment >= self.fault => Err(Error::Unavailable(format!("dead at {}", self.fault))),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Tables for Crashing {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        self.call(self.inner.get(table, keys)).await
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        self.call(self.inner.snapshot(rows)).await
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        self.call(self.inner.write(write)).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        self.call(self.inner.transact(token, writes)).await
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        self.call(self.inner.query(query)).await
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        self.call(self.inner.scan(table, after, limit)).await
    }
}
