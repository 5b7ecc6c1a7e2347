//! `dvss tail TOPIC`

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::print;
use crate::cli::{Tail, exit};
use crate::client::{Client, segment};

/// How long to wait before asking again at the end of the topic.
const PAUSE: Duration = Duration::from_millis(500);

/// A page of records, each as the server wrote it: vendors' numbers are theirs to the last digit.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    records: Vec<Box<RawValue>>,
    next: String,
    end: Option<String>,
    at_end: bool,
}

pub async fn run(client: &Client, options: &Tail, _json: bool) -> anyhow::Result<u8> {
    let path = format!("/topics/{}/records", segment(&options.topic));
    let start = if options.from_start { "start" } else { "end" };
    let mut cursor = String::from(start);
    // The end as it is at the first answer: what comes later is not asked for.
    let mut until = None;
    loop {
        let mut query = vec![("cursor", cursor)];
        query.extend(until.clone().map(|until| ("until", until)));
        let page: Page = client.get_as(&path, &query).await?;
        let lines = page.records.iter().map(|record| one_line(record.get()) + "\n");
        if !print::out(&lines.collect::<String>())? {
            return Ok(exit::SUCCESS);
        }
        cursor = page.next;
        if options.until_end && until.is_none() {
            until = page.end;
        }
        if page.at_end {
            if options.until_end {
                return Ok(exit::SUCCESS);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// JSON text without the white space between its tokens, and so without line ends: those in strings are
/// escaped.
fn one_line(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let significant = |character: &char| {
        let kept = in_string || !character.is_ascii_whitespace();
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    json.chars().filter(significant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_nothing_of_it_changes() {
        for (json, line) in [
            ("{ \"a b\" :\n\t[ 1e400 , -0 ] }", "{\"a b\":[1e400,-0]}"),
            (r#"{"a": " \" \\" , "b": "\\"}"#, r#"{"a":" \" \\","b":"\\"}"#),
        ] {
            assert_eq!(one_line(json), line);
        }
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let page = r#"{"records":[{"value":{"n":0.1234567890123456789012345678,"m":1e400}}],"next":"x","end":"x","atEnd":true}"#;
        let page: Page = serde_json::from_str(page).expect("a page");
        assert_eq!(page.records[0].get(), r#"{"value":{"n":0.1234567890123456789012345678,"m":1e400}}"#);
    }
}
