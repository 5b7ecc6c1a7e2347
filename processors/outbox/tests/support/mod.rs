//! An embedded store in memory, rows that wait to be published, and outboxes to publish them.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::{Timestamp, topics};
use embedded::{Embedded, Parts, TokioClock};
use faults::{Call, Moment, Policy, Verdict};
use outbox::{Options, Outbox};
use parking_lot::Mutex;
use ports::Ports;
use ports::log::{Coordinates, Offset, Partition, RawRecord};
use ports::tables::{Attr, Condition, Edit, Key, Write, get_one};
use runtime::{Failure, Fatal, Handle, Output, Poison, Processor, Quarantine, Service};
use stores::outbox::{Publication, RowRef, State, columns, state};
use stores::receipts::COPIED_GROUP;
use stores::tables::EFFECTS;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub const PARTITIONS: u32 = 4;
pub const PUBLIC: &str = topics::INVENTORY_UPDATED;

pub struct World {
    pub ports: Ports,
}

impl World {
    pub fn new() -> Self {
        let internal = [topics::OUTBOX, topics::RECEIPTS];
        let topics = internal.iter().chain(&topics::PUBLIC).map(|topic| ((*topic).to_owned(), PARTITIONS));
        let parts = Parts {
            tables: stores::tables::ALL.to_vec(),
            schemas: vec![],
            topics: topics.collect(),
            groups: vec![
                (Outbox::NAME.to_owned(), vec![topics::OUTBOX.to_owned()]),
                (COPIED_GROUP.to_owned(), vec![topics::RECEIPTS.to_owned()]),
            ],
        };
        let start = Timestamp::parse("2026-03-16T08:35:06Z").expect("an instant");
        let clock = Arc::new(TokioClock::new(start));
        let embedded = Embedded::in_memory(embedded::Options::default(), parts, clock).expect("a store");
        Self { ports: embedded.ports() }
    }

    /// Writes a row that publishes `value` at `revision`, and does not refer to it.
    pub async fn row(&self, name: &str, revision: u32) -> RowRef {
        let publication = Publication {
            topic: PUBLIC.to_owned(),
            key: name.to_owned(),
            value: Bytes::from(format!("{name}@{revision}")),
            revision,
        };
        let edits = columns(&publication, self.ports.clock.now()).into_iter().map(|(name, value)| {
            let name: &'static str = name.leak();
            Edit::Set(name, value)
        });
        let key = Key::sorted(name, "A");
        let write = Write::edit(&EFFECTS, key.clone(), edits.collect(), Condition::Always);
        self.ports.tables.write(write).await.expect("a row");
        RowRef::new(&EFFECTS, &key)
    }

    /// Refers to a row, as stages do.
    pub async fn refer(&self, row: &RowRef) -> Coordinates {
        self.ports.log.append(row.output(&row.pk).record).await.expect("a reference")
    }

    /// A row and its reference.
    pub async fn emit(&self, name: &str, revision: u32) {
        let row = self.row(name, revision).await;
        self.refer(&row).await;
    }

    pub async fn state(&self, name: &str) -> State {
        let item = get_one(&*self.ports.tables, &EFFECTS, Key::sorted(name, "A")).await.expect("tables");
        state(&item.expect("a row")).expect("outbox columns")
    }

    pub async fn is_pending(&self, name: &str) -> bool {
        let item = get_one(&*self.ports.tables, &EFFECTS, Key::sorted(name, "A")).await.expect("tables");
        item.expect("a row").get("pendingShard").and_then(Attr::as_str).is_some()
    }

    /// Everything that a reader of committed records sees on a topic.
    pub async fn read(&self, topic: &str) -> Vec<RawRecord> {
        let mut records = vec![];
        for index in 0..PARTITIONS {
            let partition = Partition::new(topic, index);
            let mut at = 0;
            loop {
                let (page, next) = self.ports.log.read(&partition, at, 500).await.expect("records");
                records.extend(page);
                if next <= at {
                    break;
                }
                at = next;
            }
        }
        records
    }

