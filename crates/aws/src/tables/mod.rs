//! Rows in DynamoDB.
//!
//! Bounds are checked before anything is sent, by `ports::tables::check`. What only the service can know (a row
//! that grows too large by an edit, a sum with what is no number) it refuses itself. Sums are the service's:
//! one that leaves `i64` is taken there, and the row then reads as damaged.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{ItemResponse, KeysAndAttributes, TransactGetItem, TransactWriteItem};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::{StreamExt, TryStreamExt, stream};
use ports::Tables;
use ports::tables::{Change, Cursor, Error, Item, Key, Page, Query, Row, Table, Write, check};

use crate::fault::{self, Fault};
use crate::retry::{Timing, Twice};
use item::Attributes;

pub(crate) mod admin;
mod cursor;
mod decide;
mod expression;
mod item;
mod request;

/// Most keys of one request.
const MOST_KEYS: usize = 100;
/// Most requests of one read that are under way at once.
const READS_AT_ONCE: usize = 4;

/// The tables of one account and region whose names begin with a prefix.
#[derive(Clone)]
pub struct DynamoTables {
    client: Client,
    prefix: String,
    timing: Timing,
}

impl DynamoTables {
    pub(crate) fn new(client: Client, prefix: &str, timing: Timing) -> Self {
        Self { client, prefix: prefix.to_owned(), timing }
    }

    fn name(&self, table: &Table) -> String {
        format!("{}{}", self.prefix, table.name)
    }

    /// Up to [`MOST_KEYS`] rows. What the service leaves for later is asked for again.
    async fn get_some(&self, table: &'static Table, keys: Vec<Key>) -> Result<Vec<(Key, Item)>, Error> {
        let name = self.name(table);
        let mut left: Vec<Attributes> = keys.iter().map(item::key).collect();
        let mut rows = Vec::with_capacity(left.len());
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.get_once(&name, left.clone())).await {
                Err(fault) => call.again(fault).await?,
                Ok((found, unprocessed)) => {
                    let progress = unprocessed.len() < left.len();
                    for attributes in found {
                        let row = item::full_row(table, attributes)?;
                        rows.push((row.key, row.item));
                    }
                    left = unprocessed;
                    match left.len() {
                        0 => return Ok(rows),
                        // An answer has at most 16 MB; the rest is for the next one.
                        _ if progress => {}
                        count => {
                            call.again(Fault::Throttled(format!("{count} rows of {name} were not read")))
                                .await?;
                        }
                    }
                }
            }
        }
    }

    async fn get_once(
        &self,
        name: &str,
        keys: Vec<Attributes>,
    ) -> Result<(Vec<Attributes>, Vec<Attributes>), Fault> {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let keys = keys.map_err(|error| Fault::Invalid(error.to_string()))?;
        let answer = self.client.batch_get_item().request_items(name, keys).send().await;
        let mut answer = answer.map_err(|error| self.fault(name, &error))?;
        let found = answer.responses.as_mut().and_then(|tables| tables.remove(name)).unwrap_or_default();
        let left = answer.unprocessed_keys.as_mut().and_then(|tables| tables.remove(name));
        Ok((found, left.map(|left| left.keys).unwrap_or_default()))
    }

    /// One attempt at a snapshot. A transaction that is writing one of the rows gets in its way.
    async fn snapshot_once(&self, gets: Vec<TransactGetItem>) -> Result<Vec<ItemResponse>, Fault> {
        match self.client.transact_get_items().set_transact_items(Some(gets)).send().await {
            Ok(answer) => Ok(answer.responses.unwrap_or_default()),
            Err(error) => match error.as_service_error() {
                Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => {
                    Err(decide::unread(cancelled.cancellation_reasons()))
                }
                _ => Err(self.fault("", &error)),
            },
        }
    }

    async fn transact_once(
        &self,
        token: &str,
        writes: &[Write],
        items: Vec<TransactWriteItem>,
    ) -> Result<Result<(), Error>, Fault> {
        let request = self.client.transact_write_items().client_request_token(token);
        match request.set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    decide::cancelled(cancelled.cancellation_reasons(), writes).map(Err)
                }
                _ => Err(self.fault("", &error)),
            },
        }
    }

    /// Names the table where it is the table that is missing.
    fn fault<E>(&self, name: &str, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match (error.code(), name) {
            (Some("ResourceNotFoundException"), "") => {
                Fault::Invalid(format!("one of the tables {}… is not there", self.prefix))
            }
            (Some("ResourceNotFoundException"), name) => Fault::Invalid(format!("there is no table {name}")),
            _ => fault::of(error),
        }
    }
}

