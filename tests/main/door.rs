//! The vendors' door: what is taken, what is said about it, what is refused.

use contract::{ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId};
use serde_json::{Value, json};

use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::{NOON, Place, envelope, members, seconds_past_noon, stock};

const JSON: &str = "application/json";

#[tokio::test]
async fn taken_once_then_duplicate_then_conflict() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;

    let event = stock("e1", NOON, "A-1", "15.00");
    let text = event.to_string();
    let first = dvss.post(&acme, "/v1/events", JSON, text.clone()).await;
    first.expect(202);
    assert_eq!(first.media_type, JSON);
    assert_eq!(members(&first.body), ["ingestId", "receivedAt", "status"]);
    assert_eq!(first.body["status"], "ACCEPTED");
    let derived = IngestId::derive(
        &VendorId::parse("acme").expect("id"),
        &ExternalEventId::parse("e1").expect("id"),
        Timestamp::parse(NOON).expect("time"),
    );
    assert_eq!(first.id(), derived.to_string(), "ids are derived, not drawn");

    // The same event, however it is written, gets the first receipt.
    let spaced = serde_json::to_string_pretty(&event).expect("JSON");
    for body in [text.clone(), spaced] {
        let again = dvss.post(&acme, "/v1/events", JSON, body).await;
        assert_eq!(again.expect(200)["status"], "DUPLICATE");
        assert_eq!(
            (&again.body["ingestId"], &again.body["receivedAt"]),
            (&first.body["ingestId"], &first.body["receivedAt"])
        );
        assert_eq!(members(&again.body), ["ingestId", "receivedAt", "status"]);
    }

    let other = dvss.send(&acme, &stock("e1", NOON, "A-1", "16")).await;
    other.refused(409, "conflict");
    assert_eq!(other.id(), first.id(), "the first one wins and is named");

    dvss.published(&first.id()).await;
    // A retry under another date: the index knows better than the date.
    let redated = dvss.send(&acme, &stock("e1", &seconds_past_noon(1), "A-1", "15.00")).await;
    assert_eq!(redated.expect(200)["ingestId"], first.body["ingestId"]);
    dvss.send(&acme, &stock("e1", &seconds_past_noon(2), "A-1", "17")).await.refused(409, "conflict");

    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    let numbers =
        ["accepted", "published", "duplicate", "conflict", "quarantined", "facts"].map(|name| &books[name]);
    assert_eq!(numbers, [&json!(3), &json!(1), &json!(0), &json!(2), &json!(0), &json!(1)], "{books}");
    assert_eq!(report["orphans"], json!([]));

    let explained = dvss.explain(&first.id()).await;
    assert_eq!(
        explained["raw"]["sha256"],
        Fingerprint::of_bytes(text.as_bytes()).to_string(),
        "byte for byte"
    );
    assert_eq!(explained["conflicts"].as_array().map(Vec::len), Some(2), "{explained}");
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

#[tokio::test]
async fn a_redated_retry_that_overtakes_the_index_is_a_duplicate_in_the_books() {
    let place = Place::new();
    // Without dedup nobody tells the gateway that the event is known.
    let dvss = place.up().env("DVSS_STAGES", "[normalize, divergence, outbox]").go().await;
    let acme = dvss.vendor("acme").await;
    let first = dvss.send(&acme, &stock("e1", NOON, "A", "1")).await;
    let second = dvss.send(&acme, &stock("e1", &seconds_past_noon(60), "A", "1")).await;
    first.expect(202);
    second.expect(202);
    assert_ne!(first.id(), second.id());
    dvss.stop().await;

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    assert_eq!(
        [&books["accepted"], &books["duplicate"], &books["published"]],
        [&json!(2), &json!(1), &json!(1)]
    );
    let explained = dvss.explain(&second.id()).await;
    let (winner, loser) = if explained["status"] == "DUPLICATE" {
        (first.id(), second.id())
    } else {
        (second.id(), first.id())
    };
    let loser_shown = dvss.explain(&loser).await;
    assert_eq!((&loser_shown["status"], &loser_shown["winner"]), (&json!("DUPLICATE"), &json!(winner)));
    let explained = dvss.published(&winner).await;
    assert_eq!(explained["repeats"][0]["ingestId"], loser.as_str(), "{explained}");
    let asked =
        dvss.ask(dvss.request("GET", &format!("/v1/events/{loser}"), &acme)).await.expect("an answer");
    assert_eq!(
        (&asked.expect(200)["status"], &asked.body["duplicateOf"]),
        (&json!("DUPLICATE"), &json!(winner))
    );
    dvss.stop().await;
}

