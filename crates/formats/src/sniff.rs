//! Which format some bytes are.

use crate::{edifact, text, x12};

/// Formats that this room decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`crate::xml`]
    Xml,
    /// [`crate::x12`]
    X12,
    /// [`crate::edifact`]
    Edifact,
    /// [`crate::csv`]
    Csv,
}

/// How many bytes are looked at.
const HEAD: usize = 64 * 1024;

/// Tells by content, and only where content leaves it open by the media type.
///
/// XML, X12 and EDIFACT say what they are in their first characters. A table says nothing, so it is only one where
/// its sender says so: nearly every text could be one.
pub fn sniff(content_type: Option<&str>, bytes: &[u8]) -> Option<Kind> {
    let head = &bytes[..bytes.len().min(HEAD)];
    if is_xml(head) {
        return Some(Kind::Xml);
    }
    let text = text::decode(head).ok()?;
    if x12::is_x12(&text) {
        return Some(Kind::X12);
    }
    if edifact::is_edifact(&text) {
        return Some(Kind::Edifact);
    }
    let media_type = content_type?.split(';').next()?.trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "text/csv" | "application/csv" | "text/tab-separated-values")
        .then_some(Kind::Csv)
}

/// A `<` behind byte order mark and blanks, in any of the encodings of [`text::decode_xml`].
fn is_xml(head: &[u8]) -> bool {
    let behind_mark = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .or_else(|| head.strip_prefix(b"\xFF\xFE"))
        .or_else(|| head.strip_prefix(b"\xFE\xFF"))
        .unwrap_or(head);
    let mut characters = behind_mark.iter().filter(|byte| **byte != 0 && !byte.is_ascii_whitespace());
    characters.next() == Some(&b'<')
        && characters
            .next()
            .is_some_and(|byte| matches!(byte, b'?' | b'!' | b'_' | 0x80..) || byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_goes_first() {
        assert_eq!(sniff(Some("text/csv"), b"\xEF\xBB\xBF <?xml version='1.0'?><a/>"), Some(Kind::Xml));
        assert_eq!(sniff(None, b"\xFF\xFE<\0a\0/\0>\0"), Some(Kind::Xml));
        let isa = "ISA*00* *00* *ZZ*A *ZZ*B *030910*1059*U*00401*1*0*T*>~";
        assert_eq!(sniff(Some("application/xml"), isa.as_bytes()), Some(Kind::X12));
        assert_eq!(sniff(None, b"UNB+UNOC:3+A+B'"), Some(Kind::Edifact));
        assert_eq!(sniff(Some("text/csv; charset=utf-8"), b"a,b\n1,2\n"), Some(Kind::Csv));
        assert_eq!(sniff(None, b"a,b\n1,2\n"), None);
        assert_eq!(sniff(None, b""), None);
    }
}
