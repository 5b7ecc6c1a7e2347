//! The servers that the real stack's tests need, on this machine, without containers: Kafka, S3, DynamoDB and a schema
//! registry. [`Stack::up`] gives a running one, which its owner stops with [`Stack::down`].

mod data;
mod layout;
mod ports;
mod prerequisites;
mod probe;
mod process;
mod provision;
mod python;
mod server;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::layout::Layout;
pub use self::prerequisites::{CHROMEDRIVER, CHROMIUM, CMAKE, OPENSSL, PKG_CONFIG, require};
use self::process::Process;
use self::server::{ACCESS_KEY, CONFLUENT_API, KAFKA_PASSWORD, KAFKA_USER, Ports, SECRET_KEY};
pub use self::server::{Double, Server};
use crate::effects::{self, now, pause};

/// Names the file with the stack's addresses to whoever tests against it.
pub const ADDRESSES: &str = "DVSS_TEST_STACK";
/// A server that is not ready by then will not be.
const START_UP: Duration = Duration::from_secs(90);
/// A server that was asked to end and has not by then is killed.
const GRACE: Duration = Duration::from_secs(20);

/// A stack that was brought up. It goes on without this value, and without the process that made it.
pub struct Stack {
    layout: Layout,
    record: Record,
    /// Held as long as this value lives: one at a time starts and stops servers.
    _lock: File,
}

/// What was started, written down after each start so that whatever happens next it can be stopped.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    double: Double,
    ports: Ports,
    processes: BTreeMap<Server, Process>,
}

impl Stack {
    /// Brings the stack of this name up: gets what is missing, starts what does not run, waits until all answer. One
    /// that is up with the same stand-in for DynamoDB stays as it is; servers of it that have ended start again on
    /// their ports, with their data.
    ///
    /// Where it fails it stops what runs, and leaves the logs.
    pub fn up(root: &Path, name: &str, double: Double) -> anyhow::Result<Self> {
        let layout = Layout::new(root, name);
        let lock = lock(&layout)?;
        let running = read_record(&layout)?.filter(|record| record.processes.values().any(Process::lives));
        let running_double = running.as_ref().map_or(double, |record| record.double);
        if running_double != double {
            bail!(
                "this stack is up with another stand-in for DynamoDB; take it down first: cargo xtask stack down"
            );
        }
        let layout = layout.with(double);
        provision::provision(&layout)?;
        python::provision(&layout)?;
        let record = match running {
            Some(record) => record,
            None => fresh(&layout)?,
        };
        let mut stack = Self { layout, record, _lock: lock };
        match stack.start_all() {
            Ok(()) => Ok(stack),
            Err(error) => {
                let logs = stack.layout.logs();
                stack.down().context("and what was started could not be stopped")?;
                Err(error.context(format!("the stack did not come up; its logs lie in {}", logs.display())))
            }
        }
    }

    /// The stack of this name, if it was brought up.
    pub fn find(root: &Path, name: &str) -> anyhow::Result<Option<Self>> {
        let layout = Layout::new(root, name);
        if !layout.record().exists() {
            return Ok(None);
        }
        let lock = lock(&layout)?;
        Ok(read_record(&layout)?.map(|record| Self::of(layout, record, lock)))
    }

    fn of(layout: Layout, record: Record, lock: File) -> Self {
        Self { layout: layout.with(record.double), record, _lock: lock }
    }

    /// The file with its addresses, for [`ADDRESSES`].
    pub fn addresses(&self) -> PathBuf {
        self.layout.addresses()
    }

    /// A configuration of dvss on it.
    pub fn configuration(&self) -> PathBuf {
        self.layout.configuration()
    }

    /// The servers' logs, which stay after [`Self::down`] until the next stack of this name comes up.
    pub fn logs(&self) -> PathBuf {
        self.layout.logs()
    }

    /// One line a server.
    pub fn status(&self) -> Vec<String> {
        Server::ALL.map(|server| self.status_of(server)).into()
    }

    /// Whether every server answers.
    pub fn is_ready(&self) -> bool {
        Server::ALL.iter().all(|server| server.is_ready(&self.layout, &self.record.ports))
    }

    /// Ends one server: as an operator would, or as kill -9 does.
    pub fn stop(&mut self, server: Server, kill: bool) -> anyhow::Result<()> {
        let Some(process) = self.record.processes.get(&server) else { return Ok(()) };
        if !kill {
            process.ask_to_end();
            if process.ends_within(GRACE) {
                return Ok(());
            }
        }
        process.kill()
    }

    /// Starts one server that was stopped, on its port, with its data, and waits until it answers.
    pub fn start(&mut self, server: Server) -> anyhow::Result<()> {
        self.spawn(server)?;
        self.wait_for(server)
    }

