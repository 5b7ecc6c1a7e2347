//! Numbers and texts at the edge: exact, or parked with the pointer of the place.

use serde_json::{Value, json};

use crate::still_well;
use crate::support::oracle::{PUBLIC, account, assert_balanced};
use crate::support::wire::Wire;
use crate::support::{NOON, Place};

fn event(id: &str, payload: &str) -> String {
    format!(
        r#"{{"externalEventId":"{id}","eventType":"InventoryUpdated","occurredAt":"{NOON}","payload":{payload}}}"#
    )
}

fn quantity(id: &str, text: &str) -> String {
    event(id, &format!(r#"{{"sku":"{id}","warehouseId":"w1","quantityOnHand":{text}}}"#))
}

#[tokio::test]
async fn numbers_are_exact_or_parked() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let exact = [
        ("n1", "-0", "0"),
        ("n2", "0.10", "0.10"),
        ("n3", "9007199254740993", "9007199254740993"),
        ("n4", "9999999999999999999999999999", "9999999999999999999999999999"),
        ("n5", "0.0000000000000000000000000001", "0.0000000000000000000000000001"),
        ("n6", "1e3", "1000"),
        ("n7", "1.5E+1", "15"),
        ("n8", "25e-1", "2.5"),
        ("n9", r#""1234567890.0987654321""#, "1234567890.0987654321"),
        ("n10", "-12.5", "-12.5"),
        ("n11", "0.1", "0.1"),
        ("n12", "3.0000000000000000001", "3.0000000000000000001"),
    ];
    let parked = [
        ("p1", "1234567890123456789012345678901234567890"),
        ("p2", "1e400"),
        ("p3", "1e-400"),
        ("p4", "99999999999999999999999999999"),
        ("p5", r#""1e400""#),
        ("p6", r#""NaN""#),
        ("p7", r#""Infinity""#),
        ("p8", r#""0x10""#),
        ("p9", r#""1,000""#),
        ("p10", r#""12 pcs""#),
        ("p11", r#""\u0661\u0662""#),
    ];
    let mut ids = Vec::new();
    for (id, text) in
        exact.iter().map(|(id, text, _)| (id, text)).chain(parked.iter().map(|(id, text)| (id, text)))
    {
        let reply = Wire::event(&acme, quantity(id, text)).send(&dvss).await;
        assert_eq!(reply.status, 202, "{text}: {reply:?}");
        ids.push(reply.body["ingestId"].as_str().expect("an id").to_owned());
    }
    let (published, quarantined) = ids.split_at(exact.len());
    for (id, (sku, text, expected)) in published.iter().zip(exact) {
        dvss.published(id).await;
        let history = dvss.history(&format!("acme|w1|{sku}||")).await;
        assert_eq!(history["state"]["quantityOnHand"], expected, "{text} in the state");
    }
    let records = dvss.tail(PUBLIC[0]).await;
    assert_eq!(records.len(), exact.len());
    for (sku, text, expected) in exact {
        let record = records.iter().find(|record| record["value"]["data"]["sku"] == sku);
        let record = record.unwrap_or_else(|| panic!("{sku} is not public"));
        assert_eq!(record["value"]["data"]["quantityOnHand"], expected, "{text} on the topic");
    }
    for (id, (_, text)) in quarantined.iter().zip(parked) {
        let shown = dvss.explained(id, "QUARANTINED").await;
        let row = &shown["quarantine"][0];
        assert_eq!(
            [&row["code"], &row["pointer"]],
            [&json!("mapping-field-invalid"), &json!("/payload/quantityOnHand")],
            "{text}: {row}"
        );
    }
    // Two numbers that are one double are two payloads; one number in two spellings is one.
    let reply = Wire::event(&acme, quantity("n3", "9007199254740992")).send(&dvss).await;
    reply.refused("another number", 409, "conflict");
    let reply = Wire::event(&acme, quantity("n6", "1000.0")).send(&dvss).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    assert_eq!([&books["quarantined"], &books["conflict"]], [&json!(parked.len()), &json!(1)], "{books}");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn payloads_that_are_odd_are_parked_with_their_pointer() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let long = "x".repeat(257);
    let cases = [
        ("a1", "{}".to_owned(), "source-schema-mismatch", "/payload/sku"),
        ("a2", r#"{"sku":"A"}"#.to_owned(), "mapping-field-missing", "/payload/quantityOnHand"),
        ("a3", r#"{"sku":"","quantityOnHand":1}"#.to_owned(), "mapping-field-missing", "/payload/sku"),
        ("a4", r#"{"sku":{"a":1},"quantityOnHand":1}"#.to_owned(), "source-schema-mismatch", "/payload/sku"),
        (
            "a5",
            r#"{"sku":"A","quantityOnHand":true}"#.to_owned(),
            "source-schema-mismatch",
            "/payload/quantityOnHand",
        ),
        ("a6", r#"{"items":{"sku":"A"}}"#.to_owned(), "source-schema-mismatch", "/payload/items"),
        (
            "a7",
            r#"{"items":[{"sku":"A","quantityOnHand":1},{"sku":"B","quantityOnHand":"x"}]}"#.to_owned(),
            "mapping-field-invalid",
            "/payload/items/1/quantityOnHand",
        ),
        ("a8", "[]".to_owned(), "source-schema-mismatch", "/payload"),
        ("a9", format!(r#"{{"sku":"{long}","quantityOnHand":1}}"#), "entity-too-long", "/payload/sku"),
        (
            "a10",
            r#"{"sku":"A","quantityOnHand":1,"occurredAt":"2099-01-01T00:00:00Z"}"#.to_owned(),
            "occurred-at-out-of-range",
            "/payload",
        ),
        (
            "a11",
            r#"{"sku":"A","quantityOnHand":1,"sequence":-1}"#.to_owned(),
            "mapping-field-invalid",
            "/payload/sequence",
        ),
    ];
    for (id, payload, code, pointer) in &cases {
        let reply = Wire::event(&acme, event(id, payload)).send(&dvss).await;
        assert_eq!(reply.status, 202, "{payload}: {reply:?}");
        let shown = dvss.explained(reply.body["ingestId"].as_str().expect("an id"), "QUARANTINED").await;
        let row = &shown["quarantine"][0];
        assert_eq!(row["code"], *code, "{payload}: {row}");
        assert_eq!(row["pointer"], *pointer, "{payload}: {row}");
        assert_eq!(shown["facts"], json!([]), "never half an event: {shown}");
    }
    let none = Wire::event(&acme, event("none", r#"{"items":[]}"#)).send(&dvss).await;
    let shown = dvss.published(none.body["ingestId"].as_str().expect("an id")).await;
    assert_eq!(shown["facts"], json!([]), "an empty list is understood and holds no fact");
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 1, "{report}");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

/// As large a report as fits: every line comes out once, and more lines than are taken are refused whole.
#[tokio::test]
async fn a_report_of_thousands_of_lines() {
    let place = Place::new();
    let mut dvss = place.up().env("DVSS_GATEWAY__MAX_BODY_BYTES", "900000").go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let lines = |count: usize| {
        let items: Vec<String> =
            (0..count).map(|index| format!(r#"{{"sku":"L{index}","quantityOnHand":{index}}}"#)).collect();
        format!(r#"{{"items":[{}]}}"#, items.join(","))
    };
    let reply = Wire::event(&acme, event("many", &lines(1_500))).send(&dvss).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let shown = dvss.published(reply.body["ingestId"].as_str().expect("an id")).await;
    let facts: &Vec<Value> = shown["facts"].as_array().expect("facts");
    assert_eq!(facts.len(), 1_500);
    for (index, fact) in facts.iter().enumerate() {
        let expected = json!({"line": index, "quantity": index.to_string()});
        assert_eq!(json!({"line": fact["line"], "quantity": fact["data"]["quantityOnHand"]}), expected);
    }
    let reply = Wire::event(&acme, event("more", &lines(10_001))).send(&dvss).await;
    let shown = dvss.explained(reply.body["ingestId"].as_str().expect("an id"), "QUARANTINED").await;
    assert_eq!(shown["quarantine"][0]["code"], "mapping-too-many-facts");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
