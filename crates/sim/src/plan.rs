//! What a seed decides before anything runs: how the installation is laid out, what weather it gets, and
//! what is done to it while it works.

use std::time::Duration;

use faults::{Call, Moment};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use crate::draw;
use crate::members::Stage;

/// How long vendors send, and things happen.
pub const CHAOS: Duration = Duration::from_secs(30);

/// Everything that is decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Partitions and members.
    pub layout: Layout,
    /// What happens to calls.
    pub forecast: Forecast,
    /// What is done, and when.
    pub script: Vec<(Duration, Action)>,
}

/// Partitions, members, bounds.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Partitions of `dvss.raw` and `dvss.accepted`.
    pub events: u32,
    /// Partitions of `dvss.normalized`.
    pub facts: u32,
    /// Partitions of `dvss.outbox` and `dvss.receipts`.
    pub outbox: u32,
    /// Partitions of public topics.
    pub public: u32,
    /// Members of each stage.
    pub members: usize,
    /// Most records of a batch.
    pub batch: usize,
    /// Most outputs of a transaction.
    pub outputs: usize,
    /// Records that are handled at the same time.
    pub concurrency: usize,
    /// Writes that index reads lag behind; 0: none.
    pub lag: usize,
    /// Events that vendors mean.
    pub events_meant: usize,
    /// Rows a page of divergence's reads.
    pub page: usize,
    /// Most rows that are read to fold one fact.
    pub fold: usize,
    /// Whether two vendors share a warehouse.
    pub shared: bool,
    /// Whether the vendor with words of its own has a mapping from the start.
    pub mapped: bool,
}

/// What happens to calls.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// Anywhere, any time.
    pub rates: Rates,
    /// Chances in a million that a transaction meets another one, that a put meets another one.
    pub contention: u32,
    /// Ports that are away for a while.
    pub outages: Vec<Outage>,
    /// Things that happen at one certain call.
    pub targets: Vec<Target>,
}

/// Chances in a million, for each side of each call.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// It fails.
    pub fail: u32,
    /// The process ends.
    pub die: u32,
    /// The process stands still.
    pub pause: u32,
    /// It takes long.
    pub slow: u32,
}

/// A port that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// For whom; `None`: for all.
    pub stage: Option<&'static str>,
    /// Which port.
    pub port: &'static str,
    /// From when.
    pub from: Duration,
    /// To when.
    pub to: Duration,
}

impl Outage {
    /// Whether the call fails at `now`.
    pub fn hits(&self, call: Call, now: Duration) -> bool {
        call.port == self.port
            && self.stage.is_none_or(|stage| stage == call.stage)
            && (self.from..self.to).contains(&now)
    }
}

/// What a target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call fails.
    Fail,
    /// The process ends.
    Die,
    /// The process stands still.
    Pause,
}

/// Something that happens at one certain call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub call: Call,
    /// On which side of the effect.
    pub moment: Moment,
    /// What.
    pub kind: Kind,
    /// How many calls pass before.
    pub skip: u32,
    /// Whether every run makes the call, so that it must have happened.
    pub certain: bool,
}

impl Target {
    /// Whether this is its place.
    pub fn is(&self, call: Call, moment: Moment) -> bool {
        self.call == call && self.moment == moment
    }
}

/// What is done to the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// All members of the stage stop, its offsets go back to the start, they start again.
    Reset(Stage),
    /// The outbox's offsets go to the end: an operator's mistake, and the sweeper's task.
    Skip,
    /// One more member.
    Join(Stage),
    /// A member stops, finishing what it has in hand.
    Leave(Stage),
    /// The vendor's own mapping gets this version.
    Activate(u32),
    /// What is parked is released.
    Release,
    /// What is committed is compared with what is done.
    Look,
}

/// How often a run makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// Several times, in every run.
    Often,
    /// In every run.
    Once,
    /// In some.
    Perhaps,
}
use Frequency::{Often, Once, Perhaps};

