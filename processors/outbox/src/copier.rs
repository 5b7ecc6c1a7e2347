//! Copies receipts into their rows, behind the stage's back: publishing does not wait for it.

use std::sync::Arc;
use std::time::Duration;

use contract::topics;
use futures::StreamExt as _;
use parking_lot::Mutex;
use ports::log::Partition;
use ports::{Clock, Log, Tables, tables};
use stores::outbox::set_coordinates;
use stores::receipts::{COPIED_GROUP, Receipt};
use telemetry::metric;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::Options;
use crate::decide::{Entry, Memory};
use crate::error::Error;

/// Receipts of one round.
const ROUND: usize = 2_000;
/// How often an alarm that lasts is repeated.
const REPEAT: Duration = Duration::from_mins(1);

/// What stage and copier share.
pub struct Copier {
    pub log: Arc<dyn Log>,
    pub tables: Arc<dyn Tables>,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub memory: Mutex<Memory>,
    /// There is something to copy.
    pub wake: Notify,
}

impl Copier {
    /// Runs until its task is aborted. What fails is tried again for ever: it is published, and
    /// nothing else is waiting for it but memory.
    pub async fn run(self: Arc<Self>) {
        let mut positioned = Instant::now();
        let mut alarmed: Option<Instant> = None;
        loop {
            let _ = timeout(self.options.copy_interval, self.wake.notified()).await;
            let copied = self.copy().await;
            if let Err(error) = &copied {
                tracing::warn!(%error, "receipts are not copied into their rows; trying again");
            }
            if positioned.elapsed() < self.options.copy_interval {
                continue;
            }
            positioned = Instant::now();
            if let Err(error) = self.position().await {
                tracing::warn!(%error, "the copies' position is not committed; trying again");
            }
            self.alarm(&mut alarmed);
        }
    }

    /// Copies until nothing is left, or something fails.
    async fn copy(&self) -> Result<(), Error> {
        loop {
            let round = self.memory.lock().uncopied(ROUND);
            if round.is_empty() {
                return Ok(());
            }
            let failed = self.copy_round(&round).await;
            let left = self.memory.lock().len();
            metrics::gauge!(metric::OUTBOX_COPY_LAG).set(u32::try_from(left).map_or(f64::MAX, f64::from));
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Copies these entries and forgets those that are copied wholly; the last failure, if any.
    async fn copy_round(&self, round: &[(u32, Arc<Entry>)]) -> Option<Error> {
        let mut copies = Vec::new();
        for (index, (_, entry)) in round.iter().enumerate() {
            copies.extend(entry.receipts.iter().map(|receipt| self.copy_one(index, receipt)));
        }
        let mut copies = futures::stream::iter(copies).buffer_unordered(self.options.copy_concurrency.max(1));
        let mut whole = vec![true; round.len()];
        let mut failed = None;
        while let Some((index, copied)) = copies.next().await {
            if let Err(error) = copied {
                whole[index] = false;
                failed = Some(error.into());
            }
        }
        let mut memory = self.memory.lock();
        for ((partition, entry), whole) in round.iter().zip(whole) {
            if whole {
                memory.copied(*partition, entry);
            }
        }
        failed
    }

    async fn copy_one(&self, index: usize, receipt: &Receipt) -> (usize, Result<(), tables::Error>) {
        let at = receipt.coordinates();
        (index, set_coordinates(&*self.tables, &receipt.row, receipt.revision, &at).await)
    }

    /// Commits how far is copied. A position that an earlier owner commits late lies further back:
    /// then more is read again than needs be, and copied again to the same effect.
    async fn position(&self) -> Result<(), Error> {
        let moved = self.memory.lock().moved();
        if moved.is_empty() {
            return Ok(());
        }
        let positions: Vec<_> =
            moved.iter().map(|(index, next)| (Partition::new(topics::RECEIPTS, *index), *next)).collect();
        self.log.set_committed(COPIED_GROUP, &positions).await?;
        let mut memory = self.memory.lock();
        for (partition, position) in moved {
            memory.committed(partition, position);
        }
        Ok(())
    }

    fn alarm(&self, alarmed: &mut Option<Instant>) {
        let oldest = self.memory.lock().oldest();
        let age = oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        if age < self.options.alarm_age {
            *alarmed = None;
        } else if alarmed.is_none_or(|alarmed| alarmed.elapsed() >= REPEAT) {
            *alarmed = Some(Instant::now());
            let (hours, receipts) = (age.as_secs() / 3_600, self.memory.lock().len());
            tracing::error!(
                hours,
                receipts,
                "receipts are not copied; dvss.receipts must keep them till then"
            );
        }
    }
}
