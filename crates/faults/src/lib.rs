//! # faults: a decorator around every port
//!
//! Before and after each call that a stage makes, a [`Policy`] is asked what shall happen. The
//! simulator draws from its seed; the binary's debug build aborts at a named call (`DVSS_FAILPOINT`).
//! So every place where a process can die or a server can fail is reached without a line of it in
//! the stages themselves.
//!
//! A fault *after* a call is the dangerous one: the effect happened, and the caller does not know.

mod log;
mod stores;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use ports::Ports;

/// A call to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    /// Who makes it, for example `dedup`.
    pub stage: &'static str,
    /// The port: `log`, `raw`, `normalized`, `invoices`, `tables`, `schemas`.
    pub port: &'static str,
    /// The method, for example `commit`.
    pub method: &'static str,
}

/// On which side of the effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing has happened yet.
    Before,
    /// It has happened; the caller does not know.
    After,
}

/// What shall happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Go,
    /// The caller gets the port's "does not answer" (after the effect: although it happened).
    Fail,
    /// The caller never gets an answer: its process is gone.
    Never,
}

/// Decides about every call.
#[async_trait]
pub trait Policy: Send + Sync {
    /// Asked before and after each call. May take time, or not return at all.
    async fn at(&self, call: Call, moment: Moment) -> Verdict;
}

impl fmt::Display for Call {
    /// `stage.port.method`, as failpoints are named.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.stage, self.port, self.method)
    }
}

/// The same ports, for `stage`, with `policy` around every call.
pub fn around(ports: &Ports, stage: &'static str, policy: Arc<dyn Policy>) -> Ports {
    let gate = |port| Gate { stage, port, policy: Arc::clone(&policy) };
    Ports {
        log: Arc::new(log::FaultyLog { inner: Arc::clone(&ports.log), gate: gate("log") }),
        raw: Arc::new(stores::FaultyBlobs { inner: Arc::clone(&ports.raw), gate: gate("raw") }),
        normalized: Arc::new(stores::FaultyBlobs {
            inner: Arc::clone(&ports.normalized),
            gate: gate("normalized"),
        }),
        invoices: Arc::new(stores::FaultyBlobs {
            inner: Arc::clone(&ports.invoices),
            gate: gate("invoices"),
        }),
        tables: Arc::new(stores::FaultyTables { inner: Arc::clone(&ports.tables), gate: gate("tables") }),
        schemas: Arc::new(stores::FaultySchemas { inner: Arc::clone(&ports.schemas), gate: gate("schemas") }),
        clock: Arc::clone(&ports.clock),
    }
}

/// Asks the policy on both sides of a call.
#[derive(Clone)]
struct Gate {
    stage: &'static str,
    port: &'static str,
    policy: Arc<dyn Policy>,
}

impl Gate {
    /// Makes the call under the policy; `failed` is the port's "does not answer".
    async fn call<T, E>(
        &self,
        method: &'static str,
        failed: impl Fn(String) -> E,
        effect: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let call = Call { stage: self.stage, port: self.port, method };
        self.pass(call, Moment::Before, &failed).await?;
        let result = effect.await;
        // What failed by itself has no effect to be hidden.
        if result.is_ok() {
            self.pass(call, Moment::After, &failed).await?;
        }
        result
    }

    async fn pass<E>(&self, call: Call, moment: Moment, failed: impl Fn(String) -> E) -> Result<(), E> {
        match self.policy.at(call, moment).await {
            Verdict::Go => Ok(()),
            Verdict::Fail => Err(failed(format!("injected {moment:?} {call}"))),
            Verdict::Never => std::future::pending().await,
        }
    }
}
