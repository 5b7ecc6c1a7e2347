//! Where every decision comes from: the seed, and what the decision is about.
//!
//! A decision is a hash of both, so that one more call somewhere does not change what happens to the
//! others; sequences (traffic, schedules) take a generator of their own.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A number that `what` has under `seed`, the same in every run.
pub fn number(seed: u64, what: impl Hash) -> u64 {
    // Its keys are fixed, unlike those of maps.
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish()
}

/// A generator for what is named.
pub fn generator(seed: u64, what: impl Hash) -> StdRng {
    StdRng::seed_from_u64(number(seed, what))
}

/// Whether something happens that has `per_million` chances in a million.
pub fn chance(number: u64, per_million: u32) -> bool {
    number % 1_000_000 < u64::from(per_million)
}
