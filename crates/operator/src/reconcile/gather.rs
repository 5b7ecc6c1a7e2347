//! Collects the evidence, in the order that `decide` relies on.
//!
//! What is held in memory: one mark an accepted record ([`Marks`]) and, before those, one a record of one public
//! topic. Beside them an id of what is on its way or set aside: an event that waits between two stages, a receipt
//! that is not copied, an open or discarded row, a repeat, what looks lost, an object that looks like an orphan.
//! Records themselves are read in pages and, where they are needed again, again.

use std::collections::{BTreeMap, HashMap, HashSet};

use ::invoices::ledger::{self, Noted};
use ::invoices::{State, plan, store};
use contract::canonical::Fact;
use contract::event::Event;
use contract::{Code, Fingerprint, IngestId, VendorId, keys, topics};
use ports::log::{Offset, Partition, RawRecord};
use ports::{Log, log};
use stores::ingest::{self, Patience, Status};
use stores::outbox::RowRef;
use stores::topics::{INBOUND_GROUP, STAGES};
use stores::{normalized, quarantine, receipts, records};

use super::decide::{Accepted, Books, Claimed, Class, Evidence, Marks, Report, classify, parked, who};
use super::walk::Walk;
use crate::facts;
use crate::problem::Problem;
use crate::server::Operator;

/// Where a record of `dvss.raw` lies: partition and offset.
pub type Place = (u32, Offset);

/// The books, and what `repair` needs beside them.
pub struct Found {
    /// The books.
    pub report: Report,
    /// Where the raw records of missing events are.
    pub missing: Vec<Place>,
}

/// Draws the books up.
pub async fn report(operator: &Operator) -> Result<Found, Problem> {
    let mut books = Books::default();
    // First, for what it holds in memory is let go before the marks are made.
    for (vendor, (facts, repeats)) in public(operator).await? {
        books.public(&vendor, facts, repeats);
    }
    let snapshot = Snapshot::take(operator).await?;
    snapshot.refused.iter().for_each(|(vendor, records)| books.refused(vendor, *records));
    let (mut seen, mut suspects) = (Marks::default(), Vec::new());
    let mut raw = Walk::begin(operator, topics::RAW, None).await?;
    while let Some(page) = raw.page().await? {
        for record in page {
            let Some(event) = first_time(&mut seen, &record) else { continue };
            match snapshot.classify(operator, &event, &record).await? {
                (Class::Missing, _) => suspects.push((record.partition.index, record.offset)),
                (class, damaged) => {
                    books.enter(&accepted(&event), class);
                    damaged.into_iter().for_each(|key| books.damaged(key));
                }
            }
        }
    }
    plans(operator, &snapshot.quarantined, &mut books).await?;
    // What looks lost is looked at once more, on a picture taken now; the first one is let go before.
    drop(snapshot);
    let mut missing = Vec::new();
    if !suspects.is_empty() {
        let snapshot = Snapshot::take(operator).await?;
        for place in suspects {
            let record = raw_record(&*operator.ports.log, place).await?.ok_or_else(|| passed(place))?;
            let event = records::event(&record)
                .map_err(|error| Problem::new(Code::Internal, format!("it was read before: {error}")))?;
            let (class, damaged) = snapshot.classify(operator, &event, &record).await?;
            books.enter(&accepted(&event), class);
            damaged.into_iter().for_each(|key| books.damaged(key));
            if class == Class::Missing {
                missing.push(place);
            }
        }
    }
    let orphans = orphans(operator, &mut seen, raw.end()).await?;
    Ok(Found { report: books.close(orphans), missing })
}

