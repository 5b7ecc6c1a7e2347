//! A running gateway with a vendor, and ports that fail on demand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::{Timestamp, VendorId, topics};
use embedded::blobs::EmbeddedBlobs;
use embedded::clock::TokioClock;
use embedded::log::{EmbeddedLog, LogOptions, TopicSpec};
use embedded::schemas::EmbeddedSchemas;
use embedded::tables::EmbeddedTables;
use gateway::{Gateway, Inbound, Options};
use parking_lot::Mutex;
use ports::log::{
    Consumer, Coordinates, Ends, Error as LogError, First, Offset, Partition, Producer, RawRecord, Record,
};
use ports::{Blobs, Clock, Log, Ports, blobs};
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::StatusCode;
use serde_json::Value;
use stores::vendors::{self, Key, Rate, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const NOW: &str = "2026-11-22T12:00:00Z";
pub const PARTITIONS: u32 = 3;

/// What a call does instead of what it should.
pub enum Fault<E> {
    /// Fails and does nothing.
    Before(E),
    /// Does it and fails.
    After(E),
    /// Never answers.
    Hang,
    /// Waits until told, then does it.
    Wait(Arc<tokio::sync::Notify>),
}

/// Faults for the next calls, in order.
pub type Script<E> = Arc<Mutex<VecDeque<Fault<E>>>>;

pub struct FaultyBlobs {
    inner: EmbeddedBlobs,
    pub puts: Script<blobs::Error>,
    pub gets: Script<blobs::Error>,
}

pub struct FaultyLog {
    inner: EmbeddedLog,
    pub appends: Script<LogError>,
}

async fn under<T, E>(script: &Script<E>, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let fault = script.lock().pop_front();
    match fault {
        None => call.await,
        Some(Fault::Before(error)) => Err(error),
        Some(Fault::After(error)) => {
            call.await?;
            Err(error)
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Wait(until)) => {
            until.notified().await;
            call.await
        }
    }
}

#[async_trait]
impl Blobs for FaultyBlobs {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: blobs::Metadata,
        condition: blobs::Condition,
    ) -> Result<String, blobs::Error> {
        under(&self.puts, self.inner.put(key, bytes, metadata, condition)).await
    }
    async fn get(&self, key: &str) -> Result<blobs::Object, blobs::Error> {
        under(&self.gets, self.inner.get(key)).await
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
impl Log for FaultyLog {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, LogError> {
        self.inner.join(group, member, topics, first).await
    }
    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, LogError> {
        self.inner.producer(transactional_id).await
    }
    async fn append(&self, record: Record) -> Result<Coordinates, LogError> {
        under(&self.appends, self.inner.append(record)).await
    }
    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), LogError> {
        self.inner.read(partition, from, limit).await
    }
    async fn topics(&self, prefix: &str) -> Result<Vec<String>, LogError> {
        Log::topics(&self.inner, prefix).await
    }
    async fn partitions(&self, topic: &str) -> Result<u32, LogError> {
        self.inner.partitions(topic).await
    }
    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, LogError> {
        self.inner.ends(topic).await
    }
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, LogError> {
        self.inner.committed(group, topic).await
    }
    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), LogError> {
        self.inner.set_committed(group, next).await
    }
}

/// A gateway that runs, with the vendor `acme`.
pub struct Running {
    pub address: SocketAddr,
    pub ports: Ports,
    pub blobs: Arc<FaultyBlobs>,
    pub log: Arc<FaultyLog>,
    pub client: reqwest::Client,
    /// The Kafka door; nobody runs it yet.
    pub inbound: Arc<Inbound>,
    /// Of `acme`.
    pub key: String,
    pub stop: CancellationToken,
    pub served: JoinHandle<std::io::Result<()>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    /// The problem's code, or the status's word.
    pub fn word(&self) -> &str {
        let word = self.json["code"].as_str().or_else(|| self.json["status"].as_str());
        word.unwrap_or_else(|| panic!("neither a receipt nor a problem: {self:?}"))
    }

