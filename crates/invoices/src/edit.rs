//! What a person changes before an invoice is applied.

use std::collections::BTreeMap;

use contract::Decimal;
use ports::tables::{self, Attr, Condition, Item, Write};
use readers::invoice::Line;
use serde::Deserialize;
use stores::audit::Deed;
use stores::tables::INVOICE_JOBS;

use crate::document::{self, By, Decision, Document, Match, Put};
use crate::intake::lost;
use crate::job::Summary;
use crate::matching::Given;
use crate::store::{self, Change, Refused};
use crate::{Error, Invoices, Job, JobId, State, matching};

/// Most document versions that were left behind by attempts which died, and are stepped over.
const MOST_LEFTOVERS: u32 = 100;
/// Longest text that a person may set, in bytes.
const MAX_TEXT: usize = 256;

/// An edit. What it leaves out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Edit {
    /// The invoice's number.
    pub number: Option<String>,
    /// True: a person has looked at what the invoice as a whole is flagged for.
    pub accept_flags: Option<bool>,
    /// True: every line that has an item shall be booked as it stands; doubts about a line's item or its unit stay, and
    /// are settled on the line.
    pub accept_all: bool,
    /// Changes of lines.
    pub lines: Vec<LineEdit>,
}

/// An edit of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LineEdit {
    /// Which line, from 1.
    pub line: u32,
    /// The item; it is remembered for the vendor's next invoice.
    #[serde(default)]
    pub sku: Option<String>,
    /// Where.
    #[serde(default)]
    pub warehouse_id: Option<String>,
    /// How many, counted forwards.
    #[serde(default)]
    pub quantity: Option<Decimal>,
    /// Whether it may be booked, to that item; it is remembered for the vendor's next invoice.
    #[serde(default)]
    pub accept: Option<bool>,
    /// Why it is not booked; an empty text books it after all.
    #[serde(default)]
    pub exclude: Option<String>,
}

impl Edit {
    /// What it makes of a document. Pure; `unit_of` tells in what an item is counted, where a line counts in something
    /// else.
    pub fn apply(
        &self,
        document: &mut Document,
        unit_of: impl Fn(&Line, &str) -> Option<String>,
    ) -> Result<(), Error> {
        if let Some(number) = &self.number {
            document.invoice.number = Some(text("number", number)?);
        }
        if let Some(accepted) = self.accept_flags {
            document.flags_accepted = accepted;
        }
        for edit in &self.lines {
            let place = document.invoice.lines.iter().position(|line| line.line == edit.line);
            let place =
                place.ok_or_else(|| Error::Invalid(format!("the invoice has no line {}", edit.line)))?;
            let (line, decision) = (&document.invoice.lines[place], &mut document.decisions[place]);
            if let Some(sku) = &edit.sku {
                let sku = text("sku", sku)?;
                let unit = unit_of(line, &sku);
                if unit != decision.unit || decision.unit.is_some() && decision.sku.as_ref() != Some(&sku) {
                    // It was named in the other item's unit.
                    decision.quantity = None;
                }
                decision.unit = unit;
                decision.sku = Some(sku);
                decision.found = Some(Match { by: By::Person, reason: "a person named it".to_owned() });
                decision.candidates.clear();
                decision.confirmed = true;
                decision.accepted = true;
            }
            if let Some(warehouse) = &edit.warehouse_id {
                decision.warehouse_id = Some(text("warehouseId", warehouse)?);
            }
            if let Some(quantity) = &edit.quantity {
                if !quantity.within_bounds() {
                    let message =
                        format!("line {}: {quantity} has more digits than stock keeps (28)", edit.line);
                    return Err(Error::Invalid(message));
                }
                decision.quantity = Some(quantity.clone());
                decision.accepted = true;
            }
            if let Some(accept) = edit.accept {
                decision.accepted = accept;
                decision.confirmed = accept;
            }
            if let Some(reason) = &edit.exclude {
                decision.excluded =
                    if reason.trim().is_empty() { None } else { Some(text("exclude", reason)?) };
            }
        }
        if self.accept_all {
            for decision in &mut document.decisions {
                decision.accepted |= decision.sku.is_some();
            }
        }
        Ok(())
    }
}

fn text(what: &str, value: &str) -> Result<String, Error> {
    let value = value.trim();
    if value.is_empty() || value.len() > MAX_TEXT || value.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{what} has 1 to {MAX_TEXT} bytes and no control characters")));
    }
    Ok(value.to_owned())
}

