//! The member itself, on its thread.
//!
//! The group's events come out of the client's own poll. An assignment is *offered* first; it is taken
//! over when the committed offsets are known and lie inside of the log, and only then the client
//! fetches. So a missing offset halts with the partition's name, where the client would say nothing of
//! it and go on with the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ports::log::{Batch, Error, First, Offset, Owner, Partition, next};
use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use tokio::time::Instant;

use super::Claim;
use super::buffer::Buffer;
use crate::cluster::Cluster;
use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error::{self, Event};
use crate::groups::committed;
use crate::record;

/// Longest wait inside of the client, so that a poll that was given up is noticed.
const STEP: Duration = Duration::from_millis(100);
/// Longest time that leaving takes; then the group finds out by the session.
const LEAVING: Duration = Duration::from_secs(3);

/// What the group said, in order.
enum News {
    Revoked,
    Assigned(Vec<Partition>),
}

struct Context {
    voice: Voice,
    news: Mutex<Vec<News>>,
    leaving: AtomicBool,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.voice.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

impl ConsumerContext for Context {
    /// Runs inside of the client's poll, on the member's thread. What is revoked is let go at once; what
    /// is assigned waits until the member knows where to read on.
    fn rebalance(
        &self,
        client: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if assigned && !self.leaving.load(Ordering::Relaxed) {
            self.voice.rebalanced();
            let partitions = record::listed(partitions).into_iter().map(|(partition, _)| partition).collect();
            self.news.lock().push(News::Assigned(partitions));
            return;
        }
        if let Err(error) = client.unassign() {
            tracing::warn!(%error, "revoked partitions could not be let go");
        }
        self.news.lock().push(News::Revoked);
    }
}

/// Where the member is in a partition.
struct Position {
    /// The next record to fetch.
    next: Offset,
    /// Rewound: nothing is fetched until then, and then from `next` on.
    paused_until: Option<Instant>,
}

/// A static member of a group.
pub struct Member {
    client: BaseConsumer<Context>,
    cluster: Arc<Cluster>,
    group: Arc<str>,
    client_id: String,
    /// Where it begins where the group never was.
    first: First,
    /// Given by the group, not taken over yet.
    offered: Option<Vec<Partition>>,
    positions: BTreeMap<Partition, Position>,
    claim: Arc<Claim>,
    /// An assignment that no batch has told of yet.
    untold: Option<Vec<Partition>>,
    /// Between a revocation and the assignment that follows it.
    rebalancing: bool,
    /// The client stopped fetching somewhere, and nothing was done about it yet.
    lost_place: bool,
    buffer: Buffer,
    dead: Option<Error>,
}

impl Member {
    pub fn join(
        cluster: Arc<Cluster>,
        group: &str,
        name: &str,
        topics: &[String],
        first: First,
    ) -> Result<Self, Error> {
        let role = Role::Member { group: group.to_owned(), member: name.to_owned() };
        let context = Context {
            voice: Voice::new(kind::CONSUMER),
            news: Mutex::default(),
            leaving: AtomicBool::new(false),
        };
        let what = || format!("joining {group}");
        let client: BaseConsumer<Context> = config::of(&cluster.options, &role)
            .create_with_context(context)
            .map_err(|error| error::plain(&error, &what()))?;
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        client.subscribe(&topics).map_err(|error| error::plain(&error, &what()))?;
        let group: Arc<str> = group.into();
        Ok(Self {
            client,
            cluster,
            client_id: config::client_id(&group, name),
            first,
            claim: Arc::new(Claim { group: Arc::clone(&group), metadata: None }),
            group,
            offered: None,
            positions: BTreeMap::new(),
            untold: None,
            rebalancing: false,
            lost_place: false,
            buffer: Buffer::default(),
            dead: None,
        })
    }

    /// One poll, as the port promises it. Ends early where `given_up`.
    pub fn poll(
        &mut self,
        max_records: usize,
        max_wait: Duration,
        given_up: impl Fn() -> bool,
    ) -> Result<Batch, Error> {
        let deadline = Instant::now() + max_wait;
        let mut wait = Duration::ZERO;
        loop {
            self.alive()?;
            self.serve(wait)?;
            if self.offered.is_some() {
                self.take_over()?;
            }
            if self.lost_place {
                self.find_lost_place()?;
            }
            self.resume()?;
            let told = self.untold.is_some() && !self.rebalancing;
            let now = Instant::now();
            if told || !self.buffer.is_empty() || now >= deadline || given_up() {
                return Ok(self.batch(max_records));
            }
            let pauses = self.positions.values().filter_map(|position| position.paused_until);
            let wake = pauses.chain([deadline]).min().unwrap_or(deadline);
            wait = wake.saturating_duration_since(now).min(STEP);
        }
    }

