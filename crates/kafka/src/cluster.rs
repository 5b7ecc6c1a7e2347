//! What is asked of the cluster without a group: partition counts and ends. Blocks; callers that must
//! not go through [`blocking`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use ports::log::{Ends, Error, Offset, Partition, Record};
use ports::partition::partition_of;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{IsError as _, KafkaError, RDKafkaErrorCode as Code};
use tokio::time::Instant;

use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error;
use crate::log::OpenError;
use crate::options::Options;
use crate::record;

/// How long a topic's partition count is believed. Counts of dvss's own topics never change in place;
/// one that grew is seen after this long.
const COUNTS_LAST: Duration = Duration::from_mins(1);
/// Most topics whose counts are kept.
const MAX_COUNTS: usize = 1_024;
/// How often it is looked again who leads partitions before a question about them fails, and the rest in between.
/// Behind a broker's restart a client learns of it by being refused.
const STALE_LOOKS: u32 = 10;
const STALE_REST: Duration = Duration::from_millis(100);
/// How long a client's main queue is served at one go: room for a hundred events.
const SERVED_FOR: Duration = Duration::from_millis(5);

/// Clients that only ask.
pub struct Cluster {
    pub options: Options,
    committed: BaseConsumer<Voice>,
    uncommitted: BaseConsumer<Voice>,
    counts: Mutex<HashMap<Arc<str>, (u32, Instant)>>,
}

impl Cluster {
    pub fn new(options: Options) -> Result<Self, OpenError> {
        let watch = |committed| {
            let config = config::of(&options, &Role::Watch { committed });
            config.create_with_context(Voice::new(kind::ADMIN)).map_err(|error| OpenError::of(&error))
        };
        let (committed, uncommitted) = (watch(true)?, watch(false)?);
        Ok(Self { options, committed, uncommitted, counts: Mutex::default() })
    }

    /// Serves what the clients have to tell. Nobody polls them otherwise, and it would pile up.
    pub fn listen(&self) {
        serve(&self.committed);
        serve(&self.uncommitted);
    }

    /// A topic's partition count, where it was asked lately.
    pub fn known_count(&self, topic: &str) -> Option<u32> {
        let counts = self.counts.lock();
        counts.get(topic).filter(|(_, at)| at.elapsed() < COUNTS_LAST).map(|(count, _)| *count)
    }

    /// A topic's partition count.
    pub fn count(&self, topic: &str) -> Result<u32, Error> {
        match self.known_count(topic) {
            Some(count) => Ok(count),
            None => self.ask_count(topic),
        }
    }

    /// A topic's partition count, as the cluster has it now.
    pub fn ask_count(&self, topic: &str) -> Result<u32, Error> {
        let asked = self.uncommitted.fetch_metadata(Some(topic), self.options.request_timeout);
        let voice = self.uncommitted.client().context();
        let metadata = asked.map_err(|error| voice.explained(error::plain(&error, topic)))?;
        voice.is_well();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let found = found.ok_or_else(|| Error::Missing(topic.to_owned()))?;
        if let Some(code) = found.error().filter(|code| code.is_error()) {
            self.counts.lock().remove(topic);
            return Err(error::of_code(code.into(), topic));
        }
        let count = u32::try_from(found.partitions().len()).unwrap_or(0);
        if count == 0 {
            return Err(Error::Missing(topic.to_owned()));
        }
        let mut counts = self.counts.lock();
        if counts.len() >= MAX_COUNTS {
            counts.clear();
        }
        counts.insert(topic.into(), (count, Instant::now()));
        Ok(count)
    }

    /// A topic's count of partitions, and of the first one's replicas.
    pub fn shape(&self, topic: &str) -> Result<(u32, u32), Error> {
        let partitions = self.ask_count(topic)?;
        let asked = self.uncommitted.fetch_metadata(Some(topic), self.options.request_timeout);
        let metadata = asked.map_err(|error| error::plain(&error, topic))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let first = found.and_then(|found| found.partitions().iter().min_by_key(|partition| partition.id()));
        let replicas = first.map_or(0, |partition| partition.replicas().len());
        Ok((partitions, u32::try_from(replicas).unwrap_or(0)))
    }

