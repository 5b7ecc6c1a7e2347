//! What goes wrong meanwhile: chosen by the seed, one at a time, each seen to have happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::PARTITIONS;
use crate::door::Counts;
use crate::fleet::{Fleet, Process, Role, STAGES};
use crate::servers::Servers;
use crate::until;

/// The servers.
pub const SERVERS: [&str; 4] = ["kafka", "dynamodb", "s3", "registry"];
/// Those without which nobody works, as operators are told.
const SERVICES: [(&str, &str); 3] = [("kafka", "Kafka"), ("dynamodb", "DynamoDB"), ("s3", "S3")];
/// Faults of each cycle: every kind once.
const CYCLE: u32 = 12;
/// A cycle comes to about so many events a fault, at most.
const EVENTS_A_FAULT: u32 = 5_000;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of a role, and its restart.
    Kill(Role),
    /// A second member joins a stage, works, and goes: by SIGTERM or by kill -9.
    Join {
        /// The stage.
        stage: &'static str,
        /// How it goes.
        killed: bool,
    },
    /// A member is stopped past its session while a second one works, and goes on.
    Pause(&'static str),
    /// A server is stopped, is away for a while, and comes back with its data.
    Restart {
        /// The server.
        server: &'static str,
        /// With kill -9.
        killed: bool,
    },
}

impl Fault {
    /// What it is counted as.
    pub fn kind(self) -> String {
        match self {
            Self::Kill(role) => format!("kill -9 {}", role.name()),
            Self::Join { .. } => "member added and removed".to_owned(),
            Self::Pause(_) => "member stopped past its session".to_owned(),
            Self::Restart { server, .. } => format!("{server} restarted"),
        }
    }
}

/// The faults of a run, in whole cycles.
pub fn plan(seed: u64, events: u32) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let cycles = events.div_ceil(EVENTS_A_FAULT).div_ceil(CYCLE).max(1);
    (0..cycles).flat_map(|_| cycle(&mut rng)).collect()
}

fn cycle(rng: &mut StdRng) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Role::ALL.map(Fault::Kill).into();
    faults.extend(SERVERS.map(|server| Fault::Restart { server, killed: rng.random_bool(0.5) }));
    let stage = STAGES[rng.random_range(0..STAGES.len())];
    faults.push(Fault::Join { stage, killed: rng.random_bool(0.5) });
    faults.push(Fault::Pause(STAGES[rng.random_range(0..STAGES.len())]));
    faults.shuffle(rng);
    faults
}

/// How fast vendors go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// No more events are settled than this.
    pub limit: u64,
    /// Time from an event to the next, all vendors together.
    pub event: Duration,
}

/// How long a fault takes, before one was seen.
const FIRST_GUESS: Duration = Duration::from_secs(5);

/// Everything that can be struck.
pub struct Weather<'a> {
    fleet: &'a Fleet,
    servers: &'a Servers,
    processes: BTreeMap<Role, Process>,
    rng: StdRng,
    /// Faults that were seen to have happened, by kind.
    pub seen: BTreeMap<String, u32>,
}

impl<'a> Weather<'a> {
    /// Starts every role.
    pub async fn begin(fleet: &'a Fleet, servers: &'a Servers, seed: u64) -> Self {
        let mut processes = BTreeMap::new();
        for role in Role::ALL {
            processes.insert(role, fleet.start(role, role.name()).await);
        }
        for process in processes.values_mut() {
            process.ready().await;
        }
        // Waits are drawn from another stream than the plan.
        let rng = StdRng::seed_from_u64(!seed);
        Self { fleet, servers, processes, rng, seen: BTreeMap::new() }
    }

    /// Where the operator API is now.
    pub fn operator(&self) -> String {
        self.processes[&Role::Operator].probes.clone()
    }

    /// Strikes, one fault a share of the traffic. The traffic goes as fast as faults take, and no further than
    /// a share ahead: there is traffic during every fault, and a fault during all traffic.
    pub async fn pass(
        &mut self,
        faults: &[Fault],
        events: u64,
        counts: &Arc<Counts>,
        pace: &watch::Sender<Pace>,
    ) {
        let share = events / faults.len() as u64;
        let begun = Instant::now();
        for (index, fault) in (0_u64..).zip(faults) {
            let done = u32::try_from(index).expect("few");
            let takes = if done == 0 { FIRST_GUESS } else { begun.elapsed() / done };
            pace.send_replace(Pace {
                limit: (index + 2) * share,
                event: takes / u32::try_from(share).expect("few"),
            });
            let moment = index * share + self.rng.random_range(0..=share / 2);
            while counts.settled.load(Ordering::Relaxed) < moment {
                sleep(Duration::from_millis(10)).await;
            }
            let settled = counts.settled.load(Ordering::Relaxed);
            println!("{settled:>7} events | {}/{} {fault:?}", index + 1, faults.len());
            self.strike(*fault).await;
            *self.seen.entry(fault.kind()).or_default() += 1;
        }
        pace.send_replace(Pace { limit: u64::MAX, event: Duration::ZERO });
    }

