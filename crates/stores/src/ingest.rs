//! `dvss_ingest_index`: which event took an id, and who came later with the same id.
//!
//! `pk` = `vendorId#externalEventId` (a vendor id holds no `#`). `sk`:
//!
//! | sk | row |
//! |---|---|
//! | `event` | the event that claimed the id: an [`Entry`] |
//! | `alias#<ingestId>` | a repeat with another date, hence another ingest id: a [`Newcomer`] |
//! | `conflict#<fingerprint>` | a newcomer with another payload: a [`Newcomer`] |
//!
//! Every row carries `ingestId`, its own event's, so `by_ingest_id` finds all of them. The row `event`
//! is put once, by the first to come, and only its status changes afterwards.

use std::time::Duration;

use contract::canonical::RawRef;
use contract::event::{Event, Mode};
use contract::{EventType, ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId};
use ports::log::{Coordinates, Partition};
use ports::tables::{self, Attr, Condition, Edit, Error, Item, Key, Query, Row, Tables, Write};

use crate::tables::INGEST_INDEX;

/// Most rows that [`repeats`] and [`conflicts`] return.
pub const MAX_LISTED: usize = 1_000;

const EVENT: &str = "event";
const ALIAS: &str = "alias#";
const CONFLICT: &str = "conflict#";

/// How far normalize has come with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Claimed; normalize has not settled it.
    Received,
    /// The normalized object is durable.
    Normalized,
    /// Normalize has quarantined it.
    FailedNormalize,
}

impl Status {
    /// The attribute's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Normalized => "NORMALIZED",
            Self::FailedNormalize => "FAILED_NORMALIZE",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Received, Self::Normalized, Self::FailedNormalize]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// The event that claimed an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose id.
    pub vendor_id: VendorId,
    /// The id.
    pub external_event_id: ExternalEventId,
    /// The event that has it.
    pub ingest_id: IngestId,
    /// When the first gateway took it.
    pub received_at: Timestamp,
    /// Where its bytes are.
    pub raw_ref: RawRef,
    /// SHA-256 of the bytes.
    pub sha256: Fingerprint,
    /// What tells a repeat from a conflict.
    pub fingerprint: Fingerprint,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The vendor's word for its kind.
    pub event_type: EventType,
    /// How the bytes hold the payload.
    pub mode: Mode,
    /// Media type of the bytes.
    pub content_type: String,
    /// The record on `dvss.raw` that claimed. Evidence for people, never a test: a topic that was
    /// recreated or mirrored has other coordinates.
    pub source: Coordinates,
    /// How far normalize has come.
    pub status: Status,
    /// Version of the canonical schema of its facts, once normalized.
    pub schema_version: Option<String>,
    /// How many facts the normalized object holds, once normalized; 0 counts.
    pub facts: Option<u32>,
    /// Key of the normalized object, once normalized.
    pub normalized_key: Option<String>,
    /// Under which activation normalize settled it last; the status of an older one never replaces it.
    pub activation: Option<u64>,
}

/// An event that came when its id was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newcomer {
    /// Whose id.
    pub vendor_id: VendorId,
    /// The id.
    pub external_event_id: ExternalEventId,
    /// The newcomer's own ingest id; a conflicting one with the winner's date has the winner's.
    pub ingest_id: IngestId,
    /// The event that has the id.
    pub winner: IngestId,
    /// When a gateway took the newcomer.
    pub received_at: Timestamp,
    /// When it happened, as it says.
    pub occurred_at: Timestamp,
    /// The vendor's word for its kind.
    pub event_type: EventType,
    /// Where its bytes are.
    pub raw_ref: RawRef,
    /// SHA-256 of its bytes.
    pub sha256: Fingerprint,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The id is this record's (now, or by an earlier call for the same record).
    Claimed,
    /// The id is this event's, by another record of it: a redelivery or a re-produced record.
    Same,
    /// The same said again under another date.
    Duplicate {
        /// Who has the id.
        winner: Entry,
    },
    /// Something else said under the same id; the first one wins.
    Conflict {
        /// Who has the id.
        winner: Entry,
    },
}

/// What an ingest id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An event that has its id.
    Event(Entry),
    /// A redated repeat of `winner`.
    Alias(Newcomer),
    /// A newcomer that conflicts with `winner`.
    Conflict(Newcomer),
}

/// How long to wait for an index that lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Questions asked, one at least.
    pub attempts: u32,
    /// Time between two of them.
    pub pause: Duration,
}

impl Patience {
    /// One question, no waiting.
    pub const NONE: Self = Self { attempts: 1, pause: Duration::ZERO };
}

