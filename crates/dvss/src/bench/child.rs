//! A dvss process beside this one: the same binary, on ground of its own.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::cpu;
use super::ground::Ground;
use crate::client::Client;
use crate::config::Role;

/// Longest wait for a process to be ready.
const START_UP: Duration = Duration::from_secs(60);
/// How long a stage may take to work its backlog off.
const PATIENCE: Duration = Duration::from_mins(30);

/// Which roles a child has.
#[derive(Debug, Clone, Copy)]
pub enum Roles {
    /// Everything in one process.
    All,
    /// Doors and operator API.
    Doors,
    /// The same, and one stage.
    Stage(Role),
}

pub struct Child {
    process: tokio::process::Child,
    /// Base address of the vendors' door.
    pub vendors: String,
    operators: String,
    client: Client,
    pid: u32,
    /// The key of the one vendor of a process that keeps nothing.
    key: Option<String>,
}

impl Child {
    /// Starts `dvss up` on its ground, and waits until it is ready.
    pub async fn start(ground: &Ground, roles: Roles) -> anyhow::Result<Self> {
        let stages: Vec<&str> = match &roles {
            Roles::All => Role::ALL.map(Role::as_str).to_vec(),
            Roles::Doors => vec![],
            Roles::Stage(stage) => vec![stage.as_str()],
        };
        let mut command = Command::new(std::env::current_exe()?);
        ground
            .told(command.args([
                "up",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--operator-listen",
                "127.0.0.1:0",
            ]))
            .env("DVSS_STAGES", format!("[{}]", stages.join(", ")))
            .env("DVSS_MEMBER", "bench");
        let child = Self::spawn(command).await?;
        let begun = Instant::now();
        loop {
            let said = reqwest::get(format!("{}/readyz", child.operators)).await?;
            if said.status().is_success() {
                return Ok(child);
            }
            let why = said.text().await?;
            ensure!(begun.elapsed() < START_UP, "dvss does not get ready: {why}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the vendors' door over stores that keep nothing.
    pub async fn nowhere() -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "nowhere"]);
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> anyhow::Result<Self> {
        // The load is one vendor on one machine: its limits are not what is measured.
        command
            .env("DVSS_GATEWAY__DEFAULT_RATE__EVENTS_PER_SECOND", "1000000")
            .env("DVSS_GATEWAY__DEFAULT_RATE__BURST", "1000000")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().context("cannot start dvss")?;
        let pid = process.id().context("dvss ended at once")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("dvss did not start")?;
        let place: Value = serde_json::from_str(&line)?;
        let text = |name: &str| place[name].as_str().map(str::to_owned);
        Ok(Self {
            process,
            vendors: text("vendors").unwrap_or_default(),
            client: Client::new(&text("operators").unwrap_or_default()),
            operators: text("operators").unwrap_or_default(),
            pid,
            key: text("key"),
        })
    }

    /// Adds a vendor that speaks canonical, and returns its key.
    pub async fn vendor(&self, id: &str) -> anyhow::Result<String> {
        if let Some(key) = &self.key {
            return Ok(key.clone());
        }
        let vendor = json!({ "vendorId": id, "orderingPointer": "/payload/sku" });
        let answer = self.client.post("/vendors", &vendor).await?;
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
            ensure!(begun.elapsed() < PATIENCE, "the pipeline did not work everything off");
            quiet = if self.lag().await? == 0 { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until one group's lag is zero.
    pub async fn drained(&self, group: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            ensure!(begun.elapsed() < PATIENCE, "{group} did not work its backlog off");
            let status = self.client.get("/status", &[]).await?;
            let groups = status["groups"].as_array().into_iter().flatten();
            let lag = groups.filter(|row| row["group"] == group).filter_map(|row| row["lag"].as_u64()).next();
            if lag == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// User and system time of the process so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::of(self.pid)
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
        ensure!(status.success(), "dvss ended with {status}");
        Ok(())
    }
}
