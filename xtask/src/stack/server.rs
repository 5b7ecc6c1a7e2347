//! The four servers: versions, and how each is started and asked whether it is ready.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::layout::Layout;
use super::probe;
use crate::effects::{clean_command, succeeds_within};

/// A server of the stack.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// Apache Kafka, one node that is broker and controller.
    Kafka,
    /// S3, by versitygw on a directory.
    S3,
    /// DynamoDB Local, on SQLite.
    Dynamodb,
    /// Apicurio Registry with Confluent's API, on H2.
    Registry,
}

/// What stands in for DynamoDB.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Double {
    /// AWS's own, DynamoDB Local: what tests go by. It gets slow beyond a million rows.
    #[default]
    Local,
    /// dynoxide, on SQLite too, but several times as fast: for long runs.
    Dynoxide,
}

/// Loopback ports of a stack. They stay the same while it is up, whichever server restarts.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Ports {
    /// Kafka's listener for clients.
    pub kafka: u16,
    /// Kafka's listener for clients over TLS, with a password; 0 in stacks of before.
    #[serde(default)]
    pub kafka_secured: u16,
    /// Kafka's listener for its own controller.
    pub controller: u16,
    /// S3.
    pub s3: u16,
    /// DynamoDB.
    pub dynamodb: u16,
    /// The schema registry.
    pub registry: u16,
}

/// The access key: nothing secret, and nothing but this stack knows it. DynamoDB Local, which checks no
/// secret, refuses keys of anything but letters and digits.
pub const ACCESS_KEY: &str = "dvsstest";
/// Its secret key.
pub const SECRET_KEY: &str = "dvss-test-secret";
/// Who comes over Kafka's secured listener.
pub const KAFKA_USER: &str = "dvss-test";
/// The password, and that of the broker's key. As little of a secret.
pub const KAFKA_PASSWORD: &str = "dvss-test-secret";
/// Who stands in for DynamoDB wants to see a signature, and does not check it.
const UNCHECKED_SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=stack/20260101/us-east-1/dynamodb/aws4_request, \
                                   SignedHeaders=host, Signature=0";
/// Path of the registry's API as Confluent's clients know it.
pub const CONFLUENT_API: &str = "/apis/ccompat/v7";

impl Server {
    /// All of them; the slowest to start comes first.
    pub const ALL: [Self; 4] = [Self::Kafka, Self::Registry, Self::Dynamodb, Self::S3];

