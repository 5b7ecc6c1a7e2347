//! What only a real broker shows, beyond the port's contract.

mod stack;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka::{Creation, KafkaLog, Mechanism, Sasl, Secret};
use ports::Log;
use ports::log::{Batch, Consumer, Error, First, Partition, Producer, Record, next};
use tokio::time::{Instant, timeout};

use stack::Stack;

const PATIENCE: Duration = Duration::from_secs(60);

fn record(topic: &str, partition: u32, value: impl Into<Bytes>) -> Record {
    let value = value.into();
    Record { topic: topic.into(), partition: Some(partition), key: None, value, headers: vec![] }
}

/// A member that copies what it reads, and its producer.
struct Copier {
    consumer: Box<dyn Consumer>,
    producer: Box<dyn Producer>,
    out: String,
    held: Vec<Partition>,
}

impl Copier {
    async fn start(stack: &Stack, name: &str) -> Self {
        let (group, from) = (stack.name("group"), stack.name("in"));
        let consumer = stack.log.join(&group, name, &[&from], First::Committed).await.expect("a consumer");
        let producer = stack.log.producer(&stack.name(name)).await.expect("a producer");
        Self { consumer, producer, out: stack.name("out"), held: vec![] }
    }

    async fn poll(&mut self) -> Batch {
        let batch = self.consumer.poll(20, Duration::from_millis(50)).await.expect("a poll");
        if let Some(assigned) = &batch.assigned {
            self.held.clone_from(assigned);
        }
        batch
    }

    /// Polls until there are records.
    async fn some(&mut self) -> Batch {
        let began = Instant::now();
        loop {
            let batch = self.poll().await;
            if !batch.records.is_empty() {
                return batch;
            }
            assert!(began.elapsed() < PATIENCE, "nothing comes");
        }
    }

    /// Copies a batch in one transaction, or tells why not.
    async fn copy(&mut self, batch: &Batch) -> Result<(), Error> {
        let records = batch.records.iter();
        let copies = records.clone().map(|read| record(&self.out, 0, read.value.clone())).collect();
        let ends: BTreeMap<Partition, i64> =
            records.map(|read| (read.partition.clone(), next(read.offset))).collect();
        self.producer.begin().await?;
        self.producer.send(copies).await?;
        self.producer.commit(&batch.owner, &ends.into_iter().collect::<Vec<_>>()).await
    }

