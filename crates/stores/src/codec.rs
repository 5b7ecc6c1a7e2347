//! Values of public topics: Avro in the Confluent wire format.
//!
//! A zero byte, the schema's id in four bytes (big endian), the datum. The schemas are the files under
//! `schemas/avro/`; nothing here registers one. An id is looked up once and then kept, so that what is
//! known goes on while the registry is away.

mod datum;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use contract::{Code, topics};
use ports::Schemas;
use runtime::{Failure, Poison};
use serde::Serialize;

use datum::Node;

/// First byte of a value in the wire format.
const MAGIC: u8 = 0;
/// Bytes before the datum.
const HEADER: usize = 5;
/// Most schemas that are kept; there are as many as public topics have versions.
const MAX_KEPT: usize = 1_024;

macro_rules! shipped {
    ($($topic:ident = $file:literal,)*) => {
        [$((topics::$topic, include_str!(concat!("../../../schemas/avro/", $file, ".avsc"))),)*]
    };
}

/// The schemas that this build speaks: public topic, schema text.
const SHIPPED: [(&str, &str); 6] = shipped! {
    INVENTORY_UPDATED = "dvss.normalized.inventory-updated.v1",
    INVENTORY_ADJUSTED = "dvss.normalized.inventory-adjusted.v1",
    ORDER_UPDATED = "dvss.normalized.order-updated.v1",
    INVENTORY_RECEIVED = "dvss.normalized.inventory-received.v1",
    DIVERGENCE = "dvss.divergence.v1",
    QUARANTINE = "dvss.quarantine.v1",
};

/// The schemas that this build speaks: subject and text, one a public topic.
pub fn schemas() -> Vec<(String, &'static str)> {
    SHIPPED.iter().map(|(topic, text)| (topics::subject(topic), *text)).collect()
}

/// Why a value could not be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The registry does not answer or does not know the schema yet. Waits; never poison.
    #[error(transparent)]
    Registry(#[from] ports::schemas::Error),
    /// No schema is shipped for the topic.
    #[error("{0} is not a public topic")]
    NotPublic(String),
    /// The registry's schema is none that dvss can read.
    #[error("schema {id} cannot be used: {problem}")]
    Schema {
        /// The schema's id.
        id: u32,
        /// What is wrong with it.
        problem: String,
    },
    /// The value does not fit the topic's schema.
    #[error("the value does not fit the schema of {topic}:{problem}")]
    Value {
        /// The topic.
        topic: String,
        /// Pointer into the value, and what is wrong there.
        problem: String,
    },
    /// The bytes are not a value in the wire format.
    #[error("not an Avro value in the Confluent wire format: {0}")]
    Bytes(String),
}

impl CodecError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Registry(_))
    }

    /// What it means to a stage: a registry waits, anything else never works. The poison names no
    /// vendor and no event; a caller that knows them fills them in.
    pub fn failure(&self) -> Failure {
        let code = match self {
            Self::Registry(error) => return crate::failure::of_schemas(error),
            Self::Bytes(_) | Self::Schema { .. } => Code::RecordInvalid,
            Self::NotPublic(_) | Self::Value { .. } => Code::Internal,
        };
        let message = self.to_string();
        Failure::Poison(Poison { code, message, pointer: None, vendor_id: None, ingest_id: None })
    }
}

/// Encodes and decodes values of public topics. Share one, for it keeps what it looked up.
pub struct Codec {
    registry: Arc<dyn Schemas>,
    writers: RwLock<HashMap<&'static str, Arc<Writer>>>,
    readers: RwLock<HashMap<u32, Arc<Node>>>,
}

/// A topic's schema, and the id under which the registry has it.
struct Writer {
    id: u32,
    node: Node,
}

impl Codec {
    /// A codec that asks `registry`.
    pub fn new(registry: Arc<dyn Schemas>) -> Self {
        Self { registry, writers: RwLock::default(), readers: RwLock::default() }
    }

    /// The value of a record on `topic`, one of the public ones.
    pub async fn encode<T: Serialize>(&self, topic: &str, value: &T) -> Result<Bytes, CodecError> {
        let writer = self.writer(topic).await?;
        let wrong = |problem| CodecError::Value { topic: topic.to_owned(), problem };
        let value = serde_json::to_value(value).map_err(|error| wrong(format!(" {error}")))?;
        let mut out = Vec::with_capacity(512);
        out.push(MAGIC);
        out.extend_from_slice(&writer.id.to_be_bytes());
        writer.node.encode(&value, &mut out).map_err(|error| wrong(error.to_string()))?;
        Ok(out.into())
    }

    /// Reads a value back: the JSON that was encoded, optional members that were absent being absent.
    pub async fn decode(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        let Some((&[MAGIC, a, b, c, d], mut datum)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(CodecError::Bytes("the five bytes before the datum are not there".to_owned()));
        };
        let reader = self.reader(u32::from_be_bytes([a, b, c, d])).await?;
        let value = reader.decode(&mut datum).map_err(|error| CodecError::Bytes(error.to_string()))?;
        if !datum.is_empty() {
            return Err(CodecError::Bytes(format!("{} bytes behind the datum", datum.len())));
        }
        Ok(value)
    }

    async fn writer(&self, topic: &str) -> Result<Arc<Writer>, CodecError> {
        if let Some(writer) = kept(&self.writers, topic) {
            return Ok(writer);
        }
        let (topic, text) = SHIPPED
            .iter()
            .find(|(known, _)| *known == topic)
            .ok_or_else(|| CodecError::NotPublic(topic.to_owned()))?;
        let id = self.registry.id(&topics::subject(topic), text).await?;
        let node = Node::parse(text).map_err(|problem| CodecError::Schema { id, problem })?;
        Ok(keep(&self.writers, *topic, Writer { id, node }))
    }

    async fn reader(&self, id: u32) -> Result<Arc<Node>, CodecError> {
        if let Some(node) = kept(&self.readers, &id) {
            return Ok(node);
        }
        let text = self.registry.schema(id).await?;
        let node = Node::parse(&text).map_err(|problem| CodecError::Schema { id, problem })?;
        Ok(keep(&self.readers, id, node))
    }
}

type Kept<K, V> = RwLock<HashMap<K, Arc<V>>>;

fn kept<K, Q, V>(map: &Kept<K, V>, key: &Q) -> Option<Arc<V>>
where
    K: Eq + Hash + std::borrow::Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn keep<K: Eq + Hash, V>(map: &Kept<K, V>, key: K, value: V) -> Arc<V> {
    let value = Arc::new(value);
    let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= MAX_KEPT {
        map.clear(); // they are looked up again as they are met
    }
    map.insert(key, value.clone());
    value
}
