//! What has to be on the machine before a stack can be had.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::effects;

/// A program that is installed by the system's package manager.
#[derive(Clone, Copy)]
pub struct Prerequisite {
    /// In words.
    name: &'static str,
    /// Makes it print its version.
    probe: &'static [&'static str],
    /// The oldest version that will do: major, minor.
    oldest: (u32, u32),
    /// Debian's package.
    package: &'static str,
}

/// Runs the Java servers, and compiles the one file of Java that starts DynamoDB.
pub const JDK: Prerequisite = Prerequisite {
    name: "a JDK",
    probe: &["javac", "-version"],
    oldest: (17, 0),
    package: "default-jdk-headless",
};
/// Gets the Java servers.
pub const MAVEN: Prerequisite =
    Prerequisite { name: "Maven", probe: &["mvn", "--version"], oldest: (3, 6), package: "maven" };
/// Builds the S3 server. From 1.21 on Go gets the newer Go that a module asks for by itself.
pub const GO: Prerequisite =
    Prerequisite { name: "Go", probe: &["go", "version"], oldest: (1, 21), package: "golang-go" };
/// Builds native libraries that our dependencies carry.
pub const CMAKE: Prerequisite =
    Prerequisite { name: "CMake", probe: &["cmake", "--version"], oldest: (3, 10), package: "cmake" };
/// Finds libraries of the system.
pub const PKG_CONFIG: Prerequisite = Prerequisite {
    name: "pkg-config",
    probe: &["pkg-config", "--version"],
    oldest: (0, 29),
    package: "pkg-config",
};
/// The headers that Kafka's client is compiled with.
pub const OPENSSL: Prerequisite = Prerequisite {
    name: "OpenSSL's headers",
    probe: &["pkg-config", "--modversion", "openssl"],
    oldest: (1, 1),
    package: "libssl-dev",
};

/// Shows the console's pages to their tests.
pub const CHROMIUM: Prerequisite = Prerequisite {
    name: "Chromium",
    probe: &["chromium", "--version"],
    oldest: (120, 0),
    package: "chromium",
};
/// Drives it.
pub const CHROMEDRIVER: Prerequisite = Prerequisite {
    name: "ChromeDriver",
    probe: &["chromedriver", "--version"],
    oldest: (120, 0),
    package: "chromium-driver",
};

/// Makes environments of its own, with `pip` in them.
pub const PYTHON: Prerequisite = Prerequisite {
    name: "Python with venv",
    probe: &["python3", "-c", "import ensurepip, platform; print(platform.python_version())"],
    oldest: (3, 10),
    package: "python3-venv",
};

/// Makes sure that all of them are there: installs what is missing where this runs as root on Debian, and names the
/// command where it does not.
pub fn require(wanted: &[Prerequisite]) -> anyhow::Result<()> {
    let missing: Vec<Prerequisite> = wanted.iter().copied().filter(|wanted| !wanted.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|missing| missing.package).collect();
    let names: Vec<String> = missing.iter().map(Prerequisite::describe).collect();
    let (names, packages) = (names.join(", "), packages.join(" "));
    if !can_install() {
        bail!("missing: {names}; on Debian run: sudo apt-get install --no-install-recommends {packages}");
    }
    eprintln!("xtask: installing {packages}");
    for line in [
        "apt-get update --quiet",
        &format!("apt-get install --quiet --yes --no-install-recommends {packages}"),
    ] {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        // What apt-get tells is no part of what this prints as its result.
        command.stdout(std::io::stderr());
        effects::run(&mut command)?;
    }
    let still: Vec<String> =
        missing.iter().filter(|one| !one.is_there()).map(Prerequisite::describe).collect();
    if still.is_empty() {
        return Ok(());
    }
    bail!(
        "still missing after apt-get install {packages}: {}; a newer release of Debian, or its backports, has it",
        still.join(", ")
    )
}

impl Prerequisite {
    fn is_there(&self) -> bool {
        let [program, arguments @ ..] = self.probe else { return false };
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        output.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success() && version(&text).is_some_and(|version| version >= self.oldest)
        })
    }

    fn describe(&self) -> String {
        format!("{} {}.{} or newer", self.name, self.oldest.0, self.oldest.1)
    }
}

/// The first version number in what a program says about itself.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches("go").split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
    })
}

/// Whether apt-get is there and would be obeyed.
fn can_install() -> bool {
    Path::new("/etc/debian_version").exists()
        && rustix::process::geteuid().is_root()
        && fs::exists("/usr/bin/apt-get").unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_programs_print_them() {
        for (text, expected) in [
            ("javac 17.0.15\n", Some((17, 0))),
            ("javac 21\n", Some((21, 0))),
            ("javac 25-ea\n", Some((25, 0))),
            ("Apache Maven 3.8.7\nMaven home: /usr/share/maven\n", Some((3, 8))),
            ("\u{1b}[1mApache Maven 3.9.9 (8e8579a)\u{1b}[m\n", Some((3, 9))),
            ("go version go1.26.8 linux/amd64\n", Some((1, 26))),
            ("cmake version 3.25.1\n", Some((3, 25))),
            ("Chromium 156.0.8078.73 built on Debian\n", Some((156, 0))),
            ("command not found", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let none = Prerequisite { probe: &["no-such-program-anywhere"], ..JDK };
        assert!(!none.is_there());
        assert!(!Prerequisite { probe: &["cargo", "--version"], oldest: (999, 0), ..JDK }.is_there());
        assert!(Prerequisite { probe: &["cargo", "--version"], oldest: (1, 0), ..JDK }.is_there());
    }
}
