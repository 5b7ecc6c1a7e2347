//! The contract of log.
