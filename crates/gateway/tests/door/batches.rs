//! Batches, and CloudEvents in their three modes.

use contract::event::{Event, Mode};
use gateway::Options;
use serde_json::Value;

use crate::support::{Running, envelope};

fn words(answer: &Value) -> Vec<&str> {
    let code = |result: &'_ Value| result.pointer("/problem/code").is_some();
    let word = |result| if code(result) { &result["problem"]["code"] } else { &result["status"] };
    answer["results"]
        .as_array()
        .expect("results")
        .iter()
        .map(|result| word(result).as_str().expect("a word"))
        .collect()
}

#[tokio::test]
async fn good_and_bad_items() {
    let gateway = Running::start().await;
    let spaced = r#"{ "externalEventId" : "b" , "eventType":"stock","occurredAt":"2026-11-22T11:00:00Z","payload":{"n": 1.00} }"#;
    let large = envelope("large", &format!("[\"{}\"]", "x".repeat(256 * 1_024)));
    let items = [
        envelope("a", "{}"),
        spaced.to_owned(),
        "nonsense".to_owned(),
        envelope("a", "{}"),
        envelope("a", r#"{"other":1}"#),
        large,
        envelope("", "{}"),
        envelope("c", "{\"a\":1,\"a\":2}"),
        "null".to_owned(),
    ];
    let expected = [
        "ACCEPTED",
        "ACCEPTED",
        "json-syntax",
        "DUPLICATE",
        "conflict",
        "body-too-large",
        "external-event-id-invalid",
        "json-duplicate-key",
        "envelope-field-invalid",
    ];
    let answer = gateway.batch("application/json", format!("[{}]", items.join(" , "))).await;
    assert_eq!((answer.status, words(&answer.json)), (200, expected.to_vec()));
    let results = answer.json["results"].as_array().expect("results");
    assert_eq!(results[3]["ingestId"], results[0]["ingestId"]);
    assert_eq!(results[4]["status"], "REJECTED");
    assert_eq!(results[4]["problem"]["ingestId"], results[0]["ingestId"], "the first one wins");
    let records = gateway.records().await;
    assert!(records.iter().any(|record| record.value == spaced.as_bytes()), "byte for byte");

    let lines = gateway.batch("application/x-ndjson", items[..5].join("\r\n") + "\n\n").await;
    assert_eq!(words(&lines.json), ["DUPLICATE", "DUPLICATE", "json-syntax", "DUPLICATE", "conflict"]);
}

#[tokio::test]
async fn batches_that_are_refused_whole() {
    let gateway = Running::with(Options { max_batch_bytes: 300_000, ..Options::default() }).await;
    for (content_type, body, expected) in [
        ("application/json", String::new(), (400, "json-syntax")),
        ("application/json", "{}".to_owned(), (400, "json-syntax")),
        ("application/json", "[1,2".to_owned(), (400, "json-syntax")),
        ("application/json", "\u{feff}[]".to_owned(), (400, "json-encoding")),
        ("application/json", format!("[{}]", vec!["1"; 1_001].join(",")), (413, "batch-too-large")),
        ("application/x-ndjson", "1\n".repeat(1_001), (413, "batch-too-large")),
        ("application/json", format!("[\"{}\"]", "x".repeat(300_000)), (413, "body-too-large")),
        ("application/cloudevents+json", "[]".to_owned(), (415, "content-type-unsupported")),
        ("text/csv", "a,b".to_owned(), (415, "content-type-unsupported")),
    ] {
        let answer = gateway.batch(content_type, body).await;
        assert_eq!((answer.status, answer.word()), expected, "{content_type}");
    }
    for (content_type, body) in [
        ("application/json", "[]"),
        ("application/x-ndjson", "\n\n"),
        ("application/cloudevents-batch+json", " [ ] "),
    ] {
        let answer = gateway.batch(content_type, body).await;
        assert_eq!((answer.status, answer.json.to_string()), (200, r#"{"results":[]}"#.to_owned()));
    }
    assert_eq!(gateway.kept().await, (0, 0));
}

#[tokio::test]
async fn a_thousand_items() {
    let gateway = Running::start().await;
    let items: Vec<_> = (0..1_000).map(|index| envelope(&format!("e{index}"), "{}")).collect();
    let answer = gateway.batch("application/json", format!("[{}]", items.join(","))).await;
    assert_eq!(words(&answer.json), ["ACCEPTED"; 1_000]);
    let records = gateway.records().await;
    assert_eq!(records.len(), 1_000);
    // Results are in the items' order, whatever order they were taken in.
    for (item, result) in items.iter().zip(answer.json["results"].as_array().expect("results")) {
        let id = result["ingestId"].as_str();
        let record = records.iter().find(|record| record.header("dvss-ingest-id") == id).expect("a record");
        assert_eq!(record.value, item.as_bytes());
    }
}

#[tokio::test]
async fn cloudevents_in_three_modes() {
    let gateway = Running::start().await;
    let structured = r#"{"specversion":"1.0","type":"com.example.stock","source":"/shop","id":"A234-1234","time":"2026-04-05T17:31:00Z","data":{"sku":"A","qty":5}}"#;
    let first = gateway.post_as("application/cloudevents+json; charset=utf-8", structured).await;
    assert_eq!((first.status, first.word()), (202, "ACCEPTED"));
    let binary = |headers: &[(&str, &str)], content_type: &str, body: &str| {
        let mut request = gateway.request("/v1/events", &gateway.key).header("content-type", content_type);
        let good = [
            ("ce-specversion", "1.0"),
            ("ce-type", "com.example.stock"),
            ("ce-source", "/shop"),
            ("ce-id", "A234-1234"),
            ("ce-time", "2026-04-05T17:31:00Z"),
        ];
        for (name, value) in good.iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name)) {
            request = request.header(*name, *value);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        gateway.send(request.body(body.to_owned()))
    };
    // The same event in another mode is the same event.
    let again = binary(&[], "application/json", r#"{"qty":5,"sku":"A"}"#).await;
    assert_eq!((again.status, again.word()), (200, "DUPLICATE"));
    assert_eq!(again.text("ingestId"), first.text("ingestId"));

    let encoded =
        binary(&[("ce-id", "Euro%20%E2%82%AC"), ("ce-source", "\"/sh#op\"")], "application/json", "{}").await;
    assert_eq!(encoded.status, 202);
    let records = gateway.records().await;
    let event = |id: &str| {
        let record =
            records.iter().find(|record| record.header("dvss-ingest-id") == Some(id)).expect("a record");
        Event::from_headers(|name| record.header(name)).expect("headers")
    };
    let of_encoded = event(encoded.text("ingestId"));
    assert_eq!(of_encoded.draft.external_event_id.as_str(), "/sh%23op#Euro €");
    assert_eq!(of_encoded.draft.mode, Mode::Binary);
    assert_eq!(event(first.text("ingestId")).draft.mode, Mode::Structured);

    let xml = binary(&[("ce-id", "xml")], "text/xml; charset=utf-8", "<a/>").await;
    assert_eq!(xml.status, 202, "other payloads are kept");
    let record = gateway.records().await.into_iter().find(|record| {
        record.header("dvss-mode") == Some("binary")
            && record.header("content-type") == Some("text/xml; charset=utf-8")
    });
    assert_eq!(record.expect("a record").value, "<a/>".as_bytes());

    for (headers, content_type, body, code) in [
        (&[("ce-specversion", "0.3")][..], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-id", "")], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-source", "")], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-type", "")], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-time", "")], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-time", "yesterday")], "application/json", "{}", "occurred-at-invalid"),
        (&[("ce-time", "1970-01-01T00:00:00Z")], "application/json", "{}", "occurred-at-out-of-range"),
        (&[("ce-id", "a%0D%0AX: 1")], "application/json", "{}", "external-event-id-invalid"),
        (&[("ce-id", "a%00")], "application/json", "{}", "external-event-id-invalid"),
        (&[("ce-id", "%C3%28")], "application/json", "{}", "cloudevent-invalid"),
        (&[("ce-type", "%0A")], "application/json", "{}", "event-type-invalid"),
        (&[("ce-vendorid", "globex")], "application/json", "{}", "vendor-mismatch"),
        (&[("ce-id", "x"), ("ce-id", "y")], "application/json", "{}", "cloudevent-invalid"),
        (&[], "application/json", "{", "json-syntax"),
        (&[], "application/vnd.acme+json", "{\"a\":1,\"a\":1}", "json-duplicate-key"),
        (&[], "nonsense", "{}", "content-type-unsupported"),
    ] {
        let answer = binary(headers, content_type, body).await;
        assert_eq!(answer.word(), code, "{headers:?} {content_type} {body}");
    }
    for (body, code) in [
        ("[]", "cloudevent-invalid"),
        ("{}", "cloudevent-invalid"),
        (r#"{"specversion":"1.0"}"#, "cloudevent-invalid"),
        (&*structured.replace("\"data\":{", "\"data_base64\":\"AA==\",\"data\":{"), "cloudevent-invalid"),
        (&*structured.replace("\"data\"", "\"my_data\""), "cloudevent-invalid"),
        (&*structured.replace("A234-1234", "a\\r\\nb"), "external-event-id-invalid"),
        (&*structured.replace("17:31:00Z", "24:00:00Z"), "occurred-at-invalid"),
        (&*structured.replace("\"id\"", "\"vendorid\":\"globex\",\"id\""), "vendor-mismatch"),
    ] {
        assert_eq!(
            gateway.post_as("application/cloudevents+json", body.to_owned()).await.word(),
            code,
            "{body}"
        );
    }
    let batch = format!("[{},{},{{}}]", structured.replace("A234", "B234"), structured);
    let answer = gateway.batch("application/cloudevents-batch+json", batch).await;
    assert_eq!(words(&answer.json), ["ACCEPTED", "DUPLICATE", "cloudevent-invalid"]);
}
