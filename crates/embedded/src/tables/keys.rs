//! Keys as bytes whose order is the order of the texts.
//!
//! Parts are joined by a zero byte. Within a part, bytes 0 and 1 are written as 1 1 and 1 2, so that
//! the joint sorts before whatever a part goes on with: `("a", …)` lies before `("ab", …)`. The result
//! is UTF-8, and serves as a cursor as it is.
//!
//! | tree | key |
//! |---|---|
//! | rows | pk, sk where the table has one |
//! | an index | the index's pk, its sk where it has one, then the row's key |

use std::ops::Bound;

use ports::tables::{Attr, Index, Item, Key};

/// Ends a part.
const END: u8 = 0;
/// Says that the byte behind it is a small one; also what lies right behind [`END`].
const ESCAPE: u8 = 1;

/// The key of a row.
pub(super) fn of_row(key: &Key) -> Vec<u8> {
    let sk = key.sk.as_deref();
    let mut bytes = Vec::with_capacity(key.pk.len() + sk.map_or(0, |sk| sk.len() + 1));
    push(&mut bytes, &key.pk);
    if let Some(sk) = sk {
        bytes.push(END);
        push(&mut bytes, sk);
    }
    bytes
}

/// Reads the key of a row; `None` where the bytes are damaged.
pub(super) fn to_row(bytes: &[u8]) -> Option<Key> {
    match split(bytes) {
        Some((pk, sk)) => Some(Key { pk: read(pk)?, sk: Some(read(sk)?) }),
        None => Some(Key { pk: read(bytes)?, sk: None }),
    }
}

/// The key of a row in an index; `None` where the row is not in it.
pub(super) fn of_index(index: &Index, row: &[u8], item: &Item) -> Option<Vec<u8>> {
    let pk = item.get(index.pk).and_then(Attr::as_str)?;
    let sk = match index.sk {
        Some(name) => Some(item.get(name).and_then(Attr::as_str)?),
        None => None,
    };
    let mut bytes = Vec::with_capacity(pk.len() + sk.map_or(0, str::len) + row.len() + 2);
    for part in [Some(pk), sk].into_iter().flatten() {
        push(&mut bytes, part);
        bytes.push(END);
    }
    bytes.extend_from_slice(row);
    Some(bytes)
}

/// Reads the row's key out of an index's; `None` where the bytes are damaged.
pub(super) fn to_indexed_row(index: &Index, bytes: &[u8]) -> Option<Key> {
    let (_, mut rest) = split(bytes)?;
    if index.sk.is_some() {
        (_, rest) = split(rest)?;
    }
    to_row(rest)
}

/// Keys from the first up to, but not with, the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    from: Vec<u8>,
    below: Vec<u8>,
}

impl Range {
    /// The one row of a table without sort keys.
    pub(super) fn one(pk: &str) -> Self {
        let mut from = Vec::with_capacity(pk.len() + 1);
        push(&mut from, pk);
        let mut below = from.clone();
        below.push(END);
        Self { from, below }
    }

    /// The rows of a partition key, restricted to sort keys (both included).
    pub(super) fn of(pk: &str, first: Option<&str>, last: Option<&str>) -> Self {
        let mut from = Vec::with_capacity(pk.len() + 1 + first.map_or(0, str::len));
        push(&mut from, pk);
        let mut below = from.clone();
        from.push(END);
        if let Some(first) = first {
            push(&mut from, first);
        }
        if let Some(last) = last {
            below.push(END);
            push(&mut below, last);
        }
        below.push(ESCAPE);
        Self { from, below }
    }

    /// What is left of the range behind `cursor`; `None` where the cursor is of another range.
    pub(super) fn behind<'a>(&'a self, cursor: Option<&'a str>, descending: bool) -> Option<Bounds<'a>> {
        let (from, below) = (Bound::Included(&self.from[..]), Bound::Excluded(&self.below[..]));
        let Some(cursor) = cursor.map(str::as_bytes) else { return Some((from, below)) };
        if !(&self.from[..]..&self.below[..]).contains(&cursor) {
            return None;
        }
        let behind = Bound::Excluded(cursor);
        Some(if descending { (from, behind) } else { (behind, below) })
    }
}

