//! `dvss_divergence`: where what was said disagrees with what is known, for a person to look at.
//!
//! Key: vendorId, then `time#ingestId#line#leg#kind#revision`, time being the newer side's
//! `occurredAt`, numbers in fixed width. So a fact has at most one row a kind and revision, and the
//! same finding is the same row however often it is made. Rows are published under the key
//! `vendorId`: one row always has one input partition of the outbox, hence one owner.

use bytes::Bytes;
use contract::canonical::{Divergence, DivergenceKind, Fact};
use contract::{IngestId, Timestamp, VendorId, topics};
use ports::tables::{Attr, Condition, Cursor, Edit, Error, Item, Key, Query, Row, Tables, Write};
use runtime::{Failure, Output};
use serde::{Deserialize, Serialize};

use crate::audit::{self, Deed};
use crate::codec::Codec;
use crate::failure;
use crate::outbox::{self, Publication, RowRef};
use crate::tables::{BY_EVENT, DIVERGENCE};

/// How often [`record`] and [`judge`] look again where another writer was first.
const ATTEMPTS: usize = 8;

/// What a person made of a divergence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has looked at it.
    Open,
    /// It is so, and needs nothing.
    Accepted,
    /// What caused it was put right.
    Resolved,
}

impl Status {
    /// The text in the row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Accepted, Self::Resolved].into_iter().find(|status| status.as_str() == text)
    }
}

/// A row as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// What diverges.
    pub divergence: Divergence,
    /// What a person made of it.
    pub status: Status,
    /// Why, in that person's words.
    pub note: Option<String>,
    /// When the row was written.
    pub recorded_at: String,
    /// Its publication.
    pub outbox: Option<outbox::State>,
}

impl Entry {
    /// What people call the row: `ingestId.line.leg.KIND.revision`.
    pub fn id(&self) -> String {
        let Divergence { ingest_id, line, leg, kind, revision, .. } = &self.divergence;
        format!("{ingest_id}.{line}.{leg}.{}.{revision}", kind_name(*kind))
    }
}

/// Why a person's wish was not granted.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No such row.
    #[error("there is no divergence {0}; `dvss divergences list` shows their ids")]
    NotFound(String),
    /// The tables.
    #[error(transparent)]
    Tables(#[from] Error),
}

/// The kind as it is written in keys and on the wire.
pub fn kind_name(kind: DivergenceKind) -> &'static str {
    match kind {
        DivergenceKind::Stale => "STALE",
        DivergenceKind::Conflict => "CONFLICT",
        DivergenceKind::SameTimeDifferentValue => "SAME_TIME_DIFFERENT_VALUE",
        DivergenceKind::NegativeQuantity => "NEGATIVE_QUANTITY",
        DivergenceKind::AnomalousChange => "ANOMALOUS_CHANGE",
        DivergenceKind::SchemaDrift => "SCHEMA_DRIFT",
        DivergenceKind::VendorsDisagree => "VENDORS_DISAGREE",
    }
}

/// The kind of that name.
pub fn parse_kind(name: &str) -> Option<DivergenceKind> {
    use DivergenceKind::*;
    let all = [
        Stale,
        Conflict,
        SameTimeDifferentValue,
        NegativeQuantity,
        AnomalousChange,
        SchemaDrift,
        VendorsDisagree,
    ];
    all.into_iter().find(|kind| kind_name(*kind) == name)
}

/// The row's key.
pub fn key(divergence: &Divergence) -> Key {
    let sk = format!("{}{:010}", findings_prefix(divergence), divergence.revision);
    Key::sorted(divergence.vendor_id.as_str(), sk)
}

/// The key of what was found of this kind with a fact at its revision.
pub fn key_of_fact(fact: &Fact, kind: DivergenceKind) -> Key {
    let Fact { occurred_at, ingest_id, line, leg, revision, .. } = fact;
    let prefix = prefix(*occurred_at, *ingest_id, *line, *leg, kind);
    Key::sorted(fact.vendor_id.as_str(), format!("{prefix}{revision:010}"))
}

/// What the sort keys of one fact's findings of one kind start with.
fn findings_prefix(divergence: &Divergence) -> String {
    let Divergence { occurred_at, ingest_id, line, leg, kind, .. } = divergence;
    prefix(*occurred_at, *ingest_id, *line, *leg, *kind)
}

