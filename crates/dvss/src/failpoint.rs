//! Failpoints, in debug builds: the process aborts at a named call, as if the machine had died there.
//!
//! `DVSS_FAILPOINT=normalize.normalized.put:after:3` aborts when normalize's third put of a normalized
//! object has happened. Stages are `gateway`, `dedup`, `normalize`, `divergence`, `outbox`, `operator`;
//! ports and methods are those of [`faults::Call`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use faults::{Call, Moment, Policy, Verdict};

struct Abort {
    call: String,
    moment: Moment,
    left: AtomicU64,
}

#[async_trait]
impl Policy for Abort {
    async fn at(&self, call: Call, moment: Moment) -> Verdict {
        if moment == self.moment
            && call.to_string() == self.call
            && self.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            eprintln!("dvss: failpoint {}:{:?} reached", self.call, self.moment);
            std::process::abort();
        }
        Verdict::Go
    }
}

/// The policy that the environment asks for; `None` where it asks for none.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
pub fn from_environment() -> anyhow::Result<Option<Arc<dyn Policy>>> {
    let Ok(text) = std::env::var("DVSS_FAILPOINT") else { return Ok(None) };
    let shape = || format!("DVSS_FAILPOINT={text:?} is not `stage.port.method:before|after:count`");
    let mut parts = text.split(':');
    let call = parts.next().filter(|call| call.split('.').count() == 3).with_context(shape)?;
    let moment = match parts.next() {
        Some("before") => Moment::Before,
        Some("after") => Moment::After,
        _ => anyhow::bail!(shape()),
    };
    let count =
        parts.next().and_then(|count| count.parse().ok()).filter(|count| *count > 0).with_context(shape)?;
    Ok(Some(Arc::new(Abort { call: call.to_owned(), moment, left: AtomicU64::new(count) })))
}
