//! Faults around objects, tables and schemas.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use ports::blobs::{self, Blobs, Condition, Metadata, Object, Presigned, Upload, Version};
use ports::schemas::{self, Schemas};
use ports::tables::{self, Cursor, Item, Key, Query, Table, Tables, Write};

use crate::Gate;

pub struct FaultyBlobs {
    pub inner: Arc<dyn Blobs>,
    pub gate: Gate,
}

#[async_trait]
impl Blobs for FaultyBlobs {
    fn bucket(&self) -> &str {
        self.inner.bucket()
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: Condition,
    ) -> Result<String, blobs::Error> {
        let effect = self.inner.put(key, bytes, metadata, condition);
        self.gate.call("put", blobs::Error::Unavailable, effect).await
    }

    async fn get(&self, key: &str) -> Result<Object, blobs::Error> {
        self.gate.call("get", blobs::Error::Unavailable, self.inner.get(key)).await
    }

    async fn version(&self, key: &str, version: Option<&str>, most: u64) -> Result<Version, blobs::Error> {
        self.gate.call("version", blobs::Error::Unavailable, self.inner.version(key, version, most)).await
    }

    async fn presign(&self, upload: &Upload) -> Result<Option<Presigned>, blobs::Error> {
        self.gate.call("presign", blobs::Error::Unavailable, self.inner.presign(upload)).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<blobs::Page, blobs::Error> {
        self.gate.call("list", blobs::Error::Unavailable, self.inner.list(prefix, after, limit)).await
    }
}

pub struct FaultyTables {
    pub inner: Arc<dyn Tables>,
    pub gate: Gate,
}

#[async_trait]
impl Tables for FaultyTables {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.gate.call("get", tables::Error::Unavailable, self.inner.get(table, keys)).await
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.gate.call("snapshot", tables::Error::Unavailable, self.inner.snapshot(rows)).await
    }

    async fn write(&self, write: Write) -> Result<(), tables::Error> {
        self.gate.call("write", tables::Error::Unavailable, self.inner.write(write)).await
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), tables::Error> {
        self.gate.call("transact", tables::Error::Unavailable, self.inner.transact(token, writes)).await
    }

    async fn query(&self, query: Query) -> Result<tables::Page, tables::Error> {
        self.gate.call("query", tables::Error::Unavailable, self.inner.query(query)).await
    }

    async fn scan(
        &self,
        table: &'static Table,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<tables::Page, tables::Error> {
        self.gate.call("scan", tables::Error::Unavailable, self.inner.scan(table, after, limit)).await
    }
}

pub struct FaultySchemas {
    pub inner: Arc<dyn Schemas>,
    pub gate: Gate,
}

#[async_trait]
impl Schemas for FaultySchemas {
    async fn id(&self, subject: &str, schema: &str) -> Result<u32, schemas::Error> {
        self.gate.call("id", schemas::Error::Unavailable, self.inner.id(subject, schema)).await
    }

    async fn schema(&self, id: u32) -> Result<Arc<str>, schemas::Error> {
        self.gate.call("schema", schemas::Error::Unavailable, self.inner.schema(id)).await
    }
}
