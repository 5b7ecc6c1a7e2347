//! Transactions: all or nothing, and seen only when they are done.

use super::*;

/// The end of a transaction takes an offset of its own in each partition it wrote to.
pub async fn markers_occupy_offsets(harness: &dyn LogHarness) {
    let case = "markers_occupy_offsets";
    let (log, _, member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    let mut producer = begun(&*log, case).await;
    let placed = producer.send(vec![plain(&out, "a"), plain(&out, "b")]).await.expect("records are placed");
    producer.commit(&member.owner(), &[]).await.expect("a commit");
    assert_eq!(settled_values(harness, &out, 0).await, ["a", "b"]);
    let after = log.append(plain(&out, "c")).await.expect("the log takes a record");
    assert!(after.offset > next(placed[1].offset), "{} leaves no room for a marker", after.offset);
    let (read, _) = log.read(&Partition::new(out.as_str(), 0), 0, 10).await.expect("a partition reads");
    assert_eq!(values(&read), ["a", "b", "c"]);
    let offsets: Vec<i64> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [placed[0].offset, placed[1].offset, after.offset]);
    // From inside the gap, the first record behind it.
    let (read, _) = log.read(&Partition::new(out.as_str(), 0), after.offset - 1, 10).await.expect("it reads");
    assert_eq!(values(&read), ["c"]);
    // A gap at the end leads nowhere, and reading on gets past it.
    let ends = log.ends(&out).await.expect("a topic has ends")[0];
    let (read, end) = log.read(&Partition::new(out.as_str(), 0), ends.stable, 10).await.expect("it reads");
    assert_eq!((read.len(), end), (0, ends.stable));
}

