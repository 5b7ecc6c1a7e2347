//! The soak: vendors send, everything goes wrong in turn, and in the end the books are right.
//!
//! It restarts servers, so that it needs a stack of its own: `cargo xtask soak --events 50000 --seed 7` brings one
//! up, runs this and takes it down. `DVSS_SOAK_STACK` names the stack's addresses, `DVSS_SOAK_EVENTS` and
//! `DVSS_SOAK_SEED` say how much and which.

mod check;
mod door;
mod fleet;
mod servers;
mod traffic;
mod weather;

#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use door::{Counts, Door, Sender, Settled};
use fleet::Fleet;
use servers::{Readers, Servers};
use support::Vendor;
use traffic::{ROUND, Traffic, VENDORS};
use weather::{Pace, Weather};

/// Partitions of every topic of an installation of the tests.
pub const PARTITIONS: u64 = 2;
/// Events of the run that every change is tried with.
const EVENTS: u32 = 1_500;
/// Its seed.
const SEED: u64 = 20_240_501;
/// Vendors wait while the stages are further behind than this, so that faults meet all of the traffic.
const BEHIND: u64 = 4_000;
/// Vendors who share the pace.
const TOGETHER: u32 = VENDORS.len() as u32;
/// Longest wait for one thing to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is run.
struct Options {
    stack: PathBuf,
    events: u32,
    seed: u64,
    /// Where configuration and logs of the roles go; kept.
    directory: Option<PathBuf>,
}

