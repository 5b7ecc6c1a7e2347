//! The page at `/invoices`: jobs, the last changed first, and a place to drop a document.

use ::invoices::job::{Reason, Summary};
use ::invoices::{JobId, State as JobState};
use askama::Template;
use axum::Json;
use axum::extract::{Query, State};
use axum::response::Response;
use contract::{Code, Timestamp, VendorId};
use readers::invoice::Kind;
use serde::Deserialize;
use serde_json::json;
use stores::vendors;

use super::{NoPage, render, time, word};
use crate::invoices as api;
use crate::problem::Problem;
use crate::server::Operator;

/// Most vendors that are offered for choice; beyond that one types the id.
const MOST_VENDORS: usize = 1_000;

/// What a page of the list asks for; a form sends what nobody filled in, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    vendor: String,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    here: &'static str,
    asked: Asked,
    states: Vec<(&'static str, &'static str)>,
    vendors: Vec<VendorId>,
    all_vendors: bool,
    rows: Vec<Row>,
    busy: bool,
    next: Option<String>,
    most_bytes: u64,
}

/// A job as the API lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    job_id: JobId,
    vendor_id: VendorId,
    state: JobState,
    updated_at: Timestamp,
    file: File,
    summary: Option<Summary>,
    reason: Option<Reason>,
}

#[derive(Debug, Deserialize)]
struct File {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    jobs: Vec<Listed>,
    next: Option<String>,
}

/// A job as the page lists it.
struct Row {
    job_id: JobId,
    name: String,
    file: String,
    supplier: String,
    vendor: VendorId,
    credit: bool,
    issued: String,
    gross: String,
    lines: String,
    open: usize,
    flags: usize,
    state: JobState,
    word: &'static str,
    reason: Option<String>,
    changed: String,
    changed_at: Timestamp,
}

/// `GET /invoices`
pub(super) async fn page(
    State(operator): State<Operator>,
    Query(asked): Query<Asked>,
) -> Result<Response, NoPage> {
    let (vendors, more) = vendors::list(&*operator.ports.tables, None, MOST_VENDORS).await?;
    let mut vendors: Vec<VendorId> = vendors.into_iter().map(|vendor| vendor.vendor_id).collect();
    vendors.sort();
    let most_bytes = operator.invoices.options.max_document_bytes;
    let page = listed(&operator, &asked).await?;
    let busy = page.jobs.iter().any(|job| job.state.is_in_motion() && job.state != JobState::AwaitingUpload);
    Ok(render(&List {
        here: "invoices",
        states: JobState::ALL.into_iter().map(|state| (state.as_str(), word(state))).collect(),
        all_vendors: more.is_none(),
        vendors,
        rows: page.jobs.into_iter().map(row).collect(),
        busy,
        next: page.next,
        most_bytes,
        asked,
    }))
}

/// The very list that the API gives: a person and a program see the same jobs in the same order.
async fn listed(operator: &Operator, asked: &Asked) -> Result<Page, Problem> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter =
        json!({ "state": given(&asked.state), "vendor": given(&asked.vendor), "cursor": asked.cursor });
    let damaged =
        |error: serde_json::Error| Problem::new(Code::Internal, format!("the list of jobs: {error}"));
    let filter = serde_json::from_value(filter).map_err(damaged)?;
    let Json(listed) = api::list(State(operator.clone()), Query(filter)).await?;
    serde_json::from_value(listed).map_err(damaged)
}

fn row(job: Listed) -> Row {
    let summary = job.summary.as_ref();
    let text = |of: fn(&Summary) -> Option<&String>| summary.and_then(of).cloned().unwrap_or_default();
    let number = text(|summary| summary.number.as_ref());
    let gross = text(|summary| summary.gross.as_ref());
    let currency = text(|summary| summary.currency.as_ref());
    Row {
        job_id: job.job_id,
        name: if number.trim().is_empty() { job.file.name.clone() } else { number },
        file: job.file.name,
        supplier: text(|summary| summary.supplier.as_ref()),
        vendor: job.vendor_id,
        credit: summary.is_some_and(|summary| summary.kind == Kind::CreditNote),
        issued: text(|summary| summary.issue_date.as_ref()),
        gross: if gross.is_empty() { gross } else { format!("{gross} {currency}") },
        lines: summary.map(|summary| summary.lines.to_string()).unwrap_or_default(),
        open: summary.map_or(0, |summary| summary.open),
        flags: summary.map_or(0, |summary| summary.flags),
        state: job.state,
        word: word(job.state),
        reason: job.reason.filter(|_| job.state == JobState::Failed).map(|reason| reason.message),
        changed: time(job.updated_at),
        changed_at: job.updated_at,
    }
}