    /// As in `stack.json`, in file names and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::S3 => "s3",
            Self::Dynamodb => "dynamodb",
            Self::Registry => "registry",
        }
    }

    /// The version that is used, as its package manager writes it, where this stands in for DynamoDB.
    pub fn version_of(self, double: Double) -> &'static str {
        match (self, double) {
            (Self::Dynamodb, Double::Dynoxide) => "3.2.0",
            _ => self.version(),
        }
    }

    /// The version that is used where nothing else is asked for.
    pub fn version(self) -> &'static str {
        match self {
            Self::Kafka => "4.1.1",
            Self::S3 => "v1.8.0",
            Self::Dynamodb => "3.0.0",
            Self::Registry => "3.0.9",
        }
    }

    /// The command that runs it.
    pub fn command(self, layout: &Layout, ports: &Ports) -> Command {
        let home = layout.server(self);
        let data = layout.data(self);
        let classes = classes(&home);
        match self {
            Self::Kafka => {
                let mut command = java(&["-Xmx384m"], &home);
                command.arg(format!("-Dlog4j2.configurationFile={}", layout.log4j().display()));
                command.args(["-cp", &classes, "kafka.Kafka"]).arg(layout.kafka_properties());
                command
            }
            Self::Dynamodb if layout.double() == Double::Dynoxide => {
                let mut command = clean_command(&home.join("bin/dynoxide"));
                command.args(["serve", "--log", "quiet", "--port", &ports.dynamodb.to_string()]);
                command.arg("--db-path").arg(data.join("dynoxide.db"));
                command
            }
            Self::Dynamodb => {
                let mut command = java(&["-Xmx768m"], &home);
                command.arg(format!("-Djava.library.path={}", home.join("libs").display()));
                command.args(["-cp", &classes]).arg(layout.loopback()).arg("-dbPath").arg(data);
                command.args(["-sharedDb", "-disableTelemetry", "-port", &ports.dynamodb.to_string()]);
                command
            }
            Self::S3 => {
                let mut command = clean_command(&gateway(&home));
                command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", SECRET_KEY);
                command.args(["--quiet", "--keep-alive", "--port", &format!("127.0.0.1:{}", ports.s3)]);
                command.args(["posix", "--versioning-dir"]);
                command.arg(data.join("versions")).arg(data.join("buckets"));
                command
            }
            Self::Registry => {
                // It answers a few hundred requests in its life: start-up is what counts.
                let mut command = java(&["-Xmx256m", "-XX:TieredStopAtLevel=1"], &home);
                command.args(["-jar", &format!("libs/apicurio-registry-app-{}-runner.jar", self.version())]);
                command.env("QUARKUS_HTTP_HOST", "127.0.0.1");
                command.env("QUARKUS_HTTP_PORT", ports.registry.to_string());
                // In a file, written through at once: schemas and their ids survive kill -9.
                let database = data.join("schemas");
                let url = format!("jdbc:h2:file:{};WRITE_DELAY=0", database.display());
                command.env("APICURIO_DATASOURCE_URL", url);
                command
            }
        }
    }

    /// Whether it answers a real request.
    pub fn is_ready(self, layout: &Layout, ports: &Ports) -> bool {
        match self {
            Self::Kafka => probe::lists_topics(ports.kafka),
            // Its own client signs the request, so that nothing here has to.
            Self::S3 => {
                let mut list = clean_command(&gateway(&layout.server(self)));
                list.args(["admin", "--access", ACCESS_KEY, "--secret", SECRET_KEY]);
                list.args(["--endpoint-url", &format!("http://127.0.0.1:{}", ports.s3), "list-buckets"]);
                succeeds_within(list.stdout(Stdio::null()).stderr(Stdio::null()), probe::PATIENCE)
            }
            Self::Dynamodb => {
                let headers = [
                    ("X-Amz-Target", "DynamoDB_20120810.ListTables"),
                    ("Content-Type", "application/x-amz-json-1.0"),
                    ("Authorization", UNCHECKED_SIGNATURE),
                    ("X-Amz-Date", "20260101T000000Z"),
                ];
                probe::answers(ports.dynamodb, "POST", "/", &headers, "{}")
            }
            Self::Registry => {
                probe::answers(ports.registry, "GET", &format!("{CONFLUENT_API}/subjects"), &[], "")
            }
        }
    }
}

/// Writes the broker's first metadata into its data directory.
pub fn format_kafka(layout: &Layout) -> Command {
    let home = layout.server(Server::Kafka);
    let mut command = java(&["-Xmx128m", "-XX:TieredStopAtLevel=1"], &home);
    command.args(["-cp", &classes(&home), "kafka.tools.StorageTool"]);
    // Any id will do: the cluster has one node and one life.
    command.args(["format", "--cluster-id", "ZHZzcy1zdGFjay0wMDAwMA", "--config"]);
    command.arg(layout.kafka_properties()).stdin(Stdio::null());
    command.arg("--add-scram");
    command.arg(format!("SCRAM-SHA-512=[name={KAFKA_USER},password={KAFKA_PASSWORD}]"));
    command
}

/// Makes the broker's key, and the certificate by which clients know it.
pub fn certify_kafka(layout: &Layout) -> [Command; 2] {
    let keytool = |what: &str| {
        let mut command = clean_command(Path::new("keytool"));
        command.args([what, "-alias", "kafka", "-storetype", "PKCS12", "-storepass", KAFKA_PASSWORD]);
        command.arg("-keystore").arg(layout.kafka_key()).stdin(Stdio::null());
        command
    };
    let mut make = keytool("-genkeypair");
    make.args(["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650", "-dname", "CN=dvss-test"]);
    make.args(["-ext", "SAN=IP:127.0.0.1", "-ext", "BC=ca:true"]);
    let mut export = keytool("-exportcert");
    export.args(["-rfc", "-file"]).arg(layout.kafka_certificate());
    [make, export]
}

