//! A member of a group. The client's calls block, so it lives on a thread of its own and is told what
//! to do; it talks to the broker's group between calls too, but ownership changes only in a poll.

mod buffer;
mod member;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use async_trait::async_trait;
use ports::log::{Batch, Consumer, Error, First, Offset, Partition};
use rdkafka::consumer::ConsumerGroupMetadata;
use tokio::sync::oneshot;

use crate::cluster::Cluster;
use member::Member;

/// Proof of ownership: the metadata that the group gave with the assignment. Taken once, when the
/// assignment was taken: later metadata would vouch for partitions that were lost since.
pub struct Claim {
    pub group: Arc<str>,
    /// `None` before the first assignment, and after it was revoked.
    pub metadata: Option<ConsumerGroupMetadata>,
}

enum Command {
    Poll { max_records: usize, max_wait: Duration, reply: oneshot::Sender<Result<Batch, Error>> },
    Rewind { partition: Partition, to: Offset, pause: Duration, reply: oneshot::Sender<Result<(), Error>> },
    Leave { reply: oneshot::Sender<()> },
}

/// A consumer on Kafka. Dropping it leaves the group in the background.
pub struct KafkaConsumer {
    commands: SyncSender<Command>,
}

impl KafkaConsumer {
    /// Joins a group; the first poll hears of the assignment.
    pub fn join(
        cluster: Arc<Cluster>,
        group: &str,
        name: &str,
        topics: &[String],
        first: First,
    ) -> Result<Self, Error> {
        let member = Member::join(cluster, group, name, topics, first)?;
        // One call at a time holds the consumer, and dropping it says nothing.
        let (commands, told) = sync_channel(1);
        std::thread::Builder::new()
            .name(format!("kafka-{group}"))
            .spawn(move || obey(member, &told))
            .map_err(|error| Error::Unavailable(format!("no thread: {error}")))?;
        Ok(Self { commands })
    }

    fn tell(&self, command: Command) -> Result<(), Error> {
        self.commands.try_send(command).map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::Unknown("the consumer's thread is busy with a call that was given up, or ended".to_owned())
}

fn obey(mut member: Member, told: &Receiver<Command>) {
    let left = loop {
        match told.recv() {
            Ok(Command::Poll { max_records, max_wait, reply }) => {
                let polled = member.poll(max_records, max_wait, || reply.is_closed());
                if let Err(Ok(batch)) = reply.send(polled) {
                    member.take_back(batch);
                }
            }
            Ok(Command::Rewind { partition, to, pause, reply }) => {
                // Whoever stopped waiting for it joins anew.
                let _ = reply.send(member.rewind(&partition, to, pause));
            }
            Ok(Command::Leave { reply }) => break Some(reply),
            Err(_) => break None,
        }
    };
    member.leave();
    if let Some(reply) = left {
        let _ = reply.send(());
    }
}

#[async_trait]
impl Consumer for KafkaConsumer {
    async fn poll(&mut self, max_records: usize, max_wait: Duration) -> Result<Batch, Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Poll { max_records, max_wait, reply })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn rewind(&mut self, partition: &Partition, to: Offset, pause: Duration) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Rewind { partition: partition.clone(), to, pause, reply })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    async fn leave(self: Box<Self>) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Leave { reply })?;
        answer.await.map_err(|_| gone())
    }
}
