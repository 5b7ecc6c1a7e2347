//! What an operator may set about normalize.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of normalize.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most compiled mappings that are kept in memory.
    pub max_mappings: usize,
    /// Most bytes of one fact as JSON. Its public record and its rows are about as large; a row of the
    /// tables holds 400 KB and a record of the log 1 MiB.
    pub max_fact_bytes: usize,
    /// How far behind the gateway's receipt of the event a fact's own `occurredAt` may lie.
    #[serde(with = "runtime::duration")]
    pub max_ahead: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_mappings: 1_024, max_fact_bytes: 256 * 1_024, max_ahead: Duration::from_hours(24) }
    }
}
