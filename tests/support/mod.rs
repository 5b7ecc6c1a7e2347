//! What the end-to-end tests share: the real binary on a directory of its own, HTTP and command-line
//! clients, and waits that are bounded and say what they waited for.

#![allow(dead_code, reason = "each test target uses a part of it")]

pub mod installation;
pub mod oracle;
pub mod proxy;
pub mod servers;
pub mod wire;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for anything that has to happen. Generous: other builds may share the machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A disk that others keep busy makes waits, not refusals.
const PATIENT: [(&str, &str); 3] = [
    ("DVSS_GATEWAY__STORE_TIMEOUT", "40s"),
    ("DVSS_GATEWAY__APPEND_TIMEOUT", "40s"),
    ("DVSS_GATEWAY__BATCH_TIMEOUT", "50s"),
];
/// Lines of a child's log that a failing test shows.
const SHOWN_LINES: usize = 80;

/// A time that every test may use: in the past, whenever the test runs.
pub const NOON: &str = "2024-05-01T12:00:00Z";

/// A directory, or an installation on servers, that survives restarts of the process on it.
pub struct Place {
    directory: TempDir,
    servers: Option<OnServers>,
    prepared: Cell<bool>,
    starts: Cell<u32>,
}

/// An installation on servers.
struct OnServers {
    stack: servers::Stack,
    /// Its configuration.
    config: PathBuf,
    /// What its names on the servers begin with.
    prefix: String,
}

/// A process that is about to be started.
pub struct Start<'a> {
    place: &'a Place,
    role: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running `dvss up`, or a role alone; killed when dropped.
pub struct Dvss {
    child: Child,
    /// Base address of the vendors' door; of a role that serves none, empty.
    pub vendors: String,
    /// Base address of the operator API.
    pub operators: String,
    /// Where its log goes.
    pub log: PathBuf,
    http: reqwest::Client,
}

/// A vendor who may send.
#[derive(Clone)]
pub struct Vendor {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: String,
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Media type.
    pub media_type: String,
    /// `Retry-After`, where there is one.
    pub retry_after: Option<u64>,
    /// The body; text where it is not JSON.
    pub body: Value,
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Place {
    /// A new place: on the servers that the tests run on, else in a directory.
    pub fn new() -> Self {
        servers::named().map_or_else(Self::embedded, Self::on)
    }

    /// A new installation on these servers.
    pub fn on(stack: servers::Stack) -> Self {
        let place = Self::embedded();
        let config = place.directory.path().join("servers.yaml");
        let prefix = stack.configure(&config);
        Self { servers: Some(OnServers { stack, config, prefix }), ..place }
    }

    /// A new directory, whatever the tests run on: for what only the embedded default has.
    pub fn embedded() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory, servers: None, prepared: Cell::default(), starts: Cell::default() }
    }

    /// Makes topics, tables, buckets and schemas, once.
    pub async fn prepare(&self) {
        if self.servers.is_none() || self.prepared.replace(true) {
            return;
        }
        let config = self.config();
        for command in [["topics", "apply"], ["tables", "apply"], ["schemas", "register"]] {
            let ran = run(&[command[0], command[1], "--config", &config]).await;
            assert_eq!(ran.code, 0, "{command:?}: {}{}", ran.stdout, ran.stderr);
        }
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// A file beside the data directory, written.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("a temporary file");
        path
    }

    /// `dvss up` on it.
    pub fn up(&self) -> Start<'_> {
        self.role(&["up"])
    }

    /// A role of it alone, which needs servers: `gateway`, `processor dedup`, `operator`.
    pub fn role(&self, role: &[&str]) -> Start<'_> {
        let role = role.iter().map(|word| (*word).to_owned()).collect();
        Start { place: self, role, environment: Vec::new() }
    }

    fn on_servers(&self) -> &OnServers {
        self.servers.as_ref().expect("a place on servers")
    }

    /// The configuration of an installation on servers.
    pub fn config(&self) -> String {
        self.on_servers().config.display().to_string()
    }

    /// The name that the cluster knows a topic or a group of this installation by.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.on_servers().prefix)
    }

    /// The log of the newest process.
    fn next_log(&self) -> PathBuf {
        self.starts.set(self.starts.get() + 1);
        self.directory.path().join(format!("stderr-{}.log", self.starts.get()))
    }
}

