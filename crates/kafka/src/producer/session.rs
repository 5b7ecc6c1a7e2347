//! The producer itself, on its thread: one transaction at a time.

use std::sync::Arc;
use std::time::Duration;

use ports::log::{Coordinates, Error, Offset, Owner, Partition, Record};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{Producer, ThreadedProducer};
use tokio::time::Instant;

use super::reports::{Outcome, Reports};
use crate::cluster::{Cluster, rest};
use crate::config::{self, Role};
use crate::consumer::Claim;
use crate::context::{Voice, kind};
use crate::error::{self, Call};
use crate::record;

/// Wait before a call is made again.
const AGAIN: Duration = Duration::from_millis(10);
/// Wait for the client to let go of what was reported.
const GLANCE: Duration = Duration::from_micros(50);

/// A producer that has its transactional id.
pub struct Session {
    client: ThreadedProducer<Reports>,
    cluster: Arc<Cluster>,
    id: String,
    open: bool,
    /// A record was refused, so the transaction can only be aborted.
    refused: bool,
    /// Why it is of no more use.
    dead: Option<Error>,
}

impl Session {
    /// Takes the id over: what its predecessor left open is aborted, and the predecessor is fenced.
    pub fn open(cluster: Arc<Cluster>, id: &str, given_up: impl Fn() -> bool) -> Result<Self, Error> {
        let role = Role::Transactions { id: id.to_owned() };
        let reports = Reports::new(Voice::new(kind::PRODUCER));
        let client: ThreadedProducer<Reports> = config::of(&cluster.options, &role)
            .create_with_context(reports)
            .map_err(|error| error::plain(&error, id))?;
        let session = Self { client, cluster, id: id.to_owned(), open: false, refused: false, dead: None };
        let deadline = session.deadline();
        let initialised = session.insist(deadline, "taking the transactional id over", given_up, |left| {
            session.client.init_transactions(left)
        });
        match initialised {
            Ok(()) => Ok(session),
            // Nothing of this one was begun, so nothing of it is in doubt.
            Err(Error::Unknown(message) | Error::Abort(message)) => Err(Error::Unavailable(message)),
            Err(error) => Err(error),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.cluster.options.transaction_timeout
    }

    /// Makes a call until it is answered, its deadline passes or nobody waits for it.
    fn insist(
        &self,
        deadline: Instant,
        what: &str,
        given_up: impl Fn() -> bool,
        call: impl Fn(Duration) -> Result<(), KafkaError>,
    ) -> Result<(), Error> {
        let what = format!("{what} ({})", self.id);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Err(error) = call(left.max(AGAIN)) else { return Ok(()) };
            match error::of_transaction(&error, &what) {
                Call::Failed(error) => return Err(error),
                Call::Again if left.is_zero() || given_up() => {
                    return Err(Error::Unknown(format!("{what}: {error}")));
                }
                Call::Again => rest(AGAIN),
            }
        }
    }

    fn alive(&self) -> Result<(), Error> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Notes what an error means for what comes after it.
    fn note(&mut self, error: Error) -> Error {
        match &error {
            Error::Fenced(_) | Error::Unknown(_) => self.dead = Some(error.clone()),
            _ => self.refused = true,
        }
        error
    }

    pub fn begin(&mut self) -> Result<(), Error> {
        self.alive()?;
        if self.open {
            return Err(Error::Abort("a transaction is open already".to_owned()));
        }
        let deadline = self.deadline();
        let begun = self.insist(deadline, "beginning", || false, |_| self.client.begin_transaction());
        begun.map_err(|error| self.note(error))?;
        (self.open, self.refused) = (true, false);
        Ok(())
    }

    pub fn send(&mut self, records: &[Record]) -> Result<Vec<Coordinates>, Error> {
        self.opened()?;
        self.place(records).map_err(|error| self.note(error))
    }

    fn opened(&self) -> Result<(), Error> {
        self.alive()?;
        if self.open { Ok(()) } else { Err(Error::Abort("no transaction is open".to_owned())) }
    }

