//! `cargo xtask bench`: `dvss bench` on a stack of its own, which is taken down afterwards.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::effects;
use crate::stack::{Double, Guard, Stack};

/// The name of its stack.
const STACK: &str = "bench";

/// Builds dvss, brings the stack up, measures and takes the stack down, whatever happens.
pub fn run(root: &Path, events: u32, hop_events: u32, dynamodb: Double) -> anyhow::Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--package", "dvss", "--bin", "dvss"]);
    run_one(build.current_dir(root))?;
    let stack = Stack::up(root, STACK, dynamodb)?;
    let configuration = stack.configuration();
    let guard = Guard::new(stack);
    for (bench, count) in [("hop", hop_events), ("pipeline", events)] {
        let mut command = Command::new("cargo");
        command.args(["run", "--release", "--locked", "--quiet", "--package", "dvss", "--bin", "dvss", "--"]);
        command.args(["bench", bench, "--json", "--events", &count.to_string(), "--config"]);
        run_one(command.arg(&configuration).current_dir(root))?;
    }
    guard.down()
}

fn run_one(command: &mut Command) -> anyhow::Result<()> {
    let status = effects::run(command)?;
    if !status.success() {
        bail!("{command:?} FAILED, {status}");
    }
    Ok(())
}
