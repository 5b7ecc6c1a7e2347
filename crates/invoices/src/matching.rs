//! Which item of the owner's stock a line is about. Pure; what is known is read beforehand ([`items`](crate::items)).
//!
//! In this order, the first that answers wins: what a person said about the same item number of the same vendor
//! ([`By::Remembered`]); the GTIN; an item number; nothing like it in stock, so it is new. What only looks alike is
//! proposed and waits for a person, with what was compared. So does a line whose GTIN or whose buyer's number says
//! otherwise, whose number another seller's invoice used first, or that counts in another unit than its item.

use std::collections::{BTreeMap, BTreeSet};

use contract::VendorId;
use readers::invoice::{Invoice, Line, gtin14};

use crate::document::{By, Candidate, Decision, Match};
use crate::items::{
    BUYERS, Bare, FirstUse, FirstUses, Item, Known, Remembered, SELLERS, names, numbers, plain,
};
use crate::units;

/// Likeness from which on an item is a candidate, in percent.
const LIKE: u8 = 80;
/// Most comparisons by likeness for one document: a second or so.
const MOST_COMPARISONS: usize = 20_000_000;
/// Most candidates of a line.
const MOST_CANDIDATES: usize = 5;

/// First uses which lines bring, where nobody was before them: of a new item's number and of its GTIN.
pub fn first_uses(lines: &[(&Line, &Decision)], given: &Given<'_>) -> FirstUses {
    let mut uses = FirstUses::new();
    for (line, decision) in lines {
        let by = decision.found.as_ref().map(|found| found.by);
        let is_new = by == Some(By::New) || by == Some(By::Person) && decision.confirmed;
        let Some(sku) = decision.sku.clone().filter(|_| is_new) else { continue };
        if given.known.items.contains_key(&sku) {
            continue;
        }
        // Ten cases which wait for their number in pieces say nothing of the item's unit.
        let unit = line.unit.clone().filter(|_| decision.unit.is_none());
        let item = Item { gtin: line.gtin.clone(), unit };
        let is_own = line.buyer_sku.as_deref().is_some_and(|number| plain(number) == plain(&sku));
        let vendor = (!is_own).then(|| given.vendor.clone());
        for number in [plain(&sku)].into_iter().chain(line.gtin.as_deref().and_then(gtin14)) {
            let before = given.first.get(&number).or_else(|| uses.get(&number));
            match before {
                None => {
                    uses.insert(
                        number,
                        FirstUse { sku: sku.clone(), vendor: vendor.clone(), item: item.clone() },
                    );
                }
                // Whoever was first did not say in what it counts.
                Some(first) if first.item.unit.is_none() && item.unit.is_some() && first.sku == sku => {
                    let unit = item.unit.clone();
                    let first = FirstUse { item: Item { unit, ..first.item.clone() }, ..first.clone() };
                    uses.insert(number, first);
                }
                Some(_) => {}
            }
        }
    }
    uses
}

/// What is known when a vendor's invoice is matched.
pub struct Given<'a> {
    /// Whose invoice it is.
    pub vendor: &'a VendorId,
    /// The owner's items.
    pub known: &'a Known,
    /// First uses of the invoice's numbers.
    pub first: &'a FirstUses,
    /// What people said of the vendor's items.
    pub remembered: &'a Remembered,
}

/// What becomes of the lines of an invoice if nobody says otherwise.
pub fn propose(invoice: &Invoice, given: &Given<'_>) -> Vec<Decision> {
    let mut matcher = Matcher { given, left: MOST_COMPARISONS };
    // What the lines before said of items of which nothing else is known.
    let (mut units, mut of_gtin, mut of_sku) = (Units::new(), BTreeMap::new(), BTreeMap::new());
    let mut decisions = Vec::with_capacity(invoice.lines.len());
    for line in &invoice.lines {
        let mut decision = matcher.decide(line);
        if let Some(sku) = decision.sku.clone() {
            decision.unit = given.other_unit(line, &sku, &units);
            decision.accepted &= decision.unit.is_none();
            say_unit(&mut units, &sku, line);
            if let Some(gtin) = line.gtin.as_deref().and_then(gtin14) {
                let before: &String = of_gtin.entry(gtin.clone()).or_insert_with(|| sku.clone());
                let other: &String = of_sku.entry(sku.clone()).or_insert_with(|| gtin.clone());
                let doubt = match (*before != sku, *other != gtin) {
                    (true, _) => Some(format!("a line before has the GTIN {gtin} too, and is {before}")),
                    (_, true) => Some(format!("a line before of {sku} has another GTIN, {other}")),
                    _ => None,
                };
                if decision.doubt.is_none() {
                    decision = decision.but(doubt);
                }
            }
        }
        decisions.push(decision);
    }
    decisions
}

