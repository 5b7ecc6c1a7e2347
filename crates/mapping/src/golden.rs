//! Golden cases: payloads beside the facts that a mapping must give, or the mistake that it must name.

use contract::event::Opaque;
use contract::{EventType, ExternalEventId, Json, Timestamp, VendorId};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::apply::{EventContext, Mapped, MappedFact};
use crate::document::{Mapping, Owner};
use crate::format::Format;
use crate::yaml::{Error, Kind, Node};

/// What became of the cases of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Cases that came out as expected.
    pub passed: usize,
    /// Everything else, each with what to do about it.
    pub failures: Vec<String>,
}

impl Report {
    /// Whether there were cases, and all of them came out as expected.
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && self.passed > 0
    }
}

/// Runs the cases of a document.
///
/// A cases file is `cases: [{name, event?, payload, facts | error, drift?}]`; `payload` is a text in the
/// document's format in a block (`|`): JSON, so that its numbers stay what they are, or XML, X12, EDIFACT, CSV.
pub fn test(document: &str, cases: &str) -> Report {
    let mapping = match Mapping::parse(document) {
        Ok(mapping) => mapping,
        Err(error) => return Report { passed: 0, failures: vec![format!("the document: {error}")] },
    };
    let cases = match parse(cases, &mapping) {
        Ok(cases) => cases,
        Err(error) => return Report { passed: 0, failures: vec![format!("the cases: {error}")] },
    };
    let mut report = Report::default();
    for case in &cases {
        match case.run(&mapping) {
            Ok(()) => report.passed += 1,
            Err(failure) => report.failures.push(format!("line {}: {}: {failure}", case.line, case.name)),
        }
    }
    report
}

struct Case {
    name: String,
    line: usize,
    event: EventContext,
    payload: String,
    expected: Expected,
    drift: Option<Value>,
}

enum Expected {
    Facts(Value),
    Error { code: String, pointer: Option<String>, message: Option<String> },
}

impl Case {
    fn run(&self, mapping: &Mapping) -> Result<(), String> {
        let result = match mapping.format() {
            Format::Json => {
                let payload = Json::parse(self.payload.as_bytes())
                    .map_err(|error| format!("its payload is not JSON that dvss takes: {error}"))?;
                mapping.apply(&payload, &self.event)
            }
            _ => mapping
                .decode(&Opaque::Text(self.payload.clone()))
                .and_then(|payload| mapping.apply(&payload, &self.event)),
        };
        match (&self.expected, result) {
            (Expected::Facts(expected), Ok(mapped)) => {
                let actual: Value = mapped.facts.iter().map(flat).collect();
                if let Some(difference) = difference(expected, &actual, String::new()) {
                    return Err(format!("{difference}\nthe facts are:\n{}", written(&mapped)));
                }
                match &self.drift {
                    Some(drift) if *drift != json!(mapped.drift) => {
                        Err(format!("expected drift {drift}, got {}", json!(mapped.drift)))
                    }
                    _ => Ok(()),
                }
            }
            (Expected::Error { code, pointer, message }, Err(rejection)) => {
                let same_code = *code == rejection.code.as_str();
                let same_pointer = pointer.as_ref().is_none_or(|pointer| *pointer == rejection.pointer);
                let same_message = message.as_ref().is_none_or(|part| rejection.message.contains(part));
                if same_code && same_pointer && same_message {
                    return Ok(());
                }
                Err(format!(
                    "it is refused otherwise: {{code: {}, pointer: {:?}}} {}",
                    rejection.code, rejection.pointer, rejection.message
                ))
            }
            (Expected::Facts(_), Err(rejection)) => Err(format!(
                "expected facts, but it is refused: {} at {:?}: {}",
                rejection.code, rejection.pointer, rejection.message
            )),
            (Expected::Error { code, .. }, Ok(mapped)) => {
                Err(format!("expected {code}, but the facts are:\n{}", written(&mapped)))
            }
        }
    }
}

