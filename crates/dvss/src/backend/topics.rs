//! What is to be done about topics: pure.

use std::collections::BTreeMap;

use kafka::{Creation, Topic};
use serde::Serialize;
use stores::topics::TopicSpec;

/// Setting that may not ask for more replicas than there are.
const MIN_INSYNC: &str = "min.insync.replicas";

/// Largest batch of records that a broker takes; what a client sends alone is a batch, too.
const MAX_MESSAGE: &str = "max.message.bytes";
/// What a batch of one record has beside the record, and more.
const BATCH_OVERHEAD: usize = 1_024;

/// What the configuration says of topics, beside their documents.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// Partitions of every topic, instead of what its document says.
    pub partitions: Option<u32>,
    /// Largest record that clients send.
    pub max_record_bytes: usize,
}

impl Sizes {
    /// The topic as it is to be: brokers take whatever clients may send.
    pub fn fit(self, mut topic: TopicSpec) -> TopicSpec {
        topic.partitions = self.partitions.unwrap_or(topic.partitions);
        let least = self.max_record_bytes.saturating_add(BATCH_OVERHEAD);
        if let Some(most) = topic.config.get_mut(MAX_MESSAGE)
            && most.parse().is_ok_and(|most: usize| most < least)
        {
            *most = least.to_string();
        }
        topic
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "step")]
pub enum Step {
    /// The topic is made.
    Create {
        /// Partitions.
        partitions: u32,
        /// Replicas of each.
        replicas: u32,
    },
    /// Settings are set, and others taken back.
    #[serde(rename_all = "camelCase")]
    Alter {
        /// Setting, value now, value wanted.
        set: BTreeMap<String, (Option<String>, String)>,
    },
    /// Partitions are added. Keys move, so it is done only when forced.
    Grow {
        /// Partitions now.
        from: u32,
        /// Partitions wanted.
        to: u32,
    },
    /// The topic has more partitions than its document says. They cannot be taken away.
    Shrink {
        /// Partitions now.
        from: u32,
        /// Partitions wanted.
        to: u32,
    },
}

impl Step {
    /// Whether it is done without `--force`.
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Alter { .. })
    }
}

/// What is to be done about one topic. `brokers` bounds the replicas.
pub fn plan(spec: &TopicSpec, there: Option<&Topic>, brokers: u32) -> Vec<Step> {
    let most = u32::from(spec.replicas);
    let Some(there) = there else {
        return vec![Step::Create { partitions: spec.partitions, replicas: most.min(brokers.max(1)) }];
    };
    // How many replicas are there decides how many can be in sync.
    let wanted = config(spec, there.replicas.clamp(1, most));
    let set: BTreeMap<_, _> = wanted
        .into_iter()
        .filter_map(|(name, value)| {
            let now = there.config.get(&name).map(|setting| setting.value.clone());
            (now.as_deref() != Some(value.as_str())).then_some((name, (now, value)))
        })
        .collect();
    let mut steps = Vec::new();
    if !set.is_empty() {
        steps.push(Step::Alter { set });
    }
    match there.partitions {
        now if now < spec.partitions => steps.push(Step::Grow { from: now, to: spec.partitions }),
        now if now > spec.partitions => steps.push(Step::Shrink { from: now, to: spec.partitions }),
        _ => {}
    }
    steps
}

/// A topic as it is made.
pub fn creation(spec: &TopicSpec, name: String, partitions: u32, replicas: u32) -> Creation {
    Creation { name, partitions, replicas, config: config(spec, replicas) }
}

/// The settings of a topic with so many replicas.
fn config(spec: &TopicSpec, replicas: u32) -> BTreeMap<String, String> {
    let mut config = spec.config.clone();
    if let Some(least) = config.get_mut(MIN_INSYNC)
        && least.parse().is_ok_and(|least: u32| least > replicas)
    {
        *least = replicas.to_string();
    }
    config
}

/// Why a topic cannot be worked with.
pub fn unusable(name: &str, wanted: u32, there: Option<u32>) -> Option<String> {
    match there {
        None => Some(format!(
            "the topic {name} is missing; `dvss topics apply` makes it, nothing else does (topic-missing)"
        )),
        Some(now) if now != wanted => Some(format!(
            "the topic {name} has {now} partitions and its document says {wanted}; `dvss topics plan` shows the \
             drift (topic-drift)"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_take_what_clients_may_send() {
        let most = |max_record_bytes| {
            let sizes = Sizes { partitions: Some(3), max_record_bytes };
            stores::topics::shipped().into_iter().map(move |topic| {
                let topic = sizes.fit(topic);
                assert_eq!(topic.partitions, 3);
                topic.config[MAX_MESSAGE].clone()
            })
        };
        assert!(most(1_000_000).all(|most| most == "1048576"), "as documented");
        assert!(most(5_000_000).all(|most| most == "5001024"), "{}", most(5_000_000).collect::<String>());
    }

    fn spec() -> TopicSpec {
        let mut spec = stores::topics::shipped().remove(0);
        spec.partitions = 4;
        spec.replicas = 3;
        spec.config =
            [("retention.ms", "5"), (MIN_INSYNC, "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        spec
    }

    fn topic(partitions: u32, replicas: u32, config: &[(&str, &str)]) -> Topic {
        let setting = |value: &str| kafka::Setting { value: value.to_owned(), own: true };
        let config = config.iter().map(|(name, value)| ((*name).to_owned(), setting(value))).collect();
        Topic { partitions, replicas, config }
    }

    #[test]
    fn a_plan_makes_what_is_missing_and_only_shows_what_cannot_be_undone() {
        let good = [("retention.ms", "5"), (MIN_INSYNC, "2"), ("other", "x")];
        let single = [("retention.ms", "5"), (MIN_INSYNC, "1")];
        let set = BTreeMap::from([("retention.ms".to_owned(), (Some("6".to_owned()), "5".to_owned()))]);
        for (there, brokers, steps) in [
            (None, 3, vec![Step::Create { partitions: 4, replicas: 3 }]),
            (None, 1, vec![Step::Create { partitions: 4, replicas: 1 }]),
            (Some(topic(4, 3, &good)), 3, vec![]),
            (Some(topic(4, 1, &single)), 1, vec![]),
            (Some(topic(4, 3, &[("retention.ms", "6"), (MIN_INSYNC, "2")])), 3, vec![Step::Alter { set }]),
            (Some(topic(3, 3, &good)), 3, vec![Step::Grow { from: 3, to: 4 }]),
            (Some(topic(9, 3, &good)), 3, vec![Step::Shrink { from: 9, to: 4 }]),
        ] {
            assert_eq!(plan(&spec(), there.as_ref(), brokers), steps);
        }
        assert!(
            !Step::Grow { from: 1, to: 2 }.is_safe() && Step::Create { partitions: 1, replicas: 1 }.is_safe()
        );
    }

    #[test]
    fn a_single_broker_cannot_have_two_in_sync() {
        let made = creation(&spec(), "t".to_owned(), 4, 1);
        assert_eq!(made.config[MIN_INSYNC], "1");
        assert_eq!(creation(&spec(), "t".to_owned(), 4, 3).config[MIN_INSYNC], "2");
    }

    #[test]
    fn what_cannot_be_worked_with_is_named() {
        assert!(unusable("t", 2, None).is_some_and(|why| why.contains("topic-missing")));
        assert!(unusable("t", 2, Some(3)).is_some_and(|why| why.contains("topic-drift")));
        assert_eq!(unusable("t", 2, Some(2)), None);
    }
}
