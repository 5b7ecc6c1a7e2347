//! Canonical events: the facts that leave normalize, and their data.
//!
//! The JSON Schemas under `schemas/canonical/` and the Avro schemas under `schemas/avro/` say the
//! same; a test holds the three together. Optional members are absent, never null.

use serde::{Deserialize, Serialize};

use crate::entity::{Entity, TooLong};
use crate::{Decimal, ExternalEventId, IngestId, Timestamp, VendorId, topics};

/// Version of the canonical schemas.
pub const SCHEMA_VERSION: &str = "1.0";

/// Greatest `sequence`: the public schemas carry it as an Avro long.
pub const MAX_SEQUENCE: u64 = i64::MAX.cast_unsigned();

/// One fact: what one line of one event says about one entity.
///
/// `(ingestId, line, leg)` is its identity, `revision` counts what normalize said about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// The accepted event it comes from.
    pub ingest_id: IngestId,
    /// Index of the source element in the payload, from 0.
    pub line: u32,
    /// 0; 1 for a transfer's second half.
    pub leg: u8,
    /// From 1; normalize alone assigns it.
    pub revision: u32,
    /// Who says it.
    pub vendor_id: VendorId,
    /// The vendor's id of the event.
    pub external_event_id: ExternalEventId,
    /// `eventType` and `data`.
    #[serde(flatten)]
    pub data: Data,
    /// Version of the canonical schema: [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// When it was so, as the payload says, else as the envelope says.
    pub occurred_at: Timestamp,
    /// Where the vendor's own bytes are.
    pub raw_ref: RawRef,
    /// True where normalize takes the fact back.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retracted: bool,
    /// Pointers of payload members that the mapping's source schema does not know (first fact only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
}

/// Where the vendor's own bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRef {
    /// Bucket.
    pub bucket: String,
    /// Object key.
    pub key: String,
}

/// The canonical types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "eventType", content = "data")]
pub enum Data {
    /// Absolute stock.
    InventoryUpdated(InventoryUpdated),
    /// A change of stock.
    InventoryAdjusted(InventoryAdjusted),
    /// The state of an order.
    OrderUpdated(OrderUpdated),
    /// Stock received by an applied invoice.
    InventoryReceived(InventoryReceived),
}

/// Absolute stock of an item at a place; at least one quantity is present.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryUpdated {
    /// The vendor's id of the item.
    pub sku: String,
    /// The vendor's id of the place; absent where the quantity is the vendor's total over its places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_id: Option<String>,
    /// Units physically there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_on_hand: Option<Decimal>,
    /// Units that may be sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_available: Option<Decimal>,
    /// Units promised to somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_reserved: Option<Decimal>,
    /// Units on their way in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_incoming: Option<Decimal>,
    /// What else identifies and qualifies the item.
    #[serde(flatten)]
    pub item: Item,
    /// Whether the vendor stops selling the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discontinued: Option<bool>,
}

/// A change of stock of an item at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryAdjusted {
    /// The vendor's id of the item.
    pub sku: String,
    /// The vendor's id of the place; absent where the vendor does not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_id: Option<String>,
    /// Units more (or, negative, fewer).
    pub delta: Decimal,
    /// Why, in the vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// On a transfer's legs: the place at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterpart_warehouse_id: Option<String>,
    /// What else identifies and qualifies the item.
    #[serde(flatten)]
    pub item: Item,
}

/// What else identifies and qualifies an item, in facts about stock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Other ids of the item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sku_alt: Vec<String>,
    /// GS1 Global Trade Item Number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtin: Option<String>,
    /// Unit of the quantities, in the vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_of_measure: Option<String>,
    /// Batch or lot; part of the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// Expiry date of the lot, as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    /// Condition; part of the entity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The vendor's own order of facts with one `occurredAt`; at most [`MAX_SEQUENCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// The state of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderUpdated {
    /// The vendor's id of the order.
    pub order_id: String,
    /// The number that people use for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// One of the fixed list.
    pub status: OrderStatus,
    /// The vendor's own word for the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_status: Option<String>,
    /// ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Grand total in `currency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Decimal>,
    /// When the order was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// The vendor's own order of facts with one `occurredAt`; at most [`MAX_SEQUENCE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The lines that the payload carries; empty where it carries none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<OrderLine>,
}

