//! The text of a PDF: glyphs with places, put together to words and rows.
//!
//! Places are in points from the upper left corner of the page as it is shown, turned if it says so.

use std::collections::HashMap;

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::hayro_cmap::BfString;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, Paint, SoftMask, TransformExt, interpret_page,
};
use hayro::hayro_syntax::Pdf;
use hayro::kurbo::{Affine, BezPath, Point, Rect, Shape as _, Vec2};

use super::file::{self, too_large};
use super::limits;
use crate::Unreadable;
use crate::invoice::PageSize;

/// A document's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// Its pages.
    pub pages: Vec<Page>,
}

/// A page's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
    /// The rows of words, downwards.
    pub rows: Vec<Row>,
    /// The text is not shown: a layer under a picture, as text recognition leaves it.
    pub hidden: bool,
    /// Pictures on the page.
    pub pictures: usize,
}

/// Words on one baseline, from left to right, whatever stands between them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The words.
    pub words: Vec<Word>,
}

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Its characters; U+FFFD for a glyph that has no meaning of record, so that no digit goes missing unseen.
    pub text: String,
    /// Where it stands.
    pub bounds: Bounds,
    /// Size of its font in points.
    pub size: f32,
}

/// A box on a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The page, from 0.
    pub page: usize,
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

impl Bounds {
    /// The smallest box around both.
    pub fn union(self, other: Self) -> Self {
        Self {
            page: self.page,
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

impl Text {
    /// The sizes of the pages.
    pub fn sizes(&self) -> Vec<PageSize> {
        let points = |length: f32| length.ceil().clamp(1.0, 100_000.0) as u32;
        self.pages
            .iter()
            .map(|page| PageSize { width: points(page.width), height: points(page.height) })
            .collect()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.pages.iter().all(|page| page.rows.is_empty())
    }

    /// All words, in reading order.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.pages.iter().flat_map(|page| &page.rows).flat_map(|row| &row.words)
    }

    /// Plain text, a row a line; gaps that part columns are two blanks or more.
    pub fn plain(&self) -> String {
        let mut plain = String::new();
        for page in &self.pages {
            for row in &page.rows {
                plain.push_str(&row.plain());
                plain.push('\n');
            }
        }
        plain
    }

    /// Text without places, as if each character were half as wide as high.
    pub fn of_plain(text: &str) -> Self {
        const HEIGHT: f32 = 10.0;
        let mut page = Page { width: 595.0, height: 842.0, ..Page::default() };
        for (at, line) in text.lines().take(limits::ROWS).enumerate() {
            let top = at as f32 * HEIGHT * 1.2;
            let words = plain_words(line, top, HEIGHT);
            if !words.is_empty() {
                page.rows.push(Row { words });
            }
            page.height = page.height.max(top + 2.0 * HEIGHT);
        }
        Self { pages: vec![page] }
    }
}

fn plain_words(line: &str, top: f32, height: f32) -> Vec<Word> {
    let width = height * 0.5;
    let mut words: Vec<Word> = Vec::new();
    let mut column = 0.0;
    let mut fresh = true;
    for character in line.chars().take(limits::ROW_CHARACTERS) {
        let left = column;
        column += if character == '\t' { 4.0 * width } else { width };
        if character.is_whitespace() {
            fresh = true;
            continue;
        }
        match words.last_mut() {
            Some(word) if !fresh => {
                word.text.push(character);
                word.bounds.right = column;
            }
            _ => words.push(Word {
                text: character.to_string(),
                bounds: Bounds { page: 0, left, top, right: column, bottom: top + height },
                size: height,
            }),
        }
        fresh = false;
    }
    words
}

impl Row {
    /// The words with one blank between them, two where a gap is wide.
    pub fn plain(&self) -> String {
        let mut plain = String::new();
        let mut right = None;
        for word in &self.words {
            match right {
                Some(right) if word.bounds.left - right > word.size => plain.push_str("  "),
                Some(_) => plain.push(' '),
                None => {}
            }
            plain.push_str(&word.text);
            right = Some(word.bounds.right);
        }
        plain
    }
}

/// Reads the text of all pages.
pub(super) fn of_pdf(pdf: &Pdf) -> Result<Text, Unreadable> {
    let cache = InterpreterCache::new();
    let mut pages = Vec::new();
    let mut budget = Budget { calls: limits::CALLS, glyphs: limits::GLYPHS };
    let mut content = limits::DECODED_BYTES;
    for (index, page) in pdf.pages().iter().enumerate() {
        let (width, height) = page.render_dimensions();
        let stream = file::guarded(|| page.page_stream().map_or(0, <[u8]>::len))?;
        content = content.checked_sub(stream as u64).ok_or_else(|| {
            too_large(format!("the pages' content is more than {} bytes", limits::DECODED_BYTES))
        })?;
        let mut device = Collector { width, height, ..Collector::new(budget) };
        let result = file::guarded(|| {
            let mut context = Context::new(
                page.initial_transform(true).to_kurbo(),
                Rect::new(0.0, 0.0, f64::from(width), f64::from(height)),
                &cache,
                pdf.xref(),
                InterpreterSettings::default(),
            );
            interpret_page(page, &mut context, &mut device);
        });
        budget = device.budget;
        result?;
        pages.push(device.into_page(index));
    }
    Ok(Text { pages })
}

/// What is left of the bounds, over all pages.
#[derive(Debug, Clone, Copy)]
struct Budget {
    calls: usize,
    glyphs: usize,
}

/// A glyph with its place.
#[derive(Debug, Clone)]
struct Placed {
    text: String,
    left: f32,
    right: f32,
    baseline: f32,
    size: f32,
    /// Its place in the order of drawing.
    order: usize,
}

/// Takes down what the interpreter draws.
struct Collector {
    width: f32,
    height: f32,
    shown: Vec<Placed>,
    hidden: Vec<Placed>,
    pictures: usize,
    /// What was painted so far, but for white: boxes on which white text can be seen.
    grounds: Vec<Rect>,
    budget: Budget,
}

impl Collector {
    fn new(budget: Budget) -> Self {
        let (shown, hidden, grounds) = (Vec::new(), Vec::new(), Vec::new());
        Self { width: 0.0, height: 0.0, shown, hidden, pictures: 0, grounds, budget }
    }

    /// Counts a call of the interpreter. It cannot be told to stop, so running out unwinds through it: a form that
    /// draws ten forms that draw ten forms ends here.
    fn call(&mut self) {
        match self.budget.calls.checked_sub(1) {
            Some(calls) => self.budget.calls = calls,
            None => exhausted("drawing operations"),
        }
    }

    /// Of boxes without number all are taken to be everywhere.
    fn paint(&mut self, ground: Rect) {
        if self.grounds.len() < limits::GROUNDS {
            self.grounds.push(ground);
        }
    }

    /// Whether something was painted where a glyph stands.
    fn is_painted(&self, glyph: &Placed) -> bool {
        let middle = f64::from(glyph.left + glyph.right) / 2.0;
        let height = f64::from(glyph.baseline - glyph.size / 3.0);
        self.grounds.len() == limits::GROUNDS
            || self.grounds.iter().any(|ground| ground.contains(Point::new(middle, height)))
    }

    fn place(&mut self, glyph: &Glyph<'_>, transform: Affine, mode: &DrawMode, faint: bool) {
        match self.budget.glyphs.checked_sub(1) {
            Some(glyphs) => self.budget.glyphs = glyphs,
            None => exhausted("glyphs"),
        }
        let Some(mut placed) = placed(glyph, transform) else { return };
        placed.order = limits::GLYPHS - self.budget.glyphs;
        let outside = placed.right < 0.0
            || placed.left > self.width
            || placed.baseline < 0.0
            || placed.baseline > self.height + placed.size;
        if outside {
            return;
        }
        match mode {
            DrawMode::Invisible => self.hidden.push(placed),
            _ if faint && !self.is_painted(&placed) => self.hidden.push(placed),
            _ => self.shown.push(placed),
        }
    }

    /// Shown text goes before hidden text: a hidden layer is read only where nothing is shown beside a picture.
    fn into_page(self, index: usize) -> Page {
        let printed = |glyphs: &[Placed]| glyphs.iter().any(|glyph| !glyph.text.trim().is_empty());
        let hidden = !printed(&self.shown) && printed(&self.hidden);
        let glyphs = if hidden { self.hidden } else { self.shown };
        Page {
            width: self.width,
            height: self.height,
            rows: rows(without_repeats(glyphs), index),
            hidden,
            pictures: self.pictures,
        }
    }
}

/// Whether nobody sees on white paper what is painted so.
fn is_faint(paint: &Paint<'_>) -> bool {
    let Paint::Color(color) = paint else { return false };
    let [red, green, blue, opacity] = color.to_rgba().to_rgba8();
    opacity < 26 || red.min(green).min(blue) > 242
}

fn exhausted(what: &str) {
    std::panic::resume_unwind(Box::new(too_large(format!("more {what} than an invoice has"))));
}

/// A glyph's place; none for text that does not run from left to right, or is too small to be seen.
fn placed(glyph: &Glyph<'_>, transform: Affine) -> Option<Placed> {
    // Glyph space has a thousand units to the em.
    const EM: f64 = 1000.0;
    let [a, b, c, d, ..] = transform.as_coeffs();
    let size = c.hypot(d) * EM;
    let upright = a > 0.0 && b.abs() < 0.1 * a.abs() && d < 0.0;
    if !upright || !(1.0..=2000.0).contains(&size) {
        return None;
    }
    let advance = match glyph {
        Glyph::Outline(outline) => outline.advance_width(),
        Glyph::Type3(type3) => type3.advance_width(),
    };
    let start = transform * Point::ZERO;
    let end = start + Vec2::new(a * f64::from(advance.unwrap_or(500.0)), 0.0);
    let text = match glyph.as_unicode() {
        Some(BfString::Char(character)) => printable(&character.to_string()),
        Some(BfString::String(text)) => printable(&text),
        None => char::REPLACEMENT_CHARACTER.to_string(),
    };
    Some(Placed {
        text,
        left: start.x as f32,
        right: end.x.max(start.x) as f32,
        baseline: start.y as f32,
        size: size as f32,
        order: 0,
    })
}

/// Plain blanks, hyphens and letters for their typographic variants.
fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{fb00}' => plain.push_str("ff"),
            '\u{fb01}' => plain.push_str("fi"),
            '\u{fb02}' => plain.push_str("fl"),
            '\u{fb03}' => plain.push_str("ffi"),
            '\u{fb04}' => plain.push_str("ffl"),
            '\u{ad}' | '\u{2010}' | '\u{2011}' | '\u{2212}' => plain.push('-'),
            '\u{2019}' | '\u{2bc}' => plain.push('\''),
            '\u{200b}'..='\u{200f}' | '\u{feff}' => {}
            blank if blank.is_whitespace() || blank.is_control() => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

/// Drops a glyph that is drawn twice in nearly the same place, as poor man's bold and shadows are.
fn without_repeats(glyphs: Vec<Placed>) -> Vec<Placed> {
    let mut seen: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
    let mut kept: Vec<Placed> = Vec::with_capacity(glyphs.len());
    for glyph in glyphs {
        let cell = ((glyph.left / 4.0) as i32, (glyph.baseline / 4.0) as i32);
        let near = (-1..=1).flat_map(|x| (-1..=1).map(move |y| (cell.0 + x, cell.1 + y)));
        let repeated = near.filter_map(|cell| seen.get(&cell)).flatten().any(|at| {
            let other: &Placed = &kept[*at];
            let reach = (0.1 * glyph.size).max(0.4);
            other.text == glyph.text
                && (other.left - glyph.left).abs() < reach
                && (other.baseline - glyph.baseline).abs() < reach
        });
        if !repeated {
            seen.entry(cell).or_default().push(kept.len());
            kept.push(glyph);
        }
    }
    kept
}

/// Glyphs to rows: those on about one baseline, from left to right.
fn rows(mut glyphs: Vec<Placed>, page: usize) -> Vec<Row> {
    glyphs.retain(|glyph| !glyph.text.is_empty());
    glyphs.sort_by(|one, other| one.baseline.total_cmp(&other.baseline));
    let mut bands: Vec<Vec<Placed>> = Vec::new();
    for glyph in glyphs {
        match bands.last_mut() {
            Some(band) if on_baseline(band, &glyph) => band.push(glyph),
            _ => bands.push(vec![glyph]),
        }
    }
    bands
        .into_iter()
        .map(|band| Row { words: words(band, page) })
        .filter(|row| !row.words.is_empty())
        .collect()
}

fn on_baseline(band: &[Placed], glyph: &Placed) -> bool {
    band.first().is_some_and(|first| {
        let reach = 0.35 * first.size.min(glyph.size);
        glyph.baseline - first.baseline <= reach
    })
}

/// A word as it is drawn.
struct Drawn {
    word: Word,
    /// A blank was drawn before it, or after it.
    blank_before: bool,
    blank_after: bool,
}

/// Glyphs to words: first in the order of drawing, so that texts that overlap on the page do not mix their letters,
/// then those that touch, as a word does that was drawn in pieces.
fn words(mut band: Vec<Placed>, page: usize) -> Vec<Word> {
    band.sort_by_key(|glyph| glyph.order);
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut blank = true;
    for glyph in band {
        if glyph.text.trim().is_empty() {
            if let Some(last) = drawn.last_mut().filter(|last| touches(last.word.bounds.right, &glyph)) {
                last.blank_after = true;
            }
            blank = true;
            continue;
        }
        let bounds = Bounds {
            page,
            left: glyph.left,
            top: glyph.baseline - 0.8 * glyph.size,
            right: glyph.right,
            bottom: glyph.baseline + 0.2 * glyph.size,
        };
        match drawn.last_mut() {
            Some(last) if !blank && touches(last.word.bounds.right, &glyph) => {
                last.word.text.push_str(&glyph.text);
                last.word.bounds = last.word.bounds.union(bounds);
            }
            last => {
                let blank_before =
                    last.is_some_and(|last| last.blank_after && touches(last.word.bounds.right, &glyph));
                let word = Word { text: glyph.text, bounds, size: glyph.size };
                drawn.push(Drawn { word, blank_before, blank_after: false });
            }
        }
        blank = false;
    }
    drawn.sort_by(|one, other| one.word.bounds.left.total_cmp(&other.word.bounds.left));
    let mut words: Vec<Drawn> = Vec::new();
    for next in drawn {
        match words.last_mut() {
            Some(last) if joins(last, &next) => {
                last.word.text.push_str(&next.word.text);
                last.word.bounds = last.word.bounds.union(next.word.bounds);
                last.blank_after = next.blank_after;
            }
            _ => words.push(next),
        }
    }
    words.into_iter().map(|drawn| drawn.word).collect()
}

/// A gap of a fifth of the font's height is a blank that was never drawn; a large step back is another text.
fn touches(right: f32, glyph: &Placed) -> bool {
    let gap = glyph.left - right;
    gap < 0.2 * glyph.size && gap > -0.5 * glyph.size
}

fn joins(last: &Drawn, next: &Drawn) -> bool {
    let gap = next.word.bounds.left - last.word.bounds.right;
    let size = last.word.size.max(next.word.size);
    !last.blank_after && !next.blank_before && gap < 0.2 * size && gap > -0.15 * size
}

impl<'a> Device<'a> for Collector {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.call();
        let is_filled = matches!(mode, DrawMode::Fill(_) | DrawMode::FillAndStroke(..));
        if is_filled && !is_faint(&props.paint) {
            self.paint(props.transform.transform_rect_bbox(path.bounding_box()));
        }
    }
    fn push_clip_path(&mut self, _: &ClipPath) {
        self.call();
    }
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.call();
    }
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        self.call();
        let faint = is_faint(&props.paint);
        for glyph in run.glyphs() {
            self.place(glyph, props.transform * glyph.transform(), mode, faint);
        }
    }
    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.call();
        self.pictures += 1;
        let pixels = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
        self.paint(props.transform.transform_rect_bbox(pixels));
    }
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}
