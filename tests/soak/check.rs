//! The oracle: what must hold in the end, from what the vendors were told and what lies in the servers.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use contract::envelope::{self, Window};
use contract::event::Event as Stored;
use contract::{Fingerprint, IngestId, Timestamp, VendorId, keys};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use ports::Blobs as _;
use ports::log::Partition;
use serde_json::{Value, json};

use crate::door::{Answer, Settled};
use crate::servers::Readers;
use crate::support::oracle::{FACT_TOPICS, PUBLIC, account, assert_balanced, identity};
use crate::support::segment;
use crate::traffic::{Event, ITEMS, Kind, Said, Traffic, VENDORS, What, fold};
use crate::until;

/// Records of one read.
const PAGE: usize = 2_000;
/// Objects that are read at the same time.
const AT_ONCE: usize = 16;
/// How often the books are asked for.
const MOST_TRIES: u32 = 10;
/// Longest time for the books of everything.
const BOOKS: Duration = Duration::from_secs(3_600);

/// Figures of what holds.
#[derive(Default)]
pub struct Judged {
    answers: [u64; 4],
    objects: usize,
    books: [u64; 7],
    effects: usize,
    entities: usize,
    orphans: usize,
}

/// An event with an id of its own that a vendor was told is taken.
struct Taken {
    vendor: usize,
    number: u32,
}

/// Checks everything; fails at the first thing that is not as it must be.
pub async fn all(traffic: &[Traffic], settled: &[Vec<Settled>], readers: &Readers, operator: &str) -> Judged {
    let mut judged = Judged::default();
    let taken = answers(traffic, settled, &mut judged);
    books(traffic, settled, operator, &mut judged).await;
    public(traffic, readers, &mut judged).await;
    states(traffic, operator, &mut judged).await;
    objects(traffic, &taken, readers, &mut judged).await;
    judged
}

/// Each answer is one that its event may have. Returns the events that have 2xx under their own id.
fn answers(traffic: &[Traffic], settled: &[Vec<Settled>], judged: &mut Judged) -> HashMap<IngestId, Taken> {
    let mut taken = HashMap::new();
    for (vendor, (traffic, settled)) in traffic.iter().zip(settled).enumerate() {
        assert_eq!(
            settled.len(),
            traffic.events as usize,
            "an answer for each event of {}",
            traffic.vendor()
        );
        for (number, settled) in (0_u32..).zip(settled) {
            let event = traffic.event(number);
            let first = |of: u32| traffic.event(of).id;
            assert!(
                may_be(&event, settled, first),
                "event {number} of {}, {:?}: {settled:?}\n{}",
                traffic.vendor(),
                event.kind,
                event.body
            );
            let (which, id) = match settled.answer {
                Answer::Accepted(id) => (0, Some(id)),
                Answer::Duplicate(id) => (1, Some(id)),
                Answer::Conflict(_) => (2, None),
                // What is neither known nor contradicted is accepted, or the books will miss it.
                Answer::Read if matches!(event.kind, Kind::Fresh | Kind::Poison) => (3, Some(event.id)),
                Answer::Read => (3, None),
            };
            judged.answers[which] += 1;
            if id == Some(event.id) {
                taken.entry(event.id).or_insert(Taken { vendor, number });
            }
            assert!(
                id.is_none_or(|id| taken.contains_key(&id)),
                "nobody was told 202 or 200 for {id:?} first"
            );
        }
    }
    taken
}