/// What lines say of items' units, by the number as people compare it; whoever says it first.
pub type Units = BTreeMap<String, String>;

/// Notes in what a line counts its item.
pub fn say_unit(units: &mut Units, sku: &str, line: &Line) {
    if let Some(unit) = &line.unit {
        units.entry(plain(sku)).or_insert_with(|| unit.clone());
    }
}

impl Given<'_> {
    fn item(&self, sku: &str) -> impl Iterator<Item = &Item> {
        let first = self.first.get(&plain(sku)).map(|first| &first.item);
        self.known.items.get(sku).into_iter().chain(first)
    }

    fn unit(&self, sku: &str) -> Option<&str> {
        self.item(sku).find_map(|item| item.unit.as_deref())
    }

    fn gtin(&self, sku: &str) -> Option<String> {
        self.item(sku).find_map(|item| gtin14(item.gtin.as_deref()?))
    }

    /// In what an item is counted, where that is something else than a line says; where nothing is known of it, as the
    /// document's other lines of the item have it.
    pub fn other_unit(&self, line: &Line, sku: &str, beside: &Units) -> Option<String> {
        other_unit(line, self.unit(sku).or_else(|| beside.get(&plain(sku)).map(String::as_str)))
    }
}

/// The item's unit, where the line counts in another one: ten cases are not ten pieces.
pub fn other_unit(line: &Line, of_item: Option<&str>) -> Option<String> {
    let (said, unit) = (line.unit.as_deref()?, of_item?);
    (!units::same(said, unit)).then(|| unit.to_owned())
}

/// Matches one line after the other.
struct Matcher<'a> {
    given: &'a Given<'a>,
    /// Comparisons by likeness that may still be made.
    left: usize,
}

