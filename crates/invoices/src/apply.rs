//! Apply and reverse: one small transaction each, however large the invoice.
//!
//! The transaction decides; what follows from it, the plan's facts, is emitted again and again until all of them
//! are published, or discarded by a person ([`Invoices::advance`]). So it happens once by construction, whoever dies when.

use std::collections::BTreeMap;

use contract::canonical::Fact;
use contract::{ExternalEventId, IngestId};
use ports::blobs;
use ports::tables::Row;
use runtime::Output;
use stores::audit::Deed;
use stores::effects::{self, Kind};
use stores::normalized::{Line, Object};
use stores::quarantine::{self, Parked, Status};
use stores::tables::EFFECTS;

use crate::document::Document;
use crate::edit::at_version;
use crate::intake::lost;
use crate::job::{PlanRef, Way};
use crate::ledger;
use crate::plan::{self, Given, Named};
use crate::store::{self, Change, Refused};
use crate::{Error, Invoices, Job, JobId, State};

/// Longest reason of a reversal, in bytes.
const MAX_REASON: usize = 2_000;
/// Effect rows of one read.
const PAGE: usize = 100;

/// How far a plan has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advance {
    /// Every fact is published, but for those that a person discarded; the job is in its new state.
    Done,
    /// So many facts wait; those that divergence does not know yet are to be emitted.
    Waits {
        /// Facts without coordinates.
        waiting: usize,
        /// Their records, where nobody has taken them in.
        outputs: Vec<Output>,
    },
    /// There is nothing to advance.
    Idle,
}

/// How far a fact of a plan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Divergence does not know it.
    Unknown,
    /// It is in the books, and not published yet.
    TakenIn,
    /// It has coordinates.
    Published,
    /// Divergence could not take it in, and it waits in quarantine for a person.
    Parked,
    /// The same, and a person discarded it.
    Discarded,
}

impl Invoices {
    /// Applies what was reviewed under `version` to stock.
    pub async fn apply(&self, actor: &str, id: JobId, version: u64) -> Result<Job, Error> {
        let tables = &*self.ports.tables;
        let job = store::get(tables, id).await?;
        // A second click names the version that it saw; what happened since is the answer, not that it is old.
        if is_booked(&job) {
            return Err(Error::Applied { what: format!("job {id}"), first: id });
        }
        at_version(&job, version)?;
        if !matches!(job.state, State::Review | State::Reversed) {
            let wanted = "only what is in REVIEW, or was REVERSED, can be applied".to_owned();
            return Err(Error::State { job: id, state: job.state, wanted });
        }
        let document = self.document(&job).await?;
        let open = document.open();
        if !open.is_empty() {
            let more = if open.len() > 5 { format!("; and {} more", open.len() - 5) } else { String::new() };
            let said: Vec<&str> = open.iter().take(5).map(String::as_str).collect();
            return Err(Error::Unreviewed(format!(
                "job {id} cannot be applied yet: {}{more}",
                said.join("; ")
            )));
        }
        for ((line, _), impact) in document.lines().zip(self.impact(&document).await?) {
            if impact.is_some_and(|(_, impact)| !impact.after.within_bounds()) {
                let message = format!(
                    "job {id} cannot be applied: behind line {} the stock of its item would have more digits than are \
                     kept (28); correct the quantity, or exclude the line",
                    line.line
                );
                return Err(Error::Unreviewed(message));
            }
        }
        self.check_units(id, &document).await?;
        self.check_bytes(&job).await?;
        let now = self.ports.clock.now();
        let plan_name = self.plan_name(&job)?;
        let given = Given {
            job: &job,
            document: &document,
            owner: &self.options.owner,
            warehouse: self.options.warehouse.as_deref(),
            bucket: self.ports.invoices.bucket(),
            now,
        };
        let facts = plan::facts(&given, &plan_name)?;
        if facts.is_empty() {
            return Err(Error::Invalid("no line is booked: every one is excluded".to_owned()));
        }
        let named = Named { owner: &self.options.owner, id: plan_name, now };
        let plan = plan::put(&*self.ports.invoices, named, facts, Way::Apply, document.version).await?;
        let claims = ledger::claims(&job, &document)?;
        let change = Change::of(&job, now, actor, "invoice.apply", |job| {
            job.state = State::Applying;
            job.plan = Some(plan.clone());
        });
        let change = change.saying(format!("plan {}, {} facts", plan.plan_id, plan.facts));
        let deed = deed(actor, "invoice.apply", &job, &change.after);
        match store::write(tables, &change, ledger::take(&claims, id, &plan, now), Some(&deed)).await {
            Ok(()) => {}
            Err(Refused::Other(index, row)) => {
                let what = claims.get(index).map_or("it", |claim| claim.what.as_str()).to_owned();
                return Err(Error::Applied { what, first: ledger::owner(&row)? });
            }
            Err(Refused::Job(Some(there))) => return Err(overtaken(&there, version)),
            Err(refused) => return Err(lost(refused)),
        }
        self.nudge(id).await;
        Ok(change.after)
    }

