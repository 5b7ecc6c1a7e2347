//! Which item of the owner's stock a line is about. Pure; what is known is read beforehand ([`Known`], [`FirstUses`]).
//!
//! In this order, the first that answers wins: what a person said about the same item number of the same vendor
//! ([`By::Remembered`]); the GTIN; an item number; nothing like it in stock, so it is new. What only looks alike is
//! proposed and waits for a person, with what was compared. So does a line whose GTIN or whose buyer's number says
//! otherwise, whose number another seller's invoice used first, or that counts in another unit than its item.

use std::collections::{BTreeMap, BTreeSet};

use contract::VendorId;
use readers::invoice::{Invoice, Line, gtin14};
use unicode_normalization::UnicodeNormalization as _;

use crate::document::{By, Candidate, Decision, Match};
use crate::units;

/// Likeness from which on an item is a candidate, in percent.
const LIKE: u8 = 80;
/// Most comparisons by likeness for one document: a second or so.
const MOST_COMPARISONS: usize = 20_000_000;
/// Most candidates of a line.
const MOST_CANDIDATES: usize = 5;

/// The owner's items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// By sku.
    items: BTreeMap<String, Item>,
    /// Some of the owner's items are not in `items`: what is not found may be there all the same.
    incomplete: bool,
    /// The same by the number as people compare it.
    by_number: BTreeMap<String, BTreeSet<String>>,
    by_gtin: BTreeMap<String, BTreeSet<String>>,
    /// Numbers as they are compared by likeness.
    bare: Vec<Bare>,
}

/// What is known of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its GTIN.
    pub gtin: Option<String>,
    /// In what it is counted: a code or a word.
    pub unit: Option<String>,
}

/// An item number as it is compared by likeness.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bare {
    number: String,
    figures: String,
    sku: String,
}

impl Bare {
    fn of(sku: &str) -> Self {
        let number: String = plain(sku).chars().filter(|character| character.is_alphanumeric()).collect();
        let figures = number.chars().filter(char::is_ascii_digit).collect();
        Self { number, figures, sku: sku.to_owned() }
    }

    /// Whether a likeness of the two would mean anything: very short numbers are all alike, and of other figures is
    /// another item (`LAMP-1000`, `LAMP-1001`).
    fn is_comparable(&self, other: &Self) -> bool {
        let (one, two) = (self.number.len(), other.number.len());
        // Four of five letters at least are the same only where the lengths are about the same.
        let near = one.abs_diff(two) * 5 <= one.max(two);
        near && one >= 4 && two >= 4 && self.figures == other.figures
    }
}

impl Known {
    /// Of these items, by sku; `incomplete` where there are more.
    pub fn of(items: BTreeMap<String, Item>, incomplete: bool) -> Self {
        let mut by_number: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut by_gtin: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (sku, item) in &items {
            by_number.entry(plain(sku)).or_default().insert(sku.clone());
            // An item may be called by its GTIN.
            for gtin in item.gtin.iter().chain([sku]).filter_map(|text| gtin14(text)) {
                by_gtin.entry(gtin).or_default().insert(sku.clone());
            }
        }
        let bare = items.keys().map(|sku| Bare::of(sku)).collect();
        Self { items, incomplete, by_number, by_gtin, bare }
    }
}

/// A new item that an invoice called by a number: whose invoice did so first, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstUse {
    /// The vendor.
    pub vendor: VendorId,
    /// What the line said of it.
    pub item: Item,
}

/// First uses of numbers, by the number as people compare it ([`plain`]).
pub type FirstUses = BTreeMap<String, FirstUse>;

/// Every number that a line calls its item by, as people compare it.
pub fn spoken(line: &Line) -> impl Iterator<Item = String> {
    let numbers = numbers(line).map(|(_, number)| number).chain(line.gtin.as_deref());
    numbers.map(plain).filter(|number| !number.is_empty())
}

/// First uses of numbers for new items which an invoice brings, where nobody was before it.
pub fn first_uses(invoice: &Invoice, decisions: &[Decision], given: &Given<'_>) -> FirstUses {
    let mut uses = FirstUses::new();
    for (line, decision) in invoice.lines.iter().zip(decisions) {
        let is_new = decision.found.as_ref().is_some_and(|found| found.by == By::New);
        let Some(number) = decision.sku.as_deref().filter(|_| is_new).map(plain) else { continue };
        if !given.first.contains_key(&number) {
            let item = Item { gtin: line.gtin.clone(), unit: line.unit.clone() };
            uses.entry(number).or_insert(FirstUse { vendor: given.vendor.clone(), item });
        }
    }
    uses
}

/// The names under which a line's item is remembered, the surest first: the seller's number, the GTIN, the
/// buyer's number, and the description where it has no number at all.
pub fn names(line: &Line) -> Vec<String> {
    let mut names = Vec::new();
    let mut push = |kind: &str, value: &Option<String>| {
        let plain = value.as_deref().map(plain).filter(|text| !text.is_empty());
        names.extend(plain.map(|text| format!("{kind}#{text}")));
    };
    push("seller", &line.seller_sku);
    push("gtin", &line.gtin);
    push("buyer", &line.buyer_sku);
    push("sku", &line.sku);
    if names.is_empty() {
        let text = line.description.as_deref().map(plain).unwrap_or_default();
        names.extend(
            (!text.is_empty()).then(|| format!("text#{}", text.chars().take(200).collect::<String>())),
        );
    }
    names
}

