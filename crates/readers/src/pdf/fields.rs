//! What stands outside the tables: number, date, currency, the kind of document.

use super::amounts::{CODES, SIGNS};
use super::dates::{Found as Dated, Order, dates, in_digits};
use super::grid::{Grid, Line};
use super::text::Bounds;
use super::vocabulary::{
    ANY_DATE, CREDIT, CURRENCY, DATE, DATED, KINDS, NOT_ENGLISH, NUMBER, NUMBER_SIGNS, OTHERS, TITLES,
};

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value<T> {
    pub value: T,
    pub bounds: Bounds,
    /// How sure a label makes it, in percent.
    pub confidence: u8,
    /// What speaks against it, if anything does.
    pub doubt: Option<String>,
}

/// Whether the labels are English's alone.
pub(super) fn is_english(grid: &Grid) -> bool {
    !grid.tokens().any(|token| NOT_ENGLISH.contains(&token.norm.as_str()))
}

/// The best candidate; doubted if another one is as good and says something else.
fn best<T: PartialEq + Clone + std::fmt::Display>(
    mut candidates: Vec<Value<T>>,
    what: &str,
) -> Option<Value<T>> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.confidence));
    let mut first = candidates.first()?.clone();
    let rival =
        candidates.iter().find(|other| other.confidence == first.confidence && other.value != first.value);
    if let Some(rival) = rival {
        first.doubt = Some(format!("{what}: {} and {} are labelled alike", first.value, rival.value));
        first.confidence = first.confidence.min(50);
    }
    Some(first)
}

/// The invoice's number, and with it the date that is printed behind it.
pub(super) fn number(grid: &Grid) -> Option<Value<String>> {
    let mut candidates = Vec::new();
    for (at, line) in grid.lines.iter().enumerate() {
        for start in 0..line.tokens.len() {
            if let Some((label, end)) = line.label_at(start, NUMBER).filter(|_| !of_another(line, start)) {
                let title = NUMBER.get(label).is_some_and(|label| TITLES.contains(label));
                // A label in the midst of a sentence may tell what to quote elsewhere.
                let confidence = match (start == line.cell_of(start).start, title) {
                    (false, _) => 60,
                    (true, true) => 80,
                    (true, false) => 90,
                };
                let found = identifier(line, end).map(|found| (found, confidence));
                // A title alone has all kinds of things below it; in a row of labels it is one.
                let below =
                    || identifier_below(grid, at, start..end).filter(|_| !title || line.cells.len() > 1);
                let found = found.or_else(|| below().map(|found| (found, if title { 75 } else { 85 })));
                if let Some(((value, bounds), confidence)) = found {
                    let doubt = (confidence < 75)
                        .then(|| format!("number: {value} is labelled in the midst of a sentence"));
                    candidates.push(Value { value, bounds, confidence, doubt });
                }
            }
            if let Some((value, bounds)) = titled(line, start) {
                candidates.push(Value { value, bounds, confidence: 88, doubt: None });
            }
        }
    }
    best(candidates, "number")
}

/// The word before a label, or its own cell, says that it is another document's.
fn of_another(line: &Line, start: usize) -> bool {
    let cell = line.cell_of(start);
    line.tokens.get(cell.start..start).is_some_and(|before| {
        before.iter().any(|token| OTHERS.iter().any(|other| token.norm.contains(other)))
    })
}

/// `Corrected invoice (384) No. 4711`: a kind, a few words, a sign, a number.
fn titled(line: &Line, start: usize) -> Option<(String, Bounds)> {
    let cell = line.cell_of(start);
    let token = line.tokens.get(start).filter(|_| start == cell.start)?;
    if !KINDS.iter().any(|kind| token.norm.contains(kind)) || token.norm.len() > 24 {
        return None;
    }
    let sign = (start + 1..line.tokens.len().min(start + 9))
        .find(|at| line.tokens.get(*at).is_some_and(|token| NUMBER_SIGNS.contains(&token.norm.as_str())))?;
    let between = line.tokens.get(start..sign)?;
    if between.iter().any(|token| OTHERS.iter().any(|other| token.norm.contains(other))) {
        return None;
    }
    identifier(line, sign + 1)
}

