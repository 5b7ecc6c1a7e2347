//! What an operator may set about dedup.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of dedup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Longest wait for the claim of a winner that a flagged record names, so that the divergence can
    /// show both sides; the winner's record may be in another partition. Shorter than the loop's
    /// deadline.
    #[serde(with = "runtime::duration")]
    pub winner_patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { winner_patience: Duration::from_secs(1) }
    }
}
