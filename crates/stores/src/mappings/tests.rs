use super::*;

fn at(second: u32) -> Timestamp {
    Timestamp::parse(&format!("2026-11-22T12:00:{second:02}Z")).expect("time")
}

fn id(owner: &str, version: u32) -> Id {
    let owner = Owner::parse(owner).expect("owner");
    Id { owner, event_type: EventType::parse("stock").expect("type"), version }
}

fn row(version: u32, status: Status, shipped: bool, text: &str) -> Row {
    let id = id("platform:shop", version);
    Row { id, text: text.to_owned(), status, activation: 1, shipped, changed_at: at(0) }
}

#[test]
fn owners() {
    for good in ["acme", "platform:shopify", "platform:X_12-846"] {
        assert_eq!(Owner::parse(good).map(|owner| owner.to_string()).as_deref(), Ok(good));
    }
    for bad in ["", "platform:", "platform:a/b", "a:b", "platform:a#b"] {
        assert!(Owner::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_row_reads_back_as_it_was_written() {
    let written = row(3, Status::Retired, true, "text");
    let read = Row::read(&TableRow { key: written.id.key(), item: written.item() });
    assert_eq!(read, Some(written));
    let odd = Id { event_type: EventType::parse("a#0000000001").expect("type"), ..id("acme", 7) };
    assert_eq!(Id::of_key(&odd.key()), Some(odd));
    assert_eq!(Id::of_key(&counter_key()), None);
}

#[test]
fn what_becomes_of_a_shipped_document() {
    use Status::*;
    let shipped = Document { id: id("platform:shop", 2), text: "new".to_owned() };
    let becomes = |versions: &[Row]| seeding(versions, &shipped);
    let some = |version, takes_over| Some(Seeding { version, takes_over });
    assert_eq!(becomes(&[]), some(2, true), "nothing is there");
    assert_eq!(becomes(&[row(2, Active, true, "new")]), None, "it is there");
    assert_eq!(becomes(&[row(2, Retired, true, "new")]), None, "an operator retired it");
    assert_eq!(becomes(&[row(1, Active, true, "old")]), some(2, true), "a newer dvss");
    assert_eq!(becomes(&[row(2, Active, true, "old")]), some(3, true), "changed, but not its version");
    assert_eq!(becomes(&[row(3, Active, true, "newer")]), None, "an older dvss beside a newer one");
    assert_eq!(becomes(&[row(1, Active, false, "own")]), some(2, false), "an operator's own stays");
    let own = [row(1, Retired, true, "old"), row(2, Active, false, "own")];
    assert_eq!(becomes(&own), some(3, false), "an operator's own stays, and keeps its version");
    assert_eq!(becomes(&[row(1, Retired, true, "old")]), some(2, false), "retired on purpose");
    assert_eq!(becomes(&[row(1, Draft, false, "own")]), some(2, true), "a draft is nobody's decision");
}