    pub fn text(&self, member: &str) -> &str {
        self.json[member].as_str().unwrap_or_else(|| panic!("no {member} in {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl Running {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let engine = embedded::Engine::in_memory();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(Timestamp::parse(NOW).expect("time")));
        let log = EmbeddedLog::new(engine.clone(), Arc::clone(&clock), LogOptions::default()).expect("a log");
        let raw = TopicSpec { name: topics::RAW.to_owned(), partitions: PARTITIONS };
        let inbound = ["acme", "stranger"]
            .map(|vendor| TopicSpec { name: format!("{}{vendor}", topics::INBOUND), partitions: 1 });
        let outbox = TopicSpec { name: topics::OUTBOX.to_owned(), partitions: 1 };
        log.apply(&[vec![raw, outbox], inbound.to_vec()].concat(), &[]).await.expect("topics");
        let log = Arc::new(FaultyLog { inner: log, appends: Script::default() });
        let blobs = Arc::new(FaultyBlobs {
            inner: EmbeddedBlobs::new(engine.clone(), "raw-bucket"),
            puts: Script::default(),
            gets: Script::default(),
        });
        let schemas = stores::codec::schemas().into_iter();
        let schemas = schemas.map(|(subject, text)| (subject, text.to_owned())).collect();
        let ports = Ports {
            log: log.clone(),
            raw: blobs.clone(),
            normalized: Arc::new(EmbeddedBlobs::new(engine.clone(), "normalized")),
            invoices: Arc::new(EmbeddedBlobs::new(engine.clone(), "invoices")),
            tables: Arc::new(EmbeddedTables::new(engine.clone(), &stores::tables::ALL).expect("tables")),
            schemas: Arc::new(EmbeddedSchemas::new(&engine, schemas).expect("schemas")),
            clock,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let gateway = Gateway::new(ports.clone(), options);
        let inbound = gateway.inbound();
        let served = tokio::spawn({
            let stop = stop.clone();
            async move { gateway.serve(listener, stop).await }
        });
        let client =
            reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("client");
        let mut running =
            Self { address, ports, blobs, log, client, inbound, key: String::new(), stop, served };
        running.key = running.vendor("acme", Settings::default()).await;
        running
    }

    /// Adds a vendor and returns its key.
    pub async fn vendor(&self, id: &str, settings: Settings) -> String {
        let key = key(id, 1);
        let now = self.ports.clock.now();
        vendors::add(&*self.ports.tables, now, "test", settings, &key).await.expect("added");
        key.reveal().to_owned()
    }

    pub fn request(&self, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address)).bearer_auth(key)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.expect("a body");
        let json: Value = serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{status} {:?}: {error}", String::from_utf8_lossy(&body)));
        let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
        assert_eq!(headers["content-type"], kind, "{json}");
        if !status.is_success() {
            for member in ["type", "title", "status", "detail", "code"] {
                assert!(!json[member].is_null(), "no {member} in {json}");
            }
            assert_eq!(json["status"], status.as_u16());
            assert!(contract::Code::parse(json["code"].as_str().expect("text")).is_some(), "{json}");
        }
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            assert!(headers.contains_key("retry-after"), "{json}");
        }
        Answer { status: status.as_u16(), headers, json }
    }

    /// Posts an envelope as `acme`.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.post_as("application/json", body).await
    }

    pub async fn post_as(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request("/v1/events", &self.key).header("content-type", content_type).body(body);
        self.send(request).await
    }

    pub async fn batch(&self, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request =
            self.request("/v1/events:batch", &self.key).header("content-type", content_type).body(body);
        self.send(request).await
    }

    pub async fn get(&self, id: &str, key: &str) -> Answer {
        let request = self.client.get(format!("http://{}/v1/events/{id}", self.address)).bearer_auth(key);
        self.send(request).await
    }

    /// All records of `dvss.raw`, partition by partition.
    pub async fn records(&self) -> Vec<RawRecord> {
        let mut records = Vec::new();
        for index in 0..PARTITIONS {
            let partition = Partition::new(topics::RAW, index);
            records.extend(self.ports.log.read(&partition, 0, 100_000).await.expect("readable").0);
        }
        records
    }

    /// Keys of all raw objects.
    pub async fn objects(&self) -> Vec<String> {
        let page = self.ports.raw.list("", None, 1_000).await.expect("listable");
        page.entries.into_iter().map(|entry| entry.key).collect()
    }

    /// How many records and objects there are.
    pub async fn kept(&self) -> (usize, usize) {
        (self.records().await.len(), self.objects().await.len())
    }

    /// Sends bytes as they are and reads until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(bytes).await.expect("sent");
        read_to_end(&mut stream).await
    }

    /// Stops the gateway.
    pub async fn stop(self) {
        self.stop.cancel();
        self.served.await.expect("no panic").expect("served");
    }
}

/// What comes until the peer closes, within a bound.
pub async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes));
    // A reset ends it as well.
    let _ended = read.await.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn key(vendor: &str, seed: u64) -> Key {
    let seed = vendor.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Key::draw(&VendorId::parse(vendor).expect("id"), &mut StdRng::seed_from_u64(seed))
}

pub fn rate(events_per_second: u32, burst: u32) -> Rate {
    let number = |number| NonZeroU32::new(number).expect("not zero");
    Rate { events_per_second: number(events_per_second), burst: number(burst) }
}

/// An envelope.
pub fn envelope(id: &str, payload: &str) -> String {
    envelope_at(id, "2026-11-22T11:00:00Z", payload)
}

pub fn envelope_at(id: &str, occurred_at: &str, payload: &str) -> String {
    let id = Value::from(id);
    format!(
        r#"{{"externalEventId":{id},"eventType":"stock","occurredAt":"{occurred_at}","payload":{payload}}}"#
    )
}
