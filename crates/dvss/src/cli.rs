//! The command line.

mod bench;
mod invoices;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser as NotEmpty;
use clap::{Args, Parser, Subcommand};
use contract::VendorId;

pub use bench::{Bench, BenchHop, BenchParse, BenchPipeline, Run};
pub use invoices::{InvoiceEdit, Invoices, ParseSandboxed};

/// Exit codes.
pub mod exit {
    /// Done.
    pub const SUCCESS: u8 = 0;
    /// It failed; stderr says why.
    pub const FAILURE: u8 = 1;
    /// The books do not balance; something differs from what it should be.
    pub const UNBALANCED: u8 = 3;
    /// The server does not answer, or it is not dvss.
    pub const UNREACHABLE: u8 = 4;
    /// The server refused; stderr has its code and reason.
    pub const REFUSED: u8 = 5;
    /// The server cannot do it now, for want of one of its own; the same command may go through later.
    pub const UNAVAILABLE: u8 = 6;

    /// The exit code of an error.
    pub fn of(error: &anyhow::Error) -> u8 {
        match error.downcast_ref::<crate::client::Error>() {
            Some(crate::client::Error::Unreachable { .. } | crate::client::Error::Foreign { .. }) => {
                UNREACHABLE
            }
            Some(crate::client::Error::Refused { status, .. }) if status.as_u16() == 503 => UNAVAILABLE,
            Some(crate::client::Error::Refused { .. }) => REFUSED,
            None => FAILURE,
        }
    }
}

/// Turns what vendors say about orders and stock into one trustworthy stream of inventory facts.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage; 3 the books do not balance, or something differs from its plan; 4 no server; 5 refused by the server; 6 the server cannot now, try again.
#[derive(Debug, Parser)]
#[command(name = "dvss", version, max_term_width = 110)]
pub struct Cli {
    /// The operator API that commands speak to.
    #[arg(
        long,
        global = true,
        env = "DVSS_SERVER",
        default_value = "http://127.0.0.1:8081",
        value_parser = crate::client::server
    )]
    pub server: String,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in a temporary directory, play sample traffic, show what came out.
    Demo(Demo),
    /// Run everything in one process: on the embedded default, or on the configuration's servers.
    Up(Up),
    /// Run the vendors' doors alone, on the configuration's servers.
    Gateway(Up),
    /// Run stages alone, on the configuration's servers.
    Processor {
        /// The stages.
        #[arg(required = true)]
        stages: Vec<crate::config::Role>,
        /// Where to run.
        #[command(flatten)]
        place: Place,
    },
    /// Run the operator API alone, on the configuration's servers.
    Operator(Up),
    /// Kafka's topics, as `topics/*.yaml` says.
    #[command(subcommand)]
    Topics(Topics),
    /// DynamoDB's tables and S3's buckets.
    #[command(subcommand)]
    Tables(Change),
    /// The schemas of public topics in the registry.
    #[command(subcommand)]
    Schemas(Schemas),
    /// Vendors and their keys.
    #[command(subcommand)]
    Vendors(Vendors),
    /// Mappings from vendors' payloads to facts.
    #[command(subcommand)]
    Mappings(Mappings),
    /// Print a topic's records, one JSON object a line.
    Tail(Tail),
    /// Where did my event go? Every coordinate of one event.
    Explain {
        /// The event's ingest id.
        #[arg(value_parser = NotEmpty::new())]
        ingest_id: String,
    },
    /// The facts of one entity, in fold order, and the state that they give.
    History {
        /// The entity's key, for example `acme|w1|SKU-1||`.
        #[arg(value_parser = NotEmpty::new())]
        entity: String,
    },
    /// Fold all facts of one entity anew.
    Recompute {
        /// The entity's key.
        #[arg(value_parser = NotEmpty::new())]
        entity: String,
    },
    /// Prove that every accepted event is accounted for.
    Reconcile {
        /// Produce orphaned raw objects and emit again what lags behind its object.
        #[arg(long)]
        repair: bool,
    },
    /// Records that a stage could not work on.
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Where what was said disagrees with what is known.
    #[command(subcommand)]
    Divergences(Divergences),
    /// Groups, lag and quarantine depth.
    Status,
    /// Committed offsets of a stopped embedded log.
    #[command(subcommand)]
    Offsets(Offsets),
    /// Suppliers' invoices: upload, review, apply to stock once.
    #[command(subcommand)]
    Invoices(Invoices),
    /// Measure.
    #[command(subcommand)]
    Bench(Bench),
    /// Reads one document from stdin, confined; dvss starts it for itself.
    #[command(hide = true)]
    ParseSandboxed(ParseSandboxed),
}

