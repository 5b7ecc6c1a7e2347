//! The process dies between the click and the last receipt; the invoice is booked once all the same.

use std::os::unix::process::ExitStatusExt as _;

use contract::topics::INVENTORY_RECEIVED;
use serde_json::json;

use crate::documents::{id, sum, ubl};
use crate::support::Place;
use crate::support::oracle::{assert_balanced, assert_once, public};

/// Signal 6.
const SIGABRT: i32 = 6;

/// Uploads, applies and waits, with a process that dies at the failpoint on the way, and then with one that lives.
async fn dies_and_books_once(failpoint: &str) {
    let place = Place::new();
    let dvss = place.up().go().await;
    dvss.vendor("north").await;
    let job =
        dvss.invoice(&place, "a.xml", &ubl("RE-1", &[("A-1", 5, 2), ("B-2", 7, 1), ("A-1", 3, 2)])).await;
    let id = id(&job);
    dvss.stop().await;

    let dvss = place.up().env("DVSS_FAILPOINT", failpoint).go().await;
    let clicked = dvss.cli(&["invoices", "apply", &id]).await;
    let log = dvss.log.clone();
    let status = dvss.died().await;
    assert_eq!(status.signal(), Some(SIGABRT), "{failpoint}: {clicked:?}");
    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(
        said.contains(&format!("failpoint {}:", failpoint.split(':').next().unwrap_or_default())),
        "{said}"
    );

    let dvss = place.up().go().await;
    // Whoever was not answered clicks again: it is booked, or says by whom it was.
    let again = dvss.cli(&["invoices", "apply", &id]).await;
    assert!(again.code == 0 || again.stderr.contains("invoice-applied"), "{failpoint}: {again:?}");
    dvss.job_in(&id, "APPLIED").await;
    assert_eq!(sum(&dvss.tail(INVENTORY_RECEIVED).await), json!({ "A-1": 8, "B-2": 7 }), "{failpoint}");
    assert_eq!((dvss.received("A-1").await, dvss.received("B-2").await), ("8".to_owned(), "7".to_owned()));
    assert_balanced(&dvss.settled().await);
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

macro_rules! failpoints {
    ($($name:ident = $failpoint:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            dies_and_books_once($failpoint).await;
        })*
    };
}

failpoints! {
    before_the_plan = "operator.invoices.put:before:1";
    after_the_plan = "operator.invoices.put:after:1";
    before_the_transaction = "operator.tables.transact:before:1";
    after_the_transaction = "operator.tables.transact:after:1";
    before_the_nudge = "operator.log.append:before:1";
    after_the_nudge = "operator.log.append:after:1";
    before_the_facts = "invoices.log.send:before:1";
    after_the_facts = "invoices.log.send:after:1";
    before_the_facts_are_committed = "invoices.log.commit:before:1";
    after_the_facts_are_committed = "invoices.log.commit:after:1";
    after_a_fact_is_taken_in = "divergence.tables.transact:after:2";
    before_the_facts_are_published = "outbox.log.commit:before:1";
    after_the_facts_are_published = "outbox.log.commit:after:1";
    before_it_is_applied = "invoices.tables.transact:before:1";
    after_it_is_applied = "invoices.tables.transact:after:1";
}

/// The worker dies while it parses: somebody takes the job over when its lease has ended.
#[tokio::test]
async fn a_job_whose_worker_died_is_taken_over() {
    for failpoint in [
        "invoices.tables.transact:after:1",
        "invoices.invoices.put:after:1",
        "invoices.tables.transact:before:2",
    ] {
        let place = Place::new();
        let dvss = place.up().env("DVSS_FAILPOINT", failpoint).env("DVSS_INVOICES__LEASE", "6s").go().await;
        dvss.vendor("north").await;
        let file = place.file("a.xml", &ubl("RE-1", &[("A-1", 5, 2)])).display().to_string();
        dvss.cli(&["invoices", "upload", &file, "--vendor", "north", "--no-wait"]).await;
        assert_eq!(dvss.died().await.signal(), Some(SIGABRT), "{failpoint}");
        let dvss = place.up().env("DVSS_INVOICES__LEASE", "6s").go().await;
        let jobs = dvss.look("/invoices").await.expect(200)["jobs"].clone();
        let job = dvss.job_in(&id(&jobs[0]), "REVIEW").await;
        assert_eq!(job["summary"]["number"], "RE-1", "{failpoint}");
        dvss.stop().await;
    }
}
