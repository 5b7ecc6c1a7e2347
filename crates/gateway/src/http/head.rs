//! What a request's head says about its body.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use contract::envelope::{self, Refusal};
use contract::{Code, cloudevents};

use crate::Form;
use crate::decide::{attribute_value, check_media_type, essence, is_utf8, unsupported};

/// What a batch's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchKind {
    /// A JSON array of envelopes.
    Array,
    /// An envelope a line.
    Lines,
    /// A JSON array of structured CloudEvents.
    CloudEvents,
}

impl BatchKind {
    /// The form of its items.
    pub fn form(self) -> Form {
        match self {
            Self::Array | Self::Lines => Form::Envelope,
            Self::CloudEvents => Form::Structured,
        }
    }
}

/// Headers that nobody sends but with a CloudEvent in binary mode.
const BINARY: [&str; 3] = ["ce-id", "ce-source", "ce-type"];

/// How one event is sent (CloudEvents HTTP binding, section 3: the media type tells structured from
/// binary; envelopes are dvss's own).
pub fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let content_type = content_type(headers)?;
    let essence = essence(content_type);
    match essence.as_str() {
        cloudevents::MEDIA_TYPE => Ok(Form::Structured),
        cloudevents::BATCH_MEDIA_TYPE => Err(unsupported(content_type, "send batches to /v1/events:batch")),
        _ if headers.contains_key("ce-specversion") => {
            check_media_type(content_type)?;
            Ok(Form::Binary { attributes: attributes(headers)?, content_type: content_type.to_owned() })
        }
        _ if BINARY.iter().any(|name| headers.contains_key(*name)) => {
            let message = "there are ce- headers, but no ce-specversion; send `ce-specversion: 1.0`";
            Err(Refusal::new(Code::CloudEventInvalid, message).at("ce-specversion"))
        }
        envelope::MEDIA_TYPE => Ok(Form::Envelope),
        _ => Err(unsupported(
            content_type,
            "send application/json, application/cloudevents+json, or any type with ce- headers",
        )),
    }
}

/// How a batch is sent.
pub fn batch_kind(headers: &HeaderMap) -> Result<BatchKind, Refusal> {
    let content_type = content_type(headers)?;
    match essence(content_type).as_str() {
        envelope::MEDIA_TYPE => Ok(BatchKind::Array),
        "application/x-ndjson" => Ok(BatchKind::Lines),
        cloudevents::BATCH_MEDIA_TYPE => Ok(BatchKind::CloudEvents),
        _ => Err(unsupported(
            content_type,
            "send application/json, application/x-ndjson or application/cloudevents-batch+json",
        )),
    }
}

/// The request's trace context, valid or not.
pub fn traceparent(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    only.to_str().ok().map(str::to_owned)
}

fn content_type(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let missing = || Refusal::new(Code::ContentTypeUnsupported, "the Content-Type is missing");
    let text = values.next().ok_or_else(missing)?.to_str().unwrap_or_default();
    if values.next().is_some() {
        return Err(Refusal::new(Code::ContentTypeUnsupported, "the Content-Type occurs twice"));
    }
    let json = essence(text).contains("json");
    if json && !is_utf8(text) {
        return Err(unsupported(text, "JSON is UTF-8"));
    }
    Ok(text)
}

fn attributes(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix(cloudevents::HTTP_PREFIX) else { continue };
        let refused = |problem: &str| {
            Refusal::new(Code::CloudEventInvalid, format!("the header {name} {problem}")).at(name.as_str())
        };
        let value = attribute_value(value.as_bytes()).ok_or_else(|| refused("is not valid Unicode"))?;
        if attributes.insert(attribute.to_owned(), value).is_some() {
            return Err(refused("occurs twice"));
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).expect("a header"))
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn how_an_event_is_sent() {
        let form = |pairs: &[(&'static str, &str)]| form(&headers(pairs)).map_err(|refusal| refusal.code);
        let unsupported = Err(Code::ContentTypeUnsupported);
        for (content_type, expected) in [
            ("application/json", Ok(Form::Envelope)),
            ("APPLICATION/json; charset=utf-8", Ok(Form::Envelope)),
            ("application/json; charset=utf-16", unsupported.clone()),
            ("application/cloudevents+json; charset=utf-8", Ok(Form::Structured)),
            ("application/cloudevents-batch+json", unsupported.clone()),
            ("application/xml", unsupported.clone()),
            ("text/plain", unsupported.clone()),
            ("", unsupported.clone()),
            ("\u{e9}", unsupported.clone()),
        ] {
            assert_eq!(form(&[("content-type", content_type)]), expected, "{content_type}");
        }
        assert_eq!(form(&[]), unsupported);
        assert_eq!(form(&[("content-type", "application/json"), ("content-type", "text/xml")]), unsupported);
        let binary = form(&[
            ("content-type", "text/xml"),
            ("ce-specversion", "1.0"),
            ("ce-id", "a%20b"),
            ("ce-source", "\"/x\""),
            ("x-other", "1"),
        ]);
        let attributes = [("specversion", "1.0"), ("id", "a b"), ("source", "/x")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(binary, Ok(Form::Binary { attributes, content_type: "text/xml".to_owned() }));
        let structured = [("content-type", "application/cloudevents+json"), ("ce-specversion", "1.0")];
        assert_eq!(form(&structured), Ok(Form::Structured), "the media type decides first");
        for content_type in ["application/json", "text/xml"] {
            let halved = super::form(&headers(&[("content-type", content_type), ("ce-id", "1")]));
            let refusal = halved.expect_err("no ce-specversion");
            assert_eq!(refusal.code, Code::CloudEventInvalid);
            assert_eq!(refusal.pointer.as_deref(), Some("ce-specversion"));
            assert!(refusal.message.contains("ce-specversion"), "{}", refusal.message);
        }
        for bad in [("ce-id", "%ff"), ("ce-specversion", "1.0")] {
            let twice = [("content-type", "text/xml"), ("ce-specversion", "1.0"), bad];
            assert_eq!(form(&twice), Err(Code::CloudEventInvalid), "{bad:?}");
        }
    }

    #[test]
    fn how_a_batch_is_sent() {
        for (content_type, kind) in [
            ("application/json", Some(BatchKind::Array)),
            ("application/x-ndjson", Some(BatchKind::Lines)),
            ("application/cloudevents-batch+json; charset=UTF-8", Some(BatchKind::CloudEvents)),
            ("application/cloudevents+json", None),
            ("application/x-ndjson; charset=latin1", None),
        ] {
            assert_eq!(batch_kind(&headers(&[("content-type", content_type)])).ok(), kind, "{content_type}");
        }
    }
}
