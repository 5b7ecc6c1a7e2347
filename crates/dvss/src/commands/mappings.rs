//! `dvss mappings …`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::print;
use crate::cli::{MappingVersion, Mappings, exit};
use crate::client::{Client, segment};

pub async fn run(client: &Client, command: Mappings, json: bool) -> anyhow::Result<u8> {
    let answer = match command {
        Mappings::Put { file, activate } => {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            client.post_text("/mappings", &[("activate", activate.to_string())], text).await?
        }
        Mappings::Test { paths } => return test(&paths, json),
        Mappings::Activate(which) => client.post(&format!("{}/activate", path(&which)), &json!({})).await?,
        Mappings::Retire(which) => client.post(&format!("{}/retire", path(&which)), &json!({})).await?,
        Mappings::List => client.get("/mappings", &[]).await?,
        Mappings::Show(which) => client.get(&path(&which), &[]).await?,
    };
    print::document(&answer, json, print::mappings)
}

fn path(which: &MappingVersion) -> String {
    let version = which.version.map_or("latest".to_owned(), |version| version.to_string());
    format!("/mappings/{}/{}/{version}", segment(&which.owner), segment(&which.event_type))
}

/// Runs golden cases: `x.yaml` has its cases in `x.cases.yaml` beside it.
fn test(paths: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let mut documents = Vec::new();
    for path in paths {
        anyhow::ensure!(path.exists(), "there is no {}", path.display());
        collect(path, &mut documents)?;
    }
    anyhow::ensure!(!documents.is_empty(), "no mapping documents under {paths:?}");
    let (mut rows, mut good) = (Vec::new(), true);
    for document in documents {
        let cases = document.with_extension("cases.yaml");
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut report = match cases.is_file() {
            true => mapping::test(&read(&document)?, &read(&cases)?),
            false => mapping::Report::default(),
        };
        if !report.is_good() && report.failures.is_empty() {
            let none = format!("no case says what it must give: write some in {}", cases.display());
            report.failures.push(format!("{none} (docs/mappings.md, \"Golden cases\")"));
        }
        good &= report.is_good();
        rows.push(json!({
            "document": document.display().to_string(), "passed": report.passed, "failures": report.failures,
        }));
    }
    print::document(&Value::Array(rows), json, print::mapping_tests)?;
    Ok(if good { exit::SUCCESS } else { exit::FAILURE })
}

fn collect(path: &Path, documents: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        documents.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() || (name.ends_with(".yaml") && !name.ends_with(".cases.yaml")) {
            collect(&entry, documents)?;
        }
    }
    Ok(())
}
