//! What goes wrong outside the child's work.

use std::io;

/// Why a process could not be confined, or a child not be run. What the child makes of its document is
/// [`Ended`](crate::Ended), not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not Linux.
    #[error("a parser can be confined on Linux only")]
    Unsupported,
    /// [`Limits`](crate::Limits) that make no sense.
    #[error("limits of the sandbox: {0}")]
    Limits(String),
    /// The child could not read about itself.
    #[error("/proc/self/status cannot be read: {0}")]
    Proc(io::Error),
    /// The process has more threads than the one that would be confined.
    #[error("{0} threads run: a process confines itself while it has one")]
    Threads(u64),
    /// An rlimit could not be set.
    #[error("the limit of {what} cannot be set: {source}")]
    Rlimit {
        /// What is limited.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The program could not be started again under its limit of memory.
    #[error(
        "{mapped} bytes are mapped before the first byte is read, and the program cannot start again: {why}"
    )]
    Restart {
        /// Bytes of address space that were in use.
        mapped: u64,
        /// Why not.
        why: String,
    },
    /// The document is too long to be handed to a child.
    #[error("the document has {bytes} bytes; at most {most} are read")]
    TooLong {
        /// The document's length.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// The document's file is not one that a child may be given.
    #[error("the document's file is not a regular file that is open for reading only")]
    Input,
    /// The child could not be started or watched.
    #[error("the parser's process: {0}")]
    Process(io::Error),
    /// The probe did not end with a report.
    #[error("the sandbox's probe: {0}")]
    Probe(String),
}
