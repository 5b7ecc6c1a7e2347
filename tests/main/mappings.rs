//! `dvss mappings`: documents are put, activated, listed, shown, retired and tested.

use serde_json::{Value, json};

use crate::support::{NOON, Place, envelope, root, run};

fn document(version: u32, warehouse: &str) -> String {
    format!(
        "mapping: v1\nvendor: acme\neventType: [stock.said, stock.counted]\nversion: {version}\ntitle: Stock\n\
         source: {{type: object}}\n\
         facts:\n  - type: InventoryUpdated\n    fields:\n      sku: .no\n      warehouseId: {{const: {warehouse}}}\n      \
         quantityOnHand: .free\n"
    )
}

#[tokio::test]
async fn versions_come_and_go() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor_on("acme", None).await;
    let put = async |version: u32, warehouse: &str, activate: bool| {
        let file =
            place.file(&format!("v{version}.yaml"), &document(version, warehouse)).display().to_string();
        let mut arguments = vec!["mappings", "put", &file, "--json"];
        arguments.extend(activate.then_some("--activate"));
        dvss.cli(&arguments).await.json()["mappings"].as_array().expect("mappings").clone()
    };
    let warehouse_of = async |id: &str| {
        let sent = dvss.send(&acme, &envelope(id, "stock.said", NOON, json!({"no": "A", "free": 1}))).await;
        let shown = dvss.published(&sent.id()).await;
        shown["facts"][0]["data"]["warehouseId"].as_str().expect("a warehouse").to_owned()
    };
    let rows = put(1, "w1", true).await;
    assert_eq!(rows.len(), 2, "a row an event type: {rows:?}");
    assert!(rows.iter().all(|row| row["status"] == "active" && row["version"] == 1), "{rows:?}");
    assert_eq!(warehouse_of("e1").await, "w1");
    let drafts = put(2, "w2", false).await;
    assert!(drafts.iter().all(|row| row["status"] == "draft"), "{drafts:?}");
    assert_eq!(warehouse_of("e2").await, "w1", "a draft does nothing");
    // One of its event types is named, and the document changes for both.
    let statuses = async || {
        let listed = dvss.cli(&["mappings", "list", "--json"]).await.json();
        let rows = listed["mappings"].as_array().expect("mappings").clone();
        let own = rows.iter().filter(|row| row["owner"] == "acme");
        own.map(|row| format!("{} {} {}", row["eventType"], row["version"], row["status"]))
            .collect::<Vec<_>>()
    };
    let both = |first: &str, second: &str| {
        ["stock.counted", "stock.said"]
            .map(|name| [format!("\"{name}\" 1 \"{first}\""), format!("\"{name}\" 2 \"{second}\"")])
            .concat()
    };
    let activated = dvss.cli(&["mappings", "activate", "acme", "stock.said", "2", "--json"]).await.json();
    assert_eq!(activated["mappings"].as_array().map(Vec::len), Some(2), "{activated}");
    assert_eq!(statuses().await, both("retired", "active"));
    assert_eq!(warehouse_of("e3").await, "w2");

    let listed = dvss.cli(&["mappings", "list", "--json"]).await.json();
    let own: Vec<(&Value, &Value, &Value)> = listed["mappings"]
        .as_array()
        .expect("mappings")
        .iter()
        .filter(|row| row["owner"] == "acme" && row["eventType"] == "stock.said")
        .map(|row| (&row["version"], &row["status"], &row["shipped"]))
        .collect();
    let (active, retired, own_words) = (json!("active"), json!("retired"), json!(false));
    assert_eq!(own, [(&json!(1), &retired, &own_words), (&json!(2), &active, &own_words)]);
    let shipped =
        listed["mappings"].as_array().expect("mappings").iter().filter(|row| row["shipped"] == true).count();
    assert!(shipped >= 3, "{listed}");

    let shown = dvss.cli(&["mappings", "show", "acme", "stock.said", "1", "--json"]).await.json();
    assert_eq!(shown["document"], document(1, "w1"), "as it was put");
    let latest = dvss.cli(&["mappings", "show", "acme", "stock.said"]).await;
    assert_eq!(latest.stdout, document(2, "w2"));
    put(3, "w3", false).await;
    let words = dvss.cli(&["mappings", "retire", "acme", "stock.counted"]).await;
    assert!(
        words.code == 0 && words.stdout.matches("retired").count() == 2,
        "the active one, not 3: {words:?}"
    );
    assert_eq!(statuses().await.iter().filter(|row| row.ends_with("\"retired\"")).count(), 4);
    let sent = dvss.send(&acme, &envelope("e4", "stock.said", NOON, json!({"no": "A", "free": 1}))).await;
    let shown = dvss.explained(&sent.id(), "QUARANTINED").await;
    assert_eq!(shown["quarantine"][0]["code"], "mapping-missing");

    for (arguments, code) in [
        (&["mappings", "show", "acme", "no.such"][..], "not-found"),
        (&["mappings", "activate", "acme", "stock.said", "9"], "not-found"),
        (&["mappings", "show", "platform:nothing", "x"], "not-found"),
    ] {
        let ran = dvss.cli(arguments).await;
        assert!(ran.code == 5 && ran.stderr.contains(code), "{arguments:?}: {ran:?}");
    }
    dvss.stop().await;
}

