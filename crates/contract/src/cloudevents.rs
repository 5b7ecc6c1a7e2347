//! CloudEvents 1.0: JSON event format (structured), HTTP and Kafka protocol bindings (binary).
//!
//! `type` is the event type, `time` (required here) is `occurredAt`, `source` and `id` together are
//! the vendor's id of the event, joined by [`join`]. `data` is any JSON value but null, which says
//! nothing, as no data does. Data of any other media type is sent as text in `data`, as `data_base64`, or in binary
//! mode; it is kept as it is, and normalize reads it where the mapping says its format.

use crate::envelope::{Refusal, Window, check_vendor};
use crate::event::{Draft, Mode};
use crate::{Code, EventType, ExternalEventId, Fingerprint, IngestId, Json, VendorId};

/// Media type of one structured event.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";
/// Media type of a batch.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";
/// Prefix of the attributes' headers in HTTP's binary mode.
pub const HTTP_PREFIX: &str = "ce-";
/// Prefix of the attributes' headers in Kafka's binary mode (CloudEvents Kafka binding, section 3.2.3.1).
pub const KAFKA_PREFIX: &str = "ce_";

/// Joins `source` and `id` injectively: `%` and `#` in the source are escaped, then `source#id`.
pub fn join(source: &str, id: &str) -> String {
    format!("{}#{id}", source.replace('%', "%25").replace('#', "%23"))
}

/// Reads a structured event.
pub fn read_structured(bytes: &[u8], vendor: &VendorId, window: &Window) -> Result<Draft, Refusal> {
    let document = Json::parse(bytes)?;
    let Json::Object(members) = &document else {
        let message = format!("the body is {}; a CloudEvent is a JSON object", document.kind());
        return Err(Refusal::new(Code::CloudEventInvalid, message).at(""));
    };
    for (name, value) in members {
        if name != "data" && name != "data_base64" {
            check_attribute_name(name)?;
            if matches!(value, Json::Array(_) | Json::Object(_)) {
                let message = format!("the attribute {name} is {}", value.kind());
                return Err(Refusal::new(Code::CloudEventInvalid, message).at(format!("/{name}")));
            }
        }
    }
    for name in ["specversion", "id", "source", "type", "time", "vendorid", "datacontenttype"] {
        if let Some(value) = document.get(name)
            && !matches!(value, Json::String(_) | Json::Null)
        {
            let message = format!("the attribute {name} is {}; it must be a string", value.kind());
            return Err(Refusal::new(Code::CloudEventInvalid, message).at(format!("/{name}")));
        }
    }
    let attributes = Attributes::read(|name| document.get(name).and_then(Json::as_str), "/", vendor, window)?;
    let refused =
        |message: &str, pointer: &str| Err(Refusal::new(Code::CloudEventInvalid, message).at(pointer));
    let fingerprint = match (document.get("data"), document.get("data_base64")) {
        (Some(_), Some(_)) => return refused("data and data_base64 exclude one another", "/data_base64"),
        (Some(Json::Null) | None, None) => return refused("the event carries no data", "/data"),
        (Some(data), None) => Fingerprint::of_json(&attributes.event_type, data),
        (None, Some(data)) => match data.as_str() {
            Some(text) => Fingerprint::of_opaque(&attributes.event_type, text.as_bytes()),
            None => return refused("data_base64 must be a string", "/data_base64"),
        },
    };
    Ok(attributes.into_draft(vendor, fingerprint, Mode::Structured, MEDIA_TYPE.to_owned()))
}

/// Reads a binary event: attributes by `header` (name without prefix, value percent-decoded by the
/// caller), payload as the body.
pub fn read_binary<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    content_type: &str,
    body: &[u8],
    vendor: &VendorId,
    window: &Window,
) -> Result<Draft, Refusal> {
    let attributes = Attributes::read(header, "", vendor, window)?;
    let fingerprint = if is_json(content_type) {
        Fingerprint::of_json(&attributes.event_type, &Json::parse(body)?)
    } else {
        Fingerprint::of_opaque(&attributes.event_type, body)
    };
    Ok(attributes.into_draft(vendor, fingerprint, Mode::Binary, content_type.to_owned()))
}

/// Whether a media type is JSON (RFC 8259, or RFC 6839's `+json`).
pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

struct Attributes {
    external_event_id: ExternalEventId,
    event_type: EventType,
    occurred_at: crate::Timestamp,
}

impl Attributes {
    fn read<'a>(
        get: impl Fn(&str) -> Option<&'a str>,
        prefix: &str,
        vendor: &VendorId,
        window: &Window,
    ) -> Result<Self, Refusal> {
        let at = |name: &str| format!("{}{name}", if prefix.is_empty() { HTTP_PREFIX } else { prefix });
        let required = |name: &str| match get(name) {
            Some("") | None => {
                let message = format!("the attribute {name} is missing");
                Err(Refusal::new(Code::CloudEventInvalid, message).at(at(name)))
            }
            Some(text) => Ok(text),
        };
        let version = required("specversion")?;
        if version != "1.0" {
            let message = format!("specversion {version:?} is not taken; send 1.0");
            return Err(Refusal::new(Code::CloudEventInvalid, message).at(at("specversion")));
        }
        if let Some(named) = get("vendorid") {
            check_vendor(vendor, named, &at("vendorid"))?;
        }
        let (id, source) = (required("id")?, required("source")?);
        let external_event_id =
            ExternalEventId::parse(join(source, id)).map_err(|error| Refusal::from(error).at(at("id")))?;
        let event_type =
            EventType::parse(required("type")?).map_err(|error| Refusal::from(error).at(at("type")))?;
        let occurred_at =
            window.check("time", required("time")?).map_err(|refusal| refusal.at(at("time")))?;
        Ok(Self { external_event_id, event_type, occurred_at })
    }

    fn into_draft(
        self,
        vendor: &VendorId,
        fingerprint: Fingerprint,
        mode: Mode,
        content_type: String,
    ) -> Draft {
        let Self { external_event_id, event_type, occurred_at } = self;
        let ingest_id = IngestId::derive(vendor, &external_event_id, occurred_at);
        Draft {
            ingest_id,
            vendor_id: vendor.clone(),
            external_event_id,
            event_type,
            occurred_at,
            fingerprint,
            mode,
            content_type,
        }
    }
}

