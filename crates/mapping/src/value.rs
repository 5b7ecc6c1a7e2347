//! Values as paths and filters see them: JSON with exact numbers, cheap to clone.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use contract::Json;
use indexmap::IndexMap;

use crate::fuel::{charge, check_depth};
use crate::number::Number;

/// A JSON value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, exact.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(Arc<List>),
    /// An object.
    Object(Arc<Table>),
}

/// The items of an array.
#[derive(Debug, Default)]
pub struct List {
    depth: u16,
    /// In order.
    pub items: Vec<Value>,
}

/// The members of an object.
#[derive(Debug, Default)]
pub struct Table {
    depth: u16,
    /// In the order in which they were written.
    pub members: Members,
}

/// Members by name.
pub type Members = IndexMap<Arc<str>, Value>;

impl Value {
    /// A string.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    /// An array.
    pub fn array(items: Vec<Self>) -> Self {
        charge(items.len() as u64 * 4);
        let depth = 1 + items.iter().map(Self::depth).max().unwrap_or(0);
        check_depth(depth);
        Self::Array(Arc::new(List { depth, items }))
    }

    /// An object.
    pub fn object(members: Members) -> Self {
        charge(members.len() as u64 * 4);
        let depth = 1 + members.values().map(Self::depth).max().unwrap_or(0);
        check_depth(depth);
        Self::Object(Arc::new(Table { depth, members }))
    }

    fn depth(&self) -> u16 {
        match self {
            Self::Array(list) => list.depth,
            Self::Object(table) => table.depth,
            _ => 0,
        }
    }

    /// Missing, `null` and a text of nothing but blanks all say nothing.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Null => true,
            Self::String(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// An element of XML with attributes (`{"@unit": "EA", "#text": "5"}`) says what its text says.
    pub fn take_text(&mut self) {
        let Self::Object(table) = self else { return };
        let Some(text) = table.members.get("#text") else { return };
        if table.members.keys().all(|name| name.starts_with('@') || **name == *"#text") {
            *self = text.clone();
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The value as a person may see it in a message: compact JSON, cut off.
    pub fn shown(&self) -> String {
        shown(self)
    }

    /// The rank of the value's type in jq's order.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Number(_) => 3,
            Self::String(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) => 6,
        }
    }
}

/// At most 120 bytes of what `value` displays.
pub fn shown(value: &impl fmt::Display) -> String {
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                if self.0.len() >= 120 {
                    self.0.push('…');
                    return Err(fmt::Error);
                }
                self.0.push(character);
            }
            Ok(())
        }
    }
    let mut text = Bounded(String::new());
    // An error is how the bound ends the writing; what was written stands.
    let _ = write!(text, "{value}");
    text.0
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(text) => Self::Number(Number::new(text)),
            Json::String(text) => Self::string(text.as_str()),
            Json::Array(items) => Self::array(items.iter().map(Self::from).collect()),
            Json::Object(members) => {
                let member = |(key, value): &(String, Json)| (Arc::from(key.as_str()), Self::from(value));
                Self::object(members.iter().map(member).collect())
            }
        }
    }
}

impl fmt::Display for Value {
    /// Compact JSON; numbers as they were written.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        charge(1);
        let string = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::String(text) => {
                charge(text.len() as u64 / 16);
                formatter.write_str(&string(text)?)
            }
            Self::Array(list) => {
                formatter.write_str("[")?;
                for (index, item) in list.items.iter().enumerate() {
                    write!(formatter, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                formatter.write_str("]")
            }
            Self::Object(table) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in table.members.iter().enumerate() {
                    write!(formatter, "{}{}:{value}", if index == 0 { "" } else { "," }, string(key)?)?;
                }
                formatter.write_str("}")
            }
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// jq's order: null, false, true, numbers, strings, arrays, objects.
    fn cmp(&self, other: &Self) -> Ordering {
        charge(1);
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => {
                charge(a.len().min(b.len()) as u64 / 16);
                a.cmp(b)
            }
            (Self::Array(a), Self::Array(b)) => a.items.cmp(&b.items),
            (Self::Object(a), Self::Object(b)) => {
                let sorted = |table: &Table| {
                    charge(table.members.len() as u64 * 4);
                    let mut members: Vec<_> =
                        table.members.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                    members.sort_by(|(a, _), (b, _)| a.cmp(b));
                    members
                };
                let (a, b) = (sorted(a), sorted(b));
                let keys = a.iter().map(|(key, _)| key).cmp(b.iter().map(|(key, _)| key));
                keys.then_with(|| a.iter().map(|(_, value)| value).cmp(b.iter().map(|(_, value)| value)))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Value {
    fn from(value: isize) -> Self {
        charge(1);
        Self::Number(Number::Int(value as i64))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Number(Number::new(&value.to_string()))
    }
}

impl From<f64> for Value {
    /// Asked for by jaq's traits; no function that is available to filters makes a float.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(Number::new(&format!("{value}"))) } else { Self::Null }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        charge(1 + text.len() as u64 / 16);
        Self::string(text)
    }
}

impl From<std::ops::Range<Option<Self>>> for Value {
    fn from(range: std::ops::Range<Option<Self>>) -> Self {
        let bound = |key: &str, bound: Option<Self>| bound.map(|bound| (Arc::from(key), bound));
        Self::object(bound("start", range.start).into_iter().chain(bound("end", range.end)).collect())
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        let charged = |item| {
            charge(4);
            item
        };
        Self::array(items.into_iter().map(charged).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_read_and_cuts_it() {
        for text in ["[1e400,-0,0.10,{\"a\":[]},\"\\u0000\",true,null]", "12345678901234567890"] {
            let json = Json::parse(text.as_bytes()).expect("json");
            assert_eq!(Value::from(&json).to_string(), text);
        }
        let long = Value::string("x".repeat(1_000)).shown();
        assert!(long.len() < 130 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn order_is_that_of_jq() {
        let value = |text: &str| Value::from(&Json::parse(text.as_bytes()).expect("json"));
        let ordered =
            ["null", "false", "true", "-1", "0.1", "10", "\"\"", "\"a\"", "[]", "[1]", "{}", r#"{"a":1}"#];
        for pair in ordered.windows(2) {
            assert!(value(pair[0]) < value(pair[1]), "{pair:?}");
        }
        assert_eq!(value(r#"{"a":1,"b":2}"#), value(r#"{"b":2.0,"a":1}"#));
    }
}
