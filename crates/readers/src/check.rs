//! Cross-footing, as EN 16931-1 defines it (BR-CO-10 to BR-CO-16, and the line's net amount), in decimals.
//!
//! | what must be | or else |
//! |---|---|
//! | quantity × price ÷ price base + adjustments = net of the line | `line-total` on the line |
//! | Σ net of the lines = total of the lines | `lines-total` |
//! | total of the lines + adjustments = net | `net-total` |
//! | net + tax = gross | `gross-total` |
//! | gross − prepaid + rounding = payable | `payable-total` |
//!
//! What a document does not state is not checked but passed on: where there is no net total, lines + adjustments +
//! tax must be the gross total.
//!
//! The tolerance is the document's own rounding: half a unit of the last decimal of the stated result, which has at
//! least the decimals that its currency usually has (792 kronor are 792.00), for each amount that was rounded on the
//! way: one, or one a line where lines are summed up, but for the lines that are exact. A price with more decimals
//! than its currency was rounded, too.

use contract::Decimal;

use crate::draft::flag;
use crate::invoice::{Flag, FlagCode, Invoice, Kind, Line};

/// Most different price bases whose lines are summed up without rounding.
const MAX_BASES: usize = 6;

/// Flags what is missing and what does not add up, on the line or on the invoice. Doing it twice changes nothing.
pub fn foot(invoice: &mut Invoice) {
    let own = |flag: &Flag| {
        matches!(
            flag.code,
            FlagCode::Missing
                | FlagCode::LineTotal
                | FlagCode::LinesTotal
                | FlagCode::NetTotal
                | FlagCode::GrossTotal
                | FlagCode::PayableTotal
        )
    };
    invoice.flags.retain(|flag| !own(flag));
    let decimals = invoice.currency.as_deref().map_or(2, usual_decimals);
    for line in &mut invoice.lines {
        line.flags.retain(|flag| !own(flag));
        missing_of_line(line);
        line_total(line, decimals);
    }
    missing_of_invoice(invoice);
    totals(invoice, decimals);
    direction(invoice);
}

fn missing_of_invoice(invoice: &mut Invoice) {
    let totals = &invoice.totals;
    let no_total = totals.payable.is_none() && totals.gross.is_none() && totals.net.is_none();
    for (is_missing, what) in [
        (invoice.number.is_none(), "the invoice's number"),
        (invoice.issue_date.is_none(), "the date of issue"),
        (invoice.currency.is_none(), "the currency"),
        (invoice.lines.is_empty(), "lines"),
        (no_total, "a total"),
    ] {
        if is_missing {
            invoice.flags.push(flag(FlagCode::Missing, format!("{what}: not in the document")));
        }
    }
}

fn missing_of_line(line: &mut Line) {
    let nameless = line.sku.is_none() && line.gtin.is_none() && line.description.is_none();
    for (is_missing, what) in [
        (nameless, "what the item is"),
        (line.quantity.is_none(), "the quantity"),
        (line.unit_price.is_none() && line.net.is_none(), "a price or an amount"),
    ] {
        if is_missing {
            line.flags.push(flag(FlagCode::Missing, format!("{what}: not in the document")));
        }
    }
}

/// A credit note subtracts; one whose quantities are negative as well subtracts twice, and an invoice of nothing else is
/// none: only a person can tell what its sender means.
fn direction(invoice: &mut Invoice) {
    let mut quantities = invoice.lines.iter().filter_map(|line| line.quantity.as_ref()).peekable();
    let doubly = quantities.peek().is_some() && quantities.all(Decimal::is_negative);
    let what = match invoice.kind {
        Kind::CreditNote => "a credit note",
        Kind::Invoice => "an invoice",
    };
    let message = format!("{what} whose quantities are all negative: which way the goods go is not certain");
    let new = flag(FlagCode::Uncertain, message);
    invoice.flags.retain(|flag| *flag != new);
    if doubly {
        invoice.flags.push(new);
    }
}

