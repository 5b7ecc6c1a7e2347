//! Accepting: from a submission to an outcome that is durable.
//!
//! 1. who it is: the caller knows, by credential or topic;
//! 2. read and check the submission; 3. derive the ingest id;
//! 4. ask the ingest index whether the id is taken;
//! 5. put the bytes into the raw bucket, if nothing is there; what is there was put by somebody who
//!    perhaps did not reach step 6, so go on with the STORED bytes and headers;
//! 6. produce to `dvss.raw` and wait for the report. Then, and only then, it is accepted.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use contract::canonical::RawRef;
use contract::envelope::{Refusal, Window};
use contract::event::{Draft, Event};
use contract::{Code, Fingerprint, IngestId, Timestamp, keys, topics};
use ports::blobs::Condition;
use ports::{Ports, blobs, log, tables};
use stores::vendors::Vendor;
use stores::{ingest, records};
use telemetry::{field, label, metric, vendor_label};
use tokio::time::Instant;

use crate::Options;
use crate::admission::Purse;
use crate::decide::{self, Relation, Submission};

/// What metrics and logs call this part of the pipeline.
const STAGE: &str = "gateway";

/// How often a put is tried again while another write of the same object goes on, and the first pause.
const PUT_ATTEMPTS: u32 = 4;
const PUT_PAUSE: Duration = Duration::from_millis(20);

/// What became of a submission. Every outcome is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new and taken.
    Accepted {
        /// Its id.
        ingest_id: IngestId,
        /// When it was taken.
        received_at: Timestamp,
    },
    /// The same was taken before.
    Duplicate {
        /// The first one's id.
        ingest_id: IngestId,
        /// When the first one was taken.
        received_at: Timestamp,
    },
    /// Its id is taken by another payload, which wins. The newcomer's bytes are kept and flagged.
    Conflict {
        /// The first one's id.
        winner: IngestId,
    },
}

/// A submission that was read; nothing is stored yet.
pub(crate) struct Checked {
    pub draft: Draft,
    bytes: Bytes,
    traceparent: Option<String>,
}

/// Accepts events, whichever door they come through.
#[derive(Clone)]
pub struct Acceptor {
    ports: Ports,
    options: Options,
}

/// What lies under an object's key after the put.
struct Kept {
    event: Event,
    /// Whether this call put it (as far as it knows).
    fresh: bool,
}

impl Acceptor {
    /// An acceptor on these ports.
    pub fn new(ports: Ports, options: Options) -> Self {
        Self { ports, options }
    }

    /// Takes one event of `vendor`. A refusal with a code of status 503 or 507 says that trying again
    /// may help and is safe; every other refusal is about the submission.
    pub async fn accept(&self, vendor: &Vendor, submission: Submission) -> Result<Outcome, Refusal> {
        let checked = self.check(vendor, submission)?;
        self.take(vendor, checked, None).await
    }

    /// Steps 2 and 3.
    pub(crate) fn check(&self, vendor: &Vendor, submission: Submission) -> Result<Checked, Refusal> {
        let window = Window { now: self.ports.clock.now(), max_ahead: self.options.max_clock_skew };
        let draft = match decide::read(&vendor.vendor_id, &submission, &window) {
            Ok(draft) => draft,
            Err(refusal) => {
                refused(vendor, refusal.code);
                tracing::debug!(
                    { field::STAGE } = STAGE,
                    { field::VENDOR_ID } = %vendor.vendor_id,
                    { field::INGEST_ID } = refusal.ingest_id.map(tracing::field::display),
                    code = %refusal.code,
                    "refused: {refusal}"
                );
                return Err(refusal);
            }
        };
        let traceparent = submission.traceparent.as_deref().and_then(decide::traceparent).map(str::to_owned);
        Ok(Checked { draft, bytes: submission.bytes, traceparent })
    }

    /// Steps 4 to 6. Whatever the index does not know as taken is paid for from the purse, where there is
    /// one.
    pub(crate) async fn take(
        &self,
        vendor: &Vendor,
        checked: Checked,
        purse: Option<&Purse>,
    ) -> Result<Outcome, Refusal> {
        let started = Instant::now();
        let draft = checked.draft.clone();
        let outcome = self.settle(vendor, checked, purse).await;
        let millis = started.elapsed().as_secs_f64() * 1_000.0;
        metrics::histogram!(metric::PIPELINE_LATENCY_MS, label::STAGE => STAGE).record(millis);
        let name = match &outcome {
            Ok(Outcome::Accepted { .. }) => Some(metric::INGEST_ACCEPTED),
            Ok(Outcome::Duplicate { .. }) => Some(metric::INGEST_DUPLICATE),
            Ok(Outcome::Conflict { .. }) => Some(metric::INGEST_CONFLICT),
            Err(_) => None,
        };
        if let Some(name) = name {
            metrics::counter!(name, label::VENDOR_ID => vendor_label(true, vendor.vendor_id.as_str()))
                .increment(1);
        }
        match &outcome {
            Ok(outcome) => tracing::info!(
                { field::STAGE } = STAGE,
                { field::INGEST_ID } = %draft.ingest_id,
                { field::VENDOR_ID } = %draft.vendor_id,
                { field::EXTERNAL_EVENT_ID } = %draft.external_event_id,
                "settled: {outcome:?}"
            ),
            Err(refusal) if refusal.code == Code::RateLimited => refused(vendor, refusal.code),
            Err(refusal) => tracing::warn!(
                { field::STAGE } = STAGE,
                { field::INGEST_ID } = %draft.ingest_id,
                { field::VENDOR_ID } = %draft.vendor_id,
                { field::EXTERNAL_EVENT_ID } = %draft.external_event_id,
                code = %refusal.code,
                "not taken: {refusal}"
            ),
        }
        outcome
            .map_err(|refusal| Refusal { ingest_id: refusal.ingest_id.or(Some(draft.ingest_id)), ..refusal })
    }

