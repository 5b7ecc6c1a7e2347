//! Members that come, crash and go, over a log and tables' worth of faults: every record settles, and a
//! reader of committed records sees its output once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::Timestamp;
use embedded::{Embedded, Parts, TokioClock};
use faults::{Call, Moment, Policy, Verdict};
use parking_lot::Mutex;
use ports::Ports;
use ports::log::{Partition, RawRecord, Record};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runtime::{Failure, Options, Output, Poison, Processor, Quarantine, Service, lag};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const SEEDS: u64 = 60;
const PARTITIONS: u32 = 4;
const RECORDS: usize = 120;
const MEMBERS: [&str; 3] = ["m0", "m1", "m2"];

/// Copies records, slowly and not at the first go.
struct Copying {
    rng: Arc<Mutex<StdRng>>,
}

#[async_trait]
impl Processor for Copying {
    const NAME: &'static str = "copying";
    type Input = RawRecord;

    fn decode(&self, record: &RawRecord) -> Result<RawRecord, Failure> {
        Ok(record.clone())
    }

    async fn handle(&self, record: &RawRecord) -> Result<Vec<Output>, Failure> {
        let (fails, millis) = {
            let mut rng = self.rng.lock();
            (rng.random_bool(0.1), rng.random_range(0..40))
        };
        sleep(Duration::from_millis(millis)).await;
        if fails {
            return Err(Failure::Transient("drawn".to_owned()));
        }
        let (key, value) = (record.key.clone(), record.value.clone());
        Ok(vec![Record { topic: "out".into(), partition: None, key, value, headers: vec![] }.into()])
    }
}

struct NoQuarantine;

#[async_trait]
impl Quarantine for NoQuarantine {
    async fn park(&self, _: &str, record: &RawRecord, _: &Poison) -> Result<Vec<Output>, Failure> {
        panic!("{} was parked: transient never becomes poison", record.coordinates());
    }

    async fn over_budget(&self, _: &str, _: &RawRecord) -> Result<bool, Failure> {
        Ok(false)
    }
}

/// Fails calls as drawn, until it is calmed; counts the dangerous ones.
struct Drawn {
    rng: Arc<Mutex<StdRng>>,
    calm: Mutex<bool>,
    commits_lost: AtomicUsize,
}

#[async_trait]
impl Policy for Drawn {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        let share = match call.method {
            "commit" => 0.15,
            "send" | "poll" | "join" | "producer" | "abort" | "committed" => 0.05,
            _ => 0.0,
        };
        if *self.calm.lock() || !self.rng.lock().random_bool(share) {
            return Verdict::Go;
        }
        if call.method == "commit" && moment == Moment::After {
            self.commits_lost.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Fail
    }
}

struct Member {
    task: JoinHandle<Result<(), runtime::Fatal>>,
    stop: CancellationToken,
}

fn start(ports: &Ports, name: &str, rng: &Arc<Mutex<StdRng>>, seed: u64) -> Member {
    let stop = CancellationToken::new();
    let options = Options {
        max_records: 16,
        max_outputs: 5,
        concurrency: 4,
        deadline: Duration::from_millis(900),
        call_timeout: Duration::from_millis(500),
        transaction_timeout: Duration::from_secs(1),
        max_poll_interval: Duration::from_secs(4),
        jitter_seed: seed,
        ..Options::default()
    };
    let processor = Arc::new(Copying { rng: Arc::clone(rng) });
    let log = Arc::clone(&ports.log);
    let service = Service::new(processor, log, Arc::new(NoQuarantine), &["in"], name, options);
    Member { task: tokio::spawn(service.run(stop.clone())), stop }
}

async fn until(what: &str, seed: u64, condition: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < Duration::from_mins(20), "seed {seed}: never {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// One run; how many commits happened without an answer, and how many crashes there were.
async fn run(seed: u64) -> (usize, usize) {
    let parts = Parts {
        topics: ["in", "out"].map(|topic| (topic.to_owned(), PARTITIONS)).into(),
        groups: vec![("copying".to_owned(), vec!["in".to_owned()])],
        ..Parts::default()
    };
    let clock = TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("an instant"));
    let store = Embedded::in_memory(embedded::Options::default(), parts, Arc::new(clock)).expect("a store");
    let calm = store.ports();
    let rng = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
    let drawn =
        Arc::new(Drawn { rng: Arc::clone(&rng), calm: Mutex::new(false), commits_lost: AtomicUsize::new(0) });
    let ports = faults::around(&calm, "copying", Arc::clone(&drawn) as _);

    let mut members: BTreeMap<&str, Member> = BTreeMap::new();
    let mut crashes = 0;
    for number in 0..RECORDS {
        let key = Some(Bytes::from(format!("k{}", number % 13)));
        let value = Bytes::from(number.to_string());
        let record = Record { topic: "in".into(), partition: None, key, value, headers: vec![] };
        calm.log.append(record).await.expect("appended");
        if number % 5 == 0 {
            let (name, crash, millis) = {
                let mut rng = rng.lock();
                (
                    MEMBERS[rng.random_range(0..MEMBERS.len())],
                    rng.random_bool(0.7),
                    rng.random_range(0..1_500),
                )
            };
            match members.remove(name) {
                None => drop(members.insert(name, start(&ports, name, &rng, seed))),
                Some(member) if crash => {
                    member.task.abort();
                    let ended = member.task.await;
                    assert!(ended.is_err_and(|ended| ended.is_cancelled()), "seed {seed}: it ran until then");
                    crashes += 1;
                }
                Some(member) => {
                    member.stop.cancel();
                    member.task.await.expect("no panic").expect("a clean end");
                }
            }
            sleep(Duration::from_millis(millis)).await;
        }
    }
    *drawn.calm.lock() = true;
    for name in MEMBERS {
        members.entry(name).or_insert_with(|| start(&ports, name, &rng, seed));
    }
    until("lag 0", seed, async || {
        let lags = lag(&*calm.log, "copying", &["in"]).await.expect("lag");
        lags.iter().all(|lag| lag.records == 0)
    })
    .await;
    for member in members.into_values() {
        member.stop.cancel();
        member.task.await.expect("no panic").expect("a clean end");
    }

    let mut seen: BTreeMap<Bytes, Vec<usize>> = BTreeMap::new();
    for index in 0..PARTITIONS {
        let (records, _) = calm.log.read(&Partition::new("out", index), 0, 10_000).await.expect("records");
        for record in records {
            let number = String::from_utf8_lossy(&record.value).parse().expect("a number");
            seen.entry(record.key.unwrap_or_default()).or_default().push(number);
        }
    }
    let count: usize = seen.values().map(Vec::len).sum();
    assert_eq!(count, RECORDS, "seed {seed}: each once");
    for (key, numbers) in seen {
        assert!(
            numbers.is_sorted_by(|left, right| left < right),
            "seed {seed}: {key:?} in order: {numbers:?}"
        );
    }
    (drawn.commits_lost.load(Ordering::Relaxed), crashes)
}

#[test]
fn everything_settles_once_whatever_happens() {
    let (mut lost, mut crashes) = (0, 0);
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let run = runtime.expect("a runtime").block_on(run(seed));
        lost += run.0;
        crashes += run.1;
    }
    assert!(
        lost > 50 && crashes > 50,
        "the faults happened: {lost} commits without an answer, {crashes} crashes"
    );
}
