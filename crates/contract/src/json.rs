//! Strict, exact JSON (RFC 8259): what a general parser would silently change is refused here.
//!
//! Duplicate keys are refused at any depth, numbers keep the digits they were written with, lone
//! surrogates, byte order marks and every encoding but UTF-8 are refused, and depth is bounded.
//! The lexer is `hifijson`; the rules are ours.

use std::collections::HashSet;
use std::fmt;

use hifijson::token::Lex;
use hifijson::value::Value;

use crate::Code;

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 64;

/// Largest decimal exponent that is read, either way; beyond it a number is a typing error or an attack.
const MAX_EXPONENT: i64 = 100_000;

/// A JSON value. Objects keep their order; no key occurs twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number, as it was written.
    Number(Box<str>),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// Why bytes are not a JSON text that dvss takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Stable code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// RFC 6901 pointer of the place, where one is known.
    pub pointer: Option<String>,
}

impl Error {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), pointer: None }
    }
}

impl Json {
    /// Parses one JSON text.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        check_encoding(bytes)?;
        let mut lexer = hifijson::SliceLexer::new(bytes);
        let value = lexer
            .exactly_one(Lex::ws_peek, |next, lexer| hifijson::value::parse_bounded(MAX_DEPTH, next, lexer));
        let value = value.map_err(|error| match error {
            hifijson::Error::Depth => {
                Error::new(Code::JsonTooDeep, format!("nested deeper than {MAX_DEPTH} levels"))
            }
            hifijson::Error::Str(error) if error.is_unicode_error() => {
                Error::new(Code::JsonEncoding, format!("a string is not valid Unicode: {error}"))
            }
            other => Error::new(Code::JsonSyntax, format!("not JSON: {other}")),
        })?;
        checked(value).map_err(|(code, message, mut path)| {
            path.reverse();
            let pointer = path.iter().map(|part| format!("/{}", escape_token(part))).collect();
            Error { code, message, pointer: Some(pointer) }
        })
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value at an RFC 6901 pointer.
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, token| {
            let token = token.replace("~1", "/").replace("~0", "~");
            match value {
                Self::Array(items) => {
                    let plain = token == "0" || !token.starts_with(['0', '+', '-']);
                    items.get(token.parse::<usize>().ok().filter(|_| plain)?)
                }
                _ => value.get(&token),
            }
        })
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Json {
    /// Compact JSON; numbers as they were written.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let string = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Number(text) => formatter.write_str(text),
            Self::String(text) => formatter.write_str(&string(text)?),
            Self::Array(items) => {
                formatter.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(formatter, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                formatter.write_str("]")
            }
            Self::Object(members) => {
                formatter.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(formatter, "{}{}:{value}", if index == 0 { "" } else { "," }, string(key)?)?;
                }
                formatter.write_str("}")
            }
        }
    }
}

/// Escapes a reference token of an RFC 6901 pointer.
pub fn escape_token(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// Splits the text of a JSON array into the exact bytes of its items, without parsing them.
///
/// An item that is not JSON itself is still an item; only an unbalanced array is an error.
pub fn split_array(bytes: &[u8]) -> Result<Vec<&[u8]>, Error> {
    check_encoding(bytes)?;
    let unbalanced = || Error::new(Code::JsonSyntax, "not a complete JSON array");
    let inner = bytes.trim_ascii().strip_prefix(b"[").ok_or_else(unbalanced)?;
    let (mut items, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for (index, byte) in inner.iter().enumerate() {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' if depth == 0 => {
                if index + 1 != inner.len() {
                    return Err(Error::new(Code::JsonSyntax, "something stands behind the JSON array"));
                }
                let last = inner[start..index].trim_ascii();
                if !last.is_empty() || !items.is_empty() {
                    items.push(last);
                }
                return Ok(items);
            }
            b']' | b'}' => depth = depth.checked_sub(1).ok_or_else(unbalanced)?,
            b',' if depth == 0 => {
                items.push(inner[start..index].trim_ascii());
                start = index + 1;
            }
            _ => {}
        }
    }
    Err(unbalanced())
}

fn check_encoding(bytes: &[u8]) -> Result<(), Error> {
    let problem = match bytes {
        [0xEF, 0xBB, 0xBF, ..] => "starts with a byte order mark; send UTF-8 without one",
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, _, ..] | [_, 0, ..] => "is UTF-16 or UTF-32; send UTF-8",
        _ if std::str::from_utf8(bytes).is_err() => "is not UTF-8",
        _ => return Ok(()),
    };
    Err(Error::new(Code::JsonEncoding, format!("the text {problem}")))
}

type Refused = (Code, String, Vec<String>);

fn checked<Str: AsRef<str> + Into<String>>(value: Value<&str, Str>) -> Result<Json, Refused> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Number((text, parts)) => {
            if parts.exp && !exponent_in_range(text) {
                let shown: String = text.chars().take(40).collect();
                return Err((Code::JsonNumberRange, format!("the number {shown} is out of range"), vec![]));
            }
            Json::Number(text.into())
        }
        Value::String(text) => Json::String(text.into()),
        Value::Array(items) => {
            let item = |(index, item): (usize, Value<&str, Str>)| {
                checked(item).map_err(|(code, message, mut path): Refused| {
                    path.push(index.to_string());
                    (code, message, path)
                })
            };
            Json::Array(items.into_iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            if let Some(key) = first_duplicate(&members) {
                let message = format!("the key {key:?} occurs twice in one object");
                return Err((Code::JsonDuplicateKey, message, vec![key]));
            }
            let member = |(key, value): (Str, _)| {
                let key: String = key.into();
                match checked(value) {
                    Ok(value) => Ok((key, value)),
                    Err((code, message, mut path)) => {
                        path.push(key);
                        Err((code, message, path))
                    }
                }
            };
            Json::Object(members.into_iter().map(member).collect::<Result<_, _>>()?)
        }
    })
}

