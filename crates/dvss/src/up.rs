//! The processes: `dvss up` is every role in one, `dvss gateway`, `dvss processor …` and `dvss operator`
//! are one each. All of them serve probes and metrics, wait for what they need, and drain on SIGTERM.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use dedup::Dedup;
use divergence::Divergence;
use invoices::Invoices;
use invoicing::Invoicing;
use normalize::Normalize;
use operator::problem::Problem;
use operator::{Host, Operator, StageHealth};
use outbox::Outbox;
use parking_lot::Mutex;
use ports::Ports;
use runtime::{Fatal, Handle, Processor, Service};
use serde_json::json;
use stores::codec::Codec;
use stores::quarantine::QuarantineStore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, input_of};
use crate::cli::exit;
use crate::commands::print;
use crate::config::{Config, Role};
use crate::inbound;
use crate::parser::Sandboxed;

/// The one member of every group on the embedded default: a data directory has one process.
const EMBEDDED_MEMBER: &str = "embedded";
/// How often samples of metrics are moved into their buckets, where nobody scrapes them.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often a process looks whether what it waits for is there.
const LOOK: Duration = Duration::from_secs(1);
/// How often a process that works looks whether its servers answer.
const REACH: Duration = Duration::from_secs(2);

/// Which roles a process has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// The vendors' doors.
    pub gateway: bool,
    /// Stages.
    pub stages: Vec<Role>,
    /// The operator API. A process without it serves probes and metrics alone.
    pub operator: bool,
}

impl Roles {
    /// Every role, with the stages that the configuration names.
    pub fn all(config: &Config) -> Self {
        Self { gateway: true, stages: config.stages.clone(), operator: true }
    }
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(config: Config, roles: Roles, json: bool) -> anyhow::Result<u8> {
    let running = start(&config, roles, "warn").await?;
    let url = |address: SocketAddr| format!("http://{address}");
    let place = json!({
        "vendors": running.gateway.map(url), "operators": url(running.operator),
        "data": config.servers.is_none().then(|| config.data.display().to_string()),
    });
    print::document(&place, json, |place| {
        let line = |name: &str| {
            let shown = place[name].as_str().map(|text| format!("  {name:<10} {text}\n"));
            shown.unwrap_or_default()
        };
        format!("dvss is up\n{}{}{}", line("vendors"), line("operators"), line("data"))
    })?;
    running.wait().await?;
    Ok(exit::SUCCESS)
}

/// A running dvss.
pub struct Running {
    /// Where vendors are served, by a process that does.
    pub gateway: Option<SocketAddr>,
    /// Where operators are served, or probes alone.
    pub operator: SocketAddr,
    doors: CancellationToken,
    stages: CancellationToken,
    api: CancellationToken,
    tasks: Tasks,
}

struct Tasks {
    doors: JoinSet<anyhow::Result<()>>,
    stages: JoinSet<anyhow::Result<()>>,
    api: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Runs until a signal, or until a part of it stops by itself, and then drains.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        let failed = tokio::select! {
            () = signal() => None,
            Some(ended) = self.tasks.doors.join_next() => Some(ended),
            Some(ended) = self.tasks.stages.join_next() => Some(ended),
            Some(ended) = self.tasks.api.join_next() => Some(ended),
        };
        let stopped = self.stop().await;
        match failed {
            // What failed first is the reason; what it dragged along is not.
            Some(Ok(Err(error))) => Err(error),
            Some(Err(panic)) => Err(panic.into()),
            Some(Ok(Ok(()))) => stopped.and_then(|()| Err(anyhow::anyhow!("a part of dvss ended by itself"))),
            None => stopped,
        }
    }

    /// Drains: the door first, so that nothing new comes in, then the stages, then the operator API.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.doors.cancel();
        let doors = drain(&mut self.tasks.doors).await;
        self.stages.cancel();
        let stages = drain(&mut self.tasks.stages).await;
        self.api.cancel();
        doors.and(stages).and(drain(&mut self.tasks.api).await)
    }
}

async fn drain(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(ended) = tasks.join_next().await {
        first = first.and(ended.map_err(Into::into).and_then(|ended| ended));
    }
    first
}

