//! The documents that come with dvss.

use contract::Timestamp;
use ports::Tables;

use super::row::{Document, Id, Row, Status, Text};
use super::{ATTEMPTS, Error, check, commit, deed, fits, next, pause, step, until_seen, versions};

/// Who puts what comes with dvss, in the audit.
const SEEDER: &str = "dvss";

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

async fn seed_text(tables: &dyn Tables, now: Timestamp, shipped: &[Document]) -> Result<Vec<Id>, Error> {
    let ids: Vec<Id> = shipped.iter().map(|document| document.id.clone()).collect();
    'attempts: for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (number, states) = next(tables, &ids).await?;
        let (mut activated, mut changes, mut writes, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (document, state) in shipped.iter().zip(states) {
            let versions = versions(tables, &document.id, &state).await?;
            let is_there = |version: u32| versions.iter().any(|row| row.id.version == version);
            if state.active().is_some_and(|version| !is_there(version)) {
                // Another process is seeding it this moment.
                continue 'attempts;
            }
            let Some(seeding) = seeding(&versions, document) else { continue };
            let id = Id { version: seeding.version, ..document.id.clone() };
            let text = Text::of(&Document { id: id.clone(), text: document.text.clone() }, true, now);
            writes.push(text.write(None));
            bytes += text.text.len();
            if seeding.takes_over {
                let after = state.activate(id.version, number, now);
                writes.push(after.write(&id, &state));
                changes.push((None, text.row(&after)));
                activated.push(id);
            } else {
                writes.push(state.unchanged(&id));
                changes.push((None, text.row(&state)));
            }
        }
        if writes.is_empty() {
            return Ok(activated);
        }
        writes.extend((!activated.is_empty()).then(|| step(number)));
        fits(writes.len(), bytes).map_err(|much| Error::Invalid(format!("what comes with dvss: {much}")))?;
        if commit(tables, now, &deed(SEEDER, "mapping.seed", &changes), writes).await? {
            return Ok(activated);
        }
    }
    Err(Error::Busy)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seeding {
    pub version: u32,
    pub takes_over: bool,
}

/// What becomes of a shipped document; `None` where there is nothing to do.
pub(super) fn seeding(versions: &[Row], document: &Document) -> Option<Seeding> {
    if versions.iter().any(|row| row.shipped && row.text == document.text) {
        return None;
    }
    let active = versions.iter().find(|row| row.status == Status::Active);
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
