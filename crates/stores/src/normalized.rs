//! `normalized/…`: what normalize made of an event. **The object is the truth that is published.**
//!
//! Body: one fact a line, each a JSON object, each line ended by a line feed; in the order of (line,
//! leg, revision). A (line, leg) has at most one fact that stands and any number of retractions, at
//! most one under each key (entity, type, fold key). The last member of each is `activation`, that of
//! the mapping that made the object; an object without facts is the one line `{"activation":N}`. The
//! rest is metadata: the mapping, the event.
//!
//! The activation is in the body because an entity tag speaks of the body alone: a rewrite under
//! another activation changes the tag even where the facts stay, so that whoever read the object
//! before cannot put an older state in its place.
//!
//! What goes to `dvss.normalized` is a function of the object alone ([`Object::outputs`]), so that
//! whoever publishes it, and however often, publishes the same records.

use std::sync::Arc;

use bytes::Bytes;
use contract::canonical::{Fact, FoldKey};
use contract::entity::TooLong;
use contract::{ExternalEventId, IngestId, VendorId, headers, topics};
use ports::Blobs;
use ports::blobs::{self, Condition, Metadata};
use ports::log::Record;
use runtime::Output;

/// One line of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The fact.
    pub fact: Fact,
    /// Its bytes, without the object's activation: the value of its record. Those of a stored line
    /// never change.
    pub bytes: Bytes,
}

impl Line {
    /// A new line.
    pub fn new(fact: Fact) -> Self {
        let bytes = serde_json::to_vec(&fact).expect("a fact has text keys and no floats");
        Self { fact, bytes: bytes.into() }
    }
}

/// What makes a fact's row downstream: two facts of one line and leg with equal keys are revisions
/// of one row, with different keys they are rows of their own.
pub type LineKey = (String, &'static str, FoldKey);

/// The key of a fact.
pub fn line_key(fact: &Fact) -> Result<LineKey, TooLong> {
    Ok((fact.entity_key()?, fact.data.name(), fact.fold_key()))
}

/// What an object says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The activation of the mapping that made it; it never goes back.
    pub activation: u64,
    /// The mapping, as `owner/eventType/version`.
    pub mapping: String,
    /// Who said it.
    pub vendor_id: VendorId,
    /// The event.
    pub ingest_id: IngestId,
    /// The vendor's id of it.
    pub external_event_id: ExternalEventId,
    /// W3C trace context of the event, where it had one.
    pub traceparent: Option<String>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it says about itself.
    pub head: Head,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

/// An object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object.
    pub object: Object,
    /// For [`Condition::Match`].
    pub etag: String,
}

