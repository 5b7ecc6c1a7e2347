//! # formats: generic decoders of structured documents
//!
//! From bytes to a tree, whatever the tree is about. Invoice readers take values with their positions from it, and
//! vendor mappings take the same tree as JSON.
//!
//! | module | what | source |
//! |---|---|---|
//! | [`text`] | bytes to text: byte order marks, UTF-8, UTF-16, windows-1252 | WHATWG Encoding |
//! | [`xml`] | strict XML without DTD | XML 1.0, Namespaces 1.0 |
//! | [`x12`] | ANSI X12 interchanges | X12.5, X12.6 |
//! | [`edifact`] | UN/EDIFACT interchanges | ISO 9735:1988 and ISO 9735-1:2002 |
//! | [`csv`] | delimited text with a header row | RFC 4180, and what people do to it |
//! | [`sniff`] | which of them some bytes are | |
//!
//! Pure. All of it is bounded, nothing panics, and every error says where.

pub mod csv;
pub mod edifact;
mod error;
pub mod sniff;
pub mod text;
pub mod x12;
pub mod xml;

pub use error::{Error, Position, Problem};
pub use sniff::{Kind, sniff};

/// Most bytes of one document.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Refuses what is larger than [`MAX_BYTES`], and what is empty.
fn check_size(bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > MAX_BYTES {
        let message = format!("{} bytes: at most {MAX_BYTES} are read", bytes.len());
        return Err(Error::new(Problem::TooLarge, message));
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(Problem::Empty, "there is nothing in it"));
    }
    Ok(())
}
