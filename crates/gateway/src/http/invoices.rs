//! Suppliers' own uploads of invoices: announced, put to a signed address, submitted. What becomes of them, the
//! operator decides.

use std::sync::Arc;

use ::invoices::door;
use ::invoices::intake::{Announced, Door as By};
use ::invoices::{Error, Job, JobId, store};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use contract::envelope::Refusal;
use contract::{Code, Fingerprint, VendorId};
use serde::Deserialize;
use serde_json::{Value, json};
use stores::vendors::{self, Vendor};

use super::problem::Problem;
use super::{Door, answer, body, panicked, refuse};

/// Longest announcement, in bytes.
const MAX_ANNOUNCEMENT: usize = 16 * 1_024;

/// Body of `POST /v1/invoices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Announce {
    vendor_id: Option<String>,
    file_name: String,
    content_type: String,
    content_length: u64,
    sha256: Option<String>,
}

/// `POST /v1/invoices`
pub async fn announce(State(door): State<Arc<Door>>, request: Request) -> Response {
    respond(door, request, async |door, parts, body| door.announce(parts, body).await).await
}

/// `POST /v1/invoices/{jobId}/submit`
pub async fn submit(State(door): State<Arc<Door>>, request: Request) -> Response {
    respond(door, request, async |door, parts, _| door.submit(parts).await).await
}

/// `GET /v1/invoices/{jobId}`
pub async fn show(State(door): State<Arc<Door>>, request: Request) -> Response {
    respond(door, request, async |door, parts, _| door.show(parts).await).await
}

/// `PUT /v1/uploads/{jobId}`: whoever has the signed address may, once.
pub async fn upload(State(door): State<Arc<Door>>, request: Request) -> Response {
    respond(door, request, async |door, parts, body| door.upload(parts, body).await).await
}

async fn respond(
    door: Arc<Door>,
    request: Request,
    act: impl AsyncFnOnce(&Door, &Parts, &mut Body) -> Result<Response, Problem>,
) -> Response {
    let (parts, mut body) = request.into_parts();
    match act(&door, &parts, &mut body).await {
        Ok(response) => response,
        Err(problem) => refuse(&door, &parts, body, problem).await,
    }
}

impl Door {
    async fn announce(&self, parts: &Parts, body: &mut Body) -> Result<Response, Problem> {
        let vendor = self.may(parts).await?;
        let _permit = self.admission.enter(&vendor, 1)?;
        let bytes = body::read(&parts.headers, body, MAX_ANNOUNCEMENT, self.options.body_timeout).await?;
        let said: Announce = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if said.vendor_id.as_deref().is_some_and(|named| named != vendor.vendor_id.as_str()) {
            let message =
                format!("the body names another vendor than the key does, which is {}'s", vendor.vendor_id);
            return Err(Refusal::new(Code::VendorMismatch, message).at("/vendorId").into());
        }
        let sha256 = said.sha256.as_deref();
        let sha256 = sha256
            .map(|text| Fingerprint::parse(text).ok_or_else(|| invalid("sha256 has 64 hexadecimal digits")));
        let file = Announced {
            vendor_id: vendor.vendor_id.clone(),
            file_name: said.file_name,
            content_type: said.content_type,
            content_length: said.content_length,
            sha256: sha256.transpose()?,
        };
        let actor = vendor.vendor_id.as_str();
        let (job, address) = self.invoices.announce(actor, &file, By::Store).await.map_err(problem)?;
        let mut shown = shown(&job);
        shown["upload"] = door::shown(&job, &address, &parts.headers, "/v1/uploads/");
        Ok(answer(StatusCode::CREATED, &shown))
    }

