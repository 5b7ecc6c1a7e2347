//! What a chore does to the world: waits, runs commands, notices Ctrl-C.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Set by the first signal that asks this process to end.
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on Ctrl-C, SIGTERM and SIGHUP no longer end this process: [`check`] reports them, so that what
/// was started is stopped on the way out.
pub fn catch_interrupts() -> anyhow::Result<()> {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("cannot catch signals")?;
    }
    Ok(())
}

/// An error once the process was asked to end.
pub fn check() -> anyhow::Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Runs the command to its end. An interrupt is passed on to it, and is an error here when it has ended.
pub fn run(command: &mut Command) -> anyhow::Result<ExitStatus> {
    check()?;
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            check()?;
            return Ok(status);
        }
        if interrupted() && !asked {
            asked = true;
            if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // Where it has just ended there is nobody to tell; try_wait sees that next.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        pause(Duration::from_millis(20));
    }
}

/// Whether the command succeeds within that time; it does not outlive it.
pub fn succeeds_within(command: &mut Command, time: Duration) -> bool {
    let Ok(mut child) = command.spawn() else { return false };
    let start = now();
    while now() - start < time {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => pause(Duration::from_millis(10)),
            Err(_) => break,
        }
    }
    // Both fail only where it has ended in the meantime.
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// A command that sees of our environment only where programs lie: what a person has set for their own servers
/// must not reach ours.
#[expect(clippy::disallowed_methods, reason = "a chore's environment is the person's who runs it")]
pub fn clean_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for variable in ["PATH", "HOME", "JAVA_HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(variable) {
            command.env(variable, value);
        }
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "a chore waits for real servers; nothing here is simulated")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::disallowed_methods, reason = "a chore measures real time; nothing here is simulated")]
pub fn now() -> Instant {
    Instant::now()
}
