//! Invoices that are tables: CSV and spreadsheets, one line of the invoice a row.
//!
//! The header row is the one in which most columns are known by name, in the languages of [`words`]. What stands
//! above the table (`Invoice no: 17`) and behind it (`Total 12.50`) belongs to the invoice. A column of invoice
//! numbers parts the rows into invoices. Nothing in a table says outright what it means, so every value has a
//! confidence below 100, and what can be read in two ways is not read.

use std::collections::BTreeMap;

use crate::draft::{
    Found, MAX_INVOICES, Scope, blank, brings_no_goods, check_lines, currency, flag, put_ids,
};
use crate::invoice::{FlagCode, Format, Invoice, Kind, Line, Place, Reading};
use crate::{Reason, Unreadable, check};

mod around;
mod numbers;
mod words;

use numbers::{Marks, Order};
use words::Role;

/// How sure a value is that is known by its column's name.
const CONFIDENCE: u8 = 90;
/// How many rows are searched for the header.
const HEADER_WITHIN: usize = 200;
/// Most rows that are mentioned as not understood.
const MAX_MENTIONED: usize = 16;

/// A table before it is understood.
#[derive(Debug)]
pub(crate) struct Grid {
    /// Rows with their numbers from 1, those without content left out.
    pub rows: Vec<(u32, Vec<Cell>)>,
}

/// A cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    /// Its text; of a number with a decimal point, of a date `YYYY-MM-DD`.
    pub text: String,
    /// Whether the table says that it is a number or a date, so that nothing is left to guess.
    pub typed: bool,
}

/// The columns that are known, by what they stand for.
type Columns = BTreeMap<Role, usize>;

/// A grid with its header found.
pub(super) struct Sheet<'a> {
    grid: &'a Grid,
    header: usize,
    columns: Columns,
    /// Columns that may repeat the totals of the invoice in every row.
    totals: Vec<(Role, usize)>,
    /// The currency that a header names, as in `Price (EUR)`.
    currency: Option<Found>,
    marks: BTreeMap<usize, Marks>,
    all: Marks,
    order: Order,
}

/// Why a table is not read as an invoice.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// No row names an item, a quantity and a price or an amount.
    NoHeader,
    /// The table is about something else.
    Other(Unreadable),
}

/// Reads a table.
pub(crate) fn read(grid: &Grid, format: Format) -> Result<Reading, NotRead> {
    let sheet = Sheet::find(grid).ok_or(NotRead::NoHeader)?;
    sheet.check_kind().map_err(NotRead::Other)?;
    let groups = sheet.groups();
    check_lines(groups.iter().map(|(_, rows)| rows.len()).sum()).map_err(NotRead::Other)?;
    if groups.is_empty() {
        return Err(NotRead::NoHeader);
    }
    if groups.len() > MAX_INVOICES {
        let message = format!("more than {MAX_INVOICES} invoices in one document");
        return Err(NotRead::Other(Unreadable::new(Reason::TooLarge, message)));
    }
    let alone = groups.len() == 1;
    let invoices = groups.iter().map(|(_, rows)| sheet.invoice(rows, format, alone)).collect();
    Ok(Reading { invoices, pages: Vec::new() })
}

impl<'a> Sheet<'a> {
    /// The first row with the most known columns, if these make lines of an invoice.
    fn find(grid: &'a Grid) -> Option<Self> {
        let candidates = grid.rows.iter().take(HEADER_WITHIN).enumerate();
        let known = candidates.map(|(at, (_, cells))| (at, columns(cells)));
        let (header, columns) = known.rev_max()?;
        let has = |roles: &[Role]| roles.iter().any(|role| columns.contains_key(role));
        let is_lines = has(&[Role::Quantity])
            && has(&[Role::SellerSku, Role::Gtin, Role::Description, Role::BuyerSku])
            && has(&[Role::UnitPrice, Role::Net]);
        if !is_lines {
            return None;
        }
        let currency = header_currency(grid.rows.get(header)?);
        let totals = total_columns(&grid.rows.get(header)?.1, &columns);
        let mut sheet = Self {
            grid,
            header,
            columns,
            totals,
            currency,
            marks: BTreeMap::new(),
            all: Marks::default(),
            order: Order::default(),
        };
        sheet.learn();
        Some(sheet)
    }

    /// Collects the evidence of decimal marks and of the order of dates.
    fn learn(&mut self) {
        let numeric = [Role::Quantity, Role::UnitPrice, Role::Net, Role::PriceBase, Role::TaxRate];
        for column in numeric.iter().filter_map(|role| self.columns.get(role)) {
            let marks = Marks::of(self.untyped(*column));
            self.all.point |= marks.point;
            self.all.comma |= marks.comma;
            self.marks.insert(*column, marks);
        }
        if let Some(column) = self.columns.get(&Role::Date) {
            self.order = Order::of(self.untyped(*column));
        }
    }

