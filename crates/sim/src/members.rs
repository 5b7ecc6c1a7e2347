//! Members of the stages' groups, and who looks after them: starts them, starts others in their place
//! when they are gone or seem to be, and stops them when asked.

use std::sync::Arc;
use std::time::Duration;

use contract::topics;
use dedup::Dedup;
use divergence::Divergence;
use invoicing::Invoicing;
use normalize::Normalize;
use outbox::Outbox;
use ports::Ports;
use rand::RngExt;
use rand::rngs::StdRng;
use runtime::{Fatal, Processor, Service};
use stores::codec::Codec;
use stores::quarantine::{self, QuarantineStore};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::desk::{self, Reads};
use crate::draw;
use crate::life::{Death, Life, Mortal, Trouble};
use crate::options;
use crate::plan::Plan;
use crate::weather::Around;
use crate::world::World;

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `dvss.raw` to `dvss.accepted`.
    Dedup,
    /// `dvss.accepted` to `dvss.normalized`.
    Normalize,
    /// `dvss.normalized` to `dvss.outbox`.
    Divergence,
    /// `dvss.outbox` to the public topics.
    Outbox,
    /// Rows that were left pending.
    Sweeper,
    /// `dvss.invoice.jobs` to `dvss.normalized`.
    Invoices,
    /// Jobs that were left behind.
    JobSweeper,
}

/// Those that read a topic.
pub const STAGES: [Stage; 5] =
    [Stage::Dedup, Stage::Normalize, Stage::Divergence, Stage::Outbox, Stage::Invoices];

/// How long a member is given to finish what it has in hand.
const DRAIN: Duration = Duration::from_secs(6);

impl Stage {
    /// What calls of it are known under.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Normalize => "normalize",
            Self::Divergence => "divergence",
            Self::Outbox => "outbox",
            Self::Sweeper => "sweeper",
            Self::Invoices => "invoices",
            Self::JobSweeper => "jobs",
        }
    }

    /// Its group.
    pub fn group(self) -> &'static str {
        match self {
            Self::Dedup => Dedup::NAME,
            Self::Normalize => Normalize::NAME,
            Self::Divergence => Divergence::NAME,
            Self::Outbox => Outbox::NAME,
            Self::Invoices => Invoicing::NAME,
            Self::Sweeper | Self::JobSweeper => "no group",
        }
    }

    /// What it reads.
    pub fn topic(self) -> &'static str {
        match self {
            Self::Dedup => topics::RAW,
            Self::Normalize => topics::ACCEPTED,
            Self::Divergence => topics::NORMALIZED,
            Self::Outbox | Self::Sweeper => topics::OUTBOX,
            Self::Invoices | Self::JobSweeper => topics::INVOICE_JOBS,
        }
    }
}

/// One process of a stage, until `stop`.
async fn serve(
    stage: Stage,
    ports: Ports,
    member: String,
    who: String,
    world: Arc<World>,
    stop: CancellationToken,
) -> Result<(), Fatal> {
    let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
    let plan = Arc::clone(&world.plan);
    match stage {
        Stage::Dedup => {
            let (tables, clock) = (Arc::clone(&ports.tables), Arc::clone(&ports.clock));
            let options = dedup::Options::default();
            run(
                stage,
                Dedup::new(tables, Arc::clone(&codec), clock, options),
                ports,
                codec,
                member,
                &plan,
                stop,
            )
            .await
        }
        Stage::Normalize => {
            let (tables, objects) = (Arc::clone(&ports.tables), Arc::clone(&ports.normalized));
            let options = normalize::Options::default();
            run(stage, Normalize::new(tables, objects, options), ports, codec, member, &plan, stop).await
        }
        Stage::Divergence => {
            let (tables, clock) = (Arc::clone(&ports.tables), Arc::clone(&ports.clock));
            let options = options::divergence(&plan);
            let processor = Divergence::new(tables, Arc::clone(&codec), clock, options);
            let processor = processor.expect("the simulation's options are right");
            run(stage, processor, ports, codec, member, &plan, stop).await
        }
        Stage::Outbox => {
            let processor = Outbox::new(&ports, options::outbox());
            run(stage, processor, ports, codec, member, &plan, stop).await
        }
        Stage::Sweeper => {
            outbox::sweeper::run(&ports, &options::outbox(), stop).await;
            Ok(())
        }
        Stage::Invoices => {
            let invoices = desk::invoices(plan.seed, &who, ports.clone());
            let processor = Invoicing::new(invoices, Arc::new(Reads::new(&world.weather)), who, 2);
            run(stage, processor, ports, codec, member, &plan, stop).await
        }
        Stage::JobSweeper => {
            invoicing::sweeper::run(&desk::invoices(plan.seed, &who, ports), stop).await;
            Ok(())
        }
    }
}

