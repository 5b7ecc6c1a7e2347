//! Vendors' clients: each sends its event until somebody answers for it, as vendors do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::Code;
use contract::envelope::Refusal;
use gateway::{Acceptor, Form, Outcome, Submission};
use rand::RngExt;
use stores::vendors::Vendor;
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until, timeout};

use crate::draw;
use crate::life::{Life, Mortal};
use crate::weather::Around;
use crate::world::{World, vendor};

/// How long a client waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a vendor was told.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which sending.
    pub sending: usize,
    /// When it happened, as the body says.
    pub occurred_at: i64,
    /// The body.
    pub body: Bytes,
    /// The answer; an error is a refusal that trying again does not help.
    pub outcome: Result<Outcome, Code>,
}

/// Starts all clients.
pub fn start(world: &Arc<World>) -> Vec<JoinHandle<()>> {
    let one = |sending| tokio::spawn(send(Arc::clone(world), sending));
    (0..world.traffic.sendings.len()).map(one).collect()
}

async fn send(world: Arc<World>, index: usize) {
    let sending = world.traffic.sendings[index];
    let vendor = vendor(&world, world.traffic.sayings[sending.saying].vendor).await;
    let mut rng = draw::generator(world.plan.seed, ("client", index));
    sleep_until(world.began + sending.at).await;
    let mut attempt = 0;
    loop {
        let (occurred_at, body) = world.traffic.body(index, attempt);
        let who = format!("gateway#{index}.{attempt}");
        let said = match ask(&world, who, &vendor, body.clone()).await {
            Some(Ok(outcome)) => Some(Ok(outcome)),
            Some(Err(refusal)) if refusal.code.http_status() < 500 => Some(Err(refusal.code)),
            _ => None,
        };
        if let Some(outcome) = said {
            world.weather.note(&format!("client {index} is told {outcome:?}"));
            world.answered(Answer { sending: index, occurred_at, body, outcome });
            return;
        }
        attempt += 1;
        let most = 200 << attempt.min(4);
        sleep(Duration::from_millis(rng.random_range(10..most))).await;
    }
}

/// One request; `None`: no answer came.
async fn ask(
    world: &Arc<World>,
    who: String,
    vendor: &Vendor,
    body: Bytes,
) -> Option<Result<Outcome, Refusal>> {
    let life = Life::new();
    let policy = Around::new(&world.weather, &life, who);
    let ports = faults::around(&world.ports_of("gateway"), "gateway", policy);
    let acceptor = Acceptor::new(ports, gateway::Options::default());
    let vendor = vendor.clone();
    let submission = Submission { form: Form::Envelope, bytes: body, traceparent: None };
    let request = async move { acceptor.accept(&vendor, submission).await };
    let mut task = tokio::spawn(Mortal::new(Arc::clone(&life), request));
    match timeout(TIMEOUT, &mut task).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => {
            world.complain(format!("the gateway panicked: {panic}"));
            None
        }
        // Whoever works on it may still be at it.
        Err(_) => {
            world.bury(task, &life, None);
            None
        }
    }
}
