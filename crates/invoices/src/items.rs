//! Items as invoices speak of them: what is known of the owner's, and the numbers that lines call theirs by. Pure.

use std::collections::{BTreeMap, BTreeSet};

use contract::VendorId;
use readers::invoice::{Line, gtin14};
use unicode_normalization::UnicodeNormalization as _;

/// The owner's items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// By sku.
    pub(crate) items: BTreeMap<String, Item>,
    /// Some of the owner's items are not in `items`: what is not found may be there all the same.
    pub(crate) incomplete: bool,
    /// The same by the number as people compare it.
    pub(crate) by_number: BTreeMap<String, BTreeSet<String>>,
    pub(crate) by_gtin: BTreeMap<String, BTreeSet<String>>,
    /// Numbers as they are compared by likeness.
    pub(crate) bare: Vec<Bare>,
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
pub(crate) struct Bare {
    pub number: String,
    figures: String,
    pub sku: String,
}

impl Bare {
    pub fn of(sku: &str) -> Self {
        let number: String = plain(sku).chars().filter(|character| character.is_alphanumeric()).collect();
        let figures = number.chars().filter(char::is_ascii_digit).collect();
        Self { number, figures, sku: sku.to_owned() }
    }

    /// Whether a likeness of the two would mean anything: very short numbers are all alike, and of other figures is
    /// another item (`LAMP-1000`, `LAMP-1001`).
    pub fn is_comparable(&self, other: &Self) -> bool {
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

/// A number, or a GTIN, that an invoice called a new item by: whose invoice did so first, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstUse {
    /// The item.
    pub sku: String,
    /// The vendor by whose number it is called; none where it is the owner's own.
    pub vendor: Option<VendorId>,
    /// What the line said of it.
    pub item: Item,
}

/// First uses, by the number as people compare it ([`plain`]) or the GTIN in its longest form.
pub type FirstUses = BTreeMap<String, FirstUse>;

/// Every number that a line calls its item by, as people compare it.
pub fn spoken(line: &Line) -> impl Iterator<Item = String> {
    let numbers = numbers(line).map(|(_, number)| number).chain(line.gtin.as_deref());
    let gtin = line.gtin.as_deref().and_then(gtin14);
    numbers.map(plain).filter(|number| !number.is_empty()).chain(gtin)
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

/// Whose number it is.
pub(crate) const BUYERS: &str = "the buyer's";
pub(crate) const SELLERS: &str = "the seller's";

/// A line's numbers, and whose they are; the surest first.
pub(crate) fn numbers(line: &Line) -> impl Iterator<Item = (&'static str, &str)> {
    let numbers = [(BUYERS, &line.buyer_sku), (SELLERS, &line.seller_sku), ("the", &line.sku)];
    let some = numbers.into_iter().filter_map(|(whose, number)| Some((whose, number.as_deref()?)));
    some.filter(|(_, number)| !number.trim().is_empty())
}

/// A number as people compare it: NFKC, no matter the case, blanks as one.
pub fn plain(text: &str) -> String {
    let text: String = text.nfkc().flat_map(char::to_uppercase).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
