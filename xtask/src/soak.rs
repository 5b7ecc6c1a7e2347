//! `cargo xtask soak`: the test binary `e2e_soak` on a stack of its own, for it restarts servers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::effects;
use crate::stack::{Double, Guard, Stack};

/// The name of the soak's stack.
const STACK: &str = "soak";

/// Names the file with the addresses of the stack that the soak may restart.
pub const STACK_VARIABLE: &str = "DVSS_SOAK_STACK";

/// What is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many events; few, where it is not said.
    pub events: Option<u32>,
    /// Which.
    pub seed: Option<u64>,
    /// With optimised binaries.
    pub release: bool,
    /// What stands in for DynamoDB.
    pub dynamodb: Double,
}

/// Builds, brings the stack up, runs the soak and takes the stack down, whatever happens.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let soak = build(root, options.release)?;
    let stack = Stack::up(root, STACK, options.dynamodb)?;
    let (addresses, logs) = (stack.addresses(), stack.logs());
    let guard = Guard::new(stack);
    let mut command = command(&soak, options, &addresses, &logs);
    let status = effects::run(command.current_dir(root))?;
    guard.down()?;
    if !status.success() {
        bail!("the soak FAILED, {status}; logs of servers and roles lie in {}", logs.display());
    }
    Ok(())
}

/// The soak itself, not by way of cargo: an interrupt must reach it.
fn command(soak: &Path, options: &Options, addresses: &Path, logs: &Path) -> Command {
    let mut command = Command::new(soak);
    command.args(["--exact", "soak", "--nocapture"]);
    command.env(STACK_VARIABLE, addresses).env("DVSS_SOAK_DIRECTORY", logs);
    for (name, value) in [
        ("DVSS_SOAK_EVENTS", options.events.map(|events| events.to_string())),
        ("DVSS_SOAK_SEED", options.seed.map(|seed| seed.to_string())),
    ] {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Builds dvss and its soak, and returns where the soak is.
fn build(root: &Path, release: bool) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--workspace", "--test", "e2e_soak", "--no-run", "--locked"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if release {
        cargo.arg("--release");
    }
    cargo.current_dir(root).stdin(Stdio::null()).stderr(Stdio::inherit());
    effects::check()?;
    let output = cargo.output().context("cannot start cargo")?;
    effects::check()?;
    if !output.status.success() {
        bail!("the soak cannot be built, {}", output.status);
    }
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo does not say where the soak is")
}

/// The test binary that cargo's messages, one JSON object a line, tell of.
fn executable(messages: &str) -> Option<PathBuf> {
    let of_soak = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_soak = message["target"]["name"] == "e2e_soak";
        message["executable"].as_str().filter(|_| is_soak).map(PathBuf::from)
    };
    messages.lines().find_map(of_soak)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_the_soak_is() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"dvss"},"executable":"/t/dvss"}
{"reason":"compiler-artifact","target":{"name":"e2e_soak"},"executable":"/t/e2e_soak-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/e2e_soak-1")));
        assert_eq!(executable("{}\nno JSON"), None);
    }

    #[test]
    fn what_was_asked_for_is_what_is_run() {
        let options = Options { events: Some(7), ..Options::default() };
        let command = command(Path::new("/t/soak"), &options, Path::new("/s.json"), Path::new("/logs"));
        let value = |name: &str| {
            let found = command.get_envs().find(|(known, _)| *known == name);
            found.and_then(|(_, value)| value).and_then(|value| value.to_str())
        };
        assert_eq!(value("DVSS_SOAK_EVENTS"), Some("7"));
        assert_eq!(value("DVSS_SOAK_SEED"), None);
        assert_eq!(value("DVSS_SOAK_STACK"), Some("/s.json"));
    }
}
