//! Numbers and dates as people write them. Which mark is the decimal one, and whether the day or the month comes
//! first, is decided by evidence: a value that could mean two things, and has none beside it, is not read.

use contract::Decimal;

use crate::draft::{day, decimal, iso_day};

/// What a column says about its numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Some number can only be read with a decimal point.
    pub point: bool,
    /// Some number can only be read with a decimal comma.
    pub comma: bool,
}

impl Marks {
    /// What the texts of a column, or of all of them, say.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut marks = Self::default();
        for text in texts {
            if let Some((digits, _)) = bare(text) {
                match readings(&digits) {
                    (Some(_), None) if digits.contains(['.', ',']) => marks.point = true,
                    (None, Some(_)) => marks.comma = true,
                    _ => {}
                }
            }
        }
        marks
    }

    /// The mark, if there is evidence of one only.
    fn decided(self) -> Option<char> {
        match (self.point, self.comma) {
            (true, false) => Some('.'),
            (false, true) => Some(','),
            _ => None,
        }
    }
}

/// Reads a number: by itself if it can mean one thing only, else by its column, else by the whole table.
pub(super) fn number(text: &str, column: Marks, table: Marks) -> Option<Decimal> {
    let (digits, negative) = bare(text)?;
    let value = match readings(&digits) {
        (Some(point), Some(comma)) if point == comma => point,
        (Some(point), Some(comma)) => match column.decided().or_else(|| table.decided())? {
            '.' => point,
            _ => comma,
        },
        (Some(value), None) | (None, Some(value)) => value,
        (None, None) => return None,
    };
    let value = decimal(&value)?;
    Some(if negative { value.negated() } else { value })
}

/// The digits and marks of a number, without its sign, currency and percent sign.
fn bare(text: &str) -> Option<(String, bool)> {
    let text = text.trim();
    let (text, in_parentheses) = match text.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let unsigned = |character: char| character.is_ascii_digit() || matches!(character, '.' | ',');
    let start = text.find(unsigned)?;
    let end = text.rfind(|character: char| character.is_ascii_digit())? + 1;
    let (before, digits, behind) = (&text[..start], text.get(start..end)?, &text[end..]);
    let minus = |around: &str| around.chars().filter(|c| matches!(c, '-' | '−' | '–')).count();
    let signs = minus(before) + minus(behind) + usize::from(in_parentheses);
    if signs > 1 || !is_money(before) || !is_money(behind) {
        return None;
    }
    // Blanks and apostrophes part thousands.
    let grouping = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\'' | '’');
    let groups: Vec<&str> = digits.split(grouping).collect();
    let (last, whole) = groups.split_last()?;
    let last_whole = last.split(['.', ',']).next().unwrap_or_default();
    let groups_are_whole = whole.iter().enumerate().all(|(index, group)| {
        group.bytes().all(|byte| byte.is_ascii_digit())
            && (if index == 0 { (1..=3).contains(&group.len()) } else { group.len() == 3 })
    });
    if !whole.is_empty() && (!groups_are_whole || last_whole.len() != 3) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| !grouping(*c)).collect();
    digits.chars().all(unsigned).then_some((digits, signs == 1))
}

/// Whether what stands around a number is nothing but a sign, a currency, a percent sign.
fn is_money(around: &str) -> bool {
    const WORDS: [&str; 6] = ["", "kr", "zł", "Kč", "Ft", "Fr"];
    let word =
        around.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '−' | '–' | '+' | '%' | '.'));
    let is_code = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code || WORDS.contains(&word) || word.chars().all(|c| matches!(c, '€' | '$' | '£' | '¥'))
}

/// What digits and marks mean with a decimal point, and with a decimal comma; both for a number that either can be.
fn readings(digits: &str) -> (Option<String>, Option<String>) {
    (with_mark(digits, '.', ','), with_mark(digits, ',', '.'))
}

fn with_mark(digits: &str, mark: char, grouping: char) -> Option<String> {
    let (whole, fraction) = match digits.split_once(mark) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    if fraction
        .is_some_and(|fraction| fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return None;
    }
    let mut groups = whole.split(grouping);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A group of three behind one to three digits, which do not start with a zero.
    let grouped = rest.is_empty() || (1..=3).contains(&first.len()) && !first.starts_with('0');
    if !all_digits(first) || !grouped || rest.iter().any(|group| group.len() != 3 || !all_digits(group)) {
        return None;
    }
    let whole = format!("{first}{}", rest.concat());
    let whole = if whole.is_empty() { "0" } else { &whole };
    Some(fraction.map_or_else(|| whole.to_owned(), |fraction| format!("{whole}.{fraction}")))
}

/// Which way a column writes its dates where a number parts like `03/04/2024` leaves it open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Order {
    day_first: bool,
    month_first: bool,
}

impl Order {
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut order = Self::default();
        for (first, second, _, separator) in texts.filter_map(parts) {
            order.day_first |= separator == '.' || first > 12;
            order.month_first |= separator != '.' && second > 12;
        }
        order
    }
}

