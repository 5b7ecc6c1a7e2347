//! Rows as bytes: a format byte, the number of attributes, then each attribute as its name, a tag and
//! its value. Lengths and numbers are LEB128 (numbers zigzagged). Keys are not among them.

use bytes::Bytes;
use ports::tables::{Attr, Item};

/// Raised when the layout changes; readers keep every older one.
const FORMAT: u8 = 1;

const TEXT: u8 = 0;
const NUMBER: u8 = 1;
const BYTES: u8 = 2;
const FALSE: u8 = 3;
const TRUE: u8 = 4;

/// Writes a row.
pub(super) fn encode(item: &Item) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + item.iter().map(|(name, attr)| room(name, attr)).sum::<usize>());
    bytes.push(FORMAT);
    push_length(&mut bytes, item.len());
    for (name, attr) in item {
        push_bytes(&mut bytes, name.as_bytes());
        push_attr(&mut bytes, attr);
    }
    bytes
}

/// Writes one value, so that different values are different bytes.
pub(super) fn push_attr(bytes: &mut Vec<u8>, attr: &Attr) {
    match attr {
        Attr::S(text) => {
            bytes.push(TEXT);
            push_bytes(bytes, text.as_bytes());
        }
        Attr::N(number) => {
            bytes.push(NUMBER);
            push_number(bytes, *number);
        }
        Attr::B(value) => {
            bytes.push(BYTES);
            push_bytes(bytes, value);
        }
        Attr::Bool(value) => bytes.push(if *value { TRUE } else { FALSE }),
    }
}

/// Reads a row; `None` where the bytes are damaged.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Item> {
    let rest = &mut bytes;
    if take_byte(rest)? != FORMAT {
        return None;
    }
    let count = take_length(rest)?;
    // Two bytes are the least that an attribute takes: a damaged count reserves no more than that.
    let mut item = Vec::with_capacity(count.min(rest.len() / 2));
    for _ in 0..count {
        let name = take_text(rest)?;
        let attr = match take_byte(rest)? {
            TEXT => Attr::S(take_text(rest)?),
            NUMBER => Attr::N(take_number(rest)?),
            BYTES => Attr::B(Bytes::copy_from_slice(take_bytes(rest)?)),
            FALSE => Attr::Bool(false),
            TRUE => Attr::Bool(true),
            _ => return None,
        };
        item.push((name, attr));
    }
    rest.is_empty().then(|| item.into_iter().collect())
}

/// Writes bytes behind their length.
pub(super) fn push_bytes(bytes: &mut Vec<u8>, value: &[u8]) {
    push_length(bytes, value.len());
    bytes.extend_from_slice(value);
}

/// Writes a number.
pub(super) fn push_number(bytes: &mut Vec<u8>, number: i64) {
    push_leb128(bytes, (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
}

/// Bytes to reserve for an attribute; never fewer than it takes, but for texts beyond 16 KiB.
fn room(name: &str, attr: &Attr) -> usize {
    let value = match attr {
        Attr::S(text) => text.len(),
        Attr::B(value) => value.len(),
        Attr::N(_) => 10,
        Attr::Bool(_) => 0,
    };
    5 + name.len() + value
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    push_leb128(bytes, u64::try_from(length).unwrap_or(u64::MAX));
}

fn push_leb128(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_leb128(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(rest)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(take_leb128(rest)?).ok()
}

fn take_number(rest: &mut &[u8]) -> Option<i64> {
    let zigzag = take_leb128(rest)?;
    Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(rest)?;
    let (value, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(value)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    std::str::from_utf8(take_bytes(rest)?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attr() -> impl Strategy<Value = Attr> {
        prop_oneof![
            any::<String>().prop_map(Attr::S),
            any::<i64>().prop_map(Attr::N),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Attr::B(bytes.into())),
            any::<bool>().prop_map(Attr::Bool),
        ]
    }

    proptest! {
        #[test]
        fn a_row_reads_back(item in proptest::collection::btree_map(any::<String>(), attr(), 0..12)) {
            prop_assert_eq!(decode(&encode(&item)), Some(item));
        }

        #[test]
        fn damaged_bytes_are_refused_or_another_row(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(item) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&item)), Some(item));
            }
        }

        #[test]
        fn a_cut_row_is_refused(
            item in proptest::collection::btree_map(any::<String>(), attr(), 1..5), cut in 1_usize..20,
        ) {
            let bytes = encode(&item);
            prop_assert_eq!(decode(&bytes[..bytes.len().saturating_sub(cut)]), None);
        }
    }

    #[test]
    fn the_layout_is_for_ever() {
        let item = Item::from([
            ("a".to_owned(), Attr::S("é".into())),
            ("b".to_owned(), Attr::N(-3)),
            ("c".to_owned(), Attr::B(vec![0, 255].into())),
            ("d".to_owned(), Attr::Bool(true)),
        ]);
        let bytes = [1, 4, 1, b'a', 0, 2, 0xc3, 0xa9, 1, b'b', 1, 5, 1, b'c', 2, 2, 0, 255, 1, b'd', 4];
        assert_eq!(encode(&item), bytes);
        assert_eq!(decode(&bytes), Some(item));
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            let item = Item::from([("n".to_owned(), Attr::N(number))]);
            assert_eq!(decode(&encode(&item)), Some(item));
        }
    }
}