#[tokio::test]
async fn a_mistake_is_named_and_changes_nothing() {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor_on("acme", None).await;
    for (text, named) in [
        (document(1, "w1").replace("title", "tilte"), "tilte"),
        (document(1, "w1").replace(".free", ".free |"), "quantityOnHand"),
        ("mapping: v2\n".to_owned(), "v1"),
        ("- not\n- a mapping\n".to_owned(), ""),
    ] {
        let file = place.file("bad.yaml", &text).display().to_string();
        let ran = dvss.cli(&["mappings", "put", &file, "--activate"]).await;
        assert!(
            ran.code == 5 && ran.stderr.contains("mapping-invalid") && ran.stderr.contains(named),
            "{text}: {ran:?}"
        );
    }
    let listed = dvss.cli(&["mappings", "list", "--json"]).await.json();
    assert!(!listed.to_string().contains("stock.said"));
    dvss.stop().await;
}

#[tokio::test]
async fn golden_cases_run_without_a_server() {
    let shipped = root().join("mappings").display().to_string();
    let ran = run(&["mappings", "test", &shipped, "--json"]).await;
    let reports = ran.json();
    let reports = reports.as_array().expect("reports");
    assert!(
        reports.len() >= 3 && reports.iter().all(|report| report["failures"] == json!([])),
        "{reports:?}"
    );

    let place = Place::new();
    let file = place.file("own.yaml", &document(1, "w1")).display().to_string();
    for nothing in [None, Some("cases: []\n")] {
        nothing.map(|text| place.file("own.cases.yaml", text));
        let ran = run(&["mappings", "test", &file]).await;
        let said = ran.stdout.contains("FAILED") && ran.stdout.contains("own.cases.yaml");
        assert!(ran.code == 1 && said, "without cases nothing is proved: {ran:?}");
    }
    let cases = |quantity: &str| {
        format!(
            "cases:\n  - name: one\n    payload: |\n      {{\"no\": \"A\", \"free\": 1.50}}\n    facts:\n      \
             - {{line: 0, type: InventoryUpdated, sku: A, warehouseId: w1, quantityOnHand: \"{quantity}\"}}\n"
        )
    };
    place.file("own.cases.yaml", &cases("1.50"));
    assert_eq!(run(&["mappings", "test", &file]).await.code, 0);
    place.file("own.cases.yaml", &cases("2"));
    let ran = run(&["mappings", "test", &file]).await;
    assert!(ran.code == 1 && ran.stdout.contains("1.50"), "it shows what came out: {ran:?}");
}
