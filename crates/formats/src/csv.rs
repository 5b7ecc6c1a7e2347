//! Delimited text with a header row (RFC 4180, and what people do to it). The parser is the `csv` crate.

use std::collections::HashSet;

use contract::Json;

use crate::{Error, Position, Problem};

/// Most rows, the header's among them.
pub const MAX_ROWS: usize = 200_000;
/// Most columns.
pub const MAX_COLUMNS: usize = 512;
/// Most cells.
pub const MAX_CELLS: usize = 2_000_000;
/// How many rows are looked at to find the delimiter and the header.
const SAMPLE: usize = 200;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What stands between the cells.
    pub delimiter: char,
    /// All rows, cells trimmed. Blank rows are left out, so each has its own number.
    pub rows: Vec<Row>,
    /// The index in `rows` of the header, if there is one.
    pub header: Option<usize>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the file, from 1, blank rows counted.
    pub number: u32,
    /// Its cells.
    pub cells: Vec<String>,
}

/// Parses a text that [`crate::text::decode`] gave.
pub fn parse(text: &str) -> Result<Table, Error> {
    let delimiter = delimiter(text).ok_or_else(|| {
        Error::new(Problem::Syntax, "not a table: no delimiter parts its lines in the same way")
    })?;
    let rows = rows(text, delimiter, MAX_ROWS)?;
    let header = find_header(&rows);
    Ok(Table { delimiter: char::from(delimiter), rows, header })
}

/// The delimiter by which most lines have the same number of cells, two or more.
fn delimiter(text: &str) -> Option<u8> {
    // `sep=;` is how spreadsheets announce it.
    let announced = text.strip_prefix("sep=").and_then(|rest| rest.bytes().next());
    if let Some(announced) = announced.filter(u8::is_ascii_punctuation) {
        return Some(announced);
    }
    let sample = sample(text);
    b";\t|,"
        .iter()
        .copied()
        .filter_map(|delimiter| Some((score(sample, delimiter)?, delimiter)))
        .max_by_key(|(score, _)| *score)
        .map(|(_, delimiter)| delimiter)
}

/// The first lines of a text.
fn sample(text: &str) -> &str {
    let end = text.match_indices('\n').nth(SAMPLE).map_or(text.len(), |(at, _)| at + 1);
    &text[..end]
}

/// How many lines share the commonest width, then that width.
fn score(sample: &str, delimiter: u8) -> Option<(usize, usize)> {
    let rows = rows(sample, delimiter, SAMPLE + 1).ok()?;
    let mut widths: Vec<usize> = rows.iter().map(|row| row.cells.len()).filter(|width| *width > 1).collect();
    widths.sort_unstable();
    widths.chunk_by(|a, b| a == b).map(|same| (same.len(), same[0])).max()
}

fn rows(text: &str, delimiter: u8, most: usize) -> Result<Vec<Row>, Error> {
    // Before the parser makes a record of them.
    if text.bytes().filter(|byte| *byte == delimiter).count() > MAX_CELLS {
        return Err(Error::new(Problem::TooLarge, format!("more than {MAX_CELLS} cells")));
    }
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let (mut rows, mut count) = (Vec::new(), 0);
    let mut record = ::csv::StringRecord::new();
    loop {
        let more = reader.read_record(&mut record).map_err(|error| refusal(&error))?;
        if !more {
            return Ok(rows);
        }
        let number = record.position().map_or(0, |position| line_of(text, position));
        let too_large = |message: String| Error {
            problem: Problem::TooLarge,
            message,
            position: Some(Position { line: number, column: 1 }),
        };
        if record.len() > MAX_COLUMNS {
            return Err(too_large(format!("more than {MAX_COLUMNS} columns")));
        }
        count += record.len();
        if count > MAX_CELLS {
            return Err(too_large(format!("more than {MAX_CELLS} cells")));
        }
        if rows.len() >= most {
            return Err(too_large(format!("more than {most} rows")));
        }
        let cells: Vec<String> = record.iter().map(|cell| cell.trim().to_owned()).collect();
        let announces = rows.is_empty() && cells.first().is_some_and(|cell| cell.starts_with("sep="));
        if !announces && cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { number, cells });
        }
    }
}

/// The line on which a record starts: the parser's own position is before the blank lines that it skips.
fn line_of(text: &str, position: &::csv::Position) -> u32 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let blank =
        rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    u32::try_from(position.line())
        .unwrap_or(u32::MAX)
        .saturating_add(u32::try_from(blank).unwrap_or(u32::MAX))
}

