//! Where reading goes on, and when it must not.

use std::collections::BTreeMap;

use super::*;

/// A member that takes a partition over reads on from the committed offset.
pub async fn a_group_goes_on_where_it_committed(harness: &dyn LogHarness) {
    let case = "a_group_goes_on_where_it_committed";
    let (log, topic, mut first) = alone(harness, case).await;
    append_all(&*log, &topic, 0, &["a", "b", "c"]).await;
    first.take(harness.patience(), 3).await;
    let behind = next(first.records[1].offset);
    let mut producer = begun(&*log, case).await;
    producer.commit(&first.owner(), &[(Partition::new(topic.as_str(), 0), behind)]).await.expect("a commit");
    drop(first);
    let mut second = Member::join(&*log, case, "two", &[&topic]).await;
    second.take(harness.patience(), 1).await;
    assert_eq!(values(&second.records), ["c"]);
}

/// A poll that waits returns when a record is there; it does not wait for its time to be over.
pub async fn a_waiting_poll_hears_of_a_record(harness: &dyn LogHarness) {
    let case = "a_waiting_poll_hears";
    let (log, topic, mut member) = alone(harness, case).await;
    let long = harness.patience() * 100;
    let append = log.append(plain(&topic, "news"));
    let both = async { tokio::join!(member.consumer.poll(10, long), append) };
    let (batch, appended) = tokio::time::timeout(harness.patience(), both).await.expect("the poll returns");
    appended.expect("the log takes a record");
    assert_eq!(values(&batch.expect("a poll").records), ["news"]);
}

/// A poll without records returns, with a proof of ownership, and without an assignment that did not
/// change.
pub async fn a_poll_waits_no_longer_than_asked(harness: &dyn LogHarness) {
    let case = "a_poll_waits_no_longer";
    let (_, _, mut member) = alone(harness, case).await;
    for wait in [Duration::ZERO, Duration::from_millis(20)] {
        let poll = member.consumer.poll(10, wait);
        let batch = tokio::time::timeout(harness.patience(), poll).await.expect("the poll returns");
        let batch = batch.expect("a poll");
        assert!(batch.records.is_empty() && batch.assigned.is_none());
    }
}

/// After a rewind the records come again from there on, in order.
pub async fn rewinding_repeats_what_was_read(harness: &dyn LogHarness) {
    let case = "rewinding_repeats";
    let (log, topic, mut member) = alone(harness, case).await;
    append_all(&*log, &topic, 0, &["a", "b", "c"]).await;
    member.take(harness.patience(), 3).await;
    let second = member.records[1].offset;
    let partition = Partition::new(topic.as_str(), 0);
    for pause in [Duration::ZERO, Duration::from_millis(30)] {
        member.records.clear();
        member.consumer.rewind(&partition, second, pause).await.expect("it goes back");
        member.take(harness.patience(), 2).await;
        assert_eq!(values(&member.records), ["b", "c"]);
    }
}

/// A partition that is paused by a rewind gives nothing, while the others go on.
pub async fn a_paused_partition_stops_nobody_else(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "a_paused_partition");
    harness.topic(topic, 2, &[topic]).await;
    let mut member = Member::join(&*log, topic, "one", &[topic]).await;
    settle(harness.patience(), &mut [&mut member], 2).await;
    append_all(&*log, topic, 0, &["paused"]).await;
    member.take(harness.patience(), 1).await;
    let long = harness.patience() * 100;
    let paused = member.records[0].clone();
    member.consumer.rewind(&paused.partition, paused.offset, long).await.expect("it goes back");
    member.records.clear();
    append_all(&*log, topic, 1, &["x", "y"]).await;
    append_all(&*log, topic, 0, &["behind"]).await;
    member.take(harness.patience(), 2).await;
    member.turn().await.expect("a poll");
    assert_eq!(values(&member.records), ["x", "y"]);
    // Another rewind ends the pause.
    member.records.clear();
    member.consumer.rewind(&paused.partition, paused.offset, Duration::ZERO).await.expect("it goes back");
    member.take(harness.patience(), 2).await;
    assert_eq!(values(&member.records), ["paused", "behind"]);
}

/// A long backlog in one partition does not keep the records of another one away.
pub async fn no_partition_starves(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "no_partition_starves");
    harness.topic(topic, 3, &[topic]).await;
    // Both are being read when their records come, and these lie ready before anybody polls.
    append_all(&*log, topic, 0, &["first"]).await;
    append_all(&*log, topic, 2, &["first"]).await;
    let mut member = Member::join(&*log, topic, "one", &[topic]).await;
    member.take(harness.patience(), 2).await;
    member.records.clear();
    append_all(&*log, topic, 0, &["long"; 60]).await;
    append_all(&*log, topic, 2, &["short"; 2]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    member.take(harness.patience(), 40).await;
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for record in &member.records {
        *seen.entry(record.partition.index).or_default() += 1;
    }
    assert_eq!(seen.get(&2), Some(&2), "{seen:?}");
    member.take(harness.patience(), 62).await;
    let mut last: BTreeMap<Partition, i64> = BTreeMap::new();
    for record in &member.records {
        let before = last.insert(record.partition.clone(), record.offset);
        assert!(before.is_none_or(|before| before < record.offset), "a partition's records ascend");
    }
}

