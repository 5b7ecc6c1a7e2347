//! An accepted event: its coordinates, as headers carry them beside the vendor's bytes.

use serde::{Deserialize, Serialize};

use crate::canonical::RawRef;
use crate::{
    Code, EventType, ExternalEventId, Fingerprint, IngestId, Json, Timestamp, VendorId, headers, json,
};

/// How the bytes hold the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Envelope v1: the payload is the member `payload`.
    Envelope,
    /// A structured CloudEvent: the payload is `data` or `data_base64`.
    Structured,
    /// A binary CloudEvent: the bytes are the payload.
    Binary,
}

impl Mode {
    /// The text in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Structured => "structured",
            Self::Binary => "binary",
        }
    }

    /// Where in the document the payload stands, as an RFC 6901 pointer.
    pub fn payload_pointer(self) -> &'static str {
        match self {
            Self::Envelope => "/payload",
            Self::Structured => "/data",
            Self::Binary => "",
        }
    }

    /// The payload of a document in this mode, as JSON.
    pub fn payload(self, bytes: &[u8]) -> Result<Json, json::Error> {
        let document = Json::parse(bytes)?;
        let member = match (self, document) {
            (Self::Binary, document) => return Ok(document),
            (Self::Envelope, Json::Object(members)) => members.into_iter().find(|(key, _)| key == "payload"),
            (Self::Structured, Json::Object(members)) => members.into_iter().find(|(key, _)| key == "data"),
            _ => None,
        };
        member.map(|(_, value)| value).ok_or_else(|| json::Error {
            code: Code::RecordInvalid,
            message: format!("no JSON payload at {}", self.payload_pointer()),
            pointer: Some(self.payload_pointer().to_owned()),
        })
    }
}

/// What a vendor's request says, checked, before anything was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Our id of it.
    pub ingest_id: IngestId,
    /// Who says it.
    pub vendor_id: VendorId,
    /// The vendor's id of it.
    pub external_event_id: ExternalEventId,
    /// The vendor's word for its kind.
    pub event_type: EventType,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// For telling a repeat from a conflict.
    pub fingerprint: Fingerprint,
    /// How the bytes hold the payload.
    pub mode: Mode,
    /// Media type of the bytes that are stored.
    pub content_type: String,
}

/// An accepted event without its bytes: what the headers of `dvss.raw` and `dvss.accepted` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What the vendor said.
    pub draft: Draft,
    /// When the first gateway took it.
    pub received_at: Timestamp,
    /// Where the bytes are.
    pub raw_ref: RawRef,
    /// SHA-256 of the bytes.
    pub sha256: Fingerprint,
    /// W3C trace context, where the request had one.
    pub traceparent: Option<String>,
    /// On a flagged record: the event that won. A flagged record never claims the index.
    pub conflict_with: Option<IngestId>,
    /// How often it was released from quarantine.
    pub release: u32,
}

/// A header is absent or unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {name}: {problem}")]
pub struct HeaderError {
    /// The header.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Event {
    /// The headers, in a fixed order.
    pub fn to_headers(&self) -> Vec<(&'static str, String)> {
        let draft = &self.draft;
        let mut pairs = vec![
            (headers::INGEST_ID, draft.ingest_id.to_string()),
            (headers::VENDOR_ID, draft.vendor_id.to_string()),
            (headers::EXTERNAL_EVENT_ID, draft.external_event_id.to_string()),
            (headers::EVENT_TYPE, draft.event_type.to_string()),
            (headers::OCCURRED_AT, draft.occurred_at.to_string()),
            (headers::RECEIVED_AT, self.received_at.to_string()),
            (headers::RAW_BUCKET, self.raw_ref.bucket.clone()),
            (headers::RAW_KEY, self.raw_ref.key.clone()),
            (headers::SHA256, self.sha256.to_string()),
            (headers::FINGERPRINT, draft.fingerprint.to_string()),
            (headers::CONTENT_TYPE, draft.content_type.clone()),
            (headers::MODE, draft.mode.as_str().to_owned()),
        ];
        pairs.extend(self.traceparent.clone().map(|text| (headers::TRACEPARENT, text)));
        pairs.extend(self.conflict_with.map(|id| (headers::CONFLICT_WITH, id.to_string())));
        if self.release > 0 {
            pairs.push((headers::RELEASE, self.release.to_string()));
        }
        pairs
    }

    /// Reads the headers through `get`.
    pub fn from_headers<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, HeaderError> {
        fn read<T, E: std::fmt::Display>(
            name: &'static str,
            value: Option<&str>,
            parse: impl Fn(&str) -> Result<T, E>,
        ) -> Result<T, HeaderError> {
            let value = value.ok_or_else(|| HeaderError { name, problem: "is missing".to_owned() })?;
            parse(value).map_err(|error| HeaderError { name, problem: error.to_string() })
        }
        let text = |name| read(name, get(name), |text| Ok::<_, String>(text.to_owned()));
        let time = |name| read(name, get(name), Timestamp::parse);
        let print = |name| read(name, get(name), |text| Fingerprint::parse(text).ok_or("is not a SHA-256"));
        let draft = Draft {
            ingest_id: read(headers::INGEST_ID, get(headers::INGEST_ID), IngestId::parse)?,
            vendor_id: read(headers::VENDOR_ID, get(headers::VENDOR_ID), |text| VendorId::parse(text))?,
            external_event_id: read(headers::EXTERNAL_EVENT_ID, get(headers::EXTERNAL_EVENT_ID), |text| {
                ExternalEventId::parse(text)
            })?,
            event_type: read(headers::EVENT_TYPE, get(headers::EVENT_TYPE), |text| EventType::parse(text))?,
            occurred_at: time(headers::OCCURRED_AT)?,
            fingerprint: print(headers::FINGERPRINT)?,
            mode: read(headers::MODE, get(headers::MODE), |text| match text {
                "envelope" => Ok(Mode::Envelope),
                "structured" => Ok(Mode::Structured),
                "binary" => Ok(Mode::Binary),
                _ => Err("is not a mode"),
            })?,
            content_type: text(headers::CONTENT_TYPE)?,
        };
        Ok(Self {
            draft,
            received_at: time(headers::RECEIVED_AT)?,
            raw_ref: RawRef { bucket: text(headers::RAW_BUCKET)?, key: text(headers::RAW_KEY)? },
            sha256: print(headers::SHA256)?,
            traceparent: get(headers::TRACEPARENT).map(str::to_owned),
            conflict_with: match get(headers::CONFLICT_WITH) {
                Some(text) => Some(read(headers::CONFLICT_WITH, Some(text), IngestId::parse)?),
                None => None,
            },
            release: match get(headers::RELEASE) {
                Some(text) => read(headers::RELEASE, Some(text), str::parse)?,
                None => 0,
            },
        })
    }
}
