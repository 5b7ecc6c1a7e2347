//! How a child ended. Pure: what the parent saw goes in, the name of it comes out.

use std::fs::File;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Limits;

/// A document, as the parent has it.
#[derive(Debug)]
pub enum Input {
    /// A regular file that is open for reading only; it is read from its beginning.
    File(File),
    /// Bytes, which go through a pipe.
    Bytes(Bytes),
}

/// One child, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How it ended.
    pub ended: Ended,
    /// What it took.
    pub usage: Usage,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With exit code 0: this is its stdout.
    Done(Bytes),
    /// With another exit code: it said no, or panicked (101).
    Refused {
        /// Exit code; [`exit`](crate::exit) names those of [`serve`](crate::serve).
        code: i32,
        /// The end of its stderr.
        stderr: String,
    },
    /// It was ended, or ended itself by a signal.
    Killed {
        /// Why.
        cause: Cause,
        /// The end of its stderr.
        stderr: String,
    },
}

/// Why a child was ended. The child's own words tell [`Cause::Memory`] and [`Cause::Stack`]: good for a message,
/// not for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// [`Limits::wall`] passed.
    TimedOut,
    /// [`Limits::cpu`] was used up.
    Cpu,
    /// An allocation found no more of [`Limits::memory_bytes`].
    Memory,
    /// Recursion found no more stack.
    Stack,
    /// Its output was longer than [`Limits::output_bytes`].
    Output,
    /// A signal from elsewhere, or of its own. The kernel's want of memory (outside of the child's limits) is 9.
    Signal(i32),
}

/// What a child took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// From its start to its end, as the parent's clock has it.
    pub wall: Duration,
    /// Processor time; `None` where the kernel does not tell.
    pub cpu: Option<Duration>,
    /// Most memory that was resident, as the child itself says at its end; `None` if it was killed.
    pub peak_bytes: Option<u64>,
}

/// What Rust's allocation error handler writes before it aborts.
const ALLOCATION: &str = "memory allocation of ";
/// What Rust's signal handler writes before it aborts.
const STACK: &str = "has overflowed its stack";

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGXCPU: i32 = 24;

/// What a child was ended by, when its parent did not do it.
pub(crate) fn cause(signal: i32, cpu: Option<Duration>, stderr: &str, limits: &Limits) -> Cause {
    // A child that does not heed SIGXCPU is killed by the kernel a second later.
    let spent = cpu.is_some_and(|cpu| cpu >= limits.cpu);
    match signal {
        SIGXCPU => Cause::Cpu,
        SIGKILL if spent => Cause::Cpu,
        SIGABRT if stderr.contains(ALLOCATION) => Cause::Memory,
        SIGABRT | SIGSEGV if stderr.contains(STACK) => Cause::Stack,
        other => Cause::Signal(other),
    }
}

/// Begins the line on stderr by which the child says what it took.
const PEAK: &str = "sandbox: peak resident bytes ";

/// The line by which the child says what it took.
pub(crate) fn peak_line(bytes: u64) -> String {
    format!("{PEAK}{bytes}\n")
}

/// Takes that line from the end of the child's stderr.
pub(crate) fn take_peak(stderr: &mut String) -> Option<u64> {
    let start = stderr.rfind(PEAK)?;
    let bytes = stderr[start..].strip_prefix(PEAK)?.strip_suffix('\n')?.parse().ok()?;
    stderr.truncate(start);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_causes() {
        let limits = Limits::default();
        let name = |signal, cpu, stderr: &str| cause(signal, cpu, stderr, &limits);
        assert_eq!(name(SIGXCPU, None, ""), Cause::Cpu);
        assert_eq!(name(SIGKILL, Some(limits.cpu), ""), Cause::Cpu);
        assert_eq!(name(SIGKILL, Some(limits.cpu / 2), ""), Cause::Signal(9));
        assert_eq!(name(SIGKILL, None, ""), Cause::Signal(9));
        assert_eq!(name(SIGABRT, None, "memory allocation of 8 bytes failed\n"), Cause::Memory);
        assert_eq!(name(SIGABRT, None, "thread 'main' has overflowed its stack\n"), Cause::Stack);
        assert_eq!(name(SIGABRT, None, "free(): invalid pointer"), Cause::Signal(6));
        assert_eq!(name(SIGSEGV, None, "memory allocation of 8 bytes failed\n"), Cause::Signal(11));
    }

    #[test]
    fn the_peak_is_a_line_of_its_own_at_the_end() {
        let mut stderr = format!("no such page\n{}", peak_line(4_096));
        assert_eq!(take_peak(&mut stderr), Some(4_096));
        assert_eq!(stderr, "no such page\n");
        for other in
            ["", "no such page\n", "sandbox: peak resident bytes ", "sandbox: peak resident bytes 1\nmore"]
        {
            let mut stderr = other.to_owned();
            assert_eq!(take_peak(&mut stderr), None);
            assert_eq!(stderr, other);
        }
    }
}
