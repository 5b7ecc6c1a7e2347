//! `dvss bench parse`: what reading documents costs, each in its own child process, by format.
//!
//! Processor time is the child's, its start included; the wall is its parent's. A document of one byte, which is
//! refused at once, tells what the start of a child costs alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use invoicing::Parsed;
use serde_json::{Value, json};

use super::{as_f64, quantile, say, tenth};
use crate::cli::{BenchParse, exit};
use crate::commands::print;
use crate::config::Config;
use crate::parser::{Outcome, Sandboxed};

/// Starts of a child by which its cost is told.
const STARTS: u32 = 50;
/// Deepest folder that is looked into.
const DEEPEST: u32 = 8;

/// What one format took.
#[derive(Default)]
struct Took {
    documents: u64,
    cpu_seconds: f64,
    wall_ms: Vec<f64>,
    peak_bytes: Vec<f64>,
}

/// Runs the benchmark and prints its figures.
pub async fn run(options: BenchParse, json: bool) -> anyhow::Result<u8> {
    let mut files = Vec::new();
    for path in &options.paths {
        collect(path, DEEPEST, &mut files)?;
    }
    files.sort();
    ensure!(!files.is_empty(), "there is no file to read");
    let sandboxed = Sandboxed::new(Config::default().parser, &[])?;
    let mut by_format: BTreeMap<String, Took> = BTreeMap::new();
    for round in 0..options.rounds {
        say(&format!("round {} of {}: {} files", round + 1, options.rounds, files.len()));
        for file in &files {
            let bytes = Bytes::from(std::fs::read(file).with_context(|| file.display().to_string())?);
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let outcome = sandboxed.read(name, None, bytes).await;
            by_format.entry(format_of(&outcome)).or_default().add(&outcome);
        }
    }
    let mut start = Took::default();
    for _ in 0..STARTS {
        start.add(&sandboxed.read(None, None, Bytes::from_static(b"?")).await);
    }
    let rows: Vec<Value> = by_format.into_iter().map(|(format, took)| took.shown(&format)).collect();
    let document = json!({ "formats": rows, "start": start.shown("a child's start") });
    print::document(&document, json, |document| {
        let mut rows = document["formats"].as_array().cloned().unwrap_or_default();
        rows.push(document["start"].clone());
        let columns = [
            ("FORMAT", "/format"),
            ("DOCUMENTS", "/documents"),
            ("PER CPU-SECOND", "/perCpuSecond"),
            ("P50 MS", "/p50Millis"),
            ("P99 MS", "/p99Millis"),
            ("PEAK MIB", "/peakMebibytes"),
        ];
        print::columns(&Value::Array(rows), &columns)
    })?;
    Ok(exit::SUCCESS)
}

impl Took {
    fn add(&mut self, outcome: &Outcome) {
        let Some(run) = &outcome.run else { return };
        self.documents += 1;
        self.cpu_seconds += run.usage.cpu.unwrap_or_default().as_secs_f64();
        self.wall_ms.push(run.usage.wall.as_secs_f64() * 1e3);
        self.peak_bytes.extend(run.usage.peak_bytes.map(as_f64));
    }

    fn shown(mut self, format: &str) -> Value {
        self.wall_ms.sort_by(f64::total_cmp);
        let peak = self.peak_bytes.iter().copied().fold(0.0, f64::max);
        json!({
            "format": format, "documents": self.documents,
            "perCpuSecond": tenth(as_f64(self.documents) / self.cpu_seconds.max(f64::MIN_POSITIVE)),
            "p50Millis": tenth(quantile(&self.wall_ms, 0.5)), "p99Millis": tenth(quantile(&self.wall_ms, 0.99)),
            "peakMebibytes": tenth(peak / f64::from(1 << 20)),
        })
    }
}

fn format_of(outcome: &Outcome) -> String {
    match &outcome.parsed {
        Parsed::Read(reading) => {
            let format = reading.invoices.first().map(|invoice| json!(invoice.format));
            format.as_ref().and_then(Value::as_str).unwrap_or("none").to_owned()
        }
        Parsed::Refused(_) => "refused".to_owned(),
        Parsed::Killed(reason) => reason.code.clone(),
        Parsed::Unavailable(_) => "not started".to_owned(),
    }
}

fn collect(path: &Path, deepest: u32, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if deepest == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        collect(&entry?.path(), deepest - 1, files)?;
    }
    Ok(())
}
