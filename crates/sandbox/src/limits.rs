//! What an operator may set about the child.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

const MIB: u64 = 1 << 20;
/// Below this a program of the size of ours does not start.
const LEAST_MEMORY: u64 = 64 * MIB;

/// Bounds of one child. Times are written `250ms`, `5s`, `2m`.
///
/// How many files it may open is not among them: none, which is what makes it a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Address space, in bytes: the program, its stack and all that it allocates.
    pub memory_bytes: u64,
    /// Processor time, in whole seconds. It also ends a child whose parent was killed.
    #[serde(with = "contract::duration")]
    pub cpu: Duration,
    /// Time from the start to the end of the child.
    #[serde(with = "contract::duration")]
    pub wall: Duration,
    /// Longest result, in bytes.
    pub output_bytes: u64,
    /// Longest document, in bytes.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * MIB,
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(4),
            output_bytes: 64 * MIB,
            document_bytes: 20 * MIB,
        }
    }
}

impl Limits {
    /// Checks that the bounds make sense; [`Error::Limits`] otherwise.
    pub fn check(&self) -> Result<(), Error> {
        let message = if self.memory_bytes < LEAST_MEMORY {
            format!("memoryBytes must be at least {LEAST_MEMORY}")
        } else if self.cpu.is_zero() || self.cpu.subsec_nanos() != 0 {
            "cpu must be whole seconds, and not 0".to_owned()
        } else if self.wall.is_zero() {
            "wall must not be 0".to_owned()
        } else if self.output_bytes == 0 || self.document_bytes == 0 {
            "outputBytes and documentBytes must not be 0".to_owned()
        } else if self.document_bytes >= self.memory_bytes {
            "documentBytes must be less than memoryBytes: the child holds the document".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Limits(message))
    }

    /// Reads what [`run`](crate::run) hands to the child behind [`LIMITS_ARGUMENT`](crate::LIMITS_ARGUMENT).
    pub fn from_argument(text: &str) -> Result<Self, Error> {
        let limits: Self = serde_json::from_str(text).map_err(|error| Error::Limits(error.to_string()))?;
        limits.check()?;
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_nonsense_is_refused() {
        let good = Limits::default();
        good.check().expect("the defaults");
        for (bad, named) in [
            (Limits { memory_bytes: MIB, ..good.clone() }, "memoryBytes"),
            (Limits { cpu: Duration::ZERO, ..good.clone() }, "cpu"),
            (Limits { cpu: Duration::from_millis(1_500), ..good.clone() }, "cpu"),
            (Limits { wall: Duration::ZERO, ..good.clone() }, "wall"),
            (Limits { output_bytes: 0, ..good.clone() }, "outputBytes"),
            (Limits { document_bytes: 0, ..good.clone() }, "documentBytes"),
            (Limits { document_bytes: good.memory_bytes, ..good.clone() }, "documentBytes"),
        ] {
            let error = bad.check().expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_argument_is_read_as_it_is_written() {
        let limits = Limits { wall: Duration::from_millis(250), ..Limits::default() };
        let text = serde_json::to_string(&limits).expect("JSON");
        assert_eq!(Limits::from_argument(&text).expect("limits"), limits);
        assert_eq!(Limits::from_argument("{}").expect("limits"), Limits::default());
        for bad in ["", r#"{"wal":"1s"}"#, r#"{"wall":1}"#, r#"{"wall":"0s"}"#, r#"{"memoryBytes":-1}"#] {
            assert!(Limits::from_argument(bad).is_err(), "{bad}");
        }
    }
}
