//! The source schema: what the mapping relies on in a payload, and what it does not know of it.

use std::collections::BTreeSet;

use contract::{Code, Json};
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Number, Value};

use crate::Rejection;

/// Most unknown members that one event reports.
const MAX_DRIFT: usize = 20;

/// A compiled JSON Schema (draft 2020-12).
pub struct SourceSchema {
    validator: jsonschema::Validator,
    schema: Value,
}

impl SourceSchema {
    /// Compiles a schema; references lead inside of it only.
    pub fn compile(schema: Value) -> Result<Self, String> {
        let validator = jsonschema::draft202012::options()
            .offline()
            // Linear in the text, whatever the pattern: a payload must not choose the time it takes.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .should_validate_formats(false)
            .build(&schema)
            .map_err(|error| format!("{error} (at `{}` in the schema)", error.instance_path()))?;
        Ok(Self { validator, schema })
    }

    /// The first violation, in the order of the payload.
    pub fn check(&self, payload: &Json) -> Result<(), Rejection> {
        let copy = lossy(payload);
        if self.validator.is_valid(&copy) {
            return Ok(());
        }
        let violations = self.validator.iter_errors(&copy).take(1_000).map(|error| {
            let mut pointer = error.instance_path().to_string();
            let mut message = error.masked().to_string();
            match error.kind() {
                // The place where the member should be says more than the object's.
                ValidationErrorKind::Required { property } => {
                    let name = property.as_str().unwrap_or_default();
                    pointer = format!("{pointer}/{}", contract::json::escape_token(name));
                    message = format!("the member {name:?} is required");
                }
                ValidationErrorKind::AdditionalProperties { unexpected } => {
                    if let Some(name) = unexpected.first() {
                        pointer = format!("{pointer}/{}", contract::json::escape_token(name));
                        message = format!("the member {name:?} is not expected");
                    }
                }
                ValidationErrorKind::Type { .. } => {
                    let kind = payload.at(&pointer).map_or("nothing", Json::kind);
                    message = format!("{message}, but it is {kind}");
                }
                _ => {}
            }
            (position(payload, &pointer), pointer, message)
        });
        match violations.min() {
            Some((_, pointer, message)) => Err(Rejection {
                code: Code::SourceSchemaMismatch,
                message: message.chars().take(300).collect(),
                pointer,
            }),
            None => Ok(()),
        }
    }

    /// Pointers of members that the schema does not know; of an array's items, the first that has it.
    pub fn drift(&self, payload: &Json) -> Vec<String> {
        let mut drift =
            Drift { root: &self.schema, pointers: Vec::new(), seen: BTreeSet::new(), way: Vec::new() };
        drift.walk(&[&self.schema], payload);
        drift.pointers
    }
}

/// Where in document order a pointer stands; what is missing stands behind what is there.
fn position(payload: &Json, pointer: &str) -> Vec<usize> {
    let mut value = Some(payload);
    let mut position = Vec::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let (index, next) = match value {
            Some(Json::Array(items)) => {
                let index = token.parse::<usize>().unwrap_or(usize::MAX);
                (index, items.get(index))
            }
            Some(Json::Object(members)) => {
                let index = members.iter().position(|(name, _)| *name == token);
                (
                    index.unwrap_or(usize::MAX),
                    index.and_then(|index| members.get(index)).map(|(_, next)| next),
                )
            }
            _ => (usize::MAX, None),
        };
        position.push(index);
        value = next;
    }
    position
}