impl Matcher<'_> {
    fn decide(&mut self, line: &Line) -> Decision {
        let Given { known, remembered, .. } = self.given;
        let of_name = |name: String| Some((remembered.get(&name)?, name));
        if let Some((sku, name)) = names(line).into_iter().find_map(of_name) {
            let reason = format!("somebody said so of {} before", shown(&name));
            return found(line, sku, By::Remembered, reason).but(self.other_gtin(line, sku));
        }
        let of_gtin = |gtin| Some((gtin, known.by_gtin.get(&gtin14(gtin)?)?));
        if let Some((gtin, skus)) = line.gtin.as_deref().and_then(of_gtin)
            && let Some(sku) = only(skus)
        {
            return found(line, sku, By::Gtin, format!("GTIN {gtin}")).but(self.other_number(line, sku));
        }
        if let Some(decision) = self.by_number(line) {
            return decision;
        }
        let Some(candidates) = self.candidates(line) else {
            return self.first_seen(line, "too many items to look for one that is like it", false);
        };
        if let Some(first) = candidates.first() {
            let reason = format!("looks like {}: {}", first.sku, first.reason);
            let decision = found(line, &first.sku, By::Likeness, reason.clone()).but(Some(reason));
            return Decision { candidates, ..decision };
        }
        if known.incomplete {
            let why = "stock has more items than are looked at: it may be there all the same";
            return self.first_seen(line, why, false);
        }
        self.first_seen(line, "a new item: nothing in stock is like it", true)
    }

    /// The item in stock that is called by one of the line's numbers: by the very number, else by one that people take
    /// for the same.
    fn by_number(&self, line: &Line) -> Option<Decision> {
        let known = self.given.known;
        for (whose, number) in numbers(line) {
            let number = number.trim();
            if known.items.contains_key(number) {
                let decision = found(line, number, By::Sku, format!("{whose} number {number}"));
                return Some(decision.but(self.against(line, whose, number)));
            }
            let Some(skus) = known.by_number.get(&plain(number)) else { continue };
            let Some(first) = skus.first() else { continue };
            let decision = found(line, first, By::Sku, format!("{whose} number {number}"));
            if skus.len() == 1 {
                return Some(decision.but(self.against(line, whose, first)));
            }
            let candidate = |sku: &String| Candidate {
                sku: sku.clone(),
                likeness: 100,
                reason: format!("{number} and {sku} differ in case or blanks"),
            };
            let candidates = skus.iter().take(MOST_CANDIDATES).map(candidate).collect();
            let doubt =
                format!("{} items are called {number} but for case and blanks: which one is it?", skus.len());
            return Some(Decision { candidates, ..decision.but(Some(doubt)) });
        }
        None
    }

    /// What speaks against an item that is called by a line's number.
    fn against(&self, line: &Line, whose: &str, sku: &str) -> Option<String> {
        self.other_gtin(line, sku).or_else(|| self.other_sellers(line, whose, sku))
    }

    /// GTINs are unique everywhere.
    fn other_gtin(&self, line: &Line, sku: &str) -> Option<String> {
        let (ours, theirs) = (gtin14(line.gtin.as_deref()?)?, self.given.gtin(sku)?);
        (ours != theirs).then(|| format!("the line's GTIN is {ours}, and that of {sku} is {theirs}"))
    }

    /// The GTIN is one item's, and a number another one's.
    fn other_number(&self, line: &Line, sku: &str) -> Option<String> {
        numbers(line).find_map(|(whose, number)| {
            let others = self.given.known.by_number.get(&plain(number))?;
            (!others.contains(sku))
                .then(|| format!("the GTIN is that of {sku}, and {whose} number is {number}"))
        })
    }

    /// A seller's numbers are unique among its own.
    fn other_sellers(&self, line: &Line, whose: &str, sku: &str) -> Option<String> {
        let first = self.given.first.get(&plain(sku))?.vendor.as_ref()?;
        let is_same =
            line.gtin.as_deref().and_then(gtin14).is_some_and(|gtin| self.given.gtin(sku) == Some(gtin));
        (first != self.given.vendor && !is_same).then(|| {
            format!(
                "an invoice of {first} brought {sku} first, by its own number: is {whose} number of the same?"
            )
        })
    }

    /// A line whose item is not in stock: by the number that the owner would call it by.
    fn first_seen(&self, line: &Line, why: &str, sure: bool) -> Decision {
        let gtin = line.gtin.as_deref().map(|gtin| (BUYERS, gtin));
        let own = |(whose, _): &(&str, &str)| *whose != SELLERS;
        let Some((whose, name)) = numbers(line).find(own).or(gtin) else { return Decision::default() };
        let decision = found(line, name.trim(), By::New, why.to_owned());
        let decision = Decision { accepted: decision.accepted && sure, ..decision };
        let before = line.gtin.as_deref().and_then(gtin14).and_then(|gtin| self.given.first.get(&gtin));
        let before = before.filter(|first| plain(&first.sku) != plain(name));
        let other =
            before.map(|first| format!("an invoice called the item with this GTIN {} before", first.sku));
        decision.but(self.against(line, whose, name.trim()).or(other))
    }

    /// Items that look like the line's numbers, the likeliest first; `None` where that would take too long.
    fn candidates(&mut self, line: &Line) -> Option<Vec<Candidate>> {
        let known = self.given.known;
        let numbers: BTreeMap<String, Bare> = numbers(line)
            .map(|(_, number)| Bare::of(number))
            .map(|bare| (bare.number.clone(), bare))
            .collect();
        self.left = self.left.checked_sub(known.bare.len() * numbers.len())?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for theirs in &known.bare {
            let best = numbers
                .values()
                .filter(|number| number.is_comparable(theirs))
                .map(|number| (likeness(&number.number, &theirs.number), &number.number));
            let Some((likeness, number)) = best.max().filter(|(likeness, _)| *likeness >= LIKE) else {
                continue;
            };
            let reason = format!("{number} and {} are {likeness} % alike", theirs.number);
            candidates.push(Candidate { sku: theirs.sku.clone(), likeness, reason });
        }
        candidates
            .sort_by(|one, other| other.likeness.cmp(&one.likeness).then_with(|| one.sku.cmp(&other.sku)));
        candidates.truncate(MOST_CANDIDATES);
        Some(candidates)
    }
}

