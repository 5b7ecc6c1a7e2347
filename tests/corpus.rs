//! The whole corpus through the vendors' door, twice and shuffled: nothing is missing, every fact is
//! public once, and what is broken is parked with the pointer of the place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use contract::{EventType, ExternalEventId, Json, Timestamp, VendorId};
use mapping::{EventContext, Mapping, Owner, shipped};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use place::corpus;
use support::oracle::{account, assert_balanced, assert_once, facts, public};
use support::wire::Wire;
use support::{Dvss, NOON, Place, Vendor, root};

#[path = "support/corpus.rs"]
mod place;
#[path = "support/mod.rs"]
mod support;

const SEED: u64 = 846;

/// What becomes of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// So many facts; perhaps none.
    Published(usize),
    /// Parked, and this place is to blame.
    Parked(String),
    /// Not let in.
    Refused,
}

/// A payload of the corpus.
struct Sample {
    file: String,
    platform: String,
    event_type: String,
    payload: String,
    fate: Fate,
}

impl Sample {
    /// The envelope, with the payload's own bytes in it.
    fn body(&self) -> String {
        let (id, event_type) = (json!(self.file), json!(self.event_type));
        let payload = &self.payload;
        format!(
            r#"{{"externalEventId":{id},"eventType":{event_type},"occurredAt":"{NOON}","payload":{payload}}}"#
        )
    }

    /// How many facts the shipped mapping makes of it.
    fn facts(&self, mappings: &[Mapping]) -> usize {
        let event_type = EventType::parse(self.event_type.as_str()).expect("an event type");
        let of_platform = |owner: &Owner| matches!(owner, Owner::Platform(name) if *name == self.platform);
        let is_its =
            |mapping: &&Mapping| of_platform(mapping.owner()) && mapping.event_types().contains(&event_type);
        let mapping = mappings.iter().find(is_its).unwrap_or_else(|| panic!("nothing maps {}", self.file));
        let payload = Json::parse(self.payload.as_bytes()).expect("JSON");
        let context = EventContext {
            vendor_id: VendorId::parse(self.platform.as_str()).expect("an id"),
            external_event_id: ExternalEventId::parse(self.file.as_str()).expect("an id"),
            event_type,
            occurred_at: Timestamp::parse(NOON).expect("a time"),
        };
        let mapped = mapping.apply(&payload, &context);
        mapped.unwrap_or_else(|error| panic!("{}: {error:?}", self.file)).facts.len()
    }
}

/// The payloads that the lists of the mapping's own test name, with what that test expects of them.
fn samples(corpus: &Path) -> Vec<Sample> {
    let mappings: Vec<Mapping> =
        shipped().into_iter().map(|(_, text)| Mapping::parse(text).expect("it compiles")).collect();
    let lists = root().join("crates/mapping/tests/corpus");
    let entries = std::fs::read_dir(lists).expect("the lists");
    let mut lists: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    lists.retain(|path| path.extension().is_some_and(|extension| extension == "tsv"));
    lists.sort();
    let mut samples = Vec::new();
    for list in lists {
        let platform = list.file_stem().expect("a name").to_string_lossy().into_owned();
        for row in std::fs::read_to_string(&list).expect("a list").lines().skip(1) {
            let mut columns = row.split('\t').map(|text| text.trim().to_owned());
            let mut next = || columns.next().unwrap_or_default();
            let (file, event_type, expectation) = (next(), next(), next());
            let payload =
                std::fs::read_to_string(corpus.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut sample =
                Sample { file, platform: platform.clone(), event_type, payload, fate: Fate::Refused };
            sample.fate = match expectation.split_once(' ') {
                Some(("rejected", pointer)) => Fate::Parked(format!("/payload{pointer}")),
                _ if expectation == "not-json" => Fate::Refused,
                _ => Fate::Published(sample.facts(&mappings)),
            };
            samples.push(sample);
        }
    }
    samples
}

#[tokio::test]
async fn the_whole_corpus_twice_and_shuffled() {
    let Some(truth) = corpus("GROUND_TRUTH.tsv") else { return };
    let samples = samples(truth.parent().expect("a file is in a directory"));
    assert!(samples.len() > 90, "only {} payloads", samples.len());
    let place = Place::new();
    let dvss = place.up().go().await;
    let mut vendors: BTreeMap<String, Vendor> = BTreeMap::new();
    for sample in &samples {
        if !vendors.contains_key(&sample.platform) {
            let vendor = dvss.vendor_on(&sample.platform, Some(&sample.platform)).await;
            vendors.insert(sample.platform.clone(), vendor);
        }
    }
    println!("seed {SEED}, {} payloads of {} platforms", samples.len(), vendors.len());
    let mut order: Vec<usize> = (0..samples.len()).chain(0..samples.len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(SEED));
    let mut ids: BTreeMap<usize, String> = BTreeMap::new();
    for index in order {
        let sample = &samples[index];
        let reply = Wire::event(&vendors[&sample.platform], sample.body()).send(&dvss).await;
        if sample.fate == Fate::Refused {
            reply.refused(&sample.file, 400, "json-syntax");
            continue;
        }
        let expected = if ids.contains_key(&index) { 200 } else { 202 };
        assert_eq!(reply.status, expected, "{}: {reply:?}", sample.file);
        let id = reply.body["ingestId"].as_str().expect("an id").to_owned();
        assert_eq!(*ids.entry(index).or_insert_with(|| id.clone()), id, "{}", sample.file);
    }
    dvss.settled().await;
    let report = dvss.cli(&["reconcile", "--json"]).await.json();
    assert_balanced(&report);
    check(&dvss, &samples, &ids, &report).await;
    dvss.stop().await;
}

async fn check(dvss: &Dvss, samples: &[Sample], ids: &BTreeMap<usize, String>, report: &Value) {
    let mut expected: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (index, id) in ids {
        let sample = &samples[*index];
        let (published, parked, lines) = expected.entry(sample.platform.as_str()).or_default();
        match &sample.fate {
            Fate::Published(count) => {
                let shown = dvss.published(id).await;
                assert_eq!(shown["facts"].as_array().map(Vec::len), Some(*count), "{}: {shown}", sample.file);
                *published += 1;
                *lines += count;
            }
            Fate::Parked(pointer) => {
                let shown = dvss.explained(id, "QUARANTINED").await;
                assert_eq!(shown["quarantine"][0]["pointer"], *pointer, "{}: {shown}", sample.file);
                assert_eq!(shown["facts"], json!([]), "{}: never half of it", sample.file);
                *parked += 1;
            }
            Fate::Refused => {}
        }
    }
    for (platform, (published, parked, lines)) in &expected {
        let books = account(report, platform);
        let numbers = ["accepted", "published", "quarantined", "facts"].map(|name| &books[name]);
        assert_eq!(
            numbers,
            [json!(published + parked), json!(published), json!(parked), json!(lines)].each_ref(),
            "{books}"
        );
    }
    let records = public(dvss).await;
    assert_once(&records);
    let total: usize = expected.values().map(|(_, _, lines)| lines).sum();
    assert_eq!(facts(&records).len(), total, "each fact is public");
    println!("{} events, {total} facts, each once", ids.len());
}
