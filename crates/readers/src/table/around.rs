//! What stands above a table and behind it: labels with their values, totals, freight.

use contract::Decimal;

use super::numbers::{self, Marks};
use super::words::{self, Role};
use super::{CONFIDENCE, Cell, Sheet};
use crate::check;
use crate::draft::{Found, Scope, flag};
use crate::invoice::{Adjustment, Flag, FlagCode, Invoice, Place, Totals};

impl Sheet<'_> {
    /// The value beside a label above the table: `Invoice no: 17` in one cell, or in two.
    pub(super) fn above(&self, role: Role) -> Option<Found> {
        self.grid.rows[..self.header].iter().find_map(|(number, cells)| {
            cells.iter().enumerate().find_map(|(column, cell)| {
                let (label, value) = cell.text.split_once(':').unwrap_or((&cell.text, ""));
                if words::column(&words::normal(label)).map(|(role, _)| role) != Some(role) {
                    return None;
                }
                let beside = || {
                    let next =
                        cells.iter().enumerate().skip(column + 1).find(|(_, cell)| !cell.text.is_empty())?;
                    Some((next.0, next.1.text.as_str()))
                };
                let own = Some((column, value.trim())).filter(|(_, value)| !value.is_empty());
                let (column, value) = own.or_else(beside)?;
                let place = Place::Cell { row: *number, column: u32::try_from(column + 1).ok()? };
                Some(Found { text: value.to_owned(), place, confidence: CONFIDENCE })
            })
        })
    }

    pub(super) fn title_says_credit(&self) -> bool {
        let above = self.grid.rows[..self.header].iter().flat_map(|(_, cells)| cells);
        above.into_iter().any(|cell| words::says_credit(&cell.text))
    }

    /// A title above the table of what brings no goods, or not for the first time.
    pub(super) fn title_of_no_goods(&self) -> Option<&str> {
        let above = self.grid.rows[..self.header].iter().flat_map(|(_, cells)| cells);
        above.map(|cell| cell.text.as_str()).find(|text| words::says_no_goods(text))
    }

    /// What total a row behind the table states, and in which cell. A total counts nothing: its row has no quantity.
    pub(super) fn total_of(&self, row: usize) -> Option<(Role, usize)> {
        if row <= self.header {
            return None;
        }
        let (_, cells) = self.grid.rows.get(row)?;
        if self.cell(row, Role::Quantity).is_some() && self.cell(row, Role::UnitPrice).is_some() {
            return None;
        }
        let (at, role) =
            cells.iter().enumerate().find(|(_, cell)| !cell.text.is_empty()).and_then(|(at, cell)| {
                let label: String = words::normal(&without_rate(&cell.text));
                Some((at, words::total(&label)?))
            })?;
        let value = cells.iter().enumerate().skip(at + 1).rfind(|(_, cell)| !cell.text.is_empty())?;
        Some((role, value.0))
    }

    /// Totals, freight and rebates behind the table.
    pub(super) fn read_around(&self, invoice: &mut Invoice) {
        for row in self.header + 1..self.grid.rows.len() {
            let Some((role, column)) = self.total_of(row) else { continue };
            let (number, cells) = &self.grid.rows[row];
            let cell = &cells[column];
            let place = Place::Cell { row: *number, column: u32::try_from(column + 1).unwrap_or(u32::MAX) };
            let found = Found { text: cell.text.clone(), place, confidence: CONFIDENCE };
            self.put_total(role, found, cell, invoice);
        }
    }

    /// Totals in columns, which every row of an invoice repeats. A column of this kind may as well be of the lines
    /// (`tax`), so they are believed only together, and only if they foot with the lines.
    pub(super) fn read_total_columns(&self, rows: &[usize], invoice: &mut Invoice) {
        if invoice.totals != Totals::default() || self.totals.is_empty() {
            return;
        }
        let mut with = invoice.clone();
        for (role, column) in &self.totals {
            let cell = |row: &usize| self.grid.rows.get(*row).and_then(|(_, cells)| cells.get(*column));
            let Some(first) = rows.first().and_then(cell).filter(|cell| !cell.text.is_empty()) else {
                continue;
            };
            if rows.iter().any(|row| cell(row).is_none_or(|other| other.text != first.text)) {
                continue;
            }
            let row = self.grid.rows[rows[0]].0;
            let place = Place::Cell { row, column: u32::try_from(column + 1).unwrap_or(u32::MAX) };
            let found = Found { text: first.text.clone(), place, confidence: CONFIDENCE };
            self.put_total(*role, found, first, &mut with);
        }
        let known = with.flags.len();
        check::foot(&mut with);
        let is_total = |flag: &Flag| {
            matches!(
                flag.code,
                FlagCode::LinesTotal | FlagCode::NetTotal | FlagCode::GrossTotal | FlagCode::PayableTotal
            )
        };
        let has_end = with.totals.gross.is_some() || with.totals.payable.is_some();
        if has_end && known == invoice.flags.len() && !with.flags.iter().any(is_total) {
            *invoice = with;
        } else if with.totals != Totals::default() {
            let message = "columns of totals do not foot with the lines, and are not read";
            invoice.flags.push(flag(FlagCode::Uncertain, message));
        }
    }

    fn put_total(&self, role: Role, found: Found, cell: &Cell, invoice: &mut Invoice) {
        let own = if cell.typed { Marks { point: true, comma: false } } else { Marks::default() };
        let read = |text: &str| numbers::number(text, own, self.all);
        if matches!(role, Role::Charge | Role::Allowance) {
            match read(&found.text) {
                Some(amount) => invoice.adjustments.push(signed(role, amount)),
                None => invoice.flags.push(flag(FlagCode::Unreadable, "freight or a rebate cannot be read")),
            }
            return;
        }
        let totals = &mut invoice.totals;
        let (member, slot) = match role {
            Role::Lines => ("lines", &mut totals.lines),
            Role::NetTotal => ("net", &mut totals.net),
            Role::Tax => ("tax", &mut totals.tax),
            Role::Payable => ("payable", &mut totals.payable),
            _ => ("gross", &mut totals.gross),
        };
        let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, "/totals".to_owned());
        match slot {
            // Several rates of tax have a row each.
            Some(tax) if role == Role::Tax => {
                let more = read(&found.text);
                if more.is_none() {
                    scope.flag(
                        FlagCode::Unreadable,
                        format!("tax: `{}` cannot be read", super::cut(&found.text)),
                    );
                }
                *tax = more.map_or_else(|| tax.clone(), |more| tax.plus(&more));
            }
            Some(_) => {
                scope.flag(FlagCode::Uncertain, format!("the {member} total stands there more than once"))
            }
            None => *slot = scope.read(member, Some(found), read),
        }
    }
}

fn signed(role: Role, amount: Decimal) -> Adjustment {
    let (reason, amount) = match role {
        // Written with or without its minus.
        Role::Allowance => ("discount", if amount.is_negative() { amount } else { amount.negated() }),
        _ => ("freight", amount),
    };
    Adjustment { amount, reason: Some(reason.to_owned()) }
}

/// A label without the rate and the colon in it: `VAT 19 %:`, `MwSt. (7,5%)`.
fn without_rate(label: &str) -> String {
    let is_rate = |word: &&str| !word.chars().any(|c| c.is_ascii_digit()) && *word != "%" && *word != "@";
    let label = super::without_currency(label).0;
    label.split([' ', '(', ')', ':']).filter(is_rate).collect::<Vec<_>>().join(" ")
}
