//! The load: envelopes over HTTP/1.1 connections that stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use contract::Timestamp;
use ports::Clock as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Items that the events are about.
pub const ITEMS: u64 = 10_000;
/// What an item is called, before its number.
pub const ITEM: &str = "SKU-";

/// What is sent, and where.
#[derive(Debug, Clone)]
pub struct Load<'a> {
    /// Base address of the vendors' door.
    pub base: &'a str,
    /// The vendor's key.
    pub key: &'a str,
    /// How many events; the first 10,000 are about an item each.
    pub events: u64,
    /// How many a second, however long answers take; where it is not said, as fast as `connections` go.
    pub pace: Option<u64>,
    /// Requests at the same time.
    pub connections: usize,
}

/// What a load saw.
pub struct Seen {
    begun: Instant,
    pace: Option<u64>,
    /// By the number of the event.
    millis: Vec<(u64, f64)>,
    elapsed: Duration,
}

impl Seen {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        super::as_f64(self.millis.len() as u64) / self.elapsed.as_secs_f64()
    }

    /// A quantile of the time that a request took, in milliseconds.
    pub fn quantile(&self, quantile: f64) -> f64 {
        let mut millis: Vec<f64> = self.millis.iter().map(|(_, millis)| *millis).collect();
        millis.sort_by(f64::total_cmp);
        super::quantile(&millis, quantile)
    }

    /// The same of the events from this one on; the rate stays that of all.
    pub fn without_first(mut self, first: u64) -> Self {
        self.millis.retain(|(index, _)| *index >= first);
        self
    }

    /// When a paced event was due.
    pub fn due(&self, index: u64) -> Instant {
        due(self.begun, self.pace, index)
    }
}

/// A paced request counts from when it was due, so that a slow answer is not hidden.
fn due(begun: Instant, pace: Option<u64>, index: u64) -> Instant {
    pace.map_or_else(Instant::now, |pace| begun + Duration::from_micros(index * 1_000_000 / pace))
}

/// The same load against a server that answers 202 and keeps nothing.
pub async fn floor(events: u64, connections: usize) -> anyhow::Result<Seen> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let accept = async |_: axum::body::Bytes| axum::http::StatusCode::ACCEPTED;
    let app = axum::Router::new().route("/v1/events", axum::routing::post(accept));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let base = format!("http://{address}");
    let load = Load { base: &base, key: "none", events, pace: None, connections };
    let seen = load.send().await;
    server.abort();
    seen
}

impl Load<'_> {
    /// Sends it all, and waits for the answers.
    pub async fn send(&self) -> anyhow::Result<Seen> {
        let Self { base, key, events, pace, connections } = self.clone();
        let http = reqwest::Client::builder().pool_max_idle_per_host(connections).build()?;
        let (url, next) = (format!("{base}/v1/events"), Arc::new(AtomicU64::new(0)));
        let (begun, run) = (Instant::now(), embedded::SystemClock.now());
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (http, url, key, next) = (http.clone(), url.clone(), key.to_owned(), Arc::clone(&next));
            workers.spawn(async move {
                let mut millis = Vec::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= events {
                        return Ok::<_, anyhow::Error>(millis);
                    }
                    let due = due(begun, pace, index);
                    tokio::time::sleep_until(due).await;
                    let request =
                        http.post(&url).bearer_auth(&key).header("content-type", "application/json");
                    let answer =
                        request.body(event(run, index)).send().await.context("the load found no server")?;
                    anyhow::ensure!(
                        answer.status().as_u16() == 202,
                        "{}: {}",
                        answer.status(),
                        answer.text().await?
                    );
                    answer.bytes().await?;
                    millis.push((index, due.elapsed().as_secs_f64() * 1_000.0));
                }
            });
        }
        let mut millis = Vec::new();
        while let Some(worker) = workers.join_next().await {
            millis.extend(worker??);
        }
        let elapsed = begun.elapsed();
        Ok(Seen { begun, pace, millis, elapsed })
    }
}

fn event(run: Timestamp, index: u64) -> String {
    let (run_id, item) = (run.as_nanos(), index % ITEMS);
    let at =
        Timestamp::from_nanos(run.as_nanos() - 60_000_000_000 + i128::from(index) * 1_000).unwrap_or(run);
    format!(
        r#"{{"externalEventId":"{run_id}-{index}","eventType":"InventoryUpdated","occurredAt":"{at}","payload":{{"sku":"{ITEM}{item}","warehouseId":"W1","quantityOnHand":"{}","quantityAvailable":"{}"}}}}"#,
        index % 1_000,
        index % 900,
    )
}
