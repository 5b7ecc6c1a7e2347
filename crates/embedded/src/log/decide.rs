//! Who gets which partitions, and how much of a batch; pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use ports::log::Partition;

/// Kafka's range assignor: per topic, members in the order of their names get neighbouring
/// partitions, the first ones one more where it does not divide.
pub fn assign<'a>(
    members: &BTreeMap<&'a str, &[Arc<str>]>,
    partitions: impl Fn(&str) -> u32,
) -> BTreeMap<&'a str, Vec<Partition>> {
    let mut assigned: BTreeMap<&str, Vec<Partition>> =
        members.keys().map(|name| (*name, Vec::new())).collect();
    let mut subscribers: BTreeMap<&Arc<str>, Vec<&str>> = BTreeMap::new();
    for (name, topics) in members {
        for topic in *topics {
            let names = subscribers.entry(topic).or_default();
            if names.last() != Some(name) {
                names.push(name);
            }
        }
    }
    for (topic, names) in subscribers {
        let count = partitions(topic);
        let many = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let (each, extra) = (count / many, count % many);
        let mut next = 0;
        for (place, name) in (0..).zip(names) {
            let mine = each + u32::from(place < extra);
            let range = (next..next + mine).map(|index| Partition::new(Arc::clone(topic), index));
            assigned.entry(name).or_default().extend(range);
            next += mine;
        }
    }
    assigned
}

/// How many of `room` records the next of `left` partitions may take: its fair share, rounded up, so
/// that what one does not use goes to those behind it.
pub fn share(room: usize, left: usize) -> usize {
    room.div_ceil(left.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(members: &[(&'static str, &[&str])], counts: &[(&str, u32)]) -> String {
        let topics: Vec<Vec<Arc<str>>> = members
            .iter()
            .map(|(_, topics)| topics.iter().map(|topic| Arc::from(*topic)).collect())
            .collect();
        let members =
            members.iter().zip(&topics).map(|((name, _), topics)| (*name, topics.as_slice())).collect();
        let count =
            |topic: &str| counts.iter().find(|(name, _)| *name == topic).map_or(0, |(_, count)| *count);
        let show = |(name, partitions): (&str, Vec<Partition>)| {
            let partitions: Vec<String> = partitions.iter().map(Partition::to_string).collect();
            format!("{name}: {}", partitions.join(" "))
        };
        assign(&members, count).into_iter().map(show).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn ranges_as_kafka_draws_them() {
        for (members, counts, expected) in [
            (&[("a", &["t"][..])][..], &[("t", 2)][..], "a: t/0 t/1"),
            (&[("b", &["t"]), ("a", &["t"])], &[("t", 3)], "a: t/0 t/1; b: t/2"),
            (&[("a", &["t"]), ("b", &["t"]), ("c", &["t"])], &[("t", 2)], "a: t/0; b: t/1; c: "),
            (&[("a", &["t", "u"]), ("b", &["u"])], &[("t", 2), ("u", 3)], "a: t/0 t/1 u/0 u/1; b: u/2"),
            (&[("a", &["t", "t"])], &[("t", 1)], "a: t/0"),
        ] {
            assert_eq!(assigned(members, counts), expected);
        }
    }

    #[test]
    fn what_one_leaves_the_next_may_take() {
        assert_eq!([share(10, 3), share(6, 2), share(6, 1), share(0, 4), share(1, 4)], [4, 3, 6, 0, 1]);
    }
}
