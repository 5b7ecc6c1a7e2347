//! An invoice from text, by its layout: what the labels say, believed as far as the numbers confirm it.
//!
//! Nothing is presented as sure that is not: a line is confirmed by quantity × price = amount, the lines by their sum,
//! the totals by net + tax = gross. What is not confirmed carries [`FlagCode::Uncertain`]; an amount that
//! includes VAT is left out where an amount without it belongs.

use contract::Decimal;

use super::amounts::Convention;
use super::dates::Order;
use super::fields::{self, Value};
use super::grid::Grid;
use super::parties;
use super::table::{self, Item, Table};
use super::text::{Bounds, Text};
use super::totals::{self, Candidate, Found};
use crate::draft::blank;
use crate::invoice::{
    Adjustment, Evidence, Flag, FlagCode, Format, Invoice, Kind, Line, Place, Reading, Totals, gtin14,
};
use crate::{Reason, Unreadable};

/// Confidence in what arithmetic confirms, and in what nothing does.
const CONFIRMED: u8 = 95;
const UNCONFIRMED: u8 = 60;

/// Reads text.
pub(super) fn read(text: &Text) -> Result<Reading, Unreadable> {
    let grid = Grid::new(text);
    let convention = Convention::of(&grid);
    let order = Order::of(&grid, fields::is_english(&grid));
    let mut table = table::read(&grid, convention);
    table.lines.sort_unstable();
    let found = totals::read(&grid, convention, order, &table.lines);
    let mut draft = Draft::new();
    draft.header(&grid, order);
    draft.totals(&found);
    draft.lines(table, &found);
    let mut invoice = draft.invoice;
    whole(&mut invoice, &grid, text);
    let totals = &invoice.totals;
    let totalled = totals.gross.is_some() || totals.payable.is_some() || totals.net.is_some();
    let evident = [invoice.number.is_some(), totalled, !invoice.lines.is_empty()];
    if evident.iter().filter(|evident| **evident).count() < 2 {
        return Err(Unreadable::new(
            Reason::NoInvoice,
            "no invoice's number, total or lines could be found in the text",
        ));
    }
    crate::check::foot(&mut invoice);
    Ok(Reading { invoices: vec![invoice], pages: text.sizes() })
}

/// What the document as a whole says of itself, however its values were found: which way the goods go, and what of its
/// pages nobody can read.
pub(super) fn whole(invoice: &mut Invoice, grid: &Grid, text: &Text) {
    let mut doubt = |message: String| invoice.flags.push(uncertain(message));
    if let Some(why) = fields::credit(grid) {
        invoice.kind = Kind::CreditNote;
        why.map(&mut doubt);
    } else if let Some(why) = fields::perhaps_credit(grid) {
        doubt(why);
    }
    if let Some(why) = fields::perhaps_no_goods(grid) {
        doubt(why);
    }
    if text.pages.iter().any(|page| page.hidden) {
        doubt("the text is not shown but lies under a picture, as text recognition leaves it".to_owned());
    }
    if text.words().any(|word| word.text.contains(char::REPLACEMENT_CHARACTER)) {
        doubt("some glyphs have no meaning that the file tells: text may be incomplete".to_owned());
    }
    if let Some(page) = text.pages.iter().position(|page| page.rows.is_empty() && page.pictures > 0) {
        doubt(format!("page {} is a picture without text: what it says is not read", page + 1));
    }
}

/// An empty invoice read from text.
pub(super) fn empty() -> Invoice {
    blank(Format::PdfText, Kind::Invoice)
}

/// A place on a page.
pub(super) fn place(bounds: Bounds) -> Place {
    let points = |length: f32| length.clamp(0.0, 100_000.0) as u32;
    let (x, y) = (points(bounds.left.floor()), points(bounds.top.floor()));
    Place::Page {
        page: u32::try_from(bounds.page + 1).unwrap_or(u32::MAX),
        x,
        y,
        width: points(bounds.right.ceil()).saturating_sub(x).max(1),
        height: points(bounds.bottom.ceil()).saturating_sub(y).max(1),
    }
}

pub(super) fn uncertain(message: String) -> Flag {
    Flag { code: FlagCode::Uncertain, message }
}

/// The invoice as it grows.
struct Draft {
    invoice: Invoice,
}

impl Draft {
    fn new() -> Self {
        Self { invoice: empty() }
    }

    fn doubt(&mut self, message: String) {
        self.invoice.flags.push(uncertain(message));
    }

    fn evident(&mut self, pointer: &str, bounds: Bounds, confidence: u8) {
        let evidence = Evidence { place: place(bounds), confidence };
        self.invoice.evidence.insert(pointer.to_owned(), evidence);
    }

