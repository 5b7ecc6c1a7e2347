//! An entity's facts and state.

use axum::Json;
use axum::extract::{Path, State};
use ports::Tables;
use ports::tables::Error;
use serde_json::{Value, json};
use stores::effects::{self, Effect, Stated};

use crate::facts;
use crate::problem::Problem;
use crate::server::Operator;

/// Facts that are shown; the oldest are left out beyond.
const MOST: usize = 10_000;
/// Facts of one read.
const PAGE: usize = 1_000;

/// `GET /entities/{entity}`
pub async fn history(
    State(operator): State<Operator>,
    Path(entity): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tables = &*operator.ports.tables;
    let (effects, complete) = latest(tables, &entity, MOST).await?;
    let none = facts::Uncopied::new();
    let shown: Vec<Value> =
        effects.iter().map(|effect| facts::shown(&effect.fact, Some(effect), &none)).collect();
    let stated = effects::state(tables, &entity).await?;
    if shown.is_empty() && stated.is_none() {
        return Err(Problem::not_found(format!(
            "entity {entity:?}; `dvss explain` shows an event's entities"
        )));
    }
    let state = stated.as_ref().map(state);
    Ok(Json(json!({ "entity": entity, "facts": shown, "complete": complete, "state": state })))
}

/// An entity's latest facts in fold order, `most` of them, and whether these are all that it has.
async fn latest(tables: &dyn Tables, entity: &str, most: usize) -> Result<(Vec<Effect>, bool), Error> {
    let (mut found, mut before) = (Vec::new(), None::<String>);
    loop {
        let limit = (most - found.len()).min(PAGE);
        let (page, next) = effects::history(tables, entity, before.as_deref(), limit).await?;
        found.extend(page);
        before = next;
        if before.is_none() || found.len() >= most {
            found.reverse();
            return Ok((found, before.is_none()));
        }
    }
}

/// `POST /entities/{entity}/recompute`
pub async fn recompute(operator: State<Operator>, entity: Path<String>) -> Result<Json<Value>, Problem> {
    operator.host.recompute(&entity).await?;
    history(operator, entity).await
}

/// A state as people see it: with what is on hand, and what the order is, adjustments and statuses taken in.
fn state(stated: &Stated) -> Value {
    let mut value = serde_json::to_value(&stated.state).unwrap_or_default();
    value["quantityOnHand"] = json!(stated.state.quantity_on_hand());
    if let Some(order) = stated.state.order() {
        value["order"]["value"] = json!(order);
    }
    value["version"] = json!(stated.version);
    value
}

#[cfg(test)]
mod tests {
    use contract::Timestamp;
    use contract::canonical::{Fact, Outcome};
    use embedded::Engine;
    use embedded::tables::EmbeddedTables;
    use ports::tables::{Condition, Write};
    use stores::tables::{ALL, EFFECTS};

    use super::*;

    #[tokio::test]
    async fn the_oldest_facts_are_left_out() {
        let tables = EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables in memory");
        for minute in 0..9 {
            let at = format!("2026-03-16T08:{minute:02}:00Z");
            let data = if minute % 2 == 0 {
                json!({ "sku": "A", "warehouseId": "w1", "quantityOnHand": minute.to_string() })
            } else {
                json!({ "sku": "A", "warehouseId": "w1", "delta": minute.to_string() })
            };
            let name = if minute % 2 == 0 { "InventoryUpdated" } else { "InventoryAdjusted" };
            let fact: Fact = serde_json::from_value(json!({
                "ingestId": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "line": 0, "leg": 0, "revision": 1, "vendorId": "acme",
                "externalEventId": "e1", "eventType": name, "data": data, "schemaVersion": "1.0", "occurredAt": at,
                "rawRef": { "bucket": "raw", "key": "raw/acme/e1.json" },
            }))
            .expect("a fact");
            let entity = fact.entity_key().expect("a key");
            let line = serde_json::to_string(&fact).expect("JSON");
            let effect = Effect { entity, fact, outcome: Outcome::Applied, findings: vec![], outbox: None };
            let now = Timestamp::parse(&at).expect("time");
            let (key, item) = effects::row(&effect, &line, "bytes".into(), now);
            tables.write(Write::put(&EFFECTS, key, item, Condition::Absent)).await.expect("written");
        }
        let minutes = async |most: usize| {
            let (found, complete) = latest(&tables, "acme|w1|A||", most).await.expect("read");
            let minute = |effect: &Effect| effect.fact.occurred_at.to_string()[14..16].to_owned();
            (found.iter().map(minute).collect::<Vec<_>>().join(" "), complete)
        };
        assert_eq!(minutes(3).await, ("06 07 08".to_owned(), false));
        assert_eq!(minutes(8).await, ("01 02 03 04 05 06 07 08".to_owned(), false));
        for most in [9, 100] {
            assert_eq!(minutes(most).await, ("00 01 02 03 04 05 06 07 08".to_owned(), true), "{most}");
        }
    }

    #[test]
    fn an_order_has_the_last_status_that_was_stated() {
        let at = |minute: u32| {
            json!({"occurredAt": format!("2026-03-16T08:{minute:02}:00Z"), "sequence": 0,
                   "ingestId": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "line": 0, "leg": 0})
        };
        let won = |mut at: Value, value: Value| {
            at["value"] = value;
            at
        };
        let state = json!({
            "adjustments": "0",
            "order": won(at(20), json!({"orderId": "1", "status": "UNSTATED", "total": "12"})),
            "orderStatus": won(at(10), json!({"status": "SHIPPED", "vendorStatus": "sent"})),
        });
        let stated = Stated { state: serde_json::from_value(state).expect("a state"), version: 2 };
        let shown = super::state(&stated);
        let order = json!({"orderId": "1", "status": "SHIPPED", "vendorStatus": "sent", "total": "12"});
        assert_eq!(shown["order"]["value"], order);
        assert_eq!(shown["orderStatus"]["occurredAt"], "2026-03-16T08:10:00Z", "since when");
    }
}