/// The facts as a cases file may hold them, one a line.
pub fn written(mapped: &Mapped) -> String {
    if mapped.facts.is_empty() {
        return "    facts: []".to_owned();
    }
    let lines = mapped.facts.iter().map(|fact| format!("      - {}", flat(fact)));
    std::iter::once("    facts:".to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

/// A fact with its data beside its line.
fn flat(fact: &MappedFact) -> Value {
    let mut flat = Map::new();
    flat.insert("line".to_owned(), json!(fact.line));
    if fact.leg > 0 {
        flat.insert("leg".to_owned(), json!(fact.leg));
    }
    flat.insert("type".to_owned(), json!(fact.data.name()));
    if let Some(occurred_at) = fact.occurred_at {
        flat.insert("occurredAt".to_owned(), json!(occurred_at.to_string()));
    }
    let data = serde_json::to_value(&fact.data).ok();
    if let Some(Value::Object(data)) = data.and_then(|mut data| data.get_mut("data").map(Value::take)) {
        flat.extend(data);
    }
    let mut flat = Value::Object(flat);
    // Whether a map keeps its own order is one switch for all crates that are built together.
    flat.sort_all_objects();
    flat
}

/// The first difference, told so that it can be mended.
fn difference(expected: &Value, actual: &Value, place: String) -> Option<String> {
    let place_or_root = || if place.is_empty() { "the facts".to_owned() } else { place.clone() };
    match (expected, actual) {
        _ if expected == actual => None,
        (Value::Array(expected), Value::Array(actual)) => {
            let pairs = expected.iter().zip(actual).enumerate();
            let mut below = pairs.filter_map(|(index, (a, b))| difference(a, b, format!("{place}[{index}]")));
            below.next().or_else(|| {
                let (expected, actual) = (expected.len(), actual.len());
                Some(format!("{}: expected {expected} items, got {actual}", place_or_root()))
            })
        }
        (Value::Object(expected), Value::Object(actual)) => {
            let inner = |key: &str| format!("{place}.{key}");
            let missing = expected.iter().find_map(|(key, value)| match actual.get(key) {
                Some(actual) => difference(value, actual, inner(key)),
                None => Some(format!("{}: expected {value}, but it is absent", inner(key))),
            });
            missing.or_else(|| {
                let extra = actual.iter().find(|(key, _)| !expected.contains_key(*key));
                extra.map(|(key, value)| format!("{}: not expected, but it is {value}", inner(key)))
            })
        }
        (Value::Number(number), Value::String(text)) if number.to_string() == *text => {
            Some(format!("{}: the value is text; write \"{text}\" with quotes", place_or_root()))
        }
        _ => Some(format!("{}: expected {expected}, got {actual}", place_or_root())),
    }
}

const CASE_KEYS: &[&str] = &["name", "event", "payload", "facts", "error", "drift"];

fn parse(text: &str, mapping: &Mapping) -> Result<Vec<Case>, Error> {
    let node = Node::parse(text)?;
    let cases = node.members(&["cases"])?;
    let cases = cases.require("cases", "a list of cases")?;
    let Kind::List(items) = &cases.kind else { return Err(cases.error("is a list of cases")) };
    items.iter().map(|item| case(item, mapping)).collect()
}

fn case(node: &Node, mapping: &Mapping) -> Result<Case, Error> {
    let members = node.members(CASE_KEYS)?;
    let payload = members.require("payload", "JSON in a block: `payload: |`")?;
    let Kind::Scalar { text: payload, plain: false } = &payload.kind else {
        return Err(payload.error("is JSON text in a block: write `payload: |` and the JSON below, indented"));
    };
    let expected = match (members.get("facts"), members.get("error")) {
        (Some(facts), None) => Expected::Facts(facts_of(facts)?),
        (None, Some(error)) => {
            let error_members = error.members(&["code", "pointer", "message"])?;
            let text =
                |key: &str| error_members.get(key).map(|node| node.text().map(str::to_owned)).transpose();
            let code = error_members.require("code", "the code that the event is refused with")?;
            if contract::Code::parse(code.text()?).is_none() {
                return Err(code.error("is no code; they are the names of the pages in docs/errors"));
            }
            Expected::Error {
                code: code.text()?.to_owned(),
                pointer: text("pointer")?,
                message: text("message")?,
            }
        }
        _ => return Err(node.error("a case has either `facts` or `error`")),
    };
    Ok(Case {
        name: members.require("name", "what the case shows")?.text()?.to_owned(),
        line: node.line,
        event: event(members.get("event"), mapping)?,
        payload: payload.clone(),
        expected,
        drift: members.get("drift").map(Node::to_json),
    })
}

/// Facts as [`flat`] writes them.
fn facts_of(node: &Node) -> Result<Value, Error> {
    let Kind::List(items) = &node.kind else {
        return Err(node.error("is a list of facts: {line, type, …}; [] where there is none"));
    };
    for item in items {
        let Kind::Map(members) = &item.kind else {
            return Err(item.error("is a fact: {line: 0, type: InventoryUpdated, sku: …}"));
        };
        for key in ["line", "type"] {
            if !members.iter().any(|(name, _)| name == key) {
                return Err(item.error(format!("`{key}` is missing")));
            }
        }
    }
    Ok(node.to_json())
}

fn event(node: Option<&Node>, mapping: &Mapping) -> Result<EventContext, Error> {
    let vendor = match mapping.owner() {
        Owner::Vendor(vendor) => vendor.clone(),
        Owner::Platform(_) => VendorId::parse("acme").expect("a constant"),
    };
    let mut event = EventContext {
        vendor_id: vendor,
        external_event_id: ExternalEventId::parse("evt-1").expect("a constant"),
        event_type: mapping.event_types()[0].clone(),
        occurred_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("a constant"),
    };
    let Some(node) = node else { return Ok(event) };
    let members = node.members(&["vendorId", "externalEventId", "eventType", "occurredAt"])?;
    for (key, node) in members.iter() {
        let text = node.text()?;
        match key {
            "vendorId" => {
                event.vendor_id = VendorId::parse(text).map_err(|error| node.error(error.to_string()))?
            }
            "externalEventId" => {
                event.external_event_id =
                    ExternalEventId::parse(text).map_err(|error| node.error(error.to_string()))?;
            }
            "eventType" => {
                let event_type = EventType::parse(text).map_err(|error| node.error(error.to_string()))?;
                if !mapping.event_types().contains(&event_type) {
                    return Err(node.error("is none of the document's event types"));
                }
                event.event_type = event_type;
            }
            _ => event.occurred_at = Timestamp::parse(text).map_err(|error| node.error(error.to_string()))?,
        }
    }
    Ok(event)
}
