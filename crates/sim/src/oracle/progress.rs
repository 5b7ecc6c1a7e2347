//! Whether what is committed is done: looked at now and then while everything happens, and at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contract::canonical::Fact;
use contract::event::Event;
use contract::{headers, keys, topics};
use ports::log::{Offset, Partition, RawRecord};
use ports::tables::{Key, get_one};
use stores::effects::{self, Kind};
use stores::outbox::RowRef;
use stores::tables::{EFFECTS, QUARANTINE};
use stores::{ingest, normalized, quarantine, receipts, records};

use crate::members::{STAGES, Stage};
use crate::world::World;

/// What was read of the internal topics so far.
#[derive(Default)]
pub struct Watch {
    positions: BTreeMap<Partition, Offset>,
    /// Records of which it is not known yet that their stage has done its work.
    unsettled: BTreeMap<(Stage, u32, Offset), RawRecord>,
    /// Events on `dvss.accepted`.
    accepted: BTreeSet<String>,
    /// Facts on `dvss.normalized`: event, line, leg.
    facts: BTreeSet<(String, u32, u8)>,
    /// Rows that `dvss.outbox` refers to.
    references: BTreeSet<(String, String, String)>,
    /// Rows that receipts list.
    listed: BTreeSet<(String, String, String)>,
    /// Topics on which a transaction was open, so that not all that is committed could be read.
    hidden: BTreeSet<&'static str>,
}

type Problem = Box<dyn std::error::Error>;

impl Watch {
    /// Compares what is committed with what is done; at the `last` time nothing may be left to do.
    pub async fn look(&mut self, world: &World, last: bool) {
        match self.try_look(world, last).await {
            Ok(()) => {}
            Err(problem) => world.complain(format!("progress: it cannot be seen: {problem}")),
        }
        for (stage, record) in
            self.unsettled.iter().filter(|_| last).map(|((stage, ..), record)| (stage, record))
        {
            world.complain(format!("progress: {} never got to {}", stage.name(), record.coordinates()));
        }
    }

    async fn try_look(&mut self, world: &World, last: bool) -> Result<(), Problem> {
        // What is committed first, then what is done: the other way round, work in between looks undone.
        let mut committed: HashMap<Stage, Vec<Option<Offset>>> = HashMap::new();
        for stage in STAGES {
            committed.insert(stage, world.ports.log.committed(stage.group(), stage.topic()).await?);
        }
        self.hidden.clear();
        for topic in topics::INTERNAL {
            self.read(world, topic).await?;
        }
        let done = |(stage, index, offset): &(Stage, u32, Offset)| {
            let next = committed.get(stage).and_then(|next| next.get(*index as usize).copied().flatten());
            next.is_some_and(|next| *offset < next)
        };
        let passed: Vec<_> = self.unsettled.keys().filter(|place| done(place)).copied().collect();
        for place in passed {
            let Some(record) = self.unsettled.remove(&place) else { continue };
            if let Err(problem) = self.is_done(world, place.0, &record).await? {
                let swept = place.0 == Stage::Outbox && world.skipped();
                if !last && (swept || self.hidden.contains(output_of(place.0))) {
                    self.unsettled.insert(place, record);
                    continue;
                }
                let stage = place.0.name();
                world.complain(format!(
                    "progress: {stage} committed past {}, but {problem}",
                    record.coordinates()
                ));
            }
        }
        Ok(())
    }

    async fn read(&mut self, world: &World, topic: &'static str) -> Result<(), Problem> {
        let log = &world.ports.log;
        for (index, ends) in (0..).zip(log.ends(topic).await?) {
            let partition = Partition::new(topic, index);
            if ends.stable < ends.uncommitted {
                self.hidden.insert(topic);
            }
            let mut position = self.positions.get(&partition).copied().unwrap_or(0);
            while position < ends.stable {
                let (page, next) = log.read(&partition, position, 1_000).await?;
                for record in page {
                    self.take_in(topic, record)?;
                }
                if next <= position {
                    break;
                }
                position = next;
            }
            self.positions.insert(partition, position);
        }
        Ok(())
    }

    fn take_in(&mut self, topic: &str, record: RawRecord) -> Result<(), Problem> {
        match topic {
            topics::ACCEPTED => {
                self.accepted.extend(record.header(headers::INGEST_ID).map(str::to_owned));
            }
            topics::NORMALIZED => {
                let fact: Fact = serde_json::from_slice(&record.value)?;
                self.facts.insert((fact.ingest_id.to_string(), fact.line, fact.leg));
            }
            topics::OUTBOX => {
                self.references.extend(RowRef::read(&record).map(named));
            }
            topics::RECEIPTS => {
                let receipts = receipts::read(&record).ok_or("a record of receipts is unreadable")?;
                self.listed.extend(receipts.into_iter().map(|receipt| named(receipt.row)));
            }
            _ => {}
        }
        if let Some(stage) = STAGES.into_iter().find(|stage| stage.topic() == topic) {
            self.unsettled.insert((stage, record.partition.index, record.offset), record);
        }
        Ok(())
    }

