//! The forbidden things, tried.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, setrlimit, test_kill_process};

use crate::Trial;

/// What a confinement answers: the filter, Landlock, and the limits of descriptors and processes. Any other
/// error says that the thing was tried, and failed for a reason that may be gone next time.
const DENIALS: [Errno; 5] = [Errno::PERM, Errno::ACCESS, Errno::MFILE, Errno::AGAIN, Errno::NOSYS];

/// Tries everything. `parent` is the parent's process id, which cannot be asked for any more.
pub(crate) fn trials(parent: u32) -> Vec<Trial> {
    vec![
        trial("open a TCP connection", true, TcpStream::connect((Ipv4Addr::LOCALHOST, 9))),
        trial("listen on TCP", true, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))),
        trial("open a UDP socket", true, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))),
        trial("open a Unix socket", true, UnixDatagram::unbound()),
        trial("read a file", true, File::open("/etc/passwd")),
        trial("list a directory", true, fs::read_dir("/")),
        trial("write a file", true, OpenOptions::new().write(true).open("/dev/null")),
        trial("create a file", true, create()),
        trial("start a process", true, start()),
        environment(),
        trial("start a thread", false, thread::Builder::new().spawn(|| ())),
        trial("look at a path", false, fs::metadata("/")),
        trial("signal another process", false, signal(parent)),
        trial("raise a limit", false, raise()),
        // Last: where it is allowed, nothing comes after it, and the parent misses the report.
        trial("execute a program", true, Err::<(), _>(itself().exec())),
    ]
}

fn trial<T>(what: &str, required: bool, outcome: io::Result<T>) -> Trial {
    let error = outcome.err();
    let errno = error.as_ref().and_then(io::Error::raw_os_error);
    let denied = errno.is_some_and(|errno| DENIALS.iter().any(|denial| denial.raw_os_error() == errno));
    let answer = error.map_or_else(|| "done".to_owned(), |error| error.to_string());
    Trial { what: what.to_owned(), denied, required, answer }
}

fn create() -> io::Result<()> {
    let path = format!("/tmp/sandbox-probe-{}", std::process::id());
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)
}

fn start() -> io::Result<()> {
    let mut child = itself().stdin(Stdio::inherit()).spawn()?;
    child.kill()?;
    child.wait().map(drop)
}

/// This very program: it is sure to be there, and ends at once.
fn itself() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--version");
    command
}

fn signal(parent: u32) -> io::Result<()> {
    let pid = i32::try_from(parent).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no parent"))?;
    test_kill_process(pid).map_err(io::Error::from)
}

fn raise() -> io::Result<()> {
    let limit = Some(64);
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit }).map_err(io::Error::from)
}

#[expect(clippy::disallowed_methods, reason = "counts them: there must be none")]
fn environment() -> Trial {
    let variables = std::env::vars_os().count();
    let what = "read an environment".to_owned();
    Trial { what, denied: variables == 0, required: true, answer: format!("{variables} variables") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_confinement_denies() {
        assert!(trial("x", true, Err::<(), _>(Errno::PERM.into())).denied);
        assert!(trial("x", true, Err::<(), _>(Errno::MFILE.into())).denied);
        for failed in [Errno::NOENT, Errno::CONNREFUSED, Errno::IO] {
            assert!(!trial("x", true, Err::<(), _>(failed.into())).denied, "{failed}");
        }
        assert!(!trial("x", true, Ok(())).denied);
    }
}
