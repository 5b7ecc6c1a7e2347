//! Templates: layouts that the general reader does not get, as configuration.
//!
//! ```yaml
//! keywords: [Basic Test]            # all of them are in the text, as they are
//! currency: EUR                     # where the text does not say it
//! decimals: point                   # or comma; where it is absent, the numbers tell
//! fields:                           # a regex each; the value is group 1, of the first row that matches
//!   number: 'Invoice number:\s*(\S+)'
//!   issueDate: 'Issue date:\s*(\S+)'
//!   gross: 'Total:\s*([\d.]+)'      # also currency, supplier, buyer, lines, net, tax, prepaid, payable
//! lines:                            # blocks of rows between two that are not lines themselves
//!   - start: '^Columns start'
//!     end: '^Columns end'
//!     line: ['^(?P<lineId>\d+)\. +(?P<description>\S+) +(?P<quantity>[\d.]+)(?: +(?P<unit>\S+))?$']
//! ```
//!
//! Rows are the text's, columns parted by two blanks. A row that no pattern of its block matches continues the
//! description of the line above, if `continues: true` is set. Groups: lineId, sku, gtin, description, quantity, unit,
//! unitPrice, taxRate, net. What a template reads is checked as everything else is.

use std::collections::BTreeMap;

use contract::Decimal;
use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;

use super::amounts::{Convention, number};
use super::dates::{Order, dates};
use super::fields;
use super::grid::Grid;
use super::layout::{self, place};
use super::text::{Bounds, Row, Text};
use crate::invoice::{Evidence, Flag, FlagCode, Invoice, Line, Reading, gtin14};
use crate::{Reason, Unreadable};

/// Largest template.
const MAX_BYTES: usize = 64 << 10;
/// Most bytes of a compiled pattern.
const MAX_PATTERN: usize = 1 << 20;
/// Most lines that a template reads.
const MAX_LINES: usize = 10_000;

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not YAML of this form.
    #[error("template: {0}")]
    Syntax(String),
    /// A pattern is no regular expression, or too large.
    #[error("template, {name}: {message}")]
    Pattern {
        /// Where it stands.
        name: String,
        /// What is the matter.
        message: String,
    },
    /// Without keywords it would match everything.
    #[error("template: keywords are needed to know which documents it is for")]
    NoKeywords,
}

