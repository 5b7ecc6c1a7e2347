//! Why bytes could not be decoded.

use std::fmt;

/// A refusal, with its place where one is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", at(.position))]
pub struct Error {
    /// What kind.
    pub problem: Problem,
    /// What is the matter.
    pub message: String,
    /// Where.
    pub position: Option<Position>,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// No bytes, or blanks only.
    Empty,
    /// The bytes are not text in the encoding they claim.
    Encoding,
    /// The text breaks the format's syntax.
    Syntax,
    /// The text uses what is never read: a DTD.
    Forbidden,
    /// A bound is exceeded.
    TooLarge,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The place of a byte offset in a text.
    pub fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { line: count(line + 1), column: count(column + 1) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}, column {}", self.line, self.column)
    }
}

fn at(position: &Option<Position>) -> String {
    position.map(|position| format!(" ({position})")).unwrap_or_default()
}

impl Error {
    pub(crate) fn new(problem: Problem, message: impl Into<String>) -> Self {
        Self { problem, message: message.into(), position: None }
    }

    pub(crate) fn at(problem: Problem, message: impl Into<String>, text: &str, offset: usize) -> Self {
        Self { problem, message: message.into(), position: Some(Position::of(text, offset)) }
    }
}
