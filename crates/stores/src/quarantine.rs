//! `dvss_quarantine`: records that a stage could not work on, as rows of their own (key stage, then
//! identity). Nothing is parked twice and forgotten: see [`row::park`].
//!
//! Identity: an event's record has the ingest id, a flagged one that and the newcomer's fingerprint; a
//! fact has `ingestId#line#leg#revision`; anything else its coordinates. The record's bytes are kept by
//! reference where the raw bucket has them, else in the row, else as an object. A row is an outbox row
//! too; its publication's revision is the row's count.
//!
//! Per stage and vendor one more row counts what is open ([`depth`]): beyond the budget a vendor's records are
//! parked without being tried, until an operator resumes it ([`resume`]).

mod budget;
mod operate;
mod row;
mod subject;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use contract::canonical::Quarantined;
use contract::{Code, Fingerprint, VendorId, headers, topics};
use ports::log::RawRecord;
use ports::tables::{Attr, Error, Key, Write, get_one};
use ports::{Ports, blobs};
use runtime::{Failure, Output, Poison, Quarantine};
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::failure;
use crate::outbox::{self, Publication, RowRef};
use crate::tables::QUARANTINE;

use budget::Budgets;
pub use budget::depth;
pub use operate::{
    ACTOR, MOST_SHOWN, Refused, Resumed, by_event, discard, list, list_some, release, resume, show,
};
use row::{Frame, Kept, Known, Step, park, precedes_release};
pub use row::{Parked, Status, connect_headers};
pub use subject::of_fact;
use subject::{Release, Subject, is_claim, may_be_released_as, vendor_of};

/// Most bytes that a row keeps itself; larger ones become objects.
const MOST_INLINE: usize = 300 * 1_024;
/// Prefix of the objects, in the raw bucket.
const PREFIX: &str = "quarantine/";
/// Most bytes of a message or a pointer.
const MOST_TEXT: usize = 2_000;

/// What an operator may set about quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Open rows that a vendor may have at one stage; beyond, its records there are parked untried.
    pub budget: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: 10_000 }
    }
}

/// The store of poison, as the loop sees it.
pub struct QuarantineStore {
    ports: Ports,
    codec: Arc<Codec>,
    budgets: Budgets,
}

impl QuarantineStore {
    /// A store on these ports.
    pub fn new(ports: Ports, codec: Arc<Codec>, options: Options) -> Self {
        Self { ports, codec, budgets: Budgets::new(options.budget) }
    }

    /// Whether, and as which row, the record was released.
    async fn release(&self, stage: &str, record: &RawRecord) -> Result<Release, Error> {
        let said = Release::of(record);
        if !is_claim(record) {
            return Ok(said);
        }
        let identity = said.identity.as_deref().filter(|identity| may_be_released_as(record, identity));
        let Some(identity) = identity else { return Ok(Release::default()) };
        let key = Key::sorted(stage, identity);
        let item = get_one(&*self.ports.tables, &QUARANTINE, key.clone()).await?;
        let row = item.map(|item| row::read(&key, &item)).transpose()?;
        let released = row.is_some_and(|row| row::is_released_as(&row, record, said.count));
        Ok(if released { said } else { Release::default() })
    }

    /// How the record's bytes are kept.
    async fn keep(&self, record: &RawRecord, subject: &Subject, code: Code) -> Result<Kept, Failure> {
        let stored = record.header(headers::SHA256).and_then(Fingerprint::parse);
        let sum = Fingerprint::of_bytes(&record.value);
        // An object that is corrupt is no place to find the bytes again.
        if subject.raw_ref.is_some() && stored == Some(sum) && code != Code::ObjectCorrupt {
            return Ok(Kept::Referenced);
        }
        if record.value.len() <= MOST_INLINE {
            return Ok(Kept::Inline(record.value.clone()));
        }
        Ok(Kept::Object(self.put(record.value.clone()).await?))
    }

    /// The attribute that says what the record is beside its value.
    async fn keep_frame(&self, record: &RawRecord) -> Result<(String, Attr), Failure> {
        let written = Frame::of(record).write();
        if Frame::fits(&written) {
            return Ok((row::FRAME.to_owned(), Attr::S(written)));
        }
        Ok((row::FRAME_OBJECT.to_owned(), Attr::S(self.put(written.into()).await?)))
    }

