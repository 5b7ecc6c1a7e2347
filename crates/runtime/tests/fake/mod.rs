//! A log whose failures are scripted and whose calls are written down, and a stage to run on it.

#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::Code;
use parking_lot::Mutex;
use ports::Log;
use ports::log::{
    Batch, Consumer, Coordinates, Ends, Error, First, Offset, Owner, Partition, Producer, RawRecord, Record,
    next,
};
use runtime::{Failure, Fatal, Handle, Options, Output, Placed, Poison, Processor, Quarantine, Service};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub const INPUT: &str = "in";
pub const OUTPUT: &str = "out";
pub const MOST_BYTES: usize = 1_000;

/// What a scripted call does instead of succeeding.
pub enum Fault {
    /// Fails, and nothing happened.
    Before(Error),
    /// Fails, though it happened.
    After(Error),
    /// Never answers, and nothing happened (commits only).
    Never,
}

impl Fault {
    fn error(self) -> Option<Error> {
        match self {
            Self::Before(error) | Self::After(error) => Some(error),
            Self::Never => None,
        }
    }
}

#[derive(Default)]
pub struct State {
    /// Records of the input, by partition.
    pub input: Vec<Vec<RawRecord>>,
    /// Records of committed transactions, in order.
    pub output: Vec<Record>,
    pub committed: HashMap<u32, Offset>,
    pub script: HashMap<&'static str, VecDeque<Fault>>,
    pub journal: Vec<String>,
    pub rewinds: Vec<(u32, Offset, Duration)>,
    /// What the stage does with the record that has this value; `ok` where nothing is said.
    pub behaviour: HashMap<String, VecDeque<Behaviour>>,
    pub running: usize,
    pub most_running: usize,
    pub parked: BTreeMap<String, Code>,
    pub over_budget: Vec<String>,
    pub transactions: usize,
}

impl State {
    pub fn count(&self, what: &str) -> usize {
        self.journal.iter().filter(|said| *said == what).count()
    }
}

#[derive(Clone)]
pub enum Behaviour {
    Ok,
    Slow(Duration),
    Transient,
    Later,
    Poison,
    Fatal,
    Panic,
    /// As many outputs, with these identities, a millisecond later.
    Outputs(Vec<Option<&'static str>>),
    Large(usize),
}

#[derive(Clone, Default)]
pub struct World(pub Arc<Mutex<State>>);

impl World {
    /// Puts a record into the input; the committed offset of its partition is its start.
    pub fn put(&self, index: u32, offset: Offset, key: &'static str, value: &'static str) {
        let mut state = self.0.lock();
        while state.input.len() <= index as usize {
            let at = u32::try_from(state.input.len()).expect("few");
            state.input.push(vec![]);
            state.committed.insert(at, 0);
        }
        let partition = Partition::new(INPUT, index);
        let key = Some(Bytes::from_static(key.as_bytes()));
        let value = Bytes::from_static(value.as_bytes());
        let record = RawRecord { partition, offset, timestamp: 0, key, value, headers: vec![] };
        state.input[index as usize].push(record);
    }

    pub fn behave(&self, value: &str, behaviour: impl IntoIterator<Item = Behaviour>) {
        self.0.lock().behaviour.entry(value.to_owned()).or_default().extend(behaviour);
    }

    pub fn script(&self, call: &'static str, fault: Fault) {
        self.0.lock().script.entry(call).or_default().push_back(fault);
    }

    pub fn say(&self, what: impl Into<String>) {
        self.0.lock().journal.push(what.into());
    }

    pub fn journal(&self) -> Vec<String> {
        self.0.lock().journal.clone()
    }

    /// Keys of committed outputs, in order.
    pub fn outputs(&self) -> Vec<String> {
        let text = |record: &Record| String::from_utf8_lossy(&record.value).into_owned();
        self.0.lock().output.iter().map(text).collect()
    }

    pub fn committed(&self, index: u32) -> Offset {
        self.0.lock().committed[&index]
    }

    pub fn count(&self, what: &str) -> usize {
        self.0.lock().count(what)
    }

