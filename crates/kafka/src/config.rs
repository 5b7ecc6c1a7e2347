//! Properties of each client: what is usual, then what the operator set, then what dvss's promises
//! stand on. librdkafka is handed its properties in no order and knows several names for some of them,
//! so names that are ours are left out of the operator's rather than set over.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::options::Options;

/// What a client is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A static member of a group.
    Member {
        /// The group.
        group: String,
        /// The member's name.
        member: String,
    },
    /// A transactional producer.
    Transactions {
        /// Its id.
        id: String,
    },
    /// The producer outside of transactions.
    Append,
    /// Reads committed records without joining a group.
    Reader,
    /// Asks and sets a group's committed offsets without joining it.
    Group {
        /// The group.
        group: String,
    },
    /// Asks for metadata and ends.
    Watch {
        /// Whether the end that it sees is the stable one.
        committed: bool,
    },
    /// Changes topics.
    Admin,
}

/// Group of readers. They never join or commit; a broker with access lists still wants to know it.
pub const READERS: &str = "dvss.readers";

/// Names that are ours in every client, aliases included: nobody sets them from outside.
const OURS: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "allow.auto.create.topics",
    "test.mock.num.brokers",
    "statistics.interval.ms",
    // Groups and reading.
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "max.poll.interval.ms",
    "enable.auto.commit",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "enable.auto.offset.store",
    "offset.store.method",
    "auto.offset.reset",
    "isolation.level",
    "enable.partition.eof",
    // Producing.
    "transactional.id",
    "transaction.timeout.ms",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "acks",
    "request.required.acks",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "delivery.report.only.error",
    "message.max.bytes",
    "partitioner",
    "sticky.partitioning.linger.ms",
];

/// Names that are ours where TLS or SASL have keys of their own.
const SECURITY: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
];

/// The operator's properties that have no effect, because they are ours.
pub fn without_effect(options: &Options) -> Vec<&str> {
    options.properties.0.keys().map(String::as_str).filter(|name| is_ours(options, name)).collect()
}

fn is_ours(options: &Options, name: &str) -> bool {
    let secured = options.security.tls.is_some() || options.security.sasl.is_some();
    OURS.contains(&name) || (secured && SECURITY.contains(&name))
}

/// The properties of a client.
pub fn of(options: &Options, role: &Role) -> ClientConfig {
    let mut config = ClientConfig::new();
    usual(&mut config, role);
    for (name, value) in options.properties.0.iter().filter(|(name, _)| !is_ours(options, name)) {
        config.set(name, value);
    }
    secure(&mut config, options);
    promises(&mut config, options, role);
    config
}

fn all(config: &mut ClientConfig, pairs: &[(&str, &str)]) {
    for (name, value) in pairs {
        config.set(*name, *value);
    }
}

/// What fits most, and may be set otherwise.
fn usual(config: &mut ClientConfig, role: &Role) {
    // A broker that comes back is found within a second.
    all(config, &[("reconnect.backoff.max.ms", "1000"), ("socket.keepalive.enable", "true")]);
    match role {
        // Requests are sent as soon as there is room for them on the way; what comes meanwhile joins
        // the next one. So batches grow by themselves where there is load.
        Role::Transactions { .. } | Role::Append => {
            all(config, &[("linger.ms", "0"), ("queue.buffering.max.kbytes", "131072")]);
        }
        // Members hear of a rebalance by their next heartbeat.
        Role::Member { .. } => {
            let pairs = [
                ("heartbeat.interval.ms", "1000"),
                ("queued.max.messages.kbytes", "32768"),
                ("fetch.wait.max.ms", "100"),
            ];
            all(config, &pairs);
        }
        Role::Reader => all(config, &[("queued.max.messages.kbytes", "16384"), ("fetch.wait.max.ms", "10")]),
        Role::Group { .. } | Role::Watch { .. } | Role::Admin => {}
    }
}

