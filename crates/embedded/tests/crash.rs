//! A process is killed in the middle of everything; what it had acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use embedded::clock::SystemClock;
use embedded::log::{EmbeddedLog, LogOptions, TopicSpec};
use embedded::{Engine, Options};
use ports::log::{Log, Offset, Partition, Record, next};

const DIRECTORY: &str = "EMBEDDED_CRASH_DIRECTORY";
const PARTITIONS: u32 = 2;
const ROUNDS: usize = 8;

fn open(directory: &Path) -> EmbeddedLog {
    let engine = Engine::open(directory, Options::default()).expect("the store opens");
    EmbeddedLog::new(engine, Arc::new(SystemClock), LogOptions::default()).expect("the log opens")
}

fn record(topic: &str, partition: u32, value: Bytes) -> Record {
    Record { topic: topic.into(), partition: Some(partition), key: None, value, headers: Vec::new() }
}

/// Says it on standard output; the pipe keeps it when the process is killed.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

async fn produce(log: EmbeddedLog, writer: u32) {
    for number in 0_u64.. {
        let value = format!("{}-{writer}-{number}", std::process::id());
        let placed = log.append(record("in", writer % PARTITIONS, value.clone().into())).await;
        let placed = placed.expect("the log takes a record");
        say(&format!("in {} {} {value}\n", placed.partition.index, placed.offset));
    }
}

async fn copy(log: EmbeddedLog) {
    let mut consumer =
        log.join("copy", "one", &["in"], ports::log::First::Committed).await.expect("a consumer joins");
    let mut producer = log.producer("copy").await.expect("a producer");
    loop {
        let batch = consumer.poll(20, Duration::from_millis(50)).await.expect("a poll");
        if batch.records.is_empty() {
            continue;
        }
        producer.begin().await.expect("a transaction begins");
        let copies: Vec<Record> = batch
            .records
            .iter()
            .map(|read| record("out", read.partition.index, read.value.clone()))
            .collect();
        let (first, second) = copies.split_at(copies.len() / 2);
        producer.send(first.to_vec()).await.expect("records are placed");
        producer.send(second.to_vec()).await.expect("records are placed");
        let behind: BTreeMap<Partition, Offset> =
            batch.records.iter().map(|read| (read.partition.clone(), next(read.offset))).collect();
        let behind: Vec<(Partition, Offset)> = behind.into_iter().collect();
        producer.commit(&batch.owner, &behind).await.expect("a commit");
        for (partition, offset) in &behind {
            say(&format!("copied {} {offset} -\n", partition.index));
        }
    }
}

/// The process that is killed: this test binary again, with a directory in its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the parent says so in the environment")]
async fn the_process_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let log = open(Path::new(&directory));
    let tasks: Vec<_> = (0..8)
        .map(|writer| tokio::spawn(produce(log.clone(), writer)))
        .chain([tokio::spawn(copy(log.clone()))])
        .collect();
    for task in tasks {
        task.await.expect("it goes on until it is killed");
    }
}

#[derive(Default)]
struct Acknowledged {
    appended: BTreeMap<(u32, Offset), String>,
    copied: BTreeMap<u32, Offset>,
}

impl Acknowledged {
    fn hear(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        let (Some(kind), Some(Ok(partition)), Some(Ok(offset)), Some(value)) = (
            words.next(),
            words.next().map(str::parse::<u32>),
            words.next().map(str::parse::<Offset>),
            words.next(),
        ) else {
            return false;
        };
        match kind {
            "in" => drop(self.appended.insert((partition, offset), value.to_owned())),
            "copied" => drop(self.copied.insert(partition, offset)),
            _ => return false,
        }
        true
    }
}

/// Runs the process, kills it after some lines, and hears the rest of what it had said.
fn run_and_kill(directory: &Path, lines: usize, heard: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().expect("this test has a path"))
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test runs again");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut count = 0;
    // The last line may be cut; `hear` takes whole ones only, and a cut value would be missed below.
    for line in out.split(b'\n') {
        let line = String::from_utf8(line.expect("the pipe reads")).expect("lines are text");
        count += usize::from(heard.hear(&line));
        if count == lines {
            child.kill().expect("it is killed");
        }
    }
    let status = child.wait().expect("it ends");
    assert!(count >= lines, "it said only {count} lines, then ended with {status}");
    assert!(!status.success(), "it was killed");
}

async fn everything(log: &EmbeddedLog, topic: &str, index: u32) -> Vec<(Offset, String)> {
    let (mut from, mut found) = (0, Vec::new());
    loop {
        let (records, next) = log.read(&Partition::new(topic, index), from, 500).await.expect("it reads");
        if next == from {
            return found;
        }
        for read in records {
            found.push((read.offset, String::from_utf8(read.value.to_vec()).expect("values are text")));
        }
        from = next;
    }
}

async fn check(log: &EmbeddedLog, heard: &Acknowledged) {
    for topic in ["in", "out"] {
        for ends in log.ends(topic).await.expect("a topic has ends") {
            assert_eq!(ends.stable, ends.uncommitted, "no transaction outlives its process");
        }
    }
    let committed = log.committed("copy", "in").await.expect("offsets read");
    for (index, committed) in (0..PARTITIONS).zip(committed) {
        let appended = everything(log, "in", index).await;
        let there: BTreeMap<Offset, &str> =
            appended.iter().map(|(offset, value)| (*offset, value.as_str())).collect();
        for ((_, offset), value) in heard.appended.iter().filter(|((partition, _), _)| *partition == index) {
            assert_eq!(there.get(offset), Some(&value.as_str()), "in/{index}/{offset} was acknowledged");
        }
        let distinct: BTreeSet<&str> = appended.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(distinct.len(), appended.len(), "no append happened twice");

        let committed = committed.expect("the group has an offset");
        assert!(committed >= heard.copied.get(&index).copied().unwrap_or(0), "a commit was lost");
        let below: Vec<&str> = there.range(..committed).map(|(_, value)| *value).collect();
        let copied = everything(log, "out", index).await;
        let copied: Vec<&str> = copied.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(copied, below, "out/{index} is what lies below the committed offset, once and in order");
    }
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = open(directory.path());
    let topics = ["in", "out"].map(|name| TopicSpec { name: name.to_owned(), partitions: PARTITIONS });
    log.apply(&topics, &[("copy", &["in"])]).await.expect("topics are applied");
    drop(log);
    let mut heard = Acknowledged::default();
    for round in 0..ROUNDS {
        let chance = usize::try_from(RandomState::new().hash_one(round) % 400).expect("it is small");
        run_and_kill(directory.path(), 20 + chance, &mut heard);
        let log = open(directory.path());
        check(&log, &heard).await;
    }
    assert!(heard.appended.len() > 20 * ROUNDS / 2);
    assert!(!heard.copied.is_empty(), "transactions were committed");
}
