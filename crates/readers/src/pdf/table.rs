//! The table of lines: its header's words give the columns, positions give the cells.

use std::collections::HashMap;
use std::ops::Range;

use contract::Decimal;

use super::amounts::{Amount, Convention, amounts};
use super::grid::{Grid, Line, Token, norm};
use super::header::{Header, Heading, header_at};
use super::text::Bounds;
use super::totals;
use super::vocabulary::{ALLOWANCES, CARRIED, CHARGES, Column, PAGE, SECTIONS};

/// A line of the table, as printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Item {
    pub position: Option<(String, Bounds)>,
    pub sku: Vec<(String, Bounds)>,
    pub description: Vec<(String, Bounds)>,
    pub quantity: Option<(Decimal, Bounds)>,
    pub unit: Option<(String, Bounds)>,
    pub price: Option<(Decimal, usize, Bounds)>,
    pub discount: Option<Amount>,
    pub tax_rate: Option<(Decimal, Bounds)>,
    pub tax: Option<Decimal>,
    pub net: Option<(Decimal, Bounds)>,
    pub gross: Option<Decimal>,
    pub amount: Option<(Decimal, Bounds)>,
    /// Two numbers stood in one column, or a glyph is unreadable.
    pub disputed: bool,
}

/// An allowance or a charge among the items.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extra {
    pub amount: Decimal,
    pub reason: String,
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    pub items: Vec<Item>,
    /// Rows of it that have an amount, but are no items.
    pub extras: Vec<Extra>,
    /// The lines of the grid that it takes up.
    pub lines: Vec<usize>,
}

/// Finds the table with the most items.
pub(super) fn read(grid: &Grid, convention: Convention) -> Table {
    let furniture = furniture(grid);
    let mut best = Table::default();
    let mut at = 0;
    while at < grid.lines.len() {
        let Some(header) = header_at(grid, at) else {
            at += 1;
            continue;
        };
        let (table, end) = body(grid, header, convention, &furniture);
        at = end.max(at + 1);
        let full = |table: &Table| table.items.iter().filter(|item| item.is_whole()).count();
        if (full(&table), table.items.len()) > (full(&best), best.items.len()) {
            best = table;
        }
    }
    best
}

impl Item {
    /// Quantity, price and a total are there.
    fn is_whole(&self) -> bool {
        self.quantity.is_some() && self.price.is_some() && self.total().is_some()
    }

    /// The number that the line comes to.
    pub(super) fn total(&self) -> Option<&Decimal> {
        self.net.as_ref().or(self.amount.as_ref()).map(|(value, _)| value)
    }

    fn holds(&self, column: Column) -> bool {
        match column {
            Column::Quantity => self.quantity.is_some(),
            Column::Price => self.price.is_some(),
            Column::Net => self.net.is_some(),
            Column::Gross => self.gross.is_some(),
            Column::Amount => self.amount.is_some(),
            _ => false,
        }
    }

    fn is_empty(&self) -> bool {
        self.quantity.is_none() && self.price.is_none() && self.total().is_none() && self.gross.is_none()
    }
}

/// Lines that stand in the same place on several pages: letterheads and, digits aside, page numbers.
fn furniture(grid: &Grid) -> Vec<bool> {
    let key = |line: &Line| (shape(line), (line.top() / 4.0).round() as i32);
    let mut pages: HashMap<(String, i32), (usize, bool)> = HashMap::new();
    for line in &grid.lines {
        let entry = pages.entry(key(line)).or_insert((line.page(), false));
        entry.1 |= entry.0 != line.page();
    }
    let has_money =
        |line: &Line| amounts(line, Convention::Unknown).iter().any(|amount| amount.decimals == 2);
    let repeated = |line: &Line| pages.get(&key(line)).is_some_and(|(_, repeated)| *repeated);
    // Two pages may have the same item in the same place; nobody's letterhead has an amount.
    grid.lines.iter().map(|line| repeated(line) && !has_money(line)).collect()
}

