//! Groups: every partition has one owner, and only the owner moves its offsets.

use super::*;

/// The only member of a group is assigned every partition of all its topics.
pub async fn one_member_has_everything(harness: &dyn LogHarness) {
    let (log, group) = (harness.log(), "one_member_has_everything");
    let topics = [format!("{group}-a"), format!("{group}-b")];
    for topic in &topics {
        harness.topic(topic, 2, &[group]).await;
        append_all(&*log, topic, 1, &[topic]).await;
    }
    let mut member = Member::join(&*log, group, "one", &[&topics[0], &topics[1]]).await;
    member.take(harness.patience(), 2).await;
    let mut assigned = member.assigned.clone().expect("it was told");
    assigned.sort();
    let all: Vec<Partition> =
        topics.iter().flat_map(|topic| (0..2).map(|index| Partition::new(topic.as_str(), index))).collect();
    assert_eq!(assigned, all);
    let mut read = values(&member.records);
    read.sort_unstable();
    assert_eq!(read, topics);
}

/// Members share the partitions in ranges; each is told its whole assignment when it changes.
pub async fn two_and_three_members_share(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "two_and_three_members_share");
    harness.topic(topic, 6, &[topic]).await;
    let mut first = Member::join(&*log, topic, "a", &[topic]).await;
    settle(harness.patience(), &mut [&mut first], 6).await;
    let mut second = Member::join(&*log, topic, "b", &[topic]).await;
    settle(harness.patience(), &mut [&mut first, &mut second], 6).await;
    let mut held = [first.holds(), second.holds()];
    held.sort();
    assert_eq!(held, [vec![0, 1, 2], vec![3, 4, 5]]);
    let mut third = Member::join(&*log, topic, "c", &[topic]).await;
    settle(harness.patience(), &mut [&mut first, &mut second, &mut third], 6).await;
    let mut held = [first.holds(), second.holds(), third.holds()];
    held.sort();
    assert_eq!(held, [vec![0, 1], vec![2, 3], vec![4, 5]]);
}

/// A member that leaves frees its partitions for the others without waiting for its session.
pub async fn a_member_that_left_is_replaced_at_once(harness: &dyn LogHarness) {
    let (log, topic) = (harness.log(), "a_member_that_left_is_replaced");
    harness.topic(topic, 2, &[topic]).await;
    let mut first = Member::join(&*log, topic, "a", &[topic]).await;
    let mut second = Member::join(&*log, topic, "b", &[topic]).await;
    settle(harness.patience(), &mut [&mut first, &mut second], 2).await;
    second.consumer.leave().await.expect("it leaves");
    settle(harness.patience(), &mut [&mut first], 2).await;
}

/// While others wait to join, the owner of a batch may still commit it; afterwards it is shared.
pub async fn the_last_owner_may_finish_its_batch(harness: &dyn LogHarness) {
    let case = "the_last_owner_may_finish";
    let (log, topic) = (harness.log(), format!("{case}-in"));
    harness.topic(&topic, 1, &[case]).await;
    append_all(&*log, &topic, 0, &["in"]).await;
    let mut owner = Member::join(&*log, case, "a", &[&topic]).await;
    owner.take(harness.patience(), 1).await;
    let mut newcomer = Member::join(&*log, case, "b", &[&topic]).await;
    newcomer.turn().await.expect("a poll");
    assert_eq!(newcomer.assigned, None, "nothing is assigned before the owner has polled");
    let mut producer = begun(&*log, case).await;
    let behind = next(owner.records[0].offset);
    producer.commit(&owner.owner(), &[(Partition::new(topic.as_str(), 0), behind)]).await.expect("a commit");
    settle(harness.patience(), &mut [&mut owner, &mut newcomer], 1).await;
    assert!(
        owner.records.is_empty() && newcomer.records.is_empty(),
        "what was committed does not come again"
    );
}

/// Whoever lost its partitions cannot commit what it read of them: the commit must be aborted, its
/// records are never seen, and the new owner gets the records again.
pub async fn a_former_owner_cannot_commit(harness: &dyn LogHarness) {
    let case = "a_former_owner_cannot_commit";
    let (log, topic, mut former) = alone(harness, case).await;
    let out = outputs(harness, case).await;
    append_all(&*log, &topic, 0, &["in"]).await;
    former.take(harness.patience(), 1).await;
    let owner = former.owner();
    let behind = (Partition::new(topic.as_str(), 0), next(former.records[0].offset));
    let mut producer = begun(&*log, case).await;
    producer.send(vec![plain(&out, "stale")]).await.expect("records are placed");
    let mut newcomer = Member::join(&*log, case, "a-newcomer", &[&topic]).await;
    settle(harness.patience(), &mut [&mut former, &mut newcomer], 1).await;
    let error = producer.commit(&owner, &[behind]).await.expect_err("the ownership is stale");
    assert!(matches!(error, Error::Abort(_)), "{error}");
    producer.abort().await.expect("an abort");
    assert_eq!(log.committed(case, &topic).await, Ok(vec![Some(0)]));
    assert!(settled_values(harness, &out, 0).await.is_empty());
    let new_owner = if newcomer.holds().is_empty() { &mut former } else { &mut newcomer };
    new_owner.take(harness.patience(), 1).await;
    assert_eq!(values(&new_owner.records), ["in"]);
}

/// A static member of the same name takes the place of the old one, which is fenced.
pub async fn a_namesake_takes_the_place(harness: &dyn LogHarness) {
    let case = "a_namesake_takes_the_place";
    let (log, topic, mut old) = alone(harness, case).await;
    append_all(&*log, &topic, 0, &["in"]).await;
    old.take(harness.patience(), 1).await;
    let mut new = Member::join(&*log, case, "one", &[&topic]).await;
    settle(harness.patience(), &mut [&mut new], 1).await;
    new.take(harness.patience(), 1).await;
    assert_eq!(values(&new.records), ["in"]);
    let mut producer = begun(&*log, case).await;
    let behind = (Partition::new(topic.as_str(), 0), next(old.records[0].offset));
    let error =
        producer.commit(&old.owner(), std::slice::from_ref(&behind)).await.expect_err("it is replaced");
    assert!(matches!(error, Error::Abort(_) | Error::Fenced(_)), "{error}");
    let error = old.fails(harness.patience()).await;
    assert!(matches!(error, Error::Fenced(_)), "{error}");
    drop(old);
    let mut producer = begun(&*log, case).await;
    producer.commit(&new.owner(), &[behind]).await.expect("the one that has the place commits");
}

/// A member that does not poll for longer than its session loses its partitions to the others; its
/// commit must be aborted; when it polls again it joins anew.
pub async fn a_silent_member_loses_its_partitions(harness: &dyn LogHarness) {
    let case = "a_silent_member_loses";
    let (log, topic) = (harness.log(), format!("{case}-in"));
    harness.topic(&topic, 2, &[case]).await;
    let mut silent = Member::join(&*log, case, "a", &[&topic]).await;
    let mut other = Member::join(&*log, case, "b", &[&topic]).await;
    settle(harness.patience(), &mut [&mut silent, &mut other], 2).await;
    let stale = silent.owner();
    settle(harness.patience(), &mut [&mut other], 2).await;
    let mut producer = begun(&*log, case).await;
    let error =
        producer.commit(&stale, &[(Partition::new(topic.as_str(), 0), 0)]).await.expect_err("it is out");
    assert!(matches!(error, Error::Abort(_)), "{error}");
    silent.assigned = None;
    settle(harness.patience(), &mut [&mut silent, &mut other], 2).await;
}
