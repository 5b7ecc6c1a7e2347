//! What vendors mean, what must become of it, and what it must come to: a second, simple opinion.
//!
//! Nothing here looks at how dvss maps or folds. Quantities are whole numbers, names need no escaping,
//! and an entity's total is drawn up by sorting all of its facts and going through them once.

use std::collections::BTreeMap;

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A report in the vendor's own words.
    Report(Vec<Line>),
    /// Absolute stock in dvss's words.
    Stock(Vec<Stock>),
    /// Changes of stock in dvss's words.
    Changes(Vec<Change>),
    /// Orders in dvss's words.
    Orders(Vec<Order>),
    /// Something that no stage can work on; the code of its quarantine.
    Poison(&'static str),
    /// Something that the gateway refuses; the code.
    Refused(&'static str),
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// So many are there.
    Count {
        /// What, and the name that a correction finds right.
        names: [String; 2],
        /// Where.
        place: String,
        /// How many, and what a correction finds right.
        counts: [i64; 2],
        /// How many may be sold.
        free: Option<i64>,
        /// The vendor's own order.
        sequence: Option<u64>,
        /// When, if it says so, and what a correction finds right.
        times: [Option<i64>; 2],
        /// Whether a correction finds that it should not count at all.
        void: bool,
    },
    /// So many more or fewer.
    Change {
        /// What.
        names: [String; 2],
        /// Where.
        place: String,
        /// How many.
        deltas: [i64; 2],
    },
    /// From one place to another.
    Move {
        /// What.
        names: [String; 2],
        /// From, to.
        places: [String; 2],
        /// How many.
        quantity: i64,
    },
}

/// Absolute stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// What.
    pub sku: String,
    /// Where.
    pub place: String,
    /// How many are there.
    pub on_hand: Option<i64>,
    /// How many may be sold.
    pub free: Option<i64>,
    /// The vendor's own order.
    pub sequence: Option<u64>,
    /// When, if it says so.
    pub at: Option<i64>,
}

/// A change of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub sku: String,
    /// Where.
    pub place: String,
    /// How many.
    pub delta: i64,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub id: String,
    /// Its status.
    pub status: &'static str,
    /// Its total.
    pub total: i64,
}

/// A place in the fold. The order of its members is the order of the fold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The vendor's own order; 0 where there is none.
    pub sequence: u64,
    /// The event.
    pub event: String,
    /// The line.
    pub line: u32,
    /// The leg.
    pub leg: u8,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// So many.
    Absolute {
        /// On hand.
        on_hand: Option<i64>,
        /// To be sold.
        free: Option<i64>,
    },
    /// So many more.
    Delta(i64),
    /// An order's status and total.
    Order(String, i64),
}

/// A fact, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// About what.
    pub entity: String,
    /// Where in the fold.
    pub place: Place,
    /// What.
    pub what: What,
}

/// Who says it, when, and under which id; versions of the vendor's own mapping count from 1.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The vendor.
    pub vendor: &'a str,
    /// The ingest id.
    pub event: &'a str,
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The version of the vendor's own mapping.
    pub version: u32,
}

/// The versions of the vendor's own mapping: what each of them reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which of the two numbers.
    pub number: usize,
    /// Which of the two times.
    pub time: usize,
    /// Which of the two names.
    pub name: usize,
    /// Whether void lines are left out.
    pub leaves_out_void: bool,
}

/// How many versions there are.
pub const VERSIONS: u32 = 5;

/// What version `version` reads.
pub fn reading(version: u32) -> Reading {
    let first = Reading { number: 0, time: 0, name: 0, leaves_out_void: false };
    match version {
        2 => Reading { number: 1, ..first },
        3 => Reading { time: 1, ..first },
        4 => Reading { leaves_out_void: true, ..first },
        5 => Reading { name: 1, ..first },
        _ => first,
    }
}

impl Said {
    /// The facts that it must come to.
    pub fn facts(&self, envelope: Envelope<'_>) -> Vec<Fact> {
        match self {
            Self::Report(lines) => {
                let numbered = (0..).zip(lines);
                numbered.flat_map(|(index, line)| line.facts(index, envelope)).collect()
            }
            Self::Stock(items) => (0..).zip(items).map(|(line, item)| item.fact(line, envelope)).collect(),
            Self::Changes(items) => {
                let fact = |(line, item): (u32, &Change)| Fact {
                    entity: stock(envelope, &item.place, &item.sku),
                    place: place(envelope, line, 0),
                    what: What::Delta(item.delta),
                };
                (0..).zip(items).map(fact).collect()
            }
            Self::Orders(items) => {
                let fact = |(line, item): (u32, &Order)| Fact {
                    entity: format!("{}|{}", envelope.vendor, item.id),
                    place: place(envelope, line, 0),
                    what: What::Order(item.status.to_owned(), item.total),
                };
                (0..).zip(items).map(fact).collect()
            }
            Self::Poison(_) | Self::Refused(_) => Vec::new(),
        }
    }
}

