//! Documents and their rows.

use std::fmt;

use contract::{EventType, Fingerprint, Timestamp, VendorId};
use ports::tables::{Attr, Item, Key, Row as TableRow};
use serde_json::{Value, json};

use super::{Error, number, unsigned};

/// Whose document it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// One vendor.
    Vendor(VendorId),
    /// Every vendor of a platform that has no document of its own.
    Platform(String),
}

impl Owner {
    /// Reads `vendorId` or `platform:NAME`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let Some(name) = text.strip_prefix("platform:") else {
            let vendor = VendorId::parse(text).map_err(|error| Error::Invalid(error.to_string()))?;
            return Ok(Self::Vendor(vendor));
        };
        // The rule of vendors' `platform`.
        if VendorId::parse(name).is_err() {
            let message = format!("the platform {name:?} must match [A-Za-z0-9][A-Za-z0-9_-]{{0,63}}");
            return Err(Error::Invalid(message));
        }
        Ok(Self::Platform(name.to_owned()))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vendor(vendor) => write!(formatter, "{vendor}"),
            Self::Platform(name) => write!(formatter, "platform:{name}"),
        }
    }
}

/// Which document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Whose it is.
    pub owner: Owner,
    /// The event type that it maps.
    pub event_type: EventType,
    /// From 1.
    pub version: u32,
}

impl Id {
    pub(super) fn key(&self) -> Key {
        Key::sorted(self.owner.to_string(), format!("{}#{:010}", self.event_type, self.version))
    }

    pub(super) fn of_key(key: &Key) -> Option<Self> {
        let (event_type, version) = key.sk.as_deref()?.rsplit_once('#')?;
        let version = version.parse().ok().filter(|_| version.len() == 10)?;
        let event_type = EventType::parse(event_type).ok()?;
        Some(Self { owner: Owner::parse(&key.pk).ok()?, event_type, version })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.owner, self.event_type, self.version)
    }
}

/// A document to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which one.
    pub id: Id,
    /// The text, as its author wrote it.
    pub text: String,
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Never was active; its text may still be replaced.
    Draft,
    /// The one that its owner uses.
    Active,
    /// Was active.
    Retired,
}

impl Status {
    /// The status as rows and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Retired].into_iter().find(|status| status.as_str() == text)
    }
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which one.
    pub id: Id,
    /// The text.
    pub text: String,
    /// Where it stands.
    pub status: Status,
    /// The activation that last changed its status; 0 for a draft.
    pub activation: u64,
    /// Whether it came with dvss (and a newer one that comes with dvss may take its place).
    pub shipped: bool,
    /// When its text or status last changed.
    pub changed_at: Timestamp,
}

impl Row {
    pub(super) fn item(&self) -> Item {
        Item::from([
            ("text".to_owned(), Attr::S(self.text.clone())),
            ("status".to_owned(), Attr::S(self.status.as_str().to_owned())),
            ("activation".to_owned(), number(self.activation)),
            ("shipped".to_owned(), Attr::Bool(self.shipped)),
            ("changedAt".to_owned(), Attr::S(self.changed_at.to_string())),
        ])
    }

    pub(super) fn read(row: &TableRow) -> Option<Self> {
        let text = |name: &str| row.item.get(name).and_then(Attr::as_str);
        Some(Self {
            id: Id::of_key(&row.key)?,
            text: text("text")?.to_owned(),
            status: Status::parse(text("status")?)?,
            activation: unsigned(&row.item, "activation"),
            shipped: row.item.get("shipped").and_then(Attr::as_bool).unwrap_or(false),
            changed_at: Timestamp::parse(text("changedAt")?).ok()?,
        })
    }

    /// What the audit says of it: everything but the text, which its hash stands for.
    pub(super) fn shown(&self) -> Value {
        json!({
            "mapping": self.id.to_string(),
            "status": self.status.as_str(),
            "activation": self.activation,
            "shipped": self.shipped,
            "sha256": Fingerprint::of_bytes(self.text.as_bytes()),
        })
    }
}
