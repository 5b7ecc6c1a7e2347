//! One store under all ports: redb, in one file or in memory.
//!
//! On disk ONE thread writes. It takes every change that waits, applies them in one transaction,
//! pays one fsync, and then answers all of them (group commit). In memory there is no thread: a
//! change is applied where it is called, so that a paused tokio runtime stays deterministic.
//!
//! What holds after an error: [`StoreError::Full`] means that nothing was written. Any error of the
//! file makes redb refuse everything until the file is opened anew; the writer does that itself, and
//! a counter in the file tells whether the failed commit had happened after all.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bounded::Bounded;
use crate::error::{OpenError, StoreError, is_full};
use crate::options::Options;
use crate::writer::{self, Applied, Job, Need};

/// The file's name inside of the data directory.
const FILE: &str = "dvss.redb";
/// What this version reads and writes.
const FORMAT: u64 = 1;
/// Changes that wait at once; whoever comes later waits in `write`.
const MOST_WAITING: usize = 4_096;
/// How often a look is tried that shares its group with changes that do not fit.
const LOOKS: usize = 10;
/// In memory every so many commits one counts as durable, which frees redb's book-keeping.
const MEMORY_COMMITS: u64 = 128;

pub(crate) const META: redb::TableDefinition<&str, u64> = redb::TableDefinition::new("meta");
pub(crate) const FORMAT_ROW: &str = "format";
pub(crate) const COMMITS_ROW: &str = "commits";

/// When a change is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before `write` returns.
    Immediate,
    /// With the next immediate change, half a second later at the latest; a crash or an error of the
    /// disk before loses it, though readers may have seen it. Only for what nothing relies upon yet.
    Eventual,
}

/// The store; clones share it. The last one that is dropped makes everything durable and closes it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    store: Arc<Store>,
    writer: Writer,
}

enum Writer {
    /// The thread's queue. `None` only while it is being dropped.
    Thread { queue: Option<mpsc::SyncSender<Queued>>, thread: Option<JoinHandle<()>>, room: Arc<Semaphore> },
    /// How many commits there were; the lock also keeps changes one behind the other.
    Inline(Mutex<u64>),
}

/// A change on its way, with its place among those that may wait.
pub(crate) struct Queued {
    pub job: Box<dyn Job>,
    pub _room: Option<OwnedSemaphorePermit>,
}

/// The database, which an error of the file replaces by a freshly opened one.
pub(crate) struct Store {
    /// `None`: it did not open again yet.
    database: RwLock<Option<Database>>,
    /// `None`: in memory.
    origin: Option<(PathBuf, Options)>,
}

impl Engine {
    /// Opens the store in `dir`, or makes it. One process at a time.
    pub fn open(dir: &Path, options: Options) -> Result<Engine, OpenError> {
        let failed = |error: &std::io::Error| OpenError::Failed {
            path: dir.to_owned(),
            message: error.to_string(),
            full: is_full(error),
        };
        std::fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let database = open_database(dir, &options)?;
        // The directory's own entry of a new file must survive a power cut too.
        File::open(dir).and_then(|handle| handle.sync_all()).map_err(|error| failed(&error))?;
        let store = Arc::new(Store {
            database: RwLock::new(Some(database)),
            origin: Some((dir.to_owned(), options)),
        });
        let (queue, waiting) = mpsc::sync_channel(MOST_WAITING);
        let thread = std::thread::Builder::new()
            .name("dvss-store".to_owned())
            .spawn({
                let store = Arc::clone(&store);
                move || writer::run(&store, &waiting)
            })
            .map_err(|error| failed(&error))?;
        let room = Arc::new(Semaphore::new(MOST_WAITING));
        let writer = Writer::Thread { queue: Some(queue), thread: Some(thread), room };
        Ok(Engine(Arc::new(Inner { store, writer })))
    }

    /// A store in memory that ends with the last clone.
    pub fn in_memory() -> Engine {
        let database = Builder::new()
            .set_cache_size(8 * 1024 * 1024)
            .create_with_backend(InMemoryBackend::new())
            .expect("an empty store in memory opens");
        prepare(&database).expect("memory takes a row");
        let store = Arc::new(Store { database: RwLock::new(Some(database)), origin: None });
        Engine(Arc::new(Inner { store, writer: Writer::Inline(Mutex::new(0)) }))
    }

