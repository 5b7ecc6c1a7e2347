//! `dvss quarantine …`

use serde_json::json;

use super::{list, listed, print};
use crate::cli::{Quarantine, QuarantineRow, exit};
use crate::client::{Client, segment};

pub async fn run(client: &Client, command: Quarantine, json: bool) -> anyhow::Result<u8> {
    let answer = match command {
        Quarantine::List { stage, vendor, open, part } => {
            let status = open.then(|| "OPEN".to_owned());
            let filters = [("stage", stage), ("vendor", vendor), ("status", status)];
            let answer = list(client, "/quarantine", &filters, part).await?;
            return listed(&answer, json, print::quarantine);
        }
        Quarantine::Show(row) => client.get(&path(&row), &[]).await?,
        Quarantine::Release(row) => client.post(&format!("{}/release", path(&row)), &json!({})).await?,
        Quarantine::Discard { row, reason } => {
            client.post(&format!("{}/discard", path(&row)), &json!({ "reason": reason })).await?
        }
        Quarantine::Resume { vendor } => {
            let answer = client.post(&format!("/vendors/{}/resume", segment(&vendor)), &json!({})).await?;
            let printed = print::document(&answer, json, print::quarantine)?;
            for row in answer["failures"].as_array().into_iter().flatten() {
                let [stage, identity, code, message] =
                    ["stage", "identity", "code", "message"].map(|name| print::cell(&row[name]));
                print::say(&format!("not released: {stage} {identity}: {message} ({code})"));
            }
            let [released, failed] = ["released", "failed"].map(|name| print::cell(&answer[name]));
            print::say(&format!("{released} released, {failed} not"));
            return Ok(if answer["failed"] == 0 { printed } else { exit::FAILURE });
        }
    };
    print::document(&answer, json, print::quarantine)
}

fn path(row: &QuarantineRow) -> String {
    format!("/quarantine/{}/{}", segment(&row.stage), segment(&row.identity))
}
