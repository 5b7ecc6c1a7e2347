//! Collects the evidence, in the order that `decide` relies on.

use std::collections::{HashMap, HashSet};

use contract::canonical::Fact;
use contract::event::Event;
use contract::{Fingerprint, IngestId, VendorId, keys, topics};
use ports::Log;
use ports::log::{Ends, Offset, Partition, RawRecord};
use stores::effects::{self, Effect};
use stores::ingest::{self, Patience, Status};
use stores::outbox::RowRef;
use stores::tables::EFFECTS;
use stores::{normalized, quarantine, records};

use super::decide::{Accepted, Books, Claimed, Class, Evidence, Report, Who, classify, parked, who};
use crate::facts;
use crate::problem::Problem;
use crate::server::Operator;

/// Records of one read.
const PAGE: usize = 500;

/// The four logs and the groups that read them, upstream first.
const STAGES: [(&str, &str); 4] = [
    (topics::RAW, "dvss.dedup"),
    (topics::ACCEPTED, "dvss.normalize"),
    (topics::NORMALIZED, "dvss.divergence"),
    (topics::OUTBOX, "dvss.outbox"),
];

/// The books, and what `repair` needs beside them.
pub struct Found {
    /// The books.
    pub report: Report,
    /// The raw records of missing events.
    pub missing: Vec<RawRecord>,
}

/// Draws the books up.
pub async fn report(operator: &Operator) -> Result<Found, Problem> {
    let snapshot = Snapshot::take(operator).await?;
    let (mut books, mut seen, mut suspects) = (Books::default(), Seen::default(), Vec::new());
    let mut raw = Walk::begin(operator, topics::RAW, None).await?;
    while let Some(page) = raw.page().await? {
        for record in page {
            let Some(event) = seen.first_time(&record) else { continue };
            match snapshot.classify(operator, &event, &record).await? {
                (Class::Missing, _) => suspects.push((event, record)),
                (class, damaged) => {
                    books.enter(&accepted(&event), class);
                    damaged.into_iter().for_each(|key| books.damaged(key));
                }
            }
        }
    }
    // What looks lost is looked at once more, on a picture taken now.
    let mut missing = Vec::new();
    if !suspects.is_empty() {
        let snapshot = Snapshot::take(operator).await?;
        for (event, record) in suspects {
            let (class, damaged) = snapshot.classify(operator, &event, &record).await?;
            books.enter(&accepted(&event), class);
            damaged.into_iter().for_each(|key| books.damaged(key));
            if class == Class::Missing {
                missing.push(record);
            }
        }
    }
    for (vendor, (facts, repeats)) in public(operator).await? {
        books.public(&vendor, facts, repeats);
    }
    let orphans = orphans(operator, &mut seen, raw.end()).await?;
    Ok(Found { report: books.close(orphans), missing })
}

/// Which accepted records were met already: a record may be produced more than once.
#[derive(Default)]
struct Seen {
    records: HashSet<Who>,
}

impl Seen {
    /// The event of a record that is met for the first time.
    fn first_time(&mut self, record: &RawRecord) -> Option<Event> {
        // A record without an event's headers is not one of the gateway's: dedup parks it.
        let event = records::event(record).ok()?;
        self.records.insert(who(&accepted(&event))).then_some(event)
    }
}

/// What is unread, receipts, quarantine: taken before any row is read.
struct Snapshot {
    /// Committed offsets of dedup by partition of `dvss.raw`.
    raw: Vec<Offset>,
    /// Events in the unread parts of the other three logs.
    unread: HashSet<IngestId>,
    /// Published, not yet copied into the rows.
    receipts: HashSet<(RowRef, u32)>,
    /// Events with an open or discarded row.
    quarantined: HashSet<Who>,
}

impl Snapshot {
    async fn take(operator: &Operator) -> Result<Self, Problem> {
        let log = &operator.ports.log;
        let raw = log
            .committed(STAGES[0].1, STAGES[0].0)
            .await?
            .into_iter()
            .map(|next| next.unwrap_or(0))
            .collect();
        let mut unread = HashSet::new();
        for (topic, group) in &STAGES[1..] {
            let from = log.committed(group, topic).await?.into_iter().map(|next| next.unwrap_or(0)).collect();
            let mut walk = Walk::begin(operator, topic, Some(from)).await?;
            while let Some(page) = walk.page().await? {
                unread.extend(page.iter().filter_map(event_of));
            }
        }
        let receipts = receipts(operator).await?;
        let quarantined = quarantined(operator).await?;
        Ok(Self { raw, unread, receipts, quarantined })
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
        let is_out =
            |(fact, row): (&&Fact, &Option<Effect>)| row.as_ref().is_some_and(|row| self.is_out(fact, row));
        Ok(Ok(lines.iter().zip(&rows).all(is_out)))
    }

