//! What operators see: tail, explain, history, reconcile, status, metrics, health, and how commands end.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::oracle::{PUBLIC, account, assert_balanced};
use crate::support::{NOON, Place, change, envelope, eventually, members, seconds_past_noon, stock};

const UPDATED: &str = PUBLIC[0];

/// What a vendor wrote is shown to the last digit, whatever a double makes of it.
#[tokio::test]
async fn tail_shows_vendors_numbers_as_they_wrote_them() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let body = |id: &str, number: &str| {
        format!(
            r#"{{"externalEventId":"{id}","eventType":"InventoryUpdated","occurredAt":"{NOON}",
                "payload": {{"sku":"A","warehouseId":"w1","quantityOnHand": {number}}}}}"#
        )
    };
    for (id, number) in [("e1", "0.1234567890123456789012345678"), ("e2", "1e400")] {
        dvss.post(&acme, "/v1/events", "application/json", body(id, number)).await.expect(202);
    }
    let ran = dvss.cli(&["tail", "dvss.raw", "--from-start", "--until-end", "--json"]).await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "{ran:?}");
    for number in ["0.1234567890123456789012345678", "1e400"] {
        assert!(ran.stdout.contains(&format!(r#""quantityOnHand":{number}}}"#)), "{}", ran.stdout);
    }
    dvss.settled().await;
    dvss.stop().await;
}

#[tokio::test]
async fn tail_decodes_and_is_exact() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let payload = json!({"items": [
        {"sku": "A", "warehouseId": "w1", "quantityOnHand": "15.00", "quantityAvailable": 12, "lot": "L|9", "sequence": 7},
        {"sku": "B", "quantityIncoming": "9999999999999999999999999.999", "skuAlt": ["b-1", "b-2"], "discontinued": true},
    ]});
    let sent = dvss.send(&acme, &envelope("e1", "InventoryUpdated", NOON, payload)).await;
    let order = json!({"orderId": "O-1", "status": "SHIPPED", "currency": "EUR", "total": "19.90",
                       "lines": [{"sku": "A", "quantity": 2, "unitPrice": "9.95"}]});
    dvss.send(&acme, &envelope("e2", "OrderUpdated", NOON, order)).await.expect(202);
    dvss.send(&acme, &change("e3", NOON, "A", "-1.5")).await.expect(202);
    dvss.settled().await;

    let records = dvss.cli(&["tail", UPDATED, "--from-start", "--until-end", "--json"]).await.lines();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in &records {
        assert_eq!(record["topic"], UPDATED);
        assert!(
            record["partition"].is_u64() && record["offset"].is_u64() && record["headers"].is_object(),
            "{record}"
        );
        let value = &record["value"];
        assert_eq!([&value["ingestId"], &value["vendorId"]], [&sent.body["ingestId"], &json!("acme")]);
        assert_eq!(
            [&value["externalEventId"], &value["eventType"]],
            [&json!("e1"), &json!("InventoryUpdated")]
        );
        assert_eq!(
            [&value["revision"], &value["leg"], &value["outcome"]],
            [&json!(1), &json!(0), &json!("APPLIED")]
        );
        assert!(value["schemaVersion"].is_string() && value["rawRef"]["key"].is_string(), "{value}");
        assert_eq!(value["occurredAt"], NOON);
    }
    let line = |line: u32| {
        let found = records.iter().find(|record| record["value"]["line"] == line);
        found.unwrap_or_else(|| panic!("no line {line} in {records:?}"))
    };
    assert_eq!(line(0)["key"], "acme|w1|A|L%7C9|", "a part cannot break out of its place");
    let data = &line(0)["value"]["data"];
    assert_eq!(
        [&data["quantityOnHand"], &data["quantityAvailable"], &data["sequence"]],
        [&json!("15.00"), &json!("12"), &json!(7)]
    );
    let data = &line(1)["value"]["data"];
    assert_eq!(data["quantityIncoming"], "9999999999999999999999999.999", "no float came near it");
    assert_eq!([&data["skuAlt"], &data["discontinued"]], [&json!(["b-1", "b-2"]), &json!(true)]);

    let adjusted = dvss.cli(&["tail", PUBLIC[1], "--from-start", "--until-end"]).await.lines();
    assert_eq!((adjusted.len(), &adjusted[0]["value"]["data"]["delta"]), (1, &json!("-1.5")));
    let orders = dvss.cli(&["tail", PUBLIC[2], "--from-start", "--until-end"]).await.lines();
    let data = &orders[0]["value"]["data"];
    assert_eq!(
        [&orders[0]["key"], &data["status"], &data["total"]],
        [&json!("acme|O-1"), &json!("SHIPPED"), &json!("19.90")]
    );
    assert_eq!(data["lines"][0]["unitPrice"], "9.95");

    // Internal topics are read as the JSON that they are; nothing lies behind the end.
    let raw = dvss.cli(&["tail", "dvss.raw", "--from-start", "--until-end"]).await.lines();
    assert_eq!(raw.len(), 3);
    assert!(raw.iter().all(|record| record["value"]["payload"].is_object()), "{raw:?}");
    let end = dvss.cli(&["tail", UPDATED, "--until-end"]).await;
    assert_eq!((end.code, end.stdout.as_str()), (0, ""));
    let nothing = dvss.cli(&["tail", "dvss.nothing", "--from-start", "--until-end"]).await;
    assert_eq!(nothing.code, 5, "{nothing:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn explain_shows_every_coordinate() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let first = dvss.send(&acme, &stock("e1", &seconds_past_noon(100), "A", "5")).await;
    let late = dvss.send(&acme, &stock("e2", NOON, "A", "9")).await;
    let poison = dvss
        .send(&acme, &envelope("e3", "InventoryUpdated", NOON, json!({"sku": "A", "quantityOnHand": "many"})))
        .await;
    let unmapped = dvss.send(&acme, &envelope("e4", "no.such.type", NOON, json!({}))).await;
    dvss.send(&acme, &stock("e1", &seconds_past_noon(100), "A", "6")).await.refused(409, "conflict");
    dvss.settled().await;

    dvss.published(&first.id()).await;
    let shown = dvss.cli(&["explain", &first.id(), "--json"]).await.json();
    for name in [
        "ingestId",
        "vendorId",
        "externalEventId",
        "eventType",
        "status",
        "raw",
        "facts",
        "quarantine",
        "repeats",
        "conflicts",
    ] {
        assert!(shown.get(name).is_some(), "{name} of {shown}");
    }
    assert_eq!(
        [&shown["status"], &shown["vendorId"], &shown["externalEventId"]],
        [&json!("PUBLISHED"), &json!("acme"), &json!("e1")]
    );
    assert_eq!(members(&shown["raw"]), ["bucket", "key", "sha256"]);
    let id = first.id();
    assert_eq!(shown["raw"]["key"], format!("raw/acme/2024/05/01/{id}.json"));
    let fact = &shown["facts"][0];
    for name in ["line", "revision", "outcome", "eventType", "data", "published"] {
        assert!(fact.get(name).is_some(), "{name} of {fact}");
    }
    assert_eq!(members(&fact["published"]), ["offset", "partition", "topic"]);
    assert_eq!(
        [&fact["line"], &fact["revision"], &fact["outcome"]],
        [&json!(0), &json!(1), &json!("APPLIED")]
    );
    let record =
        dvss.tail(UPDATED).await.into_iter().find(|record| record["value"]["ingestId"] == id.as_str());
    let record = record.expect("it is on the topic");
    assert_eq!(
        [&record["topic"], &record["partition"], &record["offset"]],
        ["topic", "partition", "offset"].map(|name| &fact["published"][name])
    );
    assert_eq!(
        shown["conflicts"][0]["raw"]["key"].as_str().map(|key| key.starts_with("conflicts/acme/")),
        Some(true),
        "{shown}"
    );

    let shown = dvss.published(&late.id()).await;
    assert_eq!(shown["facts"][0]["outcome"], "STALE");
    assert_eq!(shown["divergence"][0]["kind"], "STALE", "{shown}");
    let stale = shown["divergence"][0]["id"].as_str().expect("an id").to_owned();
    let of_entity = ["divergences", "list", "--open", "--entity", "acme|w1|A||", "--json"];
    let listed = dvss.cli(&of_entity).await.json();
    assert_eq!(listed["rows"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["rows"][0]["id"], json!(stale), "{listed}");
    let words = dvss.cli(&["divergences", "show", &stale]).await;
    assert!(words.code == 0 && words.stdout.contains("STALE"), "{words:?}");
    let judged =
        dvss.cli(&["divergences", "resolve", &stale, "--reason", "recounted", "--json"]).await.json();
    assert_eq!([&judged["status"], &judged["reason"]], [&json!("resolved"), &json!("recounted")]);
    assert_eq!(dvss.cli(&of_entity).await.json()["rows"], json!([]), "nobody has to look at it again");
    let conflicts = dvss.cli(&["divergences", "list", "--vendor", "acme", "--open"]).await;
    assert!(conflicts.stdout.contains("CONFLICT"), "{conflicts:?}");

    let shown = dvss.cli(&["explain", &poison.id(), "--json"]).await.json();
    assert_eq!(shown["status"], "QUARANTINED");
    let row = &shown["quarantine"][0];
    for name in ["stage", "code", "pointer", "message"] {
        assert!(row[name].is_string(), "{name} of {row}");
    }
    assert_eq!(
        [&row["stage"], &row["code"], &row["pointer"]],
        [&json!("dvss.normalize"), &json!("mapping-field-invalid"), &json!("/payload/quantityOnHand")]
    );
    let shown = dvss.explain(&unmapped.id()).await;
    assert_eq!(
        [&shown["status"], &shown["quarantine"][0]["code"]],
        [&json!("QUARANTINED"), &json!("mapping-missing")]
    );

    let words = dvss.cli(&["explain", &id]).await;
    assert!(
        words.code == 0 && words.stdout.contains("PUBLISHED") && words.stdout.contains("raw/acme"),
        "{words:?}"
    );
    let unknown = dvss.cli(&["explain", "01J0000000ABCDEFGHJKMNPQRS"]).await;
    assert!(unknown.code == 5 && unknown.stderr.contains("not-found"), "{unknown:?}");
    let wrong = dvss.cli(&["explain", "nonsense", "--json"]).await;
    assert!(
        wrong.code == 5 && wrong.stderr.contains("ingest-id-invalid") && wrong.stdout.is_empty(),
        "{wrong:?}"
    );
    dvss.stop().await;
}

#[tokio::test]
async fn accepted_is_what_explain_says_of_an_event_on_its_way() {
    let place = Place::new();
    let dvss = place.up().env("DVSS_STAGES", "[dedup]").go().await;
    let acme = dvss.vendor("acme").await;
    let sent = dvss.send(&acme, &stock("e1", NOON, "A", "5")).await;
    let shown = dvss.explained(&sent.id(), "ACCEPTED").await;
    assert_eq!((&shown["facts"], &shown["quarantine"]), (&json!([]), &json!([])));
    let report = dvss.cli(&["reconcile", "--json"]).await.json();
    let books = account(&report, "acme");
    assert_eq!(
        [&books["accepted"], &books["inFlight"], &books["missing"]],
        [&json!(1), &json!(1), &json!([])],
        "{books}"
    );
    dvss.stop().await;

    let dvss = place.up().go().await;
    dvss.published(&sent.id()).await;
    assert_balanced(&dvss.settled().await);
    dvss.stop().await;
}

#[tokio::test]
async fn an_event_is_explained_from_its_2xx_on() {
    let place = Place::new();
    let dvss = place.up().env("DVSS_STAGES", "[outbox]").go().await;
    let (acme, _other) = (dvss.vendor("acme").await, dvss.vendor("zeta").await);
    let sent = dvss.send(&acme, &stock("e1", "2024-05-01T12:00:00.123456789Z", "A", "5")).await;
    let shown = dvss.cli(&["explain", &sent.id(), "--json"]).await.json();
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (text("status"), text("vendorId"), text("externalEventId")),
        ("ACCEPTED".into(), "acme".into(), "e1".into())
    );
    assert_eq!((&shown["facts"], &shown["repeats"]), (&json!([]), &json!([])));
    dvss.stop().await;

    let dvss = place.up().go().await;
    let later = dvss.published(&sent.id()).await;
    assert_eq!(later["raw"], shown["raw"]);
    dvss.stop().await;
}

#[tokio::test]
async fn history_is_in_fold_order_and_comes_to_the_state() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    // Sent in another order than they happened.
    for event in [
        change("c2", &seconds_past_noon(30), "A", "-2"),
        stock("s2", &seconds_past_noon(20), "A", "100"),
        change("c1", &seconds_past_noon(10), "A", "-50"),
        stock("s1", &seconds_past_noon(0), "A", "40"),
    ] {
        dvss.deliver(&acme, &event).await.expect(202);
    }
    assert_balanced(&dvss.settled().await);
    let shown = eventually("every fact has its offset", async || {
        let shown = dvss.cli(&["history", "acme|w1|A||", "--json"]).await.json();
        let facts = shown["facts"].as_array().expect("facts");
        facts.iter().all(|fact| !fact["published"].is_null()).then_some(shown)
    })
    .await;
    assert_eq!(members(&shown), ["complete", "entity", "facts", "state"]);
    let times: Vec<&str> = shown["facts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|fact| fact["occurredAt"].as_str())
        .collect();
    assert!(times.len() == 4 && times.is_sorted(), "{times:?}");
    assert_eq!(shown["state"]["quantityOnHand"], "98", "the latest level and what came after it");
    let again = dvss.cli(&["recompute", "acme|w1|A||", "--json"]).await.json();
    assert_eq!(again["state"]["quantityOnHand"], "98");
    let none = dvss.cli(&["history", "acme|w1|nothing||"]).await;
    assert!(none.code == 5 && none.stderr.contains("not-found"), "{none:?}");
    dvss.stop().await;
}

#[tokio::test]
async fn the_books_have_the_shape_that_is_promised() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor_on("other", None).await);
    for number in 0..5 {
        dvss.send(&acme, &stock(&format!("e{number}"), &seconds_past_noon(number), "A", "5"))
            .await
            .expect(202);
    }
    dvss.send(&other, &envelope("e1", "no.such.type", NOON, json!({}))).await.expect(202);
    dvss.settled().await;
    let report = dvss.cli(&["reconcile", "--json"]).await.json();
    assert_balanced(&report);
    for books in report["vendors"].as_array().expect("vendors") {
        assert_eq!(
            members(books),
            [
                "accepted",
                "conflict",
                "duplicate",
                "facts",
                "inFlight",
                "missing",
                "published",
                "quarantined",
                "refused",
                "repeats",
                "vendorId"
            ]
        );
    }
    let books = account(&report, "acme");
    assert_eq!([&books["accepted"], &books["published"], &books["facts"]], [&json!(5); 3], "{books}");
    let books = account(&report, "other");
    assert_eq!(
        [&books["accepted"], &books["quarantined"], &books["facts"]],
        [&json!(1), &json!(1), &json!(0)],
        "{books}"
    );
    let words = dvss.cli(&["reconcile"]).await;
    assert!(
        words.code == 0 && words.stdout.contains("balanced") && words.stdout.contains("acme"),
        "{words:?}"
    );
    dvss.stop().await;
}

