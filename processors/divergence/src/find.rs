//! What about a fact a person should see.
//!
//! | kind | found when |
//! |---|---|
//! | `STALE` | a fact that was not known before moves nothing, for a later one is known (a correction of a fact that was in time is not late: its outcome alone says `STALE`) |
//! | `SAME_TIME_DIFFERENT_VALUE` | another live absolute, or order, of the same `occurredAt` and sequence states another value; whichever comes second, also behind later ones |
//! | `NEGATIVE_QUANTITY` | a quantity is stated below zero, or the quantity on hand moves to below zero |
//! | `ANOMALOUS_CHANGE` | the newest word, not known before, moves a quantity by more than the configured bound |
//! | `SCHEMA_DRIFT` | normalize met members that the source schema does not know |
//! | `VENDORS_DISAGREE` | the quantity on hand moves and differs from another member's of the shared warehouse |

use contract::Decimal;
use contract::canonical::{Data, Divergence as Finding, DivergenceKind, Fact, FoldKey, Outcome};
use contract::entity::Entity;
use serde_json::{Value, json};
use stores::effects::{Kind, State, StatedStatus};

use crate::decide::{Given, Need, Partner, Reads, Stop};
use crate::fold::{self, Field};
use crate::options::AnomalousChange;

/// Most pointers that a finding of drift shows, and most characters of each.
const SHOWN_POINTERS: usize = 20;
const SHOWN_POINTER: usize = 200;
/// Most of them that its message names.
const NAMED_POINTERS: usize = 3;

/// What is to be recorded with a fact that makes `after` of `given.state`.
pub fn find(given: Given<'_>, after: &State, outcome: Outcome, reads: &Reads) -> Result<Vec<Finding>, Stop> {
    let other = same_instant(given, reads)?;
    let partners = partners(given, after, reads)?;
    let found = [
        stale(given, outcome),
        other.and_then(|other| same_time(given, other)),
        negative(given, after),
        anomalous(given, after),
        drift(given),
        disagree(given, after, partners),
    ];
    Ok(found.into_iter().flatten().collect())
}

/// Whether two facts of one instant contradict each other: both state something, and not the same.
pub fn differ(one: &Fact, other: &Fact) -> bool {
    let quantities = Field::ALL.into_iter().any(|field| {
        let both = fold::stated(one, field).zip(fold::stated(other, field));
        both.is_some_and(|(one, other)| one != other)
    });
    let orders = fold::order(one).zip(fold::order(other)).is_some_and(|(one, other)| {
        let statuses = StatedStatus::of(one).zip(StatedStatus::of(other));
        let statuses = statuses.map(|(one, other)| (one.status, other.status));
        let totals = one.total.as_ref().zip(other.total.as_ref());
        let currencies = one.currency.as_ref().zip(other.currency.as_ref());
        statuses.is_some_and(|(one, other)| one != other)
            || totals.is_some_and(|(one, other)| one != other)
            || currencies.is_some_and(|(one, other)| one != other)
    });
    quantities || orders
}

fn stale(given: Given<'_>, outcome: Outcome) -> Option<Finding> {
    if outcome != Outcome::Stale || given.before.is_some() {
        return None;
    }
    let Given { fact, state, .. } = given;
    let later = match Kind::of(&fact.data) {
        Kind::Absolute => {
            let stated = Field::ALL.into_iter().filter(|field| fold::stated(fact, *field).is_some());
            stated.filter_map(|field| field.winner(state)).map(|winner| winner.key).max()
        }
        Kind::Adjustment => state.on_hand.as_ref().map(|winner| winner.key),
        Kind::Order => state.order.as_ref().map(|winner| winner.key),
    };
    let message = moves_nothing(fact.data.name(), fact.fold_key(), later);
    Some(finding(given, DivergenceKind::Stale, message, said(fact), Some(standing(state))))
}

