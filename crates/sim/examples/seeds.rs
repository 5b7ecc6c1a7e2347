//! Runs seeds: `DVSS_SIM_SEED=7` one of them with its trace, `DVSS_SIM_SEEDS=0..1000` a range.

fn main() -> std::process::ExitCode {
    let _ =
        telemetry::init_logs(telemetry::LogFormat::Text, &variable("DVSS_LOG").unwrap_or("error".to_owned()));
    if let Some(seed) = variable("DVSS_SIM_SEED").and_then(|seed| seed.parse().ok()) {
        let outcome = sim::simulate(sim::plan::Plan::of(seed), sim::untouched, true);
        outcome.lines.iter().for_each(|line| println!("{line}"));
        println!("trace {:016x}", outcome.trace);
        return told(&outcome);
    }
    let range = variable("DVSS_SIM_SEEDS").unwrap_or("0..100".to_owned());
    let Some((from, to)) =
        range.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)))
    else {
        eprintln!("DVSS_SIM_SEEDS={range:?} is not `from..to`");
        return std::process::ExitCode::from(2);
    };
    let range: std::ops::Range<u64> = from..to;
    let mut code = std::process::ExitCode::SUCCESS;
    for seed in range {
        let began = now();
        let outcome = sim::run(seed);
        println!(
            "seed {seed}: {} ms, {} calls, trace {:016x}",
            began.elapsed().as_millis(),
            outcome.calls(),
            outcome.trace
        );
        if outcome.failure().is_some() {
            code = told(&outcome);
        }
    }
    code
}

fn told(outcome: &sim::Outcome) -> std::process::ExitCode {
    match outcome.failure() {
        None => std::process::ExitCode::SUCCESS,
        Some(failure) => {
            eprintln!("{failure}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures what a seed costs; nothing simulated asks for it")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "an adapter: the environment is how a seed is chosen")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
