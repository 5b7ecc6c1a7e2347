//! The wall clock. Waiting is tokio's business, so that a paused runtime stands still as a whole.

use contract::Timestamp;

/// Tells the time; the only source of it outside adapters.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
