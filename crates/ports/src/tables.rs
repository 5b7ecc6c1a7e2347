//! Rows: DynamoDB's model, cut to what is used.
//!
//! A row has a partition key, in sorted tables a sort key, and attributes. Numbers are `i64`;
//! decimals are text. Base-table reads are strongly consistent, index reads may lag and return keys
//! only. Bounds are the service's: 400 KB a row, 100 rows and 4 MB a transaction, 2,048 bytes of
//! partition key, 1,024 of sort key; empty key strings are refused.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

pub mod check;

/// Most bytes of a row: names and values of all attributes, keys included.
pub const MAX_ITEM: usize = 400 * 1_024;
/// Most rows of a transaction.
pub const MAX_TRANSACTION_ITEMS: usize = 100;
/// Most bytes of a transaction.
pub const MAX_TRANSACTION: usize = 4 * 1_024 * 1_024;
/// Most bytes of a partition key.
pub const MAX_PK: usize = 2_048;
/// Most bytes of a sort key.
pub const MAX_SK: usize = 1_024;

/// A table. `pk` and `sk` are the names of its key attributes everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Name, without the installation's prefix.
    pub name: &'static str,
    /// Whether rows have a sort key.
    pub sorted: bool,
    /// Secondary indexes (KEYS_ONLY). A row is in an index while it has the index's attributes.
    pub indexes: &'static [Index],
}

/// A secondary index on two text attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Name.
    pub name: &'static str,
    /// Attribute that is the index's partition key.
    pub pk: &'static str,
    /// Attribute that is the index's sort key, where it has one.
    pub sk: Option<&'static str>,
}

/// A row's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key; `None` exactly in tables without one.
    pub sk: Option<String>,
}

impl Key {
    /// Key in a table without sort keys.
    pub fn of(pk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: None }
    }

    /// Key in a sorted table.
    pub fn sorted(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: Some(sk.into()) }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attr {
    /// Text.
    S(String),
    /// A whole number.
    N(i64),
    /// Bytes.
    B(Bytes),
    /// A truth value.
    Bool(bool),
}

impl Attr {
    /// The text, where it is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::S(text) = self { Some(text) } else { None }
    }
    /// The number, where it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::N(number) = self { Some(*number) } else { None }
    }
    /// The bytes, where it is bytes.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::B(bytes) = self { Some(bytes) } else { None }
    }
    /// The truth value, where it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }
}

/// A row's attributes, keys not among them.
pub type Item = BTreeMap<String, Attr>;

/// A row and its key. Index reads leave `item` empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: Key,
    /// Its attributes.
    pub item: Item,
}

