//! The schema registry: ids of the schemas that this process was started with, and of earlier ones.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use ports::Schemas;
use ports::schemas::Error;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use crate::{Engine, StoreError};

/// Texts by id. Ids grow from 1; one text has one id, whatever its subjects.
const TEXTS: TableDefinition<'_, u32, &str> = TableDefinition::new("schemas/texts");
/// Subject and id: what is registered.
const SUBJECTS: TableDefinition<'_, (&str, u32), ()> = TableDefinition::new("schemas/subjects");

/// Schemas whose ids are kept in the store: given once, never another.
pub struct EmbeddedSchemas {
    ids: HashMap<String, HashMap<Arc<str>, u32>>,
    texts: HashMap<u32, Arc<str>>,
}

impl EmbeddedSchemas {
    /// Registers `(subject, text)` pairs that are new and knows them and all earlier ones. Blocks the
    /// thread.
    pub fn new(engine: &Engine, schemas: Vec<(String, String)>) -> Result<Self, StoreError> {
        let known = engine.read(Self::load)?;
        if schemas.iter().all(|(subject, text)| known.find(subject, text).is_some()) {
            return Ok(known);
        }
        let registered = engine.write_blocking(move |transaction| {
            register(transaction, &schemas)?;
            Ok(Ok::<(), std::convert::Infallible>(()))
        });
        let Ok(()) = registered?;
        engine.read(Self::load)
    }

    fn load(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let mut schemas = Self { ids: HashMap::new(), texts: HashMap::new() };
        let texts = match transaction.open_table(TEXTS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(schemas),
            opened => opened?,
        };
        for row in texts.iter()? {
            let (id, text) = row?;
            schemas.texts.insert(id.value(), text.value().into());
        }
        for row in transaction.open_table(SUBJECTS)?.iter()? {
            let (key, _) = row?;
            let (subject, id) = key.value();
            let Some(text) = schemas.texts.get(&id) else { continue };
            schemas.ids.entry(subject.to_owned()).or_default().insert(Arc::clone(text), id);
        }
        Ok(schemas)
    }

    fn find(&self, subject: &str, text: &str) -> Option<u32> {
        self.ids.get(subject)?.get(text).copied()
    }
}

fn register(transaction: &WriteTransaction, schemas: &[(String, String)]) -> Result<(), redb::Error> {
    let mut texts = transaction.open_table(TEXTS)?;
    let mut subjects = transaction.open_table(SUBJECTS)?;
    let mut ids = HashMap::new();
    let mut last = 0;
    for row in texts.iter()? {
        let (id, text) = row?;
        last = id.value();
        ids.insert(text.value().to_owned(), last);
    }
    for (subject, text) in schemas {
        let id = *ids.entry(text.clone()).or_insert_with(|| {
            last += 1;
            last
        });
        texts.insert(id, text.as_str())?;
        subjects.insert((subject.as_str(), id), ())?;
    }
    Ok(())
}

#[async_trait]
impl Schemas for EmbeddedSchemas {
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        self.find(subject, schema).ok_or_else(|| Error::Unknown(format!("this schema of {subject}")))
    }

    async fn schema(&self, id: u32) -> Result<Arc<str>, Error> {
        self.texts.get(&id).cloned().ok_or_else(|| Error::Unknown(format!("id {id}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn pair(subject: &str, text: &str) -> (String, String) {
        (subject.to_owned(), text.to_owned())
    }

    #[tokio::test]
    async fn ids_outlive_restarts_and_are_never_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Engine::open(dir.path(), Options::default()).unwrap();
        let first = EmbeddedSchemas::new(&open(), vec![pair("a", "1"), pair("b", "2")]).unwrap();
        let (one, two) = (first.id("a", "1").await.unwrap(), first.id("b", "2").await.unwrap());
        assert_ne!(one, two);

        let again =
            EmbeddedSchemas::new(&open(), vec![pair("b", "3"), pair("b", "1"), pair("a", "1")]).unwrap();
        assert_eq!(again.id("a", "1").await, Ok(one));
        assert_eq!(again.id("b", "1").await, Ok(one), "one text has one id");
        assert_eq!(again.id("b", "2").await, Ok(two), "what was registered stays");
        let three = again.id("b", "3").await.unwrap();
        assert!(three > one && three > two);
        assert_eq!(again.schema(three).await.as_deref(), Ok("3"));
        assert_eq!(again.id("a", "3").await, Err(Error::Unknown("this schema of a".to_owned())));
    }
}
