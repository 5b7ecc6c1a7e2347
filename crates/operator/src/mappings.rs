//! Mapping documents.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::{Code, EventType};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::mappings::{self, Document, Error, Id, Owner, Row, Status};
use stores::quarantine::ACTOR;

use crate::problem::Problem;
use crate::server::Operator;
use crate::vendors::{nobody_is, warned};

/// Query of `POST /mappings`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    #[serde(default)]
    activate: bool,
}

/// `POST /mappings`, the YAML document as the body.
pub async fn put(
    State(operator): State<Operator>,
    Query(put): Query<Put>,
    text: String,
) -> Result<Json<Value>, Problem> {
    let mapping = mapping::Mapping::parse(&text)
        .map_err(|error| Problem::new(Code::MappingInvalid, format!("the mapping document: {error}")))?;
    let owner = match mapping.owner() {
        mapping::Owner::Vendor(vendor) => Owner::Vendor(vendor.clone()),
        mapping::Owner::Platform(name) => Owner::Platform(name.clone()),
    };
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    // One row an event type that the document reads.
    let ids = mapping.event_types().iter().map(|event_type| Id {
        owner: owner.clone(),
        event_type: event_type.clone(),
        version: mapping.version(),
    });
    let ids: Vec<Id> = ids.collect();
    let documents: Vec<Document> =
        ids.iter().map(|id| Document { id: id.clone(), text: text.clone() }).collect();
    let mut rows = mappings::put_all(tables, now, ACTOR, &documents).await?;
    if put.activate {
        rows = mappings::activate_all(tables, now, ACTOR, &ids).await?;
    }
    let answer = json!({ "mappings": rows.iter().map(shown).collect::<Vec<_>>() });
    Ok(Json(warned(answer, nobody_is(&operator, &owner).await)))
}

/// `GET /mappings`
pub async fn list(State(operator): State<Operator>) -> Result<Json<Value>, Problem> {
    let rows = mappings::list(&*operator.ports.tables, None).await?;
    Ok(Json(json!({ "mappings": rows.iter().map(shown).collect::<Vec<_>>() })))
}

/// `GET /mappings/{owner}/{eventType}/{version}`
pub async fn show(
    State(operator): State<Operator>,
    Path(which): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let (row, _) = find(&operator, &which, |_| true).await?;
    let mut value = shown(&row);
    value["document"] = json!(row.text);
    Ok(Json(value))
}

/// `POST /mappings/{owner}/{eventType}/{version}/activate`: for every event type of the document.
pub async fn activate(
    State(operator): State<Operator>,
    Path(which): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let (_, ids) = find(&operator, &which, |_| true).await?;
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    let rows = mappings::activate_all(tables, now, ACTOR, &ids).await?;
    Ok(Json(json!({ "mappings": rows.iter().map(shown).collect::<Vec<_>>() })))
}

/// `POST /mappings/{owner}/{eventType}/{version}/retire`: for every event type where the document is active;
/// `latest` is the active version.
pub async fn retire(
    State(operator): State<Operator>,
    Path(which): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let (_, ids) = find(&operator, &which, |row| row.status == Status::Active).await?;
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    let rows = mappings::retire_all(tables, now, ACTOR, &ids).await?;
    Ok(Json(json!({ "mappings": rows.iter().map(shown).collect::<Vec<_>>() })))
}

/// The row that a path names (`latest` is the highest version that is `wanted`, else the highest), and the ids
/// of all rows of its text: one document changes for all of its event types together.
async fn find(
    operator: &Operator,
    (owner, event_type, version): &(String, String, String),
    wanted: impl Fn(&Row) -> bool,
) -> Result<(Row, Vec<Id>), Problem> {
    let owner = Owner::parse(owner)?;
    let event_type = EventType::parse(event_type.as_str())
        .map_err(|error| Problem::new(error.code, format!("event type {event_type:?}: {error}")))?;
    // By event type and version.
    let rows = mappings::list(&*operator.ports.tables, Some(&owner)).await?;
    let mut versions = rows.iter().filter(|row| row.id.event_type == event_type);
    let found = match version.as_str() {
        "latest" => versions.clone().rfind(|row| wanted(row)).or(versions.next_back()),
        number => versions.find(|row| row.id.version.to_string() == number),
    };
    let found = found.cloned().ok_or_else(|| {
        let which = if version == "latest" { String::new() } else { format!(" version {version}") };
        Problem::not_found(format!("mapping {owner} {event_type}{which}; `dvss mappings list`"))
    })?;
    let of_text = rows.into_iter().filter(|row| row.id.version == found.id.version && row.text == found.text);
    let ids = of_text.map(|row| row.id).collect();
    Ok((found, ids))
}

fn shown(row: &Row) -> Value {
    json!({
        "owner": row.id.owner.to_string(), "eventType": row.id.event_type, "version": row.id.version,
        "status": row.status.as_str(), "activation": row.activation, "shipped": row.shipped,
        "changedAt": row.changed_at,
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = error.code();
        Self::new(code, error.to_string())
    }
}
