//! `dvss tail TOPIC`

use std::time::Duration;

use serde_json::Value;

use super::print;
use crate::cli::{Tail, exit};
use crate::client::{Client, segment};

/// How long to wait before asking again at the end of the topic.
const PAUSE: Duration = Duration::from_millis(500);

pub async fn run(client: &Client, options: &Tail, _json: bool) -> anyhow::Result<u8> {
    let path = format!("/topics/{}/records", segment(&options.topic));
    let start = if options.from_start { "start" } else { "end" };
    let mut cursor = String::from(start);
    // The end as it is at the first answer: what comes later is not asked for.
    let mut until = None;
    loop {
        let mut query = vec![("cursor", cursor)];
        query.extend(until.clone().map(|until| ("until", until)));
        let page = client.get(&path, &query).await?;
        let lines = page["records"].as_array().into_iter().flatten().map(|record| format!("{record}\n"));
        if !print::out(&lines.collect::<String>())? {
            return Ok(exit::SUCCESS);
        }
        cursor = page["next"].as_str().unwrap_or_default().to_owned();
        if options.until_end && until.is_none() {
            until = page["end"].as_str().map(str::to_owned);
        }
        if page["atEnd"] == Value::Bool(true) {
            if options.until_end {
                return Ok(exit::SUCCESS);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
