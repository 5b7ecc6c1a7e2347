//! Which members each form has, and which of them are required: path (`data/lines/sku`) to required.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use contract::topics;
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn canonical(name: &str) -> Value {
    serde_json::from_str(&file(&format!("canonical/{name}.v1.schema.json"))).expect("JSON")
}

const FACTS: [(&str, &str); 4] = [
    (topics::INVENTORY_UPDATED, "inventory-updated"),
    (topics::INVENTORY_ADJUSTED, "inventory-adjusted"),
    (topics::ORDER_UPDATED, "order-updated"),
    (topics::INVENTORY_RECEIVED, "inventory-received"),
];

/// The JSON Schema of what a topic carries; of a fact, without its outcome.
pub fn json_schema(topic: &str) -> Value {
    let fact = FACTS.iter().find(|(known, _)| *known == topic).map(|(_, name)| *name);
    canonical(match (topic, fact) {
        (_, Some(name)) => name,
        (topics::DIVERGENCE, _) => "divergence",
        (topics::QUARANTINE, _) => "quarantined",
        _ => panic!("no JSON Schema for {topic}"),
    })
}

/// The JSON Schema of a public fact.
pub fn public_fact() -> Value {
    canonical("public-fact")
}

/// A validator for each public topic.
pub fn validators() -> BTreeMap<&'static str, Validator> {
    let mut registry = Registry::new();
    for (_, name) in FACTS {
        registry = registry.add(format!("urn:dvss:canonical:{name}:v1"), canonical(name)).expect("a schema");
    }
    let registry = registry.prepare().expect("schemas");
    let build = |schema: &Value| {
        let options = jsonschema::options().with_registry(&registry).should_validate_formats(true);
        options.build(schema).expect("a schema")
    };
    // A topic carries one type: the public fact and the type's own fact at once.
    let of_topic = |topic| match FACTS.iter().find(|(known, _)| *known == topic) {
        Some((_, name)) => {
            let mut schema = public_fact();
            schema["allOf"] = json!([{"$ref": format!("urn:dvss:canonical:{name}:v1#/$defs/fact")}]);
            build(&schema)
        }
        None => build(&json_schema(topic)),
    };
    topics::PUBLIC.map(|topic| (topic, of_topic(topic))).into()
}

fn avro(topic: &str) -> Schema {
    Schema::parse_str(&file(&format!("avro/{topic}.avsc"))).expect("an Avro schema")
}

pub fn of_json_schema(topic: &str) -> BTreeMap<String, bool> {
    let schema = json_schema(topic);
    let mut shape = BTreeMap::new();
    walk_json_schema(&schema, &schema, "", &mut shape);
    if FACTS.iter().any(|(known, _)| *known == topic) {
        walk_json_schema(&public_fact(), &public_fact(), "", &mut shape);
    }
    shape
}

fn walk_json_schema(root: &Value, schema: &Value, path: &str, shape: &mut BTreeMap<String, bool>) {
    if let Some(pointer) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        walk_json_schema(root, root.pointer(pointer).expect("the schema has what it refers to"), path, shape);
    }
    if schema.get("items").is_some() {
        walk_json_schema(root, &schema["items"], path, shape);
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
        shape.insert(path.clone(), required);
        walk_json_schema(root, member, &format!("{path}/"), shape);
    }
}

pub fn of_avro(topic: &str) -> BTreeMap<String, bool> {
    let mut shape = BTreeMap::new();
    walk_avro(&avro(topic), "", &mut shape);
    shape
}

fn walk_avro(schema: &Schema, path: &str, shape: &mut BTreeMap<String, bool>) {
    match schema {
        Schema::Array(array) => walk_avro(&array.items, path, shape),
        Schema::Union(union) => union.variants().iter().for_each(|variant| walk_avro(variant, path, shape)),
        Schema::Record(record) => {
            for field in &record.fields {
                let path = format!("{path}{}", field.name);
                assert!(field.doc.as_ref().is_some_and(|doc| doc.len() > 3), "{path} has no doc");
                shape.insert(path.clone(), field.default.is_none());
                walk_avro(&field.schema, &format!("{path}/"), shape);
            }
        }
        _ => {}
    }
}

/// Symbols of a top-level field that is an Avro enum.
pub fn avro_symbols(topic: &str, name: &str) -> Vec<String> {
    let Schema::Record(record) = avro(topic) else { panic!("{topic} is not a record") };
    match &record.fields[record.lookup[name]].schema {
        Schema::Enum(schema) => schema.symbols.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

pub fn of_value(value: &Value) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    walk_value(value, "", &mut shape);
    shape
}

fn walk_value(value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk_value(item, path, shape)),
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{path}{name}");
                shape.insert(path.clone());
                walk_value(member, &format!("{path}/"), shape);
            }
        }
        _ => {}
    }
}

/// What another implementation makes of a value in the wire format.
pub fn read_by_apache_avro(topic: &str, bytes: &[u8]) -> Value {
    let schema = avro(topic);
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let mut datum = &bytes[5..];
    let value = reader.read_value(&mut datum).expect("a datum");
    assert!(datum.is_empty());
    value.try_into().expect("json")
}

/// `value` with every absent member at its default, as a reader of Avro sees it.
pub fn with_nulls(topic: &str, value: &Value) -> Value {
    fill(&avro(topic), value)
}

fn fill(schema: &Schema, value: &Value) -> Value {
    match (schema, value) {
        (Schema::Union(union), _) if !value.is_null() => fill(&union.variants()[1], value),
        (Schema::Array(array), Value::Array(items)) => {
            items.iter().map(|item| fill(&array.items, item)).collect()
        }
        (Schema::Record(record), Value::Object(members)) => {
            let fields = record.fields.iter().map(|field| {
                let value = members.get(&field.name).or(field.default.as_ref()).expect("required");
                (field.name.clone(), fill(&field.schema, value))
            });
            Value::Object(fields.collect())
        }
        _ => value.clone(),
    }
}
