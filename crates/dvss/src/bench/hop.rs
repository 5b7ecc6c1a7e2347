//! `dvss bench hop`: normalize alone on Kafka, against Kafka's clients alone ([`kafka::floor`]): the same records in,
//! as many records and bytes out, in transactions of the same size, with the same settings.
//!
//! The stage runs in this process, which does nothing else meanwhile, so that its processor time is the stage's.
//! Every transaction's size has an installation of its own, whose backlog ([`sample`]) both read from its start.
//!
//! A run may leave writes out: those of objects, and those of the ingest index. What is left then is the hop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use contract::topics;
use kafka::floor::{self, Copies, Floor, Hop};
use normalize::Normalize;
use ports::Ports;
use ports::log::{Coordinates, Partition};
use runtime::{Processor as _, Service};
use serde_json::{Value, json};
use stores::codec::Codec;
use stores::quarantine::QuarantineStore;
use stores::{ingest, records};
use telemetry::metric;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use super::nowhere::{Bucket, Unwritten};
use super::sample::event;
use super::{as_f64, cpu, micros, say, tenth, thousandth};
use crate::backend::{Backend, Servers};
use crate::cli::{BenchHop, exit};
use crate::commands::print;
use crate::config::Config;

/// Longest time that a run takes.
const PATIENCE: Duration = Duration::from_mins(20);
/// How often it is looked how far a run has come.
const LOOK: Duration = Duration::from_millis(50);
/// Transactions of fewer records than this show what they cost with this many events.
const FEW: usize = 50;
const FEW_EVENTS: u64 = 2_000;
/// Events that are produced, or claimed, at the same time.
const AT_ONCE: u64 = 500;

/// What is written beside Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    /// Nothing: the hop.
    Nothing,
    /// The index, not the objects.
    Index,
    /// Everything, as in production.
    All,
}

/// Runs the benchmark and prints its figures.
pub async fn run(options: BenchHop, json: bool) -> anyhow::Result<u8> {
    let mut runs = Vec::new();
    for together in options.together.iter().copied() {
        // A transaction of few records is a round trip or more: a part of the events shows it.
        let events = if together < FEW { options.events.min(FEW_EVENTS) } else { options.events };
        let ground = Ground::on_servers(&options.config, "hop").await?;
        fill(&ground, events, false).await?;
        let floor = clients_alone(&ground, events, together).await?;
        let stage = stage(&ground, events, together, Writes::Nothing).await?;
        runs.push(figures("nothing", together, &stage, Some(&floor)));
        say(&format!("{}", runs[runs.len() - 1]));
    }
    let ground = Ground::on_servers(&options.config, "stored").await?;
    fill(&ground, options.stored, true).await?;
    let together = options.stored_together;
    for (name, writes) in [("index", Writes::Index), ("index and objects", Writes::All)] {
        let stage = stage(&ground, options.stored, together, writes).await?;
        runs.push(figures(name, together, &stage, None));
        say(&format!("{}", runs[runs.len() - 1]));
    }
    print::document(&json!({ "runs": runs }), json, |document| format!("{document:#}\n"))?;
    Ok(exit::SUCCESS)
}

/// What a run came to, its first transaction left out.
struct Figures {
    events: u64,
    elapsed: Duration,
    cpu: Duration,
    transactions: u64,
}

fn figures(writes: &str, together: usize, stage: &Figures, floor: Option<&Figures>) -> Value {
    let of = |figures: &Figures| {
        json!({
            "eventsPerSecond": (as_f64(figures.events) / figures.elapsed.as_secs_f64()).round(),
            "cpuMicrosPerEvent": tenth(cpu_of(figures)),
            "transactionsPerSecond": tenth(as_f64(figures.transactions) / figures.elapsed.as_secs_f64()),
        })
    };
    json!({
        "writes": writes, "recordsTogether": together, "events": stage.events,
        "normalize": of(stage), "floor": floor.map(of),
        "eventsPerCpuSecondToFloor":
            floor.map(|floor| thousandth(cpu_of(floor) / cpu_of(stage))),
    })
}

/// Microseconds of processor time per event.
fn cpu_of(figures: &Figures) -> f64 {
    micros(figures.cpu) / as_f64(figures.events)
}

/// Kafka's clients alone.
async fn clients_alone(ground: &Ground, events: u64, together: usize) -> anyhow::Result<Figures> {
    let config = ground.config()?;
    let servers = open(&config).await?;
    let group = servers.name("floor");
    let (input, output) = (servers.name(topics::ACCEPTED), servers.name(topics::NORMALIZED));
    servers.admin.first_offsets(&group, &input).await?;
    let options = config.servers.context("no servers")?.kafka;
    let floor = tokio::task::spawn_blocking(move || {
        let hop = Hop { input: &input, output: &output, group: &group, records: events, together };
        floor::run(&options, &hop, copies, || cpu::own().unwrap_or_default())
    });
    let Floor { records, elapsed, cpu, transactions } = floor.await??;
    Ok(Figures { events: records, elapsed, cpu, transactions })
}

/// What normalize makes of an event: by its length, for nothing is read of it.
fn copies(value: &[u8]) -> Copies {
    let count = match value.len() {
        0..400 => 1,
        400..1_000 => 3,
        _ => 20,
    };
    Copies { count, bytes: FACT_BYTES }
}

/// About what a fact takes.
const FACT_BYTES: usize = 429;

