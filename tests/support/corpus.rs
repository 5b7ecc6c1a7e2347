//! Where the corpus of real payloads is: `DVSS_CORPUS`, or `../shared/corpus` beside the repository.

use std::path::{Path, PathBuf};

/// What lies at this path below the corpus; `None`, and a word about it, where it is absent.
#[expect(clippy::disallowed_methods, reason = "where a test's data are is the environment's business")]
pub fn corpus(path: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let found = std::env::var_os("DVSS_CORPUS").map_or_else(beside, PathBuf::from).join(path);
    if found.exists() {
        return Some(found);
    }
    println!(
        "corpus absent: {} is not there and was not tried; DVSS_CORPUS says where it is",
        found.display()
    );
    None
}
