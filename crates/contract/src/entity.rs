//! Entity keys: what a fact is about, and so what owns one partition, one state and one order.

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization;

use crate::{Code, VendorId, ids};

/// Most bytes of one part after escaping.
pub const MAX_PART: usize = 256;
/// Most bytes of an entity key (DynamoDB keeps 2,048 of a partition key; index keys need room).
pub const MAX_ENTITY: usize = 1_100;

/// What a fact is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Entity {
    /// Stock: `vendor|warehouse|sku|lot|condition`; a part that is not stated is empty.
    Stock {
        /// Who says it.
        vendor: VendorId,
        /// `None` where the vendor states a total over its warehouses.
        warehouse: Option<String>,
        /// The vendor's item id.
        sku: String,
        /// Batch or lot.
        lot: Option<String>,
        /// Condition, for example `NEW` or `DAMAGED`.
        condition: Option<String>,
    },
    /// An order: `vendor|orderId`.
    Order {
        /// Who says it.
        vendor: VendorId,
        /// The vendor's order id.
        order_id: String,
    },
}

/// A part or the whole does not fit the stores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} has {bytes} bytes after escaping; at most {most} are kept")]
pub struct TooLong {
    /// Which part.
    pub part: &'static str,
    /// Its length in bytes.
    pub bytes: usize,
    /// The bound.
    pub most: usize,
}

impl TooLong {
    /// Stable code.
    pub const CODE: Code = Code::EntityTooLong;
}

impl Entity {
    /// The key: parts in Unicode NFC, `%`, `|` and control characters percent-escaped, joined by `|`.
    pub fn key(&self) -> Result<String, TooLong> {
        let part = |name, text: &str| {
            let text = escape(text);
            let bytes = text.len();
            if bytes > MAX_PART { Err(TooLong { part: name, bytes, most: MAX_PART }) } else { Ok(text) }
        };
        let key = match self {
            Self::Stock { vendor, warehouse, sku, lot, condition } => {
                let warehouse = part("warehouseId", warehouse.as_deref().unwrap_or(""))?;
                let lot = part("lot", lot.as_deref().unwrap_or(""))?;
                let condition = part("condition", condition.as_deref().unwrap_or(""))?;
                format!("{vendor}|{warehouse}|{}|{lot}|{condition}", part("sku", sku)?)
            }
            Self::Order { vendor, order_id } => format!("{vendor}|{}", part("orderId", order_id)?),
        };
        match key.len() {
            bytes if bytes > MAX_ENTITY => Err(TooLong { part: "entity", bytes, most: MAX_ENTITY }),
            _ => Ok(key),
        }
    }
}

/// Whose an entity is, from its [key](Entity::key), which starts with it.
pub fn vendor_of(key: &str) -> Result<VendorId, ids::Error> {
    VendorId::parse(key.split_once('|').map_or(key, |(vendor, _)| vendor))
}

/// Reads the [key](Entity::key) of stock; `None` where it is none. Parts come back in NFC.
pub fn stock_of(key: &str) -> Option<Entity> {
    let parts: Vec<&str> = key.split('|').collect();
    let [vendor, warehouse, sku, lot, condition] = parts.as_slice() else { return None };
    let part = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
    let stated = |text: &str| part(text).map(|text| Some(text).filter(|text| !text.is_empty()));
    Some(Entity::Stock {
        vendor: VendorId::parse(*vendor).ok()?,
        warehouse: stated(warehouse)?,
        sku: part(sku)?,
        lot: stated(lot)?,
        condition: stated(condition)?,
    })
}

fn escape(text: &str) -> String {
    // Most ids: ASCII is in NFC.
    if text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'|') || byte == b' ') {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.nfc() {
        if character == '%' || character == '|' || character.is_control() {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(warehouse: Option<&str>, sku: &str) -> Entity {
        Entity::Stock {
            vendor: VendorId::parse("acme").expect("id"),
            warehouse: warehouse.map(str::to_owned),
            sku: sku.to_owned(),
            lot: None,
            condition: None,
        }
    }

    #[test]
    fn a_key_says_whose_it_is() {
        let order =
            Entity::Order { vendor: VendorId::parse("acme").expect("id"), order_id: "a|b".to_owned() };
        for entity in [stock(Some("zeta|w"), "A"), stock(None, ""), order] {
            let vendor = vendor_of(&entity.key().expect("short"));
            assert_eq!(vendor.expect("a vendor").as_str(), "acme", "{entity:?}");
        }
        for other in ["", "|w|A", "a b|w|A", "???"] {
            assert!(vendor_of(other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_key_of_stock_reads_back() {
        for entity in [stock(Some("w|1"), "A%7Cb"), stock(None, "caf\u{e9}\r\n"), stock(None, "")] {
            assert_eq!(stock_of(&entity.key().expect("short")), Some(entity));
        }
        for other in ["acme|order-1", "acme||A|", "a b||A||", ""] {
            assert_eq!(stock_of(other), None, "{other}");
        }
    }

    #[test]
    fn one_key_per_thing() {
        assert_eq!(stock(Some("w1"), "A").key().as_deref(), Ok("acme|w1|A||"));
        assert_eq!(stock(None, "A").key().as_deref(), Ok("acme||A||"));
        assert_eq!(stock(None, "caf\u{e9}").key(), stock(None, "cafe\u{301}").key());
        assert_ne!(stock(Some("a|b"), "c").key(), stock(Some("a"), "b|c").key());
        assert_ne!(stock(None, "a%7Cb").key(), stock(None, "a|b").key());
        assert_eq!(stock(None, "a\r\nb").key().as_deref(), Ok("acme||a%0D%0Ab||"));
        assert!(stock(None, &"x".repeat(257)).key().is_err());
        assert!(stock(None, &"\n".repeat(86)).key().is_err());
    }
}
