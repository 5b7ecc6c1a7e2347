//! Which item of the owner's stock a line is about. Pure; what is known is read beforehand ([`Known`]).
//!
//! In this order, the first that answers wins: what a person said about the same item number of the same vendor
//! ([`By::Remembered`]); the GTIN; an item number; nothing like it in stock, so it is new. What only looks alike is
//! proposed and waits for a person, with what was compared; so does a line that counts in another unit than its item.

use std::collections::{BTreeMap, BTreeSet};

use contract::VendorId;
use readers::invoice::{Invoice, Line};
use unicode_normalization::UnicodeNormalization as _;

use crate::document::{By, Candidate, Decision, Match};
use crate::units;

/// Likeness from which on an item is a candidate, in percent.
const LIKE: u8 = 80;
/// Most comparisons by likeness for one document: a second or so.
const MOST_COMPARISONS: usize = 20_000_000;
/// Most candidates of a line.
const MOST_CANDIDATES: usize = 5;

/// What is known of items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The owner's items, by sku.
    pub items: BTreeMap<String, Item>,
    /// Some of the owner's items are not in `items`: what is not found may be there all the same.
    pub incomplete: bool,
}

/// What is known of an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its GTIN.
    pub gtin: Option<String>,
    /// In what it is counted: a code or a word.
    pub unit: Option<String>,
    /// Whose invoice brought it last, where nobody ever counted it: then it may be called by that vendor's number.
    pub brought_by: Option<VendorId>,
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

/// What becomes of the lines of a vendor's invoice if nobody says otherwise.
pub fn propose(
    invoice: &Invoice,
    vendor: &VendorId,
    known: &Known,
    remembered: &Remembered,
) -> Vec<Decision> {
    let mut matcher = Matcher::of(vendor, known, remembered);
    let decided = |line| in_unit(line, known, matcher.decide(line));
    invoice.lines.iter().map(decided).collect()
}

/// A decision about a line that counts in another unit than its item waits: ten cases are not ten pieces.
fn in_unit(line: &Line, known: &Known, decision: Decision) -> Decision {
    let of_item = decision.sku.as_ref().and_then(|sku| known.items.get(sku)?.unit.as_ref());
    match (&line.unit, of_item) {
        (Some(said), Some(unit)) if !units::same(said, unit) => {
            let sku = decision.sku.as_deref().unwrap_or_default();
            let doubt = format!(
                "the line counts in {said}, and the stock of {sku} in {unit}: name the quantity in {unit}"
            );
            doubtful(Decision { unit: Some(unit.clone()), ..decision }, doubt)
        }
        _ => decision,
    }
}

/// The owner's items by what lines are compared with, and what else is known.
struct Matcher<'a> {
    vendor: &'a VendorId,
    known: &'a Known,
    remembered: &'a Remembered,
    by_sku: BTreeMap<String, &'a str>,
    by_gtin: BTreeMap<String, BTreeSet<&'a str>>,
    /// Numbers as they are compared by likeness.
    bare: Vec<(String, &'a str)>,
    /// Comparisons by likeness that may still be made.
    left: usize,
}

impl<'a> Matcher<'a> {
    fn of(vendor: &'a VendorId, known: &'a Known, remembered: &'a Remembered) -> Self {
        let mut by_gtin: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (sku, item) in &known.items {
            // An item may be called by its GTIN.
            for gtin in item.gtin.iter().map(String::as_str).chain([sku.as_str()]).filter_map(gtin14) {
                by_gtin.entry(gtin).or_default().insert(sku);
            }
        }
        Self {
            vendor,
            known,
            remembered,
            left: MOST_COMPARISONS,
            by_sku: known.items.keys().map(|sku| (plain(sku), sku.as_str())).collect(),
            by_gtin,
            bare: known.items.keys().map(|sku| (bare(sku), sku.as_str())).collect(),
        }
    }

