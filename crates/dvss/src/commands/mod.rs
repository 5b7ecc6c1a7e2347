//! The commands: each speaks to the operator API, or to a stopped store, and prints.

mod divergences;
pub mod invoices;
mod mappings;
mod offsets;
pub mod print;
pub mod print_invoices;
mod quarantine;
mod servers;
mod tail;
mod vendors;

use serde_json::{Value, json};

use crate::cli::{self, Cli, Command, exit};
use crate::client::{Client, segment};
use crate::config::Config;
use crate::demo;
use crate::up::{self, Roles};

/// Runs the command and returns the exit code.
pub async fn run(arguments: Cli) -> anyhow::Result<u8> {
    let client = Client::new(&arguments.server);
    let json = arguments.json;
    match arguments.command {
        Command::Demo(options) => demo::run(options, json).await,
        Command::Up(options) => {
            let config = Config::load(&options.place)?;
            let roles = Roles::all(&config);
            up::run(config, roles, json).await
        }
        Command::Gateway(options) => {
            let roles = Roles { gateway: true, stages: vec![], operator: false };
            up::run(on_servers(&options.place)?, roles, json).await
        }
        Command::Processor { stages, place } => {
            let roles = Roles { gateway: false, stages, operator: false };
            up::run(on_servers(&place)?, roles, json).await
        }
        Command::Operator(options) => {
            let roles = Roles { gateway: false, stages: vec![], operator: true };
            up::run(on_servers(&options.place)?, roles, json).await
        }
        Command::Topics(command) => servers::topics(command, json).await,
        Command::Tables(command) => servers::tables(command, json).await,
        Command::Schemas(command) => servers::schemas(command, json).await,
        Command::Vendors(command) => vendors::run(&client, command, json).await,
        Command::Mappings(command) => mappings::run(&client, command, json).await,
        Command::Tail(options) => tail::run(&client, &options, json).await,
        Command::Explain { ingest_id } => {
            let answer = client.get(&format!("/events/{}", segment(&ingest_id)), &[]).await?;
            print::document(&answer, json, print::explain)
        }
        Command::History { entity } => {
            let answer = client.get(&format!("/entities/{}", segment(&entity)), &[]).await?;
            print::document(&answer, json, print::history)
        }
        Command::Recompute { entity } => {
            let answer =
                client.post(&format!("/entities/{}/recompute", segment(&entity)), &json!({})).await?;
            print::document(&answer, json, print::history)
        }
        Command::Reconcile { repair } => {
            let answer = if repair {
                client.post("/reconcile/repair", &json!({})).await?
            } else {
                client.get("/reconcile", &[]).await?
            };
            print::document(&answer, json, print::reconcile)?;
            Ok(if answer["balanced"] == Value::Bool(true) { exit::SUCCESS } else { exit::UNBALANCED })
        }
        Command::Quarantine(command) => quarantine::run(&client, command, json).await,
        Command::Divergences(command) => divergences::run(&client, command, json).await,
        Command::Status => {
            let answer = client.get("/status", &[]).await?;
            print::document(&answer, json, print::status)
        }
        Command::Offsets(command) => offsets::run(command, json).await,
        Command::Invoices(command) => invoices::run(&client, command, json).await,
        Command::ParseSandboxed(_) => unreachable!("main has answered it"),
        Command::Bench(bench) => crate::bench::run(bench, json).await,
    }
}

/// The configuration of a role that runs alone: processes that share no directory need servers.
fn on_servers(place: &cli::Place) -> anyhow::Result<Config> {
    let config = Config::load(place)?;
    anyhow::ensure!(
        config.servers.is_some(),
        "a role that runs alone needs servers: give --config FILE with a `servers` section, or run `dvss up` (config-invalid)"
    );
    Ok(config)
}

/// Rows that are asked for at a time.
const PAGE: u64 = 1_000;

/// The part of a list that is asked for, page by page: `rows`, and `next` where more follow.
async fn list(
    client: &Client,
    path: &str,
    filters: &[(&'static str, Option<String>)],
    part: cli::Part,
) -> anyhow::Result<Value> {
    let (mut rows, mut next) = (Vec::new(), part.cursor);
    loop {
        let left = part.limit - rows.len() as u64;
        let mut query: Vec<_> =
            filters.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(next.map(|cursor| ("cursor", cursor)));
        let mut page = client.get(path, &query).await?;
        if let Value::Array(found) = page["rows"].take() {
            rows.extend(found);
        }
        next = page["next"].as_str().map(str::to_owned);
        if next.is_none() || rows.len() as u64 >= part.limit {
            return Ok(json!({ "rows": rows, "next": next }));
        }
    }
}

/// Prints a part of a list; stderr says how to go on.
fn listed(answer: &Value, json: bool, words: impl Fn(&Value) -> String) -> anyhow::Result<u8> {
    let code = print::document(answer, json, words)?;
    if let Some(next) = answer["next"].as_str() {
        print::say(&format!("there may be more: --cursor {next}"));
    }
    Ok(code)
}
