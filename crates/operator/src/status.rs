//! Health, metrics, and how far the stages are.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::server::Operator;

/// `GET /status`
pub async fn status(State(operator): State<Operator>) -> Result<Json<Value>, Problem> {
    let mut groups = Vec::new();
    for stage in operator.host.stages() {
        let lags = runtime::lag(&*operator.ports.log, &stage.group, &[&stage.topic]).await?;
        let lag: u64 = lags.iter().map(|lag| lag.records).sum();
        groups.push(json!({
            "group": stage.group, "topic": stage.topic, "lag": lag, "live": stage.live, "ready": stage.ready,
        }));
    }
    let open = crate::quarantine::open(&operator).await?;
    Ok(Json(json!({ "groups": groups, "counts": { "quarantined": open } })))
}

/// `GET /metrics`
pub async fn metrics(State(operator): State<Operator>) -> impl IntoResponse {
    // The depth of quarantine is in the tables; where they do not answer, the last one stands.
    let _counted = crate::quarantine::open(&operator).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], operator.host.metrics())
}

/// `GET /livez`: true while every loop turns.
pub async fn livez(State(operator): State<Operator>) -> impl IntoResponse {
    answer(operator.host.stages().iter().all(|stage| stage.live))
}

/// `GET /readyz`: true while every stage is assigned and not draining.
pub async fn readyz(State(operator): State<Operator>) -> impl IntoResponse {
    answer(operator.host.stages().iter().all(|stage| stage.ready))
}

/// `GET /startupz`: true once this process answers at all.
pub async fn startupz() -> impl IntoResponse {
    answer(true)
}

fn answer(good: bool) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
