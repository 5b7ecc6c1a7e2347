//! Configuration: one YAML file, `DVSS_…` environment over it, flags over both; unknown keys refused.
//!
//! `DVSS_GATEWAY__MAX_BODY_BYTES=1000` sets `gateway.maxBodyBytes`: two underscores go one level
//! down, one joins words. Each component owns its options; this file only puts them together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backend::ServersOptions;
use crate::cli::Place;

/// Environment names that are flags' own, or the tests', not keys of the file.
const RESERVED: [&str; 9] = [
    "DVSS_SERVER",
    "DVSS_CONFIG",
    "DVSS_DATA",
    "DVSS_LISTEN",
    "DVSS_OPERATOR_LISTEN",
    "DVSS_LOG",
    "DVSS_TEST_STACK",
    "DVSS_CORPUS",
    "DVSS_CLOCK_OFF",
];
/// Prefix of names that tests use to break a process on purpose.
const RESERVED_PREFIX: &str = "DVSS_FAILPOINT";

/// Counts and times without which nothing would go on; the loop checks its own.
const NEVER_ZERO: [&str; 42] = [
    "gateway.maxBodyBytes",
    "gateway.maxBatchBytes",
    "gateway.maxBatchItems",
    "gateway.batchConcurrency",
    "gateway.maxInFlight",
    "gateway.maxInFlightPerVendor",
    "gateway.maxConnections",
    "gateway.maxHeaderBytes",
    "gateway.headerTimeout",
    "gateway.bodyTimeout",
    "gateway.idleTimeout",
    "gateway.storeTimeout",
    "gateway.appendTimeout",
    "gateway.batchTimeout",
    "gateway.inboundLook",
    "normalize.maxMappings",
    "normalize.maxFactBytes",
    "outbox.maxUncopied",
    "outbox.alarmAge",
    "outbox.copyConcurrency",
    "outbox.copyInterval",
    "outbox.settleTimeout",
    "outbox.sweepInterval",
    "outbox.sweepMost",
    "quarantine.budget",
    "invoices.maxDocumentBytes",
    "invoices.uploadExpires",
    "invoices.lease",
    "invoices.attempts",
    "invoices.retryAfter",
    "invoices.sweepInterval",
    "invoices.catalogue",
    "parser.wall",
    "store.cacheBytes",
    "store.maxBytes",
    "servers.partitions",
    "servers.kafka.sessionTimeout",
    "servers.kafka.requestTimeout",
    "servers.kafka.appendTimeout",
    "servers.kafka.maxRecordBytes",
    "servers.kafka.statisticsInterval",
    "servers.registry.timeout",
];

/// What a record of the log has beside the event's bytes: headers and key, at their worst.
const RECORD_OVERHEAD: usize = 16 * 1_024;

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
    /// The stages that run in `dvss up`: all of them, unless a part of the work is measured or
    /// taken over by hand.
    pub stages: Vec<Role>,
    /// This process' name among those of its groups: the same after a restart, and no other running
    /// process has it. Default: the machine's name.
    pub member: Option<String>,
    /// Kafka, S3, DynamoDB and a schema registry. Default: none, and everything is in `data`.
    pub servers: Option<ServersOptions>,
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
    /// Supplier invoices.
    pub invoices: invoices::Options,
    /// Files of templates for invoices whose layout the general reader does not get.
    pub templates: Vec<PathBuf>,
    /// What the child process may use that reads documents.
    pub parser: sandbox::Limits,
    /// Quarantine budgets.
    pub quarantine: stores::quarantine::Options,
    /// The embedded store.
    pub store: embedded::Options,
}

/// A stage, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
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
    /// Reads invoices, and books them.
    Invoices,
}

impl Role {
    /// Every stage, upstream first.
    pub const ALL: [Self; 5] = [Self::Dedup, Self::Normalize, Self::Divergence, Self::Outbox, Self::Invoices];

    /// The name, as failpoints carry it too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Normalize => "normalize",
            Self::Divergence => "divergence",
            Self::Outbox => "outbox",
            Self::Invoices => "invoices",
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
            member: None,
            servers: None,
            gateway: Default::default(),
            runtime: Default::default(),
            dedup: Default::default(),
            normalize: Default::default(),
            divergence: Default::default(),
            outbox: Default::default(),
            invoices: Default::default(),
            templates: Vec::new(),
            parser: Default::default(),
            quarantine: Default::default(),
            store: Default::default(),
        }
    }
}

