//! `dvss divergences …`

use serde_json::json;

use super::{list, listed, print};
use crate::cli::{Divergences, Verdict};
use crate::client::{Client, segment};

pub async fn run(client: &Client, command: Divergences, json: bool) -> anyhow::Result<u8> {
    let judge = async |verdict: Verdict, verb: &str| {
        let path = format!("/divergences/{}/{verb}", segment(&verdict.id));
        client.post(&path, &json!({ "reason": verdict.reason })).await
    };
    let answer = match command {
        Divergences::List { entity, vendor, open, part } => {
            let status = open.then(|| "open".to_owned());
            let filters = [("entity", entity), ("vendor", vendor), ("status", status)];
            let answer = list(client, "/divergences", &filters, part).await?;
            return listed(&answer, json, print::divergences);
        }
        Divergences::Show { id } => client.get(&format!("/divergences/{}", segment(&id)), &[]).await?,
        Divergences::Accept(verdict) => judge(verdict, "accept").await?,
        Divergences::Resolve(verdict) => judge(verdict, "resolve").await?,
    };
    print::document(&answer, json, print::divergences)
}
