//! Ids and times that are missing, too long, hostile or impossible.

use serde_json::{Value, json};

use crate::still_well;
use crate::support::oracle::PUBLIC;
use crate::support::wire::Wire;
use crate::support::{NOON, Place, envelope, segment, stock};

#[tokio::test]
async fn ids_and_times_are_checked() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let with = |name: &str, value: Value| {
        let mut event = stock("e1", NOON, "A", "1");
        event[name] = value;
        event
    };
    let without = |name: &str| {
        let mut event = stock("e1", NOON, "A", "1");
        event.as_object_mut().expect("an object").remove(name);
        event
    };
    let long = |count: usize| Value::String("x".repeat(count));
    for (event, code, pointer) in [
        (without("externalEventId"), "envelope-field-missing", "/externalEventId"),
        (without("eventType"), "envelope-field-missing", "/eventType"),
        (without("occurredAt"), "envelope-field-missing", "/occurredAt"),
        (without("payload"), "envelope-field-missing", "/payload"),
        (with("externalEventId", json!("")), "external-event-id-invalid", "/externalEventId"),
        (with("externalEventId", long(257)), "external-event-id-invalid", "/externalEventId"),
        (
            with("externalEventId", json!("\u{e9}".repeat(129))),
            "external-event-id-invalid",
            "/externalEventId",
        ),
        (
            with("externalEventId", json!("a\r\nX-Injected: 1")),
            "external-event-id-invalid",
            "/externalEventId",
        ),
        (with("externalEventId", json!("a\u{0}b")), "external-event-id-invalid", "/externalEventId"),
        (with("externalEventId", json!("a\u{7f}")), "external-event-id-invalid", "/externalEventId"),
        (with("externalEventId", json!("a\u{85}")), "external-event-id-invalid", "/externalEventId"),
        (with("externalEventId", json!(7)), "envelope-field-invalid", "/externalEventId"),
        (with("externalEventId", Value::Null), "envelope-field-invalid", "/externalEventId"),
        (with("eventType", json!("")), "event-type-invalid", "/eventType"),
        (with("eventType", long(129)), "event-type-invalid", "/eventType"),
        (with("eventType", json!("a\u{1b}[31m")), "event-type-invalid", "/eventType"),
        (with("eventType", json!([])), "envelope-field-invalid", "/eventType"),
        (with("vendorId", json!(["acme"])), "envelope-field-invalid", "/vendorId"),
        (with("payload", Value::Null), "envelope-field-invalid", "/payload"),
        (with("payload", json!("text")), "envelope-field-invalid", "/payload"),
        (with("payload", json!(true)), "envelope-field-invalid", "/payload"),
        (with("occurredAt", json!(1_714_564_800)), "envelope-field-invalid", "/occurredAt"),
        (with("occurredAt", json!("")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("yesterday")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01T12:00:00")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01 12:00:00Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01T24:00:00Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2016-12-31T23:59:60Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-02-30T12:00:00Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01T12:00:00+25:00")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01T12:00:00.1234567891Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("2024-05-01T12:00:00Z\r\n")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("+12024-05-01T12:00:00Z")), "occurred-at-invalid", "/occurredAt"),
        (with("occurredAt", json!("1970-01-01T00:00:00Z")), "occurred-at-out-of-range", "/occurredAt"),
        (with("occurredAt", json!("1999-12-31T23:59:59Z")), "occurred-at-out-of-range", "/occurredAt"),
        (with("occurredAt", json!("2000-01-01T00:00:00+00:01")), "occurred-at-out-of-range", "/occurredAt"),
        (with("occurredAt", json!("2099-01-01T00:00:00Z")), "occurred-at-out-of-range", "/occurredAt"),
        (with("occurredAt", json!("9999-12-31T23:59:59Z")), "occurred-at-out-of-range", "/occurredAt"),
    ] {
        let reply = Wire::event(&acme, event.to_string()).send(&dvss).await;
        reply.refused(&event.to_string(), 400, code);
        assert_eq!(reply.body["pointer"], pointer, "{event}: {reply:?}");
    }
    // Odd offsets are offsets.
    for (id, text) in [
        ("o1", "2024-05-01T12:00:00+05:45"),
        ("o2", "2024-05-01t12:00:00.5z"),
        ("o3", "2000-01-01T00:00:00-23:59"),
        ("o4", "2024-05-01T12:00:00.123456789-00:00"),
    ] {
        let reply = Wire::event(&acme, stock(id, text, "A", "1").to_string()).send(&dvss).await;
        assert_eq!(reply.status, 202, "{text}: {reply:?}");
    }
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn what_is_hostile_but_allowed_is_kept_as_it_is() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let nasty = [
        "../../../etc/passwd",
        "..\\..\\x",
        "/",
        ".",
        "..",
        "=cmd|' /C calc'!A0",
        "@SUM(1+1)*cmd",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "%2e%2e%2f",
        "%00",
        "a|b||c",
        "a#b?c&d=e",
        "'; DROP TABLE events; --",
        "<script>alert(1)</script>",
        "\u{202e}gnp.exe",
        "\u{feff}zero\u{200b}width",
        "e\u{301}",
        "  spaces  ",
        "\u{10ffff}",
        "-",
    ];
    let mut ids = Vec::new();
    for text in nasty {
        let payload = json!({"sku": text, "warehouseId": text, "quantityOnHand": 1, "lot": text, "unitOfMeasure": text});
        let event = envelope(text, "InventoryUpdated", NOON, payload);
        let reply = Wire::event(&acme, event.to_string()).send(&dvss).await;
        assert_eq!(reply.status, 202, "{text:?}: {reply:?}");
        ids.push(reply.body["ingestId"].as_str().expect("an id").to_owned());
    }
    for (text, id) in nasty.iter().zip(&ids) {
        let shown = dvss.published(id).await;
        assert_eq!(shown["externalEventId"], *text);
        assert_eq!(
            shown["raw"]["key"],
            format!("raw/acme/2024/05/01/{id}.json"),
            "keys are made of what is ours"
        );
        let data = &shown["facts"][0]["data"];
        assert_eq!(
            [&data["sku"], &data["warehouseId"], &data["lot"], &data["unitOfMeasure"]],
            [&json!(text); 4]
        );
        let entity = shown["facts"][0]["entity"].as_str().expect("an entity");
        assert_eq!(entity.matches('|').count(), 4, "{entity:?}: parts cannot add parts");
        assert!(!entity.chars().any(char::is_control));
        let history = dvss.history(entity).await;
        assert_eq!(history["state"]["quantityOnHand"], "1", "{entity:?}");
        // The words for people steer no terminal.
        let words = dvss.cli(&["explain", id]).await;
        assert!(words.code == 0 && !words.stdout.contains('\u{1b}'), "{words:?}");
    }
    let records = dvss.tail(PUBLIC[0]).await;
    assert_eq!(records.len(), nasty.len());

    // As event types: the key of the object is made safe, the type stays what it is.
    for (number, text) in ["../../x", "a/b", "=cmd()", "..", "a%2fb", "\u{202e}"].into_iter().enumerate() {
        let event = envelope(&format!("t{number}"), text, NOON, json!({"a": 1}));
        let reply = Wire::event(&acme, event.to_string()).send(&dvss).await;
        assert_eq!(reply.status, 202, "{text:?}: {reply:?}");
        let shown = dvss.explained(reply.body["ingestId"].as_str().expect("an id"), "QUARANTINED").await;
        assert_eq!(
            [&shown["eventType"], &shown["quarantine"][0]["code"]],
            [&json!(text), &json!("mapping-missing")]
        );
    }
    // In paths, nothing leads anywhere else.
    for path in [
        "/v1/events/..%2f..%2fapi%2fv1%2fvendors",
        "/v1/events/%2e%2e/x",
        "/v1/../../etc/passwd",
        "//v1/events/x",
    ] {
        let mut request = Wire::event(&acme, "");
        request.line = format!("GET {path} HTTP/1.1");
        let reply = request.send(&dvss).await;
        assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
    }
    for path in [
        format!("/topics/{}/records?cursor=start", segment("../../x")),
        format!("/entities/{}", segment("../..")),
        format!("/events/{}", segment("=cmd()")),
    ] {
        let answer = dvss.look(&path).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
    // Control characters in fields of the payload are the vendor's business, and escaped in keys.
    let event = envelope(
        "control",
        "InventoryUpdated",
        NOON,
        json!({"sku": "a\r\nb\u{0}c\u{1b}[2J", "warehouseId": "w", "quantityOnHand": 2}),
    );
    let reply = Wire::event(&acme, event.to_string()).send(&dvss).await;
    let shown = dvss.published(reply.body["ingestId"].as_str().expect("an id")).await;
    assert_eq!(shown["facts"][0]["data"]["sku"], "a\r\nb\u{0}c\u{1b}[2J");
    assert_eq!(shown["facts"][0]["entity"], "acme|w|a%0D%0Ab%00c%1B[2J||");
    let words = dvss.cli(&["explain", reply.body["ingestId"].as_str().expect("an id")]).await;
    assert!(words.code == 0 && !words.stdout.contains(['\u{1b}', '\u{0}']), "{words:?}");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

/// One item, however its name is composed; what was sent is kept.
#[tokio::test]
async fn unicode_forms_of_one_sku_are_one_item() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let forms = ["Caf\u{e9} \u{c5}", "Cafe\u{301} A\u{30a}", "Caf\u{e9} \u{212b}"];
    let mut ids = Vec::new();
    for (number, form) in forms.iter().enumerate() {
        let at = crate::support::seconds_past_noon(u32::try_from(number).expect("small"));
        let sent = dvss.send(&acme, &stock(&format!("u{number}"), &at, form, &number.to_string())).await;
        ids.push(sent.id());
    }
    let mut entities = Vec::new();
    for (form, id) in forms.iter().zip(&ids) {
        let shown = dvss.published(id).await;
        assert_eq!(shown["facts"][0]["data"]["sku"], *form, "as it was sent");
        entities.push(shown["facts"][0]["entity"].as_str().expect("an entity").to_owned());
    }
    assert!(entities.iter().all(|entity| *entity == "acme|w1|Caf\u{e9} \u{c5}||"), "{entities:?}");
    let history = dvss.history(&entities[0]).await;
    assert_eq!(
        (history["facts"].as_array().map(Vec::len), &history["state"]["quantityOnHand"]),
        (Some(3), &json!("2"))
    );
    let keys: Vec<Value> =
        dvss.tail(PUBLIC[0]).await.into_iter().map(|record| record["key"].clone()).collect();
    assert_eq!(keys, vec![json!(entities[0]); 3], "one key, one partition, one order");
    // Letters that only look alike are two items.
    let look_alike = dvss.send(&acme, &stock("u9", NOON, "\u{421}af\u{e9} \u{c5}", "9")).await;
    let shown = dvss.published(&look_alike.id()).await;
    assert_ne!(shown["facts"][0]["entity"], json!(entities[0]));
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
