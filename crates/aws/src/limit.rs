//! How many calls of a service are under way at once: as many as it answers in time.
//!
//! A stage works on a hundred records at once. A service that cannot keep up would get all their calls together and
//! answer all of them late; calls end without an answer whose work it still does, and are made again, so that it
//! gets the more, the less it can do. Instead they wait here. The limit grows by one for as many calls as it lets
//! pass, and shrinks by a quarter when a call is slow, unanswered or told to slow down: additive increase,
//! multiplicative decrease, as TCP does it (RFC 5681).

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use telemetry::label;
use telemetry::metric::AWS_CALLS_LIMIT;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// So many are always let through, so that it shows when the service is well again.
const LEAST: u64 = 4;
/// A stage makes no more than this at once, unless it is told to.
const MOST: u64 = 256;
/// A process begins with this limit.
const FIRST: u64 = 32;
/// The limit is counted in these parts of a call.
const PARTS: u64 = 1_000;

/// The limit of one service's calls.
pub(crate) struct Limit {
    service: &'static str,
    /// A call that takes longer is slow.
    slow: Duration,
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// In [`PARTS`] of a call.
    limit: u64,
    /// Places that there are, free and taken.
    places: u64,
    /// When it last shrank: calls that began earlier say nothing new.
    shrunk: Instant,
}

impl Limit {
    pub(crate) fn new(service: &'static str, slow: Duration) -> Arc<Self> {
        let state = State { limit: FIRST * PARTS, places: FIRST, shrunk: Instant::now() };
        let places = Arc::new(Semaphore::new(count(FIRST)));
        show(service, FIRST);
        Arc::new(Self { service, slow, places, state: Mutex::new(state) })
    }

    /// A place for one call, as soon as there is one; `None` where there is none in time. First come, first served.
    pub(crate) async fn enter(self: &Arc<Self>, until: Instant) -> Option<Place> {
        let permit = timeout_at(until, Arc::clone(&self.places).acquire_owned()).await.ok()?;
        // It is never closed.
        let permit = permit.ok()?;
        let began = Instant::now();
        Some(Place {
            limit: Arc::clone(self),
            permit: Some(permit),
            began,
            asked: Some(began),
            seen: Seen::Nothing,
        })
    }

    /// How many calls may be under way.
    pub(crate) fn now(&self) -> u64 {
        self.state.lock().limit / PARTS
    }

    fn learn(&self, permit: OwnedSemaphorePermit, began: Instant, seen: Seen) {
        let mut state = self.state.lock();
        if seen == Seen::Trouble {
            if began >= state.shrunk {
                state.limit = (state.limit / 4 * 3).max(LEAST * PARTS);
                state.shrunk = Instant::now();
            }
        } else if seen == Seen::Answer && (state.places - free(&self.places)) * 2 > state.places {
            // What is not used does not show what would happen if it were.
            state.limit = (state.limit + PARTS * PARTS / state.limit).min(MOST * PARTS);
        }
        let wanted = state.limit / PARTS;
        if wanted > state.places {
            self.places.add_permits(count(wanted - state.places));
            state.places = wanted;
        } else if wanted < state.places {
            // Those that are taken go as they come back.
            permit.forget();
            let others = self.places.forget_permits(count(state.places - wanted - 1));
            state.places -= 1 + u64::try_from(others).unwrap_or(0);
        } else {
            return;
        }
        show(self.service, state.places);
    }
}

fn show(service: &'static str, places: u64) {
    let shown = f64::from(u32::try_from(places).unwrap_or(u32::MAX));
    metrics::gauge!(AWS_CALLS_LIMIT, label::SERVICE => service).set(shown);
}

fn count(places: u64) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX)
}

fn free(places: &Semaphore) -> u64 {
    u64::try_from(places.available_permits()).unwrap_or(0)
}

/// What a call has shown of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing yet.
    Nothing,
    /// It answers, soon enough.
    Answer,
    /// It was slow, did not answer, or asked to slow down.
    Trouble,
}

/// A call that is under way; what became of it is learned from when it goes.
pub(crate) struct Place {
    limit: Arc<Limit>,
    permit: Option<OwnedSemaphorePermit>,
    began: Instant,
    /// Since when an answer is waited for, while one is.
    asked: Option<Instant>,
    seen: Seen,
}

