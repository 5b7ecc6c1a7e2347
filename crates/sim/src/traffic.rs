//! What vendors send: drawn from the seed, with everything that vendors do. Repeats, repeats under
//! another date and in another spelling, other payloads under a used id, poison, late and equal times.

use bytes::Bytes;
use contract::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde_json::{Value, json};

use crate::draw;
use crate::model::{Change, Line, Order, Said, Stock, VERSIONS, reading};
use crate::plan::{CHAOS, Plan, pick};

use std::time::Duration;

/// The vendors; the first one has words of its own.
pub const VENDORS: [&str; 3] = ["acme", "bolt", "crab"];
/// The first vendor's word for a report.
pub const REPORT: &str = "stock.report";
/// The warehouse that two vendors share in some runs.
pub const SHARED: &str = "w1";

const SKUS: [&str; 3] = ["A", "B", "C"];
const PLACES: [&str; 2] = ["w1", "w2"];

/// Everything that is sent.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// What is said.
    pub sayings: Vec<Saying>,
    /// When it is sent.
    pub sendings: Vec<Sending>,
}

/// Something that a vendor says under an id.
#[derive(Debug, Clone)]
pub struct Saying {
    /// Who.
    pub vendor: &'static str,
    /// Under which id.
    pub external: String,
    /// Its kind, in the vendor's words.
    pub event_type: &'static str,
    /// What.
    pub said: Said,
    payload: Value,
}

/// One request, and its retries.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// Which saying.
    pub saying: usize,
    /// When, from the start.
    pub at: Duration,
    /// When it happened, in milliseconds since the epoch.
    pub occurred_at: i64,
    /// Whether it is written in another way than the others.
    pub respelled: bool,
    /// Whether each retry names another instant, as some vendors' do.
    pub redates: bool,
}

/// A minute of the day on which everything happens, in milliseconds since the epoch.
pub fn minute(index: i64) -> i64 {
    let start = Timestamp::parse("2026-03-16T08:00:00Z").expect("an instant");
    start.as_millis() + index * 60_000
}

/// An instant as vendors write it.
pub fn written(at: i64) -> String {
    Timestamp::from_millis(at).map(|at| at.to_string()).unwrap_or_default()
}

impl Traffic {
    /// What the plan's seed has vendors send.
    pub fn of(plan: &Plan) -> Self {
        let mut rng = draw::generator(plan.seed, "traffic");
        let mut traffic = Self::default();
        for index in 0..plan.layout.events_meant {
            let vendor = pick(&mut rng, &VENDORS);
            let external = format!("e{index}");
            let first = traffic.say(&mut rng, vendor, &external);
            let at = Duration::from_millis(rng.random_range(0..CHAOS.as_millis() as u64 * 3 / 4));
            // Few minutes, so that many events have equal times.
            let occurred_at = minute(rng.random_range(0..8));
            traffic.send(&mut rng, first, at, occurred_at, false);
            for _ in 0..repeats(&mut rng) {
                // At the same moment, or any time later.
                let later = Duration::from_millis(pick(&mut rng, &[0, 0, 3, 40, 900, 7_000]));
                match rng.random_range(0..10) {
                    0..5 => traffic.send(&mut rng, first, at + later, occurred_at, false),
                    5 => traffic.send(&mut rng, first, at + later, occurred_at, true),
                    6..8 => {
                        let redated = occurred_at + 60_000 * rng.random_range(-3..=3);
                        let respelled = rng.random_bool(0.3);
                        traffic.send(&mut rng, first, at + later, redated, respelled);
                    }
                    _ => {
                        let other = traffic.say(&mut rng, vendor, &external);
                        let redated = pick(&mut rng, &[occurred_at, occurred_at + 60_000]);
                        traffic.send(&mut rng, other, at + later, redated, false);
                    }
                }
            }
        }
        traffic
    }

    fn say(&mut self, rng: &mut StdRng, vendor: &'static str, external: &str) -> usize {
        let (event_type, said) = said(rng, vendor);
        let payload = payload(rng, &said, self.sayings.len());
        self.sayings.push(Saying { vendor, external: external.to_owned(), event_type, said, payload });
        self.sayings.len() - 1
    }

    fn send(&mut self, rng: &mut StdRng, saying: usize, at: Duration, occurred_at: i64, respelled: bool) {
        let occurred_at = match self.sayings[saying].said {
            Said::Refused(_) => 0,
            _ => occurred_at,
        };
        let redates = rng.random_bool(0.1);
        self.sendings.push(Sending { saying, at, occurred_at, respelled, redates });
    }