impl Start<'_> {
    /// Sets a variable of the process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, and returns when it works (on the embedded default: when it listens).
    pub async fn go(self) -> Dvss {
        let on_servers = self.place.servers.is_some();
        let mut dvss = self.begin().await;
        if on_servers {
            dvss.ready_or_dead().await;
        }
        dvss
    }

    /// Starts it, and returns when it listens.
    pub async fn begin(self) -> Dvss {
        self.place.prepare().await;
        let log = self.place.next_log();
        let stderr = std::fs::File::create(&log).expect("a log file");
        let data = self.place.data();
        let mut command = dvss();
        command.args(&self.role).args([
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--operator-listen",
            "127.0.0.1:0",
        ]);
        match &self.place.servers {
            None => command.arg("--data").arg(&data),
            Some(servers) => command.arg("--config").arg(&servers.config),
        };
        command.env("DVSS_LOG", "info").envs(PATIENT).envs(self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let place: Value = match read {
            Ok(Ok(_)) => serde_json::from_str(&line).unwrap_or_default(),
            _ => Value::Null,
        };
        let [vendors, operators] =
            ["vendors", "operators"].map(|name| place[name].as_str().unwrap_or_default().to_owned());
        let dvss = Dvss { child, vendors, operators, log, http: http() };
        assert!(!dvss.operators.is_empty(), "dvss did not say where it listens; its first line: {line:?}");
        if self.place.servers.is_none() {
            assert_eq!(place["data"], json!(data.display().to_string()));
        }
        dvss
    }
}

impl Dvss {
    /// Its process id.
    pub fn process(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until it works; a process that is to die may do so before.
    async fn ready_or_dead(&mut self) {
        eventually("it is ready", async || {
            let asked = self.http.get(format!("{}/readyz", self.operators)).send().await;
            (asked.is_ok_and(|answer| answer.status().is_success()) || !self.runs()).then_some(())
        })
        .await;
    }

    /// Adds a vendor that speaks dvss's own words.
    pub async fn vendor(&self, id: &str) -> Vendor {
        self.vendor_on(id, Some("dvss")).await
    }

    /// Adds a vendor, on a platform or on none.
    pub async fn vendor_on(&self, id: &str, platform: Option<&str>) -> Vendor {
        let answer = self.operate("/vendors", json!({ "vendorId": id, "platform": platform })).await;
        let key = answer.expect(200)["key"].as_str().expect("a key").to_owned();
        Vendor { id: id.to_owned(), key }
    }

    /// `GET /api/v1…`
    pub async fn look(&self, path: &str) -> Answer {
        self.ask(self.http.get(format!("{}/api/v1{path}", self.operators)))
            .await
            .expect("the operator API answers")
    }

    /// `POST /api/v1…`
    pub async fn operate(&self, path: &str, body: Value) -> Answer {
        let request = self.http.post(format!("{}/api/v1{path}", self.operators)).json(&body);
        self.ask(request).await.expect("the operator API answers")
    }

    /// `GET` of the operator port, outside of the API.
    pub async fn page(&self, path: &str) -> Answer {
        self.ask(self.http.get(format!("{}{path}", self.operators))).await.expect("the operator port answers")
    }

    /// A request to the vendors' door, with the vendor's key.
    pub fn request(&self, method: &str, path: &str, vendor: &Vendor) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.http.request(method, format!("{}{path}", self.vendors)).bearer_auth(&vendor.key)
    }

