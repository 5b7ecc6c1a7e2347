//! Prices, amounts, allowances and charges of an INVOIC.

use contract::Decimal;
use formats::edifact::Segment;

use super::{found, number};
use crate::draft::{Found, Scope, currency, flag};
use crate::invoice::{Adjustment, Flag, FlagCode, Invoice, Line};

/// A monetary amount by its qualifier (UNTDID 5025); the qualifiers in the order in which they are preferred.
fn amount(segments: &[Segment<'_>], qualifiers: &[&str]) -> Option<Found> {
    qualifiers.iter().find_map(|qualifier| {
        segments
            .iter()
            .find(|moa| moa.id == "MOA" && moa.component(1, 1) == Some(qualifier))
            .and_then(|moa| found(moa, 1, 2, "C516.5004"))
    })
}

/// Price, net amount, tax rate, allowances and charges of a line.
pub(super) fn of_line(segments: &[Segment<'_>], line: &mut Line, scope: &mut Scope<'_>) {
    // Net calculation price, else the gross one, from which the line's allowances go.
    let price = ["AAA", "AAB", "CAL", "INV"].iter().find_map(|qualifier| {
        segments.iter().find(|pri| pri.id == "PRI" && pri.component(1, 1) == Some(qualifier))
    });
    if let Some(pri) = price {
        line.unit_price = scope.read("unitPrice", found(pri, 1, 2, "C509.5118"), number);
        line.price_base = scope.read("priceBase", found(pri, 1, 5, "C509.5284"), number);
    }
    let tax = segments.iter().find(|segment| segment.id == "TAX" && segment.component(1, 1) == Some("7"));
    line.tax_rate = scope.read("taxRate", tax.and_then(|tax| found(tax, 5, 4, "C243.5278")), number);
    let gross = match (&line.quantity, &line.unit_price, &line.price_base) {
        (Some(quantity), Some(price), None) => Some(quantity.times(price)),
        (Some(quantity), Some(price), Some(base)) if *base == Decimal::from(1) => Some(quantity.times(price)),
        _ => None,
    };
    let mut flags = Vec::new();
    line.adjustments = adjustments(segments, gross.as_ref(), &["8", "23", "204", "131"], &mut flags);
    for flag in flags {
        scope.flag(flag.code, flag.message);
    }
    // Outside the groups of TAX and ALC, whose amounts are of the tax and the allowance.
    let own: Vec<Segment<'_>> =
        segments.iter().take_while(|segment| !matches!(segment.id, "TAX" | "ALC")).cloned().collect();
    let net = amount(&own, &["203"]).or_else(|| amount(segments, &["203"]));
    // 66, the total of the goods, is before allowances and charges.
    let goods = || if line.adjustments.is_empty() { amount(&own, &["66"]) } else { None };
    line.net = scope.read("net", net.or_else(goods), number);
}

/// Allowances and charges: each ALC with the amount, or the percentage of what it is on, in its group.
fn adjustments(
    segments: &[Segment<'_>],
    gross: Option<&Decimal>,
    qualifiers: &[&str],
    flags: &mut Vec<Flag>,
) -> Vec<Adjustment> {
    let mut adjustments = Vec::new();
    for (at, alc) in segments.iter().enumerate().filter(|(_, segment)| segment.id == "ALC") {
        let group: Vec<Segment<'_>> = segments[at + 1..]
            .iter()
            .take_while(|segment| !matches!(segment.id, "ALC" | "LIN" | "UNS"))
            .cloned()
            .collect();
        let charge = match alc.component(1, 1) {
            Some("C") => true,
            Some("A") => false,
            // N is none, and other codes are no allowances.
            _ => continue,
        };
        // A discount in the price (509) is in the net price already.
        if amount(&group, qualifiers).is_none() && amount(&group, &["509"]).is_some() {
            continue;
        }
        let stated = amount(&group, qualifiers).map(|found| number(&found.text));
        let Some(amount) = stated.unwrap_or_else(|| by_percentage(&group, gross)) else {
            let message = format!("segment {}: an allowance or charge without an amount", alc.position);
            flags.push(flag(FlagCode::Unreadable, message));
            continue;
        };
        let reason = alc.component(2, 1).or_else(|| alc.component(5, 4)).map(str::to_owned);
        adjustments.push(Adjustment { amount: if charge { amount } else { amount.negated() }, reason });
    }
    adjustments
}

/// PCD of an allowance (1, 12) or a charge (2) on the amount it names (MOA+25), else on quantity × price.
fn by_percentage(group: &[Segment<'_>], gross: Option<&Decimal>) -> Option<Decimal> {
    let pcd = group
        .iter()
        .find(|pcd| pcd.id == "PCD" && matches!(pcd.component(1, 1), Some("1" | "2" | "3" | "12")))?;
    let percent = number(pcd.component(1, 2)?)?;
    let basis = amount(group, &["25"]).and_then(|found| number(&found.text));
    let basis = basis.or_else(|| gross.cloned())?;
    Some(basis.times(&percent).times(&Decimal::parse("0.01").ok()?))
}

/// Totals, allowances and charges of the invoice.
pub(super) fn of_invoice(header: &[Segment<'_>], summary: &[Segment<'_>], invoice: &mut Invoice) {
    let mut flags = Vec::new();
    // The header's own; where it has none, the summary's. The summary repeats the header's as sums.
    let stated = adjustments(header, None, &["8", "23", "204", "131"], &mut flags);
    invoice.adjustments = if stated.is_empty() {
        adjustments(summary, None, &["8", "23", "204", "131"], &mut flags)
    } else {
        stated
    };
    invoice.flags.append(&mut flags);

    // Behind the first TAX or ALC amounts are of one tax or one allowance, not of the invoice.
    let own: Vec<Segment<'_>> =
        summary.iter().take_while(|segment| !matches!(segment.id, "TAX" | "ALC")).cloned().collect();
    if invoice.currency.is_none() {
        common_currency(&own, invoice);
    }
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
    let mut total = |member: &str, qualifiers: &[&str]| scope.read(member, amount(&own, qualifiers), number);
    let totals = &mut invoice.totals;
    totals.lines = total("lines", &["79"]);
    totals.net = total("net", &["389", "125"]);
    totals.tax = total("tax", &["176", "150"]);
    totals.gross = total("gross", &["388", "77", "39", "86"]);
    totals.prepaid = total("prepaid", &["113"]);
    totals.rounding = total("rounding", &["366"]);
    totals.payable = total("payable", &["9", "86", "77", "39"]);
    if totals.tax.is_none() {
        sum_of_taxes(summary, invoice);
    }
}

/// The currency that every total names, where the header names none.
fn common_currency(own: &[Segment<'_>], invoice: &mut Invoice) {
    let mut named: Vec<Found> = own
        .iter()
        .filter(|segment| segment.id == "MOA")
        .filter_map(|moa| found(moa, 1, 3, "C516.6345"))
        .collect();
    named.dedup_by(|a, b| a.text == b.text);
    let [only] = &named[..] else { return };
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
    invoice.currency = scope.read("currency", Some(only.clone()), currency);
}

/// The taxes of the summary (MOA+124 behind TAX), where no total of them stands there; not where one of them is in
/// another currency.
fn sum_of_taxes(summary: &[Segment<'_>], invoice: &mut Invoice) {
    let mut behind_tax = false;
    let mut taxes = Vec::new();
    for segment in summary {
        behind_tax = match segment.id {
            "TAX" => true,
            "ALC" => false,
            _ => behind_tax,
        };
        if behind_tax && segment.id == "MOA" && segment.component(1, 1) == Some("124") {
            taxes.push(segment);
        }
    }
    let currency = invoice.currency.clone();
    let foreign =
        |moa: &&Segment<'_>| moa.component(1, 3).is_some_and(|said| Some(said) != currency.as_deref());
    if taxes.iter().any(foreign) {
        return;
    }
    let Some(first) = taxes.first().and_then(|moa| found(moa, 1, 2, "C516.5004")) else { return };
    let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
    invoice.totals.tax = scope.read("tax", Some(first), |_| {
        taxes.iter().try_fold(Decimal::zero(), |sum, moa| Some(sum.plus(&number(moa.component(1, 2)?)?)))
    });
}
