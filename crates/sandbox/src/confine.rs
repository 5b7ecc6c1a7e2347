//! The calling process takes away its own rights.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr as _, RulesetError,
    RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use crate::filter::filter;
use crate::process::{Status, close_descriptors};
use crate::{Confinement, Error, Limits};

/// The ABI that the rules were written for; a kernel with an older one enforces what it knows.
const LANDLOCK: ABI = ABI::V10;

/// The usual size of a stack, whatever the parent's is: how deep a document may nest must not depend on the machine.
const STACK_BYTES: u64 = 8 << 20;

/// Which layers to put on: tests look at each alone.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Layers {
    /// The limit of descriptors.
    pub descriptors: bool,
    /// Landlock.
    pub landlock: bool,
    /// The filter of system calls.
    pub seccomp: bool,
}

impl Layers {
    pub(crate) const ALL: Self = Self { descriptors: true, landlock: true, seccomp: true };
}

/// Confines the calling process, for good. It must have one thread, and should have read nothing yet. All
/// descriptors but stdin, stdout and stderr are closed, whoever holds them.
///
/// Memory that an allocator has reserved before is not limited any more, so a program that has mapped more than
/// half of its limit is started again, by `exec` with the same arguments, now under the limit: then this does not
/// return, and what `main` did before is done twice.
///
/// Kernels differ: `Ok` says what is active, and [`Confinement::meets_minimum`] whether that is enough.
pub fn confine(limits: &Limits) -> Result<Confinement, Error> {
    confine_with(limits, Layers::ALL)
}

/// [`confine`], with some layers left out.
#[doc(hidden)]
pub fn confine_with(limits: &Limits, layers: Layers) -> Result<Confinement, Error> {
    put_on(limits, layers).map(|(confinement, _)| confinement)
}

/// [`confine_with`]; also gives what can be read about the process afterwards.
pub(crate) fn put_on(limits: &Limits, layers: Layers) -> Result<(Confinement, Status), Error> {
    limits.check()?;
    close_descriptors().map_err(Error::Proc)?;
    let status = Status::open().map_err(Error::Proc)?;
    match status.threads().map_err(Error::Proc)? {
        1 => {}
        more => return Err(Error::Threads(more)),
    }
    limit("stack", Resource::Stack, STACK_BYTES, STACK_BYTES)?;
    limit_memory(limits, &status)?;
    limit("processor time", Resource::Cpu, limits.cpu.as_secs(), limits.cpu.as_secs() + 1)?;
    for (what, resource) in [
        ("file size", Resource::Fsize),
        ("core dumps", Resource::Core),
        ("processes", Resource::Nproc),
        ("locked memory", Resource::Memlock),
    ] {
        limit(what, resource, 0, 0)?;
    }
    let mut confinement = Confinement { rlimits: true, ..Confinement::default() };
    let missing = &mut confinement.missing;
    confinement.no_new_privs = held("no new privileges", set_no_new_privs(true), missing);
    confinement.no_capabilities = held("no capabilities", drop_capabilities(), missing);
    if layers.landlock {
        confinement.landlock = restrict().unwrap_or_else(|why| {
            missing.push(format!("landlock ({why})"));
            0
        });
    }
    // Not one: neither a file nor a socket can be had where there is no number for it. Landlock needed one.
    if layers.descriptors {
        limit("open files", Resource::Nofile, 0, 0)?;
    }
    // Last, because it forbids all of the above.
    if layers.seccomp {
        confinement.seccomp = held("seccomp", filter_calls(), missing);
    }
    Ok((confinement, status))
}

/// Whether a layer is active; if it is not, `missing` gets the reason.
fn held<E: std::fmt::Display>(what: &str, outcome: Result<(), E>, missing: &mut Vec<String>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(why) => {
            missing.push(format!("{what} ({why})"));
            false
        }
    }
}

/// Sets a limit, or keeps the one that is there if it is lower: it may not be raised.
fn limit(what: &'static str, resource: Resource, current: u64, maximum: u64) -> Result<(), Error> {
    let before = getrlimit(resource);
    let lower = |new: u64, old: Option<u64>| Some(old.map_or(new, |old| old.min(new)));
    let maximum = lower(maximum, before.maximum);
    let new = Rlimit { current: lower(current, maximum), maximum };
    setrlimit(resource, new).map_err(|errno| Error::Rlimit { what, source: errno.into() })
}

fn limit_memory(limits: &Limits, status: &Status) -> Result<(), Error> {
    let most = limits.memory_bytes;
    let limited = getrlimit(Resource::As).maximum.is_some_and(|maximum| maximum <= most);
    let mapped = status.mapped().map_err(Error::Proc)?;
    limit("memory", Resource::As, most, most)?;
    if limited || mapped <= most / 2 {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let why = Command::new("/proc/self/exe").arg0(name).args(arguments).exec();
    Err(Error::Restart { mapped, why: why.to_string() })
}

fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    let left = capabilities(None)?;
    if left.effective.is_empty() && left.permitted.is_empty() {
        return Ok(());
    }
    Err(io::Error::other("they stayed"))
}

/// Lets Landlock deny every path, every port, and signals to others; tells its ABI.
fn restrict() -> Result<u8, String> {
    let status = rules().map_err(|error| error.to_string())?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            Ok(effective_abi as u8)
        }
        LandlockStatus::NotEnabled => Err("not enabled in this kernel".to_owned()),
        LandlockStatus::NotImplemented => Err("not part of this kernel".to_owned()),
        other => Err(format!("{other:?}")),
    }
}

fn rules() -> Result<landlock::RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()
}

fn filter_calls() -> Result<(), seccompiler::Error> {
    let program = filter(std::process::id())?;
    seccompiler::apply_filter_all_threads(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_many_threads_is_not_confined() {
        std::thread::scope(|scope| {
            let (done, wait) = std::sync::mpsc::sync_channel::<()>(0);
            scope.spawn(move || wait.recv());
            let error = confine(&Limits::default()).expect_err("threads");
            assert!(matches!(error, Error::Threads(2..)), "{error}");
            drop(done);
        });
    }
}
