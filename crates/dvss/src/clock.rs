//! The clock that a role goes by, whatever it keeps its data on.
//!
//! A debug build shows another time where `DVSS_CLOCK_OFF` says so: `-3h` is three hours behind, `2m` two minutes
//! ahead. Kafka's client has the machine's, by which it waits and no more.

use std::sync::Arc;

use embedded::SystemClock;
use ports::Clock;

/// The machine's clock, in debug builds shifted as the environment asks for.
pub fn of_the_process() -> anyhow::Result<Arc<dyn Clock>> {
    #[cfg(debug_assertions)]
    if let Some(shifted) = shifted::from_environment()? {
        return Ok(Arc::new(shifted));
    }
    Ok(Arc::new(SystemClock))
}

#[cfg(debug_assertions)]
mod shifted {
    use std::time::Duration;

    use anyhow::Context as _;
    use contract::Timestamp;
    use embedded::SystemClock;
    use ports::Clock;

    /// A clock that is off.
    pub struct Shifted {
        behind: bool,
        by: Duration,
    }

    impl Clock for Shifted {
        fn now(&self) -> Timestamp {
            let (now, by) = (SystemClock.now(), i64::try_from(self.by.as_millis()).unwrap_or(i64::MAX));
            let shifted = if self.behind { now.as_millis() - by } else { now.as_millis() + by };
            Timestamp::from_millis(shifted).unwrap_or(now)
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
    pub fn from_environment() -> anyhow::Result<Option<Shifted>> {
        let Ok(text) = std::env::var("DVSS_CLOCK_OFF") else { return Ok(None) };
        let (behind, amount) = text.strip_prefix('-').map_or((false, &*text), |amount| (true, amount));
        let by = contract::duration::parse(amount);
        let by = by.with_context(|| format!("DVSS_CLOCK_OFF={text:?} is no duration such as -3h or 2m"))?;
        Ok(Some(Shifted { behind, by }))
    }
}
