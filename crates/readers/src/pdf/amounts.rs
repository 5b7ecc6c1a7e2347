//! Numbers as people print them.

use contract::Decimal;

use super::grid::{Grid, Line};
use super::text::Bounds;

/// What parts whole and fraction where a number alone does not tell (`1.234`, `1,234`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    /// `1.234,56`
    Comma,
    /// `1,234.56`
    Point,
    /// The document gives no evidence.
    Unknown,
}

/// A number on a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Amount {
    /// Its value.
    pub value: Decimal,
    /// Digits of its fraction, as printed.
    pub decimals: usize,
    /// Its first token.
    pub start: usize,
    /// After its last token.
    pub end: usize,
    /// Where it stands.
    pub bounds: Bounds,
    /// A `%` stands behind it.
    pub percent: bool,
    /// A currency's sign or code stands beside it.
    pub money: bool,
}

/// Currency signs and what they say.
pub(super) const SIGNS: &[(&str, &str)] = &[
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("$", "USD"),
    ("US$", "USD"),
    ("¥", "JPY"),
];

/// ISO 4217 codes that invoices are commonly in.
pub(super) const CODES: &[&str] = &[
    "EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "BGN", "JPY", "CNY", "INR",
    "AUD", "CAD", "NZD", "SGD", "HKD", "ZAR", "BRL", "MXN", "TRY", "ILS", "AED", "KRW", "THB", "ISK",
];

impl Convention {
    /// By the document's unambiguous numbers: both separators, or a fraction of other than three digits.
    pub(super) fn of(grid: &Grid) -> Self {
        let mut comma = 0_usize;
        let mut point = 0_usize;
        for token in grid.tokens() {
            let text: String =
                token.text.chars().filter(|c| c.is_ascii_digit() || matches!(c, ',' | '.')).collect();
            if text.len() + 3 < token.text.len() {
                continue;
            }
            match shape(&text) {
                Some(Shape::Fraction(',', 2)) => comma += 1,
                Some(Shape::Fraction('.', 2)) => point += 1,
                _ => {}
            }
        }
        match (comma, point) {
            (0, 0) => Self::Unknown,
            (comma, point) if comma >= 4 * point.max(1) || point == 0 => Self::Comma,
            (comma, point) if point >= 4 * comma.max(1) || comma == 0 => Self::Point,
            _ => Self::Unknown,
        }
    }
}

/// How a number's separators read.
enum Shape {
    /// No fraction.
    Whole,
    /// The separator before the fraction, and the fraction's digits.
    Fraction(char, usize),
    /// One separator before three digits: a fraction or a thousand.
    Either(char),
}

/// Digits with separators; none if it is not a number.
fn shape(text: &str) -> Option<Shape> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str, by: char| {
        let mut groups = text.split(by);
        groups.next().is_some_and(|first| digits(first) && first.len() <= 3)
            && groups.all(|group| digits(group) && group.len() == 3)
    };
    let separators: Vec<char> = text.chars().filter(|character| !character.is_ascii_digit()).collect();
    let last = separators.last().copied();
    match (separators.as_slice(), last) {
        ([], _) => digits(text).then_some(Shape::Whole),
        ([only], _) if matches!(only, ',' | '.') => {
            let (whole, fraction) = text.split_once(*only)?;
            if !digits(fraction) || !(digits(whole) || whole.is_empty()) {
                return None;
            }
            let thousands = fraction.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
            Some(if thousands { Shape::Either(*only) } else { Shape::Fraction(*only, fraction.len()) })
        }
        (all, Some(last)) if all.iter().all(|one| *one == last) => {
            grouped(text, last).then_some(Shape::Whole)
        }
        (all, Some(last)) if matches!(last, ',' | '.') => {
            let (whole, fraction) = text.rsplit_once(last)?;
            let by = *all.first()?;
            (by != last && grouped(whole, by) && digits(fraction))
                .then_some(Shape::Fraction(last, fraction.len()))
        }
        (all, Some(last)) => {
            (all.iter().all(|one| *one == last) && grouped(text, last)).then_some(Shape::Whole)
        }
        _ => None,
    }
}

/// A printed number without sign or currency: its value and the digits of its fraction.
pub(super) fn number(text: &str, convention: Convention) -> Option<(Decimal, usize)> {
    if !text.contains(|character: char| character.is_ascii_digit()) || text.len() > 40 {
        return None;
    }
    let text = text.replace(['\'', ' '], "\u{1}");
    let (mark, decimals) = match shape(&text)? {
        Shape::Whole => (None, 0),
        Shape::Fraction(mark, decimals) => (Some(mark), decimals),
        Shape::Either(mark) => match (convention, mark) {
            (Convention::Comma, ',') | (Convention::Point, '.') => (Some(mark), 3),
            (Convention::Unknown, _) => return None,
            _ => (None, 0),
        },
    };
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            digit if digit.is_ascii_digit() => plain.push(digit),
            other if Some(other) == mark => plain.push('.'),
            _ => {}
        }
    }
    if plain.starts_with('.') {
        plain.insert(0, '0');
    }
    Some((Decimal::parse(&plain).ok()?, decimals))
}

/// A token's number with its signs taken off.
struct Bare {
    text: String,
    negative: bool,
    percent: bool,
    money: bool,
}

