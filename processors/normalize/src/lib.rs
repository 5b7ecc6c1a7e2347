//! # normalize: from a vendor's payload to facts
pub mod decide;
