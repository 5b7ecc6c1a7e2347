//! Reads that are asked for at once, made together.
//!
//! A stage handles many records at the same time, and each asks for its own row, or all for the same one. A read
//! goes out as soon as somebody asks, while fewer than [`MOST_READS`] of its table are on their way; what is asked
//! for meanwhile waits and goes out as one read of many keys. So nobody waits where there is little to do, reads
//! are large where there is much, and every answer is of a read that began after it was asked for: as strong as
//! alone. The answer goes back row by row. A read that takes long counts no longer: others go past it.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Table, Write, check};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Most keys of one read; as many as DynamoDB takes in one request.
const MOST_KEYS: usize = 100;
/// Most reads of a table that are under way before others wait and gather; and most senders of a table.
const MOST_READS: usize = 2;
/// A read that is under way for longer gives its place back. Waiting until the service has room for it is a part of
/// that (`limit`): where it is slow, reads had better grow than become more.
const SLOW: Duration = Duration::from_millis(100);

type Answer = Result<Vec<Option<Item>>, Error>;

/// Tables whose concurrent reads go together. Writes and everything else pass as they are.
#[derive(Clone)]
pub struct Together {
    inner: Arc<dyn Tables>,
    lines: Arc<Mutex<HashMap<&'static str, Line>>>,
}

/// Reads of one table.
#[derive(Default)]
struct Line {
    /// How many send what waits.
    senders: usize,
    /// What waits, first come first.
    waiting: VecDeque<Ask>,
    /// How many keys wait.
    keys: usize,
}

/// What one caller asks for.
struct Ask {
    keys: Vec<Key>,
    answer: oneshot::Sender<Answer>,
}

impl Together {
    /// Over any tables.
    pub fn new(inner: Arc<dyn Tables>) -> Self {
        Self { inner, lines: Arc::default() }
    }

    /// Adds a read to those that wait, and sees to it that somebody sends it.
    fn join(&self, table: &'static Table, keys: &[Key]) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut lines = self.lines.lock();
        let line = lines.entry(table.name).or_default();
        line.waiting.push_back(Ask { keys: keys.to_vec(), answer });
        line.keys += keys.len();
        let untaken = line.waiting.len() == 1 || line.keys > MOST_KEYS || line.senders == 0;
        if untaken && line.senders < MOST_READS {
            line.senders += 1;
            tokio::spawn(self.clone().send(table));
        }
        receiver
    }

    /// Sends what waits until nothing does.
    async fn send(self, table: &'static Table) {
        let inner = Arc::clone(&self.inner);
        let mut turn = Turn { together: self, table, held: true };
        // Whoever is about to ask comes along.
        yield_now().await;
        while let Some(batch) = turn.next() {
            let mut read = pin!(batch.send(&*inner, table));
            if timeout(SLOW, &mut read).await.is_err() {
                turn.give_back();
                return read.await;
            }
        }
    }
}

/// A sender's place, given back however it ends.
struct Turn {
    together: Together,
    table: &'static Table,
    held: bool,
}

impl Turn {
    /// As much as one read may ask for, without what nobody waits for any more. `None` where nothing waits; in the
    /// same moment the place is given back, so that whoever asks next finds it.
    fn next(&mut self) -> Option<Batch> {
        let mut lines = self.together.lines.lock();
        let line = lines.entry(self.table.name).or_default();
        let mut batch = Batch::default();
        while line.waiting.front().is_some_and(|ask| batch.keys.len() + ask.keys.len() <= MOST_KEYS) {
            let Some(Ask { keys, answer }) = line.waiting.pop_front() else { break };
            line.keys -= keys.len();
            if !answer.is_closed() {
                batch.askers.push((keys.len(), answer));
                batch.keys.extend(keys);
            }
        }
        if batch.askers.is_empty() {
            line.senders -= 1;
            self.held = false;
            return None;
        }
        Some(batch)
    }

    /// Lets another send what waits.
    fn give_back(&mut self) {
        let mut lines = self.together.lines.lock();
        let line = lines.entry(self.table.name).or_default();
        if line.waiting.is_empty() {
            line.senders -= 1;
        } else {
            // The place goes on to whoever takes over.
            tokio::spawn(self.together.clone().send(self.table));
        }
        self.held = false;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        // It panicked, or the runtime ends: who still waits had better know.
        let mut lines = self.together.lines.lock();
        let line = lines.entry(self.table.name).or_default();
        line.senders -= 1;
        if line.senders == 0 {
            line.waiting.clear();
            line.keys = 0;
        }
    }
}

