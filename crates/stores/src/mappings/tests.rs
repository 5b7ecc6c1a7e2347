use super::seed::{Seeding, seeding};
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
    let document = Document { id: id("platform:shop", 3), text: "text".to_owned() };
    let written = Text::of(&document, true, at(0));
    let read = Text::read(&TableRow { key: written.id.key(), item: written.item() });
    assert_eq!(read, Some(written.clone()));
    assert!(!state::is_key(&written.id.key()) && state::is_key(&state::key(&written.id)));
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

#[test]
fn one_row_says_where_every_version_stands() {
    let first = State::default().activate(1, 4, at(1));
    let second = first.activate(3, 5, at(2));
    let none = second.retire(7, at(3));
    let again = none.activate(1, 9, at(4));
    let stands = |state: &State, version: u32| {
        state.of(version).map(|(status, changed)| (status, changed.activation, changed.at))
    };
    use Status::{Active, Retired};
    for (state, active, of_1, of_3) in [
        (&first, Some(1), Some((Active, 4, at(1))), None),
        (&second, Some(3), Some((Retired, 5, at(2))), Some((Active, 5, at(2)))),
        (&none, None, Some((Retired, 5, at(2))), Some((Retired, 7, at(3)))),
        (&again, Some(1), Some((Active, 9, at(4))), Some((Retired, 7, at(3)))),
    ] {
        assert_eq!((state.active(), stands(state, 1), stands(state, 3)), (active, of_1, of_3));
        let ports::tables::Change::Put(item) = state.write(&id("acme", 1), &first).change else {
            panic!("a put")
        };
        assert_eq!(State::read(Some(&item)).as_ref(), Some(state), "as it was written");
    }
    assert_eq!(State::read(None), Some(State::default()));
    assert_eq!(State::read(Some(&Item::new())), None);
}
