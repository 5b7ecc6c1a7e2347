//! A Python with a Kafka client, an Avro decoder and a registry client that are not ours, for tests from outside.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::data;
use super::layout::Layout;
use super::prerequisites::{self, PYTHON};
use crate::effects;

/// Every package, its dependencies too, in one version.
const PACKAGES: &str = include_str!("../../stack/python.txt");

/// Makes sure that it is there. Its directory is there only if it is complete.
pub fn provision(layout: &Layout) -> anyhow::Result<()> {
    let home = home(layout);
    if home.join(COMPLETE).exists() {
        return Ok(());
    }
    prerequisites::require(&[PYTHON])?;
    eprintln!("xtask: getting Python's Kafka client into {}", home.display());
    // An environment knows its own path, so it is made where it stays.
    data::remove_if_there(&home)?;
    fs::create_dir_all(&home)?;
    let packages = home.join("python.txt");
    fs::write(&packages, PACKAGES)?;
    for mut command in commands(&home, &packages) {
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        let status = effects::run(&mut command)?;
        if !status.success() {
            bail!("cannot get Python's Kafka client, {status}: {command:?}");
        }
    }
    fs::write(home.join(COMPLETE), "").context("cannot finish Python's Kafka client")
}

/// The file that is written last.
const COMPLETE: &str = "complete";

/// What runs a script with it.
pub fn interpreter(layout: &Layout) -> PathBuf {
    home(layout).join("bin/python")
}

fn home(layout: &Layout) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    PACKAGES.hash(&mut hasher);
    layout.servers().join(format!("python-{:016x}", hasher.finish()))
}

fn commands(home: &Path, packages: &Path) -> [Command; 2] {
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(home);
    let mut install = Command::new(home.join("bin/python"));
    // Nothing is built, and nothing is chosen here: the list names every package.
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--only-binary", ":all:", "--no-deps", "--requirement"]).arg(packages);
    [make, install]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_one_version() {
        let packages = PACKAGES.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for package in packages {
            assert!(package.contains("=="), "{package}");
            count += 1;
        }
        assert!(count > 1);
    }
}
