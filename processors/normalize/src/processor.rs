//! Effects: the object, the index status, what is emitted.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use contract::canonical::Fact;
use contract::entity::TooLong;
use contract::event::Event;
use contract::{Code, Fingerprint, headers, keys};
use mapping::{EventContext, Format};
use ports::blobs;
use ports::log::RawRecord;
use ports::{Blobs, Tables};
use runtime::{Failure, Output, Poison, Processor};
use stores::normalized::{self, Head, Object, Stored};
use stores::{failure, ingest, records};
use telemetry::{event_type_label, field, label, metric, vendor_label};

use crate::decide::{self, Decision};
use crate::{Catalog, Compiled, Effective, Error, Options, Refusal, facts};

/// How often an object is read and decided upon again because somebody else wrote it meanwhile.
const ATTEMPTS: usize = 4;
/// Longest trace context that is carried on (W3C's is 55 bytes).
const MAX_TRACEPARENT: usize = 128;

/// The stage.
pub struct Normalize {
    tables: Arc<dyn Tables>,
    objects: Arc<dyn Blobs>,
    catalog: Catalog,
    options: Options,
}

/// A record of `dvss.accepted`.
#[derive(Debug, Clone)]
pub struct Input {
    event: Event,
    bytes: Bytes,
}

impl Normalize {
    /// The stage on these stores; `objects` is the bucket of normalized objects.
    pub fn new(tables: Arc<dyn Tables>, objects: Arc<dyn Blobs>, options: Options) -> Self {
        let catalog = Catalog::new(Arc::clone(&tables), options.max_mappings);
        Self { tables, objects, catalog, options }
    }

    async fn settle(
        &self,
        Input { event, bytes }: &Input,
        effective: Effective,
    ) -> Result<Vec<Output>, Error> {
        let draft = &event.draft;
        let compiled = effective.mapping?.ok_or_else(|| missing(event))?;
        let key = keys::normalized(&draft.event_type, draft.occurred_at, draft.ingest_id);
        let facts = match self.facts(event, bytes, &compiled) {
            Ok(facts) => facts,
            Err(refusal) => return Err(self.refuse(&key, &compiled, refusal).await),
        };
        let object = self.write(&key, event, &compiled, facts).await?;
        let outputs = object.outputs().map_err(too_long)?;
        let (activation, count) = (object.head.activation, object.count());
        let (vendor, external) = (&draft.vendor_id, &draft.external_event_id);
        let tables = &*self.tables;
        ingest::normalized(tables, vendor, external, draft.ingest_id, activation, count, &key).await?;
        Ok(outputs)
    }

    fn facts(&self, event: &Event, bytes: &Bytes, compiled: &Compiled) -> Result<Vec<Fact>, Refusal> {
        if Fingerprint::of_bytes(bytes) != event.sha256 {
            let message =
                format!("the record's bytes do not have the SHA-256 {} they came with", event.sha256);
            return Err(Refusal::new(Code::ObjectCorrupt, message));
        }
        let draft = &event.draft;
        let payload = match compiled.mapping.format() {
            Format::Json => draft.mode.payload(bytes)?,
            _ => {
                let payload = draft.mode.opaque(bytes)?;
                let decoded = compiled.mapping.decode(&payload);
                decoded.map_err(|rejection| Refusal::of_rejection(draft.mode, rejection))?
            }
        };
        let context = EventContext {
            vendor_id: draft.vendor_id.clone(),
            external_event_id: draft.external_event_id.clone(),
            event_type: draft.event_type.clone(),
            occurred_at: draft.occurred_at,
        };
        let mapped = compiled.mapping.apply(&payload, &context);
        let mapped = mapped.map_err(|rejection| Refusal::of_rejection(draft.mode, rejection))?;
        facts::facts(event, &payload, mapped, &self.options)
    }

    /// The refusal; unless a newer activation made an object already, for then ours is no verdict.
    async fn refuse(&self, key: &str, compiled: &Compiled, refusal: Refusal) -> Error {
        match normalized::get(&*self.objects, key).await {
            Ok(Some(stored)) if stored.object.head.activation > compiled.activation => {
                outdated(key, &stored, compiled)
            }
            Err(normalized::Error::Blobs(error)) => error.into(),
            _ => refusal.into(),
        }
    }

