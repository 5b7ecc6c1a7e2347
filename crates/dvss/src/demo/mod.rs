//! `dvss demo`: the whole thing in a temporary directory, with sample traffic and a tour of what came out.

mod invoice;
mod traffic;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use contract::Timestamp;
use ports::Clock as _;
use serde_json::{Value, json};

use crate::cli::{Demo, exit};
use crate::client::{Client, segment};
use crate::commands::{print, print_invoices};
use crate::config::Config;
use crate::up::{self, Running};
use traffic::{Sent, VENDORS};

/// How long the pipeline may take to work everything off.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the demo.
pub async fn run(options: Demo, json: bool) -> anyhow::Result<u8> {
    let mut config = Config::load(&options.place)?;
    let temporary = tempfile::tempdir().context("cannot make a temporary directory")?;
    if options.place.data.is_none() {
        config.data = temporary.path().to_owned();
    }
    // A demo must not fail because another dvss runs here; who names an address gets that one.
    if options.place.listen.is_none() {
        config.listen.set_port(0);
    }
    if options.place.operator_listen.is_none() {
        config.operator_listen.set_port(0);
    }
    let running = up::start(&config, up::Roles::all(&config), "error").await?;
    let vendors = running.gateway.context("a demo has a vendors' door")?;
    let code = tour(&running, vendors, json).await?;
    if options.exit {
        running.stop().await?;
        return Ok(code);
    }
    say(&format!(
        "\nStill up: vendors at http://{vendors}, operators at http://{}. Ctrl-C leaves.",
        running.operator
    ));
    running.wait().await?;
    Ok(code)
}

async fn tour(running: &Running, vendors: SocketAddr, json: bool) -> anyhow::Result<u8> {
    say(&format!("dvss is up: vendors at http://{vendors}, operators at http://{}", running.operator));
    let client = Client::new(&format!("http://{}", running.operator));
    let mut keys = BTreeMap::new();
    for (vendor, platform) in VENDORS {
        let answer = client.post("/vendors", &json!({ "vendorId": vendor, "platform": platform })).await?;
        let key = answer["key"].as_str().context("no key in the answer")?.to_owned();
        say(&format!("vendor {vendor} speaks {platform}"));
        keys.insert(vendor, key);
    }
    let now = embedded::SystemClock.now();
    let sent = send(vendors, &keys, now).await?;
    let invoice = invoice::play(&client).await?;
    let report = settle(&client).await?;
    let chosen = sent.iter().find(|sent| sent.show).context("no sample is marked to be shown")?;
    let explained = client.get(&format!("/events/{}", segment(&chosen.ingest_id)), &[]).await?;
    let parked = client.get("/quarantine", &[]).await?;
    let vendors = summary(&sent, &report);
    let balanced = report["balanced"] == Value::Bool(true);
    let document = json!({
        "vendors": vendors, "explain": explained, "quarantine": parked, "invoice": invoice, "reconcile": report, "balanced": balanced,
    });
    print::document(&document, json, words)?;
    Ok(verdict(&report))
}

/// The exit code: events that are still in flight after all that patience are no balance, though the books say
/// where they are.
fn verdict(report: &Value) -> u8 {
    let ends_well = report["balanced"] == Value::Bool(true) && in_flight(report) == 0;
    if ends_well { exit::SUCCESS } else { exit::UNBALANCED }
}

fn in_flight(report: &Value) -> u64 {
    report["vendors"].as_array().into_iter().flatten().filter_map(|vendor| vendor["inFlight"].as_u64()).sum()
}

