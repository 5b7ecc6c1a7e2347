//! `dvss topics`, `dvss tables`, `dvss schemas`: what servers must have before a process can work.

use anyhow::Context as _;
use contract::VendorId;
use ports::Schemas as _;
use serde_json::{Value, json};
use stores::topics::{TopicSpec, inbound_topics};

use super::print;
use crate::backend::Servers;
use crate::backend::topics::{self, Step};
use crate::cli::{self, Change, exit};
use crate::config::Config;

async fn open(place: &cli::Servers) -> anyhow::Result<Servers> {
    let config = Config::load(&cli::Place { config: place.config.clone(), ..cli::Place::default() })?;
    let options = config.servers.as_ref().context(
        "the configuration names no servers: give --config FILE with a `servers` section (config-invalid)",
    )?;
    Servers::open(options, &config).await
}

/// Rows on stdout; the exit code says whether anything is left to do.
fn told(rows: Vec<Value>, left: bool, json: bool, columns: &[&str]) -> anyhow::Result<u8> {
    print::document(&Value::Array(rows), json, |rows| {
        let cells = |row: &Value| columns.iter().map(|name| print::cell(&row[*name])).collect();
        let rows: Vec<Vec<String>> = rows.as_array().into_iter().flatten().map(cells).collect();
        let titles: Vec<String> = columns.iter().map(|name| name.to_uppercase()).collect();
        print::table(&titles.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
    })?;
    Ok(if left { exit::UNBALANCED } else { exit::SUCCESS })
}

/// `dvss topics plan|apply`
pub async fn topics(command: cli::Topics, json: bool) -> anyhow::Result<u8> {
    let (of, apply, force) = match &command {
        cli::Topics::Plan(of) => (of, false, false),
        cli::Topics::Apply { force, of } => (of, true, *force),
    };
    let servers = open(&of.servers).await?;
    let specs = servers.topics.iter().cloned().chain(inbound(&servers, &of.vendors).await?);
    let specs: Vec<TopicSpec> = specs.collect();
    let names: Vec<String> = specs.iter().map(|topic| servers.name(&topic.name)).collect();
    let there = servers.admin.topics(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let brokers = servers.admin.brokers().await?;
    let (mut rows, mut left) = (Vec::new(), false);
    for (spec, name) in specs.iter().zip(&names) {
        let steps = topics::plan(spec, there.get(name), brokers);
        for step in &steps {
            let done = apply && (step.is_safe() || force) && carry_out(&servers, spec, name, step).await?;
            left |= !done;
            let mut row = json!(step);
            row["topic"] = json!(name);
            row["done"] = json!(done);
            row["difference"] = json!(said(step));
            rows.push(row);
        }
        if apply {
            for group in &spec.groups {
                let group = servers.name(group);
                let given = servers.admin.first_offsets(&group, name).await?;
                if !given.is_empty() {
                    let difference = format!("first offsets in {} partitions for {group}", given.len());
                    rows.push(
                        json!({ "topic": name, "step": "offsets", "difference": difference, "done": true }),
                    );
                }
            }
        }
    }
    told(rows, left, json, &["topic", "step", "difference", "done"])
}

/// The topics that vendors write to: those that are there, and those of `vendors`.
async fn inbound(servers: &Servers, vendors: &[VendorId]) -> anyhow::Result<Vec<TopicSpec>> {
    let log = &*servers.ports.log;
    let mut specs = Vec::new();
    for (name, vendor) in inbound_topics(log).await? {
        // However many partitions it was given: nothing hangs on their count.
        specs.push(TopicSpec { partitions: log.partitions(&name).await?, ..servers.inbound(&vendor) });
    }
    for vendor in vendors {
        let spec = servers.inbound(vendor);
        if !specs.iter().any(|there| there.name == spec.name) {
            specs.push(spec);
        }
    }
    Ok(specs)
}

fn said(step: &Step) -> String {
    match step {
        Step::Create { partitions, replicas } => format!("{partitions} partitions, {replicas} replicas"),
        Step::Alter { set } => {
            let change = |(name, (now, wanted)): (&String, &(Option<String>, String))| {
                format!("{name}: {} → {wanted}", now.as_deref().unwrap_or("unset"))
            };
            set.iter().map(change).collect::<Vec<_>>().join(", ")
        }
        Step::Grow { from, to } => format!("{from} → {to} partitions; keys move, so only with --force"),
        Step::Shrink { from, to } => {
            format!(
                "{from} partitions instead of {to}; they cannot be taken away, only a new topic can have fewer"
            )
        }
    }
}

/// Whether it could be done.
async fn carry_out(servers: &Servers, spec: &TopicSpec, name: &str, step: &Step) -> anyhow::Result<bool> {
    match step {
        Step::Create { partitions, replicas } => {
            let creation = topics::creation(spec, name.to_owned(), *partitions, *replicas);
            servers.admin.create(&creation).await?;
        }
        Step::Alter { set } => {
            let set = set.iter().map(|(name, (_, wanted))| (name.clone(), wanted.clone())).collect();
            servers.admin.alter(name, &set, &[]).await?;
        }
        Step::Grow { to, .. } => servers.admin.grow(name, *to).await?,
        Step::Shrink { .. } => return Ok(false),
    }
    Ok(true)
}

/// `dvss tables plan|apply`
pub async fn tables(command: Change, json: bool) -> anyhow::Result<u8> {
    let (servers, apply) = match &command {
        Change::Plan(place) => (open(place).await?, false),
        Change::Apply(place) => (open(place).await?, true),
    };
    let (tables, buckets) = (servers.aws.table_admin(&stores::tables::ALL), servers.aws.bucket_admin());
    let mut rows = Vec::new();
    let mut row = |of: &str, name: &str, steps: Vec<String>, drift: &[String]| {
        let steps = steps.into_iter().map(|step| (step, apply));
        for (difference, done) in steps.chain(drift.iter().map(|drift| (drift.clone(), false))) {
            rows.push(json!({ "kind": of, "name": name, "difference": difference, "done": done }));
        }
    };
    for plan in buckets.plan().await.context("S3")? {
        row("bucket", &plan.bucket, plan.steps.iter().map(|step| format!("{step:?}")).collect(), &[]);
    }
    for plan in tables.plan().await.context("DynamoDB")? {
        row("table", &plan.table, plan.steps.iter().map(|step| format!("{step:?}")).collect(), &plan.drift);
    }
    let mut left = !rows.is_empty();
    if apply {
        let buckets = buckets.apply().await.context("S3")?;
        let tables = tables.apply().await.context("DynamoDB")?;
        left =
            buckets.iter().any(|plan| !plan.steps.is_empty()) || tables.iter().any(|plan| !plan.is_settled());
    }
    told(rows, left, json, &["kind", "name", "difference", "done"])
}

/// What the registry says of a schema that this build speaks.
#[derive(PartialEq, Eq)]
enum Schema {
    /// It has it, under this id.
    There(u32),
    /// It does not have it and would take it.
    Missing,
    /// It would not take it.
    Breaks,
}

/// `dvss schemas check|register`
pub async fn schemas(command: cli::Schemas, json: bool) -> anyhow::Result<u8> {
    let (servers, register) = match &command {
        cli::Schemas::Check(place) => (open(place).await?, false),
        cli::Schemas::Register(place) => (open(place).await?, true),
    };
    let registry = &servers.registry;
    let mut found = Vec::new();
    for (subject, text) in stores::codec::schemas() {
        let state = match registry.id(&subject, text).await {
            Ok(id) => Schema::There(id),
            Err(ports::schemas::Error::Unknown(_)) if registry.compatible(&subject, text).await? => {
                Schema::Missing
            }
            Err(ports::schemas::Error::Unknown(_)) => Schema::Breaks,
            Err(error) => return Err(error.into()),
        };
        found.push((subject, text, state));
    }
    // All or none: half a build's schemas help nobody.
    let register = register && !found.iter().any(|(.., state)| *state == Schema::Breaks);
    let (mut rows, mut left) = (Vec::new(), false);
    for (subject, text, state) in found {
        let (state, id) = match state {
            Schema::There(id) => ("registered", Some(id)),
            Schema::Missing if register => ("registered now", Some(registry.register(&subject, text).await?)),
            Schema::Missing => ("missing, and would be taken", None),
            Schema::Breaks => ("breaks those who read: refused", None),
        };
        left |= id.is_none();
        rows.push(json!({ "subject": servers.name(&subject), "state": state, "id": id }));
    }
    told(rows, left, json, &["subject", "state", "id"])
}
