//! The log on Apache Kafka.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Condvar;
use parking_lot::Mutex;
use ports::Log;
use ports::log::{Consumer, Coordinates, Ends, Error, First, Offset, Partition, Producer, RawRecord, Record};
use rdkafka::error::KafkaError;

use crate::append::Appender;
use crate::cluster::{Cluster, blocking};
use crate::config::{self, Role};
use crate::consumer::KafkaConsumer;
use crate::groups::Groups;
use crate::options::Options;
use crate::producer::KafkaProducer;
use crate::read::Readers;

/// How often clients that nobody polls are listened to.
const LISTEN_EVERY: Duration = Duration::from_secs(1);

/// Why the clients could not be made. Nothing was connected yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// librdkafka does not take a property. Its value is not repeated: it may be a secret.
    #[error("kafka.properties: {name}: {problem}")]
    Property {
        /// The property.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// librdkafka refuses the properties together, or cannot read a file that they name.
    #[error("the Kafka client cannot be made: {0}")]
    Client(String),
}

impl OpenError {
    pub(crate) fn of(error: &KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, problem, name, _) => {
                Self::Property { name: name.clone(), problem: problem.clone() }
            }
            other => Self::Client(other.to_string()),
        }
    }
}

/// The log on Apache Kafka. Cheap to clone; clones share their clients.
#[derive(Clone)]
pub struct KafkaLog(Arc<Inner>);

struct Inner {
    cluster: Arc<Cluster>,
    groups: Groups,
    readers: Readers,
    appender: Appender,
    /// Wakes the listening thread for good.
    closed: Arc<(Mutex<bool>, Condvar)>,
}

impl KafkaLog {
    /// Makes the clients. Connects to nothing yet: a broker that is away shows in the calls.
    ///
    /// # Errors
    /// Where librdkafka does not take the options.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let without_effect = config::without_effect(&options);
        if !without_effect.is_empty() {
            tracing::warn!(?without_effect, "kafka.properties that are dvss's own to set");
        }
        let sample = [
            Role::Member { group: "g".to_owned(), member: "m".to_owned() },
            Role::Transactions { id: "t".to_owned() },
            Role::Append,
            Role::Reader,
        ];
        for role in sample {
            config::of(&options, &role).create_native_config().map_err(|error| OpenError::of(&error))?;
        }
        let cluster = Arc::new(Cluster::new(options)?);
        let inner = Arc::new(Inner {
            groups: Groups::new(Arc::clone(&cluster)),
            readers: Readers::new(Arc::clone(&cluster)),
            appender: Appender::new(Arc::clone(&cluster)),
            closed: Arc::default(),
            cluster,
        });
        let (weak, closed) = (Arc::downgrade(&inner), Arc::clone(&inner.closed));
        std::thread::Builder::new()
            .name("kafka-listen".to_owned())
            .spawn(move || listen(&weak, &closed))
            .map_err(|error| OpenError::Client(format!("no thread: {error}")))?;
        Ok(Self(inner))
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.0.cluster
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        *self.closed.0.lock() = true;
        self.closed.1.notify_all();
    }
}

/// Clients queue their logs, errors and statistics until somebody polls.
fn listen(inner: &Weak<Inner>, closed: &(Mutex<bool>, Condvar)) {
    loop {
        let Some(inner) = inner.upgrade() else { return };
        inner.cluster.listen();
        inner.groups.listen();
        inner.readers.listen();
        drop(inner);
        let mut ended = closed.0.lock();
        if *ended {
            return;
        }
        closed.1.wait_for(&mut ended, LISTEN_EVERY);
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        let (cluster, group, member) = (Arc::clone(&self.0.cluster), group.to_owned(), member.to_owned());
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let joined = blocking(move || {
            for topic in &topics {
                cluster.ask_count(topic)?;
            }
            KafkaConsumer::join(cluster, &group, &member, &topics, first)
        });
        Ok(Box::new(joined.await?))
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, Error> {
        Ok(Box::new(KafkaProducer::take_over(Arc::clone(&self.0.cluster), transactional_id).await?))
    }

    async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        self.0.appender.append(record).await
    }

    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        self.0.readers.read(partition, from, limit).await
    }

    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (cluster, prefix) = (Arc::clone(&self.0.cluster), prefix.to_owned());
        let mut names = blocking(move || cluster.topic_names()).await?;
        names.retain(|name| name.starts_with(&prefix));
        Ok(names)
    }

    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        let (cluster, topic) = (Arc::clone(&self.0.cluster), topic.to_owned());
        blocking(move || cluster.ask_count(&topic)).await
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error> {
        let (cluster, topic) = (Arc::clone(&self.0.cluster), topic.to_owned());
        blocking(move || cluster.ends(&cluster.partitions_of(&topic)?)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        self.0.groups.committed(group, topic).await
    }

    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.0.groups.set_committed(group, next.to_vec()).await
    }
}