    fn take(&mut self, pointer: &str, value: Option<Value<String>>) -> Option<String> {
        let value = value?;
        self.evident(pointer, value.bounds, value.confidence);
        if let Some(doubt) = value.doubt {
            self.doubt(doubt);
        }
        Some(value.value)
    }

    fn header(&mut self, grid: &Grid, order: Order) {
        let number = fields::number(grid);
        let date = fields::date(grid, order, number.as_ref());
        self.invoice.number = self.take("/number", number);
        self.invoice.issue_date = self.take("/issueDate", date);
        self.invoice.currency = self.take("/currency", fields::currency(grid));
        let (seller, buyer) = parties::parties(grid);
        self.invoice.supplier.name = self.take("/supplier/name", seller.name);
        self.invoice.supplier.vat_id = self.take("/supplier/vatId", seller.vat_id);
        self.invoice.buyer.name = self.take("/buyer/name", buyer.name);
        self.invoice.buyer.vat_id = self.take("/buyer/vatId", buyer.vat_id);
        for party in [&mut self.invoice.supplier, &mut self.invoice.buyer] {
            party.id.clone_from(&party.vat_id);
        }
    }

    fn totals(&mut self, found: &Found) {
        let confidence = if found.confirmed { CONFIRMED } else { UNCONFIRMED };
        let mut put = |pointer: &str, candidate: &Option<Candidate>, confidence: u8| {
            let candidate = candidate.as_ref()?;
            self.evident(pointer, candidate.bounds, confidence);
            Some(candidate.value.clone())
        };
        let totals = Totals {
            lines: put("/totals/lines", &found.lines, UNCONFIRMED),
            net: put("/totals/net", &found.net, confidence),
            tax: put("/totals/tax", &found.tax, confidence),
            gross: put("/totals/gross", &found.gross, confidence),
            prepaid: put("/totals/prepaid", &found.prepaid, UNCONFIRMED),
            rounding: put("/totals/rounding", &found.rounding, UNCONFIRMED),
            payable: put("/totals/payable", &found.payable, UNCONFIRMED),
        };
        self.invoice.totals = totals;
        let adjustments = [(&found.charges, false), (&found.allowances, true)];
        for (candidate, allowance) in adjustments {
            let Some(candidate) = candidate.as_ref().filter(|candidate| !candidate.value.is_zero()) else {
                continue;
            };
            // A negative invoice prints its allowances with the opposite sign.
            let backwards = found.net.as_ref().is_some_and(|net| net.value.is_negative());
            let amount = candidate.value.abs();
            let amount = if allowance != backwards { amount.negated() } else { amount };
            self.invoice.adjustments.push(Adjustment { amount, reason: None });
        }
        for extra in &found.extras {
            self.invoice
                .adjustments
                .push(Adjustment { amount: extra.amount.clone(), reason: Some(extra.reason.clone()) });
        }
        for total in &found.disputed {
            self.doubt(format!("totals: different amounts stand by labels of {total:?}").to_lowercase());
        }
        self.confirm_due(found);
    }

    /// Gross without a net and a tax that come to it, and an amount due that does not follow from it.
    fn confirm_due(&mut self, found: &Found) {
        let totals = &self.invoice.totals;
        let stated = totals.gross.is_some() || totals.net.is_some() || totals.tax.is_some();
        let mut doubts = Vec::new();
        if stated && !found.confirmed {
            let due =
                matches!((&totals.gross, &totals.payable), (Some(gross), Some(payable)) if gross == payable);
            let alone = totals.net.is_none() && totals.tax.is_none();
            if !(due && alone) {
                doubts.push("totals: net, tax and gross do not confirm each other".to_owned());
            }
        }
        if let (Some(payable), None) = (&totals.payable, &totals.gross) {
            doubts.push(format!("totals: {payable} is due, but no total confirms it"));
        }
        if let (Some(gross), Some(payable), None, None) =
            (&totals.gross, &totals.payable, &totals.prepaid, &totals.rounding)
            && gross != payable
        {
            doubts.push(format!("totals: {payable} is due of {gross}, and nothing says why"));
        }
        self.invoice.flags.extend(doubts.into_iter().map(uncertain));
    }