fn only(skus: &BTreeSet<String>) -> Option<&String> {
    skus.first().filter(|_| skus.len() == 1)
}

fn found(line: &Line, sku: &str, by: By, reason: String) -> Decision {
    Decision {
        sku: Some(sku.to_owned()),
        found: Some(Match { by, reason }),
        accepted: line.flags.is_empty() && line.quantity.is_some(),
        ..Decision::default()
    }
}

impl Decision {
    /// The same, waiting for a person where something speaks against it.
    fn but(self, doubt: Option<String>) -> Self {
        Self { accepted: self.accepted && doubt.is_none(), doubt, ..self }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1, in percent"
)]
fn likeness(one: &str, other: &str) -> u8 {
    (strsim::normalized_damerau_levenshtein(one, other) * 100.0).floor() as u8
}

fn shown(name: &str) -> String {
    name.replacen('#', " ", 1)
}

#[cfg(test)]
mod tests {
    use contract::Decimal;
    use readers::invoice::{Flag, FlagCode};

    use super::*;

    fn line(seller: Option<&str>, gtin: Option<&str>) -> Line {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Line {
            line: 1,
            sku: text(seller),
            seller_sku: text(seller),
            gtin: text(gtin),
            quantity: Some(Decimal::from(2)),
            ..Line::default()
        }
    }

    fn known(items: &[(&str, Option<&str>)]) -> Known {
        let item = |gtin: &Option<&str>| Item { gtin: gtin.map(str::to_owned), ..Item::default() };
        let items = items.iter().map(|(sku, gtin)| ((*sku).to_owned(), item(gtin)));
        Known::of(items.collect(), false)
    }

    fn vendor(id: &str) -> VendorId {
        VendorId::parse(id).expect("an id")
    }

    /// What becomes of one line of acme's.
    fn asked(line: &Line, known: &Known, first: &FirstUses, remembered: &Remembered) -> Decision {
        proposed(vec![line.clone()], known, first, remembered).remove(0)
    }

    fn proposed(
        lines: Vec<Line>,
        known: &Known,
        first: &FirstUses,
        remembered: &Remembered,
    ) -> Vec<Decision> {
        let mut invoice: Invoice = serde_json::from_value(serde_json::json!({
            "format": "ubl", "kind": "invoice", "supplier": {}, "buyer": {}, "lines": [], "adjustments": [],
            "totals": {}, "flags": [], "evidence": {},
        }))
        .expect("an invoice");
        invoice.lines = lines;
        propose(&invoice, &Given { vendor: &vendor("acme"), known, first, remembered })
    }

    fn decided(line: &Line, known: &Known) -> Decision {
        asked(line, known, &FirstUses::new(), &Remembered::new())
    }

    fn by(decision: &Decision) -> Option<(By, &str, bool)> {
        Some((decision.found.as_ref()?.by, decision.sku.as_deref()?, decision.accepted))
    }

    #[test]
    fn the_surest_way_wins() {
        let known = known(&[("TB100A4", None), ("BOLT-8", Some("4012345001235"))]);
        assert_eq!(by(&decided(&line(Some("tb100a4"), None), &known)), Some((By::Sku, "TB100A4", true)));
        assert_eq!(
            by(&decided(&line(Some("77"), Some("04012345001235")), &known)),
            Some((By::Gtin, "BOLT-8", true))
        );
        // The number is another item's, and only a person can tell which of the two is wrong.
        assert_eq!(
            by(&decided(&line(Some("TB100A4"), Some("04012345001235")), &known)),
            Some((By::Gtin, "BOLT-8", false))
        );
        let remembered = Remembered::from([("seller#TB100A4".to_owned(), "BINDER".to_owned())]);
        let decision = asked(&line(Some(" tb100a4 "), None), &known, &FirstUses::new(), &remembered);
        assert_eq!(by(&decision), Some((By::Remembered, "BINDER", true)));
    }