/// Calls of the stages, and how often they are made.
pub const CALLS: &[(&str, &str, &str, Frequency)] = &[
    ("gateway", "tables", "get", Often),
    ("gateway", "raw", "put", Often),
    ("gateway", "raw", "get", Perhaps),
    ("gateway", "log", "append", Often),
    ("dedup", "log", "join", Once),
    ("dedup", "log", "producer", Once),
    ("dedup", "log", "poll", Often),
    ("dedup", "log", "begin", Often),
    ("dedup", "log", "send", Often),
    ("dedup", "log", "commit", Often),
    ("dedup", "log", "abort", Perhaps),
    ("dedup", "log", "committed", Once),
    ("dedup", "log", "ends", Once),
    ("dedup", "log", "read", Perhaps),
    ("dedup", "tables", "write", Often),
    ("dedup", "tables", "get", Perhaps),
    ("dedup", "tables", "query", Perhaps),
    ("dedup", "schemas", "id", Perhaps),
    ("normalize", "log", "join", Once),
    ("normalize", "log", "producer", Once),
    ("normalize", "log", "poll", Often),
    ("normalize", "log", "begin", Often),
    ("normalize", "log", "send", Often),
    ("normalize", "log", "commit", Often),
    ("normalize", "log", "abort", Perhaps),
    ("normalize", "log", "committed", Once),
    ("normalize", "log", "ends", Once),
    ("normalize", "log", "read", Perhaps),
    ("normalize", "tables", "get", Often),
    ("normalize", "tables", "snapshot", Once),
    ("normalize", "tables", "write", Often),
    ("normalize", "schemas", "id", Perhaps),
    ("normalize", "normalized", "put", Often),
    ("normalize", "normalized", "get", Perhaps),
    ("divergence", "log", "join", Once),
    ("divergence", "log", "producer", Once),
    ("divergence", "log", "poll", Often),
    ("divergence", "log", "begin", Often),
    ("divergence", "log", "send", Often),
    ("divergence", "log", "commit", Often),
    ("divergence", "log", "abort", Perhaps),
    ("divergence", "log", "committed", Once),
    ("divergence", "log", "ends", Once),
    ("divergence", "log", "read", Perhaps),
    ("divergence", "tables", "get", Often),
    ("divergence", "tables", "query", Perhaps),
    ("divergence", "tables", "transact", Often),
    ("divergence", "tables", "write", Perhaps),
    ("divergence", "schemas", "id", Once),
    ("outbox", "log", "join", Once),
    ("outbox", "log", "producer", Once),
    ("outbox", "log", "poll", Often),
    ("outbox", "log", "begin", Often),
    ("outbox", "log", "send", Often),
    ("outbox", "log", "commit", Often),
    ("outbox", "log", "abort", Perhaps),
    ("outbox", "log", "committed", Once),
    ("outbox", "log", "ends", Once),
    ("outbox", "log", "read", Perhaps),
    ("outbox", "log", "set_committed", Once),
    ("outbox", "tables", "get", Often),
    ("outbox", "tables", "write", Often),
    ("operator", "tables", "get", Often),
    ("operator", "tables", "transact", Often),
    ("operator", "tables", "write", Perhaps),
    ("operator", "invoices", "put", Often),
    ("operator", "invoices", "get", Once),
    ("operator", "invoices", "version", Often),
    ("operator", "log", "append", Often),
    ("invoices", "log", "join", Once),
    ("invoices", "log", "producer", Once),
    ("invoices", "log", "poll", Often),
    ("invoices", "log", "begin", Once),
    ("invoices", "log", "send", Once),
    ("invoices", "log", "commit", Once),
    ("invoices", "log", "abort", Perhaps),
    ("invoices", "log", "committed", Once),
    ("invoices", "log", "ends", Once),
    ("invoices", "log", "read", Perhaps),
    ("invoices", "tables", "get", Often),
    ("invoices", "tables", "transact", Often),
    ("invoices", "tables", "scan", Once),
    ("invoices", "tables", "query", Often),
    ("invoices", "tables", "write", Perhaps),
    ("invoices", "invoices", "version", Once),
    ("invoices", "invoices", "put", Once),
    ("invoices", "invoices", "get", Once),
    ("jobs", "tables", "query", Once),
    ("jobs", "tables", "get", Perhaps),
    ("jobs", "tables", "transact", Perhaps),
    ("jobs", "log", "append", Perhaps),
    ("sweeper", "log", "committed", Once),
    ("sweeper", "log", "ends", Perhaps),
    ("sweeper", "log", "read", Once),
    ("sweeper", "log", "append", Perhaps),
    ("sweeper", "tables", "query", Once),
    ("sweeper", "tables", "get", Perhaps),
];

/// Zombies of a seed.
const ZOMBIES: usize = 3;
/// Targets of a seed.
const TARGETS: u64 = 13;

impl Plan {
    /// What `seed` decides.
    pub fn of(seed: u64) -> Self {
        let mut rng = draw::generator(seed, "plan");
        let layout = layout(&mut rng);
        let forecast = forecast(seed, &mut rng);
        let script = script(&mut rng);
        Self { seed, layout, forecast, script }
    }
}

fn layout(rng: &mut StdRng) -> Layout {
    Layout {
        events: rng.random_range(1..=3),
        facts: rng.random_range(1..=3),
        outbox: rng.random_range(1..=3),
        public: rng.random_range(1..=2),
        members: 2,
        batch: pick(rng, &[1, 3, 10, 50]),
        outputs: pick(rng, &[1, 4, 1_000]),
        concurrency: pick(rng, &[1, 4, 32]),
        lag: pick(rng, &[0, 0, 0, 1, 7]),
        events_meant: rng.random_range(12..=24),
        page: pick(rng, &[1, 2, 1_000]),
        fold: pick(rng, &[3, 10_000, 10_000, 10_000]),
        shared: rng.random_bool(0.3),
        mapped: rng.random_bool(0.7),
    }
}

