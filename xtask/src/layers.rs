//! Who may use whom. A test of what cargo says about the workspace, so that an edge against the
//! direction does not wait for a reviewer.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Crate, and the crates of this workspace that it may use. Each may only use crates above it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("telemetry", &["contract"]),
    ("ports", &["contract"]),
    ("formats", &["contract"]),
    ("mapping", &["contract", "formats"]),
    ("readers", &["contract", "formats"]),
    ("sandbox", &["contract"]),
    ("embedded", &["contract", "ports"]),
    ("aws", &["contract", "ports", "telemetry"]),
    ("faults", &["contract", "ports"]),
    ("runtime", &["contract", "ports", "telemetry"]),
    ("kafka", &["contract", "ports", "telemetry"]),
    ("stores", &["contract", "ports", "runtime", "telemetry"]),
    ("invoices", &["contract", "ports", "readers", "runtime", "stores", "telemetry"]),
    // Stages never use one another, and a surface neither a stage nor the other surface.
    ("dedup", BASE),
    ("normalize", BASE_AND_MAPPING),
    ("divergence", BASE),
    ("outbox", BASE),
    ("invoicing", BASE_AND_INVOICES),
    ("gateway", &["contract", "invoices", "ports", "runtime", "stores", "telemetry"]),
    ("operator", &["contract", "invoices", "mapping", "ports", "readers", "runtime", "stores", "telemetry"]),
    (
        "sim",
        &[
            "contract",
            "dedup",
            "divergence",
            "embedded",
            "faults",
            "gateway",
            "invoices",
            "invoicing",
            "mapping",
            "normalize",
            "operator",
            "outbox",
            "ports",
            "readers",
            "runtime",
            "stores",
            "telemetry",
        ],
    ),
    // The only binary, and the only place where things are wired together.
    (
        "dvss",
        &[
            "aws",
            "contract",
            "dedup",
            "divergence",
            "embedded",
            "faults",
            "gateway",
            "invoices",
            "invoicing",
            "kafka",
            "mapping",
            "normalize",
            "operator",
            "outbox",
            "ports",
            "readers",
            "runtime",
            "sandbox",
            "stores",
            "telemetry",
        ],
    ),
];

const BASE: &[&str] = &["contract", "ports", "runtime", "stores", "telemetry"];
const BASE_AND_INVOICES: &[&str] =
    &["contract", "invoices", "ports", "readers", "runtime", "stores", "telemetry"];
const BASE_AND_MAPPING: &[&str] = &["contract", "mapping", "ports", "runtime", "stores", "telemetry"];
/// What tests of any crate but these may use beside: an implementation of the ports to stand on, and
/// faults around it.
const IN_TESTS: &[&str] = &["embedded", "faults", "ports"];
/// Chores stand beside the workspace: they use nothing of it and nothing uses them.
const XTASK: &str = "xtask";

struct Edge {
    user: String,
    used: String,
    /// `normal`, `build` or `dev`.
    kind: String,
}

fn workspace() -> (BTreeSet<String>, Vec<Edge>) {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked", "--offline"])
        .current_dir(crate::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<String> = packages.iter().filter_map(|package| text(&package["name"])).collect();
    let mut edges = Vec::new();
    for package in packages {
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = text(&dependency["name"]).expect("a name");
            if dependency["path"].is_string() {
                let user = text(&package["name"]).expect("a name");
                edges.push(Edge {
                    user,
                    used,
                    kind: text(&dependency["kind"]).unwrap_or("normal".to_owned()),
                });
            }
        }
    }
    (names, edges)
}

/// Why the edge is not allowed.
fn complaint(edge: &Edge) -> Option<String> {
    let Edge { user, used, kind } = edge;
    let rule = MAY_USE.iter().find(|(name, _)| name == user);
    let listed = rule.is_some_and(|(_, list)| list.contains(&used.as_str()));
    let in_tests = kind == "dev" && user != XTASK && IN_TESTS.contains(&used.as_str());
    (!listed && !in_tests).then(|| format!("{user} must not use {used} ({kind})"))
}

#[test]
fn dependencies_point_one_way() {
    let (names, edges) = workspace();
    let complaints: Vec<String> = edges.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let ruled: BTreeSet<String> =
        MAY_USE.iter().map(|(name, _)| *name).chain([XTASK]).map(str::to_owned).collect();
    assert_eq!(names, ruled, "a crate without a rule, or a rule without a crate");
    assert!(edges.len() > 30, "the reader of metadata found only {} edges", edges.len());
}

#[test]
fn the_table_itself_has_no_way_back() {
    for (index, (name, list)) in MAY_USE.iter().enumerate() {
        for used in *list {
            let position = MAY_USE.iter().position(|(known, _)| known == used);
            assert!(position.is_some_and(|position| position < index), "{name} uses {used} below it");
        }
    }
}

#[test]
fn complains_about_edges_against_the_direction() {
    let edge = |user: &str, used: &str, kind: &str| {
        let [user, used, kind] = [user, used, kind].map(str::to_owned);
        complaint(&Edge { user, used, kind })
    };
    for (user, used, kind) in [
        ("contract", "ports", "normal"),
        ("dedup", "normalize", "normal"),
        ("dedup", "normalize", "dev"),
        ("gateway", "embedded", "normal"),
        ("gateway", "operator", "normal"),
        ("dedup", "mapping", "normal"),
        ("operator", "dvss", "dev"),
        ("xtask", "contract", "dev"),
        ("stranger", "contract", "normal"),
    ] {
        assert!(edge(user, used, kind).is_some(), "{user} {used} {kind}");
    }
    assert_eq!(edge("gateway", "embedded", "dev"), None);
    assert_eq!(edge("dvss", "outbox", "normal"), None);
}
