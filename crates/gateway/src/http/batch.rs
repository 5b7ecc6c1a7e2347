//! Batches: items are independent; what one of them is does not touch the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use contract::envelope::Refusal;
use contract::{Code, ExternalEventId, json};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use stores::vendors::Vendor;
use tokio::time::Instant;

use super::head::BatchKind;
use super::{problem, receipt};
use crate::accept::{Checked, refused, too_fast};
use crate::admission::Purse;
use crate::{Acceptor, Form, Options, Outcome, Submission};

/// After so many items that were only read, others get their turn.
const YIELD_EVERY: usize = 32;

/// One batch.
pub struct Batch {
    pub acceptor: Acceptor,
    pub options: Options,
    pub vendor: Arc<Vendor>,
    pub form: Form,
    pub traceparent: Option<String>,
    pub purse: Purse,
}

/// The exact bytes of each item.
pub fn split(kind: BatchKind, bytes: &Bytes, most: usize) -> Result<Vec<Bytes>, Refusal> {
    let items: Vec<Bytes> = match kind {
        BatchKind::Array | BatchKind::CloudEvents => {
            json::split_array(bytes)?.into_iter().map(|item| bytes.slice_ref(item)).collect()
        }
        BatchKind::Lines => {
            let lines = bytes.split(|byte| *byte == b'\n');
            lines
                .map(<[u8]>::trim_ascii)
                .filter(|line| !line.is_empty())
                .map(|line| bytes.slice_ref(line))
                .collect()
        }
    };
    if items.len() > most {
        let message = format!("the batch has {} items; at most {most} are taken", items.len());
        return Err(Refusal::new(Code::BatchTooLarge, message));
    }
    Ok(items)
}

impl Batch {
    /// One result an item, in order. Items with one id are taken in their order, so that the first of
    /// them wins.
    pub async fn run(self, items: Vec<Bytes>) -> Vec<Result<Outcome, Refusal>> {
        let deadline = Instant::now() + self.options.batch_timeout;
        let count = items.len();
        let mut results = HashMap::with_capacity(count);
        let mut chains: Vec<Vec<(usize, Checked)>> = Vec::new();
        let mut chain_of: HashMap<ExternalEventId, usize> = HashMap::new();
        let mut spent = false;
        for (index, item) in items.into_iter().enumerate() {
            if index % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            if spent {
                refused(&self.vendor, Code::RateLimited);
                results.insert(index, Err(too_fast()));
                continue;
            }
            match self.check(item) {
                Err(refusal) => {
                    results.insert(index, Err(refusal));
                    match self.purse.pay().await {
                        Some(fare) => fare.refund(),
                        None => spent = true,
                    }
                }
                Ok(checked) => {
                    let id = checked.draft.external_event_id.clone();
                    let chain = *chain_of.entry(id).or_insert_with(|| {
                        chains.push(Vec::new());
                        chains.len() - 1
                    });
                    chains[chain].push((index, checked));
                }
            }
        }
        let failing = AtomicBool::new(false);
        let work = stream::iter(chains).map(|chain| self.take(chain, deadline, &failing));
        let taken: Vec<_> = work.buffer_unordered(self.options.batch_concurrency.max(1)).collect().await;
        results.extend(taken.into_iter().flatten());
        (0..count).map(|index| results.remove(&index).unwrap_or_else(|| Err(not_reached()))).collect()
    }

    fn check(&self, bytes: Bytes) -> Result<Checked, Refusal> {
        let limit = self.options.max_body_bytes;
        if bytes.len() > limit {
            refused(&self.vendor, Code::BodyTooLarge);
            let message = format!("the item has {} bytes; at most {limit} are taken", bytes.len());
            return Err(Refusal::new(Code::BodyTooLarge, message));
        }
        let (form, traceparent) = (self.form.clone(), self.traceparent.clone());
        self.acceptor.check(&self.vendor, Submission { form, bytes, traceparent })
    }

    async fn take(
        &self,
        chain: Vec<(usize, Checked)>,
        deadline: Instant,
        failing: &AtomicBool,
    ) -> Vec<(usize, Result<Outcome, Refusal>)> {
        let mut results = Vec::with_capacity(chain.len());
        let mut spent = false;
        for (index, checked) in chain {
            let ingest_id = Some(checked.draft.ingest_id);
            // Nobody overtakes the one with the same id before it.
            if spent {
                refused(&self.vendor, Code::RateLimited);
                results.push((index, Err(Refusal { ingest_id, ..too_fast() })));
                continue;
            }
            // One unanswered call is enough: the others would only wait for the same.
            if failing.load(Ordering::Relaxed) {
                results.push((index, Err(Refusal { ingest_id, ..not_reached() })));
                continue;
            }
            let take = self.acceptor.take(&self.vendor, checked, Some(&self.purse));
            let result = tokio::time::timeout_at(deadline, take).await;
            let result = result.unwrap_or_else(|_| Err(Refusal { ingest_id, ..not_reached() }));
            if result.as_ref().is_err_and(is_ours) {
                failing.store(true, Ordering::Relaxed);
            }
            spent = result.as_ref().is_err_and(|refusal| refusal.code == Code::RateLimited);
            results.push((index, result));
        }
        results
    }
}

