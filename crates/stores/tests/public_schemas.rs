//! The contract's types, the JSON Schemas and the Avro schemas say the same.
//!
//! Samples are struct literals without `..`, and every enum is walked by an exhaustive match: a new field
//! or member does not compile here until it has a sample, and then not pass until all three forms have it.

#[path = "public_schemas/samples.rs"]
mod samples;
#[path = "public_schemas/shape.rs"]
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use contract::canonical::{Divergence, PublicFact, Quarantined};
use contract::topics;
use ports::Schemas;
use ports::schemas::Error;
use samples::Sample;
use serde_json::{Value, json};
use stores::codec::{self, Codec, CodecError};

/// A registry that knows what is shipped, counts what it is asked, and can be away.
#[derive(Default)]
struct Registry {
    asked: AtomicU32,
    away: std::sync::atomic::AtomicBool,
}

impl Registry {
    fn ask(&self) -> Result<(), Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.away.load(Ordering::Relaxed) {
            true => Err(Error::Unavailable("away".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Schemas for Registry {
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        self.ask()?;
        let index = codec::schemas().iter().position(|known| *known == (subject.to_owned(), schema));
        index.map(|index| 0x0102_0300 + index as u32).ok_or_else(|| Error::Unknown(subject.to_owned()))
    }

    async fn schema(&self, id: u32) -> Result<Arc<str>, Error> {
        self.ask()?;
        let index = id.checked_sub(0x0102_0300).ok_or_else(|| Error::Unknown(id.to_string()))?;
        let schemas = codec::schemas();
        schemas.get(index as usize).map(|known| known.1.into()).ok_or_else(|| Error::Unknown(id.to_string()))
    }
}

#[test]
fn every_public_topic_ships_a_schema() {
    let subjects: Vec<String> = codec::schemas().into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(subjects, topics::PUBLIC.map(topics::subject));
}

#[test]
fn fields_and_what_is_required_are_equal_in_all_three_forms() {
    for topic in topics::PUBLIC {
        let json_schema = shape::of_json_schema(topic);
        let avro = shape::of_avro(topic);
        assert_eq!(json_schema, avro, "{topic}: JSON Schema on the left, Avro on the right");
        let (full, least) = samples::full_and_least(topic);
        let all: BTreeSet<&String> = json_schema.keys().collect();
        assert_eq!(
            shape::of_value(&full).iter().collect::<BTreeSet<_>>(),
            all,
            "{topic}: the types on the left"
        );
        let mut least = shape::of_value(&least);
        least.remove("data/quantityOnHand"); // one quantity must be there, whichever it is
        assert_eq!(least, always_there(&json_schema), "{topic}: the types on the left");
    }
}

/// Members that are required, and whose parents are.
fn always_there(shape: &BTreeMap<String, bool>) -> BTreeSet<String> {
    let required = |path: &str| shape.get(path).copied().unwrap_or(true);
    let with_parents =
        |path: &str| required(path) && path.match_indices('/').all(|(end, _)| required(&path[..end]));
    shape.keys().filter(|path| with_parents(path)).cloned().collect()
}

#[tokio::test]
async fn every_sample_is_valid_and_comes_back_equal() {
    let registry = Arc::new(Registry::default());
    let codec = Codec::new(registry.clone());
    let validators = shape::validators();
    for Sample { topic, value } in samples::all() {
        if let Err(error) = validators[topic].validate(&value) {
            panic!("{topic}: {error} at {}\n{value:#}", error.instance_path());
        }
        let bytes = codec.encode(topic, &value).await.expect("it fits");
        assert_eq!(codec.decode(&bytes).await.as_ref(), Ok(&value), "{topic}");
        assert_eq!(shape::read_by_apache_avro(topic, &bytes), shape::with_nulls(topic, &value), "{topic}");
        let back = match topic {
            topics::DIVERGENCE => serde_json::to_value(read::<Divergence>(&value)),
            topics::QUARANTINE => serde_json::to_value(read::<Quarantined>(&value)),
            _ => serde_json::to_value(read::<PublicFact>(&value)),
        };
        assert_eq!(back.expect("json"), value, "{topic}: the type reads what it wrote");
    }
    let asked = registry.asked.load(Ordering::Relaxed);
    assert_eq!(asked as usize, 2 * topics::PUBLIC.len(), "each topic's id and each id's schema, once");
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("the type reads what it wrote")
}

#[test]
fn enums_have_the_same_members() {
    let members = |topic: &str, pointer: &str| {
        let schema = shape::json_schema(topic);
        let list = schema.pointer(pointer).and_then(Value::as_array).expect("an enum");
        list.iter().map(|member| member.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let statuses = members(topics::ORDER_UPDATED, "/$defs/fact/properties/data/properties/status/enum");
    assert_eq!(statuses, samples::names(&samples::statuses()));
    let kinds = members(topics::DIVERGENCE, "/properties/kind/enum");
    assert_eq!(kinds, samples::names(&samples::kinds()));
    let outcomes = samples::names(&samples::outcomes());
    assert_eq!(shape::public_fact()["properties"]["outcome"]["enum"], json!(outcomes));
    for topic in &topics::PUBLIC[..4] {
        assert_eq!(shape::avro_symbols(topic, "outcome"), outcomes);
    }
}

#[test]
fn the_json_schemas_refuse_what_the_types_never_write() {
    let validators = shape::validators();
    let (good, _) = samples::full_and_least(topics::INVENTORY_UPDATED);
    for (pointer, bad) in [
        ("/data/quantityOnHand", json!(15)),
        ("/data/quantityOnHand", json!("1e3")),
        ("/data/lot", json!(null)),
        ("/data/skuAlt", json!([])),
        ("/retracted", json!(false)),
        ("/outcome", json!("UNHEARD_OF")),
        ("/eventType", json!("OrderUpdated")),
        ("/ingestId", json!("not-a-ulid")),
        ("/occurredAt", json!("2026-03-16T15:35:06+07:00")),
        ("/revision", json!(0)),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(pointer).expect(pointer) = bad;
        assert!(!validators[topics::INVENTORY_UPDATED].is_valid(&value), "{pointer}: {value:#}");
    }
    for pointer in ["", "/data", "/rawRef"] {
        let mut value = good.clone();
        value.pointer_mut(pointer).expect(pointer)["stranger"] = json!(1);
        assert!(!validators[topics::INVENTORY_UPDATED].is_valid(&value), "a stranger in {pointer}");
    }
    let mut value = good.clone();
    for name in ["quantityOnHand", "quantityAvailable", "quantityReserved", "quantityIncoming"] {
        value["data"].as_object_mut().expect("data").remove(name);
    }
    assert!(!validators[topics::INVENTORY_UPDATED].is_valid(&value), "no quantity at all");
}

#[tokio::test]
async fn a_registry_that_is_away_delays_only_what_was_never_asked() {
    let registry = Arc::new(Registry::default());
    let codec = Codec::new(registry.clone());
    let (stock, _) = samples::full_and_least(topics::INVENTORY_UPDATED);
    let (order, _) = samples::full_and_least(topics::ORDER_UPDATED);
    let bytes = codec.encode(topics::INVENTORY_UPDATED, &stock).await.expect("asked in time");
    codec.decode(&bytes).await.expect("asked in time");
    registry.away.store(true, Ordering::Relaxed);
    assert_eq!(codec.encode(topics::INVENTORY_UPDATED, &stock).await.as_ref(), Ok(&bytes));
    assert_eq!(codec.decode(&bytes).await.as_ref(), Ok(&stock));
    let error = codec.encode(topics::ORDER_UPDATED, &order).await.expect_err("never asked");
    assert!(error.is_transient() && matches!(error.failure(), runtime::Failure::Transient(_)), "{error}");
    registry.away.store(false, Ordering::Relaxed);
    codec.encode(topics::ORDER_UPDATED, &order).await.expect("it is back");
}

#[tokio::test]
async fn refuses_what_is_no_value_of_a_public_topic() {
    let codec = Codec::new(Arc::new(Registry::default()));
    let (stock, _) = samples::full_and_least(topics::INVENTORY_UPDATED);
    let bytes = codec.encode(topics::INVENTORY_UPDATED, &stock).await.expect("fits").to_vec();
    assert_eq!(bytes[..5], [0, 1, 2, 3, 0]);
    let mut longer = bytes.clone();
    longer.push(0);
    let mut other_magic = bytes.clone();
    other_magic[0] = 1;
    for bad in [&longer[..], &other_magic, &bytes[..4], &bytes[..bytes.len() - 1], b"{}", b""] {
        let error = codec.decode(bad).await.expect_err("not a value");
        assert!(matches!(error, CodecError::Bytes(_)) && !error.is_transient(), "{error}");
    }
    let mut unknown = bytes.clone();
    unknown[4] = 99;
    assert!(codec.decode(&unknown).await.expect_err("unknown id").is_transient());
    let error = codec.encode(topics::RAW, &stock).await.expect_err("not public");
    assert_eq!(error, CodecError::NotPublic(topics::RAW.to_owned()));
    let error = codec.encode(topics::ORDER_UPDATED, &stock).await.expect_err("another type");
    assert!(error.to_string().contains("/data/orderId is missing"), "{error}");
}
