//! `dvss up`: every role in one process, on the embedded default.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use contract::topics;
use dedup::Dedup;
use divergence::Divergence;
use embedded::{Embedded, SystemClock};
use normalize::Normalize;
use operator::problem::Problem;
use operator::{Host, Operator, StageHealth};
use outbox::Outbox;
use ports::Ports;
use runtime::{Fatal, Handle, Processor, Service};
use serde_json::json;
use stores::codec::Codec;
use stores::quarantine::QuarantineStore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::exit;
use crate::commands::print;
use crate::config::{Config, Role};

/// The stages: group, and the topic that it reads.
const STAGES: [(&str, &str); 4] = [
    (Dedup::NAME, topics::RAW),
    (Normalize::NAME, topics::ACCEPTED),
    (Divergence::NAME, topics::NORMALIZED),
    (Outbox::NAME, topics::OUTBOX),
];

/// The one member of every group: a data directory has one process.
const MEMBER: &str = "embedded";

/// How often samples of metrics are moved into their buckets, where nobody scrapes them.
const UPKEEP: std::time::Duration = std::time::Duration::from_secs(5);

/// The topic that a stage's group reads.
pub fn input_of(group: &str) -> Option<&'static str> {
    STAGES.iter().find(|(name, _)| *name == group).map(|(_, topic)| *topic)
}

/// The stages' groups.
pub fn groups() -> Vec<&'static str> {
    STAGES.iter().map(|(group, _)| *group).collect()
}