/// Starts a process with these roles; it works as soon as what it needs is there. `logs` is the log filter
/// where `DVSS_LOG` says nothing.
///
/// # Errors
/// Where it cannot listen, or where its own directory cannot be worked with. What servers lack is waited
/// for.
pub async fn start(config: &Config, roles: Roles, logs: &str) -> anyhow::Result<Running> {
    telemetry::init_logs(telemetry::LogFormat::Json, &log_filter(logs))?;
    let metrics = telemetry::install_metrics()?;
    if roles == (Roles { gateway: true, stages: vec![], operator: true }) {
        tracing::warn!(
            "`stages` names none: events are accepted and wait until a process with stages is started"
        );
    }
    let backend = Arc::new(Backend::open(config).await?);
    let ports = backend.ports().clone();
    let door = if roles.gateway { Some(bind(config.listen).await?) } else { None };
    let api_door = bind(config.operator_listen).await?;
    let gateway_address = door.as_ref().map(TcpListener::local_addr).transpose()?;
    let operator_address = api_door.local_addr()?;

    let (doors, stages, api) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let mut tasks = Tasks { doors: JoinSet::new(), stages: JoinSet::new(), api: JoinSet::new() };
    let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
    let divergence = {
        let ports = at(&ports, "divergence")?;
        let options = config.divergence.clone();
        Arc::new(Divergence::new(ports.tables, Arc::clone(&codec), ports.clock, options)?)
    };
    let gate = Gate::default();
    let mut starter = Starter {
        ports: &ports,
        codec: &codec,
        config,
        roles: &roles,
        member: member(config)?,
        gate: gate.clone(),
        tasks: &mut tasks.stages,
        stop: &stages,
        handles: Vec::new(),
    };
    let options = config.dedup.clone();
    starter.stage(Role::Dedup, |ports| {
        Arc::new(Dedup::new(ports.tables, Arc::clone(&codec), ports.clock, options))
    })?;
    let options = config.normalize.clone();
    starter
        .stage(Role::Normalize, |ports| Arc::new(Normalize::new(ports.tables, ports.normalized, options)))?;
    starter.stage(Role::Divergence, |_| Arc::clone(&divergence))?;
    let options = config.outbox.clone();
    starter.stage(Role::Outbox, |ports| Arc::new(Outbox::new(&ports, options)))?;
    let parser = Arc::new(Sandboxed::new(config.parser.clone(), &config.templates)?);
    if roles.stages.contains(&Role::Invoices) {
        // Refused at the start, not at the first document.
        parser.check().await?;
        ensure_in_time(config)?;
    }
    let (draw, options) = (invoices::drawn_by_the_machine(), config.invoices.clone());
    let worker = Invoices::new(at(&ports, Role::Invoices.as_str())?, options.clone(), Arc::clone(&draw));
    // A process is another one after a restart, for what took it down is to count as an attempt.
    let holder = format!("{}-{:08x}", member(config)?, draw() as u32);
    starter.stage(Role::Invoices, |ports| {
        let invoices = Invoices::new(ports, options, draw);
        let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Arc::new(Invoicing::new(invoices, Arc::clone(&parser) as Arc<dyn invoicing::Parser>, holder, at_once))
    })?;
    let handles = starter.handles;
    if roles.stages.contains(&Role::Outbox) {
        let (ports, options, stop, gate) =
            (ports.clone(), config.outbox.clone(), stages.clone(), gate.clone());
        tasks.stages.spawn(async move {
            if gate.opens(&stop).await {
                outbox::sweeper::run(&ports, &options, stop).await;
            }
            Ok(())
        });
    }
    if roles.stages.contains(&Role::Invoices) {
        let (stop, gate) = (stages.clone(), gate.clone());
        tasks.stages.spawn(async move {
            if gate.opens(&stop).await {
                invoicing::sweeper::run(&worker, stop).await;
            }
            Ok(())
        });
    }
    {
        let (metrics, stop) = (metrics.clone(), stages.clone());
        tasks.stages.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                metrics.upkeep();
            }
            Ok(())
        });
    }
    let kafka_door = inbound::View::default();
    if let Some(door) = door {
        let ports = at(&ports, "gateway")?;
        let gateway = gateway::Gateway::new(ports.clone(), config.gateway.clone())
            .with_invoices(config.invoices.clone());
        let quarantine = QuarantineStore::new(ports.clone(), Arc::clone(&codec), config.quarantine.clone());
        let kafka = inbound::Door {
            inbound: gateway.inbound(),
            ports,
            quarantine: Arc::new(quarantine),
            member: member(config)?,
            options: runtime::Options {
                // An accept is several calls, each with a time-out of its own.
                deadline: config.runtime.deadline.max(config.runtime.transaction_timeout * 9 / 10),
                ..config.runtime.clone()
            },
            look: config.gateway.inbound_look,
            view: kafka_door.clone(),
        };
        let (stop, shut) = (doors.clone(), gate.clone());
        tasks.doors.spawn(async move {
            if shut.opens(&stop).await {
                kafka.run(stop).await;
            }
            Ok(())
        });
        let (stop, gate) = (doors.clone(), gate.clone());
        tasks.doors.spawn(async move {
            if gate.opens(&stop).await {
                gateway.serve(door, stop).await?;
            }
            Ok(())
        });
    }
    let process = Arc::new(Process {
        handles,
        metrics,
        divergence,
        parser,
        waits_for: Mutex::default(),
        away: Mutex::default(),
        kafka_door,
    });
    {
        let operator = Operator::new(at(&ports, "operator")?, Arc::clone(&process) as Arc<dyn Host>)
            .with_invoices(config.invoices.clone());
        let (stop, whole) = (api.clone(), roles.operator);
        tasks.api.spawn(async move {
            Ok(if whole {
                operator.serve(api_door, stop).await
            } else {
                operator.serve_probes(api_door, stop).await
            }?)
        });
    }
    if backend.is_patient() {
        process.wait_for("the servers".to_owned());
        let stop = stages.clone();
        tasks.stages.spawn(async move {
            stop.run_until_cancelled(async {
                wait_until_prepared(&backend, &process, &gate).await;
                watch(&backend, &process).await
            })
            .await;
            // Whoever of these tasks ends by itself ends the process.
            stop.cancelled().await;
            Ok(())
        });
    } else {
        backend.prepare().await?;
        gate.open();
    }
    Ok(Running { gateway: gateway_address, operator: operator_address, doors, stages, api, tasks })
}

