//! Records that a stage could not work on.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::{Code, IngestId};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::quarantine::{self, Parked, Refused, Resumed};
use stores::topics::{INBOUND_GROUP, STAGES};
use stores::vendors;

use crate::pages;
use crate::problem::Problem;
use crate::server::{Operator, to_the_end};
use crate::vendors::vendor_id;

/// Most bytes of a reason.
const MOST_REASON: usize = 2_000;

/// Query of `GET /quarantine`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    stage: Option<String>,
    vendor: Option<String>,
    /// `OPEN`, `RELEASED` or `DISCARDED`.
    status: Option<quarantine::Status>,
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Filter {
    fn wants(&self, row: &Parked) -> bool {
        let vendor = row.vendor_id.as_ref().map(|id| id.as_str());
        self.status.is_none_or(|status| status == row.status)
            && (self.vendor.is_none() || self.vendor.as_deref() == vendor)
    }
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
    let limit = pages::limit(filter.limit)?;
    let stage = filter.stage.as_deref();
    let of = stage.unwrap_or_default();
    let after = pages::read(of, filter.cursor.as_deref())?;
    let read = |after, most| quarantine::list_some(&operator.ports, stage, after, most);
    let (rows, next) = pages::page(limit, after, |row| filter.wants(row), read).await?;
    let rows: Vec<Value> = rows.iter().map(shown).collect();
    Ok(Json(json!({ "rows": rows, "next": pages::write(of, next) })))
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
    to_the_end(async move {
        let (row, _) = quarantine::release(&operator.ports, &stage, &identity).await?;
        Ok(Json(shown(&row)))
    })
    .await
}

/// `POST /quarantine/{stage}/{identity}/discard`
pub async fn discard(
    State(operator): State<Operator>,
    Path((stage, identity)): Path<(String, String)>,
    Json(body): Json<Discard>,
) -> Result<Json<Value>, Problem> {
    let reason = reason(&body.reason)?.to_owned();
    to_the_end(async move {
        Ok(Json(shown(&quarantine::discard(&operator.ports, &stage, &identity, &reason).await?)))
    })
    .await
}

/// A reason that tells whoever reads the audit something.
pub fn reason(text: &str) -> Result<&str, Problem> {
    match text.trim() {
        "" => Err(Problem::invalid("the reason is empty; it is what the audit log keeps of a verdict")),
        text if text.len() > MOST_REASON => {
            Err(Problem::invalid(format!("the reason has {} bytes; at most {MOST_REASON}", text.len())))
        }
        text => Ok(text),
    }
}

/// `POST /vendors/{id}/resume`: what was released, and what could not be and why; all of it is counted, the
/// first [`quarantine::MOST_SHOWN`] of either kind are shown.
pub async fn resume(
    State(operator): State<Operator>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let vendor = vendor_id(&id)?;
    let (ports, whose) = (operator.ports.clone(), vendor.clone());
    let resumed = to_the_end(async move { Ok(quarantine::resume(&ports, &whose).await?) }).await?;
    let Resumed { released, failed, rows, failures } = resumed;
    // Records may name a vendor that was never added; where none does, nobody is meant.
    if released + failed == 0 && vendors::get(&*operator.ports.tables, &vendor).await?.is_none() {
        let what =
            format!("vendor {vendor}, and nothing of it is parked; `dvss vendors list` shows who there is");
        return Err(Problem::not_found(what));
    }
    let failures = failures.into_iter().map(|(stage, identity, error)| {
        let problem = Problem::from(error);
        tracing::warn!(stage, identity, %problem, "not released");
        json!({
            "stage": stage, "identity": identity, "code": problem.code().as_str(),
            "message": problem.to_string(),
        })
    });
    let failures: Vec<Value> = failures.collect();
    Ok(Json(json!({
        "rows": rows.iter().map(shown).collect::<Vec<_>>(), "released": released,
        "failures": failures, "failed": failed,
    })))
}

/// How many rows are open at this process' stages, from the counts that are kept of them.
pub async fn open(operator: &Operator) -> Result<u64, Problem> {
    let mut count = 0;
    // Every stage of the installation, wherever it runs.
    for stage in STAGES.into_iter().map(|(group, _)| group).chain([INBOUND_GROUP]) {
        let depth = quarantine::depth(&*operator.ports.tables, stage).await?;
        count += depth;
        metrics::gauge!(telemetry::metric::QUARANTINE_DEPTH, telemetry::label::STAGE => stage)
            .set(f64::from(u32::try_from(depth).unwrap_or(u32::MAX)));
    }
    Ok(count)
}

/// An event's rows, for `explain`.
pub async fn of_event(operator: &Operator, id: IngestId) -> Result<Vec<Value>, Problem> {
    Ok(quarantine::by_event(&operator.ports, id).await?.iter().map(shown).collect())
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