impl Options {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the soak says how in the environment")]
    fn from_environment() -> Option<Self> {
        let stack = PathBuf::from(std::env::var_os("DVSS_SOAK_STACK")?);
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        let events =
            number("DVSS_SOAK_EVENTS").map_or(EVENTS, |events| u32::try_from(events).expect("fewer"));
        let directory = std::env::var_os("DVSS_SOAK_DIRECTORY").map(PathBuf::from);
        Some(Self { stack, events, seed: number("DVSS_SOAK_SEED").unwrap_or(SEED), directory })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak() {
    let Some(options) = Options::from_environment() else {
        println!("no stack: the soak restarts servers and was not run; `cargo xtask soak` gives it one");
        return;
    };
    // Dropping what runs ends every process of it.
    tokio::select! {
        () = run(options) => {}
        name = asked_to_end() => panic!("{name}: the soak was broken off"),
    }
}

async fn asked_to_end() -> &'static str {
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler");
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

async fn run(options: Options) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let directory = options.directory.as_deref().unwrap_or(temporary.path());
    let begun = Instant::now();
    let faults = weather::plan(options.seed, options.events);
    let traffic = Traffic::of_all(options.seed, options.events);
    let total: u64 = traffic.iter().map(|traffic| u64::from(traffic.events)).sum();
    println!("soak: {total} events, {} faults, seed {}", faults.len(), options.seed);
    println!("logs of the roles: {}", directory.display());

    let servers = Servers::new(&options.stack, directory);
    let config = servers.config.display().to_string();
    let own = VENDORS.map(|vendor| ["--vendor", vendor]).concat();
    for command in
        [&[&["topics", "apply"], &own[..]].concat()[..], &["tables", "apply"], &["schemas", "register"]]
    {
        let ran = support::run(&[command, &["--config", &config]].concat()).await;
        assert_eq!(ran.code, 0, "{command:?}: {}{}", ran.stdout, ran.stderr);
    }
    let fleet =
        Fleet { config: servers.config.clone(), logs: directory.to_owned(), gateways: Default::default() };
    let mut weather = Weather::begin(&fleet, &servers, options.seed).await;
    let vendors = enrol(&weather.operator()).await;
    println!("every role is ready after {:.0} s", begun.elapsed().as_secs_f64());

    let begun = Instant::now();
    let counts = Arc::new(Counts::default());
    let (pace, paced) = watch::channel(Pace::default());
    let readers = Arc::new(servers.readers().await);
    let behind = Arc::new(AtomicBool::new(false));
    // Senders and the watcher end with this set.
    let mut senders = JoinSet::new();
    for (index, (traffic, vendor)) in traffic.iter().cloned().zip(vendors).enumerate() {
        let sender =
            Sender::new(vendor, fleet.gateways.clone(), Arc::clone(&readers.log), Arc::clone(&counts));
        let turn = Turn { pace: paced.clone(), counts: Arc::clone(&counts), behind: Arc::clone(&behind) };
        senders.spawn(async move { (index, send(&traffic, &sender, turn).await) });
    }
    let mut watcher = JoinSet::new();
    watcher.spawn(watch_lag(Arc::clone(&readers), behind, Arc::clone(&counts)));
    let sending = async {
        let mut settled = vec![Vec::new(); traffic.len()];
        while let Some(sent) = senders.join_next().await {
            let (index, answers) = sent.expect("a vendor gets its answers");
            settled[index] = answers;
        }
        settled
    };
    let (settled, ()) = tokio::join!(sending, weather.pass(&faults, total, &counts, &pace));
    drop(watcher);
    println!("{total:>7} events | all are settled after {:.0} s", begun.elapsed().as_secs_f64());

    readers.worked_off().await;
    let took = begun.elapsed();
    println!("        nothing is left to do after {:.0} s; now the oracle", took.as_secs_f64());
    let judged = check::all(&traffic, &settled, &readers, &weather.operator()).await;
    let seen = std::mem::take(&mut weather.seen);
    weather.end().await;

    println!("\nevents sent      {total} by {} vendors, seed {}", VENDORS.len(), options.seed);
    println!("through Kafka    {}", counts.read.load(Ordering::Relaxed));
    println!("told to wait     {}", counts.told_to_wait.load(Ordering::Relaxed));
    println!("without answer   {}", counts.unanswered.load(Ordering::Relaxed));
    print!("{judged}");
    println!("lag              0");
    println!("faults           {}", seen.values().sum::<u32>());
    for (kind, count) in seen {
        println!("  {kind:<33} {count}");
    }
    let rate = f64::from(u32::try_from(total).expect("fewer")) / took.as_secs_f64();
    println!("duration         {:.0} s, {rate:.0} events/s", took.as_secs_f64());
    println!("the oracle holds");
}

/// Adds the vendors.
async fn enrol(operator: &str) -> Vec<Vendor> {
    let mut vendors = Vec::new();
    for id in VENDORS {
        let request = support::http().post(format!("{operator}/api/v1/vendors"));
        let answer =
            request.json(&json!({"vendorId": id, "platform": "dvss"})).send().await.expect("an answer");
        let body: serde_json::Value = answer.json().await.expect("JSON");
        let key = body["key"].as_str().unwrap_or_else(|| panic!("no key: {body}")).to_owned();
        vendors.push(Vendor { id: id.to_owned(), key });
    }
    vendors
}

/// When a vendor may go on.
struct Turn {
    pace: watch::Receiver<Pace>,
    counts: Arc<Counts>,
    behind: Arc<AtomicBool>,
}

impl Turn {
    /// Waits until a round may begin whose vendor began the one before at that time.
    async fn come(&self, before: Instant) {
        let may = || {
            let pace = *self.pace.borrow();
            let ahead = self.counts.settled.load(Ordering::Relaxed) >= pace.limit;
            let early = before.elapsed() < pace.event * ROUND * TOGETHER;
            !ahead && !early && !self.behind.load(Ordering::Relaxed)
        };
        while !may() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One vendor's events, a round at a time, each through the next door.
async fn send(traffic: &Traffic, sender: &Sender, turn: Turn) -> Vec<Settled> {
    let mut settled = Vec::new();
    let mut begun = Instant::now();
    for (round, first) in (0..traffic.events).step_by(ROUND as usize).enumerate() {
        turn.come(begun).await;
        begun = Instant::now();
        let last = (first + ROUND).min(traffic.events);
        let events: Vec<_> = (first..last).map(|number| traffic.event(number)).collect();
        settled.extend(sender.deliver(Door::ALL[round % Door::ALL.len()], &events).await);
    }
    settled
}

/// Says whether the stages are behind, and now and then how things go.
async fn watch_lag(readers: Arc<Readers>, behind: Arc<AtomicBool>, counts: Arc<Counts>) {
    for second in 1_u32.. {
        if let Some(distance) = readers.distance().await {
            behind.store(distance > BEHIND, Ordering::Relaxed);
            if second.is_multiple_of(30) {
                println!("{:>7} events | {distance} records behind", counts.settled.load(Ordering::Relaxed));
            }
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Looks until there is something to see; fails, saying what it waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(seen) = look().await {
            return seen;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("waited {PATIENCE:?} in vain: {what}");
}
