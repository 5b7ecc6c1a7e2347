//! The loop itself: every turn does one thing, and whatever fails leaves a state from which the next
//! turn goes on.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use contract::Code;
use parking_lot::Mutex;
use ports::log::{self, Batch, Consumer, Offset, Owner, Partition, Producer, RawRecord, next};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::batch::{self, Slot, Stage};
use crate::error::{Trouble, out_of_range};
use crate::settle::{self, Size};
use crate::status::Status;
use crate::transaction::{bounded, transact};
use crate::{Failure, Fatal, Options, Output, Placed, Processor, Service, metrics};

pub(crate) struct Loop<'a, P> {
    service: &'a Service<P>,
    options: &'a Options,
    shutdown: CancellationToken,
    rng: Mutex<StdRng>,
    /// `None`: to be built, which settles what the predecessor left open.
    producer: Option<Box<dyn Producer>>,
    /// `None`: to be joined; reading goes on from the committed offsets.
    consumer: Option<Box<dyn Consumer>>,
    /// Partitions to be rewound to their committed offsets before anything is polled.
    astray: Vec<Partition>,
    assignment: Vec<Partition>,
    /// The processor has to hear of the assignment before it handles another record.
    unannounced: bool,
    /// Partitions that were rewound since they last moved: how often, and why.
    stuck: HashMap<Partition, (u32, String)>,
    /// Failures in a row of what concerns the whole loop.
    troubles: u32,
}

/// A batch's records of one partition, in order.
struct Line {
    partition: Partition,
    offsets: Vec<Offset>,
    sizes: Vec<Option<Size>>,
    slots: Vec<Slot>,
    /// How many of them are committed.
    done: usize,
}

impl<'a, P: Processor> Loop<'a, P> {
    pub fn new(service: &'a Service<P>, shutdown: CancellationToken) -> Self {
        let mut hasher = DefaultHasher::new();
        (P::NAME, &service.member, service.options.jitter_seed).hash(&mut hasher);
        Self {
            service,
            options: &service.options,
            shutdown,
            rng: Mutex::new(StdRng::seed_from_u64(hasher.finish())),
            producer: None,
            consumer: None,
            astray: Vec::new(),
            assignment: Vec::new(),
            unannounced: false,
            stuck: HashMap::new(),
            troubles: 0,
        }
    }