    fn untyped(&self, column: usize) -> impl Iterator<Item = &str> {
        let cells = self.grid.rows[self.header + 1..].iter().filter_map(move |(_, cells)| cells.get(column));
        cells.filter(|cell| !cell.typed).map(|cell| cell.text.as_str())
    }

    /// Orders and stock lists have lines, too.
    fn check_kind(&self) -> Result<(), Unreadable> {
        let has = |role| self.columns.contains_key(&role) || self.above(role).is_some();
        let not = |what: &str| {
            let message =
                format!("the table looks like {what}: it has no column or label of an invoice's number");
            Err(Unreadable::new(Reason::NotAnInvoice, message))
        };
        match () {
            () if has(Role::Number) => Ok(()),
            () if has(Role::Stock) => not("a stock list"),
            () if has(Role::Order) => not("an order"),
            () => Ok(()),
        }
    }

    fn cell(&self, row: usize, role: Role) -> Option<&Cell> {
        let cell = self.grid.rows.get(row)?.1.get(*self.columns.get(&role)?)?;
        (!cell.text.is_empty()).then_some(cell)
    }

    fn found(&self, row: usize, role: Role) -> Option<Found> {
        let cell = self.cell(row, role)?;
        let column = u32::try_from(*self.columns.get(&role)? + 1).ok()?;
        let place = Place::Cell { row: self.grid.rows.get(row)?.0, column };
        Some(Found { text: cell.text.clone(), place, confidence: CONFIDENCE })
    }

