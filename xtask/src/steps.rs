//! What `cargo xtask test` does, one command a step.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::effects::{self, now};
use crate::soak;
use crate::stack::{self, Guard, Stack};
use crate::tools::{DENY, NEXTEST};

/// The name of the stack that the tests run on: theirs alone, from its start to its end.
const STACK: &str = "test";

/// What the first half of the tests leaves to the second: what has nothing to say without servers.
const WITHOUT_SERVERS: &str = "not (package(kafka) | package(aws))";
/// The second half: whatever speaks to servers where there are some. A page is the same on them.
const ON_SERVERS: &str = "package(kafka) | package(aws) | (package(dvss) - binary(e2e_console))";
/// Set where no browser can be had; the tests that want one say so, and are left out.
const NO_BROWSER: &str = "DVSS_NO_BROWSER";

/// Runs every step in `root`; the first that fails ends it. The tests run twice: on the embedded default, and
/// (where `servers`) on a stack of their own.
pub fn test(root: &Path, servers: bool) -> anyhow::Result<()> {
    effects::catch_interrupts()?;
    let start = now();
    let mut wanted = vec![stack::CMAKE, stack::PKG_CONFIG, stack::OPENSSL];
    #[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
    let no_browser = std::env::var_os(NO_BROWSER).is_some();
    if no_browser {
        eprintln!("xtask test: the console's pages are NOT shown to a browser, as {NO_BROWSER} asks for");
    } else {
        wanted.extend([stack::CHROMIUM, stack::CHROMEDRIVER]);
    }
    stack::require(&wanted)?;
    let deny = DENY.get(root)?;
    // The runner is a convenience, unlike the rules: without it, cargo's own runs the same tests.
    let nextest =
        NEXTEST.get(root).inspect_err(|error| eprintln!("xtask: {error:#}; using `cargo test`")).ok();
    let tests = |filter| tests(nextest.as_deref(), filter);

    let steps = vec![
        Step::new("format", cargo(&["fmt", "--all", "--check"])),
        Step::new(
            "lints",
            cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        ),
        Step::new("dependency rules", {
            let mut command = Command::new(deny);
            command.args(["--log-level", "warn", "--locked", "check", "bans", "licenses", "sources"]);
            command
        }),
        Step::new("documentation tests", cargo(&["test", "--workspace", "--doc", "--quiet", "--locked"])),
        Step::new("tests", tests(WITHOUT_SERVERS)),
    ];
    let count = steps.len() + if servers { 3 } else { 0 };
    for (index, step) in steps.into_iter().enumerate() {
        step.run(index + 1, count, root)?;
    }
    if servers {
        let (stack, addresses) = bring_up(root, count)?;
        let mut tests = tests(ON_SERVERS);
        tests.env(stack::ADDRESSES, addresses);
        Step::new("tests on servers", tests).run(count - 1, count, root)?;
        stack.down()?;
        // It restarts servers, and so has a stack of its own.
        eprintln!("xtask: {count}/{count} a short soak");
        soak::run(root, &soak::Options::default())?;
    } else {
        eprintln!("xtask test: NOT run on Kafka, S3, DynamoDB and a schema registry, as was asked for");
    }
    eprintln!("xtask test: all {count} steps passed in {:.1} s", (now() - start).as_secs_f64());
    Ok(())
}

/// Runs the tests of the whole workspace that the filter names; without the runner, all of them.
fn tests(nextest: Option<&Path>, filter: &str) -> Command {
    let mut command = match nextest {
        Some(nextest) => {
            let mut command = Command::new(nextest);
            command.args(["nextest", "run", "--workspace", "--locked", "--status-level", "slow"]);
            command.args(["--filterset", filter]);
            command
        }
        None => cargo(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast", "--locked"]),
    };
    // Whose tests run on servers is decided here.
    command.env_remove(stack::ADDRESSES).env_remove(soak::STACK_VARIABLE);
    command
}

/// A stack for the tests, and where its addresses are. From here on it is stopped whatever happens, and its
/// logs stay.
fn bring_up(root: &Path, count: usize) -> anyhow::Result<(Guard, PathBuf)> {
    eprintln!("xtask: {}/{count} the stack", count - 2);
    let start = now();
    let stack = Stack::up(root, STACK, stack::Double::default())?;
    let addresses = stack.addresses();
    eprintln!("xtask: {}/{count} took {:.1} s", count - 2, (now() - start).as_secs_f64());
    Ok((Guard::new(stack), addresses))
}

struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    fn new(name: &'static str, command: Command) -> Self {
        Self { name, command }
    }

    fn run(mut self, index: usize, count: usize, root: &Path) -> anyhow::Result<()> {
        eprintln!("xtask: {index}/{count} {}", self.name);
        let start = now();
        let status = effects::run(self.command.current_dir(root))?;
        if !status.success() {
            bail!("xtask test: FAILED in `{}`, {status}: {:?}", self.name, self.command);
        }
        let took = now() - start;
        eprintln!("xtask: {index}/{count} took {:.1} s", took.as_secs_f64());
        Ok(())
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}
