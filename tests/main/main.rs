//! The main job, end to end: everything that vendors and operators can ask the binary, from outside.

mod commands;
mod door;
mod live;
mod logs;
mod mappings;
mod operators;
mod quarantine;
mod vendors;

#[path = "../support/mod.rs"]
mod support;
