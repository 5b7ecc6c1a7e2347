//! `dvss bench pipeline`: what the pipeline does, and what it costs.
//!
//! The load runs in this process, dvss in children of it (the same binary), so that CPU and memory
//! are the pipeline's alone. Figures are absolute, and relative to a *floor* measured in the same
//! run: the same load against a server that answers 202 and keeps nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::arrivals::{self, WAY};
use super::child::{Child, Roles};
use super::ground::Ground;
use super::load::{self, Load, Seen};
use super::{as_f64, cpu, micros, quantile, say, tenth, thousandth};
use crate::backend::{Backend, input_of};
use crate::cli::{BenchPipeline, Run, exit};
use crate::commands::print;
use crate::config::Role;

/// Events a second of the latency run, on the embedded default and on servers.
const PACE: (u64, u64) = (500, 100);

/// Runs the benchmark and prints its figures.
pub async fn run(options: BenchPipeline, json: bool) -> anyhow::Result<u8> {
    let temporary = tempfile::tempdir().context("cannot make a temporary directory")?;
    let base = options.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let bench = Bench { options: &options, base: &base };
    let floor = load::floor(options.events, options.connections).await?;
    say(&format!("floor: {:.0} requests/s", floor.rate()));
    let mut figures = serde_json::Map::new();
    for run in &options.only {
        let (name, value) = match run {
            Run::Throughput => ("throughput", bench.throughput(floor.rate()).await?),
            Run::Latency => ("latency", bench.latency().await?),
            Run::Gateway => ("gateway", bench.gateway().await?),
            Run::Stages => ("cpuMicrosByStage", bench.stages().await?),
        };
        figures.insert(name.to_owned(), value);
    }
    let backlog = match options.backlog {
        0 => Value::Null,
        events => bench.backlog(events).await?,
    };
    let mut document = json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "servers": options.config.is_some(),
        "floor": { "requestsPerSecond": floor.rate().round() }, "backlog": backlog,
    });
    if let Some(document) = document.as_object_mut() {
        document.append(&mut figures);
    }
    print::document(&document, json, |document| format!("{document:#}\n"))?;
    Ok(exit::SUCCESS)
}

struct Bench<'a> {
    options: &'a BenchPipeline,
    base: &'a Path,
}

