//! A poison event is parked, explained, released when its mapping is right, or discarded; nothing is lost.

use serde_json::{Value, json};

use crate::support::oracle::{PUBLIC, account, assert_balanced, assert_once, coordinates, public};
use crate::support::{Dvss, NOON, Place, envelope, seconds_past_noon, stock};

const STAGE: &str = "dvss.normalize";

/// A mapping of `stock.said` for `acme`; `quantity` is where the quantity is looked for.
fn mapping(version: u32, quantity: &str) -> String {
    format!(
        "mapping: v1\nvendor: acme\neventType: stock.said\nversion: {version}\ntitle: Stock\n\
         source: {{type: object}}\n\
         facts:\n  - type: InventoryUpdated\n    fields:\n      sku: .no\n      warehouseId: {{const: w1}}\n      \
         quantityOnHand: {quantity}\n"
    )
}

async fn parked(dvss: &Dvss) -> Vec<Value> {
    dvss.cli(&["quarantine", "list", "--json"]).await.json()["rows"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn parked_shown_released_and_published_once() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor_on("acme", None).await;
    let event = envelope("e1", "stock.said", NOON, json!({"no": 7, "free": "12.5"}));
    let sent = dvss.send(&acme, &event).await;
    let id = sent.id();

    // Nobody mapped it yet.
    dvss.explained(&id, "QUARANTINED").await;
    dvss.settled().await;
    let rows = parked(&dvss).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let expected = json!({"stage": STAGE, "identity": id, "status": "OPEN", "count": 1, "code": "mapping-missing", "vendorId": "acme", "ingestId": id});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&rows[0][name], value, "{name} of {}", rows[0]);
    }
    for filter in [&["--stage", "dvss.dedup"][..], &["--vendor", "other"]] {
        let none = dvss.cli(&[&["quarantine", "list", "--json"], filter].concat()).await.json();
        assert_eq!(none["rows"], json!([]), "{filter:?}");
    }
    let shown = dvss.cli(&["quarantine", "show", STAGE, &id, "--json"]).await.json();
    assert_eq!([&shown["code"], &shown["status"]], [&json!("mapping-missing"), &json!("OPEN")]);

    // A mapping that looks in the wrong place: parked again, and not forgotten.
    let wrong = place.file("wrong.yaml", &mapping(1, ".available"));
    dvss.cli(&["mappings", "put", &wrong.display().to_string(), "--activate", "--json"]).await.json();
    dvss.cli(&["quarantine", "release", STAGE, &id, "--json"]).await.json();
    let shown = dvss.settled_row(&id, "OPEN").await;
    assert_eq!(
        [&shown["count"], &shown["code"], &shown["pointer"]],
        [&json!(2), &json!("mapping-field-missing"), &json!("/payload/available")]
    );

    // The right one.
    let right = place.file("right.yaml", &mapping(2, ".free"));
    dvss.cli(&["mappings", "put", &right.display().to_string(), "--activate", "--json"]).await.json();
    let released = dvss.cli(&["quarantine", "release", STAGE, &id, "--json"]).await.json();
    assert_eq!(released["status"], "RELEASED");
    let explained = dvss.published(&id).await;
    assert_eq!(explained["facts"][0]["data"]["quantityOnHand"], "12.5");
    dvss.settled().await;
    let before = public(&dvss).await;
    let of_event = |topic: &str| before.iter().filter(|record| record["topic"] == topic).count();
    assert_eq!((of_event(PUBLIC[0]), of_event(PUBLIC[5])), (1, 2), "one fact; parked twice and said twice");

    // Once more changes nothing.
    dvss.cli(&["quarantine", "release", STAGE, &id, "--json"]).await.json();
    let report = dvss.settled().await;
    assert_balanced(&report);
    let after = public(&dvss).await;
    assert_eq!(
        before.iter().map(coordinates).collect::<Vec<_>>(),
        after.iter().map(coordinates).collect::<Vec<_>>()
    );
    assert_once(&after);
    let books = account(&report, "acme");
    assert_eq!(
        [&books["accepted"], &books["published"], &books["quarantined"]],
        [&json!(1), &json!(1), &json!(0)],
        "{books}"
    );
    assert_eq!(dvss.explain(&id).await["status"], "PUBLISHED");
    dvss.stop().await;
}

