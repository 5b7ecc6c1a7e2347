//! Receipts: the outbox's memory, as a changelog is a state store's.
//!
//! A record of `dvss.receipts` lists what one transaction published for one input partition, and lies
//! in the partition of that number. Whoever draws up the books reads those that are not copied yet.

use std::collections::HashMap;

use bytes::Bytes;
use contract::topics;
use ports::Log;
use ports::log::{Coordinates, Error, Offset, Partition, RawRecord, Record};
use serde::{Deserialize, Serialize};

use crate::outbox::RowRef;

/// The group whose offsets say how far receipts are copied into the rows. It has no members.
pub const COPIED_GROUP: &str = "dvss.outbox.copied";

/// Most bytes of one record.
pub const MOST_BYTES: usize = 512 * 1_024;

/// One row's revision, and where its public record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The row.
    pub row: RowRef,
    /// Which revision of it.
    pub revision: u32,
    /// The public topic.
    pub topic: String,
    /// The public record's partition.
    pub partition: u32,
    /// The public record's offset.
    pub offset: Offset,
}

impl Receipt {
    /// Where the public record is.
    pub fn coordinates(&self) -> Coordinates {
        let partition = Partition { topic: self.topic.as_str().into(), index: self.partition };
        Coordinates { partition, offset: self.offset }
    }
}

/// The records that carry `receipts` for the input partition with this number, none above
/// [`MOST_BYTES`].
pub fn records(input: u32, receipts: &[Receipt]) -> Vec<Record> {
    let mut lists: Vec<Vec<u8>> = Vec::new();
    for receipt in receipts {
        let text = serde_json::to_vec(receipt).unwrap_or_default();
        match lists.last_mut() {
            Some(list) if list.len() + text.len() + 2 <= MOST_BYTES => {
                list.push(b',');
                list.extend(text);
            }
            _ => lists.push([b"[", text.as_slice()].concat()),
        }
    }
    let record = |mut list: Vec<u8>| {
        list.push(b']');
        Record {
            topic: topics::RECEIPTS.into(),
            partition: Some(input),
            key: None,
            value: Bytes::from(list),
            headers: Vec::new(),
        }
    };
    lists.into_iter().map(record).collect()
}

/// Records of one read.
const PAGE: usize = 100;

/// Committed receipts that are not copied into their rows yet: where each row's revision was published.
/// What is no receipt is passed over; copying halts at it.
pub async fn uncopied(log: &dyn Log) -> Result<HashMap<(RowRef, u32), Coordinates>, Error> {
    let mut found = HashMap::new();
    let ends = log.ends(topics::RECEIPTS).await?;
    let copied = log.committed(COPIED_GROUP, topics::RECEIPTS).await?;
    for (index, ends) in (0_u32..).zip(&ends) {
        let partition = Partition::new(topics::RECEIPTS, index);
        let copied = usize::try_from(index).ok().and_then(|index| copied.get(index).copied().flatten());
        let mut position = copied.unwrap_or(0).max(ends.start);
        while position < ends.stable {
            let (page, next) = log.read(&partition, position, PAGE).await?;
            for receipt in page.iter().filter_map(read).flatten() {
                let at = receipt.coordinates();
                found.insert((receipt.row, receipt.revision), at);
            }
            if next <= position {
                break;
            }
            position = next;
        }
    }
    Ok(found)
}

/// Reads a record of `dvss.receipts`.
pub fn read(record: &RawRecord) -> Option<Vec<Receipt>> {
    serde_json::from_slice(&record.value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_split_and_read_back() {
        let receipt = |offset| Receipt {
            row: RowRef { table: "dvss_effects".to_owned(), pk: "x".repeat(1_000), sk: "A".to_owned() },
            revision: 1,
            topic: "t".to_owned(),
            partition: 3,
            offset,
        };
        let receipts: Vec<Receipt> = (0..1_000).map(receipt).collect();
        let records = records(7, &receipts);
        assert!(records.len() > 1);
        let mut back = Vec::new();
        for record in records {
            assert!(record.value.len() <= MOST_BYTES && record.partition == Some(7));
            back.extend(
                read(&RawRecord {
                    partition: Partition { topic: record.topic, index: 7 },
                    offset: 0,
                    timestamp: 0,
                    key: None,
                    value: record.value,
                    headers: Vec::new(),
                })
                .expect("a list"),
            );
        }
        assert_eq!(back, receipts);
        assert!(super::records(7, &[]).is_empty());
    }
}
