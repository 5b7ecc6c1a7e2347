//! `dvss bench pipeline`: what the pipeline does, and what it costs.
//!
//! The load runs in this process, dvss in children of it (the same binary), so that CPU and memory
//! are the pipeline's alone. Figures are absolute, and relative to a *floor* measured in the same
//! run: the same load against a server that answers 202 and keeps nothing.

mod child;
mod load;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cli::{BenchPipeline, exit};
use crate::commands::print;
use child::Child;

/// The stages, upstream first: their names in the configuration and their groups.
const STAGES: [(&str, &str); 4] = [
    ("dedup", "dvss.dedup"),
    ("normalize", "dvss.normalize"),
    ("divergence", "dvss.divergence"),
    ("outbox", "dvss.outbox"),
];

/// Events a second of the latency run.
const PACE: u64 = 500;

/// Runs the benchmark and prints its figures.
pub async fn run(options: BenchPipeline, json: bool) -> anyhow::Result<u8> {
    let temporary = tempfile::tempdir().context("cannot make a temporary directory")?;
    let base = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let floor = load::floor(options.events, options.connections).await?;
    say(&format!("floor: {:.0} requests/s", floor.rate()));
    let throughput = throughput(&options, &base.join("throughput"), floor.rate()).await?;
    let latency = latency(&options, &base.join("latency")).await?;
    let stages = by_stage(&options, &base.join("stages")).await?;
    let backlog = match options.backlog {
        0 => Value::Null,
        events => backlog(events, &base.join("backlog"), options.connections).await?,
    };
    let document = json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "floor": { "requestsPerSecond": floor.rate().round() },
        "throughput": throughput, "latency": latency, "cpuByStage": stages, "backlog": backlog,
    });
    print::document(&document, json, |document| format!("{document:#}\n"))?;
    Ok(exit::SUCCESS)
}

/// From the first request to the last public record, everything running.
async fn throughput(options: &BenchPipeline, data: &Path, floor: f64) -> anyhow::Result<Value> {
    let child = Child::start(data, "all").await?;
    let key = child.vendor("bench").await?;
    let cpu = child.cpu()?;
    let begun = Instant::now();
    let accepted = load::closed(&child.vendors, &key, options.events, options.connections).await?;
    child.settled().await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let per_event = micros(child.cpu()? - cpu) / as_f64(options.events);
    let rate = as_f64(options.events) / elapsed;
    say(&format!("throughput: accepted {:.0}/s, end to end {rate:.0}/s", accepted.rate()));
    child.stop().await?;
    Ok(json!({
        "events": options.events, "connections": options.connections,
        "acceptedPerSecond": accepted.rate().round(), "endToEndPerSecond": rate.round(),
        "acceptP50Ms": accepted.quantile(0.5), "acceptP99Ms": accepted.quantile(0.99),
        "cpuMicrosPerEvent": per_event.round(), "endToEndToFloor": rate / floor,
    }))
}

/// Paced, far below the limit: how long a vendor waits for its 202.
async fn latency(options: &BenchPipeline, data: &Path) -> anyhow::Result<Value> {
    let child = Child::start(data, "all").await?;
    let key = child.vendor("bench").await?;
    let events = PACE * options.latency_seconds;
    let paced = load::paced(&child.vendors, &key, events, PACE, options.connections).await?;
    child.settled().await?;
    child.stop().await?;
    say(&format!("latency: accept p99 {:.1} ms at {PACE} events/s", paced.quantile(0.99)));
    Ok(json!({
        "eventsPerSecond": PACE, "events": events, "acceptP50Ms": paced.quantile(0.5),
        "acceptP99Ms": paced.quantile(0.99), "acceptMaxMs": paced.quantile(1.0),
    }))
}

/// The same events through one stage after the other, alone: CPU of the process per event.
async fn by_stage(options: &BenchPipeline, data: &Path) -> anyhow::Result<Value> {
    let mut figures = serde_json::Map::new();
    let child = Child::start(data, "none").await?;
    let key = child.vendor("bench").await?;
    let cpu = child.cpu()?;
    load::closed(&child.vendors, &key, options.events, options.connections).await?;
    figures
        .insert("gateway".to_owned(), json!((micros(child.cpu()? - cpu) / as_f64(options.events)).round()));
    child.stop().await?;
    for (stage, group) in STAGES {
        // From the start of the process, less what an idle start costs.
        let child = Child::start(data, stage).await?;
        child.drained(group).await?;
        let spent = child.cpu()?;
        child.stop().await?;
        let idle = Child::start(data, stage).await?;
        idle.drained(group).await?;
        let start = idle.cpu()?;
        idle.stop().await?;
        let per_event = micros(spent.saturating_sub(start)) / as_f64(options.events);
        say(&format!("{stage}: {per_event:.0} µs CPU per event"));
        figures.insert(stage.to_owned(), json!(per_event.round()));
    }
    Ok(Value::Object(figures))
}

/// Resident memory with a large backlog, while it is being worked on, against the idle process.
async fn backlog(events: u64, data: &Path, connections: usize) -> anyhow::Result<Value> {
    let child = Child::start(data, "none").await?;
    let key = child.vendor("bench").await?;
    load::closed(&child.vendors, &key, events, connections).await?;
    child.stop().await?;
    let idle_data = data.with_extension("idle");
    let idle = Child::start(&idle_data, "all").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle_bytes = idle.resident()?;
    idle.stop().await?;
    let child = Child::start(data, "all").await?;
    let (begun, mut most) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(60) {
        most = most.max(child.resident()?);
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let left = child.lag().await?;
    child.stop().await?;
    let bound = idle_bytes * 3 / 2 + 100 * 1024 * 1024;
    say(&format!("backlog: {} MiB resident at most, idle {} MiB", most >> 20, idle_bytes >> 20));
    Ok(json!({
        "events": events, "stillInBacklog": left, "idleBytes": idle_bytes, "mostBytes": most, "goalBytes": bound,
        "met": most <= bound,
    }))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn say(text: &str) {
    eprintln!("{text}");
}
