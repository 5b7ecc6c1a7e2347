//! What `cargo xtask test` does, one command a step.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::effects::{self, now};
use crate::stack::{self, Guard, Stack};
use crate::tools::{DENY, NEXTEST};

/// The name of the stack that the tests run on: theirs alone, from its start to its end.
const STACK: &str = "test";

/// Runs every step in `root`; the first that fails ends it.
/// `servers`: the tests run on a stack of their own, not on the embedded default alone.
pub fn test(root: &Path, servers: bool) -> anyhow::Result<()> {
    effects::catch_interrupts()?;
    let start = now();
    stack::require(&[stack::CMAKE, stack::PKG_CONFIG, stack::OPENSSL])?;
    let deny = DENY.get(root)?;
    // The runner is a convenience, unlike the rules: without it, cargo's own runs the same tests.
    let nextest =
        NEXTEST.get(root).inspect_err(|error| eprintln!("xtask: {error:#}; using `cargo test`")).ok();

    let steps = vec![
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
    let count = steps.len() + 1 + usize::from(servers);
    for (index, step) in steps.into_iter().enumerate() {
        step.run(index + 1, count, root)?;
    }

    let stack = if servers { Some(bring_up(root, count)?) } else { None };
    let mut tests = match nextest {
        Some(nextest) => {
            let mut command = Command::new(nextest);
            command.args(["nextest", "run", "--workspace", "--locked", "--status-level", "slow"]);
            command
        }
        None => cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--locked"]),
    };
    if let Some((_, addresses)) = &stack {
        tests.env(stack::ADDRESSES, addresses);
    }
    Step::new("tests", tests).run(count, count, root)?;
    if let Some((stack, _)) = stack {
        stack.down()?;
    }
    eprintln!("xtask test: all {count} steps passed in {:.1} s", (now() - start).as_secs_f64());
    Ok(())
}

/// A stack for the tests, and where its addresses are. From here on it is stopped whatever happens, and its
/// logs stay.
fn bring_up(root: &Path, count: usize) -> anyhow::Result<(Guard, PathBuf)> {
    eprintln!("xtask: {}/{count} the stack", count - 1);
    let start = now();
    let stack = Stack::up(root, STACK)?;
    let addresses = stack.addresses();
    eprintln!("xtask: {}/{count} took {:.1} s", count - 1, (now() - start).as_secs_f64());
    Ok((Guard::new(stack), addresses))
}

struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    fn new(name: &'static str, command: Command) -> Self {
        Self { name, command }
    }

    fn run(mut self, index: usize, count: usize, root: &Path) -> anyhow::Result<()> {
        eprintln!("xtask: {index}/{count} {}", self.name);
        let start = now();
        let status = effects::run(self.command.current_dir(root))?;
        if !status.success() {
            bail!("xtask test: FAILED in `{}`, {status}: {:?}", self.name, self.command);
        }
        let took = now() - start;
        eprintln!("xtask: {index}/{count} took {:.1} s", took.as_secs_f64());
        Ok(())
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}
