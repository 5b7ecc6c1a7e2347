//! Reads, each on one snapshot of the store.

use std::ops::Bound;

use ports::tables::{Cursor, Error, Index, Item, Key, Page, Query, Row, Table, check};
use redb::{AccessGuard, Range, ReadTransaction, StorageError};

use super::keys::{self, Bounds};
use super::trees::{KeysAt, Tree};
use super::{damaged, rows};

/// A page ends at the row that takes it beyond this many bytes, as the service's do.
const PAGE_BYTES: usize = 1_024 * 1_024;

type Read<T> = Result<Result<T, Error>, redb::Error>;

/// Rows by key.
pub(super) fn get(transaction: &ReadTransaction, tree: &Tree, keys: &[Key]) -> Read<Vec<Option<Item>>> {
    let rows = transaction.open_table(tree.rows())?;
    let mut items = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(row) = rows.get(keys::of_row(key).as_slice())? else {
            items.push(None);
            continue;
        };
        let Some(item) = rows::decode(row.value()) else { return Ok(Err(damaged(tree.table))) };
        items.push(Some(item));
    }
    Ok(Ok(items))
}

/// All rows of a table, in the order of their keys.
pub(super) fn scan(
    transaction: &ReadTransaction,
    tree: &Tree,
    after: Option<Cursor>,
    limit: usize,
) -> Read<Page> {
    let behind = after.as_ref().map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.0.as_bytes()));
    let rows = transaction.open_table(tree.rows())?;
    let range = rows.range::<&[u8]>((behind, Bound::Unbounded))?;
    Ok(page(Walk { range, descending: false }, limit, |key, row| row_of(tree.table, key, row))?)
}

/// A query that has passed every check.
pub(super) struct Plan<'a> {
    tree: &'a Tree,
    index: Option<usize>,
    range: keys::Range,
    query: &'a Query,
}

impl<'a> Plan<'a> {
    /// Checks a query.
    pub(super) fn of(tree: &'a Tree, query: &'a Query) -> Result<Self, Error> {
        let table = tree.table;
        let index = check::index_of(query)?;
        let sorted = index.map_or(table.sorted, |place| table.indexes[place].sk.is_some());
        check::query(query, sorted)?;
        let range = if index.is_none() && !table.sorted {
            keys::Range::one(&query.pk)
        } else {
            keys::Range::of(&query.pk, query.from.as_deref(), query.to.as_deref())
        };
        let plan = Self { tree, index, range, query };
        plan.bounds().ok_or_else(|| Error::Invalid("the cursor is of another query".to_owned()))?;
        Ok(plan)
    }

    /// One page.
    pub(super) fn page(&self, transaction: &ReadTransaction) -> Read<Page> {
        match self.index {
            None => {
                let rows = transaction.open_table(self.tree.rows())?;
                let Some(bounds) = self.bounds() else { return Ok(Ok(Page::default())) };
                let walk = Walk { range: rows.range::<&[u8]>(bounds)?, descending: self.query.descending };
                Ok(page(walk, self.query.limit, |key, row| row_of(self.tree.table, key, row))?)
            }
            Some(place) => Ok(self.index_page(place, &transaction.open_table(self.tree.index(place))?)?),
        }
    }

    /// One page of an index as it is, or was.
    pub(super) fn index_page(
        &self,
        place: usize,
        keys: &KeysAt,
    ) -> Result<Result<Page, Error>, StorageError> {
        let Some(bounds) = self.bounds() else { return Ok(Ok(Page::default())) };
        let walk = Walk { range: keys.range::<&[u8]>(bounds)?, descending: self.query.descending };
        let index = &self.tree.table.indexes[place];
        page(walk, self.query.limit, |key, ()| indexed_row(self.tree.table, index, key))
    }

    /// Which index it reads.
    pub(super) fn index(&self) -> Option<usize> {
        self.index
    }

    fn bounds(&self) -> Option<Bounds<'_>> {
        let after = self.query.after.as_ref().map(|cursor| cursor.0.as_str());
        self.range.behind(after, self.query.descending)
    }
}

fn row_of(table: &Table, key: &[u8], row: &[u8]) -> Result<Row, Error> {
    let read = || Some(Row { key: keys::to_row(key)?, item: rows::decode(row)? });
    read().ok_or_else(|| damaged(table))
}

fn indexed_row(table: &Table, index: &Index, key: &[u8]) -> Result<Row, Error> {
    let key = keys::to_indexed_row(index, key).ok_or_else(|| damaged(table))?;
    Ok(Row { key, item: Item::new() })
}

/// A range, from either end.
struct Walk<'a, V: redb::Value + 'static> {
    range: Range<'a, &'static [u8], V>,
    descending: bool,
}

type Entry<'a, V> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, V>);

impl<'a, V: redb::Value + 'static> Walk<'a, V> {
    fn next(&mut self) -> Result<Option<Entry<'a, V>>, StorageError> {
        if self.descending { self.range.next_back() } else { self.range.next() }.transpose()
    }
}

/// Reads up to `limit` rows; the cursor is the key of the last one, where another one follows.
fn page<V: redb::Value + 'static>(
    mut walk: Walk<'_, V>,
    limit: usize,
    read: impl Fn(&[u8], V::SelfType<'_>) -> Result<Row, Error>,
) -> Result<Result<Page, Error>, StorageError> {
    let mut page = Page::default();
    let mut bytes = 0;
    let mut last = None;
    while let Some((key, value)) = walk.next()? {
        if page.rows.len() >= limit || bytes > PAGE_BYTES {
            let cursor =
                last.map(|key: AccessGuard<'_, &[u8]>| String::from_utf8_lossy(key.value()).into_owned());
            page.next = cursor.map(Cursor);
            break;
        }
        let row = match read(key.value(), value.value()) {
            Ok(row) => row,
            Err(error) => return Ok(Err(error)),
        };
        bytes += ports::tables::size(&row.key, &row.item);
        page.rows.push(row);
        last = Some(key);
    }
    Ok(Ok(page))
}