fn prefix(at: Timestamp, event: IngestId, line: u32, leg: u8, kind: DivergenceKind) -> String {
    format!("{}#{event}#{line:010}#{leg}#{}#", at.sortable(), kind_name(kind))
}

/// A new, open row that is to be published, pending since `now`: for a transaction of the caller's.
/// `value` is the public record's, encoded for [`topics::DIVERGENCE`].
pub fn row(divergence: &Divergence, value: Bytes, now: Timestamp) -> (Key, Item) {
    let publication = Publication {
        topic: topics::DIVERGENCE.to_owned(),
        key: divergence.vendor_id.to_string(),
        value,
        // The row's revision, not the fact's: these bytes never change.
        revision: 1,
    };
    let json = serde_json::to_string(divergence).expect("a divergence has text keys and no floats");
    let mut item = outbox::columns(&publication, now);
    item.extend([
        ("divergence".to_owned(), Attr::S(json)),
        ("kind".to_owned(), Attr::S(kind_name(divergence.kind).to_owned())),
        ("status".to_owned(), Attr::S(Status::Open.as_str().to_owned())),
        ("ingestId".to_owned(), Attr::S(divergence.ingest_id.to_string())),
        ("recordedAt".to_owned(), Attr::S(now.to_string())),
    ]);
    (key(divergence), item)
}

/// The reference to a row, for `dvss.outbox`.
pub fn output(key: &Key) -> Output {
    RowRef::new(&DIVERGENCE, key).output(&key.pk)
}

/// Records a finding once and returns the reference to its row, new or old.
///
/// A finding is known by its key without the revision and by its `ours`: put into `ours` only what
/// tells one payload from another, nothing that a retry changes. Different findings of one kind about
/// one fact (three payloads under one event id) get the revisions 1, 2, ….
pub async fn record(
    tables: &dyn Tables,
    codec: &Codec,
    mut divergence: Divergence,
    now: Timestamp,
) -> Result<Output, Failure> {
    for _ in 0..ATTEMPTS {
        match known(tables, &divergence).await.map_err(|error| failure::of_tables(&error))? {
            Known::Row(key) => return Ok(output(&key)),
            Known::Revisions(last) => divergence.revision = last + 1,
        }
        let value = codec.encode(topics::DIVERGENCE, &divergence).await.map_err(|error| error.failure())?;
        let (key, item) = row(&divergence, value, now);
        match tables.write(Write::put(&DIVERGENCE, key.clone(), item, Condition::Absent)).await {
            Ok(()) => return Ok(output(&key)),
            Err(Error::Condition(_)) => {}
            Err(error) => return Err(failure::of_tables(&error)),
        }
    }
    Err(Failure::Transient(format!("others keep writing rows {}", findings_prefix(&divergence))))
}

enum Known {
    /// The same finding.
    Row(Key),
    /// Only others, the last of which has this revision (0: there is none).
    Revisions(u32),
}

async fn known(tables: &dyn Tables, divergence: &Divergence) -> Result<Known, Error> {
    let query = Query::of(&DIVERGENCE, divergence.vendor_id.as_str()).prefix(&findings_prefix(divergence));
    let mut last = 0;
    let mut after = None;
    loop {
        let page = tables.query(Query { after, ..query.clone() }).await?;
        for found in &page.rows {
            let entry = read(found)?;
            if entry.divergence.ours == divergence.ours {
                return Ok(Known::Row(found.key.clone()));
            }
            last = last.max(entry.divergence.revision);
        }
        after = page.next;
        if after.is_none() {
            return Ok(Known::Revisions(last));
        }
    }
}

/// Reads a row; [`Error::Invalid`] where it is not one of ours.
pub fn read(row: &Row) -> Result<Entry, Error> {
    let text = |name: &str| row.item.get(name).and_then(Attr::as_str);
    let broken = |problem: String| Error::Invalid(format!("divergence row {:?}: {problem}", row.key));
    let json = text("divergence").ok_or_else(|| broken("no `divergence`".to_owned()))?;
    let status = text("status").and_then(Status::parse).ok_or_else(|| broken("no `status`".to_owned()))?;
    Ok(Entry {
        key: row.key.clone(),
        divergence: serde_json::from_str(json).map_err(|error| broken(error.to_string()))?,
        status,
        note: text("note").map(str::to_owned),
        recorded_at: text("recordedAt").unwrap_or_default().to_owned(),
        outbox: outbox::state(&row.item),
    })
}