/// Enters every plan of an invoice as one accepted record of the owner's. A plan is never missing while its job goes on
/// emitting its facts; after that, all of them are out, or the books say so.
async fn plans(operator: &Operator, quarantined: &Marks, books: &mut Books) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let tables = &*operator.ports.tables;
        let (page, next) = ledger::plans(tables, after).await?;
        for noted in page {
            let class = match class_of(operator, &noted).await {
                Ok(class) => class,
                // One bad plan is one invoice's matter, not everybody's.
                Err(::invoices::Error::Damaged(problem)) => {
                    tracing::error!(key = noted.plan.key, problem, "a plan is damaged");
                    books.damaged(noted.plan.key.clone());
                    Class::Missing
                }
                Err(error) => return Err(error.into()),
            };
            let class = match class {
                Class::InFlight | Class::Missing if quarantined.contains(&(noted.plan.plan_id, None)) => {
                    Class::Quarantined
                }
                class => class,
            };
            books.enter_plan(&operator.invoices.options.owner, noted.plan.plan_id, class);
        }
        after = next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn class_of(operator: &Operator, noted: &Noted) -> Result<Class, ::invoices::Error> {
    // Before the facts: what is applied meanwhile counts as on its way.
    let job = store::get(&*operator.ports.tables, noted.job).await?;
    let object = plan::get(&*operator.ports.invoices, &noted.plan).await?;
    let lines: Vec<&Fact> = object.lines.iter().map(|line| &line.fact).collect();
    let rows = facts::effects(operator, &lines).await;
    let rows = rows.map_err(|problem| ::invoices::Error::Unavailable(problem.to_string()))?;
    let is_out = |row: &Option<_>| row.as_ref().is_some_and(|row| facts::published(row).is_some());
    if rows.iter().all(is_out) {
        return Ok(Class::Published);
    }
    let going_on = job.state == State::Applying && job.plan.as_ref() == Some(&noted.plan);
    Ok(if going_on { Class::InFlight } else { Class::Missing })
}

/// A record of `dvss.raw`; `None` where it is there no more.
pub async fn raw_record(log: &dyn Log, (index, offset): Place) -> Result<Option<RawRecord>, log::Error> {
    let (page, _) = log.read(&Partition::new(topics::RAW, index), offset, 1).await?;
    Ok(page.into_iter().find(|record| record.offset == offset))
}

fn passed((index, offset): Place) -> Problem {
    let at = format!("{}/{index}/{offset}", topics::RAW);
    Problem::new(Code::Unavailable, format!("retention has passed {at} while it was looked at; try again"))
}

/// The event of a record that is met for the first time: one may be produced more than once.
fn first_time(seen: &mut Marks, record: &RawRecord) -> Option<Event> {
    // A record without an event's headers is not one of the gateway's: dedup parks it.
    let event = records::event(record).ok()?;
    seen.insert(who(&accepted(&event))).then_some(event)
}

/// What is unread, receipts, quarantine: taken before any row is read.
struct Snapshot {
    /// Committed offsets of dedup by partition of `dvss.raw`.
    raw: Vec<Offset>,
    /// Events in the unread parts of the other three logs.
    unread: HashSet<IngestId>,
    /// Published, not yet copied into the rows.
    receipts: facts::Uncopied,
    /// Events with an open or discarded row.
    quarantined: Marks,
    /// How many records of vendors the Kafka door did not accept.
    refused: Refused,
}

impl Snapshot {
    async fn take(operator: &Operator) -> Result<Self, Problem> {
        let log = &operator.ports.log;
        let raw = log
            .committed(STAGES[0].0, STAGES[0].1)
            .await?
            .into_iter()
            .map(|next| next.unwrap_or(0))
            .collect();
        let mut unread = HashSet::new();
        for (group, topic) in &STAGES[1..] {
            let from = log.committed(group, topic).await?.into_iter().map(|next| next.unwrap_or(0)).collect();
            let mut walk = Walk::begin(operator, topic, Some(from)).await?;
            while let Some(page) = walk.page().await? {
                unread.extend(page.iter().filter_map(event_of));
            }
        }
        let receipts = receipts::uncopied(&**log).await?;
        let (quarantined, refused) = quarantined(operator).await?;
        Ok(Self { raw, unread, receipts, quarantined, refused })
    }

