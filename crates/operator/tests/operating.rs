//! What operators list, judge and mistype, on stores in memory.

mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use contract::canonical::{Divergence, DivergenceKind};
use contract::{Code, IngestId, Timestamp, VendorId, topics};
use ports::log::{Coordinates, Partition, RawRecord};
use serde_json::{Value, json};
use stores::{audit, divergences, ingest, quarantine, records};
use support::{NOON, STAGE, World, event};
use tower::ServiceExt as _;

async fn ask(world: &World, method: &str, path: &str, media_type: &str, body: Body) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", media_type).body(body).expect("a request");
    let router = world.operator.clone().router(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let answer = router.oneshot(request).await.expect("an answer");
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        assert!(!answer.headers()["allow"].is_empty(), "{method} {path}");
    }
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let world = World::new();
    let json = "application/json";
    let much = format!("{{\"vendorId\":\"{}\"}}", "x".repeat(3_000_000));
    for (method, path, media_type, body, code) in [
        ("POST", "/api/v1/vendors", json, "{", Code::RequestInvalid),
        ("POST", "/api/v1/vendors", json, "{\"vendorId\": 7}", Code::RequestInvalid),
        ("POST", "/api/v1/vendors", json, "{\"vendorId\":\"a\",\"other\":1}", Code::RequestInvalid),
        ("POST", "/api/v1/vendors", json, &much, Code::BodyTooLarge),
        ("POST", "/api/v1/vendors", "text/plain", "{}", Code::ContentTypeUnsupported),
        ("POST", "/api/v1/mappings", "application/yaml", &much, Code::BodyTooLarge),
        ("PUT", "/api/v1/vendors", json, "{}", Code::MethodNotAllowed),
        ("DELETE", "/api/v1/events/x", json, "", Code::MethodNotAllowed),
        ("POST", "/metrics", json, "", Code::MethodNotAllowed),
        ("GET", "/api/v1/nothing", json, "", Code::NotFound),
        ("GET", "/api/v1/events/", json, "", Code::NotFound),
        ("GET", "/nothing", json, "", Code::NotFound),
        ("GET", "/api/v1/quarantine?stagge=x", json, "", Code::RequestInvalid),
        ("GET", "/api/v1/quarantine?limit=many", json, "", Code::RequestInvalid),
        ("GET", "/api/v1/quarantine?limit=0", json, "", Code::RequestInvalid),
        ("GET", "/api/v1/quarantine?cursor=zz", json, "", Code::RequestInvalid),
        ("POST", "/api/v1/entities/acme%7Cw%7CA%7C%7C/recompute", json, "", Code::FoldOverflow),
        ("GET", "/api/v1/divergences?status=done", json, "", Code::RequestInvalid),
        ("GET", "/api/v1/divergences?entity=a%20b", json, "", Code::VendorIdInvalid),
        ("GET", "/api/v1/topics/dvss.raw/records", json, "", Code::RequestInvalid),
        ("GET", "/api/v1/events/%FF", json, "", Code::RequestInvalid),
        ("POST", "/api/v1/quarantine/s/i/discard", json, "{\"reason\":\" \"}", Code::RequestInvalid),
        ("POST", "/api/v1/divergences/x/resolve", json, "{}", Code::RequestInvalid),
        ("POST", "/api/v1/divergences/x/resolve", json, "{\"reason\":\"y\"}", Code::NotFound),
    ] {
        let (status, answer) = ask(&world, method, path, media_type, body.to_owned().into()).await;
        let expected = (code.http_status(), Some(code.as_str()));
        assert_eq!((status.as_u16(), answer["code"].as_str()), expected, "{method} {path}: {answer}");
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty() && answer["status"] == code.http_status(), "{method} {path}: {answer}");
    }
    let (_, answer) =
        ask(&world, "POST", "/api/v1/vendors", json, "{\"vendorId\":\"a\",\"other\":1}".into()).await;
    assert!(answer["detail"].to_string().contains("other"), "the member is named: {answer}");
}

