//! The fields of the canonical types, as mapping documents name them.

/// What a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Text; a number keeps its digits.
    Text,
    /// Several texts.
    Texts,
    /// An exact decimal.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// A whole number from 0.
    Sequence,
    /// An instant.
    Time,
    /// Three capital letters.
    Currency,
    /// One of the order states.
    Status,
    /// Order lines.
    Lines,
}

/// How much a field is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A fact without it says nothing.
    Always,
    /// It is given, or the document says that the payload cannot say it.
    Stated,
    /// It may be absent.
    May,
}

/// A field of a canonical type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// How much it is needed.
    pub need: Need,
}

const fn field(name: &'static str, takes: Takes, need: Need) -> Field {
    Field { name, takes, need }
}

/// The canonical types that a mapping can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Absolute stock.
    InventoryUpdated,
    /// A change of stock.
    InventoryAdjusted,
    /// The state of an order.
    OrderUpdated,
}

/// Names of the quantities of which absolute stock has at least one.
pub const QUANTITIES: [&str; 4] =
    ["quantityOnHand", "quantityAvailable", "quantityReserved", "quantityIncoming"];

const INVENTORY_UPDATED: &[Field] = &[
    field("sku", Takes::Text, Need::Always),
    field("warehouseId", Takes::Text, Need::Stated),
    field("quantityOnHand", Takes::Decimal, Need::May),
    field("quantityAvailable", Takes::Decimal, Need::May),
    field("quantityReserved", Takes::Decimal, Need::May),
    field("quantityIncoming", Takes::Decimal, Need::May),
    field("skuAlt", Takes::Texts, Need::May),
    field("gtin", Takes::Text, Need::May),
    field("unitOfMeasure", Takes::Text, Need::May),
    field("lot", Takes::Text, Need::May),
    field("expiry", Takes::Text, Need::May),
    field("condition", Takes::Text, Need::May),
    field("sequence", Takes::Sequence, Need::May),
    field("discontinued", Takes::Boolean, Need::May),
    field("occurredAt", Takes::Time, Need::May),
];

const INVENTORY_ADJUSTED: &[Field] = &[
    field("sku", Takes::Text, Need::Always),
    field("warehouseId", Takes::Text, Need::Stated),
    field("delta", Takes::Decimal, Need::Always),
    field("reason", Takes::Text, Need::May),
    field("counterpartWarehouseId", Takes::Text, Need::May),
    field("skuAlt", Takes::Texts, Need::May),
    field("gtin", Takes::Text, Need::May),
    field("unitOfMeasure", Takes::Text, Need::May),
    field("lot", Takes::Text, Need::May),
    field("expiry", Takes::Text, Need::May),
    field("condition", Takes::Text, Need::May),
    field("sequence", Takes::Sequence, Need::May),
    field("occurredAt", Takes::Time, Need::May),
];

const ORDER_UPDATED: &[Field] = &[
    field("orderId", Takes::Text, Need::Always),
    field("orderNumber", Takes::Text, Need::May),
    field("status", Takes::Status, Need::Always),
    field("vendorStatus", Takes::Text, Need::May),
    field("currency", Takes::Currency, Need::May),
    field("total", Takes::Decimal, Need::May),
    field("createdAt", Takes::Time, Need::May),
    field("sequence", Takes::Sequence, Need::May),
    field("lines", Takes::Lines, Need::May),
    field("occurredAt", Takes::Time, Need::May),
];

/// The fields of an order's line.
pub const LINE: &[Field] = &[
    field("lineId", Takes::Text, Need::May),
    field("sku", Takes::Text, Need::May),
    field("description", Takes::Text, Need::May),
    field("quantity", Takes::Decimal, Need::May),
    field("unit", Takes::Text, Need::May),
    field("unitPrice", Takes::Decimal, Need::May),
    field("status", Takes::Text, Need::May),
];

/// The ends of a transfer.
pub const TRANSFER_END: Field = field("warehouseId", Takes::Text, Need::Always);

impl Type {
    /// The canonical types, by name.
    pub const ALL: [(&'static str, Self); 3] = [
        ("InventoryUpdated", Self::InventoryUpdated),
        ("InventoryAdjusted", Self::InventoryAdjusted),
        ("OrderUpdated", Self::OrderUpdated),
    ];

    /// Its fields.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::InventoryUpdated => INVENTORY_UPDATED,
            Self::InventoryAdjusted => INVENTORY_ADJUSTED,
            Self::OrderUpdated => ORDER_UPDATED,
        }
    }
}

/// Digits after the point in the minor unit of a currency (ISO 4217), where it is not two.
const MINOR_UNITS: [(&str, u32); 26] = [
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("ISK", 0),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("PYG", 0),
    ("RWF", 0),
    ("UGX", 0),
    ("UYI", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
    ("BHD", 3),
    ("IQD", 3),
    ("JOD", 3),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("TND", 3),
    ("CLF", 4),
    ("UYW", 4),
];

/// Digits after the point in the minor unit of a currency.
pub fn minor_digits(currency: &str) -> u32 {
    MINOR_UNITS.iter().find(|(code, _)| *code == currency).map_or(2, |(_, digits)| *digits)
}

/// Three capital letters.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}
