//! Holds Dockerfile, docker-compose.yml and deploy/compose.yaml to what is tested without containers: the
//! same servers in the same versions, the same roles, keys that the manual names. What only a container
//! engine can show (that the images start) is not shown here.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::root;
use crate::stack::Server;

/// Services that are dvss, and how each is started.
const ROLES: [(&str, &[&str]); 7] = [
    ("gateway", &["gateway"]),
    ("dedup", &["processor", "dedup"]),
    ("normalize", &["processor", "normalize"]),
    ("divergence", &["processor", "divergence"]),
    ("outbox", &["processor", "outbox"]),
    ("invoices", &["processor", "invoices"]),
    ("operator", &["operator"]),
];
/// The image of each server.
const IMAGES: [(Server, &str); 4] = [
    (Server::Kafka, "apache/kafka"),
    (Server::S3, "versity/versitygw"),
    (Server::Dynamodb, "amazon/dynamodb-local"),
    (Server::Registry, "apicurio/apicurio-registry"),
];
/// Path of the registry's API as Confluent's clients know it.
const CONFLUENT_API: &str = "/apis/ccompat/v7";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn services() -> Vec<(String, Value)> {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().expect("services");
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

fn service(name: &str) -> Value {
    let found = services().into_iter().find(|(of, _)| of == name);
    found.unwrap_or_else(|| panic!("no service {name}")).1
}

fn strings(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap_or_else(|| panic!("{word} is no text")).to_owned()).collect()
}

/// The default of a key, as the manual's table has it.
fn manual_default(key: &str) -> String {
    let manual = text("docs/configuration.md");
    let start = format!("| `{key}` | `");
    let row = manual.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row {start}"));
    row.split('`').next().unwrap_or_default().to_owned()
}

fn seconds(time: &str) -> u64 {
    let (number, unit) = time.split_at(time.len() - 1);
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("{time} is no time in seconds or minutes"));
    number * if unit == "m" { 60 } else { 1 }
}

/// Whether an image names one version: a tag with a number in it, or a digest.
fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    let tag = name.split_once([':', '@']).map(|(_, tag)| tag).unwrap_or_default();
    tag.contains('.') && tag.chars().any(|letter| letter.is_ascii_digit())
}

#[test]
fn pinned_means_a_version() {
    for (image, pinned) in [
        ("rust:1.95.0-bookworm", true),
        ("docker.example/kafka:4.1.1", true),
        ("kafka", false),
        ("host:5000/kafka", false),
        ("kafka:latest", false),
        ("debian:bookworm-slim", false),
        ("debian:12", false),
    ] {
        assert_eq!(is_pinned(image), pinned, "{image}");
    }
}

#[test]
fn every_image_is_pinned_and_servers_are_those_of_the_stack() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        assert!(is_pinned(image), "{name}: {image}");
    }
    for (server, image) in IMAGES {
        let pinned = format!("{image}:{}", server.version());
        assert_eq!(service(server.name())["image"], pinned, "the version that `cargo xtask stack` runs");
    }
    assert_eq!(services().len(), ROLES.len() + IMAGES.len() + 1, "a service that no test knows");
}

#[test]
fn every_role_has_a_service_that_says_when_it_is_ready() {
    let grace = ["gateway.drainTimeout", "runtime.deadline", "runtime.transactionTimeout"]
        .map(|key| seconds(&manual_default(key)));
    let mut members = BTreeSet::new();
    for (name, command) in ROLES {
        let service = service(name);
        assert_eq!(strings(&service["command"]), command, "{name}");
        assert!(service.get("entrypoint").is_none(), "{name}: the image's own");
        let probe = strings(&service["healthcheck"]["test"]).join(" ");
        assert!(
            probe.contains("/dev/tcp/127.0.0.1/8081") && probe.contains("GET /readyz "),
            "{name}: {probe}"
        );
        assert_eq!(service["depends_on"]["init"]["condition"], "service_completed_successfully", "{name}");
        let stop = seconds(service["stop_grace_period"].as_str().expect("a time"));
        assert!(stop > grace.iter().sum(), "{name}: killed after {stop} s, before it may have drained");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        let member = service["hostname"].as_str().unwrap_or_else(|| panic!("{name}: no name of its own"));
        assert!(members.insert(member.to_owned()), "{member} twice: members of groups must differ");
    }
    let init = service("init");
    let script = strings(&init["command"]).join("\n");
    for step in ["dvss topics apply", "dvss tables apply", "dvss schemas register"] {
        assert!(script.contains(step), "{script}");
    }
    assert_eq!(init["restart"], "no", "it ends");
    for (server, _) in IMAGES {
        let name = server.name();
        assert_eq!(init["depends_on"][name]["condition"], "service_healthy");
        assert!(service(name)["healthcheck"]["test"].is_array(), "{name}");
    }
    for (name, service) in services() {
        assert_eq!(service["init"], true, "{name}");
    }
}

