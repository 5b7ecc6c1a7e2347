//! `explain`: every coordinate of one event.

use std::time::Duration;

use ::invoices::ledger::{self, Noted};
use ::invoices::{plan, store};
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
    let mut shown = match found {
        Some(Found::Event(entry)) => event(&operator, &entry, waits(&parked)).await?,
        Some(Found::Alias(found)) => newcomer(&found, "DUPLICATE"),
        Some(Found::Conflict(found)) => newcomer(&found, "CONFLICT"),
        None => match ledger::plan(&*operator.ports.tables, id).await? {
            Some(noted) => planned(&operator, id, &noted, waits(&parked)).await?,
            None => unclaimed(&operator, id, &parked).await?,
        },
    };
    shown["quarantine"] = json!(parked);
    shown["divergence"] = json!(divergence_of(&operator, id).await?);
    Ok(Json(shown))
}

/// What every answer looks like: what is not known is null, and what there is none of an empty list.
fn shape(id: IngestId, status: &str, known: Value) -> Value {
    let mut shown = json!({
        "ingestId": id, "vendorId": null, "externalEventId": null, "eventType": null, "occurredAt": null,
        "receivedAt": null, "status": status, "winner": null, "fingerprint": null, "raw": null, "index": null,
        "normalized": null, "facts": [], "quarantine": [], "divergence": [], "repeats": [], "conflicts": [],
    });
    if let (Value::Object(members), Value::Object(known)) = (&mut shown, known) {
        members.extend(known);
    }
    shown
}

/// A plan of an invoice: nobody sent it, a person decided it.
async fn planned(operator: &Operator, id: IngestId, noted: &Noted, waits: bool) -> Result<Value, Problem> {
    let job = store::get(&*operator.ports.tables, noted.job).await?;
    let object = plan::get(&*operator.ports.invoices, &noted.plan).await?;
    let lines: Vec<&Fact> = object.lines.iter().map(|line| &line.fact).collect();
    let shown = shown_facts(operator, &lines).await?;
    let published = shown.iter().all(|fact| !fact["published"].is_null());
    let status = status(Evidence { published, waits });
    let first = lines.first();
    let known = json!({
        "vendorId": object.head.vendor_id, "externalEventId": object.head.external_event_id,
        "eventType": first.map(|fact| fact.data.name()), "occurredAt": first.map(|fact| fact.occurred_at),
        "receivedAt": first.map(|fact| fact.occurred_at),
        "raw": {
            "bucket": operator.ports.invoices.bucket(), "key": job.file.key,
            "sha256": job.pinned.as_ref().map(|pinned| pinned.sha256),
        },
        "normalized": { "bucket": operator.ports.invoices.bucket(), "key": noted.plan.key },
        "invoice": { "jobId": noted.job, "way": noted.plan.way, "href": format!("/api/v1/invoices/{}", noted.job) },
        "facts": shown,
    });
    Ok(shape(id, status, known))
}

/// An object's lines beside what became of each.
async fn shown_facts(operator: &Operator, lines: &[&Fact]) -> Result<Vec<Value>, Problem> {
    let mut effects = facts::effects(operator, lines).await?;
    let mut uncopied = facts::Uncopied::new();
    if effects.iter().flatten().any(|effect| facts::published(effect).is_none()) {
        uncopied = receipts::uncopied(&*operator.ports.log).await?;
        effects = facts::effects(operator, lines).await?;
    }
    let shown = lines.iter().zip(&effects);
    Ok(shown.map(|(fact, effect)| facts::shown(fact, effect.as_ref(), &uncopied)).collect())
}

/// An event that the index does not know: dedup has not seen it yet, or parked it.
async fn unclaimed(operator: &Operator, id: IngestId, parked: &[Value]) -> Result<Value, Problem> {
    let status = status(Evidence { published: false, waits: waits(parked) });
    let Some(first) = parked.first() else {
        let event = on_its_way(operator, id).await?;
        return event.map(|event| shape(id, status, draft(&event))).ok_or_else(|| {
            Problem::not_found(format!("event {id}, neither in the ingest index nor in the raw bucket"))
        });
    };
    // Its row says where the bytes are, and what they are is beside them.
    let raw = &first["rawRef"];
    if let Some(key) = raw["key"].as_str() {
        match operator.ports.raw.get(key).await {
            Ok(object) => {
                if let Ok(event) = Event::from_headers(|name| object.metadata.get(name).map(String::as_str)) {
                    return Ok(shape(id, status, draft(&event)));
                }
            }
            // That may be what it was parked for.
            Err(blobs::Error::NotFound | blobs::Error::Corrupt) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let raw = json!({ "bucket": raw["bucket"], "key": raw["key"], "sha256": null });
    Ok(shape(id, status, json!({ "vendorId": first["vendorId"], "raw": raw })))
}

/// An event that dedup has not seen yet: its bytes are where the vendor's part of the key leads.
async fn on_its_way(operator: &Operator, id: IngestId) -> Result<Option<Event>, Problem> {
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
            return Ok(Some(event));
        }
        after = next;
        if after.is_none() {
            return Ok(None);
        }
    }
}

/// What an event says of itself.
fn draft(event: &Event) -> Value {
    let Event { draft, received_at, raw_ref, sha256, .. } = event;
    json!({
        "vendorId": draft.vendor_id, "externalEventId": draft.external_event_id, "eventType": draft.event_type,
        "occurredAt": draft.occurred_at, "receivedAt": received_at, "fingerprint": draft.fingerprint,
        "raw": { "bucket": raw_ref.bucket, "key": raw_ref.key, "sha256": sha256 },
    })
}

async fn event(operator: &Operator, entry: &Entry, waits: bool) -> Result<Value, Problem> {
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
    let shown = shown_facts(operator, &lines).await?;
    let published = entry.status == Status::Normalized
        && stored.is_some()
        && shown.iter().all(|fact| !fact["published"].is_null());
    let status = status(Evidence { published, waits });
    let repeats = ingest::repeats(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let conflicts = ingest::conflicts(tables, &entry.vendor_id, &entry.external_event_id).await?;
    let known = json!({
        "vendorId": entry.vendor_id, "externalEventId": entry.external_event_id,
        "eventType": entry.event_type, "occurredAt": entry.occurred_at, "receivedAt": entry.received_at,
        "fingerprint": entry.fingerprint,
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
        "repeats": repeats.iter().map(brief).collect::<Vec<_>>(),
        "conflicts": conflicts.iter().map(brief).collect::<Vec<_>>(),
    });
    Ok(shape(entry.ingest_id, status, known))
}

async fn divergence_of(operator: &Operator, id: IngestId) -> Result<Vec<Value>, Problem> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = divergences::by_event(&*operator.ports.tables, id, after).await?;
        rows.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    let shown = rows.iter().map(|row| {
        json!({
            "id": row.id(), "kind": row.divergence.kind, "line": row.divergence.line, "leg": row.divergence.leg,
            "revision": row.divergence.revision, "message": row.divergence.message, "status": row.status.as_str(),
            "published": row.outbox.as_ref().and_then(|outbox| outbox.coordinates.as_ref()).map(facts::coordinates),
        })
    });
    Ok(shown.collect())
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

fn newcomer(newcomer: &Newcomer, status: &str) -> Value {
    let mut known = brief(newcomer);
    known["vendorId"] = json!(newcomer.vendor_id);
    known["externalEventId"] = json!(newcomer.external_event_id);
    known["eventType"] = json!(newcomer.event_type);
    known["winner"] = json!(newcomer.winner);
    shape(newcomer.ingest_id, status, known)
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