    pub fn position(&self, what: &str) -> usize {
        let journal = self.journal();
        journal.iter().position(|said| said == what).unwrap_or_else(|| panic!("no {what} in {journal:?}"))
    }

    fn fault(&self, call: &'static str) -> Option<Fault> {
        self.0.lock().script.get_mut(call).and_then(VecDeque::pop_front)
    }

    /// Waits (on the paused clock) until `condition` holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let since = Instant::now();
        while !condition(&self.0.lock()) {
            assert!(since.elapsed() < Duration::from_mins(10), "never: {what}; {:?}", self.journal());
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn until_committed(&self, index: u32, offset: Offset) {
        self.until("committed", |state| state.committed[&index] == offset).await;
    }

    /// Runs a stage on this log.
    pub fn start(&self, options: Options) -> Running {
        self.start_with(Stage(self.clone()), options)
    }

    /// The same with this stage.
    pub fn start_with(&self, stage: impl Processor + 'static, options: Options) -> Running {
        let stop = CancellationToken::new();
        let service = Service::new(
            Arc::new(stage),
            Arc::new(self.clone()),
            Arc::new(self.clone()),
            &[INPUT],
            "m0",
            options,
        );
        let handle = service.handle();
        let task = tokio::spawn(service.run(stop.clone()));
        Running { handle, task, stop }
    }
}

pub struct Running {
    pub handle: Handle,
    pub task: JoinHandle<Result<(), Fatal>>,
    pub stop: CancellationToken,
}

impl Running {
    pub async fn stop(self) -> Result<(), Fatal> {
        self.stop.cancel();
        self.task.await.expect("no panic")
    }

    pub async fn fatal(self) -> Fatal {
        self.task.await.expect("no panic").expect_err("a fatal end")
    }
}

pub fn options() -> Options {
    Options { deadline: Duration::from_secs(3), ..Options::default() }
}

#[async_trait]
impl Log for World {
    async fn join(
        &self,
        group: &str,
        member: &str,
        _topics: &[&str],
        _first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        self.say(format!("join {group} {member}"));
        if let Some(error) = self.fault("join").and_then(Fault::error) {
            return Err(error);
        }
        let positions = self.0.lock().committed.clone();
        Ok(Box::new(Reader { world: self.clone(), positions, paused: HashMap::new(), told: false }))
    }

    async fn producer(&self, id: &str) -> Result<Box<dyn Producer>, Error> {
        self.say(format!("producer {id}"));
        if let Some(error) = self.fault("producer").and_then(Fault::error) {
            return Err(error);
        }
        Ok(Box::new(Writer { world: self.clone(), open: vec![] }))
    }

    async fn topics(&self, _prefix: &str) -> Result<Vec<String>, Error> {
        unreachable!("the loop knows its topics")
    }

    async fn append(&self, _record: Record) -> Result<Coordinates, Error> {
        unreachable!("the loop never appends")
    }

    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        let state = self.0.lock();
        let records = &state.input[partition.index as usize];
        let page: Vec<_> =
            records.iter().filter(|record| record.offset >= from).take(limit).cloned().collect();
        let on = if page.len() < limit { end(records) } else { page.last().map_or(from, |r| next(r.offset)) };
        Ok((page, on))
    }

    async fn partitions(&self, _topic: &str) -> Result<u32, Error> {
        Ok(u32::try_from(self.0.lock().input.len()).expect("few"))
    }

    async fn ends(&self, _topic: &str) -> Result<Vec<Ends>, Error> {
        let ends =
            |records: &Vec<RawRecord>| Ends { start: 0, stable: end(records), uncommitted: end(records) };
        Ok(self.0.lock().input.iter().map(ends).collect())
    }

    async fn committed(&self, _group: &str, _topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        if let Some(error) = self.fault("committed").and_then(Fault::error) {
            return Err(error);
        }
        let state = self.0.lock();
        let count = u32::try_from(state.input.len()).expect("few");
        Ok((0..count).map(|index| state.committed.get(&index).copied()).collect())
    }