#[tokio::test]
async fn what_may_be_a_typing_error_is_said() {
    let world = World::new();
    let warnings = |answer: &Value| answer["warnings"][0].as_str().unwrap_or_default().to_owned();
    let mapping = |owner: &str| {
        format!(
            "mapping: v1\n{owner}\neventType: stock.said\nversion: 1\ntitle: Stock\nsource: {{type: object}}\n\
             facts:\n  - type: InventoryUpdated\n    fields: {{sku: .no, warehouseId: {{const: w}}, quantityOnHand: .n}}\n"
        )
    };
    let put = async |owner: &str| {
        let yaml = "application/yaml";
        let (status, answer) = ask(&world, "POST", "/api/v1/mappings", yaml, mapping(owner).into()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        warnings(&answer)
    };
    assert!(put("platform: shopify").await.contains("no vendor is on the platform \"shopify\""));
    assert!(put("vendor: acme").await.contains("there is no vendor acme"));
    let (_, answer) = world.post("/vendors", json!({ "vendorId": "acme", "platform": "shopfy" })).await;
    assert!(answer["key"].is_string() && warnings(&answer).contains("\"shopfy\""), "{answer}");
    let (_, answer) = world.post("/vendors/acme", json!({ "eventsPerSecond": 5 })).await;
    assert_eq!(warnings(&answer), "", "nobody asked for the platform");
    let (_, answer) = world.post("/vendors/acme", json!({ "platform": "shopify" })).await;
    assert_eq!(warnings(&answer), "", "{answer}");
    assert_eq!([put("platform: shopify").await, put("vendor: acme").await], ["", ""]);

    // To resume what was never there can only be a mistake; records may name a vendor that was not added.
    let (status, answer) = world.post("/vendors/acne/resume", json!({})).await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("not-found")), "{answer}");
    assert_eq!(world.post("/vendors/acme/resume", json!({})).await.1["released"], 0);
    world.park_of("stranger", 1).await;
    let (status, answer) = world.post("/vendors/stranger/resume", json!({})).await;
    assert_eq!((status, &answer["failed"], &answer["released"]), (StatusCode::OK, &json!(0), &json!(1)));
}

#[tokio::test]
async fn lists_come_in_pages_and_none_is_lost() {
    let world = World::new();
    for number in 0..45 {
        world.park_of(if number % 3 == 0 { "acme" } else { "zeta" }, number).await;
    }
    let identities = |rows: &[Value]| {
        let set: BTreeSet<String> = rows.iter().map(|row| row["identity"].to_string()).collect();
        assert_eq!(set.len(), rows.len(), "none comes twice");
        set.len()
    };
    for (path, expected) in [
        ("/quarantine?".to_owned(), 45),
        (format!("/quarantine?stage={STAGE}&"), 45),
        ("/quarantine?vendor=acme&".to_owned(), 15),
        (format!("/quarantine?stage={STAGE}&vendor=acme&status=OPEN&"), 15),
        ("/quarantine?status=DISCARDED&".to_owned(), 0),
        ("/quarantine?stage=dvss.dedup&".to_owned(), 0),
    ] {
        for limit in [1, 7, 1_000] {
            assert_eq!(identities(&world.all(&path, "rows", limit).await), expected, "{path} by {limit}");
        }
    }
    let page = world.get("/quarantine?limit=5").await;
    let path = format!("/quarantine?stage={STAGE}&cursor={}", page["next"].as_str().expect("a cursor"));
    let (status, answer) = world.send("GET", &path, &[("host", "localhost")], json!({})).await;
    assert_eq!(
        (status.as_u16(), &answer["code"]),
        (400, &json!("request-invalid")),
        "a cursor of another list"
    );
    // Its list is said right, and where it stands is garbled: a mistake of whoever asks, and no damage.
    let page = world.get(&format!("/quarantine?stage={STAGE}&limit=5")).await;
    let cursor = page["next"].as_str().expect("a cursor");
    let path = format!("/quarantine?stage={STAGE}&cursor={}", &cursor[..cursor.len() - 2]);
    let (status, answer) = world.send("GET", &path, &[("host", "localhost")], json!({})).await;
    assert_eq!((status.as_u16(), &answer["code"]), (400, &json!("request-invalid")), "{answer}");
}

fn found(vendor: &str, number: u32, kind: DivergenceKind) -> Divergence {
    Divergence {
        kind,
        vendor_id: VendorId::parse(vendor).expect("id"),
        ingest_id: IngestId::parse(&format!("01J0000000ABCDEFGHJK{number:06}")).expect("id"),
        line: 0,
        leg: 0,
        revision: 1,
        entity: Some(format!("{vendor}|w|A{}||", number % 2)),
        occurred_at: Timestamp::parse(NOON).expect("time"),
        message: "it does not add up".to_owned(),
        ours: json!({ "data": { "quantityOnHand": "5" } }).to_string(),
        theirs: None,
    }
}

