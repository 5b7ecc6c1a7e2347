//! The HTTP door.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/events` | 202 accepted, 200 duplicate, else a problem |
//! | `POST /v1/events:batch` | 200 with one result an item; 503 only where nothing was taken |
//! | `GET /v1/events/{ingestId}` | what became of an event of the vendor's own |
//! | `POST /v1/invoices`, `PUT /v1/uploads/{jobId}`, `POST /v1/invoices/{jobId}/submit` | an invoice, in three steps |
//! | `GET /v1/invoices/{jobId}` | how far it is |
//!
//! Checks go from cheap to dear: credential, rate, room, head, body, content. Work on an event is a
//! task of its own, so that a vendor who hangs up does not leave half of it.
//!
//! What is no HTTP request, or has too large a head, is answered by the HTTP library, without a body.

mod batch;
mod body;
mod connections;
mod head;
mod invoices;
mod problem;
mod server;
mod status;

use std::sync::Arc;
use std::time::Duration;

use ::invoices::Invoices;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use contract::envelope::Refusal;
use contract::{Code, IngestId, Timestamp};
use ports::Ports;
use serde_json::{Value, json};
use stores::vendors::Vendor;

use crate::accept::{refused, too_fast};
use crate::admission::{Admission, Purse, TooFast};
use crate::decide::passes;
use crate::directory::{self, Directory};
use crate::{Acceptor, Options, Outcome, Submission};

use problem::Problem;
pub use server::serve;

/// What the handlers share.
#[derive(Clone)]
pub struct Door {
    pub acceptor: Acceptor,
    pub directory: Arc<Directory>,
    pub admission: Arc<Admission>,
    pub ports: Ports,
    pub options: Options,
    pub invoices: Invoices,
}

impl Door {
    async fn vendor(&self, headers: &HeaderMap) -> Result<Arc<Vendor>, Problem> {
        let mut credentials = headers.get_all(header::AUTHORIZATION).iter();
        let key = credentials.next().and_then(|value| directory::bearer(value.as_bytes()));
        // Of two credentials, neither counts.
        let key = key.filter(|_| credentials.next().is_none());
        Ok(self.directory.authenticate(key).await?)
    }

    fn pay(&self, vendor: &Vendor) -> Result<Purse, Problem> {
        self.admission.pay(vendor).map_err(|TooFast { retry_after }| {
            refused(vendor, Code::RateLimited);
            Problem::from(too_fast()).retry_after(retry_after)
        })
    }

    async fn one(&self, parts: &Parts, body: &mut Body) -> Result<Outcome, Problem> {
        let vendor = self.vendor(&parts.headers).await?;
        self.pay(&vendor)?;
        let permit = self.admission.enter(&vendor, 1)?;
        let form = head::form(&parts.headers).inspect_err(|refusal| refused(&vendor, refusal.code))?;
        let limit = self.options.max_body_bytes;
        let bytes = body::read(&parts.headers, body, limit, self.options.body_timeout)
            .await
            .inspect_err(|refusal| refused(&vendor, refusal.code))?;
        let submission = Submission { form, bytes, traceparent: head::traceparent(&parts.headers) };
        let acceptor = self.acceptor.clone();
        let work = tokio::spawn(async move {
            let _permit = permit;
            acceptor.accept(&vendor, submission).await
        });
        Ok(work.await.map_err(panicked)??)
    }

    /// The answer, and when what it refuses may be sent again.
    async fn many(&self, parts: &Parts, body: &mut Body) -> Result<(Value, Option<Duration>), Problem> {
        let vendor = self.vendor(&parts.headers).await?;
        let purse = self.pay(&vendor)?;
        let permit = self.admission.enter(&vendor, self.options.batch_weight())?;
        let kind = head::batch_kind(&parts.headers).inspect_err(|refusal| refused(&vendor, refusal.code))?;
        let limit = self.options.max_batch_bytes;
        let bytes = body::read(&parts.headers, body, limit, self.options.body_timeout)
            .await
            .inspect_err(|refusal| refused(&vendor, refusal.code))?;
        let items = batch::split(kind, &bytes, self.options.max_batch_items)
            .inspect_err(|refusal| refused(&vendor, refusal.code))?;
        if items.is_empty() {
            return Ok((json!({"results": []}), None));
        }
        let batch = batch::Batch {
            acceptor: self.acceptor.clone(),
            options: self.options.clone(),
            vendor: Arc::clone(&vendor),
            form: kind.form(),
            traceparent: head::traceparent(&parts.headers),
            purse,
        };
        let work = tokio::spawn(async move {
            let _permit = permit;
            batch.run(items).await
        });
        let results = work.await.map_err(panicked)?;
        let refusals = || results.iter().filter_map(|result| result.as_ref().err());
        let too_fast = refusals().filter(|refusal| refusal.code == Code::RateLimited).count();
        let wait = self.options.retry_after.max(self.admission.refill(&vendor, too_fast));
        let wait = refusals().any(|refusal| passes(refusal.code)).then_some(wait);
        Ok((batch::answer(results)?, wait))
    }