/// Checks that a document's time is within the loop's: one that the loop gives up comes again, and its attempts run
/// out although the parser was never at fault.
fn ensure_in_time(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.parser.wall < config.runtime.deadline,
        "parser.wall must be shorter than runtime.deadline (config-invalid)"
    );
    anyhow::ensure!(
        config.invoices.max_document_bytes <= config.parser.document_bytes,
        "invoices.maxDocumentBytes must not be more than parser.documentBytes (config-invalid)"
    );
    anyhow::ensure!(
        config.runtime.deadline < config.invoices.lease,
        "invoices.lease must be longer than runtime.deadline (config-invalid)"
    );
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// This process' name in its groups.
fn member(config: &Config) -> anyhow::Result<String> {
    match (&config.member, &config.servers) {
        (Some(member), _) => Ok(member.clone()),
        (None, None) => Ok(EMBEDDED_MEMBER.to_owned()),
        (None, Some(_)) => {
            let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
            anyhow::ensure!(
                !name.is_empty(),
                "member: name this process; the machine has no name (config-invalid)"
            );
            Ok(name)
        }
    }
}

/// Looks until everything is there, and opens the gate.
async fn wait_until_prepared(backend: &Backend, process: &Process, gate: &Gate) {
    while let Err(error) = backend.prepare().await {
        process.wait_for(format!("{error:#}"));
        tokio::time::sleep(LOOK).await;
    }
    *process.waits_for.lock() = None;
    gate.open();
}

/// Looks on while it works: who sends requests to a process asks whether it is ready.
async fn watch(backend: &Backend, process: &Process) -> Infallible {
    loop {
        tokio::time::sleep(REACH).await;
        let away = backend.reach().await.err().map(|error| format!("{error:#}"));
        let before = std::mem::replace(&mut *process.away.lock(), away.clone());
        match (before, away) {
            (None, Some(away)) => tracing::warn!("not ready: {away}"),
            (Some(_), None) => tracing::info!("ready again: every server answers"),
            _ => {}
        }
    }
}

