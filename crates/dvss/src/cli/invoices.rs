//! `dvss invoices …`, and the command by which dvss starts its parser.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser as NotEmpty;
use clap::{Args, Subcommand};
use contract::VendorId;

use super::{Part, vendor};

/// `dvss invoices …`
#[derive(Debug, Subcommand)]
pub enum Invoices {
    /// Upload documents, and wait until they are read. With --json one job a line.
    Upload {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Whose invoices they are.
        #[arg(long, value_name = "ID", value_parser = vendor)]
        vendor: VendorId,
        /// Do not wait until they are read.
        #[arg(long)]
        no_wait: bool,
    },
    /// List jobs, the last changed first.
    List {
        /// Only in this state, for example REVIEW.
        #[arg(long)]
        state: Option<String>,
        /// Only this vendor.
        #[arg(long)]
        vendor: Option<String>,
        /// Which part of the list.
        #[command(flatten)]
        part: Part,
    },
    /// Show a job: what was read, what it would do to stock, who did what.
    Show {
        /// The job.
        #[arg(value_parser = NotEmpty::new())]
        job: String,
    },
    /// Read a document here and now, without a server, and print what it says: with --json an object a line, one
    /// for each invoice in it. Exit code 1 where it cannot be read.
    Parse {
        /// The file.
        file: PathBuf,
        /// A template for its layout; may be given more than once.
        #[arg(long = "template", value_name = "FILE")]
        templates: Vec<PathBuf>,
    },
    /// Change what is in REVIEW, before it is applied.
    Edit(InvoiceEdit),
    /// Apply what was reviewed to stock, once, and wait until it is published.
    Apply {
        /// The job.
        #[arg(value_parser = NotEmpty::new())]
        job: String,
        /// The version that was reviewed; the newest where it is not given.
        #[arg(long)]
        version: Option<u64>,
        /// Accept what the invoice is flagged for, and every line as it is proposed; doubts about a line's item or unit
        /// stay.
        #[arg(long)]
        accept_all: bool,
        /// Do not wait until it is published.
        #[arg(long)]
        no_wait: bool,
    },
    /// Take back what was applied, and wait until that is published.
    Reverse {
        /// The job.
        #[arg(value_parser = NotEmpty::new())]
        job: String,
        /// Why; kept in the job's log.
        #[arg(long, value_parser = NotEmpty::new())]
        reason: String,
        /// The version that was looked at; the newest where it is not given.
        #[arg(long)]
        version: Option<u64>,
        /// Do not wait until it is published.
        #[arg(long)]
        no_wait: bool,
    },
}

/// `dvss invoices edit`
#[derive(Debug, Args)]
pub struct InvoiceEdit {
    /// The job.
    #[arg(value_parser = NotEmpty::new())]
    pub job: String,
    /// The version that was looked at; the newest where it is not given.
    #[arg(long)]
    pub version: Option<u64>,
    /// The invoice's number.
    #[arg(long)]
    pub number: Option<String>,
    /// Accept what the invoice as a whole is flagged for.
    #[arg(long)]
    pub accept_flags: bool,
    /// Accept every line as it is proposed; doubts about a line's item or unit stay.
    #[arg(long)]
    pub accept_all: bool,
    /// The line that the options below change.
    #[arg(long)]
    pub line: Option<u32>,
    /// The item of one's own stock that the line is booked to.
    #[arg(long, requires = "line")]
    pub sku: Option<String>,
    /// Where it is booked.
    #[arg(long, requires = "line")]
    pub warehouse: Option<String>,
    /// How many, in the unit of the item's stock.
    #[arg(long, requires = "line")]
    pub quantity: Option<String>,
    /// Accept the line and its item, which is remembered.
    #[arg(long, requires = "line")]
    pub accept: bool,
    /// Do not book the line, and why; an empty text books it after all.
    #[arg(long, requires = "line")]
    pub exclude: Option<String>,
}

/// `dvss parse-sandboxed`
#[derive(Debug, Args)]
pub struct ParseSandboxed {
    /// The bounds, as JSON.
    #[arg(long)]
    pub limits: String,
    /// What to do, as JSON.
    #[arg(long)]
    pub task: Option<String>,
    /// Try what is forbidden, and say what came of it.
    #[arg(long)]
    pub probe: bool,
}
