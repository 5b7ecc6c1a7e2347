//! Payloads and filters that mean harm: typed refusals, bounded work, never a float.

use std::fmt::Write as _;

use contract::Code;

use crate::support::{apply, document, outcome, stock};
use mapping::{MAX_FACTS, Mapping};

fn filter_outcome(filter: &str, payload: &str) -> String {
    outcome(&stock(&format!("quantityOnHand: {{const: 1}}, lot: '{filter}'")), payload)
}

#[test]
fn filters_cannot_run_for_ever() {
    let ones = format!("{{\"a\": [{}]}}", vec!["1"; 1_000].join(","));
    for filter in [
        "[recurse(.)] | length",
        "[limit(1000000000; recurse(.))] | length",
        "[range(1000000000000)] | length",
        "last(range(0; 1; 0))",
        "reduce range(1000000000) as $i (0; . + 1)",
        "[.a[] as $x | .a[] as $y | .a[] as $z | 1] | length",
        "[.a[] as $x | .a[] as $y | .a[] as $z | select($x == $y and $y == $z)] | length",
        "reduce range(100) as $i (\"x\"; . + .) | length",
        "reduce range(100) as $i ([1]; . + .) | length",
        "reduce range(60) as $i ([1]; [., .]) | tostring | length",
        "[range(10000000)] | sort | length",
        "(.a | length) as $n | [range($n)] | map([range($n)]) | flatten | map(tostring) | add | length",
        // try does not catch it.
        "try (last(range(1000000000000))) catch 1",
        "[(last(range(1000000000000)))?] // 1",
        "label $out | range(1000000000000) | select(. < 0) | break $out",
    ] {
        let outcome = filter_outcome(filter, &ones);
        assert!(outcome.starts_with("mapping-filter-failed  lot: the filter"), "{filter}: {outcome}");
        assert!(outcome.ends_with("did not end within its steps"), "{filter}: {outcome}");
    }
}

#[test]
fn filters_cannot_build_what_overflows_the_stack() {
    let outcome = filter_outcome("reduce range(100000) as $i (0; [.]) | tostring", "{}");
    assert!(outcome.ends_with("went too deep"), "{outcome}");
    let outcome = filter_outcome("reduce range(100000) as $i (0; {a: .}) | tostring", "{}");
    assert!(outcome.ends_with("went too deep"), "{outcome}");
    // Calls that nest with the payload: stopped by the stack that they take, on a small one too.
    let numbers = format!("{{\"a\": [{}]}}", vec!["0"; 60_000].join(","));
    for (filter, expected) in [
        ("(reduce .a[] as $i (.; .)) |= 1", "went too deep"),
        ("(foreach .a[] as $i (.; .)) |= 1", "went too deep"),
        ("getpath(.a) |= 1", "cannot index"),
        ("getpath(.a | map(\"x\")) |= 1", "cannot index null"),
        ("del(getpath(.a | map(\"x\")))", "cannot index null"),
        ("first(0 | recurse(. + 1) | select(. > 100000))", "100001"),
        (".a[] |= . + 1", "not an object"),
    ] {
        let run = || {
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
                let thread = thread.spawn_scoped(scope, || filter_outcome(filter, &numbers));
                thread.expect("a thread").join().expect("an answer")
            })
        };
        let outcome = run();
        assert!(outcome.contains(expected), "{filter}: {outcome}");
    }
    assert!(filter_outcome(".a[]", "{\"a\": [1, 2, 3]}").starts_with("mapping-field-invalid"));
    let many = filter_outcome("range(20000)", "{}");
    assert!(many.starts_with("mapping-too-many-facts"), "{many}");
}

#[test]
fn texts_that_would_overflow_the_parser_are_refused_or_taken() {
    // Each of these nests as deep as the bounds of filters let it; none may end the process.
    let repeated = |open: &str, middle: &str, close: &str, n: usize| {
        format!("{}{middle}{}", open.repeat(n), close.repeat(n))
    };
    for n in [5, 30, 39, 80, 400, 900] {
        for filter in [
            repeated("(", ".", ")", n),
            repeated("[", ".", "]", n),
            repeated("{a:", ".", "}", n),
            repeated("-", "1", "", n),
            repeated("- ", "1", "", n),
            repeated("if . then ", ".", " end", n),
            repeated("if . then . elif ", ". then 1 end", "", n),
            repeated("try ", ".", "", n),
            repeated(". as $x|", ".", "", n),
            repeated(".|", ".", "", n),
            repeated(".//", ".", "", n),
            repeated("., ", ".", "", n),
            repeated("1+", "1", "", n),
            repeated(". and ", ".", "", n),
            repeated(".a", "", "", n),
            repeated(".[.a", "", "]", n),
            repeated(".", "", "[]", n),
            repeated("", ".", "?", n),
            repeated("\"\\(", "1", ")\"", n),
            repeated("reduce . as $x (", ".", "; .)", n),
            repeated("label $x | ", ".", "", n),
            repeated("map(", ".", ")", n),
            repeated("..|", ".", "", n),
        ] {
            let quoted = filter.replace('\'', "''");
            let document = stock(&format!("quantityOnHand: {{const: 1}}, lot: '{quoted}'"));
            if Mapping::parse(&document).is_ok() {
                // Whatever it gives; what matters is that it comes back.
                let _ = filter_outcome(&quoted, "{\"a\": [[1]], \"b\": {\"a\": 1}}");
            }
        }
    }
}

