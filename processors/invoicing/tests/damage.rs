//! A plan whose object is not what was written.

mod ground;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use invoices::job::File;
use invoices::{State, store};
use invoicing::{Invoicing, Parsed, Parser};
use ports::blobs::{Condition, Metadata};
use ports::log::{Partition, RawRecord};
use runtime::Processor as _;

/// Nobody is to read anything.
struct NoParser;

#[async_trait]
impl Parser for NoParser {
    async fn parse(&self, file: &File, _: Bytes) -> Parsed {
        panic!("{} is read", file.name)
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_plan_is_told_once_in_its_jobs_row() {
    let (ports, invoices) = ground::ground();
    let job = ground::reviewed(&ports, &invoices).await;
    let job = invoices.apply("ann", job.job_id, job.version).await.expect("applied");
    let plan = job.plan.as_ref().expect("a plan");
    let there = ports.invoices.get(&plan.key).await.expect("its object");
    let other = Bytes::from_static(b"no plan");
    ports.invoices.put(&plan.key, other, Metadata::new(), Condition::Match(there.etag)).await.expect("put");

    let stage = Invoicing::new(invoices.clone(), Arc::new(NoParser), "worker".to_owned(), 1);
    let nudge = invoices::intake::nudge(job.job_id);
    let record = RawRecord {
        partition: Partition::new(nudge.topic, 0),
        offset: 0,
        timestamp: 0,
        key: nudge.key,
        value: nudge.value,
        headers: nudge.headers,
    };
    let input = stage.decode(&record).expect("a nudge");
    let mut versions = Vec::new();
    for _ in 0..3 {
        assert_eq!(stage.handle(&input).await.expect("nobody else waits for it"), []);
        let job = store::get(&*ports.tables, job.job_id).await.expect("the job");
        assert_eq!(job.state, State::Applying);
        let reason = job.reason.expect("why");
        assert!(reason.code == "object-corrupt" && reason.message.contains(&plan.key), "{reason:?}");
        versions.push(job.version);
    }
    assert_eq!(versions, [job.version + 1; 3], "told once");
}
