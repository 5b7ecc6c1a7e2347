//! What a reader makes of a document. The terms are those of EN 16931-1 (BT and BG numbers in the docs).
//!
//! A value that a document does not have is absent, never guessed; beside every value that is there stands its
//! [`Evidence`]. Optional members are absent in JSON, never null; decimals are strings.

use std::collections::BTreeMap;

use contract::Decimal;
use serde::{Deserialize, Serialize};

/// What one document holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading {
    /// The invoices, in the order of the document; at least one.
    pub invoices: Vec<Invoice>,
    /// The pages of a document that has some, which the boxes of [`Place::Page`] refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageSize>,
}

/// The size of a page in PDF points (1/72 inch), as it is shown: turned, if it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSize {
    /// Points from left to right.
    pub width: u32,
    /// Points from top to bottom.
    pub height: u32,
}

/// How a document says what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// OASIS UBL 2.x Invoice or CreditNote, Peppol BIS Billing 3 and XRechnung among them.
    Ubl,
    /// UN/CEFACT Cross Industry Invoice D16B and later.
    Cii,
    /// ZUGFeRD 1.0's CrossIndustryDocument.
    Zugferd1,
    /// A PDF with an embedded CII, as Factur-X, ZUGFeRD 2 and XRechnung have it.
    FacturX,
    /// ANSI X12 810.
    #[serde(rename = "x12-810")]
    X12Invoice,
    /// UN/EDIFACT INVOIC.
    EdifactInvoic,
    /// Delimited text with a header row.
    Csv,
    /// Office Open XML Spreadsheet.
    Xlsx,
    /// The text of a PDF, by its layout.
    PdfText,
}

/// Which way the goods go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Goods come in: quantities add.
    Invoice,
    /// Goods go back: quantities subtract.
    CreditNote,
}

/// One invoice or credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invoice {
    /// How the document says it.
    pub format: Format,
    /// Which way the goods go.
    pub kind: Kind,
    /// The invoice's number as printed (BT-1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Date of issue (BT-2), `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_date: Option<String>,
    /// ISO 4217 code of every amount (BT-5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Who sells (BG-4).
    pub supplier: Party,
    /// Who buys (BG-7).
    pub buyer: Party,
    /// The lines (BG-25), in the document's order.
    pub lines: Vec<Line>,
    /// Allowances and charges of the document as a whole (BG-20, BG-21).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// The totals (BG-22), as the document states them.
    pub totals: Totals,
    /// What a person should look at before this is believed.
    pub flags: Vec<Flag>,
    /// Where each value comes from, by its RFC 6901 pointer into this very object (`/lines/0/quantity`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, Evidence>,
}

/// Seller or buyer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Party {
    /// Its name (BT-27, BT-44).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its id in the document: the party's identifier (BT-29, BT-46), else its legal registration (BT-30, BT-47),
    /// else its VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its VAT number (BT-31, BT-48).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Line {
    /// Its place, from 1.
    pub line: u32,
    /// What the document calls it (BT-126).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    /// The item's id to go by: the seller's, else the standard one, else the buyer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// The seller's id of the item (BT-155).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller_sku: Option<String>,
    /// The buyer's id of the item (BT-156).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer_sku: Option<String>,
    /// GS1 Global Trade Item Number of 8, 12, 13 or 14 digits with a right check digit (BT-157).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtin: Option<String>,
    /// What the item is called (BT-153).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many (BT-129).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    /// Of what: the unit's code or word, as the document has it (BT-130).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Price of `price_base` units, net of price discounts (BT-146).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Decimal>,
    /// How many units the price is for (BT-149); 1 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_base: Option<Decimal>,
    /// Allowances and charges of the line (BG-27, BG-28).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// VAT rate in percent (BT-152).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rate: Option<Decimal>,
    /// The line's total without VAT (BT-131).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Decimal>,
    /// What a person should look at on this line.
    pub flags: Vec<Flag>,
}

/// An allowance or a charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Adjustment {
    /// What it adds: a charge is positive, an allowance negative.
    pub amount: Decimal,
    /// Why, in the document's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Totals as a document states them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Totals {
    /// Sum of the lines' net amounts (BT-106).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Decimal>,
    /// Total without VAT (BT-109).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Decimal>,
    /// VAT (BT-110).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Decimal>,
    /// Total with VAT (BT-112).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gross: Option<Decimal>,
    /// Paid already (BT-113).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepaid: Option<Decimal>,
    /// Added to round the amount due (BT-114).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Decimal>,
    /// Amount due (BT-115).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payable: Option<Decimal>,
}

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flag {
    /// What kind.
    pub code: FlagCode,
    /// What is the matter, with the numbers.
    pub message: String,
}

/// Kinds of flags; the text never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagCode {
    /// A value that an invoice must have is not there.
    Missing,
    /// A value is there that cannot be read.
    Unreadable,
    /// quantity × price ± adjustments is not the line's total.
    LineTotal,
    /// The lines do not sum up to their total.
    LinesTotal,
    /// Lines ± adjustments is not the net total.
    NetTotal,
    /// Net + tax is not the gross total.
    GrossTotal,
    /// Gross − prepaid + rounding is not the amount due.
    PayableTotal,
    /// The document has fewer or more lines than it says.
    LineCount,
    /// The embedded XML and the visible text disagree.
    VisibleText,
    /// The value was read with little confidence.
    Uncertain,
    /// The document breaks its own format, and was read all the same.
    Malformed,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// Where it stands.
    pub place: Place,
    /// How sure the reader is, in percent; 100 for what a format says outright.
    pub confidence: u8,
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields, tag = "in")]
pub enum Place {
    /// An element or attribute of an XML document, by XPath with local names and positions.
    Xml {
        /// The path.
        xpath: String,
    },
    /// An element of an EDI segment.
    Segment {
        /// The segment's place in the interchange, from 1.
        segment: u32,
        /// Segment tag and element, as `IT1-02` (X12) or `QTY-C186.6060` (EDIFACT).
        element: String,
    },
    /// A cell of a table.
    Cell {
        /// Row, from 1, the header's row among them.
        row: u32,
        /// Column, from 1.
        column: u32,
    },
    /// A box on a page, in points from the page's upper left corner.
    Page {
        /// The page, from 1.
        page: u32,
        /// Left edge.
        x: u32,
        /// Upper edge.
        y: u32,
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
}
/// A GTIN of 8, 12, 13 or 14 digits with a right check digit (GS1 General Specifications, 7.9), in its longest form, by
/// which those of all lengths compare (3.3 there).
pub fn gtin14(text: &str) -> Option<String> {
    let text = text.trim();
    if !matches!(text.len(), 8 | 12 | 13 | 14) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let weighted = text.bytes().rev().enumerate();
    let sum: u32 =
        weighted.map(|(place, byte)| u32::from(byte - b'0') * if place % 2 == 1 { 3 } else { 1 }).sum();
    // Zeros sum up, too, and are what an empty field holds.
    (sum.is_multiple_of(10) && sum > 0).then(|| format!("{text:0>14}"))
}
