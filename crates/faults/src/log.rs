//! Faults around the log, its consumers and its producers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ports::log::{
    Batch, Consumer, Coordinates, Ends, Error, First, Log, Offset, Owner, Partition, Producer, RawRecord,
    Record,
};

use crate::Gate;

pub struct FaultyLog {
    pub inner: Arc<dyn Log>,
    pub gate: Gate,
}

struct FaultyConsumer {
    inner: Box<dyn Consumer>,
    gate: Gate,
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    gate: Gate,
}

#[async_trait]
impl Log for FaultyLog {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        let joining = self.inner.join(group, member, topics, first);
        let inner = self.gate.call("join", Error::Unavailable, joining).await?;
        Ok(Box::new(FaultyConsumer { inner, gate: self.gate.clone() }))
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, Error> {
        let inner =
            self.gate.call("producer", Error::Unavailable, self.inner.producer(transactional_id)).await?;
        Ok(Box::new(FaultyProducer { inner, gate: self.gate.clone() }))
    }

    async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        self.gate.call("append", Error::Unavailable, self.inner.append(record)).await
    }

    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        self.gate.call("read", Error::Unavailable, self.inner.read(partition, from, limit)).await
    }

    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.gate.call("topics", Error::Unavailable, self.inner.topics(prefix)).await
    }

    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.gate.call("partitions", Error::Unavailable, self.inner.partitions(topic)).await
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error> {
        self.gate.call("ends", Error::Unavailable, self.inner.ends(topic)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        self.gate.call("committed", Error::Unavailable, self.inner.committed(group, topic)).await
    }

    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.gate.call("set_committed", Error::Unavailable, self.inner.set_committed(group, next)).await
    }
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        // Only before: a poll that happened and failed would lose records, which no client does.
        self.gate.call("poll", Error::Unavailable, async { Ok(()) }).await?;
        self.inner.poll(max_records, max_wait).await
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        self.inner.rewind(partition, to, pause).await
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        self.inner.leave().await
    }
}

#[async_trait]
impl Producer for FaultyProducer {
    async fn begin(&mut self) -> Result<(), Error> {
        self.gate.call("begin", Error::Abort, self.inner.begin()).await
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        self.gate.call("send", Error::Abort, self.inner.send(records)).await
    }

    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        // Nobody knows whether a commit without an answer happened.
        self.gate.call("commit", Error::Unknown, self.inner.commit(owner, next)).await
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.gate.call("abort", Error::Unknown, self.inner.abort()).await
    }
}