    /// What became of the record, and the key of its object where that is damaged.
    async fn classify(
        &self,
        operator: &Operator,
        event: &Event,
        record: &RawRecord,
    ) -> Result<(Class, Option<String>), Problem> {
        let draft = &event.draft;
        let accepted = accepted(event);
        let tables = &*operator.ports.tables;
        let entry = ingest::lookup(tables, &draft.vendor_id, &draft.external_event_id).await?;
        let own = entry.as_ref().filter(|entry| {
            event.conflict_with.is_none()
                && entry.ingest_id == draft.ingest_id
                && entry.fingerprint == draft.fingerprint
        });
        let newcomer = match own {
            Some(_) => false,
            None => is_newcomer(operator, event).await?,
        };
        let (published, damaged) = match own {
            Some(entry) if entry.status == Status::Normalized => {
                match self.published(operator, event).await? {
                    Ok(published) => (published, None),
                    Err(Damaged(key)) => (false, Some(key)),
                }
            }
            _ => (false, None),
        };
        let index = usize::try_from(record.partition.index).unwrap_or(usize::MAX);
        let raw_unread = self.raw.get(index).is_some_and(|committed| record.offset >= *committed);
        let evidence = Evidence {
            claimed: entry
                .map(|entry| Claimed { ingest_id: entry.ingest_id, fingerprint: entry.fingerprint }),
            newcomer,
            published,
            quarantined: self.quarantined.contains(&who(&accepted)),
            unread: raw_unread || self.unread.contains(&draft.ingest_id),
        };
        Ok((classify(&accepted, &evidence), damaged))
    }

    /// Whether every fact of the event's object has coordinates, or an uncopied receipt, at the
    /// object's revision or a later one.
    async fn published(&self, operator: &Operator, event: &Event) -> Result<Result<bool, Damaged>, Problem> {
        let draft = &event.draft;
        let key = keys::normalized(&draft.event_type, draft.occurred_at, draft.ingest_id);
        let stored = match normalized::get(&*operator.ports.normalized, &key).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Ok(false)),
            // One bad object is one event's matter, not every vendor's.
            Err(normalized::Error::Unreadable { key, problem }) => {
                tracing::error!(key, problem, "a normalized object is damaged");
                return Ok(Err(Damaged(key)));
            }
            Err(error) => return Err(error.into()),
        };
        let lines: Vec<&Fact> = stored.object.lines.iter().map(|line| &line.fact).collect();
        let rows = facts::effects(operator, &lines).await?;
        let is_out = |(fact, row): (&&Fact, &Option<_>)| {
            row.as_ref().is_some_and(|row| facts::out(fact, row, &self.receipts).is_some())
        };
        Ok(Ok(lines.iter().zip(&rows).all(is_out)))
    }
}

/// The key of an object that is not what normalize wrote.
struct Damaged(String);

fn accepted(event: &Event) -> Accepted {
    let draft = &event.draft;
    Accepted {
        vendor_id: draft.vendor_id.clone(),
        ingest_id: draft.ingest_id,
        fingerprint: draft.fingerprint,
        conflict_with: event.conflict_with,
    }
}

/// Records that were never accepted, by vendor.
type Refused = BTreeMap<VendorId, u64>;

/// Events that are parked somewhere, open or discarded, and records that were never accepted.
async fn quarantined(operator: &Operator) -> Result<(Marks, Refused), Problem> {
    let (mut events, mut refused, mut after) = (Marks::default(), Refused::new(), None);
    loop {
        let (page, next) = quarantine::list(&operator.ports, None, after).await?;
        for row in page.iter().filter(|row| row.status != quarantine::Status::Released) {
            if row.stage == INBOUND_GROUP {
                if let Some(vendor) = &row.vendor_id {
                    *refused.entry(vendor.clone()).or_default() += 1;
                }
                continue;
            }
            // What is no event's has no place in the books.
            row.ingest_id.map(|id| events.insert(parked(&row.identity, id)));
        }
        after = next;
        if after.is_none() {
            return Ok((events, refused));
        }
    }
}