    async fn settle(
        &self,
        vendor: &Vendor,
        checked: Checked,
        purse: Option<&Purse>,
    ) -> Result<Outcome, Refusal> {
        let draft = &checked.draft;
        let lookup = ingest::lookup(&*self.ports.tables, &draft.vendor_id, &draft.external_event_id);
        let known = self.store_call("the ingest index", lookup, of_tables).await?;
        let relation = known.as_ref().map(|first| decide::relation(first.fingerprint, draft.fingerprint));
        if let (Some(first), Some(Relation::Repeat)) = (&known, relation) {
            return Ok(Outcome::Duplicate { ingest_id: first.ingest_id, received_at: first.received_at });
        }
        let fare = match purse {
            None => None,
            Some(purse) => Some(purse.pay().await.ok_or_else(too_fast)?),
        };
        let outcome = match known {
            Some(first) => self.conflict(vendor, checked, first.ingest_id).await,
            None => self.store(vendor, checked).await,
        };
        // The index learns of an event a moment after it was accepted; until then the store says so, and
        // asking it is work that refunds are bounded for.
        if let (Some(fare), Ok(Outcome::Duplicate { .. })) = (fare, &outcome) {
            fare.refund();
        }
        outcome
    }

    /// An event that the index does not know.
    async fn store(&self, vendor: &Vendor, checked: Checked) -> Result<Outcome, Refusal> {
        let draft = &checked.draft;
        let key = keys::raw(&draft.vendor_id, draft.occurred_at, draft.ingest_id);
        let event = self.event(&checked, key, None);
        let kept = self.keep(vendor, event, checked.bytes.clone()).await?;
        let (ingest_id, received_at) = (kept.event.draft.ingest_id, kept.event.received_at);
        if kept.fresh {
            return Ok(Outcome::Accepted { ingest_id, received_at });
        }
        match decide::relation(kept.event.draft.fingerprint, draft.fingerprint) {
            Relation::Repeat => Ok(Outcome::Duplicate { ingest_id, received_at }),
            Relation::Conflict => self.conflict(vendor, checked, ingest_id).await,
        }
    }

    /// Keeps a conflicting newcomer's bytes and produces a flagged record, which dedup turns into a
    /// divergence.
    async fn conflict(
        &self,
        vendor: &Vendor,
        checked: Checked,
        winner: IngestId,
    ) -> Result<Outcome, Refusal> {
        let Draft { vendor_id, occurred_at, ingest_id, fingerprint, .. } = &checked.draft;
        let key = keys::conflict(vendor_id, *occurred_at, *ingest_id, *fingerprint);
        let event = self.event(&checked, key, Some(winner));
        self.keep(vendor, event, checked.bytes.clone()).await?;
        Ok(Outcome::Conflict { winner })
    }

    fn event(&self, checked: &Checked, key: String, conflict_with: Option<IngestId>) -> Event {
        Event {
            draft: checked.draft.clone(),
            received_at: self.ports.clock.now(),
            raw_ref: RawRef { bucket: self.ports.raw.bucket().to_owned(), key },
            sha256: Fingerprint::of_bytes(&checked.bytes),
            traceparent: checked.traceparent.clone(),
            conflict_with,
            release: 0,
        }
    }

    /// Steps 5 and 6: the object under the event's key is durable and produced, whoever put it.
    async fn keep(&self, vendor: &Vendor, event: Event, bytes: Bytes) -> Result<Kept, Refusal> {
        let (event, bytes, fresh) = match self.put(&event, &bytes).await? {
            Put::Done => (event, bytes, true),
            Put::Taken => {
                let (stored, stored_bytes) = self.stored(&event).await?;
                (stored, stored_bytes, false)
            }
        };
        let record = records::of_event(topics::RAW, decide::ordering_key(vendor, &bytes), bytes, &event);
        self.append(record).await?;
        Ok(Kept { event, fresh })
    }