    /// How many brokers there are now.
    pub fn brokers(&self) -> Result<u32, Error> {
        let asked = self.uncommitted.fetch_metadata(None, self.options.request_timeout);
        let metadata = asked.map_err(|error| error::plain(&error, "the brokers"))?;
        Ok(u32::try_from(metadata.brokers().len()).unwrap_or(u32::MAX))
    }

    /// Names of all topics but Kafka's own.
    pub fn topic_names(&self) -> Result<Vec<String>, Error> {
        let asked = self.uncommitted.fetch_metadata(None, self.options.request_timeout);
        let metadata = asked.map_err(|error| error::plain(&error, "all topics"))?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    /// Whether a partition is there.
    pub fn check(&self, partition: &Partition) -> Result<(), Error> {
        if partition.index < self.count(&partition.topic)? {
            return Ok(());
        }
        // It may have been added meanwhile.
        if partition.index < self.ask_count(&partition.topic)? {
            return Ok(());
        }
        Err(Error::Missing(partition.to_string()))
    }

    /// The partition of a record, where the topic's count is known.
    pub fn known_route(&self, record: &Record) -> Option<u32> {
        let count = self.known_count(&record.topic)?;
        let index = record.partition.unwrap_or_else(|| partition_of(record.key.as_deref(), count));
        (index < count).then_some(index)
    }

    /// The partition of a record.
    pub fn route(&self, record: &Record) -> Result<u32, Error> {
        if let Some(index) = self.known_route(record) {
            return Ok(index);
        }
        let count = self.ask_count(&record.topic)?;
        let index = record.partition.unwrap_or_else(|| partition_of(record.key.as_deref(), count));
        if index >= count {
            return Err(Error::Missing(Partition::new(Arc::clone(&record.topic), index).to_string()));
        }
        Ok(index)
    }

    /// All partitions of a topic.
    pub fn partitions_of(&self, topic: &str) -> Result<Vec<Partition>, Error> {
        let name: Arc<str> = topic.into();
        Ok((0..self.ask_count(topic)?).map(|index| Partition::new(Arc::clone(&name), index)).collect())
    }

    /// First offsets that are kept.
    pub fn starts(&self, partitions: &[Partition]) -> Result<Vec<Offset>, Error> {
        self.offsets(&self.uncommitted, partitions, rdkafka::Offset::Beginning)
    }

    /// Last stable offsets.
    pub fn stables(&self, partitions: &[Partition]) -> Result<Vec<Offset>, Error> {
        self.offsets(&self.committed, partitions, rdkafka::Offset::End)
    }

    /// Uncommitted ends.
    pub fn uncommitted_ends(&self, partitions: &[Partition]) -> Result<Vec<Offset>, Error> {
        self.offsets(&self.uncommitted, partitions, rdkafka::Offset::End)
    }

    /// All three. Asked one after the other from the lowest up, so that they are in order.
    pub fn ends(&self, partitions: &[Partition]) -> Result<Vec<Ends>, Error> {
        let starts = self.starts(partitions)?;
        let stables = self.stables(partitions)?;
        let ends = self.uncommitted_ends(partitions)?;
        let both = stables.into_iter().zip(ends);
        Ok(starts
            .into_iter()
            .zip(both)
            .map(|(start, (stable, uncommitted))| Ends { start, stable: stable.max(start), uncommitted })
            .collect())
    }

    /// One request a broker, whatever the number of partitions: a time of -2 or -1 is the protocol's
    /// way to say "start" and "end".
    fn offsets(
        &self,
        client: &BaseConsumer<Voice>,
        partitions: &[Partition],
        which: rdkafka::Offset,
    ) -> Result<Vec<Offset>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let named = || partitions.first().map(Partition::to_string).unwrap_or_default();
        let ask = || {
            let list = record::list(partitions.iter().map(|partition| (partition, which)))?;
            client.offsets_for_times(list, self.options.request_timeout).map(|list| record::listed(&list))
        };
        let mut answered = ask();
        for look in 0..STALE_LOOKS {
            // The client goes by what it remembers: how many partitions there were, who leads them.
            let Some(code) = stale(&answered) else { break };
            if look > 0 {
                if is_missing(code) {
                    break;
                }
                rest(STALE_REST);
            }
            let topic = partitions.first().map(|partition| partition.topic.as_ref());
            let looked = client.fetch_metadata(topic, self.options.request_timeout);
            answered = looked.and_then(|_| ask());
        }
        let answered = answered.map_err(|error| error::plain(&error, &named()))?;
        let mut found: HashMap<Partition, Offset> = HashMap::with_capacity(partitions.len());
        for (partition, offset) in answered {
            let offset = offset.map_err(|error| error::plain(&error, &partition.to_string()))?;
            if let Some(offset) = offset {
                found.insert(partition, offset);
            }
        }
        let answer = |partition: &Partition| {
            let offset = found.get(partition).copied();
            offset.ok_or_else(|| Error::Unavailable(format!("no answer about {partition}")))
        };
        partitions.iter().map(answer).collect()
    }
}