/// The identifier that begins right behind a label.
fn identifier(line: &Line, end: usize) -> Option<(String, Bounds)> {
    let mut at = end;
    while let Some(token) = line.tokens.get(at) {
        let sign = token.norm.is_empty() || NUMBER_SIGNS.contains(&token.norm.as_str());
        if !sign || at > end + 4 {
            break;
        }
        at += 1;
    }
    identifier_at(line, at)
}

fn identifier_at(line: &Line, at: usize) -> Option<(String, Bounds)> {
    let token = line.tokens.get(at)?;
    let text = trimmed(&token.text);
    let letters = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if letters {
        // `RE 2026-1`
        let next = line
            .tokens
            .get(at + 1)
            .filter(|next| next.bounds.left - token.bounds.right < 0.75 * token.size)?;
        let digits = trimmed(&next.text);
        return is_identifier(digits)
            .then(|| Some((format!("{text} {digits}"), token.bounds.union(next.bounds))))?;
    }
    is_identifier(text).then(|| (text.to_owned(), token.bounds))
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches(['#', ':', '(']).trim_end_matches([',', ';', ')', ':', '.'])
}

fn is_identifier(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let allowed = text
        .chars()
        .all(|character| character.is_alphanumeric() || matches!(character, '-' | '/' | '_' | '.' | '\\'));
    let amount = text.rsplit_once(['.', ',']).is_some_and(|(whole, fraction)| {
        fraction.len() == 2
            && whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',')
            && whole.len() <= 9
    });
    digits > 0
        && (2..=40).contains(&text.len())
        && allowed
        && !amount
        && in_digits(text, Order::DayFirst).is_none()
}

/// Where a label stands that has its cell for itself, and the row right below it.
fn row_below(grid: &Grid, at: usize, label: std::ops::Range<usize>) -> Option<(Bounds, &Line)> {
    let line = grid.lines.get(at)?;
    // Words beside the label in its own cell make it a sentence, or another label.
    if line.cell_of(label.start) != label {
        return None;
    }
    let near = |lower: &&Line| lower.page() == line.page() && lower.top() - line.top() <= 2.2 * line.size();
    Some((line.bounds(label)?, grid.lines.get(at + 1).filter(near)?))
}

/// The identifier below a label: labels in a row, values in the next one.
fn identifier_below(grid: &Grid, at: usize, label: std::ops::Range<usize>) -> Option<(String, Bounds)> {
    let (bounds, lower) = row_below(grid, at, label)?;
    let cell = lower
        .cells
        .iter()
        .find(|cell| lower.bounds((*cell).clone()).is_some_and(|under| flush(bounds, under)))?;
    (cell.len() <= 2).then(|| identifier_at(lower, cell.start))?
}

fn flush(label: Bounds, value: Bounds) -> bool {
    (label.left - value.left).abs() < 8.0
        || (label.right - value.right).abs() < 8.0
        || (label.left + label.right - value.left - value.right).abs() < 16.0
}

/// The date of issue.
pub(super) fn date(grid: &Grid, order: Order, number: Option<&Value<String>>) -> Option<Value<String>> {
    let mut candidates: Vec<Value<String>> = Vec::new();
    let mut all: Vec<Dated> = Vec::new();
    for (at, line) in grid.lines.iter().enumerate() {
        let found = dates(line, order);
        for start in 0..line.tokens.len() {
            let label = line.label_at(start, DATE).map(|(_, end)| (end, 90)).or_else(|| {
                let cell = line.cell_of(start);
                line.label_at(start, ANY_DATE).filter(|_| start == cell.start).map(|(_, end)| (end, 75))
            });
            let Some((end, confidence)) = label.filter(|_| !of_another(line, start)) else { continue };
            let beside = found.iter().find(|date| {
                date.start >= end
                    && line
                        .tokens
                        .get(end..date.start)
                        .is_some_and(|between| between.iter().all(|token| token.norm.is_empty()))
            });
            let found = beside.cloned().or_else(|| date_below(grid, at, start..end, order));
            candidates.extend(found.map(|found| dated(&found, confidence)));
        }
        if let Some(number) = number {
            candidates.extend(behind(line, &found, number).map(|found| dated(found, 88)));
        }
        all.extend(found);
    }
    if let Some(found) = best(candidates, "issueDate") {
        return Some(found);
    }
    let first = all.first()?;
    let mut only = dated(first, 40);
    if all.iter().any(|other| other.date != first.date) {
        return None;
    }
    only.doubt = Some("issueDate: the only date of the document, without a label".to_owned());
    Some(only)
}

