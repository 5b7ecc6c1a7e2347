//! The process dies, at every named place and at any moment; what was accepted comes out once.

mod failpoints;
mod operator;
mod random;
mod scenario;

#[path = "../support/mod.rs"]
mod support;
