//! Clocks: the machine's, and one that a paused tokio runtime stops.

use std::time::{SystemTime, UNIX_EPOCH};

use contract::Timestamp;
use ports::Clock;
use tokio::time::Instant;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the adapter that others ask")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_nanos(nanos).expect("the machine's clock shows a year below 9999")
    }
}

/// Starts at an instant and goes on as tokio's time does, so that it stands still where that does.
#[derive(Debug, Clone, Copy)]
pub struct TokioClock {
    start: Timestamp,
    began: Instant,
}

impl TokioClock {
    /// It is `start` now.
    pub fn new(start: Timestamp) -> Self {
        Self { start, began: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.start.plus(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_runtime_stops_it() {
        let start = Timestamp::parse("2026-03-16T08:35:06Z").expect("an instant");
        let clock = TokioClock::new(start);
        assert_eq!(clock.now(), start);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now().to_string(), "2026-03-16T08:35:07.500Z");
    }

    #[test]
    fn the_machines_clock_is_past_the_day_this_was_written() {
        assert!(SystemClock.now() > Timestamp::parse("2025-01-01T00:00:00Z").expect("an instant"));
    }
}
