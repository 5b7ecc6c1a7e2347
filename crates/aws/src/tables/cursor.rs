//! Where a page ended: the keys of its last row, as JSON.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ports::tables::{Cursor, Error, Index, Table};

use super::item::{Attributes, PK, SK, damaged};

/// Of the service's last evaluated key.
pub(super) fn of(table: &Table, last: Attributes) -> Result<Cursor, Error> {
    let text = |(name, value): (String, AttributeValue)| match value {
        AttributeValue::S(text) => Ok((name, text)),
        _ => Err(damaged(table, &name)),
    };
    let keys = last.into_iter().map(text).collect::<Result<BTreeMap<_, _>, _>>()?;
    serde_json::to_string(&keys).map(Cursor).map_err(|error| Error::Invalid(error.to_string()))
}

/// The key to go on behind, where the cursor is of this table and index.
pub(super) fn read(cursor: &Cursor, table: &Table, index: Option<&Index>) -> Result<Attributes, Error> {
    let other = || Error::Invalid("the cursor is of another query".to_owned());
    let keys: BTreeMap<String, String> = serde_json::from_str(&cursor.0).map_err(|_| other())?;
    let mut names = vec![PK];
    names.extend(table.sorted.then_some(SK));
    names.extend(index.map(|index| index.pk));
    names.extend(index.and_then(|index| index.sk));
    names.sort_unstable();
    if !names.iter().copied().eq(keys.keys().map(String::as_str)) {
        return Err(other());
    }
    Ok(keys.into_iter().map(|(name, text)| (name, AttributeValue::S(text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    static INDEX: Index = Index { name: "i", pk: "shard", sk: Some("since") };
    static TABLE: Table = Table { name: "t", sorted: true, indexes: &[INDEX] };
    static PLAIN: Table = Table { name: "p", sorted: false, indexes: &[] };

    #[test]
    fn a_cursor_goes_on_with_its_own_query_only() {
        let keys = |names: &[&str]| -> Attributes {
            names.iter().map(|name| ((*name).to_owned(), AttributeValue::S("\"ü\"".to_owned()))).collect()
        };
        let all: [(&Table, Option<&Index>, Attributes); 3] = [
            (&PLAIN, None, keys(&["pk"])),
            (&TABLE, None, keys(&["pk", "sk"])),
            (&TABLE, Some(&INDEX), keys(&["pk", "sk", "shard", "since"])),
        ];
        for (at, (table, _, last)) in all.iter().enumerate() {
            let cursor = of(table, last.clone()).expect("a cursor");
            for (other, (table, index, last)) in all.iter().enumerate() {
                let read = read(&cursor, table, *index);
                if other == at {
                    assert_eq!(read.as_ref(), Ok(last));
                } else {
                    assert!(matches!(read, Err(Error::Invalid(_))), "{at} {other}");
                }
            }
        }
        assert!(read(&Cursor("x".to_owned()), &PLAIN, None).is_err());
    }
}
