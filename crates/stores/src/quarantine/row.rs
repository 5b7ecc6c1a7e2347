//! A quarantine row: pure.

use bytes::Bytes;
use contract::canonical::{Quarantined, RawRef};
use contract::{IngestId, Timestamp, VendorId, headers};
use ports::log::{Coordinates, Headers, Offset, Partition, RawRecord, Record};
use ports::tables::{Attr, Condition, Error, Item, Key, Row};
use serde::{Deserialize, Serialize};

use crate::outbox;

use super::subject::IDENTITY;

/// Attribute: the record's bytes.
pub const VALUE: &str = "value";
/// Attribute: key of the object that has them.
pub const OBJECT: &str = "valueObject";
/// Attribute: the record's key and headers.
pub const FRAME: &str = "frame";
/// Attribute: key of the object that has the record's key and headers, where they are too large for the row.
pub const FRAME_OBJECT: &str = "frameObject";
/// Most bytes of a record's key and headers that a row keeps itself.
const MOST_FRAME: usize = 32 * 1_024;
/// Attribute of a released row: where the record was produced to, once it was.
pub const PRODUCED: &str = "produced";

/// What is to become of a parked record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Waits for an operator.
    Open,
    /// Put back to where it came from.
    Released,
    /// Will never be worked on.
    Discarded,
}

impl Status {
    /// As rows and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Released => "RELEASED",
            Self::Discarded => "DISCARDED",
        }
    }
}

/// A row, as operators read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The stage that could not go on.
    pub stage: String,
    /// The row's key under it.
    pub identity: String,
    /// What is to become of it.
    pub status: Status,
    /// How often it was parked; one more once it is released.
    pub count: u32,
    /// Stable code.
    pub code: String,
    /// Where in the vendor's document, where one place is to blame.
    pub pointer: Option<String>,
    /// One sentence for a person.
    pub message: String,
    /// Whose record it is, where that is known.
    pub vendor_id: Option<VendorId>,
    /// The event, where it is known.
    pub ingest_id: Option<IngestId>,
    /// Where the bytes are, where they were accepted.
    pub raw_ref: Option<RawRef>,
    /// The record's coordinates when it was last parked: `topic/partition/offset`.
    pub at: String,
    /// When it was last parked.
    pub parked_at: String,
    /// Where a released record was produced to, once it was: `topic/partition/offset`.
    pub produced: Option<String>,
    /// Why it was discarded.
    pub reason: Option<String>,
    /// Where the row was published, once it was.
    #[serde(skip)]
    pub published: Option<Coordinates>,
}

/// What parking a record does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the row says it already, or knows better.
    Keep,
    /// The row is written, open.
    Write {
        /// Its count.
        count: u32,
    },
}

/// What is known of a row when a record fails that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its count.
    pub count: u32,
    /// Its status.
    pub status: Status,
    /// Whether the failing record is one from before the release ([`precedes_release`]).
    pub old: bool,
}

/// Parks a record that was released `release` times, where the row is as given.
///
/// An open row of count n was parked n times and its record carries release n - 1. Releasing makes it
/// n + 1, released, and the re-produced record carries n; failing again reopens the row at n + 1. So does
/// any other record of the same identity that was produced after the release, as a replay upstream
/// produces them: what was released may have succeeded, and nothing else says that this one did not. A
/// discarded row stays so, whatever comes: a person decided that the record is never worked on, and
/// that settles its replays too.
pub fn park(row: Option<Known>, release: u32) -> Step {
    let count = release.saturating_add(1);
    match row {
        None => Step::Write { count },
        Some(Known { count: known, status: Status::Released, old }) if count >= known || !old => {
            Step::Write { count: count.max(known) }
        }
        Some(Known { count: known, status: Status::Open, .. }) if count > known => Step::Write { count },
        Some(_) => Step::Keep,
    }
}

/// Whether a record was there before its row was released, as far as coordinates tell: it lies at or
/// before the released record, which is thus still to come or comes again with it, or at or before the
/// place where it was parked from. Where they do not tell, it is new: reopened too often, a row is
/// released once more; too seldom, its record is lost.
pub fn precedes_release(row: &Parked, record: &RawRecord) -> bool {
    let places = [Some(&row.at), row.produced.as_ref()];
    places
        .into_iter()
        .flatten()
        .filter_map(|text| place(text))
        .any(|place| record.partition == place.partition && record.offset <= place.offset)
}

/// Reads `topic/partition/offset`.
pub fn place(text: &str) -> Option<Coordinates> {
    let (partition, offset) = text.rsplit_once('/')?;
    let (topic, index) = partition.rsplit_once('/')?;
    let offset: Offset = offset.parse().ok()?;
    Some(Coordinates { partition: Partition::new(topic, index.parse().ok()?), offset })
}

