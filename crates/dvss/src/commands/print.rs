//! Text for people; `--json` prints the document itself.

use std::io::{ErrorKind, Write as _};

use serde_json::Value;

use crate::cli::exit;

/// Prints a document to stdout: as JSON, or in words; its warnings to stderr.
pub fn document(value: &Value, json: bool, words: impl Fn(&Value) -> String) -> anyhow::Result<u8> {
    out(&if json { format!("{value}\n") } else { words(value) })?;
    for warning in value["warnings"].as_array().into_iter().flatten() {
        say(&format!("warning: {}", cell(warning)));
    }
    Ok(exit::SUCCESS)
}

/// Writes data to stdout. False where nobody reads on, as behind `| head`: that is no failure.
pub fn out(text: &str) -> std::io::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says something beside the data, on stderr; a closed one is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A table with aligned columns; numbers to the right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let number = !cell.is_empty()
                && cell.chars().all(|letter| letter.is_ascii_digit() || "-.%".contains(letter));
            let padding = " ".repeat(width - cell.chars().count());
            text += &if number { format!("{padding}{cell}  ") } else { format!("{cell}{padding}  ") };
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A value in a table's cell. Control characters, and those that turn the direction of writing or show nothing, are
/// escaped: a vendor's text must not steer a terminal, nor whoever reads it.
pub fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    text.chars()
        .flat_map(|letter| if steers(letter) { letter.escape_default().collect() } else { vec![letter] })
        .collect()
}

/// Control characters and Bidi_Control (Unicode Standard Annex 9), and what is shown as nothing.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

pub fn columns(values: &Value, header: &[(&str, &str)]) -> String {
    let rows: Vec<Vec<String>> = values
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            header.iter().map(|(_, pointer)| row.pointer(pointer).map(cell).unwrap_or_default()).collect()
        })
        .collect();
    table(&header.iter().map(|(name, _)| *name).collect::<Vec<_>>(), &rows)
}

/// Vendors, or one that was just added.
pub fn vendors(answer: &Value) -> String {
    if let Some(key) = answer["key"].as_str() {
        let id = cell(&answer["vendorId"]);
        return format!("vendor {id}\nkey    {key}\n\nThe key is shown once; dvss keeps only its hash.\n");
    }
    let Some(vendors) = answer.get("vendors") else { return format!("{}\n", cell(&answer["vendorId"])) };
    let mut vendors = vendors.clone();
    for key in vendors.as_array_mut().into_iter().flatten().filter_map(|vendor| vendor["keys"].as_array_mut())
    {
        key.iter_mut().for_each(|key| *key = key["id"].take());
    }
    columns(
        &vendors,
        &[
            ("VENDOR", "/vendorId"),
            ("PLATFORM", "/platform"),
            ("KEYS", "/keys"),
            ("EVENTS/S", "/eventsPerSecond"),
            ("DISABLED", "/disabled"),
        ],
    )
}

/// Mappings, or one document.
pub fn mappings(answer: &Value) -> String {
    if let Some(text) = answer["document"].as_str() {
        return text.to_owned();
    }
    columns(
        &answer["mappings"],
        &[
            ("OWNER", "/owner"),
            ("EVENT TYPE", "/eventType"),
            ("VERSION", "/version"),
            ("STATUS", "/status"),
            ("ACTIVATION", "/activation"),
        ],
    )
}

/// What the golden cases gave.
pub fn mapping_tests(reports: &Value) -> String {
    let mut text = String::new();
    for report in reports.as_array().into_iter().flatten() {
        let failures = report["failures"].as_array().map_or(&[][..], Vec::as_slice);
        let verdict = if failures.is_empty() { "ok" } else { "FAILED" };
        text += &format!("{verdict:7} {:3} passed  {}\n", cell(&report["passed"]), cell(&report["document"]));
        for failure in failures {
            text +=
                &format!("        {}\n", failure.as_str().unwrap_or_default().replace('\n', "\n        "));
        }
    }
    text
}