/// The fixed list of order states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderStatus {
    /// Made, not yet confirmed or paid.
    Pending,
    /// Confirmed; to be fulfilled.
    Open,
    /// Stopped for now.
    OnHold,
    /// Some of it shipped.
    PartiallyShipped,
    /// All of it shipped.
    Shipped,
    /// Arrived.
    Delivered,
    /// Done; nothing more will happen.
    Completed,
    /// Will not happen.
    Cancelled,
    /// Money went back.
    Refunded,
    /// Goods came back.
    Returned,
    /// The payload does not say.
    Unstated,
}

/// One line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderLine {
    /// The vendor's id of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    /// The vendor's id of the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// What the line calls the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Units ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    /// Unit, in the vendor's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Price of one unit in the order's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Decimal>,
    /// The vendor's word for the line's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Stock received by an applied invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryReceived {
    /// The operator's id of the item.
    pub sku: String,
    /// The operator's id of the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_id: Option<String>,
    /// Units more (negative for a credit note or a reversal).
    pub delta: Decimal,
    /// The invoice job.
    pub job_id: String,
    /// The invoice's number, as printed.
    pub invoice_number: String,
    /// The invoice's line, from 1.
    pub invoice_line: u32,
    /// What else identifies and qualifies the item.
    #[serde(flatten)]
    pub item: Item,
}

/// What divergence did with a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// It moved the state, or would have if it were not equal to it already.
    Applied,
    /// A later fact is known; it moved nothing.
    Stale,
    /// It was taken back.
    Retracted,
}

/// What a public topic carries: the fact, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicFact {
    /// The fact.
    #[serde(flatten)]
    pub fact: Fact,
    /// What divergence did with it.
    pub outcome: Outcome,
}

/// The order in which facts of one entity fold, whatever order they arrive in.
///
/// Its text form has a fixed width, so that text order is fold order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoldKey {
    /// When it was so.
    pub occurred_at: Timestamp,
    /// The vendor's own order; 0 where it states none.
    pub sequence: u64,
    /// The event.
    pub ingest_id: IngestId,
    /// The line in the event.
    pub line: u32,
    /// The leg of the line.
    pub leg: u8,
}

impl std::fmt::Display for FoldKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { occurred_at, sequence, ingest_id, line, leg } = self;
        write!(formatter, "{}#{sequence:020}#{ingest_id}#{line:010}#{leg}", occurred_at.sortable())
    }
}

impl Fact {
    /// What the fact is about.
    pub fn entity(&self) -> Entity {
        let vendor = self.vendor_id.clone();
        let stock = |sku: &str, warehouse: &Option<String>, item: &Item| Entity::Stock {
            vendor: vendor.clone(),
            warehouse: warehouse.clone(),
            sku: sku.to_owned(),
            lot: item.lot.clone(),
            condition: item.condition.clone(),
        };
        match &self.data {
            Data::InventoryUpdated(data) => stock(&data.sku, &data.warehouse_id, &data.item),
            Data::InventoryAdjusted(data) => stock(&data.sku, &data.warehouse_id, &data.item),
            Data::InventoryReceived(data) => stock(&data.sku, &data.warehouse_id, &data.item),
            Data::OrderUpdated(data) => Entity::Order { vendor, order_id: data.order_id.clone() },
        }
    }

    /// The entity's key.
    pub fn entity_key(&self) -> Result<String, TooLong> {
        self.entity().key()
    }