    /// The body of a sending's attempt (from 0), and the instant that it names.
    pub fn body(&self, sending: usize, attempt: u32) -> (i64, Bytes) {
        let Sending { saying, occurred_at, respelled, redates, .. } = self.sendings[sending];
        let Saying { external, event_type, payload, .. } = &self.sayings[saying];
        let payload = payload.to_string();
        let at = occurred_at + if redates { i64::from(attempt) * 60_000 } else { 0 };
        let when = written(at);
        let body = if respelled {
            // Other bytes, the same words: a fraction of nothing, blanks, another order.
            let payload = payload.replace("77,", "77.0,").replace("\":", "\" : ");
            format!(
                r#"{{"payload":{payload}, "note":{sending}, "occurredAt":"{when}",
                "eventType":"{event_type}","externalEventId":"{external}"}}"#
            )
        } else {
            format!(
                r#"{{"externalEventId":"{external}","eventType":"{event_type}","occurredAt":"{when}","payload":{payload}}}"#
            )
        };
        (at, body.into())
    }
}

fn repeats(rng: &mut impl Rng) -> usize {
    pick(rng, &[0, 0, 0, 1, 1, 2, 3])
}

fn said(rng: &mut StdRng, vendor: &str) -> (&'static str, Said) {
    match rng.random_range(0..40) {
        0 => return ("mystery", Said::Poison("mapping-missing")),
        1 => return ("InventoryUpdated", Said::Poison("source-schema-mismatch")),
        2 => return ("InventoryAdjusted", Said::Poison("mapping-field-invalid")),
        3 => return ("OrderUpdated", Said::Refused("occurred-at-out-of-range")),
        _ => {}
    }
    if vendor == VENDORS[0] && rng.random_bool(0.8) {
        let count = pick(rng, &[0, 1, 1, 2, 3, 6]);
        return (REPORT, Said::Report((0..count).map(|_| line(rng)).collect()));
    }
    let count = pick(rng, &[1, 1, 1, 2, 4]);
    match rng.random_range(0..4) {
        0 | 1 => ("InventoryUpdated", Said::Stock((0..count).map(|_| stock(rng)).collect())),
        2 => ("InventoryAdjusted", Said::Changes((0..count).map(|_| change(rng)).collect())),
        _ => ("OrderUpdated", Said::Orders((0..count).map(|_| order(rng)).collect())),
    }
}

fn name(rng: &mut StdRng, all: &[&str]) -> String {
    pick(rng, all).to_owned()
}

fn line(rng: &mut StdRng) -> Line {
    let names = [name(rng, &SKUS), name(rng, &SKUS)];
    let place = name(rng, &PLACES);
    let numbers = [rng.random_range(-2..100), rng.random_range(-2..100)];
    match rng.random_range(0..5) {
        0..3 => Line::Count {
            names,
            place,
            counts: numbers,
            free: rng.random_bool(0.3).then(|| rng.random_range(0..50)),
            sequence: rng.random_bool(0.3).then(|| rng.random_range(0..3)),
            times: [maybe_minute(rng), maybe_minute(rng)],
            void: rng.random_bool(0.3),
        },
        3 => Line::Change { names, place, deltas: numbers },
        _ => Line::Move {
            names,
            places: [PLACES[0].to_owned(), PLACES[1].to_owned()],
            quantity: rng.random_range(1..9),
        },
    }
}

fn maybe_minute(rng: &mut StdRng) -> Option<i64> {
    rng.random_bool(0.4).then(|| minute(rng.random_range(0..8)))
}

fn stock(rng: &mut StdRng) -> Stock {
    let on_hand = rng.random_bool(0.8).then(|| rng.random_range(-2..100));
    let free = (on_hand.is_none() || rng.random_bool(0.2)).then(|| rng.random_range(0..50));
    let sequence = rng.random_bool(0.2).then(|| rng.random_range(0..3));
    Stock { sku: name(rng, &SKUS), place: name(rng, &PLACES), on_hand, free, sequence, at: maybe_minute(rng) }
}

fn change(rng: &mut StdRng) -> Change {
    Change { sku: name(rng, &SKUS), place: name(rng, &PLACES), delta: rng.random_range(-20..20) }
}

fn order(rng: &mut StdRng) -> Order {
    let status = pick(rng, &["OPEN", "SHIPPED", "CANCELLED"]);
    Order { id: name(rng, &["o1", "o2", "o3"]), status, total: rng.random_range(0..1_000) }
}

