//! Bodies that are no JSON, too large, compressed, or sent as something else.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::still_well;
use crate::support::wire::Wire;
use crate::support::{NOON, Place, stock};

/// The most bytes that a body may have.
const LIMIT: usize = 256 * 1_024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
    text.encode_utf16()
        .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
        .collect()
}

/// An envelope of exactly so many bytes.
fn padded(id: &str, bytes: usize) -> String {
    let empty = stock(id, NOON, "A", "1").to_string().replace("\"A\"", "\"A\",\"padding\":\"\"");
    empty.replace("\"padding\":\"\"", &format!("\"padding\":\"{}\"", "x".repeat(bytes - empty.len())))
}

/// An envelope with this text as its payload.
fn with_payload(id: &str, payload: &str) -> String {
    format!(
        r#"{{"externalEventId":"{id}","eventType":"InventoryUpdated","occurredAt":"{NOON}","payload":{payload}}}"#
    )
}

#[tokio::test]
async fn what_is_not_json_is_refused_by_name() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let good = stock("e1", NOON, "A", "1").to_string();
    let nested = |depth: usize| with_payload("deep", &format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let objects =
        |depth: usize| with_payload("deep", &format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("nothing", b"".to_vec(), 400, "json-syntax"),
        ("blanks", b" \n\t ".to_vec(), 400, "json-syntax"),
        ("words", b"hello".to_vec(), 400, "json-syntax"),
        ("half of it", good.as_bytes()[..good.len() / 2].to_vec(), 400, "json-syntax"),
        ("one too many", format!("{good}}}").into_bytes(), 400, "json-syntax"),
        ("two of them", format!("{good}{good}").into_bytes(), 400, "json-syntax"),
        ("a comment", format!("/* */{good}").into_bytes(), 400, "json-syntax"),
        ("single quotes", good.replace('"', "'").into_bytes(), 400, "json-syntax"),
        ("a trailing comma", good.replace('}', ",}").into_bytes(), 400, "json-syntax"),
        ("NaN", with_payload("n", r#"{"sku":"A","quantityOnHand":NaN}"#).into_bytes(), 400, "json-syntax"),
        ("Infinity", with_payload("n", r#"{"quantityOnHand":-Infinity}"#).into_bytes(), 400, "json-syntax"),
        ("hexadecimal", with_payload("n", r#"{"quantityOnHand":0x10}"#).into_bytes(), 400, "json-syntax"),
        ("a leading zero", with_payload("n", r#"{"quantityOnHand":007}"#).into_bytes(), 400, "json-syntax"),
        ("a bare NUL", good.replace("e1", "e\u{0}1").into_bytes(), 400, "json-syntax"),
        ("a bare newline in a string", good.replace("e1", "e\n1").into_bytes(), 400, "json-syntax"),
        ("a byte order mark", format!("\u{feff}{good}").into_bytes(), 400, "json-encoding"),
        ("UTF-16, little endian", utf16(&good, false), 400, "json-encoding"),
        ("UTF-16, big endian", utf16(&good, true), 400, "json-encoding"),
        ("UTF-16 with its mark", [b"\xff\xfe".to_vec(), utf16(&good, false)].concat(), 400, "json-encoding"),
        (
            "Latin-1",
            good.replace("e1", "caf~")
                .replace('~', "\u{7f}")
                .into_bytes()
                .iter()
                .map(|byte| if *byte == 0x7f { 0xe9 } else { *byte })
                .collect(),
            400,
            "json-encoding",
        ),
        ("an overlong slash", [b"\"".as_slice(), b"\xc0\xaf\""].concat(), 400, "json-encoding"),
        ("a lone high surrogate", good.replace("e1", r"\ud800").into_bytes(), 400, "json-encoding"),
        (
            "a lone low surrogate in the payload",
            with_payload("s", r#"{"sku":"\udc00"}"#).into_bytes(),
            400,
            "json-encoding",
        ),
        (
            "surrogates the wrong way round",
            with_payload("s", r#"{"sku":"\udc00\ud800"}"#).into_bytes(),
            400,
            "json-encoding",
        ),
        ("10,000 arrays", nested(10_000).into_bytes(), 400, "json-too-deep"),
        ("10,000 objects", objects(10_000).into_bytes(), 400, "json-too-deep"),
        ("10,000 brackets and no end", "[".repeat(10_000).into_bytes(), 400, "json-too-deep"),
        (
            "a key twice",
            good.replacen('{', r#"{"eventType":"x","#, 1).into_bytes(),
            400,
            "json-duplicate-key",
        ),
        (
            "a key twice, deep down",
            with_payload("d", r#"{"items":[{"sku":"A"},{"sku":"B","x":{"y":1,"y":1}}]}"#).into_bytes(),
            400,
            "json-duplicate-key",
        ),
        (
            "a key twice, spelled in two ways",
            with_payload("d", r#"{"sku":"A","\u0073ku":"B"}"#).into_bytes(),
            400,
            "json-duplicate-key",
        ),
        (
            "an absurd exponent",
            with_payload("x", r#"{"sku":"A","quantityOnHand":1e4000000}"#).into_bytes(),
            400,
            "json-number-range",
        ),
        (
            "an exponent beyond any integer",
            with_payload("x", r#"{"quantityOnHand":1e99999999999999999999}"#).into_bytes(),
            400,
            "json-number-range",
        ),
        ("an array", format!("[{good}]").into_bytes(), 400, "envelope-field-invalid"),
        ("a string", b"\"e1\"".to_vec(), 400, "envelope-field-invalid"),
        ("null", b"null".to_vec(), 400, "envelope-field-invalid"),
        ("a number", b"1e400".to_vec(), 400, "envelope-field-invalid"),
    ];
    for (name, body, status, code) in cases {
        Wire::event(&acme, body).send(&dvss).await.refused(name, status, code);
    }
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn sizes_and_content_codings() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let event = |body: &[u8]| Wire::event(&acme, body);
    let zipped = |body: Vec<u8>| Wire::event(&acme, body).with("Content-Encoding: gzip");

    let exact = event(padded("exact", LIMIT).as_bytes()).send(&dvss).await;
    assert_eq!(exact.status, 202, "{exact:?}");
    let exact = zipped(gzip(padded("zipped", LIMIT).as_bytes())).send(&dvss).await;
    assert_eq!(exact.status, 202, "{exact:?}");
    let small = zipped(gzip(stock("small", NOON, "A", "1").to_string().as_bytes())).send(&dvss).await;
    assert_eq!(small.status, 202, "{small:?}");
    let again = event(stock("small", NOON, "A", "1").to_string().as_bytes()).send(&dvss).await;
    assert_eq!(
        (again.status, &again.body["ingestId"]),
        (200, &small.body["ingestId"]),
        "however it is packed"
    );

    let bomb = gzip(&vec![b' '; 100 * LIMIT]);
    assert!(bomb.len() < LIMIT, "it is a bomb: {} bytes", bomb.len());
    let bomb_of_bombs = gzip(&bomb);
    let whole = gzip(stock("e1", NOON, "A", "1").to_string().as_bytes());
    let cases: Vec<(&str, Wire, u16, &str)> = vec![
        ("one byte too many", event(padded("large", LIMIT + 1).as_bytes()), 413, "body-too-large"),
        ("twice too many", event(&vec![b'x'; 2 * LIMIT]), 413, "body-too-large"),
        (
            "one byte too many, zipped",
            zipped(gzip(padded("large", LIMIT + 1).as_bytes())),
            413,
            "body-too-large",
        ),
        ("a bomb", zipped(bomb.clone()), 413, "body-too-large"),
        ("a bomb in a bomb", zipped(bomb_of_bombs), 400, "json-encoding"),
        ("a bomb that does not say so", event(&bomb), 400, "json-encoding"),
        ("not gzip", zipped(b"hello".to_vec()), 400, "content-encoding-invalid"),
        ("half of it", zipped(whole[..whole.len() / 2].to_vec()), 400, "content-encoding-invalid"),
        (
            "a wrong sum",
            zipped([&whole[..whole.len() - 8], &[0; 8]].concat()),
            400,
            "content-encoding-invalid",
        ),
        (
            "something behind it",
            zipped([whole.clone(), b"more".to_vec()].concat()),
            400,
            "content-encoding-invalid",
        ),
        ("zipped nothing", zipped(gzip(b"")), 400, "json-syntax"),
        ("no gzip at all", zipped(vec![]), 400, "content-encoding-invalid"),
        ("brotli", event(b"x").with("Content-Encoding: br"), 415, "content-encoding-unsupported"),
        ("deflate", event(b"x").with("Content-Encoding: deflate"), 415, "content-encoding-unsupported"),
        (
            "twice zipped, and says so",
            event(&gzip(&whole)).with("Content-Encoding: gzip, gzip"),
            415,
            "content-encoding-unsupported",
        ),
    ];
    for (name, request, status, code) in cases {
        request.send(&dvss).await.refused(name, status, code);
    }
    // A length that is a lie by far is refused before anything is read.
    let lie = Wire::event(&acme, b"{}".to_vec()).with("Content-Length: 99999999999999");
    lie.send(&dvss).await.refused("a length of 100 TB", 413, "body-too-large");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn media_types_and_credentials() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let good = stock("e1", NOON, "A", "1").to_string();
    let as_type = |media_type: &str| Wire::post("/v1/events", &acme, media_type, good.clone());
    for media_type in [
        "application/xml",
        "text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "*/*",
        "",
        "application/json; charset=utf-16",
        "application/cloudevents-batch+json",
    ] {
        as_type(media_type).send(&dvss).await.refused(media_type, 415, "content-type-unsupported");
    }
    as_type("x").without("Content-Type").send(&dvss).await.refused(
        "no media type",
        415,
        "content-type-unsupported",
    );
    let two = as_type("application/json").with("Content-Type: text/xml");
    two.send(&dvss).await.refused("two media types", 415, "content-type-unsupported");
    as_type("application/cloudevents+json").send(&dvss).await.refused(
        "an envelope as a CloudEvent",
        400,
        "cloudevent-invalid",
    );

    let plain = |header: Option<String>| {
        let request = Wire::event(&acme, good.clone()).without("Authorization");
        header.into_iter().fold(request, |request, header| request.with(header))
    };
    let stranger = acme.key.replace("acme", "nobody");
    let mut last = acme.key.clone();
    let end = if last.ends_with('0') { '1' } else { '0' };
    last.pop();
    last.push(end);
    for (name, header) in [
        ("no key", None),
        ("an empty key", Some("Authorization: Bearer ".to_owned())),
        ("no scheme", Some(format!("Authorization: {}", acme.key))),
        ("another scheme", Some(format!("Authorization: Basic {}", acme.key))),
        ("an unknown vendor", Some(format!("Authorization: Bearer {stranger}"))),
        ("one letter off", Some(format!("Authorization: Bearer {last}"))),
        (
            "a key in another's name",
            Some(format!("Authorization: Bearer {}", acme.key.replace("acme", "other"))),
        ),
        ("a key in capitals", Some(format!("Authorization: Bearer {}", acme.key.to_uppercase()))),
        ("a long key", Some(format!("Authorization: Bearer {}", "x".repeat(8_000)))),
        ("a path", Some("Authorization: Bearer dvss_../../acme_00".to_owned())),
    ] {
        plain(header).send(&dvss).await.refused(name, 401, "unauthorized");
    }
    let two = Wire::event(&acme, good.clone()).with(format!("Authorization: Bearer {}", other.key));
    two.send(&dvss).await.refused("two keys", 401, "unauthorized");

    let named = |vendor: &str| good.replacen('{', &format!("{{\"vendorId\":\"{vendor}\","), 1);
    Wire::event(&acme, named("other")).send(&dvss).await.refused(
        "another vendor's id",
        403,
        "vendor-mismatch",
    );
    Wire::event(&acme, named("ACME")).send(&dvss).await.refused(
        "another vendor's id",
        403,
        "vendor-mismatch",
    );
    Wire::event(&acme, named("../acme")).send(&dvss).await.refused("no vendor's id", 403, "vendor-mismatch");
    assert_eq!(Wire::event(&acme, named("acme")).send(&dvss).await.status, 202, "its own");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

/// Good items of a batch are taken, whatever stands between them.
#[tokio::test]
async fn a_batch_of_good_and_hostile_items() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let good = |number: u32| stock(&format!("g{number}"), NOON, "A", &number.to_string()).to_string();
    let items = [
        good(1),
        "[".repeat(200) + &"]".repeat(200),
        good(2),
        padded("large", LIMIT + 1),
        r#"{"externalEventId":"x","externalEventId":"y"}"#.to_owned(),
        good(3),
        r#""\ud800""#.to_owned(),
        good(4),
    ];
    let array = Wire::post("/v1/events:batch", &acme, "application/json", format!("[{}]", items.join(",")));
    let reply = array.send(&dvss).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let word = |result: &serde_json::Value| {
        result["problem"]["code"].as_str().or(result["status"].as_str()).map(str::to_owned)
    };
    let words: Vec<String> =
        reply.body["results"].as_array().expect("results").iter().filter_map(word).collect();
    let expected = [
        "ACCEPTED",
        "json-too-deep",
        "ACCEPTED",
        "body-too-large",
        "json-duplicate-key",
        "ACCEPTED",
        "json-encoding",
        "ACCEPTED",
    ];
    assert_eq!(words, expected);

    let lines = Wire::post("/v1/events:batch", &acme, "application/x-ndjson", items.join("\r\n"));
    let reply = lines.send(&dvss).await;
    let words: Vec<String> =
        reply.body["results"].as_array().expect("results").iter().filter_map(word).collect();
    assert_eq!(words, expected.map(|word| if word == "ACCEPTED" { "DUPLICATE" } else { word }));

    for (name, body, code) in [
        ("an array that does not end", format!("[{}", good(5)), "json-syntax"),
        ("something behind it", format!("[{}] x", good(5)), "json-syntax"),
        ("brackets that do not match", format!("[{}}}]", good(5)), "json-syntax"),
        ("a byte order mark", format!("\u{feff}[{}]", good(5)), "json-encoding"),
    ] {
        Wire::post("/v1/events:batch", &acme, "application/json", body)
            .send(&dvss)
            .await
            .refused(name, 400, code);
    }
    let commas =
        Wire::post("/v1/events:batch", &acme, "application/json", format!("[{}]", ",".repeat(100_000)));
    commas.send(&dvss).await.refused("100,000 nothings", 413, "batch-too-large");
    let vast = Wire::post("/v1/events:batch", &acme, "application/json", vec![b' '; 4 * 1_024 * 1_024 + 1]);
    vast.send(&dvss).await.refused("beyond the batch's size", 413, "body-too-large");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

/// The vendor's bytes come back from the raw bucket exactly: what explain shows is their checksum.
#[tokio::test]
async fn odd_but_valid_bytes_are_kept_exactly() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    for (id, body) in [
        ("spaces", format!("\r\n\t {} \n", stock("spaces", NOON, "A", "1"))),
        ("escapes", stock("escapes", NOON, "A", "1").to_string().replace("sku", r"\u0073\u006bu")),
        ("unicode", stock("unicode \u{1f600} \u{202e}", NOON, "\u{fb01}", "1").to_string()),
        (
            "extra",
            stock("extra", NOON, "A", "1").to_string().replacen(
                '{',
                "{\"$ref\":\"#/x\",\"__proto__\":{\"a\":1},",
                1,
            ),
        ),
    ] {
        let reply = Wire::event(&acme, body.clone()).send(&dvss).await;
        assert_eq!(reply.status, 202, "{id}: {reply:?}");
        let ingest_id = reply.body["ingestId"].as_str().expect("an id").to_owned();
        let shown = dvss.published(&ingest_id).await;
        let sum = contract::Fingerprint::of_bytes(body.as_bytes()).to_string();
        assert_eq!(shown["raw"]["sha256"], sum, "{id}");
    }
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
