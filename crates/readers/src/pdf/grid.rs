//! Text as the layout reader looks at it: lines of tokens, tokens grouped to cells by the gaps between them.

use std::ops::Range;

use super::text::{Bounds, Text};

/// A piece of a word: words are cut after a colon, `°` and `#`, which glue labels to values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// As printed.
    pub text: String,
    /// To compare with: lower case without accents, letters and digits only.
    pub norm: String,
    /// Where it stands.
    pub bounds: Bounds,
    /// Size of its font.
    pub size: f32,
}

/// The tokens on one baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// From left to right.
    pub tokens: Vec<Token>,
    /// Tokens with no more than a blank between them.
    pub cells: Vec<Range<usize>>,
}

/// All lines, page after page.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Grid {
    /// Downwards.
    pub lines: Vec<Line>,
}

impl Grid {
    pub(super) fn new(text: &Text) -> Self {
        let rows = text.pages.iter().flat_map(|page| &page.rows);
        let lines = rows.map(|row| {
            let tokens: Vec<Token> =
                row.words.iter().flat_map(|word| split(&word.text, word.bounds, word.size)).collect();
            let cells = cells(&tokens);
            Line { tokens, cells }
        });
        Self { lines: lines.filter(|line| !line.tokens.is_empty()).collect() }
    }

    /// All tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.lines.iter().flat_map(|line| &line.tokens)
    }
}

impl Line {
    /// The page, from 0.
    pub(super) fn page(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.bounds.page)
    }

    /// Upper edge of its first token.
    pub(super) fn top(&self) -> f32 {
        self.tokens.iter().map(|token| token.bounds.top).fold(f32::MAX, f32::min)
    }

    /// Height of its largest token.
    pub(super) fn size(&self) -> f32 {
        self.tokens.iter().map(|token| token.size).fold(1.0, f32::max)
    }

    /// The text of some of its tokens.
    pub(super) fn text(&self, range: Range<usize>) -> String {
        let mut text = String::new();
        let mut right: Option<f32> = None;
        for token in self.tokens.get(range).unwrap_or_default() {
            if right.is_some_and(|right| token.bounds.left - right > 0.05 * token.size) {
                text.push(' ');
            }
            text.push_str(&token.text);
            right = Some(token.bounds.right);
        }
        text
    }

    /// The box around some of its tokens.
    pub(super) fn bounds(&self, range: Range<usize>) -> Option<Bounds> {
        self.tokens.get(range)?.iter().map(|token| token.bounds).reduce(Bounds::union)
    }

    /// The cell that a token is in.
    pub(super) fn cell_of(&self, token: usize) -> Range<usize> {
        self.cells.iter().find(|cell| cell.contains(&token)).cloned().unwrap_or(token..token + 1)
    }

    /// Where tokens that begin at `start` read like one of the labels, blanks and signs aside: the longest one's
    /// place in `labels`, and where it ends. What a font or a designer tears apart (`I nvoice`) is put together.
    pub(super) fn label_at(&self, start: usize, labels: &[&str]) -> Option<(usize, usize)> {
        let mut joined = String::new();
        let mut best = None;
        for (offset, token) in self.tokens.get(start..)?.iter().take(8).enumerate() {
            let end = start + offset;
            let apart = end > start
                && self
                    .tokens
                    .get(end - 1)
                    .is_some_and(|last| token.bounds.left - last.bounds.right > 1.5 * token.size);
            if apart {
                break;
            }
            joined.push_str(&token.norm);
            if joined.len() > 48 {
                break;
            }
            if let Some(at) = labels.iter().position(|label| *label == joined) {
                best = Some((at, end + 1));
            }
        }
        best
    }
}

/// Lower case, letters and digits, no accents.
pub(super) fn norm(text: &str) -> String {
    let mut norm = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => norm.push('a'),
            'è' | 'é' | 'ê' | 'ë' => norm.push('e'),
            'ì' | 'í' | 'î' | 'ï' => norm.push('i'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => norm.push('o'),
            'ù' | 'ú' | 'û' | 'ü' => norm.push('u'),
            'ç' => norm.push('c'),
            'ñ' => norm.push('n'),
            'ß' => norm.push_str("ss"),
            'æ' => norm.push_str("ae"),
            'œ' => norm.push_str("oe"),
            '%' => norm.push('%'),
            // Ordinal signs of `Nº` and `1ª`, which count as letters.
            'º' | 'ª' => {}
            character if character.is_alphanumeric() => norm.push(character),
            _ => {}
        }
    }
    norm
}

fn split(text: &str, bounds: Bounds, size: f32) -> Vec<Token> {
    let count = text.chars().count().max(1) as f32;
    let width = (bounds.right - bounds.left) / count;
    let mut tokens = Vec::new();
    let mut piece = String::new();
    let mut from = 0_usize;
    for (at, character) in text.chars().enumerate() {
        piece.push(character);
        let last = at + 1 == count as usize;
        // A time of day keeps its colon.
        let colon = character == ':'
            && !text.chars().nth(at + 1).is_some_and(|next| {
                next.is_ascii_digit()
                    && at > 0
                    && text.chars().nth(at - 1).is_some_and(|previous| previous.is_ascii_digit())
            });
        if last || colon || matches!(character, '°' | 'º' | '#') {
            let left = bounds.left + width * from as f32;
            let right = if last { bounds.right } else { bounds.left + width * (at + 1) as f32 };
            let text = std::mem::take(&mut piece);
            tokens.push(Token { norm: norm(&text), text, bounds: Bounds { left, right, ..bounds }, size });
            from = at + 1;
        }
    }
    tokens
}

fn cells(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut cells: Vec<Range<usize>> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let near = at
            .checked_sub(1)
            .and_then(|last| tokens.get(last))
            .is_some_and(|last| token.bounds.left - last.bounds.right <= 0.75 * token.size.max(last.size));
        match cells.last_mut() {
            Some(cell) if near => cell.end = at + 1,
            _ => cells.push(at..at + 1),
        }
    }
    cells
}
