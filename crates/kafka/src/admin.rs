//! What `dvss topics plan` looks at and `dvss topics apply` does. What to do is decided elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contract::Code as Stable;
use ports::log::{Error, Offset, Partition};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication, TopicResult,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tokio::time::{Instant, sleep};

use crate::cluster::{Cluster, blocking};
use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error;
use crate::groups::Groups;
use crate::log::{KafkaLog, OpenError};
use crate::record;

/// Wait between two looks whether a change has arrived.
const LOOK: Duration = Duration::from_millis(20);
/// How long a changed setting may take to show; one that was refused never does.
const SETTLES: Duration = Duration::from_secs(2);

/// A topic as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas the first partition has.
    pub replicas: u32,
    /// Its settings, by name.
    pub config: BTreeMap<String, Setting>,
}

/// A topic's setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value in force.
    pub value: String,
    /// Whether the topic has it itself; else it is the broker's default.
    pub own: bool,
}

/// A topic that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas of each.
    pub replicas: u32,
    /// Its own settings.
    pub config: BTreeMap<String, String>,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The cluster does not take it.
    #[error("{topic}: {problem}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the cluster said.
        problem: String,
    },
    /// Anything else.
    #[error(transparent)]
    Log(#[from] Error),
}

impl AdminError {
    /// The stable code.
    pub fn code(&self) -> Stable {
        match self {
            Self::Refused { .. } => Stable::ConfigInvalid,
            Self::Log(Error::Missing(_)) => Stable::TopicMissing,
            Self::Log(Error::GroupNotEmpty(_)) => Stable::GroupNotEmpty,
            Self::Log(_) => Stable::Unavailable,
        }
    }
}

/// Changes topics.
pub struct Admin {
    client: AdminClient<Voice>,
    cluster: Arc<Cluster>,
    groups: Groups,
}

impl Admin {
    /// Uses the log's cluster.
    ///
    /// # Errors
    /// Where librdkafka does not take the options.
    pub fn new(log: &KafkaLog) -> Result<Self, OpenError> {
        let cluster = Arc::clone(log.cluster());
        let config = config::of(&cluster.options, &Role::Admin);
        let client =
            config.create_with_context(Voice::new(kind::ADMIN)).map_err(|error| OpenError::of(&error))?;
        Ok(Self { client, groups: Groups::new(Arc::clone(&cluster)), cluster })
    }

    fn options(&self) -> AdminOptions {
        let limit = Some(self.cluster.options.request_timeout);
        AdminOptions::new().request_timeout(limit).operation_timeout(limit)
    }

