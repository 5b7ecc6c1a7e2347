//! Effects: the index, the divergence rows, what is emitted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::IngestId;
use contract::canonical::DivergenceKind;
use contract::event::Event;
use ports::log::{Coordinates, RawRecord};
use ports::{Clock, Tables};
use runtime::{Failure, Output, Processor};
use stores::codec::Codec;
use stores::ingest::{self, Claim, Entry};
use stores::{divergences, records};
use telemetry::{field, label, metric, vendor_label};

use crate::decide::{self, Challenger, Side};
use crate::{Error, Options};

/// Time between two looks for a winner's claim.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The stage.
pub struct Dedup {
    tables: Arc<dyn Tables>,
    codec: Arc<Codec>,
    clock: Arc<dyn Clock>,
    options: Options,
}

/// A record of `dvss.raw`.
#[derive(Debug, Clone)]
pub struct Input {
    event: Event,
    record: RawRecord,
}

impl Dedup {
    /// The stage on these stores.
    pub fn new(tables: Arc<dyn Tables>, codec: Arc<Codec>, clock: Arc<dyn Clock>, options: Options) -> Self {
        Self { tables, codec, clock, options }
    }

    async fn settle(&self, Input { event, record }: &Input) -> Result<Vec<Output>, Error> {
        if let Some(named) = event.conflict_with {
            let holder = self.holder(event).await?;
            return self.conflict(event, &decide::other_side(event, named, holder.as_ref())).await;
        }
        let source = Coordinates { partition: record.partition.clone(), offset: record.offset };
        match ingest::claim(&*self.tables, event, &source).await? {
            Claim::Claimed | Claim::Same => {
                told(event, "claimed");
                Ok(vec![decide::emission(record).into()])
            }
            Claim::Duplicate { winner } => self.duplicate(event, winner.ingest_id).await,
            Claim::Conflict { winner } => {
                count(metric::INGEST_CONFLICT, event);
                self.conflict(event, &Side::winner(&winner)).await
            }
        }
    }

    async fn duplicate(&self, event: &Event, winner: IngestId) -> Result<Vec<Output>, Error> {
        ingest::alias(&*self.tables, event, winner).await?;
        count(metric::INGEST_DUPLICATE, event);
        told(event, &format!("a duplicate of {winner}"));
        Ok(Vec::new())
    }

    async fn conflict(&self, event: &Event, winner: &Side) -> Result<Vec<Output>, Error> {
        let (vendor, external) = (&event.draft.vendor_id, &event.draft.external_event_id);
        // The note first: it names the newcomer that the divergence is about, whoever writes that.
        ingest::conflict(&*self.tables, event, winner.ingest_id).await?;
        let noted = ingest::conflict_of(&*self.tables, vendor, external, event.draft.fingerprint).await?;
        let divergence = Challenger::first(event, noted.as_ref()).divergence(winner);
        let output = divergences::record(&*self.tables, &self.codec, divergence, self.clock.now()).await?;
        let kind = divergences::kind_name(DivergenceKind::Conflict);
        let vendor = vendor_label(true, vendor.as_str());
        metrics::counter!(metric::DIVERGENCE_FOUND, label::VENDOR_ID => vendor, label::KIND => kind)
            .increment(1);
        told(event, &format!("a conflict with {}", winner.ingest_id));
        Ok(vec![output])
    }

    /// Who has the id that a flagged record wanted. The gateway produced that event before it flagged
    /// this one, perhaps to another partition: it may be claimed any moment.
    async fn holder(&self, event: &Event) -> Result<Option<Entry>, Error> {
        let mut patience = self.options.winner_patience;
        loop {
            let (vendor, external) = (&event.draft.vendor_id, &event.draft.external_event_id);
            let found = ingest::lookup(&*self.tables, vendor, external).await?;
            if found.is_some() || patience.is_zero() {
                return Ok(found);
            }
            let pause = patience.min(LOOK_AGAIN);
            patience -= pause;
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait]
impl Processor for Dedup {
    const NAME: &'static str = "dvss.dedup";
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        Ok(Input { event: records::event(record)?, record: record.clone() })
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        Ok(self.settle(input).await?)
    }
}

fn told(event: &Event, what: &str) {
    let draft = &event.draft;
    tracing::info!(
        { field::STAGE } = Dedup::NAME,
        { field::INGEST_ID } = %draft.ingest_id,
        { field::VENDOR_ID } = %draft.vendor_id,
        { field::EXTERNAL_EVENT_ID } = %draft.external_event_id,
        "{what}"
    );
}

/// The gateway let the vendor in, so the vendor is configured.
fn count(name: &'static str, event: &Event) {
    let vendor = vendor_label(true, event.draft.vendor_id.as_str());
    metrics::counter!(name, label::VENDOR_ID => vendor).increment(1);
}