fn first_duplicate<Str: AsRef<str>, T>(members: &[(Str, T)]) -> Option<String> {
    // Small objects are the rule, and comparing a few keys is cheaper than hashing them.
    if members.len() <= 8 {
        let earlier = |(index, (key, _)): (usize, &(Str, T))| {
            members[..index]
                .iter()
                .any(|(other, _)| other.as_ref() == key.as_ref())
                .then(|| key.as_ref().to_owned())
        };
        return members.iter().enumerate().find_map(earlier);
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().map(|(key, _)| key.as_ref()).find(|key| !seen.insert(*key)).map(str::to_owned)
}

fn exponent_in_range(number: &str) -> bool {
    let exponent = number.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    exponent.parse::<i64>().is_ok_and(|exponent| exponent.abs() <= MAX_EXPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: impl AsRef<[u8]>) -> Code {
        Json::parse(text.as_ref()).expect_err("refused").code
    }

    #[test]
    fn what_is_refused_and_why() {
        for text in [
            "",
            "{",
            "{\"a\":1}x",
            "[1,]",
            "{'a':1}",
            "NaN",
            "Infinity",
            "01",
            "+1",
            "1.",
            "\"\u{1}\"",
            "// c\n1",
            "\"a\0b\"",
        ] {
            assert_eq!(code(text), Code::JsonSyntax, "{text:?}");
        }
        assert_eq!(code("\u{feff}{}"), Code::JsonEncoding);
        assert_eq!(code(b"{\0\"\0"), Code::JsonEncoding);
        assert_eq!(code(b"\xff\xfe{\0}\0"), Code::JsonEncoding);
        assert_eq!(code(b"\"\xc3\x28\""), Code::JsonEncoding);
        assert_eq!(code(r#""\ud800""#), Code::JsonEncoding);
        assert_eq!(code(r#""\udc00\ud800""#), Code::JsonEncoding);
        assert_eq!(code("[".repeat(10_000)), Code::JsonTooDeep);
        assert_eq!(code("1e400000"), Code::JsonNumberRange);
        assert_eq!(code("1e99999999999999999999999"), Code::JsonNumberRange);
        let duplicate = Json::parse(br#"{"a":[{"b":1,"c/d":{"x":1,"x":1}}]}"#).expect_err("refused");
        assert_eq!(
            (duplicate.code, duplicate.pointer.as_deref()),
            (Code::JsonDuplicateKey, Some("/a/0/c~1d/x"))
        );
        // The same key, written in two ways.
        assert_eq!(code(r#"{"a":1,"\u0061":2}"#), Code::JsonDuplicateKey);
    }

    #[test]
    fn what_is_kept_exactly() {
        for text in [
            "1e400",
            "-0",
            "0.10",
            "1234567890123456789012345678901234567890",
            "1E+2",
            "\"\\u0000\"",
            "\"😀\"",
            r#"{"$serde_json::private::Number":"1"}"#,
            "[]",
            "{}",
            "null",
        ] {
            assert_eq!(Json::parse(text.as_bytes()).expect(text).to_string(), text);
        }
        assert_eq!(Json::parse(br#""\ud83d\ude00""#), Ok(Json::String("😀".into())));
    }

    #[test]
    fn pointers() {
        let value = Json::parse(br#"{"a":[{"b/c":1},2],"":3}"#).expect("json");
        let number = |text: &str| Some(Json::Number(text.into()));
        assert_eq!(value.at("/a/0/b~1c").cloned(), number("1"));
        assert_eq!(value.at("/a/1").cloned(), number("2"));
        assert_eq!(value.at("/").cloned(), number("3"));
        assert_eq!(value.at(""), Some(&value));
        for missing in ["/a/2", "/a/01", "/a/+1", "/a/-", "a", "/x"] {
            assert_eq!(value.at(missing), None, "{missing}");
        }
    }

    #[test]
    fn arrays_split_without_being_parsed() {
        let split = |text: &'static str| {
            let items = split_array(text.as_bytes()).map_err(|error| error.code)?;
            Ok::<_, Code>(
                items.into_iter().map(|item| std::str::from_utf8(item).expect("text")).collect::<Vec<_>>(),
            )
        };
        assert_eq!(split("[]"), Ok(vec![]));
        assert_eq!(
            split(r#" [ {"a":"],["} , nonsense, "\"]" ] "#),
            Ok(vec![r#"{"a":"],["}"#, "nonsense", r#""\"]""#])
        );
        assert_eq!(split("[1,]"), Ok(vec!["1", ""]));
        for text in ["[", "[1", "{}", "[1]2", "[\"]", "[}]"] {
            assert_eq!(split(text), Err(Code::JsonSyntax), "{text}");
        }
    }
}
