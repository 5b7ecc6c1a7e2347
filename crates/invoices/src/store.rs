//! `dvss_invoice_jobs`: jobs, and the log of each.
//!
//! A change of a job is one transaction: the row at its version, the event that the change is, and whatever must
//! not be there without it (claims, the audit). So the log has every version once, and a change that was read too
//! late changes nothing.

use std::collections::BTreeSet;

use contract::{Fingerprint, Timestamp, VendorId};
use ports::tables::{self, Attr, Condition, Cursor, Item, Key, Query, Row, Tables, Write, get_one};
use stores::audit::{self, Deed};
use stores::tables::INVOICE_JOBS;

use crate::items::{self, FirstUse, FirstUses};
use crate::job::Event;
use crate::{Error, Job, JobId, State};

const JOB: &str = "job";
const EVENT: &str = "event#";
const FIRST_USE: &str = "first";
const BY_STATE: &str = INVOICE_JOBS.indexes[0].name;
/// How often a transaction that was not answered is asked again.
const ATTEMPTS: u32 = 5;
/// Longest name that stands in a key as it is, in bytes.
const MAX_NAME: usize = 256;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// A change of a job that is to be written.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job as it shall be; its version and time are set by [`Change::of`].
    pub after: Job,
    event: Event,
    /// The version that the row must have; `None`: there must be no row.
    known: Option<u64>,
}

impl Change {
    /// A new job.
    pub fn create(job: Job, actor: &str, action: &str) -> Self {
        let event = event(&job, actor, action, String::new());
        Self { after: job, event, known: None }
    }

    /// A change from `before` to what `edit` makes of it.
    ///
    /// # Panics
    /// Where the table of [`State::followers`] does not have it: a defect, not a race.
    pub fn of(before: &Job, now: Timestamp, actor: &str, action: &str, edit: impl FnOnce(&mut Job)) -> Self {
        let mut after = before.clone();
        edit(&mut after);
        assert!(
            before.state.followers().contains(&after.state),
            "{} does not follow {}",
            after.state,
            before.state
        );
        after.version = before.version + 1;
        after.updated_at = now;
        let event = event(&after, actor, action, String::new());
        Self { after, event, known: Some(before.version) }
    }

    /// The same, with something to say about it in the log.
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.event.message = message.into();
        self
    }

    fn writes(&self) -> Vec<Write> {
        let Self { after, event, known } = self;
        let condition = match known {
            None => Condition::Absent,
            Some(version) => Condition::Equals("version", Attr::N(number(*version))),
        };
        let key = Key::sorted(after.job_id.to_string(), format!("{EVENT}{:010}", event.version));
        vec![
            Write::put(&INVOICE_JOBS, key_of(after.job_id), row(after), condition),
            Write::put(
                &INVOICE_JOBS,
                key,
                Item::from([("event".to_owned(), json(event))]),
                Condition::Absent,
            ),
        ]
    }
}

/// How a change ended that did not happen.
#[derive(Debug)]
pub enum Refused {
    /// The job is not as it was read; the row as it is.
    Job(Option<Box<Job>>),
    /// One of the further writes' conditions: which, and the row as it is.
    Other(usize, Item),
    /// The stores.
    Error(Error),
}

/// Writes a change and `others`, all or nothing; `deed` goes into the audit with them. A change that turns out to
/// have happened, unheard, is one that happened.
pub async fn write(
    tables: &dyn Tables,
    change: &Change,
    others: Vec<Write>,
    deed: Option<&Deed>,
) -> Result<(), Refused> {
    let mut writes = change.writes();
    let own = writes.len();
    writes.extend(others);
    let done = match deed {
        Some(deed) => audit::commit(tables, change.after.updated_at, deed, writes).await,
        None => transact(tables, &writes).await,
    };
    let rows = match done {
        Ok(()) => return Ok(()),
        Err(tables::Error::Condition(rows)) => rows,
        Err(error) => return Err(Refused::Error(error.into())),
    };
    let failed = |index: usize| rows.get(index).and_then(Option::as_ref);
    if (0..own).any(|index| failed(index).is_some()) {
        let there = load(tables, change.after.job_id).await.map_err(Refused::Error)?;
        // Another attempt of this very change may have been the one that was heard.
        return match there {
            Some(job) if job == change.after => Ok(()),
            there => Err(Refused::Job(there.map(Box::new))),
        };
    }
    let other = (own..rows.len()).find_map(|index| Some((index - own, failed(index)?.clone())));
    match other {
        Some((index, row)) => Err(Refused::Other(index, row)),
        None => Err(Refused::Error(Error::Unavailable("the store refuses and does not say what".to_owned()))),
    }
}

