//! The mapping documents that come with dvss, embedded.

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Every shipped mapping document: its path under `mappings/` and its text, in the order of paths.
pub fn shipped() -> Vec<(&'static str, &'static str)> {
    FILES.iter().filter(|(path, _)| !path.ends_with(CASES)).copied().collect()
}

/// The golden cases of a shipped document.
pub fn shipped_cases(document: &str) -> Option<&'static str> {
    let cases = format!("{}{CASES}", document.strip_suffix(".yaml")?);
    FILES.iter().find(|(path, _)| *path == cases).map(|(_, text)| *text)
}

/// How the names of files with cases end.
const CASES: &str = ".cases.yaml";
