//! Whose record it is, and which, as far as it says so itself: pure.

use contract::canonical::RawRef;
use contract::{IngestId, VendorId, entity, headers, topics};
use ports::log::RawRecord;
use runtime::Poison;
use serde::Deserialize;

use super::row::place;

/// On a re-produced record without an event's headers: the identity of its row, for it has other
/// coordinates now.
pub const IDENTITY: &str = "dvss-quarantine-identity";

/// Whose record it is, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The row's key under its stage.
    pub identity: String,
    /// Whose record it is, where that is known.
    pub vendor_id: Option<VendorId>,
    /// The event, where it is known.
    pub ingest_id: Option<IngestId>,
    /// Where the event's bytes are, where they are the record's own.
    pub raw_ref: Option<RawRef>,
}

/// The part of a fact that says which it is; the rest may be what is wrong with it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FactId {
    ingest_id: IngestId,
    line: u32,
    leg: u8,
    revision: u32,
    vendor_id: VendorId,
}

/// What a re-produced record says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// How often it was released.
    pub count: u32,
    /// The identity of its row, where its headers do not tell it otherwise.
    pub identity: Option<String>,
}

impl Release {
    /// What is said; whether it is to be believed, [`is_claim`] tells.
    pub fn of(record: &RawRecord) -> Self {
        let count = record.header(headers::RELEASE).and_then(|text| text.parse().ok()).unwrap_or(0);
        Self { count, identity: record.header(IDENTITY).map(str::to_owned) }
    }
}

/// Whether it is only a claim that a record was released: vendors write what they like to their own topics.
pub fn is_claim(record: &RawRecord) -> bool {
    topics::inbound_vendor(&record.partition.topic).is_some() && record.header(IDENTITY).is_some()
}

/// Whether a vendor's record may be the one that was released as this row: it names the row's own topic.
pub fn may_be_released_as(record: &RawRecord, identity: &str) -> bool {
    place(identity).is_some_and(|at| at.partition.topic == record.partition.topic && at.offset >= 0)
        && identity.len() <= MOST_PLACE
}

/// Longer is no topic, partition and offset: a topic's name has 249 bytes at most.
const MOST_PLACE: usize = 300;

impl Subject {
    /// What the record says, else what its stage found out.
    pub fn of(record: &RawRecord, poison: &Poison, release: &Release) -> Self {
        let vendor_id = || vendor_of(record).or_else(|| poison.vendor_id.clone());
        let of_coordinates = || {
            let identity = release.identity.clone().unwrap_or_else(|| record.coordinates());
            Self { identity, vendor_id: vendor_id(), ingest_id: poison.ingest_id, raw_ref: None }
        };
        // Its headers are the vendor's own words; dvss has given it no id.
        if topics::inbound_vendor(&record.partition.topic).is_some() {
            return Self { ingest_id: None, ..of_coordinates() };
        }
        if &*record.partition.topic == topics::NORMALIZED {
            let Ok(fact) = serde_json::from_slice::<FactId>(&record.value) else { return of_coordinates() };
            let FactId { ingest_id, line, leg, revision, vendor_id } = fact;
            return Self {
                identity: of_fact(ingest_id, line, leg, revision),
                vendor_id: Some(vendor_id),
                ingest_id: Some(ingest_id),
                raw_ref: None, // that of the whole event
            };
        }
        let Some(ingest_id) = record.header(headers::INGEST_ID).and_then(|text| IngestId::parse(text).ok())
        else {
            return of_coordinates();
        };
        // A newcomer may have its winner's ingest id.
        let newcomer =
            record.header(headers::CONFLICT_WITH).and_then(|_| record.header(headers::FINGERPRINT));
        let reference = record.header(headers::RAW_BUCKET).zip(record.header(headers::RAW_KEY));
        Self {
            identity: newcomer.map_or_else(|| ingest_id.to_string(), |print| format!("{ingest_id}#{print}")),
            vendor_id: vendor_id(),
            ingest_id: Some(ingest_id),
            raw_ref: reference.map(|(bucket, key)| RawRef { bucket: bucket.to_owned(), key: key.to_owned() }),
        }
    }
}

