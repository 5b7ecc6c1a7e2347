//! A topic's records, in pages: what `dvss tail` reads.

use axum::Json;
use axum::extract::{Path, Query, State};
use contract::{Code, topics};
use ports::log::{Offset, Partition, RawRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stores::codec::CodecError;

use crate::problem::Problem;
use crate::server::Operator;

/// Records of a page.
const PAGE: usize = 500;
/// About how many bytes a page has; its last record may go beyond.
const PAGE_BYTES: usize = 4 * 1_024 * 1_024;
/// Records of one read of the log: few, for records may be large.
const READ: usize = 32;

/// Where to read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// `start`, `end`, or `next` of the page before.
    cursor: String,
    /// Records at or past these offsets are left out: `end` of an earlier page.
    until: Option<String>,
}

/// One page of a topic.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    records: Vec<Record>,
    /// The cursor to go on from.
    next: String,
    /// The readable end of the topic as it is now.
    end: String,
    /// Whether nothing readable lies behind this page.
    at_end: bool,
}

/// A record as people read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    topic: String,
    partition: u32,
    offset: Offset,
    timestamp: i64,
    key: Option<String>,
    headers: serde_json::Map<String, serde_json::Value>,
    value: Box<RawValue>,
}

impl Record {
    /// About how many bytes it takes in an answer.
    fn bytes(&self) -> usize {
        let headers =
            self.headers.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
        self.value.get().len() + self.key.as_ref().map_or(0, String::len) + headers.sum::<usize>()
    }
}

/// `GET /topics/{topic}/records`
pub async fn records(
    State(operator): State<Operator>,
    Path(topic): Path<String>,
    Query(window): Query<Window>,
) -> Result<Json<Page>, Problem> {
    let log = &operator.ports.log;
    let ends = log.ends(&topic).await?;
    let stable: Vec<Offset> = ends.iter().map(|ends| ends.stable).collect();
    let mut cursor = match window.cursor.as_str() {
        "start" => ends.iter().map(|ends| ends.start).collect(),
        "end" => stable.clone(),
        text => read_offsets(text, ends.len())?,
    };
    let until = match &window.until {
        Some(text) => read_offsets(text, ends.len())?,
        None => stable.clone(),
    };
    let (mut records, mut bytes) = (Vec::new(), 0);
    for (index, position) in cursor.iter_mut().enumerate() {
        let partition = Partition::new(topic.as_str(), u32::try_from(index).unwrap_or(u32::MAX));
        'partition: while *position < until[index] && records.len() < PAGE && bytes < PAGE_BYTES {
            let (page, next) = log.read(&partition, *position, READ.min(PAGE - records.len())).await?;
            for record in page.iter().filter(|record| record.offset < until[index]) {
                let shown = readable(&operator, record).await?;
                bytes += shown.bytes();
                records.push(shown);
                if bytes >= PAGE_BYTES {
                    *position = record.offset + 1;
                    break 'partition;
                }
            }
            if next <= *position {
                break;
            }
            *position = next;
        }
    }
    let at_end = cursor.iter().zip(&until).all(|(position, until)| position >= until);
    Ok(Json(Page { records, next: write_offsets(&cursor), end: write_offsets(&stable), at_end }))
}

async fn readable(operator: &Operator, record: &RawRecord) -> Result<Record, Problem> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = record.headers.iter().map(|(name, value)| (name.clone(), text(value).into()));
    Ok(Record {
        topic: record.partition.topic.to_string(),
        partition: record.partition.index,
        offset: record.offset,
        timestamp: record.timestamp,
        key: record.key.as_deref().map(text),
        headers: headers.collect(),
        value: value(operator, record).await?,
    })
}

/// The value: public topics by their schema, others as the JSON that they are (exact, numbers as
/// written), anything else as text. A public record that its schema cannot read is shown as
/// `{"undecodable": "why"}`: it stays where it is, and what lies behind it is to be seen.
async fn value(operator: &Operator, record: &RawRecord) -> Result<Box<RawValue>, Problem> {
    let internal = |error: &dyn std::fmt::Display| {
        Problem::new(Code::Internal, format!("{} cannot be read: {error}", record.coordinates()))
    };
    let text = if topics::PUBLIC.contains(&&*record.partition.topic) {
        match operator.codec.decode(&record.value).await {
            Ok(value) => value.to_string(),
            // The registry's own word that it has no such schema: waiting here would hide what lies behind.
            Err(error) if error.is_transient() && !is_unknown(&error) => {
                let detail = format!("{} cannot be read now: {error}", record.coordinates());
                return Err(Problem::new(Code::Unavailable, detail));
            }
            Err(error) => serde_json::json!({ "undecodable": error.to_string() }).to_string(),
        }
    } else {
        match contract::Json::parse(&record.value) {
            Ok(json) => json.to_string(),
            Err(_) => {
                serde_json::Value::String(String::from_utf8_lossy(&record.value).into_owned()).to_string()
            }
        }
    };
    RawValue::from_string(text).map_err(|error| internal(&error))
}

/// Whether the registry answered, and does not have the record's schema.
fn is_unknown(error: &CodecError) -> bool {
    matches!(error, CodecError::Registry(ports::schemas::Error::Unknown(_)))
}

fn write_offsets(offsets: &[Offset]) -> String {
    offsets.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

fn read_offsets(text: &str, count: usize) -> Result<Vec<Offset>, Problem> {
    let offsets: Option<Vec<Offset>> = text.split('.').map(|offset| offset.parse().ok()).collect();
    offsets.filter(|offsets| offsets.len() == count).ok_or_else(|| {
        Problem::invalid(format!("{text:?} is not a cursor of this topic; begin with `start` or `end`"))
    })
}
