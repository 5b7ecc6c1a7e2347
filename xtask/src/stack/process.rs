//! Processes that outlive the one that started them, and are ended by nobody else's mistake.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::effects::{now, pause};

/// A process, told apart from a later one that was given the same pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: i32,
    /// When it started, in the words of the system: clock ticks since boot on Linux.
    started: String,
}

impl Process {
    /// Starts the command with its output appended to `log`, out of reach of the terminal's Ctrl-C.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output: File = output.with_context(|| format!("cannot open {}", log.display()))?;
        let errors = output.try_clone()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = i32::try_from(child.id())?;
        let Some(started) = started(pid) else {
            // A process that cannot be recognised later must not stay.
            let _ = child.kill();
            bail!("{command:?} ended at once; see {}", log.display());
        };
        Ok(Self { pid, started })
    }

    /// Whether it runs.
    pub fn lives(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }

    /// Asks it to end. Nothing happens if it has ended, even if its pid is now somebody else's.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it as kill -9 does, and waits until it is gone.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL);
        if self.ends_within(Duration::from_secs(10)) {
            return Ok(());
        }
        bail!("process {} is still there ten seconds after SIGKILL", self.pid)
    }

    /// Waits for its end; false if it still runs after that time.
    pub fn ends_within(&self, time: Duration) -> bool {
        let start = now();
        while self.lives() {
            if now() - start > time {
                return false;
            }
            pause(Duration::from_millis(20));
        }
        true
    }

    /// Its pid, for people.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.lives()) {
            // The one way that this fails for a process of ours is that it has just ended.
            let _ = kill_process(pid, signal);
        }
    }
}

/// When the process with this pid started; none if there is none, or only its exit status is left.
fn started(pid: i32) -> Option<String> {
    if Path::new("/proc/self/stat").exists() {
        return parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let mut ps = Command::new("ps");
    let output = ps.env("LC_ALL", "C").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    parse_ps(&String::from_utf8_lossy(&output.stdout))
}

/// The start time in `/proc/<pid>/stat`. The command's name, second, may itself hold spaces and parentheses.
fn parse_stat(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    // The state is field 3 of proc(5), the start time field 22.
    let started = fields.nth(18)?;
    (!is_over(state)).then(|| started.to_owned())
}

/// The start time in what `ps -o stat=,lstart=` prints.
fn parse_ps(output: &str) -> Option<String> {
    let (state, started) = output.trim().split_once(char::is_whitespace)?;
    (!is_over(state)).then(|| started.trim().to_owned())
}

/// Whether a process in this state has ended and only waits for its parent to read the exit status.
fn is_over(state: &str) -> bool {
    state.starts_with(['Z', 'X'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_start_time_past_any_name() {
        let after = "1 4242 4242 0 -1 4194560 91 0 0 0 7 3 0 0 20 0 31 0 123456 789 10 18446744073709551615";
        for (stat, expected) in [
            (format!("4242 (java) S {after}"), Some("123456")),
            (format!("4242 (a) Z (b) R {after}"), Some("123456")),
            (format!("4242 (java) Z {after}"), None),
            ("4242 (java) S 1 2 3".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(parse_stat(&stat).as_deref(), expected, "{stat}");
        }
    }

    #[test]
    fn reads_the_start_time_from_ps() {
        for (output, expected) in [
            ("Ss   Sun Nov 22 17:00:01 2026\n", Some("Sun Nov 22 17:00:01 2026")),
            ("Z    Sun Nov 22 17:00:01 2026\n", None),
            ("\n", None),
        ] {
            assert_eq!(parse_ps(output).as_deref(), expected, "{output}");
        }
    }

    #[test]
    fn ends_the_process_that_it_started() {
        let home = tempfile::tempdir().expect("a directory");
        let process =
            Process::start(Command::new("sleep").arg("600"), &home.path().join("log")).expect("sleep");
        assert!(process.lives());
        let text = serde_json::to_string(&process).expect("JSON");
        let read: Process = serde_json::from_str(&text).expect("itself");
        read.ask_to_end();
        assert!(process.ends_within(Duration::from_secs(10)));
    }

    #[test]
    fn leaves_a_later_process_with_the_same_pid_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let later =
            Process::start(Command::new("sleep").arg("600"), &home.path().join("log")).expect("sleep");
        let earlier = Process { pid: later.pid, started: "1".to_owned() };
        assert!(!earlier.lives());
        earlier.ask_to_end();
        earlier.kill().expect("it has ended long ago");
        assert!(!later.ends_within(Duration::from_millis(200)), "the wrong process was ended");
        later.kill().expect("ends");
    }
}
