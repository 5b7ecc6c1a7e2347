//! The sweep: who is nudged, how often, and who expires.

mod ground;

use std::time::Duration;

use contract::topics;
use ground::{announced, ground, queued};
use invoices::{State, store};
use invoicing::sweeper::Sweeper;
use ports::Ports;

/// How many nudges there are.
async fn nudges(ports: &Ports) -> i64 {
    ports.log.ends(topics::INVOICE_JOBS).await.expect("the topic")[0].stable
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_takes_is_nudged_less_and_less() {
    let (ports, invoices) = ground();
    queued(&ports, &invoices).await;
    assert_eq!(nudges(&ports).await, 1, "whoever submitted it said so");
    let mut sweeper = Sweeper::new(invoices.clone());
    for _ in 0..60 {
        sweeper.sweep().await.expect("a sweep");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let often = nudges(&ports).await;
    assert!((5..=8).contains(&often), "{often} nudges in a minute: after 1, 2, 4, 8, 16 and 30 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_lease_lives_is_left_alone() {
    let (ports, invoices) = ground();
    let job = queued(&ports, &invoices).await;
    invoices.take(&job, "worker").await.expect("a take");
    let mut sweeper = Sweeper::new(invoices.clone());
    let before = nudges(&ports).await;
    for second in 0..=31 {
        sweeper.sweep().await.expect("a sweep");
        let lives = second < 30;
        assert_eq!(nudges(&ports).await > before, !lives, "after {second} s");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_submits_expires_and_rests() {
    let (ports, invoices) = ground();
    let job = announced(&invoices).await;
    let mut sweeper = Sweeper::new(invoices.clone());
    tokio::time::advance(Duration::from_mins(21)).await;
    for _ in 0..3 {
        sweeper.sweep().await.expect("a sweep");
    }
    let job = store::get(&*ports.tables, job.job_id).await.expect("the job");
    assert_eq!((job.state, job.version, nudges(&ports).await), (State::Expired, 2, 0));
}