/// Why a fact loses against the later one that is known. At the same time it may be a tie that decides.
fn moves_nothing(name: &str, key: FoldKey, later: Option<FoldKey>) -> String {
    let instant = |key: &FoldKey| (key.occurred_at, key.sequence);
    match later {
        None => format!("{name} of {} moves nothing: a later one was known before it came", place(&key)),
        Some(later) if instant(&later) == instant(&key) => format!(
            "{name} of {} moves nothing: {} of the same time counts as later, for of equal times and sequences the \
             higher ingest id wins, then the higher line; a `sequence` would say which is",
            place(&key),
            later.ingest_id
        ),
        Some(later) => {
            format!("{name} of {} moves nothing: {} was known before it came", place(&key), place(&later))
        }
    }
}

/// The other fact of the same instant that differs, where one has to be looked for.
fn same_instant<'a>(given: Given<'_>, reads: &'a Reads) -> Result<Option<&'a Fact>, Stop> {
    let Given { fact, before, state, .. } = given;
    let key = fact.fold_key();
    let instant = |key: FoldKey| (key.occurred_at, key.sequence);
    // No row is later than the last one, so none stands beside a fact that is later than that.
    let alone = state.last_absolute.is_none_or(|last| instant(last) < instant(key));
    let restated = before.is_none_or(|before| restates(before, fact));
    if fact.retracted || alone || !restated || Kind::of(&fact.data) == Kind::Adjustment {
        return Ok(None);
    }
    match &reads.same_instant {
        Some(other) => Ok(other.as_ref()),
        None => Err(Need::SameInstant.into()),
    }
}

fn same_time(given: Given<'_>, other: &Fact) -> Option<Finding> {
    let fact = given.fact;
    let message = format!(
        "{} of {} contradicts {} of the same instant",
        fact.data.name(),
        place(&fact.fold_key()),
        other.ingest_id
    );
    let kind = DivergenceKind::SameTimeDifferentValue;
    Some(finding(given, kind, message, said(fact), Some(said(other))))
}

fn negative(given: Given<'_>, after: &State) -> Option<Finding> {
    let Given { fact, before, state, entity, .. } = given;
    let restated = before.is_none_or(|before| restates(before, fact));
    let below = |field: &Field| fold::stated(fact, *field).is_some_and(Decimal::is_negative);
    let stated = Field::ALL.into_iter().filter(|_| restated).find(below);
    let on_hand = after.quantity_on_hand().filter(|quantity| quantity.is_negative());
    let moved = on_hand.filter(|quantity| state.quantity_on_hand().as_ref() != Some(quantity));
    let message = match (stated.and_then(|field| Some((field, fold::stated(fact, field)?))), moved) {
        (Some((field, value)), _) => format!("{} of `{entity}` is stated as {value}", field.name()),
        (None, Some(quantity)) => format!("`{entity}` has {quantity} on hand"),
        (None, None) => return None,
    };
    Some(finding(given, DivergenceKind::NegativeQuantity, message, said(fact), Some(standing(state))))
}

fn anomalous(given: Given<'_>, after: &State) -> Option<Finding> {
    let Given { fact, before, state, entity, options } = given;
    let watch = options.anomalous_change.as_ref()?;
    if before.is_some() || fact.retracted {
        return None;
    }
    let key = Some(fact.fold_key());
    let jumps = |(from, to): &(Decimal, Decimal)| jumps(watch, from, to);
    let on_hand = state.quantity_on_hand().zip(after.quantity_on_hand());
    let newest_on_hand = state.last_adjustment < key && state.on_hand.as_ref().map(|winner| winner.key) < key;
    let on_hand = on_hand.filter(|_| newest_on_hand).filter(jumps).map(|pair| (Field::OnHand, pair));
    let others = Field::ALL.into_iter().filter(|field| *field != Field::OnHand).filter_map(|field| {
        let (from, to) = (field.winner(state)?, field.winner(after)?);
        let newest = Some(to.key) == key;
        let pair = newest.then(|| (from.value.clone(), to.value.clone())).filter(jumps)?;
        Some((field, pair))
    });
    let (field, (from, to)) = on_hand.into_iter().chain(others).next()?;
    let message = format!("{} of `{entity}` goes from {from} to {to}", field.name());
    Some(finding(given, DivergenceKind::AnomalousChange, message, said(fact), Some(standing(state))))
}

