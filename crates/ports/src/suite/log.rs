//! What a [`Log`] promises, one case a promise.
//!
//! `ports::log_suite!(#[tokio::test] open)` makes a test of every case, where `open().await` returns an
//! `Option` of a [`LogHarness`]: `None`, said aloud by `open`, where there is no server. Every case has topics, groups and transactional ids of its own name, so that a
//! broker may be shared. Nothing is asserted about how long something takes; what must happen in the
//! end is polled for, within [`LogHarness::patience`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::log::{Batch, Consumer, Error, First, Log, Owner, Partition, Producer, RawRecord, Record, next};

pub mod groups;
pub mod offsets;
pub mod records;
pub mod transactions;

/// An implementation under test, and what only an administrator may do to it.
#[async_trait]
pub trait LogHarness: Send + Sync {
    /// The log.
    fn log(&self) -> Arc<dyn Log>;
    /// Makes a topic and gives each group its first offsets: 0 in every partition.
    async fn topic(&self, name: &str, partitions: u32, groups: &[&str]);
    /// Moves the start of a partition to `before`.
    async fn truncate(&self, partition: &Partition, before: i64);
    /// Most bytes of a record that it is configured to take.
    fn max_record_bytes(&self) -> usize;
    /// Longer than sessions and transactions last, by far.
    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

/// A test of every case. `$open` is an async function that returns `Option<impl LogHarness>`.
#[macro_export]
macro_rules! log_suite {
    (#[$test:meta] $open:path) => {
        $crate::log_suite!(@cases #[$test] $open, $crate::suite::log::records:
            records_read_back, a_partition_keeps_its_order, keys_go_where_kafka_puts_them,
            reads_go_on_where_they_ended, appends_at_once_are_all_there, what_is_missing_is_named,
            a_record_too_large_is_refused);
        $crate::log_suite!(@cases #[$test] $open, $crate::suite::log::transactions:
            markers_occupy_offsets, an_open_transaction_is_invisible_and_holds_the_stable_offset,
            an_aborted_transaction_is_never_seen, outputs_and_offsets_are_one,
            an_aborted_transaction_moves_no_offsets, a_successor_aborts_and_fences,
            a_refused_record_dooms_the_transaction, a_transaction_open_for_too_long_is_aborted);
        $crate::log_suite!(@cases #[$test] $open, $crate::suite::log::groups:
            one_member_has_everything, two_and_three_members_share, a_member_that_left_is_replaced_at_once,
            the_last_owner_may_finish_its_batch, a_former_owner_cannot_commit,
            a_namesake_takes_the_place, a_silent_member_loses_its_partitions);
        $crate::log_suite!(@cases #[$test] $open, $crate::suite::log::offsets:
            a_group_goes_on_where_it_committed, a_waiting_poll_hears_of_a_record,
            a_poll_waits_no_longer_than_asked, rewinding_repeats_what_was_read,
            a_paused_partition_stops_nobody_else, no_partition_starves, a_missing_offset_halts,
            a_group_may_begin_at_zero, a_start_that_is_gone_halts, topics_are_found_by_prefix,
            an_offset_below_the_start_halts, an_offset_behind_the_end_halts,
            offsets_are_set_only_without_members);
    };
    (@cases #[$test:meta] $open:path, $module:path: $($case:ident),+ $(,)?) => {
        $(
            #[$test]
            async fn $case() {
                use $module as cases;
                if let Some(harness) = $open().await {
                    cases::$case(&harness).await;
                }
            }
        )+
    };
}

/// A record for a topic.
fn record(topic: &str, partition: Option<u32>, key: Option<&str>, value: &str) -> Record {
    Record {
        topic: topic.into(),
        partition,
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Bytes::copy_from_slice(value.as_bytes()),
        headers: Vec::new(),
    }
}

/// A record without a key for partition 0.
fn plain(topic: &str, value: &str) -> Record {
    record(topic, Some(0), None, value)
}

async fn append_all(log: &dyn Log, topic: &str, partition: u32, values: &[&str]) {
    for value in values {
        log.append(record(topic, Some(partition), None, value)).await.expect("the log takes a record");
    }
}

/// The values of records, as text.
fn values(records: &[RawRecord]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.value).expect("values are text")).collect()
}

