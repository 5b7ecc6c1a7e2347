//! Supplier invoices, from a file to stock: the real binary, with its parser in a child process.

mod crash;
mod documents;
mod hostile;
mod life;

#[path = "../support/mod.rs"]
mod support;
