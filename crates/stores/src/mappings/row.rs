//! Documents and their rows.

use std::fmt;

use contract::{EventType, Fingerprint, Timestamp, VendorId};
use ports::tables::{Attr, Change, Condition, Item, Key, Row as TableRow, Write};
use serde_json::{Value, json};

use super::Error;
use super::state::State;
use crate::tables::VENDOR_MAPPINGS;

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
}

/// A document and where it stands.
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

/// A document as it is kept: without where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub id: Id,
    pub text: String,
    pub shipped: bool,
    /// When the text last changed.
    pub changed_at: Timestamp,
}

impl Text {
    pub fn of(document: &Document, shipped: bool, changed_at: Timestamp) -> Self {
        let Document { id, text } = document.clone();
        Self { id, text, shipped, changed_at }
    }

    /// The document, where its owner's versions stand so.
    pub fn row(&self, state: &State) -> Row {
        let Self { id, text, shipped, changed_at } = self.clone();
        let (status, activation, changed_at) = match state.of(id.version) {
            Some((status, changed)) => (status, changed.activation, changed.at),
            None => (Status::Draft, 0, changed_at),
        };
        Row { id, text, status, activation, shipped, changed_at }
    }

    /// Puts it, where what is there is still `before`.
    pub fn write(&self, before: Option<&Self>) -> Write {
        let condition = before.map_or(Condition::Absent, Self::as_it_is);
        Write::put(&VENDOR_MAPPINGS, self.id.key(), self.item(), condition)
    }

    /// A check that it still is what it is.
    pub fn unchanged(&self) -> Write {
        let (key, condition) = (self.id.key(), self.as_it_is());
        Write { table: &VENDOR_MAPPINGS, key, condition, change: Change::Check }
    }

    /// Its hash stands for the text: a condition need not carry it.
    fn as_it_is(&self) -> Condition {
        Condition::Equals("sha256", Attr::S(self.sha256().to_string()))
    }

    fn sha256(&self) -> Fingerprint {
        Fingerprint::of_bytes(self.text.as_bytes())
    }

    pub fn item(&self) -> Item {
        Item::from([
            ("text".to_owned(), Attr::S(self.text.clone())),
            ("sha256".to_owned(), Attr::S(self.sha256().to_string())),
            ("shipped".to_owned(), Attr::Bool(self.shipped)),
            ("changedAt".to_owned(), Attr::S(self.changed_at.to_string())),
        ])
    }

    /// `None` where it is not readable, or is of a layout that nobody wrote in a release.
    pub fn read(row: &TableRow) -> Option<Self> {
        let text = |name: &str| row.item.get(name).and_then(Attr::as_str);
        text("sha256")?;
        Some(Self {
            id: Id::of_key(&row.key)?,
            text: text("text")?.to_owned(),
            shipped: row.item.get("shipped").and_then(Attr::as_bool).unwrap_or(false),
            changed_at: Timestamp::parse(text("changedAt")?).ok()?,
        })
    }
}

impl Row {
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
