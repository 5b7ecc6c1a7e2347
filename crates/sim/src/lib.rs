//! # sim: the whole pipeline under one seed
//!
//! Every stage with several members, vendors with all their habits, on the ports in memory, under a
//! clock that stands still while anybody works. One seed decides what is sent, how the installation is
//! laid out and what befalls it: calls that fail before or after their effect, processes that end or
//! stand still in the middle of a call and go on after others took their place, ports that are away,
//! transactions that collide, indexes that lag, members that come and go, offsets that are reset,
//! mappings that are corrected. When it has come to rest, the [`oracle`] compares what is there with
//! what was said. See `docs/simulation.md`.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what a seed decides before anything runs |
//! | [`traffic`], [`model`] | what vendors send, and what it means: a second opinion |
//! | [`weather`], [`life`], [`rough`] | what happens to calls, and to processes |
//! | [`members`], [`clients`], [`desk`], [`world`] | the processes, and who looks after them |
//! | [`oracle`] | what must be true of it all |
//!
//! The same seed gives the same run, call for call ([`Outcome::trace`]).

pub mod clients;
pub mod desk;
pub mod draw;
pub mod life;
pub mod members;
pub mod model;
mod options;
pub mod oracle;
pub mod plan;
pub mod rough;
pub mod traffic;
pub mod weather;
pub mod world;

use ports::Ports;

use plan::Plan;
use weather::Coverage;
use world::{Sabotage, World};

/// How one seed went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What is wrong; empty where nothing is.
    pub complaints: Vec<String>,
    /// What happened where.
    pub coverage: Coverage,
    /// A number for everything that happened, in order, and all that is kept in the end.
    pub trace: u64,
    /// The trace, line by line, where it was asked for.
    pub lines: Vec<String>,
}

impl Outcome {
    /// How many calls were made to ports, or tried.
    pub fn calls(&self) -> u64 {
        let before = self.coverage.iter().filter(|((_, side), _)| *side == weather::Side::Before);
        before.map(|(_, hits)| hits.seen).sum()
    }

    /// What is wrong, and how to see it again; `None` where nothing is.
    pub fn failure(&self) -> Option<String> {
        if self.complaints.is_empty() {
            return None;
        }
        let complaints = self.complaints.join("\n  ");
        let seed = self.seed;
        Some(format!(
            "seed {seed}:\n  {complaints}\n  replay: DVSS_SIM_SEED={seed} cargo run -p sim --example seeds"
        ))
    }
}

/// Runs a seed.
pub fn run(seed: u64) -> Outcome {
    simulate(Plan::of(seed), |_, ports| ports, false)
}

/// Runs a plan; `sabotage` breaks something on purpose, `verbose` keeps every line of the trace.
pub fn simulate(plan: Plan, sabotage: Sabotage, verbose: bool) -> Outcome {
    let seed = plan.seed;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread starts");
    runtime.block_on(async {
        let world = World::new(plan, sabotage, verbose).await;
        world.run().await;
        let mut complaints = world.complaints();
        complaints.extend(oracle::verdict(&world).await);
        world.weather.note(&oracle::digest(&world.ports).await);
        Outcome {
            seed,
            complaints,
            coverage: world.weather.coverage(),
            trace: world.weather.trace(),
            lines: world.weather.lines(),
        }
    })
}

/// Ports that nobody tampers with.
pub fn untouched(_role: &'static str, ports: Ports) -> Ports {
    ports
}