/// quantity × price + adjustments × base = net × base, which needs no division.
fn line_total(line: &mut Line, decimals: usize) {
    let base = line.price_base.clone().unwrap_or_else(|| Decimal::from(1));
    if base.is_zero() || base.is_negative() {
        line.flags.push(flag(FlagCode::LineTotal, format!("the price is for {base} units")));
        return;
    }
    let (Some(quantity), Some(price), Some(net)) = (&line.quantity, &line.unit_price, &line.net) else {
        return;
    };
    let adjustments = sum(line.adjustments.iter().map(|adjustment| &adjustment.amount));
    let computed = quantity.times(price).plus(&adjustments.times(&base));
    let mut tolerance = half_unit(scale(net).max(decimals)).times(&base);
    if scale(price) > decimals {
        tolerance = tolerance.plus(&quantity.abs().times(&half_unit(scale(price))));
    }
    if computed.minus(&net.times(&base)).abs() <= tolerance {
        return;
    }
    let per = line.price_base.as_ref().map(|base| format!(" ÷ {base}")).unwrap_or_default();
    let adjusted = if adjustments.is_zero() { String::new() } else { format!(" + {adjustments}") };
    line.flags.push(flag(FlagCode::LineTotal, format!("{quantity} × {price}{per}{adjusted} is not {net}")));
}

/// A sum of fractions, as numerators by their denominator.
#[derive(Default)]
struct Fractions(Vec<(Decimal, Decimal)>);

impl Fractions {
    fn add(&mut self, amount: &Decimal, base: &Decimal) {
        match self.0.iter_mut().find(|(known, _)| known == base) {
            Some((_, sum)) => *sum = sum.plus(amount),
            None => self.0.push((base.clone(), amount.clone())),
        }
    }

    /// The sum as one fraction; `None` where its denominator would become too long.
    fn total(&self) -> Option<(Decimal, Decimal)> {
        if self.0.len() > MAX_BASES {
            return None;
        }
        let start = (Decimal::zero(), Decimal::from(1));
        Some(self.0.iter().fold(start, |(sum, over), (base, amount)| {
            (sum.times(base).plus(&amount.times(&over)), over.times(base))
        }))
    }
}

/// The sum of the lines: what each states, else what it computes to. `None` where no line says either, as on an
/// invoice whose prices are printed with VAT: each of them is flagged, and a sum of nothing would tell nothing more.
fn sum_of_lines(lines: &[Line]) -> Option<(Decimal, Decimal)> {
    let says = |line: &Line| line.net.is_some() || (line.quantity.is_some() && line.unit_price.is_some());
    if !lines.iter().any(says) {
        return None;
    }
    let one = Decimal::from(1);
    let mut fractions = Fractions::default();
    for line in lines {
        if let Some(net) = &line.net {
            fractions.add(net, &one);
            continue;
        }
        let base =
            line.price_base.as_ref().filter(|base| !base.is_zero() && !base.is_negative()).unwrap_or(&one);
        if let (Some(quantity), Some(price)) = (&line.quantity, &line.unit_price) {
            fractions.add(&quantity.times(price), base);
        }
        fractions.add(&sum(line.adjustments.iter().map(|adjustment| &adjustment.amount)), &one);
    }
    fractions.total()
}

/// Whether the amount of a line may have been rounded: not where it is what quantity and price exactly make.
fn was_rounded(line: &Line, decimals: usize) -> bool {
    let base = line.price_base.clone().unwrap_or_else(|| Decimal::from(1));
    let (Some(quantity), Some(price)) = (&line.quantity, &line.unit_price) else { return true };
    let adjustments = sum(line.adjustments.iter().map(|adjustment| &adjustment.amount));
    let computed = quantity.times(price).plus(&adjustments.times(&base));
    if let Some(net) = &line.net {
        return computed != net.times(&base);
    }
    // Dividing by a power of ten rounds nothing.
    let parts = [(1, "1"), (10, "0.1"), (100, "0.01"), (1_000, "0.001")];
    let Some((_, part)) = parts.iter().find(|(power, _)| base == Decimal::from(*power)) else { return true };
    let amount = Decimal::parse(part).map(|part| computed.times(&part).to_string()).unwrap_or_default();
    amount.split_once('.').is_some_and(|(_, fraction)| fraction.trim_end_matches('0').len() > decimals)
}