/// What people said of a vendor's items, by [`names`].
pub type Remembered = BTreeMap<String, String>;

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
    // Units of items that this very invoice brings first.
    let mut fresh: BTreeMap<String, Option<&str>> = BTreeMap::new();
    let mut decided = |line| {
        let mut decision = matcher.decide(line);
        let Some(sku) = decision.sku.clone() else { return decision };
        let unit = given.unit(&sku).or_else(|| *fresh.entry(plain(&sku)).or_insert(line.unit.as_deref()));
        decision.unit = other_unit(line, unit);
        decision.accepted &= decision.unit.is_none();
        decision
    };
    invoice.lines.iter().map(&mut decided).collect()
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

    /// In what an item that a person named for a line is counted, where that is something else than the line says.
    pub fn other_unit(&self, line: &Line, sku: &str) -> Option<String> {
        other_unit(line, self.unit(sku))
    }
}

/// The item's unit, where the line counts in another one: ten cases are not ten pieces.
fn other_unit(line: &Line, of_item: Option<&str>) -> Option<String> {
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
            return found(line, sku, By::Gtin, format!("GTIN {gtin}")).but(self.other_buyers(line, sku));
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

    /// The buyer's numbers are the owner's own.
    fn other_buyers(&self, line: &Line, sku: &str) -> Option<String> {
        let number = line.buyer_sku.as_deref()?.trim();
        let others = self.given.known.by_number.get(&plain(number))?;
        (!others.contains(sku))
            .then(|| format!("the GTIN is that of {sku}, and the buyer's number is {number}"))
    }

    /// A seller's numbers are unique among its own.
    fn other_sellers(&self, line: &Line, whose: &str, sku: &str) -> Option<String> {
        let FirstUse { vendor: first, .. } = self.given.first.get(&plain(sku))?;
        let is_same =
            line.gtin.as_deref().and_then(gtin14).is_some_and(|gtin| self.given.gtin(sku) == Some(gtin));
        (first != self.given.vendor && whose != BUYERS && !is_same).then(|| {
            format!("an invoice of {first} brought {sku} first, and each seller has numbers of its own: is it the same?")
        })
    }

    /// A line whose item is not in stock: by the number that the owner would call it by.
    fn first_seen(&self, line: &Line, why: &str, sure: bool) -> Decision {
        let gtin = line.gtin.as_deref().map(|gtin| (BUYERS, gtin));
        let own = |(whose, _): &(&str, &str)| *whose != SELLERS;
        let Some((whose, name)) = numbers(line).find(own).or(gtin) else { return Decision::default() };
        let decision = found(line, name.trim(), By::New, why.to_owned());
        let decision = Decision { accepted: decision.accepted && sure, ..decision };
        decision.but(self.against(line, whose, name.trim()))
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

/// Whose number it is.
const BUYERS: &str = "the buyer's";
const SELLERS: &str = "the seller's";

/// A line's numbers, and whose they are; the surest first.
fn numbers(line: &Line) -> impl Iterator<Item = (&'static str, &str)> {
    let numbers = [(BUYERS, &line.buyer_sku), (SELLERS, &line.seller_sku), ("the", &line.sku)];
    let some = numbers.into_iter().filter_map(|(whose, number)| Some((whose, number.as_deref()?)));
    some.filter(|(_, number)| !number.trim().is_empty())
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

/// A number as people compare it: NFKC, no matter the case, blanks as one.
pub fn plain(text: &str) -> String {
    let text: String = text.nfkc().flat_map(char::to_uppercase).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
            by(&decided(&line(Some("TB100A4"), Some("04012345001235")), &known)),
            Some((By::Gtin, "BOLT-8", true))
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
        let first = |by: &str, gtin: Option<&str>| FirstUse {
            vendor: vendor(by),
            item: Item { gtin: gtin.map(str::to_owned), unit: None },
        };
        let uses = FirstUses::from([
            ("1001".to_owned(), first("south", Some("4012345001235"))),
            ("1002".to_owned(), first("acme", None)),
        ]);
        let ask = |line: &Line, known: &Known| asked(line, known, &uses, &Remembered::new());
        // Whether it was booked meanwhile or not.
        for (stock, how) in [(known(&[("1001", None), ("1002", None)]), By::Sku), (Known::default(), By::New)]
        {
            let theirs = ask(&line(Some("1001"), None), &stock);
            assert_eq!(by(&theirs), Some((how, "1001", false)));
            assert!(theirs.doubt.is_some_and(|doubt| doubt.contains("south")));
            assert_eq!(by(&ask(&line(Some("1002"), None), &stock)), Some((how, "1002", true)));
            let own = Line { buyer_sku: Some("1001".to_owned()), ..line(Some("77"), None) };
            assert_eq!(by(&ask(&own, &stock)), Some((how, "1001", true)), "the owner's own number");
            let same = ask(&line(Some("1001"), Some("4012345001235")), &stock);
            assert_eq!(by(&same), Some((how, "1001", true)), "the same GTIN");
        }
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
        let lines = vec![counted("N-1", Some("EA")), counted("n-1", Some("CS")), counted("N-1", Some("PCE"))];
        let units: Vec<_> = proposed(lines, &known, &FirstUses::new(), &Remembered::new())
            .into_iter()
            .map(|decision| (decision.accepted, decision.unit))
            .collect();
        assert_eq!(units, [(true, None), (false, Some("EA".to_owned())), (true, None)]);
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
