//! Envelope v1, the body of `POST /v1/events`; `schemas/envelope/v1.schema.json` says the same.
//!
//! ```json
//! {"externalEventId": "…", "eventType": "…", "occurredAt": "2026-03-16T08:35:06Z", "payload": {…}}
//! ```
//!
//! `vendorId` may stand beside them and must then be the vendor that the credential names. Other
//! members are kept in the raw object and mean nothing to dvss.

use std::time::Duration;

use crate::event::{Draft, Mode};
use crate::{
    Code, EventType, ExternalEventId, Fingerprint, IngestId, Json, Timestamp, VendorId, ids, json, time,
};

/// Media type of a stored envelope.
pub const MEDIA_TYPE: &str = "application/json";

/// Why an event is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable code.
    pub code: Code,
    /// What is wrong, and what to do.
    pub message: String,
    /// RFC 6901 pointer of the place, where one is known.
    pub pointer: Option<String>,
    /// The event's id, where enough of it could be read.
    pub ingest_id: Option<IngestId>,
}

impl Refusal {
    /// A refusal without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None, ingest_id: None }
    }

    /// The same, with its place.
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }
}

impl From<json::Error> for Refusal {
    fn from(error: json::Error) -> Self {
        Self { code: error.code, message: error.message, pointer: error.pointer, ingest_id: None }
    }
}

impl From<ids::Error> for Refusal {
    fn from(error: ids::Error) -> Self {
        Self::new(error.code, error.to_string())
    }
}

/// The window in which `occurredAt` must lie.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Now.
    pub now: Timestamp,
    /// How far a vendor's clock may run ahead.
    pub max_ahead: Duration,
}

impl Window {
    /// Parses `text` and checks the window; `name` is the field's name for messages.
    pub fn check(&self, name: &str, text: &str) -> Result<Timestamp, Refusal> {
        let time = Timestamp::parse(text).map_err(|error| {
            let beyond = matches!(error, time::Error::TooFar(_));
            let code = if beyond { Code::OccurredAtOutOfRange } else { Code::OccurredAtInvalid };
            Refusal::new(code, format!("{name}: {error}"))
        })?;
        let earliest = Timestamp::from_millis(946_684_800_000).unwrap_or(time); // 2000-01-01T00:00:00Z
        let latest = self.now.plus(self.max_ahead);
        if time < earliest || time > latest {
            let message =
                format!("{name} {time} lies outside of {earliest} to {latest}; send when it happened");
            return Err(Refusal::new(Code::OccurredAtOutOfRange, message));
        }
        Ok(time)
    }
}

/// Reads an envelope from `vendor`.
pub fn read(bytes: &[u8], vendor: &VendorId, window: &Window) -> Result<Draft, Refusal> {
    let document = Json::parse(bytes)?;
    if !matches!(document, Json::Object(_)) {
        let message = format!("the body is {}; send an envelope, a JSON object", document.kind());
        return Err(Refusal::new(Code::EnvelopeFieldInvalid, message).at(""));
    }
    if let Some(named) = optional_text(&document, "vendorId")? {
        check_vendor(vendor, named, "/vendorId")?;
    }
    let external_event_id = required_text(&document, "externalEventId")?;
    let external_event_id = ExternalEventId::parse(external_event_id)
        .map_err(|error| Refusal::from(error).at("/externalEventId"))?;
    let event_type = required_text(&document, "eventType")?;
    let event_type = EventType::parse(event_type).map_err(|error| Refusal::from(error).at("/eventType"))?;
    let occurred_at = required_text(&document, "occurredAt")?;
    let occurred_at = window.check("occurredAt", occurred_at).map_err(|refusal| refusal.at("/occurredAt"))?;
    let ingest_id = IngestId::derive(vendor, &external_event_id, occurred_at);
    let payload = match document.get("payload") {
        Some(payload @ (Json::Object(_) | Json::Array(_))) => payload,
        None => return Err(Refusal { ingest_id: Some(ingest_id), ..missing("payload") }),
        Some(other) => {
            let message = format!("payload is {}; it must be an object or an array", other.kind());
            let refusal = Refusal::new(Code::EnvelopeFieldInvalid, message).at("/payload");
            return Err(Refusal { ingest_id: Some(ingest_id), ..refusal });
        }
    };
    let fingerprint = Fingerprint::of_json(&event_type, payload);
    Ok(Draft {
        ingest_id,
        vendor_id: vendor.clone(),
        external_event_id,
        event_type,
        occurred_at,
        fingerprint,
        mode: Mode::Envelope,
        content_type: MEDIA_TYPE.to_owned(),
    })
}

