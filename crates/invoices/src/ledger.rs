//! `dvss_apply_ledger`: what may be applied once. A claim is a row that one job has at a time; the apply's transaction
//! makes all of them, the reversal's removes them.

use contract::{IngestId, Timestamp};
use ports::tables::{Attr, Change, Condition, Cursor, Item, Key, Tables, Write};
use readers::invoice::Kind;
use stores::tables::APPLY_LEDGER;
use unicode_normalization::UnicodeNormalization as _;

use crate::document::Document;
use crate::job::PlanRef;
use crate::{Error, Job, JobId};

const PLAN: &str = "plan#";

/// A thing that may be applied once, and what it is called in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    key: String,
    /// In words.
    pub what: String,
}

/// What a job claims: itself; the vendor's invoice of that number; that invoice of the very document.
pub fn claims(job: &Job, document: &Document) -> Result<Vec<Claim>, Error> {
    let number = document.invoice.number.as_deref().map(normalized).filter(|number| !number.is_empty());
    let number = number.ok_or_else(|| Error::Unreviewed("the invoice has no number".to_owned()))?;
    let pinned = job.pinned.as_ref().ok_or(Error::NotUploaded(job.job_id))?;
    let (vendor, index) = (&job.vendor_id, job.index);
    let kind = match document.invoice.kind {
        Kind::Invoice => "invoice",
        Kind::CreditNote => "credit-note",
    };
    Ok(vec![
        Claim { key: format!("job#{}", job.job_id), what: format!("job {}", job.job_id) },
        Claim {
            key: format!("number#{vendor}#{kind}#{number}"),
            what: format!("{kind} {number} of {vendor}"),
        },
        Claim {
            key: format!("document#{}#{index}", pinned.sha256),
            what: format!("the same document (its invoice {})", index + 1),
        },
    ])
}

/// An invoice's number as numbers compare: NFKC, no matter the case, without blanks. Nothing else: a sign that is
/// dropped could make one of two numbers.
pub fn normalized(number: &str) -> String {
    number
        .nfkc()
        .flat_map(char::to_uppercase)
        .filter(|character| !character.is_whitespace() && !character.is_control())
        .collect()
}

/// The writes that take claims for a job's plan, and note the plan for ever.
pub fn take(claims: &[Claim], job: JobId, plan: &PlanRef, now: Timestamp) -> Vec<Write> {
    let mut writes: Vec<Write> = claims
        .iter()
        .map(|claim| Write::put(&APPLY_LEDGER, Key::of(&claim.key), row(job, plan, now), Condition::Absent))
        .collect();
    writes.push(note(job, plan, now));
    writes
}

/// The writes that free claims which a job has, and note the plan that does it for ever.
pub fn free(claims: &[Claim], job: JobId, plan: &PlanRef, now: Timestamp) -> Vec<Write> {
    let own = || Condition::Equals("jobId", Attr::S(job.to_string()));
    let mut writes: Vec<Write> = claims
        .iter()
        .map(|claim| Write {
            table: &APPLY_LEDGER,
            key: Key::of(&claim.key),
            condition: own(),
            change: Change::Delete,
        })
        .collect();
    writes.push(note(job, plan, now));
    writes
}

/// Every plan has a row of its own: the books count it, and `explain` finds it.
fn note(job: JobId, plan: &PlanRef, now: Timestamp) -> Write {
    let key = Key::of(format!("{PLAN}{}", plan.plan_id));
    Write::put(&APPLY_LEDGER, key, row(job, plan, now), Condition::Absent)
}

fn row(job: JobId, plan: &PlanRef, now: Timestamp) -> Item {
    Item::from([
        ("jobId".to_owned(), Attr::S(job.to_string())),
        ("plan".to_owned(), Attr::S(serde_json::to_string(plan).expect("text keys and no floats"))),
        ("at".to_owned(), Attr::S(now.to_string())),
    ])
}

/// Whose a claim's row is.
pub fn owner(row: &Item) -> Result<JobId, Error> {
    let id = row.get("jobId").and_then(Attr::as_str).and_then(JobId::parse);
    id.ok_or_else(|| Error::Damaged("a claim's row names no job".to_owned()))
}

/// A plan that was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The job.
    pub job: JobId,
    /// The plan.
    pub plan: PlanRef,
}

/// The plan of that id.
pub async fn plan(tables: &dyn Tables, id: IngestId) -> Result<Option<Noted>, Error> {
    let key = Key::of(format!("{PLAN}{id}"));
    let item = ports::tables::get_one(tables, &APPLY_LEDGER, key).await?;
    item.map(|item| noted(&item)).transpose()
}

/// One page of all plans, in no particular order.
pub async fn plans(
    tables: &dyn Tables,
    after: Option<Cursor>,
) -> Result<(Vec<Noted>, Option<Cursor>), Error> {
    let page = tables.scan(&APPLY_LEDGER, after, 1_000).await?;
    let plans = page.rows.iter().filter(|row| row.key.pk.starts_with(PLAN));
    Ok((plans.map(|row| noted(&row.item)).collect::<Result<_, _>>()?, page.next))
}

fn noted(item: &Item) -> Result<Noted, Error> {
    let plan = item.get("plan").and_then(Attr::as_str).and_then(|text| serde_json::from_str(text).ok());
    let plan = plan.ok_or_else(|| Error::Damaged("a plan's row is unreadable".to_owned()))?;
    Ok(Noted { job: owner(item)?, plan })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_however_it_is_typed() {
        for text in ["RE-2026/7a", " re-2026/7A ", "RE-2026 / 7a", "\u{ff32}\u{ff25}-2026/7a"] {
            assert_eq!(normalized(text), "RE-2026/7A", "{text}");
        }
        assert_ne!(normalized("RE-20267"), normalized("RE-2026-7"));
        assert_ne!(normalized("007"), normalized("7"));
    }
}