/// Opens the embedded store in a directory, with every topic, table and schema that dvss needs.
pub fn open(data: &Path, config: &Config) -> anyhow::Result<Ports> {
    std::fs::create_dir_all(data)
        .with_context(|| format!("cannot make the data directory {}", data.display()))?;
    let mut options = config.store.clone();
    options.log.session_timeout = config.runtime.max_poll_interval;
    options.log.transaction_timeout = config.runtime.transaction_timeout;
    let embedded = Embedded::open(data, options, embedded_parts(), Arc::new(SystemClock));
    let embedded = embedded.map_err(|error| anyhow::anyhow!("{error} ({})", error.code()))?;
    Ok(embedded.ports())
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(config: Config, json: bool) -> anyhow::Result<u8> {
    let running = start(&config, "warn").await?;
    let place = json!({
        "vendors": format!("http://{}", running.gateway), "operators": format!("http://{}", running.operator),
        "data": config.data.display().to_string(),
    });
    print::document(&place, json, |place| {
        let cell = |name: &str| print::cell(&place[name]);
        format!(
            "dvss is up\n  vendors    {}\n  operators  {}\n  data       {}\n",
            cell("vendors"),
            cell("operators"),
            cell("data")
        )
    })?;
    running.wait().await?;
    Ok(exit::SUCCESS)
}

/// A running dvss.
pub struct Running {
    /// Where vendors are served.
    pub gateway: SocketAddr,
    /// Where operators are served.
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

/// Starts every role. `logs` is the log filter where `DVSS_LOG` says nothing.
pub async fn start(config: &Config, logs: &str) -> anyhow::Result<Running> {
    telemetry::init_logs(telemetry::LogFormat::Json, &log_filter(logs))?;
    let metrics = telemetry::install_metrics()?;
    if config.stages.is_empty() {
        tracing::warn!(
            "`stages` names none: events are accepted and wait until a process with stages is started"
        );
    }
    let ports = open(&config.data, config)?;
    normalize::seed(&*ports.tables, ports.clock.now()).await.context("the shipped mappings")?;

    let door = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let api_door = TcpListener::bind(config.operator_listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.operator_listen))?;
    let (gateway_address, operator_address) = (door.local_addr()?, api_door.local_addr()?);

    let (doors, stages, api) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let mut tasks = Tasks { doors: JoinSet::new(), stages: JoinSet::new(), api: JoinSet::new() };
    let mut handles = Vec::new();
    let codec = Arc::new(Codec::new(Arc::clone(&ports.schemas)));
    let divergence = {
        let ports = at(&ports, "divergence")?;
        let options = config.divergence.clone();
        Arc::new(Divergence::new(ports.tables, Arc::clone(&codec), ports.clock, options)?)
    };
    let mut start = Starter {
        ports: &ports,
        codec: &codec,
        config,
        tasks: &mut tasks.stages,
        stop: &stages,
        handles: &mut handles,
    };
    let options = config.dedup.clone();
    start.stage(Role::Dedup, |ports| {
        Arc::new(Dedup::new(ports.tables, Arc::clone(&codec), ports.clock, options))
    })?;
    let options = config.normalize.clone();
    start
        .stage(Role::Normalize, |ports| Arc::new(Normalize::new(ports.tables, ports.normalized, options)))?;
    start.stage(Role::Divergence, |_| Arc::clone(&divergence))?;
    let options = config.outbox.clone();
    start.stage(Role::Outbox, |ports| Arc::new(Outbox::new(&ports, options)))?;
    {
        let (ports, options, stop) = (ports.clone(), config.outbox.clone(), stages.clone());
        tasks.stages.spawn(async move {
            outbox::sweeper::run(&ports, &options, stop).await;
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
    {
        let gateway = gateway::Gateway::new(at(&ports, "gateway")?, config.gateway.clone());
        let stop = doors.clone();
        tasks.doors.spawn(async move { Ok(gateway.serve(door, stop).await?) });
    }
    {
        let host = Arc::new(Process { handles, metrics, divergence });
        let operator = Operator::new(at(&ports, "operator")?, host);
        let stop = api.clone();
        tasks.api.spawn(async move { Ok(operator.serve(api_door, stop).await?) });
    }
    Ok(Running { gateway: gateway_address, operator: operator_address, doors, stages, api, tasks })
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

/// Starts the stages that the configuration names.
struct Starter<'a> {
    ports: &'a Ports,
    codec: &'a Arc<Codec>,
    config: &'a Config,
    tasks: &'a mut JoinSet<anyhow::Result<()>>,
    stop: &'a CancellationToken,
    handles: &'a mut Vec<Handle>,
}

impl Starter<'_> {
    fn stage<P: Processor + 'static>(
        &mut self,
        role: Role,
        processor: impl FnOnce(Ports) -> Arc<P>,
    ) -> anyhow::Result<()> {
        if !self.config.stages.contains(&role) {
            return Ok(());
        }
        let ports = at(self.ports, role.as_str())?;
        let quarantine =
            QuarantineStore::new(ports.clone(), Arc::clone(self.codec), self.config.quarantine.clone());
        let topic = input_of(P::NAME).unwrap_or_default();
        let (log, options) = (Arc::clone(&ports.log), self.config.runtime.clone());
        let processor = processor(ports);
        let service = Service::new(processor, log, Arc::new(quarantine), &[topic], MEMBER, options);
        self.handles.push(service.handle());
        let stop = self.stop.clone();
        self.tasks.spawn(async move { service.run(stop).await.map_err(|fatal: Fatal| fatal.into()) });
        Ok(())
    }
}

/// This process, as the operator API sees it.
struct Process {
    handles: Vec<Handle>,
    metrics: telemetry::Metrics,
    divergence: Arc<Divergence>,
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

    fn metrics(&self) -> String {
        self.metrics.render()
    }

    async fn recompute(&self, entity: &str) -> Result<(), Problem> {
        self.divergence.recompute(entity).await.map(drop).map_err(Problem::from)
    }
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
fn log_filter(default: &str) -> String {
    std::env::var("DVSS_LOG").unwrap_or_else(|_| default.to_owned())
}

fn embedded_parts() -> embedded::Parts {
    embedded::Parts {
        tables: stores::tables::ALL.to_vec(),
        schemas: stores::codec::schemas()
            .into_iter()
            .map(|(subject, text)| (subject, text.to_owned()))
            .collect(),
        topics: stores::topics::shipped().into_iter().map(|topic| (topic.name, topic.partitions)).collect(),
        groups: STAGES
            .iter()
            .map(|(group, topic)| ((*group).to_owned(), vec![(*topic).to_owned()]))
            .collect(),
    }
}
