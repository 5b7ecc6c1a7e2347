//! A transactional producer, on a thread of its own: the client's calls block.

mod reports;
mod session;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use async_trait::async_trait;
use ports::log::{Coordinates, Error, Offset, Owner, Partition, Producer, Record};
use tokio::sync::oneshot;

use crate::cluster::Cluster;
use session::Session;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

enum Command {
    Begin { reply: Reply<()> },
    Send { records: Vec<Record>, reply: Reply<Vec<Coordinates>> },
    Commit { owner: Owner, next: Vec<(Partition, Offset)>, reply: Reply<()> },
    Abort { reply: Reply<()> },
}

/// A producer on Kafka. Dropping it leaves its transaction open, as a crash does: the next one with the
/// id, or the time-out, aborts it.
pub struct KafkaProducer {
    commands: SyncSender<Command>,
}

impl KafkaProducer {
    /// Takes a transactional id over from whoever had it.
    pub async fn take_over(cluster: Arc<Cluster>, id: &str) -> Result<Self, Error> {
        let (commands, told) = sync_channel(1);
        let (reply, ready) = oneshot::channel();
        let id = id.to_owned();
        std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || {
                let opened = Session::open(cluster, &id, || reply.is_closed());
                let (session, told_so) = match opened {
                    Ok(session) => (Some(session), reply.send(Ok(()))),
                    Err(error) => (None, reply.send(Err(error))),
                };
                // Where nobody waits any more, nothing was begun.
                if let (Some(session), Ok(())) = (session, told_so) {
                    obey(session, &told);
                }
            })
            .map_err(|error| Error::Unavailable(format!("no thread: {error}")))?;
        ready.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(Self { commands })
    }

    async fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command + Send) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // A call that was given up still runs: its outcome is not known, and neither is this one's.
        self.commands.try_send(command(reply)).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::Unknown("the producer's thread is busy with a call that was given up, or ended".to_owned())
}

/// A reply that nobody takes is no loss: whoever gave a call up rebuilds the producer.
fn obey(mut session: Session, told: &Receiver<Command>) {
    while let Ok(command) = told.recv() {
        let _ = match command {
            Command::Begin { reply } => reply.send(session.begin()).is_ok(),
            Command::Send { records, reply } => reply.send(session.send(&records)).is_ok(),
            Command::Commit { owner, next, reply } => reply.send(session.commit(&owner, &next)).is_ok(),
            Command::Abort { reply } => reply.send(session.abort()).is_ok(),
        };
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn begin(&mut self) -> Result<(), Error> {
        self.call(|reply| Command::Begin { reply }).await
    }

    async fn send(&mut self, records: Vec<Record>) -> Result<Vec<Coordinates>, Error> {
        self.call(|reply| Command::Send { records, reply }).await
    }

    async fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        let (owner, next) = (owner.clone(), next.to_vec());
        self.call(|reply| Command::Commit { owner, next, reply }).await
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.call(|reply| Command::Abort { reply }).await
    }
}
