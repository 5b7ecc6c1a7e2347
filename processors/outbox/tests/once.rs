//! One record for readers of committed records, whatever happens.

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::{Code, topics};
use faults::{Call, Moment, Policy, Verdict};
use outbox::{Options, Outbox};
use ports::log::{Error, First, Partition, Record};
use ports::tables::{Attr, Condition, Edit, Write};
use runtime::{Processor, Status};
use stores::receipts::{self, COPIED_GROUP, Receipt};
use stores::tables::EFFECTS;
use support::{PARTITIONS, PUBLIC, Script, World};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn rows_are_published_and_get_their_coordinates() {
    let world = World::new();
    for name in ["a", "b", "c", "d"] {
        world.emit(name, 1).await;
    }
    let running = world.start("m0");
    for name in ["a", "b", "c", "d"] {
        world.until_copied(name, 1).await;
        assert!(!world.is_pending(name).await);
        let at = world.state(name).await.coordinates.expect("coordinates");
        let (records, _) = world.ports.log.read(&at.partition, at.offset, 1).await.expect("records");
        assert_eq!(records[0].offset, at.offset);
        assert_eq!(records[0].value, format!("{name}@1"), "the coordinates are the record's");
        assert_eq!(records[0].key.as_deref(), Some(name.as_bytes()));
    }
    // A correction is another record; the same reference again is none.
    world.emit("a", 2).await;
    world.until_copied("a", 2).await;
    world.refer(&world.row("b", 1).await).await;
    world.until_lag_is_0().await;
    let public = world.public().await;
    assert_eq!(public.len(), 5);
    assert_eq!(public["a@2"], 1);
    // b's row was written anew as pending at the same revision, so that only memory of it is gone: the
    // row had its coordinates.
    assert_eq!(public["b@1"], 1);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(running.outbox.uncopied(), 0);
    let copied = world.committed(COPIED_GROUP, topics::RECEIPTS).await;
    let ends = world.ports.log.ends(topics::RECEIPTS).await.expect("ends");
    let receipts = world.read(topics::RECEIPTS).await;
    for (index, (copied, ends)) in copied.iter().zip(&ends).enumerate() {
        let behind = receipts.iter().filter(|r| r.partition.index as usize == index && r.offset >= *copied);
        assert_eq!(behind.count(), 0, "all receipts of {index} are copied, to {copied} of {ends:?}");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_row_twice_in_a_batch_is_one_record() {
    let world = World::new();
    let row = world.row("a", 1).await;
    for _ in 0..5 {
        world.refer(&row).await;
    }
    let running = world.start("m0");
    world.until_lag_is_0().await;
    world.until_copied("a", 1).await;
    assert_eq!(world.public().await, [("a@1".to_owned(), 1)].into());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_the_commit_and_before_the_copy_repeats_nothing() {
    let world = World::new();
    let script = Arc::new(Script::default());
    script.tell("tables", "write", false, Verdict::Fail, usize::MAX);
    let faulty = faults::around(&world.ports, "outbox", Arc::clone(&script) as _);
    let running = world.start_with("m0", &faulty, Options::default());
    let mut rows = vec![];
    for at in 0..20 {
        let row = world.row(&format!("r{at}"), 1).await;
        world.refer(&row).await;
        rows.push(row);
    }
    world.until_lag_is_0().await;
    assert_eq!(world.public().await.len(), 20, "published");
    assert_eq!(running.outbox.uncopied(), 20, "and not copied");
    running.crash().await;
    for row in &rows {
        assert!(world.state(&row.pk).await.coordinates.is_none());
        world.refer(row).await; // as a stage upstream does that crashed as well
    }
    let again = world.start("m0");
    world.until_lag_is_0().await;
    for row in &rows {
        world.until_copied(&row.pk, 1).await;
    }
    let public = world.public().await;
    assert_eq!(public.len(), 20);
    assert!(public.values().all(|count| *count == 1), "{public:?}");
    again.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_commit_with_an_unknown_outcome_repeats_nothing() {
    for after in [false, true] {
        let world = World::new();
        let script = Arc::new(Script::default());
        script.tell("log", "commit", after, Verdict::Fail, 1);
        // The receipts are read again, and nothing but them knows what was published.
        script.tell("tables", "write", false, Verdict::Fail, usize::MAX);
        let faulty = faults::around(&world.ports, "outbox", Arc::clone(&script) as _);
        let running = world.start_with("m0", &faulty, Options::default());
        world.emit("a", 1).await;
        world.until_lag_is_0().await;
        assert_eq!(script.left("log", "commit"), 0, "the fault happened");
        world.emit("a", 1).await;
        world.until_lag_is_0().await;
        assert_eq!(world.public().await, [("a@1".to_owned(), 1)].into(), "after: {after}");
        assert_eq!(running.outbox.uncopied(), 1);
        script.heal();
        world.until_copied("a", 1).await;
        running.stop().await;
    }
}

/// A predecessor's open transaction, as a process leaves it that is paused just before its commit.
async fn open_transaction(world: &World, name: &str) -> Box<dyn ports::log::Producer> {
    let row = world.row(name, 1).await;
    let at = world.refer(&row).await;
    let mut zombie = world.ports.log.producer("dvss.outbox-zombie").await.expect("a producer");
    zombie.begin().await.expect("begun");
    let record = Record {
        topic: PUBLIC.into(),
        partition: None,
        key: Some(name.to_owned().into()),
        value: format!("{name}@1").into(),
        headers: vec![],
    };
    let placed = zombie.send(vec![record]).await.expect("placed").remove(0);
    let receipt = Receipt {
        row,
        revision: 1,
        topic: PUBLIC.to_owned(),
        partition: placed.partition.index,
        offset: placed.offset,
    };
    zombie.send(receipts::records(at.partition.index, &[receipt])).await.expect("placed");
    zombie
}

#[tokio::test(start_paused = true)]
async fn a_new_owner_waits_for_a_zombies_open_transaction() {
    for ends in ["abort", "time-out"] {
        let world = World::new();
        let mut zombie = open_transaction(&world, "a").await;
        let running = world.start("m1");
        sleep(Duration::from_secs(4)).await;
        assert!(!running.handle.is_ready(), "it waits");
        assert!(world.public().await.is_empty());
        if ends == "abort" {
            zombie.abort().await.expect("aborted");
        }
        world.until_copied("a", 1).await;
        assert_eq!(world.public().await, [("a@1".to_owned(), 1)].into(), "{ends}");
        assert!(matches!(running.handle.status(), Status::Ready));
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_that_wakes_up_cannot_commit() {
    let world = World::new();
    let mut old =
        world.ports.log.join(Outbox::NAME, "old", &[topics::OUTBOX], First::Committed).await.expect("joined");
    let batch = old.poll(10, Duration::from_secs(1)).await.expect("a batch");
    assert_eq!(batch.assigned.expect("an assignment").len(), PARTITIONS as usize);
    let mut zombie = open_transaction(&world, "a").await;
    let batch = old.poll(10, Duration::from_secs(1)).await.expect("a batch");
    let read = &batch.records[0];

    let running = world.start("new");
    // The old member does not poll: its session ends, its partitions go to the new one.
    world.until_copied("a", 1).await;
    let next = [(read.partition.clone(), ports::log::next(read.offset))];
    let refused = zombie.commit(&batch.owner, &next).await.expect_err("refused");
    assert!(matches!(refused, Error::Abort(_) | Error::Fenced(_)), "{refused:?}");
    world.refer(&world.row("b", 1).await).await;
    world.until_copied("b", 1).await;
    let public = world.public().await;
    assert_eq!(public, [("a@1".to_owned(), 1), ("b@1".to_owned(), 1)].into());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_everything_puts_nothing_on_public_topics() {
    let world = World::new();
    let running = world.start("m0");
    for at in 0..50 {
        world.emit(&format!("r{at}"), 1).await;
    }
    world.until_lag_is_0().await;
    running.stop().await;
    let start: Vec<_> = (0..PARTITIONS).map(|index| (Partition::new(topics::OUTBOX, index), 0)).collect();
    world.ports.log.set_committed(Outbox::NAME, &start).await.expect("offsets");
    assert_eq!(world.lag().await, 50, "all of it comes again");
    let ends = world.ports.log.ends(PUBLIC).await.expect("ends");
    let running = world.start("m0");
    world.until_lag_is_0().await;
    assert_eq!(world.ports.log.ends(PUBLIC).await.expect("ends"), ends);
    assert_eq!(world.public().await.len(), 50);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_members_come_and_go() {
    let world = World::new();
    let first = world.start("m0");
    for at in 0..40 {
        world.emit(&format!("r{at}"), 1).await;
    }
    let second = world.start("m1");
    for at in 40..80 {
        world.emit(&format!("r{at}"), 1).await;
        sleep(Duration::from_millis(50)).await;
    }
    world.until_lag_is_0().await;
    assert_eq!(second.handle.assigned().len(), 2, "they share");
    first.stop().await;
    for at in 80..120 {
        world.emit(&format!("r{at}"), 1).await;
        sleep(Duration::from_millis(50)).await;
    }
    world.until_lag_is_0().await;
    assert_eq!(second.handle.assigned().len(), 4, "one is left");
    for at in 0..120 {
        world.until_copied(&format!("r{at}"), 1).await;
    }
    let public = world.public().await;
    assert_eq!(public.len(), 120);
    assert!(public.values().all(|count| *count == 1), "{public:?}");
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn publishing_waits_where_copies_pile_up() {
    let world = World::new();
    let script = Arc::new(Script::default());
    script.tell("tables", "write", false, Verdict::Fail, usize::MAX);
    let faulty = faults::around(&world.ports, "outbox", Arc::clone(&script) as _);
    let options = Options { max_uncopied: 3, ..Options::default() };
    let running = world.start_with("m0", &faulty, options);
    for at in 0..3 {
        world.emit(&format!("r{at}"), 1).await;
    }
    world.until_lag_is_0().await;
    world.emit("late", 1).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!((world.public().await.len(), world.lag().await), (3, 1));
    script.heal();
    world.until_lag_is_0().await;
    assert_eq!(world.public().await.len(), 4);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn poison_halts_and_is_named() {
    let world = World::new();
    let mut record = stores::outbox::RowRef {
        table: "dvss_effects".to_owned(),
        pk: "gone".to_owned(),
        sk: "A".to_owned(),
    }
    .output("gone")
    .record;
    world.ports.log.append(record.clone()).await.expect("a reference");
    let fatal = world.start("m0").fatal().await;
    assert_eq!(fatal.code, Code::RecordInvalid);
    assert!(fatal.message.contains("gone"), "{}", fatal.message);

    let world = World::new();
    record.value = "{".into();
    let at = world.ports.log.append(record).await.expect("a record");
    let fatal = world.start("m0").fatal().await;
    assert_eq!(fatal.code, Code::RecordInvalid);
    assert!(fatal.message.contains(&format!("{}/{}", at.partition, at.offset)), "{}", fatal.message);
    assert_eq!(world.committed(Outbox::NAME, topics::OUTBOX).await, [0; 4]);
}

/// A defect of the copier: it ends with its first copy.
struct Defect;

#[async_trait]
impl Policy for Defect {
    async fn at(&self, call: Call, _: Moment) -> Verdict {
        assert!((call.port, call.method) != ("tables", "write"), "a defect");
        Verdict::Go
    }
}

#[tokio::test(start_paused = true)]
async fn an_outbox_whose_copier_ended_stops_and_the_next_copies() {
    let world = World::new();
    let faulty = faults::around(&world.ports, "outbox", Arc::new(Defect));
    let running = world.start_with("m0", &faulty, Options::default());
    world.emit("a", 1).await;
    world.until_lag_is_0().await;
    sleep(Duration::from_secs(5)).await;
    world.emit("b", 1).await;
    let fatal = running.fatal().await;
    assert_eq!(fatal.code, Code::Internal);
    assert!(fatal.message.contains("copying receipts"), "{}", fatal.message);
    assert_eq!(world.public().await, [("a@1".to_owned(), 1)].into());

    let running = world.start("m1");
    for name in ["a", "b"] {
        world.until_copied(name, 1).await;
    }
    assert_eq!(world.public().await, [("a@1".to_owned(), 1), ("b@1".to_owned(), 1)].into());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_outbox_columns_cannot_be_read_halts_and_is_named() {
    for damage in [
        vec![Edit::Set("outTopic", Attr::N(7))],
        vec![Edit::Remove("outValue")],
        ["outTopic", "outKey", "outValue", "outRevision"].map(Edit::Remove).into(),
        // Without its coordinates it would be published once more.
        vec![Edit::Set("publishedRevision", Attr::N(1))],
    ] {
        let world = World::new();
        let row = world.row("spoilt", 1).await;
        let write = Write::edit(&EFFECTS, row.key(), damage, Condition::Always);
        world.ports.tables.write(write).await.expect("damaged");
        world.refer(&row).await;
        let fatal = world.start("m0").fatal().await;
        assert!(fatal.to_string().contains("spoilt"), "{fatal}");
        assert!(world.public().await.is_empty());
        assert_eq!(world.lag().await, 1, "and is not passed");
    }
}
