//! What only servers do, for tests: transactions that are seen row by row.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Row, Table, Write};
use tokio::time::sleep;

/// How long whoever meets a write waits until it looks again.
const LOOK: Duration = Duration::from_millis(1);

/// Which rows of a transaction are seen late, by their places among so many writes.
pub type Late = dyn Fn(usize) -> Vec<usize> + Send + Sync;

/// Tables whose plain reads see some rows of a transaction later than others, as DynamoDB's may until the
/// transaction has returned. Snapshots, and whoever writes one of the rows, wait until it has.
///
/// Rows that the transaction deletes are seen late by their keys only, not in pages.
pub struct TornReads {
    inner: Arc<dyn Tables>,
    late: Box<Late>,
    lasting: Duration,
    rows: Arc<Mutex<Rows>>,
}

type Place = (&'static str, Key);

#[derive(Default)]
struct Rows {
    /// Being written.
    busy: HashSet<Place>,
    /// As they were; that they changed is not seen yet.
    unseen: HashMap<Place, Option<Item>>,
}

impl TornReads {
    /// Over any tables; every write has to come through here. The rows that `late` names are seen `lasting` later.
    pub fn new(inner: Arc<dyn Tables>, lasting: Duration, late: Box<Late>) -> Self {
        Self { inner, late, lasting, rows: Arc::default() }
    }

    /// Keeps others from writing the rows.
    async fn hold(&self, places: Vec<Place>) -> Held {
        loop {
            {
                let mut rows = self.rows.lock();
                if places.iter().all(|place| !rows.busy.contains(place)) {
                    rows.busy.extend(places.iter().cloned());
                    return Held { rows: Arc::clone(&self.rows), places };
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Rows as a plain read sees them.
    fn seen(&self, table: &'static Table, found: Vec<Row>) -> Vec<Row> {
        let rows = self.rows.lock();
        let seen = |row: Row| match rows.unseen.get(&(table.name, row.key.clone())) {
            Some(before) => before.clone().map(|item| Row { item, ..row }),
            None => Some(row),
        };
        found.into_iter().filter_map(seen).collect()
    }
}

/// Rows that are being written; free again when it goes.
struct Held {
    rows: Arc<Mutex<Rows>>,
    places: Vec<Place>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut rows = self.rows.lock();
        for place in &self.places {
            rows.busy.remove(place);
            rows.unseen.remove(place);
        }
    }
}

fn place(write: &Write) -> Place {
    (write.table.name, write.key.clone())
}

#[async_trait]
impl Tables for TornReads {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        let mut found = self.inner.get(table, keys).await?;
        let rows = self.rows.lock();
        for (key, row) in keys.iter().zip(&mut found) {
            if let Some(before) = rows.unseen.get(&(table.name, key.clone())) {
                row.clone_from(before);
            }
        }
        Ok(found)
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        let places: Vec<Place> = rows.iter().map(|(table, key)| (table.name, key.clone())).collect();
        while places.iter().any(|place| self.rows.lock().busy.contains(place)) {
            sleep(LOOK).await;
        }
        self.inner.snapshot(rows).await
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        let _held = self.hold(vec![place(&write)]).await;
        self.inner.write(write).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        let late = (self.late)(writes.len());
        let held = self.hold(writes.iter().map(place).collect()).await;
        if late.is_empty() {
            return self.inner.transact(token, writes).await;
        }
        let late: Vec<_> = late.into_iter().map(|at| (writes[at].table, writes[at].key.clone())).collect();
        let before = self.inner.snapshot(&late).await?;
        let late = late.into_iter().map(|(table, key)| (table.name, key));
        self.rows.lock().unseen.extend(late.zip(before));
        self.inner.transact(token, writes).await?;
        // Also where nobody waits for it any more.
        let lasting = self.lasting;
        let seen = tokio::spawn(async move {
            sleep(lasting).await;
            drop(held);
        });
        seen.await.map_err(|error| Error::Unavailable(error.to_string()))
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        let (table, of_index) = (query.table, query.index.is_some());
        let page = self.inner.query(query).await?;
        // An index has keys only, and lags anyway.
        if of_index { Ok(page) } else { Ok(Page { rows: self.seen(table, page.rows), ..page }) }
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        let page = self.inner.scan(table, after, limit).await?;
        Ok(Page { rows: self.seen(table, page.rows), ..page })
    }
}
