//! Ids: who says it, what they call it, what we call it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::{Code, Timestamp};

/// Why a text is not an id; `code` tells which rule it broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Error {
    /// Stable code.
    pub code: Code,
    /// The field, as the envelope spells it.
    pub field: &'static str,
    /// What is wrong with it, in words.
    pub problem: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the text against the rule of this id.
            pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
                let text = text.into();
                let check: fn(&str) -> Result<(), Error> = $check;
                check(&text)?;
                Ok(Self(text.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_id!(
    /// A vendor: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`, safe in topic names, object keys and labels.
    VendorId,
    |text| {
        let rule = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if starts && text.len() <= 64 && text.bytes().all(rule) {
            return Ok(());
        }
        let problem = "must match [A-Za-z0-9][A-Za-z0-9_-]{0,63}".to_owned();
        Err(Error { code: Code::VendorIdInvalid, field: "vendorId", problem })
    }
);

text_id!(
    /// What kind of event, in the vendor's own words: 1 to 128 bytes without control characters.
    EventType,
    |text| bounded(text, "eventType", 128, Code::EventTypeInvalid)
);

text_id!(
    /// The vendor's id of the event: 1 to 256 bytes without control characters.
    ExternalEventId,
    |text| bounded(text, "externalEventId", 256, Code::ExternalEventIdInvalid)
);

fn bounded(text: &str, field: &'static str, most: usize, code: Code) -> Result<(), Error> {
    let problem = if text.is_empty() {
        "must not be empty".to_owned()
    } else if text.len() > most {
        format!("has {} bytes; at most {most} are allowed", text.len())
    } else if text.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Error { code, field, problem })
}

/// Our id of an accepted event: a ULID that is derived, never drawn.
///
/// Time part: `occurredAt` in milliseconds. Random part: the first 80 bits of SHA-256 over the
/// length-prefixed vendorId and externalEventId (8 bytes big endian before each). So a retry gets
/// the same id on any gateway at any time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IngestId(ulid::Ulid);

impl IngestId {
    /// Derives the id; `occurred_at` is at or after 1970 (accept checks 2000).
    pub fn derive(vendor: &VendorId, external: &ExternalEventId, occurred_at: Timestamp) -> Self {
        let mut hash = Sha256::new();
        for part in [vendor.as_str(), external.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let random = hash[..10].iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        let millis = u64::try_from(occurred_at.as_millis()).unwrap_or(0);
        Self(ulid::Ulid::from_parts(millis, random))
    }

    /// The event's time, to the millisecond; `None` where the id was not derived from one.
    pub fn occurred_at(self) -> Option<Timestamp> {
        i64::try_from(self.0.timestamp_ms()).ok().and_then(Timestamp::from_millis)
    }

    /// Reads the 26 characters of Crockford's base 32.
    pub fn parse(text: &str) -> Result<Self, Error> {
        ulid::Ulid::from_string(text).map(Self).map_err(|_| Error {
            code: Code::IngestIdInvalid,
            field: "ingestId",
            problem: "must be a ULID (26 characters)".to_owned(),
        })
    }
}

impl fmt::Display for IngestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for IngestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for IngestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IngestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
