//! Rows that were left pending come back to `dvss.outbox`, and only those.

mod support;

use std::sync::Arc;
use std::time::Duration;

use contract::topics;
use faults::Verdict;
use outbox::Options;
use outbox::sweeper::{run, sweep};
use support::{Script, World};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn old_pending_rows_are_referred_to_again_and_published() {
    let world = World::new();
    let options = Options::default();
    world.row("left", 1).await;
    assert_eq!(sweep(&world.ports, &options).await.expect("a sweep"), 0, "it may be on its way");
    sleep(Duration::from_mins(2)).await;
    world.row("young", 1).await;
    assert_eq!(sweep(&world.ports, &options).await.expect("a sweep"), 1);
    assert!(world.public().await.is_empty(), "never to a public topic");
    assert_eq!(world.read(topics::OUTBOX).await.len(), 1);
    let running = world.start("m0");
    world.until_copied("left", 1).await;
    sleep(Duration::from_mins(2)).await;
    // `young` is old now, `left` is published.
    assert_eq!(sweep(&world.ports, &options).await.expect("a sweep"), 1);
    world.until_copied("young", 1).await;
    assert_eq!(sweep(&world.ports, &options).await.expect("a sweep"), 0);
    assert_eq!(world.public().await, [("left@1".to_owned(), 1), ("young@1".to_owned(), 1)].into());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_that_the_outbox_has_not_come_to_are_left_alone() {
    let world = World::new();
    world.row("lost", 1).await;
    sleep(Duration::from_mins(2)).await;
    let queued = world.row("queued", 1).await;
    sleep(Duration::from_secs(30)).await;
    world.refer(&queued).await;
    sleep(Duration::from_mins(10)).await;
    // No outbox runs: `queued` has a reference that was not read, `lost` is older than all of those.
    assert_eq!(sweep(&world.ports, &Options::default()).await.expect("a sweep"), 1);
    let swept = world.read(topics::OUTBOX).await;
    assert!(swept.iter().any(|record| record.key.as_deref() == Some(b"lost")));
    assert_eq!(swept.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_is_bounded_and_the_loop_ends_on_request() {
    let world = World::new();
    for at in 0..30 {
        world.row(&format!("r{at}"), 1).await;
    }
    sleep(Duration::from_mins(2)).await;
    let options = Options { sweep_most: 20, ..Options::default() };
    assert_eq!(sweep(&world.ports, &options).await.expect("a sweep"), 20);
    let stop = CancellationToken::new();
    let (ports, token) = (world.ports.clone(), stop.clone());
    let sweeping = tokio::spawn(async move { run(&ports, &Options::default(), token).await });
    let running = world.start("m0");
    for at in 0..30 {
        world.until_copied(&format!("r{at}"), 1).await;
    }
    assert!(world.public().await.values().all(|count| *count == 1));
    stop.cancel();
    sweeping.await.expect("it ends");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_that_only_wait_for_their_receipts_copy_are_not_left_behind() {
    let world = World::new();
    let script = Arc::new(Script::default());
    script.tell("tables", "write", false, Verdict::Fail, usize::MAX);
    let faulty = faults::around(&world.ports, "outbox", Arc::clone(&script) as _);
    let running = world.start_with("m0", &faulty, Options::default());
    world.emit("out", 1).await;
    world.until_lag_is_0().await;
    assert_eq!((world.public().await.len(), running.outbox.uncopied()), (1, 1));
    world.row("left", 1).await;
    sleep(Duration::from_mins(2)).await;
    assert!(world.is_pending("out").await);
    assert_eq!(sweep(&world.ports, &Options::default()).await.expect("a sweep"), 1, "only the other one");
    script.heal();
    world.until_copied("out", 1).await;
    world.until_copied("left", 1).await;
    running.stop().await;
}
