//! Facts in few words, and a stage on tables in memory.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use async_trait::async_trait;
use contract::canonical::{
    Data, Fact, InventoryAdjusted, InventoryUpdated, Item, OrderStatus, OrderUpdated, RawRef, SCHEMA_VERSION,
};
use contract::{Decimal, ExternalEventId, IngestId, Timestamp, VendorId};
use divergence::{Divergence, Options};
use embedded::Engine;
use embedded::clock::TokioClock;
use embedded::tables::EmbeddedTables;
use ports::log::{Partition, RawRecord};
use ports::{Schemas, Tables, schemas};
use runtime::{Failure, Output, Processor};
use stores::codec::Codec;
use stores::effects::State;

pub const ENTITY: &str = "acme|w1|A||";
pub const START: &str = "2026-03-16T08:00:00Z";

/// A registry with the shipped schemas, their ids being their places.
pub struct Registry;

#[async_trait]
impl Schemas for Registry {
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, schemas::Error> {
        let known = stores::codec::schemas();
        let at = known.iter().position(|(name, text)| name == subject && *text == schema);
        let at = at.ok_or_else(|| schemas::Error::Unknown(subject.to_owned()))?;
        Ok(u32::try_from(at).expect("few schemas"))
    }

    async fn schema(&self, id: u32) -> Result<Arc<str>, schemas::Error> {
        let known = stores::codec::schemas();
        let (_, text) = known.get(id as usize).ok_or_else(|| schemas::Error::Unknown(id.to_string()))?;
        Ok((*text).into())
    }
}

pub fn tables() -> Arc<EmbeddedTables> {
    Arc::new(EmbeddedTables::new(Engine::in_memory(), &stores::tables::ALL).expect("tables in memory"))
}

pub fn codec() -> Arc<Codec> {
    Arc::new(Codec::new(Arc::new(Registry)))
}

pub fn stage_on(tables: Arc<dyn Tables>, options: Options) -> Divergence {
    let clock = Arc::new(TokioClock::new(instant(START)));
    Divergence::new(tables, codec(), clock, options).expect("options are right")
}

/// What the loop does with a record: decode, handle.
pub async fn take(stage: &Divergence, fact: &Fact) -> Result<Vec<Output>, Failure> {
    stage.handle(&stage.decode(&record(fact))?).await
}

pub fn record(fact: &Fact) -> RawRecord {
    RawRecord {
        partition: Partition::new(contract::topics::NORMALIZED, 0),
        offset: 0,
        timestamp: 0,
        key: Some(fact.entity_key().expect("a short entity").into_bytes().into()),
        value: serde_json::to_vec(fact).expect("json").into(),
        headers: Vec::new(),
    }
}

pub fn instant(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("an instant")
}

pub fn number(text: &str) -> Decimal {
    Decimal::parse(text).expect("a decimal")
}

