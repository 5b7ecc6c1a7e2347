//! `dvss bench …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `dvss bench …`
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// The whole pipeline, from HTTP to the public topics.
    Pipeline(BenchPipeline),
    /// Normalize on Kafka, against Kafka's clients alone on the same records.
    Hop(BenchHop),
    /// Normalize without Kafka and without stores, step by step.
    Steps,
    /// Reading invoices, each in a child process, by format.
    Parse(BenchParse),
    /// The vendors' door over stores that keep nothing; `pipeline` runs it beside itself.
    #[command(hide = true)]
    Nowhere,
}

/// `dvss bench parse`
#[derive(Debug, Args)]
pub struct BenchParse {
    /// Documents, or folders of them.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// How often each is read.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

/// `dvss bench pipeline`
#[derive(Debug, Args)]
pub struct BenchPipeline {
    /// Data directory; a temporary one where it is not given.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Run on the servers that this file names: each run makes topics, tables and buckets of its own there,
    /// whose names begin with `bench-`, and leaves them.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
    /// Events of the throughput run.
    #[arg(long, default_value_t = 20_000)]
    pub events: u64,
    /// Connections of the throughput run.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Seconds of the latency run.
    #[arg(long, default_value_t = 10)]
    pub latency_seconds: u64,
    /// Events a second of the latency run. Default: 500, on servers 100.
    #[arg(long, value_name = "EVENTS")]
    pub pace: Option<u64>,
    /// Events of the backlog run (resident memory); 0 leaves it out.
    #[arg(long, default_value_t = 0)]
    pub backlog: u64,
    /// Leave the other runs out.
    #[arg(long, value_delimiter = ',', default_values = ["throughput", "latency", "gateway", "stages"])]
    pub only: Vec<Run>,
}

/// A run of `dvss bench pipeline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Run {
    /// As fast as it goes, from HTTP to the public topics.
    Throughput,
    /// At a steady pace: how long a vendor waits, and on servers an event on its way.
    Latency,
    /// The vendors' door alone, against the same over stores that keep nothing.
    Gateway,
    /// One stage after the other, alone.
    Stages,
}

/// `dvss bench hop`
#[derive(Debug, Args)]
pub struct BenchHop {
    /// Names the servers: each run makes topics, tables and buckets of its own there, whose names begin with
    /// `bench-`, and leaves them.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Events of a run.
    #[arg(long, default_value_t = 100_000)]
    pub events: u64,
    /// Events of a run that writes to the stores, which takes longer.
    #[arg(long, default_value_t = 10_000)]
    pub stored: u64,
    /// Records of a transaction; a run each, without writes to the stores.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 500, 1_000])]
    pub together: Vec<usize>,
    /// Records of a transaction of the runs that write to the stores.
    #[arg(long, default_value_t = 500)]
    pub stored_together: usize,
}
