//! Why a document is not read.

use serde::{Deserialize, Serialize};

/// A document that is refused as a whole: nothing in it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// Stable reason.
    pub reason: Reason,
    /// What is the matter, and where.
    pub message: String,
}

impl Unreadable {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Kinds of refusals; the text never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There are no bytes, or blanks only.
    Empty,
    /// Not a format that is known.
    Unsupported,
    /// A known format that says something else than an invoice: an order, a catalogue.
    NotAnInvoice,
    /// Breaks its own format so that nothing can be trusted.
    Damaged,
    /// Uses what is never read: a DTD, external entities.
    Forbidden,
    /// Exceeds a bound: bytes, nodes, depth, rows, or what it decompresses to.
    TooLarge,
    /// Needs a password.
    Encrypted,
    /// Pages without text: pictures of a document.
    NoText,
    /// Text, but no invoice that could be found in it.
    NoInvoice,
}

impl From<formats::Error> for Unreadable {
    fn from(error: formats::Error) -> Self {
        let reason = match error.problem {
            formats::Problem::Empty => Reason::Empty,
            formats::Problem::Encoding | formats::Problem::Syntax => Reason::Damaged,
            formats::Problem::Forbidden => Reason::Forbidden,
            formats::Problem::TooLarge => Reason::TooLarge,
        };
        Self::new(reason, error.to_string())
    }
}
