//! A transactional producer.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use ports::log::{Coordinates, Error, Offset, Owner, Partition, Producer, Record};
use tokio::time::Instant;

use super::consumer::Claim;
use super::shared::{Open, Shared, Slot, Transactions, unavailable, unique};
use super::store::{self, Place};
use crate::engine::Durability;
use crate::error::StoreError;

/// A producer of the embedded log. Dropping it leaves its transaction open, as a crash does: the next
/// one with the id, or the time-out, aborts it.
pub struct EmbeddedProducer {
    shared: Arc<Shared>,
    key: Key,
}

/// Whose transactions: the id, and the epoch under which this producer holds it.
#[derive(Clone)]
struct Key {
    id: Arc<str>,
    epoch: u64,
}

impl EmbeddedProducer {
    /// Takes a transactional id over from whoever had it.
    pub async fn take_over(shared: Arc<Shared>, id: &str) -> Result<Self, Error> {
        let id: Arc<str> = id.into();
        let epoch = {
            let mut guard = shared.transactions.lock();
            let Transactions { producers, doomed } = &mut *guard;
            let slot = producers.entry(Arc::clone(&id)).or_default();
            slot.epoch += 1;
            doomed.extend(slot.open.take().map(|open| open.number));
            slot.epoch
        };
        // Also where nothing was left open: a commit of the predecessor may be on its way, and it is
        // settled when this change has run behind it.
        shared.abort_doomed().await.map_err(unavailable)?;
        Ok(Self { shared, key: Key { id, epoch } })
    }

    /// The open transaction's number.
    fn number(&self) -> Result<u64, Error> {
        let mut transactions = self.shared.transactions.lock();
        let open = slot(&mut transactions, &self.key)?.open.as_ref();
        open.map(|open| open.number).ok_or_else(|| Error::Abort("no transaction is open".to_owned()))
    }

    /// Notes that the open transaction can only be aborted, and hands the reason on.
    fn refuse(&self, error: Error) -> Error {
        if let Ok(Slot { open: Some(open), .. }) = slot(&mut self.shared.transactions.lock(), &self.key) {
            open.refused = true;
        }
        error
    }
}

/// What is known of a producer's id, unless another one has taken it.
fn slot<'a>(transactions: &'a mut Transactions, key: &Key) -> Result<&'a mut Slot, Error> {
    let slot = transactions.producers.get_mut(&key.id).filter(|slot| slot.epoch == key.epoch);
    slot.ok_or_else(|| Error::Fenced(format!("{} was taken over, or its transaction took too long", key.id)))
}

/// The transaction with this number, where it is still the producer's open one.
fn open<'a>(transactions: &'a mut Transactions, key: &Key, number: u64) -> Result<&'a mut Open, Error> {
    let open = slot(transactions, key)?.open.as_mut().filter(|open| open.number == number);
    open.ok_or_else(|| Error::Abort("the transaction is not open any more".to_owned()))
}

#[async_trait]
impl Producer for EmbeddedProducer {
    async fn begin(&mut self) -> Result<(), Error> {
        self.shared.abort_overdue().await;
        let deadline = Instant::now() + self.shared.options.transaction_timeout;
        let mut transactions = self.shared.transactions.lock();
        let slot = slot(&mut transactions, &self.key)?;
        if slot.open.is_some() {
            return Err(Error::Abort("a transaction is open already".to_owned()));
        }
        slot.open = Some(Open { number: unique(), deadline, runs: 0, refused: false });
        Ok(())
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        self.shared.abort_overdue().await;
        let number = self.number()?;
        let mut partitions = Vec::with_capacity(records.len());
        let mut encoded: Vec<(Place, Vec<u8>)> = Vec::with_capacity(records.len());
        for record in &records {
            let routed = self.shared.route(record);
            let (partition, place) = routed.map_err(|error| self.refuse(error))?;
            let bytes = self.shared.encode(record).map_err(|error| self.refuse(error))?;
            partitions.push(partition);
            encoded.push((place, bytes));
        }
        if encoded.is_empty() {
            return Ok(Vec::new());
        }
        let runs = encoded.iter().map(|(place, _)| place).collect::<BTreeSet<_>>().len();
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let change = move |transaction: &redb::WriteTransaction| {
            match open(&mut shared.transactions.lock(), &key, number) {
                // Taken back by nobody: where the group fails, the commit finds too few and refuses.
                Ok(open) => open.runs += runs,
                Err(error) => return Ok(Err(error)),
            }
            store::append(transaction, &encoded, Some(number)).map(Ok)
        };
        // Nobody relies on the records before the commit, which is immediate.
        let sent = self.shared.engine.write(Durability::Eventual, change).await;
        let offsets = sent.map_err(|error| self.refuse(unavailable(error)))??;
        let placed = partitions.into_iter().zip(offsets);
        Ok(placed.map(|(partition, offset)| Coordinates { partition, offset }).collect())
    }

    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.shared.abort_overdue().await;
        let number = self.number()?;
        let stale = |why: &str| self.refuse(Error::Abort(why.to_owned()));
        let claim = Arc::clone(&owner.0).downcast::<Claim>().map_err(|_| stale("another log's owner"))?;
        self.shared.expire(&claim.group);
        let mut offsets: Vec<(Place, Offset)> = Vec::with_capacity(next.len());
        for (partition, offset) in next {
            let place = self.shared.place(partition).map_err(|error| self.refuse(error))?;
            offsets.push((place, *offset));
        }
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let change = move |transaction: &redb::WriteTransaction| {
            let runs = match open(&mut shared.transactions.lock(), &key, number) {
                Ok(open) if open.refused => return Ok(Err(Error::Abort("a record was refused".to_owned()))),
                Ok(open) => open.runs,
                Err(error) => return Ok(Err(error)),
            };
            let owned =
                shared.groups.lock().get(&claim.group).map(|group| group.owns(&claim.who, claim.generation));
            if owned != Some(true) {
                let message = format!("{} lost its partitions of {}", claim.who.name, claim.group);
                return Ok(Err(Error::Abort(message)));
            }
            if store::count(transaction, number)? != runs {
                return Ok(Err(Error::Abort("the store lost records of the transaction".to_owned())));
            }
            store::finish(transaction, number, true)?;
            for (place, offset) in offsets {
                store::set_offset(transaction, &claim.group, place, offset)?;
            }
            Ok(Ok(()))
        };
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let settled = move |(): &()| {
            if let Ok(slot) = slot(&mut shared.transactions.lock(), &key) {
                slot.open.take_if(|open| open.number == number);
            }
            shared.changed.notify_waiters();
        };
        let committed = self.shared.engine.write_then(Durability::Immediate, change, settled).await;
        committed.map_err(|error| match error {
            StoreError::Full => Error::Full,
            StoreError::Failed(message) => Error::Unknown(message),
        })?
    }

    async fn abort(&mut self) -> Result<(), Error> {
        {
            let mut guard = self.shared.transactions.lock();
            let open = slot(&mut guard, &self.key)?.open.take();
            guard.doomed.extend(open.map(|open| open.number));
            // Not empty either where an earlier call decided it and the store refused.
            if guard.doomed.is_empty() {
                return Ok(());
            }
        }
        self.shared.abort_doomed().await.map_err(unavailable)
    }
}
