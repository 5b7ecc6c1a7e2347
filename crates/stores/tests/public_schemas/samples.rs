//! Values of every public topic: all members, the least of them, every member of every enum.

use contract::canonical::{
    Data, Divergence, DivergenceKind, Fact, InventoryAdjusted, InventoryReceived, InventoryUpdated, Item,
    OrderLine, OrderStatus, OrderUpdated, Outcome, PublicFact, Quarantined, RawRef, SCHEMA_VERSION,
};
use contract::{Decimal, ExternalEventId, IngestId, Timestamp, VendorId, topics};
use serde_json::Value;

/// A value of a topic, as the contract's type writes it.
pub struct Sample {
    pub topic: &'static str,
    pub value: Value,
}

/// Everything there is to try.
pub fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    for topic in topics::PUBLIC {
        let (full, least) = full_and_least(topic);
        samples.extend([full, least].map(|value| Sample { topic, value }));
    }
    for status in statuses() {
        let Data::OrderUpdated(order) = least_order() else { unreachable!("an order") };
        let data = Data::OrderUpdated(OrderUpdated { status, ..order });
        let value = json(&PublicFact { fact: fact(data, false), outcome: Outcome::Applied });
        samples.push(Sample { topic: topics::ORDER_UPDATED, value });
    }
    for outcome in outcomes() {
        let value = json(&PublicFact { fact: fact(least_order(), false), outcome });
        samples.push(Sample { topic: topics::ORDER_UPDATED, value });
    }
    for kind in kinds() {
        let value = json(&Divergence { kind, ..divergence(false) });
        samples.push(Sample { topic: topics::DIVERGENCE, value });
    }
    samples
}

/// A topic's value with every member, and one with none that may be absent.
pub fn full_and_least(topic: &str) -> (Value, Value) {
    let facts = |full: Data, least: Data| {
        let public = |data, full| json(&PublicFact { fact: fact(data, full), outcome: Outcome::Stale });
        (public(full, true), public(least, false))
    };
    match topic {
        topics::INVENTORY_UPDATED => facts(full_stock(), least_stock()),
        topics::INVENTORY_ADJUSTED => facts(full_adjustment(), least_adjustment()),
        topics::INVENTORY_RECEIVED => facts(full_receipt(), least_receipt()),
        topics::ORDER_UPDATED => facts(full_order(), least_order()),
        topics::DIVERGENCE => (json(&divergence(true)), json(&divergence(false))),
        topics::QUARANTINE => (json(&quarantined(true)), json(&quarantined(false))),
        other => panic!("no sample for {other}"),
    }
}

pub fn statuses() -> Vec<OrderStatus> {
    use OrderStatus::*;
    successors(Pending, |status| match status {
        Pending => Some(Open),
        Open => Some(OnHold),
        OnHold => Some(PartiallyShipped),
        PartiallyShipped => Some(Shipped),
        Shipped => Some(Delivered),
        Delivered => Some(Completed),
        Completed => Some(Cancelled),
        Cancelled => Some(Refunded),
        Refunded => Some(Returned),
        Returned => Some(Unstated),
        Unstated => None,
    })
}

pub fn kinds() -> Vec<DivergenceKind> {
    use DivergenceKind::*;
    successors(Stale, |kind| match kind {
        Stale => Some(Conflict),
        Conflict => Some(SameTimeDifferentValue),
        SameTimeDifferentValue => Some(NegativeQuantity),
        NegativeQuantity => Some(AnomalousChange),
        AnomalousChange => Some(SchemaDrift),
        SchemaDrift => Some(VendorsDisagree),
        VendorsDisagree => None,
    })
}

pub fn outcomes() -> Vec<Outcome> {
    use Outcome::*;
    successors(Applied, |outcome| match outcome {
        Applied => Some(Stale),
        Stale => Some(Retracted),
        Retracted => None,
    })
}

/// How JSON spells them.
pub fn names<T: serde::Serialize>(members: &[T]) -> Vec<String> {
    members.iter().map(|member| json(member).as_str().expect("text").to_owned()).collect()
}