/// Everything committed in a partition, from the start.
async fn committed_values(log: &dyn Log, topic: &str, partition: u32) -> Vec<String> {
    let partition = Partition::new(topic, partition);
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let (records, next) = log.read(&partition, from, 100).await.expect("a partition reads");
        if records.is_empty() && next == from {
            return found;
        }
        found.extend(values(&records).into_iter().map(str::to_owned));
        from = next;
    }
}

/// Everything committed in a partition in which no transaction is left open. Its end may reach the
/// partition a moment after its commit or abort was answered.
async fn settled_values(harness: &dyn LogHarness, topic: &str, partition: u32) -> Vec<String> {
    let (log, began) = (harness.log(), tokio::time::Instant::now());
    let index = usize::try_from(partition).expect("it is small");
    loop {
        let ends = log.ends(topic).await.expect("a topic has ends")[index];
        if ends.stable == ends.uncommitted {
            return committed_values(&*log, topic, partition).await;
        }
        assert!(began.elapsed() < harness.patience(), "a transaction is still open: {ends:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A consumer, and all that it has been told.
struct Member {
    consumer: Box<dyn Consumer>,
    owner: Option<Owner>,
    assigned: Option<Vec<Partition>>,
    records: Vec<RawRecord>,
}

impl Member {
    async fn join(log: &dyn Log, group: &str, name: &str, topics: &[&str]) -> Self {
        Self::first(log, group, name, topics, First::Committed).await
    }

    async fn first(log: &dyn Log, group: &str, name: &str, topics: &[&str], first: First) -> Self {
        let consumer = log.join(group, name, topics, first).await.expect("a consumer joins");
        Self { consumer, owner: None, assigned: None, records: Vec::new() }
    }

    /// Polls once.
    async fn turn(&mut self) -> Result<(), Error> {
        let Batch { owner, assigned, records } = self.consumer.poll(10, Duration::from_millis(50)).await?;
        self.owner = Some(owner);
        if assigned.is_some() {
            // Whatever came under the former assignment comes again from the committed offsets.
            self.records.clear();
            self.assigned = assigned;
        }
        self.records.extend(records);
        Ok(())
    }

    /// Polls until it has this many records.
    async fn take(&mut self, patience: Duration, count: usize) {
        let began = tokio::time::Instant::now();
        while self.records.len() < count {
            assert!(began.elapsed() < patience, "{} of {count} records came", self.records.len());
            self.turn().await.expect("a poll");
        }
    }

    /// Polls until that fails.
    async fn fails(&mut self, patience: Duration) -> Error {
        let began = tokio::time::Instant::now();
        loop {
            assert!(began.elapsed() < patience, "the poll goes on working");
            if let Err(error) = self.turn().await {
                return error;
            }
        }
    }

    fn owner(&self) -> Owner {
        self.owner.clone().expect("it has polled")
    }

    fn holds(&self) -> Vec<u32> {
        let mut held: Vec<u32> = self.assigned.iter().flatten().map(|partition| partition.index).collect();
        held.sort_unstable();
        held
    }
}

/// Polls all members in turn until together they hold partitions 0 to `count` once each.
async fn settle(patience: Duration, members: &mut [&mut Member], count: u32) {
    let began = tokio::time::Instant::now();
    loop {
        for member in &mut *members {
            member.turn().await.expect("a poll");
        }
        let mut held: Vec<u32> = members.iter().flat_map(|member| member.holds()).collect();
        held.sort_unstable();
        if members.iter().all(|member| member.assigned.is_some()) && held.into_iter().eq(0..count) {
            return;
        }
        assert!(began.elapsed() < patience, "the group does not settle");
    }
}

/// A topic `<case>-in` of one partition, read by the only member of the group `<case>`.
async fn alone(harness: &dyn LogHarness, case: &str) -> (Arc<dyn Log>, String, Member) {
    let (log, topic) = (harness.log(), format!("{case}-in"));
    harness.topic(&topic, 1, &[case]).await;
    let mut member = Member::join(&*log, case, "one", &[&topic]).await;
    settle(harness.patience(), &mut [&mut member], 1).await;
    (log, topic, member)
}

/// A topic `<case>-out` of two partitions, that nobody reads.
async fn outputs(harness: &dyn LogHarness, case: &str) -> String {
    let topic = format!("{case}-out");
    harness.topic(&topic, 2, &[]).await;
    topic
}

async fn begun(log: &dyn Log, id: &str) -> Box<dyn Producer> {
    let mut producer = log.producer(id).await.expect("a producer");
    producer.begin().await.expect("a transaction begins");
    producer
}
