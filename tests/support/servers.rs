//! Servers that the tests run on, where there are some: Kafka, S3, DynamoDB and a schema registry.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// Names a file with the servers' addresses, as `cargo xtask stack up` writes it.
const VARIABLE: &str = "DVSS_TEST_STACK";

/// Installations of this process so far: each has names of its own on the servers.
static INSTALLATIONS: AtomicU32 = AtomicU32::new(0);

/// The configuration of a new installation on the servers, written into `directory`; `None` where the
/// tests run on the embedded default.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests names the servers")]
pub fn configuration(directory: &Path) -> Option<PathBuf> {
    let stack = std::fs::read(std::env::var_os(VARIABLE)?).expect("the file that DVSS_TEST_STACK names");
    let stack: Value = serde_json::from_slice(&stack).expect("JSON");
    let text = |pointer: &str| stack.pointer(pointer).and_then(Value::as_str).expect("an address").to_owned();
    let number = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
    let name = format!("t{}-{number}", std::process::id());
    let yaml = format!(
        "member: member\n\
         servers:\n\
         \x20 prefix: {name}.\n\
         \x20 partitions: 2\n\
         \x20 kafka: {{brokers: '{kafka}', sessionTimeout: 6s}}\n\
         \x20 registry: {{url: '{registry}'}}\n\
         \x20 aws:\n\
         \x20   credentials: {{accessKey: {access}, secretKey: {secret}}}\n\
         \x20   s3: {{endpoint: '{s3}', rawBucket: {name}-raw, normalizedBucket: {name}-normalized}}\n\
         \x20   dynamodb: {{endpoint: '{dynamodb}', tablePrefix: {name}.}}\n",
        kafka = text("/kafka"),
        registry = text("/registry"),
        access = text("/s3/accessKey"),
        secret = text("/s3/secretKey"),
        s3 = text("/s3/endpoint"),
        dynamodb = text("/dynamodb"),
    );
    let path = directory.join("servers.yaml");
    std::fs::write(&path, yaml).expect("a temporary file");
    Some(path)
}
