//! Replay by moving committed offsets back: with the same mappings nothing new becomes public, with
//! corrected ones only corrections and retractions do, and the state is what the corrected facts fold to.
//!
//! On servers every role is a process of its own, Kafka's own tool moves the offsets, and only the stages
//! that are replayed are stopped.

use serde_json::{Value, json};

use support::installation::{GROUPS, Installation};
use support::oracle::{FACT_TOPICS, PUBLIC, account, added, assert_balanced, assert_once, public};
use support::{Dvss, Place, Vendor, change, envelope, seconds_past_noon as at, stock};

#[path = "../support/mod.rs"]
mod support;

/// The state of an entity; `null` where nothing is known of it.
async fn on_hand(dvss: &Dvss, entity: &str) -> Value {
    dvss.history(entity).await["state"]["quantityOnHand"].clone()
}

#[tokio::test]
async fn the_same_mappings_say_nothing_new() {
    let place = Place::new();
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    let report = json!({"items": [
        {"sku": "A", "warehouseId": "w1", "quantityOnHand": 10, "quantityAvailable": 8},
        {"sku": "B", "warehouseId": "w1", "quantityOnHand": 20},
    ]});
    let events = [
        envelope("e1", "InventoryUpdated", &at(100), report),
        change("e2", &at(110), "A", "-3"),
        stock("e3", &at(50), "A", "4"),
        envelope("e4", "OrderUpdated", &at(60), json!({"orderId": "O", "status": "OPEN"})),
        envelope("e5", "InventoryUpdated", &at(70), json!({"items": [{}]})),
        stock("e3", &at(50), "A", "5"),
    ];
    dvss.send_all(&acme, &events).await;
    assert_balanced(&dvss.settled().await);
    let mut before = public(&dvss).await;
    let history = dvss.history("acme|w1|A||").await;
    assert_once(&before);

    // Each stage alone, and all of them; vendors go on.
    let all = [&GROUPS[..1], &GROUPS[1..2], &GROUPS[2..3], &GROUPS[3..], &GROUPS[..]];
    for (groups, second) in all.into_iter().zip(200..) {
        let live = stock(&format!("live {groups:?}"), &at(second), "L", "1");
        dvss.replay(groups, &acme, &[live]).await;
        assert_balanced(&dvss.settled().await);
        let after = public(&dvss).await;
        assert_once(&after);
        let new = added(&before, &after);
        let keys: Vec<&Value> = new.iter().map(|record| &record["key"]).collect();
        assert_eq!(keys, ["acme|w1|L||"], "{groups:?} brought {new:?}");
        assert_eq!(dvss.history("acme|w1|A||").await["state"], history["state"], "{groups:?}");
        before = after;
    }
    dvss.stop().await;
}

/// A mapping of `acme`'s `stock.said`. The payload says everything twice, once right and once wrong.
fn mapping(version: u32, warehouse: &str, quantity: &str, when: &str) -> String {
    format!(
        "mapping: v1\nvendor: acme\neventType: stock.said\nversion: {version}\ntitle: Stock\n\
         source: {{type: object}}\n\
         facts:\n  - type: InventoryUpdated\n    each: .lines[]\n    when: {when}\n    fields:\n      sku: .sku\n      \
         warehouseId: {warehouse}\n      quantityOnHand: {quantity}\n"
    )
}

async fn activate(place: &Place, dvss: &Dvss, version: u32, text: &str) {
    let file = place.file(&format!("v{version}.yaml"), text).display().to_string();
    dvss.cli(&["mappings", "put", &file, "--activate", "--json"]).await.json();
}

/// Events of 3 lines; `free` is wrong where `held` is not 0.
fn events() -> Vec<Value> {
    (0..6_u32)
        .map(|number| {
            let line = |index: u32| {
                let right = 100 + number * 10 + index;
                let held = if (number + index).is_multiple_of(2) { 0 } else { 5 };
                json!({"sku": format!("S{index}"), "store": "w1", "moved": "w2", "total": right, "free": right - held})
            };
            let lines: Vec<Value> = (0..3).map(line).collect();
            envelope(&format!("e{number}"), "stock.said", &at(number), json!({"lines": lines}))
        })
        .collect()
}

