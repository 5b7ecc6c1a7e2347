//! Outbox columns: what effect, divergence and quarantine rows have in common.
//!
//! A row that is to be published carries the exact bytes and where they go; it is *pending* until the
//! outbox has set the coordinates for its current revision. The reference to it travels on
//! `dvss.outbox` under the key of the public record, so that one key has one input partition, hence
//! one owner.

use std::sync::Arc;

use bytes::Bytes;
use contract::{IngestId, Timestamp, topics};
use ports::log::{Coordinates, Headers, Partition, RawRecord, Record};
use ports::tables::{Attr, Condition, Edit, Error, Item, Key, Table, Tables, Write};
use runtime::Output;
use serde::{Deserialize, Serialize};

use crate::quarantine;
use crate::tables::{ALL, DIVERGENCE, QUARANTINE};

/// How many values `pendingShard` has: one value would be hot.
pub const PENDING_SHARDS: u32 = 16;

/// What a row publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The public topic.
    pub topic: String,
    /// The public record's key.
    pub key: String,
    /// The public record's value.
    pub value: Bytes,
    /// Which revision of the row this is; grows with every change of the bytes.
    pub revision: u32,
}

/// Which row: what a record on `dvss.outbox` says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RowRef {
    /// The table's name.
    pub table: String,
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

/// The outbox columns of a row as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What it publishes.
    pub publication: Publication,
    /// Where that was put, where the outbox has copied it for this revision.
    pub coordinates: Option<Coordinates>,
}

impl RowRef {
    /// Refers to a row of a sorted table.
    pub fn new(table: &'static Table, key: &Key) -> Self {
        Self { table: table.name.to_owned(), pk: key.pk.clone(), sk: key.sk.clone().unwrap_or_default() }
    }

    /// The row's table; `None` where no table has the name.
    pub fn table(&self) -> Option<&'static Table> {
        ALL.into_iter().find(|table| table.name == self.table)
    }

    /// The row's key.
    pub fn key(&self) -> Key {
        Key::sorted(&self.pk, &self.sk)
    }

    /// The record for `dvss.outbox`; `key` is the public record's key. One row is named once a batch.
    pub fn output(&self, key: &str) -> Output {
        let value = serde_json::to_vec(self).unwrap_or_default();
        let record = Record {
            topic: topics::OUTBOX.into(),
            partition: None,
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: value.into(),
            headers: Vec::new(),
        };
        Output { record, identity: Some(format!("{}\n{}\n{}", self.table, self.pk, self.sk)) }
    }

    /// The event that an effect or divergence row is about: both carry its ingest id in the sort key.
    pub fn event(&self) -> Option<IngestId> {
        self.sk.split('#').find_map(|part| IngestId::parse(part).ok())
    }

    /// Reads a record of `dvss.outbox`.
    pub fn read(record: &RawRecord) -> Option<Self> {
        serde_json::from_slice(&record.value).ok()
    }
}

/// The attributes of a row that is to be published, pending since `now`.
pub fn columns(publication: &Publication, now: Timestamp) -> Item {
    let Publication { topic, key, value, revision } = publication;
    let shard = ports::partition::partition_of(Some(key.as_bytes()), PENDING_SHARDS);
    Item::from([
        ("outTopic".to_owned(), Attr::S(topic.clone())),
        ("outKey".to_owned(), Attr::S(key.clone())),
        ("outValue".to_owned(), Attr::B(value.clone())),
        ("outRevision".to_owned(), Attr::N(i64::from(*revision))),
        ("pendingShard".to_owned(), Attr::S(shard_name(shard))),
        ("pendingSince".to_owned(), Attr::S(now.sortable())),
    ])
}

/// The value of `pendingShard` for a shard.
pub fn shard_name(shard: u32) -> String {
    format!("p{shard:02}")
}

