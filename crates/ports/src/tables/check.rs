//! The bounds that the service sets, for implementations: whatever lies beyond is refused before it is sent
//! or written, by [`Error::Invalid`] in words that name the bound.

use std::collections::HashSet;

use super::{
    Attr, Change, Edit, Error, Index, Item, Key, MAX_ITEM, MAX_PK, MAX_SK, MAX_TRANSACTION,
    MAX_TRANSACTION_ITEMS, Query, Table, Write, size, value_size,
};

/// Most bytes of a transaction's token.
const MAX_TOKEN: usize = 36;

/// A row's key: there, complete, within bounds.
pub fn key(table: &Table, key: &Key) -> Result<(), Error> {
    part("partition key", &key.pk, MAX_PK)?;
    match &key.sk {
        Some(sk) if table.sorted => part("sort key", sk, MAX_SK),
        None if !table.sorted => Ok(()),
        Some(_) => invalid(format!("rows of {} have no sort key", table.name)),
        None => invalid(format!("rows of {} have a sort key", table.name)),
    }
}

/// A whole row: its size, the names of its attributes, and the values that indexes are made of.
pub fn row(table: &Table, size: usize, item: &Item) -> Result<(), Error> {
    if size > MAX_ITEM {
        return invalid(format!("a row of {size} bytes in {}; at most {MAX_ITEM} are taken", table.name));
    }
    item.keys().try_for_each(|attribute| name(attribute))?;
    table.indexes.iter().try_for_each(|index| indexed(index, item))
}

/// Edits: one at least, an attribute once each, keys not among them, and nothing but text for indexes.
pub fn edits(table: &Table, edits: &[Edit]) -> Result<(), Error> {
    if edits.is_empty() {
        return invalid("an edit that changes nothing".to_owned());
    }
    for (at, edit) in edits.iter().enumerate() {
        name(edited(edit))?;
        if edits[..at].iter().any(|other| edited(other) == edited(edit)) {
            return invalid(format!("`{}` is edited twice in one write", edited(edit)));
        }
        if let Edit::Set(name, value) = edit {
            table.indexes.iter().try_for_each(|index| indexed_value(index, name, value))?;
        }
    }
    Ok(())
}

/// One write, as far as it can be told without the row; returns the bytes that it carries.
pub fn write(write: &Write) -> Result<usize, Error> {
    let Write { table, key, change, .. } = write;
    self::key(table, key)?;
    match change {
        Change::Put(item) => {
            let size = size(key, item);
            row(table, size, item)?;
            Ok(size)
        }
        Change::Edit(all) => {
            edits(table, all)?;
            let value = |edit: &Edit| if let Edit::Set(_, value) = edit { value_size(value) } else { 0 };
            let bytes = all.iter().map(|edit| edited(edit).len() + value(edit)).sum();
            match bytes {
                bytes if bytes > MAX_ITEM => {
                    Err(Error::Invalid(format!("edits of {bytes} bytes; a row has at most {MAX_ITEM}")))
                }
                bytes => Ok(bytes),
            }
        }
        Change::Delete | Change::Check => Ok(0),
    }
}

/// A whole transaction, as far as it can be told without the rows.
pub fn transaction(token: &str, writes: &[Write]) -> Result<(), Error> {
    token_and_count(token, writes.len())?;
    let mut bytes = 0;
    for write in writes {
        bytes += self::write(write)?;
    }
    if bytes > MAX_TRANSACTION {
        return invalid(format!("a transaction of {bytes} bytes; at most {MAX_TRANSACTION} are taken"));
    }
    rows_differ(writes.iter().map(|write| (write.table.name, &write.key)))
}

