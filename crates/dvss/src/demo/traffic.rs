//! The demo's sample traffic: what four vendors on four platforms would send in a quarter of an hour.

use contract::Timestamp;
use serde_json::{Value, json};

/// The demo's vendors and their platforms.
pub const VENDORS: [(&str, &str); 4] =
    [("northwind", "shopify"), ("fabrikam", "square"), ("contoso", "bigcommerce"), ("tailspin", "dvss")];

/// One request.
pub struct Sample {
    /// Who sends it.
    pub vendor: &'static str,
    /// The envelope.
    pub body: Value,
    /// Told while it is sent, where it is special.
    pub story: Option<&'static str>,
    /// Whether this is the event to explain at the end.
    pub show: bool,
}

/// How the door answered.
pub struct Sent {
    /// Who sent it.
    pub vendor: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Our id of it.
    pub ingest_id: String,
    /// Whether this is the event to explain at the end.
    pub show: bool,
}

/// The traffic, in order; the last quarter of an hour before `now`.
pub fn samples(now: Timestamp) -> Vec<Sample> {
    let ago = |seconds: u64| {
        let nanos = now.as_nanos() - i128::from(seconds) * 1_000_000_000;
        Timestamp::from_nanos(nanos).unwrap_or(now)
    };
    let mut samples = Vec::new();
    let mut add = |vendor, body: Value, story, show| samples.push(Sample { vendor, body, story, show });

    // Stock levels, as a shop's webhook says them; every fifth one is delivered twice.
    for index in 0..40_u64 {
        let body = shopify_level(index, index % 8, 120 - index, ago(900 - 10 * index));
        add("northwind", body.clone(), (index == 0).then_some("a stock level"), index == 2);
        if index % 5 == 0 {
            add("northwind", body, (index == 0).then_some("the same again, byte for byte"), false);
        }
    }
    let mut redated = shopify_level(1, 1, 119, ago(890));
    redated["occurredAt"] = json!(ago(5).to_string());
    add("northwind", redated, Some("a retry that carries a new date"), false);
    add("northwind", shopify_level(2, 2, 7, ago(880)), Some("a known id with another payload"), false);
    add("northwind", shopify_level(41, 3, 500, ago(5_000)), Some("an update that comes an hour late"), false);
    let mut poison = shopify_level(42, 4, 0, ago(60));
    if let Some(payload) = poison["payload"].as_object_mut() {
        payload.remove("inventory_item_id");
    }
    add("northwind", poison, Some("a payload that names no item"), false);

    for index in 0..20_u64 {
        let body = square_count(index, 90 - index, ago(800 - 10 * index));
        add("fabrikam", body, (index == 0).then_some("a physical count"), false);
    }
    for index in 0..20_u64 {
        let body = bigcommerce_stock(index, 40 + index, ago(700 - 10 * index));
        add("contoso", body, (index == 0).then_some("a product's stock"), false);
    }

    let items: Vec<Value> = (0..500)
        .map(|index| {
            json!({ "sku": format!("TS-{index:04}"), "warehouseId": "seattle", "quantityOnHand": (index * 7 % 311).to_string() })
        })
        .collect();
    let report = json!({
        "externalEventId": "stock-report-1", "eventType": "InventoryUpdated", "occurredAt": ago(600).to_string(),
        "payload": { "items": items },
    });
    add("tailspin", report, Some("a stock report of 500 lines"), false);
    for index in 0..10_u64 {
        let body = json!({
            "externalEventId": format!("sale-{index}"), "eventType": "InventoryAdjusted",
            "occurredAt": ago(500 - 10 * index).to_string(),
            "payload": { "sku": format!("TS-{index:04}"), "warehouseId": "seattle", "delta": "-1", "reason": "sold" },
        });
        add("tailspin", body, (index == 0).then_some("an adjustment"), false);
    }
    samples
}

fn shopify_level(event: u64, item: u64, available: u64, at: Timestamp) -> Value {
    json!({
        "externalEventId": format!("level-{event}"), "eventType": "inventory_levels/update", "occurredAt": at.to_string(),
        "payload": {
            "inventory_item_id": 730_000 + item, "location_id": 5_501, "available": available,
            "updated_at": at.to_string(),
            "admin_graphql_api_id": format!("gid://shopify/InventoryLevel/5501?inventory_item_id={}", 730_000 + item),
        },
    })
}

fn square_count(event: u64, quantity: u64, at: Timestamp) -> Value {
    json!({
        "externalEventId": format!("count-{event}"), "eventType": "inventory.count.updated", "occurredAt": at.to_string(),
        "payload": {
            "merchant_id": "FABRIKAM", "type": "inventory.count.updated", "event_id": format!("count-{event}"),
            "created_at": at.to_string(),
            "data": { "type": "inventory", "id": format!("inv-{event}"), "object": { "inventory_counts": [{
                "calculated_at": at.to_string(), "catalog_object_id": format!("VAR{:03}", event % 5),
                "catalog_object_type": "ITEM_VARIATION", "location_id": "MAINSTREET", "quantity": quantity.to_string(),
                "state": "IN_STOCK",
            }] } },
        },
    })
}

fn bigcommerce_stock(event: u64, value: u64, at: Timestamp) -> Value {
    json!({
        "externalEventId": format!("hash-{event}"), "eventType": "store/sku/inventory/updated", "occurredAt": at.to_string(),
        "payload": {
            "scope": "store/sku/inventory/updated", "store_id": "90210", "hash": format!("hash-{event}"),
            "created_at": at.as_millis() / 1_000, "producer": "stores/contoso",
            "data": { "type": "sku", "id": 800 + event % 4, "inventory": {
                "product_id": 77, "method": "absolute", "value": value, "variant_id": 900 + event % 4,
            } },
        },
    })
}
