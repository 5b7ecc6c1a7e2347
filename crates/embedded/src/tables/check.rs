//! The bounds that the service sets; whatever lies beyond is refused here as it is there.

use ports::tables::{
    Attr, Edit, Error, Index, Item, Key, MAX_ITEM, MAX_PK, MAX_SK, MAX_TRANSACTION_ITEMS, Query, Table,
};

/// Most bytes of a transaction's token.
const MAX_TOKEN: usize = 36;

/// A row's key: there, complete, within bounds.
pub(super) fn key(table: &Table, key: &Key) -> Result<(), Error> {
    part("partition key", &key.pk, MAX_PK)?;
    match &key.sk {
        Some(sk) if table.sorted => part("sort key", sk, MAX_SK),
        None if !table.sorted => Ok(()),
        Some(_) => invalid(format!("rows of {} have no sort key", table.name)),
        None => invalid(format!("rows of {} have a sort key", table.name)),
    }
}

/// A whole row: its size, the names of its attributes, and the values that indexes are made of.
pub(super) fn row(table: &Table, size: usize, item: &Item) -> Result<(), Error> {
    if size > MAX_ITEM {
        return invalid(format!("a row of {size} bytes in {}; at most {MAX_ITEM} are taken", table.name));
    }
    item.keys().try_for_each(|attribute| name(attribute))?;
    table.indexes.iter().try_for_each(|index| indexed(index, item))
}

/// Edits: an attribute once each, keys not among them.
pub(super) fn edits(edits: &[Edit]) -> Result<(), Error> {
    for (at, edit) in edits.iter().enumerate() {
        name(edited(edit))?;
        if edits[..at].iter().any(|other| edited(other) == edited(edit)) {
            return invalid(format!("`{}` is edited twice in one write", edited(edit)));
        }
    }
    Ok(())
}

/// A transaction's token and number of writes.
pub(super) fn transaction(token: &str, writes: usize) -> Result<(), Error> {
    if token.is_empty() || token.len() > MAX_TOKEN {
        return invalid(format!("a token of {} bytes; 1 to {MAX_TOKEN} are taken", token.len()));
    }
    if writes == 0 || writes > MAX_TRANSACTION_ITEMS {
        return invalid(format!("a transaction of {writes} rows; 1 to {MAX_TRANSACTION_ITEMS} are taken"));
    }
    Ok(())
}

/// A query's values; `sorted` says whether what it reads has sort keys.
pub(super) fn query(query: &Query, sorted: bool) -> Result<(), Error> {
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

/// A page's size.
pub(super) fn limit_of(limit: usize) -> Result<(), Error> {
    if limit == 0 { invalid("a page of no rows".to_owned()) } else { Ok(()) }
}

fn indexed(index: &Index, item: &Item) -> Result<(), Error> {
    let parts = [(Some(index.pk), MAX_PK), (index.sk, MAX_SK)];
    for (name, most) in parts.into_iter().filter_map(|(name, most)| Some((name?, most))) {
        match item.get(name) {
            None => {}
            Some(Attr::S(text)) => part(name, text, most)?,
            Some(_) => return invalid(format!("`{name}` is a key of the index {} and no text", index.name)),
        }
    }
    Ok(())
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