/// One node for tests: small, quick to answer, and never forgiving what production would not forgive.
pub fn kafka_properties(layout: &Layout, ports: &Ports) -> String {
    let Ports { kafka, kafka_secured, controller, .. } = ports;
    let (data, key) = (layout.data(Server::Kafka), layout.kafka_key());
    let (data, key) = (data.display(), key.display());
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{kafka},SASL_SSL://127.0.0.1:{kafka_secured},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{kafka},SASL_SSL://127.0.0.1:{kafka_secured}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         sasl.enabled.mechanisms=SCRAM-SHA-512\n\
         listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.sasl_ssl.ssl.keystore.type=PKCS12\n\
         listener.name.sasl_ssl.ssl.keystore.location={key}\n\
         listener.name.sasl_ssl.ssl.keystore.password={KAFKA_PASSWORD}\n\
         listener.name.sasl_ssl.ssl.key.password={KAFKA_PASSWORD}\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={data}\n\
         # A missing topic is an error to report, never one to paper over.\n\
         auto.create.topics.enable=false\n\
         # One node: every internal topic has one copy, and few partitions to open.\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=8\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=8\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=1\n\
         # Tests do not wait for members that may yet come, and pause members past short sessions.\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         transaction.abort.timed.out.transaction.cleanup.interval.ms=1000\n\
         # A small heap, few threads.\n\
         log.cleaner.dedupe.buffer.size=16777216\n\
         log.index.size.max.bytes=1048576\n\
         num.network.threads=2\n\
         num.io.threads=4\n"
    )
}

/// The classpath of a server of Java's, and of the tools that come with it.
pub fn classes(home: &Path) -> String {
    format!("{}/*", home.join("libs").display())
}

/// Java with a small heap and the collector that needs the least beside it.
fn java(options: &[&str], home: &Path) -> Command {
    let mut command = clean_command(Path::new("java"));
    command.current_dir(home).args(options).arg("-XX:+UseSerialGC");
    command
}

fn gateway(home: &Path) -> PathBuf {
    home.join("versitygw")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Ports = Ports {
        kafka: 21_001,
        kafka_secured: 21_006,
        controller: 21_002,
        s3: 21_003,
        dynamodb: 21_004,
        registry: 21_005,
    };

    #[test]
    fn the_broker_listens_on_loopback_alone() {
        let layout = Layout::new(Path::new("/root"), "");
        let properties = kafka_properties(&layout, &PORTS);
        let value = |key: &str| {
            properties
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .expect("the key is set")
        };
        for listener in value("listeners").split(',') {
            assert!(listener.contains("://127.0.0.1:2100"), "{listener}");
        }
        assert_eq!(value("controller.quorum.voters"), "1@127.0.0.1:21002");
        assert_eq!(value("log.dirs"), layout.data(Server::Kafka).display().to_string());
        assert_eq!(value("auto.create.topics.enable"), "false");
    }

    #[test]
    fn every_command_names_its_port_or_its_settings() {
        let layout = Layout::new(Path::new("/root"), "");
        for (server, expected) in [
            (Server::Kafka, "data/kafka.properties"),
            (Server::S3, "127.0.0.1:21003"),
            (Server::Dynamodb, "21004"),
            (Server::Registry, "21005"),
        ] {
            let command = server.command(&layout, &PORTS);
            let environment = command.get_envs().filter_map(|(_, value)| value);
            let words: Vec<&str> =
                command.get_args().chain(environment).filter_map(|word| word.to_str()).collect();
            assert!(words.iter().any(|word| word.ends_with(expected)), "{server:?}: {words:?}");
        }
    }
}
