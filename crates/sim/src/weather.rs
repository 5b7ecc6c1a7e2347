//! What happens to calls: the policy that stands around every port of every process, what it has done,
//! and a trace of it all.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use faults::{Call, Moment, Policy, Verdict};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::draw;
use crate::life::{Death, Life};
use crate::plan::{Forecast, Kind, Target};

/// How many of a million transactions are seen row by row.
const TORN_PER_MILLION: u32 = 50_000;

/// What a fault policy may do to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    /// It takes a moment, as calls do.
    Go(Duration),
    /// Its answer is lost, or it never left.
    Fail,
    /// The process ends here.
    Die(Death),
    /// The process stands still here.
    Pause(Duration),
}

/// A place where something can happen: `stage.port.method`, and the side of the effect.
pub type Place = (String, Side);

/// [`Moment`], in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Nothing has happened yet.
    Before,
    /// It has happened.
    After,
}

impl From<Moment> for Side {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Before => Self::Before,
            Moment::After => Self::After,
        }
    }
}

/// What happened at a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// The place was passed or not.
    pub seen: u64,
    /// Calls that failed there.
    pub failed: u64,
    /// Processes that ended there.
    pub died: u64,
    /// Processes that stood still there.
    pub paused: u64,
}

impl Hits {
    /// Takes in what happened in another run.
    pub fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.failed += other.failed;
        self.died += other.died;
        self.paused += other.paused;
    }
}

/// All places that were reached.
pub type Coverage = BTreeMap<Place, Hits>;

/// The weather of one run.
pub struct Weather {
    seed: u64,
    forecast: Forecast,
    /// Only what is planned for one certain call happens any more.
    clearing: AtomicBool,
    calm: AtomicBool,
    began: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    coverage: Coverage,
    /// By target, how often its place was reached, and whether it happened.
    targets: Vec<(u32, bool)>,
    trace: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Weather {
    /// The weather that `forecast` promises. `verbose` keeps every line of the trace.
    pub fn new(seed: u64, forecast: Forecast, verbose: bool) -> Arc<Self> {
        let log = Log {
            targets: vec![(0, false); forecast.targets.len()],
            lines: verbose.then(Vec::new),
            ..Log::default()
        };
        let (clearing, calm, began) = (AtomicBool::new(false), AtomicBool::new(false), Instant::now());
        Arc::new(Self { seed, forecast, clearing, calm, began, log: Mutex::new(log) })
    }

    /// From now on only that happens which is planned for one certain call.
    pub fn clear_up(&self) {
        self.clearing.store(true, Ordering::Relaxed);
    }

    /// Nothing happens any more.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Whether nothing happens any more.
    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// A note in the trace.
    pub fn note(&self, what: &str) {
        let at = self.began.elapsed().as_millis();
        let mut log = self.log.lock();
        (at, what).hash(&mut log.trace);
        if let Some(lines) = &mut log.lines {
            lines.push(format!("{at:>7} {what}"));
        }
    }

    /// A number for everything that happened so far, in order.
    pub fn trace(&self) -> u64 {
        self.log.lock().trace.clone().finish()
    }

    /// The trace, line by line, where it was kept.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().lines.clone().unwrap_or_default()
    }

    /// What happened where.
    pub fn coverage(&self) -> Coverage {
        self.log.lock().coverage.clone()
    }

    /// What was to happen for certain and did not (yet).
    pub fn unmet(&self) -> Vec<Target> {
        let log = self.log.lock();
        let targets = self.forecast.targets.iter().zip(&log.targets);
        targets
            .filter(|(target, (_, met))| target.certain && !met)
            .map(|(target, _)| target.clone())
            .collect()
    }

    /// How often a decorator has decided something; draws for the next one.
    pub fn rough(&self, what: &'static str, count: u64) -> bool {
        let hit = !self.is_calm()
            && !self.clearing.load(Ordering::Relaxed)
            && draw::chance(draw::number(self.seed, (what, count)), self.forecast.contention);
        if hit {
            self.note(what);
        }
        hit
    }

    /// Whether the transaction of this number is seen row by row: in every seed, some are.
    pub fn tears(&self, count: u64) -> bool {
        let what = "a transaction is seen row by row";
        let hit = !self.is_calm() && draw::chance(draw::number(self.seed, (what, count)), TORN_PER_MILLION);
        if hit {
            self.note(what);
        }
        hit
    }

    /// A number that the seed draws for `what`.
    pub fn number(&self, what: impl Hash) -> u64 {
        draw::number(self.seed, what)
    }

