//! What a new owner reads before it publishes anything: the uncopied receipts of its partitions.

use contract::{Timestamp, topics};
use futures::future::try_join_all;
use ports::Log;
use ports::log::{Ends, Offset, Partition, next};
use stores::receipts::{self, COPIED_GROUP};
use tokio::time::{Duration, Instant, sleep};

use crate::Options;
use crate::decide::{Entry, Recalled};
use crate::error::Error;

/// Records of one read.
const PAGE: usize = 500;
/// How often the ends are looked at while transactions are open.
const LOOK: Duration = Duration::from_millis(50);

/// Reads the receipts of `indexes` from where copying stands to an end that is settled.
pub async fn recall(log: &dyn Log, options: &Options, indexes: &[u32]) -> Result<Vec<Recalled>, Error> {
    let ends = settled(log, options, indexes).await?;
    let copied = log.committed(COPIED_GROUP, topics::RECEIPTS).await?;
    let reads = indexes.iter().zip(ends).map(|(index, ends)| {
        let copied = copied.get(*index as usize).copied().flatten();
        read(log, *index, copied, ends)
    });
    try_join_all(reads).await
}

/// The ends as they are now, once no transaction can change what lies below the uncommitted ones: a
/// predecessor's transaction may be open still, and what it committed before the assignment counts.
async fn settled(log: &dyn Log, options: &Options, indexes: &[u32]) -> Result<Vec<Ends>, Error> {
    let wanted = ends(log, indexes).await?;
    let since = Instant::now();
    loop {
        let now = ends(log, indexes).await?;
        let open =
            indexes.iter().zip(now.iter().zip(&wanted)).find(|(_, (now, end))| now.stable < end.uncommitted);
        let Some((index, _)) = open else { return Ok(wanted) };
        if since.elapsed() >= options.settle_timeout {
            return Err(Error::Later(format!("a transaction is open on {}/{index}", topics::RECEIPTS)));
        }
        sleep(LOOK).await;
    }
}

async fn ends(log: &dyn Log, indexes: &[u32]) -> Result<Vec<Ends>, Error> {
    let ends = log.ends(topics::RECEIPTS).await?;
    let of = |index: &u32| ends.get(*index as usize).copied().ok_or(Error::Partitions(*index));
    indexes.iter().map(of).collect()
}

async fn read(log: &dyn Log, index: u32, copied: Option<Offset>, ends: Ends) -> Result<Recalled, Error> {
    let partition = Partition::new(topics::RECEIPTS, index);
    let committed = copied.unwrap_or(ends.start);
    if committed < ends.start {
        // Markers alone may lie between, as after a month without traffic; nobody can tell. Where receipts
        // did, their rows are published once more: "once" is lost.
        tracing::error!(
            %partition,
            committed,
            start = ends.start,
            "retention has passed the copies' position: rows whose receipts it took may be published twice; \
             `dvss reconcile` counts the repeats"
        );
    }
    let mut entries = Vec::new();
    let mut at = committed.max(ends.start);
    while at < ends.uncommitted {
        let (records, on) = log.read(&partition, at, PAGE).await?;
        for record in records {
            let receipts = receipts::read(&record)
                .ok_or_else(|| Error::Broken(format!("{} is not a receipt", record.coordinates())))?;
            let since = Timestamp::from_millis(record.timestamp)
                .ok_or_else(|| Error::Broken(format!("{} has no time", record.coordinates())))?;
            entries.push(Entry { first: record.offset, next: next(record.offset), since, receipts });
        }
        if on <= at {
            break;
        }
        at = on;
    }
    Ok(Recalled { partition: index, committed, end: at, entries })
}
