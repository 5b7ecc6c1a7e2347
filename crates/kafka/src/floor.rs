//! The floor: what the clients alone cost on one hop. Records in, as many records and bytes out as a stage would
//! put there, in transactions, with the settings of a stage's clients; nothing is read of them, nothing is kept.
//! Benchmarks compare a stage with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ports::log::Error;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::cluster::rest;
use crate::config::{self, Role};
use crate::error;
use crate::options::Options;

/// Longest wait for the next record.
const PATIENCE: Duration = Duration::from_secs(60);
/// Looks at what is on its way.
const GLANCE: Duration = Duration::from_micros(300);

/// One hop.
#[derive(Debug, Clone)]
pub struct Hop<'a> {
    /// Topic that is read from its start. The group needs offsets there.
    pub input: &'a str,
    /// Topic that is written.
    pub output: &'a str,
    /// Group, and transactional id.
    pub group: &'a str,
    /// Records of `input`.
    pub records: u64,
    /// Most of them in a transaction.
    pub together: usize,
}

/// What goes out for a record: so many records alike.
#[derive(Debug, Clone, Copy)]
pub struct Copies {
    /// How many.
    pub count: usize,
    /// Bytes of the value of each.
    pub bytes: usize,
}

/// What it came to, the first transaction left out: it does what is done once.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// Records.
    pub records: u64,
    /// From the first commit to the last one.
    pub elapsed: Duration,
    /// Processor time of this process meanwhile, as the caller counts it.
    pub cpu: Duration,
    /// Transactions.
    pub transactions: u64,
}

/// Headers of every record that goes out, as a fact has them: a vendor, and an ingest id.
const HEADERS: [(&str, &[u8]); 2] =
    [("dvss-vendor-id", b"bench"), ("dvss-ingest-id", b"01J0000000ABCDEFGHJKMNPQRS")];
/// Most bytes of a value that goes out.
const MOST_BYTES: usize = 4_096;

/// Counts records that the broker refused.
#[derive(Default)]
struct Refused(AtomicU64);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs the hop, on the calling thread, which it blocks. `copies` says what goes out for a record's value; `cpu`
/// what this process has used of the processors so far.
///
/// # Errors
/// Where Kafka does not take part; nothing is tried again.
pub fn run(
    options: &Options,
    hop: &Hop<'_>,
    copies: impl Fn(&[u8]) -> Copies,
    cpu: impl Fn() -> Duration,
) -> Result<Floor, Error> {
    let failed = |error: KafkaError| error::plain(&error, hop.group);
    let member = Role::Member { group: hop.group.to_owned(), member: hop.group.to_owned() };
    let consumer: BaseConsumer = config::of(options, &member).create().map_err(failed)?;
    let producer: ThreadedProducer<Refused> =
        config::of(options, &Role::Transactions { id: hop.group.to_owned() })
            .create_with_context(Refused::default())
            .map_err(failed)?;
    let most = options.transaction_timeout;
    producer.init_transactions(most).map_err(failed)?;
    consumer.subscribe(&[hop.input]).map_err(failed)?;

    let value = [b'x'; MOST_BYTES];
    let mut first: Option<(Instant, Duration, u64)> = None;
    let (mut read, mut transactions, mut heard) = (0, 0, Instant::now());
    while read < hop.records {
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        let mut some = 0;
        while some < hop.together && read < hop.records {
            let wait = Duration::from_millis(if some == 0 { 100 } else { 0 });
            let Some(message) = consumer.poll(wait) else {
                if some > 0 {
                    break;
                }
                if heard.elapsed() > PATIENCE {
                    return Err(Error::Unavailable(format!("{} gives no more records", hop.input)));
                }
                continue;
            };
            let message = message.map_err(failed)?;
            heard = Instant::now();
            if some == 0 {
                producer.begin_transaction().map_err(failed)?;
            }
            let Copies { count, bytes } = copies(message.payload().unwrap_or_default());
            for _ in 0..count {
                let key = message.key().unwrap_or_default();
                send(&producer, hop.output, key, &value[..bytes.min(MOST_BYTES)]).map_err(failed)?;
            }
            next.insert(message.partition(), message.offset() + 1);
            (read, some) = (read + 1, some + 1);
        }
        let mut places = TopicPartitionList::new();
        for (partition, offset) in next {
            places.add_partition_offset(hop.input, partition, Offset::Offset(offset)).map_err(failed)?;
        }
        // With something in flight the client's own waits go in steps of a tenth of a second.
        while producer.in_flight_count() > 0 {
            rest(GLANCE);
        }
        let group = consumer.group_metadata().ok_or_else(|| Error::Abort("no group".to_owned()))?;
        producer.send_offsets_to_transaction(&places, &group, most).map_err(failed)?;
        producer.commit_transaction(most).map_err(failed)?;
        transactions += 1;
        first.get_or_insert_with(|| (Instant::now(), cpu(), read));
    }
    let (begun, cpu_before, first) = first.unwrap_or_else(|| (Instant::now(), cpu(), read));
    let floor = Floor {
        records: read - first,
        elapsed: begun.elapsed(),
        cpu: cpu().saturating_sub(cpu_before),
        transactions: u64::saturating_sub(transactions, 1),
    };
    consumer.unsubscribe();
    match producer.context().0.load(Ordering::Relaxed) {
        0 => Ok(floor),
        refused => Err(Error::Abort(format!("{refused} records were refused"))),
    }
}

fn send(
    producer: &ThreadedProducer<Refused>,
    topic: &str,
    key: &[u8],
    value: &[u8],
) -> Result<(), KafkaError> {
    let headers =
        HEADERS.iter().fold(OwnedHeaders::new_with_capacity(HEADERS.len()), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(*value) })
        });
    let mut record = BaseRecord::to(topic).key(key).payload(value).headers(headers);
    while let Err((error, back)) = producer.send(record) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        record = back;
        rest(GLANCE);
    }
    Ok(())
}
