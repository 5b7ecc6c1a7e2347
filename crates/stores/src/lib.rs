//! # stores: typed stores on the ports, each once
//!
//! Several stages and roles read the same rows (the gateway asks the ingest index that dedup writes,
//! `explain` reads them all), and stages never use one another: so every table and object has its one
//! typed store here. See `docs/adr/0002-stores.md`.
//!
//! | module | table or object | written by |
//! |---|---|---|
//! | [`ingest`] | `dvss_ingest_index` | dedup claims, normalize sets the status |
//! | [`normalized`] | `normalized/…` | normalize |
//! | [`effects`] | `dvss_canonical_state`, `dvss_effects` | divergence; the outbox sets coordinates |
//! | [`divergences`] | `dvss_divergence` | dedup, divergence |
//! | [`quarantine`] | `dvss_quarantine` | the loop, operators |
//! | [`outbox`] | the outbox columns of the three tables above | the outbox |
//! | [`mappings`] | `dvss_vendor_mappings` | operators |
//! | [`vendors`] | `dvss_vendors` | operators |
//! | [`audit`] | `dvss_audit` | operators |
//!
//! [`codec`] encodes what public topics carry; [`topics`] are the topics as they are to be.

pub mod audit;
pub mod codec;
pub mod divergences;
pub mod effects;
pub mod failure;
pub mod ingest;
pub mod mappings;
pub mod normalized;
pub mod outbox;
pub mod quarantine;
pub mod receipts;
pub mod records;
pub mod tables;
pub mod topics;
pub mod vendors;
