//! Logs: JSON on stderr, an event's ids in every stage, and no vendor steers a terminal or a log reader.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{NOON, Place, eventually, stock};

const STAGES: [&str; 5] = ["gateway", "dvss.dedup", "dvss.normalize", "dvss.divergence", "dvss.outbox"];

#[tokio::test]
async fn every_stage_says_which_event_it_worked_on() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let id = dvss.send(&acme, &stock("=e1 \" \\ \u{202e}", NOON, "A", "1")).await.id();
    dvss.published(&id).await;
    let seen = eventually("every stage has logged the event", async || {
        let log = dvss.logged();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let of_event = lines.iter().filter(|line| line["ingestId"] == id.as_str());
        let complete =
            of_event.filter(|line| line["vendorId"] == "acme" && line["externalEventId"].is_string());
        let stages: BTreeSet<&str> = complete.filter_map(|line| line["stage"].as_str()).collect();
        (stages.len() >= STAGES.len()).then(|| stages.into_iter().map(str::to_owned).collect::<Vec<_>>())
    })
    .await;
    let mut stages = STAGES.map(str::to_owned).to_vec();
    stages.sort();
    assert_eq!(seen, stages);
    let log = dvss.logged();
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["level"].is_string() && value["timestamp"].is_string(), "{line}");
    }
    dvss.stop().await;
}

#[tokio::test]
async fn a_vendor_cannot_forge_a_line() {
    let place = Place::new();
    let dvss = place.up().env("DVSS_LOG", "debug").go().await;
    let acme = dvss.vendor("acme").await;
    let forged = "x\n{\"level\":\"ERROR\",\"message\":\"forged\"}";
    dvss.send(&acme, &stock(forged, NOON, "A", "1")).await.refused(400, "external-event-id-invalid");
    let id = dvss.send(&acme, &stock("e1", NOON, forged, "1")).await.id();
    dvss.published(&id).await;
    assert!(
        dvss.logged().lines().all(|line| !line.starts_with("{\"level\":\"ERROR\",\"message\":\"forged\""))
    );
    dvss.stop().await;
}
