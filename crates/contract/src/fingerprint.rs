//! Fingerprints: are two payloads of one event id the same?
//!
//! SHA-256 of the RFC 8785 (JSON Canonicalization Scheme) form of `{"eventType":…,"payload":…}`,
//! with one deviation: numbers are written as exact decimals, since as doubles two different
//! numbers could look equal. Where ECMAScript's shortest form is exact, ours is the same text.
//! Where the payload is not JSON, `"sha256":…` of its bytes stands in its place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::{EventType, Json};

/// A SHA-256, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of an event whose payload is JSON.
    pub fn of_json(event_type: &EventType, payload: &Json) -> Self {
        let mut text = String::from(r#"{"eventType":"#);
        write_string(&mut text, event_type.as_str());
        text.push_str(r#","payload":"#);
        write(&mut text, payload);
        text.push('}');
        Self::of_bytes(text.as_bytes())
    }

    /// Of an event whose payload is not JSON.
    pub fn of_opaque(event_type: &EventType, payload: &[u8]) -> Self {
        let mut text = String::from(r#"{"eventType":"#);
        write_string(&mut text, event_type.as_str());
        text.push_str(&format!(r#","sha256":"{}"}}"#, Self::of_bytes(payload)));
        Self::of_bytes(text.as_bytes())
    }

    /// Of bytes: a checksum.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The SHA-256 itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 in hexadecimal"))
    }
}

/// The canonical text of a value: RFC 8785 with exact numbers.
pub fn canonical(value: &Json) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(out: &mut String, value: &Json) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(text) => out.push_str(&canonical_number(text)),
        Json::String(text) => write_string(out, text),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            // RFC 8785 section 3.2.3: by UTF-16 code units, which is not the order of UTF-8 bytes.
            members.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            out.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

/// RFC 8785 section 3.2.2.2: the two-character escapes, `\u00xx` for other controls, nothing else.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// ECMAScript's layout (Number::toString, ECMA-262 section 6.1.6.1.20) over the exact digits.
fn canonical_number(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0); // bounded by Json::parse
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // value = 0.significant × 10^point
    let point = length(whole) + exponent - (length(&digits) - length(significant));
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let count = length(significant);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let split = |at: i64| significant.split_at(usize::try_from(at).unwrap_or(0));
    match point {
        _ if count <= point && point <= 21 => format!("{sign}{significant}{}", zeros(point - count)),
        1..=21 => {
            let (whole, fraction) = split(point);
            format!("{sign}{whole}.{fraction}")
        }
        -5..=0 => format!("{sign}0.{}{significant}", zeros(-point)),
        _ => {
            let (first, rest) = split(1);
            let dot = if rest.is_empty() { "" } else { "." };
            let exponent = point - 1;
            let plus = if exponent < 0 { "" } else { "+" };
            format!("{sign}{first}{dot}{rest}e{plus}{exponent}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_laid_out_as_ecmascript_does_but_exactly() {
        for (written, canonical) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.0e5", "0"),
            ("1.0", "1"),
            ("10e-1", "1"),
            ("-1.50", "-1.5"),
            ("4.50", "4.5"),
            ("2e-3", "0.002"),
            ("1e-6", "0.000001"),
            ("1e-7", "1e-7"),
            ("1E30", "1e+30"),
            ("0.00000123e-5", "1.23e-11"),
            ("333333333.33333329", "333333333.33333329"),
            ("100000000000000000000", "100000000000000000000"),
            ("1000000000000000000000", "1e+21"),
            ("9007199254740993", "9007199254740993"),
            ("1e400", "1e+400"),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e+29"),
            ("123.456e1", "1234.56"),
        ] {
            assert_eq!(canonical_number(written), canonical, "{written}");
        }
    }

    #[test]
    fn keys_sort_by_utf_16_and_strings_escape_as_rfc_8785_says() {
        // RFC 8785 section 3.2.3's example.
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let canonical = canonical(&Json::parse(text.as_bytes()).expect("json"));
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
            .map(|word| canonical.find(word));
        assert!(order.is_sorted() && order[0].is_some(), "{canonical}");
        let string = Json::String("\u{20ac}$\u{f}\nA'B\"\\\\\"/".into());
        assert_eq!(super::canonical(&string), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
    }

    #[test]
    fn the_same_event_however_it_is_written() {
        let of = |text: &str| {
            let event_type = EventType::parse("stock").expect("type");
            Fingerprint::of_json(&event_type, &Json::parse(text.as_bytes()).expect("json"))
        };
        assert_eq!(of(r#"{"a":1.0,"b":"é"}"#), of("{ \"b\":\"\\u00e9\",\n\"a\":1 }"));
        assert_ne!(of("9007199254740993"), of("9007199254740992"));
        assert_ne!(of(r#""1""#), of("1"));
    }
}