/// Outbox columns that are there and cannot be read: the row publishes something, and nobody knows what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its column {0} cannot be read")]
pub struct Damaged(pub &'static str);

/// The outbox columns of a row; `None` where it has none (it publishes nothing).
///
/// # Errors
/// [`Damaged`] where it has some of them, or they are not what they should be. Coordinates that cannot
/// be read count: without them the row would be published once more.
pub fn read(item: &Item) -> Result<Option<State>, Damaged> {
    const ALL: [&str; 4] = ["outRevision", "outTopic", "outKey", "outValue"];
    if !ALL.iter().any(|name| item.contains_key(*name)) {
        return Ok(None);
    }
    let text = |name| item.get(name).and_then(Attr::as_str).map(str::to_owned).ok_or(Damaged(name));
    let number = |name| item.get(name).and_then(Attr::as_i64).ok_or(Damaged(name));
    let positive = |name| number(name).and_then(|number| u32::try_from(number).map_err(|_| Damaged(name)));
    let publication = Publication {
        topic: text("outTopic")?,
        key: text("outKey")?,
        value: item.get("outValue").and_then(Attr::as_bytes).ok_or(Damaged("outValue"))?.clone(),
        revision: positive("outRevision")?,
    };
    let published = match item.get("publishedRevision") {
        Some(_) => number("publishedRevision")? == i64::from(publication.revision),
        None => false,
    };
    let coordinates = if published {
        let topic: Arc<str> = text("publishedTopic")?.into();
        let partition = Partition { topic, index: positive("publishedPartition")? };
        Some(Coordinates { partition, offset: number("publishedOffset")? })
    } else {
        None
    };
    Ok(Some(State { publication, coordinates }))
}

/// The outbox columns of a row, for those who only look; `None` also where they are damaged.
pub fn state(item: &Item) -> Option<State> {
    read(item).ok().flatten()
}

/// The headers of a row's public record.
///
/// # Errors
/// [`Damaged`] where the row lacks what they say.
pub fn public_headers(row: &RowRef, item: &Item) -> Result<Headers, Damaged> {
    if row.table != QUARANTINE.name {
        return Ok(Headers::new());
    }
    quarantine::connect_headers(&row.pk, item).ok_or(Damaged("at"))
}

/// Whose row it is, as far as the row says so itself: for logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The event.
    pub ingest_id: Option<String>,
    /// Its vendor.
    pub vendor_id: Option<String>,
    /// The vendor's id of it.
    pub external_event_id: Option<String>,
}

/// Reads whose row it is.
pub fn subject(row: &RowRef, item: &Item) -> Subject {
    let text = |name: &str| item.get(name).and_then(Attr::as_str).map(str::to_owned);
    let fact = item.get("fact").and_then(Attr::as_str);
    let fact = fact.and_then(|text| serde_json::from_str::<contract::canonical::Fact>(text).ok());
    Subject {
        ingest_id: text("ingestId").or_else(|| row.event().map(|id| id.to_string())),
        // A divergence's row lies under its vendor.
        vendor_id: text("vendorId").or_else(|| (row.table == DIVERGENCE.name).then(|| row.pk.clone())),
        external_event_id: text("externalEventId").or(fact.map(|fact| fact.external_event_id.to_string())),
    }
}

/// Sets a row's coordinates for `revision`; the row is pending no more. Changes nothing where the row
/// has gone on to another revision, or is gone.
pub async fn set_coordinates(
    tables: &dyn Tables,
    row: &RowRef,
    revision: u32,
    at: &Coordinates,
) -> Result<(), Error> {
    let Some(table) = row.table() else { return Ok(()) };
    let edits = vec![
        Edit::Set("publishedRevision", Attr::N(i64::from(revision))),
        Edit::Set("publishedTopic", Attr::S(at.partition.topic.to_string())),
        Edit::Set("publishedPartition", Attr::N(i64::from(at.partition.index))),
        Edit::Set("publishedOffset", Attr::N(at.offset)),
        Edit::Remove("pendingShard"),
        Edit::Remove("pendingSince"),
    ];
    let condition = Condition::Equals("outRevision", Attr::N(i64::from(revision)));
    match tables.write(Write::edit(table, row.key(), edits, condition)).await {
        Err(Error::Condition(_)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Item {
        let publication =
            Publication { topic: "t".to_owned(), key: "k".to_owned(), value: vec![1].into(), revision: 2 };
        let mut item = columns(&publication, Timestamp::from_millis(0).expect("an instant"));
        item.insert("publishedRevision".to_owned(), Attr::N(2));
        item.insert("publishedTopic".to_owned(), Attr::S("t".to_owned()));
        item.insert("publishedPartition".to_owned(), Attr::N(3));
        item.insert("publishedOffset".to_owned(), Attr::N(4));
        item
    }

    #[test]
    fn what_publishes_nothing_is_not_what_is_damaged() {
        assert_eq!(read(&Item::new()), Ok(None));
        let at = Coordinates { partition: Partition::new("t", 3), offset: 4 };
        assert_eq!(read(&row()).map(|state| state.and_then(|state| state.coordinates)), Ok(Some(at)));
        for name in ["outRevision", "outTopic", "outKey", "outValue", "publishedTopic", "publishedOffset"] {
            let mut missing = row();
            missing.remove(name);
            assert_eq!(read(&missing), Err(Damaged(name)));
            let mut other = row();
            other.insert(name.to_owned(), Attr::Bool(true));
            assert_eq!(read(&other), Err(Damaged(name)));
        }
        // Coordinates of an earlier revision are nobody's business.
        let mut earlier = row();
        earlier.insert("publishedRevision".to_owned(), Attr::N(1));
        earlier.remove("publishedTopic");
        assert!(matches!(read(&earlier), Ok(Some(State { coordinates: None, .. }))));
    }
}
