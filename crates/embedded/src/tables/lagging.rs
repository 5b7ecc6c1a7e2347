//! What only servers do, for tests: indexes that lag, transactions that conflict.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Table, Write};

use super::trees::KeysAt;
use super::{EmbeddedTables, of_store, read};

/// Tables whose index reads show the indexes as they were up to `lag` writes ago. Every index read
/// catches up by one write, so that whoever asks again gets there.
pub struct LaggingIndexes {
    tables: Arc<EmbeddedTables>,
    lag: usize,
    past: Mutex<VecDeque<Past>>,
    conflicts: AtomicUsize,
}

/// The indexes before one write, in the order of the tables and their lists.
struct Past(Vec<Vec<KeysAt>>);

impl LaggingIndexes {
    /// Lets the index reads of `tables` lag; only writes through here are lagged behind.
    pub fn new(tables: Arc<EmbeddedTables>, lag: usize) -> Self {
        Self { tables, lag, past: Mutex::default(), conflicts: AtomicUsize::new(0) }
    }

    /// The next `count` transactions fail with [`Error::Conflict`] and do not happen.
    pub fn conflict(&self, count: usize) {
        self.conflicts.store(count, Ordering::SeqCst);
    }

    /// Keeps the indexes as they are now.
    fn keep(&self) -> Result<(), Error> {
        let trees = &self.tables.trees;
        let now = self.tables.engine.read(|transaction| {
            let indexes = |places: usize, tree: &super::Tree| {
                (0..places).map(|place| transaction.open_table(tree.index(place))).collect::<Result<_, _>>()
            };
            Ok(trees.iter().map(|tree| indexes(tree.table.indexes.len(), tree)).collect::<Result<_, _>>()?)
        });
        let mut past = self.past.lock();
        past.push_back(Past(now.map_err(of_store)?));
        if past.len() > self.lag {
            past.pop_front();
        }
        Ok(())
    }
}

#[async_trait]
impl Tables for LaggingIndexes {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.get(table, keys).await
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.snapshot(rows).await
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        self.keep()?;
        self.tables.write(write).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        let one_less = |left: usize| left.checked_sub(1);
        if self.conflicts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(Error::Conflict);
        }
        self.keep()?;
        self.tables.transact(token, writes).await
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        let tree = self.tables.tree(query.table)?;
        let plan = read::Plan::of(&self.tables.trees[tree], &query)?;
        let past = plan.index().and_then(|index| Some((index, self.past.lock().pop_front()?)));
        match past {
            None => self.tables.query(query).await,
            Some((index, Past(trees))) => {
                let page = plan.index_page(index, &trees[tree][index]);
                page.map_err(|error| Error::Unavailable(error.to_string()))?
            }
        }
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        self.tables.scan(table, after, limit).await
    }
}
