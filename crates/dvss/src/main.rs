//! # dvss: the only binary, and the only place where things are wired together
//!
//! | module | what it does |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`config`] | one YAML file, `DVSS_…` over it, flags over both |
//! | [`backend`] | the embedded store, or servers |
//! | [`up`] | the processes: every role in one, or one alone |
//! | [`bench`] | what the pipeline does, and what it costs |
//! | [`parser`] | documents, read in a child process |
//! | [`demo`] | `up`, with sample traffic and a tour of what came out |
//! | [`client`] | the operator API, as commands use it |
//! | [`commands`] | one module a command |
//!
//! Data goes to stdout, everything else to stderr. Exit codes: see [`cli::exit`].

mod backend;
mod bench;
mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod demo;
#[cfg(debug_assertions)]
mod failpoint;
mod inbound;
mod parser;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

/// A stage allocates for every record, on whichever thread is free, and hands what it made to others; the C
/// library's allocator takes a quarter of its time (docs/adr/0012-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    // Before anything is started: a thread could not be confined any more.
    if let cli::Command::ParseSandboxed(arguments) = &arguments.command {
        return parser::child(arguments);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("dvss: cannot start the runtime: {error}");
            return ExitCode::from(cli::exit::FAILURE);
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("dvss: {error:#}");
            ExitCode::from(cli::exit::of(&error))
        }
    }
}
