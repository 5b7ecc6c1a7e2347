//! Configuration: one YAML file, `DVSS_…` environment over it, flags over both; unknown keys refused.
//!
//! `DVSS_GATEWAY__MAX_BODY_BYTES=1000` sets `gateway.maxBodyBytes`: two underscores go one level
//! down, one joins words. Each component owns its options; this file only puts them together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Place;

/// Environment names that are flags' own, not keys of the file.
const RESERVED: [&str; 6] =
    ["DVSS_SERVER", "DVSS_CONFIG", "DVSS_DATA", "DVSS_LISTEN", "DVSS_OPERATOR_LISTEN", "DVSS_LOG"];
/// Prefix of names that tests use to break a process on purpose.
const RESERVED_PREFIX: &str = "DVSS_FAILPOINT";

/// Everything a process can be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Data directory.
    pub data: PathBuf,
    /// Address of the vendors' door.
    pub listen: SocketAddr,
    /// Address of the operator API and console.
    pub operator_listen: SocketAddr,
    /// The stages that run in this process: all of them, unless a part of the work is measured or
    /// taken over by hand.
    pub stages: Vec<Role>,
    /// The vendors' door.
    pub gateway: gateway::Options,
    /// The loop of every stage.
    pub runtime: runtime::Options,
    /// Dedup.
    pub dedup: dedup::Options,
    /// Normalize.
    pub normalize: normalize::Options,
    /// Divergence.
    pub divergence: divergence::Options,
    /// Outbox and sweeper.
    pub outbox: outbox::Options,
    /// Quarantine budgets.
    pub quarantine: stores::quarantine::Options,
    /// The embedded store.
    pub store: embedded::Options,
}

/// A stage, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Claims event ids.
    Dedup,
    /// Maps payloads to facts.
    Normalize,
    /// Folds facts into state.
    Divergence,
    /// Publishes.
    Outbox,
}

impl Role {
    /// Every stage, upstream first.
    pub const ALL: [Self; 4] = [Self::Dedup, Self::Normalize, Self::Divergence, Self::Outbox];

    /// The name, as failpoints carry it too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Normalize => "normalize",
            Self::Divergence => "divergence",
            Self::Outbox => "outbox",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("dvss-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            operator_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            stages: Role::ALL.to_vec(),
            gateway: Default::default(),
            runtime: Default::default(),
            dedup: Default::default(),
            normalize: Default::default(),
            divergence: Default::default(),
            outbox: Default::default(),
            quarantine: Default::default(),
            store: Default::default(),
        }
    }
}

impl Config {
    /// Reads the file and the environment, and puts the flags over them.
    #[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
    pub fn load(place: &Place) -> anyhow::Result<Self> {
        let environment = std::env::vars().filter(|(name, _)| name.starts_with("DVSS_"));
        let mut config = Self::from_parts(place.config.as_deref(), environment)?;
        config.data = place.data.clone().unwrap_or(config.data);
        config.listen = place.listen.unwrap_or(config.listen);
        config.operator_listen = place.operator_listen.unwrap_or(config.operator_listen);
        Ok(config)
    }

    fn from_parts(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut tree = match file {
            None => Value::Object(serde_json::Map::new()),
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the configuration file {}", file.display()))?;
                serde_saphyr::from_str(&text)
                    .with_context(|| format!("{} is not the YAML of a configuration", file.display()))?
            }
        };
        for (name, text) in environment {
            if RESERVED.contains(&name.as_str()) || name.starts_with(RESERVED_PREFIX) {
                continue;
            }
            let path: Vec<String> = name["DVSS_".len()..].split("__").map(camel_case).collect();
            let value = serde_saphyr::from_str(&text).unwrap_or(Value::String(text));
            set(&mut tree, &path, value).with_context(|| format!("{name} does not fit the configuration"))?;
        }
        serde_json::from_value(tree).context("the configuration (config-invalid) has a mistake")
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        text + &initial.into_iter().chain(letters).collect::<String>()
    })
}

fn set(tree: &mut Value, path: &[String], value: Value) -> anyhow::Result<()> {
    let Some((key, rest)) = path.split_first() else {
        *tree = value;
        return Ok(());
    };
    if tree.is_null() {
        *tree = Value::Object(serde_json::Map::new());
    }
    let members = tree.as_object_mut().context("a value stands where keys should")?;
    set(members.entry(key.clone()).or_insert(Value::Null), rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("dvss.yaml");
        std::fs::write(&path, file)?;
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_parts(Some(&path), environment)
    }

    #[test]
    fn environment_lies_over_the_file_and_unknown_keys_are_refused() {
        let config = load("listen: 127.0.0.1:1", &[("DVSS_OPERATOR_LISTEN", "x")]).expect("good");
        assert_eq!(config.listen.port(), 1);
        let error = load("listne: 127.0.0.1:1", &[]).expect_err("a typing error");
        assert!(format!("{error:#}").contains("listne"), "{error:#}");
        let error = load("{}", &[("DVSS_GATEWAY__NO_SUCH_KEY", "1")]).expect_err("a typing error");
        assert!(format!("{error:#}").contains("noSuchKey"), "{error:#}");
    }

    #[test]
    fn the_manual_names_every_key_with_its_default() {
        fn leaves(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
            match value {
                Value::Object(members) => {
                    for (key, value) in members {
                        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                        leaves(&path, value, out);
                    }
                }
                Value::String(text) => out.push((prefix.to_owned(), text.clone())),
                other => out.push((prefix.to_owned(), other.to_string())),
            }
        }
        let manual = include_str!("../../../docs/configuration.md");
        let mut keys = Vec::new();
        leaves("", &serde_json::to_value(Config::default()).expect("JSON"), &mut keys);
        for (path, default) in keys {
            let row = format!("| `{path}` | `{default}` |");
            assert!(manual.contains(&row), "docs/configuration.md has no row {row}");
        }
    }
}
