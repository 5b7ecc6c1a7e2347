//! `dvss_vendor_mappings`: mapping documents, and which one is effective.
//!
//! | row | pk | sk |
//! |---|---|---|
//! | a document | `vendorId` or `platform:NAME` | `eventType#version`, ten digits |
//! | the counter | `activation` | `counter` |
//!
//! A document is a draft, active or retired; of one owner and event type at most one is active. Its
//! text never changes once it was active. One text may map several event types: it has a row for each, and
//! they are put, activated and retired in one transaction. Effective for (vendor, event type) is the vendor's own
//! active document, else that of the vendor's platform, else that of the platform `dvss` (dvss's own
//! canonical shapes).
//!
//! **The counter** numbers everything that changes which document is effective: activating, retiring,
//! and giving a vendor another platform. Each such change is one transaction with the counter
//! ([`step`]) and its audit row, so that an unchanged counter proves that nothing changed, and the
//! greater of two activations is the newer one.
//!
//! What a document's text means is not known here.

mod row;
#[cfg(test)]
mod tests;

use std::time::Duration;

use contract::{Code, EventType, Timestamp, VendorId};
use ports::Tables;
use ports::tables::{self, Attr, Condition, Edit, Item, Key, Query, Row as TableRow, Write};
use serde_json::Value;

use crate::audit::{self, Deed};
use crate::tables::VENDOR_MAPPINGS;
use crate::vendors;

pub use row::{Document, Id, Owner, Row, Status};

/// Most bytes of a document (a row holds 400 KB).
pub const MAX_TEXT: usize = 256 * 1_024;
/// Most bytes of the texts that change at once; what else a transaction holds has the rest of its bytes.
const MAX_TEXTS: usize = tables::MAX_TRANSACTION - 512 * 1_024;
/// The platform that every vendor falls back to: dvss's own canonical shapes.
pub const CANONICAL_PLATFORM: &str = "dvss";
/// Who puts what comes with dvss, in the audit.
const SEEDER: &str = "dvss";
/// How often a change starts again because somebody else changed something first.
const ATTEMPTS: usize = 16;

/// The document that maps a vendor's event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The document.
    pub row: Row,
    /// Grows with every change that could have made another document effective here.
    pub activation: u64,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a document that can be kept.
    #[error("{0}")]
    Invalid(String),
    /// The version was active already, with another text.
    #[error("{0} was active already and keeps its text; give the changed document a higher version")]
    Taken(Id),
    /// No such document.
    #[error("there is no mapping {0}")]
    NotFound(Id),
    /// Others kept changing mappings meanwhile.
    #[error("mappings keep changing; try again")]
    Busy,
    /// The tables.
    #[error(transparent)]
    Tables(#[from] tables::Error),
}

impl Error {
    /// Stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::MappingInvalid,
            Self::Taken(_) => Code::VersionConflict,
            Self::NotFound(_) => Code::NotFound,
            Self::Tables(tables::Error::Full) => Code::StorageFull,
            Self::Tables(tables::Error::Invalid(_)) => Code::Internal,
            Self::Busy | Self::Tables(_) => Code::Unavailable,
        }
    }
}

/// Puts a document as a draft, or replaces a draft's text. The same text again changes nothing.
pub async fn put(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    document: &Document,
) -> Result<Row, Error> {
    let rows = put_all(tables, now, actor, std::slice::from_ref(document)).await?;
    rows.into_iter().next().ok_or_else(|| Error::NotFound(document.id.clone()))
}