fn totals(invoice: &mut Invoice, decimals: usize) {
    let mut flags = Vec::new();
    let mut expect = |code, what: &str, computed: &(Decimal, Decimal), stated: &Decimal, roundings: usize| {
        let (sum, over) = computed;
        let roundings = Decimal::from(i64::try_from(roundings.max(1)).unwrap_or(i64::MAX));
        let tolerance = half_unit(scale(stated).max(decimals)).times(&roundings);
        if sum.minus(&stated.times(over)).abs() > tolerance.times(over) {
            let shown = if *over == Decimal::from(1) { sum.to_string() } else { format!("{sum} ÷ {over}") };
            flags.push(flag(code, format!("{what} is {shown}, the document says {stated}")));
        }
    };
    let whole = |value: Decimal| (value, Decimal::from(1));
    let totals = &invoice.totals;
    let count = invoice.lines.iter().filter(|line| was_rounded(line, decimals)).count();
    let from_lines = if invoice.lines.is_empty() { None } else { sum_of_lines(&invoice.lines) };
    if let (Some(computed), Some(stated)) = (&from_lines, &totals.lines) {
        expect(FlagCode::LinesTotal, "the sum of the lines", computed, stated, count);
    }

    // From here on what the document states goes on, else what was computed, with the roundings in it.
    let lines =
        totals.lines.clone().map(|value| (whole(value), 1)).or(from_lines.map(|value| (value, count)));
    let adjustments = sum(invoice.adjustments.iter().map(|adjustment| &adjustment.amount));
    let net = lines.map(|((sum, over), roundings)| ((sum.plus(&adjustments.times(&over)), over), roundings));
    if let (Some((computed, roundings)), Some(stated)) = (&net, &totals.net) {
        expect(FlagCode::NetTotal, "lines and adjustments", computed, stated, *roundings);
    }
    let net = totals.net.clone().map(|value| (whole(value), 1)).or(net);
    let tax = totals.tax.clone().unwrap_or_else(Decimal::zero);
    let gross = net.map(|((sum, over), roundings)| ((sum.plus(&tax.times(&over)), over), roundings));
    if let (Some((computed, roundings)), Some(stated)) = (&gross, &totals.gross) {
        expect(FlagCode::GrossTotal, "net and tax", computed, stated, *roundings);
    }
    let gross = totals.gross.clone().map(|value| (whole(value), 1)).or(gross);
    let due = gross.map(|((sum, over), roundings)| {
        let prepaid = totals.prepaid.clone().unwrap_or_else(Decimal::zero);
        let rounding = totals.rounding.clone().unwrap_or_else(Decimal::zero);
        ((sum.plus(&rounding.minus(&prepaid).times(&over)), over), roundings)
    });
    if let (Some((computed, roundings)), Some(stated)) = (&due, &totals.payable) {
        expect(FlagCode::PayableTotal, "what is left to pay", computed, stated, *roundings);
    }
    invoice.flags.append(&mut flags);
}

fn sum<'a>(amounts: impl Iterator<Item = &'a Decimal>) -> Decimal {
    amounts.fold(Decimal::zero(), |sum, amount| sum.plus(amount))
}

/// How many decimals a number is written with.
fn scale(value: &Decimal) -> usize {
    value.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// Half a unit of the last of so many decimals.
fn half_unit(decimals: usize) -> Decimal {
    Decimal::parse(&format!("0.{}5", "0".repeat(decimals.min(24)))).unwrap_or_else(|_| Decimal::zero())
}

/// Decimals of a currency (ISO 4217, minor units): two, but for these.
fn usual_decimals(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests;
