//! What is published, and what is remembered: pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use contract::Timestamp;
use ports::log::Offset;
use stores::outbox::{Publication, RowRef, State};
use stores::receipts::Receipt;

/// Whether a row is published now: not where it has coordinates for its revision, and not where an
/// uncopied receipt listed it. `listed` are the revisions that receipts listed BEFORE the row was
/// read ([`Memory::revisions`]).
pub fn publishes(state: State, listed: &[u32]) -> Option<Publication> {
    let known = state.coordinates.is_some() || listed.contains(&state.publication.revision);
    (!known).then_some(state.publication)
}

/// The uncopied receipts of the owned partitions, and how far copying is.
#[derive(Debug, Default)]
pub struct Memory {
    lines: BTreeMap<u32, Line>,
    listed: HashMap<RowRef, Vec<u32>>,
    receipts: usize,
}

#[derive(Debug, Default)]
struct Line {
    /// By the offset of the entry's first record.
    entries: BTreeMap<Offset, Arc<Entry>>,
    /// Where copying goes on once nothing is uncopied.
    end: Offset,
    /// The position that is committed.
    committed: Offset,
}

/// Receipts that lie together: what one transaction published for one input partition, or one record
/// of `dvss.receipts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Offset of its first record.
    pub first: Offset,
    /// The offset behind its last record.
    pub next: Offset,
    /// When it was produced.
    pub since: Timestamp,
    /// The receipts.
    pub receipts: Vec<Receipt>,
}

/// A partition as a new owner finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// The partition's number.
    pub partition: u32,
    /// How far its receipts were copied, as committed.
    pub committed: Offset,
    /// Up to where they were read.
    pub end: Offset,
    /// What lies between.
    pub entries: Vec<Entry>,
}

impl Memory {
    /// What a new assignment knows; what was known before is lost with the partitions.
    pub fn of(recalled: Vec<Recalled>) -> Self {
        let mut memory = Self::default();
        for Recalled { partition, committed, end, entries } in recalled {
            memory.lines.insert(partition, Line { entries: BTreeMap::new(), end, committed });
            for entry in entries {
                memory.remember(partition, entry);
            }
        }
        memory
    }

    /// Remembers what a transaction published.
    pub fn remember(&mut self, partition: u32, entry: Entry) {
        let line = self.lines.entry(partition).or_insert_with(|| Line {
            entries: BTreeMap::new(),
            end: entry.next,
            committed: entry.first,
        });
        line.end = line.end.max(entry.next);
        self.receipts += entry.receipts.len();
        for receipt in &entry.receipts {
            self.listed.entry(receipt.row.clone()).or_default().push(receipt.revision);
        }
        let before = line.entries.insert(entry.first, Arc::new(entry));
        self.unlist(before.as_deref());
    }

    /// The revisions of a row that uncopied receipts list.
    pub fn revisions(&self, row: &RowRef) -> Vec<u32> {
        self.listed.get(row).cloned().unwrap_or_default()
    }

    /// How many receipts are not copied yet.
    pub fn len(&self) -> usize {
        self.receipts
    }

    /// When the oldest of them was produced.
    pub fn oldest(&self) -> Option<Timestamp> {
        let firsts = self.lines.values().filter_map(|line| line.entries.values().next());
        firsts.map(|entry| entry.since).min()
    }

    /// What is copied next: the first entries of every partition, together about `most` receipts.
    pub fn uncopied(&self, most: usize) -> Vec<(u32, Arc<Entry>)> {
        let share = most.div_ceil(self.lines.len().max(1));
        let mut found = Vec::new();
        for (partition, line) in &self.lines {
            let mut taken = 0;
            for entry in line.entries.values().take_while(|entry| {
                let within = taken < share;
                taken += entry.receipts.len();
                within
            }) {
                found.push((*partition, Arc::clone(entry)));
            }
        }
        found
    }

    /// Forgets an entry that is copied: this one, not one that another assignment read anew.
    pub fn copied(&mut self, partition: u32, entry: &Arc<Entry>) {
        let Some(line) = self.lines.get_mut(&partition) else { return };
        let same = line.entries.get(&entry.first).is_some_and(|known| Arc::ptr_eq(known, entry));
        if same {
            line.entries.remove(&entry.first);
            self.unlist(Some(entry));
        }
    }

    /// Positions that have moved since they were committed: everything below is copied. An entry
    /// behind an uncopied one does not count.
    pub fn moved(&self) -> Vec<(u32, Offset)> {
        let position = |line: &Line| line.entries.keys().next().copied().unwrap_or(line.end);
        let positions =
            self.lines.iter().map(|(partition, line)| (*partition, position(line), line.committed));
        positions
            .filter(|(_, position, committed)| position > committed)
            .map(|(partition, position, _)| (partition, position))
            .collect()
    }

    /// A position is committed.
    pub fn committed(&mut self, partition: u32, position: Offset) {
        if let Some(line) = self.lines.get_mut(&partition) {
            line.committed = line.committed.max(position);
        }
    }