/// The identity under which a fact is parked.
pub fn of_fact(ingest_id: IngestId, line: u32, leg: u8, revision: u32) -> String {
    format!("{ingest_id}#{line}#{leg}#{revision}")
}

/// Whose record it is: the topic that the vendor writes to, an event's header, or a fact's entity key says it.
pub fn vendor_of(record: &RawRecord) -> Option<VendorId> {
    if let Some(vendor) = topics::inbound_vendor(&record.partition.topic) {
        return Some(vendor);
    }
    if let Some(vendor) = record.header(headers::VENDOR_ID) {
        return VendorId::parse(vendor).ok();
    }
    if &*record.partition.topic != topics::NORMALIZED {
        return None;
    }
    entity::vendor_of(std::str::from_utf8(record.key.as_deref()?).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use contract::Code;
    use ports::log::Partition;

    use super::*;

    const ID: &str = "01J0000000ABCDEFGHJKMNPQRS";

    fn record(topic: &str, key: &'static str, value: &str, headers: &[(&str, &'static str)]) -> RawRecord {
        let pair = |(name, value): &(&str, &'static str)| ((*name).to_owned(), Bytes::from(*value));
        RawRecord {
            partition: Partition::new(topic, 3),
            offset: 9,
            timestamp: 0,
            key: Some(key.into()),
            value: Bytes::copy_from_slice(value.as_bytes()),
            headers: headers.iter().map(pair).collect(),
        }
    }

    #[test]
    fn every_record_has_an_identity_of_its_own() {
        let poison = Poison {
            code: Code::RecordInvalid,
            message: String::new(),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        };
        let event = [(headers::INGEST_ID, ID), (headers::VENDOR_ID, "acme")];
        let flagged = [event[0], event[1], (headers::CONFLICT_WITH, ID), (headers::FINGERPRINT, "f00")];
        let fact = format!(
            r#"{{"ingestId":"{ID}","line":7,"leg":1,"revision":2,"vendorId":"acme","data":{{"odd":true}}}}"#
        );
        let fact_id = format!("{ID}#7#1#2");
        // What a vendor writes into headers that are dvss's own means nothing, but for its own rows.
        let inbound = "dvss.inbound.acme";
        let forged = [event[0], (headers::VENDOR_ID, "other")];
        for (record, identity, vendor) in [
            (record(topics::RAW, "acme", "{", &event), ID.to_owned(), Some("acme")),
            (record(topics::RAW, "acme", "{", &flagged), format!("{ID}#f00"), Some("acme")),
            (record(topics::NORMALIZED, "acme|w|A", &fact, &[]), fact_id, Some("acme")),
            (record(topics::NORMALIZED, "acme|w|A", "{", &[]), "dvss.normalized/3/9".into(), Some("acme")),
            (record(topics::NORMALIZED, "???", "{", &[]), "dvss.normalized/3/9".into(), None),
            (record(topics::RAW, "acme", "{", &[]), "dvss.raw/3/9".into(), None),
            (record(inbound, "", "{", &forged), "dvss.inbound.acme/3/9".into(), Some("acme")),
            (record(topics::RAW, "acme", "{", &[(IDENTITY, "dvss.raw/1/2")]), "dvss.raw/1/2".into(), None),
        ] {
            let subject = Subject::of(&record, &poison, &Release::of(&record));
            assert_eq!(subject.identity, identity);
            assert_eq!(subject.vendor_id.as_ref().map(VendorId::as_str), vendor, "{identity}");
            assert_eq!(vendor_of(&record), subject.vendor_id);
        }
    }

    #[test]
    fn what_vendors_claim() {
        let said = |topic: &str, identity: &'static str| record(topic, "", "{", &[(IDENTITY, identity)]);
        assert!(is_claim(&said("dvss.inbound.acme", "x")) && !is_claim(&said(topics::RAW, "x")));
        for (identity, may) in [
            ("dvss.inbound.acme/1/2", true),
            ("dvss.inbound.other/1/2", false),
            ("dvss.inbound.acme/1/-2", false),
            ("dvss.inbound.acme/1/2/3", false),
            ("dvss.inbound.acme/", false),
            ("", false),
        ] {
            assert_eq!(may_be_released_as(&said("dvss.inbound.acme", "x"), identity), may, "{identity}");
        }
    }
}
