//! The parent's side: one child for one document.

use std::ffi::OsStr;
use std::io::{self, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout, timeout_at};

use crate::ended::{cause, take_peak};
use crate::process::cpu;
use crate::{Cause, Ended, Error, Input, LIMITS_ARGUMENT, Limits, PROBE_ARGUMENT, Report, Run, Usage};

/// How much of the end of stderr is kept.
const STDERR_BYTES: usize = 4_096;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1_024;
/// How long a child that was killed may take to go. Who stays longer hangs in the kernel; it is left to tokio,
/// which waits for it in the background.
const GOING: Duration = Duration::from_secs(2);

/// Runs `program` with `arguments` and `--limits <JSON>` on one document, and tells how it ended. The child has no
/// environment, no descriptors but stdin, stdout and stderr, and a process group of its own, which is killed when
/// it breaks a limit or when the future is dropped. What it may do is its own to give up: `program` must call
/// [`serve`](crate::serve).
///
/// Time is real, so a runtime with a paused clock is not for this.
pub async fn run(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: Input,
    limits: &Limits,
) -> Result<Run, Error> {
    limits.check()?;
    let (stdin, fed) = open(input, limits)?;
    let json = serde_json::to_string(limits).map_err(|error| Error::Limits(error.to_string()))?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .args([LIMITS_ARGUMENT, &json])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::Process)?;
    let mut group = Group::of(&child)?;
    let mut heard = Heard::default();
    let cut = match timeout_at(start + limits.wall, heard.listen(&mut child, fed, &group, limits)).await {
        Ok(Ok(())) => None,
        Ok(Err(cause)) => Some(cause),
        Err(_) => Some(Cause::TimedOut),
    };
    if cut.is_some() {
        group.kill();
        // If it stays, the wait below says so.
        drop(timeout(GOING, group.gone()).await);
    }
    let cpu = cpu(group.pid.as_raw_nonzero().get());
    let status = match timeout(GOING, child.wait()).await {
        Ok(status) => status.map_err(Error::Process)?,
        Err(_) => return Err(Error::Process(io::Error::other("it was killed, and stays"))),
    };
    group.disarm();
    Ok(heard.tell(status, cut, Usage { wall: start.elapsed(), cpu, peak_bytes: None }, limits))
}

/// Runs `program` with `arguments`, `--limits <JSON>` and `--probe`, and tells what holds it. A parent asks this
/// once, at its start, logs the answer, and goes no further without [`Report::meets_minimum`].
pub async fn probe(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    limits: &Limits,
) -> Result<Report, Error> {
    let mut with: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
    with.push(PROBE_ARGUMENT.into());
    let run = run(program, with, Input::Bytes(Bytes::new()), limits).await?;
    match run.ended {
        Ended::Done(json) => serde_json::from_slice(&json).map_err(|error| Error::Probe(error.to_string())),
        Ended::Refused { code, stderr } => {
            Err(Error::Probe(format!("exit code {code}: {}", stderr.trim_end())))
        }
        Ended::Killed { cause, stderr } => Err(Error::Probe(format!("{cause:?}: {}", stderr.trim_end()))),
    }
}

/// What becomes the child's stdin, and what is written to it.
fn open(input: Input, limits: &Limits) -> Result<(Stdio, Bytes), Error> {
    let bytes = match &input {
        Input::Bytes(bytes) => bytes.len() as u64,
        Input::File(file) => {
            let metadata = file.metadata().map_err(Error::Process)?;
            let flags = fcntl_getfl(file).map_err(|errno| Error::Process(errno.into()))?;
            // The child gets the descriptor as it is: with another it could change the document.
            if !metadata.is_file() || flags & OFlags::ACCMODE != OFlags::RDONLY {
                return Err(Error::Input);
            }
            metadata.len()
        }
    };
    if bytes > limits.document_bytes {
        return Err(Error::TooLong { bytes, most: limits.document_bytes });
    }
    match input {
        Input::Bytes(bytes) => Ok((Stdio::piped(), bytes)),
        Input::File(mut file) => {
            file.rewind().map_err(Error::Process)?;
            Ok((file.into(), Bytes::new()))
        }
    }
}

