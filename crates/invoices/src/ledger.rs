//! `dvss_apply_ledger`: what may be applied once. A claim is a row that one job has at a time; the apply's transaction
//! makes all of them, the reversal's removes them.

use contract::entity::MAX_PART;
use contract::{Fingerprint, IngestId, Timestamp};
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
            key: format!("number#{vendor}#{kind}#{}", part(&number)),
            what: format!("{kind} {} of {vendor}", number.chars().take(80).collect::<String>()),
        },
        Claim {
            key: format!("document#{}#{index}", pinned.sha256),
            what: format!("the same document (its invoice {})", index + 1),
        },
    ])
}

/// An invoice's number as numbers compare: NFKC, no matter the case, without blanks. Nothing else: a sign that is
/// dropped could make one of two numbers. Characters that nobody sees are no part of it (Unicode, default ignorable).
pub fn normalized(number: &str) -> String {
    let seen =
        |character: &char| !character.is_whitespace() && !character.is_control() && !is_hidden(*character);
    number.nfkc().flat_map(char::to_uppercase).filter(seen).map(dash).collect()
}

/// Dashes and the minus sign look alike in print, and typesetters change one into another.
fn dash(character: char) -> char {
    if matches!(character, '\u{2010}'..='\u{2015}' | '\u{2212}') { '-' } else { character }
}

/// Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties).
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// A text as a part of a key: itself where it is short, else its SHA-256.
fn part(text: &str) -> String {
    if text.len() <= MAX_PART { text.to_owned() } else { Fingerprint::of_bytes(text.as_bytes()).to_string() }
}

/// The writes that take claims for a job's plan, and note the plan for ever, with what it claimed.
pub fn take(claims: &[Claim], job: JobId, plan: &PlanRef, now: Timestamp) -> Vec<Write> {
    let take = |claim: &Claim| {
        Write::put(&APPLY_LEDGER, Key::of(&claim.key), row(job, plan, now), Condition::Absent)
    };
    let mut writes: Vec<Write> = claims.iter().map(take).collect();
    writes.push(note(claims.iter().map(|claim| claim.key.clone()).collect(), job, plan, now));
    writes
}

/// The writes that free what a job's plan claimed, by the very keys it had then, and note the plan that does it.
pub fn free(claimed: &[String], job: JobId, plan: &PlanRef, now: Timestamp) -> Vec<Write> {
    let own = || Condition::Equals("jobId", Attr::S(job.to_string()));
    let free = |key: &String| Write {
        table: &APPLY_LEDGER,
        key: Key::of(key),
        condition: own(),
        change: Change::Delete,
    };
    let mut writes: Vec<Write> = claimed.iter().map(free).collect();
    writes.push(note(Vec::new(), job, plan, now));
    writes
}

/// Every plan has a row of its own: the books count it, and `explain` finds it.
fn note(claimed: Vec<String>, job: JobId, plan: &PlanRef, now: Timestamp) -> Write {
    let mut item = row(job, plan, now);
    let claimed = serde_json::to_string(&claimed).expect("texts");
    item.insert("claims".to_owned(), Attr::S(claimed));
    Write::put(&APPLY_LEDGER, Key::of(format!("{PLAN}{}", plan.plan_id)), item, Condition::Absent)
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
    /// The keys of what it claimed; none of a reversal.
    pub claimed: Vec<String>,
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
    let claimed = item.get("claims").and_then(Attr::as_str).and_then(|text| serde_json::from_str(text).ok());
    let claimed =
        claimed.ok_or_else(|| Error::Damaged("a plan's row does not say what it claimed".to_owned()))?;
    Ok(Noted { job: owner(item)?, plan, claimed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_however_it_is_typed() {
        for text in [
            "RE-2026/7a",
            "RE-2026\u{ad}/\u{200b}7a\u{202c}",
            " re\u{2011}2026/7A ",
            "RE\u{2212}2026/7A",
            "RE-2026 / 7a",
            "\u{ff32}\u{ff25}-2026/7a",
        ] {
            assert_eq!(normalized(text), "RE-2026/7A", "{text}");
        }
        assert_ne!(normalized("RE-20267"), normalized("RE-2026-7"));
        assert_ne!(normalized("007"), normalized("7"));
    }
}