    async fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(role) => self.kill(role).await,
            Fault::Join { stage, killed } => self.join(stage, killed).await,
            Fault::Pause(stage) => self.pause(stage).await,
            Fault::Restart { server, killed } => self.restart(server, killed).await,
        }
    }

    async fn kill(&mut self, role: Role) {
        let process = self.processes.remove(&role).expect("it runs");
        process.kill().await;
        self.moment(0..1_000).await;
        self.processes.insert(role, self.fleet.start_ready(role, role.name()).await);
    }

    async fn join(&mut self, stage: &'static str, killed: bool) {
        let role = Role::Stage(stage);
        let extra = self.extra(role).await;
        self.moment(1_000..3_000).await;
        if killed {
            extra.kill().await;
        } else {
            extra.stop().await;
        }
        self.has_all(role).await;
    }

    async fn pause(&mut self, stage: &'static str) {
        let role = Role::Stage(stage);
        let extra = self.extra(role).await;
        let paused = &self.processes[&role];
        let before = paused.assignments().len();
        paused.signal(Signal::STOP);
        until("the member is stopped", async || paused.is_stopped().then_some(())).await;
        until("its partitions are another member's", async || {
            (extra.assignments().last() == Some(&PARTITIONS)).then_some(())
        })
        .await;
        self.moment(500..3_000).await;
        let paused = &self.processes[&role];
        assert!(paused.is_stopped(), "it was stopped all the time");
        paused.signal(Signal::CONT);
        until("it is assigned anew", async || (paused.assignments().len() > before).then_some(())).await;
        self.moment(500..2_000).await;
        extra.stop().await;
        self.has_all(role).await;
    }

    async fn restart(&mut self, server: &'static str, killed: bool) {
        let how: &[&str] = if killed { &["stop", server, "--kill"] } else { &["stop", server] };
        self.servers.control(how).await;
        until("nobody listens where the server was", async || {
            (!self.servers.listens(server).await).then_some(())
        })
        .await;
        // What has started knows the ids of its schemas, and goes on without the registry.
        if let Some(name) = SERVICES.iter().find_map(|(known, name)| (*known == server).then_some(name)) {
            let gateway = &self.processes[&Role::Gateway];
            until(&format!("the gateway says that it lacks {name}"), async || {
                gateway.unready().await.filter(|why| why.contains(name)).map(drop)
            })
            .await;
        }
        self.moment(500..4_000).await;
        self.servers.control(&["start", server]).await;
        for process in self.processes.values_mut() {
            process.ready().await;
        }
    }

    /// A second member of a stage, which has partitions.
    async fn extra(&self, role: Role) -> Process {
        let name = format!("{}-2", role.name());
        let extra = self.fleet.start_ready(role, &name).await;
        until("the second member has partitions", async || {
            extra.assignments().last().is_some_and(|count| *count > 0).then_some(())
        })
        .await;
        extra
    }

    /// Waits until a stage's first member has every partition.
    async fn has_all(&mut self, role: Role) {
        let process = self.processes.get_mut(&role).expect("it runs");
        process.ready().await;
        until("the first member has every partition again", async || {
            (process.assignments().last() == Some(&PARTITIONS)).then_some(())
        })
        .await;
    }

    async fn moment(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }

    /// Ends every process as an operator would: each drains.
    pub async fn end(self) {
        for (_, process) in self.processes {
            process.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_in_every_cycle() {
        let plan = plan(3, 40_000);
        assert_eq!((plan.len() as u32) % CYCLE, 0);
        assert!(plan.len() as u32 >= 40_000 / EVENTS_A_FAULT);
        for cycle in plan.chunks(CYCLE as usize) {
            let kinds: BTreeSet<String> = cycle.iter().map(|fault| fault.kind()).collect();
            assert_eq!(kinds.len(), CYCLE as usize, "{cycle:?}");
        }
        assert_eq!(plan, super::plan(3, 40_000));
        assert_ne!(plan, super::plan(4, 40_000));
    }
}