impl Place {
    /// The service is asked, for the first time or again: a pause in between is no fault of its.
    pub(crate) fn asks(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// It answered, and whether it is well.
    pub(crate) fn answered(&mut self, well: bool) {
        let slow = self.is_slow();
        self.asked = None;
        if !well || slow {
            self.seen = Seen::Trouble;
        } else if self.seen == Seen::Nothing {
            self.seen = Seen::Answer;
        }
    }

    fn is_slow(&self) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() > self.limit.slow)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Also where nobody waited for the answer any longer.
        let seen = if self.is_slow() { Seen::Trouble } else { self.seen };
        if let Some(permit) = self.permit.take() {
            self.limit.learn(permit, self.began, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    const SLOW: Duration = Duration::from_millis(500);

    /// A service that does one thing after another: whoever comes waits for all that came before.
    struct Service {
        each: AtomicU64,
        under_way: AtomicU64,
        most: AtomicU64,
    }

    impl Service {
        fn new(each: u64) -> Arc<Self> {
            Arc::new(Self { each: each.into(), under_way: 0.into(), most: 0.into() })
        }

        async fn call(&self) {
            let others = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(others, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(others * self.each.load(Ordering::SeqCst))).await;
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Makes calls, always 128 at once, for a time; returns how many were made.
    async fn load(limit: &Arc<Limit>, service: &Arc<Service>, time: Duration) -> u64 {
        let until = Instant::now() + time;
        let mut callers = JoinSet::new();
        for _ in 0..128 {
            let (limit, service) = (Arc::clone(limit), Arc::clone(service));
            callers.spawn(async move {
                let mut made = 0;
                while Instant::now() < until {
                    let mut place = limit.enter(until + SLOW * 100).await.expect("a place, in time");
                    service.call().await;
                    place.answered(true);
                    made += 1;
                }
                made
            });
        }
        callers.join_all().await.into_iter().sum()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_calls_as_are_answered_in_time() {
        let limit = Limit::new("test", SLOW);
        // Ten at once take as long as is slow.
        let service = Service::new(50);
        load(&limit, &service, Duration::from_secs(20)).await;
        assert_eq!(service.most.swap(0, Ordering::SeqCst), FIRST, "it does not know better at first");
        load(&limit, &service, Duration::from_secs(60)).await;
        let most = service.most.swap(0, Ordering::SeqCst);
        assert!((10..=12).contains(&most), "{most}");
        assert!((7..=11).contains(&limit.now()), "{}", limit.now());
        // It has become a hundred times as fast, and all of them may come.
        service.each.store(1, Ordering::SeqCst);
        load(&limit, &service, Duration::from_secs(60)).await;
        assert_eq!(service.most.load(Ordering::SeqCst), 128);
        assert!(limit.now() <= MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_away_is_asked_by_few_and_one_round_counts_once() {
        let limit = Limit::new("test", SLOW);
        let far = Instant::now() + SLOW * 1_000;
        let mut expected = FIRST;
        while expected > LEAST {
            tokio::time::advance(Duration::from_millis(1)).await;
            let mut round = Vec::new();
            for _ in 0..expected {
                round.push(limit.enter(far).await.expect("a place"));
            }
            assert!(limit.enter(Instant::now()).await.is_none(), "{expected} places");
            tokio::time::advance(Duration::from_millis(1)).await;
            round.iter_mut().for_each(|place| place.answered(false));
            drop(round);
            expected = (expected * 3 / 4).max(LEAST);
            assert!((expected..=expected + 1).contains(&limit.now()), "{} of {expected}", limit.now());
            expected = limit.now();
        }
        assert_eq!(limit.now(), LEAST);
    }

    #[tokio::test(start_paused = true)]
    async fn where_few_calls_are_made_or_their_answers_not_waited_for_nothing_is_learned() {
        let limit = Limit::new("test", SLOW);
        for _ in 0..10_000 {
            limit.enter(Instant::now() + SLOW).await.expect("a place").answered(true);
        }
        for _ in 0..1_000 {
            let mut gone = Vec::new();
            for _ in 0..FIRST {
                gone.push(limit.enter(Instant::now() + SLOW).await.expect("a place"));
            }
        }
        assert_eq!(limit.now(), FIRST);
        let slow = limit.enter(Instant::now() + SLOW).await.expect("a place");
        tokio::time::advance(SLOW + Duration::from_millis(1)).await;
        drop(slow);
        assert_eq!(limit.now(), FIRST * 3 / 4, "also where nobody waited for its end");
    }
}