/// Where a process keeps its data and listens.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// YAML configuration; environment (`DVSS_…`) and flags override it.
    #[arg(long, env = "DVSS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory.
    #[arg(long, env = "DVSS_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address of the vendors' door (port 0: any free one).
    #[arg(long, env = "DVSS_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of the operator API and console (port 0: any free one).
    #[arg(long, env = "DVSS_OPERATOR_LISTEN", value_name = "ADDR")]
    pub operator_listen: Option<SocketAddr>,
}

/// `dvss demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Where to run.
    #[command(flatten)]
    pub place: Place,
    /// Leave after the tour instead of waiting for Ctrl-C.
    #[arg(long)]
    pub exit: bool,
}

/// `dvss topics …`
#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Show what differs; change nothing. Exit code 3 where something does.
    Plan(TopicsOf),
    /// Make what is missing. What cannot be undone is only done with `--force`.
    Apply {
        /// Also add partitions to topics, although keys then move.
        #[arg(long)]
        force: bool,
        /// Which topics.
        #[command(flatten)]
        of: TopicsOf,
    },
}

/// Which topics, on which servers.
#[derive(Debug, Args)]
pub struct TopicsOf {
    /// Also the topic `dvss.inbound.ID`, which this vendor writes to; may be given more than once.
    #[arg(long = "vendor", value_name = "ID", value_parser = vendor)]
    pub vendors: Vec<VendorId>,
    /// Which servers.
    #[command(flatten)]
    pub servers: Servers,
}

fn vendor(text: &str) -> Result<VendorId, contract::ids::Error> {
    VendorId::parse(text)
}

/// `dvss tables …`
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Show what differs; change nothing. Exit code 3 where something does.
    Plan(Servers),
    /// Make what is missing.
    Apply(Servers),
}

/// `dvss schemas …`
#[derive(Debug, Subcommand)]
pub enum Schemas {
    /// Ask the registry whether it has, or would take, what this build speaks. Exit code 3 where not.
    Check(Servers),
    /// Register what this build speaks; refused where it breaks those who read.
    Register(Servers),
}

