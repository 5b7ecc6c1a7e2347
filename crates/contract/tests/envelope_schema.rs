//! `schemas/envelope/v1.schema.json` and the reader of envelopes agree, document by document.

use std::time::Duration;

use contract::envelope::{self, Window};
use contract::{Timestamp, VendorId};
use serde_json::{Value, json};

fn schema() -> jsonschema::Validator {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/envelope/v1.schema.json");
    let text = std::fs::read_to_string(path).expect("the schema");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    jsonschema::options().should_validate_formats(true).build(&schema).expect("a schema")
}

fn accepts(document: &Value) -> bool {
    let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
    let window = Window { now, max_ahead: Duration::from_secs(600) };
    let vendor = VendorId::parse("acme").expect("an id");
    envelope::read(document.to_string().as_bytes(), &vendor, &window).is_ok()
}

fn envelope() -> Value {
    json!({"externalEventId": "e1", "eventType": "stock", "occurredAt": "2026-03-16T08:35:06Z", "payload": {}})
}

/// The valid envelope with one member replaced (or, with `None`, removed).
fn with(name: &str, value: Option<Value>) -> Value {
    let mut document = envelope();
    let members = document.as_object_mut().expect("an object");
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    document
}

#[test]
fn agree_on_every_rule_that_a_json_schema_can_say() {
    let schema = schema();
    let mut documents =
        vec![(envelope(), true), (json!([]), false), (json!("text"), false), (json!({}), false)];
    for name in ["externalEventId", "eventType", "occurredAt", "payload"] {
        documents.push((with(name, None), false));
    }
    for name in ["vendorId", "externalEventId", "eventType", "occurredAt", "payload"] {
        for value in [json!(null), json!(1), json!(true)] {
            documents.push((with(name, Some(value)), false));
        }
    }
    for (name, value, good) in [
        ("vendorId", json!("acme"), true),
        ("vendorId", json!(""), false),
        ("vendorId", json!("a b"), false),
        ("other", json!({"anything": null}), true),
        ("externalEventId", json!(""), false),
        ("externalEventId", json!("x".repeat(256)), true),
        ("externalEventId", json!("x".repeat(257)), false),
        ("externalEventId", json!("a\u{85}b"), false),
        ("externalEventId", json!("a\u{7f}b"), false),
        ("externalEventId", json!("../../=cmd()"), true),
        ("externalEventId", json!({}), false),
        ("eventType", json!("x".repeat(128)), true),
        ("eventType", json!("x".repeat(129)), false),
        ("eventType", json!("a\nb"), false),
        ("eventType", json!("caf\u{e9} \u{1f4e6}"), true),
        ("occurredAt", json!("2026-03-16T15:35:06+07:00"), true),
        ("occurredAt", json!("2026-03-16t08:35:06.123456789z"), true),
        ("occurredAt", json!("2026-03-16T08:35:06.1234567890Z"), false),
        ("occurredAt", json!("2026-03-16T08:35:06.Z"), false),
        ("occurredAt", json!("2026-03-16T08:35:06"), false),
        ("occurredAt", json!("2026-03-16 08:35:06Z"), false),
        ("occurredAt", json!("2026-02-30T08:35:06Z"), false),
        ("occurredAt", json!("2026-13-16T08:35:06Z"), false),
        ("occurredAt", json!("2026-03-16T24:00:00Z"), false),
        ("occurredAt", json!("2016-12-31T23:59:60Z"), false),
        ("occurredAt", json!("2026-03-16T08:35:06+24:00"), false),
        ("occurredAt", json!("2026-03-16T08:35:06+0700"), false),
        ("occurredAt", json!("yesterday"), false),
        ("payload", json!([]), true),
        ("payload", json!([1, "two", null]), true),
        ("payload", json!("text"), false),
    ] {
        documents.push((with(name, Some(value)), good));
    }
    for (document, good) in documents {
        assert_eq!(accepts(&document), good, "the reader on {document}");
        assert_eq!(schema.is_valid(&document), good, "the schema on {document}");
    }
}

#[test]
fn the_schema_leaves_bytes_the_window_and_the_credential_to_the_reader() {
    let schema = schema();
    for document in [
        with("externalEventId", Some(json!("\u{e9}".repeat(200)))),
        with("occurredAt", Some(json!("1999-12-31T23:59:59Z"))),
        with("occurredAt", Some(json!("2099-01-01T00:00:00Z"))),
        with("vendorId", Some(json!("somebody-else"))),
    ] {
        assert!(schema.is_valid(&document) && !accepts(&document), "{document}");
    }
}