    fn decide(&mut self, line: &Line) -> Decision {
        let clean = line.flags.is_empty() && line.quantity.is_some();
        let found = |sku: &str, by: By, reason: String| Decision {
            sku: Some(sku.to_owned()),
            found: Some(Match { by, reason }),
            accepted: clean,
            ..Decision::default()
        };
        let of_name = |name: String| Some((self.remembered.get(&name)?, name));
        if let Some((sku, name)) = names(line).into_iter().find_map(of_name) {
            return found(sku, By::Remembered, format!("somebody said so of {} before", shown(&name)));
        }
        let of_gtin = |gtin| Some((gtin, self.by_gtin.get(&gtin14(gtin)?)?));
        if let Some((gtin, skus)) = line.gtin.as_deref().and_then(of_gtin) {
            let mut skus = skus.iter();
            if let (Some(sku), None) = (skus.next(), skus.next()) {
                return found(sku, By::Gtin, format!("GTIN {gtin}"));
            }
        }
        if let Some((whose, number, sku)) = self.by_number(line) {
            let wrong = line.gtin.as_ref().filter(|gtin| gtin14(gtin).is_none());
            let wrong = wrong
                .map_or_else(String::new, |gtin| format!("; {gtin} is no GTIN, its check digit is wrong"));
            let decision = found(sku, By::Sku, format!("{whose} number {number}{wrong}"));
            return match self.against(line, whose, sku) {
                Some(doubt) => doubtful(decision, doubt),
                None => decision,
            };
        }
        let Some(candidates) = self.candidates(line) else {
            return new(line, &found, "too many items to look for one that is like it", false);
        };
        if let Some(first) = candidates.first() {
            let reason = format!("looks like {}: {}", first.sku, first.reason);
            let decision = doubtful(found(&first.sku, By::Likeness, reason.clone()), reason);
            return Decision { candidates, ..decision };
        }
        if self.known.incomplete {
            let why = "stock has more items than are looked at: it may be there all the same";
            return new(line, &found, why, false);
        }
        new(line, &found, "a new item: nothing in stock is like it", true)
    }

    /// The item that is called by one of the line's numbers, and whose number that is.
    fn by_number(&self, line: &'a Line) -> Option<(&'static str, &'a str, &'a str)> {
        [(BUYERS, &line.buyer_sku), ("the seller's", &line.seller_sku), ("the", &line.sku)]
            .into_iter()
            .find_map(|(whose, number)| {
                let number = number.as_deref()?;
                Some((whose, number, *self.by_sku.get(&plain(number))?))
            })
    }

    /// What speaks against an item that is called by a line's number. GTINs are unique everywhere; a seller's numbers
    /// are unique among its own.
    fn against(&self, line: &Line, whose: &str, sku: &str) -> Option<String> {
        let item = self.known.items.get(sku)?;
        let ours = line.gtin.as_deref().and_then(gtin14);
        let theirs = item.gtin.as_deref().and_then(gtin14);
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => {
                return Some(format!(
                    "{whose} number is {sku}'s, but the GTIN is {ours} and {sku}'s is {theirs}"
                ));
            }
            _ => {}
        }
        let other = item.brought_by.as_ref().filter(|other| *other != self.vendor && whose != BUYERS)?;
        Some(format!(
            "{sku} is an item that an invoice of {other} brought, and each seller has numbers of its own: is it the same?"
        ))
    }

    /// Items that look like the line's numbers, the likeliest first; `None` where that would take too long.
    fn candidates(&mut self, line: &Line) -> Option<Vec<Candidate>> {
        let numbers: BTreeSet<String> = [&line.buyer_sku, &line.seller_sku, &line.sku]
            .into_iter()
            .flatten()
            .map(|number| bare(number))
            .collect();
        self.left = self.left.checked_sub(self.bare.len() * numbers.len())?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (theirs, sku) in &self.bare {
            let best = numbers
                .iter()
                .filter(|number| comparable(number, theirs))
                .map(|number| (likeness(number, theirs), number));
            let Some((likeness, number)) = best.max().filter(|(likeness, _)| *likeness >= LIKE) else {
                continue;
            };
            let reason = format!("{number} and {theirs} are {likeness} % alike");
            candidates.push(Candidate { sku: (*sku).to_owned(), likeness, reason });
        }
        candidates
            .sort_by(|one, other| other.likeness.cmp(&one.likeness).then_with(|| one.sku.cmp(&other.sku)));
        candidates.truncate(MOST_CANDIDATES);
        Some(candidates)
    }
}

/// Whose number it is that is the owner's own, and sure.
const BUYERS: &str = "the buyer's";

/// A decision that waits for a person, and why.
fn doubtful(decision: Decision, doubt: String) -> Decision {
    Decision { doubt: Some(doubt), accepted: false, ..decision }
}

/// A line whose item nobody knows: by the number that the owner would call it by.
fn new(line: &Line, found: &dyn Fn(&str, By, String) -> Decision, why: &str, sure: bool) -> Decision {
    let name = line.buyer_sku.as_ref().or(line.sku.as_ref()).or(line.gtin.as_ref());
    let Some(name) = name.map(|name| name.trim()).filter(|name| !name.is_empty()) else {
        return Decision::default();
    };
    let decision = found(name, By::New, why.to_owned());
    Decision { accepted: decision.accepted && sure, ..decision }
}

