//! The public topics, read by software that is not ours.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::oracle::{FACT_TOPICS, PUBLIC, assert_balanced, assert_once, coordinates, facts, public};
use crate::support::servers::{Stack, stack};
use crate::support::{Place, change, envelope, eventually, root, seconds_past_noon as at, stock};

/// The script that speaks to Kafka and to the registry with Confluent's own client.
fn client() -> PathBuf {
    root().join("tests/servers/client.py")
}

/// Records, put on topics by Confluent's client.
pub async fn publish(stack: &Stack, place: &Place, records: &[Value]) {
    let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
    let file = place.file("publish.jsonl", &lines).display().to_string();
    stack.python(&client(), &["publish", &stack.text("/kafka"), &file]).await;
}

/// What Confluent's client reads on topics, decoded with the registry's schemas; sorted by place.
async fn read(stack: &Stack, place: &Place, topics: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["read".to_owned(), stack.text("/kafka"), stack.text("/registry")];
    arguments.extend(topics.iter().map(|topic| place.name(topic)));
    let printed = stack.python(&client(), &arguments).await;
    let mut records: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    records.sort_by_key(coordinates);
    records
}

/// How many records of these topics Kafka's console consumer prints.
async fn console(stack: &Stack, place: &Place, topics: &[&str], isolation: &str) -> usize {
    let names: Vec<String> = topics.iter().map(|topic| place.name(topic).replace('.', "\\.")).collect();
    let names = names.join("|");
    let mut arguments = vec!["--include", &names, "--from-beginning", "--timeout-ms", "4000"];
    arguments.extend(["--isolation-level", isolation]);
    for property in ["print.value=false", "print.partition=true", "print.offset=true"] {
        arguments.extend(["--property", property]);
    }
    let said = stack.tool("consumer.ConsoleConsumer", &arguments).await;
    said.lines().filter(|line| line.starts_with("Partition:")).count()
}

/// Whether two readers read the same. Ours leaves out what equals its default; nothing else may differ.
fn agrees(ours: Option<&Value>, theirs: &Value) -> bool {
    match (ours, theirs) {
        (None, default) => [json!(null), json!([]), json!(false)].contains(default),
        (Some(Value::Object(ours)), Value::Object(theirs)) => {
            ours.keys().all(|name| theirs.contains_key(name))
                && theirs.iter().all(|(name, theirs)| agrees(ours.get(name), theirs))
        }
        (Some(ours), theirs) => ours == theirs,
    }
}

/// Whoever reads committed records, with whatever client, sees each fact once; what a dying outbox left in
/// the topics is seen by those alone who ask for it.
#[tokio::test]
async fn others_read_each_fact_once() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    let dying = place.up().env("DVSS_FAILPOINT", "outbox.log.commit:before:1").go().await;
    let acme = dying.vendor("acme").await;
    dying.send(&acme, &stock("e0", &at(0), "A", "10")).await.expect(202);
    let status = dying.died().await;
    assert_eq!(status.signal(), Some(6), "{status}");

    let dvss = place.up().go().await;
    let lines = json!({"items": [
        {"sku": "A", "warehouseId": "w1", "quantityOnHand": "0.1234567890123456789", "lot": "Größe 7"},
        {"sku": "B", "quantityOnHand": -3, "quantityAvailable": 0},
    ]});
    for event in [
        stock("e0", &at(0), "A", "10"),
        envelope("e1", "InventoryUpdated", &at(10), lines),
        change("e2", &at(20), "A", "-1.5"),
        envelope("e3", "OrderUpdated", &at(30), json!({"orderId": "O", "status": "OPEN", "total": "12.30"})),
        stock("e4", &at(5), "B", "1"),
        envelope("e5", "InventoryUpdated", &at(40), json!({"items": [{}]})),
        change("e2", &at(20), "A", "7"),
    ] {
        dvss.deliver(&acme, &event).await;
    }
    assert_balanced(&dvss.settled().await);
    let mut ours = public(&dvss).await;
    assert_once(&ours);
    ours.sort_by_key(|record| place.name(&coordinates(record)));

    let theirs = read(&stack, &place, &PUBLIC).await;
    assert_eq!(theirs.len(), ours.len(), "{theirs:?}\n{ours:?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(coordinates(theirs), place.name(&coordinates(ours)));
        assert_eq!(theirs["key"], ours["key"], "{theirs}");
        assert!(agrees(Some(&ours["value"]), &theirs["value"]), "ours: {ours}\ntheirs: {theirs}");
    }

    // It ends when nothing comes for a while, which on a busy machine may be before the first record.
    let count = async |isolation, least| {
        let what = format!("the console consumer reads {least} records, {isolation}");
        eventually(&what, async || {
            let count = console(&stack, &place, &FACT_TOPICS, isolation).await;
            (count >= least).then_some(count)
        })
        .await
    };
    let once = facts(&ours).len();
    assert_eq!(count("read_committed", once).await, once, "the console consumer sees each fact once");
    // What the outbox left when it died is in the topics.
    count("read_uncommitted", once + 1).await;
    dvss.stop().await;
}