#[tokio::test]
async fn health_and_status() {
    let place = Place::new();
    let dvss = place.up().go().await;
    for path in ["/livez", "/startupz"] {
        assert_eq!(dvss.page(path).await.status, 200, "{path}");
    }
    eventually("every stage is ready", async || (dvss.page("/readyz").await.status == 200).then_some(()))
        .await;
    let status = dvss.cli(&["status", "--json"]).await.json();
    let groups = status["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 5, "{status}");
    for group in groups {
        assert!(group["lag"] == 0 && group["ready"] == true && group["topic"].is_string(), "{group}");
    }
    let console = dvss.page("/").await;
    assert!(console.status == 200 && console.media_type.starts_with("text/html"), "{console:?}");
    assert_eq!(
        dvss.look("/openapi.json").await.expect(200)["openapi"].as_str().map(|text| &text[..3]),
        Some("3.1")
    );
    dvss.look("/no/such/path").await.refused(404, "not-found");
    dvss.stop().await;
}

#[tokio::test]
async fn metrics_have_prometheus_names_and_bounded_labels() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    dvss.send(&acme, &stock("e1", NOON, "A", "5")).await.expect(202);
    dvss.send(&acme, &stock("e1", NOON, "A", "5")).await.expect(200);
    dvss.send(&acme, &stock("e2", "1970-01-01T00:00:00Z", "A", "5"))
        .await
        .refused(400, "occurred-at-out-of-range");
    let poison = dvss.send(&acme, &envelope("e3", "InventoryUpdated", NOON, json!({"items": [{}]}))).await;
    // Nobody outside can make time series: not with keys, not with event types.
    for number in 0..20 {
        let mut stranger = acme.clone();
        stranger.id = format!("stranger{number}");
        stranger.key = acme.key.replace("acme", &stranger.id);
        dvss.send(&stranger, &stock("e1", NOON, "A", "5")).await.refused(401, "unauthorized");
        dvss.send(&acme, &envelope(&format!("u{number}"), &format!("made.up.{number}"), NOON, json!({})))
            .await
            .expect(202);
    }
    dvss.settled().await;
    dvss.explained(&poison.id(), "QUARANTINED").await;

    let page = dvss.page("/metrics").await;
    assert!(page.media_type.starts_with("text/plain"), "{}", page.media_type);
    let text = page.body.as_str().expect("text");
    let value = |sample: &str| -> f64 {
        let line =
            text.lines().find(|line| line.strip_prefix(sample).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("no {sample} in\n{text}"));
        line[sample.len()..].trim().parse().expect("a number")
    };
    assert!((value(r#"dvss_ingest_accepted{vendorId="acme"}"#) - 22.0).abs() < 0.5);
    assert!((value(r#"dvss_ingest_duplicate{vendorId="acme"}"#) - 1.0).abs() < 0.5);
    let refused = r#"dvss_ingest_failed_validation{vendorId="acme",reason="occurred-at-out-of-range"}"#;
    assert!((value(refused) - 1.0).abs() < 0.5);
    let normalized = r#"dvss_normalize_success{vendorId="acme",eventType="InventoryUpdated"}"#;
    assert!(value(normalized) >= 1.0, "a repeat that the index did not know yet is normalized again");
    let unmapped = r#"dvss_normalize_failed{vendorId="acme",eventType="unmapped",reason="mapping-missing"}"#;
    assert!((value(unmapped) - 20.0).abs() < 0.5);
    assert!(value(r#"dvss_pipeline_latency_ms_count{stage="gateway"}"#) >= 22.0);
    for stage in ["dvss.dedup", "dvss.normalize", "dvss.divergence", "dvss.outbox"] {
        assert!(value(&format!(r#"dvss_pipeline_latency_ms_count{{stage="{stage}"}}"#)) >= 1.0);
        assert!(value(&format!(r#"dvss_pipeline_lag{{stage="{stage}"}}"#)) >= 0.0);
    }
    assert!((value(r#"dvss_quarantine_depth{stage="dvss.normalize"}"#) - 21.0).abs() < 0.5);
    for (sample, what) in [("stranger", "an unknown vendor"), ("made.up", "an unmapped event type")] {
        assert!(!text.contains(sample), "{what} made a label:\n{text}");
    }
    let known = telemetry::metric::ALL.map(|metric| metric.prometheus_name());
    for line in text.lines().filter(|line| line.starts_with("# TYPE dvss_")) {
        let name = line.split(' ').nth(2).expect("a name");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        assert!(known.iter().any(|known| known == name), "{name} is described nowhere");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    dvss.stop().await;
}

/// A tail that follows prints what comes, until it is stopped.
#[tokio::test]
async fn a_tail_that_follows_sees_what_comes() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let mut child = crate::support::dvss()
        .args(["--server", &dvss.operators, "tail", UPDATED, "--from-start", "--json"])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for number in 0..3 {
        let sent =
            dvss.send(&acme, &stock(&format!("e{number}"), &seconds_past_noon(number), "A", "5")).await;
        let line =
            tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.expect("a line comes");
        let record: Value = serde_json::from_str(&line.expect("readable").expect("a line")).expect("JSON");
        assert_eq!(record["value"]["ingestId"], sent.body["ingestId"]);
    }
    child.kill().await.expect("it was running");
    dvss.stop().await;
}
