//! The PDF reader: embedded XML first, else the visible text by its layout.
//!
//! Built on the `hayro` family. Its interpreter hands every glyph to a device with its place, its mode (hidden text
//! is marked) and its Unicode, by the font's ToUnicode map, else by its glyphs' names; a glyph whose meaning the
//! file does not tell stays U+FFFD. One library thus reads objects, text and embedded files and draws the pages of
//! the review, so that a box found by one is right for the other; a second one (lopdf, pdf-extract) would bring a
//! second opinion about every broken file.

mod amounts;
mod dates;
mod draw;
mod embedded;
mod fields;
mod file;
mod grid;
mod header;
mod hybrid;
mod layout;
mod parties;
mod table;
mod templates;
mod text;
mod totals;
mod vocabulary;

use hayro::hayro_syntax::Pdf;

pub use draw::render;
pub use embedded::Embedded;
pub use templates::{Template, TemplateError};
pub use text::{Bounds, Page, Row, Text, Word};

use crate::invoice::{Flag, FlagCode, Format, Reading};
use crate::{Hints, Reason, Unreadable};

/// Bounds. An invoice that exceeds one of them is refused, not cut.
pub mod limits {
    /// Bytes of a file.
    pub const FILE_BYTES: usize = 64 << 20;
    /// Bytes that all its streams decode to, pictures aside.
    pub const DECODED_BYTES: u64 = 256 << 20;
    /// Filters in a row that are looked through.
    pub const FILTERS: usize = 4;
    /// Objects.
    pub const OBJECTS: usize = 200_000;
    /// Dictionaries within dictionaries.
    pub const DEPTH: usize = 500;
    /// Procedures within procedures of a PostScript function.
    pub const BRACES: usize = 64;
    /// Pages.
    pub const PAGES: usize = 200;
    /// Glyphs on all pages.
    pub const GLYPHS: usize = 1_000_000;
    /// Boxes on a page that are kept to tell whether white text can be seen.
    pub const GROUNDS: usize = 1_000;
    /// Drawing operations on all pages.
    pub const CALLS: usize = 2_000_000;
    /// Files inside.
    pub const EMBEDDED_FILES: usize = 64;
    /// Bytes of all files inside that are read.
    pub const EMBEDDED_BYTES: u64 = 32 << 20;
    /// Nodes of the tree of files inside.
    pub const TREE_NODES: usize = 1_000;
    /// Widest drawing of a page.
    pub const PIXELS_WIDE: u32 = 2_400;
    /// Highest drawing of a page.
    pub const PIXELS_HIGH: u32 = 10_000;
    /// Pixels of all pictures.
    pub const PICTURE_PIXELS: u64 = 200_000_000;
    /// Words that are looked at as an invoice's.
    pub const WORDS: usize = 200_000;
    /// Lines of plain text.
    pub const ROWS: usize = 50_000;
    /// Characters of a line of plain text.
    pub const ROW_CHARACTERS: usize = 4_000;
}

/// Reads a PDF: its embedded XML, checked against the pages, else its text.
pub fn read(bytes: &[u8], hints: &Hints) -> Result<Reading, Unreadable> {
    read_with(bytes, hints, &[])
}

/// As [`read`], with templates for layouts that the general reader does not get.
pub fn read_with(bytes: &[u8], _hints: &Hints, templates: &[Template]) -> Result<Reading, Unreadable> {
    let pdf = file::open(bytes)?;
    let xml = embedded::invoice_xml(&pdf)?;
    let refusal = match xml.map(|xml| crate::of_xml(&xml.bytes)) {
        Some(Ok(reading)) => return witnessed(&pdf, reading),
        Some(Err(refusal)) if matches!(refusal.reason, Reason::TooLarge | Reason::Forbidden) => {
            return Err(refusal);
        }
        Some(Err(refusal)) => Some(refusal),
        None => None,
    };
    let mut reading = of_pages(&pdf, templates).map_err(|error| refusal.clone().unwrap_or(error))?;
    if let Some(refusal) = refusal {
        let message = format!("the embedded XML cannot be read ({refusal}); the pages were read instead");
        for invoice in &mut reading.invoices {
            invoice.flags.push(Flag { code: FlagCode::Malformed, message: message.clone() });
        }
    }
    Ok(reading)
}

/// Reads a PDF's text though there is XML in it: what a person sees.
pub fn read_visible(bytes: &[u8], templates: &[Template]) -> Result<Reading, Unreadable> {
    of_pages(&file::open(bytes)?, templates)
}

fn of_pages(pdf: &Pdf, templates: &[Template]) -> Result<Reading, Unreadable> {
    let text = text::of_pdf(pdf)?;
    if text.is_empty() {
        return Err(Unreadable::new(Reason::NoText, "the pages have no text: pictures of a document"));
    }
    read_text(&text, templates)
}

/// Reads text, of a PDF or plain ([`Text::of_plain`]).
pub fn read_text(text: &Text, templates: &[Template]) -> Result<Reading, Unreadable> {
    if text.words().nth(limits::WORDS).is_some() {
        return Err(file::too_large(format!("more than {} words", limits::WORDS)));
    }
    match templates.iter().find(|template| template.matches(text)) {
        Some(template) => template.read(text),
        None => layout::read(text),
    }
}

/// The XML's reading, compared with the pages.
fn witnessed(pdf: &Pdf, mut reading: Reading) -> Result<Reading, Unreadable> {
    // The XML was read; a defect in the pages is a reason to look, not to refuse.
    let text = match text::of_pdf(pdf) {
        Ok(text) => Some(text),
        Err(refusal) if refusal.reason == Reason::TooLarge => return Err(refusal),
        Err(_) => None,
    };
    for invoice in &mut reading.invoices {
        invoice.format = Format::FacturX;
        hybrid::compare(invoice, text.as_ref());
    }
    reading.pages = text.map(|text| text.sizes()).unwrap_or_default();
    Ok(reading)
}

/// The invoice XML inside a PDF, as it is.
pub fn embedded_xml(bytes: &[u8]) -> Result<Option<Embedded>, Unreadable> {
    embedded::invoice_xml(&file::open(bytes)?)
}

/// The text of a PDF, with the places of its words.
pub fn text(bytes: &[u8]) -> Result<Text, crate::Unreadable> {
    text::of_pdf(&file::open(bytes)?)
}