    /// Runs `change` in the current group's write transaction, after every change that was handed
    /// over earlier. `change` checks everything first and returns `Ok(Err(_))` only where it has
    /// written nothing; an `Err` of redb undoes the whole group. A dropped future takes nothing back.
    pub async fn write<T, E>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.write_then(durability, change, |_| ()).await
    }

    /// The same; `after` runs once the change is as durable as asked, even where nobody waits for the
    /// answer any more. It must not call the engine.
    pub async fn write_then<T, E>(
        &self,
        durability: Durability,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.send(Need::Write(durability), change, after).await
    }

    /// As [`Engine::write`] with [`Durability::Immediate`], for constructors: blocks the thread.
    pub fn write_blocking<T, E>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (reply, answer) = mpsc::sync_channel(1);
        let reply = move |outcome| drop(reply.send(outcome));
        self.hand_over(
            Box::new(Change::new(Need::Write(Durability::Immediate), change, |_: &T| (), reply)),
            None,
        )?;
        answer.recv().map_err(|_| closed())?
    }

    /// Looks at the store behind every change that was handed over before this call, whether it is
    /// durable yet or not. Slower than [`Engine::read`], which sees only what was answered. A full disk
    /// does not keep anybody from looking.
    pub async fn read_ordered<T: Send + 'static>(
        &self,
        look: impl Fn(&WriteTransaction) -> Result<T, redb::Error> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let look = Arc::new(look);
        for _ in 0..LOOKS {
            let look = Arc::clone(&look);
            // `Err` says that nothing was written, so a group of looks alone commits nothing.
            let change = move |transaction: &WriteTransaction| {
                Ok(Err::<std::convert::Infallible, T>(look(transaction)?))
            };
            match self.send(Need::Look, change, |_| ()).await {
                Ok(Ok(never)) => match never {},
                Ok(Err(value)) => return Ok(value),
                // It shared the transaction of a change that did not fit; what it saw is undone.
                Err(StoreError::Full) => continue,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Full)
    }

    /// Looks at a snapshot of everything that was answered before. Short: it runs on the caller's
    /// thread. `look` must not call the engine.
    pub fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.0.store.read(look).map_err(|error| StoreError::of(&error))
    }

    async fn send<T, E>(
        &self,
        need: Need,
        change: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        // A store in memory never waits; the scheduler must get its turn all the same.
        tokio::task::coop::consume_budget().await;
        let room = match &self.0.writer {
            Writer::Thread { room, .. } => {
                Some(Arc::clone(room).acquire_owned().await.map_err(|_| closed())?)
            }
            Writer::Inline(_) => None,
        };
        let (reply, answer) = oneshot::channel();
        let reply = move |outcome| drop(reply.send(outcome));
        self.hand_over(Box::new(Change::new(need, change, after, reply)), room)?;
        answer.await.map_err(|_| closed())?
    }

    fn hand_over(&self, job: Box<dyn Job>, room: Option<OwnedSemaphorePermit>) -> Result<(), StoreError> {
        match &self.0.writer {
            Writer::Thread { queue, .. } => {
                let queue = queue.as_ref().ok_or_else(closed)?;
                queue.send(Queued { job, _room: room }).map_err(|_| closed())
            }
            Writer::Inline(commits) => {
                let mut commits = commits.lock();
                *commits += 1;
                writer::apply_inline(&self.0.store, job, commits.is_multiple_of(MEMORY_COMMITS));
                Ok(())
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Writer::Thread { queue, thread, .. } = &mut self.writer else { return };
        drop(queue.take());
        let Some(thread) = thread.take() else { return };
        // The last clone may end inside of a change, on the writer's own thread.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the store's writer ended with a panic");
        }
    }
}

fn closed() -> StoreError {
    StoreError::Failed("the store is closed".to_owned())
}

