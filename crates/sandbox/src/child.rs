//! The child's side, from its confinement to its exit code.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::parent_id;
use std::process::ExitCode;

use crate::confine::{Layers, put_on};
use crate::ended::peak_line;
use crate::trials::trials;
use crate::{Limits, Report, exit};

/// The whole of the child's `main`, behind the reading of its arguments: confines the process, then reads the
/// document from stdin, hands it to `work`, and writes what that makes of it to stdout, or why it refuses to
/// stderr. With `probe` it reads nothing, tries what is forbidden, and writes the [`Report`].
///
/// `main` must not have started a thread or a runtime, nor have read stdin. What it does before may be done
/// twice, see [`confine`](crate::confine).
pub fn serve<F>(limits: &Limits, probe: bool, work: F) -> ExitCode
where
    F: FnOnce(Vec<u8>) -> Result<Vec<u8>, String>,
{
    let parent = parent_id();
    let (confinement, status) = match put_on(limits, Layers::ALL) {
        Ok(confined) => confined,
        Err(error) => return end(exit::UNCONFINED, &error.to_string()),
    };
    if probe {
        let report = Report { confinement, trials: trials(parent) };
        return match serde_json::to_vec(&report) {
            Ok(json) => give(&json),
            Err(error) => end(exit::IO, &error.to_string()),
        };
    }
    if !confinement.meets_minimum() {
        return end(exit::UNCONFINED, &format!("too little holds this process: {confinement}"));
    }
    let code = match take(limits).map(work) {
        Ok(Ok(result)) => give(&result),
        Ok(Err(why)) => end(exit::REFUSED, &why),
        Err(why) => end(exit::IO, &why),
    };
    if let Ok(peak) = status.peak() {
        say(&peak_line(peak));
    }
    code
}

/// Reads the document. The parent has bounded it; this is for a parent that has not.
fn take(limits: &Limits) -> Result<Vec<u8>, String> {
    let mut document = Vec::new();
    let most = limits.document_bytes;
    let read = io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut document);
    read.map_err(|error| format!("stdin: {error}"))?;
    if document.len() as u64 > most {
        return Err(format!("the document has more than {most} bytes"));
    }
    Ok(document)
}

fn give(result: &[u8]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(result).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(exit::IO, &format!("stdout: {error}")),
    }
}

fn end(code: u8, why: &str) -> ExitCode {
    say(&format!("{why}\n"));
    ExitCode::from(code)
}

/// Where stderr is gone, too, the exit code has to do.
fn say(line: &str) {
    drop(io::stderr().write_all(line.as_bytes()));
}
