//! Records that a stage could not work on.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::{Code, IngestId};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::quarantine::{self, Parked, Refused, Resumed};

use crate::problem::Problem;
use crate::server::Operator;
use crate::vendors::vendor_id;

/// Rows that a list shows.
const MOST: usize = 10_000;

/// Query of `GET /quarantine`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    stage: Option<String>,
    vendor: Option<String>,
}

/// Body of a discard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    reason: String,
}

/// `GET /quarantine`
pub async fn list(
    State(operator): State<Operator>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let mut rows = Vec::new();
    each(&operator, filter.stage.as_deref(), |row| {
        let wanted = filter
            .vendor
            .as_deref()
            .is_none_or(|vendor| row.vendor_id.as_ref().is_some_and(|id| id.as_str() == vendor));
        if wanted && rows.len() <= MOST {
            rows.push(shown(&row));
        }
    })
    .await?;
    let complete = rows.len() <= MOST;
    rows.truncate(MOST);
    Ok(Json(json!({ "rows": rows, "complete": complete })))
}

/// `GET /quarantine/{stage}/{identity}`
pub async fn show(
    State(operator): State<Operator>,
    Path((stage, identity)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&quarantine::show(&operator.ports, &stage, &identity).await?)))
}

/// `POST /quarantine/{stage}/{identity}/release`
pub async fn release(
    State(operator): State<Operator>,
    Path((stage, identity)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (row, _) = quarantine::release(&operator.ports, &stage, &identity).await?;
    Ok(Json(shown(&row)))
}

/// `POST /quarantine/{stage}/{identity}/discard`
pub async fn discard(
    State(operator): State<Operator>,
    Path((stage, identity)): Path<(String, String)>,
    Json(body): Json<Discard>,
) -> Result<Json<Value>, Problem> {
    let row = quarantine::discard(&operator.ports, &stage, &identity, &body.reason).await?;
    Ok(Json(shown(&row)))
}

/// `POST /vendors/{id}/resume`: what was released, and what could not be and why.
pub async fn resume(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let Resumed { released, failed } = quarantine::resume(&operator.ports, &vendor_id(&id)?).await?;
    let failed = failed.into_iter().map(|(row, error)| {
        let problem = Problem::from(error);
        tracing::warn!(stage = row.stage, identity = row.identity, %problem, "not released");
        json!({
            "stage": row.stage, "identity": row.identity, "code": problem.code().as_str(),
            "message": problem.to_string(),
        })
    });
    let failed: Vec<Value> = failed.collect();
    Ok(Json(json!({
        "rows": released.iter().map(shown).collect::<Vec<_>>(), "failed": failed, "complete": failed.is_empty(),
    })))
}

/// How many rows are open at this process' stages, from the counts that are kept of them.
pub async fn open(operator: &Operator) -> Result<u64, Problem> {
    let mut count = 0;
    for stage in operator.host.stages() {
        let depth = quarantine::depth(&*operator.ports.tables, &stage.group).await?;
        count += depth;
        metrics::gauge!(telemetry::metric::QUARANTINE_DEPTH, telemetry::label::STAGE => stage.group)
            .set(f64::from(u32::try_from(depth).unwrap_or(u32::MAX)));
    }
    Ok(count)
}

/// An event's rows, for `explain`.
pub async fn of_event(operator: &Operator, id: IngestId) -> Result<Vec<Value>, Problem> {
    Ok(quarantine::by_event(&operator.ports, id).await?.iter().map(shown).collect())
}

async fn each(
    operator: &Operator,
    stage: Option<&str>,
    mut visit: impl FnMut(Parked),
) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let (page, next) = quarantine::list(&operator.ports, stage, after).await?;
        page.into_iter().for_each(&mut visit);
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn shown(row: &Parked) -> Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    value["published"] = json!(row.published.as_ref().map(crate::facts::coordinates));
    value
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        match error {
            Refused::Tables(error) => error.into(),
            Refused::Log(error) => error.into(),
            Refused::Bytes(error) => error.into(),
            refused @ Refused::NotFound { .. } => Self::new(Code::NotFound, refused.to_string()),
            refused @ Refused::Discarded(_) => Self::new(Code::RequestInvalid, refused.to_string()),
        }
    }
}
