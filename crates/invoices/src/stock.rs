//! What is known of the owner's stock: the items there are, and what a line would do to one.

use std::collections::{BTreeMap, BTreeSet};

use contract::canonical::Data;
use contract::entity::{Entity, stock_of};
use contract::{Decimal, VendorId};
use ports::tables::{Key, Row, Tables};
use readers::invoice::Line;
use serde::Serialize;
use stores::effects::{self, Kind, State};
use stores::tables::{CANONICAL_STATE, EFFECTS};

use crate::document::{Decision, Document};
use crate::items::{Item, Known};
use crate::matching::other_unit;
use crate::{Error, Invoices, JobId, Options};

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
    /// Refuses what counts in another unit than its stock does by now: nobody may have said so when it was read.
    pub(crate) async fn check_units(&self, job: JobId, document: &Document) -> Result<(), Error> {
        let (tables, options) = (&*self.ports.tables, &*self.options);
        let mut lines = Vec::new();
        for (line, decision) in document.lines().filter(|(_, decision)| decision.excluded.is_none()) {
            let sku = decision.sku.as_deref().filter(|_| decision.quantity.is_none() && line.unit.is_some());
            let Some(sku) = sku else { continue };
            let warehouse = decision.warehouse_id.as_deref().or(options.warehouse.as_deref());
            lines.push((line, sku, entity(&options.owner, warehouse, sku)?));
        }
        let entities: BTreeSet<String> = lines.iter().map(|(.., entity)| entity.clone()).collect();
        let entities: Vec<String> = entities.into_iter().collect();
        let mut items = BTreeMap::new();
        for entities in entities.chunks(100) {
            let states = entities.iter().zip(effects::states(tables, entities).await?);
            let told = states.filter_map(|(entity, stated)| Some((entity, stated?.state)));
            let told: Vec<_> = told
                .flat_map(|(entity, state)| telling(entity, state).map(|key| (entity.clone(), key)))
                .collect();
            tell(tables, &told, &mut items).await?;
        }
        for (line, sku, entity) in lines {
            let unit = items.get(&entity).and_then(|item: &Item| item.unit.as_deref());
            if let Some(unit) = other_unit(line, unit) {
                return Err(Error::Unreviewed(format!(
                    "job {job} cannot be applied yet: line {} counts in {}, and by now the stock of {sku} counts in {unit}: \
                     name the quantity in {unit}",
                    line.line,
                    line.unit.as_deref().unwrap_or_default()
                )));
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

/// The owner's items, at most about so many; which ones, where there are more, is not said. A row that cannot be read is
/// one item's matter, which may be there all the same.
pub async fn catalogue(tables: &dyn Tables, owner: &VendorId, most: usize) -> Result<Known, Error> {
    let (mut items, mut after, mut unread) = (BTreeMap::<String, Item>::new(), None, false);
    let prefix = format!("{owner}|");
    loop {
        let page = tables.scan(&CANONICAL_STATE, after, 1_000).await?;
        let own = page.rows.iter().filter(|row| row.key.pk.starts_with(&prefix));
        let mut told = Vec::new();
        for row in own {
            let Some(Entity::Stock { sku, .. }) = stock_of(&row.key.pk) else { continue };
            items.entry(sku.clone()).or_default();
            let Ok(stated) = effects::read_stated(row) else {
                unread = true;
                tracing::error!(row = row.key.pk, "the state of an item cannot be read");
                continue;
            };
            told.extend(telling(&row.key.pk, stated.state).map(|key| (sku.clone(), key)));
        }
        unread |= tell(tables, &told, &mut items).await?;
        after = page.next;
        if after.is_none() || items.len() >= most {
            return Ok(Known::of(items, after.is_some() || unread));
        }
    }
}

/// The facts that may tell an item's GTIN and its unit: what was stated last, and what came in last.
fn telling(entity: &str, state: State) -> impl Iterator<Item = Key> {
    let State { on_hand, available, last_adjustment, .. } = state;
    let stated = [on_hand, available].into_iter().flatten().map(|winner| (Kind::Absolute, winner.key));
    let last = last_adjustment.map(|last| (Kind::Adjustment, last));
    stated.chain(last).map(move |(kind, at)| effects::key(entity, kind, &at)).collect::<Vec<_>>().into_iter()
}

/// Reads what facts tell of items, each under its name; whether one could not be read.
async fn tell(
    tables: &dyn Tables,
    told: &[(String, Key)],
    items: &mut BTreeMap<String, Item>,
) -> Result<bool, Error> {
    let mut unread = false;
    for told in told.chunks(100) {
        let mut keys: Vec<Key> = told.iter().map(|(_, key)| key.clone()).collect();
        keys.sort();
        keys.dedup();
        let rows: BTreeMap<_, _> = keys.iter().cloned().zip(tables.get(&EFFECTS, &keys).await?).collect();
        for (name, key) in told {
            let Some(item) = rows.get(key).cloned().flatten() else { continue };
            let Ok(effect) = effects::read(&Row { key: key.clone(), item }) else {
                unread = true;
                tracing::error!(row = key.pk, "a fact about an item cannot be read");
                continue;
            };
            let item = match effect.fact.data {
                Data::InventoryUpdated(data) => data.item,
                Data::InventoryAdjusted(data) => data.item,
                Data::InventoryReceived(data) => data.item,
                Data::OrderUpdated(_) => continue,
            };
            let known = items.entry(name.clone()).or_default();
            known.gtin = known.gtin.take().or(item.gtin);
            known.unit = known.unit.take().or(item.unit_of_measure);
        }
    }
    Ok(unread)
}
