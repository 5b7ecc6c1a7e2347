//! The topics that this build ships: `topics/*.yaml`, documents of the kind that Strimzi's operator
//! applies. They are the single source of partition counts and settings; `topics plan|apply`, the chart
//! and the embedded log all read them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use contract::{VendorId, topics};
use ports::{Log, log};
use serde::Deserialize;

/// The stages: group, and the topic that it reads; upstream first, and the invoices beside them.
pub const STAGES: [(&str, &str); 5] = [
    ("dvss.dedup", topics::RAW),
    ("dvss.normalize", topics::ACCEPTED),
    ("dvss.divergence", topics::NORMALIZED),
    ("dvss.outbox", topics::OUTBOX),
    ("dvss.invoices", topics::INVOICE_JOBS),
];

/// The group of the Kafka door, which reads the topics that vendors write to.
pub const INBOUND_GROUP: &str = "dvss.gateway";

/// Annotation that names the groups which get first offsets (0) when topics are applied.
const GROUPS: &str = "dvss/first-offset-groups";

/// A topic as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// How many replicas, where there are as many brokers.
    pub replicas: u16,
    /// Topic settings, by Kafka's names, values as Kafka writes them.
    pub config: BTreeMap<String, String>,
    /// Consumer groups that start at offset 0 of every partition when the topic is made: a group
    /// without an offset halts.
    pub groups: Vec<String>,
}

/// A topic's document has a mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

macro_rules! files {
    ($($name:literal,)*) => {
        [$(($name, include_str!(concat!("../../../topics/", $name, ".yaml"))),)*]
    };
}

/// File name without `.yaml`, and text.
const FILES: [(&str, &str); 12] = files! {
    "dvss.raw",
    "dvss.accepted",
    "dvss.normalized",
    "dvss.outbox",
    "dvss.receipts",
    "dvss.invoice.jobs",
    "dvss.normalized.inventory-updated.v1",
    "dvss.normalized.inventory-adjusted.v1",
    "dvss.normalized.order-updated.v1",
    "dvss.normalized.inventory-received.v1",
    "dvss.divergence.v1",
    "dvss.quarantine.v1",
};

/// What every vendor's own topic is to be like.
const INBOUND: &str = include_str!("../../../topics/per-vendor/dvss.inbound.yaml");

/// The topics of this build: the internal ones, then the public ones.
pub fn shipped() -> Vec<TopicSpec> {
    static SHIPPED: OnceLock<Vec<TopicSpec>> = OnceLock::new();
    let read = |(_, text): &(&str, &str)| parse(text).expect("tests read the same files");
    SHIPPED.get_or_init(|| FILES.iter().map(read).collect()).clone()
}

/// The topic of a vendor who writes to Kafka.
pub fn inbound(vendor: &VendorId) -> TopicSpec {
    let pattern = parse(INBOUND).expect("tests read the same file");
    TopicSpec { name: topics::inbound(vendor), ..pattern }
}

/// The topics that vendors write to, and whose they are; in the order of their names.
pub async fn inbound_topics(log: &dyn Log) -> Result<Vec<(String, VendorId)>, log::Error> {
    let names = log.topics(topics::INBOUND).await?.into_iter();
    Ok(names.filter_map(|name| topics::inbound_vendor(&name).map(|vendor| (name, vendor))).collect())
}