/// Quarantine rows, or one.
pub fn quarantine(answer: &Value) -> String {
    match answer.get("rows") {
        Some(rows) => columns(
            rows,
            &[
                ("STAGE", "/stage"),
                ("IDENTITY", "/identity"),
                ("VENDOR", "/vendorId"),
                ("STATUS", "/status"),
                ("N", "/count"),
                ("CODE", "/code"),
                ("POINTER", "/pointer"),
                ("MESSAGE", "/message"),
            ],
        ),
        None => fields(answer),
    }
}

/// Divergences, or one with both sides.
pub fn divergences(answer: &Value) -> String {
    let Some(rows) = answer.get("rows") else { return fields(answer) };
    columns(
        rows,
        &[
            ("ID", "/id"),
            ("STATUS", "/status"),
            ("OCCURRED", "/occurredAt"),
            ("ENTITY", "/entity"),
            ("MESSAGE", "/message"),
        ],
    )
}

/// An event's divergences, folded where later revisions of a line found the same again.
fn folded(rows: &Value) -> Value {
    let mut folded: Vec<Value> = Vec::new();
    for row in rows.as_array().into_iter().flatten() {
        let same = |other: &&mut Value| {
            ["kind", "line", "leg", "status", "message"].iter().all(|name| other[*name] == row[*name])
        };
        match folded.iter_mut().find(same).map(|first| &mut first["revision"]) {
            Some(Value::Array(revisions)) => revisions.push(row["revision"].clone()),
            _ => {
                let mut first = row.clone();
                first["revision"] = Value::Array(vec![row["revision"].clone()]);
                folded.push(first);
            }
        }
    }
    Value::Array(folded)
}

/// Where an event went.
pub fn explain(answer: &Value) -> String {
    let mut text = String::new();
    for name in ["ingestId", "vendorId", "externalEventId", "eventType", "occurredAt", "receivedAt", "status"]
    {
        text += &format!("{name:16} {}\n", cell(&answer[name]));
    }
    if let Some(winner) = answer["winner"].as_str() {
        text += &format!("{:16} {winner} has the id; `dvss explain {winner}`\n", "winner");
    }
    let raw = &answer["raw"];
    text += &format!(
        "{:16} {}/{}\n{:16} sha256 {}\n",
        "raw object",
        cell(&raw["bucket"]),
        cell(&raw["key"]),
        "",
        cell(&raw["sha256"])
    );
    if let Some(key) = answer["normalized"]["key"].as_str() {
        text += &format!("{:16} {}/{key}\n", "normalized", cell(&answer["normalized"]["bucket"]));
    }
    let count = answer["facts"].as_array().map_or(0, Vec::len);
    text += &format!("\n{count} fact(s)\n");
    if count > 0 {
        text += &columns(
            &answer["facts"],
            &[
                ("LINE", "/line"),
                ("LEG", "/leg"),
                ("REV", "/revision"),
                ("OUTCOME", "/outcome"),
                ("TYPE", "/eventType"),
                ("ENTITY", "/entity"),
                ("TOPIC", "/published/topic"),
                ("PARTITION", "/published/partition"),
                ("OFFSET", "/published/offset"),
                ("DATA", "/data"),
            ],
        );
    }
    let mut answer = answer.clone();
    answer["divergence"] = folded(&answer["divergence"]);
    for (name, header) in [
        (
            "quarantine",
            &[
                ("STAGE", "/stage"),
                ("CODE", "/code"),
                ("POINTER", "/pointer"),
                ("STATUS", "/status"),
                ("REASON", "/reason"),
                ("MESSAGE", "/message"),
            ][..],
        ),
        (
            "divergence",
            &[
                ("KIND", "/kind"),
                ("LINE", "/line"),
                ("LEG", "/leg"),
                ("REV", "/revision"),
                ("STATUS", "/status"),
                ("MESSAGE", "/message"),
            ][..],
        ),
        ("repeats", &[("INGEST ID", "/ingestId"), ("RECEIVED", "/receivedAt")][..]),
        (
            "conflicts",
            &[("INGEST ID", "/ingestId"), ("FINGERPRINT", "/fingerprint"), ("KEPT AT", "/raw/key")][..],
        ),
    ] {
        if answer[name].as_array().is_some_and(|rows| !rows.is_empty()) {
            text += &format!("\n{name}\n{}", columns(&answer[name], header));
        }
    }
    text
}