/// A fact in words: `EVENT @MINUTE[.SEQUENCE] [rN] WORDS`, WORDS being any of `onHand=N`,
/// `available=N`, `reserved=N`, `incoming=N` (an absolute), `+N` or `-N` (an adjustment), a status with
/// optional `total=N` and `word=W` (an order and the vendor's word for its status), `gone` (retracted), `line=N`, `warehouse=W`, `vendor=V`, `drift=/p`.
pub fn fact(words: &str) -> Fact {
    let mut words = words.split_whitespace();
    let event = words.next().expect("an event");
    let at = words.next().and_then(|word| word.strip_prefix('@')).expect("@minute");
    let (minute, sequence) =
        at.split_once('.').map_or((at, None), |(minute, sequence)| (minute, Some(sequence)));
    let minute: u64 = minute.parse().expect("a minute");
    let sequence = sequence.map(|text| text.parse().expect("a sequence"));
    let item = Item { sequence, ..Item::default() };
    let sku = "A".to_owned();
    let mut absolute = InventoryUpdated { sku: sku.clone(), item: item.clone(), ..Default::default() };
    let (mut revision, mut line, mut retracted, mut drift) = (1, 0, false, Vec::new());
    let (mut vendor, mut warehouse, mut delta) = ("acme", "w1", None);
    let (mut order, mut total, mut vendor_status) = (None, None, None);
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let quantity = || Some(number(value));
        match name {
            "onHand" => absolute.quantity_on_hand = quantity(),
            "available" => absolute.quantity_available = quantity(),
            "reserved" => absolute.quantity_reserved = quantity(),
            "incoming" => absolute.quantity_incoming = quantity(),
            "total" => total = quantity(),
            "word" => vendor_status = Some(value.to_owned()),
            "line" => line = value.parse().expect("a line"),
            "warehouse" => warehouse = value,
            "vendor" => vendor = value,
            "drift" => drift.push(value.to_owned()),
            "gone" => retracted = true,
            "PENDING" => order = Some(OrderStatus::Pending),
            "OPEN" => order = Some(OrderStatus::Open),
            "SHIPPED" => order = Some(OrderStatus::Shipped),
            "CANCELLED" => order = Some(OrderStatus::Cancelled),
            "UNSTATED" => order = Some(OrderStatus::Unstated),
            _ => match word.split_at(1) {
                ("r", number) => revision = number.parse().expect("a revision"),
                ("+", text) => delta = Some(number(text)),
                ("-", text) => delta = Some(number(text).negated()),
                _ => panic!("what is {word}?"),
            },
        }
    }
    let warehouse_id = Some(warehouse.to_owned());
    absolute.warehouse_id = warehouse_id.clone();
    let data = match (delta, order) {
        (Some(delta), _) => Data::InventoryAdjusted(InventoryAdjusted {
            sku,
            warehouse_id,
            delta,
            reason: None,
            counterpart_warehouse_id: None,
            item,
        }),
        (None, Some(status)) => Data::OrderUpdated(OrderUpdated {
            order_id: "1001".to_owned(),
            order_number: None,
            status,
            vendor_status,
            currency: Some("EUR".to_owned()),
            total,
            created_at: None,
            sequence,
            lines: Vec::new(),
        }),
        (None, None) => Data::InventoryUpdated(absolute),
    };
    let vendor_id = VendorId::parse(vendor).expect("a vendor");
    let external_event_id = ExternalEventId::parse(event).expect("an event id");
    Fact {
        ingest_id: IngestId::derive(&vendor_id, &external_event_id, instant(START)),
        line,
        leg: 0,
        revision,
        vendor_id,
        external_event_id,
        data,
        schema_version: SCHEMA_VERSION.to_owned(),
        occurred_at: instant(START).plus(std::time::Duration::from_secs(minute * 60)),
        raw_ref: RawRef { bucket: "raw".to_owned(), key: format!("raw/{vendor}/{event}.json") },
        retracted,
        drift,
    }
}

/// A state in words: `on hand 12 (10 +2), available 8`; `on hand ? (+2)` where no absolute is known.
pub fn shown(state: &State) -> String {
    let mut words = Vec::new();
    let signed = |sum: &Decimal| if sum.is_negative() { sum.to_string() } else { format!("+{sum}") };
    match (&state.on_hand, state.quantity_on_hand()) {
        (Some(absolute), Some(quantity)) if !state.adjustments.is_zero() => {
            words.push(format!("on hand {quantity} ({} {})", absolute.value, signed(&state.adjustments)));
        }
        (_, Some(quantity)) => words.push(format!("on hand {quantity}")),
        _ if state.last_adjustment.is_some() => {
            words.push(format!("on hand ? ({})", signed(&state.adjustments)))
        }
        _ => {}
    }
    let others =
        [("available", &state.available), ("reserved", &state.reserved), ("incoming", &state.incoming)];
    words.extend(
        others.into_iter().filter_map(|(name, winner)| Some(format!("{name} {}", winner.as_ref()?.value))),
    );
    words.extend(state.order().map(|order| format!("{:?}", order.status)));
    words.join(", ")
}