fn jumps(watch: &AnomalousChange, from: &Decimal, to: &Decimal) -> bool {
    let (from_size, to_size) = (from.abs(), to.abs());
    let (smaller, larger) = if from_size < to_size { (from_size, to_size) } else { (to_size, from_size) };
    let apart = to.minus(from).abs() >= Decimal::from(i64::from(watch.minimum_units));
    apart && larger >= smaller.times(&Decimal::from(i64::from(watch.factor)))
}

fn drift(given: Given<'_>) -> Option<Finding> {
    let Given { fact, before, .. } = given;
    let known = before.is_some_and(|before| before.drift == fact.drift);
    if fact.drift.is_empty() || fact.retracted || known {
        return None;
    }
    let shown = fact.drift.iter().take(SHOWN_POINTERS);
    let shown: Vec<String> = shown.map(|pointer| pointer.chars().take(SHOWN_POINTER).collect()).collect();
    let count = fact.drift.len();
    let more = if count > NAMED_POINTERS { ", …" } else { "" };
    let named = shown.iter().take(NAMED_POINTERS).map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = format!(
        "the payload has members that the mapping's source schema does not know ({count}): {named}{more}"
    );
    let ours = json!({ "count": count, "pointers": shown });
    let found = finding(given, DivergenceKind::SchemaDrift, message, ours, None);
    Some(Finding { entity: None, ..found })
}

/// The other members of the shared warehouse, where the quantity on hand moves.
fn partners<'a>(given: Given<'_>, after: &State, reads: &'a Reads) -> Result<&'a [Partner], Stop> {
    let Given { fact, state, options, .. } = given;
    let quantity = after.quantity_on_hand();
    if quantity.is_none() || quantity == state.quantity_on_hand() {
        return Ok(&[]);
    }
    let Entity::Stock { vendor, warehouse, sku, lot, condition } = fact.entity() else { return Ok(&[]) };
    let Some(shared) = options.shared(&vendor, warehouse.as_deref()) else { return Ok(&[]) };
    if let Some(partners) = &reads.partners {
        return Ok(partners);
    }
    let others =
        shared.members.iter().filter(|member| member.vendor_id != vendor || member.warehouse_id != warehouse);
    let keys = others.filter_map(|member| {
        let (sku, lot, condition) = (sku.clone(), lot.clone(), condition.clone());
        let (vendor, warehouse) = (member.vendor_id.clone(), member.warehouse_id.clone());
        // Too long a key is no entity of the other's either: normalize refuses it.
        Entity::Stock { vendor, warehouse, sku, lot, condition }.key().ok()
    });
    Err(Need::Partners(keys.collect()).into())
}

fn disagree(given: Given<'_>, after: &State, partners: &[Partner]) -> Option<Finding> {
    let Given { fact, options, entity, .. } = given;
    let ours = after.quantity_on_hand()?;
    let (Data::InventoryUpdated(_) | Data::InventoryAdjusted(_) | Data::InventoryReceived(_)) = &fact.data
    else {
        return None;
    };
    let Entity::Stock { warehouse, .. } = fact.entity() else { return None };
    let shared = options.shared(&fact.vendor_id, warehouse.as_deref())?;
    let tolerance = Decimal::from(i64::from(shared.tolerance_units));
    let others = partners.iter().filter_map(|partner| {
        let state = &partner.stated.as_ref()?.state;
        let theirs = state.quantity_on_hand()?;
        (ours.minus(&theirs).abs() > tolerance).then_some((partner, state, theirs))
    });
    let others: Vec<_> = others.collect();
    let (first, _, theirs) = others.first()?;
    let message =
        format!("in {}, `{entity}` has {ours} on hand where `{}` has {theirs}", shared.name, first.entity);
    let sides = others.iter().map(|(partner, state, theirs)| {
        json!({ "entity": partner.entity, "quantityOnHand": theirs, "state": standing(state) })
    });
    let theirs = Value::Array(sides.collect());
    let ours = json!({ "entity": entity, "quantityOnHand": ours, "fact": said(fact) });
    Some(finding(given, DivergenceKind::VendorsDisagree, message, ours, Some(theirs)))
}

