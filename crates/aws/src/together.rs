//! Reads that are asked for at once, made together.
//!
//! A stage handles many records at the same time, and each asks for its own row. What is asked for before
//! anybody's turn comes again goes to the store as one read of many keys; the answer goes back row by row.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Table, Write, check};
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// Most keys of one read; as many as DynamoDB takes in one request.
const MOST_KEYS: usize = 100;

type Answer = Result<Vec<Option<Item>>, Error>;

/// Tables whose concurrent reads go together. Writes and everything else pass as they are.
#[derive(Clone)]
pub struct Together {
    inner: Arc<dyn Tables>,
    gathering: Arc<Mutex<HashMap<&'static str, Batch>>>,
}

/// Reads of one table that wait to be sent.
struct Batch {
    table: &'static Table,
    keys: Vec<Key>,
    /// How many keys each asked for, in the order of `keys`, and where its answer goes.
    askers: Vec<(usize, oneshot::Sender<Answer>)>,
}

impl Together {
    /// Over any tables.
    pub fn new(inner: Arc<dyn Tables>) -> Self {
        Self { inner, gathering: Arc::default() }
    }

    /// Adds a read to those that wait. The first of a batch sends it when its turn comes again; a batch that
    /// is full is sent at once.
    fn join(&self, table: &'static Table, keys: &[Key]) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let mut gathering = self.gathering.lock();
        let full = gathering.get(table.name).is_some_and(|batch| batch.keys.len() + keys.len() > MOST_KEYS);
        if full && let Some(batch) = gathering.remove(table.name) {
            tokio::spawn(batch.send(Arc::clone(&self.inner)));
        }
        let batch = gathering.entry(table.name).or_insert_with(|| {
            let together = self.clone();
            tokio::spawn(async move {
                yield_now().await;
                let batch = together.gathering.lock().remove(table.name);
                if let Some(batch) = batch {
                    batch.send(together.inner).await;
                }
            });
            Batch { table, keys: Vec::new(), askers: Vec::new() }
        });
        batch.keys.extend_from_slice(keys);
        batch.askers.push((keys.len(), sender));
        receiver
    }
}

impl Batch {
    async fn send(self, inner: Arc<dyn Tables>) {
        let answer = inner.get(self.table, &self.keys).await;
        let mut rows = answer.map(Vec::into_iter);
        for (count, asker) in self.askers {
            let own = match &mut rows {
                Ok(rows) => Ok(rows.by_ref().take(count).collect()),
                Err(error) => Err(error.clone()),
            };
            // Whoever has gone away meanwhile needs no answer.
            let _gone = asker.send(own);
        }
    }
}

