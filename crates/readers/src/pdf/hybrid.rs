//! Hybrid invoices: the XML is read, the visible text is its witness.
//!
//! A person sees the pages, a program the XML; where they differ somebody is misled. Each number that matters has
//! to occur among the printed ones, in any of the ways that people print numbers; that is weaker than finding it in
//! its place, and has no false alarms where a layout is unusual.

use std::collections::BTreeSet;

use contract::Decimal;

use super::amounts::{Convention, amounts, number};
use super::dates::{Order, dates};
use super::grid::{Grid, norm};
use super::layout::uncertain;
use super::text::Text;
use crate::invoice::{Flag, FlagCode, Invoice};

/// What is printed.
struct Printed {
    numbers: BTreeSet<Decimal>,
    dates: BTreeSet<String>,
    text: String,
}

/// Flags what the XML says and the pages do not.
pub(super) fn compare(invoice: &mut Invoice, text: Option<&Text>) {
    // A layer that is not shown is no witness: it says what its maker wants.
    let shown =
        text.map(|text| Text { pages: text.pages.iter().filter(|page| !page.hidden).cloned().collect() });
    let Some(text) = shown.as_ref().filter(|text| text.words().count() >= 5) else {
        let message = "the pages have no text that the embedded XML could be compared with".to_owned();
        invoice.flags.push(uncertain(message));
        return;
    };
    let printed = Printed::of(text);
    let mut flags = Vec::new();
    if let Some(number) = invoice.number.as_deref().filter(|number| !printed.text.contains(&norm(number))) {
        flags.push(differs(format!("the number {number} is not on the pages")));
    }
    if let Some(date) = invoice.issue_date.as_ref().filter(|date| !printed.dates.contains(*date)) {
        flags.push(differs(format!("the date of issue {date} is not on the pages")));
    }
    for (what, value) in [("gross total", &invoice.totals.gross), ("amount due", &invoice.totals.payable)] {
        if let Some(value) = value.as_ref().filter(|value| !printed.has(value)) {
            flags.push(differs(format!("the {what} {value} is not on the pages")));
        }
    }
    invoice.flags.append(&mut flags);
    for line in &mut invoice.lines {
        for (what, value) in [("quantity", &line.quantity), ("net amount", &line.net)] {
            let Some(value) = value.as_ref().filter(|value| !printed.has(value)) else { continue };
            line.flags.push(differs(format!("the {what} {value} is not on the pages")));
        }
    }
}

fn differs(message: String) -> Flag {
    Flag { code: FlagCode::VisibleText, message }
}

impl Printed {
    fn of(text: &Text) -> Self {
        let grid = Grid::new(text);
        let mut numbers = BTreeSet::new();
        let mut printed = BTreeSet::new();
        for line in &grid.lines {
            for convention in [Convention::Comma, Convention::Point] {
                numbers.extend(amounts(line, convention).into_iter().map(|amount| amount.value.abs()));
                // `20Stk`, `3x`: digits glued to words.
                let glued = line.tokens.iter().flat_map(|token| {
                    token.text.split(|character: char| {
                        !character.is_ascii_digit() && !matches!(character, '.' | ',' | '\'')
                    })
                });
                numbers.extend(
                    glued
                        .filter_map(|piece| number(piece.trim_matches(['.', ',']), convention))
                        .map(|(value, _)| value),
                );
            }
            for order in [Order::DayFirst, Order::MonthFirst] {
                printed.extend(dates(line, order).into_iter().map(|found| found.date.to_string()));
            }
        }
        let compact = grid.tokens().map(|token| token.norm.as_str()).collect();
        Self { numbers, dates: printed, text: compact }
    }

    /// The amount is printed, with either sign.
    fn has(&self, value: &Decimal) -> bool {
        value.is_zero() || self.numbers.contains(&value.abs())
    }
}
