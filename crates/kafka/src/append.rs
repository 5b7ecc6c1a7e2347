//! Records outside of transactions: one producer for all callers, each of whom waits for the broker's
//! report of its own record.

use std::sync::Arc;

use parking_lot::Mutex;
use ports::log::{Coordinates, Error, Partition, Record};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;

use crate::cluster::{Cluster, blocking};
use crate::config::{self, Role};
use crate::context::{Voice, kind};
use crate::error;
use crate::record;

type Report = Result<i64, Code>;
type Client = Arc<ThreadedProducer<Context>>;

struct Context(Voice);

impl ProducerContext for Context {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, caller: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        // A caller that went away makes its call again, and the repeat is absorbed.
        let _ = caller.send(report);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

/// Appends. Made at the first record; made anew when the client gave up for good.
pub struct Appender {
    cluster: Arc<Cluster>,
    client: Arc<Mutex<Option<Client>>>,
}

impl Appender {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, client: Arc::default() }
    }

    /// Appends one record and waits until every replica in sync has it.
    pub async fn append(&self, record: Record) -> Result<Coordinates, Error> {
        let (size, most) = (record::size(&record), self.cluster.options.max_record_bytes);
        if size > most {
            return Err(Error::TooLarge { size, most });
        }
        let index = match self.cluster.known_route(&record) {
            Some(index) => index,
            None => {
                let (cluster, asked) = (Arc::clone(&self.cluster), record.clone());
                blocking(move || cluster.route(&asked)).await?
            }
        };
        let partition = Partition::new(Arc::clone(&record.topic), index);
        let what = || partition.to_string();
        let client = self.client().await?;
        let (caller, report) = oneshot::channel();
        let sent = client.send(record::outgoing(&record, index, Box::new(caller)));
        let report = match sent {
            Ok(()) => report.await.unwrap_or(Err(Code::Unknown)),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        match report {
            Ok(offset) => Ok(Coordinates { partition, offset }),
            Err(code) => {
                self.replace_if_dead(&client);
                Err(match error::of_report(code, size, &what()) {
                    // Whatever the client calls it: it may have happened, and the next one is a new one.
                    Error::Fenced(message) => Error::Unavailable(message),
                    error => error,
                })
            }
        }
    }

    async fn client(&self) -> Result<Client, Error> {
        if let Some(client) = &*self.client.lock() {
            return Ok(Arc::clone(client));
        }
        let (cluster, slot) = (Arc::clone(&self.cluster), Arc::clone(&self.client));
        blocking(move || {
            let mut slot = slot.lock();
            if let Some(client) = &*slot {
                return Ok(Arc::clone(client));
            }
            let config = config::of(&cluster.options, &Role::Append);
            let client = config.create_with_context(Context(Voice::new(kind::APPEND)));
            let client: Client = Arc::new(client.map_err(|error| error::plain(&error, "appending"))?);
            *slot = Some(Arc::clone(&client));
            Ok(client)
        })
        .await
    }

    /// Lets go of a client that will not send another record.
    fn replace_if_dead(&self, client: &Client) {
        let Some((code, message)) = client.client().fatal_error() else { return };
        let mut slot = self.client.lock();
        let taken = slot.take_if(|current| Arc::ptr_eq(current, client));
        drop(slot);
        if let Some(taken) = taken {
            tracing::warn!(%code, message, "the appending client is made anew");
            // Its end waits for its threads.
            tokio::task::spawn_blocking(move || drop(taken));
        }
    }
}
