//! A value, and where the document says it.

use readers::invoice::{Invoice, Place};

/// A value of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// What it is, in words.
    pub label: &'static str,
    /// As the document has it; none: it does not say.
    pub text: Option<String>,
    /// Where it stands.
    pub source: Option<Source>,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// In words.
    pub place: String,
    /// `page x y width height`, in points, of what is on a page; else empty.
    pub area: String,
    /// How sure the reader is, in percent.
    pub sure: u8,
}

/// Longest text that is kept on one line.
const LONG: usize = 20;

impl Value {
    /// Whether its text may have to be broken.
    pub fn is_long(&self) -> bool {
        self.text.as_ref().is_some_and(|text| text.len() > LONG)
    }

    /// The value at a pointer into the invoice.
    pub fn of(invoice: &Invoice, pointer: &str, label: &'static str, text: Option<impl ToString>) -> Self {
        let source = invoice.evidence.get(pointer).map(|evidence| Source {
            place: place(&evidence.place),
            area: area(&evidence.place),
            sure: evidence.confidence,
        });
        Self { label, text: text.map(|text| text.to_string()), source }
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Xml { xpath } => xpath.clone(),
        Place::Segment { segment, element } => format!("segment {segment}, {element}"),
        Place::Cell { row, column } => format!("row {row}, column {column}"),
        Place::Page { page, .. } => format!("page {page}"),
    }
}

fn area(place: &Place) -> String {
    match place {
        Place::Page { page, x, y, width, height } => format!("{page} {x} {y} {width} {height}"),
        _ => String::new(),
    }
}
