//! Many at once: racing vendors, books drawn up while the pipeline runs, a disk that fills up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::oracle::{account, assert_balanced, assert_once, facts, public};
use crate::support::{Dvss, NOON, Place, Vendor, change, envelope, eventually, seconds_past_noon, stock};

/// The same event at once over many connections: one effect, one id, whoever was first.
#[tokio::test(flavor = "multi_thread")]
async fn one_event_over_many_connections() {
    let place = Place::new();
    let dvss = Arc::new(place.up().go().await);
    let acme = dvss.vendor("acme").await;
    for round in 0..5 {
        let racers: Vec<_> = (0..24)
            .map(|racer| {
                let (dvss, acme) = (Arc::clone(&dvss), acme.clone());
                // Two thirds say the same; a third says something else under the same id.
                let quantity = if racer % 3 == 2 { "9" } else { "5" };
                let event = stock(&format!("race{round}"), NOON, &format!("R{round}"), quantity);
                tokio::spawn(async move { dvss.send(&acme, &event).await })
            })
            .collect();
        let (mut ids, mut accepted, mut refused) = (BTreeSet::new(), 0, 0);
        for racer in racers {
            let answer = racer.await.expect("a racer");
            ids.insert(answer.id());
            match answer.status {
                202 => accepted += 1,
                409 => refused += 1,
                other => assert_eq!(other, 200, "{answer:?}"),
            }
        }
        assert_eq!((ids.len(), accepted), (1, 1), "one id, one 202");
        assert!(refused == 8 || refused == 16, "one side of the two lost: {refused}");
    }
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    assert_eq!([&books["published"], &books["conflict"], &books["facts"]], [&json!(5); 3], "{books}");
    let records = public(&dvss).await;
    assert_once(&records);
    let conflicts = records.iter().filter(|record| record["value"]["kind"] == "CONFLICT").count();
    assert_eq!(conflicts, 5, "however many said it");
    Arc::into_inner(dvss).expect("nobody else has it").stop().await;
}

/// Nothing that is on its way is ever called missing, nor is anything counted twice: an alarm that cries
/// wolf is none.
#[tokio::test]
async fn the_books_are_right_at_every_moment() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    let done = Cell::new(false);
    let sending = async {
        for number in 0..250_u32 {
            let (id, at, sku) = (format!("e{number}"), seconds_past_noon(number), format!("S{}", number % 7));
            let event = match number % 5 {
                0 => stock(&id, &at, &sku, "100"),
                4 => envelope(&id, "InventoryUpdated", &at, json!({"items": [{}]})),
                _ => change(&id, &at, &sku, "-1"),
            };
            dvss.deliver(&acme, &event).await.expect(202);
            if number % 10 == 0 {
                dvss.deliver(&acme, &event).await.expect(200);
            }
        }
        done.set(true);
    };
    let looking = async {
        let mut looks = 0;
        while !done.get() {
            let answer = dvss.look("/reconcile").await;
            let report = answer.expect(200);
            assert_eq!(report["balanced"], true, "look {looks}: {report}");
            for books in report["vendors"].as_array().expect("vendors") {
                assert_eq!(
                    (&books["missing"], &books["repeats"]),
                    (&json!([]), &json!(0)),
                    "look {looks}: {report}"
                );
            }
            looks += 1;
        }
        assert!(looks >= 5, "it was looked at only {looks} times");
    };
    tokio::join!(sending, looking);
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, "acme");
    assert_eq!(
        [&books["accepted"], &books["published"], &books["quarantined"]],
        [&json!(250), &json!(200), &json!(50)]
    );
    dvss.stop().await;
}

/// A vendor with an ordering pointer spreads over partitions, and each item keeps its order.
#[tokio::test]
async fn an_ordering_pointer_spreads_a_vendor_out() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let added = dvss
        .cli(&[
            "vendors",
            "add",
            "large",
            "--platform",
            "dvss",
            "--ordering-pointer",
            "/payload/sku",
            "--json",
        ])
        .await
        .json();
    let large = Vendor { id: "large".to_owned(), key: added["key"].as_str().expect("a key").to_owned() };
    let events: Vec<Value> = (0..60_u32)
        .map(|number| {
            stock(
                &format!("e{number}"),
                &seconds_past_noon(number),
                &format!("S{}", number % 12),
                &number.to_string(),
            )
        })
        .collect();
    let batch = Value::Array(events).to_string();
    let answer = dvss.post(&large, "/v1/events:batch", "application/json", batch).await;
    assert!(
        answer.expect(200)["results"]
            .as_array()
            .expect("results")
            .iter()
            .all(|result| result["status"] == "ACCEPTED")
    );
    assert_balanced(&dvss.settled().await);
    let raw = dvss.tail("dvss.raw").await;
    let partitions: BTreeSet<u64> = raw.iter().filter_map(|record| record["partition"].as_u64()).collect();
    assert!(partitions.len() > 1, "{partitions:?}");
    let places = |sku: &str| -> BTreeSet<u64> {
        let of_item = raw.iter().filter(|record| record["value"]["payload"]["sku"] == sku);
        of_item.filter_map(|record| record["partition"].as_u64()).collect()
    };
    for item in 0..12 {
        assert_eq!(places(&format!("S{item}")).len(), 1, "one item, one partition");
    }
    let records = public(&dvss).await;
    assert_eq!(facts(&records).len(), 60);
    dvss.stop().await;
}

/// A full disk refuses what it cannot keep and loses nothing of what it said it has.
#[tokio::test]
async fn a_full_disk_refuses_and_comes_back() {
    let place = Place::embedded();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    dvss.send(&acme, &stock("before", NOON, "A", "1")).await.expect(202);
    dvss.settled().await;
    dvss.stop().await;
    let size: u64 = std::fs::read_dir(place.data())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
        .sum();

    let dvss = place.up().env("DVSS_STORE__MAX_BYTES", &size.to_string()).go().await;
    let mut taken = Vec::new();
    let refusal = fill(&dvss, &acme, &mut taken).await;
    refusal.refused(507, "storage-full");
    assert!(refusal.retry_after.is_some(), "{refusal:?}");
    // Still there, and still readable.
    assert_eq!(dvss.page("/livez").await.status, 200);
    assert_eq!(dvss.look("/vendors").await.status, 200);
    dvss.kill().await;

    let dvss = place.up().go().await;
    let report = dvss.settled().await;
    assert_balanced(&report);
    for id in &taken {
        dvss.published(id).await;
    }
    let again = eventually("there is room again", async || {
        let answer = dvss.send(&acme, &stock("after", NOON, "B", "1")).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    dvss.published(&again.id()).await;
    assert_once(&public(&dvss).await);
    dvss.stop().await;
}

/// Sends until the door refuses, and returns the refusal.
async fn fill(dvss: &Dvss, acme: &Vendor, taken: &mut Vec<String>) -> crate::support::Answer {
    let padding = "x".repeat(200_000);
    for number in 0..2_000_u32 {
        let payload = json!({"sku": "A", "warehouseId": "w1", "quantityOnHand": number, "padding": padding});
        let event =
            envelope(&format!("fill{number}"), "InventoryUpdated", &seconds_past_noon(number), payload);
        let answer = dvss.send(acme, &event).await;
        match answer.status {
            202 => taken.push(answer.id()),
            _ => return answer,
        }
    }
    panic!("2,000 events of 200 KB fit into a full disk");
}
