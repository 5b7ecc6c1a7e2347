//! What must hold at the end, whatever went wrong on the way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Dvss;

/// The public topics that carry facts.
pub const FACT_TOPICS: [&str; 4] = [
    "dvss.normalized.inventory-updated.v1",
    "dvss.normalized.inventory-adjusted.v1",
    "dvss.normalized.order-updated.v1",
    "dvss.normalized.inventory-received.v1",
];

/// All public topics.
pub const PUBLIC: [&str; 6] = [
    FACT_TOPICS[0],
    FACT_TOPICS[1],
    FACT_TOPICS[2],
    FACT_TOPICS[3],
    "dvss.divergence.v1",
    "dvss.quarantine.v1",
];

/// Everything that other teams see.
pub async fn public(dvss: &Dvss) -> Vec<Value> {
    let mut records = Vec::new();
    for topic in PUBLIC {
        records.extend(dvss.tail(topic).await);
    }
    records
}

/// The records on topics of facts.
pub fn facts(records: &[Value]) -> Vec<&Value> {
    let of_fact = |record: &&Value| FACT_TOPICS.iter().any(|topic| record["topic"] == *topic);
    records.iter().filter(of_fact).collect()
}

/// Where a record lies.
pub fn coordinates(record: &Value) -> String {
    format!("{}/{}/{}", record["topic"].as_str().unwrap_or("?"), record["partition"], record["offset"])
}

/// What a public record is, by the identity of its topic.
pub fn identity(record: &Value) -> String {
    let topic = record["topic"].as_str().expect("a topic");
    let names: &[&str] = match topic {
        "dvss.quarantine.v1" => &["stage", "identity", "count"],
        "dvss.divergence.v1" => &["kind", "entity", "ingestId", "line", "leg", "revision"],
        _ => &["ingestId", "line", "leg", "revision"],
    };
    let values: Vec<String> = names.iter().map(|name| record["value"][name].to_string()).collect();
    format!("{topic} {} {}", record["key"], values.join(" "))
}

/// Every public record, once.
#[track_caller]
pub fn assert_once(records: &[Value]) {
    let mut seen = BTreeMap::new();
    for record in records {
        let place = coordinates(record);
        if let Some(first) = seen.insert(identity(record), place.clone()) {
            panic!("{place} repeats {first}: {}", identity(record));
        }
    }
}

/// Nothing missing, nothing repeated, nothing in flight, and every line of the books adds up.
#[track_caller]
pub fn assert_balanced(report: &Value) {
    assert_eq!(report["balanced"], true, "{report}");
    for vendor in report["vendors"].as_array().expect("vendors") {
        let number = |name: &str| vendor[name].as_u64().unwrap_or_else(|| panic!("no {name} in {vendor}"));
        assert_eq!(vendor["missing"], Value::Array(vec![]), "{report}");
        assert_eq!((number("repeats"), number("inFlight")), (0, 0), "{report}");
        let parts = ["published", "duplicate", "conflict", "quarantined", "inFlight"];
        let sum: u64 = parts.iter().map(|name| number(name)).sum();
        assert_eq!(number("accepted"), sum, "accepted is the sum of its parts: {vendor}");
    }
}

/// One vendor's books.
#[track_caller]
pub fn account<'a>(report: &'a Value, vendor: &str) -> &'a Value {
    let vendors = report["vendors"].as_array().expect("vendors");
    let found = vendors.iter().find(|account| account["vendorId"] == vendor);
    found.unwrap_or_else(|| panic!("no books of {vendor} in {report}"))
}

/// Records of `after` that are not in `before`; fails where one of `before` is gone.
#[track_caller]
pub fn added<'a>(before: &[Value], after: &'a [Value]) -> Vec<&'a Value> {
    let places = |records: &[Value]| records.iter().map(coordinates).collect::<BTreeSet<_>>();
    let (old, new) = (places(before), places(after));
    assert!(old.is_subset(&new), "records are gone: {:?}", old.difference(&new));
    after.iter().filter(|record| !old.contains(&coordinates(record))).collect()
}

/// Whether every fact of the event has its coordinates.
pub fn is_published(explained: &Value) -> bool {
    let facts = explained["facts"].as_array().map_or(&[][..], Vec::as_slice);
    explained["status"] == "PUBLISHED" && facts.iter().all(|fact| !fact["published"].is_null())
}
