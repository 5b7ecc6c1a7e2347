//! The simulated installation: one store, all processes around it, and a run from its first event to
//! the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use contract::{Code, EventType, Timestamp, VendorId, topics};
use divergence::Divergence;
use embedded::blobs::EmbeddedBlobs;
use embedded::log::{EmbeddedLog, TopicSpec};
use embedded::schemas::EmbeddedSchemas;
use embedded::tables::{EmbeddedTables, LaggingIndexes};
use embedded::{Engine, INVOICES_BUCKET, NORMALIZED_BUCKET, RAW_BUCKET, TokioClock};
use parking_lot::Mutex;
use ports::log::Partition;
use ports::{Clock, Ports, Tables, log};
use stores::codec::Codec;
use stores::mappings::{self, Document, Id, Owner};
use stores::tables::{DIVERGENCE, EFFECTS, QUARANTINE};
use stores::vendors::{self, Settings, Vendor};
use stores::{quarantine, receipts};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clients::{self, Answer};
use crate::desk;
use crate::draw;
use crate::life::{Death, Life};
use crate::members::{Keeper, STAGES, Stage};
use crate::options;
use crate::plan::{Action, CHAOS, Plan};
use crate::rough::{RoughBlobs, RoughTables};
use crate::traffic::{self, REPORT, Traffic, VENDORS};
use crate::weather::Weather;

