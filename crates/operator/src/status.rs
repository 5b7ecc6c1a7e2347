//! Health, metrics, and how far the stages are.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use stores::topics::{INBOUND_GROUP, STAGES, inbound_topics};

use crate::problem::Problem;
use crate::server::Operator;

/// `GET /status`
pub async fn status(State(operator): State<Operator>) -> Result<Json<Value>, Problem> {
    let mut groups = Vec::new();
    let here = operator.host.stages();
    // Every stage of the installation, wherever it runs.
    let log = &*operator.ports.log;
    let inbound = inbound_topics(log).await?;
    let inbound = inbound.iter().map(|(topic, _)| (INBOUND_GROUP, topic.as_str()));
    for (group, topic) in inbound.chain(STAGES) {
        let lags = runtime::lag(log, group, &[topic]).await?;
        let lag: u64 = lags.iter().map(|lag| lag.records).sum();
        // How a stage of another process is, its own probes tell.
        let stage = here.iter().find(|stage| stage.group == group).map(|stage| (stage.live, stage.ready));
        let stage = stage.or_else(|| operator.host.inbound().filter(|_| group == INBOUND_GROUP));
        let (live, ready) = (stage.map(|(live, _)| live), stage.map(|(_, ready)| ready));
        groups.push(json!({ "group": group, "topic": topic, "lag": lag, "live": live, "ready": ready }));
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
    answer(operator.host.stages().iter().all(|stage| stage.live).then_some(()).ok_or("a loop stands still"))
}

/// `GET /readyz`: true while this process works, its servers answer, and every stage of it is assigned and not
/// draining.
pub async fn readyz(State(operator): State<Operator>) -> impl IntoResponse {
    let waits = operator.host.waits_for().or_else(|| operator.host.away());
    let stuck = || operator.host.stages().into_iter().find(|stage| !stage.ready).map(|stage| stage.group);
    answer(waits.or_else(|| stuck().map(|group| format!("{group} is not ready"))).map_or(Ok(()), Err))
}

/// `GET /startupz`: true once this process began to work.
pub async fn startupz(State(operator): State<Operator>) -> impl IntoResponse {
    answer(operator.host.waits_for().map_or(Ok(()), Err))
}

fn answer(good: Result<(), impl std::fmt::Display>) -> (StatusCode, String) {
    match good {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}
