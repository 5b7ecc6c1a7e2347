//! Dates as people print them.

use jiff::civil::Date;

use super::grid::{Grid, Line, norm};
use super::text::Bounds;

/// A date on a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The date.
    pub date: Date,
    /// Day and month could be the other way round.
    pub ambiguous: bool,
    /// Its first token.
    pub start: usize,
    /// After its last token.
    pub end: usize,
    /// Where it stands.
    pub bounds: Bounds,
}

/// Which comes first in `03/04/2026`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As nearly everywhere.
    DayFirst,
    /// As in the United States.
    MonthFirst,
    /// The document does not tell.
    Unknown,
}

/// Names of months by their beginnings, in the languages read.
const MONTHS: [&[&str]; 12] = [
    &["jan", "gen", "ene"],
    &["feb", "fev", "fevr"],
    &["mar", "mrz", "maart", "mars", "mrt"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mei", "mag", "mayo"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "aou", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott"],
    &["nov"],
    &["dec", "dez", "dic"],
];

impl Order {
    /// By the document's unambiguous dates, else by its language: English alone does not tell.
    pub(super) fn of(grid: &Grid, english: bool) -> Self {
        let (mut day, mut month) = (0, 0);
        for token in grid.tokens() {
            let found = numbers(&token.text, '/').or_else(|| numbers(&token.text, '-'));
            let Some([first, second, _]) = found.filter(|[first, _, year]| *year >= 1000 && *first < 100)
            else {
                continue;
            };
            day += usize::from(first > 12 && second <= 12);
            month += usize::from(second > 12 && first <= 12);
        }
        match (day, month) {
            (0, 0) if english => Self::Unknown,
            (_, 0) => Self::DayFirst,
            (0, _) => Self::MonthFirst,
            _ => Self::Unknown,
        }
    }
}

/// The dates of a line.
pub(super) fn dates(line: &Line, order: Order) -> Vec<Found> {
    let mut dates = Vec::new();
    let mut at = 0;
    while at < line.tokens.len() {
        match date_at(line, at, order) {
            Some(found) => {
                at = found.end;
                dates.push(found);
            }
            None => at += 1,
        }
    }
    dates
}

fn date_at(line: &Line, start: usize, order: Order) -> Option<Found> {
    let token = line.tokens.get(start)?;
    let text = token.text.trim_matches([',', ';', ':', '(', ')']);
    let found = |date: Date, ambiguous: bool, end: usize| {
        Some(Found { date, ambiguous, start, end, bounds: line.bounds(start..end)? })
    };
    if let Some((date, ambiguous)) = in_digits(text.trim_end_matches('.'), order) {
        return found(date, ambiguous, start + 1);
    }
    // Words: `7. Mai 2014`, `August 3 , 2014`, `1 de mayo de 2014`, `3rd August 2014`.
    let mut parts: Vec<(String, usize)> = Vec::new();
    for (offset, token) in line.tokens.get(start..)?.iter().take(7).enumerate() {
        let norm = norm(&token.text);
        if matches!(norm.as_str(), "" | "de" | "del" | "of") && offset > 0 {
            continue;
        }
        parts.push((norm, start + offset + 1));
        if parts.len() == 3 {
            break;
        }
    }
    let [(one, _), (two, _), (three, end)] = parts.as_slice() else { return None };
    let year: i16 = three.parse().ok().filter(|year| (1900..2200).contains(year))?;
    let (day, month) = match (ordinal(one), month(two), month(one), ordinal(two)) {
        (Some(day), Some(month), ..) | (_, _, Some(month), Some(day)) => (day, month),
        _ => return None,
    };
    found(Date::new(year, month, day).ok()?, false, *end)
}

/// A date of digits: `2026-04-03`, `03.04.2026`, `3-4-26`, `03/04/2026`.
pub(super) fn in_digits(text: &str, order: Order) -> Option<(Date, bool)> {
    let sure = |year: i16, month: i16, day: i16| {
        Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    };
    for mark in ['-', '.', '/'] {
        let Some([first, second, third]) = numbers(text, mark) else { continue };
        if (1900..2200).contains(&first) {
            return Some((sure(first, second, third)?, false));
        }
        let digits = text.rsplit(mark).next().map_or(0, str::len);
        let year = match digits {
            4 if (1900..2200).contains(&third) => third,
            2 => 2000 + third,
            _ => return None,
        };
        if mark == '.' {
            return Some((sure(year, second, first)?, false));
        }
        let (day_first, month_first) = (sure(year, second, first), sure(year, first, second));
        return match (order, day_first, month_first) {
            (_, Some(one), Some(other)) if one == other => Some((one, false)),
            (_, Some(only), None) | (_, None, Some(only)) => Some((only, false)),
            (Order::DayFirst, Some(date), _) | (Order::MonthFirst, _, Some(date)) => Some((date, false)),
            (Order::Unknown, Some(date), _) => Some((date, true)),
            _ => None,
        };
    }
    None
}

fn numbers(text: &str, mark: char) -> Option<[i16; 3]> {
    let mut parts = text.split(mark).map(|part| {
        let digits = matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i16>().ok()).flatten()
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn month(norm: &str) -> Option<i8> {
    if norm.len() < 3 || norm.len() > 10 || norm.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let at = MONTHS.iter().position(|names| names.iter().any(|name| norm.starts_with(name)))?;
    i8::try_from(at + 1).ok()
}

fn ordinal(norm: &str) -> Option<i8> {
    let digits = norm.trim_end_matches(|character: char| character.is_alphabetic());
    let suffix = norm.strip_prefix(digits)?;
    let day: i8 = digits.parse().ok()?;
    (suffix.len() <= 3 && (1..=31).contains(&day)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_of_digits() {
        for (text, order, date, ambiguous) in [
            ("2026-04-03", Order::Unknown, "2026-04-03", false),
            ("03.04.2026", Order::Unknown, "2026-04-03", false),
            ("8-9-2022", Order::DayFirst, "2022-09-08", false),
            ("8-9-2022", Order::Unknown, "2022-09-08", true),
            ("21.05.14", Order::Unknown, "2014-05-21", false),
            ("03/04/2026", Order::DayFirst, "2026-04-03", false),
            ("03/04/2026", Order::MonthFirst, "2026-03-04", false),
            ("03/04/2026", Order::Unknown, "2026-04-03", true),
            ("13/04/2026", Order::Unknown, "2026-04-13", false),
            ("04/13/2026", Order::DayFirst, "2026-04-13", false),
            ("04/04/2026", Order::Unknown, "2026-04-04", false),
        ] {
            let read = in_digits(text, order).map(|(date, ambiguous)| (date.to_string(), ambiguous));
            assert_eq!(read, Some((date.to_owned(), ambiguous)), "{text}");
        }
        for text in ["", "31.02.2026", "1.2.3.4", "2026", "12/34/2026", "1.234", "99-99-9999", "007/10/2024"]
        {
            assert_eq!(in_digits(text, Order::Unknown), None, "{text}");
        }
    }
}
