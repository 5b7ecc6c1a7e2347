//! The real door on a loopback port, on embedded ports in memory.

mod bad_input;
mod batches;
mod connections;
mod corpus;
mod faults;
mod metered;
mod outcomes;
mod support;
mod vendors;