    pub async fn run(mut self) -> Result<(), Fatal> {
        while !self.shutdown.is_cancelled() {
            self.service.shared.state.lock().turned = Instant::now();
            self.turn().await?;
        }
        if let Some(consumer) = self.consumer.take() {
            let left = bounded(self.options.call_timeout, "leaving the group", consumer.leave()).await;
            if let Err(error) = left {
                tracing::warn!(stage = P::NAME, %error, "the group will notice by itself that this member left");
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Fatal> {
        if self.producer.is_none() {
            return self.build().await;
        }
        let Some(consumer) = &mut self.consumer else { return self.join().await };
        if !self.astray.is_empty() {
            return self.go_back().await;
        }
        let polled = Instant::now();
        match consumer.poll(self.options.max_records, self.options.max_wait).await {
            Ok(batch) => self.work(batch, polled).await,
            Err(error @ log::Error::OutOfRange { .. }) => Err(out_of_range(P::NAME, &error)),
            Err(error @ (log::Error::Fenced(_) | log::Error::Unknown(_) | log::Error::Abort(_))) => {
                self.consumer = None;
                self.trouble(format!("polling: {error}")).await;
                Ok(())
            }
            Err(error) => {
                self.trouble(format!("polling: {error}")).await;
                Ok(())
            }
        }
    }

    /// Builds the producer.
    async fn build(&mut self) -> Result<(), Fatal> {
        let id = format!("{}-{}", P::NAME, self.service.member);
        let built = bounded(self.options.transaction_timeout, "the producer", self.service.log.producer(&id));
        match built.await {
            Ok(producer) => self.producer = Some(producer),
            Err(error) => self.trouble(format!("building the producer {id}: {error}")).await,
        }
        Ok(())
    }

    /// Joins the group. A topic that is missing is waited for: it is never made on the way.
    async fn join(&mut self) -> Result<(), Fatal> {
        let Service { log, member, shared, .. } = self.service;
        let topics: Vec<&str> = shared.topics.iter().map(String::as_str).collect();
        let joined = bounded(
            self.options.transaction_timeout,
            "joining",
            log.join(P::NAME, member, &topics, P::FIRST),
        )
        .await;
        match joined {
            Ok(consumer) => {
                self.consumer = Some(consumer);
                self.astray.clear();
            }
            Err(error @ log::Error::OutOfRange { .. }) => return Err(out_of_range(P::NAME, &error)),
            Err(error) => self.trouble(format!("joining the group: {error}")).await,
        }
        Ok(())
    }

    /// Goes on from the committed offsets, where a commit's outcome was unknown.
    async fn go_back(&mut self) -> Result<(), Fatal> {
        let mut committed: HashMap<String, Vec<Option<Offset>>> = HashMap::new();
        for topic in &self.service.shared.topics {
            let asked = self.service.log.committed(P::NAME, topic);
            match bounded(self.options.transaction_timeout, "reading offsets", asked).await {
                Ok(offsets) => committed.insert(topic.clone(), offsets),
                Err(error) => {
                    self.trouble(format!("reading the committed offsets: {error}")).await;
                    return Ok(());
                }
            };
        }
        for partition in std::mem::take(&mut self.astray) {
            let offsets = committed.get(partition.topic.as_ref());
            let offset = offsets.and_then(|offsets| offsets.get(partition.index as usize).copied().flatten());
            let offset = P::FIRST.of(offset);
            if offset < 0 {
                let message = format!("{} has no committed offset in {partition}", P::NAME);
                return Err(Fatal { stage: P::NAME, code: Code::OffsetOutOfRange, message });
            }
            self.rewind(&partition, offset, Duration::ZERO).await;
        }
        Ok(())
    }

    /// Steps two to five, for a batch.
    async fn work(&mut self, batch: Batch, polled: Instant) -> Result<(), Fatal> {
        let Batch { owner, assigned, records } = batch;
        metrics::polled(P::NAME, records.len());
        if let Some(assignment) = assigned {
            tracing::info!(stage = P::NAME, partitions = assignment.len(), "assigned");
            self.service.shared.state.lock().assigned.clone_from(&assignment);
            self.assignment = assignment;
            self.unannounced = true;
            self.stuck.clear();
        }
        if self.unannounced && !self.announce(polled).await? {
            for line in lines(&records, vec![Slot::Untried; records.len()]) {
                self.rewind(&line.partition, line.offsets[0], Duration::ZERO).await;
            }
            return Ok(());
        }
        if !records.is_empty() {
            let stage = Stage {
                processor: self.service.processor.as_ref(),
                quarantine: self.service.quarantine.as_ref(),
                options: self.options,
                rng: &self.rng,
            };
            let slots = batch::handle(&stage, &records, Instant::now() + self.options.deadline).await?;
            let mut lines = lines(&records, slots);
            if !self.commit(&owner, &mut lines, polled).await? {
                return Ok(());
            }
            self.rewind_rest(lines).await;
        }
        self.troubles = 0;
        self.service.shared.set(self.standing());
        Ok(())
    }

    /// Tells the processor its assignment; false where it does not get ready in time.
    async fn announce(&mut self, polled: Instant) -> Result<bool, Fatal> {
        let patience = polled + self.options.max_poll_interval / 2;
        let mut attempt = 0;
        loop {
            let told = batch::unpanicked(self.service.processor.assigned(&self.assignment));
            let message = match timeout_at(patience, told).await {
                Ok(Ok(())) => {
                    self.unannounced = false;
                    return Ok(true);
                }
                Ok(Err(Failure::Transient(message) | Failure::Later(message))) => message,
                Ok(Err(other)) => return Err(Fatal::of(P::NAME, other)),
                Err(_) => "it takes too long".to_owned(),
            };
            attempt += 1;
            let reason = format!("getting ready for the assignment: {message}");
            tracing::warn!(stage = P::NAME, attempt, "{reason}");
            self.service.shared.set(Status::NotReady(reason));
            let wait = self.options.backoff.wait(attempt, self.rng.get_mut());
            if Instant::now() + wait >= patience || self.shutdown.is_cancelled() {
                return Ok(false);
            }
            self.pause(wait).await;
        }
    }

    /// Commits the settled prefixes, in as many transactions as their bound asks for. False where one
    /// failed; the partitions are rewound then.
    async fn commit(&mut self, owner: &Owner, lines: &mut Vec<Line>, polled: Instant) -> Result<bool, Fatal> {
        let bound = Size { outputs: self.options.max_outputs, bytes: self.options.max_bytes };
        let mut seen = HashSet::new();
        // Half of the interval, so that the last transaction and the next poll are in time as well.
        while polled.elapsed() < self.options.max_poll_interval / 2 {
            let views: Vec<&[Option<Size>]> = lines.iter().map(|line| &line.sizes[line.done..]).collect();
            let taken = settle::cut(&views, bound);
            let records: usize = taken.iter().sum();
            if records == 0 {
                return Ok(true);
            }
            let mut parts: Vec<(Partition, Vec<Output>)> = Vec::with_capacity(lines.len());
            let mut offsets: Vec<(Partition, Offset)> = Vec::with_capacity(lines.len());
            for (line, taken) in lines.iter_mut().zip(&taken).filter(|(_, taken)| **taken > 0) {
                let until = line.done + taken;
                let outputs = line.slots[line.done..until].iter_mut().flat_map(Slot::take).collect();
                parts.push((line.partition.clone(), settle::once(outputs, &mut seen)));
                offsets.push((line.partition.clone(), next(line.offsets[until - 1])));
            }
            let processor = self.service.processor.as_ref();
            let transacted = match &mut self.producer {
                Some(producer) => {
                    transact(processor, producer.as_mut(), self.options, owner, parts, &offsets).await
                }
                None => Err(Trouble::Rebuild("there is none".to_owned())),
            };
            match transacted {
                Ok(placed) => {
                    for (line, taken) in lines.iter_mut().zip(taken) {
                        line.done += taken;
                    }
                    let outputs = placed.iter().map(|placed| placed.outputs.len()).sum();
                    metrics::committed(P::NAME, records, outputs, polled.elapsed());
                    self.tell_committed(placed).await?;
                }
                Err(trouble) => {
                    self.uncommitted(trouble, std::mem::take(lines)).await?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// After a transaction: whatever goes wrong here costs nothing but time.
    async fn tell_committed(&mut self, mut placed: Vec<Placed>) -> Result<(), Fatal> {
        placed.retain(|placed| !placed.outputs.is_empty() || !placed.receipts.is_empty());
        if placed.is_empty() {
            return Ok(());
        }
        let told = batch::unpanicked(self.service.processor.committed(&placed));
        match timeout(self.options.deadline, told).await {
            Ok(Ok(())) => {}
            Ok(Err(Failure::Transient(message) | Failure::Later(message))) => {
                tracing::warn!(stage = P::NAME, message, "work behind a commit will be done later");
            }
            Ok(Err(other)) => return Err(Fatal::of(P::NAME, other)),
            Err(_) => tracing::warn!(stage = P::NAME, "work behind a commit takes too long"),
        }
        Ok(())
    }

    /// A transaction failed: nothing of it counts, or nobody knows.
    async fn uncommitted(&mut self, trouble: Trouble, lines: Vec<Line>) -> Result<(), Fatal> {
        match trouble {
            Trouble::Abort(message) => {
                metrics::uncommitted(P::NAME, "aborted");
                self.abort().await;
                for line in lines.into_iter().filter(|line| line.done < line.offsets.len()) {
                    self.rewind_failed(&line, &format!("its transaction was aborted: {message}")).await;
                }
                self.service.shared.set(self.standing());
            }
            Trouble::Rebuild(message) => {
                metrics::uncommitted(P::NAME, "unknown");
                self.producer = None;
                self.astray = lines.into_iter().map(|line| line.partition).collect();
                // It may have been committed, and then the processor has not heard of it.
                self.unannounced = true;
                self.trouble(format!("the producer is rebuilt: {message}")).await;
            }
            Trouble::Fatal(fatal) => {
                metrics::uncommitted(P::NAME, "aborted");
                self.abort().await;
                return Err(fatal);
            }
        }
        Ok(())
    }

    /// Aborts the transaction; where that fails, building the producer anew does it.
    async fn abort(&mut self) {
        let Some(mut producer) = self.producer.take() else { return };
        match bounded(self.options.call_timeout, "the abort", producer.abort()).await {
            Ok(()) => self.producer = Some(producer),
            Err(error) => tracing::warn!(stage = P::NAME, %error, "the producer is rebuilt"),
        }
    }

    /// Step five: partitions with records that are not committed go back to the first of them.
    async fn rewind_rest(&mut self, lines: Vec<Line>) {
        for line in lines {
            if line.done > 0 {
                self.stuck.remove(&line.partition);
            }
            match line.slots.get(line.done) {
                None => {}
                Some(Slot::Failed(message)) => self.rewind_failed(&line, message).await,
                // It waits as it should: no trouble, and always as long.
                Some(Slot::Later) => {
                    let pause = self.options.backoff.wait(1, self.rng.get_mut());
                    self.rewind(&line.partition, line.offsets[line.done], pause).await;
                }
                Some(_) => self.rewind(&line.partition, line.offsets[line.done], Duration::ZERO).await,
            }
        }
    }

    async fn rewind_failed(&mut self, line: &Line, message: &str) {
        let (times, reason) = self.stuck.entry(line.partition.clone()).or_default();
        *times += 1;
        message.clone_into(reason);
        let pause = self.options.backoff.wait(*times, self.rng.get_mut());
        let offset = line.offsets[line.done];
        let at = format!("{}/{offset}", line.partition);
        tracing::warn!(stage = P::NAME, at, times, pause_ms = pause.as_millis(), message, "rewound");
        metrics::rewound(P::NAME);
        self.rewind(&line.partition, offset, pause).await;
    }

    /// Rewinds; where that fails, joining anew goes on from the committed offsets.
    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) {
        let Some(consumer) = &mut self.consumer else { return };
        let rewound = consumer.rewind(partition, to, pause);
        if let Err(error) = bounded(self.options.call_timeout, "the rewind", rewound).await {
            tracing::warn!(stage = P::NAME, %partition, to, %error, "the group is joined anew");
            self.consumer = None;
        }
    }

    fn standing(&self) -> Status {
        let named = self.stuck.iter().min_by_key(|(partition, _)| (*partition).clone());
        match named {
            Some((partition, (_, reason))) => Status::NotReady(format!("{partition} waits: {reason}")),
            None => Status::Ready,
        }
    }

    /// Something that concerns the whole loop failed: not ready, and a wait before the next turn.
    async fn trouble(&mut self, reason: String) {
        self.troubles += 1;
        let wait = self.options.backoff.wait(self.troubles, self.rng.get_mut());
        let wait = wait.min(self.options.max_poll_interval / 4);
        tracing::warn!(stage = P::NAME, times = self.troubles, wait_ms = wait.as_millis(), "{reason}");
        self.service.shared.set(Status::NotReady(reason));
        self.pause(wait).await;
    }

    /// Waits, but not beyond a request to stop.
    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}

impl Slot {
    /// The outputs, once.
    fn take(&mut self) -> Vec<Output> {
        if let Self::Settled(outputs) = self { std::mem::take(outputs) } else { Vec::new() }
    }
}

/// A batch's records by partition.
fn lines(records: &[RawRecord], slots: Vec<Slot>) -> Vec<Line> {
    let mut places: HashMap<&Partition, usize> = HashMap::new();
    let mut lines: Vec<Line> = Vec::new();
    for (record, slot) in records.iter().zip(slots) {
        let place = *places.entry(&record.partition).or_insert(lines.len());
        if place == lines.len() {
            let partition = record.partition.clone();
            lines.push(Line { partition, offsets: vec![], sizes: vec![], slots: vec![], done: 0 });
        }
        let size = if let Slot::Settled(outputs) = &slot { Some(Size::of(outputs)) } else { None };
        let line = &mut lines[place];
        line.offsets.push(record.offset);
        line.sizes.push(size);
        line.slots.push(slot);
    }
    lines
}