/// Why an object could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// It is damaged: its bytes are not those that were written, or not an object of normalize's.
    #[error("{key} is not a normalized object: {problem}")]
    Unreadable {
        /// The object's key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// What stands before the activation, behind the last member of a fact. In a text the quotes would be
/// escaped.
const ACTIVATION: &str = r#","activation":"#;
const MAPPING: &str = "mapping";

impl Object {
    /// The records for `dvss.normalized`: one a line, in order, keyed by entity.
    pub fn outputs(&self) -> Result<Vec<Output>, TooLong> {
        let text = |name: &str, value: &str| (name.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
        let mut headers = vec![
            text(headers::VENDOR_ID, self.head.vendor_id.as_str()),
            text(headers::INGEST_ID, &self.head.ingest_id.to_string()),
        ];
        headers.extend(self.head.traceparent.iter().map(|trace| text(headers::TRACEPARENT, trace)));
        let topic: Arc<str> = topics::NORMALIZED.into();
        let output = |line: &Line| {
            let record = Record {
                topic: Arc::clone(&topic),
                partition: None,
                key: Some(line.fact.entity_key()?.into()),
                value: line.bytes.clone(),
                headers: headers.clone(),
            };
            Ok(Output::from(record))
        };
        self.lines.iter().map(output).collect()
    }

    /// How many lines there are: the index row's `facts`. Each of them gets coordinates.
    pub fn count(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }

    fn body(&self) -> Bytes {
        let tail = format!("{ACTIVATION}{}}}\n", self.head.activation);
        if self.lines.is_empty() {
            return tail.replacen(',', "{", 1).into();
        }
        let length = self.lines.iter().map(|line| line.bytes.len() + tail.len()).sum();
        let mut body = Vec::with_capacity(length);
        for line in &self.lines {
            body.extend_from_slice(line.bytes.strip_suffix(b"}").unwrap_or(&line.bytes));
            body.extend_from_slice(tail.as_bytes());
        }
        body.into()
    }

    fn metadata(&self) -> Metadata {
        let head = &self.head;
        let mut metadata = Metadata::from([
            (MAPPING.to_owned(), head.mapping.clone()),
            (headers::VENDOR_ID.to_owned(), head.vendor_id.to_string()),
            (headers::INGEST_ID.to_owned(), head.ingest_id.to_string()),
            (headers::EXTERNAL_EVENT_ID.to_owned(), head.external_event_id.to_string()),
        ]);
        metadata.extend(head.traceparent.clone().map(|trace| (headers::TRACEPARENT.to_owned(), trace)));
        metadata
    }

    fn read(bytes: &Bytes, metadata: &Metadata) -> Result<Self, String> {
        let text = |name: &str| metadata.get(name).ok_or_else(|| format!("metadata {name} is missing"));
        let wrong = |name: &str| format!("metadata {name} is unreadable");
        let body = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let body = body.strip_suffix('\n').ok_or("the last line has no end")?;
        let (mut lines, mut activation) = (Vec::new(), None);
        for (index, line) in body.split('\n').enumerate() {
            let of_line = |problem: &dyn std::fmt::Display| format!("line {}: {problem}", index + 1);
            let (fact, made_under) = split(line).ok_or_else(|| of_line(&"it names no activation"))?;
            if activation.is_some_and(|activation| activation != made_under) {
                return Err(of_line(&"it names another activation"));
            }
            activation = Some(made_under);
            if fact == "{" && index == 0 && line.len() == body.len() {
                break;
            }
            let bytes = Bytes::from(format!("{fact}}}"));
            let fact = serde_json::from_slice(&bytes).map_err(|error| of_line(&error))?;
            lines.push(Line { fact, bytes });
        }
        let head = Head {
            activation: activation.ok_or("it names no activation")?,
            mapping: text(MAPPING)?.clone(),
            vendor_id: VendorId::parse(text(headers::VENDOR_ID)?.as_str())
                .map_err(|_| wrong(headers::VENDOR_ID))?,
            ingest_id: IngestId::parse(text(headers::INGEST_ID)?).map_err(|_| wrong(headers::INGEST_ID))?,
            external_event_id: ExternalEventId::parse(text(headers::EXTERNAL_EVENT_ID)?.as_str())
                .map_err(|_| wrong(headers::EXTERNAL_EVENT_ID))?,
            traceparent: metadata.get(headers::TRACEPARENT).cloned(),
        };
        Ok(Self { head, lines })
    }
}

/// A line's fact, its closing brace not with it (of a line without a fact only the opening one), and
/// the activation.
fn split(line: &str) -> Option<(&str, u64)> {
    let line = line.strip_suffix('}')?;
    let (fact, activation) = match line.rsplit_once(ACTIVATION) {
        Some(parts) => parts,
        None => ("{", line.strip_prefix('{')?.strip_prefix(ACTIVATION.trim_start_matches(','))?),
    };
    Some((fact, activation.parse().ok()?))
}

/// Reads an object; `None` where there is none.
pub async fn get(blobs: &dyn Blobs, key: &str) -> Result<Option<Stored>, Error> {
    let unreadable = |problem| Error::Unreadable { key: key.to_owned(), problem };
    let found = match blobs.get(key).await {
        Ok(found) => found,
        Err(blobs::Error::NotFound) => return Ok(None),
        Err(blobs::Error::Corrupt) => return Err(unreadable(blobs::Error::Corrupt.to_string())),
        Err(error) => return Err(error.into()),
    };
    let object = Object::read(&found.bytes, &found.metadata).map_err(unreadable)?;
    Ok(Some(Stored { object, etag: found.etag }))
}

/// Writes an object: where there is none, or in place of the one with the entity tag.
pub async fn put(
    blobs: &dyn Blobs,
    key: &str,
    object: &Object,
    in_place_of: Option<&str>,
) -> Result<(), blobs::Error> {
    let condition = in_place_of.map_or(Condition::Absent, |etag| Condition::Match(etag.to_owned()));
    blobs.put(key, object.body(), object.metadata(), condition).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ingestId":"01J0000000ABCDEFGHJKMNPQRS","line":0,"leg":0,"revision":1,"vendorId":"acme","externalEventId":"e1","eventType":"InventoryUpdated","data":{"sku":"A|B","warehouseId":"w1","quantityOnHand":"15.00"},"schemaVersion":"1.0","occurredAt":"2026-03-16T08:35:06Z","rawRef":{"bucket":"raw","key":"raw/acme/x.json"}}"#;

    fn object() -> Object {
        let fact: Fact = serde_json::from_str(LINE).expect("a fact");
        let head = Head {
            activation: 7,
            mapping: "acme/stock/2".to_owned(),
            vendor_id: fact.vendor_id.clone(),
            ingest_id: fact.ingest_id,
            external_event_id: fact.external_event_id.clone(),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let second = Fact { line: 1, ..fact.clone() };
        Object { head, lines: vec![Line::new(fact), Line::new(second)] }
    }

    #[test]
    fn an_object_reads_back_as_it_was_written() {
        let object = object();
        let body = object.body();
        let first = std::str::from_utf8(&body).expect("text").lines().next().expect("a line");
        assert_eq!(first, format!("{},\"activation\":7}}", &LINE[..LINE.len() - 1]));
        assert_eq!(serde_json::from_str::<Fact>(first).ok(), Some(object.lines[0].fact.clone()), "a fact");
        assert_eq!(Object::read(&body, &object.metadata()), Ok(object.clone()));
        let empty = Object { lines: Vec::new(), ..object };
        assert_eq!(empty.body(), "{\"activation\":7}\n");
        assert_eq!(Object::read(&empty.body(), &empty.metadata()), Ok(empty));
    }

    #[test]
    fn another_activation_is_another_body() {
        for lines in [object().lines, Vec::new()] {
            let older = Object { lines, ..object() };
            let newer = Object { head: Head { activation: 8, ..older.head.clone() }, ..older.clone() };
            assert_ne!(older.body(), newer.body());
            assert_eq!(older.outputs(), newer.outputs(), "the records are the facts'");
        }
    }

    #[test]
    fn a_text_that_looks_like_an_activation_is_a_text() {
        let mut object = object();
        for text in [r#"x,"activation":9"#, r#"x","activation":9}"#] {
            object.lines[1] =
                Line::new(Fact { drift: vec![text.to_owned()], ..object.lines[1].fact.clone() });
            assert_eq!(Object::read(&object.body(), &object.metadata()), Ok(object.clone()));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let object = object();
        let (body, metadata) = (object.body(), object.metadata());
        assert!(Object::read(&body.slice(..body.len() - 1), &metadata).is_err(), "the last line is torn");
        let empty = r#"{"activation":7}"#;
        for (text, why) in [
            (String::new(), "no line"),
            ("\n".to_owned(), "an empty line"),
            ("{}\n".to_owned(), "no activation"),
            (r#"{"a":1,"activation":7}"#.to_owned() + "\n", "not a fact"),
            (format!("{LINE}\n"), "a fact without an activation"),
            (format!("{empty}\n{empty}\n"), "twice without facts"),
            (r#"{"activation":-1}"#.to_owned() + "\n", "no number"),
        ] {
            assert!(Object::read(&text.clone().into(), &metadata).is_err(), "{why}: {text}");
        }
        let mixed = String::from_utf8(body.to_vec()).expect("text").replacen("n\":7}", "n\":8}", 1);
        assert!(Object::read(&mixed.into(), &metadata).is_err(), "two activations");
        for name in metadata.keys().filter(|name| *name != headers::TRACEPARENT) {
            let mut less = metadata.clone();
            less.remove(name);
            assert!(Object::read(&body, &less).is_err(), "without {name}");
        }
    }

    #[test]
    fn one_record_a_line_keyed_by_entity() {
        let outputs = object().outputs().expect("short keys");
        assert_eq!(outputs.len(), 2);
        let Record { topic, key, value, headers, .. } = &outputs[0].record;
        assert_eq!((&**topic, key.as_deref()), (topics::NORMALIZED, Some(b"acme|w1|A%7CB||".as_slice())));
        assert_eq!(value, LINE.as_bytes());
        assert_eq!(ports::log::header(headers, headers::INGEST_ID), Some("01J0000000ABCDEFGHJKMNPQRS"));
    }
}
