//! Gets the servers' programs, in pinned versions, checked by the package managers that carry them.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, bail};

use super::data;
use super::layout::Layout;
use super::prerequisites::{self, GO, JDK, MAVEN};
use super::server::{Double, Server};
use crate::effects;

/// Makes sure that the programs of all servers lie in the layout's directory.
pub fn provision(layout: &Layout) -> anyhow::Result<()> {
    // A directory is there only if it is complete.
    let missing: Vec<Server> =
        Server::ALL.into_iter().filter(|server| !layout.server(*server).is_dir()).collect();
    // Every JVM needs this; the rest is for getting programs only.
    prerequisites::require(&[JDK])?;
    let needs_maven =
        |server: &Server| pom(*server, layout.double()).is_some() || *server == Server::Registry;
    let (by_maven, others): (Vec<Server>, Vec<Server>) = missing.into_iter().partition(needs_maven);
    if others.contains(&Server::S3) {
        prerequisites::require(&[GO])?;
    }
    if !by_maven.is_empty() {
        prerequisites::require(&[MAVEN])?;
    }
    // Maven does not share its local repository with itself; the others have nothing to do with it.
    let get_all = |servers: &[Server]| servers.iter().try_for_each(|server| get(layout, *server));
    thread::scope(|scope| {
        let beside = scope.spawn(|| get_all(&others));
        let maven = get_all(&by_maven);
        let beside = beside.join().unwrap_or_else(|_| bail!("getting {others:?} panicked"));
        maven.and(beside)
    })
}

/// Names a server's version and all else that decides what its directory holds, so that a change of that is a
/// directory of its own, and what runs keeps the one that it was started from.
pub fn directory_name(server: Server, double: Double) -> String {
    let mut hasher = DefaultHasher::new();
    recipe(server, double).hash(&mut hasher);
    format!("{}-{}-{:016x}", server.name(), server.version_of(double), hasher.finish())
}

fn recipe(server: Server, double: Double) -> String {
    let commands: Vec<String> =
        commands(server, double, Path::new("")).iter().map(|command| format!("{command:?}")).collect();
    format!("{}\n{}", commands.join("\n"), pom(server, double).unwrap_or_default())
}

/// The POM whose dependencies are a server's programs.
fn pom(server: Server, double: Double) -> Option<String> {
    let template = match server {
        Server::Dynamodb if double == Double::Dynoxide => return None,
        Server::Kafka => include_str!("../../stack/kafka.pom.xml"),
        Server::Dynamodb => include_str!("../../stack/dynamodb.pom.xml"),
        Server::S3 | Server::Registry => return None,
    };
    Some(template.replace("@version@", server.version()))
}

fn commands(server: Server, double: Double, home: &Path) -> Vec<Command> {
    match server {
        Server::Dynamodb if double == Double::Dynoxide => {
            let mut install = Command::new("cargo");
            install.args(["install", "dynoxide-rs", "--locked", "--no-default-features"]);
            install.args(["--features", "native-sqlite,http-server,cli"]);
            install.arg("--version").arg(format!("={}", server.version_of(double)));
            install.arg("--root").arg(home);
            vec![install]
        }
        Server::Kafka | Server::Dynamodb => {
            let mut copy = maven("3.8.1:copy-dependencies", home);
            copy.arg("--file").arg(home.join("pom.xml")).arg("-DincludeScope=runtime");
            vec![copy]
        }
        Server::Registry => {
            // Its POM names a parent that was never published. Version 2 of the plugin is the last one that
            // takes an archive without asking for the POM.
            let mut unpack = maven("2.10:unpack", home);
            unpack
                .arg(format!("-Dartifact=io.apicurio:apicurio-registry-app:{}:tar.gz:all", server.version()));
            vec![unpack]
        }
        Server::S3 => {
            let mut install = Command::new("go");
            install.args(["install", "-trimpath"]);
            install.arg(format!("github.com/versity/versitygw/cmd/versitygw@{}", server.version()));
            install.env("GOBIN", home);
            // Whatever the person has set for their own modules, these are checked.
            for variable in ["GOFLAGS", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE"] {
                install.env_remove(variable);
            }
            vec![install]
        }
    }
}

/// Maven's dependency plugin, strict about checksums, filling `libs`.
fn maven(goal: &str, home: &Path) -> Command {
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--quiet", "--no-transfer-progress", "--strict-checksums"]);
    command.arg(format!("org.apache.maven.plugins:maven-dependency-plugin:{goal}"));
    command.arg(format!("-DoutputDirectory={}", home.join("libs").display()));
    command
}

/// Fills a directory beside the final one, and moves it there when it is complete.
fn get(layout: &Layout, server: Server) -> anyhow::Result<()> {
    let home = layout.server(server);
    let partial = layout.servers().join(format!("{}.partial", server.name()));
    let (name, version) = (server.name(), server.version_of(layout.double()));
    eprintln!("xtask: getting {name} {version} into {}", home.display());
    data::remove_if_there(&partial)?;
    fs::create_dir_all(&partial)?;
    if let Some(pom) = pom(server, layout.double()) {
        fs::write(partial.join("pom.xml"), pom)?;
    }
    for mut command in commands(server, layout.double(), &partial) {
        // What they tell is no part of what a chore prints as its result.
        command.current_dir(&partial).stdin(Stdio::null()).stdout(std::io::stderr());
        let status = effects::run(&mut command)?;
        if !status.success() {
            bail!("cannot get {name} {version}, {status}: {command:?}");
        }
    }
    fs::rename(&partial, &home).with_context(|| format!("cannot move {} into place", partial.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_names_the_version_and_no_path() {
        for double in [Double::Local, Double::Dynoxide] {
            for server in Server::ALL {
                let recipe = recipe(server, double);
                assert!(recipe.contains(server.version_of(double)), "{recipe}");
                assert!(!recipe.contains("@version@"), "{recipe}");
                assert!(!recipe.contains(env!("CARGO_MANIFEST_DIR")), "{recipe}");
            }
            let kafka = directory_name(Server::Kafka, double);
            assert!(kafka.starts_with("kafka-4."), "{kafka}");
        }
    }
}
