use contract::canonical::{Data, InventoryAdjusted, InventoryUpdated, Item, RawRef, SCHEMA_VERSION};
use contract::{Decimal, ExternalEventId, IngestId, Timestamp, VendorId};
use proptest::prelude::*;
use stores::normalized::{Head, LineKey};

use super::*;

/// `[LINE.LEG] SKU QUANTITY [sSEQUENCE] [tSECOND] [adjusted]`, for example `A 5`, `1.0 B 7 s2 t30`.
fn fact(text: &str) -> Fact {
    let (place, text) = match text.split_once(' ') {
        Some((place, rest)) if place.contains('.') => (place, rest),
        _ => ("0.0", text),
    };
    let (line, leg) = place.split_once('.').expect("line.leg");
    let mut words = text.split(' ');
    let sku = words.next().expect("sku").to_owned();
    let quantity = Decimal::parse(words.next().expect("quantity")).expect("a decimal");
    let (mut item, mut second, mut adjusted) = (Item::default(), "00".to_owned(), false);
    for word in words {
        match word.split_at(1) {
            ("s", sequence) => item.sequence = Some(sequence.parse().expect("a number")),
            ("t", text) => second = text.to_owned(),
            _ => adjusted = word == "adjusted",
        }
    }
    let data = if adjusted {
        Data::InventoryAdjusted(InventoryAdjusted {
            sku,
            warehouse_id: None,
            delta: quantity,
            reason: None,
            counterpart_warehouse_id: None,
            item,
        })
    } else {
        Data::InventoryUpdated(InventoryUpdated {
            sku,
            quantity_on_hand: Some(quantity),
            item,
            ..InventoryUpdated::default()
        })
    };
    Fact {
        ingest_id: IngestId::parse("01J0000000ABCDEFGHJKMNPQRS").expect("id"),
        line: line.parse().expect("line"),
        leg: leg.parse().expect("leg"),
        revision: 1,
        vendor_id: VendorId::parse("acme").expect("id"),
        external_event_id: ExternalEventId::parse("e1").expect("id"),
        data,
        schema_version: SCHEMA_VERSION.to_owned(),
        occurred_at: Timestamp::parse(&format!("2026-11-22T12:00:{second}Z")).expect("time"),
        raw_ref: RawRef { bucket: "raw".to_owned(), key: "raw/acme/x.json".to_owned() },
        retracted: false,
        drift: Vec::new(),
    }
}

fn facts(texts: &str) -> Vec<Fact> {
    texts.split(", ").filter(|text| !text.is_empty()).map(fact).collect()
}

/// The notation of [`fact`] behind the revision: `0.0 r1 A 5`; retractions as `0.0 r2 -A 5`.
fn shown(lines: &[Line]) -> Vec<String> {
    let one = |line: &Line| {
        assert_eq!(line.bytes, serde_json::to_vec(&line.fact).expect("json"), "bytes are the fact");
        let fact = &line.fact;
        let (sku, quantity, sequence, kind) = match &fact.data {
            Data::InventoryUpdated(data) => {
                (&data.sku, data.quantity_on_hand.clone().expect("stated"), data.item.sequence, "")
            }
            Data::InventoryAdjusted(data) => (&data.sku, data.delta.clone(), data.item.sequence, " adjusted"),
            other => panic!("no test makes {other:?}"),
        };
        let second = fact.occurred_at.to_string()[17..19].to_owned();
        let second = if second == "00" { String::new() } else { format!(" t{second}") };
        let sequence = sequence.map_or(String::new(), |number| format!(" s{number}"));
        let minus = if fact.retracted { "-" } else { "" };
        let (line, leg, revision) = (fact.line, fact.leg, fact.revision);
        format!("{line}.{leg} r{revision} {minus}{sku} {quantity}{sequence}{second}{kind}")
    };
    lines.iter().map(one).collect()
}

fn object(activation: u64, lines: Vec<Line>) -> Object {
    let fact = fact("A 1");
    let head = Head {
        activation,
        mapping: format!("acme/stock/{activation}"),
        vendor_id: fact.vendor_id,
        ingest_id: fact.ingest_id,
        external_event_id: fact.external_event_id,
        traceparent: None,
    };
    Object { head, lines }
}

