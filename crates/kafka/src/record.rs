//! Records, to and from the client's form.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use ports::log::{Partition, RawRecord, Record};
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::IntoOpaque;

/// A partition's number as the client has it.
pub fn index(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Bytes of a record: key, value and headers.
pub fn size(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.len() + headers
}

/// What a header takes in memory beside its bytes.
const HEADER: usize = 64;

/// Bytes that a record takes in memory, as it was read.
pub fn raw_size(record: &RawRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + HEADER).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.len() + headers
}

/// What a header is called whose name is not UTF-8; its value is not known.
pub const UNREADABLE: &str = "\u{fffd}";

/// A record for the client.
pub fn outgoing<O: IntoOpaque>(record: &Record, partition: u32, opaque: O) -> BaseRecord<'_, [u8], [u8], O> {
    let mut out = BaseRecord::with_opaque_to(&record.topic, opaque)
        .partition(index(partition))
        .payload(record.value.as_ref());
    if let Some(key) = &record.key {
        out = out.key(key.as_ref());
    }
    if !record.headers.is_empty() {
        let empty = OwnedHeaders::new_with_capacity(record.headers.len());
        let headers = record.headers.iter().fold(empty, |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value.as_ref()) })
        });
        out = out.headers(headers);
    }
    out
}

/// A record from the client; `partition` is where it says it is.
pub fn incoming(message: &BorrowedMessage<'_>, partition: Partition) -> RawRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        // The client's binding panics at a name that is not UTF-8, which whoever may write can send.
        let read = |index| catch_unwind(AssertUnwindSafe(|| headers.get(index)));
        let copied = |index| match read(index) {
            Ok(header) => {
                (header.key.to_owned(), header.value.map_or_else(Bytes::new, Bytes::copy_from_slice))
            }
            Err(_) => (UNREADABLE.to_owned(), Bytes::new()),
        };
        (0..headers.count()).map(copied).collect()
    });
    RawRecord {
        partition,
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map_or_else(Bytes::new, Bytes::copy_from_slice),
        headers,
    }
}

/// Partitions with an offset each, for the client.
pub fn list<'a>(
    places: impl IntoIterator<Item = (&'a Partition, rdkafka::Offset)>,
) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in places {
        list.add_partition_offset(&partition.topic, index(partition.index), offset)?;
    }
    Ok(list)
}

/// Partitions alone, for the client.
pub fn names(partitions: &[Partition]) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    list(partitions.iter().map(|partition| (partition, rdkafka::Offset::Invalid)))
}

/// The client's list as partitions and what it says of each: an offset, where it has one.
pub fn listed(
    list: &TopicPartitionList,
) -> Vec<(Partition, Result<Option<i64>, rdkafka::error::KafkaError>)> {
    let elements = list.elements();
    let read = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        let partition = Partition::new(
            Arc::<str>::from(element.topic()),
            u32::try_from(element.partition()).unwrap_or(0),
        );
        let offset = match element.offset() {
            rdkafka::Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        (partition, element.error().map(|()| offset))
    };
    elements.iter().map(read).collect()
}