/// Closed until a process may begin to work.
#[derive(Clone, Default)]
struct Gate(CancellationToken);

impl Gate {
    fn open(&self) {
        self.0.cancel();
    }

    /// Waits until it is open; false where `stop` comes first.
    async fn opens(&self, stop: &CancellationToken) -> bool {
        stop.run_until_cancelled(self.0.cancelled()).await.is_some()
    }
}

/// The ports as one role sees them; debug builds put a failpoint around them.
fn at(ports: &Ports, role: &'static str) -> anyhow::Result<Ports> {
    #[cfg(debug_assertions)]
    if let Some(policy) = crate::failpoint::from_environment()? {
        return Ok(faults::around(ports, role, policy));
    }
    let _ = role;
    Ok(ports.clone())
}

/// Starts the stages that the process has.
struct Starter<'a> {
    ports: &'a Ports,
    codec: &'a Arc<Codec>,
    config: &'a Config,
    roles: &'a Roles,
    member: String,
    gate: Gate,
    tasks: &'a mut JoinSet<anyhow::Result<()>>,
    stop: &'a CancellationToken,
    handles: Vec<Handle>,
}

impl Starter<'_> {
    fn stage<P: Processor + 'static>(
        &mut self,
        role: Role,
        processor: impl FnOnce(Ports) -> Arc<P>,
    ) -> anyhow::Result<()> {
        if !self.roles.stages.contains(&role) {
            return Ok(());
        }
        let ports = at(self.ports, role.as_str())?;
        let quarantine =
            QuarantineStore::new(ports.clone(), Arc::clone(self.codec), self.config.quarantine.clone());
        let topic = input_of(P::NAME).unwrap_or_default();
        let (log, options) = (Arc::clone(&ports.log), self.config.runtime.clone());
        let processor = processor(ports);
        let service = Service::new(processor, log, Arc::new(quarantine), &[topic], &self.member, options);
        self.handles.push(service.handle());
        let (stop, gate) = (self.stop.clone(), self.gate.clone());
        self.tasks.spawn(async move {
            if gate.opens(&stop).await {
                service.run(stop).await.map_err(|fatal: Fatal| anyhow::Error::from(fatal))?;
            }
            Ok(())
        });
        Ok(())
    }
}

/// This process, as the operator API sees it.
struct Process {
    handles: Vec<Handle>,
    metrics: telemetry::Metrics,
    divergence: Arc<Divergence>,
    parser: Arc<Sandboxed>,
    /// What is missing before it can begin.
    waits_for: Mutex<Option<String>>,
    /// Which server does not answer just now.
    away: Mutex<Option<String>>,
    kafka_door: inbound::View,
}

impl Process {
    /// Says once what the process waits for.
    fn wait_for(&self, what: String) {
        let mut waits_for = self.waits_for.lock();
        if waits_for.as_ref() != Some(&what) {
            tracing::warn!("waiting: {what}");
            *waits_for = Some(what);
        }
    }
}

#[async_trait]
impl Host for Process {
    fn stages(&self) -> Vec<StageHealth> {
        let health = |handle: &Handle| StageHealth {
            group: handle.stage().to_owned(),
            topic: input_of(handle.stage()).unwrap_or_default().to_owned(),
            live: handle.is_live(),
            ready: handle.is_ready(),
        };
        self.handles.iter().map(health).collect()
    }

    fn inbound(&self) -> Option<(bool, bool)> {
        self.kafka_door.health()
    }

    fn waits_for(&self) -> Option<String> {
        self.waits_for.lock().clone()
    }

    fn away(&self) -> Option<String> {
        self.away.lock().clone()
    }

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    async fn draw(&self, document: Bytes, page: u32, width: u32) -> Result<Bytes, Problem> {
        self.parser.draw(document, page, width).await
    }

    async fn recompute(&self, entity: &str) -> Result<(), Problem> {
        self.divergence.recompute(entity).await.map(drop).map_err(Problem::from)
    }
}

/// Waits until somebody asks this process to end.
pub async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Which logs are written: what `DVSS_LOG` says, else this.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
pub fn log_filter(default: &str) -> String {
    std::env::var("DVSS_LOG").unwrap_or_else(|_| default.to_owned())
}
