//! Puts right what can be: produces orphans, and produces missing events again. Every stage absorbs
//! what it has seen, so that a repair too many changes nothing.

use bytes::Bytes;
use contract::event::Event;
use contract::{Code, topics};
use ports::log::Record;
use stores::{ingest, records, vendors};

use super::gather::Found;
use crate::problem::Problem;
use crate::server::Operator;

/// Repairs, and says what was done, one line each.
pub async fn repair(operator: &Operator, found: &Found) -> Result<Vec<String>, Problem> {
    let mut done = Vec::new();
    for key in &found.report.orphans {
        let object = operator.ports.raw.get(key).await?;
        let event = Event::from_headers(|name| object.metadata.get(name).map(String::as_str))
            .map_err(|error| Problem::new(Code::ObjectCorrupt, format!("{key}: {error}")))?;
        let vendor = vendors::get(&*operator.ports.tables, &event.draft.vendor_id).await?;
        let pointer = vendor.and_then(|vendor| vendor.settings.ordering_pointer);
        let ordering = records::ordering_key(&event.draft.vendor_id, pointer.as_deref(), &object.bytes);
        let record = records::of_event(topics::RAW, ordering, object.bytes, &event);
        let at = operator.ports.log.append(record).await?;
        done.push(format!("produced the orphan {key} to {}/{}", at.partition, at.offset));
    }
    for lost in &found.missing {
        let event =
            records::event(lost).map_err(|error| Problem::new(Code::RecordInvalid, error.to_string()))?;
        let draft = &event.draft;
        let claimed =
            ingest::lookup(&*operator.ports.tables, &draft.vendor_id, &draft.external_event_id).await?;
        // Claimed: dedup did its part, and what lags behind is normalize or a later stage.
        let topic = if claimed.is_some_and(|entry| entry.ingest_id == draft.ingest_id) {
            topics::ACCEPTED
        } else {
            topics::RAW
        };
        let record = Record {
            topic: topic.into(),
            partition: None,
            key: lost.key.clone(),
            value: Bytes::clone(&lost.value),
            headers: lost.headers.clone(),
        };
        let at = operator.ports.log.append(record).await?;
        done.push(format!("produced {} again to {}/{}", draft.ingest_id, at.partition, at.offset));
    }
    Ok(done)
}
