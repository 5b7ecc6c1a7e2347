//! `dvss invoices …`

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use contract::{Fingerprint, VendorId};
use invoicing::Parsed;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{print, print_invoices as words};
use crate::cli::{InvoiceEdit, Invoices, exit};
use crate::client::{Client, segment};
use crate::config::Config;
use crate::parser::Sandboxed;

/// How often a job is looked at that is waited for, and for how long.
const LOOK: Duration = Duration::from_millis(200);
const LOOKS: u32 = 600;
/// Rows that the server gives at once.
const MOST_ROWS: u64 = 1_000;

pub async fn run(client: &Client, command: Invoices, json: bool) -> anyhow::Result<u8> {
    match command {
        Invoices::Upload { files, vendor, no_wait } => {
            let mut code = exit::SUCCESS;
            for file in &files {
                let brought = async {
                    let job = upload(client, file, &vendor).await?;
                    if no_wait { Ok(job) } else { settled(client, job, &["QUEUED", "PARSING"]).await }
                };
                // The others are brought all the same: whoever repeats the command would bring the first ones twice.
                let job = match brought.await {
                    Ok(job) => job,
                    Err(error) if files.len() == 1 => return Err(error),
                    Err(error) => {
                        print::say(&format!("dvss: {error:#}"));
                        code = exit::FAILURE;
                        continue;
                    }
                };
                if job["state"] == "FAILED" {
                    code = exit::FAILURE;
                }
                print::document(&job, json, words::job)?;
                for sibling in job["siblings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let sibling = client.get(&of(sibling, ""), &[]).await?;
                    print::document(&sibling, json, words::job)?;
                }
            }
            Ok(code)
        }
        Invoices::List { state, vendor, part } => {
            let mut query = vec![("limit", part.limit.min(MOST_ROWS).to_string())];
            query.extend(state.map(|state| ("state", state.to_uppercase())));
            query.extend(vendor.map(|vendor| ("vendor", vendor)));
            query.extend(part.cursor.map(|cursor| ("cursor", cursor)));
            let answer = client.get("/invoices", &query).await?;
            print::document(&answer, json, words::jobs)
        }
        Invoices::Show { job } => {
            let answer = client.get(&of(&job, ""), &[]).await?;
            print::document(&answer, json, words::job_in_full)
        }
        Invoices::Parse { file, templates } => parse(&file, &templates, json).await,
        Invoices::Edit(edit) => {
            let version = version(client, &edit.job, edit.version).await?;
            let job = client.at_version(Method::PATCH, &of(&edit.job, ""), version, &body(edit)).await?;
            print::document(&job, json, words::job_in_full)
        }
        Invoices::Apply { job, version, accept_all, no_wait } => {
            let mut version = self::version(client, &job, version).await?;
            if accept_all {
                let edit = json!({ "acceptAll": true, "acceptFlags": true });
                let edited = client.at_version(Method::PATCH, &of(&job, ""), version, &edit).await?;
                version = edited["version"].as_u64().unwrap_or(version);
            }
            let answer = client.at_version(Method::POST, &of(&job, "/apply"), version, &json!({})).await?;
            applied(client, answer, no_wait, json).await
        }
        Invoices::Reverse { job, reason, version, no_wait } => {
            let version = self::version(client, &job, version).await?;
            let body = json!({ "reason": reason });
            let answer = client.at_version(Method::POST, &of(&job, "/reverse"), version, &body).await?;
            applied(client, answer, no_wait, json).await
        }
    }
}

async fn applied(client: &Client, job: Value, no_wait: bool, json: bool) -> anyhow::Result<u8> {
    let job = if no_wait { job } else { settled(client, job, &["APPLYING"]).await? };
    print::document(&job, json, words::job)
}

pub fn of(job: &str, what: &str) -> String {
    format!("/invoices/{}{what}", segment(job))
}

/// The version that was named, else the newest.
async fn version(client: &Client, job: &str, named: Option<u64>) -> anyhow::Result<u64> {
    if let Some(version) = named {
        return Ok(version);
    }
    let job = client.get(&of(job, ""), &[]).await?;
    job["version"].as_u64().context("the server's answer names no version")
}

async fn upload(client: &Client, file: &Path, vendor: &VendorId) -> anyhow::Result<Value> {
    let bytes = tokio::fs::read(file).await.with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    bring(client, vendor.as_str(), &name, media_type(file), bytes)
        .await
        .with_context(|| format!("{} was not uploaded", file.display()))
}

