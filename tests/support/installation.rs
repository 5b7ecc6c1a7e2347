//! An installation whose stages can be stopped one by one: on servers each role is a process of its own, on
//! the embedded default one process has them all.

use std::collections::BTreeMap;
use std::ops::Deref;

use futures::future::join_all;
use serde_json::Value;

use super::{Dvss, Place, Vendor, run};

/// The groups of the stages, upstream first.
pub const GROUPS: [&str; 4] = ["dvss.dedup", "dvss.normalize", "dvss.divergence", "dvss.outbox"];

/// A running installation. What operators ask and vendors send goes by way of the value that it derefs to.
pub struct Installation<'a> {
    place: &'a Place,
    /// `dvss up`, or the operator role beside the gateway's address. `None` while it is stopped.
    whole: Option<Dvss>,
    /// The other roles; none on the embedded default.
    gateway: Option<Dvss>,
    stages: BTreeMap<&'static str, Dvss>,
}

impl Deref for Installation<'_> {
    type Target = Dvss;

    fn deref(&self) -> &Dvss {
        self.whole.as_ref().expect("it runs")
    }
}

impl<'a> Installation<'a> {
    /// Starts everything.
    pub async fn start(place: &'a Place) -> Self {
        if place.servers.is_none() {
            let whole = Some(place.up().go().await);
            return Self { place, whole, gateway: None, stages: BTreeMap::new() };
        }
        place.prepare().await;
        let (gateway, mut whole, stages) = tokio::join!(
            place.role(&["gateway"]).go(),
            place.role(&["operator"]).go(),
            join_all(GROUPS.map(|group| stage(place, group)))
        );
        whole.vendors.clone_from(&gateway.vendors);
        let stages = GROUPS.into_iter().zip(stages).collect();
        Self { place, whole: Some(whole), gateway: Some(gateway), stages }
    }

    /// Sets the offsets of these stages back to the first records, and has them read it all again: by Kafka's
    /// own tool on servers, where these stages alone are stopped; by dvss's on a stopped store. `live` comes
    /// meanwhile, where vendors can send; else as soon as they can.
    pub async fn replay(&mut self, groups: &[&'static str], vendor: &Vendor, live: &[Value]) {
        if self.gateway.is_none() {
            self.whole.take().expect("it runs").stop().await;
            for group in groups {
                reset_embedded(self.place, group).await;
            }
            self.whole = Some(self.place.up().go().await);
            self.send_all(vendor, live).await;
            return;
        }
        self.halt(groups).await;
        for name in set_back(self.place, groups).await {
            assert_eq!(name.1, ["0", "0"], "both partitions of {} are set back", name.0);
        }
        // What is read again is not read yet, or this is no replay.
        for group in groups {
            assert_ne!(self.lag(group).await, 0, "{group} was set back");
        }
        self.send_all(vendor, live).await;
        self.resume(groups).await;
    }

    /// Stops these stages alone, on servers.
    pub async fn halt(&mut self, groups: &[&'static str]) {
        join_all(groups.iter().map(|group| self.stages.remove(group).expect("it runs").stop())).await;
    }

    /// Starts them again.
    pub async fn resume(&mut self, groups: &[&'static str]) {
        let started = join_all(groups.iter().map(|group| stage(self.place, group))).await;
        self.stages.extend(groups.iter().copied().zip(started));
    }

    /// Sends events, each until it is taken, and returns their ids.
    pub async fn send_all(&self, vendor: &Vendor, events: &[Value]) -> Vec<String> {
        let mut ids = Vec::new();
        for event in events {
            ids.push(self.deliver(vendor, event).await.id());
        }
        ids
    }

    /// How far a group is behind.
    pub async fn lag(&self, group: &str) -> u64 {
        let status = self.look("/status").await;
        let groups = status.expect(200)["groups"].as_array().expect("groups").clone();
        let found = groups.iter().find(|found| found["group"] == group).expect("the group");
        found["lag"].as_u64().expect("a number")
    }

    /// Stops everything, and waits for a clean end: vendors' door first.
    pub async fn stop(self) {
        for role in self.gateway.into_iter().chain(self.stages.into_values()).chain(self.whole) {
            role.stop().await;
        }
    }
}

async fn stage(place: &Place, group: &str) -> Dvss {
    let role = group.strip_prefix("dvss.").expect("a group of dvss");
    place.role(&["processor", role]).go().await
}

/// Moves a group's offsets back, on a stopped store.
async fn reset_embedded(place: &Place, group: &str) {
    let data = place.data().display().to_string();
    let rows =
        run(&["offsets", "reset", "--data", &data, "--group", group, "--to-earliest", "--json"]).await.json();
    let rows = rows.as_array().expect("a row a partition");
    let moved = |row: &&Value| row["before"].as_i64() > row["committed"].as_i64();
    assert!(rows.iter().any(|row| moved(&row)), "{group} had read something: {rows:?}");
    assert!(rows.iter().all(|row| row["committed"] == 0), "{rows:?}");
}

/// Sets the offsets of stopped groups to the first records that are kept, as whoever runs Kafka does it:
/// with `kafka-consumer-groups`. Returns the groups' names on the cluster and their new offsets.
pub async fn set_back(place: &Place, groups: &[&str]) -> Vec<(String, Vec<String>)> {
    let names: Vec<String> = groups.iter().map(|group| place.name(group)).collect();
    let mut arguments = vec!["--reset-offsets", "--to-earliest", "--all-topics", "--execute"];
    arguments.extend(names.iter().flat_map(|name| ["--group", name]));
    let said = place.on_servers().stack.tool("consumer.group.ConsumerGroupCommand", &arguments).await;
    let offsets = |name: &String| {
        // GROUP TOPIC PARTITION NEW-OFFSET
        let of_group = |line: &&str| line.split_whitespace().next() == Some(name);
        let last = |line: &str| line.split_whitespace().last().map(str::to_owned);
        said.lines().filter(of_group).filter_map(last).collect()
    };
    names.iter().map(|name| (name.clone(), offsets(name))).collect()
}
