//! Invoices: what is applied is booked once, what was taken back not at all, and nobody clicked in vain.

use std::collections::{BTreeMap, BTreeSet};

use contract::Decimal;
use invoices::job::Way;
use invoices::ledger::{self, Noted};
use invoices::store::Order;
use invoices::{Error, Job, State, plan, store};
use stores::effects;

use super::{Evidence, OWNER};
use crate::world::World;

/// Every plan that was decided.
pub async fn plans(world: &World) -> Result<Vec<Noted>, Error> {
    let (mut plans, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = ledger::plans(&*world.ports.tables, after).await?;
        plans.extend(page);
        after = next;
        if after.is_none() {
            return Ok(plans);
        }
    }
}

/// Each job has come to rest; the plans of an applied one are one more forth than back, of all others as many; of
/// jobs that mean one number at most one is applied; stock is what the applied ones say.
pub async fn check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) {
    if let Err(error) = try_check(evidence, wrong).await {
        wrong.push(format!("invoices: they cannot be read: {error}"));
    }
}

async fn try_check(evidence: &Evidence<'_>, wrong: &mut Vec<String>) -> Result<(), Error> {
    let ports = &evidence.world.ports;
    let plans = plans(evidence.world).await?;
    let mut by_job: BTreeMap<String, (i64, Vec<&Noted>)> = BTreeMap::new();
    for noted in &plans {
        let (forth, all) = by_job.entry(noted.job.to_string()).or_default();
        *forth += if noted.plan.way == Way::Apply { 1 } else { -1 };
        all.push(noted);
    }
    let mut jobs: Vec<Job> = Vec::new();
    for state in State::ALL {
        let mut after = None;
        loop {
            let (page, next) =
                store::in_state(&*ports.tables, state, Order::OldestFirst, after, 1_000).await?;
            jobs.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    let (mut claimed, mut expected) = (BTreeSet::new(), BTreeMap::<String, Decimal>::new());
    for job in &jobs {
        let id = job.job_id.to_string();
        let forth = by_job.get(&id).map_or(0, |(forth, _)| *forth);
        let applied = job.state == State::Applied;
        // One that was announced and given up expires long after the end.
        let rests = !job.state.is_in_motion() || job.state == State::AwaitingUpload;
        if !rests || forth != i64::from(applied) {
            wrong.push(format!("invoices: job {id} is {}, its plans go forth {forth} times", job.state));
        }
        let events = store::events(&*ports.tables, job.job_id).await?;
        if !(1..).zip(&events).all(|(version, event)| event.version == version)
            || events.len() as u64 != job.version
        {
            wrong.push(format!(
                "invoices: the log of job {id} has {} of {} versions",
                events.len(),
                job.version
            ));
        }
        let Some(document) = job.document.filter(|_| applied) else { continue };
        let document = invoices::document::get(&*ports.invoices, job.job_id, document).await?;
        let number = ledger::normalized(document.invoice.number.as_deref().unwrap_or_default());
        if !claimed.insert((format!("{:?}", document.invoice.kind), number.clone())) {
            wrong.push(format!("invoices: {number} is applied twice"));
        }
        for (line, decision) in document.lines() {
            let sku = decision.sku.clone().unwrap_or_default();
            let delta = document.delta(line, decision).unwrap_or_else(Decimal::zero);
            let sum = expected.entry(format!("{OWNER}||{sku}||")).or_insert_with(Decimal::zero);
            *sum = sum.plus(&delta);
        }
    }
    let applied = jobs.iter().filter(|job| job.state == State::Applied).count();
    // RE-1 once, RE-2, RE-3, RE-4, and the credit note of RE-4's number.
    if applied != 5 {
        wrong.push(format!("invoices: {applied} are applied, not 5"));
    }
    let mut facts = 0;
    for noted in &plans {
        facts += plan::get(&*ports.invoices, &noted.plan).await?.lines.len();
    }
    if evidence.booked.len() != facts {
        wrong.push(format!("invoices: {facts} facts were planned, {} are booked", evidence.booked.len()));
    }
    for row in &evidence.stock {
        let state = effects::read_stated(row)?.state;
        let wanted = expected.remove(&row.key.pk).unwrap_or_else(Decimal::zero);
        if state.adjustments != wanted || state.on_hand.is_some() {
            wrong.push(format!("invoices: {} has {}, and {wanted} came in", row.key.pk, state.adjustments));
        }
    }
    for (entity, missing) in expected {
        wrong.push(format!("invoices: nothing is known of {entity}, where {missing} came in"));
    }
    Ok(())
}