/// A template.
#[derive(Debug, Clone)]
pub struct Template {
    keywords: Vec<String>,
    currency: Option<String>,
    convention: Option<Convention>,
    fields: Vec<(Field, Regex)>,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
struct Block {
    start: Regex,
    end: Regex,
    line: Vec<Regex>,
    continues: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Source {
    keywords: Vec<String>,
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    decimals: Option<Decimals>,
    #[serde(default)]
    fields: BTreeMap<Field, String>,
    #[serde(default)]
    lines: Vec<BlockSource>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BlockSource {
    start: String,
    end: String,
    line: Vec<String>,
    #[serde(default)]
    continues: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Decimals {
    Comma,
    Point,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Field {
    Number,
    IssueDate,
    Currency,
    Supplier,
    Buyer,
    Lines,
    Net,
    Tax,
    Gross,
    Prepaid,
    Payable,
}

impl Template {
    /// Parses a template.
    pub fn parse(yaml: &str) -> Result<Self, TemplateError> {
        if yaml.len() > MAX_BYTES {
            return Err(TemplateError::Syntax(format!("more than {MAX_BYTES} bytes")));
        }
        let source: Source =
            serde_saphyr::from_str(yaml).map_err(|error| TemplateError::Syntax(error.to_string()))?;
        if source.keywords.is_empty() || source.keywords.iter().any(|keyword| keyword.trim().is_empty()) {
            return Err(TemplateError::NoKeywords);
        }
        let fields = source
            .fields
            .iter()
            .map(|(field, pattern)| Ok((*field, compile(&format!("{field:?}"), pattern)?)));
        let blocks = source.lines.into_iter().map(|block| {
            Ok(Block {
                start: compile("start", &block.start)?,
                end: compile("end", &block.end)?,
                line: block.line.iter().map(|pattern| compile("line", pattern)).collect::<Result<_, _>>()?,
                continues: block.continues,
            })
        });
        Ok(Self {
            keywords: source.keywords,
            currency: source.currency,
            convention: source.decimals.map(|decimals| match decimals {
                Decimals::Comma => Convention::Comma,
                Decimals::Point => Convention::Point,
            }),
            fields: fields.collect::<Result<_, TemplateError>>()?,
            blocks: blocks.collect::<Result<_, TemplateError>>()?,
        })
    }

    /// Whether all its keywords are in the text.
    pub fn matches(&self, text: &Text) -> bool {
        let plain = text.plain();
        self.keywords.iter().all(|keyword| plain.contains(keyword.as_str()))
    }

    /// Reads a text.
    pub(super) fn read(&self, text: &Text) -> Result<Reading, Unreadable> {
        let grid = Grid::new(text);
        let mut reader = Reader {
            invoice: layout::empty(),
            convention: self.convention.unwrap_or_else(|| Convention::of(&grid)),
            order: Order::of(&grid, fields::is_english(&grid)),
            unread: 0,
        };
        reader.invoice.currency.clone_from(&self.currency);
        for (field, pattern) in &self.fields {
            let rows = text.pages.iter().flat_map(|page| &page.rows);
            let found = rows.filter_map(|row| Some((capture(pattern, &row.plain())?, around(row)?))).next();
            if let Some((value, bounds)) = found {
                reader.field(*field, &value, bounds);
            }
        }
        for block in &self.blocks {
            reader.block(block, text);
        }
        let (mut invoice, unread) = (reader.invoice, reader.unread);
        if invoice.number.is_none() && invoice.lines.is_empty() {
            return Err(Unreadable::new(
                Reason::NoInvoice,
                "the template's keywords are there, but nothing it looks for",
            ));
        }
        layout::whole(&mut invoice, &grid, text);
        if unread > 0 {
            let message =
                format!("{unread} rows among the lines fit no pattern of the template, and are not read");
            invoice.flags.push(Flag { code: FlagCode::Unreadable, message });
        }
        crate::check::foot(&mut invoice);
        Ok(Reading { invoices: vec![invoice], pages: text.sizes() })
    }
}

fn compile(name: &str, pattern: &str) -> Result<Regex, TemplateError> {
    let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
    regex.map_err(|error| TemplateError::Pattern { name: name.to_owned(), message: error.to_string() })
}

fn capture(pattern: &Regex, row: &str) -> Option<String> {
    let captures = pattern.captures(row)?;
    Some(captures.get(1).or_else(|| captures.get(0))?.as_str().trim().to_owned())
}

fn around(row: &Row) -> Option<Bounds> {
    row.words.iter().map(|word| word.bounds).reduce(Bounds::union)
}

struct Reader {
    invoice: Invoice,
    convention: Convention,
    order: Order,
    /// Rows among the lines of which nothing was made.
    unread: usize,
}

impl Reader {
    fn evident(&mut self, pointer: String, bounds: Bounds) {
        self.invoice.evidence.insert(pointer, Evidence { place: place(bounds), confidence: 90 });
    }

    fn unreadable(&mut self, what: &str, text: &str) {
        let message = format!("{what}: `{}` cannot be read", text.chars().take(64).collect::<String>());
        self.invoice.flags.push(Flag { code: FlagCode::Unreadable, message });
    }

    fn amount(&mut self, what: &str, text: &str) -> Option<Decimal> {
        let (negative, bare) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.trim()),
            None => (false, text),
        };
        let value =
            number(bare, self.convention).map(|(value, _)| if negative { value.negated() } else { value });
        if value.is_none() {
            self.unreadable(what, text);
        }
        value
    }

    fn field(&mut self, field: Field, text: &str, bounds: Bounds) {
        let total = |member: &str| format!("/totals/{member}");
        let pointer = match field {
            Field::Number => {
                self.invoice.number = Some(text.to_owned());
                "/number".to_owned()
            }
            Field::IssueDate => {
                self.invoice.issue_date = self.date(text);
                "/issueDate".to_owned()
            }
            Field::Currency => {
                self.invoice.currency = Some(text.to_owned());
                "/currency".to_owned()
            }
            Field::Supplier => {
                self.invoice.supplier.name = Some(text.to_owned());
                "/supplier/name".to_owned()
            }
            Field::Buyer => {
                self.invoice.buyer.name = Some(text.to_owned());
                "/buyer/name".to_owned()
            }
            Field::Lines => {
                self.invoice.totals.lines = self.amount("totals.lines", text);
                total("lines")
            }
            Field::Net => {
                self.invoice.totals.net = self.amount("totals.net", text);
                total("net")
            }
            Field::Tax => {
                self.invoice.totals.tax = self.amount("totals.tax", text);
                total("tax")
            }
            Field::Gross => {
                self.invoice.totals.gross = self.amount("totals.gross", text);
                total("gross")
            }
            Field::Prepaid => {
                self.invoice.totals.prepaid = self.amount("totals.prepaid", text);
                total("prepaid")
            }
            Field::Payable => {
                self.invoice.totals.payable = self.amount("totals.payable", text);
                total("payable")
            }
        };
        self.evident(pointer, bounds);
    }

    fn date(&mut self, text: &str) -> Option<String> {
        let grid = Grid::new(&Text::of_plain(text));
        let found = grid.lines.first().and_then(|line| dates(line, self.order).into_iter().next());
        match found {
            Some(found) if found.ambiguous => {
                let message =
                    format!("issueDate: day and month of {} could be the other way round", found.date);
                self.invoice.flags.push(Flag { code: FlagCode::Uncertain, message });
                Some(found.date.to_string())
            }
            Some(found) => Some(found.date.to_string()),
            None => {
                self.unreadable("issueDate", text);
                None
            }
        }
    }

    fn block(&mut self, block: &Block, text: &Text) {
        let mut inside = false;
        for row in text.pages.iter().flat_map(|page| &page.rows) {
            let plain = row.plain();
            if !inside {
                inside = block.start.is_match(&plain);
            } else if block.end.is_match(&plain) {
                inside = false;
            } else if self.invoice.lines.len() < MAX_LINES {
                self.row(block, row, &plain);
            } else {
                self.unread += 1;
            }
        }
    }

    fn row(&mut self, block: &Block, row: &Row, plain: &str) {
        let Some(captures) = block.line.iter().find_map(|pattern| pattern.captures(plain)) else {
            if let Some(last) = self.invoice.lines.last_mut().filter(|_| block.continues) {
                let above = last.description.take().map(|text| format!("{text}\n")).unwrap_or_default();
                last.description = Some(format!("{above}{}", plain.trim()));
            } else {
                self.unread += usize::from(!plain.trim().is_empty());
            }
            return;
        };
        let group = |name: &str| {
            captures.name(name).map(|found| found.as_str().trim().to_owned()).filter(|text| !text.is_empty())
        };
        let index = self.invoice.lines.len();
        let mut line = Line { line: u32::try_from(index + 1).unwrap_or(u32::MAX), ..Line::default() };
        line.line_id = group("lineId");
        line.sku = group("sku");
        line.seller_sku.clone_from(&line.sku);
        line.gtin = group("gtin").filter(|text| match gtin14(text) {
            Some(_) => true,
            None => {
                self.unreadable("gtin", text);
                false
            }
        });
        line.description = group("description");
        line.unit = group("unit");
        line.quantity = group("quantity").and_then(|text| self.amount("quantity", &text));
        line.unit_price = group("unitPrice").and_then(|text| self.amount("unitPrice", &text));
        line.tax_rate = group("taxRate").and_then(|text| self.amount("taxRate", &text));
        line.net = group("net").and_then(|text| self.amount("net", &text));
        let stated = [
            ("quantity", line.quantity.is_some()),
            ("unitPrice", line.unit_price.is_some()),
            ("net", line.net.is_some()),
            ("description", line.description.is_some()),
        ];
        if let Some(bounds) = around(row) {
            for (member, _) in stated.iter().filter(|(_, stated)| *stated) {
                self.evident(format!("/lines/{index}/{member}"), bounds);
            }
        }
        self.invoice.lines.push(line);
    }
}
