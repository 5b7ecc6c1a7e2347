//! When the records of a paced load become visible to a `read_committed` reader of each topic on their way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use contract::{headers, topics};
use ports::Log;
use ports::log::{First, RawRecord};
use tokio::time::Instant;

use super::load::{ITEM, ITEMS};

/// The topics, upstream first.
pub const WAY: [&str; 5] =
    [topics::RAW, topics::ACCEPTED, topics::NORMALIZED, topics::OUTBOX, topics::INVENTORY_UPDATED];
/// The reader's group.
const GROUP: &str = "dvss.bench";
/// Longest wait for the next record.
const PATIENCE: Duration = Duration::from_secs(30);

/// When the record about each event came, by topic.
pub type Arrivals = HashMap<&'static str, Vec<Option<Instant>>>;

/// Reads until every topic of [`WAY`] has given a record about each of `events` events. Tells `ready` when it
/// is about to see them.
pub async fn watch(
    log: Arc<dyn Log>,
    events: u64,
    ready: tokio::sync::oneshot::Sender<()>,
) -> anyhow::Result<Arrivals> {
    ensure!(events <= ITEMS, "at most {ITEMS} events can be told apart: a slower pace, or fewer seconds");
    let count = usize::try_from(events)?;
    let mut seen: Arrivals = WAY.into_iter().map(|topic| (topic, vec![None; count])).collect();
    let mut consumer = log.join(GROUP, GROUP, &WAY, First::Zero).await?;
    while consumer.poll(1, Duration::from_secs(1)).await?.assigned.is_none_or(|assigned| assigned.is_empty())
    {
    }
    let _ = ready.send(());
    let (mut left, mut heard) = (count * WAY.len(), Instant::now());
    while left > 0 {
        ensure!(heard.elapsed() < PATIENCE, "{left} records never came");
        let batch = consumer.poll(1_000, Duration::from_millis(100)).await?;
        let now = Instant::now();
        for record in &batch.records {
            heard = now;
            let Some(topic) = WAY.into_iter().find(|topic| *topic == record.partition.topic.as_ref()) else {
                continue;
            };
            let place = event_of(record).and_then(|event| seen.get_mut(topic)?.get_mut(event));
            if let Some(place @ None) = place {
                *place = Some(now);
                left -= 1;
            }
        }
    }
    consumer.leave().await?;
    Ok(seen)
}

/// The number of the event that a record is about: behind the last dash of the vendor's id of it, or in the
/// entity's key, for each event is about an item of its own.
fn event_of(record: &RawRecord) -> Option<usize> {
    if let Some(id) = record.header(headers::EXTERNAL_EVENT_ID) {
        return id.rsplit('-').next()?.parse().ok();
    }
    let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
    let behind = key.split(ITEM).nth(1)?;
    behind.split(|sign: char| !sign.is_ascii_digit()).next()?.parse().ok()
}
