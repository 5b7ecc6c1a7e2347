//! What a person changes before an invoice is applied.

use contract::Decimal;
use ports::tables::{Attr, Condition, Item, Write};
use serde::Deserialize;
use stores::audit::Deed;
use stores::tables::INVOICE_JOBS;

use crate::document::{self, By, Document, Match, Put};
use crate::intake::lost;
use crate::job::Summary;
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
    /// True: every line that has an item shall be booked as it stands, but for those with a doubt of their own.
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
    /// Whether it may be booked.
    #[serde(default)]
    pub accept: Option<bool>,
    /// Why it is not booked; an empty text books it after all.
    #[serde(default)]
    pub exclude: Option<String>,
}

impl Edit {
    /// What it makes of a document. Pure.
    pub fn apply(&self, document: &mut Document) -> Result<(), Error> {
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
            let decision = &mut document.decisions[place];
            if let Some(sku) = &edit.sku {
                decision.sku = Some(text("sku", sku)?);
                decision.found = Some(Match { by: By::Person, reason: "a person named it".to_owned() });
                decision.candidates.clear();
                decision.unit = None;
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
            }
            if let Some(reason) = &edit.exclude {
                decision.excluded =
                    if reason.trim().is_empty() { None } else { Some(text("exclude", reason)?) };
            }
            let named = edit.sku.is_some() || edit.quantity.is_some();
            decision.confirmed =
                (named || decision.confirmed || edit.accept == Some(true)) && decision.accepted;
            if decision.confirmed {
                decision.doubt = None;
            }
        }
        if self.accept_all {
            for decision in document.decisions.iter_mut().filter(|decision| decision.doubt.is_none()) {
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
        if job.state != State::Review {
            let wanted = "only what is in REVIEW can be edited".to_owned();
            return Err(Error::State { job: id, state: job.state, wanted });
        }
        let before = self.document(&job).await?;
        let mut document = before.clone();
        edit.apply(&mut document)?;
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
        self.remember(&job, &document, edit).await;
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

    /// Keeps what a person said about items, named or accepted. It is a help for next time, so that its loss fails
    /// nothing.
    async fn remember(&self, job: &Job, document: &Document, edit: &Edit) {
        for edit in edit.lines.iter().filter(|edit| edit.sku.is_some() || edit.accept == Some(true)) {
            let Some((line, decision)) = document.lines().find(|(line, _)| line.line == edit.line) else {
                continue;
            };
            let (Some(sku), Some(name)) = (&decision.sku, matching::names(line).into_iter().next()) else {
                continue;
            };
            let key = store::memory_key(&job.vendor_id, &name);
            let item = Item::from([
                ("sku".to_owned(), Attr::S(sku.clone())),
                ("jobId".to_owned(), Attr::S(job.job_id.to_string())),
            ]);
            let write = Write::put(&INVOICE_JOBS, key, item, Condition::Always);
            if let Err(error) = self.ports.tables.write(write).await {
                tracing::warn!(job = %job.job_id, %error, name, "what a person said of an item is not remembered");
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
