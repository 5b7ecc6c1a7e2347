//! # operator: review, replay, and "where did my event go?"
//!
//! The operator API under `/api/v1` (the CLI speaks to it, so that a running process owns its
//! stores), the console pages at `/`, and what every role serves on its own port: `/metrics`,
//! `/livez`, `/readyz`, `/startupz`.
//!
//! | module | what it answers |
//! |---|---|
//! | [`server`] | routes, and what handlers share |
//! | [`events`] | `explain`: every coordinate of one event |
//! | [`entities`] | an entity's facts and state |
//! | [`reconcile`] | the books: is every accepted event accounted for? |
//! | [`topics`] | a topic's records, in pages |
//! | [`vendors`], [`mappings`], [`quarantine`], [`divergences`] | what operators change |
//! | [`invoices`] | supplier invoices: uploaded, reviewed, applied |
//! | `guard` | who may speak to the API |
//! | `pages` | lists that may be long |
//! | [`status`] | groups, lag, readiness |
//! | [`console`] | the page at `/` |

pub mod console;
pub mod divergences;
pub mod entities;
pub mod events;
mod facts;
mod guard;
pub mod invoices;
pub mod mappings;
mod pages;
pub mod problem;
pub mod quarantine;
pub mod reconcile;
pub mod server;
pub mod status;
pub mod topics;
pub mod vendors;

pub use server::{Host, Operator, StageHealth};