async fn transact(tables: &dyn Tables, writes: &[Write]) -> Result<(), tables::Error> {
    let mut token = Fingerprint::of_bytes(format!("{writes:?}").as_bytes()).to_string();
    token.truncate(32);
    let mut attempt = 1;
    loop {
        match tables.transact(&token, writes.to_vec()).await {
            Err(tables::Error::Conflict | tables::Error::Unavailable(_)) if attempt < ATTEMPTS => {}
            other => return other,
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    }
}

/// A job.
pub async fn load(tables: &dyn Tables, id: JobId) -> Result<Option<Job>, Error> {
    let item = get_one(tables, &INVOICE_JOBS, key_of(id)).await?;
    item.map(|item| read(&item, &id.to_string())).transpose()
}

/// Which of those jobs are there.
pub async fn are_there(tables: &dyn Tables, ids: &[JobId]) -> Result<Vec<bool>, Error> {
    let mut there = Vec::with_capacity(ids.len());
    for ids in ids.chunks(100) {
        let keys: Vec<Key> = ids.iter().map(|id| key_of(*id)).collect();
        there.extend(tables.get(&INVOICE_JOBS, &keys).await?.iter().map(Option::is_some));
    }
    Ok(there)
}

/// A job that must be there.
pub async fn get(tables: &dyn Tables, id: JobId) -> Result<Job, Error> {
    load(tables, id).await?.ok_or_else(|| Error::NotFound(id.to_string()))
}

/// What happened to a job, oldest first.
pub async fn events(tables: &dyn Tables, id: JobId) -> Result<Vec<Event>, Error> {
    let (mut events, mut query) = (Vec::new(), Query::of(&INVOICE_JOBS, id.to_string()).prefix(EVENT));
    loop {
        let page = tables.query(query.clone()).await?;
        for row in &page.rows {
            let text = row.item.get("event").and_then(Attr::as_str);
            let event = text.and_then(|text| serde_json::from_str(text).ok());
            events
                .push(event.ok_or_else(|| Error::Damaged(format!("event row {:?} is unreadable", row.key)))?);
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(events);
        }
    }
}

/// In which order jobs are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The last changed last.
    OldestFirst,
    /// The last changed first, of those that changed at that time or before.
    NewestFirst(Option<Timestamp>),
}

/// One page of the jobs in a state; strongly read, though a job that is changing just now may be on no page or still be
/// on one.
pub async fn in_state(
    tables: &dyn Tables,
    state: State,
    order: Order,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Job>, Option<Cursor>), Error> {
    let query = Query { limit, after, ..Query::over(&INVOICE_JOBS, BY_STATE, state.as_str()) };
    let query = match order {
        Order::OldestFirst => query,
        Order::NewestFirst(to) => Query { descending: true, to: to.map(|to| to.sortable()), ..query },
    };
    let page = tables.query(query).await?;
    let keys: Vec<Key> = page.rows.into_iter().map(|Row { key, .. }| key).collect();
    let mut jobs = Vec::with_capacity(keys.len());
    for keys in keys.chunks(100) {
        for (key, item) in keys.iter().zip(tables.get(&INVOICE_JOBS, keys).await?) {
            let Some(item) = item else { continue };
            match read(&item, &key.pk) {
                // The index may lag.
                Ok(job) if job.state == state => jobs.push(job),
                Ok(_) => {}
                // One bad row is one job's matter.
                Err(error) => tracing::error!(%error, "a job is on no list"),
            }
        }
    }
    Ok((jobs, page.next))
}

