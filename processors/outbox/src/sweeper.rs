//! The sweeper: rows that were left pending, for example by a crash between a stage's write and its
//! commit, are referred to again. To `dvss.outbox`, never to a public topic.

use std::collections::HashMap;

use contract::{Timestamp, topics};
use ports::Ports;
use ports::log::{Coordinates, Partition};
use ports::tables::{Query, get_one};
use runtime::Processor as _;
use stores::outbox::{self, PENDING_SHARDS, RowRef, shard_name};
use stores::receipts;
use stores::tables::{DIVERGENCE, EFFECTS, PENDING, QUARANTINE};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::{Options, Outbox};

/// Rows of one page.
const PAGE: usize = 500;

/// Sweeps every so often, until `stop`.
pub async fn run(ports: &Ports, options: &Options, stop: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(options.sweep_interval) => {}
        }
        match sweep(ports, options).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "rows were left pending and are referred to again"),
            Err(error) => tracing::warn!(%error, "the sweep failed; the next one goes on"),
        }
    }
}

/// Refers once more to every row that is pending for longer than references take, and returns how many.
/// A row that is published and only waits for its receipt to be copied is not left behind.
///
/// # Errors
/// Whatever the tables or the log answer; rows that were referred to twice are published once.
pub async fn sweep(ports: &Ports, options: &Options) -> Result<usize, Error> {
    let horizon = horizon(ports, options).await?.sortable();
    let mut count = 0;
    // Read where the first row is pending, which is seldom.
    let mut uncopied: Option<HashMap<(RowRef, u32), Coordinates>> = None;
    for table in [&EFFECTS, &DIVERGENCE, &QUARANTINE] {
        for shard in 0..PENDING_SHARDS {
            let mut query = Query {
                to: Some(horizon.clone()),
                limit: PAGE,
                ..Query::over(table, PENDING.name, shard_name(shard))
            };
            loop {
                let page = ports.tables.query(query.clone()).await?;
                for row in page.rows {
                    // The index may lag: the row itself says whether it still waits.
                    let item = get_one(&*ports.tables, table, row.key.clone()).await?;
                    let state = item.as_ref().map_or(Ok(None), outbox::read);
                    if count >= options.sweep_most {
                        return Ok(count);
                    }
                    let row = RowRef::new(table, &row.key);
                    let state = match state {
                        Ok(Some(state)) if state.coordinates.is_none() => state,
                        Ok(_) => continue,
                        Err(damaged) => {
                            tracing::error!(?row, %damaged, "a pending row is damaged and cannot be published");
                            continue;
                        }
                    };
                    let uncopied = match &mut uncopied {
                        Some(uncopied) => uncopied,
                        none => none.insert(receipts::uncopied(&*ports.log).await?),
                    };
                    let reference = row.output(&state.publication.key).record;
                    if !uncopied.contains_key(&(row, state.publication.revision)) {
                        ports.log.append(reference).await?;
                        count += 1;
                    }
                }
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
        }
    }
    Ok(count)
}

/// Rows pending since before this moment have no reference on its way: they are older, by the minimum
/// age, than the oldest record that the outbox has not read. A row is written before it is referred to,
/// hence the age on top.
async fn horizon(ports: &Ports, options: &Options) -> Result<Timestamp, Error> {
    let mut oldest = ports.clock.now();
    let committed = ports.log.committed(Outbox::NAME, topics::OUTBOX).await?;
    for (index, committed) in (0..).zip(committed) {
        let partition = Partition::new(topics::OUTBOX, index);
        let (unread, _) = ports.log.read(&partition, committed.unwrap_or(0), 1).await?;
        let produced = unread.first().and_then(|record| Timestamp::from_millis(record.timestamp));
        oldest = produced.map_or(oldest, |produced| produced.min(oldest));
    }
    let age = i128::try_from(options.sweep_min_age.as_nanos()).unwrap_or(i128::MAX);
    Ok(Timestamp::from_nanos(oldest.as_nanos().saturating_sub(age)).unwrap_or(oldest))
}