    async fn submit(&self, parts: &Parts) -> Result<Response, Problem> {
        let vendor = self.may(parts).await?;
        let job = self.own(parts, &vendor.vendor_id, 1).await?;
        let permit = self.admission.enter(&vendor, self.weight(&job))?;
        let (invoices, actor) = (self.invoices.clone(), vendor.vendor_id.clone());
        // A task of its own: a vendor who hangs up does not leave half of it.
        let done = tokio::spawn(async move {
            let _permit = permit;
            invoices.submit(actor.as_str(), job.job_id).await
        });
        let job = done.await.map_err(panicked)?.map_err(problem)?;
        Ok(answer(StatusCode::ACCEPTED, &shown(&job)))
    }

    async fn show(&self, parts: &Parts) -> Result<Response, Problem> {
        let vendor = self.may(parts).await?;
        let _permit = self.admission.enter(&vendor, 1)?;
        let job = self.own(parts, &vendor.vendor_id, 0).await?;
        Ok(answer(StatusCode::OK, &shown(&job)))
    }

    async fn upload(&self, parts: &Parts, body: &mut Body) -> Result<Response, Problem> {
        let presented =
            door::presented(parts.uri.query().unwrap_or_default(), &parts.headers).map_err(problem)?;
        let job = self.invoices.expects(job_id(parts, 0)?, presented).await.map_err(problem)?;
        // Nobody has shown a key, but the signature is somebody's: it is his share that is used.
        let vendor = vendors::get(&*self.ports.tables, &job.vendor_id).await;
        let vendor = vendor.map_err(|error| problem(Error::Unavailable(error.to_string())))?;
        let vendor = vendor.ok_or_else(|| problem(Error::NotFound(job.job_id.to_string())))?;
        let permit = self.admission.enter(&vendor, self.weight(&job))?;
        let limit = usize::try_from(job.file.length).unwrap_or(usize::MAX);
        let bytes = body::read(&parts.headers, body, limit, self.options.body_timeout).await?;
        let invoices = self.invoices.clone();
        let done = tokio::spawn(async move {
            let _permit = permit;
            invoices.receive(&job, bytes).await
        });
        done.await.map_err(panicked)?.map_err(problem)?;
        Ok(StatusCode::OK.into_response())
    }

    /// What a document counts as, in events: what is held in memory of it.
    fn weight(&self, job: &Job) -> u32 {
        let event = u64::try_from(self.options.max_body_bytes.max(1)).unwrap_or(u64::MAX);
        u32::try_from(job.file.length.div_ceil(event)).unwrap_or(u32::MAX)
    }

    /// The vendor, if it may ask for something now.
    async fn may(&self, parts: &Parts) -> Result<Arc<Vendor>, Problem> {
        let vendor = self.vendor(&parts.headers).await?;
        self.pay(&vendor)?;
        Ok(vendor)
    }

    /// A job of the vendor's own; of others' it learns nothing.
    async fn own(&self, parts: &Parts, vendor: &VendorId, behind: usize) -> Result<Job, Problem> {
        let id = job_id(parts, behind)?;
        let job = store::load(&*self.ports.tables, id).await.map_err(problem)?;
        let own = job.filter(|job| job.vendor_id == *vendor);
        own.ok_or_else(|| problem(Error::NotFound(id.to_string())))
    }
}

/// The job that a path names, `behind` segments before its end.
fn job_id(parts: &Parts, behind: usize) -> Result<JobId, Problem> {
    let segment = parts.uri.path().rsplit('/').nth(behind).unwrap_or_default();
    JobId::parse(segment).ok_or_else(|| problem(Error::NotFound(segment.chars().take(64).collect())))
}

fn shown(job: &Job) -> Value {
    json!({
        "jobId": job.job_id, "vendorId": job.vendor_id, "state": job.state, "createdAt": job.created_at,
        "updatedAt": job.updated_at, "fileName": job.file.name, "reason": job.reason,
    })
}

fn invalid(message: impl Into<String>) -> Problem {
    Refusal::new(Code::RequestInvalid, message).into()
}

fn problem(error: Error) -> Problem {
    Refusal::new(error.code(), error.to_string()).into()
}
