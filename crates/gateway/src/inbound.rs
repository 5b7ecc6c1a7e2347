//! The Kafka door: vendors write to `dvss.inbound.<vendor>`, and who may write there is who may speak for the
//! vendor. It is a stage like any other, of the group `dvss.gateway`: offsets are committed once every record
//! before them is accepted, or refused and in quarantine. What cannot be accepted now is waited for; a vendor
//! that writes faster than its rate waits in its own topic.
//!
//! A record's value is an envelope, or a CloudEvent in either mode of the CloudEvents Kafka binding.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use contract::envelope::{self, Refusal};
use contract::{Code, VendorId, cloudevents, headers, topics};
use ports::log::{First, Headers, RawRecord};
use runtime::{Failure, Output, Poison, Processor};

use crate::admission::Admission;
use crate::decide::{check_media_type, essence, is_utf8, passes, unsupported};
use crate::directory::Directory;
use crate::{Acceptor, Form, Submission};

/// The attribute that every CloudEvent has.
const SPECVERSION: &str = "specversion";

/// The Kafka door.
pub struct Inbound {
    acceptor: Acceptor,
    directory: Arc<Directory>,
    admission: Arc<Admission>,
    max_body_bytes: usize,
}

/// What a vendor wrote.
pub struct Input {
    vendor_id: VendorId,
    headers: Headers,
    bytes: Bytes,
    traceparent: Option<String>,
}

impl Inbound {
    pub(crate) fn new(
        acceptor: Acceptor,
        directory: Arc<Directory>,
        admission: Arc<Admission>,
        max_body_bytes: usize,
    ) -> Self {
        Self { acceptor, directory, admission, max_body_bytes }
    }

    async fn take(&self, input: &Input) -> Result<(), Refusal> {
        let Input { vendor_id, headers, bytes, traceparent } = input;
        let vendor = self.directory.enabled(vendor_id).await;
        // Refusals are work too, and so they cost as much as what is taken.
        let rate = vendor.as_ref().ok().and_then(|vendor| vendor.settings.rate);
        self.admission.pay_as(vendor_id, rate).map_err(|_| {
            Refusal::new(Code::RateLimited, format!("{vendor_id} writes faster than its rate; it waits"))
        })?;
        self.fits(bytes)?;
        let (vendor, form) = (vendor?, form(headers)?);
        let submission = Submission { form, bytes: bytes.clone(), traceparent: traceparent.clone() };
        // A conflict is accepted too: its record tells of it.
        self.acceptor.accept(&vendor, submission).await.map(drop)
    }

    fn fits(&self, bytes: &Bytes) -> Result<(), Refusal> {
        let (size, most) = (bytes.len(), self.max_body_bytes);
        if size <= most {
            return Ok(());
        }
        let message = format!("the record's value has {size} bytes; at most {most} are taken");
        Err(Refusal::new(Code::BodyTooLarge, message))
    }
}

#[async_trait]
impl Processor for Inbound {
    const NAME: &'static str = "dvss.gateway";
    // Vendors' topics are made when vendors come.
    const FIRST: First = First::Zero;
    type Input = Input;

    fn decode(&self, record: &RawRecord) -> Result<Input, Failure> {
        let topic = &*record.partition.topic;
        let vendor_id = topics::inbound_vendor(topic).ok_or_else(|| Failure::Fatal {
            code: Code::Internal,
            message: format!("a defect of dvss: {topic} is no vendor's topic"),
        })?;
        let traceparent = record.header(headers::TRACEPARENT).map(str::to_owned);
        Ok(Input { vendor_id, headers: record.headers.clone(), bytes: record.value.clone(), traceparent })
    }

    async fn handle(&self, input: &Input) -> Result<Vec<Output>, Failure> {
        self.take(input).await.map_err(|refusal| failure(&input.vendor_id, refusal))?;
        Ok(Vec::new())
    }
}

/// What a refusal means to the loop: to wait, or that the record will never be taken.
fn failure(vendor: &VendorId, refusal: Refusal) -> Failure {
    let Refusal { code, message, pointer, ingest_id } = refusal;
    match code {
        Code::RateLimited => Failure::Later(message),
        _ if passes(code) => Failure::Transient(message),
        _ => Failure::Poison(Poison { code, message, pointer, vendor_id: Some(vendor.clone()), ingest_id }),
    }
}