/// A line's text; a page number's without its digits.
fn shape(line: &Line) -> String {
    let text = line.text(0..line.tokens.len());
    let first =
        line.tokens.iter().map(|token| token.norm.as_str()).find(|norm| !norm.is_empty()).unwrap_or_default();
    let numbered = PAGE.contains(&first) || !text.chars().any(char::is_alphabetic);
    if !numbered {
        return text;
    }
    text.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// Reads items until the table ends; also the line after it.
fn body(grid: &Grid, header: Header, convention: Convention, furniture: &[bool]) -> (Table, usize) {
    let mut table = Table { items: Vec::new(), extras: Vec::new(), lines: header.lines.clone().collect() };
    let mut pending: Vec<Parts> = Vec::new();
    let mut header = header;
    let mut at = header.lines.end;
    while let Some(line) = grid.lines.get(at) {
        if furniture.get(at) == Some(&true) && header_at(grid, at).is_none() {
            at += 1;
            continue;
        }
        // The main line of a repeated header may be below its first one.
        if let Some(next) =
            (at..at + 4).find_map(|main| header_at(grid, main).filter(|next| next.lines.start <= at))
        {
            let same = |one: &Header| {
                one.headings
                    .iter()
                    .filter(|h| h.column != Column::Other)
                    .map(|h| norm(&h.text))
                    .collect::<Vec<_>>()
            };
            if same(&next) != same(&header) {
                break;
            }
            at = next.lines.end.max(at + 1);
            table.lines.extend(next.lines.clone());
            header = next;
            continue;
        }
        if begins(line, CARRIED) {
            table.lines.push(at);
            at += 1;
            continue;
        }
        if begins(line, SECTIONS) || totals::ends_table(line, convention) {
            break;
        }
        pending.push(parts(line, &header.headings, convention));
        table.lines.push(at);
        at += 1;
    }
    for item in items(pending) {
        match extra(&item) {
            Some(extra) => table.extras.push(extra),
            None => table.items.push(item),
        }
    }
    (table, at)
}

/// An amount without quantity and price, behind a word for an allowance or a charge.
fn extra(item: &Item) -> Option<Extra> {
    if item.quantity.is_some() || item.price.is_some() || item.disputed {
        return None;
    }
    let amount = item.total()?.clone();
    let (text, _) = item.description.first()?;
    Extra::of(text, amount)
}

impl Extra {
    /// An amount whose text begins with a word for an allowance or a charge.
    pub(super) fn of(text: &str, amount: Decimal) -> Option<Self> {
        let first = norm(text.trim().split([' ', ':']).next()?);
        let said = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
        let reason = text.trim().trim_end_matches(':').to_owned();
        if said(ALLOWANCES) {
            // Some print what is taken off with a minus, others do not.
            return Some(Self { amount: amount.abs().negated(), reason });
        }
        said(CHARGES).then_some(Self { amount, reason })
    }
}

fn begins(line: &Line, labels: &[&str]) -> bool {
    line.cells.iter().any(|cell| {
        line.label_at(cell.start, labels).is_some_and(|(_, end)| end >= cell.end.min(cell.start + 3))
    })
}

/// What one line of the page says, column by column.
#[derive(Debug, Clone)]
struct Parts {
    numbers: Vec<(Column, Amount)>,
    texts: Vec<(Column, String, Bounds)>,
    page: usize,
    top: f32,
    disputed: bool,
}

impl Parts {
    fn counts(&self) -> impl Iterator<Item = Column> + '_ {
        self.numbers.iter().map(|(column, _)| *column).filter(|column| {
            matches!(column, Column::Quantity | Column::Price | Column::Net | Column::Gross | Column::Amount)
        })
    }
}

fn parts(line: &Line, headings: &[Heading], convention: Convention) -> Parts {
    let numbers = amounts(line, convention);
    let mut parts =
        Parts { numbers: Vec::new(), texts: Vec::new(), page: line.page(), top: line.top(), disputed: false };
    for cell in &line.cells {
        let mut at = cell.start;
        let mut text_from = cell.start;
        let labelled = |at: usize| {
            line.tokens
                .get(cell.start..at)
                .is_some_and(|before| before.iter().any(|token| token.text.ends_with([':', '='])))
        };
        while at < cell.end {
            let number = numbers.iter().find(|number| number.start == at && number.end <= cell.end);
            let column = number.and_then(|number| {
                let leads = text_from == cell.start && at == cell.start
                    || parts.numbers.last().is_some_and(|(_, last)| last.start >= cell.start);
                // Within words only money is nobody's house number: with cents, and no words behind.
                let money =
                    number.decimals > 0 && !worded(line.tokens.get(number.end..cell.end).unwrap_or_default());
                numeric_column(number, headings, leads).filter(|_| !labelled(at) && (leads || money))
            });
            match (number, column) {
                (Some(number), Some(column)) => {
                    push_text(&mut parts, line, text_from..at, headings);
                    let number = &Amount {
                        percent: number.percent || states_rate(headings, column),
                        ..number.clone()
                    };
                    if parts.numbers.iter().any(|(other, _)| *other == column) {
                        parts.disputed = true;
                    } else {
                        parts.numbers.push((column, number.clone()));
                    }
                    at = number.end.max(at + 1);
                    text_from = at;
                }
                _ => at += 1,
            }
        }
        push_text(&mut parts, line, text_from..cell.end, headings);
    }
    parts
}