/// An entity's facts and state.
pub fn history(answer: &Value) -> String {
    let mut text = format!("{}\n", cell(&answer["entity"]));
    text += &columns(
        &answer["facts"],
        &[
            ("OCCURRED", "/occurredAt"),
            ("TYPE", "/eventType"),
            ("INGEST ID", "/ingestId"),
            ("LINE", "/line"),
            ("REV", "/revision"),
            ("OUTCOME", "/outcome"),
            ("OFFSET", "/published/offset"),
            ("DATA", "/data"),
        ],
    );
    if answer["complete"] == false {
        let count = answer["facts"].as_array().map_or(0, Vec::len);
        text += &format!("the latest {count} facts; the oldest are left out\n");
    }
    text + "\nstate\n" + &fields(&answer["state"])
}

/// The books.
pub fn reconcile(answer: &Value) -> String {
    let mut vendors = answer["vendors"].clone();
    for vendor in vendors.as_array_mut().into_iter().flatten() {
        if vendor["missing"].as_array().is_some_and(Vec::is_empty) {
            vendor["missing"] = Value::from(0);
        }
    }
    let mut text = columns(
        &vendors,
        &[
            ("VENDOR", "/vendorId"),
            ("ACCEPTED", "/accepted"),
            ("PUBLISHED", "/published"),
            ("DUPLICATE", "/duplicate"),
            ("CONFLICT", "/conflict"),
            ("QUARANTINED", "/quarantined"),
            ("IN FLIGHT", "/inFlight"),
            ("MISSING", "/missing"),
            ("REFUSED", "/refused"),
            ("FACTS", "/facts"),
            ("REPEATS", "/repeats"),
        ],
    );
    let repaired = answer["repaired"].as_array().map_or(&[][..], Vec::as_slice);
    for line in repaired {
        text += &format!("\n{}", cell(line));
    }
    if !repaired.is_empty() {
        text += "\nThe books above are those from before the repair.\n";
    }
    let orphans = answer["orphans"].as_array().map_or(0, Vec::len);
    if orphans > 0 && repaired.is_empty() {
        text +=
            &format!("\n{orphans} raw object(s) without a record; `dvss reconcile --repair` produces them\n");
    }
    for key in answer["damaged"].as_array().into_iter().flatten() {
        text += &format!("\nThe normalized object {} is damaged\n", cell(key));
    }
    let verdict = if answer["balanced"] == Value::Bool(true) { "balanced" } else { "NOT BALANCED" };
    text + &format!("\nThe books are {verdict}.\n")
}

/// Groups and lag.
pub fn status(answer: &Value) -> String {
    let groups = columns(
        &answer["groups"],
        &[("GROUP", "/group"), ("TOPIC", "/topic"), ("LAG", "/lag"), ("READY", "/ready")],
    );
    format!("{groups}\n{}", fields(&answer["counts"]))
}

fn fields(value: &Value) -> String {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name:20} {}\n", cell(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_later_revisions_find_again_is_one_line() {
        let row = |revision: u32, line: u32, message: &str| json!({"kind": "SCHEMA_DRIFT", "line": line, "leg": 0, "revision": revision, "status": "open", "message": message});
        let rows = json!([row(1, 0, "x"), row(3, 0, "x"), row(1, 1, "x"), row(3, 0, "y")]);
        let text = explain(&json!({ "divergence": rows }));
        let lines: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("SCHEMA_DRIFT"))
            .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["0 0 1 3 open x", "1 0 1 open x", "0 0 3 open y"]);
    }

    #[test]
    fn a_history_says_what_it_leaves_out() {
        let mut answer = json!({ "entity": "acme|w|A||", "facts": [{}, {}], "complete": true, "state": {} });
        assert!(!history(&answer).contains("left out"));
        answer["complete"] = json!(false);
        assert!(history(&answer).contains("the latest 2 facts; the oldest are left out"));
    }

    #[test]
    fn keys_are_shown_as_what_people_call_them() {
        let keys = json!([{"id": "0a1b2c", "createdAt": "t"}, {"id": "3d4e5f", "createdAt": "t"}]);
        let text = vendors(&json!({"vendors": [{"vendorId": "acme", "keys": keys}]}));
        assert!(text.contains("0a1b2c 3d4e5f") && !text.contains('{'), "{text}");
    }
}