#[tokio::test]
async fn batches_answer_for_each_item_in_order() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let statuses = |body: &Value| -> Vec<String> {
        let word = |result: &Value| match result["problem"]["code"].as_str() {
            Some(code) => format!("{} {code}", result["status"].as_str().expect("a status")),
            None => result["status"].as_str().expect("a status").to_owned(),
        };
        body["results"].as_array().expect("results").iter().map(word).collect()
    };

    let (one, two) = (stock("b1", NOON, "A", "1"), stock("b2", NOON, "B", "2"));
    let conflicting = stock("b1", NOON, "A", "3");
    let bad = envelope("b3", "", NOON, json!({}));
    let foreign = json!({"vendorId": "other", "externalEventId": "b4", "eventType": "t", "occurredAt": NOON, "payload": {}});
    let array = format!("[{one}, {two}, {one}, nonsense, {bad}, {foreign}, {conflicting}, 7]");
    let answer = dvss.post(&acme, "/v1/events:batch", JSON, array).await;
    assert_eq!(
        statuses(answer.expect(200)),
        [
            "ACCEPTED",
            "ACCEPTED",
            "DUPLICATE",
            "REJECTED json-syntax",
            "REJECTED event-type-invalid",
            "REJECTED vendor-mismatch",
            "REJECTED conflict",
            "REJECTED envelope-field-invalid"
        ]
    );
    let results = &answer.body["results"];
    assert_eq!(members(&results[0]), ["ingestId", "receivedAt", "status"]);
    assert_eq!(members(&results[4]), ["problem", "status"]);
    assert_eq!(results[4]["problem"]["pointer"], "/eventType");
    assert_eq!(results[6]["problem"]["ingestId"], results[0]["ingestId"], "the winner is named");

    let lines = format!("{}\r\n\n  {two}  \nnot json\n", stock("b5", NOON, "C", "5"));
    let answer = dvss.post(&acme, "/v1/events:batch", "application/x-ndjson", lines).await;
    assert_eq!(statuses(answer.expect(200)), ["ACCEPTED", "DUPLICATE", "REJECTED json-syntax"]);

    let event = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/warehouse/1", "type": "InventoryUpdated", "time": NOON,
               "data": {"sku": "CE", "quantityAvailable": 4}})
    };
    let events = json!([event("c1"), event("c1"), {"specversion": "0.3"}]).to_string();
    let answer = dvss.post(&acme, "/v1/events:batch", "application/cloudevents-batch+json", events).await;
    assert_eq!(statuses(answer.expect(200)), ["ACCEPTED", "DUPLICATE", "REJECTED cloudevent-invalid"]);

    let empty = dvss.post(&acme, "/v1/events:batch", JSON, "[]").await;
    assert_eq!(empty.expect(200), &json!({"results": []}));
    let all_bad = dvss.post(&acme, "/v1/events:batch", JSON, "[1, x]").await;
    assert_eq!(statuses(all_bad.expect(200)).len(), 2);
    dvss.post(&acme, "/v1/events:batch", JSON, one.to_string()).await.refused(400, "json-syntax");
    dvss.post(&acme, "/v1/events:batch", "text/csv", "a,b").await.refused(415, "content-type-unsupported");
    let many = format!("[{}]", vec!["0"; 1_001].join(","));
    dvss.post(&acme, "/v1/events:batch", JSON, many).await.refused(413, "batch-too-large");

    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    assert_eq!(
        [&books["accepted"], &books["published"], &books["conflict"]],
        [&json!(5), &json!(4), &json!(1)],
        "{books}"
    );
    dvss.stop().await;
}