/// Announces a document, puts it, and submits it.
pub async fn bring(
    client: &Client,
    vendor: &str,
    name: &str,
    media_type: &str,
    bytes: Vec<u8>,
) -> anyhow::Result<Value> {
    let announced = json!({
        "vendorId": vendor, "fileName": name, "contentType": media_type, "contentLength": bytes.len(),
        "sha256": Fingerprint::of_bytes(&bytes),
    });
    let job = client.post("/invoices", &announced).await?;
    client.send(&job["upload"], bytes).await?;
    let id = job["jobId"].as_str().context("the server's answer names no job")?;
    Ok(client.post(&of(id, "/submit"), &json!({})).await?)
}

/// What a file's name says about it; the reader looks at the bytes.
fn media_type(file: &Path) -> &'static str {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("pdf") => "application/pdf",
        Some("xml") => "application/xml",
        Some("csv") => "text/csv",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("edi" | "x12") => "application/edi-x12",
        Some("txt") => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Waits until a job has left these states.
pub async fn settled(client: &Client, mut job: Value, states: &[&str]) -> anyhow::Result<Value> {
    let id = job["jobId"].as_str().context("the server's answer names no job")?.to_owned();
    for _ in 0..LOOKS {
        let waits = job["state"].as_str().is_some_and(|state| states.contains(&state));
        if !waits {
            return Ok(job);
        }
        tokio::time::sleep(LOOK).await;
        job = client.get(&of(&id, ""), &[]).await?;
    }
    bail!("job {id} is still {}; `dvss invoices show {id}` shows why, and it goes on by itself", job["state"])
}

fn body(edit: InvoiceEdit) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    put("number", edit.number.map(Value::from));
    put("acceptFlags", edit.accept_flags.then_some(Value::Bool(true)));
    put("acceptAll", edit.accept_all.then_some(Value::Bool(true)));
    if let Some(line) = edit.line {
        let mut changes = Map::from_iter([("line".to_owned(), json!(line))]);
        let mut put =
            |name: &str, value: Option<Value>| changes.extend(value.map(|value| (name.to_owned(), value)));
        put("sku", edit.sku.map(Value::from));
        put("warehouseId", edit.warehouse.map(Value::from));
        put("quantity", edit.quantity.map(Value::from));
        put("accept", edit.accept.then_some(Value::Bool(true)));
        put("exclude", edit.exclude.map(Value::from));
        body.insert("lines".to_owned(), json!([changes]));
    }
    Value::Object(body)
}

/// Reads a file in a child process, as the worker does.
async fn parse(file: &Path, templates: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let bytes = tokio::fs::read(file).await.with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
    let sandboxed = Sandboxed::new(Config::default().parser, templates)?;
    match sandboxed.read(name, None, bytes.into()).await.parsed {
        Parsed::Read(reading) => {
            for invoice in &reading.invoices {
                print::document(&shown(&json!(invoice)), json, words::reading)?;
            }
            Ok(exit::SUCCESS)
        }
        Parsed::Refused(reason) | Parsed::Killed(reason) => {
            bail!("{} cannot be read as an invoice: {} ({})", file.display(), reason.message, reason.code)
        }
        Parsed::Unavailable(why) => bail!("the parser could not be started: {why}"),
    }
}

/// An invoice with null for each of the usual members that it lacks, so that whoever reads it need not ask.
fn shown(invoice: &Value) -> Value {
    let with = |value: &Value, members: &[&str]| {
        let mut shown = value.clone();
        if let Value::Object(there) = &mut shown {
            for member in members {
                there.entry(*member).or_insert(Value::Null);
            }
        }
        shown
    };
    let mut shown = with(invoice, &["number", "issueDate", "currency"]);
    for party in ["supplier", "buyer"] {
        shown[party] = with(&invoice[party], &["name", "id"]);
    }
    shown["totals"] = with(&invoice["totals"], &["net", "tax", "gross", "payable"]);
    let lines = invoice["lines"].as_array().into_iter().flatten();
    let usual = ["sku", "gtin", "description", "quantity", "unit", "unitPrice", "net"];
    shown["lines"] = lines.map(|line| with(line, &usual)).collect();
    shown
}
