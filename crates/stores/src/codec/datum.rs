//! JSON to Avro datum and back, walking a schema that was read once.
//!
//! Only what the public schemas use: null, boolean, int, long, string, enum, array, record and
//! `["null", …]`. No floating point: a quantity must not pass through one. Strict both ways: members
//! that the schema does not know, missing members without a default, and bytes that end early or late
//! are errors. A field that equals its default is absent in JSON, as the contract's types write it.

use apache_avro::Schema;
use apache_avro::schema::Name;
use serde_json::{Map, Number, Value};

/// A schema, ready to be walked.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    String,
    Enum(Vec<String>),
    Array(Box<Node>),
    /// `["null", X]`, or the other way round.
    Optional {
        null_index: i64,
        some: Box<Node>,
    },
    Record(Vec<Field>),
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    name: String,
    node: Node,
    default: Option<Value>,
}

impl Node {
    /// Reads a schema's text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let schema = Schema::parse_str(text).map_err(|error| error.to_string())?;
        Self::of(&schema, &mut Vec::new())
    }

    /// `named` holds the records and enums that are complete: one that refers to itself is not found.
    fn of(schema: &Schema, named: &mut Vec<(Name, Node)>) -> Result<Self, String> {
        Ok(match schema {
            Schema::Null => Self::Null,
            Schema::Boolean => Self::Boolean,
            Schema::Int => Self::Int,
            Schema::Long => Self::Long,
            Schema::String => Self::String,
            Schema::Enum(schema) => {
                let node = Self::Enum(schema.symbols.clone());
                named.push((schema.name.clone(), node.clone()));
                node
            }
            Schema::Array(schema) => match Self::of(&schema.items, named)? {
                Self::Null => return Err("arrays of null are not supported".to_owned()),
                items => Self::Array(Box::new(items)),
            },
            Schema::Union(schema) => match schema.variants() {
                [Schema::Null, some] => {
                    Self::Optional { null_index: 0, some: Box::new(Self::of(some, named)?) }
                }
                [some, Schema::Null] => {
                    Self::Optional { null_index: 1, some: Box::new(Self::of(some, named)?) }
                }
                _ => return Err("unions other than [\"null\", …] are not supported".to_owned()),
            },
            Schema::Record(schema) if schema.fields.is_empty() => {
                return Err(format!("record {} has no fields", schema.name));
            }
            Schema::Record(schema) => {
                let mut fields = Vec::with_capacity(schema.fields.len());
                for field in &schema.fields {
                    let node = Self::of(&field.schema, named)?;
                    fields.push(Field { name: field.name.clone(), node, default: field.default.clone() });
                }
                let node = Self::Record(fields);
                named.push((schema.name.clone(), node.clone()));
                node
            }
            Schema::Ref { name } => match named.iter().find(|(known, _)| known == name) {
                Some((_, node)) => node.clone(),
                None => return Err(format!("{name} is not defined before it is used")),
            },
            other => return Err(format!("{other:?} is not supported")),
        })
    }

    /// Appends `value`'s datum to `out`.
    pub(super) fn encode(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let wrong = |what: &str| Err(Mismatch::new(format!("is not {what}")));
        match self {
            Self::Null if value.is_null() => {}
            Self::Null => return wrong("null"),
            Self::Boolean => match value.as_bool() {
                Some(flag) => out.push(u8::from(flag)),
                None => return wrong("a boolean"),
            },
            Self::Int => match value.as_i64() {
                Some(number) if i32::try_from(number).is_ok() => put_long(number, out),
                _ => return wrong("a whole number of 32 bits"),
            },
            Self::Long => match value.as_i64() {
                Some(number) => put_long(number, out),
                None => return wrong("a whole number of 64 bits"),
            },
            Self::String => match value.as_str() {
                Some(text) => put_bytes(text.as_bytes(), out),
                None => return wrong("a string"),
            },
            Self::Enum(symbols) => match symbols.iter().position(|symbol| value == symbol.as_str()) {
                Some(index) => put_length(index, out),
                None => return wrong("one of the schema's symbols"),
            },
            Self::Array(node) => {
                let Some(items) = value.as_array() else { return wrong("an array") };
                if !items.is_empty() {
                    put_length(items.len(), out);
                    for (index, item) in items.iter().enumerate() {
                        node.encode(item, out).map_err(|error| error.within(&index.to_string()))?;
                    }
                }
                put_length(0, out);
            }
            Self::Optional { null_index, .. } if value.is_null() => put_long(*null_index, out),
            Self::Optional { null_index, some } => {
                put_long(1 - null_index, out);
                some.encode(value, out)?;
            }
            Self::Record(fields) => {
                let Some(members) = value.as_object() else { return wrong("an object") };
                encode_record(fields, members, out)?;
            }
        }
        Ok(())
    }

    /// Reads one datum off the front of `input`.
    pub(super) fn decode(&self, input: &mut &[u8]) -> Result<Value, Mismatch> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean => match take(input, 1)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                _ => return Err(Mismatch::new("a boolean is neither 0 nor 1")),
            },
            Self::Int => {
                let number = take_long(input)?;
                let number = i32::try_from(number).map_err(|_| Mismatch::new("an int is out of range"))?;
                Value::Number(number.into())
            }
            Self::Long => Value::Number(Number::from(take_long(input)?)),
            Self::String => {
                let length = take_length(input)?;
                let text = std::str::from_utf8(take(input, length)?)
                    .map_err(|_| Mismatch::new("a string is not UTF-8"))?;
                Value::String(text.to_owned())
            }
            Self::Enum(symbols) => {
                let index = usize::try_from(take_long(input)?).unwrap_or(usize::MAX);
                let symbol = symbols.get(index).ok_or_else(|| Mismatch::new("an enum is out of range"))?;
                Value::String(symbol.clone())
            }
            Self::Array(node) => decode_array(node, input)?,
            Self::Optional { null_index, some } => match take_long(input)? {
                index if index == *null_index => Value::Null,
                0 | 1 => some.decode(input)?,
                _ => return Err(Mismatch::new("a union's index is out of range")),
            },
            Self::Record(fields) => {
                let mut members = Map::new();
                for field in fields {
                    let value = field.node.decode(input).map_err(|error| error.within(&field.name))?;
                    if field.default.as_ref() != Some(&value) {
                        members.insert(field.name.clone(), value);
                    }
                }
                Value::Object(members)
            }
        })
    }
}

