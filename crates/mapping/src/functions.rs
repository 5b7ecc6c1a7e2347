//! The functions that filters may call: those of jq that are deterministic, bounded and exact.
//!
//! No clock, no environment, no input, no output, no floating point, and no function that can
//! recurse without end. `docs/mappings.md` lists them for people; a test holds the two together.

use std::sync::LazyLock;

use bigdecimal::RoundingMode;
use contract::Json;
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter as Named, bome, unary, v};
use jaq_core::{Error, Native, RunPtr, ValR};

use crate::filter::Engine;
use crate::fuel::charge;
use crate::number::Number;
use crate::value::Value;

/// What a mapping may call, as people write it: `name/number of arguments`.
pub const PUBLIC: &[&str] = &[
    // Choosing.
    "empty/0",
    "error/0",
    "error/1",
    "select/1",
    "first/0",
    "first/1",
    "last/0",
    "last/1",
    "nth/1",
    "nth/2",
    "limit/2",
    "skip/2",
    "range/1",
    "range/2",
    "range/3",
    "recurse/0",
    "recurse/1",
    "isempty/1",
    // Truth.
    "true/0",
    "false/0",
    "null/0",
    "not/0",
    "all/0",
    "all/1",
    "all/2",
    "any/0",
    "any/1",
    "any/2",
    "has/1",
    "in/1",
    "contains/1",
    "inside/1",
    // Types.
    "type/0",
    "values/0",
    "nulls/0",
    "booleans/0",
    "numbers/0",
    "strings/0",
    "arrays/0",
    "objects/0",
    "iterables/0",
    "scalars/0",
    "tostring/0",
    "tonumber/0",
    "tojson/0",
    "fromjson/0",
    // Numbers.
    "abs/0",
    "floor/0",
    "ceil/0",
    "round/0",
    "add/0",
    "add/1",
    "length/0",
    // Arrays and objects.
    "map/1",
    "map_values/1",
    "walk/1",
    "del/1",
    "path/1",
    "paths/0",
    "paths/1",
    "getpath/1",
    "to_entries/0",
    "from_entries/0",
    "with_entries/1",
    "keys/0",
    "keys_unsorted/0",
    "reverse/0",
    "sort/0",
    "sort_by/1",
    "group_by/1",
    "unique/0",
    "unique_by/1",
    "min/0",
    "min_by/1",
    "max/0",
    "max_by/1",
    "flatten/0",
    "flatten/1",
    "index/1",
    "rindex/1",
    "indices/1",
    // Text.
    "join/1",
    "split/1",
    "split/2",
    "splits/1",
    "splits/2",
    "startswith/1",
    "endswith/1",
    "ltrimstr/1",
    "rtrimstr/1",
    "trim/0",
    "ltrim/0",
    "rtrim/0",
    "ascii_downcase/0",
    "ascii_upcase/0",
    "explode/0",
    "implode/0",
    "test/1",
    "test/2",
    "match/1",
    "match/2",
    "capture/1",
    "capture/2",
    "scan/1",
    "scan/2",
    "sub/2",
    "sub/3",
    "gsub/2",
    "gsub/3",
    "@text/0",
    "@json/0",
    "@uri/0",
    "@urid/0",
    "@base64/0",
    "@base64d/0",
];

/// Definitions of jaq that the public ones stand on.
const INTERNAL: &[&str] =
    &["isboolean/0", "isnumber/0", "isstring/0", "isarray/0", "isobject/0", "capture_of_match/0", "scan_/2"];

/// Native functions of jaq that are taken as they are.
const NATIVE: &[&str] = &[
    "error_empty",
    "path",
    "path_value",
    "range",
    "keys_unsorted",
    "key_values",
    "first",
    "last",
    "limit",
    "skip",
    "explode",
    "implode",
    "ascii_downcase",
    "ascii_upcase",
    "reverse",
    "sort",
    "sort_by",
    "group_by",
    "min_by_or_empty",
    "max_by_or_empty",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "trim",
    "ltrim",
    "rtrim",
    "encode_uri",
    "decode_uri",
    "encode_base64",
    "decode_base64",
    "matches",
    "split_matches",
    "split_",
];

/// Ours, in jq.
const OWN: &str = r#"
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1];
def @json: tojson;
"#;

/// Every definition that a filter can need, in the order in which they build on one another.
pub fn definitions() -> &'static [Def<&'static str>] {
    static ALL: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
        let own = jaq_core::load::parse(OWN, |parser| parser.defs()).expect("a constant that tests parse");
        let taken = |def: &Def<&'static str>| {
            let name = signature(def.name, def.args.len());
            PUBLIC.contains(&name.as_str()) || INTERNAL.contains(&name.as_str())
        };
        jaq_core::defs().chain(jaq_std::defs()).filter(taken).chain(own).collect()
    });
    &ALL
}

/// `name/number of arguments`.
pub fn signature(name: &str, arguments: usize) -> String {
    format!("{name}/{arguments}")
}

