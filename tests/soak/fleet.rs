//! The roles, as processes: gateway, stages and operator, each with a name of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{dvss, http};

/// A process that is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(180);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The vendors' door.
    Gateway,
    /// A stage.
    Stage(&'static str),
    /// The operator API.
    Operator,
}

/// The stages.
pub const STAGES: [&str; 4] = ["dedup", "normalize", "divergence", "outbox"];

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Gateway,
        Self::Stage(STAGES[0]),
        Self::Stage(STAGES[1]),
        Self::Stage(STAGES[2]),
        Self::Stage(STAGES[3]),
        Self::Operator,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Stage(stage) => stage,
            Self::Operator => "operator",
        }
    }

    fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Stage(stage) => vec!["processor", stage],
            other => vec![other.name()],
        }
    }
}

/// Where vendors are served now.
#[derive(Clone, Default)]
pub struct Gateways {
    addresses: Arc<Mutex<BTreeMap<String, String>>>,
    turn: Arc<AtomicUsize>,
}

impl Gateways {
    /// One of the addresses, each in turn. One whose process has died stays until the next is there.
    pub fn any(&self) -> Option<String> {
        let addresses = self.addresses.lock();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        addresses.values().nth(turn % addresses.len().max(1)).cloned()
    }
}

/// Where processes are started from.
pub struct Fleet {
    /// The configuration of the installation.
    pub config: PathBuf,
    /// Where logs go.
    pub logs: PathBuf,
    /// The doors.
    pub gateways: Gateways,
}

/// A running process; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    /// Where it serves its probes, and the operator its API.
    pub probes: String,
    log: PathBuf,
}

impl Fleet {
    /// Starts a process of this name, and returns when it listens.
    pub async fn start(&self, role: Role, name: &str) -> Process {
        let log = self.logs.join(format!("{name}.log"));
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut command = dvss();
        command.args(role.arguments()).args(["--json", "--config"]).arg(&self.config);
        command.args(["--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]);
        command.env("DVSS_MEMBER", name).env("DVSS_LOG", "warn,runtime=info");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        assert!(matches!(read, Ok(Ok(_))), "{name} does not say where it listens; see {}", log.display());
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let probes = said["operators"].as_str().unwrap_or_else(|| panic!("{name} says {line:?}")).to_owned();
        if let Some(vendors) = said["vendors"].as_str() {
            self.gateways.addresses.lock().insert(name.to_owned(), vendors.to_owned());
        }
        Process { name: name.to_owned(), child, probes, log }
    }

    /// Starts it and waits until it works.
    pub async fn start_ready(&self, role: Role, name: &str) -> Process {
        let mut process = self.start(role, name).await;
        process.ready().await;
        process
    }
}

impl Process {
    /// Waits until it is ready.
    pub async fn ready(&mut self) {
        let http = http();
        let begun = Instant::now();
        let mut last = String::new();
        while begun.elapsed() < PATIENCE {
            assert!(
                self.child.try_wait().expect("a status").is_none(),
                "{} ended; {}",
                self.name,
                self.tail()
            );
            let asked =
                http.get(format!("{}/readyz", self.probes)).timeout(Duration::from_secs(5)).send().await;
            match asked {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => last = answer.text().await.unwrap_or_default(),
                Err(error) => last = error.to_string(),
            }
            sleep(LOOK).await;
        }
        panic!("{} is not ready after {PATIENCE:?}: {last}; {}", self.name, self.tail());
    }

    /// Why it is not ready, if it is not.
    pub async fn unready(&self) -> Option<String> {
        let asked = http().get(format!("{}/readyz", self.probes)).timeout(Duration::from_secs(5)).send();
        let answer = asked.await.ok().filter(|answer| !answer.status().is_success())?;
        answer.text().await.ok()
    }

    /// `kill -9`; it was running before, and that is what ended it.
    pub async fn kill(mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        assert!(self.child.try_wait().expect("a status").is_none(), "{} ended; {}", self.name, self.tail());
        self.child.start_kill().expect("it runs");
        let status = self.child.wait().await.expect("a status");
        assert_eq!(status.signal(), Some(9), "{}: {status}", self.name);
    }

    /// SIGTERM, and a clean end.
    pub async fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = timeout(PATIENCE, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{} does not drain", self.name)).expect("a status");
        assert_eq!(status.code(), Some(0), "{} drains; {}", self.name, self.tail());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(pid.expect("it runs"), signal).expect("it is ours");
    }

    /// Whether the system says that it is stopped.
    pub fn is_stopped(&self) -> bool {
        let path = format!("/proc/{}/stat", self.child.id().expect("it runs"));
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    /// How many partitions it was assigned, each time.
    pub fn assignments(&self) -> Vec<u64> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let assigned = |line: &str| -> Option<u64> {
            let line: Value = serde_json::from_str(line).ok()?;
            let fields = line.get("fields").unwrap_or(&line);
            (fields["message"] == "assigned").then(|| fields["partitions"].as_u64()).flatten()
        };
        log.lines().filter_map(assigned).collect()
    }

    fn tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), end.join("\n"))
    }
}