/// CloudEvents 1.0, "Naming Conventions": lower-case ASCII letters and digits.
fn check_attribute_name(name: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !name.is_empty() && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!("{name:?} is not a CloudEvents attribute name (lower-case letters and digits)");
    Err(Refusal::new(Code::CloudEventInvalid, message).at(format!("/{}", crate::json::escape_token(name))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use std::time::Duration;

    fn structured(members: &str) -> Result<Draft, Code> {
        let vendor = VendorId::parse("acme").expect("id");
        let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("time");
        let window = Window { now, max_ahead: Duration::ZERO };
        read_structured(format!("{{{members}}}").as_bytes(), &vendor, &window).map_err(|refusal| refusal.code)
    }

    const GOOD: &str =
        r#""specversion":"1.0","id":"1","source":"/shop","type":"t","time":"2026-11-22T11:00:00Z""#;

    #[test]
    fn structured_events() {
        let draft = structured(&format!(r#"{GOOD},"data":{{"a":1}},"myext":true"#)).expect("accepted");
        assert_eq!((draft.external_event_id.as_str(), draft.mode), ("/shop#1", Mode::Structured));
        for bad in [
            r#""data":null"#,
            r#""data":{},"data_base64":"AA==""#,
            r#""my_ext":1,"data":{}"#,
            r#""ext":{},"data":{}"#,
            "\"x\":1",
        ] {
            assert_eq!(structured(&format!("{GOOD},{bad}")), Err(Code::CloudEventInvalid), "{bad}");
        }
        for (attribute, code) in [
            (r#""specversion":"1.0","#, Code::CloudEventInvalid),
            (r#""id":"1","#, Code::CloudEventInvalid),
            (r#""type":"t","#, Code::CloudEventInvalid),
            (r#","time":"2026-11-22T11:00:00Z""#, Code::CloudEventInvalid),
        ] {
            assert_eq!(
                structured(&format!(r#"{},"data":{{}}"#, GOOD.replace(attribute, ""))),
                Err(code),
                "{attribute}"
            );
        }
        let mismatch = structured(&format!(r#"{GOOD},"vendorid":"other","data":{{}}"#));
        assert_eq!(mismatch, Err(Code::VendorMismatch));
    }

    #[test]
    fn data_is_any_json_value() {
        for data in [r#""text""#, "7.50", "true", "[]", "{}"] {
            let event = format!(r#"{{{GOOD},"data":{data}}}"#);
            let draft = structured(&format!(r#"{GOOD},"data":{data}"#)).expect("accepted");
            let payload = Json::parse(data.as_bytes()).expect("json");
            assert_eq!(draft.fingerprint, Fingerprint::of_json(&draft.event_type, &payload), "{data}");
            assert_eq!(draft.mode.payload(event.as_bytes()), Ok(payload), "{data}");
        }
    }

    /// One id under two event types is a conflict, whatever the payload is.
    #[test]
    fn another_event_type_is_another_fingerprint() {
        let of = |event_type: &str, data: &str| {
            let members = format!(r#"{GOOD},{data}"#).replace(r#""t""#, &format!("{event_type:?}"));
            structured(&members).expect("accepted").fingerprint
        };
        for data in [r#""data":{"a":1}"#, r#""data":"x""#, r#""data_base64":"AAA=""#] {
            assert_eq!(of("t", data), of("t", data), "{data}");
            assert_ne!(of("t", data), of("u", data), "{data}");
        }
        assert_ne!(of("t", r#""data_base64":"AAA=""#), of("t", r#""data_base64":"AAB=""#));
        let binary = |event_type: &str, content_type: &str, body: &[u8]| {
            let vendor = VendorId::parse("acme").expect("id");
            let now = Timestamp::parse("2026-11-22T12:00:00Z").expect("time");
            let attributes = [
                ("specversion", "1.0"),
                ("id", "1"),
                ("source", "/shop"),
                ("type", event_type),
                ("time", "2026-11-22T11:00:00Z"),
            ];
            let attribute = |name: &str| attributes.iter().find(|(known, _)| *known == name).map(|(_, v)| *v);
            let window = Window { now, max_ahead: Duration::ZERO };
            read_binary(attribute, content_type, body, &vendor, &window).expect("accepted").fingerprint
        };
        for (content_type, body) in [("application/json", "[1]"), ("text/csv", "sku;qty")] {
            let of = |event_type| binary(event_type, content_type, body.as_bytes());
            assert_eq!(of("t"), of("t"), "{content_type}");
            assert_ne!(of("t"), of("u"), "{content_type}");
        }
        assert_ne!(binary("t", "text/csv", b"a"), binary("t", "text/csv", b"b"));
    }

    #[test]
    fn source_and_id_join_injectively() {
        assert_ne!(join("a#b", "c"), join("a", "b#c"));
        assert_ne!(join("a%23b", "c"), join("a#b", "c"));
    }
}