fn bare(text: &str) -> Option<Bare> {
    let mut rest = text.trim_end_matches([';', ':']);
    let (mut negative, mut percent, mut money) = (false, false, false);
    if let Some(inner) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        rest = inner;
        negative = true;
    }
    for _ in 0..3 {
        let before = rest;
        for (sign, _) in SIGNS {
            rest = rest.strip_prefix(sign).or_else(|| rest.strip_suffix(sign)).unwrap_or(rest);
        }
        for code in CODES {
            rest = rest.strip_prefix(code).or_else(|| rest.strip_suffix(code)).unwrap_or(rest);
        }
        money |= before != rest;
        if let Some(inner) = rest.strip_suffix('%') {
            percent = true;
            rest = inner;
        }
        if let Some(inner) = rest.strip_prefix(['-', '–']).or_else(|| rest.strip_suffix(['-', '–'])) {
            negative = true;
            rest = inner;
        }
        rest = rest.strip_prefix('+').unwrap_or(rest);
        rest = rest.trim();
    }
    let numeric = rest
        .starts_with(|character: char| character.is_ascii_digit() || matches!(character, '.' | ','))
        && rest.chars().all(|character| character.is_ascii_digit() || matches!(character, '.' | ',' | '\''));
    numeric.then(|| Bare { text: rest.to_owned(), negative, percent, money })
}

fn is_money(text: &str) -> bool {
    SIGNS.iter().any(|(sign, _)| text == *sign) || CODES.contains(&text) || text == "Rs." || text == "Rs"
}

/// The numbers of a line.
pub(super) fn amounts(line: &Line, convention: Convention) -> Vec<Amount> {
    let mut amounts = Vec::new();
    let mut at = 0;
    while at < line.tokens.len() {
        match amount(line, at, convention) {
            Some(amount) => {
                at = amount.end.max(at + 1);
                amounts.push(amount);
            }
            None => at += 1,
        }
    }
    amounts
}

fn amount(line: &Line, start: usize, convention: Convention) -> Option<Amount> {
    let token = |at: usize| line.tokens.get(at);
    let near = |at: usize| match (token(at.wrapping_sub(1)), token(at)) {
        (Some(last), Some(next)) => next.bounds.left - last.bounds.right < 0.75 * next.size,
        _ => false,
    };
    let mut found = bare(&token(start)?.text)?;
    let mut end = start + 1;
    // `1 234,56`: groups of three, the last one with a fraction.
    let mut joined = found.text.clone();
    let mut until = end;
    while near(until)
        && joined.split(' ').all(|group| group.len() <= 3)
        && joined.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ')
    {
        let Some(next) = token(until).and_then(|next| bare(&next.text)) else { break };
        let whole: String = next.text.chars().take_while(char::is_ascii_digit).collect();
        if whole.len() != 3 || next.negative && !next.money {
            break;
        }
        joined = format!("{joined} {}", next.text);
        until += 1;
        let fraction = next.text.len() > 3;
        if fraction {
            found = Bare {
                text: joined.clone(),
                money: found.money || next.money,
                percent: next.percent,
                ..found
            };
            end = until;
            break;
        }
    }
    let (value, decimals) = number(&found.text, convention)?;
    let mut first = start;
    // `- 5,00`, `€ -5,00`, `-€ 5,00`
    for _ in 0..2 {
        let Some(before) = first.checked_sub(1).and_then(token) else { break };
        if !near(first) {
            break;
        }
        if matches!(before.text.as_str(), "-" | "–" | "-€" | "-$" | "-£") {
            found.negative = true;
            found.money |= before.text.len() > 1;
        } else if is_money(&before.text) {
            found.money = true;
        } else {
            break;
        }
        first -= 1;
    }
    let behind = token(end).filter(|_| near(end));
    if behind.is_some_and(|token| token.text == "%") {
        found.percent = true;
        end += 1;
    } else if behind.is_some_and(|token| is_money(&token.text)) {
        found.money = true;
        end += 1;
    }
    let value = if found.negative { value.negated() } else { value };
    Some(Amount {
        value,
        decimals,
        start: first,
        end,
        bounds: line.bounds(first..end)?,
        percent: found.percent,
        money: found.money,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_print() {
        for (text, convention, value) in [
            ("1.234,56", Convention::Unknown, Some("1234.56")),
            ("1,234.56", Convention::Unknown, Some("1234.56")),
            ("1'234.56", Convention::Unknown, Some("1234.56")),
            ("1 234,56", Convention::Unknown, Some("1234.56")),
            ("1.234.567", Convention::Unknown, Some("1234567")),
            ("17808,00", Convention::Unknown, Some("17808.00")),
            ("1.234", Convention::Comma, Some("1234")),
            ("1.234", Convention::Point, Some("1.234")),
            ("1.234", Convention::Unknown, None),
            ("0.125", Convention::Unknown, Some("0.125")),
            ("0,125", Convention::Point, Some("0.125")),
            ("9,9000", Convention::Point, Some("9.9000")),
            ("12.34.56", Convention::Unknown, None),
            ("1,23,456.00", Convention::Unknown, None),
            ("1.234,567,89", Convention::Unknown, None),
            ("2014-05", Convention::Unknown, None),
            ("", Convention::Unknown, None),
            (",", Convention::Unknown, None),
        ] {
            let read = number(text, convention).map(|(value, _)| value.to_string());
            assert_eq!(read.as_deref(), value, "{text} {convention:?}");
        }
    }
}