/// A test on the row as it is before a write. An absent row has no attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// No row has the key.
    Absent,
    /// A row has the key.
    Exists,
    /// The attribute is there and equals the value.
    Equals(&'static str, Attr),
    /// The row lacks the attribute (or is absent).
    Missing(&'static str),
    /// The attribute is a number below this one.
    Below(&'static str, i64),
    /// Each of them.
    All(Vec<Condition>),
    /// One of them at least.
    Any(Vec<Condition>),
}

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Sets it.
    Set(&'static str, Attr),
    /// Removes it (and so the row from an index on it).
    Remove(&'static str),
    /// Adds to a number; absent counts as 0.
    Add(&'static str, i64),
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The table.
    pub table: &'static Table,
    /// The row.
    pub key: Key,
    /// When it may happen.
    pub condition: Condition,
    /// What happens.
    pub change: Change,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces the whole row.
    Put(Item),
    /// Changes attributes, one at least; makes the row where it is absent.
    Edit(Vec<Edit>),
    /// Removes the row.
    Delete,
    /// Nothing: only the condition counts (in transactions).
    Check,
}

impl Write {
    /// Puts a row under a condition.
    pub fn put(table: &'static Table, key: Key, item: Item, condition: Condition) -> Self {
        Self { table, key, condition, change: Change::Put(item) }
    }

    /// Edits a row under a condition.
    pub fn edit(table: &'static Table, key: Key, edits: Vec<Edit>, condition: Condition) -> Self {
        Self { table, key, condition, change: Change::Edit(edits) }
    }
}

/// Rows of one partition key, in the order of their sort keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The table.
    pub table: &'static Table,
    /// An index's name; `None` reads the table itself, strongly consistent.
    pub index: Option<&'static str>,
    /// The partition key's value.
    pub pk: String,
    /// Lowest sort key, included; `None`: from the first.
    pub from: Option<String>,
    /// Highest sort key, included; `None`: to the last.
    pub to: Option<String>,
    /// Last to first.
    pub descending: bool,
    /// Most rows of the page. A page may have fewer and still not be the last.
    pub limit: usize,
    /// `next` of the page before.
    pub after: Option<Cursor>,
}

impl Query {
    /// All rows of a partition key, ascending, 1,000 a page.
    pub fn of(table: &'static Table, pk: impl Into<String>) -> Self {
        let pk = pk.into();
        Self { table, index: None, pk, from: None, to: None, descending: false, limit: 1_000, after: None }
    }

    /// The same, over an index.
    pub fn over(table: &'static Table, index: &'static str, pk: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::of(table, pk) }
    }

    /// The same, restricted to sort keys that start with `prefix`.
    pub fn prefix(self, prefix: &str) -> Self {
        // U+10FFFF is the last scalar value, so no text with the prefix sorts behind it.
        Self { from: Some(prefix.to_owned()), to: Some(format!("{prefix}\u{10ffff}")), ..self }
    }
}

/// Where a page ended; opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One page of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Pass it as `after` to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A condition does not hold; nothing was written. One element a write, in order: `Some` where
    /// that write's condition failed, with the row as it is (empty where it is absent).
    #[error("a condition does not hold")]
    Condition(Vec<Option<Item>>),
    /// Another transaction holds one of the rows; nothing was done. Try again, a transaction with the same token.
    #[error("another transaction is writing one of the rows")]
    Conflict,
    /// Slow down, or no answer; **the write may have happened**.
    #[error("the table store does not answer: {0}")]
    Unavailable(String),
    /// The service refuses who is asking: credentials, permissions, or a clock that is far off. Nothing was
    /// written. It passes when somebody has put that right, so whoever asks again must say why it waits.
    #[error("the table store refuses our credentials: {0}")]
    Denied(String),
    /// Beyond a bound of the service, or a malformed request; trying again does not help.
    #[error("{0}")]
    Invalid(String),
    /// No space left; nothing was written.
    #[error("the table store is full")]
    Full,
}

/// Tables.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Reads rows by key, strongly consistent, in the order asked; `None` where there is none. Each row is as it
    /// was at some moment of the call, not all at the same one: beside a transaction, some may be as before it and
    /// others as after it. The same holds of calls one after the other while the transaction is under way.
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error>;

    /// Reads up to 100 different rows, of any tables, as they were at one moment: all of a transaction or nothing
    /// of it. In the order asked; `None` where there is none. Costs twice what [`Tables::get`] does. A transaction
    /// that is writing one of the rows may make it fail with [`Error::Conflict`]; ask again.
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error>;

    /// One write. Durable when it returns Ok. After [`Error::Unavailable`] the caller asks again and
    /// recognises its own row in [`Error::Condition`].
    async fn write(&self, write: Write) -> Result<(), Error>;

    /// Several writes, all or none, at most one a row. The same `token` (at most 36 bytes) with the
    /// same writes happens once, for ten minutes at least.
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error>;

    /// One page of one partition key's rows.
    async fn query(&self, query: Query) -> Result<Page, Error>;

    /// One page of all rows of a table, in no particular order.
    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error>;
}

/// One row by its key.
pub async fn get_one(tables: &dyn Tables, table: &'static Table, key: Key) -> Result<Option<Item>, Error> {
    Ok(tables.get(table, &[key]).await?.pop().flatten())
}

/// The bytes that a row counts for: attribute names and values, its key included.
pub fn size(key: &Key, item: &Item) -> usize {
    let attributes: usize = item.iter().map(|(name, attr)| name.len() + value_size(attr)).sum();
    2 + key.pk.len() + key.sk.as_ref().map_or(0, |sk| 2 + sk.len()) + attributes
}

/// The bytes that a value counts for.
pub fn value_size(attr: &Attr) -> usize {
    match attr {
        Attr::S(text) => text.len(),
        Attr::N(_) => 21,
        Attr::B(bytes) => bytes.len(),
        Attr::Bool(_) => 1,
    }
}
