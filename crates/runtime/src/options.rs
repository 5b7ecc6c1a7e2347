//! What an operator may set about the loop.

use std::time::Duration;

use contract::Code;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::Fatal;

/// Bounds of one stage's loop. Times are written `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Most records of one batch.
    pub max_records: usize,
    /// Longest wait for the first record of a batch.
    #[serde(with = "crate::duration")]
    pub max_wait: Duration,
    /// Most records that are handled at the same time.
    pub concurrency: usize,
    /// Longest time that a batch's records are worked on; what is not settled then comes again.
    #[serde(with = "crate::duration")]
    pub deadline: Duration,
    /// Longest time that one call to a port takes. Adapters are given the same.
    #[serde(with = "crate::duration")]
    pub call_timeout: Duration,
    /// Longest time that a transaction stays open. Adapters are given the same.
    #[serde(with = "crate::duration")]
    pub transaction_timeout: Duration,
    /// Longest time between two polls before the group takes the partitions away. Adapters are given
    /// the same.
    #[serde(with = "crate::duration")]
    pub max_poll_interval: Duration,
    /// Most outputs of one transaction (one record's outputs may be more).
    pub max_outputs: usize,
    /// Most bytes of outputs of one transaction (one record's outputs may be more).
    pub max_bytes: usize,
    /// Waits between attempts, and pauses of partitions that were rewound.
    pub backoff: Backoff,
    /// How often lag is measured.
    #[serde(with = "crate::duration")]
    pub lag_interval: Duration,
    /// Seed of the jitter; stage and member are mixed in, so that members do not march in step. Equal
    /// seeds give equal waits.
    pub jitter_seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_records: 500,
            max_wait: Duration::from_millis(100),
            concurrency: 128,
            deadline: Duration::from_secs(5),
            call_timeout: Duration::from_secs(2),
            transaction_timeout: Duration::from_secs(10),
            max_poll_interval: Duration::from_mins(1),
            max_outputs: 20_000,
            max_bytes: 16 * 1_024 * 1_024,
            backoff: Backoff::default(),
            lag_interval: Duration::from_secs(15),
            jitter_seed: 0,
        }
    }
}

impl Options {
    /// Checks that the bounds fit one another: no count is zero, and call time-outs < deadline <
    /// transaction time-out < max poll interval. [`Code::ConfigInvalid`] otherwise.
    pub fn validate(&self, stage: &'static str) -> Result<(), Fatal> {
        let counts = [
            ("maxRecords", self.max_records),
            ("concurrency", self.concurrency),
            ("maxOutputs", self.max_outputs),
            ("maxBytes", self.max_bytes),
        ];
        let times = [
            ("callTimeout", self.call_timeout),
            ("deadline", self.deadline),
            ("transactionTimeout", self.transaction_timeout),
            ("maxPollInterval", self.max_poll_interval),
        ];
        let waits = [
            ("maxWait", self.max_wait),
            ("callTimeout", self.call_timeout),
            ("lagInterval", self.lag_interval),
            ("backoff.first", self.backoff.first),
        ];
        let zero = counts.into_iter().find(|(_, count)| *count == 0).map(|(name, _)| name);
        let none = waits.into_iter().find(|(_, wait)| wait.is_zero()).map(|(name, _)| name);
        let unordered = times.windows(2).find(|pair| pair[0].1 >= pair[1].1);
        let message = if let Some(name) = zero.or(none) {
            format!("{name} must not be 0")
        } else if let Some([(lesser, _), (greater, _)]) = unordered {
            format!("{lesser} must be shorter than {greater}")
        } else if self.max_wait >= self.max_poll_interval {
            "maxWait must be shorter than maxPollInterval".to_owned()
        } else if self.backoff.first > self.backoff.most {
            "backoff.first must not be longer than backoff.most".to_owned()
        } else {
            return Ok(());
        };
        Err(Fatal { stage, code: Code::ConfigInvalid, message })
    }
}

/// Waits that double from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backoff {
    /// Wait behind the first failed attempt.
    #[serde(with = "crate::duration")]
    pub first: Duration,
    /// Longest wait.
    #[serde(with = "crate::duration")]
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), most: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// How long to wait behind the failed attempt `attempt` (from 1): between half and all of
    /// `first * 2^(attempt - 1)`, at most `most`.
    pub fn wait(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let whole = doubled.min(self.most);
        whole.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn defaults_hold_and_disorder_is_refused() {
        let good = Options::default();
        assert!(good.validate("t").is_ok());
        let long = Duration::from_hours(1);
        for (bad, named) in [
            (Options { call_timeout: long, ..good.clone() }, "callTimeout must be shorter than deadline"),
            (Options { deadline: long, ..good.clone() }, "deadline must be shorter than transactionTimeout"),
            (Options { transaction_timeout: long, ..good.clone() }, "transactionTimeout must be shorter"),
            (Options { max_wait: long, ..good.clone() }, "maxWait must be shorter"),
            (Options { max_records: 0, ..good.clone() }, "maxRecords must not be 0"),
            (Options { call_timeout: Duration::ZERO, ..good.clone() }, "callTimeout must not be 0"),
            (Options { backoff: Backoff { first: long, most: good.deadline }, ..good.clone() }, "backoff"),
        ] {
            let fatal = bad.validate("t").expect_err(named);
            assert_eq!(fatal.code, Code::ConfigInvalid);
            assert!(fatal.message.contains(named), "{}", fatal.message);
        }
    }

    #[test]
    fn unknown_keys_are_refused_and_units_are_read() {
        let read = |text| serde_json::from_str::<Options>(text);
        let options = read(r#"{"deadline":"250ms","backoff":{"most":"2m"}}"#).expect("options");
        assert_eq!(options.deadline, Duration::from_millis(250));
        assert_eq!(options.backoff.most, Duration::from_mins(2));
        assert!(read(r#"{"deadlien":"1s"}"#).is_err());
        assert!(read(r#"{"deadline":1}"#).is_err());
        let text = serde_json::to_string(&options).expect("json");
        assert_eq!(read(&text).expect("options"), options);
    }

    #[test]
    fn waits_double_up_to_the_bound_and_replay() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1) };
        let mut rng = StdRng::seed_from_u64(7);
        let waits: Vec<_> = (1..8).map(|attempt| backoff.wait(attempt, &mut rng).as_millis()).collect();
        for (wait, whole) in waits.iter().zip([100, 200, 400, 800, 1_000, 1_000, 1_000]) {
            assert!((whole / 2..=whole).contains(wait), "{waits:?}");
        }
        let mut again = StdRng::seed_from_u64(7);
        assert!(
            waits
                .iter()
                .zip(1..)
                .all(|(wait, attempt)| backoff.wait(attempt, &mut again).as_millis() == *wait)
        );
        assert!(backoff.wait(u32::MAX, &mut rng) <= backoff.most);
    }
}
