//! A record as bytes: version, timestamp, key, headers, value.
//!
//! ```text
//! u8 version (1) · i64 timestamp · u32 key length + 1, 0 without a key · key
//! u32 headers · each: u32 length, name, u32 length, value · the rest is the value
//! ```
//! Integers are little-endian.

use bytes::Bytes;
use ports::log::{Headers, Record};

const VERSION: u8 = 1;

/// A stored record, but for where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// The headers.
    pub headers: Headers,
}

/// The bytes that count against the log's bound: key, value and headers.
pub fn size(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, Bytes::len) + record.value.len() + headers
}

/// A record as bytes. Its parts are below 4 GiB: [`size`] is checked before.
pub fn encode(record: &Record, timestamp: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(size(record) + 17 + 8 * record.headers.len());
    out.push(VERSION);
    out.extend(timestamp.to_le_bytes());
    match &record.key {
        None => put_length(&mut out, 0),
        Some(key) => {
            put_length(&mut out, key.len() + 1);
            out.extend_from_slice(key);
        }
    }
    put_length(&mut out, record.headers.len());
    for (name, value) in &record.headers {
        put_length(&mut out, name.len());
        out.extend_from_slice(name.as_bytes());
        put_length(&mut out, value.len());
        out.extend_from_slice(value);
    }
    out.extend_from_slice(&record.value);
    out
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(u32::try_from(length).expect("a record is far below 4 GiB").to_le_bytes());
}

/// Reads [`encode`]'s bytes; `None` where they are damaged.
pub fn decode(bytes: &[u8]) -> Option<Stored> {
    let mut rest = Bytes::copy_from_slice(bytes);
    if take(&mut rest, 1)?[0] != VERSION {
        return None;
    }
    let timestamp = i64::from_le_bytes(take(&mut rest, 8)?.as_ref().try_into().ok()?);
    let key = match take_length(&mut rest)? {
        0 => None,
        length => Some(take(&mut rest, length - 1)?),
    };
    let count = take_length(&mut rest)?;
    // Each header has two lengths, so a damaged count cannot ask for much.
    let mut headers = Headers::with_capacity(count.min(rest.len() / 8));
    for _ in 0..count {
        let length = take_length(&mut rest)?;
        let name = std::str::from_utf8(&take(&mut rest, length)?).ok()?.to_owned();
        let length = take_length(&mut rest)?;
        headers.push((name, take(&mut rest, length)?));
    }
    Some(Stored { timestamp, key, value: rest, headers })
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn take_length(rest: &mut Bytes) -> Option<usize> {
    let length = u32::from_le_bytes(take(rest, 4)?.as_ref().try_into().ok()?);
    usize::try_from(length).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: Option<&[u8]>, value: &[u8], headers: &[(&str, &[u8])]) -> Record {
        Record {
            topic: "t".into(),
            partition: None,
            key: key.map(Bytes::copy_from_slice),
            value: Bytes::copy_from_slice(value),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value)))
                .collect(),
        }
    }

    #[test]
    fn the_bytes_are_these_for_ever() {
        let record = record(Some(b"k"), b"v", &[("h", b"x")]);
        let bytes = encode(&record, 258);
        assert_eq!(hex::encode(&bytes), "010201000000000000020000006b010000000100000068010000007876");
        let stored = decode(&bytes).expect("it decodes");
        assert_eq!((stored.timestamp, stored.key, stored.value), (258, record.key, record.value));
        assert_eq!(stored.headers, record.headers);
    }

    #[test]
    fn an_empty_key_is_not_no_key() {
        for key in [None, Some(&b""[..])] {
            let stored = decode(&encode(&record(key, b"", &[]), -1)).expect("it decodes");
            assert_eq!(stored.key, key.map(Bytes::from_static));
            assert_eq!(stored.timestamp, -1);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_cut_or_random_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0_usize..40) {
            let _ = decode(&bytes);
            let whole = encode(&record(Some(b"key"), b"", &[("name", b"value")]), 7);
            let cut = cut.min(whole.len());
            prop_assert_eq!(decode(&whole[..cut]).is_some(), cut == whole.len());
        }
    }
}