    /// Its place in the fold.
    pub fn fold_key(&self) -> FoldKey {
        let sequence = match &self.data {
            Data::InventoryUpdated(data) => data.item.sequence,
            Data::InventoryAdjusted(data) => data.item.sequence,
            Data::InventoryReceived(data) => data.item.sequence,
            Data::OrderUpdated(data) => data.sequence,
        };
        FoldKey {
            occurred_at: self.occurred_at,
            sequence: sequence.unwrap_or(0),
            ingest_id: self.ingest_id,
            line: self.line,
            leg: self.leg,
        }
    }
}

impl Data {
    /// The canonical type's name, as `eventType` carries it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::InventoryUpdated(_) => "InventoryUpdated",
            Self::InventoryAdjusted(_) => "InventoryAdjusted",
            Self::OrderUpdated(_) => "OrderUpdated",
            Self::InventoryReceived(_) => "InventoryReceived",
        }
    }

    /// The public topic that carries facts of this type.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::InventoryUpdated(_) => topics::INVENTORY_UPDATED,
            Self::InventoryAdjusted(_) => topics::INVENTORY_ADJUSTED,
            Self::OrderUpdated(_) => topics::ORDER_UPDATED,
            Self::InventoryReceived(_) => topics::INVENTORY_RECEIVED,
        }
    }
}

/// Kinds of divergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DivergenceKind {
    /// A fact came after a later one was known.
    Stale,
    /// One event id, two payloads.
    Conflict,
    /// Two facts of one instant say different values.
    SameTimeDifferentValue,
    /// A quantity below zero.
    NegativeQuantity,
    /// A change beyond the configured bound.
    AnomalousChange,
    /// The payload has members that the source schema does not know.
    SchemaDrift,
    /// Two vendors of one shared warehouse state different stock.
    VendorsDisagree,
}

/// What `dvss.divergence.v1` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Divergence {
    /// What kind.
    pub kind: DivergenceKind,
    /// Who said the newer side.
    pub vendor_id: VendorId,
    /// The event of the newer side.
    pub ingest_id: IngestId,
    /// Its line.
    pub line: u32,
    /// Its leg.
    pub leg: u8,
    /// Its revision.
    pub revision: u32,
    /// The entity, where the divergence is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// `occurredAt` of the newer side.
    pub occurred_at: Timestamp,
    /// One sentence for a person.
    pub message: String,
    /// The newer side, as JSON text.
    pub ours: String,
    /// The other side, as JSON text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<String>,
}

/// What `dvss.quarantine.v1` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The stage that could not go on.
    pub stage: String,
    /// The row's key under its stage: an ingest id, or `topic/partition/offset`.
    pub identity: String,
    /// How often the record was parked, from 1.
    pub count: u32,
    /// Whose record it is, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<VendorId>,
    /// The event, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest_id: Option<IngestId>,
    /// Stable code.
    pub code: String,
    /// Where in the payload, where one place is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// One sentence for a person.
    pub message: String,
    /// Where the bytes are, where they were accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_ref: Option<RawRef>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_reads_back_as_it_was_written() {
        let text = r#"{"ingestId":"01J0000000ABCDEFGHJKMNPQRS","line":0,"leg":0,"revision":1,"vendorId":"acme","externalEventId":"e1","eventType":"InventoryUpdated","data":{"sku":"A","warehouseId":"w1","quantityOnHand":"15.00","sequence":7},"schemaVersion":"1.0","occurredAt":"2026-03-16T08:35:06Z","rawRef":{"bucket":"raw","key":"raw/acme/x.json"}}"#;
        let fact: Fact = serde_json::from_str(text).expect("a fact");
        assert_eq!(serde_json::to_string(&fact).expect("json"), text);
        assert_eq!(fact.entity_key().as_deref(), Ok("acme|w1|A||"));
        assert_eq!(
            fact.fold_key().to_string(),
            "2026-03-16T08:35:06.000000000Z#00000000000000000007#01J0000000ABCDEFGHJKMNPQRS#0000000000#0"
        );
    }
}