    /// Writes the facts into the event's object, and returns the object as it then stands.
    async fn write(
        &self,
        key: &str,
        event: &Event,
        compiled: &Compiled,
        mut facts: Vec<Fact>,
    ) -> Result<Object, Error> {
        // Most events are new: the first try asks nobody.
        let mut stored: Option<Stored> = None;
        for _ in 0..ATTEMPTS {
            let before = stored.as_ref().map(|stored| &stored.object);
            let said = if before.is_none() { std::mem::take(&mut facts) } else { facts.clone() };
            let decision = decide::decide(before, compiled.activation, said).map_err(too_long)?;
            let lines = match (decision, &stored) {
                (Decision::Create(lines) | Decision::Replace(lines), _) => lines,
                (Decision::Keep, Some(stored)) => return Ok(stored.object.clone()),
                (Decision::Outdated, Some(stored)) => return Err(outdated(key, stored, compiled)),
                (Decision::Keep | Decision::Outdated, None) => break,
            };
            let object = Object { head: head(event, compiled), lines };
            let etag = stored.as_ref().map(|stored| stored.etag.as_str());
            match normalized::put(&*self.objects, key, &object, etag).await {
                Ok(()) => return Ok(object),
                // Also our own earlier write, whose answer was lost.
                Err(blobs::Error::Precondition | blobs::Error::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            if stored.is_none() {
                // The lines of a new object are what was said.
                facts = object.lines.into_iter().map(|line| line.fact).collect();
            }
            stored = self.stored(key, event).await?;
        }
        Err(Error::Contended(key.to_owned()))
    }

    async fn stored(&self, key: &str, event: &Event) -> Result<Option<Stored>, Error> {
        let stored = normalized::get(&*self.objects, key).await;
        let stored = stored.map_err(Error::of_stored)?;
        if let Some(Stored { object: Object { head, .. }, .. }) = &stored {
            let draft = &event.draft;
            let theirs = (&head.vendor_id, &head.external_event_id, head.ingest_id);
            if theirs != (&draft.vendor_id, &draft.external_event_id, draft.ingest_id) {
                let whose = format!("{} of {}", head.external_event_id, head.vendor_id);
                let message = format!("{key} is the object of another event, {whose}");
                return Err(Refusal::new(Code::ObjectCorrupt, message).into());
            }
        }
        Ok(stored)
    }

    /// What happened, for `/metrics`; and the index status of what is going to quarantine.
    async fn note_failure(&self, event: &Event, activation: u64, failure: &Failure) -> Result<(), Failure> {
        let Failure::Poison(Poison { code, message, .. }) = failure else { return Ok(()) };
        let draft = &event.draft;
        let (vendor, external) = (&draft.vendor_id, &draft.external_event_id);
        let noted = ingest::failed(&*self.tables, vendor, external, draft.ingest_id, activation).await;
        noted.map_err(|error| failure::of_tables(&error))?;
        if *code == Code::ObjectCorrupt {
            tracing::error!(
                { field::STAGE } = Self::NAME,
                { field::INGEST_ID } = %draft.ingest_id,
                { field::VENDOR_ID } = %vendor,
                { field::EXTERNAL_EVENT_ID } = %external,
                "{message}"
            );
        }
        let mapped = *code != Code::MappingMissing;
        metrics::counter!(
            metric::NORMALIZE_FAILED,
            label::VENDOR_ID => vendor_label(true, vendor.as_str()),
            label::EVENT_TYPE => event_type_label(mapped, draft.event_type.as_str()),
            label::REASON => code.as_str(),
        )
        .increment(1);
        Ok(())
    }
}

#[async_trait]
impl Processor for Normalize {
    const NAME: &'static str = "dvss.normalize";
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        let event = records::event(record)?;
        if event.conflict_with.is_some() {
            let refusal = Refusal::new(
                Code::RecordInvalid,
                format!(
                    "{} carries {}: dedup emits no flagged record",
                    record.coordinates(),
                    headers::CONFLICT_WITH
                ),
            );
            return Err(Error::from(refusal).into_failure(&event));
        }
        Ok(Input { event, bytes: record.value.clone() })
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        let draft = &input.event.draft;
        let effective = self.catalog.effective(&draft.vendor_id, &draft.event_type).await;
        let effective = effective.map_err(|error| error.into_failure(&input.event))?;
        let activation = effective.activation;
        match self.settle(input, effective).await {
            Ok(outputs) => {
                metrics::counter!(
                    metric::NORMALIZE_SUCCESS,
                    label::VENDOR_ID => vendor_label(true, draft.vendor_id.as_str()),
                    label::EVENT_TYPE => event_type_label(true, draft.event_type.as_str()),
                )
                .increment(1);
                tracing::info!(
                    { field::STAGE } = Self::NAME,
                    { field::INGEST_ID } = %draft.ingest_id,
                    { field::VENDOR_ID } = %draft.vendor_id,
                    { field::EXTERNAL_EVENT_ID } = %draft.external_event_id,
                    records = outputs.len(),
                    "normalized"
                );
                Ok(outputs)
            }
            Err(error) => {
                if matches!(error, Error::Outdated { .. }) {
                    self.catalog.look_anew();
                }
                let failure = error.into_failure(&input.event);
                self.note_failure(&input.event, activation, &failure).await?;
                Err(failure)
            }
        }
    }
}

fn head(event: &Event, compiled: &Compiled) -> Head {
    let fits =
        |trace: &String| trace.len() <= MAX_TRACEPARENT && trace.bytes().all(|byte| byte.is_ascii_graphic());
    Head {
        activation: compiled.activation,
        mapping: compiled.id.to_string(),
        vendor_id: event.draft.vendor_id.clone(),
        ingest_id: event.draft.ingest_id,
        external_event_id: event.draft.external_event_id.clone(),
        traceparent: event.traceparent.clone().filter(fits),
    }
}

fn missing(event: &Event) -> Refusal {
    let (vendor, event_type) = (&event.draft.vendor_id, &event.draft.event_type);
    let message = format!(
        "no mapping is active for {event_type:?} of {vendor}, nor for its platform: put one with \
         `dvss mappings put FILE --activate` (`dvss vendors add ID --platform NAME` gives a vendor its \
         platform's), then release the event"
    );
    Refusal::new(Code::MappingMissing, message)
}

fn too_long(error: TooLong) -> Error {
    Refusal::new(TooLong::CODE, error.to_string()).into()
}

fn outdated(key: &str, stored: &Stored, compiled: &Compiled) -> Error {
    let (stored, known) = (stored.object.head.activation, compiled.activation);
    Error::Outdated { key: key.to_owned(), stored, known }
}
