//! One vendor sends all that it can, over many connections: it meets its limits, and nobody else does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::still_well;
use crate::support::{Answer, Dvss, NOON, Place, Vendor, eventually, oracle, stock};

/// Connections that the flood comes over; more than its share of requests that are worked on at once.
const CONNECTIONS: usize = 24;
/// Events that the other vendor sends meanwhile.
const MEANWHILE: usize = 40;
/// What the process may hold in memory: its cache, the bodies in flight, and itself in a debug build.
const MOST_MEMORY: u64 = 512 * 1_024 * 1_024;

/// How often each answer came: a status, or a problem's code; of batches of repeats and of broken items,
/// each item's, behind the batch's name.
type Answers = Arc<Mutex<BTreeMap<String, usize>>>;

fn count(answers: &Answers, word: impl Into<String>) {
    *answers.lock().expect("no panic").entry(word.into()).or_default() += 1;
}

fn counted(answers: &Answers, word: &str) -> usize {
    answers.lock().expect("no panic").get(word).copied().unwrap_or_default()
}

/// One connection's part: events, batches that are repeated whole, bodies as large as they may be, batches of
/// one event that nobody knows yet, and batches of nothing that is an event.
async fn flood(dvss: Arc<Dvss>, vendor: Vendor, number: usize, stop: Arc<AtomicBool>, answers: Answers) {
    let batch: Vec<Value> =
        (0..200).map(|item| stock(&format!("batch-{number}-{item}"), NOON, "B", "1")).collect();
    let batch = Value::from(batch).to_string();
    let broken = format!("[{}]", vec!["{}"; 1_000].join(","));
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("flood-{number}-{turn}");
        let one = || stock(&id, NOON, "F", "1");
        let (path, body, items) = match turn % 5 {
            0 => ("/v1/events", one().to_string(), None),
            1 => ("/v1/events:batch", batch.clone(), None),
            2 => ("/v1/events", stock(&id, NOON, &"x".repeat(250_000), "1").to_string(), None),
            3 => ("/v1/events:batch", Value::from(vec![one(); 200]).to_string(), Some("repeats")),
            _ => ("/v1/events:batch", broken.clone(), Some("broken")),
        };
        let Answer { status, retry_after, body, .. } =
            dvss.post(&vendor, path, "application/json", body).await;
        assert!([200, 202, 429, 503].contains(&status), "{status}: {body}");
        assert!(status < 400 || retry_after.is_some(), "it says when: {body}");
        count(&answers, body["code"].as_str().map_or_else(|| status.to_string(), str::to_owned));
        let results = body["results"].as_array().map_or(&[][..], Vec::as_slice);
        for result in items.map_or(&[][..], |_| results) {
            let word = result["problem"]["code"].as_str().or(result["status"].as_str());
            count(&answers, format!("{} {}", items.unwrap_or_default(), word.expect("a word")));
        }
    }
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
    // Before the flood there is room: what is repeated is told as such, and costs nothing.
    let repeats = Value::from(vec![stock("calm", NOON, "F", "1"); 50]).to_string();
    let calm = dvss.post(&loud, "/v1/events:batch", "application/json", repeats).await;
    let calm: Vec<_> = calm.body["results"].as_array().expect("results").iter().collect();
    let told = |word| calm.iter().filter(|result| result["status"] == word).count();
    assert_eq!((told("ACCEPTED"), told("DUPLICATE")), (1, 49), "{calm:?}");

    let (dvss, stop, answers) = (Arc::new(dvss), Arc::new(AtomicBool::new(false)), Answers::default());
    let floods: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (dvss, stop, answers) = (Arc::clone(&dvss), Arc::clone(&stop), Arc::clone(&answers));
            tokio::spawn(flood(dvss, loud.clone(), number, stop, answers))
        })
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
    // What brings nothing new is free within bounds only.
    eventually("repeats and broken items meet their limit", async || {
        let met = |word| counted(&answers, word) > 0;
        (met("repeats rate-limited") && met("broken rate-limited")).then_some(())
    })
    .await;
    if let Some(bytes) = dvss.most_memory() {
        println!("at most {bytes} bytes in memory");
        assert!(bytes < MOST_MEMORY, "{bytes} bytes");
    }
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.expect("it met nothing else");
    }
    println!("{answers:?}");
    for word in ["rate-limited", "broken envelope-field-missing"] {
        assert!(counted(&answers, word) > 0, "{word}: {answers:?}");
    }
    let taken = counted(&answers, "202") + counted(&answers, "200");
    assert!(taken > 0, "what fits its limit is taken: {answers:?}");

    let mut dvss = Arc::into_inner(dvss).expect("the floods are over");
    let books = dvss.settled().await;
    oracle::assert_balanced(&books);
    assert_eq!(oracle::account(&books, "other")["published"], MEANWHILE);
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
