//! Tables: DynamoDB's behaviour, on the store.
//!
//! Every table is a tree of rows and a tree of keys for each of its indexes, all of them changed in one
//! transaction of the store. Whatever can be checked, sized and encoded without the row is, before the
//! writer's thread sees the write. What is refused there as invalid is refused here.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use ports::tables::{Change, Cursor, Error, Item, Key, Page, Query, Table, Write, check};
use ports::{Clock, Tables};
use redb::TableError;
use tokio::task::coop::consume_budget;

use crate::clock::SystemClock;
use crate::{Durability, Engine, StoreError};
use change::Prepared;
use tokens::Tokens;
use trees::Tree;

mod change;
mod decide;
mod keys;
mod lagging;
mod read;
mod rows;
mod tokens;
mod torn;
mod trees;

pub use lagging::LaggingIndexes;
pub use torn::{Late, TornReads};

/// The tables of one store.
pub struct EmbeddedTables {
    engine: Engine,
    trees: Arc<[Tree]>,
    tokens: Arc<Mutex<Tokens>>,
    clock: Arc<dyn Clock>,
}

impl EmbeddedTables {
    /// Opens the tables, makes those that are not there yet, and fills indexes that are new. Blocks the
    /// thread.
    pub fn new(engine: Engine, tables: &[&'static Table]) -> Result<Self, StoreError> {
        let trees: Arc<[Tree]> = tables.iter().map(|table| Tree::of(table)).collect();
        let there = engine.read(|transaction| {
            Ok(match trees::open_all(transaction, &trees).and_then(|()| tokens::open(transaction)) {
                Ok(_) => true,
                Err(TableError::TableDoesNotExist(_)) => false,
                Err(other) => return Err(other.into()),
            })
        })?;
        if !there {
            let trees = Arc::clone(&trees);
            let made = engine.write_blocking(move |transaction| {
                trees.iter().try_for_each(|tree| trees::make(transaction, tree))?;
                tokens::make(transaction)?;
                Ok(Ok::<(), std::convert::Infallible>(()))
            });
            let Ok(()) = made?;
        }
        let tokens = engine.read(Tokens::load)?;
        Ok(Self { engine, trees, tokens: Arc::new(Mutex::new(tokens)), clock: Arc::new(SystemClock) })
    }

    /// Takes the time, by which tokens are forgotten, from `clock` instead of the machine's.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    fn tree(&self, table: &Table) -> Result<usize, Error> {
        let found = self.trees.iter().position(|tree| tree.table.name == table.name);
        found.ok_or_else(|| Error::Invalid(format!("there is no table {}", table.name)))
    }

    fn prepare(&self, write: Write) -> Result<Prepared, Error> {
        let tree = self.tree(write.table)?;
        Prepared::of(tree, self.trees[tree].table, write)
    }
}

#[async_trait]
impl Tables for EmbeddedTables {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        // The store never waits here; the scheduler must get its turn all the same.
        consume_budget().await;
        let tree = &self.trees[self.tree(table)?];
        keys.iter().try_for_each(|key| check::key(tree.table, key))?;
        self.engine.read(|transaction| read::get(transaction, tree, keys)).map_err(of_store)?
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        consume_budget().await;
        check::snapshot(rows)?;
        let trees = rows.iter().map(|(table, _)| self.tree(table)).collect::<Result<Vec<_>, _>>()?;
        let read = |transaction: &_| {
            let mut items = Vec::with_capacity(rows.len());
            for (tree, (_, key)) in trees.iter().zip(rows) {
                match read::get(transaction, &self.trees[*tree], std::slice::from_ref(key))? {
                    Ok(found) => items.extend(found),
                    Err(damaged) => return Ok(Err(damaged)),
                }
            }
            Ok(Ok(items))
        };
        self.engine.read(read).map_err(of_store)?
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        if write.change == Change::Check {
            return Err(Error::Invalid("a check outside of a transaction".to_owned()));
        }
        let write = self.prepare(write)?;
        let trees = Arc::clone(&self.trees);
        let change = move |transaction: &_| change::write(transaction, &trees, write);
        self.engine.write(Durability::Immediate, change).await.map_err(of_store)?
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        check::token_and_count(token, writes.len())?;
        let writes = writes.into_iter().map(|write| self.prepare(write)).collect::<Result<Vec<_>, _>>()?;
        check::rows_differ(writes.iter().map(|write| (self.trees[write.tree].table.name, &write.key)))?;
        let print = tokens::Print::of(token, &writes);
        let (trees, tokens) = (Arc::clone(&self.trees), Arc::clone(&self.tokens));
        let now = u64::try_from(self.clock.now().as_millis()).unwrap_or(0);
        let change = move |transaction: &_| {
            change::transact(transaction, &trees, &mut tokens.lock(), &print, now, writes)
        };
        self.engine.write(Durability::Immediate, change).await.map_err(of_store)?
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        consume_budget().await;
        let tree = &self.trees[self.tree(query.table)?];
        let plan = read::Plan::of(tree, &query)?;
        self.engine.read(|transaction| plan.page(transaction)).map_err(of_store)?
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        consume_budget().await;
        let tree = &self.trees[self.tree(table)?];
        check::limit_of(limit)?;
        self.engine.read(|transaction| read::scan(transaction, tree, after, limit)).map_err(of_store)?
    }
}

fn of_store(error: StoreError) -> Error {
    match error {
        StoreError::Full => Error::Full,
        StoreError::Failed(message) => Error::Unavailable(message),
    }
}

/// A row that cannot be read; whoever asks waits until somebody has looked.
fn damaged(table: &Table) -> Error {
    Error::Unavailable(format!("a row of {} is damaged", table.name))
}
