//! `dvss_vendor_mappings`: mapping documents, and which one is effective.
//!
//! | row | pk | sk |
//! |---|---|---|
//! | a document | `vendorId` or `platform:NAME` | `eventType#version`, ten digits |
//! | what became of an owner's versions for an event type | `state:` and the owner | `eventType` |
//! | the counter | `activation` | `counter` |
//!
//! A document is a draft, active or retired; of one owner and event type at most one is active. Which one
//! that is, and which ones were, stands in one small row ([`State`]): whoever activates or retires writes that and no
//! document. A document's text never changes once it was active. One text may map several event types: it has a row
//! for each, and they are put, activated and retired in one transaction. Effective for (vendor, event type) is the
//! vendor's own active document, else that of the vendor's platform, else that of the platform `dvss` (dvss's own
//! canonical shapes).
//!
//! **The counter** numbers everything that changes which document is effective: activating, retiring,
//! and giving a vendor another platform. Each such change is one transaction with the counter
//! ([`step`]) and its audit row. What is effective is read with the counter in one snapshot, which sees such a
//! transaction whole or not at all: so an unchanged counter proves that nothing changed, and the greater of two
//! activations is the newer one.
//!
//! What a document's text means is not known here.

mod row;
mod seed;
mod state;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use contract::{Code, EventType, Timestamp, VendorId};
use ports::Tables;
use ports::tables::{self, Attr, Condition, Edit, Item, Key, Query, Row as TableRow, Table, Write};
use serde_json::Value;

use crate::audit::{self, Deed};
use crate::tables::{VENDOR_MAPPINGS, VENDORS};
use crate::vendors;
use row::Text;
use state::State;

pub use row::{Document, Id, Owner, Row, Status};
pub use seed::seed;

