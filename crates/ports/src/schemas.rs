//! Ids of Avro schemas, as a Confluent-compatible registry gives them.

use std::sync::Arc;

use async_trait::async_trait;

/// Why a schema could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The registry does not answer; ids known already go on.
    #[error("the schema registry does not answer: {0}")]
    Unavailable(String),
    /// The registry has no such subject, version or id.
    #[error("the schema registry does not know {0}")]
    Unknown(String),
}

/// Looks up schemas. Never registers one.
#[async_trait]
pub trait Schemas: Send + Sync {
    /// The id under which exactly this schema text is registered for `subject`.
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, Error>;
    /// The text of the schema with this id.
    async fn schema(&self, id: u32) -> Result<Arc<str>, Error>;
}
