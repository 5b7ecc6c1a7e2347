//! The manual is true: its example passes, its functions exist, and no function is left out.

use mapping::{Mapping, functions, test};

const MANUAL: &str = include_str!("../../../../docs/mappings.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("```{language}\n");
    MANUAL.split(start.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn the_example_passes_its_cases() {
    let yaml = blocks("yaml");
    let report = test(yaml[0], yaml[1]);
    assert_eq!((report.passed, report.failures), (2, vec![]));
    let mapping = Mapping::parse(yaml[0]).expect("the example");
    let payload = contract::Json::parse(blocks("json")[0].as_bytes()).expect("the payload");
    assert_eq!(mapping.apply(&payload, &crate::support::event()).map(|mapped| mapped.facts.len()), Ok(2));
}

#[test]
fn the_table_of_functions_is_complete() {
    let table = MANUAL.split("### Functions").nth(1).and_then(|rest| rest.split("And jq's syntax").next());
    let table = table.expect("the table of functions");
    let mut told: Vec<String> = Vec::new();
    for code in table.split('`').skip(1).step_by(2) {
        let (name, arguments) = code
            .split_once('(')
            .map_or((code, 0), |(name, arguments)| (name, 1 + arguments.matches(';').count()));
        told.push(format!("{name}/{arguments}"));
    }
    let mut known: Vec<String> = functions().map(str::to_owned).collect();
    told.sort();
    known.sort();
    assert_eq!(told, known);
}

#[test]
fn every_function_compiles() {
    for function in functions() {
        let (name, arguments) = function.split_once('/').expect("name/arguments");
        let arguments: usize = arguments.parse().expect("a count");
        let call = match arguments {
            0 => name.to_owned(),
            n => format!("{name}({})", vec!["."; n].join("; ")),
        };
        let document = crate::support::stock(&format!("quantityOnHand: '{call}'"));
        assert!(Mapping::parse(&document).is_ok(), "{:?}", Mapping::parse(&document).err());
    }
}
