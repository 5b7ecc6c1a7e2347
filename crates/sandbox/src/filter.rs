//! The filter of system calls: what computing takes, and nothing else.
//!
//! It is a list of what is allowed. A list of what is forbidden would be open to every system call that a newer
//! kernel brings (`io_uring` went around many such lists). All else answers `EPERM` and does not kill: a library
//! that asks, say, how many processors there are takes the answer as "unknown" and goes on.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Allowed whatever their arguments are: none of them takes a path, makes a descriptor or touches another
/// process.
const ALLOWED: [c_long; 25] = [
    // stdin, stdout and stderr: there are no other descriptors.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_close,
    // Memory; `mmap` and `mprotect` stand below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Hash maps are seeded; locks, and clocks where the vDSO has none.
    libc::SYS_getrandom,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_sched_yield,
    // Panics, overflows of the stack and the end.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Builds the filter for the process `pid`, the calling one.
pub(crate) fn filter(pid: u32) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<_, _> = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    // No memory becomes code: what a parser is made to write cannot be run. And none of it is a file.
    let no_code = || argument(2, SeccompCmpOp::MaskedEq(constant(libc::PROT_EXEC)), 0);
    let anonymous = constant(libc::MAP_ANONYMOUS);
    let no_file = argument(3, SeccompCmpOp::MaskedEq(anonymous), anonymous)?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![no_code()?, no_file])?]);
    rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![no_code()?])?]);
    // `abort` sends itself a signal. Nobody else gets one.
    let itself = argument(0, SeccompCmpOp::Eq, u64::from(pid))?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![itself])?]);
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture)?.try_into()
}

fn argument(at: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, operator, value)
}

fn constant(value: i32) -> u64 {
    u64::from(value.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_lists_nothing_that_reaches_out() {
        assert!(!filter(7).expect("a filter").is_empty());
        for call in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_openat,
            libc::SYS_execve,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_io_uring_setup,
            libc::SYS_prlimit64,
            libc::SYS_ioctl,
            libc::SYS_kill,
        ] {
            assert!(!ALLOWED.contains(&call), "{call}");
        }
    }
}