#[tokio::test]
async fn discarded_is_accounted_for_and_final() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let id = dvss.send(&acme, &envelope("e1", "InventoryUpdated", NOON, json!({"items": [{}]}))).await.id();
    dvss.explained(&id, "QUARANTINED").await;
    let without_reason = dvss.cli(&["quarantine", "discard", STAGE, &id]).await;
    assert_eq!(without_reason.code, 2, "a reason is asked for: {without_reason:?}");
    let row = dvss
        .cli(&["quarantine", "discard", STAGE, &id, "--reason", "a test of theirs", "--json"])
        .await
        .json();
    assert_eq!([&row["status"], &row["reason"]], [&json!("DISCARDED"), &json!("a test of theirs")]);
    let again = dvss.cli(&["quarantine", "release", STAGE, &id]).await;
    assert!(again.code == 5 && again.stderr.contains("request-invalid"), "{again:?}");
    let nothing = dvss.cli(&["quarantine", "release", STAGE, "01J0000000ABCDEFGHJKMNPQRS"]).await;
    assert!(nothing.code == 5 && nothing.stderr.contains("not-found"), "{nothing:?}");
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["quarantined"], 1, "discarded stays on the books");
    let words = dvss.cli(&["explain", &id]).await.stdout;
    assert!(words.contains("DISCARDED") && words.contains("a test of theirs"), "{words}");
    let open = dvss.cli(&["quarantine", "list", "--open", "--json"]).await.json();
    assert_eq!((open["rows"].clone(), parked(&dvss).await.len()), (json!([]), 1));
    dvss.stop().await;
}

#[tokio::test]
async fn a_vendor_over_its_budget_is_parked_untried_and_resumes_in_order() {
    let place = Place::new();
    let dvss = place.up().env("DVSS_QUARANTINE__BUDGET", "3").go().await;
    let (acme, other) = (dvss.vendor_on("acme", None).await, dvss.vendor("other").await);
    for number in 0..8_u32 {
        let payload = json!({"no": "A", "free": number});
        let event = envelope(&format!("e{number}"), "stock.said", &seconds_past_noon(number), payload);
        dvss.deliver(&acme, &event).await.expect(202);
    }
    dvss.deliver(&other, &stock("o1", NOON, "B", "1")).await.expect(202);
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(
        [&account(&report, "acme")["quarantined"], &account(&report, "other")["published"]],
        [&json!(8), &json!(1)]
    );
    let part = async |more: &[&str]| {
        let ran = dvss.cli(&[&["quarantine", "list", "--limit", "5", "--json"], more].concat()).await;
        let page = ran.json();
        let next = page["next"].as_str().map(str::to_owned);
        assert_eq!(next.is_some(), ran.stderr.contains("--cursor"), "{ran:?}");
        (page["rows"].as_array().expect("rows").len(), next)
    };
    let (first, next) = part(&[]).await;
    let (second, end) = part(&["--cursor", &next.expect("more follow")]).await;
    assert_eq!((first, second, end), (5, 3, None));
    let nobody = dvss.cli(&["quarantine", "resume", "acne"]).await;
    assert!(nobody.code == 5 && nobody.stderr.contains("not-found"), "{nobody:?}");
    let rows = parked(&dvss).await;
    let untried = rows.iter().filter(|row| row["code"] == "over-budget").count();
    assert!(rows.len() == 8 && (1..=5).contains(&untried), "beyond the budget nothing is tried: {rows:?}");

    let right = place.file("right.yaml", &mapping(1, ".free"));
    dvss.cli(&["mappings", "put", &right.display().to_string(), "--activate", "--json"]).await.json();
    let resumed = dvss.cli(&["quarantine", "resume", "acme", "--json"]).await.json();
    assert_eq!(resumed["rows"].as_array().map(Vec::len), Some(8), "{resumed}");
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 8, "{report}");
    let history = dvss.history("acme|w1|A||").await;
    assert_eq!(history["state"]["quantityOnHand"], "7");
    let outcomes: Vec<&Value> =
        history["facts"].as_array().expect("facts").iter().map(|fact| &fact["outcome"]).collect();
    assert_eq!(outcomes, [&json!("APPLIED"); 8], "taken up in order, none was late");
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

impl Dvss {
    /// The event's row, once the pipeline is settled and the row has this status.
    async fn settled_row(&self, id: &str, status: &str) -> Value {
        crate::support::eventually(&format!("the row of {id} is {status}"), async || {
            self.settled().await;
            let row = self.look(&format!("/quarantine/{STAGE}/{id}")).await;
            (row.body["status"] == status).then_some(row.body)
        })
        .await
    }
}
