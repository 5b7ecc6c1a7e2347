//! A log whose names begin with a prefix on the cluster, so that installations can share one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use ports::Log;
use ports::log::{
    Batch, Consumer, Coordinates, Ends, Error, First, Offset, Owner, Partition, Producer, RawRecord, Record,
};

/// Puts a prefix before the names of topics, groups and transactional ids on their way out, and takes it
/// from those of topics on their way in.
pub struct Prefixed {
    inner: Arc<dyn Log>,
    names: Arc<Names>,
}

impl Prefixed {
    /// `inner`, under a prefix.
    pub fn new(inner: Arc<dyn Log>, prefix: &str) -> Self {
        Self { inner, names: Arc::new(Names { prefix: prefix.to_owned(), known: RwLock::default() }) }
    }
}

/// Names, and the shared texts of those that were met: there are as many as topics.
struct Names {
    prefix: String,
    known: RwLock<HashMap<Arc<str>, Arc<str>>>,
}

impl Names {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn shared(&self, name: &Arc<str>, make: impl FnOnce() -> Arc<str>) -> Arc<str> {
        if let Some(known) = self.known.read().get(name) {
            return Arc::clone(known);
        }
        Arc::clone(self.known.write().entry(Arc::clone(name)).or_insert_with(make))
    }

    fn out(&self, partition: &Partition) -> Partition {
        let topic = self.shared(&partition.topic, || self.name(&partition.topic).into());
        Partition { topic, index: partition.index }
    }

    fn back(&self, partition: &mut Partition) {
        if let Some(name) = partition.topic.strip_prefix(self.prefix.as_str()) {
            partition.topic = self.shared(&partition.topic, || name.into());
        }
    }

    fn out_record(&self, mut record: Record) -> Record {
        record.topic = self.shared(&record.topic, || self.name(&record.topic).into());
        record
    }

    fn out_offsets(&self, offsets: &[(Partition, Offset)]) -> Vec<(Partition, Offset)> {
        offsets.iter().map(|(partition, offset)| (self.out(partition), *offset)).collect()
    }

    fn placed(&self, mut at: Coordinates) -> Coordinates {
        self.back(&mut at.partition);
        at
    }
}

#[async_trait]
impl Log for Prefixed {
    async fn join(
        &self,
        group: &str,
        member: &str,
        topics: &[&str],
        first: First,
    ) -> Result<Box<dyn Consumer>, Error> {
        let topics: Vec<String> = topics.iter().map(|topic| self.names.name(topic)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        let inner = self.inner.join(&self.names.name(group), member, &topics, first).await?;
        Ok(Box::new(Member { inner, names: Arc::clone(&self.names) }))
    }

    async fn producer(&self, transactional_id: &str) -> Result<Box<dyn Producer>, Error> {
        let inner = self.inner.producer(&self.names.name(transactional_id)).await?;
        Ok(Box::new(Transactions { inner, names: Arc::clone(&self.names) }))
    }

    async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        Ok(self.names.placed(self.inner.append(self.names.out_record(record)).await?))
    }

    async fn read(
        &self,
        partition: &Partition,
        from: Offset,
        limit: usize,
    ) -> Result<(Vec<RawRecord>, Offset), Error> {
        let (mut records, next) = self.inner.read(&self.names.out(partition), from, limit).await?;
        records.iter_mut().for_each(|record| self.names.back(&mut record.partition));
        Ok((records, next))
    }

    async fn topics(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let names = self.inner.topics(&self.names.name(prefix)).await?;
        let mine = names.iter().filter_map(|name| name.strip_prefix(self.names.prefix.as_str()));
        Ok(mine.map(str::to_owned).collect())
    }

    async fn partitions(&self, topic: &str) -> Result<u32, Error> {
        self.inner.partitions(&self.names.name(topic)).await
    }

    async fn ends(&self, topic: &str) -> Result<Vec<Ends>, Error> {
        self.inner.ends(&self.names.name(topic)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Offset>>, Error> {
        self.inner.committed(&self.names.name(group), &self.names.name(topic)).await
    }

    async fn set_committed(&self, group: &str, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.inner.set_committed(&self.names.name(group), &self.names.out_offsets(next)).await
    }
}

struct Member {
    inner: Box<dyn Consumer>,
    names: Arc<Names>,
}

#[async_trait]
impl Consumer for Member {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        let mut batch = self.inner.poll(max_records, max_wait).await?;
        batch.records.iter_mut().for_each(|record| self.names.back(&mut record.partition));
        batch.assigned.iter_mut().flatten().for_each(|partition| self.names.back(partition));
        Ok(batch)
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        self.inner.rewind(&self.names.out(partition), to, pause).await
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        self.inner.leave().await
    }
}

struct Transactions {
    inner: Box<dyn Producer>,
    names: Arc<Names>,
}

#[async_trait]
impl Producer for Transactions {
    async fn begin(&mut self) -> Result<(), Error> {
        self.inner.begin().await
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        let records = records.into_iter().map(|record| self.names.out_record(record)).collect();
        let placed = self.inner.send(records).await?;
        Ok(placed.into_iter().map(|at| self.names.placed(at)).collect())
    }

    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.inner.commit(owner, &self.names.out_offsets(next)).await
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.inner.abort().await
    }
}
