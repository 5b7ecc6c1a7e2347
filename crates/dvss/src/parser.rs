//! Reading documents in a child process: this very program once more, as `dvss parse-sandboxed`.
//!
//! The child gets the document on stdin and the task as an argument, and answers in JSON (or with a picture) on
//! stdout. What it may do, and what holds it, is the sandbox's affair.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use contract::Code;
use invoices::job::{File, Reason};
use invoicing::{Parsed, Parser};
use operator::problem::Problem;
use readers::invoice::Invoice;
use readers::pdf::Template;
use readers::{Hints, Reading, Unreadable};
use sandbox::{Cause, Ended, Input, Limits, Run};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cli::ParseSandboxed;

/// The command by which the child is started.
pub const COMMAND: &str = "parse-sandboxed";
/// The argument in front of the task.
const TASK: &str = "--task";

/// What the standard library says where a buffer cannot grow.
const OUT_OF_MEMORY: &str = "out of memory";
/// Longest wait for the child that tries what is forbidden.
const PROBE: Duration = Duration::from_secs(30);

/// Most pages that are drawn at the same time, and how long one waits for its turn.
const MOST_DRAWING: usize = 2;
const DRAWING_WAIT: Duration = Duration::from_secs(10);
/// Most bytes of all templates: they go to the child as an argument, and Linux bounds each at 128 KiB.
const MAX_TEMPLATES: usize = 64 << 10;

/// What the child is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields, tag = "do")]
pub enum Task {
    /// Read the document.
    Read {
        /// Its name.
        file_name: Option<String>,
        /// Its media type.
        content_type: Option<String>,
        /// Templates of layouts, as YAML.
        templates: Vec<String>,
    },
    /// Draw a page of a PDF.
    Draw {
        /// The page, from 1.
        page: u32,
        /// Pixels across.
        width: u32,
    },
}

/// What the child answers to [`Task::Read`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Read(Reading),
    Refused(Unreadable),
}

/// The child's `main`. Nothing was started before it: no runtime, no thread.
pub fn child(arguments: &ParseSandboxed) -> ExitCode {
    let limits = match Limits::from_argument(&arguments.limits) {
        Ok(limits) => limits,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(sandbox::exit::UNCONFINED);
        }
    };
    let task = arguments.task.clone();
    sandbox::serve(&limits, arguments.probe, move |document| work(task.as_deref(), &document))
}

fn work(task: Option<&str>, document: &[u8]) -> Result<Vec<u8>, String> {
    let task: Task =
        serde_json::from_str(task.unwrap_or_default()).map_err(|error| format!("the task: {error}"))?;
    match task {
        Task::Read { file_name, content_type, templates } => {
            let templates =
                templates.iter().map(|text| Template::parse(text).map_err(|error| error.to_string()));
            let templates = templates.collect::<Result<Vec<_>, _>>()?;
            let answer = match readers::read_with(document, &Hints { file_name, content_type }, &templates) {
                Ok(reading) => Answer::Read(reading),
                Err(refused) => Answer::Refused(refused),
            };
            serde_json::to_vec(&answer).map_err(|error| error.to_string())
        }
        Task::Draw { page, width } => {
            readers::pdf::render(document, page, width).map_err(|refused| refused.to_string())
        }
    }
}

fn template(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the template {}", file.display()))?;
    Template::parse(&text).with_context(|| format!("{} (config-invalid)", file.display()))?;
    Ok(text)
}

/// Starts a child for each document.
pub struct Sandboxed {
    program: PathBuf,
    limits: Limits,
    templates: Vec<String>,
    /// Pages that are drawn at the same time.
    drawing: Semaphore,
}

/// How one run ended, and what it took.
pub struct Outcome {
    /// What the document holds, or why there is nothing.
    pub parsed: Parsed,
    /// What the child took.
    pub run: Option<Run>,
}

impl Sandboxed {
    /// On this program, with templates from files. Nothing is started yet.
    pub fn new(limits: Limits, templates: &[PathBuf]) -> anyhow::Result<Self> {
        limits.check()?;
        let templates: Vec<String> = templates.iter().map(|file| template(file)).collect::<Result<_, _>>()?;
        let bytes: usize = templates.iter().map(String::len).sum();
        ensure!(bytes <= MAX_TEMPLATES, "templates: {bytes} bytes, at most {MAX_TEMPLATES} (config-invalid)");
        // Not the path of the file, which an upgrade may have replaced by now: what runs is what was started.
        let program = if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe()?
        };
        Ok(Self { program, limits, templates, drawing: Semaphore::new(MOST_DRAWING) })
    }

    /// Says what holds a child on this machine, and refuses to go on without the minimum.
    pub async fn check(&self) -> anyhow::Result<()> {
        // What holds a child does not depend on its bounds, and a busy machine is no reason not to start.
        let limits = Limits { wall: PROBE, ..Limits::default() };
        let report = sandbox::probe(&self.program, [COMMAND], &limits).await;
        let report = report.context("the parser's sandbox cannot be tried out")?;
        tracing::info!("documents are read apart: {report}");
        ensure!(
            report.meets_minimum(),
            "documents cannot be read apart on this machine: {report}; run the invoices stage where the kernel has \
             seccomp or Landlock (config-invalid)"
        );
        Ok(())
    }

    /// Reads a document.
    pub async fn read(
        &self,
        file_name: Option<String>,
        content_type: Option<String>,
        bytes: Bytes,
    ) -> Outcome {
        let templates = self.templates.clone();
        let run = match self.run(&Task::Read { file_name, content_type, templates }, bytes).await {
            Ok(run) => run,
            Err(error @ sandbox::Error::TooLong { .. }) => {
                let reason = Reason { code: "too-large".to_owned(), message: error.to_string() };
                return Outcome { parsed: Parsed::Refused(reason), run: None };
            }
            Err(error) => return Outcome { parsed: Parsed::Unavailable(error.to_string()), run: None },
        };
        Outcome { parsed: parsed(&run.ended), run: Some(run) }
    }

    /// Draws a page of a PDF.
    pub async fn draw(&self, bytes: Bytes, page: u32, width: u32) -> Result<Bytes, Problem> {
        let busy = || Problem::new(Code::Unavailable, "other pages are being drawn; try again");
        let room = timeout(DRAWING_WAIT, self.drawing.acquire()).await;
        let Ok(Ok(_room)) = room else { return Err(busy()) };
        let run = self.run(&Task::Draw { page, width }, bytes).await;
        let run = run.map_err(|error| Problem::new(Code::Unavailable, error.to_string()))?;
        match run.ended {
            Ended::Done(picture) => Ok(picture),
            Ended::Refused { stderr, .. } => {
                Err(Problem::new(Code::InvoiceUnreadable, stderr.trim_end().to_owned()))
            }
            Ended::Killed { cause, .. } => Err(Problem::new(Code::InvoiceUnreadable, killed(cause).message)),
        }
    }

    async fn run(&self, task: &Task, bytes: Bytes) -> Result<Run, sandbox::Error> {
        let task = serde_json::to_string(task).expect("text keys and no floats");
        sandbox::run(&self.program, [COMMAND, TASK, &task], Input::Bytes(bytes), &self.limits).await
    }
}

