//! Where a run has its data: a directory, or an installation of its own on servers. Nothing is shared with
//! another run, and nothing is taken away afterwards.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use embedded::SystemClock;
use ports::Clock as _;
use tokio::process::Command;

use crate::cli::Place;
use crate::config::Config;

/// The ground of one run.
#[derive(Debug, Clone)]
pub enum Ground {
    /// The embedded default.
    Directory(PathBuf),
    /// Servers: this configuration, under names of its own.
    Servers {
        /// The configuration file.
        config: PathBuf,
        /// Begins the names of everything that the run makes.
        name: String,
    },
}

/// The settings that give a run names of its own, as environment and configuration call them.
struct Names {
    prefix: String,
    raw_bucket: String,
    normalized_bucket: String,
    invoices_bucket: String,
}

impl Names {
    fn of(name: &str) -> Self {
        Self {
            prefix: format!("{name}."),
            raw_bucket: format!("{name}-raw"),
            normalized_bucket: format!("{name}-normalized"),
            invoices_bucket: format!("{name}-invoices"),
        }
    }
}

impl Ground {
    /// New ground: on the servers of a configuration, or below a directory.
    pub async fn new(config: Option<&Path>, base: &Path, run: &str) -> anyhow::Result<Self> {
        match config {
            Some(config) => Self::on_servers(config, run).await,
            None => Ok(Self::Directory(base.join(run))),
        }
    }

    /// New ground on servers.
    pub async fn on_servers(config: &Path, run: &str) -> anyhow::Result<Self> {
        let name = format!("bench-{:x}-{run}", SystemClock.now().as_nanos());
        let ground = Self::Servers { config: config.to_owned(), name };
        for apply in [["topics", "apply"], ["tables", "apply"], ["schemas", "register"]] {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(apply).stdin(Stdio::null());
            let ran = ground.told(&mut command).output().await.context("cannot start dvss")?;
            let said = String::from_utf8_lossy(&ran.stderr);
            ensure!(ran.status.success(), "dvss {}: {said}", apply.join(" "));
        }
        Ok(ground)
    }

    /// A dvss command that works on this ground.
    pub fn told<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Self::Directory(data) => command.arg("--data").arg(data),
            Self::Servers { config, name } => {
                let names = Names::of(name);
                command
                    .arg("--config")
                    .arg(config)
                    .env("DVSS_SERVERS__PREFIX", &names.prefix)
                    .env("DVSS_SERVERS__AWS__DYNAMODB__TABLE_PREFIX", names.prefix)
                    .env("DVSS_SERVERS__AWS__S3__RAW_BUCKET", names.raw_bucket)
                    .env("DVSS_SERVERS__AWS__S3__NORMALIZED_BUCKET", names.normalized_bucket)
                    .env("DVSS_SERVERS__AWS__S3__INVOICES_BUCKET", names.invoices_bucket)
            }
        }
    }

    /// The configuration of a process on this ground.
    pub fn config(&self) -> anyhow::Result<Config> {
        let (config, name) = match self {
            Self::Directory(data) => {
                return Config::load(&Place { data: Some(data.clone()), ..Place::default() });
            }
            Self::Servers { config, name } => (config, name),
        };
        let mut config = Config::load(&Place { config: Some(config.clone()), ..Place::default() })?;
        let servers = config.servers.as_mut().context(
            "the configuration names no servers: give --config FILE with a `servers` section (config-invalid)",
        )?;
        let names = Names::of(name);
        servers.aws.dynamodb.table_prefix.clone_from(&names.prefix);
        servers.prefix = names.prefix;
        servers.aws.s3.raw_bucket = names.raw_bucket;
        servers.aws.s3.normalized_bucket = names.normalized_bucket;
        servers.aws.s3.invoices_bucket = names.invoices_bucket;
        Ok(config)
    }
}
