//! What a write means to a row: pure.

use ports::tables::{Attr, Condition, Edit, Error, Item};

/// Whether a condition holds on a row as it is.
pub(super) fn holds(condition: &Condition, row: Option<&Item>) -> bool {
    let attr = |name: &str| row.and_then(|item| item.get(name));
    match condition {
        Condition::Always => true,
        Condition::Absent => row.is_none(),
        Condition::Exists => row.is_some(),
        Condition::Equals(name, value) => attr(name) == Some(value),
        Condition::Missing(name) => attr(name).is_none(),
        Condition::Below(name, bound) => {
            attr(name).and_then(Attr::as_i64).is_some_and(|number| number < *bound)
        }
        Condition::All(parts) => parts.iter().all(|part| holds(part, row)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, row)),
    }
}

/// The row after the edits. Numbers that do not fit, and sums with what is no number, are refused.
pub(super) fn edited(mut item: Item, edits: Vec<Edit>) -> Result<Item, Error> {
    for edit in edits {
        match edit {
            Edit::Set(name, value) => set(&mut item, name, value),
            Edit::Remove(name) => {
                item.remove(name);
            }
            Edit::Add(name, number) => {
                let sum = match item.get(name) {
                    None => Some(number),
                    Some(Attr::N(before)) => before.checked_add(number),
                    Some(_) => return Err(Error::Invalid(format!("`{name}` is no number to add to"))),
                };
                let sum =
                    sum.ok_or_else(|| Error::Invalid(format!("`{name}` leaves the range of numbers")))?;
                set(&mut item, name, Attr::N(sum));
            }
        }
    }
    Ok(item)
}

fn set(item: &mut Item, name: &str, value: Attr) {
    match item.get_mut(name) {
        Some(place) => *place = value,
        None => {
            item.insert(name.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Item {
        Item::from([
            ("text".to_owned(), Attr::S("x".into())),
            ("number".to_owned(), Attr::N(7)),
            ("truth".to_owned(), Attr::Bool(true)),
        ])
    }

    #[test]
    fn conditions() {
        use Condition::*;
        let one = || Equals("number", Attr::N(7));
        let no = || Equals("number", Attr::N(8));
        for (condition, on_row, on_absent) in [
            (Always, true, true),
            (Absent, false, true),
            (Exists, true, false),
            (one(), true, false),
            (no(), false, false),
            (Equals("number", Attr::S("7".into())), false, false),
            (Equals("truth", Attr::Bool(true)), true, false),
            (Equals("gone", Attr::N(0)), false, false),
            (Missing("number"), false, true),
            (Missing("gone"), true, true),
            (Below("number", 8), true, false),
            (Below("number", 7), false, false),
            (Below("text", 7), false, false),
            (Below("gone", 7), false, false),
            (All(vec![]), true, true),
            (All(vec![one(), Exists]), true, false),
            (All(vec![one(), no()]), false, false),
            (Any(vec![]), false, false),
            (Any(vec![no(), one()]), true, false),
            (Any(vec![Absent, All(vec![one(), Missing("gone")])]), true, true),
        ] {
            assert_eq!(holds(&condition, Some(&row())), on_row, "{condition:?} on a row");
            assert_eq!(holds(&condition, None), on_absent, "{condition:?} on no row");
        }
    }

    #[test]
    fn edits() {
        let edits = vec![
            Edit::Set("text", Attr::N(1)),
            Edit::Set("new", Attr::Bool(false)),
            Edit::Remove("truth"),
            Edit::Remove("gone"),
            Edit::Add("number", -9),
            Edit::Add("counter", 2),
        ];
        let after = Item::from([
            ("counter".to_owned(), Attr::N(2)),
            ("new".to_owned(), Attr::Bool(false)),
            ("number".to_owned(), Attr::N(-2)),
            ("text".to_owned(), Attr::N(1)),
        ]);
        assert_eq!(edited(row(), edits), Ok(after));
        assert_eq!(edited(Item::new(), vec![]), Ok(Item::new()));
    }

    #[test]
    fn sums_that_are_none() {
        for edit in [Edit::Add("text", 1), Edit::Add("number", i64::MAX)] {
            assert!(matches!(edited(row(), vec![edit.clone()]), Err(Error::Invalid(_))), "{edit:?}");
        }
    }
}