    fn alive(&self) -> Result<(), Error> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    fn batch(&mut self, max_records: usize) -> Batch {
        let records = self.buffer.take(max_records);
        Batch { owner: Owner(Arc::clone(&self.claim) as _), assigned: self.untold.take(), records }
    }

    /// A batch that nobody waited for any more.
    pub fn take_back(&mut self, batch: Batch) {
        self.buffer.put_back(batch.records);
        self.untold = self.untold.take().or(batch.assigned);
    }

    /// Waits up to `wait` for the client to have something, and takes all that is there. An outage leaves many
    /// events behind, and they are one trouble: told one a poll, with the caller's pauses between, they would
    /// last for minutes after the brokers are back.
    fn serve(&mut self, mut wait: Duration) -> Result<(), Error> {
        let mut told = Ok(());
        while !self.buffer.is_full() || !wait.is_zero() {
            let polled = self.client.poll(wait);
            let nothing = polled.is_none();
            let trouble = match polled {
                None => None,
                Some(Ok(message)) => {
                    keep(&mut self.positions, &mut self.buffer, &message);
                    told = Ok(());
                    None
                }
                Some(Err(error)) => Some(error),
            };
            self.hear();
            if let Some(error) = trouble {
                match self.weigh(&error) {
                    Err(error) if self.dead.is_none() => told = Err(error),
                    other => other?,
                }
            }
            if nothing {
                break;
            }
            wait = Duration::ZERO;
        }
        told
    }

    /// Takes the group's news in.
    fn hear(&mut self) {
        let news = std::mem::take(&mut *self.client.context().news.lock());
        for news in news {
            match news {
                News::Revoked => {
                    self.offered = None;
                    self.lose();
                    self.rebalancing = true;
                }
                News::Assigned(partitions) => self.offered = Some(partitions),
            }
        }
    }

    /// Nothing is held any more, and what was fetched is nobody's.
    fn lose(&mut self) {
        self.positions.clear();
        self.lost_place = false;
        self.buffer.clear();
        self.claim = Arc::new(Claim { group: Arc::clone(&self.group), metadata: None });
        self.untold = Some(Vec::new());
    }

    fn weigh(&mut self, error: &KafkaError) -> Result<(), Error> {
        match error::of_event(error, &self.group) {
            Event::Pass => {
                tracing::debug!(group = %self.group, %error, "the client gets over it");
                Ok(())
            }
            Event::Report(error) => Err(error),
            Event::Die(error) => {
                self.buffer.clear();
                self.dead = Some(error.clone());
                Err(error)
            }
            Event::LostPlace => {
                self.lost_place = true;
                Ok(())
            }
        }
    }

    /// Reads where the group stands in what was offered, and begins there.
    fn take_over(&mut self) -> Result<(), Error> {
        let Some(offered) = &self.offered else { return Ok(()) };
        // Waits for transactions of a former owner, and so never reads past them.
        let offsets = committed(&self.client, &self.group, offered, &self.cluster)?;
        let bounds = self.bounds(offered)?;
        let mut places = Vec::with_capacity(offered.len());
        for ((partition, offset), ends) in offered.iter().zip(offsets).zip(bounds) {
            places.push((partition.clone(), self.within(partition, self.first.of(offset), ends)?));
        }
        // The client remembers the pauses of partitions that went and come back.
        self.unpause(offered)?;
        self.assign(&places)?;
        let metadata = self.client.group_metadata();
        self.claim = Arc::new(Claim { group: Arc::clone(&self.group), metadata });
        self.buffer.clear();
        let position = |(partition, next)| (partition, Position { next, paused_until: None });
        self.positions = places.into_iter().map(position).collect();
        self.untold = self.offered.take();
        self.rebalancing = false;
        Ok(())
    }

    fn assign(&self, places: &[(Partition, Offset)]) -> Result<(), Error> {
        let places = places.iter().map(|(partition, next)| (partition, rdkafka::Offset::Offset(*next)));
        let assigned = record::list(places).and_then(|list| self.client.assign(&list));
        assigned.map_err(|error| error::plain(&error, &format!("an assignment of {}", self.group)))
    }

    fn bounds(&self, partitions: &[Partition]) -> Result<Vec<(Offset, Offset)>, Error> {
        let starts = self.cluster.starts(partitions)?;
        let ends = self.cluster.uncommitted_ends(partitions)?;
        Ok(starts.into_iter().zip(ends).collect())
    }

    fn within(&self, partition: &Partition, offset: Offset, ends: (Offset, Offset)) -> Result<Offset, Error> {
        let (start, end) = ends;
        if (start..=end).contains(&offset) {
            return Ok(offset);
        }
        let partition = partition.clone();
        Err(Error::OutOfRange { group: self.group.to_string(), partition, offset, start, end })
    }

