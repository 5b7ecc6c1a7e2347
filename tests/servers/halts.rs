//! A stage that would do harm by going on stops, and says what to do.

use serde_json::json;

use crate::support::installation::{GROUPS, Installation, set_back};
use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::servers::stack;
use crate::support::{Place, eventually, seconds_past_noon as at, stock};

/// What a process that halted ended with, and its log.
async fn halted(place: &Place, role: &[&str]) -> String {
    let dvss = place.role(role).begin().await;
    let log = dvss.log.clone();
    let status = dvss.died().await;
    // 1, as the manual of the exit codes has it.
    assert_eq!(status.code(), Some(1), "{status}");
    std::fs::read_to_string(log).expect("a log")
}

/// Retention took records that a stage had not read: it halts at every start and skips nothing, until
/// somebody sets its offsets on purpose. What the log lost is emitted again from the objects.
#[tokio::test]
async fn an_offset_outside_of_the_log() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    let mut dvss = Installation::start(&place).await;
    let acme = dvss.vendor("acme").await;
    let event = |number: u32| stock(&format!("e{number}"), &at(number), "A", &number.to_string());
    dvss.send_all(&acme, &[event(0), event(1)]).await;
    assert_balanced(&dvss.settled().await);

    dvss.halt(&GROUPS[1..2]).await;
    let lost = dvss.send_all(&acme, &[event(2), event(3)]).await;
    eventually("dedup has passed them on", async || {
        (dvss.lag("dvss.dedup").await == 0 && dvss.lag("dvss.normalize").await == 2).then_some(())
    })
    .await;
    let places = [0, 1]
        .map(|partition| json!({"topic": place.name("dvss.accepted"), "partition": partition, "offset": -1}));
    let file = place.file("delete.json", &json!({"version": 1, "partitions": places}).to_string());
    stack.tool("DeleteRecordsCommand", &["--offset-json-file", &file.display().to_string()]).await;

    for _ in 0..2 {
        let log = halted(&place, &["processor", "normalize"]).await;
        assert!(log.contains("offset-out-of-range"), "{log}");
        let names = format!("of {} in {}/", place.name("dvss.normalize"), place.name("dvss.accepted"));
        assert!(log.contains(&names), "the group and the partition, as Kafka's tools know them: {log}");
    }
    let report = dvss.look("/reconcile").await;
    assert_eq!(account(report.expect(200), "acme")["published"], 2, "nothing was skipped: {report:?}");

    // Kafka's tool refuses while the group still lists the member that halted.
    eventually("the offsets can be set", async || {
        let set = set_back(&place, &GROUPS[1..2]).await;
        (set[0].1.len() == 2).then_some(())
    })
    .await;
    dvss.resume(&GROUPS[1..2]).await;
    // The books name what the log lost, and repair takes it from the objects.
    let report = dvss.look("/reconcile").await.expect(200).clone();
    assert_eq!(report["balanced"], false, "{report}");
    assert_eq!(account(&report, "acme")["missing"], json!(lost), "{report}");
    let repaired = dvss.cli(&["reconcile", "--repair", "--json"]).await;
    assert!(lost.iter().all(|id| repaired.stdout.contains(id)), "{repaired:?}");
    let report = dvss.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 4, "{report}");
    assert_once(&public(&dvss).await);
    for id in lost {
        dvss.published(&id).await;
    }
    dvss.stop().await;
}