/// Puts documents with different ids (one text for several event types), all or none of them.
pub async fn put_all(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    documents: &[Document],
) -> Result<Vec<Row>, Error> {
    documents.iter().try_for_each(check)?;
    // So that it can be activated: with the counter, and rows as large that are retired. Whether those that it
    // will take the place of are larger is not known yet.
    let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    fits(1 + 2 * documents.len(), 2 * bytes).map_err(|much| {
        Error::Invalid(format!("too many event types for one document: {much}; write several documents"))
    })?;
    for _ in 0..ATTEMPTS {
        let (mut rows, mut changes, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents {
            let before = show(tables, &document.id).await?;
            let condition = match &before {
                Some(row) if row.text == document.text => {
                    rows.push(row.clone());
                    continue;
                }
                Some(row) if row.status != Status::Draft => return Err(Error::Taken(row.id.clone())),
                Some(row) => unchanged(row),
                None => Condition::Absent,
            };
            let draft = draft(document, false, now);
            writes.push(write(&draft, condition));
            rows.push(draft.clone());
            changes.push((before, draft));
        }
        if writes.is_empty() || commit(tables, now, &deed(actor, "mapping.put", &changes), writes).await? {
            return Ok(rows);
        }
    }
    Err(Error::Busy)
}

/// Makes a document the active one of its owner and event type; the one before is retired. An older
/// version may be activated again.
pub async fn activate(tables: &dyn Tables, now: Timestamp, actor: &str, id: &Id) -> Result<Row, Error> {
    let rows = activate_all(tables, now, actor, std::slice::from_ref(id)).await?;
    rows.into_iter().next().ok_or_else(|| Error::NotFound(id.clone()))
}

/// Activates documents of different event types, all or none of them, under one activation.
pub async fn activate_all(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    ids: &[Id],
) -> Result<Vec<Row>, Error> {
    let rows = activate_now(tables, now, actor, ids).await?;
    until_seen().await;
    Ok(rows)
}

async fn activate_now(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    ids: &[Id],
) -> Result<Vec<Row>, Error> {
    for _ in 0..ATTEMPTS {
        let number = counter(tables).await? + 1;
        let (mut rows, mut changes, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            let versions = versions(tables, &id.owner, &id.event_type).await?;
            let found = versions.iter().find(|row| row.id == *id);
            let before = found.ok_or_else(|| Error::NotFound(id.clone()))?;
            if before.status == Status::Active {
                rows.push(before.clone());
                continue;
            }
            let active =
                Row { status: Status::Active, activation: number, changed_at: now, ..before.clone() };
            written.push((active.clone(), unchanged(before)));
            written.extend(active_of(&versions).map(|row| (retired(row, number, now), unchanged(row))));
            rows.push(active.clone());
            changes.push((Some(before.clone()), active));
        }
        if written.is_empty() {
            return Ok(rows);
        }
        changeable(&written)?;
        let writes = written.into_iter().map(|(row, condition)| write(&row, condition));
        let writes = std::iter::once(step(number)).chain(writes).collect();
        if commit(tables, now, &deed(actor, "mapping.activate", &changes), writes).await? {
            return Ok(rows);
        }
    }
    Err(Error::Busy)
}

/// Retires those of the documents that are active, all or none of them, under one activation: what stands
/// behind them becomes effective. Returns the documents as they are now.
pub async fn retire_all(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    ids: &[Id],
) -> Result<Vec<Row>, Error> {
    for _ in 0..ATTEMPTS {
        let number = counter(tables).await? + 1;
        let (mut rows, mut changes, mut writes) = (Vec::new(), Vec::new(), vec![step(number)]);
        for id in ids {
            let before = show(tables, id).await?.ok_or_else(|| Error::NotFound(id.clone()))?;
            if before.status != Status::Active {
                rows.push(before);
                continue;
            }
            let after = retired(&before, number, now);
            writes.push(write(&after, unchanged(&before)));
            rows.push(after.clone());
            changes.push((Some(before), after));
        }
        if changes.is_empty() || commit(tables, now, &deed(actor, "mapping.retire", &changes), writes).await?
        {
            until_seen().await;
            return Ok(rows);
        }
    }
    Err(Error::Busy)
}

/// One document.
pub async fn show(tables: &dyn Tables, id: &Id) -> Result<Option<Row>, Error> {
    let key = id.key();
    let item = tables::get_one(tables, &VENDOR_MAPPINGS, key.clone()).await?;
    Ok(item.map(|item| read(&TableRow { key, item })).transpose()?)
}

/// All documents, or those of one owner, by owner, event type and version.
pub async fn list(tables: &dyn Tables, owner: Option<&Owner>) -> Result<Vec<Row>, Error> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = match owner {
            Some(owner) => {
                tables.query(Query { after, ..Query::of(&VENDOR_MAPPINGS, owner.to_string()) }).await?
            }
            None => tables.scan(&VENDOR_MAPPINGS, after, 1_000).await?,
        };
        for row in page.rows.iter().filter(|row| row.key != counter_key()) {
            found.push(read(row)?);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    found.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(found)
}

/// Puts the documents that come with dvss and activates those that are new; returns which. Any
/// number of processes may do it at once and again. The event types of one text, which stand beside one
/// another in `shipped`, change together or not at all.
///
/// A document that changed since takes its predecessor's place as a higher version. What an operator
/// activated stays active, and what an operator retired stays retired.
pub async fn seed(tables: &dyn Tables, now: Timestamp, shipped: &[Document]) -> Result<Vec<Id>, Error> {
    let mut activated = Vec::new();
    shipped.iter().try_for_each(check)?;
    for texts in shipped.chunk_by(|left, right| left.text == right.text) {
        activated.extend(seed_text(tables, now, texts).await?);
    }
    until_seen().await;
    Ok(activated)
}

async fn seed_text(tables: &dyn Tables, now: Timestamp, texts: &[Document]) -> Result<Vec<Id>, Error> {
    for _ in 0..ATTEMPTS {
        let number = counter(tables).await? + 1;
        let (mut activated, mut changes, mut written) = (Vec::new(), Vec::new(), Vec::new());
        for document in texts {
            let versions = versions(tables, &document.id.owner, &document.id.event_type).await?;
            let Some(seeding) = seeding(&versions, document) else { continue };
            let id = Id { version: seeding.version, ..document.id.clone() };
            let mut row = draft(&Document { id: id.clone(), text: document.text.clone() }, true, now);
            if seeding.takes_over {
                row = Row { status: Status::Active, activation: number, ..row };
                written.extend(active_of(&versions).map(|row| (retired(row, number, now), unchanged(row))));
                activated.push(id);
            }
            changes.push((None, row.clone()));
            written.push((row, Condition::Absent));
        }
        if written.is_empty() {
            return Ok(activated);
        }
        changeable(&written)?;
        let stepped = (!activated.is_empty()).then(|| step(number));
        let writes = written.into_iter().map(|(row, condition)| write(&row, condition));
        let writes = stepped.into_iter().chain(writes).collect();
        if commit(tables, now, &deed(SEEDER, "mapping.seed", &changes), writes).await? {
            return Ok(activated);
        }
    }
    Err(Error::Busy)
}

#[derive(Debug, PartialEq, Eq)]
struct Seeding {
    version: u32,
    takes_over: bool,
}

/// What becomes of a shipped document; `None` where there is nothing to do.
fn seeding(versions: &[Row], document: &Document) -> Option<Seeding> {
    if versions.iter().any(|row| row.shipped && row.text == document.text) {
        return None;
    }
    let active = active_of(versions);
    let wanted = document.id.version;
    if active.is_some_and(|row| row.shipped && row.id.version > wanted) {
        return None; // an older dvss beside a newer one
    }
    let highest = versions.iter().map(|row| row.id.version).max().unwrap_or(0);
    let taken = versions.iter().any(|row| row.id.version == wanted);
    let version = if taken { highest.checked_add(1)? } else { wanted };
    let takes_over = match active {
        Some(row) => row.shipped,
        None => versions.iter().all(|row| row.status == Status::Draft),
    };
    Some(Seeding { version, takes_over })
}

/// How long a reader may go by the [`counter`] that it has read, counted from when it began to read. Whoever
/// changes which mapping is effective waits as long before it says so ([`until_seen`]): what is worked on
/// afterwards is worked on under the change, and a reader asks at most fifty times a second instead of once for every
/// event. Both measure time that passes, on their own clocks; what o'clock it is does not matter.
pub const SEEN_WITHIN: Duration = Duration::from_millis(20);

/// Waits until every reader goes by what is written by now. Also where nothing had to be written: somebody, or an
/// earlier try whose answer was lost, may have written it this very moment.
pub(crate) async fn until_seen() {
    tokio::time::sleep(SEEN_WITHIN + SEEN_WITHIN / 4).await;
}

/// The last activation; 0 before the first. Strongly consistent: unchanged means that no other
/// mapping became effective anywhere.
pub async fn counter(tables: &dyn Tables) -> Result<u64, tables::Error> {
    let item = tables::get_one(tables, &VENDOR_MAPPINGS, counter_key()).await?;
    Ok(item.map_or(0, |item| unsigned(&item, "n")))
}

/// The write that takes activation `number`: for the transaction with whatever changes which mapping
/// is effective. `number` is [`counter`] + 1, read **before** what that change rests upon; the
/// condition fails where another change came in between. Whoever commits it waits [`until_seen`].
pub(crate) fn step(number: u64) -> Write {
    let before = match number.saturating_sub(1) {
        0 => Condition::Missing("n"),
        before => Condition::Equals("n", self::number(before)),
    };
    Write::edit(&VENDOR_MAPPINGS, counter_key(), vec![Edit::Set("n", self::number(number))], before)
}

/// The document that is effective for a vendor's event type, and the counter at which that is so.
/// Strongly consistent.
pub async fn effective(
    tables: &dyn Tables,
    vendor: &VendorId,
    event_type: &EventType,
) -> Result<(u64, Option<Effective>), Error> {
    for _ in 0..ATTEMPTS {
        let before = counter(tables).await?;
        let found = effective_now(tables, vendor, event_type).await?;
        if counter(tables).await? == before {
            return Ok((before, found));
        }
    }
    Err(Error::Busy)
}

async fn effective_now(
    tables: &dyn Tables,
    vendor: &VendorId,
    event_type: &EventType,
) -> Result<Option<Effective>, Error> {
    let mut owners = vec![Owner::Vendor(vendor.clone())];
    let (mut activation, mut found) = (0, None);
    if let Some(vendor) = vendors::get(tables, vendor).await? {
        owners.extend(vendor.settings.platform.map(Owner::Platform));
        activation = vendor.platform_activation;
    }
    owners.push(Owner::Platform(CANONICAL_PLATFORM.to_owned()));
    owners.dedup();
    for owner in owners {
        for row in versions(tables, &owner, event_type).await? {
            // Retired ones count: falling back from one is a newer state than its use was.
            activation = activation.max(row.activation);
            if row.status == Status::Active && found.is_none() {
                found = Some(row);
            }
        }
    }
    Ok(found.map(|row| Effective { row, activation }))
}

/// Every version of an owner's documents for an event type.
async fn versions(
    tables: &dyn Tables,
    owner: &Owner,
    event_type: &EventType,
) -> Result<Vec<Row>, tables::Error> {
    let all = Query::of(&VENDOR_MAPPINGS, owner.to_string()).prefix(&format!("{event_type}#"));
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = tables.query(Query { after, ..all.clone() }).await?;
        for row in &page.rows {
            found.push(read(row)?);
        }
        after = page.next;
        if after.is_none() {
            // An event type may hold `#` itself, so the range holds those of longer names too.
            found.retain(|row| row.id.event_type == *event_type);
            return Ok(found);
        }
    }
}

