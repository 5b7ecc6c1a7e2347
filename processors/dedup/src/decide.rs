//! What a record means; pure.

use contract::canonical::{Divergence, DivergenceKind, RawRef};
use contract::event::Event;
use contract::{ExternalEventId, Fingerprint, IngestId, Timestamp, VendorId, topics};
use ports::log::{RawRecord, Record};
use serde::Serialize;
use stores::ingest::{Entry, Newcomer};

/// The record for `dvss.accepted`: the same key, bytes and headers.
pub fn emission(record: &RawRecord) -> Record {
    Record {
        topic: topics::ACCEPTED.into(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.clone(),
    }
}

/// One side of a conflict, as its divergence shows it. Holds nothing that a retry would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// The event.
    pub ingest_id: IngestId,
    /// Its fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
    /// Where its bytes are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_ref: Option<RawRef>,
}

impl Side {
    /// The event that has the id.
    pub fn winner(entry: &Entry) -> Self {
        Self {
            ingest_id: entry.ingest_id,
            fingerprint: Some(entry.fingerprint),
            raw_ref: Some(entry.raw_ref.clone()),
        }
    }

    /// An event of which only the name is known.
    pub fn named(ingest_id: IngestId) -> Self {
        Self { ingest_id, fingerprint: None, raw_ref: None }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).expect("ids and text only")
    }
}

/// The other side of a flagged record that names `named`, where `holder` has the id.
///
/// Who has the id is the truth, also where the gateway saw another event first; but no event conflicts
/// with one of its own fingerprint.
pub fn other_side(event: &Event, named: IngestId, holder: Option<&Entry>) -> Side {
    match holder {
        Some(holder) if holder.fingerprint != event.draft.fingerprint => Side::winner(holder),
        _ => Side::named(named),
    }
}

/// The newcomer of a conflict: the first one with this payload, so that retries (under the same or
/// another date, flagged by a gateway or found here) are one divergence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenger {
    /// Whose id.
    pub vendor_id: VendorId,
    /// The id.
    pub external_event_id: ExternalEventId,
    /// When the newcomer happened, as it says.
    pub occurred_at: Timestamp,
    /// The newcomer.
    pub side: Side,
}

impl Challenger {
    /// The first one noted with `event`'s payload, else `event` itself.
    pub fn first(event: &Event, first: Option<&Newcomer>) -> Self {
        let draft = &event.draft;
        let (ingest_id, occurred_at, raw_ref) = match first {
            Some(first) => (first.ingest_id, first.occurred_at, &first.raw_ref),
            None => (draft.ingest_id, draft.occurred_at, &event.raw_ref),
        };
        let fingerprint = Some(draft.fingerprint);
        Self {
            vendor_id: draft.vendor_id.clone(),
            external_event_id: draft.external_event_id.clone(),
            occurred_at,
            side: Side { ingest_id, fingerprint, raw_ref: Some(raw_ref.clone()) },
        }
    }

    /// The divergence between the newcomer and the event that won.
    pub fn divergence(&self, winner: &Side) -> Divergence {
        let message = format!(
            "{} sent event {} again with another payload; the first one, {}, wins",
            self.vendor_id, self.external_event_id, winner.ingest_id
        );
        Divergence {
            kind: DivergenceKind::Conflict,
            vendor_id: self.vendor_id.clone(),
            ingest_id: self.side.ingest_id,
            line: 0,
            leg: 0,
            revision: 1,
            entity: None,
            occurred_at: self.occurred_at,
            message,
            ours: self.side.text(),
            theirs: Some(winner.text()),
        }
    }
}
