//! An entity's facts and state.

use axum::Json;
use axum::extract::{Path, State};
use contract::Code;
use serde_json::{Value, json};
use stores::effects::{self, Stated};

use crate::facts;
use crate::problem::Problem;
use crate::server::Operator;

/// Facts that are shown; the oldest are left out beyond.
const MOST: usize = 10_000;

/// `GET /entities/{entity}`
pub async fn history(
    State(operator): State<Operator>,
    Path(entity): Path<String>,
) -> Result<Json<Value>, Problem> {
    let tables = &*operator.ports.tables;
    let (mut shown, mut after) = (Vec::new(), None::<String>);
    let none = facts::Uncopied::new();
    loop {
        let (page, next) = effects::history(tables, &entity, after.as_deref(), 1_000).await?;
        shown.extend(page.iter().map(|effect| facts::shown(&effect.fact, Some(effect), &none)));
        after = next;
        if after.is_none() || shown.len() >= MOST {
            break;
        }
    }
    let stated = effects::state(tables, &entity).await?;
    if shown.is_empty() && stated.is_none() {
        return Err(Problem::not_found(format!(
            "entity {entity:?}; `dvss explain` shows an event's entities"
        )));
    }
    let state = stated.as_ref().map(state);
    Ok(Json(json!({ "entity": entity, "facts": shown, "complete": after.is_none(), "state": state })))
}

/// `POST /entities/{entity}/recompute`
pub async fn recompute(operator: State<Operator>, entity: Path<String>) -> Result<Json<Value>, Problem> {
    operator.host.recompute(&entity).await.map_err(|reason| Problem::new(Code::Unavailable, reason))?;
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
    use super::*;

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