    /// Values on the public topic, and how often each is there.
    pub async fn public(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in self.read(PUBLIC).await {
            *counts.entry(String::from_utf8_lossy(&record.value).into_owned()).or_default() += 1;
        }
        counts
    }

    pub async fn committed(&self, group: &str, topic: &str) -> Vec<Offset> {
        let committed = self.ports.log.committed(group, topic).await.expect("offsets");
        committed.into_iter().map(Option::unwrap_or_default).collect()
    }

    pub async fn lag(&self) -> u64 {
        let lags = runtime::lag(&*self.ports.log, Outbox::NAME, &[topics::OUTBOX]).await.expect("lag");
        lags.iter().map(|lag| lag.records).sum()
    }

    pub async fn until_lag_is_0(&self) {
        let since = Instant::now();
        while self.lag().await > 0 {
            assert!(since.elapsed() < Duration::from_mins(10), "lag stays at {}", self.lag().await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn until_copied(&self, name: &str, revision: u32) {
        let since = Instant::now();
        loop {
            let state = self.state(name).await;
            if state.publication.revision == revision && state.coordinates.is_some() {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(10), "{name} gets no coordinates");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn start(&self, member: &str) -> Running {
        self.start_with(member, &self.ports, Options::default())
    }

    /// Starts an outbox; `ports` may be faulty.
    pub fn start_with(&self, member: &str, ports: &Ports, options: Options) -> Running {
        let outbox = Arc::new(Outbox::new(ports, options));
        let stop = CancellationToken::new();
        let service = Service::new(
            Arc::clone(&outbox),
            Arc::clone(&ports.log),
            Arc::new(NoQuarantine),
            &[topics::OUTBOX],
            member,
            runtime::Options { max_poll_interval: Duration::from_secs(12), ..runtime::Options::default() },
        );
        let handle = service.handle();
        let task = tokio::spawn(service.run(stop.clone()));
        Running { outbox, handle, task, stop }
    }
}

pub struct Running {
    pub outbox: Arc<Outbox>,
    pub handle: Handle,
    pub task: JoinHandle<Result<(), Fatal>>,
    pub stop: CancellationToken,
}

impl Running {
    /// Ends it as `kill -9` does: nothing is finished.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("aborted").is_cancelled());
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }

    pub async fn fatal(self) -> Fatal {
        self.task.await.expect("no panic").expect_err("a fatal end")
    }
}

/// The outbox has no poison.
struct NoQuarantine;

#[async_trait]
impl Quarantine for NoQuarantine {
    async fn park(&self, _: &str, record: &RawRecord, _: &Poison) -> Result<Vec<Output>, Failure> {
        panic!("{} was parked", record.coordinates());
    }

    async fn over_budget(&self, _: &str, _: &RawRecord) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// Answers calls as it was told.
#[derive(Default)]
pub struct Script(Mutex<BTreeMap<(&'static str, &'static str), Told>>);

struct Told {
    after: bool,
    verdict: Verdict,
    left: usize,
}

impl Script {
    /// From now on the next `times` calls of `method` of `port` get this verdict.
    pub fn tell(
        &self,
        port: &'static str,
        method: &'static str,
        after: bool,
        verdict: Verdict,
        times: usize,
    ) {
        self.0.lock().insert((port, method), Told { after, verdict, left: times });
    }

    /// How many of the calls that were told of are still to come.
    pub fn left(&self, port: &'static str, method: &'static str) -> usize {
        self.0.lock().get(&(port, method)).map_or(0, |told| told.left)
    }

    pub fn heal(&self) {
        self.0.lock().clear();
    }
}

#[async_trait]
impl Policy for Script {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        let mut script = self.0.lock();
        let Some(told) = script.get_mut(&(call.port, call.method)) else { return Verdict::Go };
        if told.left == 0 || told.after != (moment == Moment::After) {
            return Verdict::Go;
        }
        told.left -= 1;
        told.verdict
    }
}