#[test]
fn the_health_check_believes_200_alone() {
    let probe = strings(&service("gateway")["healthcheck"]["test"]);
    let [kind, program, flag, script] = probe.as_slice() else { panic!("{probe:?}") };
    assert_eq!((kind.as_str(), program.as_str(), flag.as_str()), ("CMD", "bash", "-c"));
    let run = |port: u16| {
        // Compose makes one `$` of two.
        let script = script.replace("$$", "$").replace("8081", &port.to_string());
        Command::new("bash").arg("-c").arg(script).output().expect("bash").status.success()
    };
    for (status, healthy) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("readable") == 1 {
                asked.push(byte[0]);
            }
            write!(stream, "HTTP/1.0 {status}\r\ncontent-length: 3\r\n\r\nok\n").expect("written");
            String::from_utf8(asked).expect("text")
        });
        assert_eq!(run(port), healthy, "{status}");
        let asked = server.join().expect("served");
        assert_eq!(asked, "GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        assert!(!run(port), "nobody listens");
    }
}

#[test]
fn nothing_is_published_beyond_loopback() {
    let mut published = Vec::new();
    for (name, service) in services() {
        assert!(service.get("network_mode").is_none(), "{name}: not the host's network");
        for port in strings(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name} publishes {port}");
            published.push(format!("{name} {port}"));
        }
    }
    assert_eq!(published, ["gateway 127.0.0.1:8080:8080", "operator 127.0.0.1:8081:8081"]);
}

#[test]
fn volumes_are_named_or_the_one_file() {
    let compose = yaml("docker-compose.yml");
    let named = compose["volumes"].as_object().expect("volumes");
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        for volume in strings(&service["volumes"]) {
            let (from, to) = volume.split_once(':').expect("from and to");
            if from.starts_with('.') {
                assert_eq!((from, to), ("./deploy/compose.yaml", "/etc/dvss.yaml:ro"), "{name}");
                assert_eq!(service["environment"]["DVSS_CONFIG"], "/etc/dvss.yaml", "{name}");
            } else {
                assert!(used.insert(from.to_owned()), "{from} is two services'");
            }
        }
    }
    assert_eq!(used, named.keys().cloned().collect());
}

