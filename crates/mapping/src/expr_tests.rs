//! A plain path means what jq says it means: compared with our engine and with jaq's own values.

use std::sync::LazyLock;

use contract::Json;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use proptest::prelude::*;

use super::*;
use crate::fuel::STEPS_PER_EVENT;

const NAMES: [&str; 4] = ["a", "b", "c d", "é"];

fn json() -> impl Strategy<Value = Json> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (any::<i32>(), 0..6).prop_map(|(number, exponent)| format!("{number}.5e{exponent}")),
        Just("1234567890123456789012345678901234567890".to_owned()),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number.prop_map(|text| Json::Number(text.into())),
        ".{0,3}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let members = proptest::sample::subsequence(NAMES.to_vec(), 0..=4).prop_flat_map({
            let inner = inner.clone();
            move |names| {
                let values = proptest::collection::vec(inner.clone(), names.len());
                values.prop_map(move |values| {
                    Json::Object(names.iter().map(|name| (*name).to_owned()).zip(values).collect())
                })
            }
        });
        prop_oneof![proptest::collection::vec(inner, 0..4).prop_map(Json::Array), members]
    })
}

fn path() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        4 => proptest::sample::select(NAMES.to_vec()).prop_map(|name| format!("[\"{name}\"]")),
        2 => (-3..4_i32).prop_map(|index| format!("[{index}]")),
        2 => Just("[]".to_owned()),
        1 => Just(".a".to_owned()),
    ];
    let step = (step, any::<bool>()).prop_map(|(step, opt)| if opt { format!("{step}?") } else { step });
    proptest::collection::vec(step, 0..5).prop_map(|steps| {
        let path = steps.concat();
        if path.starts_with(".a") { path } else { format!(".{path}") }
    })
}

fn scope(json: &Json) -> Scope {
    let value = Value::from(json);
    let here = Found { value: value.clone(), path: Vec::new() };
    Scope { here: here.clone(), root: value, event: Value::Null, parent: here }
}

/// What jaq, with its own values, gives: outputs, or that it fails.
fn by_jaq(text: &str, json: &Json) -> Result<Vec<Json>, ()> {
    type Lookup = data::JustLut<jaq_json::Val>;
    let arena = Arena::default();
    let modules = Loader::new([]).load(&arena, File { code: text, path: () }).map_err(|_| ()).expect("jq");
    let filter = Compiler::<_, Lookup>::default().compile(modules).map_err(|_| ()).expect("jq");
    let input = jaq_json::read::parse_single(json.to_string().as_bytes()).expect("json");
    let context = Ctx::<Lookup>::new(&filter.lut, Vars::new([]));
    let outputs = filter.id.run((context, input)).map(unwrap_valr);
    outputs.map(|output| output.map(|value| parsed(&value)).map_err(|_| ())).collect()
}

fn parsed(value: &impl std::fmt::Display) -> Json {
    Json::parse(value.to_string().as_bytes()).expect("json")
}

fn shown(values: Vec<Found>) -> Vec<Json> {
    values.into_iter().map(|found| parsed(&found.value)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_paths_are_what_jq_says(json in json(), text in path()) {
        let mut left = STEPS_PER_EVENT;
        let scope = scope(&json);
        let plain = Expr::compile(&text).expect("a path");
        prop_assert!(plain.is_plain(), "{text}");
        let term = filter::parse(&text).expect("a filter");
        let ours = Expr { text: text.clone(), kind: Kind::Filter(Filter::compile(&text, &term).expect("a filter")) };
        let by_path = plain.all(&scope, &mut left).map(shown).map_err(|_| ());
        prop_assert_eq!(left, STEPS_PER_EVENT, "jaq ran");
        let by_filter = ours.all(&scope, &mut left).map(shown).map_err(|_| ());
        prop_assert!(left < STEPS_PER_EVENT, "jaq did not run");
        prop_assert_eq!(&by_path, &by_filter, "{} on {}", &text, &json);
        prop_assert_eq!(&by_path, &by_jaq(&text, &json), "{} on {}", &text, &json);
    }

    #[test]
    fn what_is_surely_absent_is_absent(json in json(), text in path()) {
        let (scope, path) = (scope(&json), Expr::compile(&text).expect("a path"));
        let absent = path.all(&scope, &mut 0).is_ok_and(|found| found.iter().all(|found| found.value.is_absent()));
        prop_assert!(absent || !path.is_surely_absent(&scope), "{text} on {json}");
        // It may be unsure of much, but not of members of objects.
        if let Json::Object(members) = &json {
            let has = members.iter().any(|(name, value)| name == "a" && !Value::from(value).is_absent());
            prop_assert_eq!(Expr::compile(".a").expect("a path").is_surely_absent(&scope), !has, "{}", &json);
        }
    }

    #[test]
    fn the_place_of_what_is_found_is_where_it_stands(json in json(), text in path()) {
        let found = Expr::compile(&text).expect("a path").all(&scope(&json), &mut 0);
        for found in found.into_iter().flatten().filter(|found| !matches!(found.value, Value::Null)) {
            let there = json.at(&pointer(&found.path)).map(Value::from);
            prop_assert_eq!(there, Some(found.value));
        }
    }

    #[test]
    fn each_by_path_is_each_by_filter(json in json(), text in path()) {
        let scope = scope(&json);
        let elements = |text: &str| {
            let each = Expr::compile_each(text).expect("a path");
            let elements = each.elements(&scope, &mut STEPS_PER_EVENT.clone()).map_err(|_| ());
            elements.map(|elements| {
                elements.into_iter().map(|element| pointer(&element.found.path)).collect::<Vec<_>>()
            })
        };
        // Where there is nothing, jq still knows a path, and the look-up does not step further.
        let filtered = format!("{text} | select(. != null)");
        let by_filter = elements(&filtered);
        let by_path = Expr::compile_each(&text).expect("a path").elements(&scope, &mut 0).map_err(|_| ());
        let by_path = by_path.map(|elements| {
            let there = elements.into_iter().filter(|element| !matches!(element.found.value, Value::Null));
            there.map(|element| pointer(&element.found.path)).collect::<Vec<_>>()
        });
        prop_assert_eq!(by_path, by_filter, "{} on {}", &text, &json);
    }
}

/// What is a plain path, and what is not.
#[test]
fn plain_or_not() {
    static CASES: LazyLock<Vec<(&str, bool)>> = LazyLock::new(|| {
        vec![
            (".", true),
            (".a.b", true),
            (".a[\"b\"]", true),
            (".\"a b\"[0][]?", true),
            ("$root.a", true),
            ("$parent", true),
            ("$key", true),
            ("$event.vendorId", true),
            (".a[-1]", true),
            ("(.a)", true),
            (".a | .b", false),
            (".a[1:]", false),
            (".a[.b]", false),
            (".a // 1", false),
            ("..", false),
            ("\"\\(.a)\"", false),
        ]
    });
    for (text, plain) in CASES.iter() {
        assert_eq!(Expr::compile(text).map(|expr| expr.is_plain()), Ok(*plain), "{text}");
    }
}
