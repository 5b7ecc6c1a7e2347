//! The real door on a loopback port, on embedded ports in memory.

mod bad_input;
mod batches;
mod connections;
mod corpus;
mod faults;
mod inbound;
mod metered;
mod outcomes;
#[path = "../../../../tests/support/corpus.rs"]
mod place;
mod support;
mod vendors;
