//! What the fields of GROUND_TRUTH.tsv are in our facts.

use std::collections::BTreeSet;

use contract::canonical::{Data, InventoryAdjusted, InventoryUpdated, Item, OrderLine, OrderUpdated};
use contract::{Decimal, Json, Timestamp};
use mapping::{Mapped, MappedFact};

/// What is known of a field.
pub enum Known {
    /// It is compared.
    Field(Field),
    /// Facts do not carry it, and this is why.
    Ignored(#[expect(dead_code, reason = "said where it is written, for the reader")] &'static str),
}

/// A field's values in the facts: one a fact, or one an order line.
pub struct Field {
    kind: Kind,
    values: Vec<Option<Value>>,
}

/// A value of the payload, and what the ground truth notes of it.
pub struct Expected<'a> {
    pub value: Option<&'a Json>,
    pub note: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Numbers, by value.
    Decimal,
    /// Numbers without their sign, which the payload tells elsewhere.
    Magnitude,
    /// Instants, however written.
    Time,
    /// Each expected value is among those of the facts, which may have more.
    Among,
    /// The length of an array.
    Count,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    Decimal(Decimal),
    Time(i128),
    /// Ids of one item.
    Ids(Vec<String>),
}

/// Fields that say how much there is: no fact may carry one that no ground truth names.
pub const LEVELS: [&str; 4] = ["quantityOnHand", "quantityAvailable", "quantityReserved", "quantityIncoming"];