/// A copy to validate: exact but for numbers beyond 64 bits, which keep their sign, whether they
/// are whole, and about their size. Nothing is ever read back from it.
fn lossy(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(text) => Value::Number(lossy_number(text)),
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(lossy).collect()),
        Json::Object(members) => {
            let members = members.iter().map(|(key, value)| (key.clone(), lossy(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

fn lossy_number(text: &str) -> Number {
    if let Ok(value) = text.parse::<i64>() {
        return value.into();
    }
    if let Ok(value) = text.parse::<u64>() {
        return value.into();
    }
    let value: f64 = text.parse().unwrap_or(0.0);
    let value = value.clamp(f64::MIN, f64::MAX);
    let vanished = value == 0.0
        && text.split(['e', 'E']).next().is_some_and(|m| m.contains(|c| ('1'..='9').contains(&c)));
    let value = if vanished { f64::from_bits(1).copysign(value) } else { value };
    Number::from_f64(value).unwrap_or_else(|| 0.into())
}

struct Drift<'a, 'p> {
    root: &'a Value,
    pointers: Vec<String>,
    seen: BTreeSet<String>,
    /// The way from the root to where it is. Written down only where something is not known.
    way: Vec<Step<'p>>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl<'a, 'p> Drift<'a, 'p> {
    fn walk(&mut self, schemas: &[&'a Value], value: &'p Json) {
        let mut all = Vec::new();
        for schema in schemas {
            self.expand(schema, &mut all, 0);
        }
        match value {
            Json::Object(members) => {
                let described = all.iter().any(|schema| schema.get("properties").is_some());
                for (name, value) in members {
                    let mut below = Vec::new();
                    let mut open = !described;
                    for schema in &all {
                        let property = schema.get("properties").and_then(|properties| properties.get(name));
                        below.extend(property);
                        open |= property.is_none() && schema.get("patternProperties").is_some();
                        if let (None, Some(additional)) = (property, schema.get("additionalProperties")) {
                            open = true;
                            below.push(additional);
                        }
                    }
                    self.way.push(Step::Name(name));
                    if !below.is_empty() {
                        self.below(&below, value);
                    } else if !open {
                        self.tell();
                    }
                    self.way.pop();
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let mut below = Vec::new();
                    for schema in &all {
                        let prefix = schema.get("prefixItems").and_then(|prefix| prefix.get(index));
                        below.extend(prefix.or_else(|| schema.get("items")));
                    }
                    if !below.is_empty() {
                        self.way.push(Step::Index(index));
                        self.below(&below, item);
                        self.way.pop();
                    }
                }
            }
            _ => {}
        }
    }

    /// Into a value that may hold others.
    fn below(&mut self, schemas: &[&'a Value], value: &'p Json) {
        if matches!(value, Json::Object(_) | Json::Array(_)) {
            self.walk(schemas, value);
        }
    }

    /// Writes down where it is, once for all indexes: each place of a schema is told once.
    fn tell(&mut self) {
        if self.pointers.len() >= MAX_DRIFT {
            return;
        }
        let (mut pointer, mut shape) = (String::new(), String::new());
        for step in &self.way {
            match step {
                Step::Name(name) => {
                    let token = contract::json::escape_token(name);
                    pointer.extend(["/", &token]);
                    shape.extend(["/", &token]);
                }
                Step::Index(index) => {
                    pointer.extend(["/", &index.to_string()]);
                    shape.push_str("/*");
                }
            }
        }
        if self.seen.insert(shape) {
            self.pointers.push(pointer);
        }
    }

    /// A schema with all that applies beside it.
    fn expand(&self, schema: &'a Value, all: &mut Vec<&'a Value>, depth: usize) {
        // A schema that refers to itself would go on for ever.
        if depth > 16 || all.len() >= 256 || !schema.is_object() {
            return;
        }
        all.push(schema);
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        if let Some(target) = reference.and_then(|pointer| self.root.pointer(pointer)) {
            self.expand(target, all, depth + 1);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for schema in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.expand(schema, all, depth + 1);
            }
        }
        for keyword in ["if", "then", "else"] {
            if let Some(schema) = schema.get(keyword) {
                self.expand(schema, all, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> SourceSchema {
        SourceSchema::compile(serde_json::from_str(text).expect("json")).expect("a schema")
    }

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).expect("json")
    }

    #[test]
    fn the_first_violation_in_document_order() {
        let schema = schema(
            r#"{"type":"object","required":["b"],"properties":{"a":{"type":"array","items":
            {"type":"object","required":["sku"],"properties":{"n":{"type":"integer"}}}},"b":{"type":"string"}}}"#,
        );
        let found = |text| {
            let rejection = schema.check(&json(text)).expect_err("refused");
            assert_eq!(rejection.code, Code::SourceSchemaMismatch);
            rejection.pointer
        };
        assert_eq!(found(r#"{"b":1,"a":[{}]}"#), "/b");
        assert_eq!(found(r#"{"a":[{"sku":1,"n":1},{"n":1.5}],"b":1}"#), "/a/1/n");
        assert_eq!(found(r#"{"a":[]}"#), "/b");
        assert_eq!(found("[]"), "");
        assert!(schema.check(&json(r#"{"a":[{"sku":1,"n":1e400}],"b":""}"#)).is_ok());
    }

    #[test]
    fn numbers_that_no_machine_has_are_validated() {
        let schema =
            schema(r#"{"type":"object","properties":{"i":{"type":"integer"},"p":{"exclusiveMinimum":0}}}"#);
        for (text, valid) in [
            (r#"{"i":1234567890123456789012345678901234567890}"#, true),
            (r#"{"i":1e400}"#, true),
            (r#"{"i":-1e400,"p":1e-400}"#, true),
            (r#"{"i":1e-400}"#, false),
            (r#"{"p":-1e-400}"#, false),
            (r#"{"i":1.0}"#, true),
        ] {
            assert_eq!(schema.check(&json(text)).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn drift_is_what_the_schema_does_not_name() {
        let schema = schema(
            r##"{"properties":{"items":{"items":{"$ref":"#/$defs/item"}},"meta":{},"open":
            {"properties":{"x":{}},"additionalProperties":true}},"$defs":{"item":{"properties":{"sku":{}}}}}"##,
        );
        let payload = json(
            r#"{"items":[{"sku":1},{"sku":1,"new":1},{"new":2,"a/b":1}],"meta":{"any":1},"open":{"y":1},"extra":{"z":1}}"#,
        );
        assert_eq!(schema.drift(&payload), ["/items/1/new", "/items/2/a~1b", "/extra"]);
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let tree = schema(
            r##"{"properties":{"kids":{"type":"array","items":{"$ref":"#"}},"n":{"type":"integer"}}}"##,
        );
        let payload = json(r#"{"kids":[{"kids":[{"n":1,"new":1}]}]}"#);
        assert!(tree.check(&payload).is_ok());
        assert_eq!(tree.drift(&payload), ["/kids/0/kids/0/new"]);
        for text in [r##"{"$ref":"#"}"##, r##"{"allOf":[{"$ref":"#"},{"$ref":"#"}],"properties":{}}"##] {
            let circle = schema(text);
            // Whatever they mean, they are answered.
            let _ = circle.check(&payload);
            assert!(circle.drift(&payload).len() <= 1);
        }
    }

    #[test]
    fn what_a_schema_may_not_do() {
        let refused = |text| SourceSchema::compile(serde_json::from_str(text).expect("json")).is_err();
        assert!(refused(r#"{"type":"objekt"}"#));
        assert!(refused(r#"{"$ref":"https://example.com/schema.json"}"#));
        assert!(refused(r#"{"pattern":"(a+)+\\1"}"#));
    }
}
