//! What is known of the owner's stock: the items there are, and what a line would do to one.

use std::collections::{BTreeMap, BTreeSet};

use contract::canonical::Data;
use contract::entity::{Entity, stock_of};
use contract::{Decimal, VendorId};
use ports::tables::{Row, Tables};
use readers::invoice::Line;
use serde::Serialize;
use stores::effects::{self, Kind, State};
use stores::tables::{CANONICAL_STATE, EFFECTS};

use crate::document::{By, Decision, Document};
use crate::matching::Known;
use crate::{Error, Invoices, Job, JobId, Options, store};

/// Stock of one entity, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// The entity's key.
    pub entity: String,
    /// On hand now: what was counted last, and what came and went since. Nothing counted counts as 0.
    pub before: Decimal,
    /// On hand afterwards.
    pub after: Decimal,
    /// Whether anybody ever stated the stock; otherwise both are what came and went alone.
    pub counted: bool,
}

/// The entity that a line is booked to.
fn entity(owner: &VendorId, warehouse: Option<&str>, sku: &str) -> Result<String, Error> {
    let entity = Entity::Stock {
        vendor: owner.clone(),
        warehouse: warehouse.map(str::to_owned),
        sku: sku.to_owned(),
        lot: None,
        condition: None,
    };
    entity.key().map_err(|error| Error::Invalid(error.to_string()))
}

impl Invoices {
    /// What each line of a document would do to stock, after those before it: its delta and the stock of its item;
    /// `None` where it is not booked, or cannot be yet.
    pub async fn impact(&self, document: &Document) -> Result<Vec<Option<(Decimal, Impact)>>, Error> {
        let Options { owner, warehouse, .. } = &*self.options;
        let change = |(line, decision): (&Line, &Decision)| {
            decision.excluded.is_none().then_some(())?;
            let warehouse = decision.warehouse_id.as_deref().or(warehouse.as_deref());
            let entity = entity(owner, warehouse, decision.sku.as_deref()?).ok()?;
            Some((entity, document.delta(line, decision)?))
        };
        let changes: Vec<Option<(String, Decimal)>> = document.lines().map(change).collect();
        let known: Vec<(String, Decimal)> = changes.iter().flatten().cloned().collect();
        let mut impacts = impacts(&*self.ports.tables, &known).await?.into_iter();
        let of_line =
            |change: Option<(String, Decimal)>| change.and_then(|(_, delta)| Some((delta, impacts.next()?)));
        Ok(changes.into_iter().map(of_line).collect())
    }
}

impl Invoices {
    /// Refuses where an item that was new when the document was read has been brought by another vendor's invoice
    /// since: each seller has numbers of its own, and two documents may have been read before either was applied.
    pub(crate) async fn check_new(&self, job: &Job, document: &Document) -> Result<(), Error> {
        let tables = &*self.ports.tables;
        let Options { owner, warehouse, .. } = &*self.options;
        let mut new = Vec::new();
        for (line, decision) in document.lines() {
            let is_new = decision.found.as_ref().is_some_and(|found| found.by == By::New);
            if let Some(sku) = decision.sku.as_deref().filter(|_| is_new && !decision.confirmed) {
                let warehouse = decision.warehouse_id.as_deref().or(warehouse.as_deref());
                new.push((line, sku, entity(owner, warehouse, sku)?));
            }
        }
        for new in new.chunks(100) {
            let entities: Vec<String> = new.iter().map(|(_, _, entity)| entity.clone()).collect();
            for ((line, sku, entity), stated) in new.iter().zip(effects::states(tables, &entities).await?) {
                let Some(state) = stated.map(|stated| stated.state) else { continue };
                let (None, Some(last)) = (&state.on_hand, &state.last_adjustment) else { continue };
                let effect = effects::effect(tables, entity, Kind::Adjustment, last).await?;
                let Some(Data::InventoryReceived(data)) = effect.map(|effect| effect.fact.data) else {
                    continue;
                };
                let brought = JobId::parse(&data.job_id).into_iter().collect::<Vec<_>>();
                let whose = store::vendors(tables, &brought).await?.into_iter().flatten().next();
                if let Some(other) = whose.filter(|other| *other != job.vendor_id) {
                    return Err(Error::Unreviewed(format!(
                        "job {} cannot be applied yet: line {}: {sku} was a new item when the document was read; an invoice of                          {other} has brought one of that name since: accept the line if it is the same, or name another item",
                        job.job_id, line.line
                    )));
                }
            }
        }
        Ok(())
    }
}

