//! Every code has a page in `docs/errors`, and every page a code.

use std::collections::BTreeSet;
use std::path::PathBuf;

use contract::Code;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors"))
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let names =
        std::fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("a file").file_name());
    let names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    let pages: BTreeSet<&str> = names.iter().filter_map(|name| name.strip_suffix(".md")).collect();
    let mut wanted: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(wanted.len(), Code::ALL.len(), "a code's text is used twice");
    wanted.insert("README");
    assert_eq!(pages, wanted, "pages on the left, codes on the right");
}

#[test]
fn every_page_says_what_a_reader_needs() {
    let index = std::fs::read_to_string(folder().join("README.md")).expect("the index");
    for code in Code::ALL {
        let page = std::fs::read_to_string(folder().join(format!("{code}.md"))).expect("a page");
        let stated = format!("Code `{code}`, HTTP status {}.", code.http_status());
        for part in
            [stated.as_str(), "**What it means.**", "**Cause.**", "**What to do.**", "**Common mistakes**"]
        {
            assert!(page.contains(part), "{code}.md lacks: {part}");
        }
        assert!(page.starts_with("# ") && page.lines().all(|line| line.len() <= 120), "{code}.md");
        let row = format!("| [{code}]({code}.md) | {} | ", code.http_status());
        assert!(index.contains(&row), "README.md lacks: {row}");
    }
}
