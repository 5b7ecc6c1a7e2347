//! Real payloads of the platforms, through the shipped mappings, against what is known to be in them.
//!
//! `corpus/<platform>.tsv` lists the payloads of a platform:
//!
//! | column | what it holds |
//! |---|---|
//! | file | below the corpus, `inventory/shopify/variant.json` |
//! | event type | by which the shipped document is found |
//! | expectation | `facts`, `none` (taken, and holds no fact), `rejected <pointer>`, `not-json` |
//! | exceptions | `field: why; field: why`: fields whose ground truth the facts rightly differ from |
//!
//! Of a payload with `facts`, every row of GROUND_TRUTH.tsv is compared with the facts: the values at
//! its pointer (`*` is any index) are those of the field. Where there are as many values as facts
//! (or order lines), in their order, so that no value may change places; otherwise as sets. A row
//! without a pointer says that the payload does not carry the field, and then no fact may. Nor may a fact
//! carry a quantity of stock that the ground truth does not name.

#[path = "corpus/known.rs"]
mod known;
#[path = "../../../tests/support/corpus.rs"]
mod place;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::{EventType, ExternalEventId, Json, Timestamp, VendorId};
use known::{Expected, Known, LEVELS, known};
use mapping::{EventContext, Mapped, Mapping, Owner, shipped, written};

#[test]
fn the_corpus_says_through_the_shipped_mappings_what_is_in_it() {
    let Some(truth) = place::corpus("GROUND_TRUTH.tsv") else { return };
    let root = truth.parent().expect("a file is in a directory");
    let truth = std::fs::read_to_string(&truth).expect("it can be read");
    let truth: Vec<Truth> = truth.lines().skip(1).filter_map(Truth::parse).collect();
    let mappings: Vec<Mapping> =
        shipped().into_iter().filter_map(|(_, text)| Mapping::parse(text).ok()).collect();
    let mut failures = Vec::new();
    let mut compared = 0;
    for list in lists() {
        let platform = list.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&list).expect("a list that can be read");
        let rows: Vec<Row> = text.lines().skip(1).map(Row::parse).collect();
        failures.extend(unlisted(root, &platform, &rows));
        for row in &rows {
            let rows_of_truth: Vec<&Truth> = truth.iter().filter(|truth| truth.file == row.file).collect();
            match row.run(root, &platform, &mappings, &rows_of_truth) {
                Ok(fields) => compared += fields,
                Err(problems) => {
                    failures.extend(problems.into_iter().map(|problem| format!("{}: {problem}", row.file)));
                }
            }
        }
        println!("{platform}: {} payloads", rows.len());
    }
    println!("{compared} fields compared");
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n"));
    assert!(compared > 0, "nothing was compared");
}

fn lists() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = std::fs::read_dir(folder).expect("tests/corpus");
    let mut lists: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    lists.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    lists.sort();
    lists
}

/// JSON payloads in the folders of a platform that its list forgets.
fn unlisted(root: &Path, platform: &str, rows: &[Row]) -> Vec<String> {
    let mut folders: BTreeSet<String> =
        rows.iter().filter_map(|row| Some(row.file.rsplit_once('/')?.0.to_owned())).collect();
    folders.extend([format!("inventory/{platform}"), format!("orders/{platform}")]);
    let mut missing = Vec::new();
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
        for entry in entries {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let is_json = [".json", ".jsonc", ".jsonl", ".jsonld"].iter().any(|end| name.ends_with(end));
            let file = format!("{folder}/{name}");
            if is_json && !rows.iter().any(|row| row.file == file) {
                missing.push(format!("{file}: no row of tests/corpus/{platform}.tsv lists it"));
            }
        }
    }
    missing
}

/// A row of GROUND_TRUTH.tsv.
struct Truth {
    file: String,
    field: String,
    pointer: String,
    note: String,
}

impl Truth {
    fn parse(line: &str) -> Option<Self> {
        let mut columns = line.split('\t').map(str::to_owned);
        let (file, field) = (columns.next()?, columns.next()?);
        Some(Self {
            file,
            field,
            pointer: columns.next().unwrap_or_default(),
            note: columns.next().unwrap_or_default(),
        })
    }
}

/// A row of a platform's list.
struct Row {
    file: String,
    event_type: String,
    expectation: String,
    exceptions: Vec<String>,
}

impl Row {
    fn parse(line: &str) -> Self {
        let mut columns = line.split('\t').map(str::trim);
        let mut next = || columns.next().unwrap_or_default().to_owned();
        let (file, event_type, expectation, exceptions) = (next(), next(), next(), next());
        let exceptions = exceptions.split("; ").filter(|exception| !exception.is_empty());
        let field = |exception: &str| match exception.split_once(": ") {
            Some((field, why)) if !why.trim().is_empty() => field.to_owned(),
            _ => panic!("{file}: an exception is `field: why`, not `{exception}`"),
        };
        let exceptions = exceptions.map(field).collect();
        Self { file, event_type, expectation, exceptions }
    }

