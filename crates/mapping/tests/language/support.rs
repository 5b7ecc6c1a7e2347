//! What the tests of the language share.

use contract::{EventType, ExternalEventId, Json, Timestamp, VendorId};
use mapping::{EventContext, Mapping, Rejection, written};

/// An envelope.
pub fn event() -> EventContext {
    EventContext {
        vendor_id: VendorId::parse("acme").expect("an id"),
        external_event_id: ExternalEventId::parse("evt-1").expect("an id"),
        event_type: EventType::parse("t").expect("a type"),
        occurred_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("a time"),
    }
}

/// A document around `facts`, which is YAML.
pub fn document(facts: &str) -> String {
    format!("mapping: v1\nplatform: test\neventType: t\nversion: 1\n{facts}")
}

/// A document of one rule about stock whose fields beside sku and warehouse are `fields`.
pub fn stock(fields: &str) -> String {
    document(&format!(
        "facts: [{{type: InventoryUpdated, fields: {{sku: {{const: S}}, warehouseId: {{const: W}}, {fields}}}}}]"
    ))
}

/// A document of one rule about an order.
pub fn order(fields: &str) -> String {
    document(&format!("facts: [{{type: OrderUpdated, fields: {{orderId: {{const: O}}, {fields}}}}}]"))
}

/// The outcome of a document on a payload.
pub fn apply(document: &str, payload: &str) -> Result<mapping::Mapped, Rejection> {
    let mapping = Mapping::parse(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    mapping.apply(&Json::parse(payload.as_bytes()).expect("a payload"), &event())
}

/// The facts, one a line, without what is the same in all; or code, pointer and message.
pub fn outcome(document: &str, payload: &str) -> String {
    match apply(document, payload) {
        Ok(mapped) => {
            let lines = written(&mapped);
            let lines = lines.lines().skip(1).map(|line| line.trim().trim_start_matches("- "));
            lines.collect::<Vec<_>>().join("\n")
        }
        Err(rejection) => format!("{} {} {}", rejection.code, rejection.pointer, rejection.message),
    }
}
