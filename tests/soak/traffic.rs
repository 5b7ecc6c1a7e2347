//! What three vendors say, and what must come of it: a function of the seed and of an event's number alone.

use std::collections::BTreeMap;

use contract::{ExternalEventId, IngestId, Timestamp, VendorId};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::support::envelope;

/// Who sends.
pub const VENDORS: [&str; 3] = ["acme", "globex", "initech"];
/// Items of each vendor; the first event about each of them states a level.
pub const ITEMS: u32 = 100;
/// A vendor has an answer to each event of a round before it begins the next one. What an event repeats or
/// contradicts lies in an earlier round, so that it is known which of the two came first.
pub const ROUND: u32 = 40;
/// 2024-05-01T00:00:00Z, in milliseconds.
const BEGIN: i64 = 1_714_521_600_000;
/// Milliseconds from one event to the next: a long run has many days, whose objects lie beside one another.
const STEP: i128 = 20_000;
/// Behind so many others an event may come late.
const LATEST: u32 = 2_000;

/// What an event is to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It says something.
    Fresh,
    /// The same bytes once more.
    Repeat {
        /// The event.
        of: u32,
    },
    /// The same id and payload, and another time.
    Redated {
        /// The event.
        of: u32,
    },
    /// The same id, and another payload.
    Conflict {
        /// The event.
        of: u32,
        /// With another time, too.
        redated: bool,
    },
    /// Nothing that can be mapped.
    Poison,
}

/// What a line of an event says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The item's number.
    pub item: u32,
    /// When it was so, in nanoseconds. No two facts of an item are of the same time.
    pub at: i128,
    /// What.
    pub what: What,
}

/// A level or a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// So many are there.
    Level(i64),
    /// So many more are there.
    Change(i64),
}

/// An event as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// Our id of it.
    pub id: IngestId,
    /// The envelope.
    pub body: String,
    /// What it says, a line each; nothing unless it is fresh.
    pub said: Vec<Said>,
}

/// One vendor's events.
#[derive(Debug, Clone)]
pub struct Traffic {
    seed: u64,
    vendor: usize,
    /// How many.
    pub events: u32,
}

impl Traffic {
    /// The traffic of each vendor, `events` together at least.
    pub fn of_all(seed: u64, events: u32) -> Vec<Self> {
        let each = events.div_ceil(u32::try_from(VENDORS.len()).expect("few")).max(ITEMS + ROUND);
        assert!(each < 1_000_000, "times would not be unique");
        (0..VENDORS.len()).map(|vendor| Self { seed, vendor, events: each }).collect()
    }

