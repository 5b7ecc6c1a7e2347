//! The log's contract, on disk and in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contract::Timestamp;
use embedded::Engine;
use embedded::clock::{SystemClock, TokioClock};
use embedded::log::{EmbeddedLog, LogOptions, TopicSpec};
use ports::log::{Log, Partition};
use ports::suite::log::LogHarness;

struct Harness {
    log: EmbeddedLog,
    options: LogOptions,
    _directory: Option<tempfile::TempDir>,
}

#[async_trait]
impl LogHarness for Harness {
    fn log(&self) -> Arc<dyn Log> {
        Arc::new(self.log.clone())
    }

    async fn topic(&self, name: &str, partitions: u32, groups: &[&str]) {
        let topics = [TopicSpec { name: name.to_owned(), partitions }];
        let names = [name];
        let groups: Vec<(&str, &[&str])> = groups.iter().map(|group| (*group, &names[..])).collect();
        self.log.apply(&topics, &groups).await.expect("a topic is applied");
    }

    async fn truncate(&self, partition: &Partition, before: i64) {
        self.log.truncate(partition, before).await.expect("a partition is cut");
    }

    fn max_record_bytes(&self) -> usize {
        self.options.max_record_bytes
    }
}

mod on_disk {
    use super::*;

    async fn open() -> Option<Harness> {
        let directory = tempfile::tempdir().expect("a directory");
        let engine = Engine::open(directory.path(), embedded::Options::default()).expect("the store opens");
        let short = Duration::from_secs(4);
        let options =
            LogOptions { session_timeout: short, transaction_timeout: short, ..LogOptions::default() };
        let log = EmbeddedLog::new(engine, Arc::new(SystemClock), options.clone()).expect("the log opens");
        Some(Harness { log, options, _directory: Some(directory) })
    }

    ports::log_suite!(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        open
    );
}

mod in_memory {
    use super::*;

    async fn open() -> Option<Harness> {
        let options = LogOptions::default();
        let clock = TokioClock::new(Timestamp::parse("2026-03-16T08:35:06Z").expect("an instant"));
        let log = EmbeddedLog::new(Engine::in_memory(), Arc::new(clock), options.clone()).expect("it opens");
        Some(Harness { log, options, _directory: None })
    }

    ports::log_suite!(
        #[tokio::test(start_paused = true)]
        open
    );
}
