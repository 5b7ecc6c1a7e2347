//! `explain`: every coordinate of one event.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use contract::canonical::Fact;
use contract::event::Event;
use contract::{Code, IngestId, keys};
use ports::blobs;
use serde_json::{Value, json};
use stores::ingest::{self, Entry, Found, Newcomer, Patience, Status};
use stores::{divergences, normalized, receipts, vendors};

use crate::problem::Problem;
use crate::server::Operator;
use crate::{facts, quarantine};

/// The index by ingest id may lag behind the row.
const PATIENCE: Patience = Patience { attempts: 3, pause: Duration::from_millis(100) };

/// `GET /events/{ingestId}`
pub async fn explain(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = IngestId::parse(&id).map_err(|error| Problem::new(error.code, format!("{id:?}: {error}")))?;
    let found = ingest::by_ingest_id(&*operator.ports.tables, id, PATIENCE).await?;
    let parked = quarantine::of_event(&operator, id).await?;
    match found {
        Some(Found::Event(entry)) => Ok(Json(event(&operator, &entry, parked).await?)),
        Some(Found::Alias(newcomer)) => Ok(Json(shown_newcomer(&newcomer, "DUPLICATE", &parked))),
        Some(Found::Conflict(newcomer)) => Ok(Json(shown_newcomer(&newcomer, "CONFLICT", &parked))),
        None if !parked.is_empty() => Ok(Json(json!({
            "ingestId": id, "status": status(Evidence { published: false, waits: waits(&parked) }), "facts": [], "quarantine": parked, "repeats": [], "conflicts": [],
        }))),
        None => on_its_way(&operator, id).await?.map(Json).ok_or_else(|| {
            Problem::not_found(format!("event {id}, neither in the ingest index nor in the raw bucket"))
        }),
    }
}

/// An event that dedup has not seen yet: its bytes are where the vendor's part of the key leads.
async fn on_its_way(operator: &Operator, id: IngestId) -> Result<Option<Value>, Problem> {
    let Some(occurred_at) = id.occurred_at() else { return Ok(None) };
    let mut after = None;
    loop {
        let (vendors, next) = vendors::list(&*operator.ports.tables, after, 1_000).await?;
        for vendor in vendors {
            let key = keys::raw(&vendor.vendor_id, occurred_at, id);
            let object = match operator.ports.raw.get(&key).await {
                Err(blobs::Error::NotFound) => continue,
                found => found?,
            };
            let event = Event::from_headers(|name| object.metadata.get(name).map(String::as_str));
            let event =
                event.map_err(|error| Problem::new(Code::ObjectCorrupt, format!("{key}: {error}")))?;
            return Ok(Some(accepted(&event)));
        }
        after = next;
        if after.is_none() {
            return Ok(None);
        }
    }
}

fn accepted(event: &Event) -> Value {
    let Event { draft, received_at, raw_ref, sha256, .. } = event;
    json!({
        "ingestId": draft.ingest_id, "vendorId": draft.vendor_id, "externalEventId": draft.external_event_id,
        "eventType": draft.event_type, "occurredAt": draft.occurred_at, "receivedAt": received_at,
        "status": "ACCEPTED", "fingerprint": draft.fingerprint,
        "raw": { "bucket": raw_ref.bucket, "key": raw_ref.key, "sha256": sha256 },
        "index": null, "normalized": null,
        "facts": [], "quarantine": [], "divergence": [], "repeats": [], "conflicts": [],
    })
}