/// Puts events on `dvss.accepted`, and where it matters, into the ingest index.
async fn fill(ground: &Ground, events: u64, claimed: bool) -> anyhow::Result<()> {
    let servers = open(&ground.config()?).await?;
    let ports = servers.ports.clone();
    let now = ports.clock.now();
    let source = Coordinates { partition: Partition::new(topics::RAW, 0), offset: 0 };
    for first in (0..events).step_by(usize::try_from(AT_ONCE)?) {
        let mut tasks = JoinSet::new();
        for number in first..(first + AT_ONCE).min(events) {
            let (ports, source) = (ports.clone(), source.clone());
            tasks.spawn(async move {
                let (event, bytes) = event(number, now)?;
                let pointer = Some("/payload/items/0/sku");
                let key = records::ordering_key(&event.draft.vendor_id, pointer, &bytes);
                if claimed {
                    ingest::claim(&*ports.tables, &event, &source).await?;
                }
                ports.log.append(records::of_event(topics::ACCEPTED, key, bytes, &event)).await?;
                anyhow::Ok(())
            });
        }
        for filled in tasks.join_all().await {
            filled?;
        }
    }
    Ok(())
}

/// Normalize, in this process, from the start of its topic.
async fn stage(ground: &Ground, events: u64, together: usize, writes: Writes) -> anyhow::Result<Figures> {
    let config = ground.config()?;
    let backend = Backend::open(&config).await?;
    backend.prepare().await?;
    let ports = backend.ports().clone();
    let Ports { log, normalized, tables, .. } = ports.clone();
    let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
    let quarantine = Arc::new(QuarantineStore::new(ports, codec, config.quarantine.clone()));
    let objects = if writes == Writes::All { normalized } else { Arc::new(Bucket) };
    let tables = if writes == Writes::Nothing { Arc::new(Unwritten(tables)) } else { tables };
    let processor = Arc::new(Normalize::new(tables, objects, config.normalize.clone()));
    let options = runtime::Options { max_records: together, ..config.runtime };
    let partitions = log.partitions(topics::ACCEPTED).await?;
    let back: Vec<_> = (0..partitions).map(|index| (Partition::new(topics::ACCEPTED, index), 0)).collect();
    log.set_committed(Normalize::NAME, &back).await?;

    let service =
        Service::new(processor, Arc::clone(&log), quarantine, &[topics::ACCEPTED], "bench", options);
    ensure!(events > together as u64, "{events} events are one transaction: too few to measure");
    let stop = CancellationToken::new();
    let earlier = Counted::now()?;
    let running = tokio::spawn(service.run(stop.clone()));
    let started = Instant::now();
    // What the first transaction does once is not what is measured.
    let mut begun: Option<(Instant, Duration, Counted)> = None;
    let figures = loop {
        ensure!(started.elapsed() < PATIENCE, "normalize does not come to the end");
        ensure!(!running.is_finished(), "normalize stopped: {:?}", running.await);
        let counted = Counted::now()?.since(&earlier);
        match &begun {
            None if counted.settled > 0 => begun = Some((Instant::now(), cpu::own()?, counted)),
            Some((begun, cpu_before, first)) if counted.settled >= events => {
                ensure!(counted.parked == 0, "{} events went to quarantine", counted.parked);
                let measured = counted.since(first);
                break Figures {
                    events: measured.settled,
                    elapsed: begun.elapsed(),
                    cpu: cpu::own()?.saturating_sub(*cpu_before),
                    transactions: measured.transactions,
                };
            }
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    };
    stop.cancel();
    running.await??;
    Ok(figures)
}

/// What the loop has counted of its work.
#[derive(Debug, Clone, Copy)]
struct Counted {
    settled: u64,
    transactions: u64,
    parked: u64,
}

impl Counted {
    fn now() -> anyhow::Result<Self> {
        let text = telemetry::install_metrics()?.render();
        let sum = |name: &str, label: &str| {
            // As Prometheus writes it.
            let name = name.replace('.', "_");
            let of_name = |line: &&str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with('{'));
            let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
            text.lines().filter(of_name).filter(|line| line.contains(label)).filter_map(value).sum()
        };
        Ok(Self {
            settled: sum(metric::PIPELINE_SETTLED, ""),
            transactions: sum(metric::PIPELINE_TRANSACTIONS, r#"result="committed""#),
            parked: sum(metric::QUARANTINE_PARKED, ""),
        })
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            settled: self.settled - earlier.settled,
            transactions: self.transactions - earlier.transactions,
            parked: self.parked - earlier.parked,
        }
    }
}

async fn open(config: &Config) -> anyhow::Result<Servers> {
    let options = config.servers.as_ref().context("the configuration names no servers")?;
    Servers::open(options, config).await
}

#[cfg(test)]
mod tests {
    use contract::Timestamp;

    use super::*;

    #[test]
    fn the_floor_puts_out_what_the_stage_does() {
        let now = Timestamp::parse("2026-11-22T12:00:00.123456789Z").expect("a time");
        let mapping = super::super::sample::mapping().expect("it compiles");
        let (mut bytes, mut records) = (0, 0);
        for number in 0..1_000 {
            let (event, value) = event(number, now).expect("an event");
            let payload = event.draft.mode.payload(&value).expect("JSON");
            let context = mapping::EventContext {
                vendor_id: event.draft.vendor_id.clone(),
                external_event_id: event.draft.external_event_id.clone(),
                event_type: event.draft.event_type.clone(),
                occurred_at: event.draft.occurred_at,
            };
            let mapped = mapping.apply(&payload, &context).expect("facts");
            let options = normalize::Options { max_ahead: Duration::from_hours(1), ..Default::default() };
            let facts = normalize::facts::facts(&event, &payload, mapped, &options).expect("facts");
            assert_eq!(copies(&value).count, facts.len(), "{} bytes", value.len());
            records += facts.len();
            bytes += facts.iter().map(|fact| serde_json::to_vec(fact).expect("JSON").len()).sum::<usize>();
        }
        assert!((bytes / records).abs_diff(FACT_BYTES) < 20, "a fact has {} bytes", bytes / records);
    }
}