    fn fate(&self, who: &str, call: Call, moment: Moment, count: u64) -> Fate {
        let number = draw::number(self.seed, (who, call, moment, count));
        let latency = if number >> 35 & 3 == 0 { 1 + (number >> 32 & 7) } else { 0 };
        let latency = Duration::from_millis(latency);
        if self.is_calm() {
            return Fate::Go(Duration::from_millis(u64::from(number & 15 == 0)));
        }
        if let Some(kind) = self.aimed(call, moment) {
            return self.of_kind(kind, number);
        }
        if self.clearing.load(Ordering::Relaxed) {
            return Fate::Go(latency);
        }
        let now = self.began.elapsed();
        let out = |outage: &crate::plan::Outage| outage.hits(call, now);
        if self.forecast.outages.iter().any(out) && moment == Moment::Before {
            return Fate::Fail;
        }
        let rates = &self.forecast.rates;
        let mut roll = u32::try_from(number % 1_000_000).unwrap_or(0);
        for (kind, rate) in [(Kind::Fail, rates.fail), (Kind::Die, rates.die), (Kind::Pause, rates.pause)] {
            if roll < rate {
                return self.of_kind(kind, number);
            }
            roll -= rate;
        }
        if roll < rates.slow {
            return Fate::Go(Duration::from_millis(300 + (number >> 40) % 2_500));
        }
        Fate::Go(latency)
    }

    fn of_kind(&self, kind: Kind, number: u64) -> Fate {
        match kind {
            Kind::Fail => Fate::Fail,
            Kind::Die if number >> 20 & 1 == 0 => Fate::Die(Death::Closed),
            Kind::Die => Fate::Die(Death::Silent),
            // Shorter than a transaction's time-out, longer than it, longer than a session.
            Kind::Pause => Fate::Pause(Duration::from_millis(
                [1_000, 5_000, 10_000, 15_000][(number >> 20 & 3) as usize],
            )),
        }
    }

    /// What the plan wants to happen at this very call.
    fn aimed(&self, call: Call, moment: Moment) -> Option<Kind> {
        let mut log = self.log.lock();
        for (target, (seen, met)) in self.forecast.targets.iter().zip(&mut log.targets) {
            if *met || !target.is(call, moment) {
                continue;
            }
            *seen += 1;
            if *seen > target.skip {
                *met = true;
                return Some(target.kind);
            }
        }
        None
    }

    fn record(&self, who: &str, call: Call, moment: Moment, fate: Fate) {
        let at = self.began.elapsed().as_millis();
        let mut log = self.log.lock();
        (at, who, call, moment, fate).hash(&mut log.trace);
        let hits = log.coverage.entry((call.to_string(), moment.into())).or_default();
        hits.seen += 1;
        match fate {
            Fate::Go(_) => {}
            Fate::Fail => hits.failed += 1,
            Fate::Die(_) => hits.died += 1,
            Fate::Pause(_) => hits.paused += 1,
        }
        if let Some(lines) = &mut log.lines {
            lines.push(format!("{at:>7} {who} {moment:?} {call}: {fate:?}"));
        }
    }
}

/// The weather as it is around one process.
pub struct Around {
    weather: Arc<Weather>,
    life: Arc<Life>,
    who: String,
    counts: Mutex<HashMap<(Call, Moment), u64>>,
}

impl Around {
    /// The weather around `who`, whose life this is.
    pub fn new(weather: &Arc<Weather>, life: &Arc<Life>, who: String) -> Arc<Self> {
        let (weather, life) = (Arc::clone(weather), Arc::clone(life));
        Arc::new(Self { weather, life, who, counts: Mutex::default() })
    }
}

#[async_trait]
impl Policy for Around {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        // What runs beside a call that ended or stopped the process does not get any further either.
        self.life.stand().await;
        let count = {
            let mut counts = self.counts.lock();
            let count = counts.entry((call, moment)).or_default();
            *count += 1;
            *count
        };
        let fate = self.weather.fate(&self.who, call, moment, count);
        self.weather.record(&self.who, call, moment, fate);
        match fate {
            Fate::Go(Duration::ZERO) => Verdict::Go,
            Fate::Go(latency) => {
                sleep(latency).await;
                Verdict::Go
            }
            Fate::Fail => Verdict::Fail,
            Fate::Pause(pause) => {
                self.life.pause(pause).await;
                Verdict::Go
            }
            Fate::Die(death) => {
                self.life.die(death);
                Verdict::Never
            }
        }
    }
}