#[test]
fn revisions() {
    // What the mappings say, one after the other; what is in the object in the end.
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("a new event", &["A 5"], &["0.0 r1 A 5"]),
        ("no facts", &[""], &[]),
        ("the same again", &["A 5", "A 5"], &["0.0 r1 A 5"]),
        ("other data", &["A 5", "A 6"], &["0.0 r2 A 6"]),
        ("other data twice", &["A 5", "A 6", "A 7"], &["0.0 r3 A 7"]),
        ("back to the first", &["A 5", "A 6", "A 5"], &["0.0 r3 A 5"]),
        ("an equal number in other digits", &["A 5", "A 5.0"], &["0.0 r2 A 5.0"]),
        ("another entity", &["A 5", "B 5"], &["0.0 r2 -A 5", "0.0 r3 B 5"]),
        ("another sequence", &["A 5 s1", "A 5 s2"], &["0.0 r2 -A 5 s1", "0.0 r3 A 5 s2"]),
        ("another time", &["A 5", "A 5 t30"], &["0.0 r2 -A 5", "0.0 r3 A 5 t30"]),
        ("another type", &["A 5", "A 5 adjusted"], &["0.0 r2 -A 5", "0.0 r3 A 5 adjusted"]),
        ("gone", &["A 5", ""], &["0.0 r2 -A 5"]),
        ("gone for good", &["A 5", "", ""], &["0.0 r2 -A 5"]),
        ("gone and back", &["A 5", "", "A 5"], &["0.0 r3 A 5"]),
        ("gone and back with other data", &["A 5", "", "A 6"], &["0.0 r3 A 6"]),
        ("gone and back elsewhere", &["A 5", "", "B 5"], &["0.0 r2 -A 5", "0.0 r3 B 5"]),
        ("there and back", &["A 5", "B 5", "A 5"], &["0.0 r4 -B 5", "0.0 r5 A 5"]),
        ("on and on", &["A 5", "B 5", "C 5"], &["0.0 r2 -A 5", "0.0 r4 -B 5", "0.0 r5 C 5"]),
        ("behind retractions", &["A 5", "B 5", "B 6"], &["0.0 r2 -A 5", "0.0 r4 B 6"]),
        ("unchanged behind retractions", &["A 5", "B 5", "B 5"], &["0.0 r2 -A 5", "0.0 r3 B 5"]),
        (
            "lines and legs go their own ways",
            &["A 5, 0.1 B 5, 1.0 C 5, 2.0 D 5", "A 5, 0.1 B 6, 2.0 E 5, 3.0 F 5"],
            &["0.0 r1 A 5", "0.1 r2 B 6", "1.0 r2 -C 5", "2.0 r2 -D 5", "2.0 r3 E 5", "3.0 r1 F 5"],
        ),
        ("in order of lines, however said", &["2.0 C 5, 0.0 A 5"], &["0.0 r1 A 5", "2.0 r1 C 5"]),
    ];
    for (name, says, expected) in cases {
        let next = |lines: Vec<Line>, says: &&str| revise(&lines, facts(says)).expect("short keys");
        let lines = says.iter().fold(Vec::new(), next);
        assert_eq!(shown(&lines), *expected, "{name}");
    }
}

#[test]
fn what_becomes_of_an_object() {
    let stored = object(5, revise(&[], facts("A 5")).expect("short keys"));
    let decide = |activation, says| decide(Some(&stored), activation, facts(says)).expect("short keys");
    assert_eq!(decide(5, "A 5"), Decision::Keep);
    assert_eq!(decide(5, "B 9"), Decision::Keep, "one activation maps one way: whoever was first is right");
    assert_eq!(decide(6, "A 5"), Decision::Replace(stored.lines.clone()), "only the activation grew");
    assert!(matches!(decide(6, "A 6"), Decision::Replace(lines) if shown(&lines) == ["0.0 r2 A 6"]));
    assert_eq!(decide(4, "A 6"), Decision::Outdated);
    assert_eq!(decide(4, "A 5"), Decision::Outdated, "also where it says the same");
    let created = super::decide(None, 1, facts("A 5")).expect("short keys");
    assert!(matches!(created, Decision::Create(lines) if shown(&lines) == ["0.0 r1 A 5"]));
}

#[test]
fn where_the_bytes_are_and_what_was_not_known_is_no_correction() {
    let before = revise(&[], facts("A 5")).expect("short keys");
    let raw_ref = RawRef { bucket: "mirror".to_owned(), key: "x".to_owned() };
    let again = Fact { raw_ref, drift: vec!["/payload/new".to_owned()], ..fact("A 5") };
    assert_eq!(revise(&before, vec![again]).as_ref(), Ok(&before));
    let newer = Fact { schema_version: "1.1".to_owned(), ..fact("A 5") };
    assert_eq!(shown(&revise(&before, vec![newer]).expect("short keys")), ["0.0 r2 A 5"]);
}

