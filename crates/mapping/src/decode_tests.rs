use std::borrow::Cow;

use contract::{EventType, ExternalEventId, Timestamp, VendorId};
use proptest::prelude::*;

use super::*;
use crate::EventContext;

fn mapping(format: &str) -> Mapping {
    let text = format!(
        "mapping: v1\nplatform: test\neventType: t\nversion: 1\n{format}\nfacts:\n  - type: OrderUpdated\n    fields:\n      orderId: {{const: o}}\n      status: {{const: OPEN}}\n      total: {{from: '[..|strings|select(test(\"^[0-9]\"))]|last', decimalMark: either}}\n"
    );
    Mapping::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn tree(format: &str, text: &str) -> Result<String, (Code, String)> {
    let decoded = mapping(format).decode(&Opaque::Text(text.to_owned()));
    decoded.map(|tree| tree.to_string()).map_err(|rejection| (rejection.code, rejection.message))
}

const ISA: &str = "ISA*00**00**ZZ*A*ZZ*B*260101*1200*U*00401*1*0*P*>~GS*IB*A*B*20260101*1200*1*X*004010~";

/// The first transaction set of an interchange.
fn set(loops: &str, segments: &str) -> Json {
    let text = format!("{ISA}ST*846*1~{segments}");
    let decoded = mapping(&format!("format: x12\nloops: {loops}")).decode(&Opaque::Text(text)).expect("X12");
    decoded.at("/0/groups/0/transactions/0").expect("a set").clone()
}

#[test]
fn loops_take_what_stands_behind_their_segment() {
    let set = set(
        "{item: LIN, quantity: QTY}",
        "BIA*00~LIN*1*VN*A~QTY*33*1~UIT*EA~QTY*17*2~LIN*2*VN*B~REF*LU*1~CTT*2~AMT*1*5~SE*1*1~",
    );
    let ids = |pointer: &str| -> Vec<String> {
        let Some(Json::Array(items)) = set.at(pointer) else { panic!("{pointer} in {set}") };
        items
            .iter()
            .map(|item| item.get("id").and_then(Json::as_str).unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(ids("/segments"), ["BIA", "CTT", "AMT"], "header and summary");
    assert_eq!(ids("/item"), ["LIN", "LIN"]);
    assert_eq!(ids("/quantity"), Vec::<String>::new(), "a list even where there is none");
    assert_eq!(ids("/item/0/quantity"), ["QTY", "QTY"]);
    assert_eq!(ids("/item/0/quantity/0/segments"), ["UIT"]);
    assert_eq!(ids("/item/1/segments"), ["REF"]);
    assert_eq!(ids("/item/1/quantity"), Vec::<String>::new());
}

#[test]
fn a_loop_may_be_opened_by_an_element() {
    let set = set(
        "{order: HL.03=O, item: HL.03=I, pack: HL}",
        "HL*1**S~HL*2*1*O~PRF*P1~HL*3*2*P~HL*4*3*I~LIN**VN*A~HL*5*1*O~HL*6*5*I~SE*1*1~",
    );
    let at = |pointer: &str| set.at(pointer).and_then(Json::as_str).map(str::to_owned);
    assert_eq!(at("/pack/0/03").as_deref(), Some("S"));
    assert_eq!(at("/order/0/segments/0/01").as_deref(), Some("P1"));
    assert_eq!(at("/order/0/pack/0/03").as_deref(), Some("P"));
    assert_eq!(at("/order/0/item/0/segments/0/ids/VN").as_deref(), Some("A"));
    assert_eq!(at("/order/1/item/0/01").as_deref(), Some("6"));
}

#[test]
fn ids_by_their_qualifiers() {
    let ids =
        |segment: &str| set("{}", &format!("{segment}~SE*1*1~")).at("/segments/0/ids").map(Json::to_string);
    assert_eq!(ids("LIN*1*VN*A*UP*012").as_deref(), Some(r#"{"VN":"A","UP":"012"}"#));
    assert_eq!(ids("LIN**BP*A*BP*B*BP*A").as_deref(), Some(r#"{"BP":["A","B"]}"#));
    assert_eq!(
        ids("LIN*UP*012345*IN*99887").as_deref(),
        Some(r#"{"UP":"012345","IN":"99887"}"#),
        "LIN01 left out"
    );
    assert_eq!(ids("PO1*1*5*EA*2*PE*VN*A").as_deref(), Some(r#"{"VN":"A"}"#));
    assert_eq!(ids("LIN*1").as_deref(), Some("{}"));
    assert_eq!(ids("N1*WH*x"), None);
}

#[test]
fn each_format_is_a_tree() {
    assert_eq!(tree("format: xml\nlists: [b]", "<a><b>1</b></a>").as_deref(), Ok(r#"{"a":{"b":["1"]}}"#));
    assert_eq!(tree("format: csv", "sku;stock\nA;1,5\n").as_deref(), Ok(r#"[{"sku":"A","stock":"1,5"}]"#));
    assert_eq!(tree("format: csv", "sku\tstock\n").as_deref(), Ok("[]"), "a header alone reports nothing");
    let edifact = tree(
        "format: edifact\nloops: {item: LIN}",
        "UNH+1+INVRPT:D:96A:UN'BGM+35'LIN+1'QTY+145:7'UNS+S'UNT+6+1'",
    );
    let edifact = Json::parse(edifact.expect("EDIFACT").as_bytes()).expect("JSON");
    assert_eq!(edifact.at("/messages/0/item/0/segments/0/1/1").and_then(Json::as_str), Some("7"));
    assert_eq!(edifact.at("/messages/0/segments/1/id").and_then(Json::as_str), Some("UNS"));
    assert_eq!(tree("format: json", "[1.0]").as_deref(), Ok("[1.0]"));
}

#[test]
fn a_string_is_decoded_already_and_bytes_say_how_they_are_encoded() {
    let declared = "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>";
    assert_eq!(tree("format: xml", declared).as_deref(), Ok(r#"{"a":"é"}"#));
    let latin: Vec<u8> = declared.chars().map(|c| u8::try_from(u32::from(c)).expect("latin")).collect();
    let decoded = mapping("format: xml").decode(&Opaque::Bytes(Cow::Owned(latin)));
    assert_eq!(decoded.map(|tree| tree.to_string()).as_deref(), Ok(r#"{"a":"é"}"#));
}

#[test]
fn what_is_not_of_the_format_is_refused() {
    let code = |format: &str, text: &str| tree(format, text).map_err(|(code, _)| code);
    let mismatch = Err(Code::SourceSchemaMismatch);
    for format in ["xml", "x12", "edifact", "csv"] {
        for text in ["", "  ", "plain", "\u{0}", "{\"a\":1}"] {
            assert_eq!(code(&format!("format: {format}"), text), mismatch, "{format} {text:?}");
        }
    }
    assert_eq!(code("format: xml", "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), mismatch);
    assert_eq!(code("format: xml", &"<a>".repeat(100_000)), Err(Code::RecordTooLarge));
    assert_eq!(code("format: json", "<a/>"), Err(Code::JsonSyntax));
    let (_, message) = tree("format: xml", "<a>\n<b></a>").expect_err("refused");
    assert!(message.contains("the mapping reads XML") && message.contains("line 2"), "{message}");
    let wrapped = tree("format: x12", &format!("{ISA}ST*846*1~REF*LU*W1\nQTY*17*3~SE*3*1~"));
    assert!(wrapped.expect_err("refused").1.contains("line break"));
    let no_isa16 = ISA.replace("*>~", "*~\n").replace("004010~", "004010~\n");
    let refused = tree("format: x12", &format!("{no_isa16}ST*846*1~\nSE*2*1~\n")).expect_err("refused");
    assert!(refused.1.contains("ISA16"), "{refused:?}");
}

/// A header is repeated with every row, so a small file could become a large tree.
#[test]
fn a_table_is_bounded_once_it_is_a_tree() {
    let header: Vec<String> = (0..400)
        .map(|n| {
            format!("{}{}", "x".repeat(500), char::from(b'a' + (n % 26) as u8)).repeat(1) + &"y".repeat(n)
        })
        .collect();
    let rows = format!("{}\n", ",".repeat(399).replacen(',', "v,", 1)).repeat(200);
    let refused = tree("format: csv", &format!("{}\n{rows}", header.join(","))).expect_err("refused");
    assert_eq!(refused.0, Code::RecordTooLarge, "{}", refused.1);
}

#[test]
fn numbers_that_are_texts_are_exact() {
    let total = |format: &str, text: &str| {
        let event = EventContext {
            vendor_id: VendorId::parse("acme").expect("id"),
            external_event_id: ExternalEventId::parse("e").expect("id"),
            event_type: EventType::parse("t").expect("type"),
            occurred_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("time"),
        };
        let mapping = Mapping::parse(&format!(
            "mapping: v1\nplatform: test\neventType: t\nversion: 1\nformat: csv\nfacts:\n  - type: OrderUpdated\n    each: .[]\n    fields:\n      orderId: .id\n      status: {{const: OPEN}}\n      total: {{from: .total{format}}}\n"
        ));
        let mapping = mapping.expect("a document");
        let payload = mapping.decode(&Opaque::Text(format!("id;total\na;{text}\n"))).expect("a table");
        let mapped = mapping.apply(&payload, &event).map_err(|rejection| rejection.pointer)?;
        match &mapped.facts[0].data {
            contract::canonical::Data::OrderUpdated(order) => {
                Ok(order.total.as_ref().map(ToString::to_string).unwrap_or_default())
            }
            other => panic!("{other:?}"),
        }
    };
    for (mark, text, expected) in [
        ("", "10", Some("10")),
        ("", "10.50", Some("10.50")),
        ("", "1,5", None),
        ("", ".5", Some("0.5")),
        ("", "-.5", Some("-0.5")),
        ("", "5.", Some("5")),
        ("", "+5", Some("5")),
        ("", "+.5", Some("0.5")),
        ("", "+-5", None),
        ("", ".", None),
        ("", "5..", None),
        ("", "1.2.3", None),
        ("", "0x10", None),
        ("", "1 000", None),
        (", decimalMark: comma", "1,5", Some("1.5")),
        (", decimalMark: comma", "15", Some("15")),
        (", decimalMark: comma", "1.500", None),
        (", decimalMark: comma", "1.500,00", None),
        (", decimalMark: comma", "1,5,0", None),
        (", decimalMark: either", "1,5", Some("1.5")),
        (", decimalMark: either", "1.5", Some("1.5")),
        (", decimalMark: either", "1,500.0", None),
    ] {
        let expected = expected.map(str::to_owned).ok_or("/0/total".to_owned());
        assert_eq!(total(mark, text), expected, "{mark} {text}");
    }
}

#[test]
fn mistakes_in_a_document() {
    let mistake = |format: &str| {
        let text = format!("mapping: v1\nplatform: t\neventType: t\nversion: 1\n{format}\nnone: why\n");
        Mapping::parse(&text).err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (format, part) in [
        ("format: xlm", "did you mean xml?"),
        ("lists: [a]", "write `format: xml`"),
        ("format: csv\nloops: {a: LIN}", "write `format: x12`"),
        ("format: xml\nlists: a", "a list of elements' names"),
        ("format: x12\nloops: [LIN]", "outermost first"),
        ("format: x12\nloops: {segments: LIN}", "a loop's name"),
        ("format: x12\nloops: {9a: LIN}", "a loop's name"),
        ("format: x12\nloops: {a: HL.03}", "HL.03=O"),
        ("format: x12\nloops: {a: HL=O}", "HL.03=O"),
        ("format: x12\nloops: {a: LINE}", "the id of a segment"),
        ("format: x12\nloops: {a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I}", "at most 8"),
    ] {
        assert!(mistake(format).contains(part), "{format}: {}", mistake(format));
    }
}

/// Every `id` of a segment in a tree, sorted.
fn segment_ids(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| segment_ids(item, found)),
        Json::Object(members) => {
            found.extend(value.get("id").and_then(Json::as_str).map(str::to_owned));
            members.iter().for_each(|(_, value)| segment_ids(value, found));
        }
        _ => {}
    }
}

proptest! {
    /// Whatever the loops: each segment is in the tree, once.
    #[test]
    fn loops_lose_no_segment(segments in proptest::collection::vec("LIN|QTY|HL\\*1\\*1\\*[SOI]|REF|N1|CTT", 0..40)) {
        let text = format!("{ISA}ST*846*1~{}SE*1*1~", segments.iter().map(|id| format!("{id}~")).collect::<String>());
        let read = |loops: &str| {
            let mapping = mapping(&format!("format: x12\nloops: {loops}"));
            let mut found = Vec::new();
            segment_ids(&mapping.decode(&Opaque::Text(text.clone())).expect("X12"), &mut found);
            found.sort();
            found
        };
        let flat = read("{}");
        for loops in ["{item: LIN, quantity: QTY}", "{order: HL.03=O, item: HL.03=I, level: HL, party: N1}"] {
            prop_assert_eq!(&read(loops), &flat);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), like in 0..4_usize) {
        let start = ["", "<a>", ISA, "UNB+UNOC:3+A+B'UNH+1+INVRPT:D:96A'"][like];
        let bytes = [start.as_bytes(), &bytes].concat();
        for format in ["xml", "x12\nloops: {item: LIN}", "edifact\nloops: {item: LIN}", "csv"] {
            let decoded = mapping(&format!("format: {format}")).decode(&Opaque::Bytes(Cow::Borrowed(&bytes)));
            prop_assert!(decoded.is_err() || decoded.is_ok_and(|tree| depth(&tree) <= json::MAX_DEPTH));
        }
    }
}
