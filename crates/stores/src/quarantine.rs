//! `dvss_quarantine`: records that a stage could not work on, as rows of their own (key stage, then
//! identity). Nothing is parked twice and forgotten: see [`row::park`].
//!
//! The record's bytes are kept by reference where the raw bucket has them, else in the row. A row is an
//! outbox row too; its publication's revision is the row's count. Per stage and vendor one more row
//! (`budget#<stage>`, then the vendor) counts what is open: beyond the budget a vendor's records are
//! parked without being tried, until an operator resumes it.

mod row;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use contract::canonical::{Fact, Quarantined, RawRef};
use contract::{Code, IngestId, VendorId, headers, topics};
use parking_lot::Mutex;
use ports::Ports;
use ports::log::{Coordinates, RawRecord, Record};
use ports::tables::{Attr, Condition, Cursor, Edit, Error, Key, Query, Row, Write, get_one};
use runtime::{Failure, Output, Poison, Quarantine};
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::failure;
use crate::outbox::{self, Publication, RowRef};
use crate::tables::{BY_EVENT, QUARANTINE};

pub use row::{Parked, Status};
use row::{Step, park};

/// Most bytes that a row keeps itself.
const MOST_INLINE: usize = 300 * 1_024;
/// Attempts at a row that others change too.
const ATTEMPTS: u32 = 8;
const OPEN_COUNT: &str = "open";

/// What an operator may set about quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Open rows that a vendor may have at one stage; beyond, its records there are parked untried.
    pub budget: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: 10_000 }
    }
}