    /// How many fields were compared, or what is wrong.
    fn run(
        &self,
        root: &Path,
        platform: &str,
        mappings: &[Mapping],
        truth: &[&Truth],
    ) -> Result<usize, Vec<String>> {
        let one = |problem: String| vec![problem];
        if truth.is_empty() {
            return Err(one("GROUND_TRUTH.tsv has no row for it".to_owned()));
        }
        let bytes = std::fs::read(root.join(&self.file)).map_err(|error| one(error.to_string()))?;
        let payload = match (Json::parse(&bytes), self.expectation.as_str()) {
            (Err(_), "not-json") => return Ok(0),
            (Err(error), _) => return Err(one(format!("it is no JSON: {error}"))),
            (Ok(_), "not-json") => return Err(one("it is JSON".to_owned())),
            (Ok(payload), _) => payload,
        };
        let event_type = EventType::parse(&self.event_type).map_err(|error| one(error.to_string()))?;
        let owner = Owner::Platform(platform.to_owned());
        let found = mappings
            .iter()
            .find(|mapping| *mapping.owner() == owner && mapping.event_types().contains(&event_type));
        let Some(mapping) = found else {
            return Err(one(format!("no shipped mapping of {platform} reads {event_type}")));
        };
        let event = EventContext {
            vendor_id: VendorId::parse("acme").expect("a constant"),
            external_event_id: ExternalEventId::parse("evt-1").expect("a constant"),
            event_type,
            occurred_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("a constant"),
        };
        let expected = self.expectation.as_str();
        match (expected.split_once(' ').unwrap_or((expected, "")), mapping.apply(&payload, &event)) {
            (("rejected", pointer), Err(rejection)) if rejection.pointer == pointer => Ok(0),
            (_, Err(rejection)) => Err(one(format!(
                "expected {expected}, but it is refused: {} at {:?}: {}",
                rejection.code, rejection.pointer, rejection.message
            ))),
            (("none", ""), Ok(mapped)) if mapped.facts.is_empty() => Ok(0),
            (("facts", ""), Ok(mapped)) if !mapped.facts.is_empty() => self.compare(&payload, &mapped, truth),
            (_, Ok(mapped)) => {
                Err(one(format!("expected {expected}, but it is taken:\n{}", written(&mapped))))
            }
        }
    }

    fn compare(&self, payload: &Json, mapped: &Mapped, truth: &[&Truth]) -> Result<usize, Vec<String>> {
        let mut problems = Vec::new();
        let mut compared = 0;
        let named = |name: &str| truth.iter().any(|truth| truth.field == name);
        for name in LEVELS.into_iter().filter(|name| !named(name)) {
            let Some(Known::Field(field)) = known(name, mapped) else { continue };
            if field.compare(&[]).is_err() && !self.exceptions.iter().any(|excepted| excepted == name) {
                problems.push(format!("{name}: the facts carry it, but no ground truth names it"));
            }
        }
        for name in &self.exceptions {
            if !named(name) && !LEVELS.contains(&name.as_str()) {
                problems.push(format!("the exception `{name}` is for nothing: no ground truth names it"));
            }
        }
        let mut held = BTreeSet::new();
        for row in truth {
            let outcome = match known(&row.field, mapped) {
                None => Err(format!(
                    "`{}` is a field that tests/corpus/known.rs does not know: compare or ignore it there",
                    row.field
                )),
                Some(Known::Ignored(_)) => continue,
                Some(Known::Field(field)) => {
                    let others = truth.iter().filter(|other| other.field == row.field);
                    let values = others.flat_map(|other| {
                        let found =
                            if other.pointer.is_empty() { Vec::new() } else { at(payload, &other.pointer) };
                        found.into_iter().map(|value| Expected { value, note: &other.note })
                    });
                    field.compare(&values.collect::<Vec<_>>())
                }
            };
            let excepted = self.exceptions.contains(&row.field);
            match outcome {
                Ok(()) if !excepted => compared += 1,
                Ok(()) => drop(held.insert(row.field.clone())),
                Err(_) if excepted => {}
                Err(problem) => problems.push(format!("{} ({}): {problem}", row.field, row.pointer)),
            }
        }
        problems
            .extend(held.into_iter().map(|field| format!("the exception `{field}` is needless: it holds")));
        if problems.is_empty() {
            return Ok(compared);
        }
        problems.push(format!("the facts are:\n{}\n", written(mapped)));
        Err(problems)
    }
}

/// The values at a pointer, `*` being any index; `None` where an element lacks the member.
fn at<'a>(payload: &'a Json, pointer: &str) -> Vec<Option<&'a Json>> {
    let mut values = vec![Some(payload)];
    for token in pointer.split('/').skip(1) {
        values = values
            .into_iter()
            .flat_map(|value| match (token, value) {
                ("*", Some(Json::Array(items))) => items.iter().map(Some).collect(),
                ("*", _) => Vec::new(),
                (_, Some(value)) => vec![value.at(&format!("/{token}"))],
                (_, None) => vec![None],
            })
            .collect();
    }
    values
}