    #[test]
    fn what_looks_alike_waits_for_a_person() {
        let items = [("TB-100-A4", None), ("TBX-100-A4", None), ("TB-100-A5", None), ("ZZZ", None)];
        let known = known(&items);
        let same = decided(&line(Some("TB100A4"), None), &known);
        assert_eq!(by(&same), Some((By::Likeness, "TB-100-A4", false)));
        let candidates: Vec<_> =
            same.candidates.iter().map(|candidate| (candidate.sku.as_str(), candidate.likeness)).collect();
        assert_eq!(candidates, [("TB-100-A4", 100), ("TBX-100-A4", 87)]);
        assert!(same.doubt.is_some());
        let other = decided(&line(Some("QX-77"), None), &known);
        assert_eq!(by(&other), Some((By::New, "QX-77", true)));
        // Other figures are another item.
        let figures = self::known(&[("10001", None), ("LAMP-1000", None)]);
        for other in ["10002", "LAMP-1001"] {
            assert_eq!(by(&decided(&line(Some(other), None), &figures)), Some((By::New, other, true)));
        }
    }

    #[test]
    fn a_flag_is_never_accepted_by_itself() {
        let known = known(&[("A1B2", None)]);
        let mut flagged = line(Some("A1B2"), None);
        flagged.flags.push(Flag { code: FlagCode::LineTotal, message: "2 × 3 is not 7".to_owned() });
        assert_eq!(by(&decided(&flagged, &known)), Some((By::Sku, "A1B2", false)));
        let none = Line { quantity: None, ..line(Some("A1B2"), None) };
        assert_eq!(by(&decided(&none, &known)), Some((By::Sku, "A1B2", false)));
        assert_eq!(decided(&line(None, None), &known), Decision::default());
    }

    #[test]
    fn a_number_whose_gtin_says_otherwise_waits_for_a_person() {
        let known = known(&[("HT-1", Some("4012345001235"))]);
        assert_eq!(
            by(&decided(&line(Some("HT-1"), Some("4000050986428")), &known)),
            Some((By::Sku, "HT-1", false))
        );
        assert_eq!(by(&decided(&line(Some("HT-1"), None), &known)), Some((By::Sku, "HT-1", true)));
    }

    #[test]
    fn whatever_finds_an_item_another_gtin_or_buyers_number_is_a_doubt() {
        let known = known(&[("HT-1", Some("4012345001235")), ("HT-2", None)]);
        let remembered = Remembered::from([("seller#77".to_owned(), "HT-1".to_owned())]);
        let ask = |line: &Line| asked(line, &known, &FirstUses::new(), &remembered);
        assert_eq!(by(&ask(&line(Some("77"), None))), Some((By::Remembered, "HT-1", true)));
        let other = ask(&line(Some("77"), Some("4000050986428")));
        assert_eq!(by(&other), Some((By::Remembered, "HT-1", false)));
        let buyers = Line { buyer_sku: Some("HT-2".to_owned()), ..line(None, Some("4012345001235")) };
        assert_eq!(by(&ask(&buyers)), Some((By::Gtin, "HT-1", false)));
    }

    #[test]
    fn the_very_number_wins_over_one_that_differs_in_case() {
        let known = known(&[("AB-1", None), ("ab-1", None)]);
        for exact in ["AB-1", "ab-1"] {
            assert_eq!(by(&decided(&line(Some(exact), None), &known)), Some((By::Sku, exact, true)));
        }
        let either = decided(&line(Some("Ab-1"), None), &known);
        assert!(!either.accepted && either.doubt.is_some() && either.candidates.len() == 2, "{either:?}");
    }

    #[test]
    fn a_number_of_another_sellers_item_waits_for_a_person() {
        let first = |sku: &str, by: &str, gtin: Option<&str>| FirstUse {
            sku: sku.to_owned(),
            vendor: Some(vendor(by)),
            item: Item { gtin: gtin.map(str::to_owned), unit: None },
        };
        let uses = FirstUses::from([
            ("1001".to_owned(), first("1001", "south", Some("4012345001235"))),
            ("1002".to_owned(), first("1002", "acme", None)),
            ("1003".to_owned(), FirstUse { vendor: None, ..first("1003", "south", None) }),
        ]);
        let ask = |line: &Line, known: &Known| asked(line, known, &uses, &Remembered::new());
        // Whether it was booked meanwhile or not.
        for (stock, how) in
            [(known(&[("1001", None), ("1002", None), ("1003", None)]), By::Sku), (Known::default(), By::New)]
        {
            let theirs = ask(&line(Some("1001"), None), &stock);
            assert_eq!(by(&theirs), Some((how, "1001", false)));
            assert!(theirs.doubt.is_some_and(|doubt| doubt.contains("south")));
            assert_eq!(by(&ask(&line(Some("1002"), None), &stock)), Some((how, "1002", true)));
            let own = Line { buyer_sku: Some("1001".to_owned()), ..line(Some("77"), None) };
            assert_eq!(
                by(&ask(&own, &stock)),
                Some((how, "1001", false)),
                "south made it, by its own number"
            );
            let own = Line { buyer_sku: Some("1003".to_owned()), ..line(Some("77"), None) };
            assert_eq!(by(&ask(&own, &stock)), Some((how, "1003", true)), "the owner's own number");
            let same = ask(&line(Some("1001"), Some("4012345001235")), &stock);
            assert_eq!(by(&same), Some((how, "1001", true)), "the same GTIN");
        }
    }