fn successors<T: Copy>(first: T, next: impl Fn(T) -> Option<T>) -> Vec<T> {
    std::iter::successors(Some(first), |member| next(*member)).collect()
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("json")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn decimal(text: &str) -> Option<Decimal> {
    Some(Decimal::parse(text).expect("a decimal"))
}

fn time() -> Timestamp {
    Timestamp::parse("2026-03-16T08:35:06.123456789Z").expect("a time")
}

fn ingest_id() -> IngestId {
    IngestId::parse("01J0000000ABCDEFGHJKMNPQRS").expect("an id")
}

fn vendor_id() -> VendorId {
    VendorId::parse("acme").expect("an id")
}

fn raw_ref() -> RawRef {
    RawRef { bucket: "raw".to_owned(), key: "raw/acme/2026/03/16/01J0000000ABCDEFGHJKMNPQRS.json".to_owned() }
}

fn fact(data: Data, full: bool) -> Fact {
    Fact {
        ingest_id: ingest_id(),
        line: u32::MAX,
        leg: 1,
        revision: 2,
        vendor_id: vendor_id(),
        external_event_id: ExternalEventId::parse("=cmd()|' \u{1f4e6}").expect("an id"),
        data,
        schema_version: SCHEMA_VERSION.to_owned(),
        occurred_at: time(),
        raw_ref: raw_ref(),
        retracted: full,
        drift: if full { vec!["/payload/new".to_owned()] } else { Vec::new() },
    }
}

fn full_item() -> Item {
    Item {
        sku_alt: vec!["A-1".to_owned(), "1-A".to_owned()],
        gtin: some("04006381333931"),
        unit_of_measure: some("EA"),
        lot: some("L\u{fc}1"),
        expiry: some("2027-01"),
        condition: some("NEW"),
        sequence: Some(i64::MAX.unsigned_abs()),
    }
}

fn full_stock() -> Data {
    Data::InventoryUpdated(InventoryUpdated {
        sku: "A".to_owned(),
        warehouse_id: some("w1"),
        quantity_on_hand: decimal("15.00"),
        quantity_available: decimal("-0.0000000000000000000000000001"),
        quantity_reserved: decimal("9999999999999999999999999999"),
        quantity_incoming: decimal("0"),
        item: full_item(),
        discontinued: Some(false),
    })
}

fn least_stock() -> Data {
    let stock =
        InventoryUpdated { sku: "A".to_owned(), quantity_on_hand: decimal("1"), ..Default::default() };
    Data::InventoryUpdated(stock)
}

fn full_adjustment() -> Data {
    Data::InventoryAdjusted(InventoryAdjusted {
        sku: "A".to_owned(),
        warehouse_id: some("w1"),
        delta: Decimal::from(-3),
        reason: some("TRANSFER"),
        counterpart_warehouse_id: some("w2"),
        item: full_item(),
    })
}

fn least_adjustment() -> Data {
    Data::InventoryAdjusted(InventoryAdjusted {
        sku: "A".to_owned(),
        warehouse_id: None,
        delta: Decimal::zero(),
        reason: None,
        counterpart_warehouse_id: None,
        item: Item::default(),
    })
}

fn full_receipt() -> Data {
    Data::InventoryReceived(InventoryReceived {
        sku: "A".to_owned(),
        warehouse_id: some("w1"),
        delta: Decimal::from(3),
        job_id: "j1".to_owned(),
        invoice_number: "2026/17".to_owned(),
        invoice_line: 1,
        item: full_item(),
    })
}

fn least_receipt() -> Data {
    let Data::InventoryReceived(receipt) = full_receipt() else { unreachable!("a receipt") };
    Data::InventoryReceived(InventoryReceived { warehouse_id: None, item: Item::default(), ..receipt })
}

fn full_order() -> Data {
    Data::OrderUpdated(OrderUpdated {
        order_id: "o1".to_owned(),
        order_number: some("#1001"),
        status: OrderStatus::PartiallyShipped,
        vendor_status: some("partially fulfilled"),
        currency: some("EUR"),
        total: decimal("19.90"),
        created_at: Some(time()),
        sequence: Some(0),
        lines: vec![
            OrderLine {
                line_id: some("1"),
                sku: some("A"),
                description: some("a \"thing\""),
                quantity: decimal("2"),
                unit: some("EA"),
                unit_price: decimal("9.95"),
                status: some("open"),
            },
            OrderLine::default(),
        ],
    })
}

fn least_order() -> Data {
    Data::OrderUpdated(OrderUpdated {
        order_id: "o1".to_owned(),
        order_number: None,
        status: OrderStatus::Unstated,
        vendor_status: None,
        currency: None,
        total: None,
        created_at: None,
        sequence: None,
        lines: Vec::new(),
    })
}

fn divergence(full: bool) -> Divergence {
    Divergence {
        kind: DivergenceKind::Conflict,
        vendor_id: vendor_id(),
        ingest_id: ingest_id(),
        line: 0,
        leg: 0,
        revision: 1,
        entity: full.then(|| "acme|w1|A||".to_owned()),
        occurred_at: time(),
        message: "two payloads".to_owned(),
        ours: "{}".to_owned(),
        theirs: full.then(|| "{}".to_owned()),
    }
}

fn quarantined(full: bool) -> Quarantined {
    Quarantined {
        stage: "normalize".to_owned(),
        identity: ingest_id().to_string(),
        count: 1,
        vendor_id: full.then(vendor_id),
        ingest_id: full.then(ingest_id),
        code: "mapping-missing".to_owned(),
        pointer: full.then(|| "/payload/sku".to_owned()),
        message: "no mapping".to_owned(),
        raw_ref: full.then(raw_ref),
    }
}