#[tokio::test]
async fn divergences_are_seen_and_closed() {
    let world = World::new();
    let (tables, codec) = (&*world.operator.ports.tables, &*world.operator.codec);
    let now = world.operator.ports.clock.now();
    for number in 0..30 {
        let vendor = if number < 10 { "acme" } else { "zeta" };
        let finding = found(vendor, number, DivergenceKind::Stale);
        divergences::record(tables, codec, finding, now).await.expect("recorded");
    }
    for (path, expected) in [
        ("/divergences?", 30),
        ("/divergences?vendor=acme&", 10),
        ("/divergences?entity=zeta%7Cw%7CA1%7C%7C&", 10),
        ("/divergences?entity=zeta%7Cw%7CA1%7C%7C&vendor=acme&", 0),
        ("/divergences?status=open&", 30),
        ("/divergences?vendor=nobody&", 0),
    ] {
        for limit in [1, 7, 1_000] {
            let rows = world.all(path, "rows", limit).await;
            let ids: BTreeSet<String> = rows.iter().map(|row| row["id"].to_string()).collect();
            assert_eq!((rows.len(), ids.len()), (expected, expected), "{path} by {limit}");
        }
    }
    let id = "01J0000000ABCDEFGHJK000003.0.0.STALE.1";
    let shown = world.get(&format!("/divergences/{id}")).await;
    assert_eq!(
        [&shown["id"], &shown["kind"], &shown["vendorId"], &shown["status"], &shown["entity"]],
        [&json!(id), &json!("STALE"), &json!("acme"), &json!("open"), &json!("acme|w|A1||")]
    );
    assert_eq!(shown["ours"]["data"]["quantityOnHand"], "5", "a side is no text in text");
    let (status, judged) =
        world.post(&format!("/divergences/{id}/resolve"), json!({ "reason": "recounted" })).await;
    assert_eq!(
        (status, &judged["status"], &judged["reason"]),
        (StatusCode::OK, &json!("resolved"), &json!("recounted"))
    );
    let other = "01J0000000ABCDEFGHJK000004.0.0.STALE.1";
    let (_, judged) =
        world.post(&format!("/divergences/{other}/accept"), json!({ "reason": "so be it" })).await;
    assert_eq!(judged["status"], "accepted");
    assert_eq!(world.all("/divergences?status=open&", "rows", 100).await.len(), 28);
    let entries = audit::list(tables, &audit::day(now), None, 10).await.expect("entries");
    let told: Vec<&str> = entries.iter().map(|entry| entry.deed.subject.as_str()).collect();
    assert_eq!(told, [id, other]);
}

#[tokio::test]
async fn a_discarded_record_that_comes_again_stays_so_and_is_said_to_be() {
    let world = World::new();
    let (ports, tables) = (&world.operator.ports, &*world.operator.ports.tables);
    let event = event();
    let id = event.draft.ingest_id;
    let raw = records::of_event(topics::RAW, "acme".into(), "{}".into(), &event);
    let at = ports.log.append(raw).await.expect("a record");
    ports.log.set_committed("dvss.dedup", &[(at.partition.clone(), at.offset + 1)]).await.expect("committed");
    ingest::claim(tables, &event, &at).await.expect("claimed");
    let deliver = async || {
        let record = records::of_event(topics::ACCEPTED, "acme".into(), Bytes::from("{}"), &event);
        let at = ports.log.append(record).await.expect("a record");
        let (mut records, _) = ports.log.read(&at.partition, at.offset, 1).await.expect("records");
        let record: RawRecord = records.remove(0);
        world.park_record(&record).await;
        ports.log.set_committed(STAGE, &[(at.partition.clone(), at.offset + 1)]).await.expect("committed");
        at
    };
    let first: Coordinates = deliver().await;
    quarantine::discard(ports, STAGE, &id.to_string(), "a test of theirs").await.expect("discarded");
    let again = deliver().await;
    assert!(first.offset < again.offset && again.partition == Partition::new(topics::ACCEPTED, 0));

    let shown = world.get(&format!("/events/{id}")).await;
    let row = &shown["quarantine"][0];
    assert_eq!(
        [&shown["status"], &row["status"], &row["reason"], &row["count"]],
        [&json!("QUARANTINED"), &json!("DISCARDED"), &json!("a test of theirs"), &json!(1)],
        "{shown}"
    );
    let books = world.get("/reconcile").await;
    let account = &books["vendors"][0];
    assert_eq!(
        [&books["balanced"], &account["accepted"], &account["quarantined"], &account["inFlight"]],
        [&json!(true), &json!(1), &json!(1), &json!(0)],
        "{books}"
    );
}