/// Replays everything through normalize, and returns what became public by it.
async fn replay(dvss: &mut Installation<'_>, vendor: &Vendor) -> Vec<Value> {
    let before = public(dvss).await;
    dvss.replay(&GROUPS[1..2], vendor, &[]).await;
    assert_balanced(&dvss.settled().await);
    let after = public(dvss).await;
    assert_once(&after);
    added(&before, &after).into_iter().cloned().collect()
}

#[tokio::test]
async fn a_corrected_mapping_brings_corrections_only() {
    let place = Place::new();
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    activate(&place, &dvss, 1, &mapping(1, ".store", ".free", "true")).await;
    let ids = dvss.send_all(&acme, &events()).await;
    // Changes on the same items, which no mapping of ours touches.
    dvss.send_all(&acme, &[change("c1", &at(30), "S1", "-7"), change("c0", &at(2), "S1", "1000")]).await;
    assert_balanced(&dvss.settled().await);
    assert_eq!(on_hand(&dvss, "acme|w1|S1||").await, "144", "the last level was said wrong: 151 - 7");

    activate(&place, &dvss, 2, &mapping(2, ".store", ".total", "true")).await;
    assert_eq!(on_hand(&dvss, "acme|w1|S1||").await, "144", "a mapping alone changes no fact");
    let new = replay(&mut dvss, &acme).await;
    // Half of the lines were said right the first time, and say nothing now.
    let corrections: Vec<&Value> = new.iter().filter(|record| record["topic"] == FACT_TOPICS[0]).collect();
    assert_eq!(corrections.len(), 9, "{new:?}");
    assert!(corrections.iter().all(|record| record["value"]["revision"] == 2), "{corrections:?}");
    assert!(corrections.iter().all(|record| record["value"]["retracted"] != true), "{corrections:?}");
    let others =
        new.iter().filter(|record| FACT_TOPICS[1..].iter().any(|topic| record["topic"] == *topic)).count();
    assert_eq!(others, 0, "{new:?}");
    // Sort, then fold: the last level, and the changes behind it.
    for (sku, expected) in [("S0", "150"), ("S1", "144"), ("S2", "152")] {
        assert_eq!(on_hand(&dvss, &format!("acme|w1|{sku}||")).await, expected, "{sku}");
    }
    let shown = dvss.published(&ids[1]).await;
    let revisions: Vec<u64> = shown["facts"]
        .as_array()
        .expect("facts")
        .iter()
        .filter_map(|fact| fact["revision"].as_u64())
        .collect();
    assert_eq!(revisions, [2, 1, 2], "lines 0 and 2 of event 1 were wrong: {shown}");

    // The same once more brings nothing.
    let new = replay(&mut dvss, &acme).await;
    assert_eq!(new, Vec::<Value>::new());
    let report = dvss.settled().await;
    let books = account(&report, "acme");
    assert_eq!([&books["accepted"], &books["published"]], [&json!(8), &json!(8)], "{books}");
    assert_eq!(books["facts"], 29, "18 lines, 2 changes, 9 corrections");
    dvss.stop().await;
}