#[test]
fn a_retraction_reports_no_drift() {
    let said = Fact { drift: vec!["/payload/new".to_owned()], ..fact("A 5") };
    let before = revise(&[], vec![said]).expect("short keys");
    assert_eq!(before[0].fact.drift.len(), 1);
    assert!(revise(&before, Vec::new()).expect("short keys")[0].fact.drift.is_empty());
}

/// What one mapping says: at most one fact a (line, leg).
fn said() -> impl Strategy<Value = Vec<Fact>> {
    let one = ("[AB]", 1..3u8, 0..2u8, 0..2u8, any::<bool>());
    let place = (0..3u32, 0..2u8);
    proptest::collection::btree_map(place, one, 0..5).prop_map(|places| {
        let text = |((line, leg), (sku, quantity, sequence, second, adjusted)): (_, _)| {
            let kind = if adjusted { " adjusted" } else { "" };
            fact(&format!("{line}.{leg} {sku} {quantity} s{sequence} t0{second}{kind}"))
        };
        places.into_iter().map(text).collect()
    })
}

/// Rows downstream: per key the greatest revision seen.
#[derive(Default)]
struct Downstream(BTreeMap<LineKey, Line>);

impl Downstream {
    fn see(&mut self, line: &Line) {
        let key = line_key(&line.fact).expect("short keys");
        let newer = self.0.get(&key).is_none_or(|known| known.fact.revision < line.fact.revision);
        if newer {
            self.0.insert(key, line.clone());
        }
    }

    fn standing(&self) -> Vec<String> {
        let mut standing: Vec<String> =
            self.0.values().filter(|line| !line.fact.retracted).map(|line| said_by(&line.fact)).collect();
        standing.sort();
        standing
    }
}

/// A fact without its revision.
fn said_by(fact: &Fact) -> String {
    serde_json::to_string(&Fact { revision: 0, ..fact.clone() }).expect("json")
}

proptest! {
    /// Whatever the mappings said one after the other, and whichever of the objects in between were
    /// published (in any order, the last one at least): the rows downstream are what the last one says.
    #[test]
    fn the_last_mapping_is_what_is_published(
        history in proptest::collection::vec((said(), any::<bool>()), 1..8),
        last_first in any::<bool>(),
    ) {
        let mut lines: Vec<Line> = Vec::new();
        let mut published: Vec<Vec<Line>> = Vec::new();
        let mut bytes_of: BTreeMap<(u32, u8, u32), bytes::Bytes> = BTreeMap::new();
        let mut greatest: BTreeMap<(u32, u8), u32> = BTreeMap::new();
        for (said, is_published) in &history {
            let before = lines.clone();
            lines = revise(&lines, said.clone()).expect("short keys");
            let mut standing: Vec<_> =
                lines.iter().filter(|line| !line.fact.retracted).map(|line| said_by(&line.fact)).collect();
            let mut expected: Vec<_> = said.iter().map(said_by).collect();
            standing.sort();
            expected.sort();
            prop_assert_eq!(standing, expected, "what stands is what the mapping says");
            let mut keys = std::collections::BTreeSet::new();
            for line in &lines {
                let Fact { line: number, leg, revision, .. } = line.fact;
                let known = bytes_of.entry((number, leg, revision)).or_insert_with(|| line.bytes.clone());
                prop_assert_eq!(&*known, &line.bytes, "an identity keeps its bytes");
                prop_assert!(keys.insert((number, leg, line_key(&line.fact).expect("short"))), "one line a key");
                let last = greatest.entry((number, leg)).or_default();
                if !before.contains(line) {
                    prop_assert!(revision > *last, "a new line has a new revision");
                    *last = revision;
                }
            }
            if *is_published {
                published.push(lines.clone());
            }
        }
        if last_first {
            published.insert(0, lines.clone());
        } else {
            published.push(lines.clone());
        }
        let mut downstream = Downstream::default();
        published.iter().flatten().for_each(|line| downstream.see(line));
        let mut expected: Vec<_> = history.last().expect("one at least").0.iter().map(said_by).collect();
        expected.sort();
        prop_assert_eq!(downstream.standing(), expected);
        let again = revise(&lines, history.last().expect("one at least").0.clone());
        prop_assert_eq!(again.as_ref(), Ok(&lines), "said again, it changes nothing");
    }
}
