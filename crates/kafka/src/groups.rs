//! Committed offsets, asked and set without joining.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ports::log::{Error, Offset, Partition};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use crate::cluster::{Cluster, blocking, serve};
use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error;
use crate::record;

/// Most groups whose clients are kept; there are as many as stages.
const MAX_KEPT: usize = 8;

type Client = Arc<BaseConsumer<Voice>>;

/// A client a group.
#[derive(Clone)]
pub struct Groups {
    cluster: Arc<Cluster>,
    clients: Arc<Mutex<HashMap<String, Client>>>,
}

impl Groups {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, clients: Arc::default() }
    }

    /// Serves what the clients have to tell.
    pub fn listen(&self) {
        let clients: Vec<Client> = self.clients.lock().values().cloned().collect();
        clients.iter().for_each(|client| serve(client));
    }

    fn client(&self, group: &str) -> Result<Client, Error> {
        if let Some(client) = self.clients.lock().get(group) {
            return Ok(Arc::clone(client));
        }
        let config = config::of(&self.cluster.options, &Role::Group { group: group.to_owned() });
        let client = config.create_with_context(Voice::new(kind::ADMIN));
        let client: Client = Arc::new(client.map_err(|error| error::plain(&error, group))?);
        let mut clients = self.clients.lock();
        if clients.len() >= MAX_KEPT {
            clients.clear();
        }
        Ok(Arc::clone(clients.entry(group.to_owned()).or_insert(client)))
    }

    /// A group's committed offsets in every partition of a topic.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        let (this, group, topic) = (self.clone(), group.to_owned(), topic.to_owned());
        blocking(move || {
            let partitions = this.cluster.partitions_of(&topic)?;
            let client = this.client(&group)?;
            committed(&client, &group, &partitions, &this.cluster)
        })
        .await
    }

    /// Sets offsets; the broker refuses it while the group has members.
    pub async fn set_committed(&self, group: &str, next: Vec<(Partition, Offset)>) -> Result<(), Error> {
        if next.is_empty() {
            return Ok(());
        }
        let (this, group) = (self.clone(), group.to_owned());
        blocking(move || {
            for (partition, _) in &next {
                this.cluster.check(partition)?;
            }
            let client = this.client(&group)?;
            let places = next.iter().map(|(partition, offset)| (partition, rdkafka::Offset::Offset(*offset)));
            let set = record::list(places).and_then(|list| client.commit(&list, CommitMode::Sync));
            set.map_err(|error| error::of_set_committed(&error, &group))
        })
        .await
    }
}

/// The committed offsets of the client's group. Waits for transactions that carry offsets of it.
pub fn committed<C: rdkafka::consumer::ConsumerContext>(
    client: &BaseConsumer<C>,
    group: &str,
    partitions: &[Partition],
    cluster: &Cluster,
) -> Result<Vec<Option<Offset>>, Error> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let what = || format!("committed offsets of {group}");
    let asked = record::names(partitions)
        .and_then(|list| client.committed_offsets(list, cluster.options.request_timeout));
    let answered = asked.map_err(|error| error::plain(&error, &what()))?;
    let mut found: HashMap<Partition, Option<Offset>> = HashMap::with_capacity(partitions.len());
    for (partition, offset) in record::listed(&answered) {
        let offset = offset.map_err(|error| error::plain(&error, &what()))?;
        found.insert(partition, offset);
    }
    let answer = |partition: &Partition| {
        let offset = found.get(partition).copied();
        offset.ok_or_else(|| Error::Unavailable(format!("no answer about {group} in {partition}")))
    };
    partitions.iter().map(answer).collect()
}