    /// Who sends it.
    pub fn vendor(&self) -> &'static str {
        VENDORS[self.vendor]
    }

    /// The vendor's name for an item's stock.
    pub fn entity(&self, item: u32) -> String {
        format!("{}|w1|S{item}||", self.vendor())
    }

    /// What event `number` is.
    pub fn kind(&self, number: u32) -> Kind {
        self.draw(number).0
    }

    /// The kind, and the generator to draw on from.
    fn draw(&self, number: u32) -> (Kind, StdRng) {
        let mixed = (self.seed ^ (self.vendor as u64) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut rng = StdRng::seed_from_u64(mixed.wrapping_add(u64::from(number)));
        if number < ITEMS {
            return (Kind::Fresh, rng);
        }
        let kind = match rng.random_range(0..1_000) {
            0..50 => Kind::Repeat { of: self.earlier(number, &mut rng) },
            50..60 => Kind::Conflict { of: self.earlier(number, &mut rng), redated: rng.random_bool(0.5) },
            60..70 => Kind::Poison,
            70..90 => Kind::Redated { of: self.earlier(number, &mut rng) },
            _ => Kind::Fresh,
        };
        (kind, rng)
    }

    /// A fresh event of an earlier round: every other time of the last one, whose events are perhaps still on
    /// their way.
    fn earlier(&self, number: u32, rng: &mut StdRng) -> u32 {
        let round = number / ROUND * ROUND;
        let from = if rng.random_bool(0.5) { round - ROUND } else { 0 };
        let mut of = rng.random_range(from..round);
        while self.kind(of) != Kind::Fresh {
            of -= 1;
        }
        of
    }

    /// Event `number`.
    pub fn event(&self, number: u32) -> Event {
        let (kind, mut rng) = self.draw(number);
        match kind {
            Kind::Fresh => {
                let (at, said) = self.fresh(number);
                let (event_type, payload) = self.statement(number);
                self.build(kind, number, at, event_type, payload, said)
            }
            Kind::Repeat { of } => Event { kind, said: vec![], ..self.event(of) },
            Kind::Redated { of } => {
                let (event_type, payload) = self.statement(of);
                let at = self.later(of, number, &mut rng);
                self.build(kind, of, at, event_type, payload, vec![])
            }
            Kind::Conflict { of, redated } => {
                let at = if redated { self.later(of, number, &mut rng) } else { self.time(of) };
                // A change that no event of ours states.
                let payload =
                    json!({"sku": "S0", "warehouseId": "w1", "delta": (1_000 + number).to_string()});
                self.build(kind, of, at, "InventoryAdjusted", payload, vec![])
            }
            Kind::Poison => {
                let payload = json!({"items": [{"sku": format!("S{}", number % ITEMS)}]});
                self.build(kind, number, time(number, number), "InventoryUpdated", payload, vec![])
            }
        }
    }

    fn time(&self, number: u32) -> i128 {
        self.fresh(number).0
    }

    fn later(&self, of: u32, number: u32, rng: &mut StdRng) -> i128 {
        self.time(of) + i128::from(1 + rng.random_range(0..100_u32)) * 1_000_000_000 + i128::from(number)
    }

    /// What a fresh event states, as its vendor writes it.
    fn statement(&self, number: u32) -> (&'static str, serde_json::Value) {
        let (_, said) = self.fresh(number);
        let line = |said: &Said| match said.what {
            What::Level(level) => {
                json!({"sku": format!("S{}", said.item), "warehouseId": "w1", "quantityOnHand": level.to_string()})
            }
            What::Change(delta) => {
                json!({"sku": format!("S{}", said.item), "warehouseId": "w1", "delta": delta.to_string()})
            }
        };
        match said.as_slice() {
            [one] => {
                let is_level = matches!(one.what, What::Level(_));
                (if is_level { "InventoryUpdated" } else { "InventoryAdjusted" }, line(one))
            }
            lines => ("InventoryUpdated", json!({"items": lines.iter().map(line).collect::<Vec<_>>()})),
        }
    }

    /// When a fresh event was so, one in ten late, and what it says.
    fn fresh(&self, number: u32) -> (i128, Vec<Said>) {
        let (_, mut rng) = self.draw(number);
        if number < ITEMS {
            let at = time(0, number);
            return (at, vec![Said { item: number, at, what: What::Level(rng.random_range(100..=140)) }]);
        }
        let late = if rng.random_bool(0.1) { rng.random_range(1..=LATEST) } else { 0 };
        let at = time(number.saturating_sub(late).max(1), number);
        let item = rng.random_range(0..ITEMS);
        let said = match rng.random_range(0..10) {
            0..6 => vec![Said { item, at, what: What::Change(rng.random_range(-5..=5)) }],
            6..9 => vec![Said { item, at, what: What::Level(rng.random_range(100..=140)) }],
            _ => (0..3)
                .map(|line| {
                    let item = (item + line * 7) % ITEMS;
                    Said { item, at, what: What::Level(rng.random_range(100..=140)) }
                })
                .collect(),
        };
        (at, said)
    }

    /// The event under the id of event `named`.
    fn build(
        &self,
        kind: Kind,
        named: u32,
        at: i128,
        event_type: &str,
        payload: serde_json::Value,
        said: Vec<Said>,
    ) -> Event {
        let external = format!("{}-{named}", self.vendor());
        let occurred_at = Timestamp::from_nanos(at).expect("a time");
        let body = envelope(&external, event_type, &occurred_at.to_string(), payload).to_string();
        let vendor = VendorId::parse(self.vendor()).expect("a vendor");
        let external = ExternalEventId::parse(external).expect("an id");
        Event { kind, id: IngestId::derive(&vendor, &external, occurred_at), body, said }
    }

    /// What each item comes to.
    pub fn expected(&self) -> BTreeMap<u32, i64> {
        let mut facts: BTreeMap<u32, Vec<Said>> = BTreeMap::new();
        for number in (0..self.events).filter(|number| self.kind(*number) == Kind::Fresh) {
            for said in self.fresh(number).1 {
                facts.entry(said.item).or_default().push(said);
            }
        }
        facts.into_iter().map(|(item, said)| (item, fold(said).expect("its first fact is a level"))).collect()
    }
}

