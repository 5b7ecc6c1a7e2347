//! What the worker does with a job besides running the parser.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contract::Timestamp;
use ports::blobs;
use ports::tables::Attr;
use readers::invoice::{Invoice, Reading};
use stores::tables::INVOICE_JOBS;

use crate::document::{Decision, Document};
use crate::intake::lost;
use crate::job::{Lease, Reason, Summary};
use crate::matching::Known;
use crate::store::{self, Change, Refused};
use crate::{Error, Invoices, Job, JobId, SELF, State, matching, stock};

/// How long a look at the owner's items is good for.
const CATALOGUE_FOR: Duration = Duration::from_secs(5);

/// Whether a job is the worker's to parse now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// It is: this is the job, under our lease.
    Ours(Box<Job>),
    /// Somebody else has it, or its time has not come, or there is nothing to parse.
    NotNow,
}

impl Invoices {
    /// Takes a job to parse it, where nobody else has it. Whoever asks again under its own lease goes on: that a store
    /// was away is not the document's doing. A job that another worker never brought to an end counts as an attempt,
    /// so that a document which takes the worker down with it does not do so for ever.
    pub async fn take(&self, job: &Job, holder: &str) -> Result<Take, Error> {
        let now = self.ports.clock.now();
        let lease = job.lease.as_ref().filter(|lease| lease.until > now);
        let early = job.not_before.is_some_and(|not_before| not_before > now);
        match (job.state, lease) {
            (State::Queued, _) if !early => {}
            (State::Parsing, Some(lease)) if lease.holder == holder => {
                return Ok(Take::Ours(Box::new(job.clone())));
            }
            (State::Parsing, None) => {}
            _ => return Ok(Take::NotNow),
        }
        // Whoever had it: a lease that ended is an attempt that came to no end.
        let abandoned = job.lease.as_ref();
        let attempts = job.attempts + u32::from(abandoned.is_some());
        if abandoned.is_some() && attempts >= self.options.attempts {
            let message = format!("the worker that read it came to no end ({attempts} attempts)");
            self.fail(job, Reason { code: "parser-killed".to_owned(), message }).await?;
            return Ok(Take::NotNow);
        }
        let lease = Lease { holder: holder.to_owned(), until: now.plus(self.options.lease) };
        let change = Change::of(job, now, SELF, "invoice.parse", |job| {
            job.state = State::Parsing;
            job.attempts = attempts;
            job.lease = Some(lease);
        });
        let change = change.saying(format!("attempt {} by {holder}", attempts + 1));
        match store::write(&*self.ports.tables, &change, Vec::new(), None).await {
            Ok(()) => Ok(Take::Ours(Box::new(change.after))),
            Err(Refused::Job(_)) => Ok(Take::NotNow),
            Err(refused) => Err(lost(refused)),
        }
    }

