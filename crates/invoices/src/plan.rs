//! A plan: what an apply, or its reversal, does to stock, decided once and never changed.
//!
//! `plans/<owner>/YYYY/MM/DD/<planId>.json` in the form of a normalized object, so that what goes to
//! `dvss.normalized` is a function of the object alone here too. Its id is its facts' ingest id.

use std::collections::BTreeSet;

use contract::canonical::{Data, Fact, InventoryReceived, Item, RawRef, SCHEMA_VERSION};
use contract::{ExternalEventId, IngestId, Timestamp, VendorId};
use ports::Blobs;
use stores::normalized::{self, Head, Line, Object};

use crate::document::Document;
use crate::job::{PlanRef, Way};
use crate::{Error, Job};

/// Most facts of a plan: as many as a vendor's payload may hold.
pub const MAX_FACTS: usize = 10_000;

/// What a plan is made of besides the document.
pub struct Given<'a> {
    /// The job.
    pub job: &'a Job,
    /// What was reviewed.
    pub document: &'a Document,
    /// Whose stock it is.
    pub owner: &'a VendorId,
    /// Where goods are where a line does not say.
    pub warehouse: Option<&'a str>,
    /// The bucket of the document.
    pub bucket: &'a str,
    /// When it is decided; its facts' `occurredAt`.
    pub now: Timestamp,
}

/// The facts of a plan: one for each line that is booked, under the line's own number.
pub fn facts(given: &Given<'_>, id: &ExternalEventId) -> Result<Vec<Fact>, Error> {
    let Given { job, document, owner, warehouse, bucket, now } = given;
    let plan_id = IngestId::derive(owner, id, *now);
    let (mut facts, mut numbers) = (Vec::new(), BTreeSet::new());
    for (line, decision) in document.lines().filter(|(_, decision)| decision.excluded.is_none()) {
        let (Some(sku), Some(delta)) = (&decision.sku, document.delta(line, decision)) else {
            return Err(Error::Unreviewed(format!("line {} has no item or no quantity", line.line)));
        };
        // A line's number is its fact's identity: two of one number would be one fact.
        if !numbers.insert(line.line) {
            return Err(Error::Damaged(format!("two lines have the number {}", line.line)));
        }
        if !delta.within_bounds() {
            return Err(Error::Invalid(format!(
                "line {}: {delta} has more digits than stock keeps",
                line.line
            )));
        }
        let unit = decision.unit.as_ref().or(line.unit.as_ref());
        let item = Item { gtin: line.gtin.clone(), unit_of_measure: unit.cloned(), ..Item::default() };
        let data = InventoryReceived {
            sku: sku.clone(),
            warehouse_id: decision.warehouse_id.clone().or_else(|| warehouse.map(str::to_owned)),
            delta,
            job_id: job.job_id.to_string(),
            invoice_number: document.invoice.number.clone().unwrap_or_default(),
            invoice_line: line.line,
            item,
        };
        let fact = Fact {
            ingest_id: plan_id,
            line: line.line,
            leg: 0,
            revision: 1,
            vendor_id: (*owner).clone(),
            external_event_id: id.clone(),
            data: Data::InventoryReceived(data),
            schema_version: SCHEMA_VERSION.to_owned(),
            occurred_at: *now,
            raw_ref: RawRef { bucket: (*bucket).to_owned(), key: job.file.key.clone() },
            retracted: false,
            drift: Vec::new(),
        };
        fact.entity_key().map_err(|error| Error::Invalid(format!("line {}: {error}", line.line)))?;
        facts.push(fact);
    }
    if facts.len() > MAX_FACTS {
        return Err(Error::Invalid(format!("{} lines: a plan has at most {MAX_FACTS}", facts.len())));
    }
    Ok(facts)
}

/// The facts of the plan that undoes what was booked of another one: the same, each the other way, at `now`.
pub fn reversed(booked: &[&Fact], id: &ExternalEventId, now: Timestamp) -> Result<Vec<Fact>, Error> {
    let turned = booked.iter().map(|fact| {
        let plan_id = IngestId::derive(&fact.vendor_id, id, now);
        let Data::InventoryReceived(data) = &fact.data else {
            return Err(Error::Damaged(format!(
                "plan {} holds a fact that is none of a plan",
                fact.ingest_id
            )));
        };
        let data = InventoryReceived { delta: data.delta.negated(), ..data.clone() };
        Ok(Fact {
            ingest_id: plan_id,
            external_event_id: id.clone(),
            occurred_at: now,
            data: Data::InventoryReceived(data),
            ..(*fact).clone()
        })
    });
    turned.collect()
}

/// What names a plan: whose stock it is about, its own name, and when it was decided.
pub struct Named<'a> {
    /// Whose stock it is.
    pub owner: &'a VendorId,
    /// The plan's name.
    pub id: ExternalEventId,
    /// When it is decided.
    pub now: Timestamp,
}

/// Puts the object of a plan and names it. One without facts is that of a reversal where nothing had been booked.
pub async fn put(
    blobs: &dyn Blobs,
    named: Named<'_>,
    facts: Vec<Fact>,
    way: Way,
    document: u32,
) -> Result<PlanRef, Error> {
    let Named { owner, id, now } = named;
    let plan_id = IngestId::derive(owner, &id, now);
    let head = Head {
        activation: 0,
        mapping: "invoice".to_owned(),
        vendor_id: owner.clone(),
        ingest_id: plan_id,
        external_event_id: id,
        traceparent: None,
    };
    let object = Object { head, lines: facts.into_iter().map(Line::new).collect() };
    let key = format!("plans/{owner}/{}/{plan_id}.json", now.date_path());
    let reference = PlanRef { plan_id, way, key, facts: object.count(), document };
    normalized::put(blobs, &reference.key, &object, None).await?;
    Ok(reference)
}

/// Reads a plan.
pub async fn get(blobs: &dyn Blobs, plan: &PlanRef) -> Result<Object, Error> {
    let stored = normalized::get(blobs, &plan.key).await?;
    let object = stored.ok_or_else(|| Error::Damaged(format!("the plan {} is gone", plan.key)))?.object;
    if object.count() != plan.facts || object.head.ingest_id != plan.plan_id {
        return Err(Error::Damaged(format!("{} is not the plan that was decided", plan.key)));
    }
    Ok(object)
}
