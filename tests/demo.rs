//! `dvss demo`: the tour that a newcomer takes, with the figures that it promises.

use serde_json::{Value, json};

use support::oracle::{account, assert_balanced, assert_once, is_published, public};
use support::{Place, members, run};

#[path = "support/mod.rs"]
mod support;

fn of<'a>(document: &'a Value, vendor: &str) -> &'a Value {
    let rows = document["vendors"].as_array().expect("vendors");
    rows.iter().find(|row| row["vendorId"] == vendor).unwrap_or_else(|| panic!("no {vendor} in {document}"))
}

#[tokio::test]
async fn the_tour_ends_well_and_keeps_its_data() {
    let place = Place::embedded();
    let data = place.data().display().to_string();
    let ran = run(&["demo", "--exit", "--json", "--data", &data]).await;
    let document = ran.json();
    assert!(ran.stderr.contains("a stock report of 500 lines"), "it shows progress: {}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 1, "stdout is for the document alone");
    assert_eq!(document["balanced"], true);
    assert_balanced(&document["reconcile"]);

    for (vendor, sent, conflict, published, quarantined, facts) in [
        ("northwind", 52, 1, 41, 1, 41),
        ("fabrikam", 20, 0, 20, 0, 20),
        ("contoso", 20, 0, 20, 0, 20),
        ("tailspin", 11, 0, 11, 0, 510),
    ] {
        let row = of(&document, vendor);
        let numbers =
            ["sent", "conflict", "published", "quarantined", "facts", "repeats"].map(|name| &row[name]);
        let expected = [sent, conflict, published, quarantined, facts, 0].map(|number| json!(number));
        assert_eq!(numbers, expected.each_ref(), "{vendor}: {row}");
        let answers: u64 =
            ["accepted", "duplicate", "conflict"].iter().filter_map(|name| row[*name].as_u64()).sum();
        assert_eq!(row["sent"], answers, "every request got an answer: {row}");
    }
    let row = of(&document, "northwind");
    // The redated retry may overtake the index, and is then a duplicate in the books instead.
    assert!(row["duplicate"].as_u64().is_some_and(|count| [8, 9].contains(&count)), "{row}");
    assert!(is_published(&document["explain"]), "{}", document["explain"]);
    for name in ["raw", "facts", "quarantine", "repeats", "conflicts"] {
        assert!(members(&document["explain"]).contains(&name), "{name} of {}", document["explain"]);
    }

    let invoice = &document["invoice"];
    assert_eq!(
        (&invoice["state"], &invoice["impact"][2]["after"]),
        (&json!("APPLIED"), &json!("20")),
        "{invoice}"
    );
    assert!(ran.stderr.contains("a second click: 409 invoice-applied"), "{}", ran.stderr);
    assert_eq!(account(&document["reconcile"], "own")["published"], 1);

    // What it left behind opens again, and says the same.
    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "tailspin"), account(&document["reconcile"], "tailspin"));
    assert_once(&public(&dvss).await);
    let history = dvss.history("tailspin|seattle|TS-0001||").await;
    assert_eq!(history["state"]["quantityOnHand"], "6", "seven said the report, and one was sold");
    dvss.stop().await;
}

#[tokio::test]
async fn the_words_for_people_tell_the_same() {
    let ran = run(&["demo", "--exit"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for words in
        ["VENDOR", "northwind", "fabrikam", "contoso", "tailspin", "raw object", "PUBLISHED", "balanced"]
    {
        assert!(ran.stdout.contains(words), "{words} is not in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("NOT BALANCED"));
}