/// The payload that says it; `number` makes it differ from every other one.
fn payload(rng: &mut StdRng, said: &Said, number: usize) -> Value {
    let items = |mut items: Vec<Value>, alone: bool| match items.pop_if(|_| alone) {
        Some(mut only) => {
            only["unlike"] = json!(number);
            only
        }
        None => json!({ "items": items, "unlike": number }),
    };
    match said {
        Said::Report(lines) => {
            let lines: Vec<Value> = lines.iter().map(written_line).collect();
            json!({ "lines": lines, "number": number, "seventy": 77, "seven": 7 })
        }
        Said::Stock(all) => items(all.iter().map(written_stock).collect(), all.len() == 1 && rng.random()),
        Said::Changes(all) => {
            let written =
                |item: &Change| json!({ "sku": item.sku, "warehouseId": item.place, "delta": item.delta });
            items(all.iter().map(written).collect(), all.len() == 1 && rng.random())
        }
        Said::Orders(all) => {
            let written =
                |item: &Order| json!({ "orderId": item.id, "status": item.status, "total": item.total });
            items(all.iter().map(written).collect(), all.len() == 1 && rng.random())
        }
        Said::Poison("mapping-field-invalid") => {
            json!({ "items": [{ "sku": "A", "warehouseId": "w1", "delta": "many" }], "unlike": number })
        }
        Said::Poison(_) => json!({ "items": [{ "warehouseId": "w1" }], "unlike": number }),
        Said::Refused(_) => json!({ "orderId": "o1", "status": "OPEN", "unlike": number }),
    }
}

fn written_stock(stock: &Stock) -> Value {
    let mut value = json!({ "sku": stock.sku, "warehouseId": stock.place });
    let mut set = |name: &str, number: Option<Value>| {
        if let Some(number) = number {
            value[name] = number;
        }
    };
    set("quantityOnHand", stock.on_hand.map(Value::from));
    set("quantityAvailable", stock.free.map(Value::from));
    set("sequence", stock.sequence.map(Value::from));
    set("occurredAt", stock.at.map(|at| written(at).into()));
    value
}

fn written_line(line: &Line) -> Value {
    match line {
        Line::Count { names, place, counts, free, sequence, times, void } => json!({
            "count": true, "standing": !void, "sku": names[0], "name": names[1], "place": place,
            "n": counts[0], "alt": counts[1], "free": free, "seq": sequence,
            "at": times[0].map(written), "late": times[1].map(written),
        }),
        Line::Change { names, place, deltas } => json!({
            "change": true, "sku": names[0], "name": names[1], "place": place, "n": deltas[0], "alt": deltas[1],
        }),
        Line::Move { names, places, quantity } => json!({
            "move": true, "sku": names[0], "name": names[1], "from": places[0], "to": places[1], "q": quantity,
        }),
    }
}

/// The vendor's own mapping, in a version.
pub fn document(version: u32) -> String {
    debug_assert!((1..=VERSIONS).contains(&version));
    let reading = reading(version);
    let number = ["n", "alt"][reading.number];
    let time = ["at", "late"][reading.time];
    let name = ["sku", "name"][reading.name];
    let when = if reading.leaves_out_void { "standing" } else { "count" };
    format!(
        "mapping: v1
vendor: {vendor}
eventType: {REPORT}
version: {version}
title: A report in the vendor's own words
source: {{type: object, required: [lines], properties: {{lines: {{type: array}}}}}}
facts:
  - type: InventoryUpdated
    each: .lines[]
    when: .{when}
    fields:
      sku: .{name}
      warehouseId: .place
      quantityOnHand: .{number}
      quantityAvailable: .free
      sequence: .seq
      occurredAt: .{time}
  - type: InventoryAdjusted
    each: .lines[]
    when: .change
    fields: {{sku: .{name}, warehouseId: .place, delta: .{number}}}
  - type: InventoryAdjusted
    each: .lines[]
    when: .move
    transfer: {{from: .from, to: .to}}
    fields: {{sku: .{name}, delta: .q}}
",
        vendor = VENDORS[0],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_of_the_mapping_compiles() {
        for version in 1..=VERSIONS {
            let document = document(version);
            mapping::Mapping::parse(&document).unwrap_or_else(|error| panic!("{document}\n{error}"));
        }
    }

    #[test]
    fn a_seed_sends_the_same_every_time_and_all_kinds_come() {
        let bodies = |seed| {
            let traffic = Traffic::of(&Plan::of(seed));
            (0..traffic.sendings.len()).map(|index| traffic.body(index, 1)).collect::<Vec<_>>()
        };
        assert_eq!(bodies(7), bodies(7));
        assert_ne!(bodies(7), bodies(8));
        let all: Vec<Said> =
            (0..50).flat_map(|seed| Traffic::of(&Plan::of(seed)).sayings).map(|saying| saying.said).collect();
        let has = |is: fn(&Said) -> bool| assert!(all.iter().any(is));
        has(|said| matches!(said, Said::Report(lines) if lines.is_empty()));
        has(|said| matches!(said, Said::Report(lines) if lines.len() == 6));
        has(|said| matches!(said, Said::Stock(_)));
        has(|said| matches!(said, Said::Changes(_)));
        has(|said| matches!(said, Said::Orders(_)));
        has(|said| matches!(said, Said::Poison("mapping-missing")));
        has(|said| matches!(said, Said::Refused(_)));
    }
}