/// The heading of the rates says that they are rates.
fn states_rate(headings: &[Heading], column: Column) -> bool {
    let rated = |text: &str| {
        text.contains('%')
            || ["rate", "satz", "taux", "aliquota"].iter().any(|word| norm(text).contains(word))
    };
    column == Column::TaxRate
        && headings.iter().any(|heading| heading.column == column && rated(&heading.text))
}

/// Two words or more.
fn worded(tokens: &[Token]) -> bool {
    tokens.iter().filter(|token| token.text.chars().any(char::is_alphabetic)).count() >= 2
}

/// The column of a number: the nearest heading's, if that one holds numbers. A number within words has to stand
/// under its heading.
fn numeric_column(number: &Amount, headings: &[Heading], leads: bool) -> Option<Column> {
    let distance =
        |heading: &Heading| (heading.left - number.bounds.right).max(number.bounds.left - heading.right);
    // A number that stands under two headings ends nearer to its own one's end: numbers are set flush right.
    let nearest = headings.iter().min_by(|one, other| {
        let key = |heading: &Heading| {
            let overlapped = distance(heading).max(0.0);
            (
                overlapped,
                (heading.right - number.bounds.right).abs().min((heading.left - number.bounds.left).abs()),
            )
        };
        let (one, other) = (key(one), key(other));
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
    })?;
    let numeric = matches!(
        nearest.column,
        Column::Quantity
            | Column::Price
            | Column::Discount
            | Column::TaxRate
            | Column::TaxAmount
            | Column::Net
            | Column::Gross
            | Column::Amount
    );
    let reach = if leads { 40.0 } else { 0.0 };
    // A rate is nobody's amount, and money is nobody's quantity.
    let rate = number.percent && !matches!(nearest.column, Column::Discount | Column::TaxRate);
    let money = number.money && nearest.column == Column::Quantity;
    (numeric && !rate && !money && distance(nearest) <= reach).then_some(nearest.column)
}

/// Adds words to their columns; a cell that runs on into the next column's left edge is cut there.
fn push_text(parts: &mut Parts, line: &Line, range: Range<usize>, headings: &[Heading]) {
    let flush = |at: usize| {
        let (Some(token), Some(last)) = (line.tokens.get(at), line.tokens.get(at.wrapping_sub(1))) else {
            return false;
        };
        headings.iter().any(|heading| {
            let textual = matches!(heading.column, Column::Sku | Column::Description | Column::Item);
            textual
                && (token.bounds.left - heading.left).abs() < 8.0
                && last.bounds.right <= token.bounds.left
                && last.bounds.left < heading.left - 8.0
        })
    };
    let mut from = range.start;
    for at in range.start..range.end {
        if at > from && flush(at) {
            push_piece(parts, line, from..at, headings);
            from = at;
        }
    }
    push_piece(parts, line, from..range.end, headings);
}