impl Store {
    fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let database = self.database.read();
        let transaction = database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?;
        look(&transaction)
    }

    /// Begins a write transaction, opening the file anew where an earlier error needs that.
    pub(crate) fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        if let Some(database) = self.database.read().as_ref()
            && let Ok(transaction) = database.begin_write()
        {
            return Ok(transaction);
        }
        self.reopen()?;
        Ok(self.database.read().as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?)
    }

    /// Closes the file and opens it again, which is what redb asks for after an error of the file.
    pub(crate) fn reopen(&self) -> Result<(), redb::Error> {
        let Some((dir, options)) = &self.origin else { return Err(redb::Error::PreviousIo) };
        let mut database = self.database.write();
        drop(database.take());
        let opened = open_database(dir, options).map_err(|error| match error {
            OpenError::Failed { full: true, .. } => {
                redb::Error::Io(std::io::Error::new(std::io::ErrorKind::StorageFull, error.to_string()))
            }
            other => redb::Error::Io(std::io::Error::other(other.to_string())),
        })?;
        *database = Some(opened);
        Ok(())
    }

    /// How many durable commits the file has seen.
    pub(crate) fn commits(&self) -> Result<u64, redb::Error> {
        self.read(|transaction| {
            let row = transaction.open_table(META)?.get(COMMITS_ROW)?.map(|row| row.value());
            Ok(row.unwrap_or(0))
        })
    }
}

fn open_database(dir: &Path, options: &Options) -> Result<Database, OpenError> {
    let failed = |error: redb::Error| OpenError::Failed {
        path: dir.to_owned(),
        full: StoreError::of(&error) == StoreError::Full,
        message: error.to_string(),
    };
    let path = dir.join(FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| failed(error.into()))?;
    let backend = FileBackend::new(file).map_err(|error| failed(error.into()))?;
    let backend = Bounded::new(backend, options.max_bytes.unwrap_or(u64::MAX));
    let opened = Builder::new()
        .set_cache_size(options.cache_bytes)
        .set_repair_callback(|session| {
            tracing::warn!(progress = session.progress(), "the store was not closed; checking it");
        })
        .create_with_backend(backend);
    let database = opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked(dir.to_owned()),
        other => failed(other.into()),
    })?;
    match prepare(&database).map_err(failed)? {
        FORMAT => Ok(database),
        found => Err(OpenError::Format { path: dir.to_owned(), found, known: FORMAT }),
    }
}

/// Writes the format's row where the store is new, and returns what is there.
fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        let mut meta = transaction.open_table(META)?;
        let found = meta.get(FORMAT_ROW)?.map(|row| row.value());
        if found.is_none() {
            meta.insert(FORMAT_ROW, FORMAT)?;
        }
        found
    };
    match found {
        Some(found) => {
            transaction.abort()?;
            Ok(found)
        }
        None => {
            transaction.commit()?;
            Ok(FORMAT)
        }
    }
}

/// A change with its answer on the way back.
struct Change<F, A, R, T, E> {
    need: Need,
    change: Option<F>,
    outcome: Option<Result<T, E>>,
    after: A,
    reply: R,
}

impl<F, A, R, T, E> Change<F, A, R, T, E>
where
    F: FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send,
    A: FnOnce(&T) + Send,
    R: FnOnce(Result<Result<T, E>, StoreError>) + Send,
{
    fn new(need: Need, change: F, after: A, reply: R) -> Self {
        Self { need, change: Some(change), outcome: None, after, reply }
    }
}

impl<F, A, R, T, E> Job for Change<F, A, R, T, E>
where
    F: FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error> + Send,
    A: FnOnce(&T) + Send,
    R: FnOnce(Result<Result<T, E>, StoreError>) + Send,
    T: Send,
    E: Send,
{
    fn need(&self) -> Need {
        self.need
    }

    fn apply(&mut self, transaction: &WriteTransaction) -> Result<Applied, redb::Error> {
        let Some(change) = self.change.take() else { return Ok(Applied::Unchanged) };
        let outcome = self.outcome.insert(change(transaction)?);
        Ok(if outcome.is_ok() { Applied::Changed } else { Applied::Unchanged })
    }

    fn settle(self: Box<Self>, group: Result<(), StoreError>) {
        let Self { change, outcome, after, reply, .. } = *self;
        let answer = group.and_then(|()| outcome.ok_or_else(|| StoreError::Failed("not applied".to_owned())));
        match &answer {
            Ok(Ok(value)) => after(value),
            _ => drop(after),
        }
        // Nothing of the caller's is kept here once it has its answer: it may close the engine then.
        drop(change);
        reply(answer);
    }
}
