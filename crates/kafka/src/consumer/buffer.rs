//! Records that were fetched and not yet handed out, by partition; pure.
//!
//! The client hands records out in the order in which they arrived, a whole fetch of one partition
//! before the next. Batches are drawn from here in turns, so that a long backlog in one partition does
//! not keep the others' records away.

use std::collections::{BTreeMap, VecDeque};

use ports::log::{Partition, RawRecord};

use crate::record::raw_size;

/// Most records that wait here.
const MAX_RECORDS: usize = 10_000;
/// Most bytes that wait here, but for one record.
const MAX_BYTES: usize = 8 * 1_024 * 1_024;

/// Waiting records.
#[derive(Debug, Default)]
pub struct Buffer {
    lines: BTreeMap<Partition, VecDeque<RawRecord>>,
    records: usize,
    bytes: usize,
    /// Where the next batch begins.
    turn: usize,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn is_full(&self) -> bool {
        self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }

    pub fn push(&mut self, record: RawRecord) {
        self.records += 1;
        self.bytes += raw_size(&record);
        match self.lines.get_mut(&record.partition) {
            Some(line) => line.push_back(record),
            None => {
                self.lines.insert(record.partition.clone(), VecDeque::from([record]));
            }
        }
    }

    /// Forgets a partition's records.
    pub fn forget(&mut self, partition: &Partition) {
        for record in self.lines.remove(partition).into_iter().flatten() {
            self.records -= 1;
            self.bytes -= raw_size(&record);
        }
    }

    pub fn clear(&mut self) {
        *self = Self { turn: self.turn, ..Self::default() };
    }

    /// Takes at most `most` records: a fair share of every partition, and what one does not use goes to
    /// the others.
    pub fn take(&mut self, most: usize) -> Vec<RawRecord> {
        let mut taken = Vec::with_capacity(most.min(self.records));
        while taken.len() < most && !self.lines.is_empty() {
            self.take_shares(most, &mut taken);
        }
        self.turn = self.turn.wrapping_add(1);
        self.records -= taken.len();
        self.bytes -= taken.iter().map(raw_size).sum::<usize>();
        taken
    }

    fn take_shares(&mut self, most: usize, taken: &mut Vec<RawRecord>) {
        let count = self.lines.len();
        let first = self.turn % count;
        for place in 0..count {
            let share = (most - taken.len()).div_ceil(count - place);
            if let Some(line) = self.lines.values_mut().nth((first + place) % count) {
                taken.extend(line.drain(..share.min(line.len())));
            }
        }
        self.lines.retain(|_, line| !line.is_empty());
    }

    /// Puts a batch back that nobody took.
    pub fn put_back(&mut self, records: Vec<RawRecord>) {
        self.records += records.len();
        self.bytes += records.iter().map(raw_size).sum::<usize>();
        for record in records.into_iter().rev() {
            self.lines.entry(record.partition.clone()).or_default().push_front(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(partition: u32, offset: i64) -> RawRecord {
        RawRecord {
            partition: Partition::new("t", partition),
            offset,
            timestamp: 0,
            key: None,
            value: Bytes::from_static(b"x"),
            headers: vec![],
        }
    }

    fn filled(lines: &[(u32, i64)]) -> Buffer {
        let mut buffer = Buffer::default();
        for (partition, count) in lines {
            (0..*count).for_each(|offset| buffer.push(record(*partition, offset)));
        }
        buffer
    }

    fn shown(records: &[RawRecord]) -> Vec<(u32, i64)> {
        records.iter().map(|record| (record.partition.index, record.offset)).collect()
    }

    #[test]
    fn shares_are_fair_and_what_is_left_goes_to_others() {
        let mut buffer = filled(&[(0, 60), (2, 2)]);
        let first = buffer.take(10);
        assert_eq!(first.len(), 10);
        let of_two: Vec<_> = shown(&first).into_iter().filter(|(index, _)| *index == 2).collect();
        assert_eq!(of_two, [(2, 0), (2, 1)]);
        let mut rest = shown(&first);
        while !buffer.is_empty() {
            rest.extend(shown(&buffer.take(10)));
        }
        let of_zero: Vec<i64> = rest.iter().filter(|(index, _)| *index == 0).map(|(_, at)| *at).collect();
        assert!(of_zero.into_iter().eq(0..60), "{rest:?}");
        assert_eq!((buffer.records, buffer.bytes), (0, 0));
    }

    #[test]
    fn a_batch_of_one_reaches_everybody_in_turn() {
        let mut buffer = filled(&[(0, 9), (1, 9), (2, 9)]);
        let mut seen: Vec<u32> = (0..3).map(|_| buffer.take(1)[0].partition.index).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }

    #[test]
    fn what_is_put_back_comes_first_again() {
        let mut buffer = filled(&[(0, 4), (1, 1)]);
        let batch = buffer.take(3);
        buffer.put_back(batch);
        assert_eq!((buffer.records, buffer.bytes), (5, 5));
        let mut all = shown(&buffer.take(9));
        all.sort_unstable();
        assert_eq!(all, [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]);
    }

    #[test]
    fn it_is_bounded_and_forgets() {
        let mut buffer = filled(&[(0, 3), (1, 2)]);
        buffer.forget(&Partition::new("t", 0));
        assert_eq!((buffer.records, buffer.bytes), (2, 2));
        assert!(!buffer.is_full());
        (0..).take(MAX_RECORDS).for_each(|offset| buffer.push(record(3, offset)));
        assert!(buffer.is_full());
        buffer.clear();
        assert!(buffer.is_empty() && buffer.take(5).is_empty());
    }
}
