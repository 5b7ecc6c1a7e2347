//! Step four of the loop: one transaction.

use std::future::Future;
use std::time::Duration;

use contract::Code;
use ports::log::{self, Offset, Owner, Partition, Producer, Record};
use tokio::time::timeout;

use crate::error::{Trouble, in_commit, in_transaction};
use crate::settle::weight;
use crate::{Fatal, Options, Output, Placed, Processor, duration};

/// A call to the log that takes no longer than `limit`. Beyond it nobody knows whether it happened.
pub(crate) async fn bounded<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T, log::Error>>,
) -> Result<T, log::Error> {
    let late = || log::Error::Unknown(format!("{what} took longer than {}", duration::show(limit)));
    timeout(limit, call).await.unwrap_or_else(|_| Err(late()))
}

/// Produces the outputs of each input partition, then the processor's receipts of them, and commits
/// them with the next offsets under `owner`'s ownership.
pub(crate) async fn transact<P: Processor>(
    processor: &P,
    producer: &mut dyn Producer,
    options: &Options,
    owner: &Owner,
    parts: Vec<(Partition, Vec<Output>)>,
    next: &[(Partition, Offset)],
) -> Result<Vec<Placed>, Trouble> {
    let limit = options.transaction_timeout;
    let trouble = |error: log::Error| in_transaction(P::NAME, &error);
    bounded(limit, "the transaction's begin", producer.begin()).await.map_err(trouble)?;

    let outputs = || parts.iter().flat_map(|(_, outputs)| outputs);
    let largest = outputs().max_by_key(|output| weight(&output.record)).map(named).unwrap_or_default();
    let records = outputs().map(|output| output.record.clone()).collect();
    let mut places = send::<P>(producer, limit, records, &largest).await?.into_iter();
    let mut placed: Vec<Placed> = parts
        .into_iter()
        .map(|(input, outputs)| Placed {
            input,
            outputs: outputs.into_iter().zip(places.by_ref()).collect(),
            receipts: vec![],
        })
        .collect();

    let receipts: Vec<Vec<Record>> =
        placed.iter().map(|placed| processor.receipts(&placed.input, &placed.outputs)).collect();
    let counts: Vec<usize> = receipts.iter().map(Vec::len).collect();
    let records = receipts.into_iter().flatten().collect();
    let mut places = send::<P>(producer, limit, records, "a receipt").await?.into_iter();
    for (placed, count) in placed.iter_mut().zip(counts) {
        placed.receipts.extend(places.by_ref().take(count));
    }

    let committed = bounded(limit, "the commit", producer.commit(owner, next)).await;
    committed.map_err(|error| in_commit(P::NAME, &error))?;
    Ok(placed)
}

async fn send<P: Processor>(
    producer: &mut dyn Producer,
    limit: Duration,
    records: Vec<Record>,
    largest: &str,
) -> Result<Vec<log::Coordinates>, Trouble> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let count = records.len();
    match bounded(limit, "producing", producer.send(records)).await {
        // An output without coordinates would be an output without a report.
        Ok(places) if places.len() != count => {
            let message = format!("{} reports for {count} records", places.len());
            Err(Trouble::Fatal(Fatal { stage: P::NAME, code: Code::Internal, message }))
        }
        Ok(places) => Ok(places),
        Err(error @ log::Error::TooLarge { .. }) => {
            let message = format!("{error}; the largest one is {largest}");
            Err(Trouble::Fatal(Fatal { stage: P::NAME, code: Code::RecordTooLarge, message }))
        }
        Err(error) => Err(in_transaction(P::NAME, &error)),
    }
}

/// An output as a person finds it: where it goes, and what it is about.
fn named(output: &Output) -> String {
    let Output { record, identity } = output;
    let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let identity = identity.as_ref().map(|identity| format!(", {identity}")).unwrap_or_default();
    format!("for {} under key `{key}`{identity}", record.topic)
}
