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
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Beyond it a rate is no limit; a bucket counts in nanoseconds.
const MOST_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000_000).expect("not zero");

/// How many times its rate a vendor may send for nothing: see [`Fare::refund`].
const REFUNDS: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

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
    bucket: Bucket,
    refunds: Bucket,
    share: Arc<Semaphore>,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

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

    /// Pays for a request and one event of it. What more events cost is paid from the purse.
    pub fn pay(&self, vendor: &Vendor) -> Result<Purse, TooFast> {
        self.pay_as(&vendor.vendor_id, vendor.settings.rate)
    }

    /// The same, of somebody who may be no vendor.
    pub fn pay_as(&self, id: &VendorId, rate: Option<Rate>) -> Result<Purse, TooFast> {
        let lane = self.lane(id, rate);
        match lane.bucket.check() {
            Err(until) => Err(TooFast { retry_after: until.wait_time_from(self.clock.now()) }),
            Ok(()) => {
                let till = Mutex::new(Till { spare: 1, pending: 0 });
                Ok(Purse { lane, till, settled: Notify::new() })
            }
        }
    }

    /// How long it takes until so many events fit the vendor's rate, or as many as ever fit at once.
    pub fn refill(&self, vendor: &Vendor, events: usize) -> Duration {
        let rate = self.lane(&vendor.vendor_id, vendor.settings.rate).rate;
        let events = u32::try_from(events).unwrap_or(u32::MAX).min(rate.burst.get());
        Duration::from_secs(events.div_ceil(rate.events_per_second.get()).into())
    }

    /// Leave to work on a request of this weight, or the reason why not.
    pub fn enter(&self, vendor: &Vendor, weight: u32) -> Result<Permit, Refusal> {
        let weight = weight.clamp(1, self.per_vendor);
        let lane = self.lane(&vendor.vendor_id, vendor.settings.rate);
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

    fn lane(&self, id: &VendorId, rate: Option<Rate>) -> Arc<Lane> {
        let rate = rate.unwrap_or(self.default_rate);
        let mut vendors = self.vendors.lock();
        if let Some(lane) = vendors.get(id)
            && lane.rate == rate
        {
            return Arc::clone(lane);
        }
        let per_second = rate.events_per_second.min(MOST_PER_SECOND);
        let bucket = |times: NonZeroU32| {
            let quota = Quota::per_second(per_second.saturating_mul(times));
            RateLimiter::direct_with_clock(quota.allow_burst(rate.burst.saturating_mul(times)), self.clock)
        };
        // A new rate fills the buckets anew; the share must be the same one, for its permits are out.
        let share = vendors.get(id).map_or_else(
            || Arc::new(Semaphore::new(self.per_vendor as usize)),
            |lane| Arc::clone(&lane.share),
        );
        let (bucket, refunds) = (bucket(NonZeroU32::MIN), bucket(REFUNDS));
        let lane = Arc::new(Lane { rate, bucket, refunds, share });
        vendors.insert(id.clone(), Arc::clone(&lane));
        lane
    }
}

/// What a batch's events are paid from: its vendor's bucket. What was paid for an event that turned out to
/// bring nothing new pays for the batch's next.
pub struct Purse {
    lane: Arc<Lane>,
    till: Mutex<Till>,
    settled: Notify,
}

struct Till {
    /// Paid, and nothing got for it yet.
    spare: usize,
    /// Fares of events that are being worked on.
    pending: usize,
}

/// One event's fare; spent when it is dropped.
pub struct Fare<'a> {
    purse: &'a Purse,
    back: bool,
}

impl Purse {
    /// Pays for one event; `None` where the vendor is too fast. Waits while a fare that is out may still
    /// come back.
    pub async fn pay(&self) -> Option<Fare<'_>> {
        loop {
            // Before the look, so that no fare is missed that comes back behind it.
            let settled = self.settled.notified();
            {
                let mut till = self.till.lock();
                let paid = till.spare > 0 || self.lane.bucket.check().is_ok();
                if paid {
                    till.spare = till.spare.saturating_sub(1);
                    till.pending += 1;
                    return Some(Fare { purse: self, back: false });
                }
                if till.pending == 0 {
                    return None;
                }
            }
            settled.await;
        }
    }
}

impl Fare<'_> {
    /// Gives it back, for an event that brought nothing new: a repeat, or one with mistakes. It was work
    /// all the same, and a repeat that the ingest index does not know yet is produced once more; so refunds
    /// come from a bucket of ten times the vendor's rate, and where that is empty the fare is spent.
    pub fn refund(mut self) {
        self.back = self.purse.lane.refunds.check().is_ok();
    }
}

impl Drop for Fare<'_> {
    fn drop(&mut self) {
        let mut till = self.purse.till.lock();
        till.pending -= 1;
        till.spare += usize::from(self.back);
        drop(till);
        self.purse.settled.notify_waiters();
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
        let spent =
            |vendor: &Vendor, most: usize| (0..most).take_while(|_| admission.pay(vendor).is_ok()).count();
        assert_eq!(spent(&slow, 10), 5);
        let TooFast { retry_after } = admission.pay(&slow).map(drop).expect_err("empty");
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_millis(100), "{retry_after:?}");
        assert_eq!(spent(&other, 100), 100, "others have buckets of their own");
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(spent(&slow, 2), 1);
        assert_eq!(admission.refill(&slow, 3), Duration::from_secs(1));
        assert_eq!(admission.refill(&slow, 1_000), Duration::from_secs(1), "more than 5 never fit at once");
        let faster = vendor("slow", Some(rate(1_000, 50)));
        assert_eq!(spent(&faster, 50), 50, "a new rate counts at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fare_that_comes_back_pays_for_the_next() {
        let admission = Admission::new(rate(1, 2), 10, 5);
        let acme = vendor("acme", None);
        let purse = admission.pay(&acme).expect("full");
        let (first, second) = (purse.pay().await.expect("paid"), purse.pay().await.expect("in the bucket"));
        // The third waits for the two: it gets what comes back, and nothing where nothing does.
        let (third, ()) = tokio::join!(purse.pay(), async {
            drop(first);
            second.refund();
        });
        let third = third.expect("what came back");
        let (fourth, ()) = tokio::join!(purse.pay(), async { drop(third) });
        assert!(fourth.is_none(), "all is spent");
    }

    #[tokio::test(start_paused = true)]
    async fn refunds_end_at_ten_times_the_rate() {
        let admission = Admission::new(rate(1, 2), 10, 5);
        let acme = vendor("acme", None);
        let purse = admission.pay(&acme).expect("full");
        for _ in 0..20 {
            purse.pay().await.expect("what came back").refund();
        }
        assert!(admission.pay(&acme).is_ok(), "the bucket has its second event still");
        purse.pay().await.expect("what came back").refund();
        assert!(purse.pay().await.is_none(), "the 21st did not come back");
        // A second later: one event, and ten refunds of it.
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..=10 {
            purse.pay().await.expect("what came back").refund();
        }
        assert!(purse.pay().await.is_none());
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
