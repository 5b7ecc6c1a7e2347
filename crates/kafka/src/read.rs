//! Reading without a group.

use std::sync::Arc;

use parking_lot::Mutex;
use ports::log::{Error, Offset, Partition, RawRecord, next};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cluster::{Cluster, blocking, serve};
use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error;
use crate::record::{self, raw_size};

/// Most reads at the same time, and most clients that are kept for them.
const MAX_READERS: usize = 4;
/// Most bytes that a read returns, but for its first record.
const MAX_BYTES: usize = 8 * 1_024 * 1_024;

type Client = BaseConsumer<Voice>;

/// Clients that read what they are told to.
pub struct Readers {
    cluster: Arc<Cluster>,
    idle: Arc<Mutex<Vec<Client>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, idle: Arc::default(), turns: Arc::new(Semaphore::new(MAX_READERS)) }
    }

    /// Serves what the clients have to tell.
    pub fn listen(&self) {
        self.idle.lock().iter().for_each(serve);
    }

    /// Committed records from `from` on, and the offset to go on from.
    pub async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Error::Unavailable("the log is closed".to_owned()))?;
        let (cluster, idle, partition) =
            (Arc::clone(&self.cluster), Arc::clone(&self.idle), partition.clone());
        blocking(move || {
            let _turn = turn;
            cluster.check(&partition)?;
            let these = std::slice::from_ref(&partition);
            let start = cluster.starts(these)?[0];
            let stable = cluster.stables(these)?[0];
            let from = from.max(start);
            if from >= stable || limit == 0 {
                return Ok((Vec::new(), from));
            }
            let kept = idle.lock().pop();
            let client = match kept {
                Some(client) => client,
                None => open(&cluster)?,
            };
            let read = fetch(&client, &cluster, &partition, from, stable, limit);
            // One that failed is not used again: who knows what it still has in its queue.
            if read.is_ok() && client.unassign().is_ok() {
                idle.lock().push(client);
            }
            read
        })
        .await
    }
}

fn open(cluster: &Cluster) -> Result<Client, Error> {
    let config = config::of(&cluster.options, &Role::Reader);
    config.create_with_context(Voice::new(kind::READER)).map_err(|error| error::plain(&error, "reading"))
}

/// Reads up to `stable`, which lies behind `from`. The client tells of the end that it sees, which is
/// `stable` or later: only then, records or none, everything below has been told.
fn fetch(
    client: &Client,
    cluster: &Cluster,
    partition: &Partition,
    from: Offset,
    stable: Offset,
    limit: usize,
) -> Result<(Vec<RawRecord>, Offset), Error> {
    let failed = |error: &KafkaError| error::plain(error, &partition.to_string());
    // A client that is told to read a topic that it never heard of looks for its leaders a second later.
    let looked = client.fetch_metadata(Some(&partition.topic), cluster.options.request_timeout);
    looked.map_err(|error| failed(&error))?;
    let place = [(partition, rdkafka::Offset::Offset(from))];
    let list = record::list(place).map_err(|error| failed(&error))?;
    client.assign(&list).map_err(|error| failed(&error))?;
    let deadline = Instant::now() + cluster.options.request_timeout;
    let (mut records, mut bytes, mut behind) = (Vec::new(), 0, from);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match client.poll(left) {
            Some(Ok(message)) => {
                let mine = message.topic() == partition.topic.as_ref()
                    && message.partition() == record::index(partition.index);
                if !mine || message.offset() < behind {
                    continue;
                }
                let record = record::incoming(&message, partition.clone());
                behind = next(record.offset);
                bytes += raw_size(&record);
                records.push(record);
                if records.len() >= limit || bytes >= MAX_BYTES || behind >= stable {
                    return Ok((records, behind));
                }
            }
            Some(Err(KafkaError::PartitionEOF(index))) if index == record::index(partition.index) => {
                return Ok((records, behind.max(stable)));
            }
            Some(Err(error)) => match error::of_event(&error, "reading") {
                error::Event::Pass => {}
                error::Event::Report(error) | error::Event::Die(error) => return Err(error),
                // What was kept a moment ago is gone: the next read begins at the new start.
                error::Event::LostPlace => {
                    return Err(Error::Unavailable(format!("{partition} lost what was being read")));
                }
            },
            None if left.is_zero() => {
                return Err(Error::Unavailable(format!("{partition} does not answer")));
            }
            None => {}
        }
    }
}