/// One page of a vendor's rows, the latest `occurredAt` first.
pub async fn of_vendor(
    tables: &dyn Tables,
    vendor: &VendorId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<Cursor>), Error> {
    let query = Query { descending: true, limit, after, ..Query::of(&DIVERGENCE, vendor.as_str()) };
    let page = tables.query(query).await?;
    Ok((page.rows.iter().map(read).collect::<Result<_, _>>()?, page.next))
}

/// One page of all rows, in no particular order.
pub async fn of_all(
    tables: &dyn Tables,
    after: Option<Cursor>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<Cursor>), Error> {
    let page = tables.scan(&DIVERGENCE, after, limit).await?;
    Ok((page.rows.iter().map(read).collect::<Result<_, _>>()?, page.next))
}

/// The row of this [id](Entry::id). The index that it is found by may lag behind the table.
pub async fn find(tables: &dyn Tables, id: &str) -> Result<Entry, Refused> {
    let event = id.split('.').next().and_then(|event| IngestId::parse(event).ok());
    let not_found = || Refused::NotFound(id.to_owned());
    let (event, mut after) = (event.ok_or_else(not_found)?, None);
    loop {
        let (page, next) = by_event(tables, event, after).await?;
        if let Some(found) = page.into_iter().find(|entry| entry.id() == id) {
            return Ok(found);
        }
        after = next;
        if after.is_none() {
            return Err(not_found());
        }
    }
}

/// One page of the rows about one event. The index may lag behind the table.
pub async fn by_event(
    tables: &dyn Tables,
    event: IngestId,
    after: Option<Cursor>,
) -> Result<(Vec<Entry>, Option<Cursor>), Error> {
    let query = Query { limit: 100, after, ..Query::over(&DIVERGENCE, BY_EVENT.name, event.to_string()) };
    let page = tables.query(query).await?;
    let keys: Vec<Key> = page.rows.into_iter().map(|row| row.key).collect();
    let items = tables.get(&DIVERGENCE, &keys).await?;
    let rows = keys.into_iter().zip(items).filter_map(|(key, item)| Some(Row { key, item: item? }));
    Ok((rows.map(|row| read(&row)).collect::<Result<_, _>>()?, page.next))
}

