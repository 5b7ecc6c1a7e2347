//! The header of the table of lines: words that give the columns, over one line of the page or several.

use std::ops::Range;

use super::grid::{Grid, Line, norm};
use super::vocabulary::{COLUMNS, Column};

/// A column, by its heading's place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heading {
    pub column: Column,
    pub text: String,
    pub left: f32,
    pub right: f32,
}

/// A header's headings, and the lines of the grid that it takes up.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub headings: Vec<Heading>,
    pub lines: Range<usize>,
}

/// A header whose main line is line `at`.
pub(super) fn header_at(grid: &Grid, at: usize) -> Option<Header> {
    let main = grid.lines.get(at)?;
    let mut headings = phrases(main);
    if !is_header(&headings) {
        return None;
    }
    let mut start = at;
    let mut end = at + 1;
    let adjoins = |upper: &Line, lower: &Line| {
        upper.page() == lower.page()
            && lower.top() - upper.top() <= 1.6 * main.size().min(upper.size().max(lower.size()))
    };
    let wordy = |line: &Line| {
        line.tokens.iter().all(|token| !token.text.contains(|c: char| c.is_ascii_digit()))
            && line.cells.iter().all(|cell| cell.len() <= 4)
    };
    while start > 0 && at - start < 3 {
        let (Some(upper), Some(lower)) = (grid.lines.get(start - 1), grid.lines.get(start)) else { break };
        if !adjoins(upper, lower) || !wordy(upper) {
            break;
        }
        start -= 1;
    }
    while end - at < 4 {
        let (Some(upper), Some(lower)) = (grid.lines.get(end - 1), grid.lines.get(end)) else { break };
        if !adjoins(upper, lower) || !wordy(lower) {
            break;
        }
        end += 1;
    }
    for (index, line) in grid.lines.iter().enumerate().take(end).skip(start) {
        if index != at {
            merge(&mut headings, line, index < at);
        }
    }
    for heading in &mut headings {
        heading.column = classify(&heading.text).unwrap_or(heading.column);
    }
    let described = headings.iter().any(|heading| heading.column == Column::Description);
    for heading in &mut headings {
        if heading.column == Column::Item {
            heading.column = if described { Column::Sku } else { Column::Description };
        }
    }
    let rates = headings.iter().filter(|heading| heading.column == Column::TaxRate);
    if rates.clone().count() == 2 && rates.filter(|heading| heading.text.contains('%')).count() == 1 {
        let amount = headings
            .iter_mut()
            .find(|heading| heading.column == Column::TaxRate && !heading.text.contains('%'));
        if let Some(heading) = amount {
            heading.column = Column::TaxAmount;
        }
    }
    headings.sort_by(|one, other| one.left.total_cmp(&other.left));
    Some(Header { headings, lines: start..end })
}

fn is_header(headings: &[Heading]) -> bool {
    let has = |columns: &[Column]| headings.iter().any(|heading| columns.contains(&heading.column));
    let known = headings.iter().filter(|heading| heading.column != Column::Other).count();
    let amount = has(&[Column::Net, Column::Gross, Column::Amount]);
    known >= 3
        && has(&[Column::Description, Column::Item, Column::Quantity, Column::Sku])
        && (has(&[Column::Price]) || amount)
        && (has(&[Column::Quantity]) || (has(&[Column::Description, Column::Item]) && amount))
}

/// The headings of one line: known phrases, longest first; what is unknown joins its neighbour.
fn phrases(line: &Line) -> Vec<Heading> {
    let labels: Vec<&str> = COLUMNS.iter().flat_map(|(_, labels)| labels.iter().copied()).collect();
    let mut headings: Vec<Heading> = Vec::new();
    let mut at = 0;
    while let Some(token) = line.tokens.get(at) {
        let known = line.label_at(at, &labels).filter(|(_, end)| *end <= line.cell_of(at).end);
        let end = known.map_or(at + 1, |(_, end)| end);
        let text = line.text(at..end);
        let Some(bounds) = line.bounds(at..end) else { break };
        let same_cell = at > 0 && line.cell_of(at).contains(&(at - 1));
        match headings.last_mut() {
            Some(last) if same_cell && (known.is_none() || token.norm.is_empty()) => {
                last.text = format!("{} {text}", last.text);
                last.right = bounds.right;
            }
            _ => headings.push(Heading {
                column: classify(&text).unwrap_or(Column::Other),
                text,
                left: bounds.left,
                right: bounds.right,
            }),
        }
        at = end;
    }
    for heading in &mut headings {
        heading.column = classify(&heading.text).unwrap_or(heading.column);
    }
    headings
}

/// Adds the words above or below the main line to the headings that they stand over or under.
fn merge(headings: &mut Vec<Heading>, line: &Line, above: bool) {
    for part in phrases(line) {
        let overlap = |heading: &Heading| heading.right.min(part.right) - heading.left.max(part.left);
        // What spans several headings belongs to none.
        if headings.iter().filter(|heading| overlap(heading) > 0.0).count() > 1 {
            continue;
        }
        let target = headings
            .iter_mut()
            .filter(|heading| overlap(heading) > 0.0)
            .max_by(|one, other| overlap(one).total_cmp(&overlap(other)));
        match target {
            Some(heading) => {
                heading.text = if above {
                    format!("{} {}", part.text, heading.text)
                } else {
                    format!("{} {}", heading.text, part.text)
                };
                heading.left = heading.left.min(part.left);
                heading.right = heading.right.max(part.right);
            }
            None => headings.push(part),
        }
    }
}

/// What a heading says; the currency, brackets and blanks aside.
fn classify(text: &str) -> Option<Column> {
    let exact =
        |norm: &str| COLUMNS.iter().find(|(_, labels)| labels.contains(&norm)).map(|(column, _)| *column);
    if let Some(column) = exact(&norm(text)) {
        return Some(column);
    }
    let words: Vec<String> = text
        .split([' ', '(', ')', '/', '[', ']'])
        .map(norm)
        .filter(|word| {
            !word.is_empty()
                && !matches!(word.as_str(), "eur" | "usd" | "gbp" | "chf" | "inr" | "in" | "euro")
        })
        .collect();
    if let Some(column) = exact(&words.concat()) {
        return Some(column);
    }
    let says = |beginnings: &[&str]| words.iter().any(|word| beginnings.iter().any(|one| word == one));
    let column = (1..=words.len()).rev().find_map(|count| exact(&words.get(..count)?.concat()))?;
    Some(match column {
        Column::Amount
            if says(&[
                "incl",
                "inkl",
                "inclusive",
                "inklusive",
                "ttc",
                "brutto",
                "gross",
                "inc",
                "inclusief",
            ]) =>
        {
            Column::Gross
        }
        Column::Amount
            if says(&["excl", "exkl", "ohne", "ht", "netto", "net", "ex", "exclusief", "excluding"]) =>
        {
            Column::Net
        }
        other => other,
    })
}
