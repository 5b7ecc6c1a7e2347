//! # mapping: how a vendor's payload becomes facts, by configuration alone
//!
//! A document (YAML, see `docs/mappings.md`) in, a compiled [`Mapping`] out; a payload in, facts
//! out. Pure: no clock, no network, no randomness; the same input has the same outcome anywhere.
//!
//! | module | what it does |
//! |---|---|
//! | [`yaml`] | documents as a tree that knows its lines |
//! | `document`, `fields`, `source`, `literal` | what a document may say; its mistakes |
//! | `expr` | plain paths, looked up directly; the rest are filters |
//! | `filter`, `functions`, `fuel` | jaq, with the functions that end and on a budget |
//! | `value`, `jq`, `number` | JSON with exact numbers, as jaq sees it |
//! | `format`, `decode` | payloads that are not JSON, as the same tree (the room `formats` decodes) |
//! | `schema`, `time` | the source schema and its drift; times as vendors write them |
//! | `apply`, `reading` | from payload to facts, a field at a time |
//! | `golden`, `shipped` | cases beside documents; the documents that come with dvss |
//!
//! What holds, and is tested: a number is never a float; a rejection points at the place to blame;
//! one event gives at most 10,000 facts; filters cannot run for ever, nor see anything but the
//! payload and the envelope.

mod apply;
mod decode;
mod document;
mod expr;
mod fields;
mod filter;
mod format;
mod fuel;
mod functions;
mod golden;
mod jq;
mod literal;
mod number;
mod reading;
mod schema;
mod shipped;
mod source;
mod time;
mod value;
pub mod yaml;

pub use apply::{EventContext, MAX_FACTS, Mapped, MappedFact, Rejection};
pub use decode::Loop;
pub use document::{MAX_DOCUMENT, Mapping, Owner};
pub use format::Format;
pub use functions::names as functions;
pub use golden::{Report, test, written};
pub use shipped::{shipped, shipped_cases};
pub use yaml::Error;
