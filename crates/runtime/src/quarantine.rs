//! Where poison goes, as the loop sees it.

use async_trait::async_trait;
use ports::log::RawRecord;

use crate::{Failure, Output, Poison};

/// The store of poison.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Parks a record durably and returns what to produce (the reference for the outbox). Parking
    /// the same record at the same release again changes nothing and returns the same.
    async fn park(&self, stage: &str, record: &RawRecord, poison: &Poison) -> Result<Vec<Output>, Failure>;

    /// Whether this vendor's records of this stage are parked without being tried, because the
    /// vendor is over its budget.
    async fn over_budget(&self, stage: &str, record: &RawRecord) -> Result<bool, Failure>;
}