impl Config {
    /// Reads the file and the environment, puts the flags over them, and checks what came of it.
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
                let tree: Option<Value> = serde_saphyr::from_str(&text)
                    .with_context(|| format!("{} is not the YAML of a configuration", file.display()))?;
                tree.unwrap_or(Value::Null)
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
        Self::from_tree(tree).context("the configuration (config-invalid) has a mistake")
    }

    fn from_tree(mut tree: Value) -> anyhow::Result<Self> {
        fit("", &mut tree, &serde_json::to_value(Self::default())?)?;
        let config: Self = match serde_path_to_error::deserialize(&tree) {
            Ok(config) => config,
            Err(error) => bail!("{}: {}", error.path(), error.inner()),
        };
        let read = serde_json::to_value(&config)?;
        // Once more, for what the defaults do not have: the members of lists.
        fit("", &mut tree, &read)?;
        config.check(&read)?;
        Ok(config)
    }

    /// Bounds, and values that contradict one another. `tree` is the same as JSON.
    fn check(&self, tree: &Value) -> anyhow::Result<()> {
        for key in NEVER_ZERO {
            let value = key.split('.').try_fold(tree, |value, name| value.get(name));
            ensure!(!value.is_some_and(is_zero), "{key}: must not be 0");
        }
        let twice = self.stages.iter().enumerate().find(|(index, role)| self.stages[..*index].contains(role));
        if let Some((_, role)) = twice {
            bail!("stages: {} is named twice", role.as_str());
        }
        let record = self.servers.as_ref().map(|servers| servers.kafka.max_record_bytes);
        let most = record.unwrap_or(self.store.log.max_record_bytes).saturating_sub(RECORD_OVERHEAD);
        ensure!(
            self.gateway.max_body_bytes <= most,
            "gateway.maxBodyBytes: at most {most}, which is what a record of the log holds"
        );
        if let Some(servers) = &self.servers {
            if let Some(mistake) = servers.aws.mistake() {
                bail!("servers.aws: {mistake}");
            }
            ensure!(
                servers.aws.call_timeout < self.runtime.call_timeout,
                "servers.aws.callTimeout: must be shorter than runtime.callTimeout, so that the reason is told"
            );
        }
        if let Err(fatal) = self.runtime.validate("runtime") {
            bail!("runtime: {}", fatal.message);
        }
        ensure!(
            self.dedup.winner_patience < self.runtime.deadline,
            "dedup.winnerPatience: must be shorter than runtime.deadline"
        );
        Ok(self.divergence.check()?)
    }
}

