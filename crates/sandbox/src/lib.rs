//! # sandbox: a child process that can do nothing but compute
//!
//! A parser reads what strangers send, so it runs in a process of its own: the document comes on stdin, the
//! result leaves on stdout, and there is nothing else. No network, no file, no environment, no other process;
//! memory, processor time, wall time and output have bounds. A parser that is taken over, loops or eats memory
//! costs its one document.
//!
//! | module | who calls it | what it does |
//! |---|---|---|
//! | [`Limits`] | both | the bounds, as configuration writes them |
//! | [`serve`] | the child's `main` | confines the process, reads the document, calls the parser, writes the result |
//! | [`confine`] | [`serve`] | rlimits, no new privileges, no capabilities, Landlock, seccomp |
//! | [`run`] | the parent | starts a child for one document, and tells how it ended |
//! | [`probe`] | the parent, at start | has a child confine itself and try what is forbidden |
//!
//! The parent's side and [`confine`] are Linux's. Elsewhere the crate compiles, and every call answers
//! [`Error::Unsupported`]. Why it is built so: `docs/adr/0016-sandbox.md`.

// The parts of both sides that need no Linux are built and tested everywhere.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod confinement;
mod ended;
mod error;
mod limits;

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod parent;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod trials;

#[cfg(not(target_os = "linux"))]
mod elsewhere;

#[cfg(target_os = "linux")]
pub use child::serve;
#[cfg(target_os = "linux")]
pub use confine::{Layers, confine, confine_with};
#[cfg(target_os = "linux")]
pub use parent::{probe, run};

pub use confinement::{Confinement, Report, Trial};
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{confine, probe, run, serve};
pub use ended::{Cause, Ended, Input, Run, Usage};
pub use error::Error;
pub use limits::Limits;

/// Exit codes of [`serve`], from `sysexits.h`. A child that was taken over may end with any of them.
pub mod exit {
    /// The parser refused the document; stderr says why.
    pub const REFUSED: u8 = 65;
    /// The process could not be confined, and has read nothing.
    pub const UNCONFINED: u8 = 71;
    /// stdin or stdout failed.
    pub const IO: u8 = 74;
}

/// The argument in front of the [`Limits`], as JSON, that [`run`] adds to the child's arguments.
pub const LIMITS_ARGUMENT: &str = "--limits";
/// The argument that [`probe`] adds to the child's arguments.
pub const PROBE_ARGUMENT: &str = "--probe";