#[tokio::test]
async fn a_fact_that_moves_is_taken_back_where_it_was() {
    let place = Place::new();
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    activate(&place, &dvss, 1, &mapping(1, ".store", ".total", "true")).await;
    dvss.send_all(&acme, &events()).await;
    dvss.send_all(&acme, &[change("c1", &at(30), "S1", "-7")]).await;
    assert_balanced(&dvss.settled().await);
    assert_eq!(on_hand(&dvss, "acme|w1|S1||").await, "144");

    activate(&place, &dvss, 2, &mapping(2, ".moved", ".total", "true")).await;
    let new = replay(&mut dvss, &acme).await;
    let facts: Vec<&Value> = new.iter().filter(|record| record["topic"] == FACT_TOPICS[0]).collect();
    let (back, moved): (Vec<&Value>, Vec<&Value>) =
        facts.iter().partition(|record| record["value"]["retracted"] == true);
    assert_eq!((back.len(), moved.len()), (18, 18), "{new:?}");
    for record in back {
        let value = &record["value"];
        assert_eq!([&value["revision"], &value["outcome"]], [&json!(2), &json!("RETRACTED")], "{value}");
        assert!(
            record["key"].as_str().is_some_and(|key| key.starts_with("acme|w1|")),
            "under its old key: {record}"
        );
    }
    for record in moved {
        assert_eq!(record["value"]["revision"], 3, "{record}");
        assert!(
            record["key"].as_str().is_some_and(|key| key.starts_with("acme|w2|")),
            "under its new key: {record}"
        );
    }
    for (sku, here, there) in
        [("S0", Value::Null, "150"), ("S1", Value::Null, "151"), ("S2", Value::Null, "152")]
    {
        assert_eq!(on_hand(&dvss, &format!("acme|w1|{sku}||")).await, here, "nothing is left of {sku} in w1");
        assert_eq!(on_hand(&dvss, &format!("acme|w2|{sku}||")).await, there, "{sku}");
    }
    // And back again, with a mapping that leaves the small ones out.
    activate(&place, &dvss, 3, &mapping(3, ".store", ".total", ".sku != \"S2\"")).await;
    let new = replay(&mut dvss, &acme).await;
    let revisions = |retracted: bool, revision: u32| {
        let is = |record: &&Value| {
            (record["value"]["retracted"] == true) == retracted && record["value"]["revision"] == revision
        };
        new.iter().filter(|record| record["topic"] == FACT_TOPICS[0]).filter(is).count()
    };
    assert_eq!((revisions(true, 4), revisions(false, 5)), (18, 12), "{new:?}");
    assert_eq!(on_hand(&dvss, "acme|w1|S1||").await, "144");
    assert_eq!(on_hand(&dvss, "acme|w2|S1||").await, Value::Null);
    assert_eq!(on_hand(&dvss, "acme|w1|S2||").await, Value::Null, "left out means taken back");
    dvss.stop().await;
}

#[tokio::test]
async fn a_mapping_that_is_corrected_the_wrong_way_parks_and_hurts_nothing() {
    let place = Place::new();
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    activate(&place, &dvss, 1, &mapping(1, ".store", ".total", "true")).await;
    let ids = dvss.send_all(&acme, &events()).await;
    assert_balanced(&dvss.settled().await);
    activate(&place, &dvss, 2, &mapping(2, ".store", ".no_such_member", "true")).await;
    let new = replay(&mut dvss, &acme).await;
    let topics: Vec<&Value> = new.iter().map(|record| &record["topic"]).collect();
    assert_eq!(topics, [&json!(PUBLIC[5]); 6], "only quarantine speaks");
    assert_eq!(on_hand(&dvss, "acme|w1|S1||").await, "151", "what was said before still stands");

    // Back to the right one; what is parked is released, and agrees with what is out already.
    activate(&place, &dvss, 3, &mapping(3, ".store", ".total", "true")).await;
    let before = public(&dvss).await;
    dvss.cli(&["quarantine", "resume", "acme", "--json"]).await.json();
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 6, "{report}");
    assert!(added(&before, &public(&dvss).await).is_empty());
    for id in ids {
        let shown = dvss.published(&id).await;
        assert_eq!(shown["facts"][0]["revision"], 1);
    }
    dvss.stop().await;
}

/// While a whole topic is read again, vendors go on sending.
#[tokio::test]
async fn live_traffic_goes_on_during_a_replay() {
    let place = Place::new();
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    let events: Vec<Value> =
        (0..150).map(|number| stock(&format!("e{number}"), &at(number), "A", &number.to_string())).collect();
    dvss.send_all(&acme, &events).await;
    assert_balanced(&dvss.settled().await);
    let before = public(&dvss).await;
    let live = stock("live", &at(1_000), "A", "150");
    dvss.replay(&GROUPS, &acme, std::slice::from_ref(&live)).await;
    // Known already, so this is its id.
    let id = dvss.deliver(&acme, &live).await.id();
    dvss.explained(&id, "PUBLISHED").await;
    assert_balanced(&dvss.settled().await);
    let after = public(&dvss).await;
    let new = added(&before, &after);
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(on_hand(&dvss, "acme|w1|A||").await, "150");
    dvss.stop().await;
}