    /// An object of its own, under a key that its bytes decide.
    async fn put(&self, bytes: Bytes) -> Result<String, Failure> {
        let key = format!("{PREFIX}{}", Fingerprint::of_bytes(&bytes));
        let put = self.ports.raw.put(&key, bytes, blobs::Metadata::new(), blobs::Condition::Absent);
        match put.await {
            Ok(_) | Err(blobs::Error::Precondition) => Ok(key),
            Err(error) => Err(failure::of_blobs(&error)),
        }
    }
}

#[async_trait]
impl Quarantine for QuarantineStore {
    async fn park(&self, stage: &str, record: &RawRecord, poison: &Poison) -> Result<Vec<Output>, Failure> {
        let tables = &*self.ports.tables;
        let of_tables = |error: Error| failure::of_tables(&error);
        let release = self.release(stage, record).await.map_err(of_tables)?;
        let subject = Subject::of(record, poison, &release);
        let key = Key::sorted(stage, &subject.identity);
        let output = || vec![RowRef::new(&QUARANTINE, &key).output(&public_key(&key))];
        let known = get_one(tables, &QUARANTINE, key.clone()).await.map_err(of_tables)?;
        let before = known.as_ref().map(|item| row::read(&key, item)).transpose().map_err(of_tables)?;
        let known = before.as_ref().map(|row| Known {
            count: row.count,
            status: row.status,
            old: precedes_release(row, record),
        });
        let count = match park(known, release.count) {
            Step::Keep => return Ok(output()),
            Step::Write { count } => count,
        };
        let public = Quarantined {
            stage: stage.to_owned(),
            identity: subject.identity.clone(),
            count,
            vendor_id: subject.vendor_id.clone(),
            ingest_id: subject.ingest_id,
            code: poison.code.as_str().to_owned(),
            pointer: poison.pointer.as_deref().map(bounded),
            message: bounded(&poison.message),
            raw_ref: subject.raw_ref.clone(),
        };
        let value = self.codec.encode(topics::QUARANTINE, &public).await.map_err(|error| error.failure())?;
        let publication = Publication {
            topic: topics::QUARANTINE.to_owned(),
            key: public_key(&key),
            value,
            revision: count,
        };
        let now = self.ports.clock.now();
        let mut item = outbox::columns(&publication, now);
        item.extend(row::columns(&public, record, now));
        item.extend([self.keep_frame(record).await?]);
        item.extend(row::kept(&self.keep(record, &subject, poison.code).await?));
        let write = Write::put(&QUARANTINE, key.clone(), item, row::unchanged(before.as_ref()));
        match tables.write(write).await {
            Ok(()) => {}
            // The next attempt reads what is there, be it this very row.
            Err(Error::Condition(_)) => {
                return Err(Failure::Transient("the quarantine row changed".to_owned()));
            }
            Err(error) => return Err(of_tables(error)),
        }
        let newly = before.is_none_or(|row| row.status != Status::Open);
        if newly && self.budgets.opened(tables, stage, subject.vendor_id.as_ref()).await {
            let vendor = subject.vendor_id.as_ref().map(VendorId::as_str);
            tracing::error!(stage, vendorId = vendor, "over its budget: parked untried until it is resumed");
        }
        Ok(output())
    }

    async fn over_budget(&self, stage: &str, record: &RawRecord) -> Result<bool, Failure> {
        let of_tables = |error: Error| failure::of_tables(&error);
        // A released record is tried: that is what it was released for.
        if self.release(stage, record).await.map_err(of_tables)?.count > 0 {
            return Ok(false);
        }
        let Some(vendor) = vendor_of(record) else { return Ok(false) };
        let over = self.budgets.is_over(&*self.ports.tables, stage, &vendor).await;
        over.map_err(|error| failure::of_tables(&error))
    }
}

/// The public record's key: one row, one key, one owner.
fn public_key(key: &Key) -> String {
    format!("{}|{}", key.pk, key.sk.as_deref().unwrap_or_default())
}

fn bounded(text: &str) -> String {
    let end = (0..=MOST_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}