/// Puts something wrong beneath a role's ports: how the oracle is shown to have teeth.
pub type Sabotage = fn(&'static str, Ports) -> Ports;

/// How long everything may take to come to rest once nothing happens any more.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a group's members may take to be gone.
const EMPTY: Duration = Duration::from_mins(1);
/// How often stages work through everything again until what is planned has happened.
const ROUNDS: usize = 8;

/// The installation while it runs.
pub struct World {
    /// What the seed decided.
    pub plan: Arc<Plan>,
    /// What happens to calls.
    pub weather: Arc<Weather>,
    /// The ports, as servers are: nothing fails here but what servers refuse.
    pub ports: Ports,
    /// What is sent.
    pub traffic: Traffic,
    /// When it began.
    pub began: Instant,
    sabotage: Sabotage,
    complaints: Mutex<Vec<String>>,
    answers: Mutex<Vec<Answer>>,
    /// Processes that nobody looks after any more; some of them still run.
    graves: Mutex<Vec<Grave>>,
    /// Activations of the vendor's own mapping: number, version.
    activations: Mutex<BTreeMap<u64, u32>>,
    /// References were skipped, so that only the sweeper brings them back.
    skipped: AtomicBool,
    /// Requests to the operator so far.
    requests: AtomicU64,
    /// The last activation when normalize was last reset.
    reset_at: Mutex<Option<u64>>,
}

struct Grave {
    life: Arc<Life>,
    abort: tokio::task::AbortHandle,
}

impl World {
    /// An empty installation for a plan. To be called inside of a paused runtime.
    pub async fn new(plan: Plan, sabotage: Sabotage, verbose: bool) -> Arc<Self> {
        let weather = Weather::new(plan.seed, plan.forecast.clone(), verbose);
        let start = Timestamp::parse("2026-03-16T12:00:00Z").expect("an instant");
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new(start));
        let ports = ports(&plan, &weather, &clock);
        let traffic = Traffic::of(&plan);
        let world = Self {
            plan: Arc::new(plan),
            weather,
            ports,
            traffic,
            began: Instant::now(),
            sabotage,
            complaints: Mutex::default(),
            answers: Mutex::default(),
            graves: Mutex::default(),
            activations: Mutex::default(),
            skipped: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            reset_at: Mutex::default(),
        };
        world.found().await;
        Arc::new(world)
    }

    /// Mappings and vendors.
    async fn found(&self) {
        let now = self.ports.clock.now();
        let tables = &*self.ports.tables;
        let mut shipped = Vec::new();
        for (path, text) in mapping::shipped().into_iter().filter(|(path, _)| path.contains("dvss/")) {
            // Its event type is its name; parsing it here as well would cost every seed time.
            let name =
                path.rsplit('/').next().and_then(|name| name.strip_suffix(".yaml")).unwrap_or_default();
            let event_type: String = name.split('-').map(capitalized).collect();
            let owner = Owner::Platform(mappings::CANONICAL_PLATFORM.to_owned());
            let event_type = EventType::parse(event_type.as_str()).expect("an event type");
            shipped.push(Document { id: Id { owner, event_type, version: 1 }, text: text.to_owned() });
        }
        mappings::seed(tables, now, &shipped).await.expect("an empty store takes mappings");
        for name in VENDORS {
            let mut rng = draw::generator(self.plan.seed, ("key", name));
            let key = vendors::Key::draw(&vendor_id(name), &mut rng);
            let pointer = match (name, self.plan.seed % 3) {
                ("bolt", _) | ("crab", 0) => Some("/payload/items/0/sku".to_owned()),
                _ => None,
            };
            let settings = Settings { ordering_pointer: pointer, ..Settings::default() };
            vendors::add(tables, now, "sim", settings, &key).await.expect("an empty store takes vendors");
        }
        if self.plan.layout.mapped {
            self.activate(1).await;
        }
    }

    /// The ports that a role stands on, the sabotage with them.
    pub fn ports_of(&self, role: &'static str) -> Ports {
        (self.sabotage)(role, self.ports.clone())
    }

    /// A number for a request to the operator.
    pub fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Something is not as it should be.
    pub fn complain(&self, complaint: String) {
        self.weather.note(&complaint);
        self.complaints.lock().push(complaint);
    }

    /// What is not as it should be.
    pub fn complaints(&self) -> Vec<String> {
        self.complaints.lock().clone()
    }

    /// A vendor got an answer.
    pub fn answered(&self, answer: Answer) {
        self.answers.lock().push(answer);
    }

    /// All answers.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().clone()
    }

    /// The version of the vendor's own mapping that an activation made effective.
    pub fn version(&self, activation: u64) -> Option<u32> {
        self.activations.lock().get(&activation).copied()
    }

    /// The vendor's own mapping that is effective.
    pub fn last_version(&self) -> Option<u32> {
        self.activations.lock().last_key_value().map(|(_, version)| *version)
    }

    /// Whether every event was, or will be, read again since the last correction of the mapping.
    pub fn reset_after_last(&self) -> bool {
        let last = self.activations.lock().last_key_value().map(|(number, _)| *number);
        last.is_some() && *self.reset_at.lock() == last
    }

    /// Whether normalized objects change once they are there.
    pub fn changes_objects(&self) -> bool {
        self.activations.lock().len() > 1
    }

    /// Whether references were skipped.
    pub fn skipped(&self) -> bool {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Leaves a process to itself; where `after` is given, it ends then.
    pub fn bury<T: Send + 'static>(&self, task: JoinHandle<T>, life: &Arc<Life>, after: Option<Duration>) {
        if let Some(after) = after {
            let (life, abort) = (Arc::clone(life), task.abort_handle());
            tokio::spawn(async move {
                sleep(after).await;
                life.die(Death::Closed);
                abort.abort();
            });
        }
        self.graves.lock().push(Grave { life: Arc::clone(life), abort: task.abort_handle() });
    }

    /// Ends all processes that nobody looks after.
    fn dig(&self) {
        for grave in self.graves.lock().drain(..) {
            grave.life.die(Death::Closed);
            grave.abort.abort();
        }
    }

    /// Runs until everything has come to rest.
    pub async fn run(self: &Arc<Self>) {
        let mut crews: BTreeMap<Stage, Vec<Keeper>> = BTreeMap::new();
        for stage in STAGES {
            let keepers = (0..self.plan.layout.members).map(|slot| Keeper::start(self, stage, slot));
            crews.insert(stage, keepers.collect());
        }
        for sweeper in [Stage::Sweeper, Stage::JobSweeper] {
            crews.insert(sweeper, vec![Keeper::start(self, sweeper, 0)]);
        }
        let mut senders = clients::start(self);
        senders.extend(desk::start(self));
        let mut watch = crate::oracle::progress::Watch::default();
        for (at, action) in &self.plan.script {
            sleep_until(self.began + *at).await;
            self.weather.note(&format!("{action:?}"));
            self.act(action, &mut crews, &mut watch).await;
        }
        sleep_until(self.began + CHAOS).await;
        self.weather.clear_up();
        self.meet(&crews).await;
        self.weather.calm_down();
        self.weather.note("calm");
        self.dig();
        self.settle(senders, &mut watch).await;
        for keeper in crews.values().flatten() {
            keeper.want(false);
        }
        for keeper in crews.into_values().flatten() {
            if tokio::time::timeout(EMPTY, keeper.emptied()).await.is_err() {
                self.complain("liveness: a member did not stop when asked".to_owned());
            }
            keeper.end();
        }
        self.dig();
        watch.look(self, true).await;
    }

    async fn act(
        self: &Arc<Self>,
        action: &Action,
        crews: &mut BTreeMap<Stage, Vec<Keeper>>,
        watch: &mut crate::oracle::progress::Watch,
    ) {
        match action {
            Action::Reset(stage) => self.reset(*stage, &crews[stage]).await,
            Action::Skip => {
                self.skipped.store(true, Ordering::Relaxed);
                self.set_offsets(Stage::Outbox, &crews[&Stage::Outbox], |ends| ends.stable).await;
            }
            Action::Join(stage) => {
                let crew = crews.entry(*stage).or_default();
                crew.push(Keeper::start(self, *stage, crew.len()));
            }
            Action::Leave(stage) => {
                // One stays always.
                if let Some(last) = crews[stage].last().filter(|_| crews[stage].len() > 1) {
                    last.want(false);
                }
            }
            Action::Activate(version) => self.activate(*version).await,
            Action::Release => {
                self.release(true).await;
            }
            Action::Look => watch.look(self, false).await,
        }
    }

    /// Sees to it that what is planned happens: a stage that made too few calls works through all of its
    /// records once more.
    async fn meet(&self, crews: &BTreeMap<Stage, Vec<Keeper>>) {
        for _ in 0..ROUNDS {
            let unmet = self.weather.unmet();
            if unmet.is_empty() {
                return;
            }
            for stage in STAGES
                .into_iter()
                .filter(|stage| unmet.iter().any(|target| target.call.stage == stage.name()))
            {
                self.reset(stage, &crews[&stage]).await;
            }
            sleep(Duration::from_secs(8)).await;
        }
        for target in self.weather.unmet() {
            self.complain(format!("planned, and never happened: {target:?}"));
        }
    }

    async fn reset(&self, stage: Stage, crew: &[Keeper]) {
        self.set_offsets(stage, crew, |ends| ends.start).await;
        if stage == Stage::Normalize {
            let last = self.activations.lock().last_key_value().map(|(number, _)| *number);
            *self.reset_at.lock() = last;
        }
    }

    /// As an operator with Kafka's own tool: stop the group, set its offsets, start it again.
    async fn set_offsets(&self, stage: Stage, crew: &[Keeper], to: impl Fn(&log::Ends) -> log::Offset) {
        let wanted: Vec<bool> = crew.iter().map(|keeper| keeper.want(false)).collect();
        for keeper in crew {
            keeper.emptied().await;
        }
        let log = &self.ports.log;
        let deadline = Instant::now() + EMPTY;
        loop {
            let ends = log.ends(stage.topic()).await.expect("its topic is there");
            let next = (0..).zip(&ends).map(|(index, ends)| (Partition::new(stage.topic(), index), to(ends)));
            let next: Vec<_> = next.collect();
            match log.set_committed(stage.group(), &next).await {
                Ok(()) => break,
                Err(log::Error::GroupNotEmpty(_)) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(500)).await;
                }
                Err(error) => {
                    self.complain(format!("liveness: offsets of {} cannot be set: {error}", stage.group()));
                    break;
                }
            }
        }
        self.weather.note(&format!("offsets of {} were set", stage.group()));
        for (keeper, wanted) in crew.iter().zip(wanted) {
            keeper.want(wanted);
        }
    }

    async fn activate(&self, version: u32) {
        let tables = &*self.ports.tables;
        let now = || self.ports.clock.now();
        let owner = Owner::Vendor(vendor_id(VENDORS[0]));
        let event_type = EventType::parse(REPORT).expect("an event type");
        let document = Document { id: Id { owner, event_type, version }, text: traffic::document(version) };
        let row = loop {
            let put = mappings::put(tables, now(), "sim", &document).await;
            let activated = match put {
                Ok(_) => mappings::activate(tables, now(), "sim", &document.id).await,
                Err(error) => Err(error),
            };
            match activated {
                Ok(row) => break row,
                // A transaction met another one.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        };
        self.activations.lock().insert(row.activation, version);
    }

    /// What an operator does about quarantine: releases what was parked because its mapping was missing,
    /// folds what was too much to fold and releases it then. How many records came back.
    ///
    /// `hopeless` are those that no mapping will ever be for: they come back to where they were.
    async fn release(&self, hopeless: bool) -> usize {
        let mut released = 0;
        if self.last_version().is_some() {
            let named = if hopeless { "" } else { REPORT };
            released += self.release_all(Stage::Normalize, Code::MappingMissing, named).await;
        }
        let rows = crate::oracle::scan(&*self.ports.tables, &EFFECTS).await.expect("nothing fails here");
        let waiting = rows.iter().filter(|row| crate::oracle::waits(row));
        for entity in waiting.map(|row| row.key.pk.clone()).collect::<BTreeSet<_>>() {
            let (tables, clock) = (Arc::clone(&self.ports.tables), Arc::clone(&self.ports.clock));
            let stage =
                Divergence::new(tables, Arc::new(codec(self)), clock, options::divergence(&self.plan));
            let done = stage.expect("the simulation's options are right").recompute(&entity).await;
            self.weather.note(&format!("{entity} is recomputed: {done:?}"));
        }
        released + self.release_all(Stage::Divergence, Code::FoldTooLong, "").await
    }

    async fn release_all(&self, stage: Stage, code: Code, named: &str) -> usize {
        let listed = quarantine::list(&self.ports, Some(stage.group()), None).await;
        let Ok((rows, _)) = listed else { return 0 };
        let mut released = 0;
        for row in rows {
            let wanted = row.code == code.as_str() && row.message.contains(named);
            if row.status != quarantine::Status::Open || !wanted {
                continue;
            }
            match quarantine::release(&self.ports, &row.stage, &row.identity).await {
                Ok(_) => released += 1,
                Err(error) => self.weather.note(&format!("{} is not released: {error}", row.identity)),
            }
        }
        released
    }

    /// Waits until all vendors have their answers and nothing is on its way any more.
    async fn settle(&self, senders: Vec<JoinHandle<()>>, watch: &mut crate::oracle::progress::Watch) {
        let deadline = Instant::now() + PATIENCE;
        for sender in senders {
            if tokio::time::timeout_at(deadline, sender).await.is_err() {
                self.complain("liveness: somebody has no answer though nothing fails any more".to_owned());
            }
        }
        self.rest(deadline).await;
        crate::oracle::books::repair(self).await;
        self.rest(deadline).await;
        // Also what was parked by somebody who was late to hear of the mapping, and what can only be
        // folded now that something else is.
        while self.release(false).await > 0 && Instant::now() < deadline {
            self.rest(deadline).await;
        }
        watch.look(self, false).await;
    }

    async fn rest(&self, deadline: Instant) {
        loop {
            let standing = self.standing().await;
            if standing.is_empty() {
                return;
            }
            if Instant::now() >= deadline {
                self.complain(format!(
                    "liveness: after {PATIENCE:?} without faults: {}",
                    standing.join("; ")
                ));
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// What still waits.
    async fn standing(&self) -> Vec<String> {
        let log = &*self.ports.log;
        let mut standing = Vec::new();
        let groups = STAGES.map(|stage| (stage.group(), stage.topic()));
        for (group, topic) in groups.into_iter().chain([(receipts::COPIED_GROUP, topics::RECEIPTS)]) {
            let lags = runtime::lag(log, group, &[topic]).await.expect("nothing fails here");
            let behind: u64 = lags.iter().map(|lag| lag.records).sum();
            let open = lags.iter().filter(|lag| lag.ends.stable < lag.ends.uncommitted).count();
            if behind > 0 || open > 0 {
                standing.push(format!("{group} is {behind} records behind, {open} partitions are open"));
            }
        }
        // Behind an open transaction nobody sees what is committed.
        for topic in topics::PUBLIC {
            let ends = log.ends(topic).await.expect("nothing fails here");
            let open = ends.iter().filter(|ends| ends.stable < ends.uncommitted).count();
            if open > 0 {
                standing.push(format!("{open} partitions of {topic} are open"));
            }
        }
        if standing.is_empty() {
            for table in [&EFFECTS, &DIVERGENCE, &QUARANTINE] {
                let rows = crate::oracle::scan(&*self.ports.tables, table).await.expect("nothing fails here");
                let pending = rows.iter().filter(|row| row.item.contains_key("pendingShard"));
                standing.extend(pending.map(|row| format!("{:?} of {} is pending", row.key, table.name)));
            }
        }
        standing
    }
}

/// A vendor's row, as the gateway reads it.
pub async fn vendor(world: &World, name: &str) -> Vendor {
    let found = vendors::get(&*world.ports.tables, &vendor_id(name)).await;
    found.ok().flatten().expect("every vendor was added")
}

/// The id of that name.
pub fn vendor_id(name: &str) -> VendorId {
    VendorId::parse(name).expect("an id")
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn ports(plan: &Plan, weather: &Arc<Weather>, clock: &Arc<dyn Clock>) -> Ports {
    let engine = Engine::in_memory();
    let log = EmbeddedLog::new(engine.clone(), Arc::clone(clock), options::log()).expect("memory opens");
    let layout = &plan.layout;
    let partitions = |name: &str| match name {
        topics::RAW | topics::ACCEPTED => layout.events,
        topics::NORMALIZED => layout.facts,
        topics::OUTBOX | topics::RECEIPTS => layout.outbox,
        topics::INVOICE_JOBS => layout.events,
        _ => layout.public,
    };
    let names = topics::INTERNAL.into_iter().chain(topics::PUBLIC);
    let specs = names.map(|name| TopicSpec { name: name.to_owned(), partitions: partitions(name) });
    let groups = STAGES.map(|stage| (stage.group().to_owned(), vec![stage.topic().to_owned()]));
    log.apply_blocking(specs.collect(), groups.to_vec()).expect("an empty log takes topics");
    let tables = EmbeddedTables::new(engine.clone(), &stores::tables::ALL).expect("memory opens");
    let tables = Arc::new(tables.with_clock(Arc::clone(clock)));
    let tables: Arc<dyn Tables> = match layout.lag {
        0 => tables,
        lag => Arc::new(LaggingIndexes::new(tables, lag)),
    };
    let schemas = stores::codec::schemas().into_iter().map(|(subject, text)| (subject, text.to_owned()));
    let bucket =
        |name| Arc::new(RoughBlobs::new(Arc::new(EmbeddedBlobs::new(engine.clone(), name)), weather));
    Ports {
        log: Arc::new(log),
        raw: bucket(RAW_BUCKET),
        normalized: bucket(NORMALIZED_BUCKET),
        invoices: bucket(INVOICES_BUCKET),
        tables: Arc::new(RoughTables::new(tables, weather)),
        schemas: Arc::new(EmbeddedSchemas::new(&engine, schemas.collect()).expect("memory opens")),
        clock: Arc::clone(clock),
    }
}

/// Reads public values.
pub fn codec(world: &World) -> Codec {
    Codec::new(Arc::clone(&world.ports.schemas))
}
