//! The broker's reports about records, put back in the order in which the records were sent.

use parking_lot::{Condvar, Mutex};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use tokio::time::Instant;

use crate::context::Voice;

const _: () = assert!(usize::BITS == 64, "a report's ticket is a round and an index in one word");

/// A producer's context: one round of reports at a time.
pub struct Reports {
    voice: Voice,
    round: Mutex<Round>,
    done: Condvar,
}

/// The records of one call.
#[derive(Debug, Default)]
struct Round {
    number: u32,
    left: usize,
    offsets: Vec<i64>,
    failed: Option<(usize, Code)>,
}

/// What became of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record has its offset.
    Placed(Vec<i64>),
    /// The first record of which the broker said that it was refused, and why.
    Refused(usize, Code),
    /// Not all were reported in time.
    Late,
}

impl Reports {
    pub fn new(voice: Voice) -> Self {
        Self { voice, round: Mutex::default(), done: Condvar::new() }
    }

    /// Begins a round of `count` records; whatever is reported of earlier ones is nobody's. Returns
    /// the ticket of the first record; those of the others follow.
    pub fn begin(&self, count: usize) -> usize {
        let mut round = self.round.lock();
        let number = round.number.wrapping_add(1);
        *round = Round { number, left: count, offsets: vec![-1; count], failed: None };
        (number as usize) << 32
    }

    /// Waits for the round's reports.
    pub fn wait(&self, deadline: Instant) -> Outcome {
        let mut round = self.round.lock();
        while round.left > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Outcome::Late;
            }
            self.done.wait_for(&mut round, left);
        }
        match round.failed {
            Some((index, code)) => Outcome::Refused(index, code),
            None => Outcome::Placed(std::mem::take(&mut round.offsets)),
        }
    }

    fn report(&self, ticket: usize, result: Result<i64, Code>) {
        let mut round = self.round.lock();
        let index = ticket & 0xffff_ffff;
        if ticket >> 32 != round.number as usize || round.left == 0 || index >= round.offsets.len() {
            return;
        }
        match result {
            Ok(offset) => round.offsets[index] = offset,
            Err(code) if round.failed.is_none_or(|(first, _)| index < first) => {
                round.failed = Some((index, code))
            }
            Err(_) => {}
        }
        round.left -= 1;
        if round.left == 0 {
            self.done.notify_all();
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: usize) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        self.report(ticket, result);
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.voice.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::kind;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn coordinates_come_in_the_order_of_the_records() {
        let reports = Reports::new(Voice::new(kind::PRODUCER));
        let first = reports.begin(3);
        for (index, offset) in [(2, 9), (0, 5), (1, 7)] {
            reports.report(first + index, Ok(offset));
        }
        assert_eq!(reports.wait(soon()), Outcome::Placed(vec![5, 7, 9]));
        assert_eq!(reports.begin(0) >> 32, 2);
        assert_eq!(reports.wait(soon()), Outcome::Placed(vec![]));
    }

    #[test]
    fn reports_of_earlier_rounds_are_nobodys() {
        let reports = Reports::new(Voice::new(kind::PRODUCER));
        let old = reports.begin(2);
        reports.report(old, Ok(1));
        let new = reports.begin(1);
        reports.report(old + 1, Err(Code::PurgeQueue));
        assert_eq!(reports.wait(Instant::now()), Outcome::Late);
        reports.report(new, Ok(4));
        assert_eq!(reports.wait(soon()), Outcome::Placed(vec![4]));
    }

    #[test]
    fn the_first_refusal_in_order_is_told() {
        let reports = Reports::new(Voice::new(kind::PRODUCER));
        let first = reports.begin(3);
        reports.report(first + 2, Err(Code::Unknown));
        reports.report(first + 1, Err(Code::MessageSizeTooLarge));
        reports.report(first, Ok(1));
        assert_eq!(reports.wait(soon()), Outcome::Refused(1, Code::MessageSizeTooLarge));
    }
}