/// Whether the door may answer so. What was sent again may have been taken the first time, without the vendor
/// knowing.
fn may_be(event: &Event, settled: &Settled, first: impl Fn(u32) -> IngestId) -> bool {
    let own = |answer: Answer| {
        answer == Answer::Accepted(event.id) || (settled.retried && answer == Answer::Duplicate(event.id))
    };
    if settled.answer == Answer::Read {
        return true;
    }
    match event.kind {
        Kind::Fresh | Kind::Poison => own(settled.answer),
        Kind::Repeat { of } => settled.answer == Answer::Duplicate(first(of)),
        // The index learns of an event a moment after it was accepted.
        Kind::Redated { of } => own(settled.answer) || settled.answer == Answer::Duplicate(first(of)),
        Kind::Conflict { of, redated } => {
            settled.answer == Answer::Conflict(first(of)) || (redated && own(settled.answer))
        }
    }
}

/// The books of dvss itself: they balance, and say what was sent.
async fn books(traffic: &[Traffic], settled: &[Vec<Settled>], operator: &str, judged: &mut Judged) {
    let http = reqwest::Client::builder().no_proxy().timeout(BOOKS).build().expect("a client");
    let mut tries = 0;
    let report = loop {
        let report: Value = match http.get(format!("{operator}/api/v1/reconcile")).send().await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(error) => Value::String(error.to_string()),
        };
        let vendors = report["vendors"].as_array();
        if vendors.is_some_and(|vendors| vendors.iter().all(|vendor| vendor["inFlight"] == 0)) {
            break report;
        }
        // One store call of many thousands took too long, or a receipt is being copied.
        tries += 1;
        println!("        no books yet: {}", report.to_string().chars().take(500).collect::<String>());
        assert!(tries < MOST_TRIES, "no books after {tries} times");
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    assert_balanced(&report);
    let mut parts_taken_before = 0;
    for (traffic, settled) in traffic.iter().zip(settled) {
        let books = account(&report, traffic.vendor());
        let number = |name: &str| books[name].as_u64().unwrap_or_else(|| panic!("no {name} in {books}"));
        let all =
            || (0..traffic.events).zip(settled).map(|(number, settled)| (traffic.kind(number), settled));
        let count = |is: &dyn Fn(Kind, &Settled) -> bool| {
            all().filter(|(kind, settled)| is(*kind, settled)).count() as u64
        };
        assert_eq!(number("published"), count(&|kind, _| kind == Kind::Fresh), "{report}");
        assert_eq!(number("quarantined"), count(&|kind, _| kind == Kind::Poison), "{report}");
        assert_eq!(number("refused"), 0, "{report}");
        // A first try that nobody answered, and a record that was read twice, may have become a record under another id than the one that was
        // answered: then both are in the books.
        let is_redated = |kind| matches!(kind, Kind::Redated { .. });
        let taken = |settled: &Settled| matches!(settled.answer, Answer::Accepted(_));
        let unsaid = |settled: &Settled| settled.retried || settled.answer == Answer::Read;
        let least = count(&|kind, settled| is_redated(kind) && taken(settled));
        let most = count(&|kind, settled| is_redated(kind) && (taken(settled) || unsaid(settled)));
        assert!((least..=most).contains(&number("duplicate")), "{least} to {most} duplicates: {books}");
        parts_taken_before += most - least;
        let is_conflict = |kind| matches!(kind, Kind::Conflict { .. });
        let again =
            count(&|kind, settled| matches!(kind, Kind::Conflict { redated: true, .. }) && unsaid(settled));
        let conflicts = count(&|kind, _| is_conflict(kind));
        assert!(
            (conflicts..=conflicts + again).contains(&number("conflict")),
            "{conflicts} conflicts: {books}"
        );
        parts_taken_before += again;
        let facts: usize = (0..traffic.events).map(|number| traffic.event(number).said.len()).sum();
        assert_eq!(number("facts"), facts as u64, "{report}");
        for (sum, name) in judged.books.iter_mut().zip(BOOK_COLUMNS) {
            *sum += number(name);
        }
    }
    let orphans = report["orphans"].as_array().expect("a list");
    assert!(orphans.len() as u64 <= parts_taken_before, "objects that nobody asks for: {orphans:?}");
    judged.orphans = orphans.len();
}