/// Does the writes with their audit row. False: something changed since; read again, try again.
async fn commit(
    tables: &dyn Tables,
    now: Timestamp,
    deed: &Deed,
    writes: Vec<Write>,
) -> Result<bool, tables::Error> {
    match audit::commit(tables, now, deed, writes).await {
        Ok(()) => Ok(true),
        Err(tables::Error::Condition(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What changed: rows before and after, at least one. Of several the audit shows lists.
fn deed(actor: &str, action: &str, changes: &[(Option<Row>, Row)]) -> Deed {
    let before = changes.iter().map(|(before, _)| before.as_ref().map_or(Value::Null, Row::shown));
    let after = changes.iter().map(|(_, after)| after.shown());
    let subjects: Vec<String> = changes.iter().map(|(_, after)| after.id.to_string()).collect();
    let one_or_list = |mut values: Vec<Value>| match values.len() {
        1 => values.remove(0),
        _ => Value::Array(values),
    };
    Deed {
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subjects.join(", "),
        before: one_or_list(before.collect()),
        after: one_or_list(after.collect()),
    }
}

fn read(row: &TableRow) -> Result<Row, tables::Error> {
    let unreadable = || {
        let name = row.key.sk.as_deref().unwrap_or_default();
        tables::Error::Invalid(format!(
            "the row {} {name} of dvss_vendor_mappings is not readable",
            row.key.pk
        ))
    };
    Row::read(row).ok_or_else(unreadable)
}

fn write(row: &Row, condition: Condition) -> Write {
    Write::put(&VENDOR_MAPPINGS, row.id.key(), row.item(), condition)
}

/// Neither text nor status changed since the row was read.
fn unchanged(row: &Row) -> Condition {
    let text = Condition::Equals("text", Attr::S(row.text.clone()));
    let status = Condition::Equals("status", Attr::S(row.status.as_str().to_owned()));
    Condition::All(vec![text, status])
}

fn active_of(versions: &[Row]) -> Option<&Row> {
    versions.iter().find(|row| row.status == Status::Active)
}

fn retired(row: &Row, number: u64, now: Timestamp) -> Row {
    Row { status: Status::Retired, activation: number, changed_at: now, ..row.clone() }
}

fn draft(document: &Document, shipped: bool, now: Timestamp) -> Row {
    let Document { id, text } = document.clone();
    Row { id, text, status: Status::Draft, activation: 0, shipped, changed_at: now }
}

fn check(document: &Document) -> Result<(), Error> {
    let bytes = document.text.len();
    if bytes > MAX_TEXT {
        return Err(Error::Invalid(format!("a document of {bytes} bytes; at most {MAX_TEXT} are kept")));
    }
    if document.id.version == 0 {
        return Err(Error::Invalid("versions start at 1".to_owned()));
    }
    Ok(())
}

/// Whether so many rows, with so many bytes of text, can change in one transaction; else how many can.
fn fits(rows: usize, bytes: usize) -> Result<(), String> {
    if rows <= audit::MAX_WRITES && bytes <= MAX_TEXTS {
        return Ok(());
    }
    let most = audit::MAX_WRITES;
    Err(format!("{rows} rows with {bytes} bytes would change at once, at most {most} with {MAX_TEXTS} can"))
}

/// Whether these rows can change with the counter. Each of a document's event types may take the place of
/// another large document, and a row counts whole however little of it changes.
fn changeable(written: &[(Row, Condition)]) -> Result<(), Error> {
    let bytes = written.iter().map(|(row, _)| row.text.len()).sum();
    fits(1 + written.len(), bytes).map_err(|much| {
        Error::Invalid(format!(
            "what it takes the place of is too large: {much}; retire that first (`dvss mappings retire OWNER TYPE`)"
        ))
    })
}

fn counter_key() -> Key {
    // Not a document's key: those have a `#` in them.
    Key::sorted("activation", "counter")
}

fn number(value: u64) -> Attr {
    Attr::N(i64::try_from(value).unwrap_or(i64::MAX))
}

fn unsigned(item: &Item, name: &str) -> u64 {
    item.get(name).and_then(Attr::as_i64).and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
