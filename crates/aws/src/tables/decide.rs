//! Why a transaction, or a snapshot, was cancelled: pure.

use aws_sdk_dynamodb::types::CancellationReason;
use ports::tables::{Error, Write};

use super::item;
use crate::fault::Fault;

/// Reads the reasons, one a write and in their order. A condition counts as failed only where nothing else
/// stood in the way: beside a conflict, the other writes' conditions are unknown.
pub(super) fn cancelled(reasons: &[CancellationReason], writes: &[Write]) -> Result<Error, Fault> {
    let mut failed = Vec::with_capacity(writes.len());
    let mut waits = None;
    for (reason, write) in reasons.iter().zip(writes) {
        let code = reason.code().unwrap_or("None");
        let text =
            || format!("{code} at {}: {}", write.table.name, reason.message().unwrap_or("no reason given"));
        let mut shown = None;
        match code {
            "None" => {}
            "ConditionalCheckFailed" => {
                match item::item(write.table, reason.item.clone().unwrap_or_default()) {
                    Ok(row) => shown = Some(row),
                    Err(damaged) => return Ok(damaged),
                }
            }
            "TransactionConflict" => waits = Some(Fault::Conflict(text())),
            "ProvisionedThroughputExceeded" | "ThrottlingError" => waits = Some(Fault::Throttled(text())),
            "AccessDenied" => return Err(Fault::Denied(text())),
            // ValidationError, ItemCollectionSizeLimitExceeded, DuplicateItem, and whatever is to come.
            _ => return Err(Fault::Invalid(text())),
        }
        failed.push(shown);
    }
    match waits {
        Some(fault) => Err(fault),
        None if failed.len() == writes.len() && failed.iter().any(Option::is_some) => {
            Ok(Error::Condition(failed))
        }
        None => Err(Fault::Unknown("a transaction was cancelled without a reason".to_owned())),
    }
}

/// Reads the reasons of a snapshot; the first that says something counts.
pub(super) fn unread(reasons: &[CancellationReason]) -> Fault {
    let told = reasons.iter().find(|reason| reason.code().is_some_and(|code| code != "None"));
    let Some(reason) = told else {
        return Fault::Unknown("a snapshot was cancelled without a reason".to_owned());
    };
    let code = reason.code().unwrap_or_default();
    let text = format!("{code} at a snapshot: {}", reason.message().unwrap_or("no reason given"));
    match code {
        "TransactionConflict" => Fault::Conflict(text),
        "ProvisionedThroughputExceeded" | "ThrottlingError" => Fault::Throttled(text),
        "AccessDenied" => Fault::Denied(text),
        _ => Fault::Invalid(text),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use ports::tables::{Attr, Condition, Item, Key, Table};

    use super::*;

    static TABLE: Table = Table { name: "t", sorted: false, indexes: &[] };

    fn reason(code: &str) -> CancellationReason {
        CancellationReason::builder().code(code).message("m").build()
    }

    #[test]
    fn reasons_are_read_by_their_place() {
        let row = |number: i64| {
            let key = AttributeValue::S("p".to_owned());
            reason_with([("pk".to_owned(), key), ("n".to_owned(), AttributeValue::N(number.to_string()))])
        };
        fn reason_with(item: [(String, AttributeValue); 2]) -> CancellationReason {
            CancellationReason::builder().code("ConditionalCheckFailed").set_item(Some(item.into())).build()
        }
        let n = |number| Some(Item::from([("n".to_owned(), Attr::N(number))]));
        let conflict = || reason("TransactionConflict");
        let text = |code: &str| format!("{code} at t: m");
        for (reasons, expected) in [
            (vec![reason("None"), row(1)], Ok(Error::Condition(vec![None, n(1)]))),
            (vec![row(1), row(2)], Ok(Error::Condition(vec![n(1), n(2)]))),
            (
                vec![reason("ConditionalCheckFailed"), reason("None")],
                Ok(Error::Condition(vec![Some(Item::new()), None])),
            ),
            (vec![row(1), conflict()], Err(Fault::Conflict(text("TransactionConflict")))),
            (vec![conflict(), reason("ThrottlingError")], Err(Fault::Throttled(text("ThrottlingError")))),
            (vec![conflict(), reason("ValidationError")], Err(Fault::Invalid(text("ValidationError")))),
            (vec![reason("AccessDenied"), row(1)], Err(Fault::Denied(text("AccessDenied")))),
            (
                vec![reason("None"), reason("None")],
                Err(Fault::Unknown("a transaction was cancelled without a reason".to_owned())),
            ),
        ] {
            let write = |pk: &str| Write::put(&TABLE, Key::of(pk), Item::new(), Condition::Absent);
            assert_eq!(cancelled(&reasons, &[write("a"), write("b")]), expected, "{reasons:?}");
        }
    }
    #[test]
    fn a_snapshot_waits_for_a_transaction_that_is_under_way() {
        let text = |code: &str| format!("{code} at a snapshot: m");
        for (codes, expected) in [
            (["None", "TransactionConflict"], Fault::Conflict(text("TransactionConflict"))),
            (["ThrottlingError", "None"], Fault::Throttled(text("ThrottlingError"))),
            (["AccessDenied", "None"], Fault::Denied(text("AccessDenied"))),
            (["ValidationError", "None"], Fault::Invalid(text("ValidationError"))),
            (["None", "None"], Fault::Unknown("a snapshot was cancelled without a reason".to_owned())),
        ] {
            assert_eq!(unread(&codes.map(reason)), expected, "{codes:?}");
        }
    }
}
