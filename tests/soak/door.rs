//! How events come in: as a vendor sends them who does not give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use contract::topics::inbound;
use contract::{IngestId, VendorId};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use ports::Log;
use ports::log::{Ends, Offset, Record};
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
    /// A record an event, on the vendor's own topic.
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
    /// The Kafka door has gone on behind the record, and says no more: what became of it is seen in the end.
    Unsaid,
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
    counts: Arc<Counts>,
    log: Arc<dyn Log>,
}

/// What an attempt came to, an event each; `None`: send it again.
type Attempt = Vec<Option<Answer>>;

impl Sender {
    /// A sender for the vendor.
    pub fn new(vendor: Vendor, gateways: Gateways, counts: Arc<Counts>, log: Arc<dyn Log>) -> Self {
        Self { http: http(), vendor, gateways, counts, log }
    }

    /// Sends the events until each is settled.
    pub async fn deliver(&self, door: Door, events: &[Event]) -> Vec<Settled> {
        match door {
            Door::Batch => self.until_settled(events, true).await,
            Door::Kafka => self.write(events).await,
            Door::Single => {
                let one = |event| self.until_settled(std::slice::from_ref(event), false);
                let each: Vec<_> = events.iter().map(one).collect();
                stream::iter(each).buffered(AT_ONCE).concat().await
            }
        }
    }

    /// Writes the events, each until the broker has it, and waits until the door has gone on behind them.
    async fn write(&self, events: &[Event]) -> Vec<Settled> {
        let topic = inbound(&VendorId::parse(self.vendor.id.as_str()).expect("an id"));
        let mut settled = Vec::new();
        for event in events {
            let record = Record {
                topic: topic.as_str().into(),
                partition: None,
                key: None,
                value: Bytes::copy_from_slice(event.body.as_bytes()),
                headers: Vec::new(),
            };
            self.in_time("written", || self.log.append(record.clone()).map(Result::ok).boxed()).await;
            // The door may read it more than once.
            settled.push(Settled { answer: Answer::Unsaid, retried: true });
        }
        self.in_time("taken", || self.is_behind(&topic).boxed()).await;
        self.counts.settled.fetch_add(events.len() as u64, Ordering::Relaxed);
        settled
    }

    /// Whether the door has gone on behind everything on the topic.
    async fn is_behind(&self, topic: &str) -> Option<()> {
        let ends = self.log.ends(topic).await.ok()?;
        let committed = self.log.committed(INBOUND_GROUP, topic).await.ok()?;
        let left = |(at, ends): (Option<Offset>, Ends)| at.unwrap_or(0) < ends.uncommitted;
        (!committed.into_iter().zip(ends).any(left)).then_some(())
    }

    /// Asks until there is an answer.
    async fn in_time<'a, T>(&self, what: &str, ask: impl Fn() -> BoxFuture<'a, Option<T>> + Send) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{}'s records: not {what} after {PATIENCE:?}",
                self.vendor.id
            );
            sleep(PAUSE).await;
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

fn id(answer: &Value) -> IngestId {
    let text = answer["ingestId"].as_str().unwrap_or_else(|| panic!("no ingestId in {answer}"));
    IngestId::parse(text).expect("an id")
}
