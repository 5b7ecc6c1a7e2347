//! What is known: facts against what vendors meant, totals against facts.

use std::collections::{BTreeMap, BTreeSet};

use contract::canonical::{self, Data};
use contract::{Decimal, keys};
use ports::tables::{Attr, Row};
use stores::effects::{self, Effect, State, Winner};
use stores::ingest::{Entry, Status};
use stores::normalized;

use super::Evidence;
use crate::model::{self, Envelope, Fact, Place, Said, Total, What};
use crate::traffic::REPORT;

/// Each id has at most one effect, which is what its winner meant; totals are what the facts come to.
pub async fn check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    let rows: Result<Vec<Effect>, _> = evidence.effects.iter().map(effects::read).collect();
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => return wrong.push(format!("facts: {error}")),
    };
    once(evidence, &rows, wrong);
    waiting(evidence, wrong);
    let mut meant = Vec::new();
    for entry in evidence.index.values() {
        meant.extend(of_event(evidence, entry, &rows, wrong).await);
    }
    let known: BTreeSet<String> = evidence.index.values().map(|entry| entry.ingest_id.to_string()).collect();
    for row in rows.iter().filter(|row| !known.contains(&row.fact.ingest_id.to_string())) {
        wrong.push(format!("facts: {} has facts, but never had its id", row.fact.ingest_id));
    }
    let live = rows.iter().filter(|row| !row.fact.retracted).filter_map(|row| seen(&row.fact));
    totals(evidence, "its facts", live.collect(), wrong);
    totals(evidence, "what was meant", meant, wrong);
}

/// Nothing waits that has no effect row. What has one may be left behind: by a process that stood still
/// before it wrote, and went on when an operator had recomputed the entity.
fn waiting(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    let revision = |row: &Row| row.item.get("revision").and_then(Attr::as_i64);
    for row in &evidence.waiting {
        let place = row.key.sk.as_deref().and_then(|sk| sk.strip_prefix(effects::WAITING));
        let taken_in = evidence.effects.iter().any(|effect| {
            effect.key.pk == row.key.pk
                && effect.key.sk.as_deref() == place
                && revision(effect) >= revision(row)
        });
        if !taken_in {
            wrong.push(format!("facts: {:?} still waits", row.key));
        }
    }
}

/// At most one event of an id has an effect.
fn once(evidence: &Evidence<'_>, rows: &[Effect], wrong: &mut Vec<String>) {
    let mut events: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let id = (row.fact.vendor_id.to_string(), row.fact.external_event_id.to_string());
        events.entry(id).or_default().insert(row.fact.ingest_id.to_string());
    }
    for (id, events) in events {
        let winner = evidence.index.get(&id).map(|entry| entry.ingest_id.to_string());
        if events.len() > 1 || events.first() != winner.as_ref() {
            wrong.push(format!("facts: {id:?} has effects of {events:?}, its winner is {winner:?}"));
        }
    }
}

/// What is known of one event is what it means under the mapping that its object names.
async fn of_event(
    evidence: &Evidence<'_>,
    entry: &Entry,
    rows: &[Effect],
    wrong: &mut Vec<String>,
) -> Vec<Fact> {
    let world = evidence.world;
    let (vendor, external) = (entry.vendor_id.as_str(), entry.external_event_id.as_str());
    let id = entry.ingest_id.to_string();
    let bytes = evidence.raw.get(&entry.raw_ref.key).map(|object| object.bytes.clone()).unwrap_or_default();
    let Some(saying) = evidence.saying_of(vendor, external, &bytes) else {
        wrong.push(format!("facts: {id} claimed {external}, and its raw object is not what was sent"));
        return Vec::new();
    };
    let saying = &world.traffic.sayings[saying];
    let key = keys::normalized(&entry.event_type, entry.occurred_at, entry.ingest_id);
    let stored = match normalized::get(&*world.ports.normalized, &key).await {
        Ok(stored) => stored,
        Err(error) => {
            wrong.push(format!("facts: {key}: {error}"));
            return Vec::new();
        }
    };
    let unmapped = saying.event_type == REPORT && world.last_version().is_none();
    if matches!(saying.said, Said::Poison(_)) || unmapped {
        let code = if let Said::Poison(code) = saying.said { code } else { "mapping-missing" };
        let parked = evidence.parked.iter().find(|row| row.key.sk.as_deref() == Some(&id));
        let parked = parked.and_then(|row| row.item.get("code").and_then(Attr::as_str));
        if parked != Some(code) || stored.is_some() || entry.status != Status::FailedNormalize {
            wrong.push(format!(
                "facts: {id} is poison ({code}), and it is parked as {parked:?}, {:?}",
                entry.status
            ));
        }
        return Vec::new();
    }
    let Some(stored) = stored else {
        wrong.push(format!("facts: {id} ({external} of {vendor}) was never normalized"));
        return Vec::new();
    };
    let activation = stored.object.head.activation;
    let version = if saying.event_type == REPORT { world.version(activation) } else { Some(1) };
    let Some(version) = version else {
        wrong.push(format!("facts: {key} names activation {activation}, which never was"));
        return Vec::new();
    };
    if saying.event_type == REPORT && world.reset_after_last() && Some(version) != world.last_version() {
        wrong.push(format!(
            "facts: {id} was normalized with version {version} and never again with {:?}",
            world.last_version()
        ));
    }
    let envelope = Envelope { vendor, event: &id, at: entry.occurred_at.as_millis(), version };
    let meant = saying.said.facts(envelope);
    let live = rows.iter().filter(|row| !row.fact.retracted && row.fact.ingest_id == entry.ingest_id);
    let live: Vec<Option<Fact>> = live.map(|row| seen(&row.fact)).collect();
    let missing: Vec<&Fact> = meant.iter().filter(|fact| !live.contains(&Some((*fact).clone()))).collect();
    if !missing.is_empty() || live.len() != meant.len() {
        wrong.push(format!("facts: {id} (version {version}) meant {meant:?}, and what is known is {live:?}"));
    }
    meant
}

