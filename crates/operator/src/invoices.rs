//! Supplier invoices: uploaded, reviewed, applied, taken back.

use ::invoices::document::Document;
use ::invoices::door;
use ::invoices::edit::Edit;
use ::invoices::intake::{Announced, Door};
use ::invoices::store::Order;
use ::invoices::{Job, JobId, State as JobState, store};
use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::{Code, Fingerprint, Timestamp};
use ports::blobs::{Condition, Metadata};
use ports::tables::Cursor;
use serde::Deserialize;
use serde_json::{Value, json};
use stores::quarantine::ACTOR;

use crate::pages;
use crate::problem::Problem;
use crate::server::{Operator, to_the_end};
use crate::vendors::vendor_id;

/// Pixels across of a drawn page.
const PAGE_WIDTH: u32 = 1_200;
/// Most pages that are drawn of a document.
const MOST_PAGES: u32 = 200;

/// Body of `POST /invoices`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Announce {
    vendor_id: String,
    file_name: String,
    content_type: String,
    content_length: u64,
    sha256: Option<String>,
    /// True: the document shall come through this very address, not through the object store's.
    #[serde(default)]
    here: bool,
}

/// Query of `GET /invoices`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    state: Option<String>,
    vendor: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Body of a reversal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {
    reason: String,
}

/// `POST /invoices`
pub async fn announce(
    State(operator): State<Operator>,
    headers: HeaderMap,
    Json(body): Json<Announce>,
) -> Result<Response, Problem> {
    let sha256 = body.sha256.as_deref().map(|text| {
        Fingerprint::parse(text).ok_or_else(|| Problem::invalid("sha256 has 64 hexadecimal digits"))
    });
    let file = Announced {
        vendor_id: vendor_id(&body.vendor_id)?,
        file_name: body.file_name,
        content_type: body.content_type,
        content_length: body.content_length,
        sha256: sha256.transpose()?,
    };
    let known = stores::vendors::get(&*operator.ports.tables, &file.vendor_id).await?;
    if known.is_none() {
        let what = format!("vendor {}; `dvss vendors list` shows who there is", file.vendor_id);
        return Err(Problem::not_found(what));
    }
    let door = if body.here { Door::Own } else { Door::Store };
    let (job, address) = operator.invoices.announce(ACTOR, &file, door).await?;
    let mut shown = brief(&job);
    shown["upload"] = door::shown(&job, &address, &headers, "/api/v1/uploads/");
    Ok((StatusCode::CREATED, etag(&job), Json(shown)).into_response())
}

