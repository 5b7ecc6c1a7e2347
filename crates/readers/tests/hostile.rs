//! What nobody sends in good faith: it is refused for the right reason, in bounded time, and nothing panics; and
//! what is cut off is never taken for whole.

use proptest::prelude::*;
use readers::{Hints, Invoice, Reason, read};

const UBL: &str = include_str!("fixtures/ubl.xml");
const CII: &str = include_str!("fixtures/cii.xml");
const X12: &str = include_str!("fixtures/810.edi");
const INVOIC: &str = include_str!("fixtures/invoic.edi");
const CSV: &str = include_str!("fixtures/lines.csv");

fn reason(bytes: &[u8]) -> Option<Reason> {
    read(bytes, &Hints::default()).err().map(|error| error.reason)
}

fn is_flagged(invoice: &Invoice) -> bool {
    !invoice.flags.is_empty() || invoice.lines.iter().any(|line| !line.flags.is_empty())
}

#[test]
fn xml_attacks() {
    let with = |doctype: &str| UBL.replacen("?>", &format!("?><!DOCTYPE i:Invoice [{doctype}]>"), 1);
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10))).collect();
    for doctype in [
        "<!ENTITY l0 'ha'>".to_owned() + &laughs,
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>".into(),
        String::new(),
    ] {
        assert_eq!(reason(with(&doctype).as_bytes()), Some(Reason::Forbidden));
    }
    assert_eq!(reason(UBL.replace("N-1", "&x;").as_bytes()), Some(Reason::Forbidden));
    assert_eq!(reason("<a>".repeat(1_000_000).as_bytes()), Some(Reason::TooLarge));
    let deep = UBL.replace("<ID>N-1</ID>", &format!("{}{}", "<x:e>".repeat(5_000), "</x:e>".repeat(5_000)));
    assert_eq!(reason(deep.as_bytes()), Some(Reason::TooLarge));
    let attributes: String = (0..100_000).map(|n| format!(" a{n}='1'")).collect();
    assert_eq!(reason(format!("<a{attributes}/>").as_bytes()), Some(Reason::TooLarge));
    assert_eq!(reason("<a/>".repeat(3_000_000).as_bytes()), Some(Reason::Damaged));
    assert_eq!(reason(format!("<a>{}</a>", "<b/>".repeat(3_000_000)).as_bytes()), Some(Reason::TooLarge));
    assert_eq!(reason(&vec![b'<'; 40 * 1024 * 1024]), Some(Reason::TooLarge));
}

#[test]
fn a_hundred_thousand_lines() {
    let between = |text: &str, from: &str, to: &str| {
        let start = text.find(from).expect(from);
        let end = text.rfind(to).expect(to) + to.len();
        (text[..start].to_owned(), text[start..end].to_owned(), text[end..].to_owned())
    };
    for (text, from, to) in [
        (UBL, "<a:InvoiceLine>", "</a:InvoiceLine>"),
        (CII, "<ram:IncludedSupplyChainTradeLineItem>", "</ram:IncludedSupplyChainTradeLineItem>"),
        (X12, "IT1*1", "nuts~\n"),
        (INVOIC, "LIN+1", "CA::1000'\n"),
        (CSV, "1;A-1", "10,00\n"),
    ] {
        let (before, lines, behind) = between(text, from, to);
        // Some 20,000 are read, 100,000 are not; bytes may be too many before that.
        let many = format!("{before}{}{behind}", lines.repeat(9_000));
        let reading = read(many.as_bytes(), &Hints::default()).expect("read");
        assert!(reading.invoices[0].lines.len() >= 18_000 && is_flagged(&reading.invoices[0]));
        let too_many = format!("{before}{}{behind}", lines.repeat(50_000));
        assert_eq!(reason(too_many.as_bytes()), Some(Reason::TooLarge), "{from}");
    }
}

#[test]
fn separators_without_end() {
    let isa = &X12[..X12.find("GS*").expect("GS")];
    for text in [
        format!("{isa}ST*810*1~{}", "*".repeat(20_000_000)),
        format!("{isa}ST*810*1~{}", "IT1*~".repeat(4_000_000)),
        format!("UNH+1+INVOIC:D:96A'{}", "+".repeat(20_000_000)),
        format!("UNH+1+INVOIC:D:96A'{}", "LIN+:+:'".repeat(3_000_000)),
        ";;;;\n1;2;3;4;5\n".repeat(1_000_000),
    ] {
        let shown: String = text.chars().take(140).collect();
        assert_eq!(reason(text.as_bytes()), Some(Reason::TooLarge), "{shown}");
    }
    // One row of twenty million columns is no table.
    assert_eq!(reason(";".repeat(20_000_000).as_bytes()), Some(Reason::Unsupported));
    // One quote that is never closed is one long cell.
    assert!(reason(format!("a,b\n\"{}", "x,".repeat(5_000_000)).as_bytes()).is_some());
}

#[test]
fn what_is_cut_off_is_not_taken_for_whole() {
    for (name, text) in [("ubl", UBL), ("cii", CII), ("x12", X12), ("edifact", INVOIC), ("csv", CSV)] {
        let bytes = text.trim_end().as_bytes();
        for tenth in 1..10 {
            let Ok(reading) = read(&bytes[..bytes.len() * tenth / 10], &Hints::default()) else { continue };
            assert!(!matches!(name, "ubl" | "cii"), "{name}: {tenth}/10 was read");
            assert!(reading.invoices.iter().any(is_flagged), "{name}: {tenth}/10");
        }
    }
}

#[test]
fn what_is_nothing() {
    assert_eq!(reason(b""), Some(Reason::Empty));
    assert_eq!(reason(b" \r\n\t"), Some(Reason::Empty));
    for bytes in [
        &b"hello"[..],
        b"\0\0\0\0",
        b"{\"invoice\": 1}",
        b"\x89PNG\r\n\x1a\n",
        b"<html><p>x</html>",
        b"<!DOCTYPE html><p>x",
    ] {
        assert_eq!(reason(bytes), Some(Reason::Unsupported), "{bytes:?}");
    }
    assert_eq!(reason(b"\xD0\xCF\x11\xE0 an old workbook"), Some(Reason::Unsupported));
    let mut encrypted = b"\xD0\xCF\x11\xE0".to_vec();
    encrypted.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(reason(&encrypted), Some(Reason::Encrypted));
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = read(&bytes, &Hints::default());
        let csv = Hints { file_name: Some("a.csv".into()), content_type: None };
        let _ = read(&bytes, &csv);
    }

    /// A document with one stretch of it replaced is read or refused; what is read has its evidence.
    #[test]
    fn damaged_documents(which in 0_usize..5, at in 0.0..1.0, gone in 0_usize..40, new in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut bytes = [UBL, CII, X12, INVOIC, CSV][which].as_bytes().to_vec();
        let start = ((bytes.len() as f64) * at) as usize;
        let end = (start + gone).min(bytes.len());
        bytes.splice(start..end, new);
        if let Ok(reading) = read(&bytes, &Hints::default()) {
            for invoice in &reading.invoices {
                let json = serde_json::to_value(invoice).expect("json");
                for pointer in invoice.evidence.keys() {
                    prop_assert!(json.pointer(pointer).is_some(), "{}", pointer);
                }
            }
        }
    }
}