const BOOK_COLUMNS: [&str; 7] =
    ["accepted", "published", "duplicate", "conflict", "quarantined", "inFlight", "repeats"];

/// A reader of committed records sees each fact that was sent, once, and nothing else.
async fn public(traffic: &[Traffic], readers: &Readers, judged: &mut Judged) {
    let mut expected: HashMap<IngestId, Taken> = HashMap::new();
    let mut poison: HashSet<String> = HashSet::new();
    for (vendor, traffic) in traffic.iter().enumerate() {
        for number in 0..traffic.events {
            let event = traffic.event(number);
            match event.kind {
                Kind::Fresh => drop(expected.insert(event.id, Taken { vendor, number })),
                Kind::Poison => drop(poison.insert(event.id.to_string())),
                _ => {}
            }
        }
    }
    let mut seen: HashSet<Fingerprint> = HashSet::new();
    let mut facts = 0;
    for topic in PUBLIC {
        for index in 0..readers.log.partitions(topic).await.expect("partitions") {
            let (partition, mut from) = (Partition::new(topic, index), 0);
            loop {
                let (records, next) = readers.log.read(&partition, from, PAGE).await.expect("records");
                for record in &records {
                    let value = readers.codec.decode(&record.value).await.expect("a value of its schema");
                    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
                    let shown = json!({"topic": topic, "key": key, "value": value});
                    let name = identity(&shown);
                    let print = Fingerprint::of_bytes(name.as_bytes());
                    assert!(seen.insert(print), "{} repeats {name}", record.coordinates());
                    if FACT_TOPICS.contains(&topic) {
                        is_expected(traffic, &expected, &key, &value);
                        facts += 1;
                    } else if topic == PUBLIC[5] {
                        let parked = value["identity"].as_str().unwrap_or_default();
                        assert!(poison.remove(parked), "parked, and it is no poison: {value}");
                    }
                }
                if next <= from {
                    break;
                }
                from = next;
            }
        }
    }
    let said: usize =
        traffic.iter().flat_map(|traffic| (0..traffic.events).map(|n| traffic.event(n).said.len())).sum();
    assert_eq!(facts, said, "every fact is public");
    assert!(poison.is_empty(), "poison that was not parked: {poison:?}");
    judged.effects = facts;
}

/// A public fact says what its event said; that it is there once was seen already.
fn is_expected(traffic: &[Traffic], expected: &HashMap<IngestId, Taken>, key: &str, value: &Value) {
    let id = value["ingestId"].as_str().and_then(|id| IngestId::parse(id).ok());
    let taken = id.and_then(|id| expected.get(&id)).unwrap_or_else(|| panic!("nobody sent this: {value}"));
    let traffic = &traffic[taken.vendor];
    let event = traffic.event(taken.number);
    let line = value["line"].as_u64().and_then(|line| usize::try_from(line).ok());
    let said = line.and_then(|line| event.said.get(line)).unwrap_or_else(|| panic!("no such line: {value}"));
    assert_eq!((&value["leg"], &value["revision"]), (&json!(0), &json!(1)), "{value}");
    assert_eq!(key, traffic.entity(said.item), "{value}");
    assert_eq!(what(&value["data"]), Some(said.what), "{value}");
}

/// A level or a change, from a fact's data.
fn what(data: &Value) -> Option<What> {
    let number = |name: &str| data[name].as_str()?.parse().ok();
    number("quantityOnHand").map(What::Level).or_else(|| number("delta").map(What::Change))
}

