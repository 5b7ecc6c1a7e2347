//! ANSI X12 810 Invoice, by the 4010 transaction set; older and later versions have the same elements where this
//! reads them.
//!
//! | what | where |
//! |---|---|
//! | number, date, kind | BIG02, BIG01, BIG07 (and BIG08) |
//! | supplier, buyer | N1 of SE, SU, VN or II; of BY, BT or SO |
//! | line | IT1: 02 quantity, 03 unit, 04 price, 05 basis, 06… pairs of qualifier and id; PID05; SAC; TXI |
//! | total | TDS01, with two decimals implied |
//! | number of lines | CTT01 |
//!
//! The 810 has no total of its lines and no net amount: cross-footing goes from the lines to TDS01.

use contract::Decimal;
use formats::x12::{self, Segment, Transaction};

use crate::draft::{
    Found, MAX_INVOICES, Scope, blank, check_lines, compact_day, currency, day, decimal, flag, put_ids,
};
use crate::invoice::{Adjustment, FlagCode, Format, Invoice, Kind, Line, Party, Place, Reading};
use crate::{Reason, Unreadable, check};

/// Party qualifiers (N101, data element 98), best first: who sells, then who buys.
const SUPPLIERS: [&str; 4] = ["SE", "SU", "VN", "II"];
const BUYERS: [&str; 3] = ["BY", "BT", "SO"];

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    let text = formats::text::decode(bytes)?;
    let interchanges = x12::parse(&text)?;
    let (mut invoices, mut others, mut lines) = (Vec::new(), Vec::new(), 0);
    for interchange in &interchanges {
        for transaction in interchange.groups.iter().flat_map(|group| &group.transactions) {
            if transaction.set_id != "810" {
                others.push(transaction.set_id);
                continue;
            }
            lines += transaction.segments.iter().filter(|segment| segment.id == "IT1").count();
            check_lines(lines)?;
            if invoices.len() >= MAX_INVOICES {
                let message = format!("more than {MAX_INVOICES} invoices in one document");
                return Err(Unreadable::new(Reason::TooLarge, message));
            }
            invoices.push(invoice(transaction, &interchange.notes));
        }
    }
    if !invoices.is_empty() {
        return Ok(Reading { invoices, pages: Vec::new() });
    }
    match others.first() {
        Some(other) => {
            let shown: String = other.chars().take(8).collect();
            let message = format!("an X12 transaction set {shown}, not an invoice (810)");
            Err(Unreadable::new(Reason::NotAnInvoice, message))
        }
        None => Err(Unreadable::new(Reason::Damaged, "an X12 interchange without a transaction set")),
    }
}

fn found(segment: &Segment<'_>, element: usize) -> Option<Found> {
    let place = Place::Segment { segment: segment.position, element: format!("{}-{element:02}", segment.id) };
    Found::new(segment.element(element)?, place)
}

fn invoice(transaction: &Transaction<'_>, notes: &[String]) -> Invoice {
    let segments = &transaction.segments;
    let first_line = segments.iter().position(|segment| segment.id == "IT1").unwrap_or(segments.len());
    let summary = segments.iter().position(|segment| segment.id == "TDS").unwrap_or(segments.len());
    let header = &segments[..first_line.min(summary)];
    let mut invoice = blank(Format::X12Invoice, Kind::Invoice);
    for note in notes.iter().chain(&transaction.notes) {
        invoice.flags.push(flag(FlagCode::Malformed, note.clone()));
    }
    read_header(header, &mut invoice);
    if first_line < summary {
        read_lines(&segments[first_line..summary], &mut invoice);
    } else if first_line < segments.len() {
        invoice.flags.push(flag(FlagCode::Malformed, "lines stand behind the total"));
        read_lines(&segments[first_line..], &mut invoice);
    }
    read_summary(&segments[summary..], &mut invoice);
    check::foot(&mut invoice);
    invoice
}

