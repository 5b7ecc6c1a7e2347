//! `dvss bench`: what dvss does, and what it costs.
//!
//! | module | what it measures |
//! |---|---|
//! | [`pipeline`] | the whole way from HTTP to the public topics, in processes beside this one |
//! | [`hop`] | normalize on Kafka, against Kafka's clients alone |
//! | [`steps`] | normalize without Kafka and stores, step by step |
//! | [`parse`] | reading documents, each in a child process |
//!
//! | module | what for |
//! |---|---|
//! | [`ground`] | where a run has its data: a directory, or an installation of its own on servers |
//! | [`child`] | a dvss process beside this one |
//! | [`load`] | what is sent |
//! | [`sample`] | what an event of normalize's benchmarks says |
//! | [`arrivals`] | when records become visible on a topic |
//! | [`nowhere`] | stores that keep nothing |
//! | [`cpu`] | processor time |

mod arrivals;
mod child;
mod cpu;
mod ground;
mod hop;
mod load;
mod nowhere;
mod parse;
mod pipeline;
mod sample;
mod steps;

use crate::cli;
use crate::up::log_filter;

/// Runs a benchmark and prints its figures.
pub async fn run(bench: cli::Bench, json: bool) -> anyhow::Result<u8> {
    telemetry::init_logs(telemetry::LogFormat::Json, &log_filter("warn"))?;
    match bench {
        cli::Bench::Pipeline(options) => pipeline::run(options, json).await,
        cli::Bench::Hop(options) => hop::run(options, json).await,
        cli::Bench::Steps => steps::run(json),
        cli::Bench::Parse(options) => parse::run(options, json).await,
        cli::Bench::Nowhere => nowhere::serve().await,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn micros(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// With one digit behind the point.
fn tenth(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

/// With three digits behind the point.
fn thousandth(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

/// A quantile of sorted figures; 0 where there are none.
fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (as_f64(last as u64) * quantile).round() as usize;
    thousandth(sorted.get(index).copied().unwrap_or(0.0))
}

fn say(text: &str) {
    eprintln!("{text}");
}
