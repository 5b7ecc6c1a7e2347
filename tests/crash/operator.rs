//! The process dies in the middle of what an operator does.

use std::os::unix::process::ExitStatusExt as _;

use serde_json::json;

use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::{NOON, Place, envelope};

/// Releases one row, or everything of the vendor.
type Deed = fn(id: &str) -> Vec<&str>;

const RELEASE: Deed = |id| vec!["quarantine", "release", "dvss.normalize", id, "--json"];
const RESUME: Deed = |_| vec!["quarantine", "resume", "acme", "--json"];

/// A release is a change of the row and a record; dying between the two loses neither, and whoever does the
/// same again has it done.
async fn release_dies(deed: Deed, failpoint: &str) {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor_on("acme", None).await;
    let sent = dvss.send(&acme, &envelope("e1", "stock.said", NOON, json!({"no": "A", "free": 3}))).await;
    dvss.explained(&sent.id(), "QUARANTINED").await;
    let mapping = "mapping: v1\nvendor: acme\neventType: stock.said\nversion: 1\ntitle: Stock\nsource: {type: object}\n\
                   facts:\n  - type: InventoryUpdated\n    fields: {sku: .no, warehouseId: {const: w1}, quantityOnHand: .free}\n";
    let file = place.file("stock.yaml", mapping).display().to_string();
    dvss.cli(&["mappings", "put", &file, "--activate", "--json"]).await.json();
    dvss.stop().await;

    let dvss = place.up().env("DVSS_FAILPOINT", failpoint).go().await;
    let id = sent.id();
    let ran = dvss.cli(&deed(&id)).await;
    assert_eq!(ran.code, 4, "{failpoint}: nobody answered: {ran:?}");
    assert_eq!(dvss.died().await.signal(), Some(6), "{failpoint}");

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    // Whatever the row says now, the event is either there or named.
    let books = account(&report, "acme");
    let missing = books["missing"] == json!([sent.id()]);
    assert!(missing || report["balanced"] == true, "{failpoint}: {report}");
    let ran = dvss.cli(&deed(&id)).await;
    assert_eq!(ran.code, 0, "{failpoint}: {ran:?}");
    let done = ran.json();
    assert!(done["released"].is_null() || done["released"] == 1, "{failpoint}: {done}");
    dvss.published(&sent.id()).await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 1, "{failpoint}: {report}");
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

#[tokio::test]
async fn release_before_the_record() {
    release_dies(RELEASE, "operator.log.append:before:1").await;
}

#[tokio::test]
async fn release_after_the_record() {
    release_dies(RELEASE, "operator.log.append:after:1").await;
}

#[tokio::test]
async fn resume_before_the_record() {
    release_dies(RESUME, "operator.log.append:before:1").await;
}

#[tokio::test]
async fn resume_after_the_record() {
    release_dies(RESUME, "operator.log.append:after:1").await;
}
