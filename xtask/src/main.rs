//! Chores of this workspace: `cargo xtask test` is the test command, and what CI runs.

#[cfg(test)]
mod layers;
mod steps;
mod tools;

use std::path::Path;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the dvss workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Formatting, lints, dependency rules, documentation tests, tests; stops at the first that fails.
    Test,
    /// Gets the tools that `test` uses, into target/tools.
    Tools,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Test => steps::test(root()),
        Chore::Tools => {
            for tool in [tools::NEXTEST, tools::DENY] {
                println!("{}", tool.get(root())?.display());
            }
            Ok(())
        }
    }
}

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