/// A supplier's item number, as a key of what people said about it.
pub fn memory_key(vendor: &VendorId, name: &str) -> Key {
    Key::sorted(format!("items#{vendor}"), short(name))
}

/// A number, as a key of who used it first for a new item.
fn first_use_key(number: &str) -> Key {
    Key::sorted(format!("named#{}", short(number)), FIRST_USE)
}

/// Names are the supplier's words, of any length.
fn short(name: &str) -> String {
    if name.len() <= MAX_NAME { name.to_owned() } else { Fingerprint::of_bytes(name.as_bytes()).to_string() }
}

/// Which of those numbers invoices used for new items, and whose did so first. `numbers` are
/// [plain](crate::items::plain).
pub async fn first_uses(tables: &dyn Tables, numbers: &BTreeSet<String>) -> Result<FirstUses, Error> {
    let numbers: Vec<&String> = numbers.iter().collect();
    let mut named = FirstUses::new();
    for numbers in numbers.chunks(100) {
        let keys: Vec<Key> = numbers.iter().map(|number| first_use_key(number)).collect();
        let rows = tables.get(&INVOICE_JOBS, &keys).await?;
        for (number, row) in numbers.iter().zip(rows) {
            let Some(row) = row else { continue };
            let text = |name: &str| row.get(name).and_then(Attr::as_str).map(str::to_owned);
            let vendor = text("vendorId").and_then(|vendor| VendorId::parse(vendor).ok());
            let item = items::Item { gtin: text("gtin"), unit: text("unit") };
            let sku = text("sku").unwrap_or_else(|| (*number).clone());
            named.insert((*number).clone(), FirstUse { sku, vendor, item });
        }
    }
    Ok(named)
}

/// Notes that an invoice used a number for a new item, where nobody did before, or more of what was `known` by then;
/// whether that was so.
pub async fn use_first(
    tables: &dyn Tables,
    number: &str,
    first: &FirstUse,
    known: bool,
) -> Result<bool, Error> {
    let FirstUse { sku, vendor, item: items::Item { gtin, unit } } = first;
    let vendor = vendor.as_ref().map(ToString::to_string);
    let told = [("sku", &Some(sku.clone())), ("vendorId", &vendor), ("gtin", gtin), ("unit", unit)];
    let told = told.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Attr::S(text.clone()?))));
    let condition = if known { Condition::Always } else { Condition::Absent };
    let write = Write::put(&INVOICE_JOBS, first_use_key(number), told.collect(), condition);
    match tables.write(write).await {
        Ok(()) => Ok(true),
        Err(tables::Error::Condition(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn key_of(id: JobId) -> Key {
    Key::sorted(id.to_string(), JOB)
}

fn row(job: &Job) -> Item {
    Item::from([
        ("job".to_owned(), json(job)),
        ("state".to_owned(), Attr::S(job.state.to_string())),
        ("updatedAt".to_owned(), Attr::S(job.updated_at.sortable())),
        ("version".to_owned(), Attr::N(number(job.version))),
    ])
}

fn read(item: &Item, id: &str) -> Result<Job, Error> {
    let text = item.get("job").and_then(Attr::as_str);
    let job = text.map(serde_json::from_str::<Job>);
    match job {
        Some(Ok(job)) => Ok(job),
        Some(Err(error)) => Err(Error::Damaged(format!("the row of job {id}: {error}"))),
        None => Err(Error::Damaged(format!("the row of job {id} has no job"))),
    }
}

fn json<T: serde::Serialize>(value: &T) -> Attr {
    Attr::S(serde_json::to_string(value).expect("text keys and no floats"))
}

fn number(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn event(job: &Job, actor: &str, action: &str, message: String) -> Event {
    Event {
        version: job.version,
        at: job.updated_at,
        actor: actor.to_owned(),
        action: action.to_owned(),
        state: job.state,
        message,
    }
}