#[tokio::test]
async fn cloudevents_structured_and_binary_are_one_event() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let data = json!({"sku": "CE-1", "warehouseId": "w1", "quantityOnHand": "7.50"});
    let event = json!({
        "specversion": "1.0", "id": "42", "source": "https://acme.test/stock#1", "type": "InventoryUpdated",
        "time": NOON, "datacontenttype": JSON, "data": data,
    });
    let structured = dvss.post(&acme, "/v1/events", "application/cloudevents+json", event.to_string()).await;
    structured.expect(202);
    let binary = |id: &'static str, media_type: &'static str, body: String| {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", id),
            ("ce-source", "https://acme.test/stock%231"),
            ("ce-type", "InventoryUpdated"),
            ("ce-time", NOON),
            ("content-type", media_type),
        ];
        let request = dvss.request("POST", "/v1/events", &acme).body(body);
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    let same = dvss.ask(binary("42", JSON, data.to_string())).await.expect("an answer");
    assert_eq!(
        (&same.expect(200)["status"], &same.body["ingestId"]),
        (&json!("DUPLICATE"), &structured.body["ingestId"])
    );
    let other = dvss.ask(binary("43", JSON, data.to_string())).await.expect("an answer");
    other.expect(202);
    // What is not JSON is kept, and parked where it would have to be mapped.
    let xml = dvss.ask(binary("44", "application/xml", "<stock/>".to_owned())).await.expect("an answer");
    xml.expect(202);

    let explained = dvss.published(&structured.id()).await;
    assert_eq!(
        explained["externalEventId"], "https://acme.test/stock%231#42",
        "source and id, joined injectively"
    );
    assert_eq!(explained["facts"][0]["data"]["quantityOnHand"], "7.50");
    dvss.published(&other.id()).await;
    dvss.explained(&xml.id(), "QUARANTINED").await;
    assert_balanced(&dvss.settled().await);

    for (change, pointer) in [
        (json!({"specversion": "0.3"}), "/specversion"),
        (json!({"id": ""}), "/id"),
        (json!({"source": null}), "/source"),
        (json!({"type": 7}), "/type"),
        (json!({"data": null}), "/data"),
        (json!({"data_base64": "e30="}), "/data_base64"),
        (json!({"bad_name": "x"}), "/bad_name"),
    ] {
        let mut event = event.clone();
        event.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = dvss.post(&acme, "/v1/events", "application/cloudevents+json", event.to_string()).await;
        assert_eq!(answer.refused(400, "cloudevent-invalid")["pointer"], pointer, "{change}");
    }
    dvss.stop().await;
}

#[tokio::test]
async fn a_vendor_sees_its_own_events_only() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let sent = dvss.send(&acme, &stock("e1", NOON, "A", "1")).await;
    let poison = dvss.send(&acme, &envelope("e2", "InventoryUpdated", NOON, json!({"items": [{}]}))).await;
    let get = async |vendor, id: &str| {
        dvss.ask(dvss.request("GET", &format!("/v1/events/{id}"), vendor)).await.expect("an answer")
    };
    // From the moment of the 2xx on, whatever the pipeline has seen of it.
    let own = get(&acme, &sent.id()).await;
    for name in ["ingestId", "externalEventId", "eventType", "occurredAt", "receivedAt", "status"] {
        assert!(own.expect(200)[name].is_string(), "{name} of {}", own.body);
    }
    assert_eq!(own.body["ingestId"], sent.body["ingestId"]);
    dvss.published(&sent.id()).await;
    dvss.explained(&poison.id(), "QUARANTINED").await;
    assert_eq!(get(&acme, &poison.id()).await.expect(200)["status"], "QUARANTINED");

    get(&other, &sent.id()).await.refused(404, "not-found");
    get(&acme, "01J0000000ABCDEFGHJKMNPQRS").await.refused(404, "not-found");
    get(&acme, "nonsense").await.refused(400, "ingest-id-invalid");
    let mut stranger = acme.clone();
    stranger.key.push('x');
    get(&stranger, &sent.id()).await.refused(401, "unauthorized");
    dvss.stop().await;
}

#[tokio::test]
async fn paths_methods_and_rates() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    for (method, path, status, code) in [
        ("GET", "/v1/events", 405, "method-not-allowed"),
        ("PUT", "/v1/events:batch", 405, "method-not-allowed"),
        ("POST", "/v1/events/01J0000000ABCDEFGHJKMNPQRS", 405, "method-not-allowed"),
        ("GET", "/", 404, "not-found"),
        ("POST", "/v2/events", 404, "not-found"),
    ] {
        let answer = dvss.ask(dvss.request(method, path, &acme)).await.expect("an answer");
        answer.refused(status, code);
    }

    let slow =
        dvss.cli(&["vendors", "add", "slow", "--platform", "dvss", "--rate", "2", "--json"]).await.json();
    let slow = crate::support::Vendor {
        id: "slow".to_owned(),
        key: slow["key"].as_str().expect("a key").to_owned(),
    };
    let mut refused = 0;
    for number in 0..10 {
        let answer = dvss.send(&slow, &stock(&format!("s{number}"), NOON, "A", "1")).await;
        if answer.status != 202 {
            answer.refused(429, "rate-limited");
            assert!(answer.retry_after.is_some_and(|seconds| seconds >= 1), "{answer:?}");
            refused += 1;
        }
    }
    assert!(refused >= 5, "two a second, and {refused} of ten at once were refused");
    // Who waits, gets through; and the others never noticed.
    assert_eq!(dvss.deliver(&slow, &stock("s99", NOON, "A", "1")).await.status, 202);
    dvss.send(&acme, &stock("a1", NOON, "A", "1")).await.expect(202);
    dvss.stop().await;
}
