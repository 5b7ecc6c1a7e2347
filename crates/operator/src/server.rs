//! Routes, and what handlers share.

use std::net::IpAddr;
use std::sync::Arc;

use ::invoices::Invoices;
use async_trait::async_trait;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use bytes::Bytes;
use contract::Code;
use ports::Ports;
use serde::Serialize;
use stores::codec::Codec;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::problem::{self, Problem};
use crate::{
    console, divergences, entities, events, guard, invoices as jobs, mappings, quarantine, reconcile, status,
    topics, vendors,
};

/// A stage, as operators see it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageHealth {
    /// The consumer group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
    /// Its loop turns.
    pub live: bool,
    /// It is assigned, its stores answer, and it is not draining.
    pub ready: bool,
}

/// What the process around the operator API knows and can do.
#[async_trait]
pub trait Host: Send + Sync {
    /// Every stage of this process.
    fn stages(&self) -> Vec<StageHealth>;
    /// Whether the loop of this process' Kafka door turns, and whether it is assigned; `None` where it has none.
    /// Not one of [`Host::stages`]: the HTTP door of the same process serves on without it.
    fn inbound(&self) -> Option<(bool, bool)> {
        None
    }
    /// What the process still waits for before it begins to work; `None` where it works.
    fn waits_for(&self) -> Option<String> {
        None
    }
    /// Which of the servers does not answer just now; `None` where all of them do.
    fn away(&self) -> Option<String> {
        None
    }
    /// Prometheus text of this process' metrics.
    fn metrics(&self) -> String;
    /// One page of a PDF as a PNG of so many pixels across, drawn apart from everything else.
    async fn draw(&self, _document: Bytes, _page: u32, _width: u32) -> Result<Bytes, Problem> {
        Err(Problem::new(Code::Unavailable, "this process draws no pages"))
    }
    /// Folds all facts of an entity anew; an error says why it could not.
    async fn recompute(&self, entity: &str) -> Result<(), Problem>;
}

/// What handlers share.
#[derive(Clone)]
pub struct Operator {
    /// The stores and the log.
    pub ports: Ports,
    /// Reads public records.
    pub codec: Arc<Codec>,
    /// Supplier invoices.
    pub invoices: Invoices,
    /// The process around.
    pub host: Arc<dyn Host>,
    /// Whoever draws up the books has it: what they take in memory is taken once at a time.
    pub(crate) books: Arc<Mutex<()>>,
}

impl Operator {
    /// An operator API on these ports.
    pub fn new(ports: Ports, host: Arc<dyn Host>) -> Self {
        let codec = Arc::new(Codec::new(ports.schemas.clone()));
        let invoices =
            Invoices::new(ports.clone(), invoices::Options::default(), invoices::drawn_by_the_machine());
        Self { ports, codec, invoices, host, books: Arc::default() }
    }

    /// The same, with these settings of invoices.
    pub fn with_invoices(self, options: invoices::Options) -> Self {
        let invoices = Invoices::new(self.ports.clone(), options, invoices::drawn_by_the_machine());
        Self { invoices, ..self }
    }

