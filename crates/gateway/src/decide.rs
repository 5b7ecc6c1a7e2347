//! Pure decisions: what a submission says, where it belongs, what a stored one means.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use contract::envelope::{self, Refusal, Window};
use contract::event::{Draft, Event};
use contract::{Code, Fingerprint, VendorId, cloudevents};
use percent_encoding::percent_decode;
use stores::records;
use stores::vendors::Vendor;

/// Most bytes of a media type that is kept with an event, percent-encoded as metadata of objects is: with
/// every other part at its worst, the metadata still fits its bound.
pub const MAX_MEDIA_TYPE: usize = 64;

/// How a door received an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Envelope v1.
    Envelope,
    /// A structured CloudEvent.
    Structured,
    /// A binary CloudEvent: the bytes are its data.
    Binary {
        /// The attributes by name without prefix, decoded.
        attributes: BTreeMap<String, String>,
        /// Media type of the data.
        content_type: String,
    },
}

/// What a vendor sent, as a door hands it over: sizes checked, content coding undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// How it was received.
    pub form: Form,
    /// The vendor's bytes; they are kept exactly.
    pub bytes: Bytes,
    /// W3C trace context of the request, valid or not.
    pub traceparent: Option<String>,
}

/// Reads a submission of `vendor`.
pub fn read(vendor: &VendorId, submission: &Submission, window: &Window) -> Result<Draft, Refusal> {
    match &submission.form {
        Form::Envelope => envelope::read(&submission.bytes, vendor, window),
        Form::Structured => cloudevents::read_structured(&submission.bytes, vendor, window),
        Form::Binary { attributes, content_type } => {
            let attribute = |name: &str| attributes.get(name).map(String::as_str);
            cloudevents::read_binary(attribute, content_type, &submission.bytes, vendor, window)
        }
    }
}

/// What an event is to the one that has its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same said again.
    Repeat,
    /// Something else said.
    Conflict,
}

/// Compares an event with the one that has its id.
pub fn relation(first: Fingerprint, newcomer: Fingerprint) -> Relation {
    if first == newcomer { Relation::Repeat } else { Relation::Conflict }
}

/// The key of an event's record.
pub fn ordering_key(vendor: &Vendor, document: &[u8]) -> Bytes {
    records::ordering_key(&vendor.vendor_id, vendor.settings.ordering_pointer.as_deref(), document)
}

/// Whether a stored object is what its key promises: this vendor's event of this id, with these bytes.
pub fn is_sound(stored: &Event, key: &str, expected: &Event, sha256: Fingerprint) -> bool {
    let same = stored.draft.ingest_id == expected.draft.ingest_id
        && stored.draft.vendor_id == expected.draft.vendor_id
        && stored.draft.external_event_id == expected.draft.external_event_id;
    same && stored.raw_ref.key == key && stored.sha256 == sha256
}

/// A valid `traceparent` of version 00 (W3C Trace Context, section 3.2.2); others are not carried on.
pub fn traceparent(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let mut hex = |length: usize| {
        let part = parts.next()?;
        let digits = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (digits && part.len() == length).then_some(part)
    };
    let (version, trace, parent, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    (version == "00" && !zero(trace) && !zero(parent) && parts.next().is_none()).then_some(text)
}

/// The value of a `ce-` header (CloudEvents HTTP binding, section 3.1.3.2): a double-quoted string is
/// unquoted, then percent-encoding is undone once; the result is Unicode.
pub fn attribute_value(raw: &[u8]) -> Option<String> {
    let unquoted: Cow<'_, [u8]> = match raw {
        [b'"', inner @ .., b'"'] => {
            let mut plain = Vec::with_capacity(inner.len());
            let mut bytes = inner.iter();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'\\' => plain.push(*bytes.next()?),
                    other => plain.push(*other),
                }
            }
            plain.into()
        }
        other => other.into(),
    };
    percent_decode(&unquoted).decode_utf8().ok().map(Cow::into_owned)
}

/// Whether waiting helps.
pub fn passes(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Overloaded | Code::StorageFull | Code::RateLimited)
}

/// Nothing is known of such a media type at this door.
pub fn unsupported(content_type: &str, hint: &str) -> Refusal {
    let shown: String = content_type.chars().take(64).collect();
    let message = format!("the Content-Type {shown:?} is not taken here; {hint}");
    Refusal::new(Code::ContentTypeUnsupported, message)
}

/// A media type that is worth keeping: short, printable ASCII, `type/subtype` and parameters.
pub fn check_media_type(text: &str) -> Result<(), Refusal> {
    let essence = essence(text);
    let shaped =
        essence.split_once('/').is_some_and(|(kind, subtype)| !kind.is_empty() && !subtype.is_empty());
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let encoded = encoded_length(text);
    if shaped && printable && encoded <= MAX_MEDIA_TYPE {
        return Ok(());
    }
    let message =
        format!("the Content-Type is not a media type of at most {MAX_MEDIA_TYPE} bytes (percent-encoded)");
    Err(Refusal::new(Code::ContentTypeUnsupported, message))
}

/// Bytes of a text as metadata of an object carries it: what is not visible ASCII is percent-encoded.
fn encoded_length(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_graphic() && byte != b'%' { 1 } else { 3 }).sum()
}

