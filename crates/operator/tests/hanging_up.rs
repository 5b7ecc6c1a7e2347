//! Whoever asked hangs up in the middle of it: what was begun is done all the same.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use contract::topics;
use faults::{Call, Moment, Policy, Verdict};
use operator::Operator;
use stores::quarantine::{self, Status};
use stores::records;
use support::{OneStage, STAGE, World, event};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

/// Holds every record back until it is let through.
struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

#[async_trait]
impl Policy for Gate {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        if call.method == "append" && moment == Moment::Before {
            self.reached.add_permits(1);
            self.open.acquire().await.expect("a gate").forget();
        }
        Verdict::Go
    }
}

/// Sends a request, and hangs up once a record is about to be produced.
async fn hang_up(world: &World, path: &str) {
    let gate = Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) });
    let ports = faults::around(&world.store.ports(), "operator", Arc::clone(&gate) as _);
    let router = Operator::new(ports, Arc::new(OneStage)).router(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let request = Request::builder().method("POST").uri(format!("/api/v1{path}")).header("host", "localhost");
    let request = request.body(Body::empty()).expect("a request");
    tokio::select! {
        answer = router.oneshot(request) => panic!("{path}: answered before the record: {answer:?}"),
        reached = gate.reached.acquire() => reached.expect("a gate").forget(),
    }
    gate.open.add_permits(1);
}

/// Waits until a topic has so many records.
async fn until_produced(world: &World, topic: &str, records: i64) {
    let log = &world.operator.ports.log;
    let produced = async {
        while log.ends(topic).await.expect("a log")[0].stable < records {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_mins(1), produced)
        .await
        .unwrap_or_else(|_| panic!("{topic}: nothing is produced"));
}

#[tokio::test]
async fn a_release_gets_as_far_as_the_record() {
    for path in
        [format!("/quarantine/{STAGE}/01J0000000ABCDEFGHJK000000/release"), "/vendors/acme/resume".to_owned()]
    {
        let world = World::new();
        world.park(0).await;
        hang_up(&world, &path).await;
        until_produced(&world, topics::ACCEPTED, 1).await;
        let row =
            async || quarantine::list(&world.store.ports(), None, None).await.expect("rows").0.remove(0);
        let known = async {
            while row().await.produced.is_none() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_mins(1), known).await.expect("the row knows of its record");
        assert_eq!(row().await.status, Status::Released, "{path}");
    }
}

#[tokio::test]
async fn a_repair_is_done_to_its_end() {
    let world = World::new();
    let log = &world.operator.ports.log;
    let raw = records::of_event(topics::RAW, "acme".into(), "{}".into(), &event());
    let at = log.append(raw).await.expect("a record");
    log.set_committed("dvss.dedup", &[(at.partition.clone(), at.offset + 1)]).await.expect("committed");
    hang_up(&world, "/reconcile/repair").await;
    until_produced(&world, topics::RAW, 2).await;
}
