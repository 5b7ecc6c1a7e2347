//! What the worker does with a job besides running the parser.

use contract::Timestamp;
use ports::blobs;
use ports::tables::{Attr, get_one};
use readers::invoice::{Invoice, Reading};
use stores::tables::INVOICE_JOBS;

use crate::document::Document;
use crate::intake::lost;
use crate::job::{Lease, Reason, Summary};
use crate::store::{self, Change, Refused};
use crate::{Error, Invoices, Job, SELF, State, matching, stock};

/// Whether a job is the worker's to parse now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// It is: this is the job, under our lease.
    Ours(Box<Job>),
    /// Somebody else has it, or its time has not come, or there is nothing to parse.
    NotNow,
}

impl Invoices {
    /// Takes a job to parse it, where nobody else has it. Every take counts as an attempt, so that a document which
    /// takes the worker down with it does not do so for ever.
    pub async fn take(&self, job: &Job, holder: &str) -> Result<Take, Error> {
        let now = self.ports.clock.now();
        let theirs = job.lease.as_ref().is_some_and(|lease| lease.holder != holder && lease.until > now);
        let early = job.not_before.is_some_and(|not_before| not_before > now);
        let waits = match job.state {
            State::Queued => early,
            State::Parsing => theirs,
            _ => true,
        };
        if waits {
            return Ok(Take::NotNow);
        }
        let lease = Lease { holder: holder.to_owned(), until: now.plus(self.options.lease) };
        let change = Change::of(job, now, SELF, "invoice.parse", |job| {
            job.state = State::Parsing;
            job.attempts += 1;
            job.lease = Some(lease);
        });
        let change = change.saying(format!("attempt {} by {holder}", change_attempts(job)));
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
        let mut first = None;
        for (index, invoice) in (0..).zip(invoices) {
            let decisions = self.propose(job, &invoice).await?;
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

    /// Makes the job of another invoice of a document; one that is there already is the same attempt's, or an
    /// earlier one's: the document's bytes are pinned, so that it says the same.
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
        if store::load(&*self.ports.tables, own.job_id).await?.is_some() {
            return Ok(());
        }
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
        if job.attempts >= self.options.attempts {
            let message =
                format!("{} (attempt {} of {})", reason.message, job.attempts, self.options.attempts);
            return self.fail(job, Reason { message, ..reason }).await;
        }
        let now = self.ports.clock.now();
        let wait = self.options.retry_after * 2_u32.saturating_pow(job.attempts.saturating_sub(1).min(10));
        let message = format!("{}: {}", reason.code, reason.message);
        let change = Change::of(job, now, SELF, "invoice.retry", |job| {
            job.state = State::Queued;
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

    async fn propose(&self, job: &Job, invoice: &Invoice) -> Result<Vec<crate::document::Decision>, Error> {
        let tables = &*self.ports.tables;
        let mut known = stock::catalogue(tables, &self.options.owner, self.options.catalogue).await?;
        for name in invoice.lines.iter().flat_map(matching::names) {
            let row = get_one(tables, &INVOICE_JOBS, store::memory_key(&job.vendor_id, &name)).await?;
            if let Some(sku) = row.as_ref().and_then(|row| row.get("sku")).and_then(Attr::as_str) {
                known.remembered.insert(name, sku.to_owned());
            }
        }
        Ok(matching::propose(invoice, &known))
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

fn change_attempts(job: &Job) -> u32 {
    job.attempts + 1
}
