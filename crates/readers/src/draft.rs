//! How readers take values out of documents: with their evidence, and with a flag where a value cannot be read.

use std::collections::BTreeMap;

use contract::Decimal;

use crate::invoice::{Evidence, Flag, FlagCode, Format, Invoice, Kind, Line, Party, Place, Totals, gtin14};
use crate::{Reason, Unreadable};

/// Most lines of one document, all its invoices together: each line has about ten values, and each of them its
/// evidence.
pub const MAX_LINES: usize = 20_000;
/// Most invoices of one document.
pub const MAX_INVOICES: usize = 5_000;
/// Longest text that is kept of one value, in characters.
const MAX_TEXT: usize = 1_000;

/// A value as it stands in the document.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub text: String,
    pub place: Place,
    pub confidence: u8,
}

impl Found {
    /// A value that the format says outright; nothing where it is blank.
    pub fn new(text: &str, place: Place) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self { text: text.to_owned(), place, confidence: 100 })
    }
}

/// An invoice with nothing in it yet.
pub(crate) fn blank(format: Format, kind: Kind) -> Invoice {
    Invoice {
        format,
        kind,
        number: None,
        issue_date: None,
        currency: None,
        supplier: Party::default(),
        buyer: Party::default(),
        lines: Vec::new(),
        adjustments: Vec::new(),
        totals: Totals::default(),
        flags: Vec::new(),
        evidence: BTreeMap::new(),
    }
}

/// A flag.
pub(crate) fn flag(code: FlagCode, message: impl Into<String>) -> Flag {
    Flag { code, message: message.into() }
}

/// Takes values for the members of one object: the invoice (prefix empty) or a line (`/lines/3`).
pub(crate) struct Scope<'a> {
    evidence: &'a mut BTreeMap<String, Evidence>,
    flags: &'a mut Vec<Flag>,
    prefix: String,
}

impl<'a> Scope<'a> {
    pub fn new(
        evidence: &'a mut BTreeMap<String, Evidence>,
        flags: &'a mut Vec<Flag>,
        prefix: String,
    ) -> Self {
        Self { evidence, flags, prefix }
    }

    /// Keeps where the value of a member comes from.
    pub fn proves(&mut self, member: &str, found: &Found) {
        let evidence = Evidence { place: found.place.clone(), confidence: found.confidence };
        self.evidence.insert(format!("{}/{member}", self.prefix), evidence);
    }

    pub fn flag(&mut self, code: FlagCode, message: impl Into<String>) {
        self.flags.push(flag(code, message));
    }

    /// A text, blanks and line breaks in it as one blank each.
    pub fn text(&mut self, member: &str, found: Option<Found>) -> Option<String> {
        let found = found?;
        let text = found.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return None;
        }
        if text.chars().count() > MAX_TEXT {
            self.flag(FlagCode::Uncertain, format!("{member} is cut off behind {MAX_TEXT} characters"));
        }
        self.proves(member, &found);
        Some(text.chars().take(MAX_TEXT).collect())
    }

    /// A decimal, written with a point.
    pub fn decimal(&mut self, member: &str, found: Option<Found>) -> Option<Decimal> {
        self.read(member, found, decimal)
    }

    /// A value that a function reads; flagged, and absent, where it cannot.
    pub fn read<T>(
        &mut self,
        member: &str,
        found: Option<Found>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = found?;
        let value = read(&found.text);
        match &value {
            Some(_) => self.proves(member, &found),
            None => {
                let shown: String = found.text.chars().take(64).collect();
                self.flag(FlagCode::Unreadable, format!("{member}: `{shown}` cannot be read"));
            }
        }
        value
    }
}

/// The item's ids as a line keeps them, and its `sku`: the seller's, else the standard one, else the buyer's.
pub(crate) fn put_ids(
    line: &mut Line,
    scope: &mut Scope<'_>,
    seller: Option<Found>,
    standard: Option<Found>,
    buyer: Option<Found>,
) {
    let go_by = [&seller, &standard, &buyer].into_iter().flatten().next().cloned();
    let number = standard.filter(|found| gtin14(&found.text).is_some());
    line.seller_sku = scope.text("sellerSku", seller);
    line.gtin = scope.text("gtin", number);
    line.buyer_sku = scope.text("buyerSku", buyer);
    line.sku = scope.text("sku", go_by);
}

/// A decimal as XML Schema, X12 and JSON write it: `+1.5`, `.5`, `5.`.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_suffix('.').unwrap_or(digits);
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let zero = if digits.starts_with('.') { "0" } else { "" };
    Decimal::parse(&format!("{sign}{zero}{digits}")).ok()
}

/// A date `YYYY-MM-DD`, if there is such a day.
pub(crate) fn day(year: &str, month: &str, day: &str) -> Option<String> {
    let number = |text: &str| text.parse::<i16>().ok();
    let small = |text: &str| text.parse::<i8>().ok();
    let date = jiff::civil::Date::new(number(year)?, small(month)?, small(day)?).ok()?;
    (date.year() >= 1900).then(|| date.to_string())
}

