//! A supplier's invoice, from the file to stock, and a second click.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::say;
use crate::client::{Client, Error};
use crate::commands::invoices::{bring, of, settled};

/// A Cross Industry Invoice of nobody's.
const DOCUMENT: &str = include_str!("invoice.xml");

/// Plays it, and returns the job as it then stands.
pub async fn play(client: &Client) -> anyhow::Result<Value> {
    let job = bring(client, "northwind", "invoice.xml", "application/xml", DOCUMENT.into()).await?;
    let job = settled(client, job, &["QUEUED", "PARSING"]).await?;
    say(&format!("an invoice, read in a process of its own: {}", state(&job)));
    let id = job["jobId"].as_str().context("the answer names no job")?.to_owned();
    ensure!(job["state"] == "REVIEW", "the demo's invoice was not read: {job}");
    let reviewed = client.get(&of(&id, ""), &[]).await?;
    let version = job["version"].as_u64().context("the answer names no version")?;
    let apply = async || client.at_version(Method::POST, &of(&id, "/apply"), version, &json!({})).await;
    apply().await?;
    match apply().await {
        Err(Error::Refused { status, code, .. }) => {
            say(&format!("a second click: {} {code}", status.as_u16()))
        }
        other => say(&format!("a second click: {other:?}")),
    }
    let mut applied = settled(client, client.get(&of(&id, ""), &[]).await?, &["APPLYING"]).await?;
    say(&format!("applied to stock: {}", state(&applied)));
    applied["impact"] = reviewed["impact"].clone();
    Ok(applied)
}

fn state(job: &Value) -> &str {
    job["state"].as_str().unwrap_or_default()
}