    fn unlist(&mut self, entry: Option<&Entry>) {
        for receipt in entry.map(|entry| entry.receipts.as_slice()).unwrap_or_default() {
            self.receipts -= 1;
            let Some(revisions) = self.listed.get_mut(&receipt.row) else { continue };
            if let Some(at) = revisions.iter().position(|revision| *revision == receipt.revision) {
                revisions.swap_remove(at);
            }
            if revisions.is_empty() {
                self.listed.remove(&receipt.row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ports::log::{Coordinates, Partition};

    use super::*;

    fn row(name: &str) -> RowRef {
        RowRef { table: "dvss_effects".to_owned(), pk: name.to_owned(), sk: "A".to_owned() }
    }

    fn entry(first: Offset, next: Offset, rows: &[(&str, u32)]) -> Entry {
        let receipt = |(name, revision): &(&str, u32)| Receipt {
            row: row(name),
            revision: *revision,
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
        };
        let since = Timestamp::from_millis(first).expect("an instant");
        Entry { first, next, since, receipts: rows.iter().map(receipt).collect() }
    }

    /// Copies an entry, as the copier does.
    fn copy(memory: &mut Memory, partition: u32, first: Offset) {
        let uncopied = memory.uncopied(usize::MAX);
        let (_, entry) =
            uncopied.iter().find(|(of, entry)| (*of, entry.first) == (partition, first)).expect("uncopied");
        memory.copied(partition, entry);
    }

    #[test]
    fn a_row_is_published_once_a_revision() {
        let state = |revision, out: bool| State {
            publication: Publication {
                topic: "t".to_owned(),
                key: "k".to_owned(),
                value: vec![1].into(),
                revision,
            },
            coordinates: out.then(|| Coordinates { partition: Partition::new("t", 0), offset: 7 }),
        };
        for (revision, out, listed, published) in [
            (1, false, &[][..], true),
            (1, false, &[1], false),
            (2, false, &[1], true),
            (2, false, &[1, 2], false),
            (2, true, &[1], false),
            (1, true, &[], false),
        ] {
            let publication = publishes(state(revision, out), listed);
            assert_eq!(publication.is_some(), published, "{revision} {out} {listed:?}");
        }
    }

    #[test]
    fn the_position_never_passes_what_is_not_copied() {
        let mut memory = Memory::default();
        memory.remember(3, entry(10, 11, &[("a", 1)]));
        memory.remember(3, entry(12, 14, &[("b", 1), ("c", 1)]));
        assert_eq!((memory.moved(), memory.len()), (vec![], 3));
        assert_eq!(memory.oldest(), Timestamp::from_millis(10));
        copy(&mut memory, 3, 12);
        assert_eq!(memory.moved(), []);
        assert_eq!((memory.revisions(&row("a")), memory.revisions(&row("b"))), (vec![1], vec![]));
        copy(&mut memory, 3, 10);
        assert_eq!((memory.moved(), memory.len()), (vec![(3, 14)], 0));
        memory.committed(3, 14);
        assert_eq!((memory.moved(), memory.oldest()), (vec![], None));
        // Remembering the same receipts again (they were read again) changes nothing.
        memory.remember(3, entry(20, 21, &[("a", 2)]));
        memory.remember(3, entry(20, 21, &[("a", 2)]));
        assert_eq!((memory.revisions(&row("a")), memory.len()), (vec![2], 1));
        copy(&mut memory, 3, 20);
        assert!(memory.revisions(&row("a")).is_empty());
    }

    #[test]
    fn a_new_assignment_knows_what_it_read_and_no_more() {
        let mut before = Memory::default();
        before.remember(1, entry(5, 6, &[("a", 1)]));
        let (_, stale) = before.uncopied(10).remove(0);
        let recalled = |partition, committed, end, entries| Recalled { partition, committed, end, entries };
        let mut memory = Memory::of(vec![
            recalled(1, 5, 9, vec![entry(5, 6, &[("a", 1)])]),
            recalled(2, 4, 4, vec![]),
            recalled(7, 4, 8, vec![]),
        ]);
        assert_eq!(memory.moved(), [(7, 8)], "where nothing waits, the end is reached at once");
        memory.copied(1, &stale);
        assert_eq!(memory.revisions(&row("a")), [1], "work of an assignment that ended settles nothing");
        copy(&mut memory, 1, 5);
        assert_eq!(memory.moved(), [(1, 9), (7, 8)]);
    }

    #[test]
    fn every_partition_gets_its_share_of_the_copying() {
        let mut memory = Memory::default();
        for first in 0..10 {
            memory.remember(0, entry(first, first + 1, &[("a", 1), ("b", 1)]));
            memory.remember(1, entry(first, first + 1, &[("c", 1)]));
        }
        let count = |of: u32, found: &[(u32, Arc<Entry>)]| found.iter().filter(|(at, _)| *at == of).count();
        let found = memory.uncopied(8);
        assert_eq!((count(0, &found), count(1, &found)), (2, 4));
        let found = memory.uncopied(1);
        assert_eq!((count(0, &found), count(1, &found)), (1, 1), "one entry at least");
    }
}