impl Invoices {
    /// Edits a document under review, on top of the version that its editor saw.
    pub async fn edit(&self, actor: &str, id: JobId, version: u64, edit: &Edit) -> Result<Job, Error> {
        let tables = &*self.ports.tables;
        let job = store::get(tables, id).await?;
        at_version(&job, version)?;
        if !matches!(job.state, State::Review | State::Reversed) {
            let wanted = "only what is in REVIEW, or was REVERSED, can be edited".to_owned();
            return Err(Error::State { job: id, state: job.state, wanted });
        }
        let before = self.document(&job).await?;
        let mut document = before.clone();
        let named: Vec<&str> = edit.lines.iter().filter_map(|edit| edit.sku.as_deref()).collect();
        if named.is_empty() {
            edit.apply(&mut document, |_, _| None)?;
        } else {
            let (known, first) = tokio::try_join!(self.catalogue(), self.first_uses(&named))?;
            let (vendor, remembered) = (&job.vendor_id, &BTreeMap::new());
            let given = Given { vendor, known: &known, first: &first, remembered };
            // One line after the other: what one says of an item holds for the next.
            for change in &edit.lines {
                let before = document.clone();
                let unit_of = |line: &Line, sku: &str| given.other_unit(line, sku, &before);
                Edit { lines: vec![change.clone()], ..Edit::default() }.apply(&mut document, unit_of)?;
            }
            Edit { lines: Vec::new(), ..edit.clone() }.apply(&mut document, |_, _| None)?;
            let of_edit =
                |line: &Line| edit.lines.iter().any(|edit| edit.line == line.line && edit.sku.is_some());
            let lines: Vec<_> = document.lines().filter(|(line, _)| of_edit(line)).collect();
            // A help for the next invoice; another one that was first meanwhile stays so.
            self.note(&matching::first_uses(&lines, &given), &first).await?;
        }
        document.version += 1;
        self.put(id, &mut document).await?;
        let deed = Deed {
            actor: actor.to_owned(),
            action: "invoice.edit".to_owned(),
            subject: id.to_string(),
            before: serde_json::json!({ "document": before.version }),
            after: serde_json::json!({ "document": document.version }),
        };
        let change = Change::of(&job, self.ports.clock.now(), actor, "invoice.edit", |job| {
            job.state = State::Review;
            job.document = Some(document.version);
            job.summary = Some(Summary::of(&document.invoice, document.open_lines()));
        });
        match store::write(tables, &change, Vec::new(), Some(&deed)).await {
            Ok(()) => {}
            Err(Refused::Job(Some(there))) => {
                return Err(Error::Version { job: id, found: there.version, named: version });
            }
            Err(refused) => return Err(lost(refused)),
        }
        self.remember(&job, &before, &document, edit).await;
        Ok(change.after)
    }

    /// Puts a document under the first version from its own on that is free.
    pub async fn put(&self, id: JobId, document: &mut Document) -> Result<(), Error> {
        for _ in 0..MOST_LEFTOVERS {
            match document::put(&*self.ports.invoices, id, document).await? {
                Put::Written => return Ok(()),
                Put::Taken => document.version += 1,
            }
        }
        Err(Error::Unavailable(format!("job {id} has too many documents that nobody finished")))
    }

    /// Keeps what a person said about items, named or accepted, and forgets what is taken back. It is a help for next
    /// time, so that its loss fails nothing.
    async fn remember(&self, job: &Job, before: &Document, document: &Document, edit: &Edit) {
        let of_job = || Attr::S(job.job_id.to_string());
        for edit in &edit.lines {
            let of_line =
                |document: &Document| document.invoice.lines.iter().position(|line| line.line == edit.line);
            let Some(place) = of_line(document) else { continue };
            let (was, is) = (&before.decisions[place], &document.decisions[place]);
            let holds = |decision: &Decision| decision.confirmed && decision.excluded.is_none();
            let Some(name) = matching::names(&document.invoice.lines[place]).into_iter().next() else {
                continue;
            };
            let key = store::memory_key(&job.vendor_id, &name);
            let write = match &is.sku {
                Some(sku) if holds(is) && (was.sku != is.sku || !holds(was)) => {
                    let item = [("sku".to_owned(), Attr::S(sku.clone())), ("jobId".to_owned(), of_job())];
                    Write::put(&INVOICE_JOBS, key, Item::from(item), Condition::Always)
                }
                _ if holds(was) && !holds(is) => Write {
                    table: &INVOICE_JOBS,
                    key,
                    condition: Condition::Equals("jobId", of_job()),
                    change: tables::Change::Delete,
                },
                _ => continue,
            };
            match self.ports.tables.write(write).await {
                // Another invoice said so, too.
                Ok(()) | Err(tables::Error::Condition(_)) => {}
                Err(error) => {
                    tracing::warn!(job = %job.job_id, %error, name, "what a person said of an item is not remembered");
                }
            }
        }
    }
}

/// Refuses what was decided upon another version.
pub(crate) fn at_version(job: &Job, named: u64) -> Result<(), Error> {
    if job.version == named {
        return Ok(());
    }
    Err(Error::Version { job: job.job_id, found: job.version, named })
}
