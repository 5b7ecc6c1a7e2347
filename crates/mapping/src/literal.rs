//! What a value means: as text, as a decimal, as a status; and values written in documents.

use std::borrow::Cow;

use contract::Decimal;
use contract::canonical::{MAX_SEQUENCE, OrderStatus};

use crate::fields::{Field, Takes, is_currency};
use crate::number::Number;
use crate::value::Value;
use crate::yaml::{Error, Kind, Node};

/// A value written in the document, checked against what the field takes. `null` means absent.
pub fn literal(node: &Node, field: &Field) -> Result<Value, Error> {
    let Kind::Scalar { text, plain } = &node.kind else {
        return Err(node.error(format!("must be a plain value, not {}", node.kind_name())));
    };
    let value = match (plain, text.as_str()) {
        (true, "" | "~" | "null") => Value::Null,
        (true, "true") => Value::Bool(true),
        (true, "false") => Value::Bool(false),
        (true, text) if serde_json::from_str::<serde_json::Number>(text).is_ok() => {
            Value::Number(Number::new(text))
        }
        (_, text) => Value::string(text),
    };
    if value.is_absent() {
        return Ok(Value::Null);
    }
    let shown = value.shown();
    let problem = match field.takes {
        Takes::Decimal => decimal_of(&value).err(),
        Takes::Status => match text_of(&value).ok().and_then(|text| status_of(&text)) {
            Some(_) => None,
            None => {
                Some(format!("{shown} is no status; they are {}", STATUSES.map(|(name, _)| name).join(", ")))
            }
        },
        Takes::Boolean if !matches!(value, Value::Bool(_)) => {
            Some(format!("{shown} is neither true nor false"))
        }
        Takes::Currency if !is_currency(text) => Some(format!("{shown} is no ISO 4217 code like USD")),
        Takes::Sequence => sequence_of(&value).err(),
        Takes::Text | Takes::Texts => id_of(&value).err(),
        _ => None,
    };
    problem.map_or(Ok(value), |problem| Err(node.error(problem)))
}

/// Text, or a number's digits as they were written.
pub fn id_of(value: &Value) -> Result<String, String> {
    match value {
        Value::Bool(_) => {
            Err("text or a number is needed, not a boolean; translate it with `map`".to_owned())
        }
        other => text_of(other),
    }
}

/// The word by which `map` and `match` know a value.
pub fn text_of(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        other => Err(format!("text or a number is needed, not {}", other.kind())),
    }
}

/// A whole number from 0 that the public schemas can carry.
pub fn sequence_of(value: &Value) -> Result<u64, String> {
    let number = text_of(value).ok().and_then(|text| text.parse().ok());
    let wrong = || format!("{} is not a whole number from 0 to 2^63-1", value.shown());
    number.filter(|number| *number <= MAX_SEQUENCE).ok_or_else(wrong)
}

/// An exact decimal, from a number or a numeric text.
pub fn decimal_of(value: &Value) -> Result<Decimal, String> {
    match value {
        Value::String(text) => Decimal::parse(&plain(text)).map_err(|error| error.to_string()),
        Value::Number(number) => Decimal::parse(&number.to_string()).map_err(|error| error.to_string()),
        other => Err(format!("a number or a numeric text is needed, not {}", other.kind())),
    }
}

/// The same number in JSON's grammar. X12 leaves leading zeros out (`.5`), XML Schema's decimals may have a plus sign
/// and a bare point (`+5.`); none of them can be mistaken.
fn plain(text: &str) -> Cow<'_, str> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_other = text.starts_with('+') || unsigned.starts_with('.') || unsigned.ends_with('.');
    if !is_other || !(digits(whole) || whole.is_empty() && digits(fraction)) {
        return Cow::Borrowed(text);
    }
    let fits = fraction.is_empty() || digits(fraction);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction {
        _ if !fits => Cow::Borrowed(text),
        "" => Cow::Owned(format!("{sign}{whole}")),
        fraction => Cow::Owned(format!("{sign}{whole}.{fraction}")),
    }
}

const STATUSES: [(&str, OrderStatus); 11] = [
    ("PENDING", OrderStatus::Pending),
    ("OPEN", OrderStatus::Open),
    ("ON_HOLD", OrderStatus::OnHold),
    ("PARTIALLY_SHIPPED", OrderStatus::PartiallyShipped),
    ("SHIPPED", OrderStatus::Shipped),
    ("DELIVERED", OrderStatus::Delivered),
    ("COMPLETED", OrderStatus::Completed),
    ("CANCELLED", OrderStatus::Cancelled),
    ("REFUNDED", OrderStatus::Refunded),
    ("RETURNED", OrderStatus::Returned),
    ("UNSTATED", OrderStatus::Unstated),
];

/// The state of an order by its name.
pub fn status_of(text: &str) -> Option<OrderStatus> {
    STATUSES.iter().find(|(name, _)| *name == text).map(|(_, status)| *status)
}