fn encode_record(fields: &[Field], members: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let mut known = 0;
    for field in fields {
        let value = match (members.get(&field.name), &field.default) {
            (Some(value), _) => {
                known += 1;
                value
            }
            (None, Some(default)) => default,
            (None, None) => return Err(Mismatch::new("is missing").within(&field.name)),
        };
        field.node.encode(value, out).map_err(|error| error.within(&field.name))?;
    }
    if known == members.len() {
        return Ok(());
    }
    let stranger = members.keys().find(|name| fields.iter().all(|field| field.name != **name));
    Err(Mismatch::new("is not in the schema").within(stranger.map_or("", String::as_str)))
}

fn decode_array(node: &Node, input: &mut &[u8]) -> Result<Value, Mismatch> {
    let mut items = Vec::new();
    loop {
        let count = take_long(input)?;
        if count == 0 {
            return Ok(Value::Array(items));
        }
        if count < 0 {
            take_length(input)?; // the block's size in bytes, which only readers that skip it need
        }
        let count = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        // Every supported item has a byte at least, so that a lie about the count costs no memory.
        if count > input.len() {
            return Err(Mismatch::new("an array claims more items than bytes are left"));
        }
        for _ in 0..count {
            let index = items.len();
            items.push(node.decode(input).map_err(|error| error.within(&index.to_string()))?);
        }
    }
}

/// A value and a schema, or bytes and a schema, do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// From the inside out.
    path: Vec<String>,
    problem: String,
}

impl Mismatch {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }

    fn within(mut self, name: &str) -> Self {
        self.path.push(name.to_owned());
        self
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in self.path.iter().rev() {
            write!(formatter, "/{name}")?;
        }
        write!(formatter, " {}", self.problem)
    }
}

/// Zigzag, then seven bits a byte, low ones first.
fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut bits = (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned();
    while bits >= 0x80 {
        out.push((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    put_long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], Mismatch> {
    let (front, rest) = input.split_at_checked(length).ok_or_else(|| Mismatch::new("ends early"))?;
    *input = rest;
    Ok(front)
}

fn take_long(input: &mut &[u8]) -> Result<i64, Mismatch> {
    let mut bits = 0u64;
    for (index, byte) in input.iter().enumerate() {
        // The tenth byte holds the 64th bit and no more.
        if index > 9 || (index == 9 && *byte > 1) {
            return Err(Mismatch::new("a number has more than 64 bits"));
        }
        bits |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *input = &input[index + 1..];
            return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
        }
    }
    Err(Mismatch::new("ends early"))
}

fn take_length(input: &mut &[u8]) -> Result<usize, Mismatch> {
    usize::try_from(take_long(input)?).map_err(|_| Mismatch::new("a length is negative"))
}

#[cfg(test)]
#[path = "datum_tests.rs"]
mod tests;