    fn lines(&mut self, table: Table, found: &Found) {
        let taxed = with_tax(&table, found);
        let extras = table
            .extras
            .into_iter()
            .map(|extra| Adjustment { amount: extra.amount, reason: Some(extra.reason) });
        self.invoice.adjustments.extend(extras);
        let mut confirmed = true;
        for (index, item) in table.items.into_iter().enumerate() {
            confirmed &= self.line(index, item, taxed);
        }
        if self.invoice.lines.is_empty() {
            return;
        }
        if taxed {
            self.doubt("lines: their amounts include VAT, so that none is given without it".to_owned());
            return;
        }
        let sum = self
            .invoice
            .lines
            .iter()
            .try_fold(Decimal::zero(), |sum, line| Some(sum.plus(line.net.as_ref()?)));
        let totals = &self.invoice.totals;
        let untaxed_gross = totals.gross.as_ref().filter(|_| totals.net.is_none() && totals.tax.is_none());
        let expected = totals.lines.as_ref().or(totals.net.as_ref()).or(untaxed_gross);
        // Their own total is of the lines alone; any other one is of allowances and charges as well.
        let adjustments = self.invoice.adjustments.iter().map(|adjustment| &adjustment.amount);
        let adjusted = adjustments.fold(Decimal::zero(), |sum, amount| sum.plus(amount));
        let sum = sum.map(|sum| if totals.lines.is_some() { sum } else { sum.plus(&adjusted) });
        let complete = matches!((&sum, expected), (Some(sum), Some(expected)) if sum == expected);
        if !complete {
            self.doubt("lines: no total confirms that these are all of them".to_owned());
        }
        if complete && confirmed {
            for (pointer, evidence) in &mut self.invoice.evidence {
                if pointer.starts_with("/lines/") && evidence.confidence == 90 {
                    evidence.confidence = CONFIRMED;
                }
            }
            // One number that the lines sum up to needs no other witness.
            self.invoice.flags.retain(|flag| {
                untaxed_gross_doubt(flag) != Some(())
                    || self.invoice.totals.net.is_some()
                    || self.invoice.totals.tax.is_some()
            });
        }
    }

    /// Adds a line; whether its numbers confirm each other.
    fn line(&mut self, index: usize, item: Item, taxed: bool) -> bool {
        let check = confirm(&item);
        let confirmed = check != Check::Fails && !item.disputed;
        let at = |member: &str| format!("/lines/{index}/{member}");
        let confidence = if confirmed { 90 } else { 50 };
        let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
        if !confirmed && !taxed {
            line.flags.push(uncertain(reason(&item)));
        }
        if let Some((text, bounds)) = item.position {
            self.evident(&at("lineId"), bounds, 70);
            line.line_id = Some(text);
        }
        if let Some((text, bounds)) = joined(&item.description, "\n") {
            self.evident(&at("description"), bounds, 70);
            line.description = Some(text);
        }
        self.identify(&mut line, &item.sku, index);
        if let Some((value, bounds)) = item.quantity {
            self.evident(&at("quantity"), bounds, confidence);
            line.quantity = Some(value);
        }
        if let Some((text, bounds)) = item.unit {
            self.evident(&at("unit"), bounds, 70);
            line.unit = Some(text);
        }
        if let Some((value, bounds)) = item.tax_rate {
            self.evident(&at("taxRate"), bounds, 80);
            line.tax_rate = Some(value);
        }
        if taxed {
            let shown = |value: Option<Decimal>| {
                value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
            };
            let (price, amount) = (
                item.price.as_ref().map(|(value, ..)| value.clone()),
                item.amount.as_ref().map(|(value, _)| value.clone()),
            );
            let message =
                format!("printed with VAT: price {}, amount {}", shown(price), shown(amount.or(item.gross)));
            line.flags.push(uncertain(message));
        }
        let price = item.price.filter(|_| !taxed);
        // The amount less the line's VAT, which is quantity × price to the cent.
        let net = match (&check, item.net, item.amount, item.tax) {
            (Check::WithTax, None, Some((amount, bounds)), Some(tax)) => Some((amount.minus(&tax), bounds)),
            (_, net, amount, _) => net.or(amount),
        };
        let net = net.filter(|_| !taxed);
        if let Some((value, _, bounds)) = price {
            self.evident(&at("unitPrice"), bounds, confidence);
            line.unit_price = Some(value);
        }
        if let Some((value, bounds)) = net {
            self.evident(&at("net"), bounds, confidence);
            line.net = Some(value);
        }
        if let Check::Discounted(amount) = check {
            line.adjustments.push(Adjustment { amount, reason: None });
        }
        self.invoice.lines.push(line);
        confirmed
    }

