//! Kafka, S3, DynamoDB and a schema registry.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use aws::{Aws, TablePlan, TableStep, Together};
use contract::VendorId;
use kafka::{Admin, KafkaLog, Prefixed, Registry};
use ports::{Log, Ports};
use serde::{Deserialize, Serialize};
use stores::topics::TopicSpec;

use super::topics;
use crate::clock;
use crate::config::Config;

/// How the servers are reached; with this section dvss works on them, and `data` and `store` mean nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServersOptions {
    /// Kafka.
    pub kafka: kafka::Options,
    /// The schema registry.
    pub registry: kafka::RegistryOptions,
    /// S3 and DynamoDB.
    pub aws: aws::Options,
    /// Put before the names of topics, groups, transactional ids and subjects, so that installations can
    /// share a cluster. Default none.
    pub prefix: String,
    /// Partitions of every topic, instead of what its document says: for small installations. Never
    /// changed once events are there.
    pub partitions: Option<u32>,
}

/// The clients of all servers.
pub struct Servers {
    /// Everything that dvss needs.
    pub ports: Ports,
    /// Names of topics and subjects begin with this.
    pub prefix: String,
    /// The object and the table store.
    pub aws: Aws,
    /// Changes topics.
    pub admin: Admin,
    /// The schema registry.
    pub registry: Arc<Registry>,
    /// What the configuration says of topics.
    sizes: topics::Sizes,
    /// The topics that are to be there, by the names that dvss gives them.
    pub topics: Vec<TopicSpec>,
}

impl Servers {
    /// Makes the clients. Connects to nothing yet.
    pub async fn open(options: &ServersOptions, config: &Config) -> anyhow::Result<Self> {
        let mut kafka = options.kafka.clone();
        kafka.max_poll_interval = config.runtime.max_poll_interval;
        kafka.transaction_timeout = config.runtime.transaction_timeout;
        let log = KafkaLog::open(kafka)?;
        let admin = Admin::new(&log)?;
        let registry = Arc::new(Registry::open(&options.registry)?.under(&options.prefix));
        let clock = clock::of_the_process()?;
        let aws = Aws::by_clock(&options.aws, Arc::clone(&clock)).await;
        let prefix = options.prefix.clone();
        let log: Arc<dyn Log> =
            if prefix.is_empty() { Arc::new(log) } else { Arc::new(Prefixed::new(Arc::new(log), &prefix)) };
        let ports = Ports {
            log,
            raw: Arc::new(aws.raw()),
            normalized: Arc::new(aws.normalized()),
            invoices: Arc::new(aws.invoices()),
            tables: Arc::new(Together::new(Arc::new(aws.tables()))),
            schemas: Arc::clone(&registry) as Arc<dyn ports::Schemas>,
            clock,
        };
        let sizes = topics::Sizes {
            partitions: options.partitions,
            max_record_bytes: options.kafka.max_record_bytes,
        };
        let topics = stores::topics::shipped().into_iter().map(|topic| sizes.fit(topic)).collect();
        Ok(Self { ports, prefix, aws, admin, registry, sizes, topics })
    }

    /// The topic that a vendor who writes to Kafka is to have.
    pub fn inbound(&self, vendor: &VendorId) -> TopicSpec {
        self.sizes.fit(stores::topics::inbound(vendor))
    }

    /// The name that the cluster knows a topic by.
    pub fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Checks that topics, tables, buckets and schemas are there. Nothing is made on the way.
    pub async fn check(&self) -> anyhow::Result<()> {
        for topic in &self.topics {
            let there = match self.ports.log.partitions(&topic.name).await {
                Ok(partitions) => Some(partitions),
                Err(ports::log::Error::Missing(_)) => None,
                Err(error) => return Err(error).context("Kafka"),
            };
            if let Some(why) = topics::unusable(&self.name(&topic.name), topic.partitions, there) {
                bail!("{why}");
            }
        }
        for plan in self.aws.table_admin(&stores::tables::ALL).plan().await.context("DynamoDB")? {
            if !is_usable(&plan) {
                bail!(
                    "the table {} is missing or not as dvss needs it; `dvss tables plan` shows what, `dvss tables apply` makes it (store-missing)",
                    plan.table
                );
            }
        }
        for plan in self.aws.bucket_admin().plan().await.context("S3")? {
            if !plan.steps.is_empty() {
                bail!(
                    "the bucket {} is missing or keeps no versions; `dvss tables apply` makes it (store-missing)",
                    plan.bucket
                );
            }
        }
        self.registry.pin(&stores::codec::schemas()).await.map_err(|error| match error {
            ports::schemas::Error::Unknown(_) => {
                anyhow::anyhow!("{error}; `dvss schemas check` shows what is missing, `dvss schemas register` registers it (schema-missing)")
            }
            error => anyhow::anyhow!("{error}"),
        })
    }
}

/// Whether a table can be worked with; that it cannot be brought back to an earlier time is for operators.
fn is_usable(plan: &TablePlan) -> bool {
    plan.drift.is_empty() && plan.steps.iter().all(|step| *step == TableStep::EnableRecovery)
}
