//! The process aborts before or after a named call, is started again, and goes on as if nothing had been.
//!
//! One test a failpoint, so that its name says where it died.

use std::os::unix::process::ExitStatusExt as _;

use crate::scenario::{VENDOR, send_again_and_check, send_some_until_dead, send_until_dead};
use crate::support::Place;

/// Signal 6.
const SIGABRT: i32 = 6;

async fn dies_and_goes_on(failpoint: &str) {
    let place = Place::new();
    let mut dvss = place.up().env("DVSS_FAILPOINT", failpoint).go().await;
    let vendor = dvss.vendor(VENDOR).await;
    send_until_dead(&mut dvss, &vendor).await;
    let log = dvss.log.clone();
    let status = dvss.died().await;
    // The fault must have happened, or this test shows nothing.
    assert_eq!(status.signal(), Some(SIGABRT), "{failpoint}: {status}");
    let said = std::fs::read_to_string(&log).expect("a log");
    let call = failpoint.split(':').next().expect("a call");
    assert!(said.contains(&format!("failpoint {call}:")), "{failpoint}: {said}");

    let dvss = place.up().go().await;
    send_again_and_check(&dvss, &vendor, 0).await;
    dvss.stop().await;
}

macro_rules! failpoints {
    ($($name:ident = $failpoint:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            dies_and_goes_on($failpoint).await;
        })*
    };
}

// `stage.port.method:moment:count`. Counts beyond 1 reach what comes after the first event: a second
// write of the same kind (a conflict's note, the receipt behind the records), a batch behind a batch.
failpoints! {
    gateway_before_the_raw_object = "gateway.raw.put:before:1";
    gateway_after_the_raw_object = "gateway.raw.put:after:1";
    gateway_after_a_later_raw_object = "gateway.raw.put:after:4";
    gateway_before_the_record = "gateway.log.append:before:2";
    gateway_after_the_record = "gateway.log.append:after:1";
    gateway_after_a_later_record = "gateway.log.append:after:5";

    dedup_before_the_claim = "dedup.tables.write:before:1";
    dedup_after_the_claim = "dedup.tables.write:after:1";
    dedup_after_a_later_claim = "dedup.tables.write:after:4";
    dedup_after_the_conflict = "dedup.tables.write:after:7";
    dedup_after_producing = "dedup.log.send:after:1";
    dedup_before_the_commit = "dedup.log.commit:before:1";
    dedup_after_the_commit = "dedup.log.commit:after:1";
    dedup_before_the_next_commit = "dedup.log.commit:before:2";

    normalize_before_the_object = "normalize.normalized.put:before:1";
    normalize_after_the_object = "normalize.normalized.put:after:1";
    normalize_after_a_later_object = "normalize.normalized.put:after:3";
    normalize_before_the_index = "normalize.tables.write:before:1";
    normalize_after_the_index = "normalize.tables.write:after:1";
    // Three events are normalized before the poison; behind them come its status and its row.
    normalize_around_the_quarantine_row = "normalize.tables.write:after:4";
    normalize_behind_the_quarantine_row = "normalize.tables.write:after:5";
    normalize_after_producing = "normalize.log.send:after:1";
    normalize_before_the_commit = "normalize.log.commit:before:1";
    normalize_after_the_commit = "normalize.log.commit:after:1";

    divergence_before_the_transaction = "divergence.tables.transact:before:1";
    divergence_after_the_transaction = "divergence.tables.transact:after:1";
    divergence_after_a_later_transaction = "divergence.tables.transact:after:5";
    divergence_after_producing = "divergence.log.send:after:1";
    divergence_before_the_commit = "divergence.log.commit:before:1";
    divergence_after_the_commit = "divergence.log.commit:after:1";

    outbox_before_producing = "outbox.log.send:before:1";
    outbox_after_the_records = "outbox.log.send:after:1";
    outbox_after_the_receipt = "outbox.log.send:after:2";
    outbox_before_the_commit = "outbox.log.commit:before:1";
    outbox_after_the_commit = "outbox.log.commit:after:1";
    outbox_before_a_receipt_is_copied = "outbox.tables.write:before:1";
    outbox_after_a_receipt_is_copied = "outbox.tables.write:after:1";
    outbox_after_a_later_receipt_is_copied = "outbox.tables.write:after:6";
    outbox_before_the_copies_position = "outbox.log.set_committed:before:1";
    outbox_after_the_copies_position = "outbox.log.set_committed:after:1";
}

/// It dies again and again on the way back. Each time one more event is sent, so that every stage has something to
/// commit, however far the one before came.
#[tokio::test]
async fn dying_again_and_again_while_recovering() {
    let place = Place::new();
    let mut vendor = None;
    for (failpoint, sent) in [
        ("outbox.log.commit:after:1", 1),
        ("outbox.tables.write:after:1", 2),
        ("outbox.log.commit:before:1", 3),
        // The fourth is poison, which never comes so far.
        ("divergence.log.commit:after:1", 5),
    ] {
        let mut dvss = place.up().env("DVSS_FAILPOINT", failpoint).go().await;
        if vendor.is_none() {
            vendor = Some(dvss.vendor(VENDOR).await);
        }
        let vendor = vendor.as_ref().expect("just added");
        send_some_until_dead(&mut dvss, vendor, sent).await;
        let status = dvss.died().await;
        assert_eq!(status.signal(), Some(SIGABRT), "{failpoint}: {status}");
    }
    let vendor = vendor.expect("added");
    let dvss = place.up().go().await;
    send_again_and_check(&dvss, &vendor, 0).await;
    dvss.stop().await;
}

/// A raw object whose vendor never comes back is an orphan: nobody was told that it is taken. Repair
/// takes it all the same.
#[tokio::test]
async fn an_orphan_is_named_and_repaired() {
    let place = Place::new();
    let mut dvss = place.up().env("DVSS_FAILPOINT", "gateway.raw.put:after:1").go().await;
    let vendor = dvss.vendor(VENDOR).await;
    send_until_dead(&mut dvss, &vendor).await;
    assert_eq!(dvss.died().await.signal(), Some(SIGABRT));

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_eq!(
        (&report["balanced"], report["orphans"].as_array().map(Vec::len)),
        (&true.into(), Some(1)),
        "{report}"
    );
    let ran = dvss.cli(&["reconcile", "--repair", "--json"]).await.json();
    assert_eq!(ran["repaired"].as_array().map(Vec::len), Some(1), "{ran}");
    let report = dvss.settled().await;
    assert_eq!(report["orphans"], serde_json::json!([]), "{report}");
    send_again_and_check(&dvss, &vendor, 0).await;
    dvss.stop().await;
}
