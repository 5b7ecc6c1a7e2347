//! The people at the invoices: each brings documents, and clicks until somebody answers, twice where once would do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::{Decimal, Fingerprint};
use invoices::intake::{Announced, Door, Place};
use invoices::job::{File, Reason};
use invoices::upload::Presented;
use invoices::{Draw, Error, Invoices, Job, JobId, State, store};
use invoicing::{Parsed, Parser};
use ports::Ports;
use rand::RngExt;
use readers::Reading;
use readers::invoice::{Format, Invoice, Kind, Line, Party, Totals};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use crate::draw;
use crate::life::{Life, Mortal};
use crate::plan::CHAOS;
use crate::traffic::VENDORS;
use crate::weather::{Around, Weather};
use crate::world::{World, vendor_id};

/// How long somebody waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a person looks whether it is done.
const LOOK: Duration = Duration::from_millis(500);

/// What somebody at the desk means to do with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Invoices of the document, by number. Two tasks may mean one number.
    pub numbers: &'static [&'static str],
    /// Whether it is taken back and applied once more.
    pub turns: bool,
    /// Which way its goods go.
    pub kind: Kind,
}

/// What is done at the desk in every run.
pub const TASKS: [Task; 5] = [
    Task { numbers: &["RE-1"], turns: false, kind: Kind::Invoice },
    Task { numbers: &["re-1 "], turns: false, kind: Kind::Invoice },
    Task { numbers: &["RE-2", "RE-3"], turns: false, kind: Kind::Invoice },
    Task { numbers: &["RE-4"], turns: true, kind: Kind::Invoice },
    Task { numbers: &["RE-4"], turns: false, kind: Kind::CreditNote },
];

/// Items that invoices are about.
pub const ITEMS: [&str; 3] = ["A-1", "B-2", "C-3"];

/// A document says this and nothing else: the reading that shall come out of it.
pub fn document(seed: u64, task: usize) -> Bytes {
    let mut rng = draw::generator(seed, ("document", task));
    let Task { numbers, kind, .. } = TASKS[task];
    let line = |line| Line {
        line,
        sku: Some(ITEMS[rng.random_range(0..ITEMS.len())].to_owned()),
        quantity: Some(Decimal::from(rng.random_range(1..9_i64))),
        ..Line::default()
    };
    let lines: Vec<Line> = (1..=3).map(line).collect();
    let invoice = |number: &&str| Invoice {
        format: Format::Ubl,
        kind,
        number: Some((*number).to_owned()),
        issue_date: None,
        currency: None,
        supplier: Party::default(),
        buyer: Party::default(),
        lines: lines.clone(),
        adjustments: Vec::new(),
        totals: Totals::default(),
        flags: Vec::new(),
        evidence: Default::default(),
    };
    let reading = Reading { invoices: numbers.iter().map(invoice).collect(), pages: Vec::new() };
    serde_json::to_vec(&reading).expect("text keys and no floats").into()
}

/// Reads what [`document`] wrote; now and then it is killed.
pub struct Reads {
    weather: Arc<Weather>,
    count: AtomicU64,
}

