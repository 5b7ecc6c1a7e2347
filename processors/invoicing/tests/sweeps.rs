//! The sweep: who is nudged, how often, and who expires.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contract::{Timestamp, VendorId, topics};
use embedded::{Embedded, Parts, TokioClock};
use invoices::intake::{Announced, Door};
use invoices::{Invoices, Job, State, store};
use invoicing::sweeper::Sweeper;
use ports::Ports;
use ports::blobs::{Condition, Metadata};
use stores::tables::ALL;

fn ground() -> (Ports, Invoices) {
    let topics = vec![(topics::INVOICE_JOBS.to_owned(), 1)];
    let parts = Parts { tables: ALL.to_vec(), schemas: Vec::new(), topics, groups: Vec::new() };
    let clock = Arc::new(TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("a time")));
    let ports = Embedded::in_memory(embedded::Options::default(), parts, clock).expect("a store").ports();
    let drawn = AtomicU64::new(0);
    let draw = Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::Relaxed)));
    (ports.clone(), Invoices::new(ports, invoices::Options::default(), draw))
}

async fn announced(invoices: &Invoices) -> Job {
    let file = Announced {
        vendor_id: VendorId::parse("acme").expect("id"),
        file_name: "a.xml".to_owned(),
        content_type: "application/xml".to_owned(),
        content_length: 4,
        sha256: None,
    };
    invoices.announce("acme", &file, Door::Own).await.expect("a job").0
}

async fn queued(ports: &Ports, invoices: &Invoices) -> Job {
    let job = announced(invoices).await;
    let bytes = Bytes::from_static(b"<a/>");
    ports.invoices.put(&job.file.key, bytes, Metadata::new(), Condition::Absent).await.expect("put");
    invoices.submit("acme", job.job_id).await.expect("submitted")
}

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