    /// The topics of these names that are there.
    pub async fn topics(&self, names: &[&str]) -> Result<BTreeMap<String, Topic>, AdminError> {
        let mut found = BTreeMap::new();
        for name in names {
            match self.shape(name).await {
                Ok((partitions, replicas)) => {
                    let config = self.config(name).await?;
                    found.insert((*name).to_owned(), Topic { partitions, replicas, config });
                }
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// Names of all topics that are not Kafka's own.
    pub async fn names(&self) -> Result<Vec<String>, AdminError> {
        let cluster = Arc::clone(&self.cluster);
        Ok(blocking(move || cluster.topic_names()).await?)
    }

    /// How many brokers the cluster has now.
    pub async fn brokers(&self) -> Result<u32, AdminError> {
        let cluster = Arc::clone(&self.cluster);
        Ok(blocking(move || cluster.brokers()).await?)
    }

    async fn shape(&self, name: &str) -> Result<(u32, u32), Error> {
        let (cluster, name) = (Arc::clone(&self.cluster), name.to_owned());
        blocking(move || cluster.shape(&name)).await
    }

    async fn config(&self, name: &str) -> Result<BTreeMap<String, Setting>, AdminError> {
        let resource = [ResourceSpecifier::Topic(name)];
        let described = self.client.describe_configs(&resource, &self.options()).await;
        let described = described.map_err(|error| failed(name, &error))?;
        let mut config = BTreeMap::new();
        for resource in described {
            let entries = resource.map_err(|code| refused(name, code))?.entries;
            for entry in entries {
                let own = entry.source == ConfigSource::DynamicTopic;
                if let Some(value) = entry.value {
                    config.insert(entry.name, Setting { value, own });
                }
            }
        }
        Ok(config)
    }

    /// Makes a topic, and returns when it can be used.
    pub async fn create(&self, topic: &Creation) -> Result<(), AdminError> {
        let name = topic.name.as_str();
        let replication = TopicReplication::Fixed(record::index(topic.replicas));
        let mut new = NewTopic::new(name, record::index(topic.partitions), replication);
        for (key, value) in &topic.config {
            new = new.set(key, value);
        }
        let made = self.client.create_topics([&new], &self.options()).await;
        outcomes(name, made)?;
        self.until_partitions(name, topic.partitions).await
    }

    /// Gives a topic more partitions, and returns when they can be used. Keys move: only for topics
    /// without an order by key.
    pub async fn grow(&self, name: &str, partitions: u32) -> Result<(), AdminError> {
        let new = NewPartitions::new(name, partitions as usize);
        let grown = self.client.create_partitions([&new], &self.options()).await;
        outcomes(name, grown)?;
        self.until_partitions(name, partitions).await
    }

    /// A topic is there before its partitions have leaders that know of it.
    async fn until_partitions(&self, name: &str, partitions: u32) -> Result<(), AdminError> {
        let deadline = Instant::now() + self.cluster.options.request_timeout;
        loop {
            let (cluster, topic) = (Arc::clone(&self.cluster), name.to_owned());
            let all = blocking(move || cluster.ends(&cluster.partitions_of(&topic)?)).await;
            match all {
                Ok(ends) if ends.len() >= partitions as usize => return Ok(()),
                _ if Instant::now() < deadline => sleep(LOOK).await,
                Ok(ends) => {
                    let problem = format!("it still has {} partitions", ends.len());
                    return Err(AdminError::Refused { topic: name.to_owned(), problem });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sets some of a topic's settings and takes others back to the broker's defaults; the rest stay.
    ///
    /// The client only has the call that replaces all settings, so the others are read before and sent
    /// along: a change that somebody else makes in between is lost. Afterwards they are compared,
    /// because that call's answer names no refusal.
    pub async fn alter(
        &self,
        name: &str,
        set: &BTreeMap<String, String>,
        unset: &[&str],
    ) -> Result<(), AdminError> {
        let before = self.config(name).await?;
        if let Some(unknown) = set.keys().find(|key| !before.contains_key(*key)) {
            let problem = format!("there is no setting {unknown}");
            return Err(AdminError::Refused { topic: name.to_owned(), problem });
        }
        let own = before.iter().filter(|(_, setting)| setting.own);
        let mut wanted: BTreeMap<String, String> =
            own.map(|(key, setting)| (key.clone(), setting.value.clone())).collect();
        wanted.extend(set.clone());
        wanted.retain(|key, _| !unset.contains(&key.as_str()));
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (key, value) in &wanted {
            change = change.set(key, value);
        }
        let altered = self.client.alter_configs([&change], &self.options()).await;
        for outcome in altered.map_err(|error| failed(name, &error))? {
            outcome.map_err(|(_, code)| refused(name, code))?;
        }
        let deadline = Instant::now() + SETTLES;
        loop {
            let now = self.config(name).await?;
            let Some(problem) = difference(&now, &wanted, unset) else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(AdminError::Refused { topic: name.to_owned(), problem });
            }
            sleep(LOOK).await;
        }
    }

    /// Deletes a topic and all its records.
    pub async fn delete(&self, name: &str) -> Result<(), AdminError> {
        let deleted = self.client.delete_topics(&[name], &self.options()).await;
        outcomes(name, deleted)
    }

    /// Gives a group the first offset that is kept in every partition of a topic where it has none, and
    /// returns those partitions.
    ///
    /// A broker forgets the offsets of a group without members after `offsets.retention.minutes`.
    pub async fn first_offsets(&self, group: &str, topic: &str) -> Result<Vec<Partition>, AdminError> {
        let deadline = Instant::now() + self.cluster.options.request_timeout;
        loop {
            match self.give_first_offsets(group, topic).await {
                // A group that nobody knew yet has no coordinator at first. Doing it twice does no harm.
                Err(AdminError::Log(Error::Unavailable(_))) if Instant::now() < deadline => sleep(LOOK).await,
                done => return done,
            }
        }
    }

    async fn give_first_offsets(&self, group: &str, topic: &str) -> Result<Vec<Partition>, AdminError> {
        let committed = self.groups.committed(group, topic).await?;
        let cluster = Arc::clone(&self.cluster);
        let name: Arc<str> = topic.into();
        let missing: Vec<Partition> = (0..)
            .zip(committed)
            .filter(|(_, offset)| offset.is_none())
            .map(|(index, _)| Partition::new(Arc::clone(&name), index))
            .collect();
        let asked = missing.clone();
        let starts: Vec<Offset> = blocking(move || cluster.starts(&asked)).await?;
        self.groups.set_committed(group, missing.iter().cloned().zip(starts).collect()).await?;
        Ok(missing)
    }

    /// Deletes a partition's records before an offset.
    pub async fn truncate(&self, partition: &Partition, before: Offset) -> Result<(), AdminError> {
        let name = partition.to_string();
        let place = [(partition, rdkafka::Offset::Offset(before))];
        let list = record::list(place).map_err(|error| failed(&name, &error))?;
        let deleted = self.client.delete_records(&list, &self.options()).await;
        for (_, outcome) in record::listed(&deleted.map_err(|error| failed(&name, &error))?) {
            outcome.map_err(|error| failed(&name, &error))?;
        }
        Ok(())
    }
}

/// What differs from what is wanted.
fn difference(
    now: &BTreeMap<String, Setting>,
    wanted: &BTreeMap<String, String>,
    unset: &[&str],
) -> Option<String> {
    for (key, value) in wanted {
        match now.get(key) {
            Some(setting) if setting.own && setting.value == *value => {}
            Some(setting) => return Some(format!("{key} is {} instead of {value}", setting.value)),
            None => return Some(format!("{key} is not known")),
        }
    }
    let kept = unset.iter().find(|key| now.get(**key).is_some_and(|setting| setting.own));
    kept.map(|key| format!("{key} is still set"))
}

fn outcomes(name: &str, done: Result<Vec<TopicResult>, KafkaError>) -> Result<(), AdminError> {
    for outcome in done.map_err(|error| failed(name, &error))? {
        outcome.map_err(|(_, code)| refused(name, code))?;
    }
    Ok(())
}

fn failed(name: &str, error: &KafkaError) -> AdminError {
    match error {
        KafkaError::AdminOp(code) => refused(name, *code),
        KafkaError::AdminOpCreation(problem) => {
            AdminError::Refused { topic: name.to_owned(), problem: problem.clone() }
        }
        other => error::plain(other, name).into(),
    }
}

fn refused(name: &str, code: Code) -> AdminError {
    match code {
        Code::TopicAlreadyExists
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::PolicyViolation
        | Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TopicDeletionDisabled => {
            AdminError::Refused { topic: name.to_owned(), problem: code.to_string() }
        }
        code => error::of_code(code, name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_compared_by_value_and_by_whose_they_are() {
        let setting = |value: &str, own| Setting { value: value.to_owned(), own };
        let now: BTreeMap<String, Setting> = [
            ("retention.ms".to_owned(), setting("5", true)),
            ("cleanup.policy".to_owned(), setting("delete", false)),
        ]
        .into();
        let want = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(difference(&now, &want("retention.ms", "5"), &["cleanup.policy"]), None);
        for (wanted, unset) in [
            (want("retention.ms", "6"), &[][..]),
            (want("cleanup.policy", "delete"), &[]),
            (want("no.such", "1"), &[]),
            (BTreeMap::new(), &["retention.ms"]),
        ] {
            assert!(difference(&now, &wanted, unset).is_some(), "{wanted:?} {unset:?}");
        }
    }
}
