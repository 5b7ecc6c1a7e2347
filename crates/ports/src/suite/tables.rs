//! The contract of tables.
