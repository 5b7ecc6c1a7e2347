//! Our engine says what jaq says, wherever jaq does not round.

use contract::Json;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};

use super::*;
use crate::fuel::STEPS_PER_EVENT;
use crate::functions;

fn parsed(value: &impl std::fmt::Display) -> Json {
    Json::parse(value.to_string().as_bytes()).expect("json")
}

/// Outputs up to the first error, and whether there was one.
type Outcome = (Vec<Json>, bool);

fn ours(text: &str, input: &Json) -> Outcome {
    let term = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let filter = Filter::compile(text, &term).unwrap_or_else(|error| panic!("{text}: {error}"));
    let variables = [Value::Null, Value::Null, Value::Null, Value::Null];
    match filter.run(Value::from(input), variables, &mut STEPS_PER_EVENT.clone()) {
        Ok(outputs) => (outputs.iter().map(parsed).collect(), false),
        Err(_) => (Vec::new(), true),
    }
}

fn by_jaq(text: &str, input: &Json) -> Outcome {
    type Lookup = data::JustLut<jaq_json::Val>;
    let arena = Arena::default();
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs::<Lookup>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let modules = Loader::new(defs).load(&arena, File { code: text, path: () });
    let filter = Compiler::default().with_funs(funs).compile(modules.map_err(|_| text).expect("jq"));
    let filter = filter.map_err(|_| text).expect("jq");
    let input = jaq_json::read::parse_single(input.to_string().as_bytes()).expect("json");
    let context = Ctx::<Lookup>::new(&filter.lut, Vars::new([]));
    let outputs: Result<Vec<_>, _> = filter.id.run((context, input)).map(unwrap_valr).collect();
    match outputs {
        // jaq has keys that are no text, which JSON has not; such an output counts as a failure.
        Ok(outputs) => {
            let texts = outputs.iter().map(|output| Json::parse(output.to_string().as_bytes()).ok());
            texts.collect::<Option<Vec<_>>>().map_or((Vec::new(), true), |outputs| (outputs, false))
        }
        Err(_) => (Vec::new(), true),
    }
}

const INPUTS: [&str; 6] = [
    r#"{"s": "a-b-c", "t": " xé ", "n": 7, "f": [3, 1, 2, 1], "o": {"x": 1, "y": {"z": [1, 2]}}, "b": true, "e": ""}"#,
    r#"{"s": "", "t": "x", "n": -7, "f": [], "o": {}, "b": null}"#,
    r#"{"s": "ab12cd345", "t": "abc", "n": 0, "f": ["b", "a", null, {"k": 1}], "o": {"k": [{"k": 2}]}, "b": false}"#,
    r#"{"s": 5, "t": null, "n": "7", "f": {"p": 1, "q": 2}, "o": [["a", 1], ["b", [2, [3]]]], "b": "x"}"#,
    r#"[{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 3}]"#,
    "null",
];

