//! What the tests share.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use sandbox::{Cause, Ended, Error, Input, Limits, Report, Run};

/// This program.
pub fn program() -> PathBuf {
    std::env::current_exe().expect("a program")
}

/// Bounds that no test meets by chance, on a busy machine.
pub fn limits() -> Limits {
    Limits { wall: Duration::from_secs(60), ..Limits::default() }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A child in the mode that `arguments` begin with.
pub async fn start(arguments: &[&str], document: impl Into<Bytes>, limits: &Limits) -> Result<Run, Error> {
    let arguments = std::iter::once("child").chain(arguments.iter().copied());
    sandbox::run(&program(), arguments, Input::Bytes(document.into()), limits).await
}

pub fn run(arguments: &[&str], document: impl Into<Bytes>, limits: &Limits) -> Run {
    block_on(start(arguments, document, limits)).expect("a run")
}

pub fn probe() -> Report {
    block_on(sandbox::probe(&program(), ["child", "echo"], &limits())).expect("a report")
}

/// What it wrote, with exit code 0.
pub fn done(run: Run) -> Bytes {
    match run.ended {
        Ended::Done(stdout) => stdout,
        other => panic!("it did not end well: {other:?}"),
    }
}

pub fn text(run: Run) -> String {
    String::from_utf8(done(run).into()).expect("UTF-8")
}

pub fn killed(run: &Run) -> Cause {
    match &run.ended {
        Ended::Killed { cause, .. } => *cause,
        Ended::Done(stdout) => panic!("nothing killed it, and it wrote {} bytes", stdout.len()),
        other => panic!("nothing killed it: {other:?}"),
    }
}

/// This process's open descriptors.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("descriptors").count()
}

/// This process's children, dead ones too.
pub fn children() -> Vec<i32> {
    let me = std::process::id().to_string();
    let parent = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything; it ends with the last parenthesis. State and parent follow.
        Some(stat.rsplit_once(')')?.1.split_whitespace().nth(1)? == me)
    };
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(pid).unwrap_or(false)).collect()
}

/// Waits, up to ten seconds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to {what}");
}
