//! `GET /v1/events/{ingestId}`: what became of an event, for the vendor who sent it.

use contract::envelope::Refusal;
use contract::event::Event;
use contract::{Code, IngestId, Timestamp, VendorId, keys};
use ports::{Ports, blobs};
use serde_json::{Value, json};
use stores::ingest::{self, Found, Patience, Status};

use crate::accept::of_tables;

/// Looks an id up: in the ingest index and, since that learns of an event a moment after it was
/// accepted (and its index by id may lag), in the raw bucket. Another vendor's id is not found.
pub async fn look(ports: &Ports, vendor: &VendorId, id: IngestId) -> Result<Value, Refusal> {
    let found = ingest::by_ingest_id(&*ports.tables, id, Patience::NONE).await.map_err(of_tables)?;
    match found {
        Some(Found::Event(entry)) if entry.vendor_id == *vendor => {
            let status = match entry.status {
                Status::Received => "ACCEPTED",
                Status::Normalized => "NORMALIZED",
                Status::FailedNormalize => "QUARANTINED",
            };
            let mut document = document(
                status,
                id,
                entry.received_at,
                entry.external_event_id.as_str(),
                entry.event_type.as_str(),
                entry.occurred_at,
            );
            if let Some(facts) = entry.facts {
                document["facts"] = json!(facts);
            }
            Ok(document)
        }
        Some(Found::Alias(newcomer)) if newcomer.vendor_id == *vendor => {
            Ok(newcomer_document("DUPLICATE", "duplicateOf", &newcomer))
        }
        Some(Found::Conflict(newcomer)) if newcomer.vendor_id == *vendor => {
            Ok(newcomer_document("CONFLICT", "conflictWith", &newcomer))
        }
        _ => raw(ports, vendor, id).await,
    }
}

/// An event that is accepted, before the index knows it. Its key follows from the vendor and the id,
/// so nobody finds another vendor's.
async fn raw(ports: &Ports, vendor: &VendorId, id: IngestId) -> Result<Value, Refusal> {
    let not_found = || Refusal::new(Code::NotFound, "no event of yours has this id");
    let occurred_at = id.occurred_at().ok_or_else(not_found)?;
    let object = match ports.raw.get(&keys::raw(vendor, occurred_at, id)).await {
        Ok(object) => object,
        Err(blobs::Error::NotFound) => return Err(not_found()),
        Err(other) => return Err(Refusal::new(Code::Unavailable, format!("{other}; ask again"))),
    };
    let event = Event::from_headers(|name| object.metadata.get(name).map(String::as_str));
    let event = event.map_err(|_| not_found())?;
    let draft = &event.draft;
    Ok(document(
        "ACCEPTED",
        id,
        event.received_at,
        draft.external_event_id.as_str(),
        draft.event_type.as_str(),
        draft.occurred_at,
    ))
}

fn newcomer_document(status: &str, relation: &str, newcomer: &ingest::Newcomer) -> Value {
    let mut document = document(
        status,
        newcomer.ingest_id,
        newcomer.received_at,
        newcomer.external_event_id.as_str(),
        newcomer.event_type.as_str(),
        newcomer.occurred_at,
    );
    document[relation] = json!(newcomer.winner);
    document
}

fn document(
    status: &str,
    id: IngestId,
    received_at: Timestamp,
    external_event_id: &str,
    event_type: &str,
    occurred_at: Timestamp,
) -> Value {
    json!({
        "ingestId": id,
        "status": status,
        "receivedAt": received_at,
        "externalEventId": external_event_id,
        "eventType": event_type,
        "occurredAt": occurred_at,
    })
}
