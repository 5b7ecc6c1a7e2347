//! The library that shows a process another time than the machine's.

use std::path::PathBuf;

use super::prerequisites::{self, FAKETIME};

/// Makes sure that it is there.
pub fn provision() -> anyhow::Result<()> {
    prerequisites::require(&[FAKETIME])
}

/// Where it lies, for `LD_PRELOAD`; below a directory that is called as the machine is.
pub fn library() -> Option<PathBuf> {
    let places = ["/usr/lib", "/usr/local/lib"].map(PathBuf::from);
    let below = |place: &PathBuf| {
        let found = std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path());
        [vec![place.clone()], found.collect()].concat()
    };
    let libraries = places.iter().flat_map(below).map(|place| place.join("faketime/libfaketime.so.1"));
    libraries.into_iter().find(|library| library.is_file())
}
