//! The stack that the soak has for itself: its addresses, its installation there, and how servers are stopped
//! and started.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws::Aws;
use kafka::{KafkaLog, Prefixed, Registry};
use ports::{Log, Schemas};
use serde_json::json;
use stores::codec::Codec;
use stores::topics::{INBOUND_GROUP, STAGES};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::door::inbound;
use crate::support::servers::Stack;
use crate::traffic::VENDORS;

/// The stack, and the soak's installation on it.
pub struct Servers {
    stack: Stack,
    prefix: String,
    /// The configuration of the installation.
    pub config: PathBuf,
}

/// Readers of our own, which know nothing of what the roles have in memory.
pub struct Readers {
    /// The log, committed records alone.
    pub log: Arc<dyn Log>,
    /// What public topics' values say.
    pub codec: Codec,
    /// S3.
    pub aws: Aws,
}

impl Servers {
    /// An installation on the stack whose addresses are in this file.
    pub fn new(stack: &Path, directory: &Path) -> Self {
        let stack = Stack::of(stack);
        let config = directory.join("servers.yaml");
        let prefix = stack.configure(&config);
        Self { stack, prefix, config }
    }

    /// `cargo xtask stack …` on this stack.
    pub async fn control(&self, arguments: &[&str]) {
        let words = self.stack.control();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(arguments).stdin(Stdio::null());
        let ran = command.output().await.expect("the stack's command starts");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// Whether somebody listens at a server's address.
    pub async fn listens(&self, server: &str) -> bool {
        let address = match server {
            "s3" => self.stack.text("/s3/endpoint"),
            other => self.stack.text(&format!("/{other}")),
        };
        let address = address.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        TcpStream::connect(address).await.is_ok()
    }

    /// Readers of what is in the servers.
    pub async fn readers(&self) -> Readers {
        let kafka = kafka::Options { brokers: self.stack.text("/kafka"), ..Default::default() };
        let registry = kafka::RegistryOptions { url: self.stack.text("/registry"), ..Default::default() };
        let registry: Arc<dyn Schemas> =
            Arc::new(Registry::open(&registry).expect("a client").under(&self.prefix));
        let name = self.prefix.trim_end_matches('.');
        let aws: aws::Options = serde_json::from_value(json!({
            "credentials": {
                "accessKey": self.stack.text("/s3/accessKey"), "secretKey": self.stack.text("/s3/secretKey"),
            },
            "callTimeout": "30s",
            "s3": {
                "endpoint": self.stack.text("/s3/endpoint"), "rawBucket": format!("{name}-raw"),
                "normalizedBucket": format!("{name}-normalized"), "invoicesBucket": format!("{name}-invoices"),
            },
        }))
        .expect("options");
        let log = KafkaLog::open(kafka).expect("a client");
        Readers {
            log: Arc::new(Prefixed::new(Arc::new(log), &self.prefix)),
            codec: Codec::new(registry),
            aws: Aws::new(&aws).await,
        }
    }
}

/// Every group, and a topic that it reads.
fn read() -> Vec<(&'static str, String)> {
    let inbound = VENDORS.iter().map(|vendor| (INBOUND_GROUP, inbound(vendor)));
    inbound.chain(STAGES.map(|(group, topic)| (group, topic.to_owned()))).collect()
}

impl Readers {
    /// Records below the last stable offset that nobody has committed yet, markers of transactions
    /// included; `None` while the broker is away.
    pub async fn distance(&self) -> Option<u64> {
        let mut distance = 0;
        for (group, topic) in read() {
            let committed = self.log.committed(group, &topic).await.ok()?;
            let ends = self.log.ends(&topic).await.ok()?;
            for (committed, ends) in committed.into_iter().zip(ends) {
                distance += u64::try_from(ends.stable - committed.unwrap_or(ends.start)).unwrap_or(0);
            }
        }
        Some(distance)
    }

    /// Data records that are not worked off; `None` while the broker is away.
    pub async fn lag(&self) -> Option<u64> {
        let mut records = 0;
        for (group, topic) in read() {
            let lags = runtime::lag(&*self.log, group, &[&topic]).await.ok()?;
            records += lags.iter().map(|lag| lag.records).sum::<u64>();
        }
        Some(records)
    }

    /// Waits until nothing is left to do; fails where nothing moves any more.
    pub async fn worked_off(&self) {
        let (mut least, mut still) = (u64::MAX, 0_u32);
        loop {
            let lag = self.lag().await.unwrap_or(u64::MAX);
            if lag == 0 {
                return;
            }
            still = if lag < least { 0 } else { still + 1 };
            least = least.min(lag);
            assert!(still < 180, "{lag} records are left, and nothing moves any more");
            if still.is_multiple_of(10) {
                println!("        waiting: {lag} records are left");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