    /// The item's ids: the first is the seller's as far as a layout tells; a number with a right check digit is a GTIN.
    fn identify(&mut self, line: &mut Line, texts: &[(String, Bounds)], index: usize) {
        for (text, bounds) in texts {
            let text = text.trim();
            if text.starts_with('(') || !text.contains(|character: char| character.is_ascii_digit()) {
                continue;
            }
            if gtin14(text).is_some() {
                if line.gtin.is_none() {
                    self.evident(&format!("/lines/{index}/gtin"), *bounds, 80);
                    line.gtin = Some(text.to_owned());
                }
            } else if line.seller_sku.is_none() && !text.contains(' ') {
                self.evident(&format!("/lines/{index}/sellerSku"), *bounds, 60);
                line.seller_sku = Some(text.to_owned());
            }
        }
        line.sku = line.seller_sku.clone().or_else(|| line.gtin.clone());
    }
}

fn untaxed_gross_doubt(flag: &Flag) -> Option<()> {
    (flag.code == FlagCode::Uncertain && flag.message.starts_with("totals: net, tax and gross")).then_some(())
}

fn joined(texts: &[(String, Bounds)], by: &str) -> Option<(String, Bounds)> {
    let bounds = texts.iter().map(|(_, bounds)| *bounds);
    let first = bounds.clone().next()?;
    let around = bounds.filter(|bounds| bounds.page == first.page).fold(first, Bounds::union);
    let mut text = String::new();
    let mut top = first.top;
    for (piece, bounds) in texts {
        if !text.is_empty() {
            text.push_str(if bounds.page == first.page && (bounds.top - top).abs() < 2.0 { " " } else { by });
        }
        text.push_str(piece);
        top = bounds.top;
    }
    Some((text, around))
}

/// What a line's numbers say about each other.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Check {
    /// quantity × price is the amount.
    Holds,
    /// It is, less the discount that the line states: what the discount adds.
    Discounted(Decimal),
    /// It is, plus the VAT that the line states.
    WithTax,
    /// It is not, or there is nothing to check.
    Fails,
}

fn confirm(item: &Item) -> Check {
    let (Some((quantity, _)), Some((price, decimals, _)), Some(total)) =
        (&item.quantity, &item.price, item.total())
    else {
        return Check::Fails;
    };
    let product = quantity.times(price);
    // The printed price is rounded to its decimals, the amount to cents.
    let tolerance = half_unit(2).plus(&quantity.abs().times(&half_unit(*decimals)));
    let close = |value: &Decimal| value.minus(total).abs() <= tolerance;
    let exact = |value: &Decimal| value.minus(total).abs() <= half_unit(2);
    if exact(&product) || (*decimals >= 2 && close(&product)) {
        return Check::Holds;
    }
    if let Some(discount) = &item.discount {
        let amount = discount.value.abs();
        let by_rate = product.times(&amount).times(&hundredth());
        let by_amount = if discount.percent { by_rate.clone() } else { amount.clone() };
        for less in [by_rate, by_amount, amount.times(quantity)] {
            if exact(&product.minus(&less)) {
                return Check::Discounted(total.minus(&product));
            }
        }
    }
    if let Some(tax) = &item.tax
        && item.net.is_none()
        && exact(&product.plus(tax))
    {
        return Check::WithTax;
    }
    Check::Fails
}

fn reason(item: &Item) -> String {
    let shown = |value: Option<&Decimal>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if item.disputed {
        return "the columns of this line could be read in more than one way".to_owned();
    }
    format!(
        "quantity {} × price {} does not confirm the amount {}",
        shown(item.quantity.as_ref().map(|(value, _)| value)),
        shown(item.price.as_ref().map(|(value, ..)| value)),
        shown(item.total()),
    )
}

fn half_unit(decimals: usize) -> Decimal {
    Decimal::parse(&format!("0.{}5", "0".repeat(decimals.min(20)))).unwrap_or_else(|_| Decimal::zero())
}

fn hundredth() -> Decimal {
    Decimal::parse("0.01").unwrap_or_else(|_| Decimal::zero())
}

/// Whether the lines' amounts include VAT: the columns say so, or they sum up to gross and not to net.
fn with_tax(table: &Table, found: &Found) -> bool {
    if table.items.iter().any(|item| item.net.is_some()) {
        return false;
    }
    let stated = table.items.iter().all(|item| item.amount.is_none() && item.gross.is_some());
    let sum = |of: fn(&Item) -> Option<&Decimal>| {
        table.items.iter().try_fold(Decimal::zero(), |sum, item| Some(sum.plus(of(item)?)))
    };
    let amounts = sum(|item| item.amount.as_ref().map(|(value, _)| value));
    let (Some(net), Some(gross)) = (&found.net, &found.gross) else {
        return stated && !table.items.is_empty();
    };
    let summed = amounts.is_some_and(|amounts| net.value != gross.value && amounts == gross.value);
    let by_line = table.items.iter().any(|item| confirm(item) == Check::WithTax);
    (stated && !table.items.is_empty()) || (summed && !by_line)
}