/// Most bytes of a document (a row holds 400 KB).
pub const MAX_TEXT: usize = 256 * 1_024;
/// Most bytes of the texts that a transaction writes or looks at; what else it holds has the rest of its bytes.
const MAX_TEXTS: usize = tables::MAX_TRANSACTION - 512 * 1_024;
/// The platform that every vendor falls back to: dvss's own canonical shapes.
pub const CANONICAL_PLATFORM: &str = "dvss";
/// How often a change starts again because somebody else changed something first.
const ATTEMPTS: usize = 16;
/// How long it waits then: as long as a transaction may take until all of it is seen.
const PAUSE: Duration = Duration::from_millis(10);

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
    let bytes: usize = documents.iter().map(|document| document.text.len()).sum();
    // Each with the state that it has, or in which it is activated.
    fits(1 + 2 * documents.len(), bytes).map_err(|much| {
        Error::Invalid(format!("too many event types for one document: {much}; write several documents"))
    })?;
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (mut rows, mut changes, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for document in documents {
            let (text, state) = read_one(tables, &document.id).await?;
            let before = text.as_ref().map(|text| text.row(&state));
            match &before {
                Some(row) if row.text == document.text => {
                    rows.push(row.clone());
                    continue;
                }
                Some(row) if row.status != Status::Draft => return Err(Error::Taken(row.id.clone())),
                Some(_) | None => {}
            }
            let draft = Text::of(document, false, now);
            writes.push(draft.write(text.as_ref()));
            let still = state.unchanged(&document.id);
            if !writes.contains(&still) {
                writes.push(still);
            }
            rows.push(draft.row(&state));
            changes.push((before, draft.row(&state)));
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
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (number, states) = next(tables, ids).await?;
        let (mut rows, mut changes, mut writes, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (id, state) in ids.iter().zip(states) {
            let text = text(tables, id).await?.ok_or_else(|| Error::NotFound(id.clone()))?;
            let before = text.row(&state);
            if before.status == Status::Active {
                rows.push(before);
                continue;
            }
            if !state.has_room() {
                let message =
                    format!("too many versions of {id} were active; go on under another event type");
                return Err(Error::Invalid(message));
            }
            let after = state.activate(id.version, number, now);
            writes.extend([after.write(id, &state), text.unchanged()]);
            bytes += text.text.len();
            rows.push(text.row(&after));
            changes.push((Some(before), text.row(&after)));
        }
        if writes.is_empty() {
            return Ok(rows);
        }
        fits(1 + writes.len(), bytes)
            .map_err(|much| Error::Invalid(format!("too many documents at once: {much}; activate fewer")))?;
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
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (number, states) = next(tables, ids).await?;
        let (mut rows, mut changes, mut writes) = (Vec::new(), Vec::new(), vec![step(number)]);
        for (id, state) in ids.iter().zip(states) {
            let text = text(tables, id).await?.ok_or_else(|| Error::NotFound(id.clone()))?;
            let before = text.row(&state);
            if before.status != Status::Active {
                rows.push(before);
                continue;
            }
            let after = state.retire(number, now);
            writes.push(after.write(id, &state));
            rows.push(text.row(&after));
            changes.push((Some(before), text.row(&after)));
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
    let (text, state) = read_one(tables, id).await?;
    Ok(text.map(|text| text.row(&state)))
}

/// All documents, or those of one owner, by owner, event type and version.
pub async fn list(tables: &dyn Tables, owner: Option<&Owner>) -> Result<Vec<Row>, Error> {
    let rows = match owner {
        Some(owner) => {
            let texts = all_of(tables, Query::of(&VENDOR_MAPPINGS, owner.to_string())).await?;
            let states = all_of(tables, Query::of(&VENDOR_MAPPINGS, state::pk(owner))).await?;
            [texts, states].concat()
        }
        None => {
            let (mut rows, mut after) = (Vec::new(), None);
            loop {
                let page = tables.scan(&VENDOR_MAPPINGS, after, 1_000).await?;
                rows.extend(page.rows);
                after = page.next;
                if after.is_none() {
                    break rows;
                }
            }
        }
    };
    let (mut texts, mut states) = (Vec::new(), HashMap::new());
    for row in rows.iter().filter(|row| row.key != counter_key()) {
        if state::is_key(&row.key) {
            let state = State::read(Some(&row.item)).ok_or_else(|| unreadable(&row.key))?;
            states.insert(row.key.clone(), state);
        } else {
            texts.push(read(row)?);
        }
    }
    let none = State::default();
    let state = |id: &Id| states.get(&state::key(id)).unwrap_or(&none);
    let mut found: Vec<Row> = texts.iter().map(|text| text.row(state(&text.id))).collect();
    found.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(found)
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
/// Strongly consistent, and of one moment.
pub async fn effective(
    tables: &dyn Tables,
    vendor: &VendorId,
    event_type: &EventType,
) -> Result<(u64, Option<Effective>), Error> {
    // Its platform says which rows there are to read; whether it is still that one, they say themselves.
    let mut platform = platform(vendors::get(tables, vendor).await?.as_ref());
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let mut owners = vec![Owner::Vendor(vendor.clone())];
        owners.extend(platform.clone().map(Owner::Platform));
        owners.push(Owner::Platform(CANONICAL_PLATFORM.to_owned()));
        owners.dedup();
        let ids: Vec<Id> = owners
            .into_iter()
            .map(|owner| Id { owner, event_type: event_type.clone(), version: 0 })
            .collect();
        let mut keys = vec![(&VENDOR_MAPPINGS, counter_key()), (&VENDORS, vendors::row_key(vendor))];
        keys.extend(ids.iter().map(|id| (&VENDOR_MAPPINGS, state::key(id))));
        let rows = at_one_moment(tables, &keys).await?;
        let [counter, known, states @ ..] = &*rows else { return Err(Error::Busy) };
        let known = known.as_ref().map(|item| vendors::read(vendor.as_str(), item)).transpose()?;
        let now = self::platform(known.as_ref());
        if now != platform {
            platform = now;
            continue;
        }
        let number = counter.as_ref().map_or(0, |item| unsigned(item, "n"));
        // Falling back from a document is a newer state than its use was: retired ones count.
        let mut activation = known.map_or(0, |vendor| vendor.platform_activation);
        let mut active = None;
        for (id, item) in ids.into_iter().zip(states) {
            let state = State::read(item.as_ref()).ok_or_else(|| unreadable(&state::key(&id)))?;
            activation = activation.max(state.activation());
            if let (None, Some(version)) = (&active, state.active()) {
                active = Some((Id { version, ..id }, state));
            }
        }
        let Some((id, state)) = active else { return Ok((number, None)) };
        // Its text has not changed since. One that was written together with its state may be seen a little later.
        if let Some(text) = text(tables, &id).await? {
            return Ok((number, Some(Effective { row: text.row(&state), activation })));
        }
        if attempt + 1 == ATTEMPTS {
            return Err(unreadable(&id.key()).into());
        }
    }
    Err(Error::Busy)
}

fn platform(vendor: Option<&vendors::Vendor>) -> Option<String> {
    vendor.and_then(|vendor| vendor.settings.platform.clone())
}

/// The number of the next activation, and the states that documents have before it, at one moment.
async fn next(tables: &dyn Tables, ids: &[Id]) -> Result<(u64, Vec<State>), Error> {
    fits(1 + ids.len(), 0).map_err(|much| Error::Invalid(format!("too many documents at once: {much}")))?;
    let mut keys: Vec<Key> = std::iter::once(counter_key()).chain(ids.iter().map(state::key)).collect();
    keys.sort_unstable();
    keys.dedup();
    let asked: Vec<_> = keys.iter().map(|key| (&VENDOR_MAPPINGS, key.clone())).collect();
    let rows: HashMap<Key, Option<Item>> =
        keys.into_iter().zip(at_one_moment(tables, &asked).await?).collect();
    let row = |key: &Key| rows.get(key).and_then(Option::as_ref);
    let state = |id: &Id| {
        let key = state::key(id);
        State::read(row(&key)).ok_or_else(|| unreadable(&key))
    };
    let states = ids.iter().map(state).collect::<Result<_, _>>()?;
    Ok((row(&counter_key()).map_or(0, |item| unsigned(item, "n")) + 1, states))
}

/// A snapshot. A transaction that is writing one of the rows is waited for.
async fn at_one_moment(
    tables: &dyn Tables,
    rows: &[(&'static Table, Key)],
) -> Result<Vec<Option<Item>>, tables::Error> {
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        match tables.snapshot(rows).await {
            Err(tables::Error::Conflict) => {}
            read => return read,
        }
    }
    Err(tables::Error::Conflict)
}

/// Waits until a change of the vendor's row that may be under way is done, and every reader goes by it.
pub(crate) async fn until_vendor_seen(tables: &dyn Tables, vendor: &VendorId) -> Result<(), tables::Error> {
    at_one_moment(tables, &[(&VENDOR_MAPPINGS, counter_key()), (&VENDORS, vendors::row_key(vendor))]).await?;
    until_seen().await;
    Ok(())
}

/// A document's text.
async fn text(tables: &dyn Tables, id: &Id) -> Result<Option<Text>, tables::Error> {
    let key = id.key();
    let item = tables::get_one(tables, &VENDOR_MAPPINGS, key.clone()).await?;
    item.map(|item| read(&TableRow { key, item })).transpose()
}

/// A document's text, and the state of its owner's versions.
async fn read_one(tables: &dyn Tables, id: &Id) -> Result<(Option<Text>, State), tables::Error> {
    let (key, state) = (id.key(), state::key(id));
    let mut found = tables.get(&VENDOR_MAPPINGS, &[key.clone(), state.clone()]).await?;
    let read_state = State::read(found.pop().flatten().as_ref()).ok_or_else(|| unreadable(&state))?;
    let text = found.pop().flatten().map(|item| read(&TableRow { key, item })).transpose()?;
    Ok((text, read_state))
}

/// Every version of a document.
async fn versions(tables: &dyn Tables, id: &Id, state: &State) -> Result<Vec<Row>, tables::Error> {
    let all = Query::of(&VENDOR_MAPPINGS, id.owner.to_string()).prefix(&format!("{}#", id.event_type));
    let texts = all_of(tables, all).await?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // An event type may hold `#` itself, so the range holds those of longer names too.
    let own = texts.iter().filter(|text| text.id.event_type == id.event_type);
    Ok(own.map(|text| text.row(state)).collect())
}

async fn all_of(tables: &dyn Tables, query: Query) -> Result<Vec<TableRow>, tables::Error> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = tables.query(Query { after, ..query.clone() }).await?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
}

/// Before another attempt.
async fn pause(attempt: usize) {
    if attempt > 0 {
        tokio::time::sleep(PAUSE).await;
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

fn read(row: &TableRow) -> Result<Text, tables::Error> {
    Text::read(row).ok_or_else(|| unreadable(&row.key))
}

fn unreadable(key: &Key) -> tables::Error {
    let name = key.sk.as_deref().unwrap_or_default();
    tables::Error::Invalid(format!("the row {} {name} of dvss_vendor_mappings is not readable", key.pk))
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

/// Whether so many rows, with so many bytes of text, can stand in one transaction; else how many can. A row counts
/// whole, also where it is only looked at.
fn fits(rows: usize, bytes: usize) -> Result<(), String> {
    if rows <= audit::MAX_WRITES && bytes <= MAX_TEXTS {
        return Ok(());
    }
    let most = audit::MAX_WRITES;
    Err(format!("{rows} rows with {bytes} bytes, at most {most} with {MAX_TEXTS} change at once"))
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
