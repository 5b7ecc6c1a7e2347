//! Delimited text with a header row.

use formats::csv;

use crate::invoice::{Format, Reading};
use crate::table::{self, Cell, Grid, NotRead};
use crate::{Hints, Reason, Unreadable};

/// Share of control characters, in a thousand, above which bytes are no text.
const MAX_CONTROLS: usize = 5;

pub(crate) fn read(bytes: &[u8], hints: &Hints) -> Result<Reading, Unreadable> {
    let claimed = is_claimed(hints);
    let unsupported = |what: &str| Unreadable::new(Reason::Unsupported, what.to_owned());
    let text = formats::text::decode(bytes)?;
    let controls =
        text.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}')).count();
    if controls * 1_000 > text.chars().count() * MAX_CONTROLS {
        return Err(unsupported("not a format that is known"));
    }
    let grid = match csv::parse(&text) {
        Ok(table) => grid(table),
        Err(error) if claimed || error.problem == formats::Problem::TooLarge => return Err(error.into()),
        Err(_) => return Err(unsupported("not a format that is known")),
    };
    table::read(&grid, Format::Csv).map_err(|error| match error {
        NotRead::Other(error) => error,
        NotRead::NoHeader if claimed => no_invoice(),
        NotRead::NoHeader => {
            unsupported("text, but neither a format that is known nor a table of invoice lines")
        }
    })
}

pub(crate) fn no_invoice() -> Unreadable {
    let message =
        "no row names an item, a quantity and a price or an amount, as the header of invoice lines does";
    Unreadable::new(Reason::NoInvoice, message)
}

fn is_claimed(hints: &Hints) -> bool {
    let name = hints.file_name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let kind = hints.content_type.as_deref().unwrap_or_default().to_ascii_lowercase();
    [".csv", ".tsv", ".tab"].iter().any(|end| name.ends_with(end))
        || kind.contains("csv")
        || kind.contains("tab-sep")
}

fn grid(table: csv::Table) -> Grid {
    let cell = |text: String| Cell { text, typed: false };
    let row = |row: csv::Row| (row.number, row.cells.into_iter().map(cell).collect());
    Grid { rows: table.rows.into_iter().map(row).collect() }
}
