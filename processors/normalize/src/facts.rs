//! From what a mapping gives to facts that every later store can keep; pure.

use std::io;
use std::sync::LazyLock;

use contract::canonical::{Data, Fact, SCHEMA_VERSION};
use contract::entity::{Entity, TooLong};
use contract::event::Event;
use contract::json::escape_token;
use contract::{Code, Decimal, Json, Timestamp};
use mapping::{Mapped, MappedFact};

use crate::{Options, Refusal};

/// Most pointers of unknown members that an event reports.
pub const MAX_DRIFT: usize = 100;
/// Highest leg: it is one digit of a fact's key, and digits sort.
const MAX_LEG: u8 = 9;
/// A payload's own time may be old, and platforms' sandboxes do say 1970; only the epoch itself, in
/// whatever zone, is nobody's time but that of an empty field. Envelopes are held to 2000 by accept.
static EARLIEST: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::parse("1970-01-02T00:00:00Z").expect("a constant in RFC 3339"));

/// The facts of an event, at revision 1, in the order of line and leg; or why one of them cannot be
/// kept. `payload` is what they were mapped from.
pub fn facts(event: &Event, payload: &Json, mapped: Mapped, options: &Options) -> Result<Vec<Fact>, Refusal> {
    let base = event.draft.mode.payload_pointer();
    let mut drift: Vec<String> =
        mapped.drift.iter().take(MAX_DRIFT).map(|pointer| format!("{base}{pointer}")).collect();
    let latest = event.received_at.plus(options.max_ahead);
    let mut facts = Vec::with_capacity(mapped.facts.len());
    for fact in mapped.facts {
        let fact = fact_of(event, fact, std::mem::take(&mut drift));
        check(&fact, payload, latest, options.max_fact_bytes)
            .map_err(|refusal| about(&fact, base, refusal))?;
        facts.push(fact);
    }
    Ok(facts)
}

fn fact_of(event: &Event, mapped: MappedFact, drift: Vec<String>) -> Fact {
    let MappedFact { line, leg, occurred_at, data } = mapped;
    Fact {
        ingest_id: event.draft.ingest_id,
        line,
        leg,
        revision: 1,
        vendor_id: event.draft.vendor_id.clone(),
        external_event_id: event.draft.external_event_id.clone(),
        data,
        schema_version: SCHEMA_VERSION.to_owned(),
        occurred_at: occurred_at.unwrap_or(event.draft.occurred_at),
        raw_ref: event.raw_ref.clone(),
        retracted: false,
        drift,
    }
}

fn check(fact: &Fact, payload: &Json, latest: Timestamp, most: usize) -> Result<(), Refusal> {
    fact.entity_key().map_err(|error| {
        let pointer = part(fact.entity(), error.part).and_then(|text| place_of(payload, &text));
        Refusal { pointer, ..Refusal::new(TooLong::CODE, error.to_string()) }
    })?;
    if fact.leg > MAX_LEG {
        let message = format!("one element gives more than {} facts", u32::from(MAX_LEG) + 1);
        return Err(Refusal::new(Code::MappingTooManyFacts, message));
    }
    let earliest = *EARLIEST;
    if !(earliest..=latest).contains(&fact.occurred_at) {
        let message = format!("occurredAt {} lies outside of {earliest} to {latest}", fact.occurred_at);
        return Err(Refusal::new(Code::OccurredAtOutOfRange, message));
    }
    if decimals(&fact.data).into_iter().any(|number| !number.within_bounds()) {
        let message = "a number of more than 28 digits cannot be kept exactly";
        return Err(Refusal::new(Code::MappingFieldInvalid, message));
    }
    let mut written = Counted(0);
    let bytes = serde_json::to_writer(&mut written, fact).map_or(usize::MAX, |()| written.0);
    if bytes > most {
        let message = format!("a fact of {bytes} bytes; at most {most} are taken");
        return Err(Refusal::new(Code::RecordTooLarge, message));
    }
    Ok(())
}

/// Counts bytes and keeps none.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decimals(data: &Data) -> Vec<&Decimal> {
    match data {
        Data::InventoryUpdated(data) => {
            let quantities = [
                &data.quantity_on_hand,
                &data.quantity_available,
                &data.quantity_reserved,
                &data.quantity_incoming,
            ];
            quantities.into_iter().flatten().collect()
        }
        Data::InventoryAdjusted(data) => vec![&data.delta],
        Data::InventoryReceived(data) => vec![&data.delta],
        Data::OrderUpdated(data) => {
            let lines = data.lines.iter().flat_map(|line| line.quantity.iter().chain(&line.unit_price));
            data.total.iter().chain(lines).collect()
        }
    }
}

/// The text of a part of an entity's key.
fn part(entity: Entity, name: &str) -> Option<String> {
    match (entity, name) {
        (Entity::Stock { sku, .. }, "sku") => Some(sku),
        (Entity::Stock { warehouse, .. }, "warehouseId") => warehouse,
        (Entity::Stock { lot, .. }, "lot") => lot,
        (Entity::Stock { condition, .. }, "condition") => condition,
        (Entity::Order { order_id, .. }, "orderId") => Some(order_id),
        _ => None,
    }
}

/// Where in the payload this very text stands first. A mapping does not say where it took a text from, but
/// one that is too long for a key is hardly there twice.
fn place_of(json: &Json, text: &str) -> Option<String> {
    match json {
        Json::String(found) => (found.trim() == text.trim()).then(String::new),
        Json::Number(found) => (**found == *text).then(String::new),
        Json::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| Some(format!("/{index}{}", place_of(item, text)?))),
        Json::Object(members) => members
            .iter()
            .find_map(|(key, value)| Some(format!("/{}{}", escape_token(key), place_of(value, text)?))),
        Json::Null | Json::Bool(_) => None,
    }
}

/// The refusal, naming the fact. Its pointer is the payload where no place in it is known: the mapping alone
/// knows which member a value came from.
fn about(fact: &Fact, base: &str, refusal: Refusal) -> Refusal {
    let message = format!("line {}: {}", fact.line, refusal.message);
    let pointer = format!("{base}{}", refusal.pointer.unwrap_or_default());
    Refusal { message, pointer: Some(pointer), ..refusal }
}