    /// The rows that are lines, by the invoice they belong to, in the order in which these come first. A row that
    /// leaves the number out goes on with the invoice above it.
    fn groups(&self) -> Vec<(String, Vec<usize>)> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let mut by_number: BTreeMap<String, usize> = BTreeMap::new();
        let mut current = None;
        for row in self.header + 1..self.grid.rows.len() {
            if !self.is_line(row) {
                continue;
            }
            let number = self.cell(row, Role::Number).map(|cell| cell.text.clone());
            let at = match (number, current) {
                (None, Some(at)) => at,
                (number, _) => {
                    let number = number.unwrap_or_default();
                    *by_number.entry(number.clone()).or_insert_with(|| {
                        groups.push((number, Vec::new()));
                        groups.len() - 1
                    })
                }
            };
            groups[at].1.push(row);
            current = Some(at);
        }
        groups
    }

    /// A row is a line where it has an item and something to count or to pay; totals name no item in its column.
    fn is_line(&self, row: usize) -> bool {
        let has = |roles: &[Role]| roles.iter().any(|role| self.cell(row, *role).is_some());
        let is_item = has(&[Role::SellerSku, Role::BuyerSku, Role::Gtin, Role::Description]);
        is_item && has(&[Role::Quantity, Role::UnitPrice, Role::Net]) && self.total_of(row).is_none()
    }

    /// Whether a row repeats the header, as tables of several pages do.
    fn is_header(&self, row: usize) -> bool {
        let texts =
            |row: usize| self.grid.rows.get(row).map(|(_, cells)| cells.iter().map(|cell| &cell.text));
        match (texts(row), texts(self.header)) {
            (Some(this), Some(header)) => this.eq(header),
            _ => false,
        }
    }

    fn invoice(&self, rows: &[usize], format: Format, alone: bool) -> Invoice {
        let mut invoice = blank(format, Kind::Invoice);
        self.read_header(rows, &mut invoice, alone);
        for (index, row) in rows.iter().filter(|row| !self.is_header(**row)).enumerate() {
            let line = self.line(*row, index, &mut invoice);
            invoice.lines.push(line);
        }
        if alone {
            self.read_around(&mut invoice);
            self.mention_others(&mut invoice);
        }
        self.read_total_columns(rows, &mut invoice);
        check::foot(&mut invoice);
        invoice
    }

    fn read_header(&self, rows: &[usize], invoice: &mut Invoice, alone: bool) {
        let above = |role| if alone { self.above(role) } else { None };
        let mut scope = Scope::new(&mut invoice.evidence, &mut invoice.flags, String::new());
        let mut common = |role| self.common(rows, role, &mut scope).or_else(|| above(role));
        let (number, date, said_currency) =
            (common(Role::Number), common(Role::Date), common(Role::Currency));
        let (supplier, buyer, kind) = (common(Role::Supplier), common(Role::Buyer), common(Role::Kind));
        let symbols = said_currency.is_none().then(|| self.symbol(rows)).flatten();
        let said_currency = said_currency.or_else(|| self.currency.clone()).or(symbols);
        invoice.number = scope.text("number", number);
        invoice.issue_date = scope.read("issueDate", date, |text| numbers::date(text, self.order));
        invoice.currency =
            scope.read("currency", said_currency, |text| currency(text).or_else(|| symbol(text)));
        // A column `Credit Note Number` says it of every row.
        let headings = &self.grid.rows[self.header].1;
        let heading = self.columns.get(&Role::Number).and_then(|column| headings.get(*column));
        let titled = heading.is_some_and(|cell| words::says_credit(&cell.text));
        let said = kind.map(|kind| kind.text);
        if titled || alone && self.title_says_credit() {
            invoice.kind = Kind::CreditNote;
        }
        match said.as_deref().map(|said| (said, words::kind(said))) {
            Some((_, Some(Kind::CreditNote))) => invoice.kind = Kind::CreditNote,
            Some((_, Some(Kind::Invoice))) | None => {}
            Some((said, None)) => {
                let message = format!(
                    "the document's type `{}` is no invoice's or credit note's that is known",
                    cut(said)
                );
                scope.flag(FlagCode::Uncertain, message);
            }
        }
        if let Some(flag) = said.as_deref().and_then(brings_no_goods) {
            scope.flag(flag.code, flag.message);
        }
        if let Some(title) = self.title_of_no_goods().filter(|_| alone) {
            scope.flag(
                FlagCode::Uncertain,
                format!("the title says {}, which need not bring goods", cut(title)),
            );
        }
        let mut party = |prefix: &str, name: Option<Found>| {
            Scope::new(&mut invoice.evidence, &mut invoice.flags, prefix.to_owned()).text("name", name)
        };
        invoice.supplier.name = party("/supplier", supplier);
        invoice.buyer.name = party("/buyer", buyer);
    }

    /// What all rows of an invoice say alike; flagged, and absent, where they differ.
    fn common(&self, rows: &[usize], role: Role, scope: &mut Scope<'_>) -> Option<Found> {
        let mut all = rows.iter().filter_map(|row| self.found(*row, role));
        let first = all.next()?;
        if let Some(other) = all.find(|found| found.text != first.text) {
            let message = format!("the rows disagree: `{}` and `{}`", cut(&first.text), cut(&other.text));
            scope.flag(FlagCode::Uncertain, message);
            return None;
        }
        Some(first)
    }

    fn line(&self, row: usize, index: usize, invoice: &mut Invoice) -> Line {
        let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
        let mut flags = Vec::new();
        let mut scope = Scope::new(&mut invoice.evidence, &mut flags, format!("/lines/{index}"));
        let found = |role| self.found(row, role);
        line.line_id = scope.text("lineId", found(Role::LineId));
        put_ids(&mut line, &mut scope, found(Role::SellerSku), found(Role::Gtin), found(Role::BuyerSku));
        line.description = scope.text("description", found(Role::Description));
        line.unit = scope.text("unit", found(Role::Unit));
        let mut number = |member: &str, role: Role| {
            let typed = self.cell(row, role).is_some_and(|cell| cell.typed);
            let marks = self.columns.get(&role).and_then(|column| self.marks.get(column)).copied();
            let marks = if typed { Marks { point: true, comma: false } } else { marks.unwrap_or_default() };
            scope.read(member, self.found(row, role), |text| numbers::number(text, marks, self.all))
        };
        line.quantity = number("quantity", Role::Quantity);
        line.unit_price = number("unitPrice", Role::UnitPrice);
        line.price_base = number("priceBase", Role::PriceBase);
        line.net = number("net", Role::Net);
        line.tax_rate = number("taxRate", Role::TaxRate);
        // A spreadsheet keeps 19 % as 0.19, and there is no tax of less than one percent.
        let one = contract::Decimal::from(1);
        if let Some(rate) = line.tax_rate.take() {
            let is_share = self.cell(row, Role::TaxRate).is_some_and(|cell| cell.typed) && rate < one;
            line.tax_rate = Some(if is_share { rate.times(&contract::Decimal::from(100)) } else { rate });
        }
        line.flags = flags;
        line
    }

    /// Rows behind the header that are neither lines nor totals: a person should know that they were left out.
    fn mention_others(&self, invoice: &mut Invoice) {
        let others = (self.header + 1..self.grid.rows.len())
            .filter(|row| !self.is_line(*row) && self.total_of(*row).is_none() && !self.is_header(*row));
        let with_numbers = others.filter(|row| {
            let has = |role| {
                self.cell(*row, role).is_some_and(|cell| cell.text.chars().any(|c| c.is_ascii_digit()))
            };
            has(Role::Quantity) || has(Role::Net) || has(Role::UnitPrice)
        });
        for row in with_numbers.take(MAX_MENTIONED) {
            let message = format!("row {} is not understood, and left out", self.grid.rows[row].0);
            invoice.flags.push(flag(FlagCode::Uncertain, message));
        }
    }

    /// The currency whose sign stands at the amounts.
    fn symbol(&self, rows: &[usize]) -> Option<Found> {
        let found =
            [Role::UnitPrice, Role::Net].into_iter().filter_map(|role| self.found(*rows.first()?, role));
        found.into_iter().find_map(|mut found| {
            found.text = symbol(&found.text).or_else(|| code_in(&found.text))?;
            Some(found)
        })
    }
}