async fn event(operator: &Operator, entry: &Entry, parked: Vec<Value>) -> Result<Value, Problem> {
    let (ports, tables) = (&operator.ports, &*operator.ports.tables);
    let key = keys::normalized(&entry.event_type, entry.occurred_at, entry.ingest_id);
    let (stored, damaged) = match normalized::get(&*ports.normalized, &key).await {
        Ok(stored) => (stored, None),
        // What else is known of the event is wanted all the more.
        Err(normalized::Error::Unreadable { problem, .. }) => (None, Some(problem)),
        Err(error) => return Err(error.into()),
    };
    let lines: Vec<&Fact> =
        stored.iter().flat_map(|stored| &stored.object.lines).map(|line| &line.fact).collect();
    let mut effects = facts::effects(operator, &lines).await?;
    let mut uncopied = facts::Uncopied::new();
    if effects.iter().flatten().any(|effect| facts::published(effect).is_none()) {
        uncopied = receipts::uncopied(&*ports.log).await?;
        effects = facts::effects(operator, &lines).await?;
    }
    let shown: Vec<Value> = lines
        .iter()
        .zip(&effects)
        .map(|(fact, effect)| facts::shown(fact, effect.as_ref(), &uncopied))
        .collect();
    let published = entry.status == Status::Normalized
        && stored.is_some()
        && shown.iter().all(|fact| !fact["published"].is_null());
    let status = status(Evidence { published, waits: waits(&parked) });
    let repeats = ingest::repeats(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let conflicts = ingest::conflicts(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let divergence = divergence_of(operator, entry.ingest_id).await?;
    let divergence = divergence.iter().map(|row| {
        json!({
            "id": row.id(), "kind": row.divergence.kind, "line": row.divergence.line, "leg": row.divergence.leg,
            "revision": row.divergence.revision, "message": row.divergence.message, "status": row.status.as_str(),
            "published": row.outbox.as_ref().and_then(|outbox| outbox.coordinates.as_ref()).map(facts::coordinates),
        })
    });
    Ok(json!({
        "ingestId": entry.ingest_id, "vendorId": entry.vendor_id, "externalEventId": entry.external_event_id,
        "eventType": entry.event_type, "occurredAt": entry.occurred_at, "receivedAt": entry.received_at,
        "status": status, "fingerprint": entry.fingerprint,
        "raw": { "bucket": entry.raw_ref.bucket, "key": entry.raw_ref.key, "sha256": entry.sha256 },
        "index": { "status": entry.status.as_str(), "facts": entry.facts, "source": facts::coordinates(&entry.source) },
        "normalized": match (&stored, damaged) {
            (Some(stored), _) => json!({
                "bucket": ports.normalized.bucket(), "key": key, "mapping": stored.object.head.mapping,
                "activation": stored.object.head.activation,
            }),
            (None, Some(problem)) => {
                json!({ "bucket": ports.normalized.bucket(), "key": key, "damaged": problem })
            }
            (None, None) => Value::Null,
        },
        "facts": shown,
        "quarantine": parked,
        "divergence": divergence.collect::<Vec<_>>(),
        "repeats": repeats.iter().map(brief).collect::<Vec<_>>(),
        "conflicts": conflicts.iter().map(brief).collect::<Vec<_>>(),
    }))
}

async fn divergence_of(operator: &Operator, id: IngestId) -> Result<Vec<divergences::Entry>, Problem> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = divergences::by_event(&*operator.ports.tables, id, after).await?;
        rows.extend(page);
        after = next;
        if after.is_none() {
            rows.sort_by(|one, other| one.key.cmp(&other.key));
            return Ok(rows);
        }
    }
}

/// What a winner's status follows from.
#[derive(Debug, Clone, Copy)]
struct Evidence {
    /// The index says NORMALIZED, and every line of the object is out ([`facts::out`]).
    published: bool,
    /// A row of it is open or discarded.
    waits: bool,
}

/// As the books class it (`reconcile`): what is published counts as that, whatever is parked besides.
fn status(Evidence { published, waits }: Evidence) -> &'static str {
    match (published, waits) {
        (true, _) => "PUBLISHED",
        (false, true) => "QUARANTINED",
        (false, false) => "ACCEPTED",
    }
}

fn waits(parked: &[Value]) -> bool {
    parked.iter().any(|row| row["status"] != "RELEASED")
}

fn shown_newcomer(newcomer: &Newcomer, status: &str, parked: &[Value]) -> Value {
    let mut value = brief(newcomer);
    value["status"] = json!(status);
    value["vendorId"] = json!(newcomer.vendor_id);
    value["externalEventId"] = json!(newcomer.external_event_id);
    value["eventType"] = json!(newcomer.event_type);
    value["winner"] = json!(newcomer.winner);
    for empty in ["facts", "repeats", "conflicts"] {
        value[empty] = json!([]);
    }
    value["quarantine"] = json!(parked);
    value
}

fn brief(newcomer: &Newcomer) -> Value {
    json!({
        "ingestId": newcomer.ingest_id, "receivedAt": newcomer.received_at, "occurredAt": newcomer.occurred_at,
        "fingerprint": newcomer.fingerprint,
        "raw": { "bucket": newcomer.raw_ref.bucket, "key": newcomer.raw_ref.key, "sha256": newcomer.sha256 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_and_explain_class_alike() {
        for (published, waits, expected) in [
            (true, false, "PUBLISHED"),
            (true, true, "PUBLISHED"),
            (false, true, "QUARANTINED"),
            (false, false, "ACCEPTED"),
        ] {
            assert_eq!(status(Evidence { published, waits }), expected);
        }
        assert!(waits(&[json!({"status": "RELEASED"}), json!({"status": "DISCARDED"})]));
        assert!(!waits(&[json!({"status": "RELEASED"})]) && !waits(&[]));
    }
}