/// Both ends of a range of keys.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

fn push(bytes: &mut Vec<u8>, part: &str) {
    let part = part.as_bytes();
    if !part.iter().any(|byte| *byte <= ESCAPE) {
        bytes.extend_from_slice(part);
        return;
    }
    for byte in part {
        if *byte <= ESCAPE {
            bytes.extend([ESCAPE, byte + 1]);
        } else {
            bytes.push(*byte);
        }
    }
}

fn read(part: &[u8]) -> Option<String> {
    if !part.contains(&ESCAPE) {
        return std::str::from_utf8(part).ok().map(str::to_owned);
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.iter();
    while let Some(byte) = rest.next() {
        let plain = if *byte == ESCAPE { rest.next()?.checked_sub(1)? } else { *byte };
        bytes.push(plain);
    }
    String::from_utf8(bytes).ok()
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == END)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INDEX: Index = Index { name: "i", pk: "p", sk: Some("s") };

    /// Texts that are rich in what the encoding treats apart.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![Just('\0'), Just('\u{1}'), Just('\u{2}'), Just('a'), any::<char>()],
            1..6,
        )
        .prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_key_reads_back(pk in text(), sk in proptest::option::of(text())) {
            let key = Key { pk, sk };
            let bytes = of_row(&key);
            prop_assert!(std::str::from_utf8(&bytes).is_ok());
            prop_assert_eq!(to_row(&bytes), Some(key));
        }

        #[test]
        fn order_is_that_of_the_texts(a in (text(), text()), b in (text(), text())) {
            let [left, right] = [&a, &b].map(|(pk, sk)| of_row(&Key::sorted(pk.clone(), sk.clone())));
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        }

        #[test]
        fn an_index_orders_by_its_keys_then_the_rows(
            a in (text(), text(), text(), text()),
            b in (text(), text(), text(), text()),
        ) {
            let [left, right] = [&a, &b].map(|(pk, sk, row_pk, row_sk)| {
                let item = Item::from([
                    ("p".to_owned(), Attr::S(pk.clone())),
                    ("s".to_owned(), Attr::S(sk.clone())),
                ]);
                let row = Key::sorted(row_pk.clone(), row_sk.clone());
                let bytes = of_index(&INDEX, &of_row(&row), &item).unwrap();
                assert_eq!(to_indexed_row(&INDEX, &bytes), Some(row));
                bytes
            });
            prop_assert_eq!(a.cmp(&b), left.cmp(&right));
        }

        #[test]
        fn a_range_holds_exactly_its_sort_keys(
            pk in text(), other in text(), sk in text(), first in text(), last in text(),
        ) {
            let range = Range::of(&pk, Some(&first), Some(&last));
            let within = |key: Key| (&range.from..&range.below).contains(&&of_row(&key));
            prop_assert_eq!(within(Key::sorted(&pk, &sk)), first <= sk && sk <= last);
            prop_assert_eq!(within(Key::sorted(&other, &sk)), other == pk && first <= sk && sk <= last);
        }
    }

    #[test]
    fn a_cursor_of_another_query_is_told_apart() {
        let range = Range::of("a", None, None);
        assert!(range.behind(Some("a\0x"), false).is_some());
        for other in ["b\0x", "a", "", "aa\0x"] {
            assert_eq!(range.behind(Some(other), true), None, "{other:?}");
        }
    }

    #[test]
    fn a_row_without_the_attributes_is_not_in_the_index() {
        let only_pk = Item::from([("p".to_owned(), Attr::S("x".into()))]);
        assert_eq!(of_index(&INDEX, b"k", &only_pk), None);
        assert_eq!(of_index(&INDEX, b"k", &Item::new()), None);
    }
}