/// Refuses a list where keys are meant, which serde would read as the keys' values in their order, and
/// takes an empty section for its defaults. `meant` is a configuration with these keys.
fn fit(path: &str, given: &mut Value, meant: &Value) -> anyhow::Result<()> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (given, meant) {
        (given @ Value::Null, Value::Object(_)) => *given = Value::Object(serde_json::Map::new()),
        (Value::Array(_), Value::Object(_)) => {
            let place = if path.is_empty() { "the file" } else { path };
            bail!("{place}: a list stands where keys should");
        }
        (Value::Object(given), Value::Object(meant)) => {
            for (key, value) in given {
                fit(&below(key), value, meant.get(key).unwrap_or(&Value::Null))?;
            }
        }
        (Value::Array(given), Value::Array(meant)) => {
            for (index, (value, meant)) in given.iter_mut().zip(meant).enumerate() {
                fit(&below(&index.to_string()), value, meant)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether it is the number 0 or the duration 0, in whatever unit.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => runtime::duration::parse(text).is_some_and(|time| time.is_zero()),
        _ => false,
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
    fn what_says_nothing_means_the_defaults() {
        let defaults = serde_json::to_value(Config::default()).expect("JSON");
        for file in ["", "\n", "# nothing yet\n", "---\n", "{}", "gateway:\nruntime:\n  backoff: # later\n"] {
            let config = load(file, &[]).unwrap_or_else(|error| panic!("{file:?}: {error:#}"));
            assert_eq!(serde_json::to_value(config).expect("JSON"), defaults, "{file:?}");
        }
        let config = load("gateway:\n", &[("DVSS_GATEWAY__MAX_BATCH_ITEMS", "7")]).expect("good");
        assert_eq!(config.gateway.max_batch_items, 7);
    }

    #[test]
    fn what_is_wrong_names_its_key() {
        let shared = |members: &str| format!("divergence: {{sharedWarehouses: [{members}]}}");
        for (file, named) in [
            ("[127.0.0.1:1]", "the file: a list"),
            ("gateway: [1000, 2000]", "gateway: a list"),
            ("gateway: {defaultRate: [5, 5]}", "gateway.defaultRate: a list"),
            ("runtime: {backoff: [1s, 2s]}", "runtime.backoff: a list"),
            (&*shared("[Hamburg, [[acme, a], [globex, b]], 0]"), "divergence.sharedWarehouses.0: a list"),
            (
                &*shared("{name: Hamburg, members: [[acme, a], {vendorId: globex}]}"),
                "divergence.sharedWarehouses.0.members.0: a list",
            ),
            ("gateway: {maxBodyBytes: many}", "gateway.maxBodyBytes: invalid type"),
            ("gateway: {bodyTimeout: 5}", "gateway.bodyTimeout: invalid type"),
            ("gateway: {bodyTimeout: 5 s}", "gateway.bodyTimeout: `5 s` is not a duration"),
            (
                "gateway: {defaultRate: {eventsPerSecond: 0, burst: 1}}",
                "gateway.defaultRate.eventsPerSecond:",
            ),
            ("listen: here", "listen: "),
            ("stages: [dedup, outbox, dedup]", "stages: dedup is named twice"),
            ("stages: [dedupe]", "stages[0]: unknown variant `dedupe`"),
            ("gateway: {maxBodyBytes: 0}", "gateway.maxBodyBytes: must not be 0"),
            ("gateway: {bodyTimeout: 0s}", "gateway.bodyTimeout: must not be 0"),
            ("gateway: {maxBodyBytes: 2000000}", "gateway.maxBodyBytes: at most"),
            ("outbox: {copyConcurrency: 0}", "outbox.copyConcurrency: must not be 0"),
            ("store: {maxBytes: 0}", "store.maxBytes: must not be 0"),
            ("servers: []", "servers: a list"),
            ("servers: {partitions: 0}", "servers.partitions: must not be 0"),
            ("servers: {kafka: {sessionTimeout: 0s}}", "servers.kafka.sessionTimeout: must not be 0"),
            ("servers: {kafka: {maxRecordBytes: 100000}}", "gateway.maxBodyBytes: at most 83616"),
            ("servers: {aws: {region: ''}}", "servers.aws: region must not be empty"),
            ("servers: {aws: {callTimeout: 2s}}", "servers.aws.callTimeout: must be shorter"),
            ("runtime: {deadline: 1h}", "runtime: deadline must be shorter than transactionTimeout"),
            ("runtime: {maxRecords: 0}", "runtime: maxRecords must not be 0"),
            ("dedup: {winnerPatience: 5s}", "dedup.winnerPatience: must be shorter"),
            ("divergence: {page: 0}", "divergence.page: must be"),
        ] {
            let error = format!("{:#}", load(file, &[]).err().unwrap_or_else(|| panic!("{file} is taken")));
            assert!(error.contains(named) && error.contains("config-invalid"), "{file}: {error}");
        }
        let error = load("", &[("DVSS_GATEWAY__MAX_BODY_BYTES", "lots")]).expect_err("no number");
        assert!(format!("{error:#}").contains("gateway.maxBodyBytes: "), "{error:#}");
    }

    #[test]
    fn every_key_that_must_not_be_zero_exists() {
        let config = Config { servers: Some(ServersOptions::default()), ..Config::default() };
        let tree = serde_json::to_value(config).expect("JSON");
        for key in NEVER_ZERO {
            assert!(tree.pointer(&format!("/{}", key.replace('.', "/"))).is_some(), "{key}");
        }
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
        leaves("servers", &serde_json::to_value(ServersOptions::default()).expect("JSON"), &mut keys);
        for (path, default) in keys {
            let row = format!("| `{path}` | `{default}` |");
            assert!(manual.contains(&row), "docs/configuration.md has no row {row}");
        }
    }
}
