//! Every shipped document compiles, has cases, and all of them come out as expected.

use std::collections::BTreeSet;

use mapping::{Mapping, shipped, shipped_cases, test};

#[test]
fn every_shipped_document_passes_its_cases() {
    let mut failures = Vec::new();
    for (path, document) in shipped() {
        let Some(cases) = shipped_cases(path) else {
            failures.push(format!("{path}: there is no {}", path.replace(".yaml", ".cases.yaml")));
            continue;
        };
        let report = test(document, cases);
        failures.extend(report.failures.iter().map(|failure| format!("mappings/{path}: {failure}")));
        if report.passed == 0 && report.failures.is_empty() {
            failures.push(format!("mappings/{path}: there is no case"));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(shipped().iter().any(|(path, _)| path.starts_with("dvss/")));
}

#[test]
fn no_two_shipped_documents_claim_one_event_type() {
    let mut seen = BTreeSet::new();
    for (path, document) in shipped() {
        // What does not compile, the test above tells.
        let Ok(mapping) = Mapping::parse(document) else { continue };
        for event_type in mapping.event_types() {
            let key = (format!("{:?}", mapping.owner()), event_type.to_string(), mapping.version());
            assert!(seen.insert(key), "{path}: another document maps {event_type} too");
        }
    }
}

/// Events are read alike wherever they stand: EPCIS documents and query results differ in where alone.
#[test]
fn epcis_events_are_read_alike_in_documents_and_in_query_results() {
    let text = |name: &str| {
        let found = shipped().into_iter().find(|(path, _)| *path == name);
        found.unwrap_or_else(|| panic!("{name} is shipped")).1
    };
    let from_the_events_on = |text: &'static str| {
        let lines = text.lines().map(str::trim).skip_while(|line| *line != "eventList:");
        lines
            .map(|line| line.replace(".queryResults.resultsBody.eventList", ".eventList"))
            .collect::<Vec<_>>()
    };
    let document = from_the_events_on(text("gs1-epcis/epcis-document.yaml"));
    assert!(document.len() > 50, "{document:?}");
    assert_eq!(from_the_events_on(text("gs1-epcis/epcis-query-document.yaml")), document);
}
