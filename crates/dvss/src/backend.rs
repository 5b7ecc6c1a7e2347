//! What the ports are made of: the embedded store, or servers.

mod servers;
pub mod topics;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use embedded::{Embedded, OpenError};
use ports::tables::{Key, get_one};
use ports::{Ports, blobs};
use stores::tables::VENDORS;
use stores::topics::STAGES;
use tokio::time::timeout;

pub use servers::{Servers, ServersOptions};

use crate::clock;
use crate::config::Config;

/// Looks at a directory that another process holds, and the wait between them.
const LOCK_LOOKS: u32 = 10;
const LOCK_LOOK: Duration = Duration::from_millis(200);

/// Longest wait for Kafka where it is only asked whether it is there; the other stores' calls end by then, too.
const REACH: Duration = Duration::from_secs(2);

/// The key of a row and of an object that nobody has, to see whether a store answers.
const NOBODY: &str = "-";

/// The topic that a stage's group reads.
pub fn input_of(group: &str) -> Option<&'static str> {
    STAGES.iter().find(|(name, _)| *name == group).map(|(_, topic)| *topic)
}

/// Where a process keeps what it knows.
pub enum Backend {
    /// In a directory of its own, with every topic, table and schema that dvss needs.
    Embedded(Ports),
    /// On Kafka, S3, DynamoDB and a schema registry.
    Servers(Arc<Servers>),
}

impl Backend {
    /// As the configuration says. Of servers, nothing is asked yet.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        match &config.servers {
            None => Ok(Self::Embedded(when_unlocked(config).await?)),
            Some(options) => Ok(Self::Servers(Arc::new(Servers::open(options, config).await?))),
        }
    }

    /// Every port.
    pub fn ports(&self) -> &Ports {
        match self {
            Self::Embedded(ports) => ports,
            Self::Servers(servers) => &servers.ports,
        }
    }

    /// Whether what is missing may come: servers may be away, a directory is there or it is not.
    pub fn is_patient(&self) -> bool {
        matches!(self, Self::Servers(_))
    }

    /// Checks that everything is there that work needs, and puts the shipped mappings in.
    pub async fn prepare(&self) -> anyhow::Result<()> {
        if let Self::Servers(servers) = self {
            servers.check().await?;
        }
        let ports = self.ports();
        normalize::seed(&*ports.tables, ports.clock.now()).await.context("the shipped mappings")?;
        Ok(())
    }

    /// Asks each store for something small; the error names the one that does not answer. Not the registry: what
    /// is known of it goes on without it.
    pub async fn reach(&self) -> anyhow::Result<()> {
        let ports = self.ports();
        let log = async {
            let asked = timeout(REACH, ports.log.partitions(contract::topics::RAW)).await;
            asked.with_context(|| format!("Kafka: no answer within {REACH:?}"))?.context("Kafka")
        };
        let row = get_one(&*ports.tables, &VENDORS, Key::of(NOBODY));
        let tables = async { row.await.context("DynamoDB") };
        let objects = async {
            match ports.raw.get(NOBODY).await {
                Ok(_) | Err(blobs::Error::NotFound) => Ok(()),
                Err(error) => Err(error).context("S3"),
            }
        };
        tokio::try_join!(log, tables, objects).map(drop)
    }
}

/// Opens the embedded store; a process that was killed a moment ago may still hold it.
async fn when_unlocked(config: &Config) -> anyhow::Result<Ports> {
    for _ in 0..LOCK_LOOKS {
        match open_embedded(&config.data, config)? {
            Err(OpenError::Locked(_)) => tokio::time::sleep(LOCK_LOOK).await,
            opened => return opened.map_err(told),
        }
    }
    embedded(&config.data, config)
}

/// Opens the embedded store in a directory.
pub fn embedded(data: &Path, config: &Config) -> anyhow::Result<Ports> {
    open_embedded(data, config)?.map_err(told)
}

fn open_embedded(data: &Path, config: &Config) -> anyhow::Result<Result<Ports, OpenError>> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let mut options = config.store.clone();
    options.log.session_timeout = config.runtime.max_poll_interval;
    options.log.transaction_timeout = config.runtime.transaction_timeout;
    let embedded = Embedded::open(data, options, embedded_parts(), clock::of_the_process()?);
    Ok(embedded.map(|embedded| embedded.ports()))
}

fn told(error: OpenError) -> anyhow::Error {
    anyhow::anyhow!("{error} ({})", error.code())
}

/// Everything that dvss needs of an embedded store.
pub fn embedded_parts() -> embedded::Parts {
    embedded::Parts {
        tables: stores::tables::ALL.to_vec(),
        schemas: stores::codec::schemas()
            .into_iter()
            .map(|(subject, text)| (subject, text.to_owned()))
            .collect(),
        topics: stores::topics::shipped().into_iter().map(|topic| (topic.name, topic.partitions)).collect(),
        groups: STAGES
            .iter()
            .map(|(group, topic)| ((*group).to_owned(), vec![(*topic).to_owned()]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use runtime::Processor as _;

    use super::STAGES;

    #[test]
    fn every_stage_is_listed_under_its_own_name() {
        let names = [
            dedup::Dedup::NAME,
            normalize::Normalize::NAME,
            divergence::Divergence::NAME,
            outbox::Outbox::NAME,
            invoicing::Invoicing::NAME,
        ];
        assert_eq!(STAGES.map(|(group, _)| group), names);
    }
}
