//! Whether every accepted record is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use gateway::Outcome;
use operator::problem::Problem;
use operator::reconcile::{self, decide::Report};
use operator::{Host, Operator, StageHealth};

use super::Evidence;
use crate::model::Said;
use crate::traffic::REPORT;
use crate::world::World;

/// No process is around these books.
struct Nobody;

#[async_trait]
impl Host for Nobody {
    fn stages(&self) -> Vec<StageHealth> {
        Vec::new()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    async fn recompute(&self, _entity: &str) -> Result<(), Problem> {
        Err(Problem::not_found("stage here"))
    }
}

fn operator(world: &World) -> Operator {
    Operator::new(world.ports.clone(), Arc::new(Nobody))
}

/// The operator's books.
pub async fn report(world: &World) -> Result<Report, String> {
    reconcile::books(&operator(world)).await.map_err(|problem| format!("{problem:?}"))
}

/// Has the operator put right what can be: raw objects whose vendor was never told that they are taken.
/// Nothing else may need it.
pub async fn repair(world: &World) {
    let report = match report(world).await {
        Ok(report) => report,
        Err(problem) => return world.complain(format!("books: they cannot be drawn up: {problem}")),
    };
    if !report.balanced {
        world.complain(format!("books: not balanced before the repair: {report:?}"));
    }
    for answer in world.answers() {
        let Ok(Outcome::Accepted { ingest_id, .. } | Outcome::Duplicate { ingest_id, .. }) = answer.outcome
        else {
            continue;
        };
        if report.orphans.iter().any(|key| key.contains(&ingest_id.to_string())) {
            world.complain(format!("books: {ingest_id} got a 2xx, and has no record"));
        }
    }
    match reconcile::put_right(&operator(world)).await {
        Ok(report) => report.repaired.iter().for_each(|done| world.weather.note(done)),
        Err(problem) => world.complain(format!("books: the repair failed: {problem:?}")),
    }
}

/// Numbers of one vendor: accepted, published, duplicate, conflict, quarantined.
type Count = [u64; 5];

/// The operator's books are balanced, and agree with a count of their own.
pub async fn check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    let report = match report(evidence.world).await {
        Ok(report) => report,
        Err(problem) => return wrong.push(format!("books: they cannot be drawn up: {problem}")),
    };
    if !report.balanced || !report.orphans.is_empty() {
        wrong.push(format!("books: not balanced: {report:?}"));
    }
    let mut counted = count(evidence);
    match super::invoices::plans(evidence.world).await {
        Ok(plans) if plans.is_empty() => {}
        Ok(plans) => {
            let count = plans.len() as u64;
            counted.insert(super::OWNER.to_owned(), [count, count, 0, 0, 0]);
        }
        Err(error) => wrong.push(format!("books: the plans cannot be read: {error}")),
    }
    let mut named = BTreeMap::new();
    for account in &report.vendors {
        if account.in_flight > 0 || !account.missing.is_empty() {
            wrong.push(format!("books: something is in flight or missing: {account:?}"));
        }
        let numbers =
            [account.accepted, account.published, account.duplicate, account.conflict, account.quarantined];
        if numbers[0] != numbers[1..].iter().sum::<u64>() {
            wrong.push(format!("books: they do not add up: {account:?}"));
        }
        named.insert(account.vendor_id.to_string(), numbers);
    }
    if named != counted {
        wrong.push(format!("books: the operator says {named:?}, a second count says {counted:?}"));
    }
}

fn count(evidence: &Evidence<'_>) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut met = BTreeSet::new();
    for (_, event) in &evidence.accepted {
        let draft = &event.draft;
        let flagged = event.conflict_with.map(|_| draft.fingerprint.to_string());
        let (vendor, external) = (draft.vendor_id.to_string(), draft.external_event_id.to_string());
        if !met.insert((vendor.clone(), draft.ingest_id.to_string(), flagged.clone())) {
            continue;
        }
        let winner = evidence.index.get(&(vendor.clone(), external));
        let place = match winner {
            _ if flagged.is_some() => 3,
            None => continue,
            Some(winner) if winner.fingerprint != draft.fingerprint => 3,
            Some(winner) if winner.ingest_id != draft.ingest_id => 2,
            Some(_) if is_parked(evidence, event) => 4,
            Some(_) => 1,
        };
        let count = counts.entry(vendor).or_default();
        count[0] += 1;
        count[place] += 1;
    }
    counts
}

/// By what its vendor meant, not by what is parked.
fn is_parked(evidence: &Evidence<'_>, event: &contract::event::Event) -> bool {
    let draft = &event.draft;
    let Some(object) = evidence.raw.get(&event.raw_ref.key) else { return false };
    let (vendor, external) = (draft.vendor_id.as_str(), draft.external_event_id.as_str());
    let Some(saying) = evidence.saying_of(vendor, external, &object.bytes) else { return false };
    let saying = &evidence.world.traffic.sayings[saying];
    let unmapped = saying.event_type == REPORT && evidence.world.last_version().is_none();
    matches!(saying.said, Said::Poison(_)) || unmapped
}
