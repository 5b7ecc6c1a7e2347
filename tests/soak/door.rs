//! How events come in: as a vendor sends them who does not give up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contract::{IngestId, VendorId, topics};
use futures::{StreamExt as _, stream};
use ports::Log;
use ports::log::{Offset, Record, next};
use serde_json::Value;
use stores::topics::INBOUND_GROUP;
use tokio::time::{Instant, sleep};

use crate::fleet::Gateways;
use crate::support::{Vendor, http};
use crate::traffic::Event;

/// An event that is not taken by then never will be: a process is not ready again.
const PATIENCE: Duration = Duration::from_secs(300);
/// Wait before the same is sent again.
const PAUSE: Duration = Duration::from_millis(250);
/// Requests of one event each that a vendor has open.
const AT_ONCE: usize = 8;

/// Which way a round comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `POST /v1/events`, one event a request.
    Single,
    /// `POST /v1/events:batch`.
    Batch,
    /// Records on the vendor's own topic. The broker's report is all the answer that there is: an event is
    /// settled when the door's group has committed what is behind it, and what became of it shows in the end.
    Kafka,
}

impl Door {
    /// Every door, in the order in which rounds take turns.
    pub const ALL: [Self; 3] = [Self::Batch, Self::Kafka, Self::Single];
}

/// The answer that settled an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 202.
    Accepted(IngestId),
    /// 200.
    Duplicate(IngestId),
    /// 409.
    Conflict(IngestId),
    /// Read from Kafka; accepted, known or a conflict.
    Read,
}

/// What became of an event at the door.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    /// The answer.
    pub answer: Answer,
    /// Whether it was sent more than once: an earlier time may have done a part of the work.
    pub retried: bool,
}

/// What was seen at the doors.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that were settled.
    pub settled: AtomicU64,
    /// Of these, by way of Kafka.
    pub read: AtomicU64,
    /// Of single events and batches: answered 503 or 429, and items of batches with these.
    pub told_to_wait: AtomicU64,
    /// Requests without an answer: refused, broken off, too slow.
    pub unanswered: AtomicU64,
}

/// A vendor, and all that sending takes.
#[derive(Clone)]
pub struct Sender {
    http: reqwest::Client,
    vendor: Vendor,
    gateways: Gateways,
    log: Arc<dyn Log>,
    counts: Arc<Counts>,
}

/// What an attempt came to, an event each; `None`: send it again.
type Attempt = Vec<Option<Answer>>;

impl Sender {
    /// A sender for the vendor.
    pub fn new(vendor: Vendor, gateways: Gateways, log: Arc<dyn Log>, counts: Arc<Counts>) -> Self {
        Self { http: http(), vendor, gateways, log, counts }
    }

    /// Sends the events until each is settled.
    pub async fn deliver(&self, door: Door, events: &[Event]) -> Vec<Settled> {
        match door {
            Door::Batch => self.until_settled(events, true).await,
            Door::Kafka => self.until_read(events).await,
            Door::Single => {
                let one = |event| self.until_settled(std::slice::from_ref(event), false);
                let each: Vec<_> = events.iter().map(one).collect();
                stream::iter(each).buffered(AT_ONCE).concat().await
            }
        }
    }

    async fn until_settled(&self, events: &[Event], batch: bool) -> Vec<Settled> {
        let begun = Instant::now();
        let mut settled: Vec<Option<Settled>> = vec![None; events.len()];
        let mut retried = false;
        loop {
            let open: Vec<usize> = (0..events.len()).filter(|index| settled[*index].is_none()).collect();
            if open.is_empty() {
                self.counts.settled.fetch_add(events.len() as u64, Ordering::Relaxed);
                return settled.into_iter().flatten().collect();
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {} events of {} are not taken after {PATIENCE:?}; the first: {}",
                open.len(),
                events.len(),
                self.vendor.id,
                events[open[0]].body
            );
            let bodies: Vec<&str> = open.iter().map(|index| events[*index].body.as_str()).collect();
            let answers = if batch { self.batch(&bodies).await } else { self.single(bodies[0]).await };
            for (index, answer) in open.into_iter().zip(answers) {
                settled[index] = answer.map(|answer| Settled { answer, retried });
            }
            if settled.iter().any(Option::is_none) {
                retried = true;
                sleep(PAUSE).await;
            }
        }
    }