/// Whether a record is the one that was released as this row, where the record only claims it: the row waits for
/// it, or was parked again from where the record lies.
pub fn is_released_as(row: &Parked, record: &RawRecord, release: u32) -> bool {
    let waits = row.status == Status::Released || row.at == record.coordinates();
    release > 0 && row.count == release.saturating_add(1) && waits
}

/// The row is still as it was read.
pub fn unchanged(before: Option<&Parked>) -> Condition {
    match before {
        None => Condition::Absent,
        Some(row) => Condition::All(vec![
            Condition::Equals("count", Attr::N(i64::from(row.count))),
            Condition::Equals("status", Attr::S(row.status.as_str().to_owned())),
        ]),
    }
}

/// A record's key and headers: what it is beside its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    key: Option<Text>,
    headers: Vec<(String, Text)>,
}

impl Frame {
    /// Of a record.
    pub fn of(record: &RawRecord) -> Self {
        let headers = record.headers.iter().map(|(name, value)| (name.clone(), Text::of(value)));
        Self { key: record.key.as_ref().map(Text::of), headers: headers.collect() }
    }

    /// As it is kept.
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what was kept.
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Whether a row can keep it.
    pub fn fits(written: &str) -> bool {
        written.len() <= MOST_FRAME
    }
}

/// The attributes of an open row, outbox columns, frame and bytes not among them.
pub fn columns(public: &Quarantined, record: &RawRecord, now: Timestamp) -> Item {
    let text = |text: &str| Attr::S(text.to_owned());
    let mut item = Item::from([
        ("status".to_owned(), text(Status::Open.as_str())),
        ("count".to_owned(), Attr::N(i64::from(public.count))),
        ("code".to_owned(), text(&public.code)),
        ("message".to_owned(), text(&public.message)),
        ("at".to_owned(), text(&record.coordinates())),
        ("topic".to_owned(), text(&record.partition.topic)),
        ("partition".to_owned(), Attr::N(i64::from(record.partition.index))),
        ("parkedAt".to_owned(), text(&now.sortable())),
    ]);
    let mut add = |name: &str, value: Option<Attr>| item.extend(value.map(|value| (name.to_owned(), value)));
    add("pointer", public.pointer.as_deref().map(text));
    add("vendorId", public.vendor_id.as_ref().map(|id| text(id.as_str())));
    add("ingestId", public.ingest_id.map(|id| Attr::S(id.to_string())));
    add("rawBucket", public.raw_ref.as_ref().map(|raw| text(&raw.bucket)));
    add("rawKey", public.raw_ref.as_ref().map(|raw| text(&raw.key)));
    item
}

/// Where a record's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In the raw object that the row refers to.
    Referenced,
    /// In the row.
    Inline(Bytes),
    /// In an object of their own, under this key of the raw bucket.
    Object(String),
}

/// The attribute that says where the bytes are, where the reference does not.
pub fn kept(kept: &Kept) -> Option<(String, Attr)> {
    match kept {
        Kept::Referenced => None,
        Kept::Inline(bytes) => Some((VALUE.to_owned(), Attr::B(bytes.clone()))),
        Kept::Object(key) => Some((OBJECT.to_owned(), Attr::S(key.clone()))),
    }
}

/// The frame that a row keeps itself. Without it the record would be another one, so a row that lacks it is
/// damage.
pub fn frame(row: &Row) -> Result<Frame, Error> {
    let text = row.item.get(FRAME).and_then(Attr::as_str);
    text.and_then(|text| Frame::read(text.as_bytes())).ok_or_else(|| broken(&row.key, FRAME))
}

/// The record to be produced again, of a released row: a row of count n was released n - 1 times.
pub fn record(row: &Row, parked: &Parked, frame: Frame, value: Bytes) -> Result<Record, Error> {
    let topic = row.item.get("topic").and_then(Attr::as_str).ok_or_else(|| broken(&row.key, "topic"))?;
    let mut pairs: Vec<_> =
        frame.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
    pairs.retain(|(name, _)| name != headers::RELEASE && name != IDENTITY);
    pairs.push((headers::RELEASE.to_owned(), parked.count.saturating_sub(1).to_string().into()));
    pairs.push((IDENTITY.to_owned(), parked.identity.clone().into()));
    let key = frame.key.map(Text::into_bytes);
    let partition = row.item.get("partition").and_then(Attr::as_i64);
    Ok(Record {
        topic: topic.into(),
        // Without a key nothing else leads it back to where it was.
        partition: partition.filter(|_| key.is_none()).and_then(|index| u32::try_from(index).ok()),
        key,
        value,
        headers: pairs,
    })
}