#[async_trait]
impl Tables for Together {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Answer {
        // Another's mistake must not spoil the whole read.
        keys.iter().try_for_each(|key| check::key(table, key))?;
        if keys.is_empty() || keys.len() >= MOST_KEYS {
            return self.inner.get(table, keys).await;
        }
        let answer = self.join(table, keys).await;
        answer.unwrap_or_else(|_| Err(Error::Unavailable("the read was given up".to_owned())))
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        self.inner.write(write).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        self.inner.transact(token, writes).await
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        self.inner.query(query).await
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        self.inner.scan(table, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use ports::tables::{Attr, get_one};

    use super::*;

    static TABLE: Table = Table { name: "rows", sorted: false, indexes: &[] };
    static OTHER: Table = Table { name: "others", sorted: false, indexes: &[] };

    /// Every row holds its own key; keeps how many keys each read asked for.
    #[derive(Default)]
    struct Counted {
        reads: Mutex<Vec<usize>>,
        down: bool,
    }

    #[async_trait]
    impl Tables for Counted {
        async fn get(&self, table: &'static Table, keys: &[Key]) -> Answer {
            self.reads.lock().push(keys.len());
            if self.down {
                return Err(Error::Unavailable("down".to_owned()));
            }
            let row = |key: &Key| Item::from([(table.name.to_owned(), Attr::S(key.pk.clone()))]);
            Ok(keys.iter().map(|key| (key.pk != "absent").then(|| row(key))).collect())
        }
        async fn write(&self, _: Write) -> Result<(), Error> {
            Err(Error::Full)
        }
        async fn transact(&self, _: &str, _: Vec<Write>) -> Result<(), Error> {
            Err(Error::Full)
        }
        async fn query(&self, _: Query) -> Result<Page, Error> {
            Err(Error::Full)
        }
        async fn scan(&self, _: &'static Table, _: Option<Cursor>, _: usize) -> Result<Page, Error> {
            Err(Error::Full)
        }
    }

    fn row(table: &Table, pk: &str) -> Option<Item> {
        (pk != "absent").then(|| Item::from([(table.name.to_owned(), Attr::S(pk.to_owned()))]))
    }

    #[tokio::test]
    async fn reads_at_once_are_one_and_everybody_gets_its_own() {
        let inner = Arc::new(Counted::default());
        let together = Together::new(inner.clone());
        let names: Vec<String> = (0..40)
            .map(|number| if number == 7 { "absent".to_owned() } else { format!("{}", number / 2) })
            .collect();
        let answers = join_all(names.iter().map(|name| get_one(&together, &TABLE, Key::of(name)))).await;
        for (name, answer) in names.iter().zip(answers) {
            assert_eq!(answer, Ok(row(&TABLE, name)));
        }
        assert_eq!(*inner.reads.lock(), [40]);
        // Nothing of it is kept: the next read asks again.
        assert_eq!(get_one(&together, &TABLE, Key::of("1")).await, Ok(row(&TABLE, "1")));
        assert_eq!(*inner.reads.lock(), [40, 1]);
    }

    #[tokio::test]
    async fn a_read_is_of_one_table_and_of_a_hundred_keys_at_most() {
        let inner = Arc::new(Counted::default());
        let together = Together::new(inner.clone());
        let pairs = |start: usize| [Key::of(format!("{start}")), Key::of(format!("{start}x"))];
        let asks = (0..130).map(|start| {
            let (together, table) = (&together, if start % 13 == 0 { &OTHER } else { &TABLE });
            async move { (table, start, together.get(table, &pairs(start)).await) }
        });
        for (table, start, answer) in join_all(asks).await {
            let own: Vec<_> = pairs(start).iter().map(|key| row(table, &key.pk)).collect();
            assert_eq!(answer, Ok(own));
        }
        let mut reads = inner.reads.lock().clone();
        reads.sort_unstable();
        assert_eq!(reads, [20, 40, 100, 100]);
    }

    #[tokio::test]
    async fn a_failure_is_everybodys_and_a_mistake_is_ones_own() {
        let inner = Arc::new(Counted { down: true, ..Counted::default() });
        let together = Together::new(inner.clone());
        let asks = ["a", "", "b"].map(|pk| get_one(&together, &TABLE, Key::of(pk)));
        let answers = join_all(asks).await;
        let down = Err(Error::Unavailable("down".to_owned()));
        assert_eq!((&answers[0], &answers[2]), (&down, &down));
        assert!(matches!(answers[1], Err(Error::Invalid(_))));
        assert_eq!(*inner.reads.lock(), [2]);
    }

    #[tokio::test]
    async fn one_that_goes_away_takes_nobody_along() {
        let inner = Arc::new(Counted::default());
        let together = Together::new(inner.clone());
        let mut first = Box::pin(get_one(&together, &TABLE, Key::of("first")));
        let second = get_one(&together, &TABLE, Key::of("second"));
        assert!(futures::poll!(&mut first).is_pending());
        drop(first);
        assert_eq!(second.await, Ok(row(&TABLE, "second")));
        assert_eq!(*inner.reads.lock(), [2]);
    }
}
