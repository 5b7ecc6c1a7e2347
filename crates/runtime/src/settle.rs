//! What may be committed: pure decisions.

use std::collections::HashSet;

use ports::log::Record;

use crate::Output;

/// How much one record, or one transaction, puts out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Records.
    pub outputs: usize,
    /// Bytes of their keys, values and headers.
    pub bytes: usize,
}

impl Size {
    /// The size of these outputs.
    pub fn of(outputs: &[Output]) -> Self {
        Self { outputs: outputs.len(), bytes: outputs.iter().map(|output| weight(&output.record)).sum() }
    }

    fn plus(self, other: Self) -> Self {
        Self { outputs: self.outputs + other.outputs, bytes: self.bytes + other.bytes }
    }

    fn within(self, bound: Self) -> bool {
        self.outputs <= bound.outputs && self.bytes <= bound.bytes
    }
}

/// Bytes of a record: key, value, headers.
pub(crate) fn weight(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, |key| key.len()) + record.value.len() + headers
}

/// How many records of each partition the next transaction takes: settled ones up to the first one
/// that is not (`None`), and no more than fit `bound`, but one record at least.
///
/// `lines` has a partition's records in order. Partitions take turns, so that none starves behind
/// another one's outputs.
pub(crate) fn cut(lines: &[&[Option<Size>]], bound: Size) -> Vec<usize> {
    let mut taken = vec![0; lines.len()];
    let mut total: Option<Size> = None;
    let mut open: Vec<usize> = (0..lines.len()).collect();
    while !open.is_empty() {
        open.retain(|&line| {
            let Some(Some(size)) = lines[line].get(taken[line]) else { return false };
            let sum = total.unwrap_or_default().plus(*size);
            if total.is_some() && !sum.within(bound) {
                return false;
            }
            total = Some(sum);
            taken[line] += 1;
            true
        });
    }
    taken
}

/// Keeps the first output of every identity that is not in `seen`, and adds it there. What has no
/// identity stays.
pub(crate) fn once(outputs: Vec<Output>, seen: &mut HashSet<String>) -> Vec<Output> {
    let first = |output: &Output| output.identity.clone().is_none_or(|identity| seen.insert(identity));
    outputs.into_iter().filter(first).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WIDE: Size = Size { outputs: 100, bytes: 1_000 };

    fn size(outputs: usize) -> Option<Size> {
        Some(Size { outputs, bytes: 10 * outputs })
    }

    #[test]
    fn takes_the_settled_prefix_of_every_partition() {
        let none = None;
        for (lines, bound, taken, why) in [
            (vec![], WIDE, vec![], "an empty batch"),
            (vec![vec![]], WIDE, vec![0], "a partition without records"),
            (vec![vec![size(1), size(1)]], WIDE, vec![2], "all settled"),
            (vec![vec![none, size(1)]], WIDE, vec![0], "a later record finished first"),
            (vec![vec![size(1), none, size(1)]], WIDE, vec![1], "up to the first one that is not settled"),
            (vec![vec![none], vec![size(1), size(0)]], WIDE, vec![0, 2], "others go on"),
            (vec![vec![size(0); 500]], WIDE, vec![500], "records without outputs cost nothing"),
            (vec![vec![size(101), size(0)]], WIDE, vec![1], "one record at least, however large"),
            (vec![vec![size(60), size(40), size(1)]], WIDE, vec![2], "the bound is included"),
            (vec![vec![size(60), size(60)], vec![size(60)]], WIDE, vec![1, 0], "what does not fit waits"),
            (vec![vec![size(40); 9], vec![size(40); 9]], WIDE, vec![1, 1], "partitions take turns"),
            (vec![vec![size(99), size(2)], vec![none]], WIDE, vec![1, 0], "cut and stuck"),
        ] {
            let lines: Vec<&[Option<Size>]> = lines.iter().map(Vec::as_slice).collect();
            assert_eq!(cut(&lines, bound), taken, "{why}");
        }
        let heavy = [Some(Size { outputs: 1, bytes: 900 }), Some(Size { outputs: 1, bytes: 900 })];
        assert_eq!(cut(&[&heavy], WIDE), [1], "bytes count too");
    }

    #[test]
    fn an_identity_is_produced_once() {
        let output = |identity: Option<&str>, value: &'static str| Output {
            record: Record {
                topic: "t".into(),
                partition: None,
                key: None,
                value: value.into(),
                headers: vec![],
            },
            identity: identity.map(str::to_owned),
        };
        let mut seen = HashSet::new();
        let first = once(vec![output(Some("a"), "1"), output(None, "2"), output(Some("a"), "3")], &mut seen);
        assert_eq!(first, [output(Some("a"), "1"), output(None, "2")]);
        let second = once(vec![output(None, "2"), output(Some("b"), "4"), output(Some("a"), "5")], &mut seen);
        assert_eq!(second, [output(None, "2"), output(Some("b"), "4")]);
    }

    proptest! {
        #[test]
        fn a_cut_is_settled_bounded_and_as_long_as_it_can_be(
            lines in prop::collection::vec(
                prop::collection::vec(prop::option::weighted(0.8, (0usize..40, 0usize..400)), 0..12),
                0..6,
            )
        ) {
            let lines: Vec<Vec<Option<Size>>> = lines
                .into_iter()
                .map(|line| line.into_iter().map(|size| size.map(|(outputs, bytes)| Size { outputs, bytes })))
                .map(Iterator::collect)
                .collect();
            let views: Vec<&[Option<Size>]> = lines.iter().map(Vec::as_slice).collect();
            let taken = cut(&views, WIDE);
            let mut total = Size::default();
            for (line, taken) in lines.iter().zip(&taken) {
                for size in &line[..*taken] {
                    prop_assert!(size.is_some(), "only settled records");
                    total = total.plus(size.unwrap_or_default());
                }
            }
            let records: usize = taken.iter().sum();
            prop_assert!(total.within(WIDE) || records == 1);
            let nexts = lines.iter().zip(&taken).map(|(line, taken)| line.get(*taken).copied().flatten());
            for next in nexts.flatten() {
                prop_assert!(records > 0, "at least one record");
                prop_assert!(!total.plus(next).within(WIDE), "nothing more fits");
            }
        }
    }
}
