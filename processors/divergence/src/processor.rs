//! Reads what is known, asks [`decide`](crate::decide::decide), writes one transaction a fact.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::canonical::{DivergenceKind, Fact, PublicFact};
use contract::{Code, Fingerprint, topics};
use ports::Clock;
use ports::log::RawRecord;
use ports::tables::{self, MAX_ITEM, Tables, Write};
use runtime::{Failure, Output, Poison, Processor};
use stores::codec::Codec;
use stores::effects::{self, Effect, Kind, State};
use stores::{divergences, tables as names};
use telemetry::{field, label, metric, vendor_label};

use crate::decide::{Decision, Given, Reads, Stop, decide};
use crate::error::{Error, poison};
use crate::options::{Invalid, Options};
use crate::reads::Reader;

/// How often a fact is decided anew where others changed what was read.
const DECISIONS: usize = 8;

/// Waits before the same transaction, with the same token, is tried again.
const BACKOFF: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
];

/// Bytes of a row that are left for the coordinates the outbox adds.
const ROOM: usize = 1_024;

/// The stage.
pub struct Divergence {
    pub(crate) tables: Arc<dyn Tables>,
    pub(crate) clock: Arc<dyn Clock>,
    codec: Arc<Codec>,
    options: Options,
}

/// A decoded record of `dvss.normalized`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The fact.
    pub fact: Fact,
    /// Its entity's key.
    pub entity: String,
    /// The fact as it came: one line of JSON.
    pub line: String,
}

impl Input {
    /// Reads a fact's line; the poison says what is wrong with it.
    pub fn read(line: &[u8]) -> Result<Self, Failure> {
        let wrong = |problem: &dyn std::fmt::Display| {
            poison(Code::RecordInvalid, format!("not a fact of normalize: {problem}"), None)
        };
        let line = std::str::from_utf8(line).map_err(|error| wrong(&error))?;
        let fact: Fact = serde_json::from_str(line).map_err(|error| wrong(&error))?;
        let whose = Some((&fact.vendor_id, fact.ingest_id));
        let entity =
            fact.entity_key().map_err(|error| poison(Code::EntityTooLong, error.to_string(), whose))?;
        if fact.revision == 0 {
            return Err(poison(Code::RecordInvalid, "revisions count from 1".to_owned(), whose));
        }
        Ok(Self { fact, entity, line: line.to_owned() })
    }
}

/// How one attempt at a fact ended.
enum Attempt {
    /// It is known, by this attempt or before it, with these findings by revision.
    Known(Vec<(u32, DivergenceKind)>),
    /// Others changed what was read.
    Outdated,
}