/// `PUT /uploads/{id}`: the signed upload, where the object store has no door of its own.
pub async fn upload(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let shown = door::presented(query.as_deref().unwrap_or_default(), &headers)?;
    let job = operator.invoices.expects(job_id(&id)?, shown).await?;
    let most = usize::try_from(job.file.length).unwrap_or(usize::MAX);
    let bytes =
        to_bytes(body, most).await.map_err(|error| Problem::new(Code::BodyIncomplete, error.to_string()))?;
    to_the_end(async move { Ok(operator.invoices.receive(&job, bytes).await?) }).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /invoices/{id}/submit`
pub async fn submit(State(operator): State<Operator>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = job_id(&id)?;
    let job = to_the_end(async move { Ok(operator.invoices.submit(ACTOR, id).await?) }).await?;
    Ok((StatusCode::ACCEPTED, etag(&job), Json(brief(&job))).into_response())
}

/// `GET /invoices`: the last changed first.
pub async fn list(
    State(operator): State<Operator>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Problem> {
    let limit = pages::limit(filter.limit)?;
    let state = filter.state.as_deref().map(|text| {
        JobState::parse(text).ok_or_else(|| Problem::invalid(format!("{text:?} is not a state of a job")))
    });
    let vendor = filter.vendor.as_deref().map(vendor_id).transpose()?;
    let wants = |job: &Job| vendor.as_ref().is_none_or(|vendor| *vendor == job.vendor_id);
    let of = format!(
        "{} {}",
        filter.state.as_deref().unwrap_or_default(),
        filter.vendor.as_deref().unwrap_or_default()
    );
    let after = pages::read(&of, filter.cursor.as_deref())?;
    let tables = &*operator.ports.tables;
    let (jobs, next) = match state.transpose()? {
        Some(state) => {
            let read = |after, most| store::in_state(tables, state, Order::NewestFirst(None), after, most);
            pages::page(limit, after, wants, read).await?
        }
        None => newest(&operator, limit, after, wants).await?,
    };
    let jobs: Vec<Value> = jobs.iter().map(brief).collect();
    Ok(Json(json!({ "jobs": jobs, "next": pages::write(&of, next) })))
}

/// A page of all jobs, whatever their state: the newest changes first. The cursor is a job's place among them. Where few
/// are wanted a page has fewer, and goes on where looking ended.
async fn newest(
    operator: &Operator,
    limit: usize,
    after: Option<Cursor>,
    wants: impl Fn(&Job) -> bool,
) -> Result<(Vec<Job>, Option<Cursor>), Problem> {
    let before = after.map(|Cursor(at)| Place::read(&at)).transpose()?;
    let order = Order::NewestFirst(before.map(|Place(at, _)| at));
    let (mut merged, mut looked_until): (Vec<Job>, Option<Place>) = (Vec::new(), None);
    for state in JobState::ALL {
        let (mut found, mut looked_at, mut cursor) = (0, 0, None);
        loop {
            let (jobs, next) =
                store::in_state(&*operator.ports.tables, state, order, cursor, limit + 1).await?;
            looked_at += limit + 1;
            let last = jobs.last().map(|job| Place(job.updated_at, JobId::LAST));
            let fits = |job: &Job| before.is_none_or(|before| Place::of(job) < before) && wants(job);
            let known = merged.len();
            merged.extend(jobs.into_iter().filter(fits));
            found += merged.len() - known;
            cursor = next;
            if cursor.is_none() || found > limit {
                break;
            }
            if looked_at >= pages::MOST_LOOKED_AT && last.is_some() {
                looked_until = looked_until.max(last);
                break;
            }
        }
    }
    // Behind that place there may be jobs that nobody has looked at.
    merged.retain(|job| looked_until.is_none_or(|until| Place::of(job) >= until));
    merged.sort_by_key(|job| std::cmp::Reverse(Place::of(job)));
    let more = merged.len() > limit;
    merged.truncate(limit);
    let next = if more { merged.last().map(Place::of) } else { looked_until };
    Ok((merged, next.map(|place| Cursor(place.write()))))
}

/// A job's place in the list of all: when it changed last, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Timestamp, JobId);

impl Place {
    fn of(job: &Job) -> Self {
        Self(job.updated_at, job.job_id)
    }

    fn write(self) -> String {
        format!("{}#{}", self.0, self.1)
    }

    fn read(text: &str) -> Result<Self, Problem> {
        let parts = text
            .split_once('#')
            .and_then(|(at, id)| Some(Self(Timestamp::parse(at).ok()?, JobId::parse(id)?)));
        parts.ok_or_else(|| Problem::invalid("this cursor is not of this list"))
    }
}

/// `GET /invoices/{id}`
pub async fn show(State(operator): State<Operator>, Path(id): Path<String>) -> Result<Response, Problem> {
    let job = store::get(&*operator.ports.tables, job_id(&id)?).await?;
    let shown = whole(&operator, &job).await?;
    Ok((etag(&job), Json(shown)).into_response())
}

/// `PATCH /invoices/{id}`
pub async fn edit(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    // Of an array, members would be told by their places.
    Json(edit): Json<serde_json::Map<String, Value>>,
) -> Result<Response, Problem> {
    let (id, version) = (job_id(&id)?, version(&headers)?);
    let edit: Edit = serde_json::from_value(Value::Object(edit)).map_err(Problem::invalid)?;
    to_the_end(async move {
        let job = operator.invoices.edit(ACTOR, id, version, &edit).await?;
        let shown = whole(&operator, &job).await?;
        Ok((etag(&job), Json(shown)).into_response())
    })
    .await
}

/// `POST /invoices/{id}/apply`
pub async fn apply(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (id, version) = (job_id(&id)?, version(&headers)?);
    let job = to_the_end(async move { Ok(operator.invoices.apply(ACTOR, id, version).await?) }).await?;
    Ok((StatusCode::ACCEPTED, etag(&job), Json(brief(&job))).into_response())
}

/// `POST /invoices/{id}/reverse`
pub async fn reverse(
    State(operator): State<Operator>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Reverse>,
) -> Result<Response, Problem> {
    let (id, version) = (job_id(&id)?, version(&headers)?);
    let job =
        to_the_end(async move { Ok(operator.invoices.reverse(ACTOR, id, version, &body.reason).await?) })
            .await?;
    Ok((StatusCode::ACCEPTED, etag(&job), Json(brief(&job))).into_response())
}

/// `GET /invoices/{id}/content`: the document as it was submitted, to be kept and never shown by a browser.
pub async fn content(State(operator): State<Operator>, Path(id): Path<String>) -> Result<Response, Problem> {
    let job = store::get(&*operator.ports.tables, job_id(&id)?).await?;
    let bytes = document_bytes(&operator, &job).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, bytes).into_response())
}

/// `GET /invoices/{id}/pages/{page}`: a page of a PDF, from 1, as a PNG; drawn once and kept.
pub async fn page(
    State(operator): State<Operator>,
    Path((id, page)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    if page == 0 || page > MOST_PAGES {
        return Err(Problem::not_found(format!("page {page}")));
    }
    let job = store::get(&*operator.ports.tables, job_id(&id)?).await?;
    let key = format!("parsed/{}/pages/{page}.png", job.document_of.unwrap_or(job.job_id));
    let drawn = match operator.ports.invoices.get(&key).await {
        Ok(object) => object.bytes,
        Err(ports::blobs::Error::NotFound) => {
            let document = document_bytes(&operator, &job).await?;
            let drawn = operator.host.draw(document, page, PAGE_WIDTH).await?;
            // Whoever drew it at the same time has kept it.
            let _kept =
                operator.ports.invoices.put(&key, drawn.clone(), Metadata::new(), Condition::Absent).await;
            drawn
        }
        Err(error) => return Err(error.into()),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, drawn).into_response())
}

async fn document_bytes(operator: &Operator, job: &Job) -> Result<Bytes, Problem> {
    let there = operator.invoices.bytes(job).await?;
    there.map_err(|reason| Problem::new(Code::InvoiceReplaced, reason.message))
}

/// Everything about a job.
async fn whole(operator: &Operator, job: &Job) -> Result<Value, Problem> {
    let mut shown = brief(job);
    shown["events"] = json!(store::events(&*operator.ports.tables, job.job_id).await?);
    shown["siblings"] = json!(operator.invoices.siblings(job).await?);
    shown["parked"] = json!(operator.invoices.parked(job).await?);
    if job.document.is_some() {
        let document = operator.invoices.document(job).await?;
        // Of what is booked already there is no "before" any more.
        if matches!(job.state, JobState::Review | JobState::Reversed) {
            shown["open"] = json!(document.open());
            shown["impact"] = impact(operator, &document).await?;
        }
        shown["document"] = json!(document);
    }
    Ok(shown)
}

/// Per line that is booked, stock before and after.
async fn impact(operator: &Operator, document: &Document) -> Result<Value, Problem> {
    let impacts = operator.invoices.impact(document).await?;
    let shown = document.lines().zip(impacts).filter_map(|((line, _), impact)| {
        let (delta, impact) = impact?;
        let mut shown = json!(impact);
        shown["line"] = json!(line.line);
        shown["delta"] = json!(delta);
        Some(shown)
    });
    Ok(shown.collect())
}

/// A job without its document.
pub fn brief(job: &Job) -> Value {
    json!({
        "jobId": job.job_id, "vendorId": job.vendor_id, "state": job.state, "version": job.version,
        "createdAt": job.created_at, "updatedAt": job.updated_at, "index": job.index, "documentOf": job.document_of,
        "file": {
            "name": job.file.name, "contentType": job.file.content_type, "length": job.file.length,
            "sha256": job.pinned.as_ref().map(|pinned| pinned.sha256).or(job.file.sha256),
            "versionId": job.pinned.as_ref().map(|pinned| &pinned.version_id),
        },
        "attempts": job.attempts, "reason": job.reason, "summary": job.summary, "plan": job.plan,
    })
}

fn etag(job: &Job) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(&format!("\"{}\"", job.version));
    [(header::ETAG, value.unwrap_or(HeaderValue::from_static("\"0\"")))]
}

/// The version that a request names in `If-Match`.
fn version(headers: &HeaderMap) -> Result<u64, Problem> {
    let missing = || {
        let what =
            "name the version that you looked at: `If-Match: \"VERSION\"`, as the ETag of GET gives it";
        Problem::new(Code::VersionRequired, what)
    };
    let text = headers.get(header::IF_MATCH).ok_or_else(missing)?.to_str().unwrap_or_default();
    let number = text.trim().trim_start_matches("W/").trim_matches('"');
    number.parse().map_err(|_| Problem::invalid(format!("If-Match {text:?} is not a job's version")))
}

fn job_id(text: &str) -> Result<JobId, Problem> {
    JobId::parse(text).ok_or_else(|| Problem::not_found(format!("invoice job {text:?}; a job id is a ULID")))
}
