//! What becomes of transactions, assignments and the producer.

mod fake;

use std::time::Duration;

use contract::Code;
use fake::{Behaviour, Fault, World, options};
use ports::log::Error;
use runtime::{Options, Status};

fn told() -> String {
    "told".to_owned()
}

fn two_records() -> World {
    let world = World::default();
    world.put(0, 4, "a", "a1");
    world.put(0, 6, "b", "b1");
    world
}

#[tokio::test(start_paused = true)]
async fn an_aborted_transaction_comes_again_from_its_start() {
    for call in ["commit", "send"] {
        let world = two_records();
        world.script(call, Fault::Before(Error::Abort(told())));
        let running = world.start(options());
        world.until_committed(0, 7).await;
        assert_eq!(world.count("abort"), 1);
        assert_eq!(world.count("rewind in/0 4"), 1);
        assert_eq!(world.count("producer stage-m0"), 1, "the producer is kept");
        assert_eq!(world.outputs(), ["a1", "b1"]);
        running.stop().await.expect("a clean end");
    }
}

#[tokio::test(start_paused = true)]
async fn an_abort_that_fails_rebuilds_the_producer() {
    let world = two_records();
    world.script("send", Fault::Before(Error::Unavailable(told())));
    world.script("abort", Fault::Before(Error::Fenced(told())));
    let running = world.start(options());
    world.until_committed(0, 7).await;
    assert_eq!(world.count("producer stage-m0"), 2);
    assert_eq!(world.count("rewind in/0 4"), 1);
    assert_eq!(world.outputs(), ["a1", "b1"]);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_goes_on_from_the_committed_offsets() {
    type Make = fn(Error) -> Fault;
    for (fault, happened) in [(Fault::Before as Make, false), (Fault::After as Make, true)] {
        for error in [Error::Unknown(told()), Error::Fenced(told()), Error::Unavailable(told())] {
            let world = two_records();
            world.script("commit", fault(error));
            // Both have to be tried again, too.
            world.script("producer", Fault::Before(Error::Unavailable(told())));
            let running = world.start(options());
            world.until("rebuilt", |state| state.count("producer stage-m0") >= 3).await;
            world.script("committed", Fault::Before(Error::Unavailable(told())));
            world.until_committed(0, 7).await;
            world.until("rewound", |state| !state.rewinds.is_empty()).await;
            world.until("ready", |_| running.handle.is_ready()).await;
            assert_eq!(world.0.lock().rewinds[0].1, if happened { 7 } else { 0 });
            assert_eq!(world.outputs(), ["a1", "b1"], "once, whether it happened or not");
            assert_eq!(world.count("assigned 1"), 2, "the processor reads its memory again");
            assert_eq!(world.count("abort"), 0);
            running.stop().await.expect("a clean end");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn not_ready_while_the_producer_is_rebuilt() {
    let world = two_records();
    world.script("commit", Fault::Before(Error::Unknown(told())));
    let running = world.start(options());
    world.until("unknown", |_| matches!(running.handle.status(), Status::NotReady(_))).await;
    let status = running.handle.status();
    assert!(matches!(&status, Status::NotReady(why) if why.contains("the outcome is unknown")), "{status:?}");
    world.until_committed(0, 7).await;
    world.until("ready", |_| running.handle.is_ready()).await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_where_nothing_is_put_out() {
    let world = World::default();
    world.put(0, 0, "a", "a1");
    world.behave("a1", [Behaviour::Outputs(vec![])]);
    let running = world.start(options());
    world.until_committed(0, 1).await;
    assert!(world.outputs().is_empty());
    assert_eq!(world.0.lock().transactions, 1);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_commit_without_an_answer_is_unknown() {
    let world = two_records();
    world.script("commit", Fault::Never);
    let running = world.start(options());
    world.until_committed(0, 7).await;
    assert_eq!(world.count("producer stage-m0"), 2);
    assert_eq!(world.outputs(), ["a1", "b1"]);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn large_batches_take_several_transactions_and_an_identity_is_produced_once() {
    let world = World::default();
    for (offset, name) in (0..).zip(["n0", "n1", "n2"]) {
        world.put(0, offset, name, name);
        world.behave(name, [Behaviour::Outputs(vec![None, Some("same"), None])]);
    }
    world.0.lock().script.entry("receipts").or_default();
    let running = world.start(Options { max_outputs: 4, concurrency: 8, ..options() });
    world.until_committed(0, 3).await;
    let transactions = world.0.lock().transactions;
    assert_eq!(transactions, 3);
    let data: Vec<String> = world.outputs().into_iter().filter(|text| text.starts_with('n')).collect();
    assert_eq!(data, ["n0.0", "n0.1", "n0.2", "n1.0", "n1.2", "n2.0", "n2.2"]);
    let placed: Vec<String> = world.journal().into_iter().filter(|said| said.starts_with("placed")).collect();
    assert_eq!(placed, ["placed in/0 3 [3]", "placed in/0 2 [2]", "placed in/0 2 [2]"]);
    assert!(world.position("commit in/0 1") < world.position("placed in/0 3 [3]"));
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_starts_nothing_more_and_comes_again_without_a_pause() {
    let world = World::default();
    for (offset, name) in (0..).zip(["n0", "n1", "n2"]) {
        world.put(0, offset, name, name);
        world.behave(name, [Behaviour::Outputs(vec![None; 5])]);
    }
    let running = world.start(Options { max_outputs: 4, concurrency: 1, ..options() });
    world.until_committed(0, 3).await;
    assert_eq!(world.0.lock().transactions, 3);
    let rewinds = world.0.lock().rewinds.clone();
    assert_eq!(rewinds, [(0, 1, Duration::ZERO), (0, 2, Duration::ZERO)]);
    assert_eq!(world.count("handle n2"), 1, "untried records were not tried in vain");
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn the_processor_is_ready_for_its_assignment_before_anything_is_handled() {
    let world = two_records();
    for _ in 0..3 {
        world.script("assigned", Fault::Before(Error::Full));
    }
    let running = world.start(options());
    world.until("not ready", |_| matches!(running.handle.status(), Status::NotReady(_))).await;
    world.until_committed(0, 7).await;
    let journal = world.journal();
    let last = journal.iter().rposition(|said| said == "assigned 1").expect("assigned");
    assert!(last < world.position("handle a1"));
    assert_eq!(world.count("assigned 1"), 4);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_is_not_ready_in_time_keeps_its_place_in_the_group() {
    let world = two_records();
    for _ in 0..12 {
        world.script("assigned", Fault::Before(Error::Full));
    }
    let running = world.start(Options { max_poll_interval: Duration::from_secs(20), ..options() });
    world.until("polled in between", |state| state.count("rewind in/0 4") > 0).await;
    assert_eq!(world.count("handle a1"), 0);
    world.until_committed(0, 7).await;
    assert_eq!(world.outputs(), ["a1", "b1"]);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_rewind_that_fails_joins_anew() {
    let world = two_records();
    world.behave("b1", vec![Behaviour::Transient; 7]);
    world.script("rewind", Fault::Before(Error::Unavailable(told())));
    let running = world.start(options());
    world.until_committed(0, 7).await;
    assert_eq!(world.count("join stage m0"), 2);
    assert_eq!(world.outputs(), ["a1", "b1"], "nothing was skipped");
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn an_offset_outside_of_the_log_halts() {
    let world = two_records();
    let partition = ports::log::Partition::new("in", 0);
    let (group, offset, start, end) = ("stage".to_owned(), 99, 0, 8);
    world.script("poll", Fault::Before(Error::OutOfRange { group, partition, offset, start, end }));
    let fatal = world.start(options()).fatal().await;
    assert_eq!(fatal.code, Code::OffsetOutOfRange);
    assert!(fatal.message.contains("in/0"), "{}", fatal.message);
    assert_eq!(world.committed(0), 0);
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_named_and_waited_for() {
    let world = two_records();
    world.script("join", Fault::Before(Error::Missing("dvss.raw".to_owned())));
    let running = world.start(options());
    world.until("not ready", |_| matches!(running.handle.status(), Status::NotReady(_))).await;
    assert!(matches!(running.handle.status(), Status::NotReady(why) if why.contains("dvss.raw")));
    assert!(running.handle.is_live());
    world.until_committed(0, 7).await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_record_too_large_stops_the_stage_and_is_named() {
    let world = two_records();
    world.behave("b1", [Behaviour::Large(fake::MOST_BYTES + 1)]);
    let fatal = world.start(options()).fatal().await;
    assert_eq!(fatal.code, Code::RecordTooLarge);
    assert!(fatal.message.contains("for out under key `b`"), "{}", fatal.message);
    assert_eq!(world.count("abort"), 1);
    assert_eq!(world.committed(0), 0);
}

#[tokio::test(start_paused = true)]
async fn polls_that_fail_are_tried_again_and_fenced_members_join_anew() {
    let world = two_records();
    world.script("poll", Fault::Before(Error::Unavailable(told())));
    world.script("poll", Fault::Before(Error::Fenced(told())));
    let running = world.start(options());
    world.until_committed(0, 7).await;
    assert_eq!(world.count("join stage m0"), 2);
    running.stop().await.expect("a clean end");
}
