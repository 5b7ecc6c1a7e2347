//! Records that the broker does not take.

use contract::Fingerprint;
use serde_json::{Value, json};

use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::servers::{Stack, stack};
use crate::support::{Place, envelope, run, seconds_past_noon as at, stock};

/// What a topic takes, by Kafka's own tool. Less than its document says: somebody set it so.
async fn limit(stack: &Stack, place: &Place, topic: &str, bytes: u32) {
    let (topic, limit) = (place.name(topic), format!("max.message.bytes={bytes}"));
    let arguments = ["--alter", "--entity-type", "topics", "--entity-name", &topic, "--add-config", &limit];
    stack.kafka_tool("kafka.admin.ConfigCommand", &arguments).await;
}

/// An event of 64 KB that no compression brings below 30.
fn large(id: &str, second: u32) -> Value {
    let hash = |part: u32| Fingerprint::of_bytes(&part.to_be_bytes()).to_string();
    let note: String = (0..1_000).map(hash).collect();
    let payload = json!({"sku": "A", "warehouseId": "w1", "quantityOnHand": second, "note": note});
    envelope(id, "InventoryUpdated", &at(second), payload)
}

/// `dvss topics plan` names the topic and the setting; `apply` puts it right.
async fn put_right(place: &Place, topic: &str) {
    let (config, topic) = (place.config(), place.name(topic));
    let plan = run(&["topics", "plan", "--config", &config]).await;
    assert_eq!(plan.code, 3, "{plan:?}");
    let line = plan.stdout.lines().find(|line| line.contains(&topic)).expect("the topic is named");
    assert!(line.contains("max.message.bytes: 20000"), "{line}");
    let applied = run(&["topics", "apply", "--config", &config]).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(run(&["topics", "plan", "--config", &config]).await.code, 0);
}

/// At the door it is refused with 413, and taken as soon as the topic takes it; a stage halts on what it
/// cannot write, with its code, and goes on where it stood.
#[tokio::test]
async fn a_record_that_is_larger_than_a_topic_takes() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    place.prepare().await;
    limit(&stack, &place, "dvss.raw", 20_000).await;
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    dvss.send(&acme, &large("e1", 1)).await.refused(413, "body-too-large");
    dvss.send(&acme, &stock("e2", &at(2), "A", "2")).await.expect(202);
    put_right(&place, "dvss.raw").await;
    // Its bytes are there from the first time, and now its record is.
    dvss.send(&acme, &large("e1", 1)).await.expect(200);
    assert_balanced(&dvss.settled().await);

    limit(&stack, &place, "dvss.accepted", 20_000).await;
    let third = dvss.send(&acme, &large("e3", 3)).await;
    third.expect(202);
    let log = dvss.log.clone();
    let status = dvss.died().await;
    assert_eq!(status.code(), Some(1), "{status}");
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("dvss.dedup stopped (record-too-large)"), "{log}");
    assert!(
        log.contains("for dvss.accepted under key") && log.contains(&third.id()),
        "what it is about: {log}"
    );
    put_right(&place, "dvss.accepted").await;

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 3, "nothing is lost: {report}");
    assert_eq!(report["orphans"], json!([]), "{report}");
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}