/// What the row that holds the id means to `event`, read from `source`. Fingerprint before ingest id:
/// a newcomer with the winner's date and another payload has the winner's ingest id.
pub fn decide(event: &Event, source: &Coordinates, winner: Entry) -> Claim {
    if winner.fingerprint != event.draft.fingerprint {
        return Claim::Conflict { winner };
    }
    if winner.ingest_id != event.draft.ingest_id {
        return Claim::Duplicate { winner };
    }
    if winner.source == *source { Claim::Claimed } else { Claim::Same }
}

/// The event that has the id; strongly consistent.
pub async fn lookup(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
) -> Result<Option<Entry>, Error> {
    let key = event_key(vendor, external);
    let item = tables::get_one(tables, &INGEST_INDEX, key.clone()).await?;
    item.map(|item| read_entry(&key, &item)).transpose()
}

/// Claims the id for `event`, whose record lies at `source`. After [`Error::Unavailable`] ask again:
/// a row that the first call left behind is recognised.
pub async fn claim(tables: &dyn Tables, event: &Event, source: &Coordinates) -> Result<Claim, Error> {
    debug_assert!(event.conflict_with.is_none(), "a flagged record never claims the index");
    let key = event_key(&event.draft.vendor_id, &event.draft.external_event_id);
    let mut item = common_columns(event);
    let text = |value: &str| Attr::S(value.to_owned());
    item.extend([
        ("mode".to_owned(), text(event.draft.mode.as_str())),
        ("contentType".to_owned(), text(&event.draft.content_type)),
        ("sourceTopic".to_owned(), text(&source.partition.topic)),
        ("sourcePartition".to_owned(), Attr::N(i64::from(source.partition.index))),
        ("sourceOffset".to_owned(), Attr::N(source.offset)),
        ("status".to_owned(), text(Status::Received.as_str())),
    ]);
    match tables.write(Write::put(&INGEST_INDEX, key.clone(), item, Condition::Absent)).await {
        Ok(()) => Ok(Claim::Claimed),
        Err(Error::Condition(rows)) => {
            let row = rows.into_iter().next().flatten().filter(|row| !row.is_empty());
            // Rows are never removed while stages run; still, absence is no answer to build on.
            let row =
                row.ok_or_else(|| Error::Unavailable("the row that holds the id vanished".to_owned()))?;
            Ok(decide(event, source, read_entry(&key, &row)?))
        }
        Err(other) => Err(other),
    }
}

/// Notes that `event` repeats `winner` under another ingest id. Repeatable.
pub async fn alias(tables: &dyn Tables, event: &Event, winner: IngestId) -> Result<(), Error> {
    note(tables, event, winner, format!("{ALIAS}{}", event.draft.ingest_id)).await
}

/// Notes that `event` conflicts with `winner`: the first newcomer with this payload is kept. Repeatable.
pub async fn conflict(tables: &dyn Tables, event: &Event, winner: IngestId) -> Result<(), Error> {
    note(tables, event, winner, format!("{CONFLICT}{}", event.draft.fingerprint)).await
}

/// Sets the status NORMALIZED with the number of facts in the object at `object_key`, made under
/// `activation`. False where the event does not have the id, or a newer activation settled it.
/// Repeatable.
pub async fn normalized(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    id: IngestId,
    activation: u64,
    facts: u32,
    object_key: &str,
) -> Result<bool, Error> {
    let edits = vec![
        Edit::Set("status", Attr::S(Status::Normalized.as_str().to_owned())),
        Edit::Set("schemaVersion", Attr::S(contract::canonical::SCHEMA_VERSION.to_owned())),
        Edit::Set("facts", Attr::N(i64::from(facts))),
        Edit::Set("normalizedKey", Attr::S(object_key.to_owned())),
    ];
    settle(tables, vendor, external, id, activation, edits).await
}

/// Sets the status FAILED_NORMALIZE, found under `activation`; what an earlier success left (facts,
/// object) stays. False where the event does not have the id, or a newer activation settled it.
/// Repeatable.
pub async fn failed(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    id: IngestId,
    activation: u64,
) -> Result<bool, Error> {
    let edits = vec![Edit::Set("status", Attr::S(Status::FailedNormalize.as_str().to_owned()))];
    settle(tables, vendor, external, id, activation, edits).await
}

/// The redated repeat of the id's event that has this ingest id; strongly consistent.
pub async fn alias_of(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    id: IngestId,
) -> Result<Option<Newcomer>, Error> {
    newcomer(tables, vendor, external, format!("{ALIAS}{id}")).await
}

/// The first newcomer that conflicts with the id's event and has this fingerprint; strongly consistent.
pub async fn conflict_of(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    fingerprint: Fingerprint,
) -> Result<Option<Newcomer>, Error> {
    newcomer(tables, vendor, external, format!("{CONFLICT}{fingerprint}")).await
}

