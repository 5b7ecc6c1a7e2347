//! Everything a vendor may get wrong: a typed refusal or an exact value, never a 5xx.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Running, envelope, envelope_at};

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// An envelope with one member replaced (`Some`) or left out.
fn with(name: &str, value: Option<&str>) -> String {
    let members = [
        ("externalEventId", r#""e1""#),
        ("eventType", r#""stock""#),
        ("occurredAt", r#""2026-11-22T11:00:00Z""#),
        ("payload", "{}"),
    ];
    let mut texts: Vec<String> = members
        .iter()
        .filter(|(member, _)| *member != name)
        .map(|(member, value)| format!("{member:?}:{value}"))
        .collect();
    texts.extend(value.map(|value| format!("{name:?}:{value}")));
    format!("{{{}}}", texts.join(","))
}

/// Of `bytes` bytes in all.
fn of_size(id: &str, bytes: usize) -> String {
    let empty = envelope(id, r#"{"x":""}"#).len();
    envelope(id, &format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes - empty)))
}

const LIMIT: usize = 256 * 1_024;

#[tokio::test]
async fn bodies_that_are_refused() {
    let gateway = Running::start().await;
    let good = envelope("e1", "{}");
    let text = |text: &str| text.as_bytes().to_vec();
    let payload = |payload: &str| envelope("e1", payload).into_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (text(""), "json-syntax"),
        (text("not json"), "json-syntax"),
        (text("{"), "json-syntax"),
        (text("{'a':1}"), "json-syntax"),
        (text("<xml/>"), "json-syntax"),
        (text(&format!("{good} {good}")), "json-syntax"),
        (text("null"), "envelope-field-invalid"),
        (text("[]"), "envelope-field-invalid"),
        (text("\"text\""), "envelope-field-invalid"),
        (utf16(&good, false, false), "json-encoding"),
        (utf16(&good, true, false), "json-encoding"),
        (utf16(&good, false, true), "json-encoding"),
        (utf16(&good, true, true), "json-encoding"),
        (text(&format!("\u{feff}{good}")), "json-encoding"),
        (vec![0xff, 0xfe, 0xfd], "json-encoding"),
        ([b"{\"a\":\"", &[0xc3, 0x28][..], b"\"}"].concat(), "json-encoding"),
        (payload(r#"{"a":"\ud800"}"#), "json-encoding"),
        (payload(r#"{"a":"\udc00\ud800"}"#), "json-encoding"),
        (payload(r#"{"\udead":1}"#), "json-encoding"),
        (payload("{\"a\":\"\0\"}"), "json-syntax"),
        (payload("{\"a\":\0}"), "json-syntax"),
        (payload(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), "json-too-deep"),
        (payload(&format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))), "json-too-deep"),
        (text(&"[".repeat(10_000)), "json-too-deep"),
        (text(r#"{"eventType":"a","eventType":"b"}"#), "json-duplicate-key"),
        (payload(r#"{"a":{"b":[{"c":1,"c":1}]}}"#), "json-duplicate-key"),
        (payload(r#"{"a":1,"\u0061":2}"#), "json-duplicate-key"),
        (payload(r#"{"a":1e400000}"#), "json-number-range"),
        (payload(r#"{"a":-1E+99999999999999999999}"#), "json-number-range"),
        (payload(r#"{"a":NaN}"#), "json-syntax"),
        (payload(r#"{"a":-Infinity}"#), "json-syntax"),
        (payload(r#"{"a":01}"#), "json-syntax"),
        (payload(r#"{"a":.5}"#), "json-syntax"),
        (payload(r#"{"a":0x10}"#), "json-syntax"),
        (of_size("e1", LIMIT + 1).into_bytes(), "body-too-large"),
        (vec![b' '; 3 * 1_024 * 1_024], "body-too-large"),
    ];
    for (body, code) in cases {
        let shown: String = String::from_utf8_lossy(&body).chars().take(80).collect();
        let answer = gateway.post(body).await;
        assert_eq!(answer.word(), code, "{shown:?}");
        assert!(answer.status < 500, "{answer:?}");
    }
    let duplicate = gateway.post(envelope("e1", r#"{"a":[{"x/y":{"b":1,"b":1}}]}"#)).await;
    assert_eq!(duplicate.text("pointer"), "/payload/a/0/x~1y/b");
    assert_eq!(gateway.kept().await, (0, 0), "nothing refused is kept");
}

#[tokio::test]
async fn members_that_are_refused() {
    let gateway = Running::start().await;
    let quoted = |length: usize| format!("{:?}", "x".repeat(length));
    let cases = [
        ("externalEventId", None, "envelope-field-missing"),
        ("externalEventId", Some("\"\""), "external-event-id-invalid"),
        ("externalEventId", Some(&*quoted(257)), "external-event-id-invalid"),
        ("externalEventId", Some(r#""a\u0000b""#), "external-event-id-invalid"),
        ("externalEventId", Some(r#""a\r\nX-Injected: 1""#), "external-event-id-invalid"),
        ("externalEventId", Some(r#""\u0085""#), "external-event-id-invalid"),
        ("externalEventId", Some("\"a\u{7f}\""), "external-event-id-invalid"),
        ("externalEventId", Some("1"), "envelope-field-invalid"),
        ("externalEventId", Some("null"), "envelope-field-invalid"),
        ("eventType", None, "envelope-field-missing"),
        ("eventType", Some("\"\""), "event-type-invalid"),
        ("eventType", Some(&*quoted(129)), "event-type-invalid"),
        ("eventType", Some(r#""a\r\nb""#), "event-type-invalid"),
        ("eventType", Some("{}"), "envelope-field-invalid"),
        ("payload", None, "envelope-field-missing"),
        ("payload", Some("\"text\""), "envelope-field-invalid"),
        ("payload", Some("null"), "envelope-field-invalid"),
        ("vendorId", Some("\"globex\""), "vendor-mismatch"),
        ("vendorId", Some("\"ACME\""), "vendor-mismatch"),
        ("vendorId", Some("\"../acme\""), "vendor-mismatch"),
        ("vendorId", Some(r#""acme\r\nX: 1""#), "vendor-mismatch"),
        ("vendorId", Some("\"=cmd()\""), "vendor-mismatch"),
        ("vendorId", Some("[]"), "envelope-field-invalid"),
        ("occurredAt", None, "envelope-field-missing"),
        ("occurredAt", Some("1763805600"), "envelope-field-invalid"),
        ("occurredAt", Some("\"\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2026-11-22\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2026-11-22T11:00:00\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2026-11-22T24:00:00Z\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2016-12-31T23:59:60Z\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2026-02-30T11:00:00Z\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"2026-11-22T11:00:00+25:00\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"../../etc\""), "occurred-at-invalid"),
        ("occurredAt", Some("\"1970-01-01T00:00:00Z\""), "occurred-at-out-of-range"),
        ("occurredAt", Some("\"1999-12-31T23:59:59Z\""), "occurred-at-out-of-range"),
        ("occurredAt", Some("\"2099-01-01T00:00:00Z\""), "occurred-at-out-of-range"),
        ("occurredAt", Some("\"9999-01-01T00:00:00Z\""), "occurred-at-out-of-range"),
    ];
    for (name, value, code) in cases {
        let answer = gateway.post(with(name, value)).await;
        assert_eq!((answer.word(), answer.text("pointer")), (code, &*format!("/{name}")), "{value:?}");
    }
    assert_eq!(gateway.kept().await, (0, 0));
}

#[tokio::test]
async fn what_is_odd_but_exact() {
    let gateway = Running::start().await;
    for (index, payload) in [
        r#"{"a":1e400}"#,
        r#"{"a":1234567890123456789012345678901234567890}"#,
        r#"{"a":0.1234567890123456789012345678901234567890}"#,
        r#"{"a":-0}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\ud83d\ude00"}"#,
        r#"{"":{"":""}}"#,
        r#"{"__proto__":{"x":1},"constructor":1}"#,
        r#"{ "spaces" : [ 1.00 , 1E+2 ] }"#,
        "[]",
    ]
    .iter()
    .enumerate()
    {
        let body = envelope(&format!("odd-{index}"), payload);
        let answer = gateway.post(body.clone()).await;
        assert_eq!((answer.status, answer.word()), (202, "ACCEPTED"), "{payload}");
        let records = gateway.records().await;
        assert!(records.iter().any(|record| record.value == body.as_bytes()), "byte for byte: {payload}");
    }
    for at in ["2000-01-01T00:00:00Z", "2026-11-22T12:09:00Z", "2026-11-22t13:00:00.123456789+01:00"] {
        assert_eq!(gateway.post(envelope_at(at, at, "{}")).await.status, 202, "{at}");
    }
    assert_eq!(gateway.post(of_size("whole", LIMIT)).await.status, 202, "the limit itself fits");
}

#[tokio::test]
async fn ids_that_look_like_something_else() {
    let gateway = Running::start().await;
    let ids = [
        "../../../etc/passwd",
        "..",
        "=cmd()|' /C calc'!A0",
        "a#b",
        "%0d%0a",
        "a/b\\c",
        "\u{202e}abc",
        "x".repeat(256).leak(),
    ];
    for id in ids {
        let answer = gateway.post(envelope(id, "{}")).await;
        assert_eq!(answer.status, 202, "{id:?}: {answer:?}");
        let ingest_id = answer.text("ingestId");
        let key = format!("raw/acme/2026/11/22/{ingest_id}.json");
        let object = gateway.ports.raw.get(&key).await.expect("under its derived key");
        assert_eq!(object.metadata["dvss-external-event-id"], id);
        let records = gateway.records().await;
        let record = records.iter().find(|record| record.header("dvss-ingest-id") == Some(ingest_id));
        assert_eq!(record.and_then(|record| record.header("dvss-external-event-id")), Some(id));
    }
    let mut types = vec![with("eventType", Some("\"../../x\"")), with("eventType", Some("\"=cmd()\""))];
    for (index, body) in types.drain(..).enumerate() {
        let body = body.replace("\"e1\"", &format!("\"t{index}\""));
        assert_eq!(gateway.post(body).await.status, 202);
    }
    let id = gateway.get("..%2F..%2Fetc", &gateway.key).await;
    assert_eq!((id.status, id.word()), (400, "ingest-id-invalid"));
    let id = gateway.get("%0d%0aX:1", &gateway.key).await;
    assert_eq!(id.word(), "ingest-id-invalid");
}

#[tokio::test]
async fn codings_and_media_types() {
    let gateway = Running::start().await;
    let coded = |coding: &'static str, body: Vec<u8>| {
        let request = gateway.request("/v1/events", &gateway.key).header("content-type", "application/json");
        gateway.send(request.header("content-encoding", coding).body(body))
    };
    let body = envelope("zipped", r#"{"a": 1}"#);
    let answer = coded("gzip", gzip(body.as_bytes())).await;
    assert_eq!(answer.status, 202);
    assert_eq!(gateway.records().await[0].value, body.as_bytes(), "the decoded bytes are the event");
    assert_eq!(coded("gzip", gzip(of_size("at-limit", LIMIT).as_bytes())).await.status, 202);
    assert_eq!(coded("gzip", gzip(of_size("over", LIMIT + 1).as_bytes())).await.word(), "body-too-large");
    let bomb = gzip(&vec![b' '; 200 * 1_024 * 1_024]);
    assert!(bomb.len() > LIMIT, "refused by its own size");
    assert_eq!(coded("gzip", bomb).await.word(), "body-too-large");
    let small_bomb = gzip(&vec![b' '; 20 * 1_024 * 1_024]);
    assert!(small_bomb.len() < LIMIT, "refused by what it holds");
    assert_eq!(coded("gzip", small_bomb).await.word(), "body-too-large");
    assert_eq!(coded("gzip", body.clone().into_bytes()).await.word(), "content-encoding-invalid");
    assert_eq!(coded("gzip", gzip(body.as_bytes())[..20].to_vec()).await.word(), "content-encoding-invalid");
    let brotli = coded("br", vec![1]).await;
    assert_eq!((brotli.status, brotli.word()), (415, "content-encoding-unsupported"));
    assert_eq!(brotli.header("accept-encoding"), "gzip, identity");
    assert_eq!(
        coded("gzip, gzip", gzip(&gzip(body.as_bytes()))).await.word(),
        "content-encoding-unsupported"
    );
    assert_eq!(coded("identity", envelope("plain", "{}").into_bytes()).await.status, 202);

    for content_type in ["text/plain", "application/xml", "application/json; charset=utf-16", "json", "*/*"] {
        let answer = gateway.post_as(content_type, body.clone()).await;
        assert_eq!((answer.status, answer.word()), (415, "content-type-unsupported"), "{content_type}");
    }
    let missing = gateway.send(gateway.request("/v1/events", &gateway.key).body(body.clone())).await;
    assert_eq!((missing.status, missing.word()), (415, "content-type-unsupported"));
    let batch = gateway.post_as("application/cloudevents-batch+json", "[]").await;
    assert_eq!(batch.word(), "content-type-unsupported");
}

#[tokio::test]
async fn paths_and_methods() {
    let gateway = Running::start().await;
    let url = |path: &str| format!("http://{}{path}", gateway.address);
    let put = gateway.send(gateway.client.put(url("/v1/events"))).await;
    assert_eq!((put.status, put.word(), put.header("allow")), (405, "method-not-allowed", "POST"));
    let get = gateway.send(gateway.client.get(url("/v1/events:batch"))).await;
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
    let delete = gateway.send(gateway.client.delete(url("/v1/events/01J0000000ABCDEFGHJKMNPQRS"))).await;
    assert_eq!((delete.status, delete.header("allow")), (405, "GET"));
    for path in ["/", "/v1", "/v1/events/", "/v1/events/a/b", "/v2/events", "/v1/events:batches"] {
        let answer = gateway.send(gateway.client.post(url(path))).await;
        assert_eq!((answer.status, answer.word()), (404, "not-found"), "{path}");
    }
}
