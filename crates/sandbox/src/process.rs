//! What the kernel says about a process, in `/proc`.

use std::fs::{self, File};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// The file is about 1.5 KiB; what is looked for stands in its first half.
const STATUS_BYTES: usize = 4_096;

/// The calling process's `/proc/self/status`, open: it can be read when no path can be opened any more.
#[derive(Debug)]
pub(crate) struct Status(File);

impl Status {
    /// Opens it.
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/status").map(Self)
    }

    /// Threads of the process.
    pub(crate) fn threads(&self) -> io::Result<u64> {
        self.number("Threads:")
    }

    /// Bytes of address space in use.
    pub(crate) fn mapped(&self) -> io::Result<u64> {
        self.number("VmSize:").map(|kib| kib << 10)
    }

    /// Most bytes that were resident. `getrusage` would count the parent's, from before `exec`.
    pub(crate) fn peak(&self) -> io::Result<u64> {
        self.number("VmHWM:").map(|kib| kib << 10)
    }

    fn number(&self, name: &str) -> io::Result<u64> {
        let mut bytes = [0; STATUS_BYTES];
        let length = self.0.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("no {name}")))
    }
}

/// Processor time of a process of one thread, which may have ended but not been waited for.
pub(crate) fn cpu(pid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Open descriptors beyond stdin, stdout and stderr.
pub(crate) fn descriptors() -> io::Result<Vec<RawFd>> {
    let numbers =
        fs::read_dir("/proc/self/fd")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let open: Vec<_> = numbers.filter(|number: &RawFd| *number > 2).collect();
    // One of them was the listing's own, which is closed by now.
    let still = |number: &RawFd| fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    Ok(open.into_iter().filter(still).collect())
}

/// Closes all descriptors beyond stdin, stdout and stderr. Rust's own do not survive `exec`; those that a C library
/// opened, or that the parent itself was started with, may.
pub(crate) fn close_descriptors() -> io::Result<()> {
    for number in descriptors()? {
        nix::unistd::close(number)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_reads_about_itself() {
        let status = Status::open().expect("status");
        assert!(status.threads().expect("threads") >= 1);
        assert!(status.mapped().expect("mapped") >= status.peak().expect("peak"));
        assert!(status.number("VmNothing:").is_err());
        let pid = i32::try_from(std::process::id()).expect("pid");
        assert!(cpu(pid).is_some());
        assert_eq!(cpu(i32::MAX), None);
    }
}