#[test]
fn the_configuration_has_keys_of_the_manual_alone_and_reaches_the_services() {
    fn leaves(prefix: &str, value: &Value, out: &mut Vec<String>) {
        let Value::Object(members) = value else { return out.push(prefix.to_owned()) };
        for (key, value) in members {
            leaves(&format!("{prefix}{}{key}", if prefix.is_empty() { "" } else { "." }), value, out);
        }
    }
    let (config, manual) = (yaml("deploy/compose.yaml"), text("docs/configuration.md"));
    let mut keys = Vec::new();
    leaves("", &config, &mut keys);
    for key in keys {
        // A row of its own, or one that says which members there are.
        let (above, last) = key.rsplit_once('.').unwrap_or(("", &key));
        let known = manual.lines().any(|line| {
            line.starts_with(&format!("| `{key}` |"))
                || (line.starts_with(&format!("| `{above}` |")) && line.contains(&format!("`{last}`")))
        });
        assert!(known, "docs/configuration.md does not name {key}");
    }
    assert!(config.get("member").is_none(), "one file for all: the hostname tells them apart");
    assert_eq!(config["listen"], "0.0.0.0:8080");
    assert_eq!(config["operatorListen"], "0.0.0.0:8081");

    let servers = &config["servers"];
    assert_eq!(servers["kafka"]["brokers"], "kafka:9092");
    let kafka = service("kafka");
    assert_eq!(kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"], "PLAINTEXT://kafka:9092");
    assert_eq!(kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "false");
    assert_eq!(servers["registry"]["url"], format!("http://registry:8080{CONFLUENT_API}"));
    let probe = strings(&service("registry")["healthcheck"]["test"]).join(" ");
    assert!(probe.contains(&format!("GET {CONFLUENT_API}/subjects ")), "{probe}");
    assert_eq!(servers["aws"]["s3"]["endpoint"], "http://s3:7070");
    assert_eq!(servers["aws"]["dynamodb"]["endpoint"], "http://dynamodb:8000");
    let s3 = service("s3");
    let command = strings(&s3["command"]);
    assert!(command.contains(&":7070".to_owned()) && command.contains(&"--versioning-dir".to_owned()));
    let credentials = &servers["aws"]["credentials"];
    assert_eq!(credentials["accessKey"], s3["environment"]["ROOT_ACCESS_KEY"]);
    assert_eq!(credentials["secretKey"], s3["environment"]["ROOT_SECRET_KEY"]);
    let key = credentials["accessKey"].as_str().expect("a key");
    assert!(key.chars().all(|letter| letter.is_ascii_alphanumeric()), "DynamoDB Local refuses {key}");
}

#[test]
fn the_image_is_built_by_the_pinned_rust_and_runs_as_nobody() {
    let dockerfile = text("Dockerfile");
    let lines = |start: &str| -> Vec<String> {
        dockerfile.lines().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
    };
    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = "));
    let channel = channel.expect("a channel").trim_matches('"');
    let [build, runtime] = &lines("FROM ")[..] else { panic!("two stages") };
    assert_eq!(*build, format!("rust:{channel}-bookworm AS build"));
    assert!(
        runtime.starts_with("debian:12.") && runtime.ends_with("-slim") && is_pinned(runtime),
        "{runtime}"
    );
    assert!(dockerfile.contains("cargo build --release --locked"));
    let (_, runtime) = dockerfile.split_once(&format!("FROM {runtime}")).expect("the second stage");
    assert!(
        runtime.contains("--no-install-recommends ca-certificates libssl3 \\\n"),
        "nothing else is needed"
    );
    let [user] = &lines("USER ")[..] else { panic!("one user") };
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number")).collect();
    assert!(ids.len() == 2 && !ids.contains(&0), "{user}");
    assert_eq!(lines("ENTRYPOINT "), ["[\"dvss\"]"]);
    assert!(lines("HEALTHCHECK").is_empty(), "roles differ");

    let version = env!("CARGO_PKG_VERSION");
    for (name, _) in ROLES.into_iter().chain([("init", [].as_slice())]) {
        let service = service(name);
        assert_eq!(service["image"], format!("dvss:{version}"), "{name}");
        assert_eq!(service["build"], ".", "{name}");
    }
}

#[test]
fn the_build_is_given_what_it_reads() {
    let ignore = text(".dockerignore");
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "everything is left out but what is named");
    let given: BTreeSet<&str> = lines.map(|line| line.strip_prefix('!').expect("what is given")).collect();
    for path in &given {
        assert!(root().join(path).exists(), "{path} is not there");
    }
    for needed in [
        "Cargo.toml",
        "Cargo.lock",
        "crates",
        "processors",
        "xtask",
        "tests",
        "topics",
        "schemas",
        "mappings",
    ] {
        assert!(given.contains(needed), "{needed}");
    }
    // With it the image's Rust would get components that no build needs.
    assert!(!given.contains("rust-toolchain.toml") && !given.contains("target"));
}