const FILTERS: &[&str] = &[
    // Every function, and what mappings do with them.
    "[.f[]? | select(. != 1)]",
    "first",
    "last",
    "[first(.f[]?)]",
    "[last(.f[]?)]",
    ".f | nth(1)",
    "[nth(1; .f[]?)]",
    "[limit(2; .f[]?)]",
    "[skip(1; .f[]?)]",
    "[range(4)]",
    "[range(1; 4)]",
    "[range(5; 0; -2)]",
    "[.o | recurse]",
    "[.n? | recurse(if type == \"number\" and 0 <= . and . < 9 then . + 1 else empty end)]",
    "[.. | numbers]",
    "isempty(.f[]?)",
    "[empty]",
    "error",
    "error(\"x\")",
    "try error(\"x\") catch .",
    "[.[]? | not]",
    "[true, false, null]",
    "(.f | all)?",
    "[.f[]?] | any(. == 2), all(. == 1)",
    "all(.f[]?; . != null)",
    "any(.f[]?; . == 1)",
    "[.f[]?] | any",
    "has(\"s\")",
    "[\"s\" | in({s: 1})]",
    ".s | contains(\"b-\")",
    "[\"b\" | inside(\"abc\")]",
    ".o | contains({x: 1})",
    "[.f] | contains([[1]])",
    "[.[]? | type]",
    "[.[]? | values]",
    "[.[]? | nulls]",
    "[.[]? | booleans]",
    "[.[]? | numbers]",
    "[.[]? | strings]",
    "[.[]? | arrays]",
    "[.[]? | objects]",
    "[.[]? | iterables]",
    "[.[]? | scalars]",
    "[.[]? | tostring]",
    "[.[]? | tojson]",
    "[.n, .s | tonumber?]",
    "[.[]? | tojson | fromjson]",
    "[.n | abs]",
    "[.f | add]",
    "[add(.f[]?)]",
    "[.[]? | length?]",
    "[.n | floor, ceil, round]",
    ".f | map(. == 1)",
    ".f | map_values(empty)",
    ".o | map_values([.])",
    "walk(if type == \"number\" then . + 1 else . end)",
    "del(.s)",
    "del(.f[0]?)",
    "del(.o.y)",
    "[path(..)]",
    "[path(.a.b)]",
    "[paths]",
    "[paths(type == \"number\")]",
    "getpath([\"o\", \"y\"])",
    ".o | to_entries",
    ".o | to_entries | from_entries",
    ".o | with_entries(.value |= [.])",
    "[to_entries[] | .key]",
    "keys",
    "keys_unsorted",
    ".f | reverse",
    ".f | sort",
    "sort_by(.k)",
    "[.[]? | objects] | sort_by(.k, .v)",
    "group_by(.k) | map(length)",
    ".f | unique",
    "unique_by(.k)",
    ".f | min, max",
    "min_by(.v), max_by(.v)",
    ".o | flatten",
    ".o | flatten(1)",
    ".s | strings | index(\"-\"), rindex(\"-\"), indices(\"-\")",
    ".f | arrays | index(1), indices(1)",
    ".f | join(\"/\")",
    ".s | split(\"-\")",
    ".s | [splits(\"[0-9]+\")]",
    ".s | split(\"[0-9]+\"; null)?",
    ".s | split(\"B\"; \"i\")",
    ".s | [splits(\"B\"; \"i\")]",
    ".s | startswith(\"a\"), endswith(\"c\")",
    ".s | ltrimstr(\"a\"), rtrimstr(\"c\")",
    ".t | trim, ltrim, rtrim",
    ".t | ascii_downcase, ascii_upcase",
    ".t | explode",
    ".t | explode | implode",
    ".s | test(\"^a\")",
    ".s | test(\"^A\"; \"i\")",
    "[.s | match(\"[0-9]+\") | .string, .offset]",
    "[.s | match(\"[0-9]+\"; \"g\") | .string]",
    ".s | capture(\"(?<x>[a-z]+)(?<n>[0-9]+)\")",
    "[.s | capture(\"(?<x>[a-z]+)\"; \"g\")]",
    "[.s | scan(\"[0-9]\")]",
    "[.s | scan(\"B\"; \"i\")]",
    ".s | sub(\"[0-9]+\"; \"#\")",
    ".s | sub(\"B\"; \"#\"; \"i\")",
    ".s | gsub(\"[0-9]\"; \"#\")",
    ".s | gsub(\"(?<d>[0-9])\"; \"<\\(.d)>\")",
    ".s | gsub(\"B\"; \"#\"; \"i\")",
    "@text, @json",
    ".s | @uri?, @base64?",
    "[.t | strings | @uri | @urid]",
    "[.t | strings | @base64 | @base64d]",
    "\"\\(.s)/\\(.n)\"",
    "@uri \"x=\\(.t)\"",
    // Syntax.
    ".s // \"none\"",
    ".missing // .n",
    "[.f[]? // 9]",
    ".o.y.z? | arrays | .[1:]",
    ".s | strings | .[1:3], .[-2:]",
    ".f[-1]?",
    ".f | arrays | .[:-1]",
    ".a.b.c = 1",
    ".n |= 8",
    ".f[1:] = []",
    ".n += 1",
    ".s //= \"x\"",
    ".f | arrays | .[0] |= empty",
    ".[\"s\"]",
    ".f[.n]?",
    "{s, x: .n, (.s | tostring): 1}",
    "[.[]?] | length",
    "if .b then 1 elif .n == 0 then 2 else 3 end",
    "if .b then 1 end",
    ".n as $x | [$x, $x]",
    ". as {s: $a, n: $b} | [$a, $b]",
    ". as [$a, $b] | [$a, $b]",
    "reduce .f[]? as $x (0; . + 1)",
    "[foreach .f[]? as $x (0; . + 1)]",
    "[foreach .f[]? as $x (0; . + 1; [$x, .])]",
    "label $out | .f[]?, break $out",
    "[.n] - [7]",
    ".n > 0 and .b != null",
    ".n < 0 or .b == true",
    ".o == {x: 1}",
    ".n % 4",
    "-.n",
    ".n * 3 - 1",
    ".s + \"x\"",
    ".f + [1]",
    ".o + {q: 1}",
    "null + .n",
    ".s / \"-\"",
    "[.[]?] | sort",
    "[.[]?] | unique | length",
    "..",
    "[.. | .k? // empty]",
    "[.[]? | select(type == \"object\") | keys[]]",
    "tojson | length",
    ".o as $o | [$o | .. | scalars]",
    "[limit(0; error)]",
    "[.f[]? | tostring] | join(\", \")",
    "try (.n | tonumber) catch \"no\"",
    "(.f, .o) |= length?",
    "map(.v?)?",
    "[.[]? | objects | select(.k == \"a\") | .v] | add",
    "[.[]? | objects] | group_by(.k) | map({k: .[0].k, v: map(.v) | add})",
];

#[test]
fn filters_give_what_jaq_gives() {
    let mut differences = Vec::new();
    for text in FILTERS {
        for input in INPUTS {
            let input = parsed(&input);
            let (ours, jaq) = (ours(text, &input), by_jaq(text, &input));
            let same = |a: &[Json], b: &[Json]| a.iter().map(Value::from).eq(b.iter().map(Value::from));
            if ours.1 != jaq.1 || !same(&ours.0, &jaq.0) {
                differences.push(format!("{text} on {input}\n   ours {ours:?}\n   jaq  {jaq:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn every_function_is_compared_with_jaq() {
    let mut calls = Vec::new();
    for text in FILTERS {
        collect(&parse(text).expect("a filter"), Origin::Mapping, &mut calls).expect("a filter");
    }
    for function in functions::names() {
        let called = calls.iter().any(|(name, arguments)| functions::signature(name, *arguments) == function);
        assert!(called, "no filter here calls {function}");
    }
}
