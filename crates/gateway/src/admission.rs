//! How fast vendors may send, and how many requests are worked on at once.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use contract::envelope::Refusal;
use contract::{Code, VendorId};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;
use stores::vendors::{Rate, Vendor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Beyond it a rate is no limit; a bucket counts in nanoseconds.
const MOST_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// Bounds what vendors may do. Holds state only of vendors that authenticated.
pub struct Admission {
    default_rate: Rate,
    per_vendor: u32,
    all: Arc<Semaphore>,
    whole: u32,
    clock: TokioClock,
    vendors: Mutex<HashMap<VendorId, Arc<Lane>>>,
}

/// One vendor's bounds.
struct Lane {
    rate: Rate,
    bucket: RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>,
    share: Arc<Semaphore>,
}

/// Leave to work on a request; give it back by dropping it.
pub struct Permit {
    _all: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
}

/// The vendor is too fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// When the next event may come.
    pub retry_after: Duration,
}

impl Admission {
    /// At most `all` requests at once, `per_vendor` of one vendor.
    pub fn new(default_rate: Rate, all: u32, per_vendor: u32) -> Self {
        let whole = all.max(1);
        Self {
            default_rate,
            per_vendor: per_vendor.clamp(1, whole),
            all: Arc::new(Semaphore::new(whole as usize)),
            whole,
            clock: TokioClock { origin: Instant::now() },
            vendors: Mutex::default(),
        }
    }

    /// How many of `events` the vendor may send now: from the first on, at least one.
    pub fn take(&self, vendor: &Vendor, events: usize) -> Result<usize, TooFast> {
        let lane = self.lane(vendor);
        let mut taken = 0;
        while taken < events {
            if let Err(until) = lane.bucket.check() {
                if taken > 0 {
                    break;
                }
                return Err(TooFast { retry_after: until.wait_time_from(self.clock.now()) });
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Leave to work on a request of this weight, or the reason why not.
    pub fn enter(&self, vendor: &Vendor, weight: u32) -> Result<Permit, Refusal> {
        let weight = weight.clamp(1, self.per_vendor);
        let lane = self.lane(vendor);
        let share = Arc::clone(&lane.share).try_acquire_many_owned(weight).map_err(|_| {
            Refusal::new(
                Code::RateLimited,
                "too many of your requests are being worked on; send fewer at once",
            )
        })?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(weight).map_err(|_| {
            Refusal::new(Code::Overloaded, "too many requests are being worked on; try again")
        })?;
        Ok(Permit { _all: all, _share: share })
    }

    /// Waits until no request is being worked on.
    pub async fn idle(&self) {
        // The semaphore is never closed.
        let _all = self.all.acquire_many(self.whole).await;
    }

    fn lane(&self, vendor: &Vendor) -> Arc<Lane> {
        let rate = vendor.settings.rate.unwrap_or(self.default_rate);
        let mut vendors = self.vendors.lock();
        if let Some(lane) = vendors.get(&vendor.vendor_id)
            && lane.rate == rate
        {
            return Arc::clone(lane);
        }
        let quota = Quota::per_second(rate.events_per_second.min(MOST_PER_SECOND)).allow_burst(rate.burst);
        // A new rate fills the bucket anew; the share must be the same one, for its permits are out.
        let share = vendors.get(&vendor.vendor_id).map_or_else(
            || Arc::new(Semaphore::new(self.per_vendor as usize)),
            |lane| Arc::clone(&lane.share),
        );
        let bucket = RateLimiter::direct_with_clock(quota, self.clock);
        let lane = Arc::new(Lane { rate, bucket, share });
        vendors.insert(vendor.vendor_id.clone(), Arc::clone(&lane));
        lane
    }
}

/// Tokio's clock for the buckets, so that a paused runtime stands still as a whole.
#[derive(Debug, Clone, Copy)]
struct TokioClock {
    origin: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use contract::Timestamp;
    use stores::vendors::Settings;

    use super::*;

    fn rate(events_per_second: u32, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Rate { events_per_second: number(events_per_second), burst: number(burst) }
    }

    fn vendor(id: &str, rate: Option<Rate>) -> Vendor {
        Vendor {
            vendor_id: VendorId::parse(id).expect("id"),
            settings: Settings { rate, ..Settings::default() },
            keys: Vec::new(),
            disabled: false,
            created_at: Timestamp::from_millis(0).expect("time"),
            platform_activation: 0,
            version: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills() {
        let admission = Admission::new(rate(10, 5), 10, 5);
        let (slow, other) = (vendor("slow", None), vendor("other", Some(rate(1_000, 100))));
        assert_eq!(admission.take(&slow, 3), Ok(3));
        assert_eq!(admission.take(&slow, 3), Ok(2), "a batch gets what is left");
        let TooFast { retry_after } = admission.take(&slow, 1).expect_err("empty");
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_millis(100), "{retry_after:?}");
        assert_eq!(admission.take(&other, 100), Ok(100), "others have buckets of their own");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(admission.take(&slow, 2), Ok(1));
        let faster = vendor("slow", Some(rate(1_000, 50)));
        assert_eq!(admission.take(&faster, 50), Ok(50), "a new rate counts at once");
    }

    #[tokio::test]
    async fn nobody_takes_all() {
        let admission = Admission::new(rate(10, 5), 4, 3);
        let (greedy, modest) = (vendor("greedy", None), vendor("modest", None));
        let code = |result: Result<Permit, Refusal>| result.map(drop).map_err(|refusal| refusal.code);
        let first = admission.enter(&greedy, 2).expect("leave");
        let _second = admission.enter(&greedy, 1).expect("leave");
        assert_eq!(code(admission.enter(&greedy, 1)), Err(Code::RateLimited));
        let _third = admission.enter(&modest, 1).expect("the rest is for others");
        assert_eq!(code(admission.enter(&modest, 1)), Err(Code::Overloaded));
        drop(first);
        assert_eq!(code(admission.enter(&modest, 1)), Ok(()));
        assert_eq!(
            code(admission.enter(&modest, 1_000)),
            Err(Code::RateLimited),
            "a weight is cut to the share"
        );
    }
}
