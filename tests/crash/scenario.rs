//! A little traffic in which everything happens, what must come of it, and the oracle.

use std::collections::BTreeSet;

use contract::Fingerprint;
use serde_json::{Value, json};

use crate::support::oracle::{PUBLIC, account, assert_balanced, assert_once, facts, public};
use crate::support::{Dvss, Vendor, change, envelope, eventually, seconds_past_noon as at, stock};

/// The vendor who sends.
pub const VENDOR: &str = "acme";

/// An event, and how a door that never dies answers it.
pub struct Sample {
    /// The envelope.
    pub event: Value,
    /// 202, or 409 for a known id with another payload.
    pub status: u16,
}

/// The traffic, in the order in which it is sent. Levels, changes, a report of three lines, an order,
/// something late, something poisonous, and a conflict.
pub fn samples() -> Vec<Sample> {
    let taken = |event| Sample { event, status: 202 };
    let line = |sku: &str, on_hand: u32| json!({"sku": sku, "warehouseId": "w1", "quantityOnHand": on_hand});
    let report = json!({"items": [line("A", 100), line("B", 50), line("C", 7)]});
    let order = json!({"orderId": "O-1", "status": "OPEN", "total": "12.30", "currency": "EUR"});
    vec![
        taken(envelope("report", "InventoryUpdated", &at(100), report)),
        taken(change("sale", &at(110), "A", "-1")),
        taken(envelope("order", "OrderUpdated", &at(120), order)),
        taken(envelope("poison", "InventoryUpdated", &at(130), json!({"items": [{"sku": "A"}]}))),
        taken(stock("late", &at(50), "B", "49")),
        taken(change("return", &at(140), "A", "3")),
        Sample { event: change("sale", &at(110), "A", "-2"), status: 409 },
    ]
}

/// Sends everything until the process is gone, as a vendor does who does not wait for better times.
pub async fn send_until_dead(dvss: &mut Dvss, vendor: &Vendor) {
    send_some_until_dead(dvss, vendor, usize::MAX).await;
}

/// The same with the first so many.
pub async fn send_some_until_dead(dvss: &mut Dvss, vendor: &Vendor, count: usize) {
    for sample in samples().into_iter().take(count) {
        if !dvss.runs() {
            return;
        }
        // An error is what a vendor sees of a crash.
        if let Ok(answer) = dvss.try_send(vendor, &sample.event).await {
            let known = [sample.status, if sample.status == 202 { 200 } else { sample.status }];
            assert!(known.contains(&answer.status) || answer.status == 503, "{answer:?}");
        }
    }
}

/// Sends everything again, each until it is taken, and checks what comes of all of it. `orphans` is how
/// many raw objects nobody will ever send for again.
pub async fn send_again_and_check(dvss: &Dvss, vendor: &Vendor, orphans: usize) {
    let mut ids = Vec::new();
    for Sample { event, status } in samples() {
        let answer = dvss.deliver(vendor, &event).await;
        let expected = if status == 202 { [202, 200] } else { [409, 409] };
        assert!(expected.contains(&answer.status), "{event}: {answer:?}");
        ids.push((event, answer.id()));
    }
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, VENDOR);
    let numbers = ["accepted", "published", "conflict", "quarantined", "facts"].map(|name| &books[name]);
    assert_eq!(numbers, [&json!(7), &json!(5), &json!(1), &json!(1), &json!(7)], "{report}");
    assert_eq!(report["orphans"].as_array().map(Vec::len), Some(orphans), "{report}");

    let records = public(dvss).await;
    assert_once(&records);
    assert_eq!(facts(&records).len(), 7, "each fact is there: {records:?}");
    let count = |topic: &str| records.iter().filter(|record| record["topic"] == topic).count();
    assert_eq!(count(PUBLIC[5]), 1, "one poison, said once");
    assert_eq!(count(PUBLIC[4]), 2, "what came late, and the conflict: {records:?}");

    for (entity, on_hand) in [("A", "102"), ("B", "50"), ("C", "7")] {
        let history = whole_history(dvss, &format!("{VENDOR}|w1|{entity}||")).await;
        assert_eq!(history["state"]["quantityOnHand"], on_hand, "{history}");
    }
    let order = whole_history(dvss, &format!("{VENDOR}|O-1")).await;
    assert_eq!(order["facts"].as_array().map(Vec::len), Some(1));

    // Each 2xx has its bytes, as they were sent.
    let mut winners = BTreeSet::new();
    for (event, id) in ids {
        let explained = dvss.explain(&id).await;
        let expected = if event["externalEventId"] == "poison" { "QUARANTINED" } else { "PUBLISHED" };
        assert_eq!(explained["status"], expected, "{explained}");
        if winners.insert(id) {
            let sum = Fingerprint::of_bytes(event.to_string().as_bytes());
            assert_eq!(explained["raw"]["sha256"], sum.to_string(), "{explained}");
        }
    }
}

/// An entity's history, once each of its facts has its offset.
pub async fn whole_history(dvss: &Dvss, entity: &str) -> Value {
    eventually(&format!("every fact of {entity} has its offset"), async || {
        let history = dvss.history(entity).await;
        let facts = history["facts"].as_array()?;
        facts.iter().all(|fact| !fact["published"].is_null()).then_some(history)
    })
    .await
}