fn refusal(error: &::csv::Error) -> Error {
    let position = error
        .position()
        .map(|position| Position { line: u32::try_from(position.line()).unwrap_or(u32::MAX), column: 1 });
    Error { problem: Problem::Syntax, message: format!("not a table that can be read: {error}"), position }
}

/// The first row that looks like one: two cells or more, none of them a number, no name twice, and a row of data
/// behind it.
fn find_header(rows: &[Row]) -> Option<usize> {
    let widest = rows.iter().take(SAMPLE).map(filled).max()?;
    rows.iter().take(SAMPLE.min(rows.len() - 1)).position(|row| {
        let names: Vec<&str> = row.cells.iter().map(String::as_str).filter(|cell| !cell.is_empty()).collect();
        let distinct: HashSet<&str> = names.iter().copied().collect();
        let numeric =
            |name: &&str| name.chars().any(|c| c.is_ascii_digit()) && !name.chars().any(char::is_alphabetic);
        // A line of an address or a title above the table is narrower than the table.
        names.len() >= 2
            && names.len() * 2 >= widest
            && distinct.len() == names.len()
            && !names.iter().any(numeric)
    })
}

fn filled(row: &Row) -> usize {
    row.cells.iter().filter(|cell| !cell.is_empty()).count()
}

impl Table {
    /// The rows behind the header, or all of them where there is none.
    pub fn data(&self) -> &[Row] {
        &self.rows[self.header.map_or(0, |header| header + 1)..]
    }

    /// The table as JSON, for mappings: an array of objects, one a row behind the header, each by the header's names.
    ///
    /// Every value is a string, as it is written, and an empty cell is an empty string. A column without a name, or
    /// with one that an earlier column has, goes by its number from 1: `"7"`. Without a header all columns do.
    pub fn to_json(&self) -> Json {
        let names = self.names();
        let object = |row: &Row| {
            let cell = |(index, name): (usize, &String)| {
                (name.clone(), Json::String(row.cells.get(index).cloned().unwrap_or_default()))
            };
            Json::Object(names.iter().enumerate().map(cell).collect())
        };
        Json::Array(self.data().iter().map(object).collect())
    }

    fn names(&self) -> Vec<String> {
        let width = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
        let header = self.header.and_then(|header| self.rows.get(header));
        let mut seen = HashSet::new();
        (0..width)
            .map(|index| {
                let name = header.and_then(|row| row.cells.get(index)).filter(|name| !name.is_empty());
                let name = name.filter(|name| !seen.contains(*name)).cloned().unwrap_or_else(|| {
                    let mut number = (index + 1).to_string();
                    // A header may name a column by another's number.
                    while seen.contains(&number) || header.is_some_and(|row| row.cells.contains(&number)) {
                        number.push('\'');
                    }
                    number
                });
                seen.insert(name.clone());
                name
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found() {
        for (text, delimiter) in [
            ("sku,qty\nA,1\n", ','),
            ("sku;preis\nA;1,50\nB;2,50\n", ';'),
            ("sku\tname\nA\ta, b, c\n", '\t'),
            ("sku|name\nA|a;b\n", '|'),
            ("sep=;\na;b\n1;2", ';'),
        ] {
            assert_eq!(parse(text).expect(text).delimiter, delimiter, "{text}");
        }
        assert_eq!(parse("no table\nhere\n").map_err(|error| error.problem), Err(Problem::Syntax));
    }

    #[test]
    fn quotes_blank_rows_and_a_title_above_the_header() {
        let table = parse("Invoice 7,,\n\nsku,name,qty\nA,\"x, \"\"y\"\"\nz\",1\n").expect("a table");
        assert_eq!(table.header, Some(1));
        assert_eq!(
            table.data()[0],
            Row { number: 4, cells: vec!["A".into(), "x, \"y\"\nz".into(), "1".into()] }
        );
        assert_eq!(table.rows[1].number, 3);
    }

    #[test]
    fn as_json() {
        let table = parse("a,,a,4\nx,y,z\n").expect("a table");
        assert_eq!(table.header, None);
        let table = parse("a,,a\nx,y,z,w\n").expect("a table");
        assert_eq!(
            table.to_json().to_string(),
            r#"[{"1":"a","2":"","3":"a","4":""},{"1":"x","2":"y","3":"z","4":"w"}]"#
        );
        let table = parse("a,,b\nx,y,z,w\n").expect("a table");
        assert_eq!(table.to_json().to_string(), r#"[{"a":"x","2":"y","b":"z","4":"w"}]"#);
    }
}