    /// Every route, as served at this address ([`guard`]).
    pub fn router(self, listens: IpAddr) -> Router {
        let api = Router::new()
            .route("/vendors", get(vendors::list).post(vendors::add))
            .route("/vendors/{id}", post(vendors::set))
            .route("/vendors/{id}/rotate", post(vendors::rotate))
            .route("/vendors/{id}/revoke", post(vendors::revoke))
            .route("/vendors/{id}/disable", post(vendors::disable))
            .route("/vendors/{id}/enable", post(vendors::enable))
            .route("/vendors/{id}/resume", post(quarantine::resume))
            .route("/mappings", get(mappings::list).post(mappings::put))
            .route("/mappings/{owner}/{event_type}/{version}", get(mappings::show))
            .route("/mappings/{owner}/{event_type}/{version}/activate", post(mappings::activate))
            .route("/mappings/{owner}/{event_type}/{version}/retire", post(mappings::retire))
            .route("/events/{id}", get(events::explain))
            .route("/entities/{entity}", get(entities::history))
            .route("/entities/{entity}/recompute", post(entities::recompute))
            .route("/topics/{topic}/records", get(topics::records))
            .route("/quarantine", get(quarantine::list))
            .route("/quarantine/{stage}/{identity}", get(quarantine::show))
            .route("/quarantine/{stage}/{identity}/release", post(quarantine::release))
            .route("/quarantine/{stage}/{identity}/discard", post(quarantine::discard))
            .route("/divergences", get(divergences::list))
            .route("/divergences/{id}", get(divergences::show))
            .route("/divergences/{id}/accept", post(divergences::accept))
            .route("/divergences/{id}/resolve", post(divergences::resolve))
            .route("/invoices", get(jobs::list).post(jobs::announce))
            .route("/invoices/{id}", get(jobs::show).patch(jobs::edit))
            .route("/invoices/{id}/submit", post(jobs::submit))
            .route("/invoices/{id}/apply", post(jobs::apply))
            .route("/invoices/{id}/reverse", post(jobs::reverse))
            .route("/invoices/{id}/content", get(jobs::content))
            .route("/invoices/{id}/pages/{page}", get(jobs::page))
            .route("/uploads/{id}", put(jobs::upload))
            .route("/reconcile", get(reconcile::report))
            .route("/reconcile/repair", post(reconcile::repair))
            .route("/status", get(status::status))
            .route("/openapi.json", get(openapi));
        Router::new()
            .nest("/api/v1", api.layer(from_fn_with_state(listens, guard::check)))
            .route("/metrics", get(status::metrics))
            .fallback(async || Problem::not_found("such path; see /api/v1/openapi.json"))
            .layer(from_fn(problem::only))
            .merge(console::routes(listens))
            .merge(probes())
            .with_state(self)
    }

    /// What a role that runs alone serves: metrics and probes, and nothing that changes anything.
    pub fn probes(self) -> Router {
        Router::new()
            .route("/metrics", get(status::metrics))
            .fallback(async || {
                Problem::not_found("such path; this port has /metrics, /livez, /readyz and /startupz")
            })
            .layer(from_fn(problem::only))
            .merge(probes())
            .with_state(self)
    }

    /// Serves [`Operator::probes`] until `shutdown`.
    pub async fn serve_probes(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.probes())
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
    }

    /// Serves until `shutdown`, then lets running requests end.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "the operator API has no accounts, and whoever reaches this address operates dvss: listen on \
                 loopback, with an authenticating proxy before it"
            );
        }
        axum::serve(listener, self.router(address.ip()))
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
    }
}

/// What probes ask answers in a few words, and is none of the API's.
fn probes() -> Router<Operator> {
    Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/startupz", get(status::startupz))
}

/// Does a deed of several steps to its end, even where whoever asked hangs up: their request is dropped then,
/// and with it whatever runs in it.
pub async fn to_the_end<T: Send + 'static>(
    deed: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let ended = tokio::spawn(deed).await;
    ended.unwrap_or_else(|error| {
        Err(Problem::new(Code::Internal, format!("it was not done to its end: {error}")))
    })
}

/// The API's own description, OpenAPI 3.1.
async fn openapi() -> impl IntoResponse {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_route_is_in_the_openapi_document_and_the_other_way_round() {
        let routes = include_str!("server.rs");
        let api = routes
            .split("let api = Router::new()")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .expect("routes");
        let mut routed: Vec<&str> =
            api.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let document: serde_json::Value = serde_json::from_str(include_str!("openapi.json")).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let mut described: Vec<&str> = paths.keys().map(String::as_str).collect();
        routed.sort_unstable();
        described.sort_unstable();
        assert_eq!(routed, described);
        for (path, methods) in paths {
            let route = api
                .split(&format!("\"{path}\""))
                .nth(1)
                .and_then(|rest| rest.split(".route(").next())
                .expect("route");
            for method in methods.as_object().expect("methods").keys() {
                assert!(route.contains(&format!("{method}(")), "{method} {path}");
            }
        }
    }
}
