//! # embedded: every port in one process, with no server beside it

pub mod blobs;
mod bounded;
pub mod clock;
pub mod engine;
pub mod log;
pub mod schemas;
pub mod tables;
mod writer;

pub use engine::{Durability, Engine, OpenError, Options, StoreError};