/// Whether a correction changes what can contradict: the quantities, or the order.
fn restates(before: &Fact, fact: &Fact) -> bool {
    let quantities =
        Field::ALL.into_iter().any(|field| fold::stated(before, field) != fold::stated(fact, field));
    quantities || fold::order(before) != fold::order(fact)
}

fn finding(
    given: Given<'_>,
    kind: DivergenceKind,
    message: String,
    ours: Value,
    theirs: Option<Value>,
) -> Finding {
    let fact = given.fact;
    Finding {
        kind,
        vendor_id: fact.vendor_id.clone(),
        ingest_id: fact.ingest_id,
        line: fact.line,
        leg: fact.leg,
        revision: fact.revision,
        entity: Some(given.entity.to_owned()),
        occurred_at: fact.occurred_at,
        message,
        ours: ours.to_string(),
        theirs: theirs.map(|side| side.to_string()),
    }
}

fn place(key: &FoldKey) -> String {
    match key.sequence {
        0 => format!("{}", key.occurred_at),
        sequence => format!("{} (sequence {sequence})", key.occurred_at),
    }
}

/// A fact as one side of a divergence: bounded, whatever the fact's size.
fn said(fact: &Fact) -> Value {
    let key = fact.fold_key();
    let data = match &fact.data {
        Data::InventoryUpdated(_) => {
            let stated = Field::ALL.into_iter();
            let stated = stated.filter_map(|field| Some((field.name(), fold::stated(fact, field)?)));
            stated.map(|(name, value)| (name.to_owned(), json!(value))).collect()
        }
        Data::InventoryAdjusted(data) => json!({ "delta": data.delta }),
        Data::InventoryReceived(data) => json!({ "delta": data.delta, "jobId": data.job_id }),
        Data::OrderUpdated(data) => summary(data),
    };
    json!({
        "eventType": fact.data.name(),
        "ingestId": fact.ingest_id,
        "line": fact.line,
        "leg": fact.leg,
        "revision": fact.revision,
        "externalEventId": fact.external_event_id,
        "occurredAt": fact.occurred_at,
        "sequence": key.sequence,
        "retracted": fact.retracted,
        "data": data,
    })
}

/// What is known as the other side: bounded, whatever the order's size.
fn standing(state: &State) -> Value {
    if let (Some(winner), Some(order)) = (&state.order, state.order()) {
        return json!({ "order": summary(&order), "since": winner.key });
    }
    let mut known = json!(state);
    if let (Some(quantity), Some(known)) = (state.quantity_on_hand(), known.as_object_mut()) {
        known.insert("quantityOnHand".to_owned(), json!(quantity));
    }
    known
}

fn summary(order: &contract::canonical::OrderUpdated) -> Value {
    json!({
        "orderId": order.order_id,
        "status": order.status,
        "vendorStatus": order.vendor_status.as_deref().map(|text| text.chars().take(200).collect::<String>()),
        "currency": order.currency.as_deref().map(|text| text.chars().take(20).collect::<String>()),
        "total": order.total,
        "lines": order.lines.len(),
    })
}

#[cfg(test)]
mod tests {
    use contract::{IngestId, Timestamp};

    use super::*;

    #[test]
    fn who_loses_a_tie_is_told_the_rule() {
        let key = |minute: u32, sequence, last: char| FoldKey {
            occurred_at: Timestamp::parse(&format!("2026-03-16T08:{minute}:00Z")).expect("time"),
            sequence,
            ingest_id: IngestId::parse(&format!("01J0000000ABCDEFGHJKMNPQR{last}")).expect("id"),
            line: 0,
            leg: 0,
        };
        let fact = key(30, 0, 'A');
        for (later, ties) in [
            (None, false),
            (Some(key(31, 0, 'B')), false),
            (Some(key(30, 7, 'B')), false),
            (Some(key(30, 0, 'B')), true),
            (Some(FoldKey { line: 1, ..fact }), true),
        ] {
            let message = moves_nothing("InventoryUpdated", fact, later);
            assert_eq!(message.contains("higher ingest id wins"), ties, "{message}");
            let other = later.filter(|_| ties).map(|later| later.ingest_id.to_string());
            assert!(other.is_none_or(|id| message.contains(&id)), "{message}");
        }
    }
}
