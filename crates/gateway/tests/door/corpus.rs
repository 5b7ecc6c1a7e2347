//! The public corpora, where they are there.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::place::corpus;
use crate::support::{Answer, Running};

fn naughty_strings() -> Vec<String> {
    let Some(path) = corpus("nasty/big-list-of-naughty-strings/blns.json") else { return Vec::new() };
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("an array of strings")
}

/// Taken exactly or refused with a code; the id is kept as it was sent.
async fn check(gateway: &Running, answer: &Answer, text: &str, id: &str) -> bool {
    assert!(matches!(answer.status, 200 | 202 | 400 | 403 | 409 | 413 | 415), "{text:?}: {answer:?}");
    if answer.status != 202 {
        return false;
    }
    let ingest_id = answer.text("ingestId");
    let found = gateway.get(ingest_id, &gateway.key).await;
    assert_eq!(found.text("externalEventId"), id, "{text:?}");
    true
}

#[tokio::test]
async fn naughty_strings_in_every_field() {
    let gateway = Running::start().await;
    let mut taken = 0;
    let strings = naughty_strings();
    for (index, text) in strings.iter().enumerate() {
        for name in ["vendorId", "externalEventId", "eventType", "occurredAt", "payload", "member"] {
            let mut body = serde_json::json!({
                "externalEventId": format!("{name}-{index}"), "eventType": "stock",
                "occurredAt": "2026-11-22T11:00:00Z", "payload": {}
            });
            match name {
                "payload" => body["payload"] = serde_json::json!({ text: [text] }),
                "member" => body[format!("x{text}")] = Value::from(text.as_str()),
                _ => body[name] = Value::from(text.as_str()),
            }
            let id = body["externalEventId"].as_str().expect("text").to_owned();
            let answer = gateway.post(body.to_string()).await;
            let accepted = check(&gateway, &answer, text, &id).await;
            match name {
                "vendorId" | "occurredAt" => assert!(!accepted, "{name} {text:?}"),
                "payload" | "member" => assert!(accepted, "{name} {text:?}: {answer:?}"),
                _ => taken += usize::from(accepted),
            }
        }
    }
    assert!(strings.is_empty() || taken > strings.len(), "most are fine as ids: {taken}");
}

#[tokio::test]
async fn naughty_strings_in_cloudevents_headers() {
    let gateway = Running::start().await;
    for (index, text) in naughty_strings().iter().enumerate() {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        for name in ["ce-id", "ce-source", "ce-type", "ce-time", "ce-vendorid", "ce-specversion", "ce-other"]
        {
            let mut headers = vec![
                ("ce-specversion", "1.0".to_owned()),
                ("ce-id", format!("{name}-{index}")),
                ("ce-source", "s".to_owned()),
                ("ce-type", "t".to_owned()),
                ("ce-time", "2026-11-22T11:00:00Z".to_owned()),
            ];
            headers.retain(|(other, _)| *other != name);
            headers.push((name, encoded.clone()));
            let request =
                gateway.request("/v1/events", &gateway.key).header("content-type", "application/json");
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            let answer = gateway.send(request.body("{}")).await;
            let value = |wanted: &str| {
                if wanted == name {
                    text.clone()
                } else {
                    headers.iter().find(|(name, _)| *name == wanted).expect("there").1.clone()
                }
            };
            let id = contract::cloudevents::join(&value("ce-source"), &value("ce-id"));
            check(&gateway, &answer, text, &id).await;
        }
    }
}

#[tokio::test]
async fn naughty_strings_as_bodies_and_batches() {
    let gateway = Running::start().await;
    let strings = naughty_strings();
    for text in &strings {
        let answer = gateway.post(text.clone()).await;
        assert!(matches!(answer.status, 400), "{text:?}: {answer:?}");
    }
    for chunk in strings.chunks(100) {
        let array = gateway.batch("application/json", format!("[{}]", chunk.join(","))).await;
        assert!(matches!(array.status, 200 | 400), "{array:?}");
        let lines = gateway.batch("application/x-ndjson", chunk.join("\n")).await;
        assert_eq!(lines.status, 200, "{lines:?}");
    }
    assert_eq!(gateway.kept().await, (0, 0));
}

/// The specification's own examples. dvss takes those that have data, of whatever kind, and that say
/// when they happened.
#[tokio::test]
async fn examples_of_the_cloudevents_specification() {
    let Some(folder) = corpus("nasty/cloudevents-spec") else { return };
    let mut taken = 0;
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if !name.ends_with(".valid.json") {
            continue;
        }
        // They share an id, so each gets a gateway of its own.
        let gateway = Running::start().await;
        let text = std::fs::read_to_string(&path).expect("readable");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(items) = document.as_array() {
            let answer = gateway.batch("application/cloudevents-batch+json", text).await;
            let results = answer.json["results"].as_array().expect("results");
            assert_eq!(results.len(), items.len(), "{name}");
            assert!(results.iter().all(|result| result["status"] != "REJECTED"), "{name}: {results:?}");
            continue;
        }
        let answer = gateway.post_as("application/cloudevents+json", text).await;
        let has_data = !document["data"].is_null() || document["data_base64"].is_string();
        if has_data && document["time"].is_string() {
            assert!(matches!(answer.status, 200 | 202), "{name}: {answer:?}");
            taken += 1;
        } else {
            assert_eq!(answer.word(), "cloudevent-invalid", "{name}");
        }
    }
    assert!(taken > 3);
}

/// `features/http-protocol-binding.feature` of the conformance suite.
#[tokio::test]
async fn the_http_binding_of_the_conformance_suite() {
    let gateway = Running::start().await;
    let base = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("ce-id", "1234-1234-1234"),
        ("ce-source", "/mycontext/subcontext"),
    ];
    let structured = r#"{"specversion":"1.0","type":"com.example.someevent","time":"2018-04-05T03:56:24Z","id":"1234-1234-1234","source":"/mycontext/subcontext","datacontenttype":"application/json","data":{"message":"Hello World!"}}"#;
    let mut ids = Vec::new();
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let request = gateway.request("/v1/events", &gateway.key).header("content-type", content_type);
        let request = base.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        ids.push(gateway.send(request.body("{\n    \"message\": \"Hello World!\"\n}")).await);
    }
    for content_type in ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"] {
        ids.push(gateway.post_as(content_type, structured).await);
    }
    assert_eq!(ids[0].status, 202);
    for answer in &ids {
        assert_eq!(
            answer.text("ingestId"),
            ids[0].text("ingestId"),
            "one event in two modes and two spellings"
        );
    }
    let found = gateway.get(ids[0].text("ingestId"), &gateway.key).await;
    assert_eq!(found.text("externalEventId"), "/mycontext/subcontext#1234-1234-1234");
    assert_eq!(found.text("occurredAt"), "2018-04-05T03:56:24Z");
}