fn read_header(header: &[Segment<'_>], invoice: &mut Invoice) {
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
    if let Some(big) = header.iter().find(|segment| segment.id == "BIG") {
        invoice.number = scope.text("number", found(big, 2));
        if big.element(1).is_some_and(|date| date.len() == 6) {
            scope.flag(
                FlagCode::Uncertain,
                "the date of issue has no century: taken as the one that fits 1970 to 2069",
            );
        }
        invoice.issue_date = scope.read("issueDate", found(big, 1), date);
        match big.element(7) {
            // Credit memo, credit invoice.
            Some("CR" | "CN") => invoice.kind = Kind::CreditNote,
            // Nothing said; debit invoice, product, consolidated invoice.
            None | Some("" | "DI" | "PR" | "CI") => {}
            Some(code) => scope.flag(
                FlagCode::Uncertain,
                format!("the transaction type {code} need not bring goods (a debit memo, a prepayment, a memorandum)"),
            ),
        }
        // Element 353, transaction set purpose: but for an original, it says something about another one.
        if let Some(code) = big.element(8).filter(|code| !matches!(*code, "" | "00")) {
            scope.flag(
                FlagCode::Uncertain,
                format!("the purpose is {code}, not 00 (original): it cancels, replaces or repeats another"),
            );
        }
    }
    let cur = header.iter().find(|segment| segment.id == "CUR");
    invoice.currency = scope.read("currency", cur.and_then(|cur| found(cur, 2)), currency);
    invoice.supplier = party(header, &SUPPLIERS, "/supplier", invoice);
    invoice.buyer = party(header, &BUYERS, "/buyer", invoice);
}

/// `CCYYMMDD`, and `YYMMDD` as versions before 4010 have it.
fn date(text: &str) -> Option<String> {
    if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let century = if &text[..2] < "70" { "20" } else { "19" };
        return day(&format!("{century}{}", &text[..2]), &text[2..4], &text[4..]);
    }
    compact_day(text)
}

fn party(header: &[Segment<'_>], qualifiers: &[&str], prefix: &str, invoice: &mut Invoice) -> Party {
    let n1 = qualifiers.iter().find_map(|qualifier| {
        header.iter().find(|segment| segment.id == "N1" && segment.element(1) == Some(qualifier))
    });
    let Some(n1) = n1 else { return Party::default() };
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, prefix.to_owned());
    Party { name: scope.text("name", found(n1, 2)), id: scope.text("id", found(n1, 4)), vat_id: None }
}

fn read_lines(segments: &[Segment<'_>], invoice: &mut Invoice) {
    let starts: Vec<usize> =
        segments.iter().enumerate().filter(|(_, segment)| segment.id == "IT1").map(|(at, _)| at).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(segments.len());
        let line = line(&segments[*start..end], index, invoice);
        invoice.lines.push(line);
    }
}

