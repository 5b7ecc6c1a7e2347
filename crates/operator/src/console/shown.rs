//! How a page shows what others wrote: escaped for HTML, and what nobody could see made visible.
//!
//! Documents are written by whoever sends them. A name may hold control characters, characters without a width,
//! and marks that turn the order of what follows around ("Trojan Source"), so that a person would accept something
//! else than they read. Each of these is shown as a sign of its own.

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// The escaper of every template (`askama.toml`).
#[derive(Debug, Clone, Copy)]
pub struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        string.chars().try_for_each(|character| write(&mut dest, character))
    }
}

fn write(dest: &mut impl Write, character: char) -> fmt::Result {
    match character {
        '<' => dest.write_str("&lt;"),
        '>' => dest.write_str("&gt;"),
        '&' => dest.write_str("&amp;"),
        '"' => dest.write_str("&#34;"),
        '\'' => dest.write_str("&#39;"),
        // A sign, and a place where the text may be broken.
        '\n' => dest.write_str("\u{21b5}\n"),
        '\t' => dest.write_str("\u{21e5} "),
        hidden if is_hidden(hidden) => write!(dest, "\u{27e6}U+{:04X}\u{27e7}", u32::from(hidden)),
        other => dest.write_char(other),
    }
}

/// What has no look of its own, or changes that of others: controls, marks of direction, blanks without a width,
/// other ends of lines, signs that are never shown, tags and selectors.
fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        Shown.write_escaped_str(&mut shown, text).expect("a string takes everything");
        shown
    }

    #[test]
    fn nothing_that_others_wrote_is_markup() {
        assert_eq!(
            shown("<script>alert('1')</script> & \"x\""),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &#34;x&#34;"
        );
    }

    #[test]
    fn what_nobody_could_see_is_shown() {
        assert_eq!(shown("a\u{0}b\nc\td"), "a\u{27e6}U+0000\u{27e7}b\u{21b5}\nc\u{21e5} d");
        assert_eq!(shown("bolt\u{202e}gnp.exe"), "bolt\u{27e6}U+202E\u{27e7}gnp.exe");
        assert_eq!(
            shown("A\u{200b}1\u{85}\u{e0041}"),
            "A\u{27e6}U+200B\u{27e7}1\u{27e6}U+0085\u{27e7}\u{27e6}U+E0041\u{27e7}"
        );
        let plain = "Größe 12 × 3 µm – „ok“ ☃ 螺丝 שלום";
        assert_eq!(shown(plain), plain);
    }

    #[test]
    fn every_character_of_unicode_can_be_shown() {
        for character in '\u{0}'..=char::MAX {
            let shown = shown(character.encode_utf8(&mut [0; 4]));
            let bare = |c: char| c.is_control() && c != '\n';
            assert!(!shown.is_empty() && !shown.contains(bare), "{:x}", u32::from(character));
        }
    }
}