/// The body of the answer; a refusal of the whole where nothing was taken and that is our doing.
pub fn answer(results: Vec<Result<Outcome, Refusal>>) -> Result<Value, Refusal> {
    let taken = results.iter().any(Result::is_ok);
    let ours = results.iter().filter_map(|result| result.as_ref().err()).find(|refusal| is_ours(refusal));
    if let Some(refusal) = ours.filter(|_| !taken) {
        let message = format!("nothing of the batch was taken: {}", refusal.message);
        return Err(Refusal::new(refusal.code, message));
    }
    let results: Vec<Value> = results.into_iter().map(result).collect();
    Ok(json!({ "results": results }))
}

fn result(result: Result<Outcome, Refusal>) -> Value {
    let refusal = match result.map(receipt) {
        Ok(Ok((_status, receipt))) => return receipt,
        Ok(Err(conflict)) => conflict.into_refusal(),
        Err(refusal) => refusal,
    };
    json!({"status": "REJECTED", "problem": problem::document(&refusal)})
}

fn is_ours(refusal: &Refusal) -> bool {
    refusal.code.http_status() >= 500
}

fn not_reached() -> Refusal {
    Refusal::new(Code::Unavailable, "the item's turn did not come in time; send it again")
}

#[cfg(test)]
mod tests {
    use contract::{IngestId, Timestamp};

    use super::*;

    #[test]
    fn items_are_kept_byte_for_byte() {
        let split = |kind, text: &'static str| {
            let items =
                split(kind, &Bytes::from_static(text.as_bytes()), 3).map_err(|refusal| refusal.code)?;
            Ok::<_, Code>(
                items.iter().map(|item| String::from_utf8(item.to_vec()).expect("text")).collect::<Vec<_>>(),
            )
        };
        let texts = |items: &[&str]| Ok(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        assert_eq!(split(BatchKind::Array, "[ {\"a\" : 1.00} ,x]"), texts(&["{\"a\" : 1.00}", "x"]));
        assert_eq!(split(BatchKind::Array, "[]"), texts(&[]));
        assert_eq!(split(BatchKind::Array, "{}"), Err(Code::JsonSyntax));
        assert_eq!(split(BatchKind::Array, "[1,2,3,4]"), Err(Code::BatchTooLarge));
        assert_eq!(
            split(BatchKind::Lines, "{\"a\": 1}\r\n\n  nonsense\n[]"),
            texts(&["{\"a\": 1}", "nonsense", "[]"])
        );
        assert_eq!(split(BatchKind::Lines, ""), texts(&[]));
        assert_eq!(split(BatchKind::Lines, "1\n2\n3\n4"), Err(Code::BatchTooLarge));
    }

    #[test]
    fn when_the_whole_batch_is_refused() {
        let id = IngestId::parse("01J0000000ABCDEFGHJKMNPQRS").expect("id");
        let received_at = Timestamp::from_millis(0).expect("time");
        let taken = || Ok(Outcome::Accepted { ingest_id: id, received_at });
        let conflict = || Ok(Outcome::Conflict { winner: id });
        let bad = || Err(Refusal::new(Code::JsonSyntax, "x"));
        let down = || Err(Refusal::new(Code::Unavailable, "x"));
        let full = || Err(Refusal::new(Code::StorageFull, "x"));
        for (results, expected) in [
            (vec![taken(), down(), bad()], Ok(vec!["ACCEPTED", "REJECTED", "REJECTED"])),
            (vec![conflict(), down()], Ok(vec!["REJECTED", "REJECTED"])),
            (vec![bad(), bad()], Ok(vec!["REJECTED", "REJECTED"])),
            (vec![bad(), down()], Err(Code::Unavailable)),
            (vec![full()], Err(Code::StorageFull)),
        ] {
            let answer = answer(results).map_err(|refusal| refusal.code).map(|answer| {
                let results = answer["results"].as_array().expect("an array").clone();
                results
                    .iter()
                    .map(|result| result["status"].as_str().expect("text").to_owned())
                    .collect::<Vec<_>>()
            });
            assert_eq!(answer, expected.map(|list| list.into_iter().map(str::to_owned).collect()));
        }
    }
}
