//! Requests, as the SDK builds them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Get, Put, ReturnValuesOnConditionCheckFailure, TransactGetItem,
    TransactWriteItem, Update,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use ports::tables::{Change, Error, Index, Key, Query, Write};

use super::expression::Expressions;
use super::item::{self, PK, SK};
use crate::fault::{self, Fault};

/// The row as it is comes with the failure.
const SHOW: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// One attempt at a single write.
pub(super) async fn write_once(
    client: &Client,
    name: &str,
    write: &Write,
) -> Result<Result<(), Error>, Fault> {
    let mut expressions = Expressions::default();
    let condition = expressions.condition(&write.condition);
    let key = item::key(&write.key);
    match &write.change {
        Change::Put(row) => {
            let (names, values) = expressions.into_parts();
            let request = client
                .put_item()
                .table_name(name)
                .set_item(Some(item::row(&write.key, row)))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            outcome(name, write, request.send().await, |error| match error {
                PutItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        }
        Change::Edit(edits) => {
            let edits = expressions.edits(edits);
            let (names, values) = expressions.into_parts();
            let request = client
                .update_item()
                .table_name(name)
                .set_key(Some(key))
                .set_update_expression(edits)
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            outcome(name, write, request.send().await, |error| match error {
                UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        }
        Change::Delete => {
            let (names, values) = expressions.into_parts();
            let request = client
                .delete_item()
                .table_name(name)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            outcome(name, write, request.send().await, |error| match error {
                DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed),
                _ => None,
            })
        }
        Change::Check => Err(Fault::Invalid("a check outside of a transaction".to_owned())),
    }
}

/// What became of a single write.
fn outcome<T, E>(
    name: &str,
    write: &Write,
    answer: Result<T, SdkError<E, HttpResponse>>,
    failed: impl Fn(&E) -> Option<&ConditionalCheckFailedException>,
) -> Result<Result<(), Error>, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Err(error) = answer else { return Ok(Ok(())) };
    if let Some(failed) = error.as_service_error().and_then(failed) {
        let row = item::item(write.table, failed.item.clone().unwrap_or_default());
        return Ok(Err(row.map_or_else(|damaged| damaged, |row| Error::Condition(vec![Some(row)]))));
    }
    match error.code() {
        Some("ResourceNotFoundException") => Err(Fault::Invalid(format!("there is no table {name}"))),
        _ => Err(fault::of(&error)),
    }
}

/// A read as a part of a snapshot.
pub(super) fn read(name: &str, key: &Key) -> Result<TransactGetItem, Error> {
    let get = Get::builder().table_name(name).set_key(Some(item::key(key))).build();
    get.map(|get| TransactGetItem::builder().get(get).build())
        .map_err(|error| Error::Invalid(error.to_string()))
}

/// A write as a part of a transaction.
pub(super) fn transacted(name: &str, write: &Write) -> Result<TransactWriteItem, Error> {
    let mut expressions = Expressions::default();
    let item = TransactWriteItem::builder();
    let key = item::key(&write.key);
    let built = match &write.change {
        Change::Put(row) => {
            let condition = expressions.condition(&write.condition);
            let (names, values) = expressions.into_parts();
            let put = Put::builder()
                .table_name(name)
                .set_item(Some(item::row(&write.key, row)))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            put.build().map(|put| item.put(put))
        }
        Change::Edit(edits) => {
            let edits = expressions.edits(edits);
            let condition = expressions.condition(&write.condition);
            let (names, values) = expressions.into_parts();
            let update = Update::builder()
                .table_name(name)
                .set_key(Some(key))
                .set_update_expression(edits)
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            update.build().map(|update| item.update(update))
        }
        Change::Delete => {
            let condition = expressions.condition(&write.condition);
            let (names, values) = expressions.into_parts();
            let delete = Delete::builder()
                .table_name(name)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            delete.build().map(|delete| item.delete(delete))
        }
        Change::Check => {
            let condition = expressions.test(&write.condition);
            let (names, values) = expressions.into_parts();
            let check = ConditionCheck::builder()
                .table_name(name)
                .set_key(Some(key))
                .condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(SHOW);
            check.build().map(|check| item.condition_check(check))
        }
    };
    built.map(|item| item.build()).map_err(|error: BuildError| Error::Invalid(error.to_string()))
}

/// A query from its start.
pub(super) fn query(client: &Client, name: &str, query: &Query, index: Option<&Index>) -> QueryFluentBuilder {
    let mut expressions = Expressions::default();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let pk = expressions.name(index.map_or(PK, |index| index.pk));
    let mut conditions = vec![format!("{pk} = {}", expressions.value(text(&query.pk)))];
    let sk = index.map_or(Some(SK), |index| index.sk).unwrap_or(SK);
    // An empty lower end is below every text, and the service takes no empty keys.
    match (query.from.as_deref().filter(|from| !from.is_empty()), query.to.as_deref()) {
        (None, None) => {}
        (Some(from), None) => {
            conditions.push(format!("{} >= {}", expressions.name(sk), expressions.value(text(from))));
        }
        (None, Some(to)) => {
            conditions.push(format!("{} <= {}", expressions.name(sk), expressions.value(text(to))));
        }
        // One test a key: the service takes no two.
        (Some(from), Some(to)) => {
            let (from, to) = (expressions.value(text(from)), expressions.value(text(to)));
            conditions.push(format!("{} BETWEEN {from} AND {to}", expressions.name(sk)));
        }
    }
    let (names, values) = expressions.into_parts();
    client
        .query()
        .table_name(name)
        .set_index_name(index.map(|index| index.name.to_owned()))
        .consistent_read(index.is_none())
        .key_condition_expression(conditions.join(" AND "))
        .set_expression_attribute_names(names)
        .set_expression_attribute_values(values)
        .scan_index_forward(!query.descending)
        .limit(limit(query.limit))
}

/// A page's size, as the service takes it.
pub(super) fn limit(limit: usize) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX)
}