/// A body that names another vendor than the credential is refused.
pub(crate) fn check_vendor(vendor: &VendorId, named: &str, pointer: &str) -> Result<(), Refusal> {
    if named == vendor.as_str() {
        return Ok(());
    }
    let message = format!("the body names another vendor than its sender, {vendor}");
    Err(Refusal::new(Code::VendorMismatch, message).at(pointer))
}

fn missing(name: &str) -> Refusal {
    Refusal::new(Code::EnvelopeFieldMissing, format!("{name} is missing")).at(format!("/{name}"))
}

fn optional_text<'a>(document: &'a Json, name: &str) -> Result<Option<&'a str>, Refusal> {
    match document.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => {
            let message = format!("{name} is {}; it must be a string", other.kind());
            Err(Refusal::new(Code::EnvelopeFieldInvalid, message).at(format!("/{name}")))
        }
    }
}

fn required_text<'a>(document: &'a Json, name: &str) -> Result<&'a str, Refusal> {
    optional_text(document, name)?.ok_or_else(|| missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("time");
        Window { now, max_ahead: Duration::from_secs(600) }
    }

    fn acme() -> VendorId {
        VendorId::parse("acme").expect("id")
    }

    #[test]
    fn a_good_one() {
        let body = br#"{"vendorId":"acme","externalEventId":"e1","eventType":"stock","occurredAt":"2026-11-22T12:09:59+00:00","payload":{"a":1},"x":null}"#;
        let draft = read(body, &acme(), &window()).expect("accepted");
        assert_eq!(draft.ingest_id, IngestId::derive(&acme(), &draft.external_event_id, draft.occurred_at));
        assert_eq!(draft.mode.payload(body), Ok(Json::parse(br#"{"a":1}"#).expect("json")));
    }

    #[test]
    fn refusals() {
        let good = [
            ("externalEventId", "\"e1\""),
            ("eventType", "\"stock\""),
            ("occurredAt", "\"2026-11-22T11:00:00Z\""),
            ("payload", "{}"),
        ];
        let with = |name: &str, value: &str| {
            let mut members: Vec<_> = good
                .iter()
                .filter(|(key, _)| *key != name)
                .map(|(key, value)| format!("{key:?}:{value}"))
                .collect();
            if !value.is_empty() {
                members.push(format!("{name:?}:{value}"));
            }
            let refusal =
                read(format!("{{{}}}", members.join(",")).as_bytes(), &acme(), &window()).expect_err(value);
            (refusal.code, refusal.pointer.unwrap_or_default())
        };
        let long = |count: usize| format!("{:?}", "x".repeat(count));
        for (name, value, code) in [
            ("vendorId", "\"other\"", Code::VendorMismatch),
            ("vendorId", "1", Code::EnvelopeFieldInvalid),
            ("externalEventId", "", Code::EnvelopeFieldMissing),
            ("externalEventId", "\"\"", Code::ExternalEventIdInvalid),
            ("externalEventId", &long(257), Code::ExternalEventIdInvalid),
            ("externalEventId", r#""a\r\nb""#, Code::ExternalEventIdInvalid),
            ("externalEventId", r#""a\u0000""#, Code::ExternalEventIdInvalid),
            ("externalEventId", "null", Code::EnvelopeFieldInvalid),
            ("eventType", &long(129), Code::EventTypeInvalid),
            ("eventType", "", Code::EnvelopeFieldMissing),
            ("occurredAt", "", Code::EnvelopeFieldMissing),
            ("occurredAt", "\"2026-11-22T11:00:00\"", Code::OccurredAtInvalid),
            ("occurredAt", "\"2026-11-22T24:00:00Z\"", Code::OccurredAtInvalid),
            ("occurredAt", "\"2016-12-31T23:59:60Z\"", Code::OccurredAtInvalid),
            ("occurredAt", "\"1970-01-01T00:00:00Z\"", Code::OccurredAtOutOfRange),
            ("occurredAt", "\"2099-01-01T00:00:00Z\"", Code::OccurredAtOutOfRange),
            ("occurredAt", "\"9999-12-31T23:59:59Z\"", Code::OccurredAtOutOfRange),
            ("occurredAt", "\"2026-11-22T12:10:01Z\"", Code::OccurredAtOutOfRange),
            ("payload", "", Code::EnvelopeFieldMissing),
            ("payload", "null", Code::EnvelopeFieldInvalid),
            ("payload", "\"text\"", Code::EnvelopeFieldInvalid),
        ] {
            assert_eq!(with(name, value), (code, format!("/{name}")), "{name} {value}");
        }
        let ok = |id: &str| ExternalEventId::parse(id).is_ok();
        assert!(ok("../../etc/passwd") && ok("=cmd()|' /C calc'!A0") && !ok("a\u{85}b"));
    }
}