/// The native functions.
pub fn natives() -> impl Iterator<Item = Named<Native<Engine>>> {
    let taken = jaq_core::funs().chain(jaq_std::funs()).filter(|(name, _, _)| NATIVE.contains(name));
    taken.chain(own().into_iter().map(|(name, arguments, run)| (name, arguments, Native::<Engine>::new(run))))
}

fn own() -> Vec<Named<RunPtr<Engine>>> {
    vec![
        ("length", v(0), |cv| bome(length(cv.1))),
        ("has", v(1), |cv| unary(cv, has)),
        ("contains", v(1), |cv| unary(cv, |a, b| Ok(Value::Bool(contains(&a, &b))))),
        ("indices", v(1), |cv| unary(cv, indices)),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("tojson", v(0), |cv| bome(Ok(Value::from(cv.1.to_string())))),
        ("fromjson", v(0), |cv| bome(from_json(cv.1))),
        ("floor", v(0), |cv| bome(rounded(cv.1, RoundingMode::Floor))),
        ("ceil", v(0), |cv| bome(rounded(cv.1, RoundingMode::Ceiling))),
        ("round", v(0), |cv| bome(rounded(cv.1, RoundingMode::HalfUp))),
    ]
}

fn length(value: Value) -> ValR<Value> {
    match value {
        Value::Null => Ok(Value::from(0_usize)),
        Value::Number(number) if number < Number::Int(0) => {
            number.negated().map(Value::Number).map_err(Error::str)
        }
        Value::Number(_) => Ok(value),
        Value::String(text) => {
            charge(text.len() as u64 / 16);
            Ok(Value::from(text.chars().count()))
        }
        Value::Array(list) => Ok(Value::from(list.items.len())),
        Value::Object(table) => Ok(Value::from(table.members.len())),
        Value::Bool(_) => Err(Error::str("a boolean has no length")),
    }
}

fn has(value: Value, key: Value) -> ValR<Value> {
    match (&value, &key) {
        (Value::Null, _) => Ok(Value::Bool(false)),
        (Value::Object(table), Value::String(key)) => Ok(Value::Bool(table.members.contains_key(key))),
        (Value::Array(list), Value::Number(number)) => {
            let index = number.as_isize().and_then(|index| usize::try_from(index).ok());
            Ok(Value::Bool(index.is_some_and(|index| index < list.items.len())))
        }
        _ => Err(Error::index(value, key)),
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => {
            charge(1 + whole.len() as u64 / 16);
            whole.contains(&**part)
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.items.iter().all(|part| whole.items.iter().any(|whole| contains(whole, part)))
        }
        (Value::Object(whole), Value::Object(part)) => part
            .members
            .iter()
            .all(|(key, part)| whole.members.get(key).is_some_and(|whole| contains(whole, part))),
        _ => whole == part,
    }
}

fn indices(whole: Value, part: Value) -> ValR<Value> {
    match (&whole, &part) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::String(whole), Value::String(part)) if !part.is_empty() => {
            charge(whole.len() as u64);
            let starts =
                whole.char_indices().enumerate().filter(|(_, (at, _))| whole[*at..].starts_with(&**part));
            Ok(starts.map(|(index, _)| Value::from(index)).collect())
        }
        (Value::Array(list), Value::Array(_)) => Err(Error::str(format!(
            "indices looks for one item, not for an array, in {} items",
            list.items.len()
        ))),
        (Value::Array(list), part) => {
            let equal = list.items.iter().enumerate().filter(|(_, item)| *item == part);
            Ok(equal.map(|(index, _)| Value::from(index)).collect())
        }
        _ => Err(Error::index(whole, part)),
    }
}

fn to_number(value: Value) -> ValR<Value> {
    match &value {
        Value::Number(_) => Ok(value),
        Value::String(text) => match Json::parse(text.as_bytes()) {
            Ok(Json::Number(number)) if *number == **text => Ok(Value::Number(Number::new(&number))),
            _ => Err(Error::str(format!("{} is not a number", value.shown()))),
        },
        _ => Err(Error::typ(value, "number")),
    }
}

fn from_json(value: Value) -> ValR<Value> {
    let Value::String(text) = &value else { return Err(Error::typ(value, "string")) };
    charge(1 + text.len() as u64 / 4);
    match Json::parse(text.as_bytes()) {
        Ok(json) => Ok(Value::from(&json)),
        Err(error) => Err(Error::str(format!("fromjson: {error}"))),
    }
}

fn rounded(value: Value, mode: RoundingMode) -> ValR<Value> {
    match value {
        Value::Number(number) => number.rounded(mode).map(Value::Number).map_err(Error::str),
        other => Err(Error::typ(other, "number")),
    }
}

/// Of the functions that exist, the one that a person may have meant by `name`.
pub fn similar(name: &str, arguments: usize) -> Option<&'static str> {
    let same_name = PUBLIC.iter().find(|known| known.split('/').next() == Some(name));
    same_name.copied().or_else(|| {
        let wanted = signature(name, arguments);
        crate::yaml::nearest(&wanted, PUBLIC.iter().copied())
    })
}

/// The functions that filters may call, each as `name/number of arguments`.
pub fn names() -> impl Iterator<Item = &'static str> {
    PUBLIC.iter().copied()
}
