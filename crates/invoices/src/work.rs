//! What the worker does with a job besides running the parser.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contract::Timestamp;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use ports::blobs;
use ports::tables::Attr;
use readers::invoice::{Invoice, PageSize, Reading};
use stores::tables::INVOICE_JOBS;

use crate::document::{Decision, Document};
use crate::intake::lost;
use crate::items::{self, FirstUses, Known};
use crate::job::{Lease, Reason, Summary};
use crate::matching::Given;
use crate::store::{self, Change, Refused};
use crate::{Error, Invoices, Job, JobId, Look, Looked, SELF, State, matching, stock};

/// How long a look at the owner's items is good for.
const CATALOGUE_FOR: Duration = Duration::from_secs(5);
/// Invoices of a document, or numbers of an invoice, that are written at once.
const AT_ONCE: usize = 16;
/// Looks at numbers that others use for the first time, too.
const LOOKS: u32 = 4;

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
        // Another worker's lease that ended is an attempt that came to no end; our own is one that takes long.
        let abandoned = job.lease.as_ref().filter(|lease| lease.holder != holder);
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
        match self.ports.invoices.version(&job.file.key, Some(&pinned.version_id), job.file.length).await {
            Ok(there) if there.sha256 == pinned.sha256 => Ok(Ok(there.bytes)),
            Ok(_) | Err(blobs::Error::Corrupt | blobs::Error::TooLarge(_)) => {
                gone("the document is not the one that was submitted")
            }
            Err(blobs::Error::NotFound) => gone("the document that was submitted is gone"),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives what was read to review: this job the first invoice, a sibling of its own each other one. The siblings
    /// first, for once this job is in review nobody reads the document again.
    pub async fn read(&self, job: &Job, reading: Reading) -> Result<(), Error> {
        let Reading { invoices, pages } = reading;
        let catalogue = self.catalogue().await?;
        let mut invoices = (0..).zip(invoices);
        let first = invoices.next();
        let others: Vec<(u32, Invoice)> = invoices.collect();
        let ids: Vec<JobId> = others.iter().map(|(index, _)| job.job_id.sibling(*index)).collect();
        let there = store::are_there(&*self.ports.tables, &ids).await?;
        // Those that are there are the same attempt's, or an earlier one's: the document's bytes are pinned, so that it
        // says the same.
        let others = others.into_iter().zip(there).filter(|(_, there)| !there).map(|(other, _)| other);
        let made: Vec<BoxFuture<'_, Result<(), Error>>> = others
            .map(|(index, invoice)| self.sibling(job, index, invoice, pages.clone(), &catalogue).boxed())
            .collect();
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let (_, invoice) = first.ok_or_else(|| Error::Damaged("a reading without an invoice".to_owned()))?;
        let (invoice, decisions) = self.propose(job, invoice, &catalogue).await?;
        let mut document = Document::of(invoice, decisions, pages);
        document.version = job.document.unwrap_or(0) + 1;
        self.put(job.job_id, &mut document).await?;
        let change =
            Change::of(job, self.ports.clock.now(), SELF, "invoice.read", |job| reviewed(job, &document));
        self.settle(change).await
    }

    /// The jobs of the other invoices of the document that a job brought, in their order.
    pub async fn siblings(&self, job: &Job) -> Result<Vec<JobId>, Error> {
        let mut siblings = Vec::new();
        if job.document_of.is_some() {
            return Ok(siblings);
        }
        // Most documents have none; a large one has thousands.
        let (mut next, mut many) = (1_u32, 1_u32);
        loop {
            let ids: Vec<JobId> = (next..next + many).map(|index| job.job_id.sibling(index)).collect();
            let there = store::are_there(&*self.ports.tables, &ids).await?;
            let found = there.iter().take_while(|there| **there).count();
            siblings.extend(&ids[..found]);
            if found < ids.len() {
                return Ok(siblings);
            }
            (next, many) = (next + many, 100);
        }
    }

    /// Makes the job of another invoice of a document.
    async fn sibling(
        &self,
        job: &Job,
        index: u32,
        invoice: Invoice,
        pages: Vec<PageSize>,
        catalogue: &Arc<Known>,
    ) -> Result<(), Error> {
        let (invoice, decisions) = self.propose(job, invoice, catalogue).await?;
        let mut document = Document::of(invoice, decisions, pages);
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

    /// The owner's items as they were a moment ago; many documents share one look. Where that takes long it is good for
    /// long, and goes on where the one who asked has no more time.
    pub(crate) async fn catalogue(&self) -> Result<Arc<Known>, Error> {
        let look = {
            let mut kept = self.catalogue.lock().await;
            let now = self.ports.clock.now();
            let is_good = |look: &&Look| match look.peek() {
                None => true,
                Some(Ok(looked)) => now >= looked.at && now.since(looked.at) < looked.good_for,
                Some(Err(_)) => false,
            };
            match kept.as_ref().filter(is_good) {
                Some(look) => look.clone(),
                None => kept.insert(self.look()).clone(),
            }
        };
        let looked = look.await.map_err(|why| Error::Unavailable(format!("the items in stock: {why}")))?;
        Ok(looked.known)
    }

    fn look(&self) -> Look {
        let (ports, options) = (self.ports.clone(), Arc::clone(&self.options));
        let task = tokio::spawn(async move {
            let began = ports.clock.now();
            let known = stock::catalogue(&*ports.tables, &options.owner, options.catalogue).await?;
            let at = ports.clock.now();
            let took = if at > began { at.since(began) } else { Duration::ZERO };
            Ok::<_, Error>(Looked { known: Arc::new(known), at, good_for: CATALOGUE_FOR.max(4 * took) })
        });
        let looked = async move {
            match task.await {
                Ok(looked) => looked.map_err(|error| error.to_string().into()),
                Err(error) => Err(error.to_string().into()),
            }
        };
        looked.boxed().shared()
    }

    /// Whose invoices used those skus first for new items.
    pub(crate) async fn first_uses(&self, skus: &[&str]) -> Result<FirstUses, Error> {
        let numbers = skus.iter().map(|sku| items::plain(sku)).collect();
        store::first_uses(&*self.ports.tables, &numbers).await
    }

    /// Matches the lines, and notes the numbers that nobody used before for items which are new: whichever of two
    /// invoices is later by that, the other's number is a doubt.
    async fn propose(
        &self,
        job: &Job,
        invoice: Invoice,
        catalogue: &Arc<Known>,
    ) -> Result<(Invoice, Vec<Decision>), Error> {
        let tables = &*self.ports.tables;
        let names: BTreeSet<String> = invoice.lines.iter().flat_map(items::names).collect();
        let names: Vec<String> = names.into_iter().collect();
        let mut remembered = BTreeMap::new();
        for names in names.chunks(100) {
            let keys: Vec<_> = names.iter().map(|name| store::memory_key(&job.vendor_id, name)).collect();
            let rows = tables.get(&INVOICE_JOBS, &keys).await?;
            for (name, row) in names.iter().zip(rows) {
                let sku = row.as_ref().and_then(|row| row.get("sku")).and_then(Attr::as_str);
                remembered.extend(sku.map(|sku| (name.clone(), sku.to_owned())));
            }
        }
        let mut numbers: BTreeSet<String> = invoice.lines.iter().flat_map(items::spoken).collect();
        numbers.extend(remembered.values().map(|sku| items::plain(sku)));
        let (invoice, remembered) = (Arc::new(invoice), Arc::new(remembered));
        for _ in 0..LOOKS {
            let first = store::first_uses(tables, &numbers).await?;
            let (vendor, known) = (job.vendor_id.clone(), Arc::clone(catalogue));
            let (said, remembered) = (Arc::clone(&invoice), Arc::clone(&remembered));
            // Comparing takes a while where there is much to compare, and others are waiting.
            let proposed = tokio::task::spawn_blocking(move || {
                let given = Given { vendor: &vendor, known: &known, first: &first, remembered: &remembered };
                let decisions = matching::propose(&said, &given);
                let lines: Vec<_> = said.lines.iter().zip(&decisions).collect();
                let uses = matching::first_uses(&lines, &given);
                (decisions, uses, first)
            });
            let (decisions, uses, first) = proposed
                .await
                .map_err(|error| Error::Unavailable(format!("the lines were not compared: {error}")))?;
            let noted = self.note(&uses, &first).await?;
            if noted {
                return Ok((Arc::unwrap_or_clone(invoice), decisions));
            }
        }
        Err(Error::Unavailable(format!("others use the numbers of job {} all the time", job.job_id)))
    }

    /// Notes first uses beside those that were known; false where somebody else was first with one meanwhile.
    pub(crate) async fn note(&self, uses: &FirstUses, known: &FirstUses) -> Result<bool, Error> {
        let tables = &*self.ports.tables;
        let noted: Vec<BoxFuture<'_, Result<bool, Error>>> = uses
            .iter()
            .map(|(number, first)| {
                store::use_first(tables, number, first, known.contains_key(number)).boxed()
            })
            .collect();
        let noted: Vec<bool> = stream::iter(noted).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(noted.into_iter().all(|first| first))
    }

    /// Says in the job's row what holds it up and needs a person.
    pub async fn trouble(&self, id: JobId, reason: Reason) -> Result<(), Error> {
        let job = store::get(&*self.ports.tables, id).await?;
        if job.reason.as_ref() == Some(&reason) {
            return Ok(());
        }
        let message = format!("{}: {}", reason.code, reason.message);
        let change = Change::of(&job, self.ports.clock.now(), SELF, "invoice.trouble", |job| {
            job.reason = Some(reason)
        });
        self.settle(change.saying(message)).await
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