/// `YYYYMMDD`.
pub(crate) fn compact_day(text: &str) -> Option<String> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    day(&text[..4], &text[4..6], &text[6..])
}

/// `YYYY-MM-DD`, with the time zone that XML Schema allows behind it.
pub(crate) fn iso_day(text: &str) -> Option<String> {
    let date = text.get(..10)?;
    let zone = &text[10..];
    if !(zone.is_empty() || zone == "Z" || zone.starts_with(['+', '-', 'T'])) {
        return None;
    }
    let mut parts = date.split('-');
    let (year, month, of_month) = (parts.next()?, parts.next()?, parts.next()?);
    (year.len() == 4 && parts.next().is_none()).then(|| day(year, month, of_month)).flatten()
}

/// An ISO 4217 code, by its form.
pub(crate) fn currency(text: &str) -> Option<String> {
    (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| text.to_owned())
}

/// Which way the goods go, by the code of UNTDID 1001 that UBL, CII and EDIFACT share; `None` for a code that is
/// neither an invoice's nor a credit note's (EN 16931, BT-3, and the debit and credit notes of the same list).
pub(crate) fn kind_of_code(code: &str) -> Option<Kind> {
    const CREDIT: [&str; 14] =
        ["81", "83", "261", "262", "296", "308", "381", "396", "420", "458", "502", "503", "532", "970"];
    const DEBIT: [&str; 52] = [
        "71", "80", "82", "84", "102", "130", "202", "203", "204", "211", "218", "219", "295", "326", "331",
        "380", "382", "383", "384", "385", "386", "387", "388", "389", "390", "393", "394", "395", "456",
        "457", "471", "472", "473", "500", "501", "527", "553", "575", "623", "633", "751", "780", "817",
        "870", "875", "876", "877", "935", "325", "343", "470", "480",
    ];
    if CREDIT.contains(&code) {
        return Some(Kind::CreditNote);
    }
    DEBIT.contains(&code).then_some(Kind::Invoice)
}

/// What a person should know of an invoice whose code says that it need not have brought any goods (UNTDID 1001): a
/// correction of one that did, a prepayment, a pro forma, a demand for money, an interim bill of works.
pub(crate) fn brings_no_goods(code: &str) -> Option<Flag> {
    let what = match code {
        "384" => "corrects another invoice, whose goods may be booked already",
        "386" => "is for a prepayment: the goods are yet to come",
        "325" => "is pro forma: nothing was delivered for it yet",
        "383" | "751" => "is a debit note or for accounting, and need not bring goods",
        "80" | "82" | "84" => "is about money or a meter, not about goods that came",
        "71" | "102" | "130" | "202" | "203" | "204" | "211" | "218" | "219" | "387" | "817" | "870"
        | "875" | "876" | "877" => "is a demand for payment, or for works or hire",
        _ => return None,
    };
    Some(flag(FlagCode::Uncertain, format!("the document's type {code} {what}")))
}

/// What a person should know of a document that calls itself a copy (EN 16931's syntaxes, `CopyIndicator`).
pub(crate) fn copies(indicator: &str) -> Option<Flag> {
    let said = matches!(indicator.trim(), "true" | "1");
    said.then(|| {
        flag(FlagCode::Uncertain, "the document says that it is a copy: the goods may be booked already")
    })
}

/// Refuses what would take too much memory.
pub(crate) fn check_lines(lines: usize) -> Result<(), Unreadable> {
    if lines > MAX_LINES {
        let message = format!("more than {MAX_LINES} lines in one document");
        return Err(Unreadable::new(Reason::TooLarge, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (text, value) in [("+1.50", "1.50"), (".5", "0.5"), ("-.5", "-0.5"), ("5.", "5"), (" 7 ", "7")] {
            assert_eq!(decimal(text).map(|value| value.to_string()).as_deref(), Some(value), "{text}");
        }
        for text in ["", "1,5", "1 000", "--1", "+-1", ".", "EUR 5", "1.2.3"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn gtins() {
        for text in ["4012345001235", "96385074", "036000291452", "10614141000415"] {
            assert!(gtin14(text).is_some_and(|longest| longest.ends_with(text)), "{text}");
        }
        for text in ["4012345001234", "0000000000000", "123", "40123450012x5", ""] {
            assert_eq!(gtin14(text), None, "{text}");
        }
    }

    #[test]
    fn days() {
        assert_eq!(iso_day("2024-02-29").as_deref(), Some("2024-02-29"));
        assert_eq!(iso_day("2024-02-29+01:00").as_deref(), Some("2024-02-29"));
        assert_eq!(compact_day("20240229").as_deref(), Some("2024-02-29"));
        for text in ["2023-02-29", "2024-13-01", "0024-01-01", "2024-1-1", "2024-01-01x", "é2024-01-01"] {
            assert_eq!(iso_day(text), None, "{text}");
        }
        assert_eq!(compact_day("20240230"), None);
    }
}
