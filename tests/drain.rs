//! SIGTERM under load: nothing more is let in, what is in is finished, the process ends well, and every
//! 2xx is kept.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use support::oracle::{account, assert_balanced, assert_once, facts, public};
use support::{Dvss, Place, Vendor, envelope, eventually, seconds_past_noon, stock};

#[path = "support/mod.rs"]
mod support;

const SENDERS: usize = 8;

/// Sends until nobody listens; returns the ids of every 2xx.
async fn send(dvss: Arc<Dvss>, vendor: Vendor, sender: usize, taken: Arc<AtomicUsize>) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0_u32.. {
        let event = stock(
            &format!("e{sender}-{number}"),
            &seconds_past_noon(number),
            &format!("S{sender}"),
            &number.to_string(),
        );
        match dvss.try_send(&vendor, &event).await {
            Ok(answer) if answer.status == 202 => {
                taken.fetch_add(1, Ordering::Relaxed);
                ids.push(answer.id());
            }
            // Told to come again, and nobody there: both are what a draining door may say.
            Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
            Err(_) => break,
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_under_load() {
    let place = Place::new();
    let dvss = Arc::new(place.up().go().await);
    let vendor = dvss.vendor("acme").await;
    let taken = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| tokio::spawn(send(Arc::clone(&dvss), vendor.clone(), sender, Arc::clone(&taken))))
        .collect();
    eventually("a hundred events are taken", async || (taken.load(Ordering::Relaxed) >= 100).then_some(()))
        .await;
    dvss.ask_to_stop().await;
    let mut ids = BTreeSet::new();
    for sender in senders {
        ids.extend(sender.await.expect("a sender"));
    }
    assert!(ids.len() >= 100);
    Arc::into_inner(dvss).expect("nobody else has it").ended_well().await;

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    // An answer may have been lost on its way; an event never.
    let accepted = books["accepted"].as_u64().expect("a number");
    let sent = u64::try_from(ids.len()).expect("few");
    assert!((sent..=sent + SENDERS as u64).contains(&accepted), "{sent} answers, {accepted} events");
    assert_eq!(books["published"], accepted);
    let records = public(&dvss).await;
    assert_once(&records);
    let out: BTreeSet<&str> =
        facts(&records).iter().filter_map(|record| record["value"]["ingestId"].as_str()).collect();
    assert!(ids.iter().all(|id| out.contains(id.as_str())), "each 2xx is public");
    dvss.stop().await;
}

#[tokio::test]
async fn a_request_at_hand_is_finished_and_new_ones_are_not_let_in() {
    use support::wire::{Wire, connect, read};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;

    let place = Place::new();
    let dvss = place.up().go().await;
    let vendor = dvss.vendor("acme").await;
    let bytes = Wire::event(&vendor, stock("slow", &seconds_past_noon(0), "A", "1").to_string()).bytes();
    let (first, rest) = bytes.split_at(bytes.len() - 5);
    let mut stream = connect(&dvss).await;
    stream.write_all(first).await.expect("sent");
    // The head must have arrived, or there is no request at hand yet: another one on its heels has an answer.
    dvss.send(&vendor, &stock("after", &seconds_past_noon(1), "A", "2")).await.expect(202);
    dvss.ask_to_stop().await;
    let address = dvss.vendors.strip_prefix("http://").expect("an address").to_owned();
    eventually("the door is shut", async || TcpStream::connect(&address).await.is_err().then_some(())).await;
    stream.write_all(rest).await.expect("sent");
    let reply = read(&mut stream).await;
    assert_eq!(reply.status, 202, "what had begun is finished: {reply:?}");
    dvss.ended_well().await;

    let dvss = place.up().go().await;
    assert_balanced(&dvss.settled().await);
    dvss.published(reply.body["ingestId"].as_str().expect("an id")).await;
    dvss.stop().await;
}

/// What the stages hold goes on after the next start, however much it is.
#[tokio::test]
async fn stopped_in_the_middle_of_a_backlog() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let vendor = dvss.vendor("acme").await;
    for report in 0..10_u32 {
        let items: Vec<_> =
            (0..100_u32).map(|line| json!({"sku": format!("L{line}"), "quantityOnHand": report})).collect();
        let event = envelope(
            &format!("r{report}"),
            "InventoryUpdated",
            &seconds_past_noon(report),
            json!({"items": items}),
        );
        dvss.send(&vendor, &event).await.expect(202);
    }
    dvss.stop().await;
    let mut rounds = 0_u64;
    let report = loop {
        let dvss = place.up().go().await;
        // Stopped again as soon as it began, so that it stops in the middle; a little later each time, for
        // servers take longer to tell that everything is done.
        let moved = tokio::time::timeout(Duration::from_millis(150 + 150 * rounds), dvss.settled()).await;
        rounds += 1;
        match moved {
            Ok(report) => {
                assert_once(&public(&dvss).await);
                dvss.stop().await;
                break report;
            }
            Err(_) if rounds < 100 => dvss.stop().await,
            Err(_) => panic!("{rounds} starts do not get it done"),
        }
    };
    assert_balanced(&report);
    assert_eq!(account(&report, "acme")["facts"], 1_000, "{report}");
}
