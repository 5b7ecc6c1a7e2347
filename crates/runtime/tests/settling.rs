//! What becomes of records: order, retries, poison, and what is fatal.

mod fake;

use std::time::Duration;

use contract::Code;
use fake::{Behaviour, Fault, Stage, World, options};
use ports::log::{Error, RawRecord};
use runtime::{Failure, Options, Output, Processor, Status};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn everything_settles_and_the_next_offset_is_committed() {
    let world = World::default();
    world.put(0, 3, "a", "a1");
    world.put(0, 7, "b", "b1");
    world.put(1, 0, "a", "c1");
    let running = world.start(options());
    world.until_committed(0, 8).await;
    assert_eq!(world.committed(1), 1, "one transaction for both partitions");
    assert_eq!(world.0.lock().transactions, 1);
    let outputs = world.outputs();
    assert_eq!(outputs, ["a1", "b1", "c1"]);
    assert!(running.handle.is_live());
    world.until("ready", |_| running.handle.is_ready()).await;
    let lag = running.handle.lag().await.expect("lag");
    assert!(lag.iter().all(|lag| lag.records == 0 && lag.counted), "markers are no lag: {lag:?}");
    let handle = running.handle.clone();
    assert_eq!(handle.assigned().len(), 2);
    running.stop().await.expect("a clean end");
    assert_eq!(handle.status(), Status::Stopped);
    assert_eq!(world.count("leave"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_record_that_finishes_first_is_not_committed() {
    let world = World::default();
    world.put(0, 1, "a", "a1");
    world.put(0, 2, "slow", "s1");
    world.put(0, 3, "b", "b1");
    world.behave("s1", [Behaviour::Slow(seconds(60))]);
    let running = world.start(options());
    world.until_committed(0, 2).await;
    world.until("rewound", |state| !state.rewinds.is_empty()).await;
    assert!(world.position("done b1") < world.position("commit in/0 2"), "b1 had finished");
    assert_eq!(world.outputs(), ["a1"], "but it lies behind s1");
    let (_, to, pause) = world.0.lock().rewinds[0];
    assert_eq!(to, 2);
    assert!(pause > Duration::ZERO);
    world.until("the reason is told", |_| matches!(running.handle.status(), Status::NotReady(_))).await;
    world.until_committed(0, 4).await;
    assert_eq!(world.outputs(), ["a1", "s1", "b1"]);
    world.until("ready again", |_| running.handle.is_ready()).await;
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_record_behind_a_failed_one_of_its_key_does_not_run() {
    let world = World::default();
    world.put(0, 1, "a", "a1");
    world.put(0, 2, "a", "a2");
    world.put(0, 3, "b", "b1");
    world.put(1, 1, "a", "other");
    world.behave("a1", vec![Behaviour::Transient; 7]);
    let running = world.start(options());
    world.until("rewound", |state| !state.rewinds.is_empty()).await;
    assert_eq!(world.count("handle a2"), 0);
    assert_eq!(world.count("handle b1"), 1, "another key runs");
    assert_eq!(world.committed(1), 2, "the same key in another partition goes on");
    assert_eq!(world.committed(0), 0);
    world.until_committed(0, 4).await;
    assert_eq!(world.outputs(), ["other", "a1", "a2", "b1"]);
    assert!(world.position("done a1") < world.position("handle a2"));
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_turn_holds_up_its_own_partition_alone() {
    let world = World::default();
    world.put(0, 1, "a", "a1");
    world.put(0, 2, "b", "b1");
    world.put(1, 1, "c", "other");
    world.behave("a1", vec![Behaviour::Later; 3]);
    // One after the other, so that what is not started is told from what was started already.
    let running = world.start(Options { concurrency: 1, ..options() });
    world.until("rewound", |state| !state.rewinds.is_empty()).await;
    assert_eq!(world.count("handle a1"), 1, "it is not tried again in the batch");
    assert_eq!(world.count("handle b1"), 0, "nothing further of the partition is started");
    assert_eq!(world.committed(1), 2, "the other partition goes on");
    world.until_committed(0, 3).await;
    assert_eq!(world.outputs(), ["other", "a1", "b1"]);
    assert_eq!(world.count("handle a1"), 4);
    let pauses: Vec<_> = world.0.lock().rewinds.iter().map(|(_, to, pause)| (*to, *pause)).collect();
    let short = options().backoff.first;
    assert!(
        pauses.iter().all(|(to, pause)| *to == 1 && *pause > Duration::ZERO && *pause <= short),
        "{pauses:?}"
    );
    assert!(running.handle.is_ready(), "waiting is no trouble");
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_retried_in_place() {
    let world = World::default();
    world.put(0, 0, "a", "a1");
    world.behave("a1", vec![Behaviour::Transient; 3]);
    let running = world.start(options());
    world.until_committed(0, 1).await;
    assert_eq!(world.count("handle a1"), 4);
    assert!(world.0.lock().rewinds.is_empty());
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_replay_with_the_seed() {
    async fn pauses(seed: u64) -> Vec<Duration> {
        let world = World::default();
        world.put(0, 0, "a", "a1");
        world.behave("a1", vec![Behaviour::Transient; 1_000]);
        let running = world.start(Options { jitter_seed: seed, ..options() });
        world.until("five rewinds", |state| state.rewinds.len() >= 5).await;
        running.task.abort();
        let state = world.0.lock();
        assert_eq!(state.committed[&0], 0, "transient never becomes poison, nor is it skipped");
        assert!(state.parked.is_empty());
        state.rewinds.iter().map(|(_, _, pause)| *pause).take(5).collect()
    }
    let first = pauses(1).await;
    assert!(first.windows(3).all(|three| three[0] < three[2]), "{first:?}");
    assert_eq!(first, pauses(1).await);
    assert_ne!(first, pauses(2).await);
}

#[tokio::test(start_paused = true)]
async fn poison_is_parked_then_settled_with_its_output() {
    let world = World::default();
    world.put(0, 0, "a", "bad");
    world.put(0, 1, "a", "a2");
    world.put(0, 2, "b", "undecodable");
    world.behave("bad", [Behaviour::Poison]);
    let running = world.start(options());
    world.until_committed(0, 3).await;
    assert_eq!(world.outputs(), ["parked bad", "a2", "parked undecodable"]);
    assert!(world.position("park stage bad") < world.position("commit in/0 3"));
    assert_eq!(world.0.lock().parked["bad"], Code::MappingMissing);
    assert_eq!(world.0.lock().parked["undecodable"], Code::JsonSyntax);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn while_quarantine_is_down_nothing_passes_the_poison() {
    let world = World::default();
    world.put(0, 0, "a", "a1");
    world.put(0, 1, "b", "bad");
    world.put(0, 2, "c", "c1");
    world.behave("bad", vec![Behaviour::Poison; 100]);
    for _ in 0..20 {
        world.script("park", Fault::Before(Error::Full));
    }
    let running = world.start(options());
    world.until("rewound twice", |state| state.rewinds.len() >= 2).await;
    assert_eq!(world.committed(0), 1);
    assert_eq!(world.outputs(), ["a1"]);
    world.until_committed(0, 3).await;
    assert_eq!(world.outputs(), ["a1", "parked bad", "c1"]);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn over_budget_is_parked_untried() {
    let world = World::default();
    world.put(0, 0, "v", "v1");
    world.put(0, 1, "w", "w1");
    world.0.lock().over_budget.push("v1".to_owned());
    let running = world.start(options());
    world.until_committed(0, 2).await;
    assert_eq!(world.count("handle v1"), 0);
    assert_eq!(world.0.lock().parked["v1"], Code::OverBudget);
    assert_eq!(world.outputs(), ["parked v1", "w1"]);
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn fatal_stops_uncommitted() {
    let world = World::default();
    world.put(0, 0, "a", "a1");
    world.put(0, 1, "b", "bad");
    world.behave("bad", [Behaviour::Fatal]);
    let running = world.start(options());
    let handle = running.handle.clone();
    let fatal = running.fatal().await;
    assert_eq!((fatal.stage, fatal.code), ("stage", Code::ObjectCorrupt));
    assert!(fatal.message.contains("in/0/1"), "names the record: {}", fatal.message);
    assert_eq!(handle.status(), Status::Failed(fatal));
    assert!(!handle.is_live());
    assert_eq!(world.committed(0), 0);
    assert!(world.outputs().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_that_panics_again_and_again_is_parked_and_the_others_go_on() {
    let world = World::default();
    for (offset, (key, value)) in (0..).zip([("a", "a1"), ("b", "bad"), ("b", "b2"), ("c", "shaky")]) {
        world.put(0, offset, key, value);
    }
    world.behave("bad", [Behaviour::Panic, Behaviour::Panic, Behaviour::Panic]);
    world.behave("shaky", [Behaviour::Panic, Behaviour::Panic]);
    let running = world.start(options());
    let handle = running.handle.clone();
    world.until_committed(0, 4).await;
    assert!(handle.is_live() && handle.is_ready());
    assert_eq!(world.0.lock().parked, [("bad".to_owned(), Code::Internal)].into());
    assert_eq!((world.count("handle bad"), world.count("handle shaky")), (3, 3));
    assert_eq!(world.outputs(), ["a1", "parked bad", "b2", "shaky"]);
    running.stop().await.expect("a clean end");
}

/// A stage that relies upon its memory.
struct Remembering(Stage);

#[async_trait::async_trait]
impl Processor for Remembering {
    const NAME: &'static str = "stage";
    const PARKS_PANICS: bool = false;
    type Input = <Stage as Processor>::Input;

    fn decode(&self, record: &RawRecord) -> Result<Self::Input, Failure> {
        self.0.decode(record)
    }

    async fn handle(&self, input: &Self::Input) -> Result<Vec<Output>, Failure> {
        self.0.handle(input).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_stops_a_stage_that_relies_upon_its_memory() {
    let world = World::default();
    world.put(0, 0, "b", "bad");
    world.behave("bad", [Behaviour::Panic]);
    let running = world.start_with(Remembering(Stage(world.clone())), options());
    let fatal = running.fatal().await;
    assert_eq!(fatal.code, Code::Internal);
    assert!(fatal.message.contains("in/0/0") && fatal.message.contains("a defect"), "{}", fatal.message);
    assert_eq!(world.committed(0), 0);
    assert!(world.0.lock().parked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_bounded() {
    let world = World::default();
    let names: Vec<&'static str> = (0..50).map(|at| &*format!("k{at}").leak()).collect();
    for (offset, name) in (0..).zip(&names) {
        world.put(0, offset, name, name);
        world.behave(name, [Behaviour::Slow(Duration::from_millis(20))]);
    }
    let running = world.start(Options { concurrency: 8, ..options() });
    world.until_committed(0, 50).await;
    assert_eq!(world.0.lock().most_running, 8);
    assert_eq!(world.outputs(), names, "outputs leave in the order of the records");
    running.stop().await.expect("a clean end");
}

#[tokio::test(start_paused = true)]
async fn the_batch_in_hand_is_finished_on_request() {
    let world = World::default();
    world.put(0, 0, "a", "a1");
    world.behave("a1", [Behaviour::Slow(seconds(1))]);
    let running = world.start(options());
    world.until("handling", |state| state.running == 1).await;
    let handle = running.handle.clone();
    running.stop.cancel();
    world.until("unready at once", |_| handle.status() == Status::Draining).await;
    assert_eq!(world.committed(0), 0);
    running.stop().await.expect("a clean end");
    assert_eq!(world.committed(0), 1);
    assert!(world.position("commit in/0 1") < world.position("leave"));
}

#[tokio::test(start_paused = true)]
async fn contradictory_options_are_refused_at_start() {
    let world = World::default();
    let running = world.start(Options { deadline: seconds(11), ..options() });
    assert_eq!(running.fatal().await.code, Code::ConfigInvalid);
    assert!(world.journal().is_empty(), "before anything is touched");
}