async fn run<P: Processor>(
    stage: Stage,
    processor: P,
    ports: Ports,
    codec: Arc<Codec>,
    member: String,
    plan: &Plan,
    stop: CancellationToken,
) -> Result<(), Fatal> {
    let log = Arc::clone(&ports.log);
    let quarantine = QuarantineStore::new(ports, codec, quarantine::Options::default());
    let options = options::runtime(plan);
    let service =
        Service::new(Arc::new(processor), log, Arc::new(quarantine), &[stage.topic()], &member, options);
    service.run(stop).await
}

/// Who looks after one place for a member.
pub struct Keeper {
    wanted: watch::Sender<bool>,
    empty: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Starts a member and looks after it.
    pub fn start(world: &Arc<World>, stage: Stage, slot: usize) -> Self {
        let (wanted, wish) = watch::channel(true);
        let (emptied, empty) = watch::channel(false);
        let rng = draw::generator(world.plan.seed, ("keeper", stage, slot));
        let kept = Kept { world: Arc::clone(world), stage, slot, rng, incarnation: 0 };
        Self { wanted, empty, task: tokio::spawn(kept.keep(wish, emptied)) }
    }

    /// Has the member stop, or another one start; whether one was wanted before.
    pub fn want(&self, wanted: bool) -> bool {
        self.wanted.send_replace(wanted)
    }

    /// Waits until no member is there; only after it is not wanted any more.
    pub async fn emptied(&self) {
        let mut empty = self.empty.clone();
        // The keeper is gone: so is its member.
        let _ = empty.wait_for(|empty| *empty).await;
    }

    /// Ends the keeper; to be called when nobody is there.
    pub fn end(self) {
        self.task.abort();
    }
}

struct Kept {
    world: Arc<World>,
    stage: Stage,
    slot: usize,
    rng: StdRng,
    incarnation: u32,
}

/// How a member ended.
enum End {
    Stopped,
    Gone,
    Fatal(String),
}

impl Kept {
    async fn keep(mut self, mut wish: watch::Receiver<bool>, emptied: watch::Sender<bool>) {
        let mut name = format!("m{}", self.slot);
        loop {
            if !*wish.borrow_and_update() {
                emptied.send_replace(true);
            }
            if wish.wait_for(|wanted| *wanted).await.is_err() {
                return;
            }
            emptied.send_replace(false);
            self.incarnation += 1;
            let end = self.live(&name, &mut wish).await;
            match end {
                End::Stopped => continue,
                End::Gone => {}
                End::Fatal(why) => {
                    self.world.complain(format!("{} stopped by itself: {why}", self.stage.name()))
                }
            }
            if self.rng.random_bool(0.3) {
                name = format!("m{}-{}", self.slot, self.incarnation);
            }
            sleep(Duration::from_millis(self.rng.random_range(1..3_000))).await;
        }
    }

    /// One member, from its start to its end (or until it is given up).
    async fn live(&mut self, name: &str, wish: &mut watch::Receiver<bool>) -> End {
        let world = Arc::clone(&self.world);
        let life = Life::new();
        let who = format!("{}-{name}#{}", self.stage.name(), self.incarnation);
        world.weather.note(&format!("{who} starts"));
        let policy = Around::new(&world.weather, &life, who.clone());
        let ports = faults::around(&world.ports_of(self.stage.name()), self.stage.name(), policy);
        let stop = CancellationToken::new();
        let served = serve(self.stage, ports, name.to_owned(), who.clone(), Arc::clone(&world), stop.clone());
        let mut task = tokio::spawn(Mortal::new(Arc::clone(&life), served));
        let (mut patient, mut deadline) = (false, None::<Instant>);
        loop {
            tokio::select! {
                biased;
                ended = &mut task => return match ended {
                    Ok(Some(Ok(()))) if stop.is_cancelled() => End::Stopped,
                    Ok(Some(Ok(()))) => End::Fatal("without being asked".to_owned()),
                    Ok(Some(Err(fatal))) => End::Fatal(fatal.to_string()),
                    Ok(None) => End::Gone,
                    Err(panic) => End::Fatal(panic.to_string()),
                },
                trouble = life.trouble(), if !patient => match trouble {
                    Trouble::Dead(Death::Silent) => {
                        world.bury(task, &life, None);
                        return if deadline.is_some() { End::Stopped } else { End::Gone };
                    }
                    // Its task ends in its next turn.
                    Trouble::Dead(Death::Closed) => patient = true,
                    Trouble::Paused if deadline.is_none() && self.rng.random_bool(0.6) => {
                        world.weather.note(&format!("{who} seems to be gone"));
                        let after = Duration::from_millis(self.rng.random_range(2_000..25_000));
                        world.bury(task, &life, Some(after));
                        return End::Gone;
                    }
                    Trouble::Paused => patient = true,
                },
                () = life.stand(), if patient => patient = false,
                _ = wish.wait_for(|wanted| !*wanted), if deadline.is_none() => {
                    stop.cancel();
                    deadline = Some(Instant::now() + DRAIN);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    world.weather.note(&format!("{who} does not stop, so it is ended"));
                    let silent = self.rng.random_bool(0.5);
                    life.die(if silent { Death::Silent } else { Death::Closed });
                    world.bury(task, &life, None);
                    return End::Stopped;
                }
            }
        }
    }
}
