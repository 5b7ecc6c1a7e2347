//! What an operator may set about the clients of Kafka and of the schema registry.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// How Kafka is reached. Times are written `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Addresses to ask first, `host:port`, with commas between them.
    pub brokers: String,
    /// TLS and SASL.
    pub security: Security,
    /// Properties of librdkafka, by its names. Those that carry dvss's promises, and those that have a
    /// key of their own here, have no effect: [`crate::KafkaLog::open`] names them in a warning.
    pub properties: Properties,
    /// A member whose process is gone for this long loses its partitions. The broker bounds it
    /// (`group.min.session.timeout.ms`, 6 s).
    #[serde(with = "contract::duration")]
    pub session_timeout: Duration,
    /// Longest wait for an answer where nothing is produced.
    #[serde(with = "contract::duration")]
    pub request_timeout: Duration,
    /// Longest wait for the report of a record that is appended outside of transactions.
    #[serde(with = "contract::duration")]
    pub append_timeout: Duration,
    /// Most bytes of a record: key, value and headers. A topic's `max.message.bytes` must leave room
    /// for the frame of a batch beside it.
    pub max_record_bytes: usize,
    /// How often the clients' statistics become metrics.
    #[serde(with = "contract::duration")]
    pub statistics_interval: Duration,
    /// Longest time between two polls of a member. Not a setting of its own: the binary fills in what
    /// the stages run with.
    #[serde(skip)]
    pub max_poll_interval: Duration,
    /// Longest time that a transaction stays open. Filled in like [`Options::max_poll_interval`].
    #[serde(skip)]
    pub transaction_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            security: Security::default(),
            properties: Properties::default(),
            session_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(5),
            append_timeout: Duration::from_secs(5),
            max_record_bytes: 1_000_000,
            statistics_interval: Duration::from_secs(15),
            max_poll_interval: Duration::from_mins(1),
            transaction_timeout: Duration::from_secs(10),
        }
    }
}

/// How the connection is protected. TLS where `tls` is there, SASL where `sasl` is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Security {
    /// TLS; `{}` trusts the machine's authorities.
    pub tls: Option<Tls>,
    /// SASL.
    pub sasl: Option<Sasl>,
}

/// TLS. Files are PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tls {
    /// Authorities that are trusted.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The key's passphrase.
    pub key_password: Option<Secret>,
}

/// SASL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sasl {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// Who we are.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// The password itself: only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Mechanism {
    /// As librdkafka writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Shown instead of a secret.
const HIDDEN: &str = "…";

/// A text that is shown nowhere: neither in logs nor where options are printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the client that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// librdkafka's properties, by name. Values of those that may hold a secret are not shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl Properties {
    fn shown(&self) -> BTreeMap<&str, &str> {
        let secret = |name: &str| {
            ["password", "secret", "pem", "key", "token", "jaas", "oauthbearer"]
                .iter()
                .any(|word| name.contains(word))
        };
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), if secret(name) { HIDDEN } else { value.as_str() }))
            .collect()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(formatter)
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

/// How the schema registry is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryOptions {
    /// Where Confluent's API begins, without a slash at the end.
    pub url: String,
    /// Who we are, with [`RegistryOptions::password`].
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Longest wait for an answer.
    #[serde(with = "contract::duration")]
    pub timeout: Duration,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8085".to_owned(),
            username: None,
            password: None,
            timeout: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_and_units_are_read() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        let options = read(
            r#"{"brokers":"a:1,b:2","sessionTimeout":"8s","properties":{"linger.ms":"3"},
                "security":{"tls":{"ca":"/ca.pem"},"sasl":{"mechanism":"SCRAM-SHA-512","username":"u","password":"p"}}}"#,
        )
        .expect("options");
        assert_eq!(options.session_timeout, Duration::from_secs(8));
        assert_eq!(options.properties.0["linger.ms"], "3");
        assert_eq!(options.security.sasl.map(|sasl| sasl.mechanism), Some(Mechanism::ScramSha512));
        for wrong in [
            r#"{"broker":"a:1"}"#,
            r#"{"security":{"ssl":{}}}"#,
            r#"{"security":{"sasl":{"mechanism":"GSSAPI","username":"u","password":"p"}}}"#,
            r#"{"maxPollInterval":"1s"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(serde_json::from_str::<RegistryOptions>(r#"{"urls":[]}"#).is_err());
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let secret = || Secret::new("hunter2");
        let mut options = Options::default();
        options.security.tls = Some(Tls { key_password: Some(secret()), ..Tls::default() });
        options.security.sasl =
            Some(Sasl { mechanism: Mechanism::Plain, username: "u".to_owned(), password: secret() });
        for name in ["sasl.password", "ssl.key.pem", "sasl.oauthbearer.client.secret", "ssl.key.password"] {
            options.properties.0.insert(name.to_owned(), "hunter2".to_owned());
        }
        options.properties.0.insert("linger.ms".to_owned(), "3".to_owned());
        let registry = RegistryOptions { password: Some(secret()), ..RegistryOptions::default() };
        let json = serde_json::to_string(&options).expect("json");
        for shown in [format!("{options:?}"), json, format!("{registry:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(format!("{options:?}").contains(r#""linger.ms": "3""#));
    }
}
