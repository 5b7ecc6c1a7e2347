//! `dvss quarantine …`

use serde_json::json;

use super::print;
use crate::cli::{Quarantine, QuarantineRow, exit};
use crate::client::{Client, segment};

pub async fn run(client: &Client, command: Quarantine, json: bool) -> anyhow::Result<u8> {
    let answer = match command {
        Quarantine::List { stage, vendor } => {
            let filters = [("stage", stage), ("vendor", vendor)];
            let query: Vec<_> =
                filters.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
            client.get("/quarantine", &query).await?
        }
        Quarantine::Show(row) => client.get(&path(&row), &[]).await?,
        Quarantine::Release(row) => client.post(&format!("{}/release", path(&row)), &json!({})).await?,
        Quarantine::Discard { row, reason } => {
            client.post(&format!("{}/discard", path(&row)), &json!({ "reason": reason })).await?
        }
        Quarantine::Resume { vendor } => {
            let answer = client.post(&format!("/vendors/{}/resume", segment(&vendor)), &json!({})).await?;
            let printed = print::document(&answer, json, print::quarantine)?;
            let failed = answer["failed"].as_array().map_or(&[][..], Vec::as_slice);
            for row in failed {
                let [stage, identity, code, message] =
                    ["stage", "identity", "code", "message"].map(|name| print::cell(&row[name]));
                eprintln!("not released: {stage} {identity}: {message} ({code})");
            }
            return Ok(if failed.is_empty() { printed } else { exit::FAILURE });
        }
    };
    print::document(&answer, json, print::quarantine)
}

fn path(row: &QuarantineRow) -> String {
    format!("/quarantine/{}/{}", segment(&row.stage), segment(&row.identity))
}