fn push_piece(parts: &mut Parts, line: &Line, range: Range<usize>, headings: &[Heading]) {
    let Some(bounds) = line.bounds(range.clone()) else { return };
    let text = line.text(range);
    // The nearest heading; texts are set flush left, so that the nearer left edge decides between two.
    let key = |heading: &Heading| {
        let distance = (heading.left - bounds.right).max(bounds.left - heading.right).max(0.0);
        (distance, (heading.left - bounds.left).abs())
    };
    let nearest = headings.iter().min_by(|one, other| {
        let (one, other) = (key(one), key(other));
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    let column = nearest.map_or(Column::Other, |heading| heading.column);
    parts.disputed |= text.contains(char::REPLACEMENT_CHARACTER);
    parts.texts.push((column, text, bounds));
}

/// Lines of the page to items. A number in a column that the item has a number for begins the next item; lines
/// of words between two items go to the nearer one.
fn items(pending: Vec<Parts>) -> Vec<Item> {
    let mut groups: Vec<Vec<Parts>> = Vec::new();
    let mut taken: Vec<Column> = Vec::new();
    let mut words: Vec<Parts> = Vec::new();
    for parts in pending {
        let columns: Vec<Column> = parts.counts().collect();
        if columns.is_empty() {
            words.push(parts);
            continue;
        }
        // A price alone is a remark about a price.
        if columns == [Column::Price] && taken.contains(&Column::Price) {
            words.push(Parts { numbers: Vec::new(), ..parts });
            continue;
        }
        let begins = groups.is_empty() || columns.iter().any(|column| taken.contains(column));
        if begins {
            let before = leading(&mut words, &parts, groups.is_empty());
            if let Some(last) = groups.last_mut() {
                last.append(&mut words);
            }
            words.clear();
            groups.push(before);
            taken.clear();
        }
        taken.extend(columns);
        if let Some(last) = groups.last_mut() {
            last.append(&mut words);
            last.push(parts);
        }
    }
    if let Some(last) = groups.last_mut() {
        last.append(&mut words);
    }
    groups.into_iter().map(item).filter(|item| !item.is_empty()).collect()
}

/// Takes the words that belong to the item that begins below them: those after the widest gap, if they are nearer
/// to it than to what is above; all of them, if nothing is.
fn leading(words: &mut Vec<Parts>, anchor: &Parts, first: bool) -> Vec<Parts> {
    if first {
        return words
            .drain(..)
            .filter(|parts| parts.page == anchor.page && anchor.top - parts.top < 40.0)
            .collect();
    }
    let tops: Vec<f32> =
        words.iter().map(|parts| if parts.page == anchor.page { parts.top } else { f32::MIN }).collect();
    let mut gaps: Vec<f32> = tops.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.push(tops.last().map_or(f32::MAX, |last| anchor.top - last));
    let Some(own) = gaps.last().copied() else { return Vec::new() };
    // The last words stand nearer to the anchor than text lines do: they are the upper half of a cell centred on it.
    if own > 6.5 {
        return Vec::new();
    }
    let from =
        gaps.iter().take(gaps.len() - 1).rposition(|gap| *gap > 1.3 * own.max(8.0)).map_or(0, |at| at + 1);
    words.split_off(from.min(words.len()))
}

fn item(group: Vec<Parts>) -> Item {
    let mut item = Item::default();
    for parts in group {
        item.disputed |= parts.disputed;
        for (column, number) in parts.numbers {
            put(&mut item, column, number);
        }
        for (column, text, bounds) in parts.texts {
            match column {
                Column::Position if item.position.is_none() && text.len() <= 8 => {
                    item.position = Some((text, bounds))
                }
                Column::Sku => item.sku.push((text, bounds)),
                Column::Unit | Column::Quantity if item.unit.is_none() && text.chars().count() <= 12 => {
                    item.unit = Some((text, bounds))
                }
                Column::Description | Column::Item | Column::Price | Column::Position | Column::Other => {
                    item.description.push((text, bounds))
                }
                _ => {}
            }
        }
    }
    item
}

fn put(item: &mut Item, column: Column, number: Amount) {
    if item.holds(column) {
        item.disputed = true;
        return;
    }
    match column {
        Column::Quantity => item.quantity = Some((number.value, number.bounds)),
        Column::Price => item.price = Some((number.value, number.decimals, number.bounds)),
        Column::Discount => item.discount = Some(number),
        // `VAT` is a rate or an amount: a rate has a sign, in the row or in the heading, or no cents.
        Column::TaxRate if number.percent || number.decimals == 0 => {
            item.tax_rate = item.tax_rate.take().or(Some((number.value, number.bounds)));
        }
        Column::TaxRate => item.tax = item.tax.take().or(Some(number.value)),
        Column::TaxAmount => item.tax = Some(number.value),
        Column::Net => item.net = Some((number.value, number.bounds)),
        Column::Gross => item.gross = Some(number.value),
        Column::Amount => item.amount = Some((number.value, number.bounds)),
        _ => {}
    }
}
