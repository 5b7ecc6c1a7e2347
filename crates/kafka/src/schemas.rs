//! Ids of Avro schemas, from a registry that speaks Confluent's API.
//!
//! Ids are looked up, never registered on the way: the client's encoders pin "latest" or register, so
//! only its calls are used. What was found is kept for good, for a schema's id never changes; what was
//! not found is asked for again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use ports::Schemas;
use ports::schemas::Error;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, is_compatible_schema, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema};
use serde_json::json;

use crate::options::RegistryOptions;

/// Most ids, and most texts, that are kept; there are as many as public topics have versions.
const MAX_KEPT: usize = 1_024;
/// Confluent's codes for a subject, a version or a schema that is not there.
const NOT_THERE: [u32; 4] = [404, 40_401, 40_402, 40_403];

/// The registry could not be made from its options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry's client cannot be made: {0}")]
pub struct RegistryOpenError(String);

/// A schema registry. Share one, for it keeps what it looked up.
pub struct Registry {
    settings: SrSettings,
    prefix: String,
    ids: RwLock<HashMap<(String, String), u32>>,
    texts: RwLock<HashMap<u32, Arc<str>>>,
}

impl Registry {
    /// Makes the client. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the options cannot be used.
    pub fn open(options: &RegistryOptions) -> Result<Self, RegistryOpenError> {
        let mut builder = SrSettings::new_builder(options.url.trim_end_matches('/').to_owned());
        builder.set_timeout(options.timeout);
        if let Some(username) = &options.username {
            builder
                .set_basic_authorization(username, options.password.as_ref().map(|secret| secret.reveal()));
        }
        let settings = builder.build().map_err(|error| RegistryOpenError(error.error))?;
        Ok(Self { settings, prefix: String::new(), ids: RwLock::default(), texts: RwLock::default() })
    }

    /// The same, with subjects that begin with `prefix` in the registry.
    pub fn under(self, prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), ..self }
    }

    fn name(&self, subject: &str) -> String {
        format!("{}{subject}", self.prefix)
    }

    /// Looks all of these up now, so that they go on while the registry is away.
    ///
    /// # Errors
    /// The first one that cannot be had; what was found before it is kept.
    pub async fn pin(&self, schemas: &[(String, &str)]) -> Result<(), Error> {
        for (subject, text) in schemas {
            self.id(subject, text).await?;
        }
        Ok(())
    }

    /// Whether the subject's compatibility rule takes this schema as its next version. A subject that is
    /// not there takes any.
    pub async fn compatible(&self, subject: &str, text: &str) -> Result<bool, Error> {
        match is_compatible_schema(&self.settings, self.name(subject), supplied(text)).await {
            Ok(compatible) => Ok(compatible),
            Err(error) => match meaning(&error, subject) {
                Error::Unknown(_) => Ok(true),
                error => Err(error),
            },
        }
    }

    /// Registers a schema and returns its id; the same one again where it is registered already. A stage
    /// never calls this: `dvss schemas register` does, and development.
    pub async fn register(&self, subject: &str, text: &str) -> Result<u32, Error> {
        let posted = post_schema(&self.settings, self.name(subject), supplied(text)).await;
        posted.map(|schema| schema.id).map_err(|error| meaning(&error, subject))
    }
}

fn supplied(text: &str) -> SuppliedSchema {
    SuppliedSchema::new(None, SchemaType::Avro, text.to_owned())
}

/// What the client's error means. Only the registry's own word says that something is not there: a
/// proxy's 404 page is no answer.
fn meaning(error: &SRCError, what: &str) -> Error {
    let said = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RawError>());
    match said {
        Some(said) if NOT_THERE.contains(&said.error_code) => Error::Unknown(what.to_owned()),
        _ => {
            let cause = error.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            Error::Unavailable(format!("{what}: {}{cause}", error.error))
        }
    }
}

#[async_trait]
impl Schemas for Registry {
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        let key = (subject.to_owned(), schema.to_owned());
        if let Some(id) = self.ids.read().get(&key) {
            return Ok(*id);
        }
        let name = self.name(subject);
        let body = json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let what = || format!("this schema of {name}");
        let found = perform_sr_call(&self.settings, SrCall::PostForVersion(&name, &body)).await;
        let found = found.map_err(|error| meaning(&error, &what()))?;
        let id =
            found.id.ok_or_else(|| Error::Unavailable(format!("{}: an answer without an id", what())))?;
        // What was written with it is read with it, also while the registry is away.
        keep(&self.texts, id, schema.into());
        keep(&self.ids, key, id);
        Ok(id)
    }

    async fn schema(&self, id: u32) -> Result<Arc<str>, Error> {
        if let Some(text) = self.texts.read().get(&id) {
            return Ok(Arc::clone(text));
        }
        let found = get_schema_by_id(id, &self.settings).await;
        let found = found.map_err(|error| meaning(&error, &format!("id {id}")))?;
        let text: Arc<str> = found.schema.into();
        keep(&self.texts, id, Arc::clone(&text));
        Ok(text)
    }
}

fn keep<K: Eq + Hash, V>(map: &RwLock<HashMap<K, V>>, key: K, value: V) {
    let mut map = map.write();
    if map.len() >= MAX_KEPT {
        map.clear(); // they are looked up again as they are met
    }
    map.insert(key, value);
}
