//! How much of a vendor is open at a stage. A fuse, not a ledger: a crash between a row and its count
//! may leave the count one off.

use std::collections::HashMap;
use std::time::Duration;

use contract::VendorId;
use parking_lot::Mutex;
use ports::Tables;
use ports::tables::{Condition, Edit, Error, Key, Query, Write, get_one};
use tokio::time::Instant;

use crate::tables::QUARANTINE;

/// First part of the partition key of counts; no stage is called so.
const PREFIX: &str = "budget#";
/// Where what has no known vendor is counted; no vendor is called so.
const NOBODY: &str = "-";
/// Attribute of a count.
const OPEN: &str = "open";
/// How long a count within the budget is believed. What this process parks is added at once.
const WITHIN: Duration = Duration::from_secs(5);
/// How long a count beyond it is: short, so that a vendor that was resumed goes on.
const BEYOND: Duration = Duration::from_millis(200);
/// Most counts that are kept in memory; they are read again as they are met.
const MOST_KNOWN: usize = 10_000;

/// Counts of open rows, by stage and vendor.
pub struct Budgets {
    most: i64,
    known: Mutex<HashMap<(String, VendorId), Count>>,
}

struct Count {
    open: i64,
    read: Instant,
}

impl Budgets {
    /// Budgets of `most` open rows each.
    pub fn new(most: u32) -> Self {
        Self { most: i64::from(most), known: Mutex::default() }
    }

    /// Whether the vendor has more open rows at the stage than it may.
    pub async fn is_over(&self, tables: &dyn Tables, stage: &str, vendor: &VendorId) -> Result<bool, Error> {
        let key = (stage.to_owned(), vendor.clone());
        if let Some(count) = self.known.lock().get(&key) {
            let over = count.open > self.most;
            if count.read.elapsed() < if over { BEYOND } else { WITHIN } {
                return Ok(over);
            }
        }
        let item = get_one(tables, &QUARANTINE, row(stage, Some(vendor))).await?;
        let open = item.and_then(|item| item.get(OPEN)?.as_i64()).unwrap_or(0);
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, Count { open, read: Instant::now() });
        Ok(open > self.most)
    }

    /// A row was opened. True where that was the one beyond the vendor's budget, as far as this process
    /// knows. What is nobody's is counted too, and has no budget.
    pub async fn opened(&self, tables: &dyn Tables, stage: &str, vendor: Option<&VendorId>) -> bool {
        add(tables, stage, vendor, 1).await;
        let Some(vendor) = vendor else { return false };
        let mut known = self.known.lock();
        let Some(count) = known.get_mut(&(stage.to_owned(), vendor.clone())) else { return false };
        count.open += 1;
        count.open == self.most + 1
    }
}

/// An open row was released or discarded.
pub async fn closed(tables: &dyn Tables, stage: &str, vendor: Option<&VendorId>) {
    add(tables, stage, vendor, -1).await;
}

/// How many rows are open at a stage, of all vendors together, from the counts: a row a vendor is read
/// and no parked record. A crash between a row and its count leaves it one off.
pub async fn depth(tables: &dyn Tables, stage: &str) -> Result<u64, Error> {
    let (mut depth, mut after) = (0, None);
    loop {
        let page =
            tables.query(Query { after, ..Query::of(&QUARANTINE, format!("{PREFIX}{stage}")) }).await?;
        let open = page.rows.iter().filter_map(|row| row.item.get(OPEN)?.as_i64());
        depth += open.filter_map(|open| u64::try_from(open).ok()).sum::<u64>();
        after = page.next;
        if after.is_none() {
            return Ok(depth);
        }
    }
}

/// Whether a row of the table is a count, and not a parked record.
pub fn is_count(key: &Key) -> bool {
    key.pk.starts_with(PREFIX)
}

async fn add(tables: &dyn Tables, stage: &str, vendor: Option<&VendorId>, by: i64) {
    let edits = vec![Edit::Add(OPEN, by)];
    let write = Write::edit(&QUARANTINE, row(stage, vendor), edits, Condition::Always);
    if let Err(error) = tables.write(write).await {
        tracing::warn!(stage, vendorId = vendor.map(VendorId::as_str), by, %error, "the count of open rows is one off");
    }
}

fn row(stage: &str, vendor: Option<&VendorId>) -> Key {
    Key::sorted(format!("{PREFIX}{stage}"), vendor.map_or(NOBODY, VendorId::as_str))
}