    fn is_out(&self, fact: &Fact, effect: &Effect) -> bool {
        if effect.fact.revision < fact.revision {
            return false;
        }
        let key = effects::key(&effect.entity, effect.kind(), &effect.fact.fold_key());
        let receipt = (RowRef::new(&EFFECTS, &key), effect.fact.revision);
        facts::published(effect).is_some() || self.receipts.contains(&receipt)
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

/// Events that are parked somewhere, open or discarded.
async fn quarantined(operator: &Operator) -> Result<HashSet<Who>, Problem> {
    let (mut events, mut after) = (HashSet::new(), None);
    loop {
        let (page, next) = quarantine::list(&operator.ports, None, after).await?;
        let waiting = page.iter().filter(|row| row.status != quarantine::Status::Released);
        events.extend(waiting.filter_map(|row| row.ingest_id.map(|id| parked(&row.identity, id))));
        after = next;
        if after.is_none() {
            return Ok(events);
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

async fn receipts(operator: &Operator) -> Result<HashSet<(RowRef, u32)>, Problem> {
    let log = &operator.ports.log;
    let copied = log.committed(stores::receipts::COPIED_GROUP, topics::RECEIPTS).await?;
    let from = copied.into_iter().map(|next| next.unwrap_or(0)).collect();
    let mut receipts = HashSet::new();
    let mut walk = Walk::begin(operator, topics::RECEIPTS, Some(from)).await?;
    while let Some(page) = walk.page().await? {
        for record in page {
            let listed = stores::receipts::read(&record)
                .ok_or_else(|| Problem::invalid(format!("{} is not a receipt", record.coordinates())))?;
            receipts.extend(listed.into_iter().map(|receipt| (receipt.row, receipt.revision)));
        }
    }
    Ok(receipts)
}

/// Per vendor: distinct facts on the public topics, and records that repeat one of them.
async fn public(operator: &Operator) -> Result<HashMap<VendorId, (u64, u64)>, Problem> {
    let mut seen: HashSet<Fingerprint> = HashSet::new();
    let mut counts: HashMap<VendorId, (u64, u64)> = HashMap::new();
    for topic in &topics::PUBLIC[..4] {
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

/// Whose a public record is, and a hash of (entity, ingestId, line, leg, revision).
async fn identity(operator: &Operator, record: &RawRecord) -> Result<(VendorId, Fingerprint), Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new(contract::Code::RecordInvalid, format!("{}: {error}", record.coordinates()))
    };
    let value = operator.codec.decode(&record.value).await.map_err(|error| unreadable(&error))?;
    let identity = ["ingestId", "line", "leg", "revision"].map(|name| value[name].to_string()).join("#");
    let entity = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
    let vendor = VendorId::parse(value["vendorId"].as_str().unwrap_or_default())
        .map_err(|error| unreadable(&error))?;
    Ok((vendor, Fingerprint::of_bytes(format!("{entity}\n{identity}").as_bytes())))
}

/// Raw objects with neither a record nor an index or alias row.
async fn orphans(operator: &Operator, seen: &mut Seen, end: Vec<Offset>) -> Result<Vec<String>, Problem> {
    let (mut suspects, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = operator.ports.raw.list(keys::RAW_PREFIX, after.as_deref(), 1_000).await?;
        for entry in page.entries {
            let id = id_of(&entry.key);
            if !id.is_some_and(|id| seen.records.contains(&(id, None))) {
                suspects.push((entry.key, id));
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
            seen.first_time(record);
        }
    }
    let mut orphans = Vec::new();
    for (key, id) in suspects {
        let known = match id {
            Some(id) if seen.records.contains(&(id, None)) => true,
            Some(id) => ingest::by_ingest_id(&*operator.ports.tables, id, Patience::NONE).await?.is_some(),
            None => false,
        };
        if !known {
            orphans.push(key);
        }
    }
    Ok(orphans)
}

fn id_of(key: &str) -> Option<IngestId> {
    let name = key.rsplit('/').next()?.strip_suffix(".json")?;
    IngestId::parse(name).ok()
}

/// The committed records of a topic from `from` (or the start) to the stable end as it was at first, in
/// pages.
struct Walk<'a> {
    log: &'a dyn Log,
    topic: &'a str,
    ends: Vec<Ends>,
    positions: Vec<Offset>,
    index: usize,
}

impl<'a> Walk<'a> {
    async fn begin(
        operator: &'a Operator,
        topic: &'a str,
        from: Option<Vec<Offset>>,
    ) -> Result<Self, Problem> {
        let log = &*operator.ports.log;
        let ends = log.ends(topic).await?;
        let from = from.unwrap_or_default();
        let begin =
            |(index, ends): (usize, &Ends)| from.get(index).copied().unwrap_or(ends.start).max(ends.start);
        let positions = ends.iter().enumerate().map(begin).collect();
        Ok(Self { log, topic, ends, positions, index: 0 })
    }

    /// The next page; `None` at the end. A page may be empty.
    async fn page(&mut self) -> Result<Option<Vec<RawRecord>>, Problem> {
        while let (Some(ends), Some(position)) =
            (self.ends.get(self.index), self.positions.get_mut(self.index))
        {
            if *position >= ends.stable {
                self.index += 1;
                continue;
            }
            let partition = Partition::new(self.topic, u32::try_from(self.index).unwrap_or(u32::MAX));
            let (mut page, next) = self.log.read(&partition, *position, PAGE).await?;
            page.retain(|record| record.offset < ends.stable);
            *position = if next > *position { next } else { ends.stable };
            return Ok(Some(page));
        }
        Ok(None)
    }

    /// Where the walk ended.
    fn end(&self) -> Vec<Offset> {
        self.ends.iter().map(|ends| ends.stable).collect()
    }
}
