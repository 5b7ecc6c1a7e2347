//! `kill -9` at any moment, under load, again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scenario::{VENDOR, whole_history};
use crate::support::oracle::{account, assert_balanced, assert_once, facts, public};
use crate::support::{Dvss, Place, Vendor, change, eventually, seconds_past_noon, stock};

const SEED: u64 = 20_240_501;
const EVENTS: u32 = 600;
const ITEMS: u32 = 5;
const SENDERS: usize = 4;
const KILLS: usize = 6;

/// Event number `number`: each item begins with a level of 1,000 and then changes.
fn event(number: u32) -> Value {
    let (item, round) = (number % ITEMS, number / ITEMS);
    let (id, at, sku) = (format!("e{number}"), seconds_past_noon(number), format!("S{item}"));
    if round == 0 {
        stock(&id, &at, &sku, "1000")
    } else {
        change(&id, &at, &sku, &format!("-{}", round % 7))
    }
}

/// What every item comes to.
fn expected() -> u32 {
    1_000 - (1..EVENTS / ITEMS).map(|round| round % 7).sum::<u32>()
}

/// Sends what is not taken yet, until the process is gone; returns what was taken, with its ids.
async fn send(
    dvss: &Arc<Dvss>,
    vendor: &Vendor,
    todo: &[u32],
    answers: &Arc<AtomicUsize>,
) -> Vec<(u32, String)> {
    let share = |sender: usize| todo.iter().copied().skip(sender).step_by(SENDERS).collect::<Vec<_>>();
    let tasks: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (dvss, vendor, todo) = (Arc::clone(dvss), vendor.clone(), share(sender));
            let answers = Arc::clone(answers);
            tokio::spawn(async move {
                let mut taken = Vec::new();
                for number in todo {
                    match dvss.try_send(&vendor, &event(number)).await {
                        Ok(answer) if [200, 202].contains(&answer.status) => {
                            taken.push((number, answer.id()))
                        }
                        Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                        Err(_) => break,
                    }
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                taken
            })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.expect("a sender"));
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_under_load() {
    println!("seed {SEED}");
    let mut rng = StdRng::seed_from_u64(SEED);
    let place = Place::new();
    let mut taken: BTreeMap<u32, String> = BTreeMap::new();
    let (mut vendor, mut interrupted) = (None, 0);
    for round in 0..=KILLS {
        let dvss = Arc::new(place.up().go().await);
        let vendor = match &vendor {
            Some(vendor) => vendor,
            None => vendor.insert(dvss.vendor(VENDOR).await),
        };
        // Half of what was taken is sent once more: a vendor does not know what became of it.
        let todo: Vec<u32> =
            (0..EVENTS).filter(|number| !taken.contains_key(number) || rng.random_bool(0.5)).collect();
        let answers = Arc::default();
        let sending = send(&dvss, vendor, &todo, &answers);
        if round < KILLS {
            // After so many answers and a moment, so that it comes in the middle however fast the machine is.
            let (count, moment) =
                (rng.random_range(10..60), Duration::from_micros(rng.random_range(0..5_000)));
            let killer = Arc::clone(&dvss);
            let (sent, ()) = tokio::join!(sending, async {
                let what = format!("{count} answers in round {round}");
                eventually(&what, async || (answers.load(Ordering::Relaxed) >= count).then_some(())).await;
                sleep(moment).await;
                killer.kill_now();
            });
            interrupted += usize::from(sent.len() < todo.len());
            add(&mut taken, sent);
            drop(killer);
            let dvss = Arc::into_inner(dvss).expect("nobody else has it");
            dvss.died().await;
            continue;
        }
        assert!(
            interrupted >= KILLS / 2,
            "of {KILLS} kills only {interrupted} came while vendors were sending"
        );
        add(&mut taken, sending.await);
        assert_eq!(taken.len(), EVENTS as usize, "everything is taken in the end");
        check(&dvss, &taken).await;
        Arc::into_inner(dvss).expect("nobody else has it").stop().await;
    }
}

/// An event keeps the id that its first 2xx said.
fn add(taken: &mut BTreeMap<u32, String>, sent: Vec<(u32, String)>) {
    for (number, id) in sent {
        let first = taken.entry(number).or_insert_with(|| id.clone());
        assert_eq!(*first, id, "event {number} has two ids");
    }
}

async fn check(dvss: &Dvss, taken: &BTreeMap<u32, String>) {
    let report = dvss.settled().await;
    assert_balanced(&report);
    let books = account(&report, VENDOR);
    assert_eq!([&books["accepted"], &books["published"], &books["facts"]], [&json!(EVENTS); 3], "{report}");
    assert_eq!(report["orphans"], json!([]), "whatever was put was sent again");
    let records = public(dvss).await;
    assert_once(&records);
    assert_eq!(facts(&records).len(), EVENTS as usize);
    for item in 0..ITEMS {
        let history = whole_history(dvss, &format!("{VENDOR}|w1|S{item}||")).await;
        assert_eq!(history["state"]["quantityOnHand"], expected().to_string(), "S{item}");
    }
    for id in taken.values().step_by(37) {
        dvss.published(id).await;
    }
}