fn secure(config: &mut ClientConfig, options: &Options) {
    let security = &options.security;
    let protocol = match (&security.tls, &security.sasl) {
        (None, None) => return,
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &security.tls {
        let files = [
            ("ssl.ca.location", &tls.ca),
            ("ssl.certificate.location", &tls.certificate),
            ("ssl.key.location", &tls.key),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        if let Some(password) = &tls.key_password {
            config.set("ssl.key.password", password.reveal());
        }
    }
    if let Some(sasl) = &security.sasl {
        let pairs = [
            ("sasl.mechanisms", sasl.mechanism.as_str()),
            ("sasl.username", &sasl.username),
            ("sasl.password", sasl.password.reveal()),
        ];
        all(config, &pairs);
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().max(1).to_string()
}

/// What dvss's promises stand on.
fn promises(config: &mut ClientConfig, options: &Options, role: &Role) {
    all(config, &[("bootstrap.servers", &options.brokers), ("allow.auto.create.topics", "false")]);
    config.set("statistics.interval.ms", options.statistics_interval.as_millis().to_string());
    match role {
        Role::Member { group, member } => {
            reading(config, "read_committed", group);
            all(config, &[("group.instance.id", member), ("client.id", &client_id(group, member))]);
            config.set("session.timeout.ms", millis(options.session_timeout));
            config
                .set("max.poll.interval.ms", millis(options.max_poll_interval.max(options.session_timeout)));
        }
        Role::Reader => {
            reading(config, "read_committed", READERS);
            config.set("enable.partition.eof", "true");
        }
        Role::Group { group } => reading(config, "read_committed", group),
        Role::Watch { committed } => {
            let level = if *committed { "read_committed" } else { "read_uncommitted" };
            config.set("isolation.level", level);
        }
        Role::Admin => {}
        Role::Transactions { id } => {
            producing(config, options, options.transaction_timeout);
            config.set("transactional.id", id);
            config.set("transaction.timeout.ms", millis(options.transaction_timeout));
        }
        Role::Append => producing(config, options, options.append_timeout),
    }
}

/// The name under which a broker lists a member.
pub fn client_id(group: &str, member: &str) -> String {
    format!("{group}.{member}")
}

fn reading(config: &mut ClientConfig, level: &str, group: &str) {
    let pairs = [
        ("group.id", group),
        // Rebalances are served between batches: the newer protocol and the cooperative assignor move
        // partitions while one is worked on.
        ("group.protocol", "classic"),
        ("partition.assignment.strategy", "range"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("isolation.level", level),
        ("enable.partition.eof", "false"),
    ];
    all(config, &pairs);
}

fn producing(config: &mut ClientConfig, options: &Options, timeout: Duration) {
    let pairs = [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("retries", "2147483647"),
        ("max.in.flight.requests.per.connection", "5"),
        ("delivery.report.only.error", "false"),
        // Partitions are chosen by `ports::partition`; should one ever not be, it is the same function.
        ("partitioner", "murmur2"),
    ];
    all(config, &pairs);
    config.set("message.timeout.ms", millis(timeout));
    config.set("message.max.bytes", options.max_record_bytes.max(1_000).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Mechanism, Sasl, Secret, Tls};

    fn roles() -> Vec<Role> {
        let group = "g".to_owned();
        vec![
            Role::Member { group: group.clone(), member: "m".to_owned() },
            Role::Transactions { id: "t".to_owned() },
            Role::Append,
            Role::Reader,
            Role::Group { group },
            Role::Watch { committed: true },
            Role::Watch { committed: false },
            Role::Admin,
        ]
    }

    /// What the client will really run with.
    fn effective(options: &Options, role: &Role, name: &str) -> String {
        let native = of(options, role).create_native_config().expect("librdkafka takes it");
        native.get(name).unwrap_or_default()
    }

    #[test]
    fn what_the_promises_stand_on_cannot_be_set_otherwise() {
        let mut wild = Options::default();
        for (name, value) in [
            ("bootstrap.servers", "elsewhere:1"),
            ("metadata.broker.list", "elsewhere:1"),
            ("allow.auto.create.topics", "true"),
            ("test.mock.num.brokers", "3"),
            ("group.id", "other"),
            ("group.instance.id", "other"),
            ("group.protocol", "consumer"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", "77777"),
            ("max.poll.interval.ms", "77777"),
            ("enable.auto.commit", "true"),
            ("auto.commit.enable", "true"),
            ("enable.auto.offset.store", "true"),
            ("auto.offset.reset", "latest"),
            ("isolation.level", "read_uncommitted"),
            ("enable.partition.eof", "true"),
            ("transactional.id", "other"),
            ("transaction.timeout.ms", "77777"),
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("request.required.acks", "0"),
            ("retries", "0"),
            ("message.send.max.retries", "0"),
            ("max.in.flight", "100"),
            ("max.in.flight.requests.per.connection", "100"),
            ("message.timeout.ms", "77777"),
            ("delivery.timeout.ms", "77777"),
            ("delivery.report.only.error", "true"),
            ("message.max.bytes", "77777"),
            ("partitioner", "random"),
        ] {
            wild.properties.0.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(without_effect(&wild).len(), wild.properties.0.len());
        for role in roles() {
            for name in OURS {
                let (tame, wild) =
                    (effective(&Options::default(), &role, name), effective(&wild, &role, name));
                assert_eq!(tame, wild, "{name} of {role:?}");
            }
        }
    }

    #[test]
    fn every_role_runs_with_what_it_needs() {
        let options = Options::default();
        for role in roles() {
            let get = |name| effective(&options, &role, name);
            assert_eq!(get("bootstrap.servers"), options.brokers);
            assert_eq!(get("allow.auto.create.topics"), "false");
            let group_reader = matches!(role, Role::Member { .. } | Role::Reader | Role::Group { .. });
            if group_reader {
                assert_eq!(get("isolation.level"), "read_committed");
                assert_eq!(get("enable.auto.commit"), "false");
                assert_eq!(get("auto.offset.reset"), "error");
                assert_eq!(get("group.protocol"), "classic");
                assert_eq!(get("partition.assignment.strategy"), "range");
            }
            if let Role::Watch { committed } = role {
                assert_eq!(get("isolation.level") == "read_committed", committed);
            }
            if matches!(role, Role::Append | Role::Transactions { .. }) {
                assert_eq!(get("enable.idempotence"), "true");
                assert_eq!(get("acks"), "-1");
                assert_eq!(get("partitioner"), "murmur2");
            }
            assert_eq!(get("group.instance.id"), if matches!(role, Role::Member { .. }) { "m" } else { "" });
            let id = if matches!(role, Role::Transactions { .. }) { "t" } else { "" };
            assert_eq!(get("transactional.id"), id);
        }
    }

    #[test]
    fn other_properties_are_the_operators() {
        let mut options = Options::default();
        for (name, value) in [("linger.ms", "7"), ("compression.type", "zstd"), ("client.rack", "r")] {
            options.properties.0.insert(name.to_owned(), value.to_owned());
        }
        assert!(without_effect(&options).is_empty());
        assert_eq!(effective(&options, &Role::Append, "queue.buffering.max.ms"), "7");
        assert_eq!(effective(&options, &Role::Append, "compression.codec"), "zstd");
        assert_eq!(effective(&options, &Role::Reader, "client.rack"), "r");
    }

    #[test]
    fn security_has_keys_of_its_own() {
        let mut options = Options::default();
        options.properties.0.insert("sasl.mechanism".to_owned(), "PLAIN".to_owned());
        options.properties.0.insert("security.protocol".to_owned(), "plaintext".to_owned());
        options.security.tls = Some(Tls { ca: Some("/ca.pem".into()), ..Tls::default() });
        options.security.sasl = Some(Sasl {
            mechanism: Mechanism::ScramSha512,
            username: "u".to_owned(),
            password: Secret::new("p"),
        });
        let config = of(&options, &Role::Append);
        for (name, value) in [
            ("security.protocol", Some("sasl_ssl")),
            ("sasl.mechanisms", Some("SCRAM-SHA-512")),
            ("sasl.mechanism", None),
            ("sasl.username", Some("u")),
            ("sasl.password", Some("p")),
            ("ssl.ca.location", Some("/ca.pem")),
        ] {
            assert_eq!(config.get(name), value, "{name}");
        }
        assert!(!format!("{config:?}").contains("\"p\""), "{config:?}");
    }
}