    async fn set_committed(&self, _group: &str, _next: &[(Partition, Offset)]) -> Result<(), Error> {
        unreachable!("the loop never sets offsets from outside")
    }
}

/// A marker stands behind the last record, as behind every transaction.
fn end(records: &[RawRecord]) -> Offset {
    records.last().map_or(0, |record| record.offset + 2)
}

struct Reader {
    world: World,
    positions: HashMap<u32, Offset>,
    paused: HashMap<u32, Instant>,
    told: bool,
}

#[async_trait]
impl Consumer for Reader {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        if let Some(error) = self.world.fault("poll").and_then(Fault::error) {
            return Err(error);
        }
        let mut records = vec![];
        let mut partitions = vec![];
        {
            let state = self.world.0.lock();
            for (index, line) in (0u32..).zip(&state.input) {
                partitions.push(Partition::new(INPUT, index));
                let paused = self.paused.get(&index).is_some_and(|until| Instant::now() < *until);
                let from = self.positions.entry(index).or_insert(0);
                let ready = line.iter().filter(|record| record.offset >= *from && !paused);
                for record in ready.take(max_records - records.len()) {
                    records.push(record.clone());
                }
                if let Some(last) = records.last().filter(|last: &&RawRecord| last.partition.index == index) {
                    *from = next(last.offset);
                }
            }
        }
        if records.is_empty() {
            sleep(max_wait).await;
        }
        let assigned = (!std::mem::replace(&mut self.told, true)).then_some(partitions);
        Ok(Batch { owner: Owner(Arc::new(())), assigned, records })
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        if let Some(error) = self.world.fault("rewind").and_then(Fault::error) {
            return Err(error);
        }
        self.world.say(format!("rewind {partition} {to}"));
        self.world.0.lock().rewinds.push((partition.index, to, pause));
        self.positions.insert(partition.index, to);
        self.paused.insert(partition.index, Instant::now() + pause);
        Ok(())
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        self.world.say("leave");
        Ok(())
    }
}

struct Writer {
    world: World,
    open: Vec<Record>,
}

#[async_trait]
impl Producer for Writer {
    async fn begin(&mut self) -> Result<(), Error> {
        assert!(self.open.is_empty(), "begun twice");
        Ok(())
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        if let Some(error) = self.world.fault("send").and_then(Fault::error) {
            return Err(error);
        }
        if let Some(large) = records.iter().find(|record| record.value.len() > MOST_BYTES) {
            return Err(Error::TooLarge { size: large.value.len(), most: MOST_BYTES });
        }
        let first = self.open.len();
        let places = (first..).zip(&records).map(|(at, record)| Coordinates {
            partition: Partition { topic: record.topic.clone(), index: record.partition.unwrap_or(0) },
            offset: Offset::try_from(at).expect("few"),
        });
        let places = places.collect();
        self.open.extend(records);
        Ok(places)
    }

    async fn commit(&mut self, _owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        let fault = self.world.fault("commit");
        match fault {
            Some(Fault::Before(error)) => return Err(error),
            Some(Fault::Never) => std::future::pending().await,
            _ => {}
        }
        let mut state = self.world.0.lock();
        state.output.append(&mut self.open);
        state.transactions += 1;
        for (partition, offset) in next {
            let before = state.committed.insert(partition.index, *offset);
            assert!(before.is_none_or(|before| before < *offset), "offsets only grow");
            state.journal.push(format!("commit {partition} {offset}"));
        }
        if let Some(Fault::After(error)) = fault { Err(error) } else { Ok(()) }
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.world.say("abort");
        self.open.clear();
        if let Some(error) = self.world.fault("abort").and_then(Fault::error) {
            return Err(error);
        }
        Ok(())
    }
}

/// Puts out one record a record; see [`Behaviour`].
pub struct Stage(pub World);

#[async_trait]
impl Processor for Stage {
    const NAME: &'static str = "stage";
    type Input = (String, Bytes);

    fn decode(&self, record: &RawRecord) -> Result<Self::Input, Failure> {
        let value = String::from_utf8_lossy(&record.value).into_owned();
        if value == "undecodable" {
            return Err(poison(Code::JsonSyntax));
        }
        Ok((value, record.key.clone().unwrap_or_default()))
    }