#[async_trait]
impl Tables for DynamoTables {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        keys.iter().try_for_each(|key| check::key(table, key))?;
        // The service refuses a key twice.
        let distinct: Vec<Key> = keys.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let reads = distinct.chunks(MOST_KEYS).map(|some| self.get_some(table, some.to_vec()));
        let reads: Vec<_> = reads.collect();
        let rows: Vec<Vec<(Key, Item)>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        let rows: HashMap<Key, Item> = rows.into_iter().flatten().collect();
        Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
    }

    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        check::snapshot(rows)?;
        let gets = rows.iter().map(|(table, key)| request::read(&self.name(table), key));
        let gets = gets.collect::<Result<Vec<_>, _>>()?;
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.snapshot_once(gets.clone())).await {
                Err(fault) => call.again(fault).await?,
                Ok(found) if found.len() != rows.len() => {
                    let (found, asked) = (found.len(), rows.len());
                    return Err(Error::Unavailable(format!(
                        "a snapshot of {asked} rows came back with {found}"
                    )));
                }
                Ok(found) => {
                    let row = |(found, (table, _)): (ItemResponse, &(&'static Table, Key))| {
                        let there = found.item.filter(|attributes| !attributes.is_empty());
                        there.map(|attributes| item::item(table, attributes)).transpose()
                    };
                    return found.into_iter().zip(rows).map(row).collect();
                }
            }
        }
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        if write.change == Change::Check {
            return Err(Error::Invalid("a check outside of a transaction".to_owned()));
        }
        check::write(&write)?;
        let name = self.name(write.table);
        let mut call = self.timing.begin(Twice::Counts).await?;
        loop {
            match call.attempt(request::write_once(&self.client, &name, &write)).await {
                Ok(outcome) => return outcome,
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        check::transaction(token, &writes)?;
        let items = writes.iter().map(|write| request::transacted(&self.name(write.table), write));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.transact_once(token, &writes, items.clone())).await {
                Ok(outcome) => return outcome,
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn query(&self, query: Query) -> Result<Page, Error> {
        let table = query.table;
        let index = check::index_of(&query)?.map(|place| &table.indexes[place]);
        check::query(&query, index.map_or(table.sorted, |index| index.sk.is_some()))?;
        let after = query.after.as_ref().map(|after| cursor::read(after, table, index)).transpose()?;
        let name = self.name(table);
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            let request =
                request::query(&self.client, &name, &query, index).set_exclusive_start_key(after.clone());
            let attempt = async { request.send().await.map_err(|error| self.fault(&name, &error)) };
            match call.attempt(attempt).await {
                Ok(answer) => {
                    return page(table, index.is_some(), answer.items, answer.last_evaluated_key);
                }
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        check::limit_of(limit)?;
        let after = after.map(|after| cursor::read(&after, table, None)).transpose()?;
        let name = self.name(table);
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            let request = self.client.scan().table_name(&name).consistent_read(true);
            let request = request.limit(request::limit(limit)).set_exclusive_start_key(after.clone());
            let attempt = async { request.send().await.map_err(|error| self.fault(&name, &error)) };
            match call.attempt(attempt).await {
                Ok(answer) => return page(table, false, answer.items, answer.last_evaluated_key),
                Err(fault) => call.again(fault).await?,
            }
        }
    }
}

/// A page as the service gave it. An index has keys, its own attributes among them, and nothing else.
fn page(
    table: &Table,
    of_index: bool,
    rows: Option<Vec<Attributes>>,
    last: Option<Attributes>,
) -> Result<Page, Error> {
    let row = |mut attributes: Attributes| {
        if of_index {
            return Ok(Row { key: item::take_key(table, &mut attributes)?, item: Item::new() });
        }
        item::full_row(table, attributes)
    };
    let rows = rows.unwrap_or_default().into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    let last = last.filter(|last| !last.is_empty());
    Ok(Page { rows, next: last.map(|last| cursor::of(table, last)).transpose()? })
}
