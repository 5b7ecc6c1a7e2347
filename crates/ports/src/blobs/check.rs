//! The bounds that the service sets, for implementations: whatever lies beyond is refused before it is sent
//! or written, by [`Error::Invalid`] in words that name the bound.

use super::{Error, MAX_KEY, MAX_METADATA, Metadata};

/// Most entries of a listing's page.
pub const MAX_PAGE: usize = 1_000;

/// An object's key: there, and within its bound.
pub fn key(key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::Invalid("an empty key".to_owned())),
        length if length > MAX_KEY => {
            Err(Error::Invalid(format!("a key of {length} bytes; at most {MAX_KEY} are taken")))
        }
        _ => Ok(()),
    }
}

/// Names as HTTP headers have them, and no more bytes than they take as such.
pub fn metadata(metadata: &Metadata) -> Result<(), Error> {
    let token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    if let Some(name) = metadata.keys().find(|name| name.is_empty() || !name.bytes().all(token)) {
        return Err(Error::Invalid(format!("`{}` is no name of metadata", name.escape_debug())));
    }
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + encoded_length(value)).sum();
    if bytes > MAX_METADATA {
        return Err(Error::Invalid(format!("{bytes} bytes of metadata; at most {MAX_METADATA} are taken")));
    }
    Ok(())
}

/// A listing's page, cut to what the service gives at once.
pub fn limit(limit: usize) -> Result<usize, Error> {
    match limit {
        0 => Err(Error::Invalid("a page of no entries".to_owned())),
        limit => Ok(limit.min(MAX_PAGE)),
    }
}

/// Bytes of a text once everything but visible ASCII, and `%`, is percent-encoded.
fn encoded_length(text: &str) -> usize {
    text.bytes().map(|byte| if byte.is_ascii_graphic() && byte != b'%' { 1 } else { 3 }).sum()
}
