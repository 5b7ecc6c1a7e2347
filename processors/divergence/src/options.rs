//! What an operator may set about divergence.

use contract::{Code, VendorId};
use serde::{Deserialize, Serialize};

/// Most members of one shared warehouse: a fact's transaction checks every one of them.
const MAX_MEMBERS: usize = 50;

/// Bounds and watches of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most rows that are read to fold one fact; beyond them it is quarantined as `fold-too-long`.
    pub longest_fold: usize,
    /// Rows a page of such a read.
    pub page: usize,
    /// What counts as an anomalous change; absent (`null`) switches the watch off.
    pub anomalous_change: Option<AnomalousChange>,
    /// Warehouses that several vendors report.
    pub shared_warehouses: Vec<SharedWarehouse>,
}

/// A change is anomalous where both hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AnomalousChange {
    /// The larger of the two quantities is at least this many times the smaller.
    pub factor: u32,
    /// They are at least this many units apart.
    pub minimum_units: u32,
}

/// One place that several vendors report, each under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedWarehouse {
    /// What people call it.
    pub name: String,
    /// Who reports it, and as what.
    pub members: Vec<Member>,
    /// Most units by which members may differ without a divergence.
    #[serde(default)]
    pub tolerance_units: u32,
}

/// A vendor's name for a shared warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// The vendor.
    pub vendor_id: VendorId,
    /// Its `warehouseId`; absent where its facts state none.
    #[serde(default)]
    pub warehouse_id: Option<String>,
}

/// An option is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("divergence.{option}: {problem}")]
pub struct Invalid {
    /// Which option.
    pub option: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Invalid {
    /// Stable code.
    pub const CODE: Code = Code::ConfigInvalid;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            longest_fold: 10_000,
            page: 1_000,
            anomalous_change: Some(AnomalousChange::default()),
            shared_warehouses: Vec::new(),
        }
    }
}

impl Default for AnomalousChange {
    fn default() -> Self {
        Self { factor: 10, minimum_units: 1_000 }
    }
}

impl Options {
    /// Checks what types alone do not say.
    pub fn check(&self) -> Result<(), Invalid> {
        let wrong = |option: &str, problem| Err(Invalid { option: option.to_owned(), problem });
        if self.page == 0 || self.longest_fold < self.page {
            return wrong("page", "must be at least 1 and at most longestFold");
        }
        if self.anomalous_change.as_ref().is_some_and(|watch| watch.factor < 2) {
            return wrong("anomalousChange.factor", "must be at least 2");
        }
        let mut seen = Vec::new();
        for shared in &self.shared_warehouses {
            let option = format!("sharedWarehouses.{}", shared.name);
            if !(2..=MAX_MEMBERS).contains(&shared.members.len()) {
                return wrong(&option, "must have between 2 and 50 members");
            }
            for member in &shared.members {
                if seen.contains(&member) {
                    return wrong(&option, "names a warehouse that is in another place too");
                }
                seen.push(member);
            }
        }
        Ok(())
    }

    /// The shared warehouse that this one of this vendor is part of.
    pub fn shared(&self, vendor: &VendorId, warehouse: Option<&str>) -> Option<&SharedWarehouse> {
        let is = |member: &Member| member.vendor_id == *vendor && member.warehouse_id.as_deref() == warehouse;
        self.shared_warehouses.iter().find(|shared| shared.members.iter().any(is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(yaml: serde_json::Value) -> Result<Options, serde_json::Error> {
        serde_json::from_value(yaml)
    }

    #[test]
    fn defaults_are_right_and_unknown_keys_are_refused() {
        assert_eq!(Options::default().check(), Ok(()));
        assert_eq!(options(serde_json::json!({})).expect("defaults"), Options::default());
        assert!(options(serde_json::json!({"longestfold": 1})).is_err());
        assert!(options(serde_json::json!({"anomalousChange": {"times": 1}})).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let member = |warehouse: &str| serde_json::json!({"vendorId": "acme", "warehouseId": warehouse});
        let shared = |members: &[&str]| {
            let members: Vec<_> = members.iter().map(|name| member(name)).collect();
            serde_json::json!({"sharedWarehouses": [{"name": "Rotterdam", "members": members}]})
        };
        for (given, right) in [
            (shared(&["w1", "w2"]), true),
            (shared(&["w1"]), false),
            (shared(&["w1", "w1"]), false),
            (serde_json::json!({"page": 0}), false),
            (serde_json::json!({"longestFold": 10}), false),
            (serde_json::json!({"anomalousChange": {"factor": 1}}), false),
            (serde_json::json!({"anomalousChange": null}), true),
        ] {
            let checked = options(given.clone()).expect("options").check();
            assert_eq!(checked.is_ok(), right, "{given}");
        }
    }
}