/// Each item's state is the fold of its ledger, and what the vendor's own sums come to.
async fn states(traffic: &[Traffic], operator: &str, judged: &mut Judged) {
    let http = crate::support::http();
    for traffic in traffic {
        let expected = traffic.expected();
        assert_eq!(expected.len(), ITEMS as usize);
        for (item, sum) in expected {
            let entity = traffic.entity(item);
            let url = format!("{operator}/api/v1/entities/{}", segment(&entity));
            let history: Value = until(&format!("every fact of {entity} has its offset"), async || {
                let answer = http.get(&url).send().await.ok()?;
                let history: Value = answer.json().await.ok()?;
                let facts = history["facts"].as_array()?;
                facts.iter().all(|fact| !fact["published"].is_null()).then_some(history)
            })
            .await;
            assert_eq!(history["complete"], true, "{entity} has more facts than are shown");
            let ledger: Vec<Said> = history["facts"]
                .as_array()
                .expect("facts")
                .iter()
                .map(|fact| {
                    let at = fact["occurredAt"].as_str().and_then(|text| Timestamp::parse(text).ok());
                    let at = at.expect("a time").as_nanos();
                    Said { item, at, what: what(&fact["data"]).unwrap_or_else(|| panic!("{fact}")) }
                })
                .collect();
            assert_eq!(fold(ledger), Some(sum), "the ledger of {entity}");
            assert_eq!(history["state"]["quantityOnHand"], sum.to_string(), "the state of {entity}");
            judged.entities += 1;
        }
    }
}

/// Each 2xx, and each record that was new, has one raw object, which is what the vendor sent.
async fn objects(
    traffic: &[Traffic],
    taken: &HashMap<IngestId, Taken>,
    readers: &Readers,
    judged: &mut Judged,
) {
    let bucket = readers.aws.raw();
    let mut found: HashMap<IngestId, u32> = HashMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = bucket.list(keys::RAW_PREFIX, after.as_deref(), 1_000).await.expect("a listing");
        for entry in page.entries {
            let name = entry.key.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
            let id = name.and_then(|name| IngestId::parse(name).ok());
            *found.entry(id.unwrap_or_else(|| panic!("no event's: {}", entry.key))).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let reading =
        stream::iter(taken).map(Ok::<_, String>).try_for_each_concurrent(AT_ONCE, async |(id, taken)| {
            let count = found.get(id).copied().unwrap_or(0);
            if count != 1 {
                return Err(format!("{id} has {count} raw objects"));
            }
            let traffic = &traffic[taken.vendor];
            let body = Bytes::from(traffic.event(taken.number).body);
            let vendor = VendorId::parse(VENDORS[taken.vendor]).expect("a vendor");
            let window =
                Window { now: Timestamp::parse("2025-01-01T00:00:00Z").expect("a time"), max_ahead: BOOKS };
            let sent = envelope::read(&body, &vendor, &window).expect("it was taken");
            let key = keys::raw(&vendor, sent.occurred_at, *id);
            let object = bucket.get(&key).await.map_err(|error| format!("{key}: {error}"))?;
            let stored = Stored::from_headers(|name| object.metadata.get(name).map(String::as_str));
            let stored = stored.map_err(|error| format!("{key}: {error}"))?;
            let same = object.sha256 == Fingerprint::of_bytes(&body) && stored.draft == sent;
            if same { Ok(()) } else { Err(format!("{key} is not what was sent: {stored:?}")) }
        });
    reading.await.unwrap_or_else(|error| panic!("{error}"));
    judged.objects = taken.len();
}

impl fmt::Display for Judged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [accepted, duplicate, conflict, _] = self.answers;
        writeln!(formatter, "answers          202 {accepted}, 200 {duplicate}, 409 {conflict}")?;
        let books: Vec<String> =
            BOOK_COLUMNS.iter().zip(self.books).map(|(name, number)| format!("{name} {number}")).collect();
        writeln!(formatter, "books            {}", books.join(", "))?;
        writeln!(formatter, "missing          0")?;
        writeln!(
            formatter,
            "effects          {}, each once; {} entities fold to their states",
            self.effects, self.entities
        )?;
        writeln!(
            formatter,
            "raw objects      {} of 2xx, each once, as sent; {} orphans",
            self.objects, self.orphans
        )
    }
}
