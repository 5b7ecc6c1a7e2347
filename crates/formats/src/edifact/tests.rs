use super::*;

const FILE: &str = "UNB+UNOC:3+S:14+B:14+240101:1200+7'\nUNH+1+INVOIC:D:96A:UN'\nBGM+380+A?+1+9'\n\
                    QTY+47:1,5:KGM'\nUNS+S'\nUNT+5+1'\nUNZ+1+7'\n";

#[test]
fn a_file() {
    let file = parse(FILE).expect("edifact");
    assert_eq!((file.notes.len(), file.headers.len()), (0, 1), "{:?}", file.notes);
    let [message] = &file.messages[..] else { panic!("one message") };
    assert_eq!((message.kind.as_deref(), message.directory.as_deref()), (Some("INVOIC"), Some("D.96A")));
    assert!(message.notes.is_empty(), "{:?}", message.notes);
    assert_eq!(message.segments[0].component(2, 1), Some("A+1"));
    assert_eq!(message.segments[1].component(1, 2), Some("1,5"));
    assert_eq!(message.segments[1].position, 4);
}

#[test]
fn una_decides() {
    let file = format!(
        "UNA;*,! ~{}",
        FILE.replace(['\n'], "").replace(':', ";").replace("?+", "!*").replace('+', "*").replace('\'', "~")
    );
    let file = parse(&file).expect("edifact");
    assert_eq!(file.messages[0].segments[0].component(2, 1), Some("A*1"));
    assert_eq!(file.delimiters.decimal, ',');
    assert!(una("UNA:+.?*'").is_some());
    assert!(una("UNA:+.?").is_none());
    assert!(una("UNAbcdefg").is_none());
}

#[test]
fn what_is_wrong_with_the_envelope_is_noted() {
    let file = parse("BGM+380+1'DTM+137:20240101:102'").expect("a bare message");
    assert_eq!((file.messages[0].kind.as_deref(), file.messages[0].notes.len()), (None, 1));
    let cut = FILE.replace("UNT+5+1'\n", "").replace("UNZ+1+7'\n", "");
    let file = parse(&cut).expect("edifact");
    assert_eq!((file.messages[0].notes.len(), file.notes.len()), (1, 1));
    let miscounted = FILE.replace("UNT+5+1'", "UNT+6+2'").replace("UNZ+1", "UNZ+2");
    let file = parse(&miscounted).expect("edifact");
    assert_eq!((file.messages[0].notes.len(), file.notes.len()), (2, 1));
    assert!(parse("hello'world'").is_err());
}

#[test]
fn an_object_between_messages_is_skipped() {
    let with = FILE.replace("UNZ+1", "UNO+P1+1'Sl'Z+==UNP+104+P1'UNZ+1");
    let file = parse(&with).expect("edifact");
    assert!(file.notes.is_empty(), "{:?}", file.notes);
}

#[test]
fn as_json() {
    let json = to_json(&parse(FILE).expect("edifact"));
    assert_eq!(
        json.at("/messages/0/segments/1").expect("QTY").to_string(),
        r#"{"id":"QTY","1":["47","1,5","KGM"]}"#
    );
    assert_eq!(json.at("/messages/0/type").and_then(Json::as_str), Some("INVOIC"));
}