/// How a record holds its event (CloudEvents Kafka binding, sections 3.2 and 3.3: the content type tells
/// structured from binary; envelopes are dvss's own).
fn form(headers: &Headers) -> Result<Form, Refusal> {
    let attributes = attributes(headers)?;
    let content_type = content_type(headers)?;
    let kind = content_type.map(essence).unwrap_or_default();
    if content_type.is_some_and(|text| kind.contains("json") && !is_utf8(text)) {
        return Err(unsupported(content_type.unwrap_or_default(), "JSON is UTF-8"));
    }
    match (kind.as_str(), content_type) {
        (cloudevents::MEDIA_TYPE, _) => Ok(Form::Structured),
        (kind, Some(text)) if kind.starts_with("application/cloudevents") => {
            Err(unsupported(text, "a record is one event: send application/cloudevents+json"))
        }
        _ if attributes.contains_key(SPECVERSION) => {
            let content_type = content_type.unwrap_or(envelope::MEDIA_TYPE);
            check_media_type(content_type)?;
            Ok(Form::Binary { attributes, content_type: content_type.to_owned() })
        }
        _ if !attributes.is_empty() => {
            let message = "there are ce_ headers, but no ce_specversion; send `ce_specversion: 1.0`";
            Err(Refusal::new(Code::CloudEventInvalid, message).at("ce_specversion"))
        }
        (envelope::MEDIA_TYPE, _) | (_, None) => Ok(Form::Envelope),
        (_, Some(text)) => Err(unsupported(
            text,
            "send application/json, application/cloudevents+json, or any type with ce_ headers",
        )),
    }
}

fn content_type(headers: &Headers) -> Result<Option<&str>, Refusal> {
    let mut values = headers.iter().filter(|(name, _)| name == headers::CONTENT_TYPE);
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(Code::ContentTypeUnsupported, "the header content-type occurs twice"));
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(unsupported("", "it is not UTF-8")),
    }
}

/// The attributes of a CloudEvent in binary mode, by name without prefix.
fn attributes(headers: &Headers) -> Result<BTreeMap<String, String>, Refusal> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(attribute) = name.strip_prefix(cloudevents::KAFKA_PREFIX) else { continue };
        let refused = |problem: &str| {
            let shown: String = name.chars().take(64).collect();
            Refusal::new(Code::CloudEventInvalid, format!("the header {shown:?} {problem}")).at(shown)
        };
        let value = std::str::from_utf8(value).map_err(|_| refused("is not UTF-8"))?;
        if attributes.insert(attribute.to_owned(), value.to_owned()).is_some() {
            return Err(refused("occurs twice"));
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &[u8])]) -> Result<Form, Code> {
        let pair = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec().into());
        form(&pairs.iter().map(pair).collect()).map_err(|refusal| refusal.code)
    }

    #[test]
    fn forms() {
        let binary = |content_type: &str| {
            let attributes = [("specversion", "1.0"), ("id", "\u{e9}%20")];
            Ok(Form::Binary {
                attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                content_type: content_type.to_owned(),
            })
        };
        let [version, id] = [("ce_specversion", &b"1.0"[..]), ("ce_id", "\u{e9}%20".as_bytes())];
        for (pairs, wanted) in [
            (vec![], Ok(Form::Envelope)),
            (vec![("content-type", &b"application/json; charset=utf-8"[..])], Ok(Form::Envelope)),
            // Nobody's business here.
            (vec![("x", b"y"), ("dvss-vendor-id", b"other")], Ok(Form::Envelope)),
            (vec![("content-type", b"application/cloudevents+json; charset=UTF-8")], Ok(Form::Structured)),
            // Structured wins, as the binding says, whatever else is there.
            (vec![version, ("content-type", b"application/cloudevents+json")], Ok(Form::Structured)),
            (vec![version, id], binary("application/json")),
            (vec![version, id, ("content-type", b"text/xml")], binary("text/xml")),
            (vec![id], Err(Code::CloudEventInvalid)),
            (vec![version, version], Err(Code::CloudEventInvalid)),
            (vec![version, ("ce_id", b"\xff")], Err(Code::CloudEventInvalid)),
            (
                vec![("content-type", b"application/cloudevents-batch+json")],
                Err(Code::ContentTypeUnsupported),
            ),
            (vec![("content-type", b"application/json; charset=utf-16")], Err(Code::ContentTypeUnsupported)),
            (vec![("content-type", b"text/csv")], Err(Code::ContentTypeUnsupported)),
            (vec![("content-type", b"\xff")], Err(Code::ContentTypeUnsupported)),
            (vec![version, ("content-type", b"nothing")], Err(Code::ContentTypeUnsupported)),
            (
                vec![("content-type", b"application/json"), ("content-type", b"application/json")],
                Err(Code::ContentTypeUnsupported),
            ),
        ] {
            assert_eq!(read(&pairs), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn what_waits_and_what_never_will_be_taken() {
        let vendor = VendorId::parse("acme").expect("id");
        let of = |code| failure(&vendor, Refusal::new(code, "why"));
        assert!(matches!(of(Code::RateLimited), Failure::Later(_)));
        for code in [Code::Unavailable, Code::StorageFull, Code::Overloaded] {
            assert!(matches!(of(code), Failure::Transient(_)), "{code}");
        }
        for code in [Code::JsonSyntax, Code::VendorUnknown, Code::VendorMismatch, Code::BodyTooLarge] {
            let Failure::Poison(poison) = of(code) else { panic!("{code} is poison") };
            assert_eq!((poison.code, poison.vendor_id.as_ref()), (code, Some(&vendor)));
        }
    }
}
