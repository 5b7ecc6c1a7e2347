//! Which item of the owner's stock a line is about. Pure; what is known is read beforehand ([`Known`]).
//!
//! In this order, the first that answers wins: what a person said about the same item number of the same vendor
//! ([`By::Remembered`]); the GTIN; an item number; nothing like it in stock, so it is new. What only looks alike is
//! proposed and waits for a person, with what was compared; so does a line that counts in another unit than its item.

use std::collections::{BTreeMap, BTreeSet};

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

/// What becomes of the lines if nobody says otherwise.
pub fn propose(invoice: &Invoice, known: &Known, remembered: &Remembered) -> Vec<Decision> {
    let index = Index::of(known);
    let mut left = MOST_COMPARISONS;
    let decided = |line| in_unit(line, known, decide(line, known, remembered, &index, &mut left));
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
            Decision { unit: Some(unit.clone()), doubt: Some(doubt), accepted: false, ..decision }
        }
        _ => decision,
    }
}

/// The owner's items by what lines are compared with.
struct Index<'a> {
    by_sku: BTreeMap<String, &'a str>,
    by_gtin: BTreeMap<String, BTreeSet<&'a str>>,
    /// Numbers as they are compared by likeness.
    bare: Vec<(String, &'a str)>,
}

impl<'a> Index<'a> {
    fn of(known: &'a Known) -> Self {
        let mut by_gtin: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (sku, item) in &known.items {
            // An item may be called by its GTIN.
            for gtin in item.gtin.iter().map(String::as_str).chain([sku.as_str()]).filter_map(gtin14) {
                by_gtin.entry(gtin).or_default().insert(sku);
            }
        }
        Self {
            by_sku: known.items.keys().map(|sku| (plain(sku), sku.as_str())).collect(),
            by_gtin,
            bare: known.items.keys().map(|sku| (bare(sku), sku.as_str())).collect(),
        }
    }
}

fn decide(
    line: &Line,
    known: &Known,
    remembered: &Remembered,
    index: &Index<'_>,
    left: &mut usize,
) -> Decision {
    let clean = line.flags.is_empty() && line.quantity.is_some();
    let found = |sku: &str, by: By, reason: String| Decision {
        sku: Some(sku.to_owned()),
        found: Some(Match { by, reason }),
        accepted: clean,
        ..Decision::default()
    };
    let doubtful =
        |decision: Decision, doubt: String| Decision { doubt: Some(doubt), accepted: false, ..decision };
    if let Some((name, sku)) = names(line).iter().find_map(|name| Some((name, remembered.get(name)?))) {
        return found(sku, By::Remembered, format!("somebody said so of {} before", shown(name)));
    }
    if let Some((gtin, skus)) =
        line.gtin.as_deref().and_then(|gtin| Some((gtin, index.by_gtin.get(&gtin14(gtin)?)?)))
    {
        let mut skus = skus.iter();
        if let (Some(sku), None) = (skus.next(), skus.next()) {
            return found(sku, By::Gtin, format!("GTIN {gtin}"));
        }
    }
    let numbers = [
        ("the buyer's number", &line.buyer_sku),
        ("the seller's number", &line.seller_sku),
        ("the number", &line.sku),
    ];
    for (whose, number) in numbers {
        let Some(number) = number else { continue };
        if let Some(sku) = index.by_sku.get(&plain(number)) {
            let wrong = line.gtin.as_ref().filter(|gtin| gtin14(gtin).is_none());
            let wrong = wrong
                .map_or_else(String::new, |gtin| format!("; {gtin} is no GTIN, its check digit is wrong"));
            let decision = found(sku, By::Sku, format!("{whose} {number}{wrong}"));
            // Numbers are unique within one seller; GTINs are everywhere.
            let theirs = known.items.get(*sku).and_then(|item| gtin14(item.gtin.as_deref()?));
            let ours = line.gtin.as_deref().and_then(gtin14);
            if let (Some(ours), Some(theirs)) = (&ours, &theirs)
                && ours != theirs
            {
                let doubt = format!("{whose} is {sku}'s, but the GTIN is {ours} and {sku}'s is {theirs}");
                return doubtful(decision, doubt);
            }
            return decision;
        }
    }
    let Some(candidates) = candidates(line, index, left) else {
        return new(line, &found, "too many items to look for one that is like it", false);
    };
    if let Some(first) = candidates.first() {
        let reason = format!("looks like {}: {}", first.sku, first.reason);
        let decision = doubtful(found(&first.sku, By::Likeness, reason.clone()), reason);
        return Decision { candidates, ..decision };
    }
    if known.incomplete {
        let why = "stock has more items than are looked at: it may be there all the same";
        return new(line, &found, why, false);
    }
    new(line, &found, "a new item: nothing in stock is like it", true)
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

/// Items that look like the line's numbers, the likeliest first; `None` where that would take too long.
fn candidates(line: &Line, index: &Index<'_>, left: &mut usize) -> Option<Vec<Candidate>> {
    let numbers: BTreeSet<String> = [&line.buyer_sku, &line.seller_sku, &line.sku]
        .into_iter()
        .flatten()
        .map(|number| bare(number))
        .collect();
    *left = left.checked_sub(index.bare.len() * numbers.len())?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for (theirs, sku) in &index.bare {
        let best = numbers
            .iter()
            .filter(|number| comparable(number, theirs))
            .map(|number| (likeness(number, theirs), number));
        let Some((likeness, number)) = best.max().filter(|(likeness, _)| *likeness >= LIKE) else { continue };
        let reason = format!("{number} and {theirs} are {likeness} % alike");
        candidates.push(Candidate { sku: (*sku).to_owned(), likeness, reason });
    }
    candidates.sort_by(|one, other| other.likeness.cmp(&one.likeness).then_with(|| one.sku.cmp(&other.sku)));
    candidates.truncate(MOST_CANDIDATES);
    Some(candidates)
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
        let item = |gtin: &Option<&str>| Item { gtin: gtin.map(str::to_owned), unit: None };
        let items = items.iter().map(|(sku, gtin)| ((*sku).to_owned(), item(gtin)));
        Known { items: items.collect(), ..Known::default() }
    }

    fn decided(line: &Line, known: &Known) -> Decision {
        decide(line, known, &Remembered::new(), &Index::of(known), &mut MOST_COMPARISONS.clone())
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
            decide(&line(Some(" tb100a4 "), None), &known, &remembered, &Index::of(&known), &mut 1_000);
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
        let index = Index::of(&known);
        let decision = decide(&line(Some("QX-77"), None), &known, &Remembered::new(), &index, &mut 0);
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