async fn send(
    vendors: SocketAddr,
    keys: &BTreeMap<&str, String>,
    now: Timestamp,
) -> anyhow::Result<Vec<Sent>> {
    let samples = traffic::samples(now);
    let http = reqwest::Client::new();
    let total = samples.len();
    let mut sent = Vec::with_capacity(total);
    for (index, sample) in samples.into_iter().enumerate() {
        let request = http
            .post(format!("http://{vendors}/v1/events"))
            .bearer_auth(&keys[sample.vendor])
            .header("content-type", "application/json")
            .body(sample.body.to_string());
        let answer = request.send().await.context("the vendors' door does not answer")?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.context("the vendors' door did not answer with JSON")?;
        if let Some(story) = sample.story {
            let word = body["status"].as_str().or(body["code"].as_str()).unwrap_or_default();
            say(&format!("[{:3}/{total}] {story}: {status} {word}", index + 1));
        }
        let ingest_id = body["ingestId"].as_str().unwrap_or_default().to_owned();
        sent.push(Sent { vendor: sample.vendor, status, ingest_id, show: sample.show });
    }
    Ok(sent)
}

/// Waits until nothing is in flight, and returns the books.
async fn settle(client: &Client) -> anyhow::Result<Value> {
    let begun = tokio::time::Instant::now();
    loop {
        let report = client.get("/reconcile", &[]).await?;
        let moving = in_flight(&report);
        if moving == 0 {
            // The facts are counted before the events are classed, and some may have come out in between.
            return Ok(client.get("/reconcile", &[]).await?);
        }
        if begun.elapsed() > PATIENCE {
            return Ok(report);
        }
        say(&format!("          {moving} event(s) in flight …"));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Per vendor: what was sent, how the door answered, and what became of it.
fn summary(sent: &[Sent], report: &Value) -> Value {
    let rows = VENDORS.iter().map(|(vendor, platform)| {
        let of =
            |status: u16| sent.iter().filter(|sent| sent.vendor == *vendor && sent.status == status).count();
        let books = report["vendors"].as_array().into_iter().flatten().find(|row| row["vendorId"] == *vendor);
        let books = books.cloned().unwrap_or_default();
        json!({
            "vendorId": vendor, "platform": platform,
            "sent": sent.iter().filter(|sent| sent.vendor == *vendor).count(),
            "accepted": of(202), "duplicate": of(200), "conflict": of(409),
            "published": books["published"], "quarantined": books["quarantined"], "facts": books["facts"],
            "repeats": books["repeats"],
        })
    });
    rows.collect()
}

fn words(document: &Value) -> String {
    let header = [
        "VENDOR",
        "PLATFORM",
        "SENT",
        "202",
        "200 DUP",
        "409",
        "PUBLISHED",
        "QUARANTINED",
        "FACTS",
        "REPEATS",
    ];
    let names = [
        "vendorId",
        "platform",
        "sent",
        "accepted",
        "duplicate",
        "conflict",
        "published",
        "quarantined",
        "facts",
        "repeats",
    ];
    let rows: Vec<Vec<String>> = document["vendors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| names.iter().map(|name| print::cell(&row[*name])).collect())
        .collect();
    format!(
        "\nWhat was sent, how the door answered, what came out\n\n{}\nWhere did one event go?\n\n{}\nWhat could not be worked on, and why\n\n{}\n\
         A supplier's invoice, applied to stock once\n\n{}\nThe conservation balance\n\n{}",
        print::table(&header, &rows),
        print::explain(&document["explain"]),
        print::quarantine(&document["quarantine"]),
        print_invoices::job_in_full(&document["invoice"]),
        print::reconcile(&document["reconcile"]),
    )
}

fn say(text: &str) {
    // Progress is for whoever watches; a closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_ends_well_only_where_everything_came_out() {
        for (balanced, in_flight, expected) in [
            (json!(true), [0, 0], exit::SUCCESS),
            (json!(true), [0, 1], exit::UNBALANCED),
            (json!(false), [0, 0], exit::UNBALANCED),
            (json!(false), [2, 0], exit::UNBALANCED),
            (Value::Null, [0, 0], exit::UNBALANCED),
        ] {
            let vendors = in_flight.map(|number| json!({ "inFlight": number }));
            let report = json!({ "balanced": balanced, "vendors": vendors });
            assert_eq!(verdict(&report), expected, "{report}");
        }
    }
}