/// A person's verdict on a row, and why, in one transaction with the audit's entry. The same verdict again
/// changes nothing, its first reason stays.
pub async fn judge(
    tables: &dyn Tables,
    now: Timestamp,
    actor: &str,
    id: &str,
    verdict: Status,
    reason: &str,
) -> Result<Entry, Refused> {
    let text = |status: Status| Attr::S(status.as_str().to_owned());
    for _ in 0..ATTEMPTS {
        let before = find(tables, id).await?;
        if before.status == verdict {
            return Ok(before);
        }
        let after = Entry { status: verdict, note: Some(reason.to_owned()), ..before.clone() };
        let edits = vec![Edit::Set("status", text(verdict)), Edit::Set("note", Attr::S(reason.to_owned()))];
        let condition = Condition::Equals("status", text(before.status));
        let write = Write::edit(&DIVERGENCE, before.key.clone(), edits, condition);
        let told = |entry: &Entry| serde_json::json!({ "status": entry.status, "note": entry.note });
        let deed = Deed {
            actor: actor.to_owned(),
            action: format!("divergence.{}", verdict.as_str()),
            subject: id.to_owned(),
            before: told(&before),
            after: told(&after),
        };
        match audit::commit(tables, now, &deed, vec![write]).await {
            Ok(()) => return Ok(after),
            Err(Error::Condition(_) | Error::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refused::Tables(Error::Conflict))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use embedded::Engine;
    use embedded::tables::EmbeddedTables;
    use ports::{Schemas, schemas};

    use super::*;

    struct Registry;

    #[async_trait]
    impl Schemas for Registry {
        async fn id(&self, _subject: &str, _schema: &str) -> Result<u32, schemas::Error> {
            Ok(7)
        }
        async fn schema(&self, id: u32) -> Result<Arc<str>, schemas::Error> {
            Err(schemas::Error::Unknown(id.to_string()))
        }
    }

    fn conflict(ours: &str) -> Divergence {
        Divergence {
            kind: DivergenceKind::Conflict,
            vendor_id: VendorId::parse("acme").expect("id"),
            ingest_id: IngestId::parse("01J0000000ABCDEFGHJKMNPQRS").expect("id"),
            line: 0,
            leg: 0,
            revision: 1,
            entity: None,
            occurred_at: Timestamp::parse("2026-03-16T08:35:06Z").expect("instant"),
            message: "one id, two payloads".to_owned(),
            ours: ours.to_owned(),
            theirs: None,
        }
    }

    #[tokio::test]
    async fn one_finding_is_one_row_and_different_ones_stand_beside_each_other() {
        let tables = EmbeddedTables::new(Engine::in_memory(), &crate::tables::ALL).expect("tables");
        let codec = Codec::new(Arc::new(Registry));
        let now = Timestamp::parse("2026-03-16T08:36:00Z").expect("instant");
        let mut outputs = Vec::new();
        for ours in ["first", "second", "first", "second", "third"] {
            outputs.push(record(&tables, &codec, conflict(ours), now).await.expect("recorded"));
        }
        assert_eq!((&outputs[0], &outputs[1]), (&outputs[2], &outputs[3]));
        let vendor = VendorId::parse("acme").expect("id");
        let (rows, _) = of_vendor(&tables, &vendor, None, 10).await.expect("rows");
        let rows: Vec<_> =
            rows.iter().map(|row| (row.divergence.ours.as_str(), row.divergence.revision)).collect();
        assert_eq!(rows, [("third", 3), ("second", 2), ("first", 1)]);
        let sk = "2026-03-16T08:35:06.000000000Z#01J0000000ABCDEFGHJKMNPQRS#0000000000#0#CONFLICT#0000000001";
        assert_eq!(key(&conflict("first")), Key::sorted("acme", sk));
    }

    #[tokio::test]
    async fn a_verdict_is_in_the_row_and_in_the_audit() {
        let tables = EmbeddedTables::new(Engine::in_memory(), &crate::tables::ALL).expect("tables");
        let codec = Codec::new(Arc::new(Registry));
        let now = Timestamp::parse("2026-03-16T08:36:00Z").expect("instant");
        record(&tables, &codec, conflict("first"), now).await.expect("recorded");
        let (all, _) = of_all(&tables, None, 10).await.expect("rows");
        let id = all[0].id();
        assert_eq!(id, "01J0000000ABCDEFGHJKMNPQRS.0.0.CONFLICT.1");
        for (verdict, reason, note) in [
            (Status::Accepted, "it is so", "it is so"),
            (Status::Resolved, "they corrected it", "they corrected it"),
            (Status::Resolved, "once more", "they corrected it"),
        ] {
            let judged = judge(&tables, now, "operator", &id, verdict, reason).await.expect("judged");
            let found = find(&tables, &id).await.expect("a row");
            assert_eq!((judged.status, judged.note.as_deref()), (verdict, Some(note)));
            assert_eq!(found, judged);
        }
        let entries = audit::list(&tables, &audit::day(now), None, 10).await.expect("entries");
        assert_eq!(audit::verify(&entries), None);
        let told: Vec<_> = entries
            .iter()
            .map(|entry| {
                let Deed { action, subject, before, after, .. } = &entry.deed;
                assert_eq!(*subject, id);
                (action.as_str(), before["status"].as_str(), after["note"].as_str())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("divergence.accepted", Some("open"), Some("it is so")),
                ("divergence.resolved", Some("accepted"), Some("they corrected it")),
            ]
        );
        for nothing in ["01J0000000ABCDEFGHJKMNPQRS.0.0.STALE.1", "01J0000000ABCDEFGHJKMNPQRT.0", "", "x"] {
            let refused = judge(&tables, now, "operator", nothing, Status::Resolved, "-").await;
            assert!(matches!(refused, Err(Refused::NotFound(_))), "{nothing:?}: {refused:?}");
        }
    }

    #[test]
    fn kinds_are_written_as_serde_writes_them() {
        let kinds = "STALE CONFLICT SAME_TIME_DIFFERENT_VALUE NEGATIVE_QUANTITY ANOMALOUS_CHANGE SCHEMA_DRIFT VENDORS_DISAGREE";
        for name in kinds.split(' ') {
            let kind = parse_kind(name).expect("a kind");
            assert_eq!(serde_json::json!(kind), name);
            assert_eq!(kind_name(kind), name);
        }
    }
}
