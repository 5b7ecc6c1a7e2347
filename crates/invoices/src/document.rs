//! What is reviewed: the invoice as it was read, and beside each line what shall become of it.
//! `parsed/<jobId>/v<N>.json`; an edit writes the next one, and none ever changes.

use bytes::Bytes;
use contract::Decimal;
use contract::entity::MAX_PART;
use ports::Blobs;
use ports::blobs::{self, Condition, Metadata};
use readers::invoice::{Invoice, Kind, Line, PageSize};
use serde::{Deserialize, Serialize};

use crate::plan::MAX_FACTS;
use crate::{Error, JobId};

/// A document under review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// Which version of it this is, from 1.
    pub version: u32,
    /// The invoice.
    pub invoice: Invoice,
    /// What shall become of each line, in their order.
    pub decisions: Vec<Decision>,
    /// A person has looked at what the invoice as a whole is flagged for.
    #[serde(default)]
    pub flags_accepted: bool,
    /// The pages that boxes refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PageSize>,
}

/// What shall become of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// The item of the owner's stock that it is booked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// Where; the configured warehouse where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse_id: Option<String>,
    /// How many, of a credit note too counted forwards; the line's own quantity where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    /// How the item was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Match>,
    /// In what the item is counted, where the line counts in something else: it waits until a person has named the
    /// quantity in that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What speaks against the item until a person has named or accepted it on this very line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    /// The other items that it may be, the likeliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// It may be booked: nothing speaks against it, or a person said so.
    #[serde(default)]
    pub accepted: bool,
    /// A person named or accepted the item on this very line.
    #[serde(default)]
    pub confirmed: bool,
    /// It is not booked, and why: a person said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
}

/// How a line's item was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// By what.
    pub by: By,
    /// In words, with what was compared.
    pub reason: String,
}

/// Ways to find an item; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// A person named it here.
    Person,
    /// A person said so of the same item number of the same vendor before.
    Remembered,
    /// The line's GTIN is the item's.
    Gtin,
    /// One of the line's item numbers is the item's.
    Sku,
    /// It is new: nothing in stock is like it.
    New,
    /// It looks like it.
    Likeness,
}

/// An item that a line may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    /// The item.
    pub sku: String,
    /// How like it is, in percent.
    pub likeness: u8,
    /// What was compared.
    pub reason: String,
}

/// Why a line cannot be booked as it stands; `None` where it can, or shall not be.
pub fn open(line: &Line, decision: &Decision) -> Option<String> {
    if decision.excluded.is_some() {
        return None;
    }
    let number = line.line;
    let Some(sku) = &decision.sku else {
        return Some(format!("line {number} has no item: name one, or exclude the line"));
    };
    if sku.trim().is_empty() || sku.len() > MAX_PART {
        return Some(format!("line {number}: an item's id has 1 to {MAX_PART} bytes"));
    }
    if quantity(line, decision).is_none() {
        return Some(format!("line {number} has no quantity: name one, or exclude the line"));
    }
    if let Some(doubt) = doubts(line, decision).into_iter().next() {
        return Some(format!("line {number} waits for a person: {doubt}"));
    }
    if !decision.accepted {
        let why = line.flags.first().map(|flag| flag.message.clone());
        let why = why.or_else(|| decision.found.as_ref().map(|found| found.reason.clone()));
        return Some(format!("line {number} waits to be accepted: {}", why.unwrap_or_default()));
    }
    None
}

/// What only a decision about the very line settles.
pub fn doubts(line: &Line, decision: &Decision) -> Vec<String> {
    let item = decision.doubt.clone().filter(|_| !decision.confirmed);
    let unit = decision.unit.as_ref().filter(|_| decision.quantity.is_none()).map(|unit| {
        let (said, sku) =
            (line.unit.as_deref().unwrap_or_default(), decision.sku.as_deref().unwrap_or_default());
        format!("it counts in {said}, and the stock of {sku} in {unit}: name the quantity in {unit}")
    });
    item.into_iter().chain(unit).collect()
}

/// How many units a line is about, counted forwards.
pub fn quantity(line: &Line, decision: &Decision) -> Option<Decimal> {
    decision.quantity.clone().or_else(|| line.quantity.clone())
}

impl Document {
    /// What was read, as it is reviewed first.
    pub fn of(invoice: Invoice, decisions: Vec<Decision>, pages: Vec<PageSize>) -> Self {
        Self { version: 1, invoice, decisions, flags_accepted: false, pages }
    }

    /// What a line adds to stock.
    pub fn delta(&self, line: &Line, decision: &Decision) -> Option<Decimal> {
        let quantity = quantity(line, decision)?;
        Some(match self.invoice.kind {
            Kind::Invoice => quantity,
            Kind::CreditNote => quantity.negated(),
        })
    }

    /// Lines beside what shall become of them.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Decision)> {
        self.invoice.lines.iter().zip(&self.decisions)
    }

    /// Everything that stands between the document and stock, in words.
    pub fn open(&self) -> Vec<String> {
        let mut open = Vec::new();
        if self.invoice.number.as_deref().is_none_or(|number| number.trim().is_empty()) {
            open.push(
                "the invoice has no number: name it, for an invoice is applied once by its number".to_owned(),
            );
        }
        if !self.invoice.flags.is_empty() && !self.flags_accepted {
            let said: Vec<&str> = self.invoice.flags.iter().map(|flag| flag.message.as_str()).collect();
            open.push(format!("the invoice is flagged: {}", said.join("; ")));
        }
        let booked = self.decisions.iter().filter(|decision| decision.excluded.is_none()).count();
        if booked > MAX_FACTS {
            open.push(format!(
                "{booked} lines would be booked, and a plan has at most {MAX_FACTS}: exclude some"
            ));
        }
        open.extend(self.lines().filter_map(|(line, decision)| self::open(line, decision)));
        open
    }

    /// How many lines are open.
    pub fn open_lines(&self) -> usize {
        self.lines().filter(|(line, decision)| self::open(line, decision).is_some()).count()
    }
}

fn key(job: JobId, version: u32) -> String {
    format!("parsed/{job}/v{version}.json")
}

/// Writes a version. Where one is there already it must be equal: another attempt's, or a repeat.
pub async fn put(blobs: &dyn Blobs, job: JobId, document: &Document) -> Result<Put, Error> {
    let bytes = Bytes::from(serde_json::to_vec(document).expect("text keys and no floats"));
    let key = key(job, document.version);
    match blobs.put(&key, bytes.clone(), Metadata::new(), Condition::Absent).await {
        Ok(_) => Ok(Put::Written),
        Err(blobs::Error::Precondition) if blobs.get(&key).await?.bytes == bytes => Ok(Put::Written),
        Err(blobs::Error::Precondition) => Ok(Put::Taken),
        Err(error) => Err(error.into()),
    }
}

/// How a put ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there.
    Written,
    /// Another one is there under this version: take the next one.
    Taken,
}

/// Reads a version.
pub async fn get(blobs: &dyn Blobs, job: JobId, version: u32) -> Result<Document, Error> {
    let key = key(job, version);
    let object = blobs.get(&key).await.map_err(|error| match error {
        blobs::Error::NotFound => Error::Damaged(format!("{key} is gone")),
        other => other.into(),
    })?;
    serde_json::from_slice(&object.bytes).map_err(|error| Error::Damaged(format!("{key}: {error}")))
}
