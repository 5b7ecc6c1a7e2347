//! The door while topics come, are lost and are found again, on a log in memory.

use contract::{VendorId, topics};
use embedded::log::TopicSpec;
use embedded::{Embedded, SystemClock};
use ports::log::{Headers, Partition, Record};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use stores::codec::Codec;
use stores::vendors::{self, Key, Settings};
use tokio::time::{Instant, sleep};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// The store, and vendors' topics in it.
struct House(Embedded);

/// The door at work.
struct Open {
    view: View,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Open {
    async fn close(self) {
        self.stop.cancel();
        self.task.await.expect("it drains");
    }
}

impl House {
    fn new() -> Self {
        let parts = crate::backend::embedded_parts();
        let store = Embedded::in_memory(embedded::Options::default(), parts, Arc::new(SystemClock));
        Self(store.expect("a store"))
    }

    fn open(&self) -> Open {
        let ports = self.0.ports();
        let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
        let quarantine = QuarantineStore::new(ports.clone(), codec, stores::quarantine::Options::default());
        let view = View::default();
        let door = Door {
            inbound: gateway::Gateway::new(ports.clone(), gateway::Options::default()).inbound(),
            ports,
            quarantine: Arc::new(quarantine),
            member: "one".to_owned(),
            options: runtime::Options { max_wait: Duration::from_millis(10), ..runtime::Options::default() },
            look: Duration::from_millis(10),
            view: view.clone(),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(door.run(stop.clone()));
        Open { view, stop, task }
    }

    async fn topic(&self, vendor: &str) -> String {
        let id = VendorId::parse(vendor).expect("an id");
        let (tables, clock) = (self.0.ports().tables, self.0.ports().clock);
        let key = Key::draw(&id, &mut StdRng::seed_from_u64(1));
        vendors::add(&*tables, clock.now(), "test", Settings::default(), &key).await.expect("added");
        let name = topics::inbound(&id);
        let spec = TopicSpec { name: name.clone(), partitions: 1 };
        self.0.log.apply(&[spec], &[]).await.expect("a topic");
        name
    }

    async fn write(&self, topic: &str, id: &str) {
        let value = format!(
            r#"{{"externalEventId":"{id}","eventType":"t","occurredAt":"2026-11-01T00:00:00Z","payload":{{}}}}"#
        );
        let headers = Headers::new();
        let record = Record { topic: topic.into(), partition: None, key: None, value: value.into(), headers };
        self.0.ports().log.append(record).await.expect("written");
    }

    /// External ids of what was accepted, in order.
    async fn accepted(&self) -> Vec<String> {
        let log = self.0.ports().log;
        let mut ids = Vec::new();
        for index in 0..log.partitions(topics::RAW).await.expect("partitions") {
            let read = log.read(&Partition::new(topics::RAW, index), 0, 1_000).await.expect("records");
            let id = |record: &log::RawRecord| {
                record.header(contract::headers::EXTERNAL_EVENT_ID).expect("a header").to_owned()
            };
            ids.extend(read.0.iter().map(id));
        }
        ids.sort();
        ids.dedup();
        ids
    }

    async fn until(&self, wanted: &[&str]) {
        let begun = Instant::now();
        while self.accepted().await != wanted {
            assert!(begun.elapsed() < PATIENCE, "{:?} instead of {wanted:?}", self.accepted().await);
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn topics_come_while_it_runs() {
    let house = House::new();
    let door = house.open();
    let acme = house.topic("acme").await;
    house.write(&acme, "a1").await;
    house.until(&["a1"]).await;
    let other = house.topic("other").await;
    house.write(&other, "b1").await;
    house.write(&acme, "a2").await;
    house.until(&["a1", "a2", "b1"]).await;
    assert_eq!(door.view.health(), Some((true, true)));
    door.close().await;
}

#[tokio::test]
async fn what_one_vendor_lost_keeps_nobody_else_out() {
    let house = House::new();
    let (acme, late) = (house.topic("acme").await, house.topic("late").await);
    house.write(&late, "lost").await;
    house.0.log.truncate(&Partition::new(late.as_str(), 0), 1).await.expect("cut");
    let door = house.open();
    house.write(&acme, "a1").await;
    house.write(&late, "l2").await;
    house.until(&["a1"]).await;
    let log = house.0.ports().log;
    assert_eq!(
        log.committed(Inbound::NAME, &late).await,
        Ok(vec![None]),
        "nothing is passed over in silence"
    );
    door.close().await;

    // Somebody decides that what is lost is lost.
    log.set_committed(Inbound::NAME, &[(Partition::new(late.as_str(), 0), 1)])
        .await
        .expect("nobody is in it");
    let door = house.open();
    house.until(&["a1", "l2"]).await;
    door.close().await;
}

#[test]
fn the_doors_group_is_the_one_that_operators_read_of() {
    assert_eq!(Inbound::NAME, stores::topics::INBOUND_GROUP);
}

#[test]
fn other_topics_make_another_member() {
    let one = member("a", &["t.x"]);
    assert!(one.starts_with("a-") && one == member("a", &["t.x"]));
    assert_ne!(one, member("a", &["t.x", "t.y"]));
    assert_ne!(one, member("b", &["t.x"]));
}
