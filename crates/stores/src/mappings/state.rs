//! What became of an owner's versions for one event type.

use std::collections::BTreeMap;

use contract::Timestamp;
use ports::tables::{Attr, Change, Condition, Item, Key, Write};
use serde::{Deserialize, Serialize};

use super::row::{Id, Owner, Status};
use super::{number, unsigned};
use crate::tables::VENDOR_MAPPINGS;

/// Most versions of one event type that ever were active: their row holds 400 KB.
const MOST_VERSIONS: usize = 4_000;
/// Before the owner in the partition key; no owner's own key has it.
const PREFIX: &str = "state:";

/// Which version is active, and which ones were. Without a row, none ever was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<u32>,
    /// By version, what last made it active or retired. Drafts are not here.
    versions: BTreeMap<u32, Changed>,
    /// The last activation that changed anything here; 0 where none did.
    #[serde(skip)]
    activation: u64,
}

/// What last changed a document's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changed {
    pub activation: u64,
    pub at: Timestamp,
}

impl State {
    pub fn active(&self) -> Option<u32> {
        self.active
    }

    pub fn activation(&self) -> u64 {
        self.activation
    }

    /// Where a version stands; `None` for a draft.
    pub fn of(&self, version: u32) -> Option<(Status, Changed)> {
        let changed = self.versions.get(&version)?;
        let status = if self.active == Some(version) { Status::Active } else { Status::Retired };
        Some((status, *changed))
    }

    /// As it is once `version` is active; the one before is retired.
    pub fn activate(&self, version: u32, activation: u64, at: Timestamp) -> Self {
        let mut after = self.retire(activation, at);
        after.active = Some(version);
        after.versions.insert(version, Changed { activation, at });
        after
    }

    /// Whether another version may become active.
    pub fn has_room(&self) -> bool {
        self.versions.len() < MOST_VERSIONS
    }

    /// As it is once none is active any more.
    pub fn retire(&self, activation: u64, at: Timestamp) -> Self {
        let mut versions = self.versions.clone();
        versions.extend(self.active.map(|version| (version, Changed { activation, at })));
        Self { active: None, versions, activation }
    }

    /// Puts it, where what is there is still `before`.
    pub fn write(&self, id: &Id, before: &Self) -> Write {
        let state = serde_json::to_string(self).unwrap_or_default();
        let item = Item::from([
            ("state".to_owned(), Attr::S(state)),
            ("activation".to_owned(), number(self.activation)),
        ]);
        Write::put(&VENDOR_MAPPINGS, key(id), item, before.as_it_is())
    }

    /// A check that it still is what it is.
    pub fn unchanged(&self, id: &Id) -> Write {
        Write { table: &VENDOR_MAPPINGS, key: key(id), condition: self.as_it_is(), change: Change::Check }
    }

    /// Activations count up, so one of them is one state.
    fn as_it_is(&self) -> Condition {
        match self.activation {
            0 => Condition::Absent,
            activation => Condition::Equals("activation", number(activation)),
        }
    }

    /// Reads a row, or what stands for none; `None` where it is not readable.
    pub fn read(item: Option<&Item>) -> Option<Self> {
        let Some(item) = item else { return Some(Self::default()) };
        let state: Self = serde_json::from_str(item.get("state")?.as_str()?).ok()?;
        Some(Self { activation: unsigned(item, "activation"), ..state })
    }
}

/// The partition key of an owner's states.
pub(super) fn pk(owner: &Owner) -> String {
    format!("{PREFIX}{owner}")
}

/// The row that says where a document stands: one for all its versions.
pub(super) fn key(id: &Id) -> Key {
    Key::sorted(pk(&id.owner), id.event_type.to_string())
}

/// Whether a row is a state.
pub(super) fn is_key(key: &Key) -> bool {
    key.pk.starts_with(PREFIX)
}