/// The known columns of a row; of several of one role the best named, and `item` as what is missing.
fn columns(cells: &[Cell]) -> Columns {
    let mut best: BTreeMap<Role, (usize, usize)> = BTreeMap::new();
    for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.typed) {
        let phrase = words::normal(&without_currency(&cell.text).0);
        let Some((role, rank)) = words::column(&phrase) else { continue };
        let known = best.entry(role).or_insert((rank, column));
        if rank < known.0 {
            *known = (rank, column);
        }
    }
    let mut columns: Columns = best.into_iter().map(|(role, (_, column))| (role, column)).collect();
    if let Some(column) = columns.remove(&Role::Item) {
        let role = if columns.contains_key(&Role::Description) { Role::SellerSku } else { Role::Description };
        columns.entry(role).or_insert(column);
    }
    columns
}

/// Columns that are known as no part of a line, but as a total.
fn total_columns(cells: &[Cell], columns: &Columns) -> Vec<(Role, usize)> {
    let others =
        cells.iter().enumerate().filter(|(column, _)| !columns.values().any(|known| known == column));
    others
        .filter_map(|(column, cell)| {
            let role = words::total(&words::normal(&without_currency(&cell.text).0))?;
            (!matches!(role, Role::Charge | Role::Allowance)).then_some((role, column))
        })
        .collect()
}

/// The best row: the most columns, and of equals the first.
trait RevMax {
    fn rev_max(self) -> Option<(usize, Columns)>;
}

impl<I: Iterator<Item = (usize, Columns)>> RevMax for I {
    fn rev_max(self) -> Option<(usize, Columns)> {
        self.fold(None, |best: Option<(usize, Columns)>, next| match best {
            Some(best) if best.1.len() >= next.1.len() => Some(best),
            _ => Some(next),
        })
    }
}

/// A header without the currency in it: `Price (EUR)`, `Total €`.
fn without_currency(text: &str) -> (String, Option<String>) {
    let parts = || text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '/' | ','));
    let said = parts().find_map(|part| code(part).or_else(|| symbol(part)));
    let rest: Vec<&str> = parts().filter(|part| code(part).is_none() && symbol(part).is_none()).collect();
    if said.is_some() { (rest.join(" "), said) } else { (text.to_owned(), None) }
}

fn header_currency((number, cells): &(u32, Vec<Cell>)) -> Option<Found> {
    let mut said = cells.iter().enumerate().filter_map(|(column, cell)| {
        let phrase = words::normal(&without_currency(&cell.text).0);
        let role = words::column(&phrase)?.0;
        let text = without_currency(&cell.text).1.filter(|_| matches!(role, Role::UnitPrice | Role::Net))?;
        let place = Place::Cell { row: *number, column: u32::try_from(column + 1).ok()? };
        Some(Found { text, place, confidence: CONFIDENCE })
    });
    let first = said.next()?;
    said.all(|other| other.text == first.text).then_some(first)
}

/// Codes of currencies that tables are written in; a list, as not every three capitals are a currency.
fn code(text: &str) -> Option<String> {
    const CODES: [&str; 32] = [
        "EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "ISK", "PLN", "CZK", "HUF", "RON", "BGN", "TRY",
        "CAD", "AUD", "NZD", "JPY", "CNY", "INR", "BRL", "MXN", "ZAR", "SGD", "HKD", "KRW", "AED", "SAR",
        "ILS", "UAH", "RSD", "THB",
    ];
    CODES.contains(&text).then(|| text.to_owned())
}

fn code_in(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphabetic()).find_map(code)
}

/// The currency of a sign that is of one currency only; `$` and `kr` are of many.
fn symbol(text: &str) -> Option<String> {
    let code = [('€', "EUR"), ('£', "GBP")].into_iter().find(|(sign, _)| text.contains(*sign))?.1;
    Some(code.to_owned())
}

pub(crate) fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
