//! How often a call is tried, and for how long.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Options;
use crate::fault::Fault;
use crate::limit::{Limit, Place};

/// First pause; doubles from attempt to attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Longest pause.
const MOST_PAUSE: Duration = Duration::from_millis(400);
/// Most attempts where nobody answers; then the caller had better know.
const MOST_UNANSWERED: u32 = 3;

/// Bounds of one service's calls: of each one's time, and of how many there are at once.
#[derive(Clone)]
pub(crate) struct Timing {
    call: Duration,
    limit: Arc<Limit>,
}

/// Whether doing it twice is as good as once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// A read, or a transaction that has a token.
    Harmless,
    /// A write: whether a first attempt happened must be known before a second.
    Counts,
}

impl Timing {
    pub(crate) fn of(service: &'static str, options: &Options) -> Self {
        // Well before a call ends without an answer, there are fewer of them.
        Self { call: options.call_timeout, limit: Limit::new(service, options.call_timeout / 3) }
    }

    /// A call begins, as soon as there is room for it; its time runs already. Whoever finds room has a third of it
    /// left at least: cut off any sooner, a call would say nothing about the service, which does its work all the same.
    pub(crate) async fn begin(&self, twice: Twice) -> Result<Call, Fault> {
        let (until, room) = (Instant::now() + self.call, self.call - self.call / 3);
        let Some(place) = self.limit.enter(Instant::now() + room).await else {
            let (room, most) = (room.as_millis(), self.limit.now());
            let text = format!("not asked within {room} ms: it is slow, and gets {most} calls at once");
            return Err(Fault::Throttled(text));
        };
        Ok(Call { time: self.call, place, until, twice, failed: 0, alike: 0, last: None })
    }
}

/// One call of a port.
pub(crate) struct Call {
    time: Duration,
    place: Place,
    until: Instant,
    twice: Twice,
    failed: u32,
    /// How many of them in a row failed in the same way.
    alike: u32,
    last: Option<std::mem::Discriminant<Fault>>,
}

impl Call {
    /// One attempt, cut off at the end of the call's time.
    pub(crate) async fn attempt<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.place.asks();
        let ended = || Fault::Unknown(format!("no answer within {} ms", self.time.as_millis()));
        let answer = timeout_at(self.until, attempt).await.unwrap_or_else(|_| Err(ended()));
        self.place.answered(!matches!(answer, Err(Fault::Throttled(_) | Fault::Unknown(_))));
        answer
    }

    /// Waits for the next attempt; the fault itself where there is none.
    pub(crate) async fn again(&mut self, fault: Fault) -> Result<(), Fault> {
        self.failed += 1;
        let last = self.last.replace(std::mem::discriminant(&fault));
        self.alike = if last == self.last { self.alike + 1 } else { 1 };
        if !tried_again(&fault, self.twice, self.alike) {
            return Err(fault);
        }
        let pause = pause(self.failed, jitter());
        if Instant::now() + pause >= self.until {
            return Err(fault);
        }
        tracing::debug!(attempt = self.failed, ?fault, "trying again");
        sleep(pause).await;
        Ok(())
    }
}

/// Whether there is another attempt, if there is time, behind `alike` ones that failed in this way.
fn tried_again(fault: &Fault, twice: Twice, alike: u32) -> bool {
    match fault {
        Fault::Throttled(_) | Fault::Conflict(_) => true,
        // The SDK has learned from the answer how far our clock is off.
        Fault::Denied(_) => alike == 1,
        Fault::Unknown(_) => twice == Twice::Harmless && alike < MOST_UNANSWERED,
        Fault::Full | Fault::Invalid(_) => false,
    }
}

/// Between half and all of the doubled first pause.
fn pause(failed: u32, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(10));
    doubled.min(MOST_PAUSE).mul_f64(jitter)
}

