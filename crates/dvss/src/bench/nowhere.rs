//! Stores that keep nothing and answer at once: what is left is the cost of everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use ports::blobs::{self, Condition, Metadata, Object};
use ports::log::{self, Consumer, Coordinates, Ends, First, Offset, Partition, Producer, RawRecord, Record};
use ports::tables::{self, Cursor, Item, Key, Query, Table, Write};
use ports::{Blobs, Log, Ports, Tables};
use serde_json::json;
use stores::vendors::{self, Settings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::{Place, exit};
use crate::commands::print;
use crate::config::Config;
use crate::{backend, up};

/// A bucket that takes every object and has none.
pub struct Bucket;

#[async_trait]
impl Blobs for Bucket {
    fn bucket(&self) -> &str {
        "nowhere"
    }

    async fn put(&self, _: &str, _: Bytes, _: Metadata, _: Condition) -> Result<String, blobs::Error> {
        Ok("nowhere".to_owned())
    }

    async fn get(&self, _: &str) -> Result<Object, blobs::Error> {
        Err(blobs::Error::NotFound)
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<blobs::Page, blobs::Error> {
        Ok(blobs::Page { entries: Vec::new(), next: None })
    }
}

/// Tables that are read, and take every write without keeping it.
pub struct Unwritten(pub Arc<dyn Tables>);

#[async_trait]
impl Tables for Unwritten {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.0.get(table, keys).await
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, tables::Error> {
        self.0.snapshot(rows).await
    }

    async fn write(&self, _: Write) -> Result<(), tables::Error> {
        Ok(())
    }

    async fn transact(&self, _: &str, _: Vec<Write>) -> Result<(), tables::Error> {
        Ok(())
    }

    async fn query(&self, query: Query) -> Result<tables::Page, tables::Error> {
        self.0.query(query).await
    }

    async fn scan(
        &self,
        table: &'static Table,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<tables::Page, tables::Error> {
        self.0.scan(table, after, limit).await
    }
}

/// A log that takes every record.
#[derive(Default)]
struct Taken(AtomicI64);

#[async_trait]
impl Log for Taken {
    async fn join(&self, _: &str, _: &str, _: &[&str], _: First) -> Result<Box<dyn Consumer>, log::Error> {
        Err(nothing())
    }

    async fn producer(&self, _: &str) -> Result<Box<dyn Producer>, log::Error> {
        Err(nothing())
    }

    async fn append(&self, record: Record) -> Result<Coordinates, log::Error> {
        let offset = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Coordinates { partition: Partition::new(record.topic, 0), offset })
    }

    async fn read(
        &self,
        _: &Partition,
        from: Offset,
        _: usize,
    ) -> Result<(Vec<RawRecord>, Offset), log::Error> {
        Ok((Vec::new(), from))
    }

    async fn topics(&self, _: &str) -> Result<Vec<String>, log::Error> {
        Ok(Vec::new())
    }

    async fn partitions(&self, _: &str) -> Result<u32, log::Error> {
        Ok(1)
    }

    async fn ends(&self, _: &str) -> Result<Vec<Ends>, log::Error> {
        Err(nothing())
    }

    async fn committed(&self, _: &str, _: &str) -> Result<Vec<Option<Offset>>, log::Error> {
        Ok(Vec::new())
    }

    async fn set_committed(&self, _: &str, _: &[(Partition, Offset)]) -> Result<(), log::Error> {
        Err(nothing())
    }
}

fn nothing() -> log::Error {
    log::Error::Missing("this log keeps nothing".to_owned())
}

/// The vendors' door over stores that keep nothing, for one vendor. Prints its address and the vendor's key.
pub async fn serve() -> anyhow::Result<u8> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let place = Place { data: Some(directory.path().to_owned()), ..Place::default() };
    let config = Config::load(&place)?;
    let rows = backend::embedded(&config.data, &config)?;
    let ports = Ports { raw: Arc::new(Bucket), log: Arc::new(Taken::default()), ..rows };
    let key = vendors::Key::parse(&format!("dvss_bench_{}", "0".repeat(64))).context("a key")?;
    let settings = Settings { platform: None, ordering_pointer: Some("/payload/sku".to_owned()), rate: None };
    vendors::add(&*ports.tables, ports.clock.now(), "bench", settings, &key).await?;
    let door = TcpListener::bind("127.0.0.1:0").await?;
    let place = json!({ "vendors": format!("http://{}", door.local_addr()?), "key": key.reveal() });
    print::document(&place, true, |_| String::new())?;
    let (gateway, stop) = (gateway::Gateway::new(ports, config.gateway), CancellationToken::new());
    tokio::select! {
        served = gateway.serve(door, stop) => served?,
        () = up::signal() => {}
    }
    Ok(exit::SUCCESS)
}
