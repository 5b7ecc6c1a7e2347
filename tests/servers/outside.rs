//! The public topics, read by software that is not ours.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::oracle::{
    self, FACT_TOPICS, PUBLIC, assert_balanced, assert_once, coordinates, facts, public,
};
use crate::support::servers::{Stack, stack};
use crate::support::{Place, change, envelope, eventually, root, run, seconds_past_noon as at, stock};

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

/// Vendors write to Kafka with clients of their own, in every form; what is known through one door is known at
/// the other, and what is refused is told in the headers that Connect's dead letters have.
#[tokio::test]
async fn vendors_write_to_kafka() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    let dvss = place.up().env("DVSS_GATEWAY__INBOUND_LOOK", "200ms").go().await;
    let acme = dvss.vendor("acme").await;
    dvss.send(&acme, &stock("both", &at(0), "A", "1")).await.expect(202);
    // The topic is made while gateways run.
    let config = place.config();
    let made = run(&["topics", "apply", "--vendor", "acme", "--config", &config]).await;
    assert_eq!(made.code, 0, "{}{}", made.stdout, made.stderr);

    let topic = place.name("dvss.inbound.acme");
    let structured = json!({
        "specversion": "1.0", "id": "s", "source": "/erp", "type": "InventoryUpdated", "time": at(20),
        "data": {"sku": "S", "warehouseId": "w1", "quantityOnHand": "3"},
    });
    let binary = json!({
        "ce_specversion": "1.0", "ce_id": "b", "ce_source": "/erp", "ce_type": "InventoryUpdated", "ce_time": at(30),
    });
    let payload = json!({"sku": "B", "warehouseId": "w1", "quantityOnHand": "4"});
    let records = [
        json!({"value": stock("both", &at(0), "A", "1").to_string(), "key": "A"}),
        json!({"value": stock("envelope", &at(10), "E", "2").to_string()}),
        json!({"value": stock("envelope", &at(10), "E", "2").to_string()}),
        json!({"value": structured.to_string(), "headers": {"content-type": "application/cloudevents+json"}}),
        json!({"value": payload.to_string(), "headers": binary}),
        json!({"value": "{\"no", "key": "poison"}),
        json!({"hex": "ff00"}),
        json!({"value": stock("both", &at(0), "A", "other").to_string()}),
    ];
    let with_topic = |record: &Value| {
        let mut record = record.clone();
        record["topic"] = json!(topic);
        record
    };
    publish(&stack, &place, &records.iter().map(with_topic).collect::<Vec<_>>()).await;

    let taken = eventually("the door has taken or refused every record", async || {
        let books = dvss.settled().await;
        let account = oracle::account(&books, "acme");
        (account["accepted"] == 5 && account["refused"] == 2).then_some(books)
    })
    .await;
    assert_balanced(&taken);
    assert_eq!(oracle::account(&taken, "acme")["published"], 4);
    assert_eq!(oracle::account(&taken, "acme")["conflict"], 1);

    let theirs = read(&stack, &place, &PUBLIC).await;
    let skus: BTreeSet<&str> =
        theirs.iter().filter_map(|record| record["value"]["data"]["sku"].as_str()).collect();
    assert_eq!(skus, BTreeSet::from(["A", "B", "E", "S"]));
    let header = |record: &Value, name: &str| {
        record["headers"][format!("__connect.errors.{name}")].as_str().unwrap_or_default().to_owned()
    };
    let refused: BTreeSet<_> = theirs
        .iter()
        .filter(|record| record["value"]["stage"] == "dvss.gateway")
        .map(|record| (header(record, "topic"), header(record, "exception.class.name")))
        .collect();
    let because = |code: &str| ("dvss.inbound.acme".to_owned(), code.to_owned());
    assert_eq!(refused, BTreeSet::from([because("json-syntax"), because("json-encoding")]), "{theirs:?}");
    dvss.stop().await;
}