    /// One turn, as a stage's loop makes it.
    async fn turn(&mut self) {
        let batch = self.poll().await;
        if batch.records.is_empty() {
            return;
        }
        match self.copy(&batch).await {
            Ok(()) => {}
            Err(Error::Abort(_)) => {
                self.producer.abort().await.expect("an abort");
                let mut firsts: BTreeMap<Partition, i64> = BTreeMap::new();
                for read in batch.records {
                    firsts.entry(read.partition).or_insert(read.offset);
                }
                for (partition, offset) in firsts {
                    // What was lost meanwhile is not ours to rewind.
                    let _ = self.consumer.rewind(&partition, offset, Duration::ZERO).await;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// What the first partition has, when no transaction is open in it: a commit is answered before its markers are
/// written.
async fn values(stack: &Stack, topic: &str) -> Vec<String> {
    let partition = Partition::new(topic, 0);
    let began = Instant::now();
    loop {
        let ends = stack.log.ends(topic).await.expect("ends")[0];
        if ends.stable == ends.uncommitted {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "a transaction stays open: {ends:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let (records, next) = stack.log.read(&partition, from, 1_000).await.expect("it reads");
        if records.is_empty() && next == from {
            return found;
        }
        found.extend(records.iter().map(|read| String::from_utf8_lossy(&read.value).into_owned()));
        from = next;
    }
}

/// Waits until the group has committed everything in its input.
async fn drained(stack: &Stack, copiers: &mut [&mut Copier]) {
    let (group, from) = (stack.name("group"), stack.name("in"));
    let began = Instant::now();
    loop {
        for copier in &mut *copiers {
            copier.turn().await;
        }
        let committed = stack.log.committed(&group, &from).await.expect("offsets");
        let ends = stack.log.ends(&from).await.expect("ends");
        if committed.iter().zip(&ends).all(|(offset, ends)| *offset == Some(ends.uncommitted)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{committed:?} of {ends:?}");
    }
}

async fn input(stack: &Stack, partitions: u32) {
    stack.topic(&stack.name("in"), partitions, &[&stack.name("group")]).await;
    stack.topic(&stack.name("out"), 1, &[]).await;
}

async fn fill(stack: &Stack, partitions: u32, numbers: std::ops::Range<u32>) {
    let topic = stack.name("in");
    let appends = numbers.map(|number| {
        let (log, record) = (&stack.log, record(&topic, number % partitions, number.to_string()));
        async move { log.append(record).await.expect("it is appended") }
    });
    futures::future::join_all(appends).await;
}

fn sorted(mut values: Vec<String>) -> Vec<u32> {
    let mut numbers: Vec<u32> = values.drain(..).map(|value| value.parse().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_stalls_past_its_session_loses_its_batch_and_nothing_is_there_twice() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 2).await;
    fill(&stack, 2, 0..40).await;
    let mut stalled = Copier::start(&stack, "a").await;
    let batch = stalled.some().await;
    // Everything it read is taken from it while it does not poll, and copied by another.
    let mut other = Copier::start(&stack, "b").await;
    drained(&stack, &mut [&mut other]).await;
    let error = stalled.copy(&batch).await.expect_err("it lost its partitions");
    // Its session, or with it the time of its transaction.
    assert!(matches!(error, Error::Abort(_)), "{error}");
    stalled.producer.abort().await.expect("an abort");
    fill(&stack, 2, 40..60).await;
    drained(&stack, &mut [&mut stalled, &mut other]).await;
    assert!(sorted(values(&stack, &stack.name("out")).await).into_iter().eq(0..60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go_under_load_and_every_record_is_copied_once() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 4).await;
    let mut first = Copier::start(&stack, "a").await;
    let mut second = None;
    let mut rebalances = 0;
    for round in 0..12 {
        fill(&stack, 4, round * 50..(round + 1) * 50).await;
        match round {
            3 => second = Some(Copier::start(&stack, "b").await),
            8 => {
                let leaving = second.take().expect("it joined");
                leaving.consumer.leave().await.expect("it leaves");
            }
            _ => {}
        }
        let held = first.held.len();
        // Long enough for a rebalance to be in the middle of it.
        for _ in 0..15 {
            first.turn().await;
            if let Some(second) = &mut second {
                second.turn().await;
            }
        }
        rebalances += usize::from(first.held.len() != held);
    }
    drained(&stack, &mut [&mut first]).await;
    assert!(rebalances >= 2, "the group was rebalanced {rebalances} times");
    assert!(sorted(values(&stack, &stack.name("out")).await).into_iter().eq(0..600));
}

/// Paused by a rewind, then another member's, then its own again: the pause went with the partition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_was_paused_when_it_moved_is_read_when_it_comes_back() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 2).await;
    fill(&stack, 2, 0..40).await;
    let mut first = Copier::start(&stack, "a").await;
    while first.held.len() < 2 {
        first.poll().await;
    }
    for index in 0..2 {
        let partition = Partition::new(stack.name("in"), index);
        first.consumer.rewind(&partition, 0, Duration::from_hours(1)).await.expect("it is held");
    }
    let mut second = Copier::start(&stack, "b").await;
    let began = Instant::now();
    while first.held.len() != 1 || second.held.len() != 1 {
        assert!(began.elapsed() < PATIENCE, "they share: {:?} {:?}", first.held, second.held);
        first.poll().await;
        second.poll().await;
    }
    second.consumer.leave().await.expect("it leaves");
    drained(&stack, &mut [&mut first]).await;
    assert!(sorted(values(&stack, &stack.name("out")).await).into_iter().eq(0..40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_was_given_up_loses_nothing() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 1).await;
    let mut member = Copier::start(&stack, "a").await;
    let long = Duration::from_secs(600);
    let given_up = timeout(Duration::from_millis(300), member.consumer.poll(10, long)).await;
    fill(&stack, 1, 0..5).await;
    drop(given_up);
    // The thread may have the records in hand for the call that nobody waits for.
    for _ in 0..20 {
        let polled = timeout(Duration::from_millis(3), member.consumer.poll(10, long)).await;
        if let Ok(Ok(batch)) = polled {
            let seen: Vec<_> = batch.records.iter().map(|read| read.offset).collect();
            assert!(seen.is_empty() || seen[0] == 0, "{seen:?}");
            if !seen.is_empty() {
                return;
            }
        }
    }
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "the records are lost");
        let Ok(batch) = member.consumer.poll(10, Duration::from_millis(50)).await else { continue };
        if let Some(first) = batch.records.first() {
            assert_eq!(first.offset, 0);
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_the_topic_does_not_take_dooms_its_transaction() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 1).await;
    let narrow = stack.name("narrow");
    let config = BTreeMap::from([("max.message.bytes".to_owned(), "2000".to_owned())]);
    let creation = Creation { name: narrow.clone(), partitions: 1, replicas: 1, config };
    stack.admin.create(&creation).await.expect("a topic");
    let large = || record(&narrow, 0, vec![7; 3_000]);
    let error = stack.log.append(large()).await.expect_err("it is too large");
    assert!(matches!(error, Error::TooLarge { size: 3_000, most } if most < 3_000), "{error}");

    fill(&stack, 1, 0..1).await;
    let mut member = Copier::start(&stack, "a").await;
    let batch = member.some().await;
    member.producer.begin().await.expect("a transaction");
    let sent = member.producer.send(vec![record(&narrow, 0, "small"), large()]).await;
    assert!(matches!(sent, Err(Error::TooLarge { size: 3_000, .. })), "{sent:?}");
    let committed = member.producer.commit(&batch.owner, &[]).await;
    assert!(matches!(committed, Err(Error::Abort(_))), "{committed:?}");
    member.producer.abort().await.expect("an abort");
    assert!(values(&stack, &narrow).await.is_empty());
    member.copy(&batch).await.expect("the next transaction is a good one");
    assert_eq!(values(&stack, &stack.name("out")).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_from_anywhere_among_markers_and_aborted_records_miss_nothing() {
    let Some(stack) = Stack::open() else { return };
    input(&stack, 1).await;
    let out = stack.name("out");
    let mut producer = stack.log.producer(&stack.name("id")).await.expect("a producer");
    let member = Copier::start(&stack, "a").await;
    let mut member = member;
    let owner = member.poll().await.owner;
    let mut kept: Vec<(i64, u32)> = Vec::new();
    for number in 0..60_u32 {
        producer.begin().await.expect("a transaction");
        let records: Vec<Record> = (0..=number % 3).map(|_| record(&out, 0, number.to_string())).collect();
        let placed = producer.send(records).await.expect("records are placed");
        if number % 4 == 1 {
            producer.abort().await.expect("an abort");
        } else {
            producer.commit(&owner, &[]).await.expect("a commit");
            kept.extend(placed.iter().map(|place| (place.offset, number)));
        }
    }
    let partition = Partition::new(out.as_str(), 0);
    let began = Instant::now();
    let end = loop {
        let ends = stack.log.ends(&out).await.expect("ends")[0];
        if ends.stable == ends.uncommitted {
            break ends.stable;
        }
        assert!(began.elapsed() < PATIENCE, "{ends:?}");
    };
    // Many readers at once, each from another place, in pages of another size.
    let readers = (0..end).step_by(3).map(|from| {
        let (log, partition, kept) = (stack.log.clone(), partition.clone(), kept.clone());
        async move {
            let limit = 1 + usize::try_from(from % 7).expect("it is small") * 5;
            let (mut at, mut read) = (from, Vec::new());
            while at < end {
                let (records, next) = log.read(&partition, at, limit).await.expect("it reads");
                assert!(next > at && records.len() <= limit, "from {at}");
                read.extend(records.iter().map(|record| record.offset));
                at = next;
            }
            assert_eq!(at, end);
            let expected: Vec<i64> =
                kept.iter().map(|(offset, _)| *offset).filter(|offset| *offset >= from).collect();
            assert_eq!(read, expected, "from {from} by {limit}");
        }
    });
    futures::future::join_all(readers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_not_there_is_named_by_whoever_joins() {
    let Some(stack) = Stack::open() else { return };
    let name = stack.name("absent");
    let Err(error) = stack.log.join("group", "one", &[&name], First::Committed).await else {
        panic!("it joined")
    };
    assert_eq!(error, Error::Missing(name));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_unavailable_in_every_call() {
    // Nothing listens there: the port was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let mut options = stack::options(address);
    options.request_timeout = Duration::from_millis(300);
    options.append_timeout = Duration::from_millis(300);
    options.transaction_timeout = Duration::from_millis(1_500);
    let log = KafkaLog::open(options).expect("clients are made without a broker");
    let partition = Partition::new("t", 0);
    let mut outcomes = vec![
        log.partitions("t").await.map(drop),
        log.ends("t").await.map(drop),
        log.committed("g", "t").await.map(drop),
        log.set_committed("g", &[(partition.clone(), 0)]).await,
        log.read(&partition, 0, 1).await.map(drop),
        log.append(record("t", 0, "x")).await.map(drop),
        log.join("g", "m", &["t"], First::Committed).await.map(drop),
    ];
    outcomes.push(log.producer("id").await.map(drop));
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "call {index}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_unavailable_and_the_password_is_not_told() {
    let Some(brokers) = stack::server("kafka") else { return };
    let mut options = stack::options(brokers);
    options.request_timeout = Duration::from_secs(1);
    options.security.sasl = Some(Sasl {
        mechanism: Mechanism::Plain,
        username: "somebody".to_owned(),
        password: Secret::new("hunter2"),
    });
    let log = KafkaLog::open(options).expect("clients");
    let error = log.partitions("t").await.expect_err("the broker has no accounts");
    assert!(matches!(&error, Error::Unavailable(message) if !message.contains("hunter2")), "{error}");
}

#[test]
fn properties_that_librdkafka_does_not_take_are_named_without_their_values() {
    for (name, value) in [("no.such.property", "hunter2"), ("linger.ms", "hunter2")] {
        let mut options = stack::options("127.0.0.1:1".to_owned());
        options.properties.0.insert(name.to_owned(), value.to_owned());
        let Err(error) = KafkaLog::open(options) else { panic!("{name} is taken") };
        let error = error.to_string();
        assert!(error.contains(name) && !error.contains("hunter2"), "{error}");
    }
}
