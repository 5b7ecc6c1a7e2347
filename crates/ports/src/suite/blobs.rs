//! The contract of blobs.