/// Which servers.
#[derive(Debug, Clone, Args)]
pub struct Servers {
    /// YAML configuration with a `servers` section; environment (`DVSS_…`) overrides it.
    #[arg(long, env = "DVSS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `dvss up`
#[derive(Debug, Args)]
pub struct Up {
    /// Where to run.
    #[command(flatten)]
    pub place: Place,
}

/// `dvss vendors …`
#[derive(Debug, Subcommand)]
pub enum Vendors {
    /// Add a vendor; prints its key, once.
    Add {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
        /// Platform whose shipped mappings apply, for example `shopify`.
        #[arg(long)]
        platform: Option<String>,
        /// RFC 6901 pointer into the body; events with equal values there keep their order.
        #[arg(long)]
        ordering_pointer: Option<String>,
        /// Events a second that the vendor may send.
        #[arg(long)]
        rate: Option<u32>,
    },
    /// Change settings of a vendor; what is not named stays, and an empty text or a rate of 0 takes a
    /// setting away.
    Set {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
        /// Platform whose shipped mappings apply, for example `shopify`.
        #[arg(long)]
        platform: Option<String>,
        /// RFC 6901 pointer into the body; events with equal values there keep their order.
        #[arg(long)]
        ordering_pointer: Option<String>,
        /// Events a second that the vendor may send.
        #[arg(long)]
        rate: Option<u32>,
    },
    /// List vendors.
    List,
    /// Give the vendor a second key and print it, once; the older stays valid until revoked.
    Rotate {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
    },
    /// Revoke all keys but the newest.
    Revoke {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
    },
    /// Refuse the vendor's events from now on.
    Disable {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
    },
    /// Take the vendor's events again.
    Enable {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
    },
}

/// `dvss mappings …`
#[derive(Debug, Subcommand)]
pub enum Mappings {
    /// Store a mapping document as a new version.
    Put {
        /// The YAML document.
        file: PathBuf,
        /// Make it the effective one at once.
        #[arg(long)]
        activate: bool,
    },
    /// Run the golden cases beside mapping documents; needs no server.
    Test {
        /// Documents or directories.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Make a stored version the effective one.
    Activate(MappingVersion),
    /// Take a version (the active one where none is given) out of use; the platform's applies again where the
    /// vendor had its own.
    Retire(MappingVersion),
    /// List mappings.
    List,
    /// Print a mapping document.
    Show(MappingVersion),
}

/// Which mapping.
#[derive(Debug, Args)]
pub struct MappingVersion {
    /// A vendor's id, or `platform:NAME`.
    #[arg(value_parser = NotEmpty::new())]
    pub owner: String,
    /// The event type.
    #[arg(value_parser = NotEmpty::new())]
    pub event_type: String,
    /// The version; the newest where it is not given.
    pub version: Option<u32>,
}

/// `dvss tail`
#[derive(Debug, Args)]
pub struct Tail {
    /// The topic.
    #[arg(value_parser = NotEmpty::new())]
    pub topic: String,
    /// Begin at the first record that is kept.
    #[arg(long)]
    pub from_start: bool,
    /// Stop at the end as it is now.
    #[arg(long)]
    pub until_end: bool,
}

/// `dvss quarantine …`
#[derive(Debug, Subcommand)]
pub enum Quarantine {
    /// List what is parked.
    List {
        /// Only this stage.
        #[arg(long)]
        stage: Option<String>,
        /// Only this vendor.
        #[arg(long)]
        vendor: Option<String>,
        /// Only what still waits for somebody.
        #[arg(long)]
        open: bool,
        /// Which part of the list.
        #[command(flatten)]
        part: Part,
    },
    /// Show one row.
    Show(QuarantineRow),
    /// Put a record back to where it came from; it is tried again.
    Release(QuarantineRow),
    /// Decide that a record will never be worked on.
    Discard {
        /// Which.
        #[command(flatten)]
        row: QuarantineRow,
        /// Why; kept in the audit log.
        #[arg(long, value_parser = NotEmpty::new())]
        reason: String,
    },
    /// Release a vendor's parked records in order, and try its new ones again.
    Resume {
        /// The vendor's id.
        #[arg(value_parser = NotEmpty::new())]
        vendor: String,
    },
}

/// `dvss divergences …`
#[derive(Debug, Subcommand)]
pub enum Divergences {
    /// List them: of a vendor or an entity the latest first, else in no particular order.
    List {
        /// Only about this entity, for example `acme|w1|SKU-1||`.
        #[arg(long)]
        entity: Option<String>,
        /// Only this vendor.
        #[arg(long)]
        vendor: Option<String>,
        /// Only those that nobody has judged.
        #[arg(long)]
        open: bool,
        /// Which part of the list.
        #[command(flatten)]
        part: Part,
    },
    /// Show one, with both sides.
    Show {
        /// Its id, as the list has it.
        #[arg(value_parser = NotEmpty::new())]
        id: String,
    },
    /// Judge that it is so, and needs nothing.
    Accept(Verdict),
    /// Judge that what caused it was put right.
    Resolve(Verdict),
}

/// A verdict on a divergence.
#[derive(Debug, Args)]
pub struct Verdict {
    /// Its id, as the list has it.
    #[arg(value_parser = NotEmpty::new())]
    pub id: String,
    /// Why; kept in the audit log.
    #[arg(long, value_parser = NotEmpty::new())]
    pub reason: String,
}

/// Which part of a list that may be long.
#[derive(Debug, Args)]
pub struct Part {
    /// Most rows.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Where to go on: `next` of an earlier part of the same list.
    #[arg(long)]
    pub cursor: Option<String>,
}

/// Which quarantine row.
#[derive(Debug, Args)]
pub struct QuarantineRow {
    /// The stage, for example `dvss.normalize`.
    #[arg(value_parser = NotEmpty::new())]
    pub stage: String,
    /// The identity under it.
    #[arg(value_parser = NotEmpty::new())]
    pub identity: String,
}

/// `dvss offsets …`
#[derive(Debug, Subcommand)]
pub enum Offsets {
    /// Show a group's committed offsets.
    Show {
        /// Data directory of a stopped `dvss up`.
        #[arg(long, env = "DVSS_DATA")]
        data: PathBuf,
        /// The group, for example `dvss.normalize`.
        #[arg(long)]
        group: String,
    },
    /// Set a group's committed offsets: a replay.
    Reset {
        /// Data directory of a stopped `dvss up`.
        #[arg(long, env = "DVSS_DATA")]
        data: PathBuf,
        /// The group, for example `dvss.normalize`.
        #[arg(long)]
        group: String,
        /// To the first record that is kept.
        #[arg(long, required = true)]
        to_earliest: bool,
    },
}