impl Bench<'_> {
    async fn ground(&self, run: &str) -> anyhow::Result<Ground> {
        Ground::new(self.options.config.as_deref(), self.base, run).await
    }

    /// As many events as were asked for, as fast as the connections go.
    async fn send(&self, child: &Child, events: u64) -> anyhow::Result<Seen> {
        let key = child.vendor("bench").await?;
        let connections = self.options.connections;
        Load { base: &child.vendors, key: &key, events, pace: None, connections }.send().await
    }

    /// From the first request to the last public record, everything running.
    async fn throughput(&self, floor: f64) -> anyhow::Result<Value> {
        let events = self.options.events;
        let child = Child::start(&self.ground("throughput").await?, Roles::All).await?;
        let (cpu, machine, begun) = (child.cpu()?, cpu::of_machine()?, Instant::now());
        let accepted = self.send(&child, events).await?;
        child.settled().await?;
        let elapsed = begun.elapsed().as_secs_f64();
        let (cpu, machine) = (child.cpu()? - cpu, cpu::of_machine()? - machine);
        let rate = as_f64(events) / elapsed;
        say(&format!("throughput: accepted {:.0}/s, end to end {rate:.0}/s", accepted.rate()));
        child.stop().await?;
        Ok(json!({
            "events": events, "connections": self.options.connections,
            "acceptedPerSecond": accepted.rate().round(), "endToEndPerSecond": rate.round(),
            "acceptP50Ms": accepted.quantile(0.5), "acceptP99Ms": accepted.quantile(0.99),
            "cpuMicrosPerEvent": (micros(cpu) / as_f64(events)).round(),
            // The load's own part is in it.
            "machineCpuMicrosPerEvent": (micros(machine) / as_f64(events)).round(),
            "endToEndToFloor": thousandth(rate / floor),
        }))
    }

    /// Paced, far below the limit: how long a vendor waits for its 202, and on servers, how long an event is on
    /// its way.
    async fn latency(&self) -> anyhow::Result<Value> {
        let servers = self.options.config.is_some();
        let pace = self.options.pace.unwrap_or(if servers { PACE.1 } else { PACE.0 });
        // What is made at the first events, connections above all, is not what is measured: a second is left out.
        let events = pace * (self.options.latency_seconds + 1);
        let ground = self.ground("latency").await?;
        let child = Child::start(&ground, Roles::All).await?;
        let key = child.vendor("bench").await?;
        let load = Load {
            base: &child.vendors,
            key: &key,
            events,
            pace: Some(pace),
            connections: self.options.connections,
        };
        let watch = match servers {
            false => None,
            true => {
                let backend = Backend::open(&ground.config()?).await?;
                let (ready, begin) = tokio::sync::oneshot::channel();
                let watch = tokio::spawn(arrivals::watch(backend.ports().log.clone(), events, ready));
                begin.await.context("the reader does not begin")?;
                Some(watch)
            }
        };
        let (cpu, own, machine) = (child.cpu()?, cpu::own()?, cpu::of_machine()?);
        let begun = Instant::now();
        let paced = load.send().await?.without_first(pace);
        let wall = begun.elapsed();
        let (cpu, own, machine) = (child.cpu()? - cpu, cpu::own()? - own, cpu::of_machine()? - machine);
        child.settled().await?;
        let share = |time: Duration| thousandth(time.as_secs_f64() / wall.as_secs_f64());
        let mut figures = json!({
            "eventsPerSecond": pace, "events": events - pace, "acceptP50Ms": paced.quantile(0.5),
            "acceptP99Ms": paced.quantile(0.99), "acceptMaxMs": paced.quantile(1.0),
            "coresInUse": {
                // The rest of the machine is the servers, where there are any and nothing else runs.
                "dvss": share(cpu), "loadAndReader": share(own),
                "others": share(machine.saturating_sub(cpu).saturating_sub(own)),
            },
        });
        say(&format!("latency: accept p99 {:.1} ms at {pace} events/s", paced.quantile(0.99)));
        if let Some(watch) = watch {
            figures["hops"] = hops(&paced, pace, &watch.await??);
            say(&format!("by hop: {}", figures["hops"]));
        }
        child.stop().await?;
        Ok(figures)
    }

    /// 202s per second of processor time, against the same door over stores that keep nothing.
    async fn gateway(&self) -> anyhow::Result<Value> {
        let events = self.options.events;
        let mut each = Vec::new();
        for child in
            [Child::start(&self.ground("gateway").await?, Roles::Doors).await?, Child::nowhere().await?]
        {
            let cpu = child.cpu()?;
            self.send(&child, events).await?;
            each.push(micros(child.cpu()? - cpu) / as_f64(events));
            child.stop().await?;
        }
        let (stored, nowhere) = (each[0], each[1]);
        say(&format!("gateway: {stored:.0} µs CPU per event, {nowhere:.0} where nothing is stored"));
        Ok(json!({
            "cpuMicrosPerEvent": stored.round(), "acceptedPerCpuSecond": (1e6 / stored).round(),
            "nowhereCpuMicrosPerEvent": nowhere.round(), "nowherePerCpuSecond": (1e6 / nowhere).round(),
            "toNowhere": thousandth(nowhere / stored),
        }))
    }

    /// The same events through one stage after the other, alone: CPU of the process per event.
    async fn stages(&self) -> anyhow::Result<Value> {
        let events = self.options.events;
        let mut figures = serde_json::Map::new();
        let ground = self.ground("stages").await?;
        let child = Child::start(&ground, Roles::Doors).await?;
        self.send(&child, events).await?;
        child.stop().await?;
        for stage in Role::ALL {
            let group = format!("dvss.{}", stage.as_str());
            anyhow::ensure!(input_of(&group).is_some(), "no stage is called {group}");
            // From the start of the process, less what an idle start costs.
            let mut spent = Vec::new();
            for _ in ["with the backlog", "idle"] {
                let child = Child::start(&ground, Roles::Stage(stage)).await?;
                child.drained(&group).await?;
                spent.push(child.cpu()?);
                child.stop().await?;
            }
            let per_event = micros(spent[0].saturating_sub(spent[1])) / as_f64(events);
            say(&format!("{}: {per_event:.0} µs CPU per event", stage.as_str()));
            figures.insert(stage.as_str().to_owned(), json!(per_event.round()));
        }
        Ok(Value::Object(figures))
    }

    /// Resident memory with a large backlog, while it is being worked on, against the idle process.
    async fn backlog(&self, events: u64) -> anyhow::Result<Value> {
        let ground = self.ground("backlog").await?;
        let child = Child::start(&ground, Roles::Doors).await?;
        self.send(&child, events).await?;
        child.stop().await?;
        let idle = Child::start(&self.ground("idle").await?, Roles::All).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let idle_bytes = idle.resident()?;
        idle.stop().await?;
        let child = Child::start(&ground, Roles::All).await?;
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
}

/// How long events took to each topic from the one before (to the first from when they were due), and from end to
/// end.
fn hops(paced: &Seen, first: u64, arrivals: &arrivals::Arrivals) -> Value {
    let came = |topic: &str, index: u64| {
        let index = usize::try_from(index).ok()?;
        arrivals.get(topic)?.get(index).copied().flatten()
    };
    let events = arrivals.values().map(Vec::len).max().unwrap_or(0) as u64;
    let due = |index| paced.due(index);
    let spans = |from: &dyn Fn(u64) -> Option<Instant>, to: &str| {
        let span = |index| {
            let (from, to) = (from(index)?, came(to, index)?);
            Some(to.saturating_duration_since(from).as_secs_f64() * 1_000.0)
        };
        let mut millis: Vec<f64> = (first..events).filter_map(span).collect();
        millis.sort_by(f64::total_cmp);
        json!({
            "p50Ms": tenth(quantile(&millis, 0.5)), "p99Ms": tenth(quantile(&millis, 0.99)),
            "maxMs": tenth(quantile(&millis, 1.0)),
        })
    };
    let mut figures = serde_json::Map::new();
    figures.insert(WAY[0].to_owned(), spans(&|index| Some(due(index)), WAY[0]));
    for pair in WAY.windows(2) {
        figures.insert(pair[1].to_owned(), spans(&|index| came(pair[0], index), pair[1]));
    }
    figures.insert("endToEnd".to_owned(), spans(&|index| Some(due(index)), WAY[4]));
    Value::Object(figures)
}