/// One read.
#[derive(Default)]
struct Batch {
    keys: Vec<Key>,
    /// How many keys each asked for, in the order of `keys`, and where its answer goes.
    askers: Vec<(usize, oneshot::Sender<Answer>)>,
}

impl Batch {
    async fn send(self, inner: &dyn Tables, table: &'static Table) {
        let answer = inner.get(table, &self.keys).await;
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

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        self.inner.snapshot(rows).await
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
    use tokio::sync::Semaphore;

    use super::*;

    static TABLE: Table = Table { name: "rows", sorted: false, indexes: &[] };
    static OTHER: Table = Table { name: "others", sorted: false, indexes: &[] };

    /// Every row holds its own key; keeps how many keys each read asked for.
    #[derive(Default)]
    struct Counted {
        reads: Mutex<Vec<usize>>,
        down: bool,
        /// Reads are under way until they may go on.
        slow: Option<Semaphore>,
    }

    #[async_trait]
    impl Tables for Counted {
        async fn get(&self, table: &'static Table, keys: &[Key]) -> Answer {
            self.reads.lock().push(keys.len());
            if let Some(slow) = &self.slow {
                slow.acquire().await.expect("it stays open").forget();
            }
            if self.down {
                return Err(Error::Unavailable("down".to_owned()));
            }
            let row = |key: &Key| Item::from([(table.name.to_owned(), Attr::S(key.pk.clone()))]);
            Ok(keys.iter().map(|key| (key.pk != "absent").then(|| row(key))).collect())
        }
        async fn snapshot(&self, _: &[(&'static Table, Key)]) -> Answer {
            Err(Error::Full)
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
    async fn what_is_asked_for_while_reads_are_under_way_goes_together() {
        let inner = Arc::new(Counted { slow: Some(Semaphore::new(0)), ..Counted::default() });
        let together = Together::new(inner.clone());
        let ask = |name: String| {
            let together = together.clone();
            tokio::spawn(async move {
                (name.clone(), get_one(&together, &TABLE, Key::of(&name)).await == Ok(row(&TABLE, &name)))
            })
        };
        let mut asked = Vec::new();
        for number in 0..50 {
            asked.push(ask(format!("{number}")));
            for _ in 0..4 {
                yield_now().await;
            }
        }
        assert_eq!(*inner.reads.lock(), [1, 1], "two are under way, the others wait");
        let slow = inner.slow.as_ref().expect("slow");
        slow.add_permits(1);
        while inner.reads.lock().len() < 3 {
            yield_now().await;
        }
        assert_eq!(*inner.reads.lock(), [1, 1, 48], "and go when one has come back");
        slow.add_permits(100);
        for asked in asked {
            let (name, right) = asked.await.expect("an answer");
            assert!(right, "{name}");
        }
        assert_eq!(get_one(&together, &TABLE, Key::of("later")).await, Ok(row(&TABLE, "later")));
    }

    #[tokio::test(start_paused = true)]
    async fn slow_reads_hold_nobody_up_and_what_nobody_waits_for_is_not_read() {
        let inner = Arc::new(Counted { slow: Some(Semaphore::new(0)), ..Counted::default() });
        let together = Together::new(inner.clone());
        let ask = |name: &'static str| {
            let together = together.clone();
            tokio::spawn(async move { get_one(&together, &TABLE, Key::of(name)).await })
        };
        let mut slow = Vec::new();
        for name in ["one", "two"] {
            slow.push(ask(name));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (gone, third) = (ask("gone"), ask("three"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        gone.abort();
        assert_eq!(*inner.reads.lock(), [1, 1]);
        tokio::time::sleep(SLOW).await;
        assert_eq!(*inner.reads.lock(), [1, 1, 1], "past the slow ones, and without the one that is gone");
        inner.slow.as_ref().expect("slow").add_permits(9);
        for (asked, name) in slow.into_iter().chain([third]).zip(["one", "two", "three"]) {
            assert_eq!(asked.await.expect("an answer"), Ok(row(&TABLE, name)));
        }
        assert_eq!(together.lines.lock()[TABLE.name].senders, 0, "every place is given back");
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
        assert_eq!(*inner.reads.lock(), [1], "its row is not read");
    }
}
