//! The servers that `cargo xtask stack` runs, and names that no other test has.

// Each test binary uses a part of this.
#![allow(dead_code, reason = "shared by test binaries")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use kafka::{Admin, Creation, KafkaLog, Options};
use ports::Log;
use ports::log::{
    Batch, Consumer, Coordinates, Ends, Error, First, Offset, Owner, Partition, Producer, RawRecord, Record,
};

/// The address of a server, where there is a stack.
#[expect(clippy::disallowed_methods, reason = "tests read where the stack is")]
pub fn server(name: &str) -> Option<String> {
    let Some(path) = std::env::var_os("DVSS_TEST_STACK") else {
        eprintln!(
            "no real stack (DVSS_TEST_STACK is not set): this test shows nothing; see `cargo xtask stack`"
        );
        return None;
    };
    let text = std::fs::read_to_string(&path).expect("DVSS_TEST_STACK names a file");
    let stack: serde_json::Value = serde_json::from_str(&text).expect("the stack's file is JSON");
    Some(stack[name].as_str().expect("the stack has the server").to_owned())
}

/// A text that no other test, run or process has.
#[expect(clippy::disallowed_methods, reason = "runs share a broker")]
pub fn unique() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_micros();
    format!("t{time:x}-{}-{}-", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Options for the stack's broker: sessions and transactions as short as it lets them be.
pub fn options(brokers: String) -> Options {
    let short = Duration::from_secs(4);
    Options {
        brokers,
        session_timeout: short,
        max_poll_interval: short,
        transaction_timeout: short,
        ..Options::default()
    }
}

/// A log and an administrator, under a prefix of their own.
pub struct Stack {
    pub log: KafkaLog,
    pub admin: Admin,
    pub prefix: String,
    pub options: Options,
}

impl Stack {
    pub fn open() -> Option<Self> {
        Self::with(options(server("kafka")?))
    }

    pub fn with(options: Options) -> Option<Self> {
        // `RUST_LOG` decides; nothing where it is not set.
        let log = KafkaLog::open(options.clone()).expect("clients");
        let admin = Admin::new(&log).expect("an administrator");
        Some(Self { log, admin, prefix: unique(), options })
    }

    /// A name of this test's own.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Makes a topic under its full name and gives groups their first offsets.
    pub async fn topic(&self, name: &str, partitions: u32, groups: &[&str]) {
        let there = self.admin.topics(&[name]).await.expect("topics are listed");
        if there.is_empty() {
            let creation =
                Creation { name: name.to_owned(), partitions, replicas: 1, config: Default::default() };
            self.admin.create(&creation).await.expect("a topic is made");
        }
        for group in groups {
            self.admin.first_offsets(group, name).await.expect("first offsets");
        }
    }
}

/// A log whose topics, groups and transactional ids have a prefix that its caller does not see.
pub struct Prefixed {
    pub log: KafkaLog,
    pub prefix: String,
}

impl Prefixed {
    fn long(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

fn longer(prefix: &str, partition: &Partition) -> Partition {
    Partition::new(format!("{prefix}{}", partition.topic), partition.index)
}

fn shorter(prefix: &str, partition: &Partition) -> Partition {
    let name = partition.topic.strip_prefix(prefix).expect("it has the prefix");
    Partition::new(name, partition.index)
}

fn longer_all(prefix: &str, next: &[(Partition, Offset)]) -> Vec<(Partition, Offset)> {
    next.iter().map(|(partition, offset)| (longer(prefix, partition), *offset)).collect()
}

fn longer_record(prefix: &str, record: Record) -> Record {
    Record { topic: format!("{prefix}{}", record.topic).into(), ..record }
}

fn shorter_record(prefix: &str, record: RawRecord) -> RawRecord {
    RawRecord { partition: shorter(prefix, &record.partition), ..record }
}

fn shorter_place(prefix: &str, place: Coordinates) -> Coordinates {
    Coordinates { partition: shorter(prefix, &place.partition), ..place }
}

fn plainer(prefix: &str, error: Error) -> Error {
    let strip = |text: String| text.strip_prefix(prefix).map(str::to_owned).unwrap_or(text);
    match error {
        Error::OutOfRange { group, partition, offset, start, end } => Error::OutOfRange {
            group: strip(group),
            partition: shorter(prefix, &partition),
            offset,
            start,
            end,
        },
        Error::GroupNotEmpty(group) => Error::GroupNotEmpty(strip(group)),
        other => other,
    }
}

#[async_trait]
impl Log for Prefixed {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        let topics: Vec<String> = topics.iter().map(|topic| self.long(topic)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let consumer = self.log.join(&self.long(group), member, &topics, first).await;
        let inner = consumer.map_err(|error| plainer(&self.prefix, error))?;
        Ok(Box::new(PrefixedConsumer { inner, prefix: self.prefix.clone() }))
    }

    async fn producer(&self, id: &str) -> Result<Box<dyn Producer>, Error> {
        let inner = self.log.producer(&self.long(id)).await?;
        Ok(Box::new(PrefixedProducer { inner, prefix: self.prefix.clone() }))
    }

    async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        let placed = self.log.append(longer_record(&self.prefix, record)).await?;
        Ok(shorter_place(&self.prefix, placed))
    }

    async fn read(
        &self,
        at: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        let (records, next) = self.log.read(&longer(&self.prefix, at), from, limit).await?;
        Ok((records.into_iter().map(|record| shorter_record(&self.prefix, record)).collect(), next))
    }

    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let names = self.log.topics(&self.long(prefix)).await?;
        Ok(names.iter().map(|name| name.strip_prefix(&self.prefix).unwrap_or(name).to_owned()).collect())
    }

    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.log.partitions(&self.long(topic)).await
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error> {
        self.log.ends(&self.long(topic)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        self.log.committed(&self.long(group), &self.long(topic)).await
    }

    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error> {
        let set = self.log.set_committed(&self.long(group), &longer_all(&self.prefix, next)).await;
        set.map_err(|error| plainer(&self.prefix, error))
    }
}

struct PrefixedConsumer {
    inner: Box<dyn Consumer>,
    prefix: String,
}

#[async_trait]
impl Consumer for PrefixedConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        let batch = self.inner.poll(max_records, max_wait).await;
        let batch = batch.map_err(|error| plainer(&self.prefix, error))?;
        let short = |partitions: Vec<Partition>| {
            partitions.iter().map(|partition| shorter(&self.prefix, partition)).collect()
        };
        Ok(Batch {
            owner: batch.owner,
            assigned: batch.assigned.map(short),
            records: batch.records.into_iter().map(|record| shorter_record(&self.prefix, record)).collect(),
        })
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        self.inner.rewind(&longer(&self.prefix, partition), to, pause).await
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        self.inner.leave().await
    }
}

struct PrefixedProducer {
    inner: Box<dyn Producer>,
    prefix: String,
}

#[async_trait]
impl Producer for PrefixedProducer {
    async fn begin(&mut self) -> Result<(), Error> {
        self.inner.begin().await
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        let records = records.into_iter().map(|record| longer_record(&self.prefix, record)).collect();
        let placed = self.inner.send(records).await?;
        Ok(placed.into_iter().map(|place| shorter_place(&self.prefix, place)).collect())
    }

    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.inner.commit(owner, &longer_all(&self.prefix, next)).await
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.inner.abort().await
    }
}

/// The log as the port's suite uses it.
pub fn prefixed(stack: &Stack) -> Arc<dyn Log> {
    Arc::new(Prefixed { log: stack.log.clone(), prefix: stack.prefix.clone() })
}