    /// The client stopped fetching somewhere and does not say where.
    fn find_lost_place(&mut self) -> Result<(), Error> {
        let partitions: Vec<Partition> = self.positions.keys().cloned().collect();
        let bounds = self.bounds(&partitions)?;
        let mut places = Vec::with_capacity(partitions.len());
        for ((partition, position), ends) in self.positions.iter().zip(bounds) {
            match self.within(partition, position.next, ends) {
                Ok(next) => places.push((partition.clone(), next)),
                Err(error) => {
                    self.dead = Some(error.clone());
                    return Err(error);
                }
            }
        }
        // All places are good: what stopped is begun anew.
        self.assign(&places)?;
        self.lost_place = false;
        let paused: Vec<Partition> = self.paused().cloned().collect();
        self.pause(&paused)
    }

    fn paused(&self) -> impl Iterator<Item = &Partition> {
        self.positions.iter().filter(|(_, at)| at.paused_until.is_some()).map(|(partition, _)| partition)
    }

    fn pause(&self, partitions: &[Partition]) -> Result<(), Error> {
        let paused = record::names(partitions).and_then(|list| self.client.pause(&list));
        paused.map_err(|error| error::plain(&error, "a pause"))
    }

    fn unpause(&self, partitions: &[Partition]) -> Result<(), Error> {
        let resumed = record::names(partitions).and_then(|list| self.client.resume(&list));
        resumed.map_err(|error| error::plain(&error, "the end of a pause"))
    }

    /// Goes back. The client stops fetching at once and goes to the place when the pause is over, in a
    /// poll, so that nothing fetched from before is mistaken for it.
    pub fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        self.alive()?;
        let Some(position) = self.positions.get_mut(partition) else {
            return Err(Error::Missing(format!("{partition} is not assigned to {}", self.client_id)));
        };
        *position = Position { next: to, paused_until: Some(Instant::now() + pause) };
        self.buffer.forget(partition);
        self.pause(std::slice::from_ref(partition))
    }

    /// Goes on where a pause is over.
    fn resume(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let due = |position: &Position| position.paused_until.is_some_and(|until| until <= now);
        if !self.positions.values().any(due) {
            return Ok(());
        }
        let places = self.positions.iter().filter(|(_, position)| due(position));
        let places = places.map(|(partition, at)| (partition, rdkafka::Offset::Offset(at.next)));
        let failed = |error: &KafkaError| error::plain(error, "going back");
        let list = record::list(places).map_err(|error| failed(&error))?;
        let sought = self.client.seek_partitions(list, self.cluster.options.request_timeout);
        let sought = sought.map_err(|error| failed(&error))?;
        // The call is fine where an element is not.
        for (_, outcome) in record::listed(&sought) {
            outcome.map_err(|error| failed(&error))?;
        }
        self.client.resume(&sought).map_err(|error| failed(&error))?;
        for position in self.positions.values_mut().filter(|position| due(position)) {
            position.paused_until = None;
        }
        Ok(())
    }

    /// Leaves the group and waits until it knows. A static member that merely closes is kept for its
    /// session; one that unsubscribes first says good-bye.
    pub fn leave(mut self) {
        self.client.context().leaving.store(true, Ordering::Relaxed);
        if matches!(self.dead, Some(Error::Fenced(_) | Error::Unknown(_))) {
            // The client gave up, and the group knows or will.
            return;
        }
        if self.offered.take().is_some() {
            // The client waits for its assignment to be answered before it does anything else.
            let _ = self.client.assign(&TopicPartitionList::new());
        }
        let began = Instant::now();
        self.client.unsubscribe();
        while began.elapsed() < LEAVING && self.is_listed() {
            // Serves the revocation.
            let _ = self.client.poll(Duration::from_millis(10));
        }
    }

    /// Whether the group has this member, or a namesake. Not where nobody can say.
    fn is_listed(&self) -> bool {
        let asked = self.client.fetch_group_list(Some(&self.group), Duration::from_secs(1));
        asked.is_ok_and(|list| {
            let mut members = list.groups().iter().flat_map(|group| group.members());
            members.any(|member| member.client_id() == self.client_id)
        })
    }
}

/// Keeps a record that came, unless it lies before the place to which its partition was rewound.
fn keep(positions: &mut BTreeMap<Partition, Position>, buffer: &mut Buffer, message: &BorrowedMessage<'_>) {
    let index = u32::try_from(message.partition()).unwrap_or(u32::MAX);
    let found = positions
        .iter_mut()
        .find(|(partition, _)| partition.index == index && partition.topic.as_ref() == message.topic());
    let Some((partition, position)) = found else { return };
    if position.paused_until.is_some() || message.offset() < position.next {
        return;
    }
    position.next = next(message.offset());
    buffer.push(record::incoming(message, partition.clone()));
}