/// Day, month or the other way round, year.
fn parts(text: &str) -> Option<(u32, u32, &str, char)> {
    let separator = ['/', '.', '-'].into_iter().find(|separator| text.matches(*separator).count() == 2)?;
    let mut parts = text.trim().split(separator);
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    let year = year.split([' ', 'T']).next()?;
    let small = |text: &str| text.parse::<u32>().ok().filter(|_| (1..=2).contains(&text.len()));
    (year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit())).then_some((
        small(first)?,
        small(second)?,
        year,
        separator,
    ))
}

/// Reads a date: ISO 8601, `20240131`, `31.01.2024`, `31/01/2024` or `01/31/2024` by evidence, `31 Jan 2024`.
pub(super) fn date(text: &str, order: Order) -> Option<String> {
    let text = text.trim();
    if let Some(date) = iso_day(text).or_else(|| crate::draft::compact_day(text)) {
        return Some(date);
    }
    if let Some(date) = iso_day(&text.replace('/', "-")) {
        return Some(date);
    }
    if let Some((first, second, year, separator)) = parts(text) {
        let day_first = day(year, &second.to_string(), &first.to_string());
        let month_first = day(year, &first.to_string(), &second.to_string());
        let both = separator != '.' && first <= 12 && second <= 12 && first != second;
        return match (both, order.day_first, order.month_first) {
            (false, ..) if separator == '.' || first > 12 => day_first,
            (false, ..) => month_first,
            (true, true, false) => day_first,
            (true, false, true) => month_first,
            (true, ..) => None,
        };
    }
    in_words(text)
}

/// `31 Jan 2024`, `January 31, 2024`.
fn in_words(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let words: Vec<String> =
        text.split([' ', ',', '-', '.']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let [first, second, year] = &words[..] else { return None };
    let month = |word: &str| {
        let at = MONTHS.iter().position(|name| word.len() >= 3 && name.starts_with(word))?;
        Some((at + 1).to_string())
    };
    let (month, of_month) = match (month(first), month(second)) {
        (Some(month), None) => (month, second),
        (None, Some(month)) => (month, first),
        _ => return None,
    };
    (year.len() == 4).then(|| day(year, &month, of_month)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, column: &[&str]) -> Option<String> {
        let marks = Marks::of(column.iter().copied());
        number(text, marks, Marks::default()).map(|value| value.to_string())
    }

    #[test]
    fn numbers_by_themselves() {
        for (text, value) in [
            ("12", "12"),
            ("1.5", "1.5"),
            ("1,5", "1.5"),
            ("1.234,50", "1234.50"),
            ("1,234.50", "1234.50"),
            ("1 234,50", "1234.50"),
            ("1'234.50", "1234.50"),
            ("1.234.567", "1234567"),
            ("€ 12,50", "12.50"),
            ("12,50 EUR", "12.50"),
            ("-3", "-3"),
            ("(3.5)", "-3.5"),
            ("3,50-", "-3.50"),
            ("19%", "19"),
            ("0.125", "0.125"),
            ("$1,234.5678", "1234.5678"),
            ("1234.567", "1234.567"),
            (".5", "0.5"),
        ] {
            assert_eq!(read(text, &[]).as_deref(), Some(value), "{text}");
        }
        for text in [
            "",
            "abc",
            "1.2.3",
            "1,23,4",
            "12 EA",
            "1-2",
            "--1",
            "1 23",
            "1.234",
            "1,234",
            "3x",
            "2024-01-01",
            "1e5",
        ] {
            assert_eq!(read(text, &[]), None, "{text}");
        }
    }

    #[test]
    fn numbers_by_their_column() {
        assert_eq!(read("1.234", &["1.234", "2,50"]).as_deref(), Some("1234"));
        assert_eq!(read("1.234", &["1.234", "2.50"]).as_deref(), Some("1.234"));
        assert_eq!(read("1.234", &["2.50", "2,50"]), None);
    }

    #[test]
    fn dates() {
        let none = Order::default();
        for (text, value) in [
            ("2024-01-31", "2024-01-31"),
            ("2024/01/31", "2024-01-31"),
            ("20240131", "2024-01-31"),
            ("31.01.2024", "2024-01-31"),
            ("1.2.2024", "2024-02-01"),
            ("31/01/2024", "2024-01-31"),
            ("01/31/2024", "2024-01-31"),
            ("5/5/2024", "2024-05-05"),
            ("31 Jan 2024", "2024-01-31"),
            ("January 31, 2024", "2024-01-31"),
        ] {
            assert_eq!(date(text, none).as_deref(), Some(value), "{text}");
        }
        for text in ["03/04/2024", "31/13/2024", "30.02.2024", "tomorrow", "1/2/24", ""] {
            assert_eq!(date(text, none), None, "{text}");
        }
        assert_eq!(date("03/04/2024", Order::of(["31/01/2024"].into_iter())).as_deref(), Some("2024-04-03"));
        assert_eq!(date("03/04/2024", Order::of(["01/31/2024"].into_iter())).as_deref(), Some("2024-03-04"));
        assert_eq!(date("03/04/2024", Order::of(["01/31/2024", "31/01/2024"].into_iter())), None);
    }
}
