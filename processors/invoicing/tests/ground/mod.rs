//! Stores in memory, and jobs on them.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use contract::{Timestamp, VendorId, topics};
use embedded::{Embedded, Parts, TokioClock};
use invoices::edit::Edit;
use invoices::intake::{Announced, Door};
use invoices::{Invoices, Job, store};
use ports::Ports;
use ports::blobs::{Condition, Metadata};
use stores::codec;
use stores::tables::ALL;

pub fn ground() -> (Ports, Invoices) {
    let topics = vec![(topics::INVOICE_JOBS.to_owned(), 1)];
    let schemas =
        codec::schemas().into_iter().map(|(subject, schema)| (subject, schema.to_owned())).collect();
    let parts = Parts { tables: ALL.to_vec(), schemas, topics, groups: Vec::new() };
    let clock = Arc::new(TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("a time")));
    let ports = Embedded::in_memory(embedded::Options::default(), parts, clock).expect("a store").ports();
    let drawn = AtomicU64::new(0);
    let draw = Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::Relaxed)));
    (ports.clone(), Invoices::new(ports, invoices::Options::default(), draw))
}

pub async fn announced(invoices: &Invoices) -> Job {
    let file = Announced {
        vendor_id: VendorId::parse("acme").expect("id"),
        file_name: "a.xml".to_owned(),
        content_type: "application/xml".to_owned(),
        content_length: 4,
        sha256: None,
    };
    invoices.announce("acme", &file, Door::Own).await.expect("a job").0
}

pub async fn queued(ports: &Ports, invoices: &Invoices) -> Job {
    let job = announced(invoices).await;
    let bytes = Bytes::from_static(b"<a/>");
    ports.invoices.put(&job.file.key, bytes, Metadata::new(), Condition::Absent).await.expect("put");
    invoices.submit("acme", job.job_id).await.expect("submitted")
}

/// A job whose two lines are to be booked.
pub async fn reviewed(ports: &Ports, invoices: &Invoices) -> Job {
    let job = queued(ports, invoices).await;
    invoices.take(&job, "worker").await.expect("a take");
    let job = store::get(&*ports.tables, job.job_id).await.expect("the job");
    let bytes = b"invoice no,sku,qty,price\nR1,A,3,1\nR1,B,4,1\n";
    let reading = readers::read(bytes, &readers::Hints::default()).expect("an invoice");
    invoices.read(&job, reading).await.expect("it is kept");
    let job = store::get(&*ports.tables, job.job_id).await.expect("the job");
    let accept = Edit { accept_flags: Some(true), accept_all: true, ..Edit::default() };
    invoices.edit("ann", job.job_id, job.version, &accept).await.expect("an edit")
}