impl Line {
    fn facts(&self, line: u32, envelope: Envelope<'_>) -> Vec<Fact> {
        let reading = reading(envelope.version);
        match self {
            Self::Count { void: true, .. } if reading.leaves_out_void => Vec::new(),
            Self::Count { names, place: at_place, counts, free, sequence, times, .. } => {
                let mut spot = place(envelope, line, 0);
                spot.at = times[reading.time].unwrap_or(envelope.at);
                spot.sequence = sequence.unwrap_or(0);
                let what = What::Absolute { on_hand: Some(counts[reading.number]), free: *free };
                vec![Fact { entity: stock(envelope, at_place, &names[reading.name]), place: spot, what }]
            }
            Self::Change { names, place: at_place, deltas } => vec![Fact {
                entity: stock(envelope, at_place, &names[reading.name]),
                place: place(envelope, line, 0),
                what: What::Delta(deltas[reading.number]),
            }],
            Self::Move { names, places, quantity } => {
                let leg = |(leg, (at_place, delta)): (u8, (&String, i64))| Fact {
                    entity: stock(envelope, at_place, &names[reading.name]),
                    place: place(envelope, line, leg),
                    what: What::Delta(delta),
                };
                (0..).zip(places.iter().zip([-quantity, *quantity])).map(leg).collect()
            }
        }
    }
}

impl Stock {
    fn fact(&self, line: u32, envelope: Envelope<'_>) -> Fact {
        let mut spot = place(envelope, line, 0);
        spot.at = self.at.unwrap_or(envelope.at);
        spot.sequence = self.sequence.unwrap_or(0);
        let what = What::Absolute { on_hand: self.on_hand, free: self.free };
        Fact { entity: stock(envelope, &self.place, &self.sku), place: spot, what }
    }
}

fn stock(envelope: Envelope<'_>, place: &str, sku: &str) -> String {
    format!("{}|{place}|{sku}||", envelope.vendor)
}

fn place(envelope: Envelope<'_>, line: u32, leg: u8) -> Place {
    Place { at: envelope.at, sequence: 0, event: envelope.event.to_owned(), line, leg }
}

/// What an entity's facts come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// The latest count, and where it stands.
    pub on_hand: Option<(Place, i64)>,
    /// Changes after it.
    pub changes: i64,
    /// The latest count of what may be sold.
    pub free: Option<(Place, i64)>,
    /// The latest order.
    pub order: Option<(Place, String, i64)>,
}

/// Sorts, then folds, by entity.
pub fn totals(facts: impl IntoIterator<Item = Fact>) -> BTreeMap<String, Total> {
    let mut entities: BTreeMap<String, Vec<Fact>> = BTreeMap::new();
    for fact in facts {
        entities.entry(fact.entity.clone()).or_default().push(fact);
    }
    entities.into_iter().map(|(entity, facts)| (entity, total(facts))).collect()
}

fn total(mut facts: Vec<Fact>) -> Total {
    facts.sort_by(|one, other| one.place.cmp(&other.place));
    let mut total = Total::default();
    for Fact { place, what, .. } in facts {
        match what {
            What::Absolute { on_hand, free } => {
                if let Some(count) = on_hand {
                    total.on_hand = Some((place.clone(), count));
                    total.changes = 0;
                }
                if let Some(free) = free {
                    total.free = Some((place, free));
                }
            }
            What::Delta(delta) => total.changes += delta,
            What::Order(status, sum) => total.order = Some((place, status, sum)),
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(at: i64, what: What) -> Fact {
        let place = Place { at, sequence: 0, event: "e".to_owned(), line: 0, leg: 0 };
        Fact { entity: "v|w|s||".to_owned(), place, what }
    }

    #[test]
    fn a_total_is_the_last_count_and_the_changes_behind_it() {
        let count = |on_hand| What::Absolute { on_hand: Some(on_hand), free: None };
        let facts = [
            fact(3, What::Delta(5)),
            fact(1, What::Delta(100)),
            fact(2, count(7)),
            fact(4, What::Absolute { on_hand: None, free: Some(2) }),
        ];
        let totals = totals(facts);
        let total = &totals["v|w|s||"];
        assert_eq!((total.on_hand.as_ref().map(|on_hand| on_hand.1), total.changes), (Some(7), 5));
        assert_eq!(total.free.as_ref().map(|free| (free.0.at, free.1)), Some((4, 2)));
    }

    #[test]
    fn a_move_is_two_legs_and_a_version_reads_other_members() {
        let names = ["A".to_owned(), "B".to_owned()];
        let said = Said::Report(vec![
            Line::Move { names: names.clone(), places: ["w1".to_owned(), "w2".to_owned()], quantity: 4 },
            Line::Change { names, place: "w1".to_owned(), deltas: [1, 2] },
        ]);
        let facts = |version| said.facts(Envelope { vendor: "v", event: "e", at: 0, version });
        let shown = |version| facts(version).into_iter().map(|fact| (fact.entity, fact.place.leg, fact.what));
        let first: Vec<_> = shown(1).collect();
        assert_eq!(first[0], ("v|w1|A||".to_owned(), 0, What::Delta(-4)));
        assert_eq!(first[1], ("v|w2|A||".to_owned(), 1, What::Delta(4)));
        assert_eq!(shown(2).next_back(), Some(("v|w1|A||".to_owned(), 0, What::Delta(2))));
        assert_eq!(shown(5).next_back(), Some(("v|w1|B||".to_owned(), 0, What::Delta(1))));
    }
}
