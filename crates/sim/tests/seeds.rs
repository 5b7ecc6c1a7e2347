//! Five hundred seeds, fifty a test; each test's seeds reach every place where a stage calls a port.

use sim::plan::{CALLS, Frequency};
use sim::weather::{Coverage, Side};

/// Calls before which some process has to stand still, and write after others took its place.
const ZOMBIES: [&str; 4] =
    ["dedup.tables.write", "divergence.tables.transact", "outbox.log.commit", "operator.tables.transact"];

/// Runs the seeds, and checks that what was to happen did happen, everywhere.
fn seeds(range: std::ops::Range<u64>) {
    let mut coverage = Coverage::new();
    let mut failures = Vec::new();
    for seed in range {
        let outcome = sim::run(seed);
        failures.extend(outcome.failure());
        for (place, hits) in outcome.coverage {
            coverage.entry(place).or_default().add(hits);
        }
    }
    print(&coverage);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What only some runs do, fifty of them may miss; the table above shows it.
    let certain = CALLS.iter().filter(|(.., frequency)| *frequency != Frequency::Perhaps);
    let missed: Vec<String> = certain.flat_map(|call| missed(&coverage, call)).collect();
    assert!(missed.is_empty(), "never hit: {missed:#?}");
    let aimed = |call: &str| CALLS.iter().any(|known| name(known) == call);
    let unlisted = coverage.keys().filter(|(call, _)| !aimed(call));
    let unlisted: Vec<_> = unlisted.collect();
    assert!(unlisted.is_empty(), "the stages make calls that no plan aims at: {unlisted:?}");
}

fn name((stage, port, method, _): &(&str, &str, &str, Frequency)) -> String {
    format!("{stage}.{port}.{method}")
}

fn missed(coverage: &Coverage, call: &(&str, &str, &str, Frequency)) -> Vec<String> {
    let mut missed = Vec::new();
    for side in [Side::Before, Side::After] {
        let hits = coverage.get(&(name(call), side)).copied().unwrap_or_default();
        let zombies = side == Side::Before && ZOMBIES.contains(&name(call).as_str());
        let paused = if zombies { hits.paused } else { u64::MAX };
        let kinds = [("fails", hits.failed), ("dies", hits.died), ("stands still", paused)];
        missed.extend(
            kinds
                .iter()
                .filter(|(_, count)| *count == 0)
                .map(|(kind, _)| format!("{} {side:?} {kind}", name(call))),
        );
    }
    missed
}

fn print(coverage: &Coverage) {
    println!("{:<36} {:>6} {:>8} {:>7} {:>6} {:>7}", "call", "side", "reached", "failed", "died", "paused");
    for ((call, side), hits) in coverage {
        println!(
            "{call:<36} {side:>6?} {:>8} {:>7} {:>6} {:>7}",
            hits.seen, hits.failed, hits.died, hits.paused
        );
    }
}

macro_rules! chunks {
    ($($name:ident = $range:expr,)*) => {
        $(#[test]
        fn $name() {
            seeds($range);
        })*
    };
}

chunks! {
    seeds_000_to_049 = 0..50,
    seeds_050_to_099 = 50..100,
    seeds_100_to_149 = 100..150,
    seeds_150_to_199 = 150..200,
    seeds_200_to_249 = 200..250,
    seeds_250_to_299 = 250..300,
    seeds_300_to_349 = 300..350,
    seeds_350_to_399 = 350..400,
    seeds_400_to_449 = 400..450,
    seeds_450_to_499 = 450..500,
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in [1, 23, 456] {
        let (first, second) = (sim::run(seed), sim::run(seed));
        assert_eq!((first.trace, first.coverage), (second.trace, second.coverage), "seed {seed}");
    }
    assert_ne!(sim::run(1).trace, sim::run(2).trace);
}