/// What an ingest id stands for: an event before an alias before a conflict. `None` once `patience`
/// is at its end; the index may lag.
pub async fn by_ingest_id(
    tables: &dyn Tables,
    id: IngestId,
    patience: Patience,
) -> Result<Option<Found>, Error> {
    let mut attempt = 1;
    loop {
        if let Some(found) = find(tables, id).await? {
            return Ok(Some(found));
        }
        if attempt >= patience.attempts {
            return Ok(None);
        }
        attempt += 1;
        tokio::time::sleep(patience.pause).await;
    }
}

/// Redated repeats of the id's event, [`MAX_LISTED`] at most, by ingest id: for people to look at.
/// [`alias_of`] finds a certain one.
pub async fn repeats(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
) -> Result<Vec<Newcomer>, Error> {
    newcomers(tables, vendor, external, ALIAS).await
}

/// Newcomers that conflict with the id's event, [`MAX_LISTED`] at most, one a fingerprint: for people to
/// look at. [`conflict_of`] finds a certain one.
pub async fn conflicts(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
) -> Result<Vec<Newcomer>, Error> {
    newcomers(tables, vendor, external, CONFLICT).await
}

/// Reads any row of the table, for those who scan it; the row must carry its attributes.
pub fn read(row: &Row) -> Result<Found, Error> {
    match row.key.sk.as_deref() {
        Some(EVENT) => read_entry(&row.key, &row.item).map(Found::Event),
        Some(sk) if sk.starts_with(ALIAS) => read_newcomer(&row.key, &row.item).map(Found::Alias),
        Some(sk) if sk.starts_with(CONFLICT) => read_newcomer(&row.key, &row.item).map(Found::Conflict),
        _ => Err(unreadable(&row.key, "sk")),
    }
}

fn event_key(vendor: &VendorId, external: &ExternalEventId) -> Key {
    Key::sorted(format!("{vendor}#{external}"), EVENT)
}

async fn note(tables: &dyn Tables, event: &Event, winner: IngestId, sk: String) -> Result<(), Error> {
    let key = Key { sk: Some(sk), ..event_key(&event.draft.vendor_id, &event.draft.external_event_id) };
    let mut item = common_columns(event);
    item.insert("winner".to_owned(), Attr::S(winner.to_string()));
    match tables.write(Write::put(&INGEST_INDEX, key, item, Condition::Absent)).await {
        Err(Error::Condition(_)) => Ok(()),
        other => other,
    }
}