impl Field {
    /// Whether the facts have these values.
    pub fn compare(&self, expected: &[Expected<'_>]) -> Result<(), String> {
        let read = |expected: &Expected<'_>| self.kind.read(expected);
        let expected: Vec<Option<Value>> = expected.iter().map(read).collect::<Result<_, _>>()?;
        let present = |values: &[Option<Value>]| values.iter().flatten().cloned().collect::<BTreeSet<_>>();
        let same = match self.kind {
            Kind::Among if expected.len() == self.values.len() => expected
                .iter()
                .zip(&self.values)
                .all(|(expected, ids)| among(expected, std::slice::from_ref(ids))),
            Kind::Among => expected.iter().all(|expected| among(expected, &self.values)),
            Kind::Count => sum(&expected) == sum(&self.values),
            _ if expected.len() == self.values.len() => expected == self.values,
            _ => present(&expected) == present(&self.values),
        };
        if same { Ok(()) } else { Err(format!("expected {expected:?}, got {:?}", self.values)) }
    }
}

fn among(expected: &Option<Value>, ids: &[Option<Value>]) -> bool {
    let Some(Value::Text(expected)) = expected else { return true };
    ids.iter().any(|ids| matches!(ids, Some(Value::Ids(ids)) if ids.contains(expected)))
}

fn sum(values: &[Option<Value>]) -> Decimal {
    let decimal =
        |value: &Value| if let Value::Decimal(value) = value { value.clone() } else { Decimal::zero() };
    values.iter().flatten().map(decimal).fold(Decimal::zero(), |total, value| total.plus(&value))
}

impl Kind {
    fn read(self, expected: &Expected<'_>) -> Result<Option<Value>, String> {
        let json = match (self, expected.value) {
            (_, None | Some(Json::Null)) => return Ok(None),
            (Self::Count, Some(Json::Array(items))) => return Ok(Some(count(items.len()))),
            (Self::Count, Some(_)) => return Ok(Some(count(0))),
            (_, Some(json)) => json,
        };
        let text = match json {
            Json::String(text) if text.is_empty() => return Ok(None),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        let decimal = || Decimal::parse(&text).map_err(|error| error.to_string());
        Ok(Some(match self {
            Self::Text | Self::Among | Self::Count => Value::Text(text),
            // Every currency of the corpus that is counted in minor units has a hundred of them.
            Self::Decimal if expected.note.contains("minor units") => {
                Value::Decimal(decimal()?.times(&Decimal::parse("0.01").expect("a constant")))
            }
            Self::Decimal => Value::Decimal(decimal()?),
            Self::Magnitude => Value::Decimal(decimal()?.abs()),
            Self::Time => Value::Time(instant(&text).ok_or_else(|| format!("`{text}` is no time"))?),
        }))
    }
}

fn count(length: usize) -> Value {
    Value::Decimal(Decimal::parse(&length.to_string()).expect("a number"))
}

/// An instant as the corpus writes it; without an offset it is UTC.
fn instant(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse::<i128>() {
        let unit = if number > 100_000_000_000 { 1_000_000 } else { 1_000_000_000 };
        return Some(number * unit);
    }
    // As OData writes them.
    if let Some(millis) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        return millis.parse::<i128>().ok().map(|millis| millis * 1_000_000);
    }
    let text = text.replacen(' ', "T", usize::from(text.as_bytes().get(4) == Some(&b'-')));
    let ways = [text.clone(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    let read = ways.iter().find_map(|text| Timestamp::parse(text).ok()).map(Timestamp::as_nanos);
    read.or_else(|| {
        let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(&text).ok()?;
        Some(zoned.timestamp().as_nanosecond())
    })
}

/// What a field of the ground truth is in these facts; nothing where nobody has decided yet.
pub fn known(name: &str, mapped: &Mapped) -> Option<Known> {
    if let Some((_, why)) = IGNORED.iter().find(|(ignored, _)| *ignored == name) {
        return Some(Known::Ignored(why));
    }
    if let Some(line) = name.strip_prefix("line.") {
        return line_field(line, mapped).map(Known::Field);
    }
    let facts = &mapped.facts;
    let only_orders = facts.iter().all(|fact| matches!(fact.data, Data::OrderUpdated(_)));
    let only_levels = facts.iter().all(|fact| matches!(fact.data, Data::InventoryUpdated(_)));
    let no_order = !facts.iter().any(|fact| matches!(fact.data, Data::OrderUpdated(_)));
    let texts = |get: fn(&MappedFact) -> Option<&String>| {
        let value = |fact| get(fact).cloned().map(Value::Text);
        Field { kind: Kind::Text, values: facts.iter().map(value).collect() }
    };
    let item = |get: fn(&Item) -> Option<&String>| {
        let value = |fact| item_of(fact).and_then(get).cloned().map(Value::Text);
        Field { kind: Kind::Text, values: facts.iter().map(value).collect() }
    };
    let level = |get: fn(&InventoryUpdated) -> Option<&Decimal>| {
        let value = |fact: &MappedFact| match &fact.data {
            Data::InventoryUpdated(data) => get(data).cloned().map(Value::Decimal),
            _ => None,
        };
        Field { kind: Kind::Decimal, values: facts.iter().map(value).collect() }
    };
    let order = |kind: Kind, get: fn(&OrderUpdated) -> Option<Value>| {
        let value = |fact: &MappedFact| match &fact.data {
            Data::OrderUpdated(data) => get(data),
            _ => None,
        };
        Field { kind, values: facts.iter().map(value).collect() }
    };
    Some(Known::Field(match name {
        "sku" => texts(sku),
        // The vendor's id of the item is our sku, or beside it where the payload has a sku too.
        "itemRef" => {
            let ids = facts.iter().map(|fact| sku(fact).into_iter().chain(alts(fact)).cloned().collect());
            Field { kind: Kind::Among, values: ids.map(|ids| Some(Value::Ids(ids))).collect() }
        }
        "skuAlt" => {
            let ids = facts.iter().map(|fact| alts(fact).cloned().collect());
            Field { kind: Kind::Among, values: ids.map(|ids| Some(Value::Ids(ids))).collect() }
        }
        "gtin" => item(|item| item.gtin.as_ref()),
        "unitOfMeasure" => item(|item| item.unit_of_measure.as_ref()),
        "batch" => item(|item| item.lot.as_ref()),
        "condition" => item(|item| item.condition.as_ref()),
        "warehouseId" if only_orders => {
            return Some(Known::Ignored("an order's fact has no warehouse"));
        }
        "warehouseId" => texts(warehouse),
        "warehouseIdFrom" => transfer_ends(facts, true),
        "warehouseIdTo" => transfer_ends(facts, false),
        "quantityOnHand" => level(|data| data.quantity_on_hand.as_ref()),
        "quantityAvailable" => level(|data| data.quantity_available.as_ref()),
        "quantityReserved" => level(|data| data.quantity_reserved.as_ref()),
        "quantityIncoming" => level(|data| data.quantity_incoming.as_ref()),
        // Of a transfer's two legs the one that receives.
        "quantityDelta" | "quantityMoved" | "quantityObserved" => {
            let whole = adjusted(facts)
                .filter(|data| data.counterpart_warehouse_id.is_none() || !data.delta.is_negative());
            let values = whole.map(|data| Some(Value::Decimal(data.delta.abs()))).collect();
            Field { kind: Kind::Magnitude, values }
        }
        "reason" if only_levels => return Some(Known::Ignored("a level has no reason, a change has")),
        "reason" => Field {
            kind: Kind::Text,
            values: adjusted(facts).map(|data| data.reason.clone().map(Value::Text)).collect(),
        },
        "discontinued" => Field {
            kind: Kind::Text,
            values: facts
                .iter()
                .map(|fact| match &fact.data {
                    Data::InventoryUpdated(data) => {
                        data.discontinued.map(|value| Value::Text(value.to_string()))
                    }
                    _ => None,
                })
                .collect(),
        },
        "timestamp" => Field {
            kind: Kind::Time,
            values: facts.iter().map(|fact| fact.occurred_at.map(|at| Value::Time(at.as_nanos()))).collect(),
        },
        "sequence" | "version" => Field {
            kind: Kind::Text,
            values: facts
                .iter()
                .map(|fact| sequence(fact).map(|value| Value::Text(value.to_string())))
                .collect(),
        },
        "orderId" | "orderNumber" | "status" | "currency" | "total" | "createdAt" | "lines" if no_order => {
            return Some(Known::Ignored("the facts are about stock, not about the order"));
        }
        "orderId" => order(Kind::Text, |data| Some(Value::Text(data.order_id.clone()))),
        "orderNumber" => order(Kind::Text, |data| data.order_number.clone().map(Value::Text)),
        "status" => order(Kind::Text, |data| data.vendor_status.clone().map(Value::Text)),
        "currency" => order(Kind::Text, |data| data.currency.clone().map(Value::Text)),
        "total" => order(Kind::Decimal, |data| data.total.clone().map(Value::Decimal)),
        "createdAt" => order(Kind::Time, |data| data.created_at.map(|at| Value::Time(at.as_nanos()))),
        "lines" => order(Kind::Count, |data| Some(count(data.lines.len()))),
        _ => return None,
    }))
}

fn line_field(name: &str, mapped: &Mapped) -> Option<Field> {
    let text = |kind: Kind, get: fn(&OrderLine) -> Option<Value>| {
        let orders = mapped.facts.iter().filter_map(|fact| match &fact.data {
            Data::OrderUpdated(data) => Some(data),
            _ => None,
        });
        Field { kind, values: orders.flat_map(|order| &order.lines).map(get).collect() }
    };
    Some(match name {
        "lineId" => text(Kind::Text, |line| line.line_id.clone().map(Value::Text)),
        "sku" => text(Kind::Text, |line| line.sku.clone().map(Value::Text)),
        "description" => text(Kind::Text, |line| line.description.clone().map(Value::Text)),
        "quantity" => text(Kind::Decimal, |line| line.quantity.clone().map(Value::Decimal)),
        "unit" => text(Kind::Text, |line| line.unit.clone().map(Value::Text)),
        "unitPrice" => text(Kind::Decimal, |line| line.unit_price.clone().map(Value::Decimal)),
        "status" => text(Kind::Text, |line| line.status.clone().map(Value::Text)),
        _ => return None,
    })
}

fn adjusted(facts: &[MappedFact]) -> impl Iterator<Item = &InventoryAdjusted> {
    facts.iter().filter_map(|fact| match &fact.data {
        Data::InventoryAdjusted(data) => Some(data),
        _ => None,
    })
}

/// The warehouses of the legs that give, or that receive.
fn transfer_ends(facts: &[MappedFact], giving: bool) -> Field {
    let legs = adjusted(facts).filter(|data| data.counterpart_warehouse_id.is_some());
    let ends = legs.filter(|data| data.delta.is_negative() == giving);
    Field { kind: Kind::Text, values: ends.map(|data| data.warehouse_id.clone().map(Value::Text)).collect() }
}

fn sku(fact: &MappedFact) -> Option<&String> {
    match &fact.data {
        Data::InventoryUpdated(data) => Some(&data.sku),
        Data::InventoryAdjusted(data) => Some(&data.sku),
        _ => None,
    }
}

fn warehouse(fact: &MappedFact) -> Option<&String> {
    match &fact.data {
        Data::InventoryUpdated(data) => data.warehouse_id.as_ref(),
        Data::InventoryAdjusted(data) => data.warehouse_id.as_ref(),
        _ => None,
    }
}

fn item_of(fact: &MappedFact) -> Option<&Item> {
    match &fact.data {
        Data::InventoryUpdated(data) => Some(&data.item),
        Data::InventoryAdjusted(data) => Some(&data.item),
        _ => None,
    }
}

fn alts(fact: &MappedFact) -> std::slice::Iter<'_, String> {
    item_of(fact).map_or(&[][..], |item| &item.sku_alt[..]).iter()
}

fn sequence(fact: &MappedFact) -> Option<u64> {
    match &fact.data {
        Data::OrderUpdated(data) => data.sequence,
        _ => item_of(fact).and_then(|item| item.sequence),
    }
}

/// Fields of the ground truth that no fact carries, and why.
const IGNORED: &[(&str, &str)] = &[
    ("eventId", "the envelope carries it (externalEventId)"),
    ("eventType", "the envelope carries it"),
    ("eventTime", "when the message was sent; occurredAt is when it was so"),
    ("eventKey", "names the level, not the event; no fact needs it"),
    ("vendorId", "the envelope carries it"),
    ("messageType", "the envelope carries it (eventType)"),
    ("schemaVersion", "of the vendor's message, not of the fact"),
    ("warehouseName", "master data of places"),
    ("stockStatus", "a word, not a quantity"),
    ("stockState", "decides whether it is stock on hand; the fact is the outcome"),
    ("manageStock", "decides whether there is a quantity; the fact is the outcome"),
    ("method", "decides between level and change; the fact's type says it"),
    ("fromState", "decides the sign of the change"),
    ("toState", "decides the sign of the change"),
    ("statusId", "the number of the status, whose word is vendorStatus"),
    ("statusPrevious", "a fact says how it is, not how it was"),
    ("fulfillmentStatus", "goes into status; vendorStatus keeps one word"),
    ("invoiceId", "the fact is about the order that the invoice bills"),
    ("invoiceNumber", "the fact is about the order that the invoice bills"),
    ("quantityBin", "of one bin, not of the warehouse"),
    ("quantityPrevious", "a term of the level that the fact has"),
    ("quantityOnHandTotal", "of the whole account, beside the warehouse's"),
    ("binLocation", "a place within the warehouse"),
    ("availabilityCode", "a word, not a quantity"),
    ("orderIdCustomer", "the buyer's order, which may be several of the seller's"),
    ("isFullSnapshot", "what a list leaves out is not said to be 0"),
    ("shipmentId", "the fact is about the order that is shipped"),
    ("line.quantityShipped", "a line says what was ordered"),
    ("line.quantityAccepted", "a line says what was ordered"),
    ("line.lineTotal", "a line has the price of one unit, where the payload says it"),
    ("plant", "the storage location is the place"),
    ("stockType", "unrestricted stock has no condition; other types have theirs"),
    ("binId", "a place within the warehouse"),
    ("orderType", "what kind of order it is decides nothing here"),
    ("stockDecoy", "stock of an unknown place, said beside an order"),
    ("plannedDate", "no fact has a planned date"),
    ("logTime", "when the reader wrote its log line"),
    ("customerId", "no fact has the customer"),
    ("customerPo", "the customer's own number"),
    ("line.scheduleLine", "lines are known by their item"),
    ("line.deliveryDate", "no line has a planned date"),
    ("line.priceBaseQty", "goes into the price of one unit"),
    ("line.amount", "a line has the price of one unit, where the payload says it"),
    ("action", "decides, with the business step, whether and how stock changes"),
];
