//! Puts right what can be: produces orphans, and produces missing events again. Every stage absorbs
//! what it has seen, so that a repair too many changes nothing.

use contract::event::{Event, HeaderError};
use contract::topics;
use ports::log::Record;
use ports::{blobs, log, tables};
use stores::ingest::{self, Entry};
use stores::{records, vendors};

use super::gather::{Found, Place, raw_record};
use crate::server::Operator;

/// Why one thing could not be put right.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The raw object.
    #[error(transparent)]
    Object(#[from] blobs::Error),
    /// What is beside the bytes does not say what event they are.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Index or vendors.
    #[error(transparent)]
    Tables(#[from] tables::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The record is there no more.
    #[error("retention has passed it")]
    Passed,
}

/// Repairs, and says what was done and what could not be, one line each: one that cannot be put right
/// does not keep the others from it.
pub async fn repair(operator: &Operator, found: &Found) -> Vec<String> {
    let mut done = Vec::new();
    for key in &found.report.orphans {
        done.push(orphan(operator, key).await.unwrap_or_else(|error| failed(key, &error)));
    }
    for place @ (index, offset) in found.missing.iter().copied() {
        let at = format!("{}/{index}/{offset}", topics::RAW);
        done.push(missing(operator, place).await.unwrap_or_else(|error| failed(&at, &error)));
    }
    done
}

fn failed(what: &str, error: &Error) -> String {
    tracing::warn!(what, %error, "could not be repaired");
    format!("could not repair {what}: {error}")
}

async fn orphan(operator: &Operator, key: &str) -> Result<String, Error> {
    let object = operator.ports.raw.get(key).await?;
    let event = Event::from_headers(|name| object.metadata.get(name).map(String::as_str))?;
    let vendor = vendors::get(&*operator.ports.tables, &event.draft.vendor_id).await?;
    let pointer = vendor.and_then(|vendor| vendor.settings.ordering_pointer);
    let ordering = records::ordering_key(&event.draft.vendor_id, pointer.as_deref(), &object.bytes);
    let record = records::of_event(topics::RAW, ordering, object.bytes, &event);
    let at = operator.ports.log.append(record).await?;
    Ok(format!("produced the orphan {key} to {}/{}", at.partition, at.offset))
}

async fn missing(operator: &Operator, lost: Place) -> Result<String, Error> {
    let lost = raw_record(&*operator.ports.log, lost).await?.ok_or(Error::Passed)?;
    let event = Event::from_headers(|name| lost.header(name))?;
    let draft = &event.draft;
    let claimed = ingest::lookup(&*operator.ports.tables, &draft.vendor_id, &draft.external_event_id).await?;
    let record = Record {
        topic: resumes_at(&event, claimed.as_ref()).into(),
        partition: None,
        key: lost.key,
        value: lost.value,
        headers: lost.headers,
    };
    let at = operator.ports.log.append(record).await?;
    Ok(format!("produced {} again to {}/{}", draft.ingest_id, at.partition, at.offset))
}

/// Where a missing event goes on. Where the claimed row is its own, dedup did its part, and what lags
/// behind is normalize or a later stage. A flagged newcomer never claims, and dedup alone may judge
/// whatever has the winner's id and says something else.
fn resumes_at(event: &Event, claimed: Option<&Entry>) -> &'static str {
    let draft = &event.draft;
    let its_own = |entry: &&Entry| {
        event.conflict_with.is_none()
            && entry.ingest_id == draft.ingest_id
            && entry.fingerprint == draft.fingerprint
    };
    if claimed.filter(its_own).is_some() { topics::ACCEPTED } else { topics::RAW }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