/// Reads one document; unknown keys are refused.
pub fn parse(text: &str) -> Result<TopicSpec, Error> {
    let Document { api_version, kind, metadata, spec } =
        serde_saphyr::from_str(text).map_err(|error| Error(error.to_string()))?;
    if !api_version.starts_with("kafka.strimzi.io/") || kind != "KafkaTopic" {
        return Err(Error(format!("{api_version} {kind} is not a KafkaTopic of kafka.strimzi.io")));
    }
    if spec.partitions == 0 || spec.replicas == 0 {
        return Err(Error(format!("{} needs a partition and a replica", metadata.name)));
    }
    let groups = metadata.annotations.get(GROUPS).map_or("", String::as_str);
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
    Ok(TopicSpec {
        name: metadata.name,
        partitions: spec.partitions,
        replicas: spec.replicas,
        config: spec.config.into_iter().map(|(name, value)| (name, value.text())).collect(),
        groups: groups.map(str::to_owned).collect(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    /// Strimzi's own: which cluster the topic belongs to.
    #[serde(default, rename = "labels")]
    _labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    partitions: u32,
    replicas: u16,
    #[serde(default)]
    config: BTreeMap<String, Setting>,
}

/// A setting's value; Kafka wants text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Setting {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Setting {
    fn text(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::topics;

    use super::*;

    #[test]
    fn the_files_are_the_topics_of_the_contract() {
        let names: Vec<String> = shipped().into_iter().map(|topic| topic.name).collect();
        let contract: Vec<&str> = topics::INTERNAL.into_iter().chain(topics::PUBLIC).collect();
        assert_eq!(names, contract);
        assert_eq!(FILES.map(|(file, _)| file).to_vec(), contract, "a file is named as its topic");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../topics");
        let files =
            std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").file_name());
        let mut files: Vec<String> = files.filter_map(|name| name.into_string().ok()).collect();
        files.retain(|name| name != "per-vendor");
        let mut wanted: Vec<String> = contract.iter().map(|name| format!("{name}.yaml")).collect();
        files.sort();
        wanted.sort();
        assert_eq!(files, wanted, "no file is left out");
    }

    #[test]
    fn settings_keep_the_promises() {
        let of = |name: &str| shipped().into_iter().find(|topic| topic.name == name).expect("shipped");
        let count = of(topics::NORMALIZED).partitions;
        assert_eq!([topics::OUTBOX, topics::RECEIPTS].map(|name| of(name).partitions), [count; 2]);
        assert_eq!(of(topics::RECEIPTS).groups, [crate::receipts::COPIED_GROUP]);
        for topic in shipped() {
            let setting = |name: &str| topic.config.get(name).map(String::as_str);
            assert_eq!(setting("cleanup.policy"), Some("delete"), "{}", topic.name);
            assert_eq!(setting("unclean.leader.election.enable"), Some("false"), "{}", topic.name);
            assert_eq!(setting("max.message.bytes"), Some("1048576"), "{}", topic.name);
            let replicas: u16 =
                setting("min.insync.replicas").and_then(|text| text.parse().ok()).expect("set");
            assert!(replicas >= 2 && replicas < topic.replicas, "{}: survives one broker", topic.name);
            let retention: u64 = setting("retention.ms").and_then(|text| text.parse().ok()).expect("set");
            assert!(retention >= 7 * 86_400_000, "{}", topic.name);
            let internal = topics::INTERNAL.contains(&topic.name.as_str());
            assert_eq!(
                topic.groups.len(),
                usize::from(internal),
                "{}: one reader, or none of ours",
                topic.name
            );
        }
    }

    #[test]
    fn a_vendors_topic_is_like_every_other() {
        let acme = VendorId::parse("acme").expect("id");
        let spec = inbound(&acme);
        let raw = shipped().into_iter().find(|topic| topic.name == topics::RAW).expect("shipped");
        assert_eq!(spec.name, "dvss.inbound.acme");
        // The group begins by itself where it never was.
        assert_eq!(spec.groups, Vec::<String>::new());
        let differs: Vec<_> =
            raw.config.iter().filter(|(key, value)| spec.config.get(*key) != Some(*value)).collect();
        assert!(differs.is_empty(), "{differs:?}");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let good = FILES[0].1;
        assert_eq!(parse(good).expect("shipped").groups, ["dvss.dedup"]);
        for (from, to) in [
            ("partitions: 12", "partitions: 12\n  partition: 12"),
            ("partitions: 12", "partitions: 0"),
            ("partitions: 12", "partitions: 12\n  partitions: 24"),
            ("  replicas: 3\n", ""),
            ("kind: KafkaTopic", "kind: KafkaUser"),
            ("kind: KafkaTopic", "kind: KafkaTopic\nstatus: {}"),
            ("min.insync.replicas: 2", "min.insync.replicas: [2]"),
        ] {
            let text = good.replace(from, to);
            assert_ne!(text, good, "{from}");
            assert!(parse(&text).is_err(), "{to}");
        }
    }
}