    async fn handle(&self, (value, key): &Self::Input) -> Result<Vec<Output>, Failure> {
        let behaviour = {
            let mut state = self.0.0.lock();
            state.journal.push(format!("handle {value}"));
            state.running += 1;
            state.most_running = state.most_running.max(state.running);
            state.behaviour.get_mut(value).and_then(VecDeque::pop_front).unwrap_or(Behaviour::Ok)
        };
        let _running = scopeguard(self.0.clone());
        let output = |value: Bytes, identity: Option<&str>| Output {
            record: Record {
                topic: OUTPUT.into(),
                partition: None,
                key: Some(key.clone()),
                value,
                headers: vec![],
            },
            identity: identity.map(str::to_owned),
        };
        let text = Bytes::from(value.clone());
        match behaviour {
            Behaviour::Ok => {}
            Behaviour::Slow(time) => sleep(time).await,
            Behaviour::Transient => return Err(Failure::Transient("not now".to_owned())),
            Behaviour::Later => return Err(Failure::Later("its turn has not come".to_owned())),
            Behaviour::Poison => return Err(poison(Code::MappingMissing)),
            Behaviour::Fatal => {
                return Err(Failure::Fatal { code: Code::ObjectCorrupt, message: "harm".to_owned() });
            }
            Behaviour::Panic => panic!("a defect"),
            Behaviour::Outputs(identities) => {
                let one = |(at, identity): (usize, &Option<&'static str>)| {
                    output(Bytes::from(format!("{value}.{at}")), *identity)
                };
                sleep(Duration::from_millis(1)).await;
                return Ok(identities.iter().enumerate().map(one).collect());
            }
            Behaviour::Large(bytes) => return Ok(vec![output(vec![b'x'; bytes].into(), None)]),
        }
        self.0.say(format!("done {value}"));
        Ok(vec![output(text, None)])
    }

    async fn assigned(&self, partitions: &[Partition]) -> Result<(), Failure> {
        self.0.say(format!("assigned {}", partitions.len()));
        match self.0.fault("assigned") {
            Some(_) => Err(Failure::Transient("not yet".to_owned())),
            None => Ok(()),
        }
    }

    fn receipts(&self, input: &Partition, placed: &[(Output, Coordinates)]) -> Vec<Record> {
        if !self.0.0.lock().script.contains_key("receipts") || placed.is_empty() {
            return vec![];
        }
        let value = placed.iter().map(|(_, at)| at.offset.to_string()).collect::<Vec<_>>().join("+");
        let topic = "receipts".into();
        vec![Record { topic, partition: Some(input.index), key: None, value: value.into(), headers: vec![] }]
    }

    async fn committed(&self, placed: &[Placed]) -> Result<(), Failure> {
        for placed in placed {
            let receipts: Vec<_> = placed.receipts.iter().map(|at| at.offset).collect();
            self.0.say(format!("placed {} {} {receipts:?}", placed.input, placed.outputs.len()));
        }
        Ok(())
    }
}

fn poison(code: Code) -> Failure {
    Failure::Poison(Poison {
        code,
        message: "never".to_owned(),
        pointer: None,
        vendor_id: None,
        ingest_id: None,
    })
}

struct Guard(World);

fn scopeguard(world: World) -> Guard {
    Guard(world)
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.lock().running -= 1;
    }
}

#[async_trait]
impl Quarantine for World {
    async fn park(&self, stage: &str, record: &RawRecord, poison: &Poison) -> Result<Vec<Output>, Failure> {
        if self.fault("park").is_some() {
            return Err(Failure::Transient("quarantine is down".to_owned()));
        }
        let value = String::from_utf8_lossy(&record.value).into_owned();
        self.say(format!("park {stage} {value}"));
        self.0.lock().parked.insert(value.clone(), poison.code);
        let value = Bytes::from(format!("parked {value}"));
        Ok(vec![Record { topic: "outbox".into(), partition: None, key: None, value, headers: vec![] }.into()])
    }

    async fn over_budget(&self, _stage: &str, record: &RawRecord) -> Result<bool, Failure> {
        let value = String::from_utf8_lossy(&record.value).into_owned();
        Ok(self.0.lock().over_budget.contains(&value))
    }
}
