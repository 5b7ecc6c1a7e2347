//! What an operator may set about the embedded default.

use serde::{Deserialize, Serialize};

use crate::log::LogOptions;

/// How the store is kept. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most bytes of the store's pages in memory. Default 48 MiB.
    pub cache_bytes: usize,
    /// Most bytes of the file; growing beyond is refused as a full disk is. The file grows by
    /// doubling, up to 4 GiB at a time. Default: what the disk holds.
    pub max_bytes: Option<u64>,
    /// How the log behaves. Not a setting of its own: the binary fills in what the stages run with.
    #[serde(skip)]
    pub log: LogOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 48 * 1024 * 1024, max_bytes: None, log: LogOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        let some = read(r#"{"maxBytes":1000}"#).expect("options");
        assert_eq!(some, Options { max_bytes: Some(1_000), ..Options::default() });
        assert!(read(r#"{"maxByte":1000}"#).is_err());
    }
}