/// Why an operator's wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No such row.
    #[error("nothing is parked as {stage} {identity}; `dvss quarantine list` shows what is")]
    NotFound {
        /// The stage.
        stage: String,
        /// The identity.
        identity: String,
    },
    /// The row was discarded.
    #[error("{0} was discarded; a discarded record is never worked on")]
    Discarded(String),
    /// The kept bytes cannot be had.
    #[error("the record's bytes: {0}")]
    Bytes(#[from] ports::blobs::Error),
    /// The tables.
    #[error(transparent)]
    Tables(#[from] Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] ports::log::Error),
}

/// The store of poison.
pub struct QuarantineStore {
    ports: Ports,
    codec: Arc<Codec>,
    options: Options,
    /// Stages and vendors that were seen over their budget; asked again at every record of theirs.
    over: Mutex<HashSet<(String, VendorId)>>,
}

impl QuarantineStore {
    /// A store on these ports.
    pub fn new(ports: Ports, codec: Arc<Codec>, options: Options) -> Self {
        Self { ports, codec, options, over: Mutex::default() }
    }

    async fn try_park(&self, stage: &str, record: &RawRecord, poison: &Poison) -> Result<Vec<Output>, Failure> {
        let tables = &*self.ports.tables;
        let of_tables = |error: Error| failure::of_tables(&error);
        let subject = Subject::of(record, poison);
        let key = Key::sorted(stage, &subject.identity);
        let known = get_one(tables, &QUARANTINE, key.clone()).await.map_err(of_tables)?;
        let before = known.as_ref().map(|item| row::read(&key, item)).transpose().map_err(of_tables)?;
        let output = |row: &Key| RowRef::new(&QUARANTINE, row).output(&public_key(row));
        let count = match park(before.as_ref().map(|row| (row.count, row.status)), release_of(record)) {
            Step::Keep => return Ok(vec![output(&key)]),
            Step::Write { count } => count,
        };
        let now = self.ports.clock.now();
        let public = Quarantined {
            stage: stage.to_owned(),
            identity: subject.identity.clone(),
            count,
            vendor_id: subject.vendor_id.clone(),
            ingest_id: subject.ingest_id,
            code: poison.code.as_str().to_owned(),
            pointer: poison.pointer.clone(),
            message: poison.message.clone(),
            raw_ref: subject.raw_ref.clone(),
        };
        let value = self.codec.encode(topics::QUARANTINE, &public).await.map_err(|error| error.failure())?;
        let publication =
            Publication { topic: topics::QUARANTINE.to_owned(), key: public_key(&key), value, revision: count };
        let mut item = outbox::columns(&publication, now);
        item.extend(row::columns(&public, record, now));
        if subject.raw_ref.is_none() {
            item.extend(row::inline(record, MOST_INLINE));
        }
        let mut writes = vec![Write::put(&QUARANTINE, key.clone(), item, row::unchanged(before.as_ref()))];
        if let Some(vendor) = &subject.vendor_id {
            writes.push(count_open(stage, vendor, 1));
        }
        let token = contract::Fingerprint::of_bytes(format!("{stage}\n{}\n{count}\n{now}", subject.identity).as_bytes());
        let token = token.to_string().chars().take(32).collect::<String>();
        match tables.transact(&token, writes).await {
            Ok(()) => {}
            Err(Error::Condition(_)) => return Err(Failure::Transient("the quarantine row changed".to_owned())),
            Err(error) => return Err(of_tables(error)),
        }
        tracing::warn!(
            stage,
            ingestId = subject.ingest_id.map(|id| id.to_string()),
            vendorId = subject.vendor_id.as_ref().map(VendorId::as_str),
            code = poison.code.as_str(),
            pointer = poison.pointer,
            at = record.coordinates(),
            "parked: {}",
            poison.message
        );
        metrics::counter!(telemetry::metric::QUARANTINE_PARKED, telemetry::label::STAGE => stage.to_owned()).increment(1);
        if let Some(vendor) = subject.vendor_id
            && self.open(stage, &vendor).await? > i64::from(self.options.budget)
            && self.over.lock().insert((stage.to_owned(), vendor.clone()))
        {
            tracing::error!(stage, vendorId = vendor.as_str(), "over its quarantine budget: parked untried from now on");
        }
        Ok(vec![output(&key)])
    }

    async fn open(&self, stage: &str, vendor: &VendorId) -> Result<i64, Failure> {
        let item = get_one(&*self.ports.tables, &QUARANTINE, budget_key(stage, vendor)).await;
        let item = item.map_err(|error| failure::of_tables(&error))?;
        Ok(item.and_then(|item| item.get(OPEN_COUNT)?.as_i64()).unwrap_or(0))
    }
}

#[async_trait]
impl Quarantine for QuarantineStore {
    async fn park(&self, stage: &str, record: &RawRecord, poison: &Poison) -> Result<Vec<Output>, Failure> {
        self.try_park(stage, record, poison).await
    }

    async fn over_budget(&self, stage: &str, record: &RawRecord) -> Result<bool, Failure> {
        if self.over.lock().is_empty() {
            return Ok(false);
        }
        // A released record is tried: that is what it was released for.
        if release_of(record) > 0 {
            return Ok(false);
        }
        let Some(vendor) = Subject::of(record, &UNKNOWN).vendor_id else { return Ok(false) };
        let key = (stage.to_owned(), vendor);
        if !self.over.lock().contains(&key) {
            return Ok(false);
        }
        let over = self.open(stage, &key.1).await? > i64::from(self.options.budget);
        if !over {
            self.over.lock().remove(&key);
        }
        Ok(over)
    }
}

const UNKNOWN: Poison =
    Poison { code: Code::RecordInvalid, message: String::new(), pointer: None, vendor_id: None, ingest_id: None };

/// Whose record it is, as far as it says so itself.
struct Subject {
    identity: String,
    vendor_id: Option<VendorId>,
    ingest_id: Option<IngestId>,
    raw_ref: Option<RawRef>,
}

impl Subject {
    fn of(record: &RawRecord, poison: &Poison) -> Self {
        let header = |name| record.header(name).map(str::to_owned);
        let vendor_id = header(headers::VENDOR_ID).and_then(|text| VendorId::parse(text).ok());
        let ingest_id = header(headers::INGEST_ID).and_then(|text| IngestId::parse(&text).ok());
        let raw_ref = header(headers::RAW_BUCKET).zip(header(headers::RAW_KEY));
        let raw_ref = raw_ref.map(|(bucket, key)| RawRef { bucket, key });
        if &*record.partition.topic == topics::NORMALIZED {
            // The row keeps the fact itself: the raw object is the whole event.
            let fact = serde_json::from_slice::<Fact>(&record.value).ok();
            let identity = fact.as_ref().map(|fact| format!("{}#{}#{}", fact.ingest_id, fact.line, fact.leg));
            return Self {
                identity: identity.unwrap_or_else(|| record.coordinates()),
                vendor_id: fact.as_ref().map(|fact| fact.vendor_id.clone()).or_else(|| poison.vendor_id.clone()),
                ingest_id: fact.map(|fact| fact.ingest_id).or(poison.ingest_id),
                raw_ref: None,
            };
        }
        let flagged = record.header(headers::CONFLICT_WITH).and(header(headers::FINGERPRINT));
        let identity = match (ingest_id, flagged) {
            // A newcomer may have its winner's ingest id.
            (Some(id), Some(print)) => format!("{id}#{print}"),
            (Some(id), None) => id.to_string(),
            (None, _) => record.coordinates(),
        };
        Self {
            identity,
            vendor_id: vendor_id.or_else(|| poison.vendor_id.clone()),
            ingest_id: ingest_id.or(poison.ingest_id),
            raw_ref,
        }
    }
}

/// One page of what is parked, of one stage or of all.
pub async fn list(
    ports: &Ports,
    stage: Option<&str>,
    after: Option<Cursor>,
) -> Result<(Vec<Parked>, Option<Cursor>), Error> {
    let page = match stage {
        Some(stage) => ports.tables.query(Query { after, ..Query::of(&QUARANTINE, stage) }).await?,
        None => ports.tables.scan(&QUARANTINE, after, 1_000).await?,
    };
    let rows = page.rows.iter().filter(|row| !row.key.pk.starts_with(BUDGET));
    Ok((rows.map(|row| row::read(&row.key, &row.item)).collect::<Result<_, _>>()?, page.next))
}

/// What is parked of one event, whatever the stage.
pub async fn by_event(ports: &Ports, event: IngestId) -> Result<Vec<Parked>, Error> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let query = Query { after, limit: 100, ..Query::over(&QUARANTINE, BY_EVENT.name, event.to_string()) };
        let page = ports.tables.query(query).await?;
        let keys: Vec<Key> = page.rows.into_iter().map(|row| row.key).collect();
        let items = ports.tables.get(&QUARANTINE, &keys).await?;
        for (key, item) in keys.iter().zip(items) {
            rows.extend(item.map(|item| row::read(key, &item)).transpose()?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}

/// One row.
pub async fn show(ports: &Ports, stage: &str, identity: &str) -> Result<Parked, Refused> {
    Ok(find(ports, stage, identity).await?.1)
}

/// Puts a record back to where it came from; it is tried again, and reopens its row if it fails again.
/// Releasing twice changes nothing: the record comes again, and stages absorb what they have seen.
pub async fn release(ports: &Ports, stage: &str, identity: &str) -> Result<(Parked, Coordinates), Refused> {
    for _ in 0..ATTEMPTS {
        let (row, parked) = find(ports, stage, identity).await?;
        let record = again(ports, &row, &parked).await?;
        let released = match parked.status {
            Status::Discarded => return Err(Refused::Discarded(format!("{stage} {identity}"))),
            Status::Released => true,
            Status::Open => {
                let edits = vec![
                    Edit::Set("status", Attr::S(Status::Released.as_str().to_owned())),
                    Edit::Set("count", Attr::N(i64::from(parked.count) + 1)),
                ];
                close(ports, &row, &parked, edits).await?
            }
        };
        if released {
            let at = ports.log.append(record).await?;
            return Ok((find(ports, stage, identity).await?.1, at));
        }
    }
    Err(Refused::Tables(Error::Conflict))
}

/// Decides that a record will never be worked on.
pub async fn discard(ports: &Ports, stage: &str, identity: &str, reason: &str) -> Result<Parked, Refused> {
    for _ in 0..ATTEMPTS {
        let (row, parked) = find(ports, stage, identity).await?;
        if parked.status == Status::Discarded {
            return Ok(parked);
        }
        let edits = vec![
            Edit::Set("status", Attr::S(Status::Discarded.as_str().to_owned())),
            Edit::Set("reason", Attr::S(reason.to_owned())),
        ];
        close(ports, &row, &parked, edits).await?;
    }
    Err(Refused::Tables(Error::Conflict))
}

/// Releases everything of a vendor that is open, in the order in which it was parked; its new records
/// are tried again once the budget is kept. Returns what was released.
pub async fn resume(ports: &Ports, vendor: &VendorId) -> Result<Vec<Parked>, Refused> {
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = list(ports, None, after).await?;
        open.extend(page.into_iter().filter(|row| row.status == Status::Open && row.vendor_id.as_ref() == Some(vendor)));
        after = next;
        if after.is_none() {
            break;
        }
    }
    open.sort_by(|left, right| (&left.parked_at, &left.at).cmp(&(&right.parked_at, &right.at)));
    for row in &mut open {
        *row = release(ports, &row.stage, &row.identity).await?.0;
    }
    Ok(open)
}

/// Open rows count against the budget no more; false where the row changed meanwhile.
async fn close(ports: &Ports, row: &Row, parked: &Parked, edits: Vec<Edit>) -> Result<bool, Error> {
    let mut writes = vec![Write::edit(&QUARANTINE, row.key.clone(), edits, row::unchanged(Some(parked)))];
    if let Some(vendor) = parked.vendor_id.as_ref().filter(|_| parked.status == Status::Open) {
        writes.push(count_open(&parked.stage, vendor, -1));
    }
    let token = format!("{}{:?}{:?}", parked.count, row.key, writes);
    let token: String = contract::Fingerprint::of_bytes(token.as_bytes()).to_string().chars().take(32).collect();
    match ports.tables.transact(&token, writes).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_) | Error::Conflict) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn find(ports: &Ports, stage: &str, identity: &str) -> Result<(Row, Parked), Refused> {
    let key = Key::sorted(stage, identity);
    let not_found = || Refused::NotFound { stage: stage.to_owned(), identity: identity.to_owned() };
    let item = get_one(&*ports.tables, &QUARANTINE, key.clone()).await?.ok_or_else(not_found)?;
    let parked = row::read(&key, &item)?;
    Ok((Row { key, item }, parked))
}