    /// Sends a request.
    pub async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let media_type = header("content-type").unwrap_or_default();
        let retry_after = header("retry-after").and_then(|text| text.parse().ok());
        let bytes = answer.bytes().await?;
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Ok(Answer { status, media_type, retry_after, body })
    }

    /// Posts one event.
    pub async fn send(&self, vendor: &Vendor, event: &Value) -> Answer {
        self.try_send(vendor, event).await.expect("the vendors' door answers")
    }

    /// Posts one event; an error where the door does not answer.
    pub async fn try_send(&self, vendor: &Vendor, event: &Value) -> Result<Answer, reqwest::Error> {
        self.ask(self.request("POST", "/v1/events", vendor).json(event)).await
    }

    /// Posts a body to a path, as one media type.
    pub async fn post(
        &self,
        vendor: &Vendor,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request("POST", path, vendor).header("content-type", media_type).body(body);
        self.ask(request).await.expect("the vendors' door answers")
    }

    /// Sends one event as a patient vendor does: again, until it is taken or refused for good. Returns the
    /// answer that settled it.
    pub async fn deliver(&self, vendor: &Vendor, event: &Value) -> Answer {
        let what = format!("the door takes {}", event["externalEventId"]);
        eventually(&what, async || {
            let answer = self.try_send(vendor, event).await.ok()?;
            (answer.status < 500 && answer.status != 429).then_some(answer)
        })
        .await
    }

    /// Runs a command against this process.
    pub async fn cli(&self, arguments: &[&str]) -> Ran {
        run(&[&["--server", &self.operators], arguments].concat()).await
    }

    /// `dvss explain`, over HTTP.
    pub async fn explain(&self, id: &str) -> Value {
        self.look(&format!("/events/{id}")).await.expect(200).clone()
    }

    /// `dvss history`, over HTTP.
    pub async fn history(&self, entity: &str) -> Value {
        self.look(&format!("/entities/{}", segment(entity))).await.expect(200).clone()
    }

    /// The records of a topic, from its start to its end.
    pub async fn tail(&self, topic: &str) -> Vec<Value> {
        let (mut records, mut cursor) = (Vec::new(), "start".to_owned());
        loop {
            let answer = self.look(&format!("/topics/{topic}/records?cursor={cursor}")).await;
            let page = answer.expect(200);
            records.extend(page["records"].as_array().expect("records").iter().cloned());
            if page["atEnd"] == true {
                return records;
            }
            cursor = page["next"].as_str().expect("a cursor").to_owned();
        }
    }

    /// Waits until no stage lags behind and nothing is in flight, and returns the books.
    pub async fn settled(&self) -> Value {
        eventually("the pipeline has worked everything off", async || {
            let status = self.look("/status").await;
            let groups = status.body["groups"].as_array().filter(|_| status.status == 200)?;
            if groups.len() < 4 || groups.iter().any(|group| group["lag"] != 0) {
                return None;
            }
            let answer = self.look("/reconcile").await;
            let vendors = answer.body["vendors"].as_array().filter(|_| answer.status == 200)?;
            vendors.iter().all(|vendor| vendor["inFlight"] == 0).then_some(answer.body.clone())
        })
        .await
    }

    /// Waits until every fact of an event is published and its row knows where: receipts are copied into
    /// rows a moment after they are committed.
    pub async fn published(&self, id: &str) -> Value {
        self.until(id, "published", oracle::is_published).await
    }

    /// Waits until `explain` shows this status.
    pub async fn explained(&self, id: &str, status: &str) -> Value {
        self.until(id, status, |shown| shown["status"] == status).await
    }

    async fn until(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let seen = within_patience(async || {
            last = self.look(&format!("/events/{id}")).await.body;
            is_so(&last).then_some(())
        });
        let seen = seen.await;
        assert!(seen.is_some(), "waited {PATIENCE:?} in vain: {id} is {what}; it is {last}");
        last
    }

    /// Waits until it is dead, without having been told to die.
    pub async fn died(mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the process dies").expect("a status")
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// The most bytes that it ever had in memory, where the system tells.
    pub fn most_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1_024)
    }

    /// `kill -9`, without waiting.
    pub fn kill_now(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args(["-KILL", &id]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    /// `SIGTERM`.
    pub async fn ask_to_stop(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(sent.expect("there is a kill command").success());
    }

    /// `SIGTERM`, and waits for a clean end.
    pub async fn stop(self) {
        self.ask_to_stop().await;
        self.ended_well().await;
    }

    /// Waits for a clean end.
    pub async fn ended_well(mut self) {
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("the process drains in time");
        assert_eq!(ended.expect("a status").code(), Some(0), "drained");
    }

    /// What it logged so far.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Dvss {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.logged();
            let skipped = log.lines().count().saturating_sub(SHOWN_LINES);
            // Not on stderr: what failed is said there, and shall stand last.
            println!("--- the log of the process (its last {SHOWN_LINES} lines) ---");
            log.lines().skip(skipped).for_each(|line| println!("{line}"));
        }
    }
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.body);
        &self.body
    }

    /// Checks that it is a problem document (RFC 9457) with this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.media_type, "application/problem+json");
        assert_eq!(self.body["status"], status, "{}", self.body);
        for name in ["type", "title", "detail"] {
            assert!(self.body[name].is_string(), "{name} of {}", self.body);
        }
        &self.body
    }

    /// The id in the body.
    #[track_caller]
    pub fn id(&self) -> String {
        self.body["ingestId"].as_str().unwrap_or_else(|| panic!("no ingestId in {}", self.body)).to_owned()
    }
}