#[async_trait]
impl Parser for Sandboxed {
    async fn parse(&self, file: &File, bytes: Bytes) -> Parsed {
        self.read(Some(file.name.clone()), Some(file.content_type.clone()), bytes).await.parsed
    }
}

/// What a run comes to. Whatever the child says is a stranger's word: an answer that is none counts as a kill.
fn parsed(ended: &Ended) -> Parsed {
    match ended {
        Ended::Done(answer) => match serde_json::from_slice(answer) {
            Ok(Answer::Read(reading)) if is_sound(&reading) => Parsed::Read(reading),
            Ok(Answer::Refused(refused)) => Parsed::Refused(reason(&refused)),
            Ok(Answer::Read(_)) => Parsed::Killed(failed("the parser's answer is not what a reader says")),
            Err(error) => Parsed::Killed(failed(&format!("the parser's answer is unreadable: {error}"))),
        },
        // Its memory did not even hold the document.
        Ended::Refused { stderr, .. } if stderr.trim_end().ends_with(OUT_OF_MEMORY) => {
            Parsed::Killed(killed(Cause::Memory))
        }
        Ended::Refused { code, stderr } => {
            Parsed::Killed(failed(&format!("the parser ended with code {code}: {}", last_line(stderr))))
        }
        Ended::Killed { cause, .. } => Parsed::Killed(killed(*cause)),
    }
}

/// Whether there is an invoice, and the lines of each are numbered from 1: their numbers become facts' identities.
fn is_sound(reading: &Reading) -> bool {
    let numbered = |invoice: &Invoice| (1..).zip(&invoice.lines).all(|(number, line)| line.line == number);
    !reading.invoices.is_empty() && reading.invoices.iter().all(numbered)
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().last().unwrap_or_default()
}

fn reason(refused: &Unreadable) -> Reason {
    let code = serde_json::to_value(refused.reason).ok().and_then(|code| code.as_str().map(str::to_owned));
    Reason { code: code.unwrap_or_default(), message: refused.message.clone() }
}

fn failed(message: &str) -> Reason {
    Reason { code: "parser-failed".to_owned(), message: message.to_owned() }
}

fn killed(cause: Cause) -> Reason {
    let (code, what) = match cause {
        Cause::TimedOut => {
            ("parser-timed-out", "the document kept the parser busy beyond `parser.wall`".to_owned())
        }
        Cause::Cpu => ("parser-timed-out", "the document used up `parser.cpu`".to_owned()),
        Cause::Memory => (
            "parser-out-of-memory",
            "the document made the parser ask for more than `parser.memoryBytes`".to_owned(),
        ),
        Cause::Stack => ("parser-out-of-memory", "the document made the parser run out of stack".to_owned()),
        Cause::Output => ("parser-output", "the document came to more than `parser.outputBytes`".to_owned()),
        Cause::Signal(signal) => ("parser-killed", format!("the parser was ended by signal {signal}")),
    };
    Reason { code: code.to_owned(), message: what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_says_is_a_strangers_word() {
        let done = |text: &str| parsed(&Ended::Done(Bytes::copy_from_slice(text.as_bytes())));
        for text in ["", "{}", "[]", r#"{"read":{"invoices":[]}}"#, r#"{"read":{}}"#, "\0\0"] {
            assert!(matches!(done(text), Parsed::Killed(_)), "{text}");
        }
        let refused = r#"{"refused":{"reason":"encrypted","message":"it needs a password"}}"#;
        let reason = Reason { code: "encrypted".to_owned(), message: "it needs a password".to_owned() };
        assert_eq!(done(refused), Parsed::Refused(reason));
    }

    /// A child that was taken over may end with any code, so that none of them is a reason to try for ever.
    #[test]
    fn however_a_child_ends_it_counts() {
        for code in [i32::from(sandbox::exit::UNCONFINED), 101, 1] {
            let ended = parsed(&Ended::Refused { code, stderr: "first\nsecond\n".to_owned() });
            assert!(
                matches!(ended, Parsed::Killed(reason) if reason.message.ends_with(&format!("{code}: second")))
            );
        }
        assert!(matches!(
            parsed(&Ended::Killed { cause: Cause::Memory, stderr: String::new() }),
            Parsed::Killed(_)
        ));
    }
}
