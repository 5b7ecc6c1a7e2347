//! # invoices: from a supplier's file to stock, once
//!
//! A job goes through [`State`]s; every change of it is one transaction on its version, with an entry in its log.
//!
//! | module | what |
//! |---|---|
//! | [`state`] | the states, and which follow one another |
//! | [`job`], [`store`] | a job, its row and its log |
//! | [`intake`], [`upload`], [`door`] | announced, put to a signed address, submitted |
//! | [`work`] | parsed: taken under a lease, read, given to review, or given up |
//! | [`document`], [`items`], [`matching`], [`edit`] | reviewed: lines, the items that they are about, what a person changes |
//! | [`stock`] | what it would do to stock |
//! | [`ledger`], [`plan`], [`apply`] | applied once, and taken back |
//!
//! Surfaces and the worker share [`Invoices`]; nobody else writes these rows and objects.

pub mod apply;
pub mod document;
pub mod door;
pub mod edit;
mod error;
pub mod intake;
pub mod items;
pub mod job;
pub mod ledger;
pub mod matching;
mod options;
pub mod plan;
pub mod state;
pub mod stock;
pub mod store;
mod units;
pub mod upload;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use contract::Timestamp;
use futures::future::{BoxFuture, Shared};
use items::Known;
use ports::Ports;
use tokio::sync::Mutex;

pub use error::Error;
pub use job::{Job, JobId};
pub use options::Options;
pub use state::State;

/// Who did it where no person did.
pub const SELF: &str = "dvss";

/// 128 random bits, from a source that nobody can guess; the simulator's is seeded.
pub type Draw = Arc<dyn Fn() -> u128 + Send + Sync>;

/// What a look at the owner's items found.
#[derive(Clone)]
struct Looked {
    known: Arc<Known>,
    at: Timestamp,
    /// How long it is good for.
    good_for: Duration,
}

/// A look at the owner's items, which goes on whoever waits for it no longer.
type Look = Shared<BoxFuture<'static, Result<Looked, Arc<str>>>>;

/// Everything about invoices, on these ports. Cheap to clone.
#[derive(Clone)]
pub struct Invoices {
    /// The stores and the log.
    pub ports: Ports,
    /// What an operator may set.
    pub options: Arc<Options>,
    draw: Draw,
    catalogue: Arc<Mutex<Option<Look>>>,
}

/// Random bits of the machine's own source.
#[expect(clippy::disallowed_methods, reason = "a job's id must be unguessable, so no seed may give it again")]
pub fn drawn_by_the_machine() -> Draw {
    Arc::new(|| rand::RngExt::random(&mut rand::rng()))
}

impl Invoices {
    /// On these ports.
    pub fn new(ports: Ports, options: Options, draw: Draw) -> Self {
        Self { ports, options: Arc::new(options), draw, catalogue: Arc::default() }
    }

    async fn secret(&self) -> Result<upload::Secret, Error> {
        let mut random = [0; 32];
        random[..16].copy_from_slice(&(self.draw)().to_be_bytes());
        random[16..].copy_from_slice(&(self.draw)().to_be_bytes());
        upload::Secret::load(&*self.ports.tables, random).await
    }
}
