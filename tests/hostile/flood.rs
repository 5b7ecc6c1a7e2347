//! One vendor sends all that it can, over many connections: it meets its limits, and nobody else does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::still_well;
use crate::support::{Answer, Dvss, NOON, Place, Vendor, eventually, oracle, stock};

/// Connections that the flood comes over; more than its share of requests that are worked on at once.
const CONNECTIONS: usize = 24;
/// Events that the other vendor sends meanwhile.
const MEANWHILE: usize = 40;
/// What the process may hold in memory: its cache, the bodies in flight, and itself in a debug build.
const MOST_MEMORY: u64 = 512 * 1_024 * 1_024;

/// How often each answer came: a status, or a problem's code.
type Answers = BTreeMap<String, usize>;

/// One connection's part: events, batches that are repeated whole, and bodies as large as they may be.
async fn flood(dvss: Arc<Dvss>, vendor: Vendor, number: usize, stop: Arc<AtomicBool>) -> Answers {
    let mut answers = Answers::new();
    let batch: Vec<Value> =
        (0..200).map(|item| stock(&format!("batch-{number}-{item}"), NOON, "B", "1")).collect();
    let batch = Value::from(batch).to_string();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("flood-{number}-{turn}");
        let large = stock(&id, NOON, &"x".repeat(250_000), "1").to_string();
        let (path, body) = match turn % 3 {
            0 => ("/v1/events", stock(&id, NOON, "F", "1").to_string()),
            1 => ("/v1/events:batch", batch.clone()),
            _ => ("/v1/events", large),
        };
        let Answer { status, retry_after, body, .. } =
            dvss.post(&vendor, path, "application/json", body).await;
        assert!([200, 202, 429, 503].contains(&status), "{status}: {body}");
        assert!(status < 400 || retry_after.is_some(), "it says when: {body}");
        let word = body["code"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        *answers.entry(word).or_default() += 1;
    }
    answers
}

#[tokio::test]
async fn a_flood_of_one_vendor_is_nobody_elses() {
    let place = Place::new();
    let dvss = place
        .up()
        .env("DVSS_GATEWAY__DEFAULT_RATE", "{eventsPerSecond: 60, burst: 60}")
        .env("DVSS_GATEWAY__MAX_IN_FLIGHT", "40")
        .env("DVSS_GATEWAY__MAX_IN_FLIGHT_PER_VENDOR", "20")
        .go()
        .await;
    let (loud, other) = (dvss.vendor("loud").await, dvss.vendor("other").await);
    let (dvss, stop) = (Arc::new(dvss), Arc::new(AtomicBool::new(false)));
    let floods: Vec<_> = (0..CONNECTIONS)
        .map(|number| tokio::spawn(flood(Arc::clone(&dvss), loud.clone(), number, Arc::clone(&stop))))
        .collect();
    eventually("the flood meets its limit", async || {
        let answer = dvss.send(&loud, &stock("probe", NOON, "P", "1")).await;
        (answer.status == 429).then_some(())
    })
    .await;

    // At the first try, each of them.
    let mut ids = Vec::new();
    for number in 0..MEANWHILE {
        let sent = dvss.send(&other, &stock(&format!("mine-{number}"), NOON, "MINE", "5")).await;
        assert_eq!(sent.status, 202, "{sent:?}");
        ids.push(sent.id());
    }
    for id in &ids {
        dvss.published(id).await;
    }
    assert!(floods.iter().all(|flood| !flood.is_finished()), "it was going on all the while");
    if let Some(bytes) = dvss.most_memory() {
        assert!(bytes < MOST_MEMORY, "{bytes} bytes");
    }
    stop.store(true, Ordering::Relaxed);
    let mut answers = Answers::new();
    for flood in floods {
        for (word, count) in flood.await.expect("it met nothing else") {
            *answers.entry(word).or_default() += count;
        }
    }
    println!("{answers:?}");
    assert!(answers.get("rate-limited").is_some_and(|count| *count > 0), "{answers:?}");
    let taken =
        answers.get("202").copied().unwrap_or_default() + answers.get("200").copied().unwrap_or_default();
    assert!(taken > 0, "what fits its limit is taken: {answers:?}");

    let mut dvss = Arc::into_inner(dvss).expect("the floods are over");
    let books = dvss.settled().await;
    oracle::assert_balanced(&books);
    assert_eq!(oracle::account(&books, "other")["published"], MEANWHILE);
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
