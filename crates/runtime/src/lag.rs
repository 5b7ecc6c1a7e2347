//! How far a group is behind.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use ports::Log;
use ports::log::{Ends, Error, Offset, Partition};

/// Most records that are counted one by one in a partition; beyond it lag is estimated by offsets.
pub const MOST_COUNTED: u64 = 2_000;

/// How far a group is behind in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: Partition,
    /// The group's committed offset; `None` where it has none.
    pub committed: Option<Offset>,
    /// The partition's ends.
    pub ends: Ends,
    /// Data records from the committed offset to the last stable one. Transactions' markers are not
    /// among them, where `counted`.
    pub records: u64,
    /// Whether the records were counted one by one; else `records` is the distance of the offsets.
    pub counted: bool,
}

/// Topics that are asked about at the same time: a group may read hundreds.
const AT_ONCE: usize = 8;

/// How far `group` is behind in every partition of `topics`.
pub async fn lag(log: &dyn Log, group: &str, topics: &[&str]) -> Result<Vec<Lag>, Error> {
    let each: Vec<_> = topics.iter().map(|topic| of_topic(log, group, topic)).collect();
    let lags: Vec<Vec<Lag>> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
    Ok(lags.into_iter().flatten().collect())
}

async fn of_topic(log: &dyn Log, group: &str, topic: &str) -> Result<Vec<Lag>, Error> {
    let committed = log.committed(group, topic).await?;
    let ends = log.ends(topic).await?;
    let mut lags = Vec::with_capacity(ends.len());
    for (index, (committed, ends)) in (0..).zip(committed.into_iter().zip(ends)) {
        lags.push(of_partition(log, Partition::new(topic, index), committed, ends).await?);
    }
    Ok(lags)
}

async fn of_partition(
    log: &dyn Log,
    partition: Partition,
    committed: Option<Offset>,
    ends: Ends,
) -> Result<Lag, Error> {
    let from = committed.unwrap_or(ends.start).max(ends.start);
    let distance = u64::try_from(ends.stable - from).unwrap_or(0);
    if distance > MOST_COUNTED {
        return Ok(Lag { partition, committed, ends, records: distance, counted: false });
    }
    let mut at = from;
    let mut records = 0;
    while at < ends.stable {
        let (page, next) = log.read(&partition, at, 500).await?;
        records += page.iter().filter(|record| record.offset < ends.stable).count() as u64;
        if next <= at {
            break;
        }
        at = next;
    }
    Ok(Lag { partition, committed, ends, records, counted: true })
}