    async fn status(&self, parts: &Parts) -> Result<Value, Problem> {
        let vendor = self.vendor(&parts.headers).await?;
        self.pay(&vendor)?;
        let _permit = self.admission.enter(&vendor, 1)?;
        let id = parts.uri.path().rsplit('/').next().unwrap_or_default();
        let id = IngestId::parse(id).map_err(|error| Refusal::new(error.code, error.to_string()))?;
        let look = status::look(&self.ports, &vendor.vendor_id, id);
        match tokio::time::timeout(self.options.store_timeout, look).await {
            Ok(found) => Ok(found?),
            Err(_) => {
                Err(Refusal::new(Code::Unavailable, "the stores did not answer in time; ask again").into())
            }
        }
    }
}

/// The routes.
fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/events", post(post_event).fallback(only_post))
        .route("/v1/events:batch", post(post_batch).fallback(only_post))
        .route("/v1/events/{ingestId}", get(get_event).fallback(only_get))
        .route("/v1/invoices", post(invoices::announce).fallback(only_post))
        .route("/v1/invoices/{jobId}", get(invoices::show).fallback(only_get))
        .route("/v1/invoices/{jobId}/submit", post(invoices::submit).fallback(only_post))
        .route("/v1/uploads/{jobId}", put(invoices::upload).fallback(only_put))
        .fallback(nothing_there)
        .layer(middleware::from_fn(one_host))
        .with_state(door)
}

async fn post_event(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    match door.one(&parts, &mut body).await.and_then(receipt) {
        Ok((status, receipt)) => answer(status, &receipt),
        Err(problem) => refuse(&door, &parts, body, problem).await,
    }
}

async fn post_batch(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    match door.many(&parts, &mut body).await {
        Ok((results, wait)) => {
            let mut response = answer(StatusCode::OK, &results);
            if let Some(wait) = wait {
                response.headers_mut().insert(header::RETRY_AFTER, problem::retry_after(wait));
            }
            response
        }
        Err(problem) => refuse(&door, &parts, body, problem).await,
    }
}

async fn get_event(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match door.status(&parts).await {
        Ok(found) => answer(StatusCode::OK, &found),
        Err(problem) => refuse(&door, &parts, body, problem).await,
    }
}

/// Refuses what names no host, or two (RFC 9112, section 3.2): who stands before dvss may have taken it for
/// another request than dvss does.
async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11) {
        return next.run(request).await;
    }
    let message = format!("an HTTP/1.1 request has one Host header, this one has {hosts}");
    let (parts, mut body) = request.into_parts();
    drain(&parts, &mut body).await;
    Problem::from(Refusal::new(Code::RequestInvalid, message)).into_response()
}

async fn nothing_there() -> Response {
    Problem::from(Refusal::new(Code::NotFound, "there is nothing at this path")).into_response()
}

async fn only_post() -> Response {
    wrong_method("POST")
}

async fn only_put() -> Response {
    wrong_method("PUT")
}

async fn only_get() -> Response {
    wrong_method("GET")
}

fn wrong_method(allowed: &'static str) -> Response {
    let refusal = Refusal::new(Code::MethodNotAllowed, format!("this path takes {allowed} only"));
    let mut response = Problem::from(refusal).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

async fn refuse(door: &Door, parts: &Parts, mut body: Body, problem: Problem) -> Response {
    // Of one that does not send nothing comes.
    if !problem.ends_connection() {
        drain(parts, &mut body).await;
    }
    problem.retry_after_default(door.options.retry_after).into_response()
}

/// A client that is still sending would not read the answer, only see the connection break. One that waits
/// for `100 Continue` is not sending.
async fn drain(parts: &Parts, body: &mut Body) {
    if !parts.headers.contains_key(header::EXPECT) {
        body::drain(body).await;
    }
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let kind = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, kind, value.to_string()).into_response()
}

/// The status and body for an outcome; a conflict is a problem.
fn receipt(outcome: Outcome) -> Result<(StatusCode, Value), Problem> {
    let body = |id: IngestId, status: &str, at: Timestamp| json!({"ingestId": id, "status": status, "receivedAt": at});
    match outcome {
        Outcome::Accepted { ingest_id, received_at } => {
            Ok((StatusCode::ACCEPTED, body(ingest_id, "ACCEPTED", received_at)))
        }
        Outcome::Duplicate { ingest_id, received_at } => {
            Ok((StatusCode::OK, body(ingest_id, "DUPLICATE", received_at)))
        }
        Outcome::Conflict { winner } => {
            let message = "another payload has this id; the first one stays, send a new id for a new event";
            let refusal = Refusal::new(Code::Conflict, message);
            Err(Refusal { ingest_id: Some(winner), ..refusal }.into())
        }
    }
}

fn panicked(error: tokio::task::JoinError) -> Problem {
    tracing::error!("a defect: the work on a request ended without an outcome: {error}");
    Refusal::new(Code::Internal, "a defect of dvss; nothing is lost, send again").into()
}
