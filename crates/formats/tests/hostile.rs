//! No bytes make a decoder panic, and what it decodes becomes JSON in which no key occurs twice.

use contract::Json;
use formats::{csv, edifact, text, x12, xml};
use proptest::prelude::*;

/// Bytes that come near the formats: their own marks among anything.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let marks = prop::sample::select(vec![
        "ISA*00*          *00*          *ZZ*A              *ZZ*B              *240101*1200*U*00401*000000001*0*P*>~",
        "ST*810*1~",
        "SE*2*1~",
        "GS*IN~",
        "GE*1~",
        "IEA*1~",
        "UNA:+.? '",
        "UNA",
        "UNB+UNOC:3'",
        "UNH+1+INVOIC:D:96A'",
        "BGM+380'",
        "UNT+1+1'",
        "UNZ+1'",
        "UNO'",
        "UNP",
        "?",
        "<a>",
        "</a>",
        "<a b='c'/>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?x",
        "?>",
        "<!DOCTYPE",
        "&amp;",
        "&x;",
        ",",
        ";",
        "\"",
        "\n",
        "\r",
        "sep=",
        "\u{feff}",
        "é",
    ]);
    let part = prop_oneof![
        4 => marks.prop_map(|mark| mark.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

fn keys_are_distinct(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().all(keys_are_distinct),
        Json::Object(members) => {
            let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
            keys.sort_unstable();
            keys.windows(2).all(|pair| pair[0] != pair[1])
                && members.iter().all(|(_, value)| keys_are_distinct(value))
        }
        _ => true,
    }
}

fn everything(bytes: &[u8]) {
    let _ = formats::sniff(None, bytes);
    if let Ok(text) = text::decode_xml(bytes)
        && let Ok(document) = xml::Document::parse(&text)
    {
        assert!(keys_are_distinct(&document.to_json(&["a"])));
        for node in document.root().descendants() {
            let _ = document.xpath(node);
        }
    }
    let Ok(text) = text::decode(bytes) else { return };
    if let Ok(interchanges) = x12::parse(&text) {
        assert!(keys_are_distinct(&x12::to_json(&interchanges)));
    }
    if let Ok(file) = edifact::parse(&text) {
        assert!(keys_are_distinct(&edifact::to_json(&file)));
    }
    if let Ok(table) = csv::parse(&text) {
        assert!(keys_are_distinct(&table.to_json()));
    }
}

proptest! {
    #[test]
    fn near_bytes(bytes in near()) {
        everything(&bytes);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        everything(&bytes);
    }
}