    /// Stops every server of it and removes their data.
    pub fn down(self) -> anyhow::Result<()> {
        stop_all(&self.record)?;
        data::remove(&self.layout)?;
        for file in [self.layout.addresses(), self.layout.configuration(), self.layout.record()] {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    fn start_all(&mut self) -> anyhow::Result<()> {
        // All at once: each of them mostly waits.
        for server in Server::ALL {
            self.spawn(server)?;
        }
        for server in Server::ALL {
            self.wait_for(server)?;
        }
        let chores = std::env::current_exe().context("cannot tell where this program is")?;
        let addresses = addresses(&self.layout, &self.record.ports, &chores);
        write_whole(&self.layout.configuration(), &configuration(&addresses))?;
        let addresses = serde_json::to_string_pretty(&addresses)?;
        write_whole(&self.layout.addresses(), &addresses)
    }

    /// Starts the server, unless it runs.
    fn spawn(&mut self, server: Server) -> anyhow::Result<()> {
        effects::check()?;
        if self.record.processes.get(&server).is_some_and(Process::lives) {
            return Ok(());
        }
        let mut command = server.command(&self.layout, &self.record.ports);
        let process = Process::start(&mut command, &self.layout.log(server))?;
        self.record.processes.insert(server, process);
        write_whole(&self.layout.record(), &serde_json::to_string_pretty(&self.record)?)
    }

    fn wait_for(&self, server: Server) -> anyhow::Result<()> {
        let start = now();
        loop {
            effects::check()?;
            let lives = self.record.processes.get(&server).is_some_and(Process::lives);
            if lives && server.is_ready(&self.layout, &self.record.ports) {
                return Ok(());
            }
            let log = self.layout.log(server);
            if !lives {
                bail!("{} ended; its log's last lines:\n{}", server.name(), last_lines(&log));
            }
            if now() - start > START_UP {
                let seconds = START_UP.as_secs();
                bail!("{} is not ready after {seconds} s; see:\n{}", server.name(), last_lines(&log));
            }
            pause(Duration::from_millis(100));
        }
    }

    fn status_of(&self, server: Server) -> String {
        let process = self.record.processes.get(&server).filter(|process| process.lives());
        let state = match process {
            None => "stopped".to_owned(),
            Some(process) if server.is_ready(&self.layout, &self.record.ports) => {
                format!("ready, pid {}", process.pid())
            }
            Some(process) => format!("not ready, pid {}", process.pid()),
        };
        format!(
            "{:<9} {:<7} {state}, log {}",
            server.name(),
            server.version_of(self.layout.double()),
            self.layout.log(server).display()
        )
    }
}

/// A stack that is stopped when this value goes, whichever way: return, error or panic. Meanwhile others may
/// stop and start servers of it.
pub struct Guard(Option<Layout>);

impl Guard {
    /// Guards the stack.
    pub fn new(stack: Stack) -> Self {
        Self(Some(stack.layout))
    }

    /// Stops the stack, and says whether that went well.
    pub fn down(mut self) -> anyhow::Result<()> {
        self.0.take().map_or(Ok(()), take_down)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(layout) = self.0.take() {
            eprintln!("xtask: stopping the stack; its logs lie in {}", layout.logs().display());
            if let Err(error) = take_down(layout) {
                eprintln!("xtask: {error:#}");
            }
        }
    }
}

/// Whoever is starting a server of it is waited for, or that server would stay.
fn take_down(layout: Layout) -> anyhow::Result<()> {
    let start = now();
    let lock = loop {
        match lock(&layout) {
            Ok(lock) => break lock,
            Err(error) if now() - start > START_UP + GRACE => return Err(error),
            Err(_) => pause(Duration::from_millis(50)),
        }
    };
    match read_record(&layout)? {
        Some(record) => Stack::of(layout, record, lock).down(),
        None => Ok(()),
    }
}

/// Empty directories, new ports, nothing started.
fn fresh(layout: &Layout) -> anyhow::Result<Record> {
    data::remove(layout)?;
    data::remove_if_there(&layout.logs())?;
    data::create(layout)?;
    let [kafka, kafka_secured, controller, s3, dynamodb, registry] = ports::free()?;
    let ports = Ports { kafka, kafka_secured, controller, s3, dynamodb, registry };
    fs::write(layout.kafka_properties(), server::kafka_properties(layout, &ports))?;
    let log = File::create(layout.log(Server::Kafka))?;
    for mut command in server::certify_kafka(layout).into_iter().chain([server::format_kafka(layout)]) {
        command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        if !effects::run(&mut command)?.success() {
            bail!("the broker was not prepared:\n{}", last_lines(&layout.log(Server::Kafka)));
        }
    }
    Ok(Record { double: layout.double(), ports, processes: BTreeMap::new() })
}

/// Asks all to end, waits, and kills what stays.
fn stop_all(record: &Record) -> anyhow::Result<()> {
    for process in record.processes.values() {
        process.ask_to_end();
    }
    let start = now();
    for process in record.processes.values() {
        if !process.ends_within(GRACE.saturating_sub(now() - start)) {
            process.kill()?;
        }
    }
    Ok(())
}

/// What tests are told: where the servers are, the clients of others that speak to them, and the command that
/// stops and starts them. `chores` is this program.
fn addresses(layout: &Layout, ports: &Ports, chores: &Path) -> serde_json::Value {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    json!({
        "kafka": format!("127.0.0.1:{}", ports.kafka),
        "kafkaSecured": {
            "brokers": format!("127.0.0.1:{}", ports.kafka_secured),
            "ca": layout.kafka_certificate(),
            "username": KAFKA_USER,
            "password": KAFKA_PASSWORD,
        },
        "s3": {"endpoint": url(ports.s3), "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY},
        "dynamodb": url(ports.dynamodb),
        "registry": format!("{}{CONFLUENT_API}", url(ports.registry)),
        "kafkaTools": {"classpath": server::classes(&layout.server(Server::Kafka))},
        "python": python::interpreter(layout),
        "control": [chores, Path::new("stack"), Path::new("--name"), Path::new(layout.name())],
    })
}

/// A configuration of dvss on servers with these addresses: few partitions, for one machine.
fn configuration(addresses: &serde_json::Value) -> String {
    let text =
        |pointer: &str| addresses.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
    format!(
        "servers:\n\
         \x20 partitions: 2\n\
         \x20 kafka: {{brokers: '{}'}}\n\
         \x20 registry: {{url: '{}'}}\n\
         \x20 aws:\n\
         \x20   credentials: {{accessKey: '{}', secretKey: '{}'}}\n\
         \x20   s3: {{endpoint: '{}'}}\n\
         \x20   dynamodb: {{endpoint: '{}'}}\n",
        text("/kafka"),
        text("/registry"),
        text("/s3/accessKey"),
        text("/s3/secretKey"),
        text("/s3/endpoint"),
        text("/dynamodb"),
    )
}

fn lock(layout: &Layout) -> anyhow::Result<File> {
    fs::create_dir_all(layout.home()).with_context(|| format!("cannot make {}", layout.home().display()))?;
    let file = File::create(layout.lock())?;
    if file.try_lock().is_err() {
        bail!("another `cargo xtask` is busy with the stack in {}", layout.home().display());
    }
    Ok(file)
}

fn read_record(layout: &Layout) -> anyhow::Result<Option<Record>> {
    let path = layout.record();
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)?;
    let record = serde_json::from_str(&text);
    record.map(Some).with_context(|| format!("cannot read {}, which says what to stop", path.display()))
}

/// Readers see the old file or the new one, never half of it.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
    format!("{}\n({})", tail.join("\n"), log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_tests_read() {
        let layout = Layout::new(Path::new("/root"), "x");
        let ports = Ports { kafka: 1, kafka_secured: 6, controller: 2, s3: 3, dynamodb: 4, registry: 5 };
        let expected = json!({
            "kafka": "127.0.0.1:1",
            "kafkaSecured": {
                "brokers": "127.0.0.1:6",
                "ca": layout.kafka_certificate(),
                "username": KAFKA_USER,
                "password": KAFKA_PASSWORD,
            },
            "s3": {"endpoint": "http://127.0.0.1:3", "accessKey": ACCESS_KEY, "secretKey": SECRET_KEY},
            "dynamodb": "http://127.0.0.1:4",
            "registry": "http://127.0.0.1:5/apis/ccompat/v7",
            "kafkaTools": {"classpath": format!("{}/libs/*", layout.server(Server::Kafka).display())},
            "python": python::interpreter(&layout),
                "control": ["/bin/xtask", "stack", "--name", "x"],
        });
        assert_eq!(addresses(&layout, &ports, Path::new("/bin/xtask")), expected);
    }

    #[test]
    fn a_record_that_was_read_is_the_one_that_was_written() {
        let home = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(home.path(), "x");
        fs::create_dir_all(layout.home()).expect("a directory");
        assert!(read_record(&layout).expect("none").is_none());
        let ports = Ports { kafka: 1, kafka_secured: 6, controller: 2, s3: 3, dynamodb: 4, registry: 5 };
        let text =
            serde_json::to_string(&Record { double: Double::Dynoxide, ports, processes: BTreeMap::new() })
                .expect("JSON");
        write_whole(&layout.record(), &text).expect("written");
        let read = read_record(&layout).expect("readable").expect("one");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
        fs::write(layout.record(), "{").expect("written");
        assert!(read_record(&layout).is_err(), "half a record must not count as none");
    }

    #[test]
    fn one_at_a_time() {
        let home = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(home.path(), "");
        let first = lock(&layout).expect("free");
        assert!(lock(&layout).is_err());
        drop(first);
        lock(&layout).expect("free again");
    }

    #[test]
    fn the_end_of_a_log_is_twenty_lines() {
        let home = tempfile::tempdir().expect("a directory");
        let log = home.path().join("log");
        let text: Vec<String> = (0..50).map(|line| format!("line {line}")).collect();
        fs::write(&log, text.join("\n")).expect("written");
        let end = last_lines(&log);
        assert!(end.starts_with("line 30\n") && end.contains("line 49\n"), "{end}");
    }
}