    fn place(&self, records: &[Record]) -> Result<Vec<Coordinates>, Error> {
        let deadline = self.deadline();
        let most = self.cluster.options.max_record_bytes;
        let mut routes = Vec::with_capacity(records.len());
        // Nothing is sent of a call that has a record in it which nobody will take.
        for record in records {
            let size = record::size(record);
            if size > most {
                return Err(Error::TooLarge { size, most });
            }
            routes.push(self.cluster.route(record)?);
        }
        let first = self.client.client().context().begin(records.len());
        for (index, (record, partition)) in records.iter().zip(&routes).enumerate() {
            self.enqueue(record, *partition, first + index, deadline)?;
        }
        match self.client.client().context().wait(deadline) {
            Outcome::Placed(offsets) => {
                let topics = records.iter().map(|record| Arc::clone(&record.topic));
                let placed = topics.zip(routes).zip(offsets);
                let coordinates = |((topic, index), offset)| {
                    let partition = Partition::new(topic, index);
                    Coordinates { partition, offset }
                };
                Ok(placed.map(coordinates).collect())
            }
            Outcome::Refused(first, code) => {
                // A batch is refused as a whole; it is its largest record that made it too large.
                let place = |index: usize| (&records[index].topic, routes[index]);
                let together = (0..records.len()).filter(|index| place(*index) == place(first));
                let largest = together.max_by_key(|index| record::size(&records[*index])).unwrap_or(first);
                let named = if code == Code::MessageSizeTooLarge { largest } else { first };
                Err(self.refusal(&records[named], routes[named], code))
            }
            Outcome::Late => Err(self.fate().unwrap_or_else(|| {
                Error::Abort(format!("records of {} were not reported in time", self.id))
            })),
        }
    }

    /// Hands a record to the client. Where its queue is full, records are on their way that make room.
    fn enqueue(
        &self,
        record: &Record,
        partition: u32,
        ticket: usize,
        deadline: Instant,
    ) -> Result<(), Error> {
        loop {
            let Err((error, _)) = self.client.send(record::outgoing(record, partition, ticket)) else {
                return Ok(());
            };
            match error.rdkafka_error_code() {
                Some(Code::QueueFull) if Instant::now() < deadline => rest(AGAIN),
                // A local refusal leaves the client's transaction as it was: committing it would lose
                // the record in silence. So this side remembers.
                code => return Err(self.refusal(record, partition, code.unwrap_or(Code::Unknown))),
            }
        }
    }

    fn refusal(&self, record: &Record, partition: u32, code: Code) -> Error {
        let at = Partition::new(Arc::clone(&record.topic), partition);
        match error::of_report(code, record::size(record), &at.to_string()) {
            error @ (Error::TooLarge { .. } | Error::Missing(_) | Error::Fenced(_)) => error,
            // The client fails what is queued when it is fenced itself, with other codes.
            error => self.fate().unwrap_or_else(|| Error::Abort(error.to_string())),
        }
    }

    /// What a fatal error of the client means.
    fn fate(&self) -> Option<Error> {
        let (code, message) = self.client.client().fatal_error()?;
        let message = format!("{}: {message}", self.id);
        Some(if error::is_fenced(code) { Error::Fenced(message) } else { Error::Unknown(message) })
    }

    pub fn commit(&mut self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        self.opened()?;
        if self.refused {
            return Err(Error::Abort("a record was refused".to_owned()));
        }
        self.finish(owner, next).map_err(|error| self.note(error))?;
        self.open = false;
        Ok(())
    }

    fn finish(&self, owner: &Owner, next: &[(Partition, Offset)]) -> Result<(), Error> {
        let deadline = self.deadline();
        self.settle(deadline);
        let claim = Arc::clone(&owner.0).downcast::<Claim>();
        let claim = claim.map_err(|_| Error::Abort("another log's owner".to_owned()))?;
        if !next.is_empty() {
            let Some(metadata) = &claim.metadata else {
                return Err(Error::Abort(format!("nothing of {} is owned", claim.group)));
            };
            let places = next.iter().map(|(partition, offset)| (partition, rdkafka::Offset::Offset(*offset)));
            let list = record::list(places).map_err(|error| Error::Abort(error.to_string()))?;
            let sent = self.insist(
                deadline,
                "the offsets",
                || false,
                |left| self.client.send_offsets_to_transaction(&list, metadata, left),
            );
            // Without the end of the transaction nothing of it counts.
            sent.map_err(|error| match error {
                Error::Unknown(message) if self.client.client().fatal_error().is_none() => {
                    Error::Abort(message)
                }
                error => error,
            })?;
        }
        self.insist(deadline, "the commit", || false, |left| self.client.commit_transaction(left))
    }

    /// Waits until nothing is on its way. Called with something in flight, the client's own flush and
    /// commit wait in steps of a tenth of a second.
    fn settle(&self, deadline: Instant) {
        while self.client.in_flight_count() > 0 && Instant::now() < deadline {
            rest(GLANCE);
        }
    }

    pub fn abort(&mut self) -> Result<(), Error> {
        self.alive()?;
        if !self.open {
            return Ok(());
        }
        // Reports about what is thrown away are nobody's.
        self.client.client().context().begin(0);
        let deadline = self.deadline();
        let aborted =
            self.insist(deadline, "the abort", || false, |left| self.client.abort_transaction(left));
        aborted.map_err(|error| match self.note(error) {
            // An abort that must be aborted: only a new producer helps.
            Error::Abort(message) => {
                let error = Error::Unknown(message);
                self.dead = Some(error.clone());
                error
            }
            error => error,
        })?;
        (self.open, self.refused) = (false, false);
        Ok(())
    }
}