    /// Takes back what was booked, and frees its claims.
    pub async fn reverse(&self, actor: &str, id: JobId, version: u64, reason: &str) -> Result<Job, Error> {
        let reason = reason.trim();
        if reason.is_empty() || reason.len() > MAX_REASON {
            return Err(Error::Invalid(format!("a reversal has a reason of 1 to {MAX_REASON} bytes")));
        }
        let tables = &*self.ports.tables;
        let job = store::get(tables, id).await?;
        let (State::Applied, Some(applied)) = (job.state, &job.plan) else {
            let wanted = "only what is APPLIED can be reversed".to_owned();
            return Err(Error::State { job: id, state: job.state, wanted });
        };
        at_version(&job, version)?;
        let now = self.ports.clock.now();
        let object = plan::get(&*self.ports.invoices, applied).await?;
        let progress = self.progress(&object).await?;
        if progress.iter().any(|progress| !matches!(progress, Progress::Published | Progress::Discarded)) {
            // Discarded, and on its way all the same: a copy of its record was taken up later.
            return Err(Error::Unavailable(format!(
                "facts of job {id} are on their way; try again in a moment"
            )));
        }
        // What was never booked, for a person discarded it, is not taken out of stock.
        let all = object.lines.iter().map(|line| &line.fact).zip(&progress);
        let booked: Vec<&Fact> =
            all.filter(|(_, progress)| **progress == Progress::Published).map(|(fact, _)| fact).collect();
        let named = Named { owner: &object.head.vendor_id, id: self.plan_name(&job)?, now };
        let facts = plan::reversed(&booked, &named.id, now)?;
        let plan = plan::put(&*self.ports.invoices, named, facts, Way::Reverse, applied.document).await?;
        let noted = ledger::plan(tables, applied.plan_id).await?;
        let noted =
            noted.ok_or_else(|| Error::Damaged(format!("plan {} was never noted", applied.plan_id)))?;
        let change = Change::of(&job, now, actor, "invoice.reverse", |job| {
            job.state = State::Applying;
            job.plan = Some(plan.clone());
        });
        let change = change.saying(reason);
        let deed = deed(actor, "invoice.reverse", &job, &change.after);
        match store::write(tables, &change, ledger::free(&noted.claimed, id, &plan, now), Some(&deed)).await {
            Ok(()) => {}
            Err(Refused::Job(Some(there))) => return Err(overtaken(&there, version)),
            Err(refused) => return Err(lost(refused)),
        }
        self.nudge(id).await;
        Ok(change.after)
    }

    /// Looks how far a job's plan has come, and moves the job on where it is all out.
    pub async fn advance(&self, job: &Job) -> Result<Advance, Error> {
        let (State::Applying, Some(plan)) = (job.state, &job.plan) else { return Ok(Advance::Idle) };
        let object = plan::get(&*self.ports.invoices, plan).await?;
        let progress = self.progress(&object).await?;
        let count = |wanted: Progress| progress.iter().filter(|progress| **progress == wanted).count();
        let waiting = count(Progress::Unknown) + count(Progress::TakenIn) + count(Progress::Parked);
        if waiting > 0 {
            let outputs = object.outputs().map_err(|error| Error::Damaged(error.to_string()))?;
            let outputs = outputs.into_iter().zip(&progress);
            let unknown = outputs.filter(|(_, progress)| **progress == Progress::Unknown);
            return Ok(Advance::Waits { waiting, outputs: unknown.map(|(output, _)| output).collect() });
        }
        let state = match plan.way {
            Way::Apply => State::Applied,
            Way::Reverse => State::Reversed,
        };
        let now = self.ports.clock.now();
        let change = Change::of(job, now, crate::SELF, "invoice.published", |job| {
            job.state = state;
            job.reason = None;
        });
        let discarded = match count(Progress::Discarded) {
            0 => String::new(),
            some => format!("; {some} more were discarded in quarantine, and are not booked"),
        };
        let published = count(Progress::Published);
        let change = change.saying(format!("{published} facts of plan {}{discarded}", plan.plan_id));
        match store::write(&*self.ports.tables, &change, Vec::new(), None).await {
            // Somebody else saw it, too.
            Ok(()) | Err(Refused::Job(_)) => Ok(Advance::Done),
            Err(refused) => Err(lost(refused)),
        }
    }