fn dated(found: &Dated, confidence: u8) -> Value<String> {
    let doubt = found
        .ambiguous
        .then(|| format!("issueDate: day and month of {} could be the other way round", found.date));
    Value {
        value: found.date.to_string(),
        bounds: found.bounds,
        confidence: if doubt.is_some() { 40 } else { confidence },
        doubt,
    }
}

/// `Invoice No. 4711 of 3 April 2026`
fn behind<'d>(line: &Line, found: &'d [Dated], number: &Value<String>) -> Option<&'d Dated> {
    let at = line.tokens.iter().position(|token| {
        token.bounds.page == number.bounds.page
            && token.bounds.top == number.bounds.top
            && token.bounds.right == number.bounds.right
    })?;
    found.iter().find(|date| {
        let between = line.tokens.get(at + 1..date.start).unwrap_or_default();
        date.start > at
            && !between.is_empty()
            && between.len() <= 2
            && between.iter().all(|token| DATED.contains(&token.norm.as_str()) || token.norm.is_empty())
    })
}

fn date_below(grid: &Grid, at: usize, label: std::ops::Range<usize>, order: Order) -> Option<Dated> {
    let (bounds, lower) = row_below(grid, at, label)?;
    dates(lower, order).into_iter().find(|date| flush(bounds, date.bounds))
}

/// The currency of the amounts.
pub(super) fn currency(grid: &Grid) -> Option<Value<String>> {
    let mut codes: Vec<(String, Bounds)> = Vec::new();
    let mut signs: Vec<(String, Bounds)> = Vec::new();
    let mut states = false;
    for line in &grid.lines {
        for (at, token) in line.tokens.iter().enumerate() {
            let code = token.text.trim_matches(['(', ')', '[', ']', ':', ',', '.', ';', '*']);
            if let Some(code) = CODES.iter().find(|one| **one == code) {
                let labelled = (at.saturating_sub(4)..at)
                    .any(|start| line.label_at(start, CURRENCY).is_some_and(|(_, end)| end <= at));
                if labelled {
                    return Some(Value {
                        value: (*code).to_owned(),
                        bounds: token.bounds,
                        confidence: 95,
                        doubt: None,
                    });
                }
                codes.push(((*code).to_owned(), token.bounds));
            }
            let glued = CODES.iter().find(|one| {
                token
                    .text
                    .strip_prefix(**one)
                    .or_else(|| token.text.strip_suffix(**one))
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
            });
            codes.extend(glued.map(|code| ((*code).to_owned(), token.bounds)));
            let dollars = line.tokens.get(at + 1).is_some_and(|next| next.norm.starts_with("dollar"));
            states |= token.text.contains("US$") || (matches!(token.norm.as_str(), "us" | "usa") && dollars);
            if let Some((_, code)) = SIGNS.iter().find(|(sign, _)| token.text.contains(sign)) {
                signs.push(((*code).to_owned(), token.bounds));
            } else if matches!(token.text.as_str(), "Rs" | "Rs.") {
                signs.push(("INR".to_owned(), token.bounds));
            }
        }
    }
    let shared = |code: &str| matches!(code, "JPY" | "INR") || (code == "USD" && !states);
    let alone = |found: &[(String, Bounds)]| {
        let first = found.first()?;
        found.iter().all(|other| other.0 == first.0).then(|| first.clone())
    };
    let value = |(value, bounds): (String, Bounds), confidence: u8, doubt: Option<String>| {
        Some(Value { value, bounds, confidence, doubt })
    };
    if let Some(found) = alone(&codes) {
        let other = signs.iter().find(|(sign, _)| *sign != found.0);
        let doubt = other.map(|(sign, _)| format!("currency: {} is named, but a sign says {sign}", found.0));
        return value(found, if doubt.is_some() { 50 } else { 90 }, doubt);
    }
    if codes.is_empty()
        && let Some(found) = alone(&signs)
    {
        let doubt = shared(&found.0)
            .then(|| format!("currency: the sign is read as {}, which is not the only one with it", found.0));
        return value(found, if doubt.is_some() { 50 } else { 85 }, doubt);
    }
    None
}

