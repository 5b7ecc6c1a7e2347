//! `dvss offsets …`: the embedded log of a stopped `dvss up`.

use std::path::Path;

use serde_json::{Value, json};
use stores::topics::STAGES;

use super::print;
use crate::backend;
use crate::cli::Offsets;
use crate::config::Config;

pub async fn run(command: Offsets, json: bool) -> anyhow::Result<u8> {
    let (data, group, reset) = match command {
        Offsets::Show { data, group } => (data, group, false),
        Offsets::Reset { data, group, to_earliest } => (data, group, to_earliest),
    };
    let rows = offsets(&data, &group, reset).await?;
    print::document(&Value::Array(rows), json, |rows| {
        let rows = rows.as_array().into_iter().flatten();
        let cells = |row: &Value| {
            ["partition", "before", "committed", "end"].map(|name| print::cell(&row[name])).to_vec()
        };
        print::table(&["PARTITION", "BEFORE", "COMMITTED", "END"], &rows.map(cells).collect::<Vec<_>>())
    })
}

async fn offsets(data: &Path, group: &str, reset: bool) -> anyhow::Result<Vec<Value>> {
    let store = data.join("dvss.redb");
    anyhow::ensure!(store.is_file(), "{} is no data directory of dvss: it has no dvss.redb", data.display());
    let topic = backend::input_of(group).ok_or_else(|| {
        let groups: Vec<_> = STAGES.iter().map(|(group, _)| *group).collect();
        anyhow::anyhow!("no stage is the group {group}; the groups are {}", groups.join(", "))
    })?;
    let ports = backend::embedded(data, &Config::default())?;
    let log = ports.log;
    let (before, ends) = (log.committed(group, topic).await?, log.ends(topic).await?);
    let partition =
        |index: usize| ports::log::Partition::new(topic, u32::try_from(index).unwrap_or(u32::MAX));
    if reset {
        let next: Vec<_> =
            ends.iter().enumerate().map(|(index, ends)| (partition(index), ends.start)).collect();
        log.set_committed(group, &next).await?;
    }
    let after = log.committed(group, topic).await?;
    let row = |index: usize| {
        let end = ends.get(index).map(|ends| ends.uncommitted);
        json!({
            "partition": partition(index).to_string(), "before": before.get(index), "committed": after.get(index),
            "end": end,
        })
    };
    Ok((0..ends.len()).map(row).collect())
}