    /// How far each fact of a plan has come, in their order.
    async fn progress(&self, plan: &Object) -> Result<Vec<Progress>, Error> {
        let mut all = Vec::with_capacity(plan.lines.len());
        for lines in plan.lines.chunks(PAGE) {
            let mut keys = Vec::with_capacity(lines.len());
            for Line { fact, .. } in lines {
                let entity = fact.entity_key().map_err(|error| Error::Damaged(error.to_string()))?;
                keys.push(effects::key(&entity, Kind::of(&fact.data), &fact.fold_key()));
            }
            let rows = self.ports.tables.get(&EFFECTS, &keys).await?;
            for (key, item) in keys.into_iter().zip(rows) {
                let effect = item.map(|item| effects::read(&Row { key, item })).transpose()?;
                all.push(match effect.map(|effect| effect.outbox) {
                    None => Progress::Unknown,
                    Some(Some(outbox)) if outbox.coordinates.is_some() => Progress::Published,
                    Some(_) => Progress::TakenIn,
                });
            }
        }
        if all.contains(&Progress::Unknown) {
            let parked = self.parked_of(plan.head.ingest_id).await?;
            let unknown =
                plan.lines.iter().zip(&mut all).filter(|(_, progress)| **progress == Progress::Unknown);
            for (Line { fact, .. }, progress) in unknown {
                let identity = quarantine::of_fact(fact.ingest_id, fact.line, fact.leg, fact.revision);
                match parked.get(&identity) {
                    Some(Status::Discarded) => *progress = Progress::Discarded,
                    // A copy of the record that came through now would do what only a person may.
                    Some(Status::Open) => *progress = Progress::Parked,
                    Some(Status::Released) | None => {}
                }
            }
        }
        Ok(all)
    }

    /// The facts of a plan that were parked, and what became of them.
    async fn parked_of(&self, plan: IngestId) -> Result<BTreeMap<String, Status>, Error> {
        let parked = quarantine::by_event(&self.ports, plan).await?.into_iter();
        Ok(parked.map(|row| (row.identity, row.status)).collect())
    }

    /// What holds a job in APPLYING until a person decides about it: facts of its plan that are parked.
    pub async fn parked(&self, job: &Job) -> Result<Vec<Parked>, Error> {
        let (State::Applying, Some(plan)) = (job.state, &job.plan) else { return Ok(Vec::new()) };
        let mut parked = quarantine::by_event(&self.ports, plan.plan_id).await?;
        parked.retain(|row| row.status == Status::Open);
        Ok(parked)
    }

    /// Refuses where the document that was parsed is no longer the one that is there.
    async fn check_bytes(&self, job: &Job) -> Result<(), Error> {
        let Some(pinned) = &job.pinned else { return Err(Error::NotUploaded(job.job_id)) };
        let there = self.ports.invoices.version(&job.file.key, None, job.file.length).await;
        match there {
            Ok(there) if there.sha256 == pinned.sha256 => Ok(()),
            Ok(_) | Err(blobs::Error::NotFound | blobs::Error::Corrupt | blobs::Error::TooLarge(_)) => {
                Err(Error::OtherBytes(format!(
                    "the document of job {} is not the one that was parsed: somebody replaced it. Upload it anew and review that",
                    job.job_id
                )))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A name that no other plan has: two at one moment are two.
    fn plan_name(&self, job: &Job) -> Result<ExternalEventId, Error> {
        let name = format!("{}#{}#{:032x}", job.job_id, job.version, (self.draw)());
        ExternalEventId::parse(name).map_err(|error| Error::Damaged(error.to_string()))
    }

    /// The document that a job is about.
    pub async fn document(&self, job: &Job) -> Result<Document, Error> {
        let Some(version) = job.document else {
            let wanted = "it has not been read".to_owned();
            return Err(Error::State { job: job.job_id, state: job.state, wanted });
        };
        self.document_of(job, version).await
    }

    async fn document_of(&self, job: &Job, version: u32) -> Result<Document, Error> {
        crate::document::get(&*self.ports.invoices, job.job_id, version).await
    }
}

/// Whether a job's invoice is in stock, or on its way there; one that is being taken back is neither.
fn is_booked(job: &Job) -> bool {
    let forth = job.plan.as_ref().is_some_and(|plan| plan.way == Way::Apply);
    matches!(job.state, State::Applying | State::Applied) && forth
}

/// What somebody else made of the job meanwhile.
fn overtaken(there: &Job, named: u64) -> Error {
    if is_booked(there) {
        return Error::Applied { what: format!("job {}", there.job_id), first: there.job_id };
    }
    Error::Version { job: there.job_id, found: there.version, named }
}

fn deed(actor: &str, action: &str, before: &Job, after: &Job) -> Deed {
    let shown = |job: &Job| {
        let plan: Option<&PlanRef> = job.plan.as_ref();
        serde_json::json!({ "state": job.state, "version": job.version, "document": job.document, "plan": plan })
    };
    Deed {
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: before.job_id.to_string(),
        before: shown(before),
        after: shown(after),
    }
}