impl Ran {
    /// The JSON document that it printed, having succeeded.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The JSON objects that it printed, one a line, having succeeded.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "stderr: {}", self.stderr);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs the binary to its end.
pub async fn run(arguments: &[&str]) -> Ran {
    let ended = timeout(PATIENCE, dvss().args(arguments).stdin(Stdio::null()).kill_on_drop(true).output());
    let output = ended.await.unwrap_or_else(|_| panic!("`dvss {}` takes too long", arguments.join(" ")));
    let output = output.expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The binary, without the settings of whoever runs the tests.
pub fn dvss() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dvss"));
    command.env_clear();
    command
}

/// Looks until there is something to see; fails, saying what it waited for, when patience ends.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within_patience(look).await.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Looks until there is something to see, or patience ends.
async fn within_patience<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(seen) = look().await {
            return Some(seen);
        }
        sleep(LOOK).await;
    }
    None
}

/// An envelope.
pub fn envelope(id: &str, event_type: &str, occurred_at: &str, payload: Value) -> Value {
    json!({ "externalEventId": id, "eventType": event_type, "occurredAt": occurred_at, "payload": payload })
}

/// An envelope with the stock on hand of one item in warehouse `w1`.
pub fn stock(id: &str, occurred_at: &str, sku: &str, on_hand: &str) -> Value {
    let payload = json!({ "sku": sku, "warehouseId": "w1", "quantityOnHand": on_hand });
    envelope(id, "InventoryUpdated", occurred_at, payload)
}

/// An envelope with a change of one item in warehouse `w1`.
pub fn change(id: &str, occurred_at: &str, sku: &str, delta: &str) -> Value {
    let payload = json!({ "sku": sku, "warehouseId": "w1", "delta": delta });
    envelope(id, "InventoryAdjusted", occurred_at, payload)
}

/// `NOON` and so many seconds.
pub fn seconds_past_noon(seconds: u32) -> String {
    assert!(seconds < 36_000, "the day ends");
    format!("2024-05-01T{:02}:{:02}:{:02}Z", 12 + seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A client without proxies, whose calls end.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client")
}

/// Percent-encodes one segment of a path.
pub fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The names of an object's members, sorted.
pub fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
