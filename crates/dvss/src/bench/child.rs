//! A dvss process beside this one: the same binary, on a data directory of its own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use crate::client::Client;

/// How long a stage may take to work its backlog off.
const PATIENCE: Duration = Duration::from_mins(30);

pub struct Child {
    process: tokio::process::Child,
    /// Base address of the vendors' door.
    pub vendors: String,
    client: Client,
    pid: u32,
}

impl Child {
    /// Starts `dvss up` with `stages`: `all`, `none`, or one stage's name.
    pub async fn start(data: &Path, stages: &str) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["up", "--json", "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env(
                "DVSS_STAGES",
                match stages {
                    "all" => "[dedup, normalize, divergence, outbox]".to_owned(),
                    "none" => "[]".to_owned(),
                    one => format!("[{one}]"),
                },
            )
            // The load is one vendor on one machine: its limits are not what is measured.
            .env("DVSS_GATEWAY__DEFAULT_RATE__EVENTS_PER_SECOND", "1000000")
            .env("DVSS_GATEWAY__DEFAULT_RATE__BURST", "1000000")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start dvss")?;
        let pid = process.id().context("dvss ended at once")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("dvss did not start")?;
        let place: Value = serde_json::from_str(&line)?;
        let address = |name: &str| place[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { process, vendors: address("vendors"), client: Client::new(&address("operators")), pid })
    }

    /// Adds a vendor that speaks canonical, and returns its key.
    pub async fn vendor(&self, id: &str) -> anyhow::Result<String> {
        let answer = self
            .client
            .post("/vendors", &json!({ "vendorId": id, "orderingPointer": "/payload/sku" }))
            .await?;
        Ok(answer["key"].as_str().context("no key")?.to_owned())
    }

    /// Records that no stage has committed yet.
    pub async fn lag(&self) -> anyhow::Result<u64> {
        let status = self.client.get("/status", &[]).await?;
        Ok(status["groups"].as_array().into_iter().flatten().filter_map(|group| group["lag"].as_u64()).sum())
    }

    /// Waits until nothing lags, twice in a row: what one stage emits is the next one's lag.
    pub async fn settled(&self) -> anyhow::Result<()> {
        let (begun, mut quiet) = (Instant::now(), 0);
        while quiet < 2 {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the pipeline did not work everything off");
            quiet = if self.lag().await? == 0 { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until one group's lag is zero.
    pub async fn drained(&self, group: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{group} did not work its backlog off");
            let status = self.client.get("/status", &[]).await?;
            let groups = status["groups"].as_array().into_iter().flatten();
            let lag = groups.filter(|row| row["group"] == group).filter_map(|row| row["lag"].as_u64()).next();
            if lag == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// User and system time of the process so far (Linux: fields 14 and 15 of `/proc/<pid>/stat`).
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).context("CPU time needs /proc")?;
        let (_, fields) = stat.rsplit_once(") ").context("an odd /proc/<pid>/stat")?;
        let ticks: u64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10)) // USER_HZ is 100 on every Linux that Rust runs on
    }

    /// Resident bytes (Linux: `VmRSS`).
    pub fn resident(&self) -> anyhow::Result<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid)).context("memory needs /proc")?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: u64 =
            line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).context("no VmRSS")?;
        Ok(kib * 1024)
    }

    /// Stops it as an operator would, and waits for its end.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.context("cannot send SIGTERM")?;
        let status = tokio::time::timeout(Duration::from_secs(60), self.process.wait()).await??;
        anyhow::ensure!(status.success(), "dvss ended with {status}");
        Ok(())
    }
}