/// Where a group has no committed offset, polling halts; it neither skips nor starts over.
pub async fn a_missing_offset_halts(harness: &dyn LogHarness) {
    let case = "a_missing_offset_halts";
    let log = harness.log();
    harness.topic(case, 1, &[]).await;
    append_all(&*log, case, 0, &["a"]).await;
    assert_eq!(log.committed(case, case).await, Ok(vec![None]));
    let mut member = Member::join(&*log, case, "one", &[case]).await;
    for _ in 0..2 {
        match member.fails(harness.patience()).await {
            Error::OutOfRange { group, partition, offset, start, end } => {
                assert_eq!((group.as_str(), partition), (case, Partition::new(case, 0)));
                assert_eq!((offset, start, end), (-1, 0, 1));
            }
            other => panic!("{other}"),
        }
    }
    member.consumer.leave().await.expect("it leaves");
    log.set_committed(case, &[(Partition::new(case, 0), 0)]).await.expect("an administrator sets it");
    let mut member = Member::join(&*log, case, "one", &[case]).await;
    member.take(harness.patience(), 1).await;
}

/// A group that begins at 0 where it never was, reads a topic that somebody else made from its start, and
/// goes on where it committed.
pub async fn a_group_may_begin_at_zero(harness: &dyn LogHarness) {
    let case = "a_group_may_begin_at_zero";
    let log = harness.log();
    harness.topic(case, 1, &[]).await;
    append_all(&*log, case, 0, &["a", "b"]).await;
    let mut member = Member::first(&*log, case, "one", &[case], First::Zero).await;
    member.take(harness.patience(), 2).await;
    assert_eq!(values(&member.records), ["a", "b"]);
    let behind = next(member.records[0].offset);
    let mut producer = begun(&*log, case).await;
    producer.commit(&member.owner(), &[(Partition::new(case, 0), behind)]).await.expect("a commit");
    member.consumer.leave().await.expect("it leaves");
    let mut member = Member::first(&*log, case, "one", &[case], First::Zero).await;
    member.take(harness.patience(), 1).await;
    assert_eq!(values(&member.records), ["b"]);
}

/// Where the log no longer reaches back to 0, such a group halts: records are gone that it never read.
pub async fn a_start_that_is_gone_halts(harness: &dyn LogHarness) {
    let case = "a_start_that_is_gone";
    let log = harness.log();
    harness.topic(case, 1, &[]).await;
    append_all(&*log, case, 0, &["a", "b"]).await;
    harness.truncate(&Partition::new(case, 0), 1).await;
    let mut member = Member::first(&*log, case, "one", &[case], First::Zero).await;
    let error = member.fails(harness.patience()).await;
    assert!(matches!(error, Error::OutOfRange { offset: 0, start: 1, .. }), "{error}");
}

/// Topics are found by how their names begin.
pub async fn topics_are_found_by_prefix(harness: &dyn LogHarness) {
    let log = harness.log();
    for name in ["found.by.b", "found.by.a", "found.other"] {
        harness.topic(name, 1, &[]).await;
    }
    assert_eq!(log.topics("found.by.").await, Ok(vec!["found.by.a".to_owned(), "found.by.b".to_owned()]));
    assert_eq!(log.topics("found.no").await, Ok(vec![]));
}

/// Where the committed offset's records are gone, polling halts.
pub async fn an_offset_below_the_start_halts(harness: &dyn LogHarness) {
    let case = "an_offset_below_the_start";
    let (log, topic, mut member) = alone(harness, case).await;
    append_all(&*log, &topic, 0, &["a", "b", "c"]).await;
    let partition = Partition::new(topic.as_str(), 0);
    member.take(harness.patience(), 3).await;
    let third = member.records[2].offset;
    member.consumer.rewind(&partition, member.records[0].offset, Duration::ZERO).await.expect("it goes back");
    harness.truncate(&partition, third).await;
    let error = member.fails(harness.patience()).await;
    assert!(matches!(error, Error::OutOfRange { offset: 0, .. }), "{error}");
    drop(member);
    let mut successor = Member::join(&*log, case, "two", &[&topic]).await;
    let error = successor.fails(harness.patience()).await;
    assert!(matches!(error, Error::OutOfRange { offset: 0, start, .. } if start == third), "{error}");
    assert_eq!(log.ends(&topic).await.expect("a topic has ends")[0].start, third);
    // Readers without a group go on with what is kept.
    assert_eq!(committed_values(&*log, &topic, 0).await, ["c"]);
}

/// Where the committed offset lies behind the end, polling halts: the log was cut or made anew.
pub async fn an_offset_behind_the_end_halts(harness: &dyn LogHarness) {
    let case = "an_offset_behind_the_end";
    let log = harness.log();
    harness.topic(case, 1, &[case]).await;
    append_all(&*log, case, 0, &["a"]).await;
    log.set_committed(case, &[(Partition::new(case, 0), 7)]).await.expect("an administrator sets it");
    let mut member = Member::join(&*log, case, "one", &[case]).await;
    let error = member.fails(harness.patience()).await;
    assert!(matches!(error, Error::OutOfRange { offset: 7, end: 1, .. }), "{error}");
}

/// Offsets are set from outside only while nobody is in the group.
pub async fn offsets_are_set_only_without_members(harness: &dyn LogHarness) {
    let case = "offsets_are_set_only_without";
    let (log, topic, member) = alone(harness, case).await;
    append_all(&*log, &topic, 0, &["a", "b"]).await;
    let to = [(Partition::new(topic.as_str(), 0), 1)];
    let error = log.set_committed(case, &to).await.expect_err("the group has a member");
    assert!(matches!(&error, Error::GroupNotEmpty(group) if group == case), "{error}");
    assert_eq!(log.committed(case, &topic).await, Ok(vec![Some(0)]));
    member.consumer.leave().await.expect("it leaves");
    log.set_committed(case, &to).await.expect("nobody is in the group");
    let mut member = Member::join(&*log, case, "one", &[&topic]).await;
    member.take(harness.patience(), 1).await;
    assert_eq!(values(&member.records), ["b"]);
}
