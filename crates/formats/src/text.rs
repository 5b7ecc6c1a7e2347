//! Bytes to text.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::{Error, Problem, check_size};

/// Decodes a text that does not say what it is encoded in.
///
/// A byte order mark decides (UTF-8, UTF-16), else UTF-8 where the bytes are that, else windows-1252: bytes that
/// happen to be valid UTF-8 with letters beyond ASCII are hardly ever anything else, and of the one-byte encodings
/// windows-1252 holds all that ISO-8859-1 does.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    check_size(bytes)?;
    match Encoding::for_bom(bytes) {
        Some((encoding, length)) => strictly(encoding, &bytes[length..]),
        None => Ok(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        }),
    }
}

/// Decodes an XML text: by its byte order mark, else by its declaration, else as UTF-8 (XML 1.0, appendix F).
pub fn decode_xml(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    check_size(bytes)?;
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return strictly(encoding, &bytes[length..]);
    }
    match bytes {
        [b'<', 0, ..] => return strictly(encoding_rs::UTF_16LE, bytes),
        [0, b'<', ..] => return strictly(encoding_rs::UTF_16BE, bytes),
        _ => {}
    }
    let Some(label) = declared(bytes) else { return strictly(UTF_8, bytes) };
    let encoding = Encoding::for_label(label)
        .ok_or_else(|| Error::new(Problem::Encoding, "declares an encoding that is not known"))?;
    // What can be read up to here without a zero byte is not UTF-16, whatever it declares.
    let is_wide = encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE;
    strictly(if is_wide { UTF_8 } else { encoding }, bytes)
}

fn strictly<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, Error> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or_else(|| Error::new(Problem::Encoding, format!("the text is not {}", encoding.name())))
}

/// The encoding that an XML declaration names.
fn declared(bytes: &[u8]) -> Option<&[u8]> {
    let head = &bytes[..bytes.len().min(256)];
    let head = head.strip_prefix(b"<?xml")?;
    let head = &head[..head.windows(2).position(|pair| pair == b"?>")?];
    let at = head.windows(8).position(|word| word == b"encoding")? + 8;
    let rest = head[at..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    rest.split(|byte| byte == quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_the_same() {
        let text = "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>";
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin")).collect();
        assert_eq!(decode_xml(&latin).as_deref(), Ok(text));
        let mut wide = vec![0xFF, 0xFE];
        wide.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(decode_xml(&wide).as_deref(), Ok(text));
        let bare: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode_xml(&bare).as_deref(), Ok(text));
        assert_eq!(decode_xml("\u{feff}<a>é</a>".as_bytes()).as_deref(), Ok("<a>é</a>"));
        assert_eq!(decode(b"caf\xe9").as_deref(), Ok("café"));
        assert_eq!(decode("café".as_bytes()).as_deref(), Ok("café"));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(decode_xml(b"<a>\xe9</a>").map_err(|error| error.problem), Err(Problem::Encoding));
        let unknown = b"<?xml version='1.0' encoding='klingon'?><a/>";
        assert_eq!(decode_xml(unknown).map_err(|error| error.problem), Err(Problem::Encoding));
        assert_eq!(decode(b" \r\n").map_err(|error| error.problem), Err(Problem::Empty));
    }
}
