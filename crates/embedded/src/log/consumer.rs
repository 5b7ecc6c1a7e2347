//! A member of a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ports::log::{Batch, Consumer, Ends, Error, First, Offset, Owner, Partition, RawRecord};
use tokio::time::Instant;

use super::decide::share;
use super::group::{Identity, Seat};
use super::shared::{Shared, unavailable, unique};
use super::store::{self, Place, Room};

/// A waiting poll looks up at least this often, and so keeps its member alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A consumer of the embedded log.
pub struct EmbeddedConsumer {
    shared: Arc<Shared>,
    group: Arc<str>,
    who: Identity,
    topics: Vec<Arc<str>>,
    /// Where it begins where the group never was.
    first: First,
    generation: u64,
    /// An assignment that no batch has told of yet: a poll may fail behind the take-over, and ownership
    /// must not change unheard.
    untold: Option<Vec<Partition>>,
    positions: BTreeMap<Partition, Position>,
    /// Where the next fetch begins, so that every partition comes first in its turn.
    turn: usize,
}

struct Position {
    place: Place,
    next: Offset,
    paused_until: Option<Instant>,
}

/// The proof of ownership: who polled, under which generation.
pub struct Claim {
    pub group: Arc<str>,
    pub who: Identity,
    pub generation: u64,
}