/// The child and all that it may have started, until it was waited for: after that its number may be another's.
struct Group {
    pid: Pid,
    armed: bool,
}

impl Group {
    fn of(child: &Child) -> Result<Self, Error> {
        let raw = child.id().and_then(|id| i32::try_from(id).ok());
        let pid =
            raw.and_then(Pid::from_raw).ok_or_else(|| Error::Process(io::Error::other("no process id")))?;
        Ok(Self { pid, armed: true })
    }

    fn kill(&self) {
        // It fails only for a group that is gone.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Waits for the child's end, and leaves the rest of it to be waited for, so that it can be asked what it took.
    /// `false` at once where that cannot be done.
    async fn gone(&self) -> bool {
        // Listening comes before looking: a child that ends in between is not missed.
        let Ok(mut some_child) = signal(SignalKind::child()) else { return false };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        loop {
            match waitid(WaitId::Pid(self.pid), look) {
                Ok(Some(_)) => return true,
                Ok(None) => drop(some_child.recv().await),
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.armed {
            self.kill();
        }
    }
}

/// What a child has written.
#[derive(Default)]
struct Heard {
    stdout: BytesMut,
    stderr: BytesMut,
}

impl Heard {
    /// Feeds the child and reads what it writes, up to its end.
    async fn listen(
        &mut self,
        child: &mut Child,
        document: Bytes,
        group: &Group,
        limits: &Limits,
    ) -> Result<(), Cause> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let most = usize::try_from(limits.output_bytes).unwrap_or(usize::MAX);
        let fed = async {
            feed(stdin, &document).await;
            Ok(())
        };
        let ended = async {
            read_end(stderr, &mut self.stderr).await;
            Ok(())
        };
        tokio::try_join!(fed, ended, read_up_to(stdout, &mut self.stdout, most))?;
        // A child that has closed its outputs may still run.
        if !group.gone().await {
            drop(child.wait().await);
        }
        Ok(())
    }

    fn tell(self, status: ExitStatus, cut: Option<Cause>, mut usage: Usage, limits: &Limits) -> Run {
        let mut stderr = String::from_utf8_lossy(&self.stderr).into_owned();
        usage.peak_bytes = take_peak(&mut stderr);
        let ended = match (cut, status.code()) {
            (Some(cause), _) => Ended::Killed { cause, stderr },
            (None, Some(0)) => Ended::Done(self.stdout.freeze()),
            (None, Some(code)) => Ended::Refused { code, stderr },
            (None, None) => {
                let signal = status.signal().unwrap_or_default();
                Ended::Killed { cause: cause(signal, usage.cpu, &stderr, limits), stderr }
            }
        };
        Run { ended, usage }
    }
}

/// Writes the document. A child may end without having read it: its exit code says what that means.
async fn feed(stdin: Option<ChildStdin>, document: &[u8]) {
    if let Some(mut stdin) = stdin {
        drop(stdin.write_all(document).await);
    }
}

/// Reads all, up to `most` bytes. What cannot be read has ended.
async fn read_up_to(
    from: Option<impl AsyncRead + Unpin>,
    to: &mut BytesMut,
    most: usize,
) -> Result<(), Cause> {
    let Some(mut from) = from else { return Ok(()) };
    loop {
        to.reserve(CHUNK_BYTES);
        match from.read_buf(to).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) if to.len() > most => return Err(Cause::Output),
            Ok(_) => {}
        }
    }
}

/// Reads all, and keeps the end: that is where a program says why it gives up.
async fn read_end(from: Option<impl AsyncRead + Unpin>, to: &mut BytesMut) {
    let Some(mut from) = from else { return };
    let mut chunk = [0; STDERR_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        to.extend_from_slice(&chunk[..length]);
        let surplus = to.len().saturating_sub(STDERR_BYTES);
        to.advance(surplus);
    }
}
