//! An entity's facts and state.

use axum::Json;
use axum::extract::{Path, State};
use contract::Code;
use serde_json::{Value, json};
use stores::effects;

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
    let state = stated.map(|stated| {
        let mut value = serde_json::to_value(&stated.state).unwrap_or_default();
        value["quantityOnHand"] = json!(stated.state.quantity_on_hand());
        value["version"] = json!(stated.version);
        value
    });
    Ok(Json(json!({ "entity": entity, "facts": shown, "complete": after.is_none(), "state": state })))
}

/// `POST /entities/{entity}/recompute`
pub async fn recompute(operator: State<Operator>, entity: Path<String>) -> Result<Json<Value>, Problem> {
    operator.host.recompute(&entity).await.map_err(|reason| Problem::new(Code::Unavailable, reason))?;
    history(operator, entity).await
}
