//! `explain`: every coordinate of one event.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use contract::canonical::Fact;
use contract::{IngestId, keys};
use serde_json::{Value, json};
use stores::ingest::{self, Entry, Found, Newcomer, Patience};
use stores::{divergences, normalized};

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
            "ingestId": id, "status": "QUARANTINED", "facts": [], "quarantine": parked, "repeats": [], "conflicts": [],
        }))),
        None => Err(Problem::not_found(format!(
            "event {id} in the ingest index: dedup has not seen it (yet); `dvss status` shows dedup's lag"
        ))),
    }
}

async fn event(operator: &Operator, entry: &Entry, parked: Vec<Value>) -> Result<Value, Problem> {
    let (ports, tables) = (&operator.ports, &*operator.ports.tables);
    let key = keys::normalized(&entry.event_type, entry.occurred_at, entry.ingest_id);
    let stored = normalized::get(&*ports.normalized, &key).await?;
    let lines: Vec<&Fact> =
        stored.iter().flat_map(|stored| &stored.object.lines).map(|line| &line.fact).collect();
    let effects = facts::effects(operator, &lines).await?;
    let shown: Vec<Value> =
        lines.iter().zip(&effects).map(|(fact, effect)| facts::shown(fact, effect.as_ref())).collect();
    let waiting = |row: &Value| row["status"] != "RELEASED";
    let status = if stored.is_some() && shown.iter().all(|fact| !fact["published"].is_null()) {
        "PUBLISHED"
    } else if parked.iter().any(waiting) {
        "QUARANTINED"
    } else {
        "ACCEPTED"
    };
    let repeats = ingest::repeats(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let conflicts = ingest::conflicts(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let (divergence, _) = divergences::by_event(tables, entry.ingest_id, None).await?;
    let divergence = divergence.iter().map(|row| {
        json!({
            "kind": row.divergence.kind, "line": row.divergence.line, "leg": row.divergence.leg,
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
        "normalized": stored.as_ref().map(|stored| json!({
            "bucket": ports.normalized.bucket(), "key": key, "mapping": stored.object.head.mapping,
            "activation": stored.object.head.activation,
        })),
        "facts": shown,
        "quarantine": parked,
        "divergence": divergence.collect::<Vec<_>>(),
        "repeats": repeats.iter().map(brief).collect::<Vec<_>>(),
        "conflicts": conflicts.iter().map(brief).collect::<Vec<_>>(),
    }))
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
