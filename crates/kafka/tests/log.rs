//! The log's contract, on a real broker.

mod stack;

use std::sync::Arc;

use async_trait::async_trait;
use ports::Log;
use ports::log::Partition;
use ports::suite::log::LogHarness;

use stack::{Stack, prefixed};

struct Harness(Stack);

#[async_trait]
impl LogHarness for Harness {
    fn log(&self) -> Arc<dyn Log> {
        prefixed(&self.0)
    }

    async fn topic(&self, name: &str, partitions: u32, groups: &[&str]) {
        let groups: Vec<String> = groups.iter().map(|group| self.0.name(group)).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        self.0.topic(&self.0.name(name), partitions, &groups).await;
    }

    async fn truncate(&self, partition: &Partition, before: i64) {
        let partition = Partition::new(self.0.name(&partition.topic), partition.index);
        self.0.admin.truncate(&partition, before).await.expect("a partition is cut");
    }

    fn max_record_bytes(&self) -> usize {
        self.0.options.max_record_bytes
    }
}

async fn open() -> Option<Harness> {
    Stack::open().map(Harness)
}

ports::log_suite!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    open
);