    async fn put(&self, event: &Event, bytes: &Bytes) -> Result<Put, Refusal> {
        let metadata: blobs::Metadata =
            event.to_headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut pause = PUT_PAUSE;
        for _ in 0..PUT_ATTEMPTS {
            let put =
                self.ports.raw.put(&event.raw_ref.key, bytes.clone(), metadata.clone(), Condition::Absent);
            match self.bounded("the object store", put).await? {
                Ok(_etag) => return Ok(Put::Done),
                Err(blobs::Error::Precondition) => return Ok(Put::Taken),
                Err(blobs::Error::Conflict) => tokio::time::sleep(pause).await,
                Err(other) => return Err(of_blobs(other)),
            }
            pause *= 2;
        }
        Err(unavailable("another write of the same event is going on"))
    }

    /// What lies under the event's key: its bytes and its headers.
    async fn stored(&self, event: &Event) -> Result<(Event, Bytes), Refusal> {
        let key = &event.raw_ref.key;
        let object = match self.bounded("the object store", self.ports.raw.get(key)).await? {
            Ok(object) => object,
            Err(blobs::Error::Corrupt) => return Err(damaged(event, "it does not have its checksum")),
            Err(other) => return Err(of_blobs(other)),
        };
        match Event::from_headers(|name| object.metadata.get(name).map(String::as_str)) {
            Ok(stored) if decide::is_sound(&stored, key, event, object.sha256) => Ok((stored, object.bytes)),
            Ok(_) => Err(damaged(event, "its headers are those of another object")),
            Err(error) => Err(damaged(event, &error.to_string())),
        }
    }

    async fn append(&self, record: log::Record) -> Result<(), Refusal> {
        let append = tokio::time::timeout(self.options.append_timeout, self.ports.log.append(record));
        match append.await {
            Err(_) => Err(unavailable("the log did not report in time")),
            Ok(Ok(_coordinates)) => Ok(()),
            Ok(Err(log::Error::TooLarge { size, most })) => {
                let message = format!("the event's record has {size} bytes; the log takes {most}");
                Err(Refusal::new(Code::BodyTooLarge, message))
            }
            Ok(Err(log::Error::Full)) => Err(full("the log")),
            Ok(Err(other)) => Err(unavailable(other)),
        }
    }

    async fn store_call<T, E>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, E>>,
        refusal: impl Fn(E) -> Refusal,
    ) -> Result<T, Refusal> {
        self.bounded(what, call).await?.map_err(refusal)
    }

    async fn bounded<T>(&self, what: &str, call: impl Future<Output = T>) -> Result<T, Refusal> {
        tokio::time::timeout(self.options.store_timeout, call)
            .await
            .map_err(|_| unavailable(format!("{what} did not answer in time")))
    }
}

enum Put {
    Done,
    Taken,
}

/// Counts a refused event of a known vendor.
pub(crate) fn refused(vendor: &Vendor, code: Code) {
    metrics::counter!(
        metric::INGEST_FAILED_VALIDATION,
        label::VENDOR_ID => vendor_label(true, vendor.vendor_id.as_str()),
        label::REASON => code.as_str()
    )
    .increment(1);
}

/// The vendor has spent its rate.
pub(crate) fn too_fast() -> Refusal {
    Refusal::new(Code::RateLimited, "you send faster than your limit; wait and send again")
}

fn unavailable(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::Unavailable, format!("{why}; nothing is lost, send the event again"))
}

fn full(what: &str) -> Refusal {
    Refusal::new(Code::StorageFull, format!("{what} is full; send the event again later"))
}

pub(crate) fn of_tables(error: tables::Error) -> Refusal {
    match error {
        tables::Error::Full => full("the table store"),
        tables::Error::Invalid(message) => defect("the table store", &message),
        other => unavailable(other),
    }
}

fn of_blobs(error: blobs::Error) -> Refusal {
    match error {
        blobs::Error::Full => full("the object store"),
        blobs::Error::Invalid(message) => defect("the object store", &message),
        other => unavailable(other),
    }
}

/// Nothing that a vendor can do: a person must look at the object, and until then the vendor keeps the
/// event.
fn damaged(event: &Event, how: &str) -> Refusal {
    tracing::error!(
        { field::STAGE } = STAGE,
        { field::INGEST_ID } = %event.draft.ingest_id,
        { field::VENDOR_ID } = %event.draft.vendor_id,
        { field::EXTERNAL_EVENT_ID } = %event.draft.external_event_id,
        key = event.raw_ref.key,
        "the stored object is damaged: {how}"
    );
    unavailable("the stored object is damaged")
}

/// Checked input fits the stores' bounds; where it does not, that is ours to mend, and until then the
/// vendor keeps the event.
fn defect(what: &str, message: &str) -> Refusal {
    tracing::error!("{what} refused what the gateway asked: {message}");
    unavailable(format!("{what} refused the request"))
}