#[expect(
    clippy::disallowed_methods,
    reason = "spreads processes over a real service; nothing is simulated here"
)]
fn jitter() -> f64 {
    rand::rng().random_range(0.5..=1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_or_harmless_is_repeated() {
        let text = String::new;
        for (fault, twice, attempts) in [
            (Fault::Throttled(text()), Twice::Counts, 100),
            (Fault::Conflict(text()), Twice::Counts, 100),
            (Fault::Denied(text()), Twice::Harmless, 2),
            (Fault::Unknown(text()), Twice::Counts, 1),
            (Fault::Unknown(text()), Twice::Harmless, MOST_UNANSWERED),
            (Fault::Full, Twice::Harmless, 1),
            (Fault::Invalid(text()), Twice::Harmless, 1),
        ] {
            let made = (1..100).find(|alike| !tried_again(&fault, twice, *alike)).unwrap_or(100);
            assert_eq!(made, attempts, "{fault:?} {twice:?}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_bound() {
        let whole = [25, 50, 100, 200, 400, 400].map(Duration::from_millis);
        for (failed, whole) in (1..).zip(whole) {
            assert_eq!(pause(failed, 1.0), whole);
            assert_eq!(pause(failed, 0.5), whole / 2);
        }
        assert_eq!(pause(u32::MAX, 1.0), MOST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_in_time() {
        let options = Options { call_timeout: Duration::from_secs(1), ..Options::default() };
        let timing = Timing::of("test", &options);
        let began = Instant::now();
        let mut call = timing.begin(Twice::Counts).await.expect("there is room");
        let slow_down = || Fault::Throttled("slow down".to_owned());
        while call.again(slow_down()).await.is_ok() {}
        assert!(call.failed > 3 && began.elapsed() < timing.call);
        let unanswered = call.attempt(std::future::pending::<Result<(), Fault>>()).await;
        assert_eq!(unanswered, Err(Fault::Unknown("no answer within 1000 ms".to_owned())));
        assert_eq!(began.elapsed().as_millis(), timing.call.as_millis());
    }
    #[tokio::test(start_paused = true)]
    async fn a_call_that_finds_no_room_says_so_in_time_and_trouble_leaves_less_room() {
        let timing = Timing::of("test", &Options::default());
        let (began, room) = (Instant::now(), timing.limit.now());
        let mut calls = Vec::new();
        for _ in 0..room {
            calls.push(timing.begin(Twice::Harmless).await.expect("there is room"));
        }
        let Err(fault) = timing.begin(Twice::Harmless).await else { panic!("there is no room") };
        let told = "not asked within 1000 ms: it is slow, and gets 32 calls at once";
        assert_eq!(fault, Fault::Throttled(told.to_owned()));
        assert_eq!(began.elapsed(), timing.call - timing.call / 3);
        for (fault, expected) in [
            // However often and long it is waited for: somebody else is writing, and the service is quick.
            (Fault::Conflict(String::new()), room),
            (Fault::Invalid(String::new()), room),
            (Fault::Throttled(String::new()), room * 3 / 4),
            (Fault::Unknown(String::new()), room * 3 / 4),
        ] {
            let timing = Timing::of("test", &Options::default());
            let mut call = timing.begin(Twice::Harmless).await.expect("there is room");
            while let Err(fault) = call.attempt(async { Err::<(), _>(fault.clone()) }).await {
                if call.again(fault).await.is_err() {
                    break;
                }
            }
            drop(call);
            assert_eq!(timing.limit.now(), expected, "{fault:?}");
        }
    }

    /// Where more is asked for than a service can do, it does what it can, and nearly all of it is of use.
    #[tokio::test(start_paused = true)]
    async fn what_a_service_can_do_is_of_use_also_where_much_more_is_asked_for() {
        use std::sync::atomic::{AtomicU64, Ordering};
        const EACH: Duration = Duration::from_millis(25);
        let timing = Timing::of("test", &Options::default());
        // One after another, in the order in which they came; also those that nobody waits for any more.
        let free = Arc::new(parking_lot::Mutex::new(Instant::now()));
        let (asked, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let end = Instant::now() + Duration::from_mins(2);
        let callers = (0..128).map(|_| {
            let (timing, free, asked, answered) =
                (timing.clone(), Arc::clone(&free), Arc::clone(&asked), Arc::clone(&answered));
            tokio::spawn(async move {
                while Instant::now() < end {
                    let Ok(mut call) = timing.begin(Twice::Counts).await else { continue };
                    asked.fetch_add(1, Ordering::SeqCst);
                    let done = {
                        let mut free = free.lock();
                        *free = (*free).max(Instant::now()) + EACH;
                        *free
                    };
                    let answer = call.attempt(async {
                        tokio::time::sleep_until(done).await;
                        Ok(())
                    });
                    if answer.await.is_ok() {
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("it ends");
        }
        let (asked, answered) = (asked.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
        let could = 120_000 / 25;
        assert!(answered > could * 9 / 10, "{answered} of {could} that it could, of {asked} asked for");
        assert!(asked - answered < asked / 20, "{answered} of {asked} were of use");
    }
}