async fn is_newcomer(operator: &Operator, event: &Event) -> Result<bool, Problem> {
    let (tables, draft) = (&*operator.ports.tables, &event.draft);
    let (vendor, external) = (&draft.vendor_id, &draft.external_event_id);
    if event.conflict_with.is_none()
        && ingest::alias_of(tables, vendor, external, draft.ingest_id).await?.is_some()
    {
        return Ok(true);
    }
    Ok(ingest::conflict_of(tables, vendor, external, draft.fingerprint).await?.is_some())
}

/// The event that a record of an internal topic belongs to.
fn event_of(record: &RawRecord) -> Option<IngestId> {
    if let Some(id) = record.header(contract::headers::INGEST_ID) {
        return IngestId::parse(id).ok();
    }
    if &*record.partition.topic == topics::OUTBOX {
        return RowRef::read(record)?.event();
    }
    serde_json::from_slice::<Fact>(&record.value).ok().map(|fact| fact.ingest_id)
}

/// Per vendor: distinct facts on the public topics, and records that repeat one of them.
async fn public(operator: &Operator) -> Result<HashMap<VendorId, (u64, u64)>, Problem> {
    let mut counts: HashMap<VendorId, (u64, u64)> = HashMap::new();
    for topic in &topics::PUBLIC[..4] {
        // A fact of another type is another fact, so that none is on two topics.
        let mut seen: HashSet<u128> = HashSet::new();
        let mut walk = Walk::begin(operator, topic, None).await?;
        while let Some(page) = walk.page().await? {
            for record in page {
                let (vendor, identity) = identity(operator, &record).await?;
                let count = counts.entry(vendor).or_default();
                *(if seen.insert(identity) { &mut count.0 } else { &mut count.1 }) += 1;
            }
        }
    }
    Ok(counts)
}

/// Whose a public record is, and the half of a SHA-256 of (entity, ingestId, line, leg, revision).
async fn identity(operator: &Operator, record: &RawRecord) -> Result<(VendorId, u128), Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new(contract::Code::RecordInvalid, format!("{}: {error}", record.coordinates()))
    };
    let value = operator.codec.decode(&record.value).await.map_err(|error| unreadable(&error))?;
    let identity = ["ingestId", "line", "leg", "revision"].map(|name| value[name].to_string()).join("#");
    let entity = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
    let vendor = VendorId::parse(value["vendorId"].as_str().unwrap_or_default())
        .map_err(|error| unreadable(&error))?;
    let hash = Fingerprint::of_bytes(format!("{entity}\n{identity}").as_bytes()).to_string();
    let half = hash.get(..32).and_then(|half| u128::from_str_radix(half, 16).ok());
    Ok((vendor, half.expect("a fingerprint has 64 hexadecimal digits")))
}

/// Raw objects with neither a record nor an index or alias row.
async fn orphans(operator: &Operator, seen: &mut Marks, end: Vec<Offset>) -> Result<Vec<String>, Problem> {
    let (mut suspects, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = operator.ports.raw.list(keys::RAW_PREFIX, after.as_deref(), 1_000).await?;
        for entry in page.entries {
            // The index knows those whose records retention has taken, so that they do not pile up here.
            if !known(operator, seen, &entry.key).await? {
                suspects.push(entry.key);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // Objects that were put while the log was read have their records by now, or are orphans.
    let mut since = Walk::begin(operator, topics::RAW, Some(end)).await?;
    while let Some(page) = since.page().await? {
        for record in &page {
            first_time(seen, record);
        }
    }
    let mut orphans = Vec::new();
    for key in suspects {
        if !known(operator, seen, &key).await? {
            orphans.push(key);
        }
    }
    Ok(orphans)
}

/// Whether an object's event has a record that was met, or a row.
async fn known(operator: &Operator, seen: &Marks, key: &str) -> Result<bool, Problem> {
    let name = key.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
    let Some(id) = name.and_then(|name| IngestId::parse(name).ok()) else { return Ok(false) };
    if seen.contains(&(id, None)) {
        return Ok(true);
    }
    Ok(ingest::by_ingest_id(&*operator.ports.tables, id, Patience::NONE).await?.is_some())
}