    #[test]
    fn one_gtin_of_two_new_items_and_one_new_item_with_two_gtins_are_doubts() {
        let known = Known::default();
        let accepted = |lines: Vec<Line>| -> Vec<bool> {
            let decisions = proposed(lines, &known, &FirstUses::new(), &Remembered::new());
            decisions.iter().map(|decision| decision.accepted).collect()
        };
        let (one, two) = (Some("4012345001235"), Some("4000050986428"));
        assert_eq!(accepted(vec![line(Some("A-1"), one), line(Some("A-1"), two)]), [true, false]);
        assert_eq!(accepted(vec![line(Some("A-1"), one), line(Some("B-2"), one)]), [true, false]);
        assert_eq!(accepted(vec![line(Some("A-1"), one), line(Some("A-1"), one)]), [true, true]);
    }

    #[test]
    fn another_unit_than_the_items_waits_for_a_person() {
        let pieces = Item { unit: Some("EA".to_owned()), ..Item::default() };
        let known = Known::of(BTreeMap::from([("A1".to_owned(), pieces)]), false);
        let counted =
            |sku: &str, unit: Option<&str>| Line { unit: unit.map(str::to_owned), ..line(Some(sku), None) };
        for same in [None, Some("H87"), Some("pcs")] {
            assert_eq!(by(&decided(&counted("A1", same), &known)), Some((By::Sku, "A1", true)), "{same:?}");
        }
        let cases = decided(&counted("A1", Some("CS")), &known);
        assert_eq!((by(&cases), cases.unit.as_deref()), (Some((By::Sku, "A1", false)), Some("EA")));
        // Of a new item the first line says it.
        let said = [None, Some("EA"), Some("CS"), Some("PCE")];
        let lines = said.map(|unit| counted(if unit.is_none() { "n-1" } else { "N-1" }, unit)).to_vec();
        let units: Vec<_> = proposed(lines, &known, &FirstUses::new(), &Remembered::new())
            .into_iter()
            .map(|decision| (decision.accepted, decision.unit))
            .collect();
        assert_eq!(units, [(true, None), (true, None), (false, Some("EA".to_owned())), (true, None)]);
    }

    #[test]
    fn what_is_not_found_in_a_part_of_the_stock_may_be_in_the_rest() {
        let known = Known { incomplete: true, ..known(&[("A1B2", None)]) };
        assert_eq!(by(&decided(&line(Some("QX-77"), None), &known)), Some((By::New, "QX-77", false)));
        assert_eq!(by(&decided(&line(Some("a1b2"), None), &known)), Some((By::Sku, "A1B2", true)));
        let (acme, first, remembered) = (vendor("acme"), FirstUses::new(), Remembered::new());
        let given = Given { vendor: &acme, known: &known, first: &first, remembered: &remembered };
        let decision = Matcher { given: &given, left: 0 }.decide(&line(Some("QX-77"), None));
        assert_eq!(by(&decision), Some((By::New, "QX-77", false)), "nobody looked");
    }

    #[test]
    fn one_gtin_of_two_items_tells_nothing() {
        let known = known(&[("A", Some("4012345001235")), ("B", Some("4012345001235"))]);
        assert_eq!(
            by(&decided(&line(Some("Q9"), Some("4012345001235")), &known)),
            Some((By::New, "Q9", true))
        );
        assert_eq!(gtin14("4012345001236"), None, "a wrong check digit");
    }
}
