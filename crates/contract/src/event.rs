//! An accepted event: its coordinates, as headers carry them beside the vendor's bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
        match self.held(bytes)? {
            Held::Bytes(bytes) => Json::parse(bytes),
            Held::Json(payload) => Ok(payload),
            Held::Base64(text) => {
                let bytes = of_base64(&text)?;
                Json::parse(&bytes)
                    .map_err(|error| unreadable(format!("the bytes are no JSON: {error}"), "/data_base64"))
            }
        }
    }

    /// The payload of a document in this mode where it is not JSON but text or bytes in some other format: the bytes
    /// of a binary CloudEvent, a structured one's `data_base64`, or a JSON string in the payload's place.
    pub fn opaque(self, bytes: &[u8]) -> Result<Opaque<'_>, json::Error> {
        match self.held(bytes)? {
            Held::Bytes(bytes) => Ok(Opaque::Bytes(Cow::Borrowed(bytes))),
            Held::Json(Json::String(text)) => Ok(Opaque::Text(text)),
            Held::Json(other) => Err(json::Error {
                code: Code::SourceSchemaMismatch,
                message: format!(
                    "the payload is {}; the mapping reads another format than JSON, which is sent as text",
                    other.kind()
                ),
                pointer: Some(self.payload_pointer().to_owned()),
            }),
            Held::Base64(text) => of_base64(&text).map(|bytes| Opaque::Bytes(Cow::Owned(bytes))),
        }
    }

    fn held(self, bytes: &[u8]) -> Result<Held<'_>, json::Error> {
        let name = match self {
            Self::Binary => return Ok(Held::Bytes(bytes)),
            Self::Envelope => "payload",
            Self::Structured => "data",
        };
        let document = Json::parse(bytes)?;
        let mut members = if let Json::Object(members) = document { members } else { Vec::new() };
        if let Some(place) = members.iter().position(|(key, _)| key == name) {
            return Ok(Held::Json(members.swap_remove(place).1));
        }
        let base64 = members.into_iter().find(|(key, _)| self == Self::Structured && key == "data_base64");
        match base64 {
            Some((_, Json::String(text))) => Ok(Held::Base64(text)),
            _ => Err(unreadable(format!("no payload at {}", self.payload_pointer()), self.payload_pointer())),
        }
    }
}

/// How a document holds its payload.
enum Held<'a> {
    /// It is the bytes.
    Bytes(&'a [u8]),
    /// It is a member.
    Json(Json),
    /// It is a member's text, which stands for bytes (CloudEvents JSON format 1.0.2, 3.1).
    Base64(String),
}

/// A payload in some other format than JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opaque<'a> {
    /// Bytes, which say themselves how text is encoded in them.
    Bytes(Cow<'a, [u8]>),
    /// Text, decoded already: it came as a JSON string.
    Text(String),
}

impl Opaque<'_> {
    /// The bytes; of a text, in UTF-8.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

fn of_base64(text: &str) -> Result<Vec<u8>, json::Error> {
    STANDARD
        .decode(text)
        .map_err(|error| unreadable(format!("not base64 (RFC 4648): {error}"), "/data_base64"))
}

fn unreadable(message: String, pointer: &str) -> json::Error {
    json::Error { code: Code::RecordInvalid, message, pointer: Some(pointer.to_owned()) }
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

#[cfg(test)]
mod payloads {
    use super::*;

    #[test]
    fn a_payload_stands_where_its_mode_says() {
        for (mode, document, payload) in [
            (Mode::Envelope, r#"{"payload":{"a":1.0}}"#, Ok(r#"{"a":1.0}"#)),
            (Mode::Structured, r#"{"id":"1","data":[1]}"#, Ok("[1]")),
            (Mode::Binary, "7", Ok("7")),
            // {"a":1}
            (Mode::Structured, r#"{"data_base64":"eyJhIjoxfQ=="}"#, Ok(r#"{"a":1}"#)),
            (Mode::Structured, r#"{"data_base64":"eyJhIjoxfQ"}"#, Err("/data_base64")),
            (Mode::Structured, r#"{"data_base64":"AAAA"}"#, Err("/data_base64")),
            (Mode::Structured, "{}", Err("/data")),
            (Mode::Envelope, r#"{"data_base64":"eyJhIjoxfQ=="}"#, Err("/payload")),
        ] {
            let found = mode.payload(document.as_bytes());
            match payload {
                Ok(text) => assert_eq!(found, Json::parse(text.as_bytes()), "{document}"),
                Err(pointer) => {
                    let error = found.expect_err(document);
                    assert_eq!((error.code, error.pointer.as_deref()), (Code::RecordInvalid, Some(pointer)));
                }
            }
        }
    }

    #[test]
    fn what_is_not_json_is_text_or_bytes() {
        let bytes = |text: &'static str| Ok(Opaque::Bytes(Cow::Borrowed(text.as_bytes())));
        let text = |text: &str| Ok(Opaque::Text(text.to_owned()));
        for (mode, document, payload) in [
            (Mode::Binary, "ISA*00", bytes("ISA*00")),
            (Mode::Structured, r#"{"data":"<a>\u00e9</a>"}"#, text("<a>é</a>")),
            (Mode::Structured, r#"{"data_base64":"PGEvPg=="}"#, bytes("<a/>")),
            (Mode::Structured, r#"{"data_base64":"PGEvPg"}"#, Err((Code::RecordInvalid, "/data_base64"))),
            (Mode::Structured, r#"{"data":{"a":1}}"#, Err((Code::SourceSchemaMismatch, "/data"))),
            (Mode::Structured, "{}", Err((Code::RecordInvalid, "/data"))),
            (Mode::Envelope, r#"{"payload":"a;b"}"#, text("a;b")),
            (Mode::Envelope, r#"{"payload":[]}"#, Err((Code::SourceSchemaMismatch, "/payload"))),
        ] {
            let found = mode.opaque(document.as_bytes());
            let found = found.map_err(|error| (error.code, error.pointer.unwrap_or_default()));
            assert_eq!(found, payload.map_err(|(code, place)| (code, place.to_owned())), "{document}");
        }
    }
}
