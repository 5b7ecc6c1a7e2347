//! Bad input over the wire: each gets a typed refusal or comes out exact; never a 5xx, never a float,
//! and nobody else notices.

mod bodies;
mod connections;
mod flood;
mod ids;
mod values;

#[path = "../support/mod.rs"]
mod support;

use support::{Dvss, NOON, Vendor, oracle, stock};

/// After whatever happened, the process is the same, another vendor's event goes through, and the books
/// balance.
async fn still_well(dvss: &mut Dvss, other: &Vendor) {
    assert!(dvss.runs());
    let sent = dvss.send(other, &stock("good", NOON, "GOOD", "42")).await;
    assert!([200, 202].contains(&sent.status), "{sent:?}");
    let shown = dvss.published(&sent.id()).await;
    assert_eq!(shown["facts"][0]["data"]["quantityOnHand"], "42");
    oracle::assert_balanced(&dvss.settled().await);
    assert!(!dvss.logged().contains("panicked"), "{}", dvss.logged());
}
