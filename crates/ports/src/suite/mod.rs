//! What every implementation of a port promises, as cases that run against any of them.
//!
//! A case is a function that panics where the promise is broken. Cases share one implementation and
//! run in any order, so each uses names of its own.

pub mod blobs;
pub mod log;
pub mod schemas;
pub mod tables;
