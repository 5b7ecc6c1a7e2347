//! Conditions and edits in DynamoDB's language. Names and values never stand in an expression themselves.

use std::collections::HashMap;
use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;
use ports::tables::{Attr, Condition, Edit};

use super::item::{Attributes, PK, value};

/// Expressions of one request, and what their placeholders stand for.
#[derive(Debug, Default)]
pub(super) struct Expressions {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Expressions {
    /// A condition; `None` where it always holds.
    pub(super) fn condition(&mut self, condition: &Condition) -> Option<String> {
        (*condition != Condition::Always).then(|| self.test(condition))
    }

    /// A condition, also one that always holds.
    pub(super) fn test(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Always => self.whether(true),
            Condition::Absent => format!("attribute_not_exists({})", self.name(PK)),
            Condition::Exists => format!("attribute_exists({})", self.name(PK)),
            Condition::Equals(name, attr) => format!("{} = {}", self.name(name), self.value(value(attr))),
            Condition::Missing(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Below(name, bound) => {
                format!("{} < {}", self.name(name), self.value(value(&Attr::N(*bound))))
            }
            Condition::All(parts) => self.joined(parts, " AND ", true),
            Condition::Any(parts) => self.joined(parts, " OR ", false),
        }
    }

    /// Edits; `None` where there are none.
    pub(super) fn edits(&mut self, edits: &[Edit]) -> Option<String> {
        let (mut sets, mut removes, mut adds) = (Vec::new(), Vec::new(), Vec::new());
        for edit in edits {
            match edit {
                Edit::Set(name, attr) => {
                    sets.push(format!("{} = {}", self.name(name), self.value(value(attr))))
                }
                Edit::Remove(name) => removes.push(self.name(name)),
                Edit::Add(name, number) => {
                    adds.push(format!("{} {}", self.name(name), self.value(value(&Attr::N(*number)))));
                }
            }
        }
        let mut text = String::new();
        for (verb, parts) in [("SET", sets), ("REMOVE", removes), ("ADD", adds)] {
            if !parts.is_empty() {
                let space = if text.is_empty() { "" } else { " " };
                let _infallible = write!(text, "{space}{verb} {}", parts.join(", "));
            }
        }
        (!text.is_empty()).then_some(text)
    }

    /// A placeholder for a name; one a name.
    pub(super) fn name(&mut self, name: &str) -> String {
        let place = self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        format!("#{place}")
    }

    /// A placeholder for a value.
    pub(super) fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":{}", self.values.len() - 1)
    }

    /// What the placeholders stand for; `None` where there are none, since the service refuses empty maps.
    pub(super) fn into_parts(self) -> (Option<HashMap<String, String>>, Option<Attributes>) {
        let names: HashMap<_, _> =
            (0..).zip(self.names).map(|(at, name): (usize, _)| (format!("#{at}"), name)).collect();
        let values: Attributes =
            (0..).zip(self.values).map(|(at, value): (usize, _)| (format!(":{at}"), value)).collect();
        ((!names.is_empty()).then_some(names), (!values.is_empty()).then_some(values))
    }

    fn joined(&mut self, parts: &[Condition], operator: &str, empty: bool) -> String {
        match parts {
            [] => self.whether(empty),
            [one] => self.test(one),
            parts => {
                let parts: Vec<String> = parts.iter().map(|part| self.test(part)).collect();
                format!("({})", parts.join(operator))
            }
        }
    }

    /// The language has no constants.
    fn whether(&mut self, holds: bool) -> String {
        let pk = self.name(PK);
        let operator = if holds { "OR" } else { "AND" };
        format!("(attribute_exists({pk}) {operator} attribute_not_exists({pk}))")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        use Condition::*;
        let seven = || Equals("n", Attr::N(7));
        for (condition, expected) in [
            (Absent, "attribute_not_exists(#0)"),
            (Exists, "attribute_exists(#0)"),
            (seven(), "#0 = :0"),
            (Missing("n"), "attribute_not_exists(#0)"),
            (Below("n", 8), "#0 < :0"),
            (All(vec![seven()]), "#0 = :0"),
            (
                All(vec![seven(), Missing("m"), Below("n", 9)]),
                "(#0 = :0 AND attribute_not_exists(#1) AND #0 < :1)",
            ),
            (
                Any(vec![Absent, All(vec![seven(), Exists])]),
                "(attribute_not_exists(#0) OR (#1 = :0 AND attribute_exists(#0)))",
            ),
            (All(vec![]), "(attribute_exists(#0) OR attribute_not_exists(#0))"),
            (Any(vec![]), "(attribute_exists(#0) AND attribute_not_exists(#0))"),
        ] {
            let mut expressions = Expressions::default();
            assert_eq!(expressions.condition(&condition).as_deref(), Some(expected), "{condition:?}");
        }
        let mut expressions = Expressions::default();
        assert_eq!(expressions.condition(&Always), None);
        assert_eq!(expressions.into_parts(), (None, None));
    }

    #[test]
    fn edits_share_names_with_the_condition() {
        let mut expressions = Expressions::default();
        let edits = [
            Edit::Add("n", -1),
            Edit::Set("a", Attr::Bool(true)),
            Edit::Remove("r"),
            Edit::Set("size", Attr::S("x".to_owned())),
            Edit::Remove("q"),
        ];
        assert_eq!(
            expressions.edits(&edits).as_deref(),
            Some("SET #1 = :1, #3 = :2 REMOVE #2, #4 ADD #0 :0")
        );
        assert_eq!(expressions.condition(&Condition::Below("n", 3)).as_deref(), Some("#0 < :3"));
        let (names, values) = expressions.into_parts();
        assert_eq!(names.unwrap_or_default()["#3"], "size");
        assert_eq!(values.unwrap_or_default()[":3"], AttributeValue::N("3".to_owned()));
        assert_eq!(Expressions::default().edits(&[]), None);
    }
}
