//! Servers that the tests run on, where there are some: Kafka, S3, DynamoDB and a schema registry; and what
//! others wrote to speak to them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;

/// Names a file with the servers' addresses, as `cargo xtask stack up` writes it.
const VARIABLE: &str = "DVSS_TEST_STACK";

/// Installations of this process so far.
static INSTALLATIONS: AtomicU32 = AtomicU32::new(0);

/// The servers.
#[derive(Clone)]
pub struct Stack(Value);

/// The servers that whoever runs the tests named.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests names the servers")]
pub fn named() -> Option<Stack> {
    let file = std::fs::read(std::env::var_os(VARIABLE)?).expect("the file that DVSS_TEST_STACK names");
    Some(Stack(serde_json::from_slice(&file).expect("JSON")))
}

/// The same, for a test that only servers can show; where there are none it says so.
pub fn stack() -> Option<Stack> {
    let stack = named();
    if stack.is_none() {
        println!("no servers: {VARIABLE} is not set, so this test shows nothing; see `cargo xtask stack up`");
    }
    stack
}

impl Stack {
    /// The servers whose addresses are in this file.
    pub fn of(file: &Path) -> Self {
        let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self(serde_json::from_slice(&text).expect("JSON"))
    }

    /// The command that stops and starts them; what to do goes behind it.
    pub fn control(&self) -> Vec<&str> {
        let words = self.0["control"].as_array().expect("no control: bring the stack up again");
        words.iter().filter_map(Value::as_str).collect()
    }

    /// An address, or whatever else the stack's file has there.
    pub fn text(&self, pointer: &str) -> String {
        let found = self.0.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer}: bring the stack up again")).to_owned()
    }

    /// Writes the configuration of a new installation on the servers, and returns the prefix of its names.
    pub fn configure(&self, path: &Path) -> String {
        let name = unique();
        let yaml = format!(
            "member: member\n\
             servers:\n\
             \x20 prefix: {name}.\n\
             \x20 partitions: 2\n\
             \x20 kafka: {{brokers: '{kafka}', sessionTimeout: 6s}}\n\
             \x20 registry: {{url: '{registry}'}}\n\
             \x20 aws:\n\
             \x20   credentials: {{accessKey: {access}, secretKey: {secret}}}\n\
             \x20   s3: {{endpoint: '{s3}', rawBucket: {name}-raw, normalizedBucket: {name}-normalized, invoicesBucket: {name}-invoices}}\n\
             \x20   dynamodb: {{endpoint: '{dynamodb}', tablePrefix: {name}.}}\n",
            kafka = self.text("/kafka"),
            registry = self.text("/registry"),
            access = self.text("/s3/accessKey"),
            secret = self.text("/s3/secretKey"),
            s3 = self.text("/s3/endpoint"),
            dynamodb = self.text("/dynamodb"),
        );
        std::fs::write(path, yaml).expect("a temporary file");
        format!("{name}.")
    }

    /// Runs one of the tools that come with Kafka, and returns what it printed.
    pub async fn kafka_tool(&self, class: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("java");
        // It lives for a second: start-up is what counts.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(self.text("/kafkaTools/classpath")).arg(class);
        command.args(["--bootstrap-server", &self.text("/kafka")]).args(arguments);
        output(command).await
    }

    /// Runs Kafka's `kafka-topics`, `kafka-configs` and so on, of the package of tools.
    pub async fn tool(&self, name: &str, arguments: &[&str]) -> String {
        self.kafka_tool(&format!("org.apache.kafka.tools.{name}"), arguments).await
    }

    /// Runs a script with the Python that has Confluent's client, and returns what it printed.
    pub async fn python(&self, script: &Path, arguments: &[impl AsRef<OsStr>]) -> String {
        let mut command = Command::new(self.text("/python"));
        command.arg(script).args(arguments).env("NO_PROXY", "127.0.0.1");
        output(command).await
    }
}

/// A name that no installation on the servers has, also of an earlier run whose process had our number.
#[expect(clippy::disallowed_methods, reason = "runs share the servers")]
fn unique() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let number = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
    format!("t{:x}-{}-{number}", since.as_secs(), std::process::id())
}

/// What a program printed, having succeeded.
async fn output(mut command: Command) -> String {
    let shown = format!("{command:?}");
    let ended = timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output());
    let output = ended.await.unwrap_or_else(|_| panic!("{shown} takes too long")).expect("it starts");
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}, {}: {stdout}{stderr}", output.status);
    stdout
}