/// When the event at this place was so: a part of it is no other event's.
fn time(place: u32, number: u32) -> i128 {
    (i128::from(BEGIN) + i128::from(place) * STEP) * 1_000_000 + i128::from(number) * 1_000
}

/// The latest level, and the changes since; `None` where no level was stated.
pub fn fold(mut said: Vec<Said>) -> Option<i64> {
    said.sort_by_key(|said| said.at);
    said.iter().fold(None, |sum, said| match said.what {
        What::Level(level) => Some(level),
        What::Change(delta) => sum.map(|sum| sum + delta),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything() {
        let events = |seed: u64| -> Vec<Event> {
            let all = Traffic::of_all(seed, 900);
            all.iter().flat_map(|traffic| (0..traffic.events).map(|number| traffic.event(number))).collect()
        };
        assert_eq!(events(1), events(1));
        assert_ne!(events(1), events(2));
    }

    #[test]
    fn what_was_promised_is_in_it() {
        let traffic = &Traffic::of_all(7, 60_000)[1];
        let (mut repeats, mut redated, mut conflicts, mut poison, mut late) = (0, 0, 0, 0, 0);
        let mut newest = 0;
        for number in 0..traffic.events {
            let event = traffic.event(number);
            match event.kind {
                Kind::Fresh => {
                    let at = event.said[0].at;
                    late += u32::from(at < newest);
                    newest = newest.max(at);
                }
                Kind::Repeat { of } => {
                    repeats += 1;
                    assert_eq!(event.body, traffic.event(of).body);
                    assert!(of / ROUND < number / ROUND);
                }
                Kind::Redated { of } => {
                    redated += 1;
                    assert_ne!(event.id, traffic.event(of).id);
                }
                Kind::Conflict { of, redated } => {
                    conflicts += 1;
                    assert_eq!(event.id != traffic.event(of).id, redated);
                }
                Kind::Poison => poison += 1,
            }
        }
        let percent = |count: u32| f64::from(count) * 100.0 / f64::from(traffic.events);
        for (what, count, expected) in [
            ("repeats", repeats, 5.0),
            ("redated", redated, 2.0),
            ("conflicts", conflicts, 1.0),
            ("poison", poison, 1.0),
            ("late", late, 9.0),
        ] {
            let off = (percent(count) - expected).abs();
            assert!(off < expected / 4.0, "{what}: {:.2} % instead of {expected} %", percent(count));
        }
    }

    #[test]
    fn levels_win_over_what_was_before_them() {
        let said = |at, what| Said { item: 0, at, what };
        let (level, change) = (What::Level, What::Change);
        for (facts, sum) in [
            (vec![said(1, level(5)), said(2, change(-2))], Some(3)),
            (vec![said(2, change(-2)), said(1, level(5))], Some(3)),
            (vec![said(1, change(-2)), said(2, level(5))], Some(5)),
            (vec![said(1, level(9)), said(3, change(1)), said(2, level(4))], Some(5)),
            (vec![said(1, change(1))], None),
        ] {
            assert_eq!(fold(facts.clone()), sum, "{facts:?}");
        }
    }
}