/// A fact of dvss's in the model's words; `None` where it says what nothing sent can mean.
fn seen(fact: &canonical::Fact) -> Option<Fact> {
    let key = fact.fold_key();
    let place = Place {
        at: key.occurred_at.as_millis(),
        sequence: key.sequence,
        event: key.ingest_id.to_string(),
        line: key.line,
        leg: key.leg,
    };
    let what = match &fact.data {
        Data::InventoryUpdated(data) => {
            let on_hand = data.quantity_on_hand.as_ref().map(whole);
            let free = data.quantity_available.as_ref().map(whole);
            What::Absolute { on_hand: known(on_hand)?, free: known(free)? }
        }
        Data::InventoryAdjusted(data) => What::Delta(whole(&data.delta)?),
        Data::OrderUpdated(data) => {
            let status = serde_json::to_value(data.status).ok()?;
            What::Order(status.as_str()?.to_owned(), whole(data.total.as_ref()?)?)
        }
        Data::InventoryReceived(_) => return None,
    };
    Some(Fact { entity: fact.entity_key().ok()?, place, what })
}

/// A whole number, however it is written.
fn whole(number: &Decimal) -> Option<i64> {
    let text = number.to_string();
    let text = text.split_once('.').map_or(text.as_str(), |(whole, fraction)| {
        if fraction.bytes().all(|digit| digit == b'0') { whole } else { "no whole number" }
    });
    text.parse().ok()
}

/// Absent stays absent; unreadable is unreadable.
#[expect(clippy::option_option, reason = "absent and unreadable are two things")]
fn known(number: Option<Option<i64>>) -> Option<Option<i64>> {
    match number {
        None => Some(None),
        Some(number) => number.map(Some),
    }
}

/// The state rows are what `facts` come to, and there are no others.
fn totals(evidence: &Evidence<'_>, of: &str, facts: Vec<Fact>, wrong: &mut Vec<String>) {
    let expected = model::totals(facts);
    let mut stated = BTreeMap::new();
    for row in &evidence.states {
        let json = row.item.get("state").and_then(Attr::as_str).unwrap_or_default();
        match serde_json::from_str::<State>(json).ok().and_then(|state| total(&state)) {
            Some(total) => stated.insert(row.key.pk.clone(), total),
            None => return wrong.push(format!("totals: the state of {} is unreadable: {json}", row.key.pk)),
        };
    }
    let nothing = Total::default();
    let entities: BTreeSet<&String> = expected.keys().chain(stated.keys()).collect();
    for entity in entities {
        let (expected, stated) = (expected.get(entity), stated.get(entity));
        // An entity whose facts were all taken back has a state that says nothing.
        if expected.unwrap_or(&nothing) != stated.unwrap_or(&nothing) {
            wrong.push(format!("totals: by {of}, {entity} is {expected:?}, and its state says {stated:?}"));
        }
    }
}

fn total(state: &State) -> Option<Total> {
    let place = |key: &canonical::FoldKey| Place {
        at: key.occurred_at.as_millis(),
        sequence: key.sequence,
        event: key.ingest_id.to_string(),
        line: key.line,
        leg: key.leg,
    };
    let won = |winner: &Winner<Decimal>| Some((place(&winner.key), whole(&winner.value)?));
    let order = state.order.as_ref().map(|winner| {
        let status = serde_json::to_value(winner.value.status).ok()?;
        let total = whole(winner.value.total.as_ref()?)?;
        Some((place(&winner.key), status.as_str()?.to_owned(), total))
    });
    Some(Total {
        on_hand: state.on_hand.as_ref().map(won).map_or(Some(None), |won| won.map(Some))?,
        changes: whole(&state.adjustments)?,
        free: state.available.as_ref().map(won).map_or(Some(None), |won| won.map(Some))?,
        order: order.map_or(Some(None), |order| order.map(Some))?,
    })
}
