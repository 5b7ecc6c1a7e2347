//! Metadata as HTTP headers.
//!
//! S3 takes ASCII in headers, and drops spaces around values. Values are percent-encoded (RFC 3986, section
//! 2.1): every byte of the UTF-8 that is not visible ASCII, and `%` itself. Visible ASCII stays readable, and
//! anything that decodes percents reads the rest.

use std::collections::HashMap;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use ports::blobs::Metadata;

/// What is encoded beside everything that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Encodes values; names are headers' already.
pub(super) fn to_headers(metadata: &Metadata) -> HashMap<String, String> {
    let encoded = |value: &str| utf8_percent_encode(value, ENCODED).to_string();
    metadata.iter().map(|(name, value)| (name.clone(), encoded(value))).collect()
}

/// Decodes values; `None` where one is no UTF-8.
pub(super) fn from_headers(headers: HashMap<String, String>) -> Option<Metadata> {
    let decoded = |value: &str| percent_decode_str(value).decode_utf8().ok().map(|text| text.into_owned());
    headers.into_iter().map(|(name, value)| Some((name, decoded(&value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_for_ever() {
        for (value, encoded) in [
            ("", ""),
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("a+b=\"c\";~", "a+b=\"c\";~"),
            (" ž%\n\u{7f}", "%20%C5%BE%25%0A%7F"),
            ("🐴", "%F0%9F%90%B4"),
        ] {
            let metadata = Metadata::from([("name".to_owned(), value.to_owned())]);
            let headers = to_headers(&metadata);
            assert_eq!(headers["name"], encoded);
            assert_eq!(from_headers(headers), Some(metadata));
        }
        assert_eq!(from_headers(HashMap::from([("name".to_owned(), "%FF".to_owned())])), None);
    }
}
