//! The oracle: what must be true of an installation that has come to rest, whatever happened to it.
//!
//! | module | what |
//! |---|---|
//! | [`doors`] | each 2xx has exactly one raw object that says the same (202: these bytes); nothing else is kept |
//! | [`facts`] | one effect an id; what is known of an event is what its vendor meant; totals are sort-then-fold |
//! | [`public`] | a reader of committed records sees each identity once, in order, with the row's bytes |
//! | [`invoices`] | what was applied is booked once, what was taken back not at all |
//! | [`books`] | every accepted record is accounted for: by the operator's own books, and by a second count |
//! | [`progress`] | nothing is committed past unfinished work, at any moment; in the end nothing waits |

pub mod books;
pub mod doors;
pub mod facts;
pub mod invoices;
pub mod progress;
pub mod public;

use std::collections::BTreeMap;

use contract::event::Event;
use contract::{keys, topics};
use ports::blobs::Object;
use ports::log::{Log, Partition, RawRecord};
use ports::tables::{Row, Table, Tables};
use ports::{Blobs, Ports};
use stores::ingest::{self, Entry, Found, Newcomer};
use stores::{effects, records, tables};

use crate::traffic::{Saying, Sending};
use crate::world::World;

/// Whose stock received goods are.
pub const OWNER: &str = "own";

/// Everything that is kept, read once.
pub struct Evidence<'a> {
    /// The installation.
    pub world: &'a World,
    /// Raw objects, and those of conflicts, by key.
    pub raw: BTreeMap<String, Object>,
    /// Records of `dvss.raw`, and their events.
    pub accepted: Vec<(RawRecord, Event)>,
    /// Who claimed: by vendor and external id.
    pub index: BTreeMap<(String, String), Entry>,
    /// Aliases and conflicts.
    pub newcomers: Vec<(bool, Newcomer)>,
    /// Rows of `dvss_effects`, facts that wait beside them left out.
    pub effects: Vec<Row>,
    /// Rows of `dvss_effects` of plans: the owner's, which nobody sent.
    pub booked: Vec<Row>,
    /// Rows of `dvss_canonical_state` of the owner's.
    pub stock: Vec<Row>,
    /// Facts that wait beside their entities' rows, because they were too much to fold.
    pub waiting: Vec<Row>,
    /// Rows of `dvss_canonical_state`.
    pub states: Vec<Row>,
    /// Rows of `dvss_divergence`.
    pub divergences: Vec<Row>,
    /// Rows of `dvss_quarantine`, those that count budgets left out.
    pub parked: Vec<Row>,
    /// Records of the public topics.
    pub published: Vec<RawRecord>,
}

/// What is wrong; nothing is, where it is empty.
pub async fn verdict(world: &World) -> Vec<String> {
    let evidence = match Evidence::gather(world).await {
        Ok(evidence) => evidence,
        Err(problem) => return vec![format!("the evidence cannot be read: {problem}")],
    };
    let mut wrong = Vec::new();
    doors::check(&evidence, &mut wrong);
    facts::check(&evidence, &mut wrong).await;
    invoices::check(&evidence, &mut wrong).await;
    public::check(&evidence, &mut wrong).await;
    books::check(&evidence, &mut wrong).await;
    wrong
}

type Problem = Box<dyn std::error::Error>;

