//! Processes whose clock is off.

use crate::support::oracle::{account, assert_balanced, assert_once, public};
use crate::support::servers::stack;
use crate::support::{Dvss, Place, seconds_past_noon as at, stock};

/// All roles, with a clock that is off by so much; builds for tests can show it.
async fn off_by(place: &Place, by: &str) -> Dvss {
    place.up().env("DVSS_CLOCK_OFF", by).go().await
}

/// Three hours off: groups and transactions know no clocks, ids are the vendors' times, and a signature that S3
/// refuses for its time is made again. What a clock decides, whether an event lies in the future, says so.
#[tokio::test]
async fn a_clock_that_is_off_loses_and_repeats_nothing() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack);
    let right = place.up().go().await;
    let acme = right.vendor("acme").await;
    let first = right.deliver(&acme, &stock("e1", &at(1), "A", "1")).await;
    let now = first.expect(202)["receivedAt"].as_str().expect("the time").to_owned();
    right.published(&first.id()).await;
    right.stop().await;

    let behind = off_by(&place, "-3h").await;
    let again = behind.send(&acme, &stock("e1", &at(1), "A", "1")).await;
    assert_eq!((again.expect(200)["status"].as_str(), again.id()), (Some("DUPLICATE"), first.id()));
    let second = behind.deliver(&acme, &stock("e2", &at(2), "A", "2")).await;
    behind.published(&second.id()).await;
    let future = behind.send(&acme, &stock("e3", &now, "A", "3")).await;
    let refused = future.refused(400, "occurred-at-out-of-range");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(&now)), "{refused}");
    assert_balanced(&behind.settled().await);
    behind.stop().await;

    let ahead = off_by(&place, "3h").await;
    let third = ahead.deliver(&acme, &stock("e3", &now, "A", "3")).await;
    ahead.published(&third.id()).await;
    assert_eq!(ahead.send(&acme, &stock("e2", &at(2), "A", "2")).await.expect(200)["status"], "DUPLICATE");
    let report = ahead.settled().await;
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["published"], 3, "{report}");
    assert_once(&public(&ahead).await);
    ahead.stop().await;
}