/// The parked record, to be produced to where it came from.
async fn again(ports: &Ports, row: &Row, parked: &Parked) -> Result<Record, Refused> {
    let value = match (&parked.raw_ref, row.item.get("value").and_then(Attr::as_bytes)) {
        (_, Some(bytes)) => bytes.clone(),
        (Some(raw), None) => ports.raw.get(&raw.key).await?.bytes,
        (None, None) => return Err(Refused::Bytes(ports::blobs::Error::NotFound)),
    };
    // An open row's count is how often it was parked; a released one's is one more.
    let release = if parked.status == Status::Open { parked.count } else { parked.count - 1 };
    Ok(row::record(&row.item, value, release))
}

fn release_of(record: &RawRecord) -> u32 {
    record.header(headers::RELEASE).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The public record's key: one row, one key, one owner.
fn public_key(key: &Key) -> String {
    format!("{}|{}", key.pk, key.sk.as_deref().unwrap_or_default())
}

const BUDGET: &str = "budget#";

fn budget_key(stage: &str, vendor: &VendorId) -> Key {
    Key::sorted(format!("{BUDGET}{stage}"), vendor.as_str())
}

fn count_open(stage: &str, vendor: &VendorId, by: i64) -> Write {
    Write::edit(&QUARANTINE, budget_key(stage, vendor), vec![Edit::Add(OPEN_COUNT, by)], Condition::Always)
}

