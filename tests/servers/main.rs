//! What only servers can show: their bad days, and what software that is not ours reads. Each test says so
//! where there are no servers.

mod clocks;
mod halts;
mod outages;
mod outside;
mod secured;
mod sizes;
mod starts;

#[path = "../support/mod.rs"]
mod support;