impl Divergence {
    /// The stage; refused where an option is wrong.
    pub fn new(
        tables: Arc<dyn Tables>,
        codec: Arc<Codec>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, Invalid> {
        options.check()?;
        Ok(Self { tables, clock, codec, options })
    }

    pub(crate) fn reader(&self, entity: &str, most: Option<usize>) -> Reader {
        let (tables, entity, page) = (self.tables.clone(), entity.to_owned(), self.options.page);
        Reader { tables, entity, most, page, read: 0 }
    }

    /// Takes in a fact and returns what to emit. `most` bounds the rows that are read for its fold.
    pub(crate) async fn take_in(&self, input: &Input, most: Option<usize>) -> Result<Vec<Output>, Failure> {
        let failed = |error: Error| error.into_failure(&input.fact);
        for _ in 0..DECISIONS {
            if let Attempt::Known(findings) = self.attempt(input, most).await.map_err(failed)? {
                told(&input.fact, &findings);
                return Ok(references(input, &findings));
            }
        }
        Err(failed(Error::Contended(input.entity.clone())))
    }

    async fn attempt(&self, input: &Input, most: Option<usize>) -> Result<Attempt, Error> {
        let Input { fact, entity, line } = input;
        let (kind, at) = (Kind::of(&fact.data), fact.fold_key());
        let tables = self.tables.as_ref();
        // The state before every range of facts; the fact's own row is conditional on its revision.
        let (stated, before) =
            tokio::try_join!(effects::state(tables, entity), effects::effect(tables, entity, kind, &at))?;
        let before = match before {
            Some(before) if before.fact.revision >= fact.revision => {
                return Ok(Attempt::Known(before.findings));
            }
            other => other,
        };

        let version = stated.as_ref().map(|stated| stated.version);
        let state = stated.map(|stated| stated.state).unwrap_or_default();
        let (decision, reads) = self.decided(input, &state, before.as_ref(), most).await?;

        let now = self.clock.now();
        let mut findings = before.as_ref().map(|before| before.findings.clone()).unwrap_or_default();
        findings.extend(decision.findings.iter().map(|finding| (fact.revision, finding.kind)));
        let (outcome, outbox) = (decision.outcome, None);
        let effect = Effect { entity: entity.clone(), fact: fact.clone(), outcome, findings, outbox };
        let public = PublicFact { fact: fact.clone(), outcome };
        let value = self.codec.encode(fact.data.topic(), &public).await?;
        let (key, item) = effects::row(&effect, line, value, now);
        fits(tables::size(&key, &item))?;

        let revision = before.as_ref().map(|before| before.fact.revision);
        let mut writes = vec![
            effects::write_state(entity, &decision.state, version, now),
            effects::write(key, item, revision),
        ];
        for finding in &decision.findings {
            let value = self.codec.encode(topics::DIVERGENCE, finding).await?;
            let (key, item) = divergences::row(finding, value, now);
            fits(tables::size(&key, &item))?;
            // The state's version vouches that this fact's revision is decided once.
            writes.push(Write::put(&names::DIVERGENCE, key, item, tables::Condition::Always));
        }
        for partner in reads.partners.iter().flatten() {
            let version = partner.stated.as_ref().map(|stated| stated.version);
            writes.push(effects::check_state(&partner.entity, version));
        }

        let token = token(entity, fact, version, &writes);
        if !self.commit(&token, &writes).await? {
            return Ok(Attempt::Outdated);
        }
        count(fact, decision.findings.iter().map(|finding| finding.kind));
        Ok(Attempt::Known(effect.findings))
    }

    /// Asks for a decision, reading what it needs.
    async fn decided(
        &self,
        input: &Input,
        state: &State,
        before: Option<&Effect>,
        most: Option<usize>,
    ) -> Result<(Decision, Reads), Error> {
        let Input { fact, entity, .. } = input;
        let before = before.map(|before| &before.fact);
        let given = Given { entity, state, before, fact, options: &self.options };
        let mut reader = self.reader(entity, most);
        let mut reads = Reads::default();
        loop {
            match decide(given, &reads) {
                Ok(decision) => return Ok((decision, reads)),
                Err(Stop::Need(need)) => reader.answer(*need, fact, &mut reads).await?,
                Err(Stop::Overflow(what)) => {
                    return Err(Error::FoldOverflow { entity: entity.clone(), what });
                }
            }
        }
    }

    /// Writes it all, or nothing and says false: something is not as it was read.
    async fn commit(&self, token: &str, writes: &[Write]) -> Result<bool, Error> {
        let mut waits = BACKOFF.into_iter();
        loop {
            let error = match self.tables.transact(token, writes.to_vec()).await {
                Ok(()) => return Ok(true),
                Err(tables::Error::Condition(_)) => return Ok(false),
                Err(error @ (tables::Error::Conflict | tables::Error::Unavailable(_))) => error,
                Err(error) => return Err(error.into()),
            };
            let Some(wait) = waits.next() else { return Err(error.into()) };
            tokio::time::sleep(wait).await;
        }
    }
}

#[async_trait]
impl Processor for Divergence {
    const NAME: &'static str = "dvss.divergence";
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        let input = Input::read(&record.value)?;
        if record.key.as_deref() != Some(input.entity.as_bytes()) {
            let message = format!("the record's key is not its fact's entity `{}`", input.entity);
            let whose = Some((&input.fact.vendor_id, input.fact.ingest_id));
            return Err(poison(Code::RecordInvalid, message, whose));
        }
        Ok(input)
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        let taken_in = self.take_in(input, Some(self.options.longest_fold)).await;
        if let Err(Failure::Poison(Poison { code: Code::FoldTooLong, .. })) = &taken_in {
            // Durably, before it is parked: `recompute` needs the fact, not only its coordinates.
            let waits = effects::wait(self.tables.as_ref(), &input.entity, &input.fact, &input.line).await;
            waits.map_err(|error| Error::from(error).into_failure(&input.fact))?;
        }
        taken_in
    }
}

/// What a fact emits: its row, and what was found with it at this revision. A function of what is
/// stored, so the same whenever the record comes. Also of a lower revision than the row has: its row
/// may still be pending, and the outbox publishes nothing twice.
fn references(input: &Input, findings: &[(u32, DivergenceKind)]) -> Vec<Output> {
    let Input { fact, entity, .. } = input;
    let row = effects::output(entity, Kind::of(&fact.data), &fact.fold_key());
    let found = findings.iter().filter(|(revision, _)| *revision == fact.revision);
    let found = found.map(|(_, kind)| divergences::output(&divergences::key_of_fact(fact, *kind)));
    std::iter::once(row).chain(found).collect()
}

fn fits(bytes: usize) -> Result<(), Error> {
    let most = MAX_ITEM - ROOM;
    if bytes > most { Err(Error::TooLarge { bytes, most }) } else { Ok(()) }
}

/// A token that equal writes share and others do not: 32 hexadecimal digits.
fn token(entity: &str, fact: &Fact, version: Option<i64>, writes: &[Write]) -> String {
    let Fact { ingest_id, line, leg, revision, .. } = fact;
    let identity = format!("{entity}\n{ingest_id}\n{line}\n{leg}\n{revision}\n{version:?}\n{writes:?}");
    let mut token = Fingerprint::of_bytes(identity.as_bytes()).to_string();
    token.truncate(32);
    token
}

fn told(fact: &Fact, findings: &[(u32, DivergenceKind)]) {
    tracing::info!(
        { field::STAGE } = Divergence::NAME,
        { field::INGEST_ID } = %fact.ingest_id,
        { field::VENDOR_ID } = %fact.vendor_id,
        { field::EXTERNAL_EVENT_ID } = %fact.external_event_id,
        line = fact.line,
        revision = fact.revision,
        findings = findings.len(),
        "taken in"
    );
}

fn count(fact: &Fact, kinds: impl Iterator<Item = DivergenceKind>) {
    for kind in kinds {
        // A fact was accepted under a credential, so its vendor is configured.
        let vendor = vendor_label(true, fact.vendor_id.as_str());
        let kind = divergences::kind_name(kind);
        metrics::counter!(metric::DIVERGENCE_FOUND, label::VENDOR_ID => vendor, label::KIND => kind)
            .increment(1);
    }
}
