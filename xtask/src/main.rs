//! Chores of this workspace: `cargo xtask test` is the test command, and what CI runs.

mod bench;
#[cfg(test)]
mod compose;
mod effects;
#[cfg(test)]
mod layers;
mod soak;
mod stack;
mod steps;
mod tools;

use std::path::Path;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::stack::{Server, Stack};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the dvss workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Formatting, lints, dependency rules, documentation tests, tests; stops at the first that fails.
    Test {
        /// Leave out the half that brings up Kafka, S3, DynamoDB and a schema registry and runs on them.
        #[arg(long)]
        embedded_only: bool,
    },
    /// Sends events while roles and servers are killed and restarted, and proves the books in the end: on a stack
    /// of its own.
    Soak {
        /// How many events, at least.
        #[arg(long, default_value_t = 50_000)]
        events: u32,
        /// Decides what is sent and what goes wrong.
        #[arg(long, default_value_t = 20_240_501)]
        seed: u64,
        /// With optimised binaries: for long runs.
        #[arg(long)]
        release: bool,
        #[command(flatten)]
        double: StandIn,
    },
    /// Runs `dvss bench pipeline` and `dvss bench hop` on a stack of its own; figures go to stdout, as JSON.
    Bench {
        /// Events of each run of the pipeline.
        #[arg(long, default_value_t = 4_000)]
        events: u32,
        /// Events of each run of the hop.
        #[arg(long, default_value_t = 100_000)]
        hop_events: u32,
        #[command(flatten)]
        double: StandIn,
    },
    /// Gets the tools that `test` uses, into target/tools.
    Tools,
    /// Kafka, S3, DynamoDB and a schema registry on loopback ports, for tests and for trying things.
    Stack {
        /// Tells this stack from others that are up beside it.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        #[command(subcommand)]
        chore: StackChore,
    },
}

#[derive(clap::Args)]
struct StandIn {
    /// What stands in for DynamoDB.
    #[arg(long, value_enum, default_value_t)]
    dynamodb: stack::Double,
}

#[derive(Subcommand)]
enum StackChore {
    /// Gets the servers, starts them and waits until they answer; prints what to set to test against them.
    Up(StandIn),
    /// Stops what `up` started, and removes its data.
    Down,
    /// Says which servers answer.
    Status,
    /// Stops one server; its data and its port stay.
    Stop(One),
    /// Starts one server that was stopped.
    Start {
        /// Which.
        server: Server,
    },
    /// Stops one server and starts it again, on the same port, with the same data.
    Restart(One),
}

#[derive(clap::Args)]
struct One {
    /// Which.
    server: Server,
    /// With kill -9, instead of asking it to end.
    #[arg(long)]
    kill: bool,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().chore {
        Chore::Test { embedded_only } => steps::test(root(), !embedded_only),
        Chore::Soak { events, seed, release, double: StandIn { dynamodb } } => {
            effects::catch_interrupts()?;
            soak::run(root(), &soak::Options { events: Some(events), seed: Some(seed), release, dynamodb })
        }
        Chore::Bench { events, hop_events, double } => {
            effects::catch_interrupts()?;
            bench::run(root(), events, hop_events, double.dynamodb)
        }
        Chore::Tools => {
            for tool in [tools::NEXTEST, tools::DENY] {
                println!("{}", tool.get(root())?.display());
            }
            Ok(())
        }
        Chore::Stack { name, chore } => run(&name, &chore),
    }
}

fn run(name: &str, chore: &StackChore) -> anyhow::Result<()> {
    effects::catch_interrupts()?;
    let found = || Stack::find(root(), name)?.context("there is no stack; run: cargo xtask stack up");
    match chore {
        StackChore::Up(double) => {
            let start = effects::now();
            let stack = Stack::up(root(), name, double.dynamodb)?;
            eprintln!("xtask: the stack is up after {:.1} s", (effects::now() - start).as_secs_f64());
            eprintln!("xtask: logs lie in {}", stack.logs().display());
            println!("export {}={}", stack::ADDRESSES, stack.addresses().display());
        }
        StackChore::Down => match Stack::find(root(), name)? {
            Some(stack) => stack.down()?,
            None => eprintln!("xtask: no stack is up"),
        },
        StackChore::Status => {
            let stack = found()?;
            for line in stack.status() {
                println!("{line}");
            }
            anyhow::ensure!(stack.is_ready(), "not every server is ready");
        }
        StackChore::Stop(One { server, kill }) => found()?.stop(*server, *kill)?,
        StackChore::Start { server } => found()?.start(*server)?,
        StackChore::Restart(One { server, kill }) => {
            let mut stack = found()?;
            stack.stop(*server, *kill)?;
            stack.start(*server)?;
        }
    }
    Ok(())
}

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