impl<'a> Evidence<'a> {
    async fn gather(world: &'a World) -> Result<Self, Problem> {
        let Ports { log, raw: bucket, tables, .. } = &world.ports;
        let mut raw = BTreeMap::new();
        for prefix in [keys::RAW_PREFIX, keys::CONFLICTS_PREFIX] {
            raw.extend(objects(&**bucket, prefix).await?);
        }
        let mut accepted = Vec::new();
        for record in read(&**log, topics::RAW).await? {
            let event = records::event(&record)?;
            accepted.push((record, event));
        }
        let (mut index, mut newcomers) = (BTreeMap::new(), Vec::new());
        for row in scan(&**tables, &tables::INGEST_INDEX).await? {
            match ingest::read(&row)? {
                Found::Event(entry) => {
                    index.insert((entry.vendor_id.to_string(), entry.external_event_id.to_string()), entry);
                }
                Found::Alias(newcomer) => newcomers.push((false, newcomer)),
                Found::Conflict(newcomer) => newcomers.push((true, newcomer)),
            }
        }
        let mut parked = scan(&**tables, &tables::QUARANTINE).await?;
        parked.retain(|row| row.item.contains_key("outTopic"));
        let effects = scan(&**tables, &tables::EFFECTS).await?;
        let (waiting, effects): (Vec<Row>, Vec<Row>) = effects.into_iter().partition(waits);
        let own = |row: &Row| row.key.pk.starts_with(&format!("{OWNER}|"));
        let (booked, effects) = effects.into_iter().partition(own);
        let (stock, states) = scan(&**tables, &tables::CANONICAL_STATE).await?.into_iter().partition(own);
        let mut published = Vec::new();
        for topic in topics::PUBLIC {
            published.extend(read(&**log, topic).await?);
        }
        Ok(Self {
            world,
            raw,
            accepted,
            index,
            newcomers,
            effects,
            waiting,
            booked,
            stock,
            states,
            divergences: scan(&**tables, &tables::DIVERGENCE).await?,
            parked,
            published,
        })
    }

    /// What was sent under an id: sendings and their sayings.
    pub fn sent(&self, vendor: &str, external: &str) -> impl Iterator<Item = (usize, &Sending, &Saying)> {
        let traffic = &self.world.traffic;
        let all = traffic.sendings.iter().enumerate();
        all.map(|(index, sending)| (index, sending, &traffic.sayings[sending.saying]))
            .filter(move |(_, _, saying)| saying.vendor == vendor && saying.external == external)
    }

    /// Which saying some bytes are, of those under an id.
    pub fn saying_of(&self, vendor: &str, external: &str, bytes: &[u8]) -> Option<usize> {
        const MOST_ATTEMPTS: u32 = 400;
        let traffic = &self.world.traffic;
        let found = self.sent(vendor, external).find(|(index, sending, _)| {
            let attempts = if sending.redates { MOST_ATTEMPTS } else { 1 };
            (0..attempts).any(|attempt| traffic.body(*index, attempt).1 == bytes)
        });
        found.map(|(_, sending, _)| sending.saying)
    }
}

/// Whether a row of `dvss_effects` is a fact that waits.
pub fn waits(row: &Row) -> bool {
    row.key.sk.as_deref().is_some_and(|sk| sk.starts_with(effects::WAITING))
}

/// Objects of a prefix.
pub async fn objects(bucket: &dyn Blobs, prefix: &str) -> Result<Vec<(String, Object)>, Problem> {
    let (mut objects, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = bucket.list(prefix, after.as_deref(), 1_000).await?;
        for entry in page.entries {
            let object = bucket.get(&entry.key).await?;
            objects.push((entry.key, object));
        }
        after = page.next;
        if after.is_none() {
            return Ok(objects);
        }
    }
}

/// Rows of a table, by key.
pub async fn scan(tables: &dyn Tables, table: &'static Table) -> Result<Vec<Row>, Problem> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = tables.scan(table, after, 1_000).await?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            rows.sort_by(|one, other| one.key.cmp(&other.key));
            return Ok(rows);
        }
    }
}

/// Committed records of a topic.
pub async fn read(log: &dyn Log, topic: &str) -> Result<Vec<RawRecord>, Problem> {
    let mut records = Vec::new();
    for (index, ends) in (0..).zip(log.ends(topic).await?) {
        let partition = Partition::new(topic, index);
        let mut position = ends.start;
        while position < ends.stable {
            let (page, next) = log.read(&partition, position, 1_000).await?;
            records.extend(page);
            if next <= position {
                break;
            }
            position = next;
        }
    }
    Ok(records)
}

/// A text for all that is kept: what a replay must come to, byte for byte.
pub async fn digest(ports: &Ports) -> String {
    let mut all = Vec::new();
    for topic in topics::INTERNAL.into_iter().chain(topics::PUBLIC) {
        all.push(format!("{:?}", read(&*ports.log, topic).await.ok()));
    }
    for table in tables::ALL {
        all.push(format!("{:?}", scan(&*ports.tables, table).await.ok()));
    }
    for bucket in [&ports.raw, &ports.normalized, &ports.invoices] {
        all.push(format!("{:?}", objects(&**bucket, "").await.ok()));
    }
    contract::Fingerprint::of_bytes(all.join("\n").as_bytes()).to_string()
}
