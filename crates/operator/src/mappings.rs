//! Mapping documents.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::{Code, EventType};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::mappings::{self, Document, Error, Id, Owner, Row};
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
    let row = find(&operator, &which).await?;
    let mut value = shown(&row);
    value["document"] = json!(row.text);
    Ok(Json(value))
}

/// `POST /mappings/{owner}/{eventType}/{version}/activate`
pub async fn activate(
    State(operator): State<Operator>,
    Path(which): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let row = find(&operator, &which).await?;
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    Ok(Json(shown(&mappings::activate(tables, now, ACTOR, &row.id).await?)))
}

/// `POST /mappings/{owner}/{eventType}/{version}/retire`
pub async fn retire(
    State(operator): State<Operator>,
    Path(which): Path<(String, String, String)>,
) -> Result<Json<Value>, Problem> {
    let row = find(&operator, &which).await?;
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    let retired = mappings::retire(tables, now, ACTOR, &row.id.owner, &row.id.event_type).await?;
    Ok(Json(shown(&retired.unwrap_or(row))))
}

async fn find(
    operator: &Operator,
    (owner, event_type, version): &(String, String, String),
) -> Result<Row, Problem> {
    let owner = Owner::parse(owner)?;
    let event_type = EventType::parse(event_type.as_str())
        .map_err(|error| Problem::new(error.code, format!("event type {event_type:?}: {error}")))?;
    let rows = mappings::list(&*operator.ports.tables, Some(&owner)).await?;
    let mut rows: Vec<Row> = rows.into_iter().filter(|row| row.id.event_type == event_type).collect();
    rows.sort_by_key(|row| row.id.version);
    let found = match version.as_str() {
        "latest" => rows.pop(),
        number => rows.into_iter().find(|row| row.id.version.to_string() == number),
    };
    found.ok_or_else(|| {
        Problem::not_found(format!("mapping {owner} {event_type} version {version}; `dvss mappings list`"))
    })
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