/// A key or a header's value: text, as everywhere in dvss, or else its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

impl Text {
    fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Bytes(bytes) => bytes.into(),
        }
    }
}

/// The headers of a row's public record: those that Kafka Connect's dead letter queues have, so that
/// vendors' own tools can read what was wrong with which record. `None` where the row is damaged.
pub fn connect_headers(stage: &str, item: &Item) -> Option<Headers> {
    let text = |name: &str| item.get(name).and_then(Attr::as_str).map(str::to_owned);
    let at = place(&text("at")?)?;
    let message = match text("pointer") {
        Some(pointer) => format!("{} (at {pointer:?})", text("message")?),
        None => text("message")?,
    };
    let pairs = [
        ("topic", at.partition.topic.to_string()),
        ("partition", at.partition.index.to_string()),
        ("offset", at.offset.to_string()),
        ("connector.name", "dvss".to_owned()),
        ("stage", stage.to_owned()),
        ("exception.class.name", text("code")?),
        ("exception.message", message),
    ];
    Some(pairs.map(|(name, value)| (format!("__connect.errors.{name}"), value.into())).into())
}

fn broken(key: &Key, name: &str) -> Error {
    Error::Invalid(format!("quarantine row {key:?}: no readable `{name}`"))
}

/// Reads a row. Whose it is may be unknown; where it is said and cannot be read, the row is damaged.
pub fn read(key: &Key, item: &Item) -> Result<Parked, Error> {
    let broken = |name: &str| broken(key, name);
    let text = |name: &str| item.get(name).and_then(Attr::as_str).map(str::to_owned);
    let required = |name: &str| text(name).ok_or_else(|| broken(name));
    let status = match required("status")?.as_str() {
        "OPEN" => Status::Open,
        "RELEASED" => Status::Released,
        "DISCARDED" => Status::Discarded,
        _ => return Err(broken("status")),
    };
    let count = item.get("count").and_then(Attr::as_i64).and_then(|count| u32::try_from(count).ok());
    Ok(Parked {
        stage: key.pk.clone(),
        identity: key.sk.clone().unwrap_or_default(),
        status,
        count: count.ok_or_else(|| broken("count"))?,
        code: required("code")?,
        pointer: text("pointer"),
        message: required("message")?,
        vendor_id: text("vendorId").map(VendorId::parse).transpose().map_err(|_| broken("vendorId"))?,
        ingest_id: text("ingestId")
            .map(|id| IngestId::parse(&id))
            .transpose()
            .map_err(|_| broken("ingestId"))?,
        raw_ref: text("rawBucket").zip(text("rawKey")).map(|(bucket, key)| RawRef { bucket, key }),
        at: required("at")?,
        parked_at: required("parkedAt")?,
        produced: text(PRODUCED),
        reason: text("reason"),
        published: outbox::state(item).and_then(|state| state.coordinates),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beside_the_value_comes_back_byte_for_byte() {
        let headers =
            vec![("text".to_owned(), Bytes::from("é")), ("bytes".to_owned(), Bytes::from(&[0xff, 0][..]))];
        let record = RawRecord {
            partition: ports::log::Partition::new("t", 0),
            offset: 0,
            timestamp: 0,
            key: Some(Bytes::from(&[0xfe][..])),
            value: Bytes::new(),
            headers: headers.clone(),
        };
        let written = Frame::of(&record).write();
        assert!(Frame::fits(&written));
        let frame = Frame::read(written.as_bytes()).expect("it reads back");
        assert_eq!(frame.key.map(Text::into_bytes), record.key);
        let read: Vec<_> =
            frame.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        assert_eq!(read, headers);
    }

    #[test]
    fn public_records_say_it_in_connects_words() {
        let item = |pointer: Option<&str>| {
            let pairs = [("at", "dvss.inbound.acme/3/9"), ("code", "json-syntax"), ("message", "no JSON")];
            let pairs = pairs.into_iter().chain(pointer.map(|pointer| ("pointer", pointer)));
            pairs.map(|(name, value)| (name.to_owned(), Attr::S(value.to_owned()))).collect::<Item>()
        };
        let said = |pointer| {
            let headers = connect_headers("dvss.gateway", &item(pointer)).expect("headers");
            let text = |(name, value): (String, Bytes)| {
                format!(
                    "{}={}",
                    name.trim_start_matches("__connect.errors."),
                    String::from_utf8_lossy(&value)
                )
            };
            headers.into_iter().map(text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            said(None),
            "topic=dvss.inbound.acme partition=3 offset=9 connector.name=dvss stage=dvss.gateway \
             exception.class.name=json-syntax exception.message=no JSON"
        );
        assert!(said(Some("/x")).ends_with(r#"exception.message=no JSON (at "/x")"#));
        assert_eq!(connect_headers("s", &Item::new()), None);
    }

    #[test]
    fn what_a_row_says_and_cannot_be_read_is_damage() {
        let text = |text: &str| Attr::S(text.to_owned());
        let key = Key::sorted("dvss.normalize", "i");
        let id = "01J0000000ABCDEFGHJKMNPQRS";
        let item = |vendor: &str, event: &str| {
            let columns =
                [("status", "OPEN"), ("code", "c"), ("message", "m"), ("at", "t/0/1"), ("parkedAt", "p")];
            let columns = columns.into_iter().chain([("vendorId", vendor), ("ingestId", event)]);
            let mut item: Item = columns.map(|(name, value)| (name.to_owned(), text(value))).collect();
            item.insert("count".to_owned(), Attr::N(1));
            item
        };
        let good = read(&key, &item("acme", id)).expect("a row");
        assert_eq!(good.ingest_id.map(|id| id.to_string()).as_deref(), Some(id));
        for (damaged, name) in [(item("acme", "01J"), "`ingestId`"), (item("a/b", id), "`vendorId`")] {
            let error = read(&key, &damaged).expect_err("not read as nobody's");
            assert!(matches!(&error, Error::Invalid(message) if message.contains(name)), "{error}");
        }
        let row = Row { key, item: item("acme", id) };
        frame(&row).expect_err("without its headers it is another record");
    }

    #[test]
    fn nothing_is_parked_twice_and_forgotten() {
        use Status::{Discarded, Open, Released};
        let row = |count, status, old| Some(Known { count, status, old });
        for (row, release, step) in [
            (None, 0, Step::Write { count: 1 }),
            // The same delivery again.
            (row(1, Open, true), 0, Step::Keep),
            // Released, failed again.
            (row(2, Released, true), 1, Step::Write { count: 2 }),
            (row(2, Released, false), 1, Step::Write { count: 2 }),
            // Released, and the first delivery comes once more.
            (row(2, Released, true), 0, Step::Keep),
            // Released, and a replay upstream produced the record anew.
            (row(2, Released, false), 0, Step::Write { count: 2 }),
            (row(4, Released, false), 1, Step::Write { count: 4 }),
            (row(2, Open, true), 1, Step::Keep),
            (row(2, Open, false), 1, Step::Keep),
            (row(2, Open, false), 0, Step::Keep),
            (row(3, Released, true), 2, Step::Write { count: 3 }),
            (row(1, Discarded, true), 0, Step::Keep),
            (row(1, Discarded, false), 0, Step::Keep),
            // A row that was lost does not lose the record.
            (None, 4, Step::Write { count: 5 }),
        ] {
            assert_eq!(park(row, release), step, "{row:?} at release {release}");
        }
    }

    #[test]
    fn which_records_were_there_before_a_release() {
        let row = |produced: Option<&str>| Parked {
            stage: "dvss.normalize".to_owned(),
            identity: "i".to_owned(),
            status: Status::Released,
            count: 2,
            code: String::new(),
            pointer: None,
            message: String::new(),
            vendor_id: None,
            ingest_id: None,
            raw_ref: None,
            at: "t/1/10".to_owned(),
            parked_at: String::new(),
            produced: produced.map(str::to_owned),
            reason: None,
            published: None,
        };
        for (produced, topic, index, offset, old) in [
            (Some("t/1/20"), "t", 1, 10, true),
            (Some("t/1/20"), "t", 1, 15, true),
            (Some("t/1/20"), "t", 1, 20, true),
            (Some("t/1/20"), "t", 1, 21, false),
            (Some("t/1/20"), "t", 0, 3, false),
            (Some("t/1/20"), "u", 1, 3, false),
            (Some("t/0/20"), "t", 1, 10, true),
            (Some("t/0/20"), "t", 1, 11, false),
            // Not produced yet: only what was parked is surely old.
            (None, "t", 1, 10, true),
            (None, "t", 1, 11, false),
        ] {
            let record = RawRecord {
                partition: Partition::new(topic, index),
                offset,
                timestamp: 0,
                key: None,
                value: Bytes::new(),
                headers: vec![],
            };
            assert_eq!(
                precedes_release(&row(produced), &record),
                old,
                "{produced:?} {topic}/{index}/{offset}"
            );
        }
    }

    #[test]
    fn places_read_back() {
        let at = place("dvss.raw/3/12").expect("a place");
        assert_eq!((at.partition.to_string().as_str(), at.offset), ("dvss.raw/3", 12));
        assert!(place("dvss.raw").is_none() && place("dvss.raw/x/1").is_none());
    }
}