/// What changes do to stock, one after the other; several may be of one entity.
async fn impacts(tables: &dyn Tables, changes: &[(String, Decimal)]) -> Result<Vec<Impact>, Error> {
    let mut entities: Vec<String> = changes.iter().map(|(entity, _)| entity.clone()).collect();
    entities.sort();
    entities.dedup();
    let mut known = BTreeMap::new();
    for entities in entities.chunks(100) {
        for (entity, stated) in entities.iter().zip(effects::states(tables, entities).await?) {
            let state = stated.map(|stated| stated.state).unwrap_or_default();
            known.insert(entity.clone(), (on_hand(&state), state.on_hand.is_some()));
        }
    }
    let impact = |(entity, delta): &(String, Decimal)| {
        let (now, counted) = known.get_mut(entity).expect("every entity was read");
        let before = now.clone();
        *now = before.plus(delta);
        Impact { entity: entity.clone(), before, after: now.clone(), counted: *counted }
    };
    Ok(changes.iter().map(impact).collect())
}

fn on_hand(state: &State) -> Decimal {
    state.quantity_on_hand().unwrap_or_else(|| state.adjustments.clone())
}

/// The owner's items, at most about so many; which ones, where there are more, is not said.
pub async fn catalogue(tables: &dyn Tables, owner: &VendorId, most: usize) -> Result<Known, Error> {
    let (mut known, mut after) = (Known::default(), None);
    let (mut counted, mut brought) = (BTreeSet::new(), BTreeMap::new());
    let prefix = format!("{owner}|");
    loop {
        let page = tables.scan(&CANONICAL_STATE, after, 1_000).await?;
        let own = page.rows.iter().filter(|row| row.key.pk.starts_with(&prefix));
        // Facts that may tell an item's GTIN and its unit: what was counted last, and what came in last.
        let mut told = Vec::new();
        for row in own {
            let Some(Entity::Stock { sku, .. }) = stock_of(&row.key.pk) else { continue };
            let state = effects::read_stated(row)?.state;
            if let Some(winner) = &state.on_hand {
                counted.insert(sku.clone());
                told.push((sku.clone(), effects::key(&row.key.pk, Kind::Absolute, &winner.key)));
            }
            if let Some(last) = &state.last_adjustment {
                told.push((sku.clone(), effects::key(&row.key.pk, Kind::Adjustment, last)));
            }
            known.items.entry(sku).or_default();
        }
        for told in told.chunks(100) {
            let keys: Vec<_> = told.iter().map(|(_, key)| key.clone()).collect();
            let rows = tables.get(&EFFECTS, &keys).await?;
            for ((sku, key), item) in told.iter().zip(rows) {
                let Some(item) = item else { continue };
                let effect = effects::read(&Row { key: key.clone(), item })?;
                let item = match effect.fact.data {
                    Data::InventoryUpdated(data) => data.item,
                    Data::InventoryAdjusted(data) => data.item,
                    Data::InventoryReceived(data) => {
                        brought.extend(JobId::parse(&data.job_id).map(|job| (sku.clone(), job)));
                        data.item
                    }
                    Data::OrderUpdated(_) => continue,
                };
                let known = known.items.entry(sku.clone()).or_default();
                known.gtin = known.gtin.take().or(item.gtin);
                known.unit = known.unit.take().or(item.unit_of_measure);
            }
        }
        after = page.next;
        if after.is_none() || known.items.len() >= most {
            known.incomplete = after.is_some();
            break;
        }
    }
    brought.retain(|sku, _| !counted.contains(sku));
    let jobs: BTreeSet<JobId> = brought.values().copied().collect();
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    let vendors = store::vendors(tables, &jobs).await?;
    let vendors: BTreeMap<JobId, Option<VendorId>> = jobs.into_iter().zip(vendors).collect();
    for (sku, job) in brought {
        if let Some(item) = known.items.get_mut(&sku) {
            item.brought_by = vendors.get(&job).cloned().flatten();
        }
    }
    Ok(known)
}