/// What is said of one partition.
type Answer = (Partition, Result<Option<Offset>, KafkaError>);

/// The code by which brokers say that what the client remembers does not hold any more: of a partition, or, where
/// that is so of all of them, of the whole question.
fn stale(answered: &Result<Vec<Answer>, KafkaError>) -> Option<Code> {
    let of_error = |error: &KafkaError| error.rdkafka_error_code().filter(|code| is_stale(*code));
    match answered {
        Ok(list) => list.iter().find_map(|(_, offset)| of_error(offset.as_ref().err()?)),
        Err(error) => of_error(error),
    }
}

fn is_stale(code: Code) -> bool {
    let of_leaders = matches!(
        code,
        Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
    );
    is_missing(code) || of_leaders
}

/// Whether it may just as well be that nothing of this name is there.
fn is_missing(code: Code) -> bool {
    matches!(code, Code::UnknownPartition | Code::UnknownTopicOrPartition)
}

/// Serves what a client that is not subscribed has to tell. A poll without time serves one log line and returns as if
/// there were no more, and during an outage there are more of them than times that anybody listens.
pub fn serve(client: &BaseConsumer<Voice>) {
    let until = Instant::now() + SERVED_FOR;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        // Errors come back, too; the voice has heard them.
        drop(client.poll(left));
    }
}

/// Runs what blocks on a thread that may.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Unavailable(format!("a call to the log broke off: {error}"))))
}

/// Rests on this thread, which has nothing else to do.
pub fn rest(time: Duration) {
    let nobody = Mutex::new(());
    Condvar::new().wait_for(&mut nobody.lock(), time);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind a broker's restart, the client's memory of leaders is refused: of one partition, or of all at once.
    #[test]
    fn what_is_remembered_wrongly_is_looked_up_again() {
        let of = |code| KafkaError::OffsetFetch(code);
        let partition = |index| Partition::new("t", index);
        for (code, is_stale) in [
            (Code::FencedLeaderEpoch, true),
            (Code::UnknownLeaderEpoch, true),
            (Code::NotLeaderForPartition, true),
            (Code::LeaderNotAvailable, true),
            (Code::UnknownTopicOrPartition, true),
            (Code::BrokerTransportFailure, false),
            (Code::TopicAuthorizationFailed, false),
        ] {
            let expected = is_stale.then_some(code);
            assert_eq!(stale(&Err(of(code))), expected, "all of them: {code:?}");
            let one = vec![(partition(0), Ok(Some(7))), (partition(1), Err(of(code)))];
            assert_eq!(stale(&Ok(one)), expected, "one of them: {code:?}");
        }
        assert_eq!(stale(&Ok(vec![(partition(0), Ok(None))])), None);
    }
}