/// Nobody sees records of an open transaction, nor what was appended behind them.
pub async fn an_open_transaction_is_invisible_and_holds_the_stable_offset(harness: &dyn LogHarness) {
    let case = "an_open_transaction_is_invisible";
    let (log, _, member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    append_all(&*log, &out, 0, &["before"]).await;
    let mut producer = begun(&*log, case).await;
    let placed = producer.send(vec![plain(&out, "inside")]).await.expect("records are placed");
    append_all(&*log, &out, 0, &["behind"]).await;
    let ends = log.ends(&out).await.expect("a topic has ends");
    assert_eq!(ends[0].stable, placed[0].offset, "the first offset of the open transaction");
    assert!(ends[0].uncommitted > next(placed[0].offset));
    assert_eq!(ends[1].stable, ends[1].uncommitted, "other partitions are not held");
    assert_eq!(committed_values(&*log, &out, 0).await, ["before"]);
    producer.commit(&member.owner(), &[]).await.expect("a commit");
    assert_eq!(settled_values(harness, &out, 0).await, ["before", "inside", "behind"]);
}

/// Records of an aborted transaction are never seen; those around them are.
pub async fn an_aborted_transaction_is_never_seen(harness: &dyn LogHarness) {
    let case = "an_aborted_transaction_is_never_seen";
    let (log, _, member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    append_all(&*log, &out, 0, &["before"]).await;
    let mut producer = begun(&*log, case).await;
    producer.send(vec![plain(&out, "aborted")]).await.expect("records are placed");
    append_all(&*log, &out, 0, &["between"]).await;
    producer.send(vec![plain(&out, "aborted too")]).await.expect("records are placed");
    producer.abort().await.expect("an abort");
    assert_eq!(settled_values(harness, &out, 0).await, ["before", "between"]);
    // The producer goes on.
    producer.begin().await.expect("a transaction begins");
    producer.send(vec![plain(&out, "again")]).await.expect("records are placed");
    producer.commit(&member.owner(), &[]).await.expect("a commit");
    assert_eq!(settled_values(harness, &out, 0).await, ["before", "between", "again"]);
}

/// A commit makes the records and the group's offsets known at once.
pub async fn outputs_and_offsets_are_one(harness: &dyn LogHarness) {
    let case = "outputs_and_offsets_are_one";
    let (log, topic, mut member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    append_all(&*log, &topic, 0, &["in"]).await;
    member.take(harness.patience(), 1).await;
    let behind = next(member.records[0].offset);
    let mut producer = begun(&*log, case).await;
    let sent = vec![record(&out, Some(0), None, "x"), record(&out, Some(1), None, "y"), plain(&out, "z")];
    let placed = producer.send(sent).await.expect("records are placed");
    let partitions: Vec<u32> = placed.iter().map(|placed| placed.partition.index).collect();
    assert_eq!(partitions, [0, 1, 0], "coordinates come in the order of the records");
    assert_eq!(log.committed(case, &topic).await, Ok(vec![Some(0)]));
    producer.commit(&member.owner(), &[(Partition::new(topic.as_str(), 0), behind)]).await.expect("a commit");
    assert_eq!(log.committed(case, &topic).await, Ok(vec![Some(behind)]));
    assert_eq!(settled_values(harness, &out, 0).await, ["x", "z"]);
    assert_eq!(settled_values(harness, &out, 1).await, ["y"]);
}

/// An abort leaves the offsets where they were, and the records come again.
pub async fn an_aborted_transaction_moves_no_offsets(harness: &dyn LogHarness) {
    let case = "an_aborted_transaction_moves_no_offsets";
    let (log, topic, mut member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    append_all(&*log, &topic, 0, &["in"]).await;
    member.take(harness.patience(), 1).await;
    let mut producer = begun(&*log, case).await;
    producer.send(vec![plain(&out, "aborted")]).await.expect("records are placed");
    producer.abort().await.expect("an abort");
    assert_eq!(log.committed(case, &topic).await, Ok(vec![Some(0)]));
    drop(member);
    let mut successor = Member::join(&*log, case, "two", &[&topic]).await;
    successor.take(harness.patience(), 1).await;
    assert_eq!(values(&successor.records), ["in"]);
}

/// Whoever takes a transactional id aborts what the one before left open, and fences it for good.
pub async fn a_successor_aborts_and_fences(harness: &dyn LogHarness) {
    let case = "a_successor_aborts_and_fences";
    let (log, topic, member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    let mut zombie = begun(&*log, case).await;
    zombie.send(vec![plain(&out, "zombie")]).await.expect("records are placed");
    let mut successor = begun(&*log, case).await;
    assert!(settled_values(harness, &out, 0).await.is_empty(), "the transaction left open is settled");
    let offsets = [(Partition::new(topic.as_str(), 0), 0)];
    let error = zombie.commit(&member.owner(), &offsets).await.expect_err("it is fenced");
    assert!(matches!(error, Error::Fenced(_)), "{error}");
    for attempt in [zombie.begin().await, zombie.send(vec![plain(&out, "late")]).await.map(drop)] {
        assert!(matches!(attempt, Err(Error::Fenced(_))), "{attempt:?}");
    }
    successor.send(vec![plain(&out, "successor")]).await.expect("records are placed");
    successor.commit(&member.owner(), &offsets).await.expect("a commit");
    assert_eq!(settled_values(harness, &out, 0).await, ["successor"]);
}

/// A record that is refused (no such topic, too large) leaves a transaction that can only be aborted.
pub async fn a_refused_record_dooms_the_transaction(harness: &dyn LogHarness) {
    let case = "a_refused_record_dooms";
    let (log, _, member) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    let mut producer = log.producer(case).await.expect("a producer");
    let absent = plain("a_refused_record_dooms-absent", "x");
    let large = plain(&out, &"x".repeat(harness.max_record_bytes() + 1));
    for (refused, missing) in [(absent, true), (large, false)] {
        producer.begin().await.expect("a transaction begins");
        producer.send(vec![plain(&out, "first")]).await.expect("records are placed");
        let error = producer.send(vec![plain(&out, "second"), refused]).await.expect_err("it is refused");
        assert_eq!(matches!(error, Error::Missing(_)), missing, "{error}");
        assert_eq!(matches!(error, Error::TooLarge { .. }), !missing, "{error}");
        let error = producer.commit(&member.owner(), &[]).await.expect_err("it cannot be committed");
        assert!(matches!(error, Error::Abort(_)), "{error}");
        producer.abort().await.expect("an abort");
    }
    producer.begin().await.expect("a transaction begins");
    producer.send(vec![plain(&out, "good")]).await.expect("records are placed");
    producer.commit(&member.owner(), &[]).await.expect("a commit");
    assert_eq!(settled_values(harness, &out, 0).await, ["good"]);
}

/// A transaction that nobody ends is aborted after its time-out; then its producer is fenced.
pub async fn a_transaction_open_for_too_long_is_aborted(harness: &dyn LogHarness) {
    let case = "a_transaction_open_for_too_long";
    let (log, topic) = (harness.log(), format!("{case}-in"));
    harness.topic(&topic, 1, &[case]).await;
    let mut member = Member::join(&*log, case, "one", &[&topic]).await;
    settle(harness.patience(), &mut [&mut member], 1).await;
    let mut producer = begun(&*log, case).await;
    producer.send(vec![plain(&topic, "forgotten")]).await.expect("records are placed");
    append_all(&*log, &topic, 0, &["behind"]).await;
    // Its time-out is what lets the record behind it through.
    member.take(harness.patience(), 1).await;
    assert_eq!(values(&member.records), ["behind"]);
    let error = producer.commit(&member.owner(), &[]).await.expect_err("it is aborted");
    assert!(matches!(error, Error::Fenced(_)), "{error}");
    assert_eq!(settled_values(harness, &topic, 0).await, ["behind"]);
}
