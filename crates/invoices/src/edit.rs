//! What a person changes before an invoice is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use contract::Decimal;
use ports::tables::{self, Attr, Condition, Item, Write};
use serde::Deserialize;
use stores::audit::Deed;
use stores::tables::INVOICE_JOBS;

use crate::document::{self, By, Decision, Document, Match, Put};
use crate::intake::lost;
use crate::items::{self, FirstUses, Remembered};
use crate::job::Summary;
use crate::matching::{Given, Units};
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
    /// What it makes of a document. Pure; `given` tells in what named items are counted.
    pub fn apply(&self, document: &mut Document, given: &Given<'_>) -> Result<(), Error> {
        let units = self.units(document);
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
                let unit = given.other_unit(line, &sku, &units);
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

    /// In what the lines count their items, as they shall be called.
    fn units(&self, document: &Document) -> Units {
        let named = self.lines.iter().filter_map(|edit| Some((edit.line, edit.sku.as_deref()?.trim())));
        let named: BTreeMap<u32, &str> = named.collect();
        let mut units = Units::new();
        for (line, decision) in document.lines().filter(|(_, decision)| decision.excluded.is_none()) {
            // Ten cases which wait for their number in pieces say nothing of the item's unit.
            let own = decision.sku.as_deref().filter(|_| decision.unit.is_none());
            if let Some(sku) = named.get(&line.line).copied().or(own) {
                matching::say_unit(&mut units, sku, line);
            }
        }
        units
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
        // Nobody looks at all of stock where no item was named.
        let (known, first) = match &named[..] {
            [] => (Arc::default(), FirstUses::new()),
            _ => tokio::try_join!(self.catalogue(), self.first_uses(&named))?,
        };
        let remembered = &Remembered::new();
        let given = Given { vendor: &job.vendor_id, known: &known, first: &first, remembered };
        edit.apply(&mut document, &given)?;
        let by_hand: BTreeSet<u32> =
            edit.lines.iter().filter(|edit| edit.sku.is_some()).map(|edit| edit.line).collect();
        let lines: Vec<_> = document.lines().filter(|(line, _)| by_hand.contains(&line.line)).collect();
        // A help for the next invoice; another one that was first meanwhile stays so.
        self.note(&matching::first_uses(&lines, &given), &first).await?;
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
            let Some(name) = items::names(&document.invoice.lines[place]).into_iter().next() else {
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
