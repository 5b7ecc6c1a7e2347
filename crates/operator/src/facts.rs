//! Facts as operators read them: the object's lines beside what divergence and the outbox did.

use std::collections::HashMap;

use contract::canonical::Fact;
use ports::log::Coordinates;
use ports::tables::Row;
use serde_json::{Value, json};
use stores::effects::{self, Effect};
use stores::outbox::RowRef;
use stores::tables::EFFECTS;

use crate::problem::Problem;
use crate::server::Operator;

/// Rows of one strong read.
const PAGE: usize = 100;

/// The effect rows of facts, strongly read, in their order; `None` where divergence has none yet.
pub async fn effects(operator: &Operator, facts: &[&Fact]) -> Result<Vec<Option<Effect>>, Problem> {
    let mut found = Vec::with_capacity(facts.len());
    for facts in facts.chunks(PAGE) {
        let mut keys = Vec::with_capacity(facts.len());
        for fact in facts {
            let entity = fact.entity_key().map_err(Problem::invalid)?;
            keys.push(effects::key(&entity, effects::Kind::of(&fact.data), &fact.fold_key()));
        }
        let items = operator.ports.tables.get(&EFFECTS, &keys).await?;
        for (key, item) in keys.into_iter().zip(items) {
            found.push(item.map(|item| effects::read(&Row { key, item })).transpose()?);
        }
    }
    Ok(found)
}

/// Publications that are not copied into their rows yet, from the receipts: row and revision.
pub type Uncopied = HashMap<(RowRef, u32), Coordinates>;

/// Where a line of an object is out, at its revision or a later one: the row's coordinates, or those of
/// a receipt that is not copied yet. The receipts are to be read before the row, for a receipt is gone
/// once its row has the coordinates.
pub fn out(fact: &Fact, effect: &Effect, uncopied: &Uncopied) -> Option<Coordinates> {
    if effect.fact.revision < fact.revision {
        return None;
    }
    let receipt = || {
        let key = effects::key(&effect.entity, effect.kind(), &effect.fact.fold_key());
        uncopied.get(&(RowRef::new(&EFFECTS, &key), effect.fact.revision)).cloned()
    };
    published(effect).or_else(receipt)
}

/// One fact; `effect` where divergence has seen this or a later revision of it.
pub fn shown(fact: &Fact, effect: Option<&Effect>, uncopied: &Uncopied) -> Value {
    let current = effect.filter(|effect| effect.fact.revision >= fact.revision);
    let mut value = json!({
        "ingestId": fact.ingest_id, "line": fact.line, "leg": fact.leg, "revision": fact.revision,
        "eventType": fact.data.name(), "occurredAt": fact.occurred_at, "entity": fact.entity_key().ok(),
        "outcome": current.map(|effect| effect.outcome),
        "published": effect.and_then(|effect| out(fact, effect, uncopied)).map(|at| coordinates(&at)),
    });
    // `Data` is written as {"eventType", "data"}; only the data belong here.
    value["data"] = serde_json::to_value(&fact.data).map(|mut both| both["data"].take()).unwrap_or_default();
    if fact.retracted {
        value["retracted"] = Value::Bool(true);
    }
    value
}

/// Where a row's current revision was published.
pub fn published(effect: &Effect) -> Option<Coordinates> {
    effect.outbox.as_ref().and_then(|outbox| outbox.coordinates.clone())
}

/// Coordinates as JSON.
pub fn coordinates(at: &Coordinates) -> Value {
    json!({ "topic": &*at.partition.topic, "partition": at.partition.index, "offset": at.offset })
}