/// A snapshot's rows.
pub fn snapshot(rows: &[(&'static Table, Key)]) -> Result<(), Error> {
    if rows.is_empty() || rows.len() > MAX_TRANSACTION_ITEMS {
        let count = rows.len();
        return invalid(format!("a snapshot of {count} rows; 1 to {MAX_TRANSACTION_ITEMS} are taken"));
    }
    rows.iter().try_for_each(|(table, row)| key(table, row))?;
    rows_differ(rows.iter().map(|(table, key)| (table.name, key)))
}

/// No row twice in one transaction.
pub fn rows_differ<'a>(rows: impl Iterator<Item = (&'a str, &'a Key)>) -> Result<(), Error> {
    let mut seen = HashSet::with_capacity(rows.size_hint().0);
    for (table, key) in rows {
        if !seen.insert((table, key)) {
            return invalid(format!("the row {key:?} of {table} twice in one transaction"));
        }
    }
    Ok(())
}

/// A transaction's token and number of writes.
pub fn token_and_count(token: &str, writes: usize) -> Result<(), Error> {
    if token.is_empty() || token.len() > MAX_TOKEN {
        return invalid(format!("a token of {} bytes; 1 to {MAX_TOKEN} are taken", token.len()));
    }
    if writes == 0 || writes > MAX_TRANSACTION_ITEMS {
        return invalid(format!("a transaction of {writes} rows; 1 to {MAX_TRANSACTION_ITEMS} are taken"));
    }
    Ok(())
}

/// A query's values; `sorted` says whether what it reads has sort keys.
pub fn query(query: &Query, sorted: bool) -> Result<(), Error> {
    let Query { pk, from, to, limit, .. } = query;
    part("partition key", pk, MAX_PK)?;
    limit_of(*limit)?;
    if !sorted && (from.is_some() || to.is_some()) {
        return invalid("a range of sort keys where there are none".to_owned());
    }
    // An empty lower end is every text's prefix and so no bound; an empty upper one is a mistake.
    if let Some(from) = from.as_deref().filter(|from| !from.is_empty()) {
        part("lower end", from, MAX_SK)?;
    }
    if let Some(to) = to {
        part("upper end", to, MAX_SK)?;
    }
    match (from, to) {
        (Some(from), Some(to)) if from > to => invalid("the range ends before it begins".to_owned()),
        _ => Ok(()),
    }
}

/// The index that a query names; `None` where it reads the table itself.
pub fn index_of(query: &Query) -> Result<Option<usize>, Error> {
    let Some(name) = query.index else { return Ok(None) };
    let place = query.table.indexes.iter().position(|index| index.name == name);
    match place {
        Some(place) => Ok(Some(place)),
        None => Err(Error::Invalid(format!("{} has no index {name}", query.table.name))),
    }
}

/// A page's size.
pub fn limit_of(limit: usize) -> Result<(), Error> {
    if limit == 0 { invalid("a page of no rows".to_owned()) } else { Ok(()) }
}

fn indexed(index: &Index, item: &Item) -> Result<(), Error> {
    let names = [Some(index.pk), index.sk].into_iter().flatten();
    names
        .filter_map(|name| Some((name, item.get(name)?)))
        .try_for_each(|(name, value)| indexed_value(index, name, value))
}

/// An attribute's value, where an index is made of it.
fn indexed_value(index: &Index, name: &str, value: &Attr) -> Result<(), Error> {
    let most = match name {
        name if name == index.pk => MAX_PK,
        name if Some(name) == index.sk => MAX_SK,
        _ => return Ok(()),
    };
    match value {
        Attr::S(text) => part(name, text, most),
        _ => invalid(format!("`{name}` is a key of the index {} and no text", index.name)),
    }
}

fn edited(edit: &Edit) -> &'static str {
    match edit {
        Edit::Set(name, _) | Edit::Remove(name) | Edit::Add(name, _) => name,
    }
}

fn name(attribute: &str) -> Result<(), Error> {
    match attribute {
        "" => invalid("an attribute without a name".to_owned()),
        "pk" | "sk" => invalid(format!("`{attribute}` is a key, not an attribute")),
        _ => Ok(()),
    }
}

fn part(what: &str, text: &str, most: usize) -> Result<(), Error> {
    match text.len() {
        0 => invalid(format!("an empty {what}")),
        length if length > most => invalid(format!("a {what} of {length} bytes; at most {most} are taken")),
        _ => Ok(()),
    }
}

fn invalid(message: String) -> Result<(), Error> {
    Err(Error::Invalid(message))
}
