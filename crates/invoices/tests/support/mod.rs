//! Jobs on an embedded store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use contract::{Decimal, Fingerprint, Timestamp, VendorId, topics};
use embedded::{Embedded, Parts, TokioClock};
use faults::Policy;
use invoices::apply::Advance;
use invoices::intake::{Announced, Door, Place};
use invoices::upload::Presented;
use invoices::work::Take;
use invoices::{Invoices, Job, State, store};
use ports::Ports;
use ports::blobs::{Condition, Metadata};
use ports::log::{Coordinates, Partition};
use ports::tables::Write;
use readers::invoice::{Format, Invoice, Kind, Line, Party, Reading, Totals};
use stores::effects::{self, Effect};
use stores::outbox::{self, RowRef};
use stores::tables::{ALL, EFFECTS};

/// A document; what it says does not matter here.
pub const BYTES: &[u8] = b"<Invoice>an invoice</Invoice>";

pub struct Ground {
    pub ports: Ports,
    pub invoices: Invoices,
    embedded: Embedded,
}

impl Ground {
    pub fn new() -> Self {
        let parts = Parts {
            tables: ALL.to_vec(),
            schemas: Vec::new(),
            topics: vec![(topics::INVOICE_JOBS.to_owned(), 1)],
            groups: Vec::new(),
        };
        let clock = Arc::new(TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("a time")));
        let embedded = Embedded::in_memory(embedded::Options::default(), parts, clock).expect("a store");
        let ports = embedded.ports();
        Self { invoices: invoices(ports.clone()), ports, embedded }
    }

    /// The same jobs, as a process sees them that `policy` may end.
    pub fn dying(&self, policy: Arc<dyn Policy>) -> Invoices {
        invoices(faults::around(&self.ports, "operator", policy))
    }

    pub async fn submitted(&self) -> Job {
        self.submitted_by("acme").await
    }

    pub async fn submitted_by(&self, vendor: &str) -> Job {
        let vendor_id = VendorId::parse(vendor).expect("id");
        let file = Announced { vendor_id, ..announced("a.xml") };
        let (job, address) = self.invoices.announce(vendor, &file, Door::Own).await.expect("a job");
        let Place::Own(place) = &address.place else { panic!("asked for our own door") };
        let job = self.invoices.expects(job.job_id, presented(place)).await.expect("as signed");
        self.invoices.receive(&job, Bytes::from_static(BYTES)).await.expect("kept");
        self.invoices.submit(vendor, job.job_id).await.expect("submitted")
    }

    pub async fn parsed(&self, invoices: Vec<Invoice>) -> Job {
        self.parsed_of("acme", invoices).await
    }

    pub async fn parsed_of(&self, vendor: &str, invoices: Vec<Invoice>) -> Job {
        let job = self.submitted_by(vendor).await;
        let Take::Ours(job) = self.invoices.take(&job, "worker").await.expect("a take") else {
            panic!("it is new")
        };
        self.invoices.read(&job, reading(invoices)).await.expect("read");
        store::get(&*self.ports.tables, job.job_id).await.expect("the job")
    }

    pub async fn applied(&self, invoices: Vec<Invoice>) -> Job {
        let job = self.parsed(invoices).await;
        let job = self.invoices.apply("ann", job.job_id, job.version).await.expect("applied");
        let job = self.published(&job).await;
        assert_eq!(job.state, State::Applied);
        job
    }

    /// Does what divergence and the outbox do with a plan's facts, and advances the job.
    pub async fn published(&self, job: &Job) -> Job {
        let Advance::Waits { waiting, outputs } = self.invoices.advance(job).await.expect("a look") else {
            panic!("nothing is published yet")
        };
        assert_eq!(waiting, outputs.len(), "nobody has taken any in");
        for output in outputs {
            self.publish(&output.record.value).await;
        }
        assert_eq!(self.invoices.advance(job).await.expect("a look"), Advance::Done);
        store::get(&*self.ports.tables, job.job_id).await.expect("the job")
    }

    async fn publish(&self, line: &Bytes) {
        let fact: contract::canonical::Fact = serde_json::from_slice(line).expect("a fact");
        let entity = fact.entity_key().expect("short");
        let outcome = contract::canonical::Outcome::Applied;
        let effect = Effect { entity, fact, outcome, findings: Vec::new(), outbox: None };
        let now = self.ports.clock.now();
        let line = std::str::from_utf8(line).expect("text");
        let (key, item) = effects::row(&effect, line, Bytes::new(), now);
        let row = RowRef::new(&EFFECTS, &key);
        let tables = &*self.ports.tables;
        tables
            .write(Write::put(&EFFECTS, key, item, ports::tables::Condition::Absent))
            .await
            .expect("written");
        let at = Coordinates { partition: Partition::new(effect.fact.data.topic(), 0), offset: 0 };
        outbox::set_coordinates(tables, &row, 1, &at).await.expect("copied");
    }

    /// Puts other bytes in the place of a job's document, as whoever has the bucket may.
    pub async fn replace(&self, job: &Job, bytes: &'static [u8]) {
        let there = self.embedded.ports().invoices.get(&job.file.key).await.expect("the document");
        let put = self.ports.invoices.put(
            &job.file.key,
            Bytes::from_static(bytes),
            Metadata::new(),
            Condition::Match(there.etag),
        );
        put.await.expect("replaced");
    }
}

fn invoices(ports: Ports) -> Invoices {
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    let draw = || u128::from(DRAWN.fetch_add(1, Ordering::Relaxed));
    Invoices::new(ports, invoices::Options::default(), Arc::new(draw))
}

pub fn announced(name: &str) -> Announced {
    Announced {
        vendor_id: VendorId::parse("acme").expect("id"),
        file_name: name.to_owned(),
        content_type: "application/xml".to_owned(),
        content_length: BYTES.len() as u64,
        sha256: Some(Fingerprint::of_bytes(BYTES)),
    }
}

/// The request that a signed address asks for.
pub fn presented(place: &str) -> Presented<'_> {
    let query = place.split_once('?').expect("a query").1;
    let named = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).expect("signed");
    Presented {
        expires: named("expires=").parse().expect("a number"),
        signature: named("signature="),
        content_type: "application/xml",
        length: BYTES.len() as u64,
        only_if_absent: true,
    }
}

pub fn reading(invoices: Vec<Invoice>) -> Reading {
    Reading { invoices, pages: Vec::new() }
}

/// An invoice with so many lines that add up.
pub fn invoice(number: &str, lines: u32) -> Invoice {
    let line = |line| Line {
        line,
        sku: Some(format!("SKU-{line}")),
        seller_sku: Some(format!("SKU-{line}")),
        quantity: Some(Decimal::from(2)),
        unit_price: Some(Decimal::from(3)),
        net: Some(Decimal::from(6)),
        ..Line::default()
    };
    Invoice {
        format: Format::Ubl,
        kind: Kind::Invoice,
        number: Some(number.to_owned()),
        issue_date: Some("2026-03-16".to_owned()),
        currency: Some("EUR".to_owned()),
        supplier: Party::default(),
        buyer: Party::default(),
        lines: (1..=lines).map(line).collect(),
        adjustments: Vec::new(),
        totals: Totals::default(),
        flags: Vec::new(),
        evidence: Default::default(),
    }
}