    /// Whether a stage has done what it must do about a record that it committed; what it has not.
    async fn is_done(
        &self,
        world: &World,
        stage: Stage,
        record: &RawRecord,
    ) -> Result<Result<(), String>, Problem> {
        match stage {
            Stage::Dedup => self.is_deduped(world, &records::event(record)?).await,
            Stage::Normalize => self.is_normalized(world, &records::event(record)?).await,
            Stage::Divergence => self.is_taken_in(world, record).await,
            // A nudge leaves nothing that must be: the job's row says what is to be done, and the sweep sees to it.
            Stage::Invoices | Stage::JobSweeper => Ok(Ok(())),
            Stage::Outbox | Stage::Sweeper => {
                let row = RowRef::read(record).ok_or("a reference is unreadable")?;
                let listed = self.listed.contains(&named(row.clone()));
                Ok(if listed { Ok(()) } else { Err(format!("no receipt lists {row:?}")) })
            }
        }
    }

    async fn is_deduped(&self, world: &World, event: &Event) -> Result<Result<(), String>, Problem> {
        let (tables, draft) = (&*world.ports.tables, &event.draft);
        let (vendor, external) = (&draft.vendor_id, &draft.external_event_id);
        let winner = ingest::lookup(tables, vendor, external).await?;
        let winner = winner.filter(|_| event.conflict_with.is_none());
        let id = draft.ingest_id;
        Ok(match winner {
            Some(winner) if winner.fingerprint == draft.fingerprint && winner.ingest_id == id => {
                let emitted = self.accepted.contains(&id.to_string());
                if emitted { Ok(()) } else { Err(format!("{id} was never emitted")) }
            }
            Some(winner) if winner.fingerprint == draft.fingerprint => {
                let aliases = ingest::repeats(tables, vendor, external).await?;
                let noted = aliases.iter().any(|alias| alias.ingest_id == id);
                if noted { Ok(()) } else { Err(format!("{id} has no alias row")) }
            }
            None if event.conflict_with.is_none() => Err(format!("nobody claimed {external}")),
            _ => {
                let conflicts = ingest::conflicts(tables, vendor, external).await?;
                let noted = conflicts.iter().any(|conflict| conflict.fingerprint == draft.fingerprint);
                if noted { Ok(()) } else { Err(format!("{id} has no conflict row")) }
            }
        })
    }

    async fn is_normalized(&self, world: &World, event: &Event) -> Result<Result<(), String>, Problem> {
        let draft = &event.draft;
        let id = draft.ingest_id.to_string();
        let key = keys::normalized(&draft.event_type, draft.occurred_at, draft.ingest_id);
        let parked = Key::sorted(Stage::Normalize.group(), &id);
        let parked = get_one(&*world.ports.tables, &QUARANTINE, parked).await?.is_some();
        let Some(stored) = normalized::get(&*world.ports.normalized, &key).await? else {
            return Ok(if parked { Ok(()) } else { Err(format!("{id} has no object, nor is it parked")) });
        };
        let lines = stored.object.lines.iter();
        let mut lines = lines.map(|line| (id.clone(), line.fact.line, line.fact.leg));
        let silent = lines.find(|fact| !self.facts.contains(fact));
        // What was corrected or released meanwhile may still be on its way.
        Ok(match silent {
            Some(fact) if !world.changes_objects() && !parked => Err(format!("{fact:?} was never emitted")),
            _ => Ok(()),
        })
    }

    async fn is_taken_in(&self, world: &World, record: &RawRecord) -> Result<Result<(), String>, Problem> {
        let fact: Fact = serde_json::from_slice(&record.value)?;
        let (entity, kind) = (fact.entity_key()?, Kind::of(&fact.data));
        let row = effects::effect(&*world.ports.tables, &entity, kind, &fact.fold_key()).await?;
        let identity = quarantine::of_fact(fact.ingest_id, fact.line, fact.leg, fact.revision);
        let parked = Key::sorted(Stage::Divergence.group(), identity);
        if get_one(&*world.ports.tables, &QUARANTINE, parked).await?.is_some() {
            return Ok(Ok(()));
        }
        if row.is_none_or(|row| row.fact.revision < fact.revision) {
            return Ok(Err(format!(
                "{entity} does not know revision {} of {}",
                fact.revision, fact.ingest_id
            )));
        }
        let reference = RowRef::new(&EFFECTS, &effects::key(&entity, kind, &fact.fold_key()));
        let referred = self.references.contains(&named(reference.clone()));
        Ok(if referred { Ok(()) } else { Err(format!("nothing refers to {reference:?}")) })
    }
}

/// Where what a stage does can be seen.
fn output_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Dedup => topics::ACCEPTED,
        Stage::Normalize | Stage::Invoices | Stage::JobSweeper => topics::NORMALIZED,
        Stage::Divergence => topics::OUTBOX,
        Stage::Outbox | Stage::Sweeper => topics::RECEIPTS,
    }
}

fn named(row: RowRef) -> (String, String, String) {
    (row.table, row.pk, row.sk)
}
