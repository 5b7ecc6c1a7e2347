use super::*;

const ISA: &str = "ISA*00*          *00*          *ZZ*SELLER         *ZZ*BUYER          *240101*1200*U*00401*000000001*0*P*>";

fn file(terminator: &str) -> String {
    [
        ISA,
        "GS*IN*S*B*20240101*1200*1*X*004010",
        "ST*810*0001",
        "BIG*20240101*A 1",
        "TDS*100",
        "SE*4*0001",
        "GE*1*1",
        "IEA*1*1",
    ]
    .map(|segment| format!("{segment}{terminator}"))
    .concat()
}

#[test]
fn every_terminator_gives_the_same() {
    for terminator in ["~", "~\n", "~\r\n", "\n", "\r\n", "\r", "'", " \n", "~   \r\n\t"] {
        let text = file(terminator);
        let interchanges = parse(&text).expect(terminator);
        let [interchange] = &interchanges[..] else { panic!("one interchange: {terminator:?}") };
        assert_eq!(interchange.notes, Vec::<String>::new(), "{terminator:?}");
        let [transaction] = &interchange.groups[0].transactions[..] else { panic!("one transaction") };
        assert_eq!((transaction.set_id, transaction.notes.len()), ("810", 0), "{:?}", transaction.notes);
        assert_eq!(transaction.segments[0].element(2), Some("A 1"));
        assert_eq!(transaction.segments[1].position, 5);
    }
}

#[test]
fn an_isa_without_padding_still_says_its_delimiters() {
    let text = file("~").replace("          ", "").replace("SELLER         ", "SELLER").replace('*', "|");
    let interchanges = parse(&text).expect("x12");
    assert_eq!(
        interchanges[0].delimiters,
        Delimiters { element: '|', component: '>', repetition: None, segment: '~' }
    );
}

#[test]
fn several_interchanges_with_delimiters_of_their_own() {
    let text = format!("{}\r\n{}", file("~"), file("\n").replace('*', "+"));
    let interchanges = parse(&text).expect("x12");
    assert_eq!(interchanges.iter().map(|i| i.groups.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(interchanges[1].groups[0].transactions[0].segments[0].position, 12);
}

#[test]
fn what_is_wrong_with_the_envelope_is_noted() {
    let cut = file("~").replace("IEA*1*1~", "").replace("GE*1*1~", "").replace("SE*4*0001~", "SE*9*0002~");
    let interchanges = parse(&cut).expect("x12");
    assert_eq!(interchanges[0].notes, ["the last group has no GE", "the interchange has no IEA"]);
    let notes = &interchanges[0].groups[0].transactions[0].notes;
    assert_eq!(notes[0], "segment 6: SE says 9 segments, there are 4");
    assert_eq!(notes.len(), 2);
    let none = file("~").replace("SE*4*0001~", "");
    assert_eq!(parse(&none).expect("x12")[0].groups[0].transactions[0].notes.len(), 1);
    assert!(parse(&file("~").replacen("ISA", "FSA", 1)).is_err());
}

#[test]
fn as_json() {
    let text = file("~");
    let json = to_json(&parse(&text).expect("x12"));
    let segment = json.at("/0/groups/0/transactions/0/segments/0").expect("a segment");
    assert_eq!(segment.to_string(), r#"{"id":"BIG","01":"20240101","02":"A 1"}"#);
    assert_eq!(json.at("/0/header/06").and_then(Json::as_str), Some("SELLER"));
}
