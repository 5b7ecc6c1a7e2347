//! Office Open XML spreadsheets (ECMA-376), by `calamine`. Of several sheets the first that is an invoice is read, and
//! others that look like one are named in a flag.
//!
//! A workbook is a ZIP archive, and its bombs are those of ZIP: what it decompresses to is measured before the
//! library sees it, and cells are taken one by one, as a sheet may claim any size.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use calamine::{DataRef, Reader, Xlsx, XlsxError};

use crate::draft::flag;
use crate::invoice::{FlagCode, Format, Reading};
use crate::table::{self, Cell, Grid, NotRead, cut};
use crate::{Reason, Unreadable, csv};

/// Most bytes of the archive.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes that all its entries decompress to.
const MAX_DECOMPRESSED: u64 = 128 * 1024 * 1024;
/// Most entries.
const MAX_ENTRIES: usize = 2_000;
/// Most cells of all sheets, with those between them that are empty.
const MAX_CELLS: usize = 2_000_000;
/// Most sheets that are looked at.
const MAX_SHEETS: usize = 32;
/// Columns behind this one are not read.
const MAX_COLUMNS: u32 = 512;

pub(crate) fn read(bytes: &[u8]) -> Result<Reading, Unreadable> {
    measure(bytes)?;
    let mut book: Xlsx<_> = calamine::open_workbook_from_rs(Cursor::new(bytes)).map_err(damaged)?;
    let names = book.sheet_names();
    let mut cells = 0;
    let mut first: Option<Reading> = None;
    let mut left_out = Vec::new();
    for name in names.iter().take(MAX_SHEETS) {
        let grid = match grid(&mut book, name, &mut cells) {
            Ok(Some(grid)) => grid,
            Ok(None) => continue,
            Err(error) if first.is_none() => return Err(error),
            // What it holds nobody knows; the invoice is there.
            Err(_) => {
                left_out.push(cut(name));
                continue;
            }
        };
        match (table::read(&grid, Format::Xlsx), &first) {
            (Err(NotRead::NoHeader), _) => {}
            (Err(NotRead::Other(error)), None) => return Err(error),
            (Ok(reading), None) => first = Some(reading),
            (Ok(_) | Err(NotRead::Other(_)), Some(_)) => left_out.push(cut(name)),
        }
    }
    if names.len() > MAX_SHEETS {
        left_out.push(format!("those behind the {MAX_SHEETS}th"));
    }
    let Some(mut reading) = first else { return Err(csv::no_invoice()) };
    if !left_out.is_empty() {
        let message = format!(
            "more sheets than the first one may hold lines, and are not read: {}",
            left_out.join(", ")
        );
        for invoice in &mut reading.invoices {
            invoice.flags.push(flag(FlagCode::Uncertain, message.clone()));
        }
    }
    Ok(reading)
}

fn damaged(error: XlsxError) -> Unreadable {
    match error {
        XlsxError::Password => Unreadable::new(Reason::Encrypted, "a workbook that needs a password"),
        error => Unreadable::new(Reason::Damaged, format!("not a workbook that can be read: {error}")),
    }
}

/// Refuses what is too large once it is decompressed: by what the archive declares, then by what it really is.
fn measure(bytes: &[u8]) -> Result<(), Unreadable> {
    let too_large = |message: String| Unreadable::new(Reason::TooLarge, message);
    if bytes.len() > MAX_BYTES {
        return Err(too_large(format!("{} bytes: at most {MAX_BYTES} are read", bytes.len())));
    }
    let broken = |error: zip::result::ZipError| {
        Unreadable::new(Reason::Damaged, format!("not an archive that can be read: {error}"))
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if archive.index_for_name("xl/workbook.xml").is_none() {
        return Err(Unreadable::new(Reason::Unsupported, "a ZIP archive that is no .xlsx workbook"));
    }
    if archive.len() > MAX_ENTRIES {
        return Err(too_large(format!("an archive of more than {MAX_ENTRIES} entries")));
    }
    let mut left = MAX_DECOMPRESSED;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(broken)?;
        let declared = entry.size();
        // One byte more than may be shows that there is more.
        let real = std::io::copy(&mut entry.take(left + 1), &mut std::io::sink()).map_err(|error| {
            Unreadable::new(Reason::Damaged, format!("an entry cannot be decompressed: {error}"))
        })?;
        if declared > left || real > left {
            return Err(too_large(format!("a workbook of more than {MAX_DECOMPRESSED} bytes decompressed")));
        }
        left -= real;
    }
    Ok(())
}

/// The cells of a sheet that have something in them; nothing for a sheet that is no table.
fn grid(book: &mut Xlsx<Cursor<&[u8]>>, name: &str, count: &mut usize) -> Result<Option<Grid>, Unreadable> {
    let mut reader = match book.worksheet_cells_reader(name) {
        Ok(reader) => reader,
        Err(XlsxError::NotAWorksheet(_)) => return Ok(None),
        Err(error) => return Err(damaged(error)),
    };
    let mut rows: BTreeMap<u32, Vec<Cell>> = BTreeMap::new();
    while let Some(found) = reader.next_cell().map_err(damaged)? {
        let (row, column) = found.get_position();
        let Some(cell) = cell(found.get_value()).filter(|_| column < MAX_COLUMNS) else { continue };
        let cells = rows.entry(row).or_default();
        let column = column as usize;
        *count += 1 + (column + 1).saturating_sub(cells.len());
        if *count > MAX_CELLS {
            return Err(Unreadable::new(Reason::TooLarge, format!("more than {MAX_CELLS} cells")));
        }
        if cells.len() <= column {
            cells.resize(column + 1, Cell::default());
        }
        cells[column] = cell;
    }
    let rows = rows.into_iter().map(|(row, cells)| (row.saturating_add(1), cells)).collect();
    Ok(Some(Grid { rows }))
}

fn cell(value: &DataRef<'_>) -> Option<Cell> {
    let typed = |text: String| Cell { text, typed: true };
    let plain = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Cell { text: text.to_owned(), typed: false })
    };
    match value {
        DataRef::Int(number) => Some(typed(number.to_string())),
        DataRef::Float(number) => Some(typed(exact(*number)?)),
        DataRef::String(text) => plain(text),
        DataRef::SharedString(text) => plain(text),
        DataRef::DateTime(date) if date.is_datetime() => {
            let (year, month, day, ..) = date.to_ymd_hms_milli();
            Some(typed(format!("{year:04}-{month:02}-{day:02}")))
        }
        DataRef::DateTimeIso(text) => Some(typed(text.get(..10)?.to_owned())),
        // An error in a formula is not nothing: it must not be read as an empty cell.
        DataRef::Error(error) => Some(Cell { text: error.to_string(), typed: false }),
        _ => None,
    }
}

/// The number that a person sees: spreadsheets calculate with 15 digits, and what a binary fraction adds behind
/// them (`0.1 + 0.2`) is no part of it.
fn exact(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    let shown = format!("{number:.14e}");
    let (mantissa, exponent) = shown.split_once('e')?;
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    contract::Decimal::parse(&format!("{mantissa}e{exponent}")).ok().map(|value| value.to_string())
}

#[cfg(test)]
mod tests;
