//! What `cargo xtask test` does, one command a step.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::tools::{DENY, NEXTEST};

/// Runs every step in `root`; the first that fails ends it.
pub fn test(root: &Path) -> anyhow::Result<()> {
    let start = now();
    let deny = DENY.get(root)?;
    // The runner is a convenience, unlike the rules: without it, cargo's own runs the same tests.
    let nextest =
        NEXTEST.get(root).inspect_err(|error| eprintln!("xtask: {error:#}; using `cargo test`")).ok();

    let mut steps = vec![
        Step::new("format", cargo(&["fmt", "--all", "--check"])),
        Step::new(
            "lints",
            cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        ),
        Step::new("dependency rules", {
            let mut command = Command::new(deny);
            command.args(["--log-level", "warn", "--locked", "check", "bans", "licenses", "sources"]);
            command
        }),
        Step::new("documentation tests", cargo(&["test", "--workspace", "--doc", "--quiet", "--locked"])),
    ];
    steps.push(match nextest {
        Some(nextest) => {
            let mut command = Command::new(nextest);
            command.args(["nextest", "run", "--workspace", "--locked", "--status-level", "slow"]);
            Step::new("tests", command)
        }
        None => Step::new(
            "tests",
            cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--locked"]),
        ),
    });

    let count = steps.len();
    for (index, step) in steps.into_iter().enumerate() {
        eprintln!("xtask: {}/{count} {}", index + 1, step.name);
        let took = step.run(root)?;
        eprintln!("xtask: {}/{count} took {:.1} s", index + 1, took.as_secs_f64());
    }
    eprintln!("xtask test: all {count} steps passed in {:.1} s", (now() - start).as_secs_f64());
    Ok(())
}

struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    fn new(name: &'static str, command: Command) -> Self {
        Self { name, command }
    }

    fn run(mut self, root: &Path) -> anyhow::Result<Duration> {
        let start = now();
        let status = self.command.current_dir(root).status();
        let status = status.with_context(|| format!("cannot start {:?}", self.command))?;
        if !status.success() {
            bail!("xtask test: FAILED in `{}`, {status}: {:?}", self.name, self.command);
        }
        Ok(now() - start)
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}

#[expect(clippy::disallowed_methods, reason = "a chore measures real time; nothing here is simulated")]
fn now() -> Instant {
    Instant::now()
}