fn line(segments: &[Segment<'_>], index: usize, invoice: &mut Invoice) -> Line {
    let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
    let mut flags = Vec::new();
    let mut scope = Scope::new(&mut invoice.evidence, &mut flags, format!("/lines/{index}"));
    let it1 = &segments[0];
    line.line_id = scope.text("lineId", found(it1, 1));
    line.quantity = scope.decimal("quantity", found(it1, 2));
    line.unit = scope.text("unit", found(it1, 3));
    line.unit_price = scope.decimal("unitPrice", found(it1, 4));
    // Basis of unit price (data element 639): per ten, hundred, thousand; every other code is per unit.
    let per = |code: &str| match code {
        "PN" => Some("10"),
        "HP" => Some("100"),
        "TP" => Some("1000"),
        _ => None,
    };
    if let Some(basis) = found(it1, 5).filter(|basis| per(&basis.text).is_some()) {
        line.price_base = scope.read("priceBase", Some(basis), |code| decimal(per(code)?));
    }
    item_ids(it1, &mut line, &mut scope);
    let description = |kind: Option<&str>| {
        let of_kind =
            |segment: &&Segment<'_>| segment.id == "PID" && (kind.is_none() || segment.element(1) == kind);
        segments.iter().filter(of_kind).find_map(|pid| found(pid, 5))
    };
    line.description = scope.text("description", description(Some("F")).or_else(|| description(None)));
    let tax = segments.iter().find(|segment| segment.id == "TXI").and_then(|txi| found(txi, 3));
    line.tax_rate = scope.decimal("taxRate", tax);
    for sac in segments.iter().filter(|segment| segment.id == "SAC") {
        match adjustment(sac) {
            Ok(adjustment) => line.adjustments.extend(adjustment),
            Err(message) => scope.flag(FlagCode::Unreadable, message),
        }
    }
    line.flags = flags;
    line
}

/// Product ids in pairs of qualifier (data element 235) and value, from IT106 on.
fn item_ids(it1: &Segment<'_>, line: &mut Line, scope: &mut Scope<'_>) {
    let of = |qualifiers: &[&str]| {
        let pairs = (6..=it1.elements.len()).step_by(2);
        let mut known = pairs.filter(|at| it1.element(*at).is_some_and(|said| qualifiers.contains(&said)));
        known.find_map(|at| found(it1, at + 1))
    };
    // U.P.C., EAN and GTIN with their check digits.
    let standard = of(&["UP", "EN", "UK", "EO"]);
    // Vendor's item, part, catalogue and style numbers.
    let seller = of(&["VN", "VP", "VC", "VA", "VS"]);
    // Buyer's item, part and catalogue numbers, its stock keeping unit.
    let buyer = of(&["BP", "IN", "SK", "CB", "PI"]);
    put_ids(line, scope, seller, standard, buyer);
    if line.sku.is_none() {
        // No party's own number, but a number of the item: the manufacturer's, or a code without check digit.
        line.sku = scope.text("sku", of(&["MG", "MF", "MN", "UA", "UI", "UD", "UE", "IB", "ND"]));
    }
}

/// SAC: an allowance or a charge (01 A or C), its amount (05, two decimals implied) and its description (15).
fn adjustment(sac: &Segment<'_>) -> Result<Option<Adjustment>, String> {
    let charge = match sac.element(1) {
        Some("C") => true,
        Some("A") => false,
        // N: neither; anything else is a promotion, a service, a request.
        _ => return Ok(None),
    };
    let text = sac.element(5).ok_or_else(|| format!("segment {}: SAC05 has no amount", sac.position))?;
    let amount =
        implied(text).ok_or_else(|| format!("segment {}: SAC05 `{text}` cannot be read", sac.position))?;
    let reason = sac.element(15).or_else(|| sac.element(2)).map(str::to_owned);
    Ok(Some(Adjustment { amount: if charge { amount } else { amount.negated() }, reason }))
}

/// A number of type N2: whole, with two decimals implied. A point is not allowed in it; where one stands, its sender
/// means what is written.
fn implied(text: &str) -> Option<Decimal> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.contains('.') {
        return decimal(text);
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = format!("{digits:0>3}");
    let (whole, cents) = padded.split_at(padded.len() - 2);
    Decimal::parse(&format!("{sign}{whole}.{cents}")).ok()
}

fn read_summary(segments: &[Segment<'_>], invoice: &mut Invoice) {
    let find = |id: &str| segments.iter().find(|segment| segment.id == id);
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
    if let Some(tds) = find("TDS") {
        if tds.element(1).is_some_and(|total| total.contains('.')) {
            scope.flag(FlagCode::Malformed, "TDS01 has a decimal point, where two decimals are implied");
        }
        invoice.totals.gross = scope.read("gross", found(tds, 1), implied);
        invoice.totals.payable = scope.read("payable", found(tds, 1), implied);
    }
    // TXI07: included in the total already, or for information only.
    let taxes: Vec<&Segment<'_>> = segments
        .iter()
        .filter(|segment| segment.id == "TXI" && matches!(segment.element(7), None | Some("A")))
        .filter(|segment| segment.element(2).is_some())
        .collect();
    if let Some(first) = taxes.first().and_then(|txi| found(txi, 2)) {
        invoice.totals.tax = scope.read("tax", Some(first), |_| {
            taxes.iter().try_fold(Decimal::zero(), |sum, txi| Some(sum.plus(&decimal(txi.element(2)?)?)))
        });
    }
    for sac in segments.iter().filter(|segment| segment.id == "SAC") {
        match adjustment(sac) {
            Ok(adjustment) => invoice.adjustments.extend(adjustment),
            Err(message) => scope.flag(FlagCode::Unreadable, message),
        }
    }
    let declared = find("CTT").and_then(|ctt| ctt.element(1));
    if let Some(declared) = declared
        && declared.parse() != Ok(invoice.lines.len())
    {
        let message = format!("CTT01 says {declared} lines, there are {}", invoice.lines.len());
        scope.flag(FlagCode::LineCount, message);
    }
}