fn forecast(seed: u64, rng: &mut StdRng) -> Forecast {
    let rates = Rates {
        fail: pick(rng, &[0, 5_000, 20_000, 60_000]),
        die: pick(rng, &[0, 500, 2_000]),
        pause: pick(rng, &[0, 500]),
        slow: pick(rng, &[0, 2_000]),
    };
    let mut outages = Vec::new();
    for _ in 0..rng.random_range(0..=2) {
        let stages = [
            None,
            Some("dedup"),
            Some("normalize"),
            Some("divergence"),
            Some("outbox"),
            Some("gateway"),
            Some("invoices"),
        ];
        let from = instant(rng);
        let to = from + Duration::from_millis(rng.random_range(500..8_000));
        let port = pick(rng, &["log", "raw", "normalized", "invoices", "tables", "schemas"]);
        outages.push(Outage { stage: pick(rng, &stages), port, from, to });
    }
    let contention = pick(rng, &[0, 20_000, 200_000]);
    let mut targets: Vec<Target> = (0..TARGETS).map(|index| target(seed * TARGETS + index, rng)).collect();
    targets.extend((0..ZOMBIES).map(|_| zombie(rng)));
    Forecast { rates, contention, outages, targets }
}

/// Seeds that follow one another walk through all places, sides and kinds.
fn target(number: u64, rng: &mut StdRng) -> Target {
    let calls = CALLS.len() as u64;
    let kinds = [Kind::Fail, Kind::Die, Kind::Fail, Kind::Die, Kind::Pause];
    // Coprime strides, so that all combinations come.
    let (stage, port, method, frequency) = CALLS[(number % calls) as usize];
    let round = number / calls;
    let moment = if round.is_multiple_of(2) { Moment::After } else { Moment::Before };
    let kind = kinds[((round / 2) % kinds.len() as u64) as usize];
    let skip = if frequency == Often { rng.random_range(0..4) } else { 0 };
    let certain = frequency != Perhaps;
    Target { call: Call { stage, port, method }, moment, kind, skip, certain }
}

/// Somebody who stands still right before it writes, or before it hears of it.
fn zombie(rng: &mut StdRng) -> Target {
    let (stage, port, method) = pick(
        rng,
        &[
            ("gateway", "raw", "put"),
            ("gateway", "log", "append"),
            ("dedup", "tables", "write"),
            ("dedup", "log", "commit"),
            ("normalize", "normalized", "put"),
            ("normalize", "tables", "write"),
            ("normalize", "log", "commit"),
            ("divergence", "tables", "transact"),
            ("divergence", "tables", "transact"),
            ("divergence", "tables", "transact"),
            ("divergence", "log", "commit"),
            ("outbox", "tables", "get"),
            ("outbox", "tables", "write"),
            ("outbox", "log", "send"),
            ("outbox", "log", "commit"),
            ("outbox", "log", "commit"),
            ("operator", "tables", "transact"),
            ("operator", "tables", "transact"),
            ("operator", "log", "append"),
            ("invoices", "tables", "transact"),
            ("invoices", "log", "commit"),
        ],
    );
    let moment = pick(rng, &[Moment::Before, Moment::Before, Moment::After]);
    let skip = rng.random_range(0..8);
    Target { call: Call { stage, port, method }, moment, kind: Kind::Pause, skip, certain: false }
}

fn script(rng: &mut StdRng) -> Vec<(Duration, Action)> {
    let mut script = Vec::new();
    let stages = crate::members::STAGES;
    for _ in 0..rng.random_range(0..=3) {
        let stage = pick(rng, &stages);
        script.push((instant(rng), Action::Join(stage)));
        script.push((instant(rng), Action::Leave(stage)));
    }
    for _ in 0..rng.random_range(0..=2) {
        script.push((instant(rng), Action::Reset(pick(rng, &stages))));
    }
    if rng.random_bool(0.3) {
        script.push((instant(rng), Action::Skip));
    }
    if rng.random_bool(0.7) {
        for _ in 0..rng.random_range(1..=4) {
            script.push((instant(rng), Action::Activate(rng.random_range(1..=5))));
        }
        // Old events meet the corrected mapping.
        script.push((CHAOS.mul_f64(0.9), Action::Reset(Stage::Normalize)));
    }
    for _ in 0..rng.random_range(0..=2) {
        script.push((instant(rng), Action::Release));
    }
    for third in 1..=2 {
        script.push((CHAOS * third / 3, Action::Look));
    }
    script.sort_by_key(|(at, _)| *at);
    script
}

/// Some time in the middle.
fn instant(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(1_000..CHAOS.as_millis() as u64 * 8 / 10))
}

/// One of them.
pub fn pick<T: Copy>(rng: &mut impl Rng, all: &[T]) -> T {
    *all.choose(rng).expect("never an empty choice")
}
