//! What is published, and what is remembered: pure.

use std::collections::{BTreeMap, HashMap};

use ports::log::Offset;
use stores::outbox::{Publication, RowRef, State};
use stores::receipts::Receipt;

/// Whether a row is published now: not where it has coordinates for its revision, and not where an
/// uncopied receipt lists it.
pub fn publishes(row: &RowRef, state: State, memory: &Memory) -> Option<Publication> {
    let known = state.coordinates.is_some() || memory.lists(row, state.publication.revision);
    (!known).then_some(state.publication)
}

/// The uncopied receipts of the owned partitions.
#[derive(Debug, Default)]
pub struct Memory {
    /// By partition, by the offset of the receipts' first record.
    partitions: BTreeMap<u32, BTreeMap<Offset, Entry>>,
    /// How many entries list a row at a revision.
    listed: HashMap<(RowRef, u32), usize>,
    /// Where each partition's copying goes on once nothing is uncopied.
    ends: BTreeMap<u32, Offset>,
}

/// What one transaction published for one input partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The offset behind its last record of receipts.
    pub next: Offset,
    /// The receipts.
    pub receipts: Vec<Receipt>,
}

impl Memory {
    /// Remembers receipts whose first record is at `first`.
    pub fn remember(&mut self, partition: u32, first: Offset, entry: Entry) {
        let end = self.ends.entry(partition).or_insert(entry.next);
        *end = entry.next.max(*end);
        for receipt in &entry.receipts {
            *self.listed.entry((receipt.row.clone(), receipt.revision)).or_insert(0) += 1;
        }
        if let Some(before) = self.partitions.entry(partition).or_default().insert(first, entry) {
            self.unlist(&before);
        }
    }

    /// Whether an uncopied receipt lists the row at this revision.
    pub fn lists(&self, row: &RowRef, revision: u32) -> bool {
        self.listed.contains_key(&(row.clone(), revision))
    }

    /// Everything that is not copied yet: partition, offset, receipts.
    pub fn uncopied(&self) -> Vec<(u32, Offset, Vec<Receipt>)> {
        let entries = self.partitions.iter().flat_map(|(partition, entries)| {
            entries.iter().map(|(first, entry)| (*partition, *first, entry.receipts.clone()))
        });
        entries.collect()
    }

    /// How many receipts are not copied yet.
    pub fn len(&self) -> usize {
        self.partitions.values().flat_map(BTreeMap::values).map(|entry| entry.receipts.len()).sum()
    }

    /// Forgets receipts that are copied.
    pub fn copied(&mut self, partition: u32, first: Offset) {
        let entry = self.partitions.get_mut(&partition).and_then(|entries| entries.remove(&first));
        if let Some(entry) = entry {
            self.unlist(&entry);
        }
    }

    /// How far each partition is copied: everything below is. Gaps never open: an entry behind an
    /// uncopied one does not count.
    pub fn positions(&self) -> Vec<(u32, Offset)> {
        let first = |partition: &u32| self.partitions.get(partition)?.keys().next().copied();
        self.ends.iter().map(|(partition, end)| (*partition, first(partition).unwrap_or(*end))).collect()
    }

    fn unlist(&mut self, entry: &Entry) {
        for receipt in &entry.receipts {
            let key = (receipt.row.clone(), receipt.revision);
            if let Some(count) = self.listed.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.listed.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ports::log::{Coordinates, Partition};

    fn row(name: &str) -> RowRef {
        RowRef { table: "dvss_effects".to_owned(), pk: name.to_owned(), sk: "A".to_owned() }
    }

    fn entry(next: Offset, rows: &[(&str, u32)]) -> Entry {
        let receipt = |(name, revision): &(&str, u32)| Receipt {
            row: row(name),
            revision: *revision,
            topic: "t".to_owned(),
            partition: 0,
            offset: 7,
        };
        Entry { next, receipts: rows.iter().map(receipt).collect() }
    }

    #[test]
    fn a_row_is_published_once_a_revision() {
        let state = |revision, out: bool| State {
            publication: Publication { topic: "t".to_owned(), key: "k".to_owned(), value: vec![1].into(), revision },
            coordinates: out.then(|| Coordinates { partition: Partition::new("t", 0), offset: 7 }),
        };
        let mut memory = Memory::default();
        memory.remember(0, 10, entry(11, &[("a", 1)]));
        for (name, revision, out, published) in
            [("a", 1, false, false), ("a", 2, false, true), ("a", 2, true, false), ("b", 1, false, true), ("b", 1, true, false)]
        {
            let publication = publishes(&row(name), state(revision, out), &memory);
            assert_eq!(publication.is_some(), published, "{name} {revision} {out}");
        }
    }

    #[test]
    fn the_position_never_passes_what_is_not_copied() {
        let mut memory = Memory::default();
        memory.remember(3, 10, entry(11, &[("a", 1)]));
        memory.remember(3, 12, entry(14, &[("b", 1), ("c", 1)]));
        assert_eq!((memory.positions(), memory.len()), (vec![(3, 10)], 3));
        memory.copied(3, 12);
        assert_eq!(memory.positions(), [(3, 10)]);
        assert!(memory.lists(&row("a"), 1) && !memory.lists(&row("b"), 1));
        memory.copied(3, 10);
        assert_eq!((memory.positions(), memory.len()), (vec![(3, 14)], 0));
        // Remembering the same receipts again (they were read again) changes nothing.
        memory.remember(3, 20, entry(21, &[("a", 2)]));
        memory.remember(3, 20, entry(21, &[("a", 2)]));
        memory.copied(3, 20);
        assert!(!memory.lists(&row("a"), 2));
    }
}