/// Whether a likeness of the two would mean anything: very short numbers are all alike, and of other figures is
/// another item (`LAMP-1000`, `LAMP-1001`).
fn comparable(one: &str, other: &str) -> bool {
    let figures = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    // Four of five letters at least are the same only where the lengths are about the same.
    let near = one.len().abs_diff(other.len()) * 5 <= one.len().max(other.len());
    near && one.len() >= 4 && other.len() >= 4 && figures(one) == figures(other)
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
fn plain(text: &str) -> String {
    let text: String = text.nfkc().flat_map(char::to_uppercase).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The letters and figures alone.
fn bare(text: &str) -> String {
    plain(text).chars().filter(|character| character.is_alphanumeric()).collect()
}

/// A GTIN in its longest form, by which those of 8, 12, 13 and 14 digits compare (GS1 General Specifications, 3.3).
fn gtin14(text: &str) -> Option<String> {
    let digits = text.trim();
    let shaped = matches!(digits.len(), 8 | 12 | 13 | 14) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| u32::from(digit.wrapping_sub(b'0')) * [1, 3][at % 2])
        .sum();
    (shaped && sum.is_multiple_of(10)).then(|| format!("{digits:0>14}"))
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
        Known { items: items.collect(), ..Known::default() }
    }

    fn vendor(id: &str) -> VendorId {
        VendorId::parse(id).expect("an id")
    }

    fn decided(line: &Line, known: &Known) -> Decision {
        Matcher::of(&vendor("acme"), known, &Remembered::new()).decide(line)
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
        let decision =
            Matcher::of(&vendor("acme"), &known, &remembered).decide(&line(Some(" tb100a4 "), None));
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
    fn a_number_of_another_sellers_item_waits_for_a_person() {
        let brought = |by: &str| Item { brought_by: Some(vendor(by)), ..Item::default() };
        let items = [("1001".to_owned(), brought("south")), ("1002".to_owned(), brought("acme"))];
        let known = Known { items: BTreeMap::from(items), ..Known::default() };
        let theirs = decided(&line(Some("1001"), None), &known);
        assert_eq!(by(&theirs), Some((By::Sku, "1001", false)));
        assert!(theirs.doubt.is_some_and(|doubt| doubt.contains("south")));
        assert_eq!(by(&decided(&line(Some("1002"), None), &known)), Some((By::Sku, "1002", true)));
        let own = Line { buyer_sku: Some("1001".to_owned()), ..line(Some("77"), None) };
        assert_eq!(by(&decided(&own, &known)), Some((By::Sku, "1001", true)), "the owner's own number");
    }

    #[test]
    fn another_unit_than_the_items_waits_for_a_person() {
        let pieces = Item { unit: Some("EA".to_owned()), ..Item::default() };
        let known = Known { items: BTreeMap::from([("A1".to_owned(), pieces)]), ..Known::default() };
        let counted = |unit: Option<&str>| {
            let line = Line { unit: unit.map(str::to_owned), ..line(Some("A1"), None) };
            let decision = decided(&line, &known);
            in_unit(&line, &known, decision)
        };
        for same in [None, Some("H87"), Some("pcs")] {
            assert_eq!(by(&counted(same)), Some((By::Sku, "A1", true)), "{same:?}");
        }
        let cases = counted(Some("CS"));
        assert_eq!(by(&cases), Some((By::Sku, "A1", false)));
        assert_eq!(cases.unit.as_deref(), Some("EA"));
        assert!(cases.doubt.is_some_and(|doubt| doubt.contains("CS") && doubt.contains("EA")));
    }

    #[test]
    fn what_is_not_found_in_a_part_of_the_stock_may_be_in_the_rest() {
        let known = Known { incomplete: true, ..known(&[("A1B2", None)]) };
        assert_eq!(by(&decided(&line(Some("QX-77"), None), &known)), Some((By::New, "QX-77", false)));
        assert_eq!(by(&decided(&line(Some("a1b2"), None), &known)), Some((By::Sku, "A1B2", true)));
        let (acme, remembered) = (vendor("acme"), Remembered::new());
        let mut tired = Matcher { left: 0, ..Matcher::of(&acme, &known, &remembered) };
        let decision = tired.decide(&line(Some("QX-77"), None));
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