impl EmbeddedConsumer {
    /// Joins a group.
    pub fn join(
        shared: Arc<Shared>,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Self, Error> {
        for topic in topics {
            shared.topic(topic)?;
        }
        let group: Arc<str> = group.into();
        let topics: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let who = Identity { name: member.to_owned(), instance: unique() };
        shared.groups.lock().entry(Arc::clone(&group)).or_default().join(&who, &topics, Instant::now());
        shared.changed.notify_waiters();
        let positions = BTreeMap::new();
        Ok(Self { shared, group, who, topics, first, generation: 0, untold: None, positions, turn: 0 })
    }

    /// Shows up in the group, and hears where it stands.
    fn seat(&self) -> Seat {
        let now = Instant::now();
        let mut groups = self.shared.groups.lock();
        let group = groups.entry(Arc::clone(&self.group)).or_default();
        let dropped = group.expire(now, self.shared.options.session_timeout);
        let partitions = |topic: &str| self.shared.topic(topic).map_or(0, |topic| topic.partitions);
        let (seat, news) = group.poll(&self.who, &self.topics, now, partitions);
        drop(groups);
        if dropped || news {
            self.shared.changed.notify_waiters();
        }
        seat
    }

    /// Reads where the group stands in partitions that were just assigned.
    async fn take_over(&mut self, generation: u64, assigned: &[Partition]) -> Result<(), Error> {
        let places: Vec<Place> =
            assigned.iter().map(|partition| self.shared.place(partition)).collect::<Result<_, _>>()?;
        let (group, wanted) = (Arc::clone(&self.group), places.clone());
        // Behind every commit of the former owners that was not refused.
        let look = move |transaction: &redb::WriteTransaction| {
            let mut found: Vec<(Option<Offset>, Ends)> = Vec::with_capacity(wanted.len());
            for place in &wanted {
                found.push((store::offset(transaction, &group, *place)?, store::ends(transaction, *place)?));
            }
            Ok(found)
        };
        let found = self.shared.engine.read_ordered(look).await.map_err(unavailable)?;
        let mut positions = BTreeMap::new();
        for ((partition, place), (offset, ends)) in assigned.iter().zip(places).zip(found) {
            let next = self.within(partition, self.first.of(offset), ends)?;
            positions.insert(partition.clone(), Position { place, next, paused_until: None });
        }
        self.positions = positions;
        self.generation = generation;
        self.turn = 0;
        Ok(())
    }

    fn within(&self, partition: &Partition, offset: Offset, ends: Ends) -> Result<Offset, Error> {
        if (ends.start..=ends.uncommitted).contains(&offset) {
            return Ok(offset);
        }
        Err(Error::OutOfRange {
            group: self.group.to_string(),
            partition: partition.clone(),
            offset,
            start: ends.start,
            end: ends.uncommitted,
        })
    }

    /// Reads what there is, from every partition that is not paused, in turns.
    fn fetch(&mut self, max_records: usize) -> Result<Vec<RawRecord>, Error> {
        let now = Instant::now();
        let ready: Vec<(&Partition, &Position)> = self
            .positions
            .iter()
            .filter(|(_, position)| position.paused_until.is_none_or(|until| until <= now))
            .collect();
        let first = self.turn % ready.len().max(1);
        let mut room = Room { records: max_records, bytes: self.shared.options.max_fetch_bytes };
        let (mut records, mut moved) = (Vec::new(), Vec::new());
        let looked = self.shared.engine.read(|snapshot| {
            for (index, (partition, position)) in
                ready.iter().cycle().skip(first).take(ready.len()).enumerate()
            {
                if room.records == 0 || room.bytes == 0 {
                    break;
                }
                if let Err(error) =
                    self.within(partition, position.next, store::ends(snapshot, position.place)?)
                {
                    return Ok(Err(error));
                }
                let mine = share(room.records, ready.len() - index);
                let mine = Room { records: mine, bytes: room.bytes };
                let (found, next, left) =
                    store::read(snapshot, partition, position.place, position.next, mine)?;
                room = Room { records: room.records - found.len(), bytes: left.bytes };
                records.extend(found);
                moved.push(((*partition).clone(), next));
            }
            Ok(Ok(()))
        });
        looked.map_err(unavailable)??;
        for (partition, next) in moved {
            if let Some(position) = self.positions.get_mut(&partition) {
                *position = Position { place: position.place, next, paused_until: None };
            }
        }
        if !records.is_empty() {
            self.turn = self.turn.wrapping_add(1);
        }
        Ok(records)
    }

    fn batch(&mut self, records: Vec<RawRecord>) -> Batch {
        let assigned = self.untold.take();
        let claim =
            Claim { group: Arc::clone(&self.group), who: self.who.clone(), generation: self.generation };
        Batch { owner: Owner(Arc::new(claim)), assigned, records }
    }

    /// When a waiting poll must look again, though nobody told it of anything.
    fn wake(&self, deadline: Instant) -> Instant {
        let session = self.shared.options.session_timeout;
        let heartbeat = Instant::now() + HEARTBEAT.min(session / 3);
        let expiry = self.shared.groups.lock().get(&self.group).and_then(|group| group.next_expiry(session));
        // A pause that is over matters no more: what it held back was just fetched, or waits for the round.
        let now = Instant::now();
        let pauses = self.positions.values().filter_map(|position| position.paused_until);
        let pauses = pauses.filter(|until| *until > now);
        let sooner = pauses.chain(expiry).chain(self.shared.next_deadline()).min();
        heartbeat.min(deadline).min(sooner.unwrap_or(deadline))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        let deadline = Instant::now() + max_wait;
        let shared = Arc::clone(&self.shared);
        loop {
            // Listens before it looks, so that nothing falls between the two.
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            shared.abort_overdue().await;
            match self.seat() {
                Seat::Replaced => {
                    let message =
                        format!("{} of {} was taken by another consumer", self.who.name, self.group);
                    return Err(Error::Fenced(message));
                }
                Seat::Waiting => (),
                Seat::Assigned(generation, partitions) if generation != self.generation => {
                    self.take_over(generation, &partitions).await?;
                    self.untold = Some(partitions);
                    let records = self.fetch(max_records)?;
                    return Ok(self.batch(records));
                }
                Seat::Assigned(..) => {
                    let records = self.fetch(max_records)?;
                    if !records.is_empty() || self.untold.is_some() {
                        return Ok(self.batch(records));
                    }
                }
            }
            if Instant::now() >= deadline {
                return Ok(self.batch(Vec::new()));
            }
            tokio::select! {
                biased;
                () = changed => (),
                () = tokio::time::sleep_until(self.wake(deadline)) => (),
            }
        }
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        let position = self
            .positions
            .get_mut(partition)
            .ok_or_else(|| Error::Missing(format!("{partition} is not assigned to {}", self.who.name)))?;
        position.next = to;
        position.paused_until = (!pause.is_zero()).then(|| Instant::now() + pause);
        Ok(())
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        // Dropping it leaves.
        Ok(())
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let left = self.shared.groups.lock().get_mut(&self.group).is_some_and(|group| group.leave(&self.who));
        if left {
            self.shared.changed.notify_waiters();
        }
    }
}
