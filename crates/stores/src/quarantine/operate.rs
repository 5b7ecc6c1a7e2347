//! What operators do with parked records.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use contract::{Code, IngestId, VendorId};
use ports::Ports;
use ports::log::{Coordinates, Offset};
use ports::tables::{Attr, Cursor, Edit, Error, Key, Query, Row, Write, get_one};

use crate::audit::{self, Deed};
use crate::tables::{BY_EVENT, QUARANTINE};

use super::budget;
use super::row::{self, Frame, Parked, Status, place};

/// Who operates, as the audit says it: the operator API has no accounts.
pub const ACTOR: &str = "operator";

/// Attempts at a row that others change too.
const ATTEMPTS: u32 = 8;
/// Looks of [`resume`] at what was parked untried while it worked.
const LOOKS: u32 = 4;
/// Most rows that [`Resumed`] shows of either kind; all of them are counted.
pub const MOST_SHOWN: usize = 1_000;

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

/// One page of what is parked, of one stage (in the order of identities) or of all.
pub async fn list(
    ports: &Ports,
    stage: Option<&str>,
    after: Option<Cursor>,
) -> Result<(Vec<Parked>, Option<Cursor>), Error> {
    list_some(ports, stage, after, 1_000).await
}

/// The same, `limit` rows at most. A page may have fewer rows, even none, and still not be the last.
pub async fn list_some(
    ports: &Ports,
    stage: Option<&str>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Parked>, Option<Cursor>), Error> {
    let page = match stage {
        Some(stage) => ports.tables.query(Query { after, limit, ..Query::of(&QUARANTINE, stage) }).await?,
        None => ports.tables.scan(&QUARANTINE, after, limit).await?,
    };
    let rows = page.rows.iter().filter(|row| !budget::is_count(&row.key));
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
///
/// The row is released first and then the record produced, so that it cannot fail again before its row
/// knows. A crash between the two is mended by releasing once more, or by [`resume`]; releasing what was
/// produced changes nothing. The row is released in one transaction with its entry in the audit. Returns the
/// row, and where the record is now.
pub async fn release(ports: &Ports, stage: &str, identity: &str) -> Result<(Parked, Coordinates), Refused> {
    for _ in 0..ATTEMPTS {
        let (row, parked) = find(ports, stage, identity).await?;
        match parked.status {
            Status::Discarded => return Err(Refused::Discarded(format!("{stage} {identity}"))),
            Status::Open => {
                // Without its bytes a record is not released.
                frame(ports, &row).await?;
                bytes(ports, &row, &parked).await?;
                let count = parked.count.saturating_add(1);
                let after = Parked { status: Status::Released, count, ..parked.clone() };
                let edits = vec![
                    Edit::Set("status", Attr::S(Status::Released.as_str().to_owned())),
                    Edit::Set("count", Attr::N(i64::from(count))),
                ];
                close(ports, "quarantine.release", &row, &parked, &after, edits).await?;
            }
            Status::Released => {
                if let Some(at) = row.item.get(row::PRODUCED).and_then(Attr::as_str).and_then(place) {
                    return Ok((parked, at));
                }
                let bytes = bytes(ports, &row, &parked).await?;
                let record = row::record(&row, &parked, frame(ports, &row).await?, bytes)?;
                let at = ports.log.append(record).await?;
                let edits =
                    vec![Edit::Set(row::PRODUCED, Attr::S(format!("{}/{}", at.partition, at.offset)))];
                let write = Write::edit(&QUARANTINE, row.key, edits, row::unchanged(Some(&parked)));
                return match ports.tables.write(write).await {
                    // It failed again already, and its row is open anew.
                    Ok(()) | Err(Error::Condition(_)) => Ok((parked, at)),
                    Err(error) => Err(error.into()),
                };
            }
        }
    }
    Err(Refused::Tables(Error::Conflict))
}

/// Decides that a record will never be worked on, in one transaction with the audit's entry. A replay
/// of it stays discarded too.
pub async fn discard(ports: &Ports, stage: &str, identity: &str, reason: &str) -> Result<Parked, Refused> {
    for _ in 0..ATTEMPTS {
        let (row, parked) = find(ports, stage, identity).await?;
        if parked.status == Status::Discarded {
            return Ok(parked);
        }
        let reason = reason.to_owned();
        let after = Parked { status: Status::Discarded, reason: Some(reason.clone()), ..parked.clone() };
        let edits = vec![
            Edit::Set("status", Attr::S(Status::Discarded.as_str().to_owned())),
            Edit::Set("reason", Attr::S(reason)),
        ];
        close(ports, "quarantine.discard", &row, &parked, &after, edits).await?;
    }
    Err(Refused::Tables(Error::Conflict))
}

/// What [`resume`] did.
#[derive(Debug, Default)]
pub struct Resumed {
    /// How many rows were released.
    pub released: u64,
    /// How many were not.
    pub failed: u64,
    /// The first [`MOST_SHOWN`] that were released, in order.
    pub rows: Vec<Parked>,
    /// The first [`MOST_SHOWN`] that were not: stage, identity, and why. They stay as they are.
    pub failures: Vec<(String, String, Refused)>,
}

/// Rows to be released, in the order of their records: by stage, which reads one topic, then by
/// where the record was last. All that is kept of a row, for a vendor may have very many.
type Waiting = BTreeMap<String, Vec<(Option<(u32, Offset)>, String)>>;

/// Releases everything of a vendor that is open, and what somebody released without getting as far as the
/// record, in the order of the records, and then what was parked untried meanwhile. A row that cannot be
/// released holds up none behind it.
///
/// With the first rows the vendor is within its budget again, and new records of it are tried while
/// older ones are still taken up: facts fold to the same state in any order.
///
/// # Errors
/// Only where the list of what is open cannot be read; what failed of a row is in [`Resumed::failures`].
pub async fn resume(ports: &Ports, vendor: &VendorId) -> Result<Resumed, Error> {
    let mut resumed = Resumed::default();
    let mut failed: HashSet<(String, String)> = HashSet::new();
    for look in 0..LOOKS {
        // What failed again waits for a person; it was tried.
        let wanted = |row: &Parked| {
            (look == 0 || row.code == Code::OverBudget.as_str())
                && !failed.contains(&(row.stage.clone(), row.identity.clone()))
        };
        let waiting = match waiting_of(ports, vendor, wanted).await {
            Ok(waiting) => waiting,
            Err(error) if look == 0 => return Err(error),
            // What was released is told all the same; the rest waits for the next resume.
            Err(error) => {
                tracing::warn!(vendorId = vendor.as_str(), %error, "what was parked meanwhile cannot be listed");
                break;
            }
        };
        if waiting.is_empty() {
            break;
        }
        for (stage, mut rows) in waiting {
            rows.sort_unstable();
            for (_, identity) in rows {
                match release(ports, &stage, &identity).await {
                    Ok((row, _)) => {
                        resumed.released += 1;
                        if resumed.rows.len() < MOST_SHOWN {
                            resumed.rows.push(row);
                        }
                    }
                    Err(error) => {
                        resumed.failed += 1;
                        failed.insert((stage.clone(), identity.clone()));
                        if resumed.failures.len() < MOST_SHOWN {
                            resumed.failures.push((stage.clone(), identity, error));
                        }
                    }
                }
            }
        }
    }
    Ok(resumed)
}

async fn waiting_of(
    ports: &Ports,
    vendor: &VendorId,
    wanted: impl Fn(&Parked) -> bool,
) -> Result<Waiting, Error> {
    let (mut waiting, mut after) = (Waiting::new(), None);
    loop {
        let (page, next) = list(ports, None, after).await?;
        let of_vendor = |row: &Parked| row.vendor_id.as_ref() == Some(vendor);
        for row in page.into_iter().filter(of_vendor).filter(waits).filter(&wanted) {
            let at = place(&row.at).map(|at| (at.partition.index, at.offset));
            waiting.entry(row.stage).or_default().push((at, row.identity));
        }
        after = next;
        if after.is_none() {
            return Ok(waiting);
        }
    }
}

/// Whether a release has something to do: the row is open, or was released and its record never produced.
fn waits(row: &Parked) -> bool {
    match row.status {
        Status::Open => true,
        Status::Released => row.produced.is_none(),
        Status::Discarded => false,
    }
}

/// A row goes from `parked` to `after`, together with the audit's entry; an open one counts against the
/// budget no more. Where the row has changed meanwhile nothing happens: look again.
async fn close(
    ports: &Ports,
    action: &str,
    row: &Row,
    parked: &Parked,
    after: &Parked,
    edits: Vec<Edit>,
) -> Result<(), Error> {
    let write = Write::edit(&QUARANTINE, row.key.clone(), edits, row::unchanged(Some(parked)));
    let deed = Deed {
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        subject: format!("{} {}", parked.stage, parked.identity),
        before: serde_json::to_value(parked).unwrap_or_default(),
        after: serde_json::to_value(after).unwrap_or_default(),
    };
    match audit::commit(&*ports.tables, ports.clock.now(), &deed, vec![write]).await {
        Ok(()) => {}
        Err(Error::Condition(_) | Error::Conflict) => return Ok(()),
        Err(error) => return Err(error),
    }
    if parked.status == Status::Open {
        budget::closed(&*ports.tables, &parked.stage, parked.vendor_id.as_ref()).await;
    }
    Ok(())
}

async fn find(ports: &Ports, stage: &str, identity: &str) -> Result<(Row, Parked), Refused> {
    let key = Key::sorted(stage, identity);
    let not_found = || Refused::NotFound { stage: stage.to_owned(), identity: identity.to_owned() };
    if budget::is_count(&key) || stage.is_empty() || identity.is_empty() {
        return Err(not_found());
    }
    let item = get_one(&*ports.tables, &QUARANTINE, key.clone()).await?.ok_or_else(not_found)?;
    let parked = row::read(&key, &item)?;
    Ok((Row { key, item }, parked))
}

/// The record's key and headers, from wherever they are kept.
async fn frame(ports: &Ports, row: &Row) -> Result<Frame, Refused> {
    let Some(key) = row.item.get(row::FRAME_OBJECT).and_then(Attr::as_str) else {
        return Ok(row::frame(row)?);
    };
    let object = ports.raw.get(key).await?;
    Frame::read(&object.bytes).ok_or(Refused::Bytes(ports::blobs::Error::Corrupt))
}

/// The record's bytes, from wherever they are kept.
async fn bytes(ports: &Ports, row: &Row, parked: &Parked) -> Result<Bytes, Refused> {
    if let Some(bytes) = row.item.get(row::VALUE).and_then(Attr::as_bytes) {
        return Ok(bytes.clone());
    }
    let object = row.item.get(row::OBJECT).and_then(Attr::as_str);
    let key = object.or(parked.raw_ref.as_ref().map(|raw| raw.key.as_str()));
    let key = key.ok_or(Refused::Bytes(ports::blobs::Error::NotFound))?;
    Ok(ports.raw.get(key).await?.bytes)
}