#[test]
fn payloads_of_any_depth_and_size_are_answered() {
    let deep = format!("{}1{}", "[".repeat(63), "]".repeat(63));
    assert!(filter_outcome("[..] | length", &deep).starts_with("{\"line\":0"));
    assert!(filter_outcome(".a", &deep).starts_with("mapping-field-invalid  lot: `.a` needs an object here"));
    let items = |count: usize| {
        let mut text = String::from("{\"items\": [");
        for index in 0..count {
            write!(text, "{}{{\"s\": {index}, \"q\": 1}}", if index == 0 { "" } else { "," })
                .expect("memory");
        }
        text + "]}"
    };
    let rule = "facts: [{type: InventoryUpdated, each: '.items[]', fields: {sku: .s, warehouseId: {const: W}, quantityOnHand: '.q + 0'}}]";
    let mapped = apply(&document(rule), &items(MAX_FACTS)).expect("facts");
    assert_eq!(mapped.facts.len(), MAX_FACTS);
    assert_eq!(mapped.facts.last().map(|fact| fact.line), Some(9_999));
    let rejection = apply(&document(rule), &items(MAX_FACTS + 1)).expect_err("too many");
    assert_eq!((rejection.code, rejection.pointer.as_str()), (Code::MappingTooManyFacts, ""));
    let order = "facts: [{type: OrderUpdated, each: '[.items, .items][]', fields: {orderId: {const: O}, status: {const: OPEN}}}]";
    assert!(outcome(&document(order), &items(1)).starts_with("mapping-filter-failed  each"));
    let lines = "facts: [{type: OrderUpdated, fields: {orderId: {const: O}, status: {const: OPEN}, lines: {each: '.items[]', fields: {sku: .s}}}}]";
    let rejection = apply(&document(lines), &items(MAX_FACTS + 1)).expect_err("too many");
    assert_eq!(rejection.code, Code::MappingTooManyFacts);
    let transfer = "facts: [{type: InventoryAdjusted, each: '.items[]', transfer: {from: {const: A}, to: {const: B}}, fields: {sku: .s, delta: .q}}]";
    assert_eq!(
        apply(&document(transfer), &items(MAX_FACTS / 2)).map(|mapped| mapped.facts.len()),
        Ok(MAX_FACTS)
    );
    assert_eq!(
        apply(&document(transfer), &items(MAX_FACTS / 2 + 1)).expect_err("too many").code,
        Code::MappingTooManyFacts
    );
}

#[test]
fn numbers_of_any_shape_are_exact_or_refused() {
    for (payload, filter, expected) in [
        (
            "1234567890123456789012345678901234567890",
            ".",
            r#""lot":"1234567890123456789012345678901234567890""#,
        ),
        ("1e400", ".", r#""lot":"1e400""#),
        ("[1e400, 1e399]", "max", r#""lot":"1e400""#),
        ("[0.1, 0.2, 0.3]", "add", r#""lot":"0.6""#),
        ("[1e-400, 0]", "min", r#""lot":"0""#),
        ("[1.10, 1.1]", "unique | length", r#""lot":"1""#),
        ("[9007199254740993, 9007199254740992]", "unique | length", r#""lot":"2""#),
        ("1e400", ". + 1", "0000001\""),
        ("[1e50000, 1e50000]", "add", "calculate with"),
        ("1e99999", "floor", "calculate with"),
        ("-0", ".", r#""lot":"-0""#),
        ("\"12.50\"", "tonumber", r#""lot":"12.50""#),
        ("\"NaN\"", "tonumber", "is not a number"),
        ("\"0x10\"", "tonumber", "is not a number"),
        ("1", "1e999999999", "out of range"),
        ("\"x\"", ". * 1000000000", "cannot calculate"),
    ] {
        let outcome = filter_outcome(filter, payload);
        assert!(outcome.contains(expected), "{filter} on {payload}: {outcome}");
    }
}

#[test]
fn messages_are_short_whatever_the_payload() {
    let payload = format!("{{\"a\": \"{}\", \"b\": [{}]}}", "x".repeat(100_000), vec!["1"; 50_000].join(","));
    for filter in [".a | error", ".b | .x", ".a | tonumber", ".b"] {
        let outcome = filter_outcome(filter, &payload);
        assert!(outcome.starts_with("mapping-f") && outcome.len() < 600, "{}", outcome.len());
    }
    let quantity = outcome(&stock("quantityOnHand: .a"), &payload);
    assert!(quantity.len() < 300, "{quantity}");
    let schema = "source: {properties: {a: {maxLength: 3}}}\n";
    let facts = "facts: [{type: InventoryUpdated, fields: {sku: .a, warehouseId: .a, quantityOnHand: .a}}]";
    let refused = outcome(&document(&format!("{schema}{facts}")), &payload);
    assert!(refused.starts_with("source-schema-mismatch /a ") && refused.len() < 400, "{refused}");
}