/// Whether the document calls itself a credit note, and what speaks against it.
pub(super) fn credit(grid: &Grid) -> Option<Option<String>> {
    let titles = grid.lines.iter().filter(|line| line.page() == 0).take(60);
    for line in titles {
        for cell in &line.cells {
            let Some((label, end)) = line.label_at(cell.start, CREDIT) else { continue };
            // Alone, or with a number: in a sentence it may be about another document.
            let next =
                (end..cell.end).find_map(|at| line.tokens.get(at).filter(|token| !token.norm.is_empty()));
            let goes_on = next.is_some_and(|next| {
                !NUMBER_SIGNS.contains(&next.norm.as_str())
                    && !next.norm.contains(|c: char| c.is_ascii_digit())
                    && !LABELS.contains(&next.norm.as_str())
            });
            if goes_on {
                continue;
            }
            let whole = line.text(0..line.tokens.len());
            let norm = super::grid::norm(&whole);
            if norm.contains("selbstausgestellt") || norm.contains("selfbilled") || norm.contains("389") {
                return None;
            }
            let german = CREDIT.get(label).is_some_and(|label| label.starts_with("gutschrift"));
            return Some(german.then(|| {
                "kind: Gutschrift is a credit note, or an invoice that the buyer makes out".to_owned()
            }));
        }
    }
    None
}

/// What follows a title and belongs to its number or date.
const LABELS: &[&str] = &["date", "datum", "nummer", "number", "id", "ref", "reference"];

/// Words in a language or a form that is not read, set as a title, which may mean a credit note.
pub(super) fn perhaps_credit(grid: &Grid) -> Option<String> {
    const HINTS: &[&str] = &[
        "credit",
        "kredit",
        "gutschrift",
        "storno",
        "avoir",
        "abono",
        "refund",
        "erstattung",
        "rettifica",
        "rectificativa",
    ];
    let title = larger(grid, |norm| HINTS.iter().any(|hint| norm.contains(hint)))?;
    Some(format!("kind: read as an invoice, but its title says {title}"))
}

/// Words set as a title of what brings no goods, or not for the first time: a pro forma, an offer, a reminder, a copy.
pub(super) fn perhaps_no_goods(grid: &Grid) -> Option<String> {
    const WORDS: &[&str] = &["forma", "copy", "copia", "devis", "estimate", "quote"];
    const HINTS: &[&str] = &[
        "proforma",
        "quotation",
        "angebot",
        "offerte",
        "presupuesto",
        "preventivo",
        "duplica",
        "duplikat",
        "kopie",
        "copie",
        "mahnung",
        "reminder",
        "lieferschein",
    ];
    let is_hint = |norm: &str| WORDS.contains(&norm) || HINTS.iter().any(|hint| norm.contains(hint));
    let title = larger(grid, is_hint).or_else(|| alone_on_the_first_page(grid))?;
    Some(format!("kind: its title says {title}, which need not bring goods"))
}

/// The same in a few words that stand alone on the first page, of any size, as far as those words are labels of nothing.
fn alone_on_the_first_page(grid: &Grid) -> Option<String> {
    const WORDS: &[&str] = &[
        "proforma",
        "copy",
        "copia",
        "kopie",
        "duplicate",
        "duplicata",
        "duplikat",
        "reprint",
        "corrected",
        "retoure",
    ];
    for line in grid.lines.iter().filter(|line| line.page() == 0).take(60) {
        for cell in &line.cells {
            let text = line.text(cell.clone());
            let norms: Vec<&str> =
                line.tokens[cell.clone()].iter().map(|token| token.norm.as_str()).collect();
            let says = norms.iter().any(|norm| WORDS.contains(norm))
                || norms.windows(2).any(|two| two == ["pro", "forma"]);
            let is_label =
                text.trim_end().ends_with(':') || text.contains(|character: char| character.is_ascii_digit());
            if says && norms.len() <= 6 && !is_label {
                return Some(text);
            }
        }
    }
    None
}

/// The first word set larger than most that is one of those.
fn larger(grid: &Grid, is_one: impl Fn(&str) -> bool) -> Option<String> {
    let mut sizes: Vec<f32> = grid.tokens().map(|token| token.size).collect();
    sizes.sort_by(f32::total_cmp);
    let usual = sizes.get(sizes.len() / 2).copied()?;
    let title = grid.tokens().find(|token| token.size >= 1.25 * usual && is_one(&token.norm))?;
    Some(title.text.clone())
}