impl Reads {
    /// Under this weather.
    pub fn new(weather: &Arc<Weather>) -> Self {
        Self { weather: Arc::clone(weather), count: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Parser for Reads {
    async fn parse(&self, _: &File, bytes: Bytes) -> Parsed {
        if self.weather.rough("the parser is killed", self.count.fetch_add(1, Ordering::Relaxed)) {
            return Parsed::Killed(Reason {
                code: "parser-killed".to_owned(),
                message: "signal 9".to_owned(),
            });
        }
        match serde_json::from_slice(&bytes) {
            Ok(reading) => Parsed::Read(reading),
            Err(error) => Parsed::Refused(Reason { code: "damaged".to_owned(), message: error.to_string() }),
        }
    }
}

/// Invoices on these ports, random bits from the seed. Two that are made alike must not draw alike.
pub fn invoices(seed: u64, who: &str, ports: Ports) -> Invoices {
    let (who, count) = (who.to_owned(), AtomicU64::new(0));
    let draw: Draw = Arc::new(move || {
        let number =
            || u128::from(draw::number(seed, ("desk", who.as_str(), count.fetch_add(1, Ordering::Relaxed))));
        number() << 64 | number()
    });
    // A document is not to run out of attempts: what is looked at here is what comes of those that are read.
    let options = invoices::Options {
        lease: Duration::from_secs(10),
        attempts: 1_000,
        retry_after: Duration::from_millis(1),
        ..invoices::Options::default()
    };
    Invoices::new(ports, options, draw)
}

/// Starts everybody.
pub fn start(world: &Arc<World>) -> Vec<JoinHandle<()>> {
    (0..TASKS.len()).map(|task| tokio::spawn(Person { world: Arc::clone(world), task }.work())).collect()
}

struct Person {
    world: Arc<World>,
    task: usize,
}

impl Person {
    async fn work(self) {
        let Task { numbers, turns, .. } = TASKS[self.task];
        let mut rng = draw::generator(self.world.plan.seed, ("desk", self.task));
        let most = u64::try_from(CHAOS.as_millis()).unwrap_or(u64::MAX) / 2;
        sleep_until(self.world.began + Duration::from_millis(rng.random_range(0..most))).await;
        let first = self.bring().await;
        self.world.weather.note(&format!("desk {} has brought {first}", self.task));
        for index in 0..numbers.len() {
            let id = if index == 0 { first } else { first.sibling(u32::try_from(index).unwrap_or(u32::MAX)) };
            let applied = self.apply(id).await;
            if applied && turns {
                self.turn(id).await;
                self.apply(id).await;
            }
        }
    }

    /// Announces a document, puts it and submits it, however often that takes.
    async fn bring(&self) -> JobId {
        let bytes = document(self.world.plan.seed, self.task);
        let announced = Announced {
            vendor_id: vendor_id(VENDORS[0]),
            file_name: format!("{}.json", self.task),
            content_type: "application/json".to_owned(),
            content_length: bytes.len() as u64,
            sha256: Some(Fingerprint::of_bytes(&bytes)),
        };
        loop {
            let file = announced.clone();
            let asked = self.ask("announce", move |invoices: Invoices| async move {
                let (job, address) = invoices.announce("ann", &file, Door::Own).await?;
                Ok((job.job_id, address.place))
            });
            // One that was not answered expires; the next try is another job.
            let Some(Ok((id, Place::Own(place)))) = asked.await else { continue };
            if self.put(id, &place, &bytes).await && self.submit(id).await {
                return id;
            }
        }
    }

    async fn put(&self, id: JobId, place: &str, bytes: &Bytes) -> bool {
        let query = place.split_once('?').map_or("", |(_, query)| query).to_owned();
        loop {
            let (query, bytes) = (query.clone(), bytes.clone());
            let asked = self.ask("put", move |invoices: Invoices| async move {
                let named = |name: &str| {
                    query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default()
                };
                let shown = Presented {
                    expires: named("expires=").parse().unwrap_or_default(),
                    signature: named("signature="),
                    content_type: "application/json",
                    length: bytes.len() as u64,
                    only_if_absent: true,
                };
                let job = invoices.expects(id, shown).await?;
                invoices.receive(&job, bytes.clone()).await
            });
            match asked.await {
                Some(Ok(())) => return true,
                Some(Err(Error::Signature(_))) => return false,
                _ => {}
            }
        }
    }

    async fn submit(&self, id: JobId) -> bool {
        loop {
            match self
                .ask("submit", move |invoices: Invoices| async move { invoices.submit("ann", id).await })
                .await
            {
                Some(Ok(_)) => return true,
                Some(Err(Error::State { .. })) => return false,
                _ => {}
            }
        }
    }

    /// Clicks twice at once, again and again, until it is applied, or another job has it. True: it is.
    async fn apply(&self, id: JobId) -> bool {
        let job = self.until(id, &[State::Review, State::Reversed]).await;
        loop {
            let version = job.version;
            let click = || {
                self.ask("apply", move |invoices: Invoices| async move {
                    invoices.apply("ann", id, version).await
                })
            };
            let clicks: [_; 2] = futures::future::join(click(), click()).await.into();
            let mine = clicks.iter().any(|click| match click {
                Some(Ok(_)) => true,
                Some(Err(Error::Applied { first, .. })) => *first == id,
                _ => false,
            });
            if mine {
                self.until(id, &[State::Applied]).await;
                return true;
            }
            if clicks.iter().any(|click| matches!(click, Some(Err(Error::Applied { .. })))) {
                return false;
            }
        }
    }

    /// Takes it back.
    async fn turn(&self, id: JobId) {
        let job = self.until(id, &[State::Applied]).await;
        loop {
            let version = job.version;
            let asked = self.ask("reverse", move |invoices: Invoices| async move {
                invoices.reverse("ann", id, version, "sent back").await
            });
            if let Some(Ok(_) | Err(Error::State { .. } | Error::Version { .. })) = asked.await {
                break;
            }
        }
        self.until(id, &[State::Reversed]).await;
    }

    /// Looks until a job is in one of these states.
    async fn until(&self, id: JobId, states: &[State]) -> Job {
        loop {
            // Looking is free of faults: what a person does is of interest here, not how it is shown.
            if let Ok(Some(job)) = store::load(&*self.world.ports.tables, id).await
                && states.contains(&job.state)
            {
                return job;
            }
            sleep(LOOK).await;
        }
    }

    /// One request to a process of the operator's; `None`: no answer came.
    async fn ask<T: Send + 'static, F: Future<Output = Result<T, Error>> + Send + 'static>(
        &self,
        what: &str,
        act: impl FnOnce(Invoices) -> F,
    ) -> Option<Result<T, Error>> {
        let (world, life) = (&self.world, Life::new());
        let who = format!("operator#{}.{}.{what}", self.task, world.next_request());
        let policy = Around::new(&world.weather, &life, who.clone());
        let ports = faults::around(&world.ports_of("operator"), "operator", policy);
        let mut task =
            tokio::spawn(Mortal::new(Arc::clone(&life), act(invoices(world.plan.seed, &who, ports))));
        let answer = match timeout(TIMEOUT, &mut task).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => {
                world.complain(format!("the operator panicked: {panic}"));
                None
            }
            // Whoever works on it may still be at it.
            Err(_) => {
                world.bury(task, &life, None);
                None
            }
        };
        if !matches!(answer, Some(Ok(_))) {
            sleep(LOOK).await;
        }
        answer
    }
}
