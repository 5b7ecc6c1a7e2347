//! Whoever reads documents, apart from everything else.

use async_trait::async_trait;
use bytes::Bytes;
use invoices::job::{File, Reason};
use readers::invoice::Reading;

/// How reading a document ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// It holds this.
    Read(Reading),
    /// It cannot be read, and never will: why.
    Refused(Reason),
    /// It ended the parser: how. It may have been the machine's fault, so that it is tried again, a few times.
    Killed(Reason),
    /// The parser could not be started; the document has nothing to do with it.
    Unavailable(String),
}

/// Reads documents. Bounded in time: an answer comes before the loop's deadline.
#[async_trait]
pub trait Parser: Send + Sync {
    /// Reads one.
    async fn parse(&self, file: &File, bytes: Bytes) -> Parsed;
}
