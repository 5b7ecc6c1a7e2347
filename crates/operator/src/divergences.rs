//! Where what was said disagrees with what is known: to be seen, and judged.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::canonical::Divergence;
use contract::{Code, VendorId, entity};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::divergences::{self, Entry, Refused, Status};
use stores::quarantine::ACTOR;

use crate::problem::Problem;
use crate::quarantine::reason;
use crate::server::Operator;
use crate::vendors::vendor_id;
use crate::{facts, pages};

/// Query of `GET /divergences`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    vendor: Option<String>,
    entity: Option<String>,
    status: Option<Status>,
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Filter {
    /// Whose rows are read: an entity's lie under its vendor.
    fn vendor(&self) -> Result<Option<VendorId>, Problem> {
        let Some(entity) = &self.entity else { return self.vendor.as_deref().map(vendor_id).transpose() };
        let vendor = entity::vendor_of(entity);
        vendor.map(Some).map_err(|error| Problem::new(error.code, format!("entity {entity:?}: {error}")))
    }

    fn wants(&self, entry: &Entry) -> bool {
        let Divergence { vendor_id, entity, .. } = &entry.divergence;
        self.status.is_none_or(|status| status == entry.status)
            && self.vendor.as_ref().is_none_or(|vendor| vendor == vendor_id.as_str())
            && (self.entity.is_none() || self.entity == *entity)
    }
}

/// Body of a verdict.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    reason: String,
}

/// `GET /divergences`: a vendor's with the latest first, all of them in no particular order.
pub async fn list(
    State(operator): State<Operator>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let tables = &*operator.ports.tables;
    let (vendor, limit) = (filter.vendor()?, pages::limit(filter.limit)?);
    let of = vendor.as_ref().map_or("", VendorId::as_str);
    let after = pages::read(of, filter.cursor.as_deref())?;
    let whose = vendor.as_ref();
    let read = |after, most| async move {
        match whose {
            Some(vendor) => divergences::of_vendor(tables, vendor, after, most).await,
            None => divergences::of_all(tables, after, most).await,
        }
    };
    let (rows, next) = pages::page(limit, after, |entry| filter.wants(entry), read).await?;
    let rows: Vec<Value> = rows.iter().map(shown).collect();
    Ok(Json(json!({ "rows": rows, "next": pages::write(of, next) })))
}

/// `GET /divergences/{id}`
pub async fn show(State(operator): State<Operator>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&divergences::find(&*operator.ports.tables, &id).await?)))
}

/// `POST /divergences/{id}/accept`: it is so, and needs nothing.
pub async fn accept(
    operator: State<Operator>,
    id: Path<String>,
    verdict: Json<Verdict>,
) -> Result<Json<Value>, Problem> {
    judge(operator, id, Status::Accepted, verdict).await
}

/// `POST /divergences/{id}/resolve`: what caused it was put right.
pub async fn resolve(
    operator: State<Operator>,
    id: Path<String>,
    verdict: Json<Verdict>,
) -> Result<Json<Value>, Problem> {
    judge(operator, id, Status::Resolved, verdict).await
}

async fn judge(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    status: Status,
    Json(verdict): Json<Verdict>,
) -> Result<Json<Value>, Problem> {
    let (tables, now) = (&*operator.ports.tables, operator.ports.clock.now());
    let reason = reason(&verdict.reason)?;
    Ok(Json(shown(&divergences::judge(tables, now, ACTOR, &id, status, reason).await?)))
}

/// A row as people read it, both sides with it.
pub fn shown(entry: &Entry) -> Value {
    // The sides are JSON as text; numbers that have to be exact are text in them.
    let side = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    let Divergence { ours, theirs, .. } = &entry.divergence;
    let mut value = serde_json::to_value(&entry.divergence).unwrap_or_default();
    value["id"] = json!(entry.id());
    value["ours"] = side(ours);
    value["theirs"] = theirs.as_ref().map_or(Value::Null, side);
    value["status"] = json!(entry.status);
    value["reason"] = json!(entry.note);
    value["recordedAt"] = json!(entry.recorded_at);
    let at = entry.outbox.as_ref().and_then(|outbox| outbox.coordinates.as_ref());
    value["published"] = json!(at.map(facts::coordinates));
    value
}

impl From<Refused> for Problem {
    fn from(error: Refused) -> Self {
        match error {
            Refused::Tables(error) => error.into(),
            refused @ Refused::NotFound(_) => Self::new(Code::NotFound, refused.to_string()),
        }
    }
}