/// A media type without its parameters, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the media type's `charset` is UTF-8 or absent.
pub fn is_utf8(content_type: &str) -> bool {
    content_type.split(';').skip(1).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
            || value.eq_ignore_ascii_case("us-ascii")
    })
}

#[cfg(test)]
mod tests {
    use stores::vendors::Settings;

    use super::*;

    #[test]
    fn ordering_keys() {
        let key = |pointer: Option<&str>, document: &str| {
            let vendor = Vendor {
                vendor_id: VendorId::parse("acme").expect("id"),
                settings: Settings { ordering_pointer: pointer.map(str::to_owned), ..Settings::default() },
                keys: Vec::new(),
                disabled: false,
                created_at: contract::Timestamp::from_millis(0).expect("time"),
                platform_activation: 0,
                version: 1,
            };
            String::from_utf8(ordering_key(&vendor, document.as_bytes()).to_vec()).expect("text")
        };
        let sku = Some("/payload/sku");
        // sha256 of the JSON text "A", quotes included.
        let hash = &Fingerprint::of_bytes(b"\"A\"").to_string()[..16];
        assert_eq!(key(sku, r#"{"payload":{"sku":"A"}}"#), format!("acme|{hash}"));
        assert_eq!(key(sku, r#"{ "payload" : { "x":1, "sku" : "\u0041" } }"#), format!("acme|{hash}"));
        for (pointer, document) in [
            (None, r#"{"payload":{"sku":"A"}}"#),
            (sku, r#"{"payload":{}}"#),
            (sku, "not json"),
            (sku, r#"["payload"]"#),
        ] {
            assert_eq!(key(pointer, document), "acme", "{document}");
        }
        // Equal numbers, equal keys; a number is not its text.
        let at = |value: &str| key(sku, &format!(r#"{{"payload":{{"sku":{value}}}}}"#));
        assert_eq!(at("1.0"), at("1"));
        assert_ne!(at("1"), at("\"1\""));
    }

    #[test]
    fn trace_context() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(good), Some(good));
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn attribute_values() {
        for (raw, value) in [
            ("plain", Some("plain")),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", Some("Euro € 😀")),
            ("\"quoted \\\" value\"", Some("quoted \" value")),
            ("\"%41\"", Some("A")),
            ("100%", Some("100%")),
            ("%2541", Some("%41")),
            ("a%0D%0Ab", Some("a\r\nb")),
            ("%C3%28", None),
            ("\"broken\\\"", None),
            ("", Some("")),
            ("\"", Some("\"")),
        ] {
            assert_eq!(attribute_value(raw.as_bytes()).as_deref(), value, "{raw}");
        }
        assert_eq!(attribute_value("€".as_bytes()).as_deref(), Some("€"), "raw UTF-8 of older senders");
    }

    #[test]
    fn metadata_fits_its_bound_with_every_part_at_its_worst() {
        let text = |count: usize| "\u{e9}".repeat(count / 2);
        let media_type = format!("a/b;{}", "%".repeat((MAX_MEDIA_TYPE - 4) / 3));
        assert!(
            check_media_type(&media_type).is_ok() && check_media_type(&format!("{media_type}%")).is_err()
        );
        let vendor_id = VendorId::parse("v".repeat(64)).expect("id");
        let external_event_id = contract::ExternalEventId::parse(text(256)).expect("id");
        let occurred_at = contract::Timestamp::parse("2026-11-22T12:00:00.123456789Z").expect("time");
        let ingest_id = contract::IngestId::derive(&vendor_id, &external_event_id, occurred_at);
        let fingerprint = Fingerprint::of_bytes(b"");
        let event = Event {
            raw_ref: contract::canonical::RawRef {
                bucket: "b".repeat(63),
                key: contract::keys::conflict(&vendor_id, occurred_at, ingest_id, fingerprint),
            },
            draft: Draft {
                ingest_id,
                vendor_id,
                external_event_id,
                event_type: contract::EventType::parse(text(128)).expect("type"),
                occurred_at,
                fingerprint,
                mode: contract::event::Mode::Structured,
                content_type: media_type,
            },
            received_at: occurred_at,
            sha256: fingerprint,
            traceparent: Some(format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16))),
            conflict_with: Some(ingest_id),
            release: 0, // only a record that comes from quarantine has one
        };
        let bytes: usize =
            event.to_headers().iter().map(|(name, value)| name.len() + encoded_length(value)).sum();
        assert!(bytes <= ports::blobs::MAX_METADATA, "{bytes}");
    }

    #[test]
    fn media_types() {
        assert_eq!(essence("Application/JSON ; charset=utf-8"), "application/json");
        for (text, utf8) in [
            ("a/b", true),
            ("a/b;charset=UTF-8", true),
            ("a/b; charset=\"utf-8\"", true),
            ("a/b; CHARSET=utf-16", false),
            ("a/b; x=charset", true),
            ("a/b; charset", false),
        ] {
            assert_eq!(is_utf8(text), utf8, "{text}");
        }
        assert!(check_media_type("text/xml; charset=utf-8").is_ok());
        for bad in ["", "json", "/json", "text/", "text/\u{e9}", &format!("text/{}", "x".repeat(200))] {
            assert!(check_media_type(bad).is_err(), "{bad}");
        }
    }
}
