//! Rows as DynamoDB has them: keys among the attributes, numbers as text.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use ports::tables::{Attr, Error, Item, Key, Row, Table};

/// Attributes by name, as the SDK has them.
pub(super) type Attributes = HashMap<String, AttributeValue>;

/// Name of the partition key.
pub(super) const PK: &str = "pk";
/// Name of the sort key.
pub(super) const SK: &str = "sk";

pub(super) fn value(attr: &Attr) -> AttributeValue {
    match attr {
        Attr::S(text) => AttributeValue::S(text.clone()),
        Attr::N(number) => AttributeValue::N(number.to_string()),
        Attr::B(bytes) => AttributeValue::B(Blob::new(bytes.to_vec())),
        Attr::Bool(truth) => AttributeValue::Bool(*truth),
    }
}

pub(super) fn key(key: &Key) -> Attributes {
    let pk = (PK.to_owned(), AttributeValue::S(key.pk.clone()));
    let sk = key.sk.as_ref().map(|sk| (SK.to_owned(), AttributeValue::S(sk.clone())));
    [Some(pk), sk].into_iter().flatten().collect()
}

pub(super) fn row(key: &Key, item: &Item) -> Attributes {
    let mut attributes = self::key(key);
    attributes.extend(item.iter().map(|(name, attr)| (name.clone(), value(attr))));
    attributes
}

/// A row's key, taken out of its attributes.
pub(super) fn take_key(table: &Table, attributes: &mut Attributes) -> Result<Key, Error> {
    let mut take = |name: &str| match attributes.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(damaged(table, name)),
    };
    let pk = take(PK)?;
    let sk = table.sorted.then(|| take(SK)).transpose()?;
    Ok(Key { pk, sk })
}

/// What is left of a row without its key.
pub(super) fn item(table: &Table, attributes: Attributes) -> Result<Item, Error> {
    let keys = |name: &String| name == PK || (name == SK && table.sorted);
    let others = attributes.into_iter().filter(|(name, _)| !keys(name));
    others
        .map(|(name, value)| match attr(value) {
            Some(attr) => Ok((name, attr)),
            None => Err(damaged(table, &name)),
        })
        .collect()
}

pub(super) fn full_row(table: &Table, mut attributes: Attributes) -> Result<Row, Error> {
    let key = take_key(table, &mut attributes)?;
    Ok(Row { key, item: item(table, attributes)? })
}

/// `None` where dvss never writes such a value.
fn attr(value: AttributeValue) -> Option<Attr> {
    match value {
        AttributeValue::S(text) => Some(Attr::S(text)),
        AttributeValue::N(number) => number.parse().ok().map(Attr::N),
        AttributeValue::B(blob) => Some(Attr::B(Bytes::from(blob.into_inner()))),
        AttributeValue::Bool(truth) => Some(Attr::Bool(truth)),
        _ => None,
    }
}

/// A row that cannot be read; whoever asks waits until somebody has looked.
pub(super) fn damaged(table: &Table, name: &str) -> Error {
    Error::Unavailable(format!("a row of {} is damaged: its `{name}` is none of ours", table.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table = Table { name: "t", sorted: true, indexes: &[] };

    #[test]
    fn rows_read_back() {
        let row = Row {
            key: Key::sorted("p", "s"),
            item: Item::from([
                ("least".to_owned(), Attr::N(i64::MIN)),
                ("bytes".to_owned(), Attr::B(Bytes::from_static(&[0, 0xff]))),
                ("text".to_owned(), Attr::S(String::new())),
                ("truth".to_owned(), Attr::Bool(false)),
            ]),
        };
        assert_eq!(full_row(&TABLE, self::row(&row.key, &row.item)), Ok(row));
    }

    #[test]
    fn what_is_not_ours_is_damage() {
        for value in [
            AttributeValue::N("1.5".to_owned()),
            AttributeValue::N("9223372036854775808".to_owned()),
            AttributeValue::Null(true),
        ] {
            let mut attributes = key(&Key::sorted("p", "s"));
            attributes.insert("x".to_owned(), value);
            assert!(matches!(full_row(&TABLE, attributes), Err(Error::Unavailable(_))));
        }
        assert!(full_row(&TABLE, key(&Key::of("p"))).is_err());
    }
}
