//! # invoicing: jobs to reviewed documents, plans to stock
//!
//! | | |
//! |---|---|
//! | consumes | `dvss.invoice.jobs`: nudges, keyed by job |
//! | produces | `dvss.normalized`: the facts of a plan, keyed by entity, at revision 1 |
//! | writes | `dvss_invoice_jobs`; `parsed/<jobId>/v<N>.json` |
//! | identity | the job, its version; (planId, line) is a fact's |
//! | order | none is needed: what is to be done stands in the job's row |
//! | poison codes | `record-invalid`, `object-corrupt` |
//!
//! A nudge says nothing but whose turn it is. A job that is QUEUED, or whose worker's lease has ended, is parsed by
//! [`Parser`], a child process that can do nothing else; what it says, or that it was killed, moves the job on. A job
//! that is APPLYING has the facts of its plan emitted that nobody has taken in, until all of them are published.
//! So the same nudge again does what is left to do, and mostly nothing.
//!
//! [`sweeper`] nudges what a crash left behind, and lets jobs expire.

pub mod decide;
mod error;
mod parser;
mod processor;
pub mod sweeper;

pub use parser::{Parsed, Parser};
pub use processor::{Input, Invoicing};