    /// Appends the events to the vendor's topic, each until the broker reports it, and waits until they are read.
    async fn until_read(&self, events: &[Event]) -> Vec<Settled> {
        let topic = inbound(&self.vendor.id);
        let begun = Instant::now();
        let mut retried = vec![false; events.len()];
        let mut behind: BTreeMap<u32, Offset> = BTreeMap::new();
        for (event, retried) in events.iter().zip(&mut retried) {
            let record = || Record {
                topic: topic.as_str().into(),
                partition: None,
                key: Some(event.id.to_string().into()),
                value: event.body.clone().into(),
                headers: vec![],
            };
            let at = loop {
                match self.log.append(record()).await {
                    Ok(at) => break at,
                    Err(error) => assert!(begun.elapsed() < PATIENCE, "{topic} takes nothing: {error}"),
                }
                self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
                *retried = true;
                sleep(PAUSE).await;
            };
            let end = behind.entry(at.partition.index).or_default();
            *end = (*end).max(next(at.offset));
        }
        while !self.is_read(&topic, &behind).await {
            assert!(begun.elapsed() < PATIENCE, "{topic} is not read up to {behind:?} after {PATIENCE:?}");
            sleep(PAUSE).await;
        }
        self.counts.settled.fetch_add(events.len() as u64, Ordering::Relaxed);
        self.counts.read.fetch_add(events.len() as u64, Ordering::Relaxed);
        retried.into_iter().map(|retried| Settled { answer: Answer::Read, retried }).collect()
    }

    async fn is_read(&self, topic: &str, behind: &BTreeMap<u32, Offset>) -> bool {
        let Ok(committed) = self.log.committed(INBOUND_GROUP, topic).await else { return false };
        let of = |index: u32| committed.get(index as usize).copied().flatten().unwrap_or(0);
        behind.iter().all(|(index, end)| of(*index) >= *end)
    }

    async fn single(&self, body: &str) -> Attempt {
        let Some((status, answer)) = self.post("/v1/events", body.to_owned()).await else {
            return vec![None];
        };
        match status {
            202 => vec![Some(Answer::Accepted(id(&answer)))],
            200 => vec![Some(Answer::Duplicate(id(&answer)))],
            409 => vec![Some(Answer::Conflict(id(&answer)))],
            _ => vec![self.wait_or_fail(status, &answer, body)],
        }
    }

    async fn batch(&self, bodies: &[&str]) -> Attempt {
        let whole = format!("[{}]", bodies.join(","));
        let Some((status, answer)) = self.post("/v1/events:batch", whole).await else {
            return vec![None; bodies.len()];
        };
        if status != 200 {
            return vec![self.wait_or_fail(status, &answer, bodies[0]); bodies.len()];
        }
        let results = answer["results"].as_array().expect("results");
        assert_eq!(results.len(), bodies.len(), "one result an item");
        let of = |(result, body): (&Value, &&str)| match result["status"].as_str() {
            Some("ACCEPTED") => Some(Answer::Accepted(id(result))),
            Some("DUPLICATE") => Some(Answer::Duplicate(id(result))),
            _ if result["problem"]["status"] == 409 => Some(Answer::Conflict(id(&result["problem"]))),
            _ => {
                let status =
                    result["problem"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                self.wait_or_fail(status.unwrap_or_default(), result, body)
            }
        };
        results.iter().zip(bodies).map(of).collect()
    }

    async fn post(&self, path: &str, body: String) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.gateways.any()?);
        let request = self.http.post(url).bearer_auth(&self.vendor.key);
        let request = request.header("content-type", "application/json").body(body);
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let Ok((status, bytes)) = answered.await else {
            self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Some((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    /// What may pass is sent again; nothing of ours is to be refused for good.
    fn wait_or_fail(&self, status: u16, answer: &Value, body: &str) -> Option<Answer> {
        assert!([503, 429].contains(&status), "refused with {status}: {answer}\n{body}");
        self.counts.told_to_wait.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// The topic that a vendor writes to.
pub fn inbound(vendor: &str) -> String {
    topics::inbound(&VendorId::parse(vendor).expect("a vendor"))
}

fn id(answer: &Value) -> IngestId {
    let text = answer["ingestId"].as_str().unwrap_or_else(|| panic!("no ingestId in {answer}"));
    IngestId::parse(text).expect("an id")
}