    /// The very bytes that were submitted.
    pub async fn bytes(&self, job: &Job) -> Result<Result<bytes::Bytes, Reason>, Error> {
        let Some(pinned) = &job.pinned else { return Err(Error::NotUploaded(job.job_id)) };
        let gone = |what: &str| {
            let message = format!("{what}: upload it anew");
            Ok(Err(Reason { code: "replaced".to_owned(), message }))
        };
        match self.ports.invoices.version(&job.file.key, Some(&pinned.version_id)).await {
            Ok(there) if there.sha256 == pinned.sha256 => Ok(Ok(there.bytes)),
            Ok(_) | Err(blobs::Error::Corrupt) => gone("the document is not the one that was submitted"),
            Err(blobs::Error::NotFound) => gone("the document that was submitted is gone"),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what was read to review: this job the first invoice, a sibling of its own each other one. The siblings
    /// first, for once this job is in review nobody reads the document again.
    pub async fn read(&self, job: &Job, reading: Reading) -> Result<(), Error> {
        let Reading { invoices, pages } = reading;
        let catalogue = self.catalogue().await?;
        let mut first = None;
        for (index, invoice) in (0..).zip(invoices) {
            let known =
                index > 0 && store::load(&*self.ports.tables, job.job_id.sibling(index)).await?.is_some();
            if known {
                // The same attempt's, or an earlier one's: the document's bytes are pinned, so that it says the same.
                continue;
            }
            let (invoice, decisions) = self.propose(job, invoice, &catalogue).await?;
            let document =
                Document { version: 1, invoice, decisions, flags_accepted: false, pages: pages.clone() };
            match index {
                0 => first = Some(document),
                _ => self.sibling(job, index, document).await?,
            }
        }
        let mut document = first.ok_or_else(|| Error::Damaged("a reading without an invoice".to_owned()))?;
        document.version = job.document.unwrap_or(0) + 1;
        self.put(job.job_id, &mut document).await?;
        let change =
            Change::of(job, self.ports.clock.now(), SELF, "invoice.read", |job| reviewed(job, &document));
        self.settle(change).await
    }

    /// The jobs of the other invoices of the document that a job brought, in their order.
    pub async fn siblings(&self, job: &Job) -> Result<Vec<JobId>, Error> {
        let mut siblings = Vec::new();
        for index in (1..).take_while(|_| job.document_of.is_none()) {
            let id = job.job_id.sibling(index);
            if store::load(&*self.ports.tables, id).await?.is_none() {
                break;
            }
            siblings.push(id);
        }
        Ok(siblings)
    }

    /// Makes the job of another invoice of a document.
    async fn sibling(&self, job: &Job, index: u32, mut document: Document) -> Result<(), Error> {
        let now = self.ports.clock.now();
        let mut own = Job {
            job_id: job.job_id.sibling(index),
            index,
            document_of: Some(job.job_id),
            version: 1,
            created_at: now,
            updated_at: now,
            ..job.clone()
        };
        self.put(own.job_id, &mut document).await?;
        reviewed(&mut own, &document);
        let change = Change::create(own, SELF, "invoice.read");
        match store::write(&*self.ports.tables, &change, Vec::new(), None).await {
            Ok(()) | Err(Refused::Job(_)) => Ok(()),
            Err(refused) => Err(lost(refused)),
        }
    }

    /// Gives a job up: it cannot be read, and why.
    pub async fn fail(&self, job: &Job, reason: Reason) -> Result<(), Error> {
        let message = format!("{}: {}", reason.code, reason.message);
        let change = Change::of(job, self.ports.clock.now(), SELF, "invoice.fail", |job| {
            job.state = State::Failed;
            job.lease = None;
            job.reason = Some(reason);
        });
        self.settle(change.saying(message)).await
    }

    /// Puts a job back for another attempt, or gives it up where it has had enough of them.
    pub async fn again(&self, job: &Job, reason: Reason) -> Result<(), Error> {
        let attempts = job.attempts + 1;
        if attempts >= self.options.attempts {
            let message = format!("{} (attempt {attempts} of {})", reason.message, self.options.attempts);
            return self.fail(job, Reason { message, ..reason }).await;
        }
        let now = self.ports.clock.now();
        let wait = self.options.retry_after * 2_u32.saturating_pow(job.attempts.min(10));
        let message = format!("{}: {}", reason.code, reason.message);
        let change = Change::of(job, now, SELF, "invoice.retry", |job| {
            job.state = State::Queued;
            job.attempts = attempts;
            job.lease = None;
            job.not_before = Some(now.plus(wait));
            job.reason = Some(reason);
        });
        self.settle(change.saying(message)).await
    }

    /// Gives up what nobody submitted.
    pub async fn expire(&self, job: &Job) -> Result<(), Error> {
        let change = Change::of(job, self.ports.clock.now(), SELF, "invoice.expire", |job| {
            job.state = State::Expired;
            let message = "its document was not put and submitted in time; ask for a new job".to_owned();
            job.reason = Some(Reason { code: "expired".to_owned(), message });
        });
        self.settle(change).await
    }

    /// What the sweep does with a job, by its row alone.
    pub fn due(&self, job: &Job, now: Timestamp) -> Due {
        let past = |at: Timestamp| at <= now;
        match job.state {
            State::AwaitingUpload if past(job.file.upload_until.plus(self.options.submit_within)) => {
                Due::Expire
            }
            State::Queued if job.not_before.is_none_or(past) => Due::Nudge,
            State::Parsing if job.lease.as_ref().is_none_or(|lease| past(lease.until)) => Due::Nudge,
            State::Applying => Due::Nudge,
            _ => Due::Nothing,
        }
    }

    /// Writes what the worker found out; where the job was changed meanwhile, it was somebody else's by then.
    async fn settle(&self, change: Change) -> Result<(), Error> {
        match store::write(&*self.ports.tables, &change, Vec::new(), None).await {
            Ok(()) => Ok(()),
            Err(Refused::Job(_)) => {
                tracing::warn!(job = %change.after.job_id, "the job was taken over meanwhile; this attempt changes nothing");
                Ok(())
            }
            Err(refused) => Err(lost(refused)),
        }
    }

    /// The owner's items as they were a moment ago; many documents share one look.
    async fn catalogue(&self) -> Result<Arc<Known>, Error> {
        let mut kept = self.catalogue.lock().await;
        let now = self.ports.clock.now();
        let fresh = |(at, _): &&(Timestamp, Arc<Known>)| now >= *at && now.since(*at) < CATALOGUE_FOR;
        if let Some((_, known)) = kept.as_ref().filter(fresh) {
            return Ok(Arc::clone(known));
        }
        let known =
            stock::catalogue(&*self.ports.tables, &self.options.owner, self.options.catalogue).await?;
        let known = Arc::new(known);
        *kept = Some((now, Arc::clone(&known)));
        Ok(known)
    }

    async fn propose(
        &self,
        job: &Job,
        invoice: Invoice,
        catalogue: &Arc<Known>,
    ) -> Result<(Invoice, Vec<Decision>), Error> {
        let names: BTreeSet<String> = invoice.lines.iter().flat_map(matching::names).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut remembered = BTreeMap::new();
        for names in names.chunks(100) {
            let keys: Vec<_> = names.iter().map(|name| store::memory_key(&job.vendor_id, name)).collect();
            let rows = self.ports.tables.get(&INVOICE_JOBS, &keys).await?;
            for (name, row) in names.iter().zip(rows) {
                let sku = row.as_ref().and_then(|row| row.get("sku")).and_then(Attr::as_str);
                remembered.extend(sku.map(|sku| (name.clone(), sku.to_owned())));
            }
        }
        let (catalogue, vendor) = (Arc::clone(catalogue), job.vendor_id.clone());
        // Comparing takes a while where there is much to compare, and others are waiting.
        let proposed = tokio::task::spawn_blocking(move || {
            let decisions = matching::propose(&invoice, &vendor, &catalogue, &remembered);
            (invoice, decisions)
        });
        proposed.await.map_err(|error| Error::Unavailable(format!("the lines were not compared: {error}")))
    }
}

/// What is due for a job that dvss moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is [expired](Invoices::expire).
    Expire,
    /// The worker is to look at it.
    Nudge,
    /// Nothing yet.
    Nothing,
}

fn reviewed(job: &mut Job, document: &Document) {
    job.state = State::Review;
    job.lease = None;
    job.reason = None;
    job.document = Some(document.version);
    job.summary = Some(Summary::of(&document.invoice, document.open_lines()));
}
