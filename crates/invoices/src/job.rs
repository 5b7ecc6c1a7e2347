//! A job: one invoice on its way from a file to stock.

use std::fmt;

use contract::{Fingerprint, IngestId, Timestamp, VendorId};
use readers::invoice::{Invoice, Kind};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::State;

/// A job's id: a ULID, drawn when the job is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(ulid::Ulid);

impl JobId {
    /// None is greater.
    pub const LAST: Self = Self(ulid::Ulid(u128::MAX));

    /// The id of a job that is made now; `random` must not be guessable, for who knows an id may ask for it.
    pub fn new(now: Timestamp, random: u128) -> Self {
        Self(ulid::Ulid::from_parts(u64::try_from(now.as_millis()).unwrap_or(0), random))
    }

    /// Reads the 26 characters of Crockford's base 32.
    pub fn parse(text: &str) -> Option<Self> {
        ulid::Ulid::from_string(text).ok().map(Self)
    }

    /// The job of another invoice of the same document, by its place from 1; the same whenever it is asked.
    pub fn sibling(self, index: u32) -> Self {
        let hash = Sha256::digest(format!("{self}#{index}"));
        let random = hash[..10].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        Self(ulid::Ulid::from_parts(self.0.timestamp_ms(), random))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for JobId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| serde::de::Error::custom("a job id is a ULID (26 characters)"))
    }
}

/// A job as its row has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// Whose invoice it is.
    pub vendor_id: VendorId,
    /// Where it stands.
    pub state: State,
    /// Grows with every change; what `If-Match` names.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The file.
    pub file: File,
    /// Which of the document's invoices it is, from 0.
    pub index: u32,
    /// The job that brought the document, where this one is another invoice of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_of: Option<JobId>,
    /// The bytes that were submitted: no others are parsed, and none applied if they are others by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// Who parses it, and until when nobody else does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// How often the document ended its parser, or its worker came to no end.
    #[serde(default)]
    pub attempts: u32,
    /// Not before then is it parsed (again).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The document that is reviewed: `parsed/<jobId>/v<N>.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<u32>,
    /// What lists show of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// What is being booked, or was booked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRef>,
    /// Why it FAILED, or why it was tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// A file as its sender announced it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// Its name, for people; nothing is opened by it.
    pub name: String,
    /// Its media type, as signed.
    pub content_type: String,
    /// Its length in bytes, as signed.
    pub length: u64,
    /// SHA-256, where the sender knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Fingerprint>,
    /// The object's key.
    pub key: String,
    /// Until when the signed upload is taken.
    pub upload_until: Timestamp,
}

/// One version of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pinned {
    /// The version's id.
    pub version_id: String,
    /// SHA-256 of its bytes.
    pub sha256: Fingerprint,
}

/// A worker's hold on a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lease {
    /// Who: a name that no two processes share, nor one process with itself before a restart.
    pub holder: String,
    /// Until when.
    pub until: Timestamp,
}

/// What a list shows of a parsed invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    /// Which way the goods go.
    pub kind: Kind,
    /// The invoice's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Date of issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_date: Option<String>,
    /// Currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Total with VAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gross: Option<String>,
    /// The supplier's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplier: Option<String>,
    /// How many lines there are.
    pub lines: usize,
    /// How many of them a person has to decide about yet.
    pub open: usize,
    /// How many flags there are, on the invoice and on its lines.
    pub flags: usize,
}

impl Summary {
    /// Of an invoice of which so many lines are open.
    pub fn of(invoice: &Invoice, open: usize) -> Self {
        let flags = invoice.flags.len() + invoice.lines.iter().map(|line| line.flags.len()).sum::<usize>();
        Self {
            kind: invoice.kind,
            number: invoice.number.clone(),
            issue_date: invoice.issue_date.clone(),
            currency: invoice.currency.clone(),
            gross: invoice.totals.gross.as_ref().map(ToString::to_string),
            supplier: invoice.supplier.name.clone(),
            lines: invoice.lines.len(),
            open,
            flags,
        }
    }
}

/// Which way a plan books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The invoice's quantities.
    Apply,
    /// Their opposite.
    Reverse,
}

/// A plan, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRef {
    /// Its facts' ingest id.
    pub plan_id: IngestId,
    /// Which way it books.
    pub way: Way,
    /// The plan's object.
    pub key: String,
    /// How many facts it has.
    pub facts: u32,
    /// The document that it books.
    pub document: u32,
}

/// Why a job is not further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// Stable word.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// One entry of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// The version that it made.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a person, a vendor, or a part of dvss.
    pub actor: String,
    /// What, as `invoice.submit`.
    pub action: String,
    /// The state that it led to.
    pub state: State,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_derived() {
        let now = Timestamp::parse("2026-03-16T08:35:06Z").expect("a time");
        let job = JobId::new(now, 7);
        assert_eq!(job.sibling(1), JobId::parse(&job.to_string()).expect("its text").sibling(1));
        assert_ne!(job.sibling(1), job.sibling(2));
        assert_ne!(job.sibling(1), job);
        assert_eq!(JobId::parse("x"), None);
    }
}