async fn settle(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    id: IngestId,
    activation: u64,
    mut edits: Vec<Edit>,
) -> Result<bool, Error> {
    let number = i64::try_from(activation).unwrap_or(i64::MAX);
    edits.push(Edit::Set("activation", Attr::N(number)));
    let not_newer = vec![
        Condition::Missing("activation"),
        Condition::Below("activation", number),
        Condition::Equals("activation", Attr::N(number)),
    ];
    let condition = Condition::All(vec![
        Condition::Equals("ingestId", Attr::S(id.to_string())),
        Condition::Any(not_newer),
    ]);
    let write = Write::edit(&INGEST_INDEX, event_key(vendor, external), edits, condition);
    match tables.write(write).await {
        Ok(()) => Ok(true),
        Err(Error::Condition(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

async fn find(tables: &dyn Tables, id: IngestId) -> Result<Option<Found>, Error> {
    let mut query = Query::over(&INGEST_INDEX, "by_ingest_id", id.to_string());
    let mut keys = Vec::new();
    loop {
        let page = tables.query(query.clone()).await?;
        keys.extend(page.rows.into_iter().map(|row| row.key));
        if page.next.is_none() || keys.len() >= MAX_LISTED {
            break;
        }
        query.after = page.next;
    }
    let rank = |key: &Key| match key.sk.as_deref() {
        Some(EVENT) => 0,
        Some(sk) if sk.starts_with(ALIAS) => 1,
        _ => 2,
    };
    let Some(key) = keys.into_iter().min_by_key(rank) else { return Ok(None) };
    let item = tables::get_one(tables, &INGEST_INDEX, key.clone()).await?;
    item.map(|item| read(&Row { key, item })).transpose()
}

async fn newcomer(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    sk: String,
) -> Result<Option<Newcomer>, Error> {
    let key = Key { sk: Some(sk), ..event_key(vendor, external) };
    let item = tables::get_one(tables, &INGEST_INDEX, key.clone()).await?;
    item.map(|item| read_newcomer(&key, &item)).transpose()
}

async fn newcomers(
    tables: &dyn Tables,
    vendor: &VendorId,
    external: &ExternalEventId,
    prefix: &str,
) -> Result<Vec<Newcomer>, Error> {
    let mut query = Query::of(&INGEST_INDEX, event_key(vendor, external).pk).prefix(prefix);
    let mut found = Vec::new();
    loop {
        let page = tables.query(query.clone()).await?;
        for row in &page.rows {
            found.push(read_newcomer(&row.key, &row.item)?);
        }
        if page.next.is_none() || found.len() >= MAX_LISTED {
            found.truncate(MAX_LISTED);
            return Ok(found);
        }
        query.after = page.next;
    }
}

fn common_columns(event: &Event) -> Item {
    let pairs = [
        ("ingestId", event.draft.ingest_id.to_string()),
        ("receivedAt", event.received_at.to_string()),
        ("rawBucket", event.raw_ref.bucket.clone()),
        ("rawKey", event.raw_ref.key.clone()),
        ("sha256", event.sha256.to_string()),
        ("fingerprint", event.draft.fingerprint.to_string()),
        ("occurredAt", event.draft.occurred_at.to_string()),
        ("eventType", event.draft.event_type.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), Attr::S(value))).collect()
}

fn read_entry(key: &Key, item: &Item) -> Result<Entry, Error> {
    let columns = Columns { key, item };
    let (vendor_id, external_event_id) = columns.identity()?;
    Ok(Entry {
        vendor_id,
        external_event_id,
        ingest_id: columns.parsed("ingestId", |text| IngestId::parse(text).ok())?,
        received_at: columns.parsed("receivedAt", |text| Timestamp::parse(text).ok())?,
        raw_ref: columns.raw_ref()?,
        sha256: columns.parsed("sha256", Fingerprint::parse)?,
        fingerprint: columns.parsed("fingerprint", Fingerprint::parse)?,
        occurred_at: columns.parsed("occurredAt", |text| Timestamp::parse(text).ok())?,
        event_type: columns.parsed("eventType", |text| EventType::parse(text).ok())?,
        mode: columns.parsed("mode", |text| {
            [Mode::Envelope, Mode::Structured, Mode::Binary].into_iter().find(|mode| mode.as_str() == text)
        })?,
        content_type: columns.text("contentType")?.to_owned(),
        source: Coordinates {
            partition: Partition::new(columns.text("sourceTopic")?, columns.number("sourcePartition")?),
            offset: columns.number("sourceOffset")?,
        },
        status: columns.parsed("status", Status::parse)?,
        schema_version: columns.optional("schemaVersion"),
        facts: item.get("facts").map(|_| columns.number("facts")).transpose()?,
        normalized_key: columns.optional("normalizedKey"),
        activation: item.get("activation").map(|_| columns.number("activation")).transpose()?,
    })
}

fn read_newcomer(key: &Key, item: &Item) -> Result<Newcomer, Error> {
    let columns = Columns { key, item };
    let (vendor_id, external_event_id) = columns.identity()?;
    Ok(Newcomer {
        vendor_id,
        external_event_id,
        ingest_id: columns.parsed("ingestId", |text| IngestId::parse(text).ok())?,
        winner: columns.parsed("winner", |text| IngestId::parse(text).ok())?,
        received_at: columns.parsed("receivedAt", |text| Timestamp::parse(text).ok())?,
        occurred_at: columns.parsed("occurredAt", |text| Timestamp::parse(text).ok())?,
        event_type: columns.parsed("eventType", |text| EventType::parse(text).ok())?,
        raw_ref: columns.raw_ref()?,
        sha256: columns.parsed("sha256", Fingerprint::parse)?,
        fingerprint: columns.parsed("fingerprint", Fingerprint::parse)?,
    })
}

fn unreadable(key: &Key, name: &str) -> Error {
    Error::Invalid(format!("the row {} {} of dvss_ingest_index has no readable {name}", key.pk, shown(key)))
}

fn shown(key: &Key) -> &str {
    key.sk.as_deref().unwrap_or_default()
}

struct Columns<'a> {
    key: &'a Key,
    item: &'a Item,
}

impl Columns<'_> {
    fn identity(&self) -> Result<(VendorId, ExternalEventId), Error> {
        let parts = self.key.pk.split_once('#').and_then(|(vendor, external)| {
            Some((VendorId::parse(vendor).ok()?, ExternalEventId::parse(external).ok()?))
        });
        parts.ok_or_else(|| unreadable(self.key, "pk"))
    }

    fn text(&self, name: &str) -> Result<&str, Error> {
        self.item.get(name).and_then(Attr::as_str).ok_or_else(|| unreadable(self.key, name))
    }

    fn optional(&self, name: &str) -> Option<String> {
        self.item.get(name).and_then(Attr::as_str).map(str::to_owned)
    }

    fn parsed<T>(&self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        parse(self.text(name)?).ok_or_else(|| unreadable(self.key, name))
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Error> {
        let number = self.item.get(name).and_then(Attr::as_i64).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| unreadable(self.key, name))
    }

    fn raw_ref(&self) -> Result<RawRef, Error> {
        Ok(RawRef { bucket: self.text("rawBucket")?.to_owned(), key: self.text("rawKey")?.to_owned() })
    }
}

#[cfg(test)]
#[path = "ingest_tests.rs"]
mod tests;
