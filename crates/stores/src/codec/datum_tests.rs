use serde_json::json;

use super::*;

const SCHEMA: &str = r#"{"type": "record", "name": "R", "namespace": "t", "fields": [
    {"name": "flag", "type": "boolean", "default": false},
    {"name": "small", "type": "int"},
    {"name": "large", "type": ["null", "long"], "default": null},
    {"name": "word", "type": ["string", "null"], "default": "x"},
    {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
    {"name": "again", "type": ["null", "K"], "default": null},
    {"name": "parts", "type": {"type": "array", "items":
        {"type": "record", "name": "P", "fields": [{"name": "n", "type": "long"}]}}, "default": []}
]}"#;

fn node() -> Node {
    Node::parse(SCHEMA).expect("a schema")
}

fn encoded(value: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    node().encode(value, &mut out).map(|()| out).map_err(|error| error.to_string())
}

fn full() -> Value {
    json!({"flag": true, "small": -7, "large": i64::MIN, "word": "caf\u{e9}", "kind": "B", "again": "A",
           "parts": [{"n": 1}, {"n": i64::MAX}]})
}

#[test]
fn goes_there_and_back() {
    for value in [full(), json!({"small": 0, "kind": "A"})] {
        let bytes = encoded(&value).expect("fits");
        let mut input = bytes.as_slice();
        assert_eq!(node().decode(&mut input), Ok(value));
        assert!(input.is_empty());
    }
}

#[test]
fn agrees_with_another_implementation() {
    let schema = Schema::parse_str(SCHEMA).expect("a schema");
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("reader");
    let bytes = encoded(&full()).expect("fits");
    let theirs = reader.read_value(&mut bytes.as_slice()).expect("reads what was written");
    let back: Value = theirs.clone().try_into().expect("json");
    assert_eq!(back, full());
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().expect("writer");
    assert_eq!(writer.write_value_to_vec(theirs).expect("writes"), bytes);
}

#[test]
fn refuses_what_does_not_fit() {
    for (value, problem) in [
        (json!({"kind": "A"}), "/small is missing"),
        (json!({"small": 1.5, "kind": "A"}), "/small is not a whole number of 32 bits"),
        (json!({"small": 3_000_000_000u32, "kind": "A"}), "/small is not a whole number of 32 bits"),
        (json!({"small": 1, "large": u64::MAX, "kind": "A"}), "/large is not a whole number of 64 bits"),
        (json!({"small": 1, "kind": "C"}), "/kind is not one of the schema's symbols"),
        (json!({"small": 1, "kind": "A", "other": 1}), "/other is not in the schema"),
        (
            json!({"small": 1, "kind": "A", "parts": [{"n": 1}, {"n": "2"}]}),
            "/parts/1/n is not a whole number of 64 bits",
        ),
        (json!([]), " is not an object"),
    ] {
        assert_eq!(encoded(&value), Err(problem.to_owned()));
    }
}

#[test]
fn refuses_bytes_that_end_early_wherever_they_do() {
    let bytes = encoded(&full()).expect("fits");
    for length in 0..bytes.len() {
        assert!(node().decode(&mut &bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
}

#[test]
fn refuses_bytes_that_lie() {
    let long = Node::Long;
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(long.decode(&mut most.as_slice()), Ok(json!(i64::MAX)));
    for bytes in [[0xff; 10], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
        assert!(long.decode(&mut bytes.as_slice()).is_err());
    }
    let strings = Node::Array(Box::new(Node::String));
    let mut huge = Vec::new();
    put_long(i64::MAX, &mut huge);
    assert!(strings.decode(&mut huge.as_slice()).is_err(), "a count");
    assert!(Node::String.decode(&mut huge.as_slice()).is_err(), "a length");
    let mut negative = Vec::new();
    put_long(-1, &mut negative);
    assert!(Node::String.decode(&mut negative.as_slice()).is_err());
    assert!(Node::Boolean.decode(&mut [2u8].as_slice()).is_err());
    // A block with a negative count states its size in bytes too.
    let mut block = Vec::new();
    put_long(-1, &mut block);
    put_long(2, &mut block);
    put_bytes(b"a", &mut block);
    put_long(0, &mut block);
    assert_eq!(strings.decode(&mut block.as_slice()), Ok(json!(["a"])));
}

#[test]
fn takes_only_schemas_that_it_can_keep_exactly() {
    for text in [
        r#""double""#,
        r#""bytes""#,
        r#"["null", "string", "long"]"#,
        r#"{"type": "array", "items": "null"}"#,
        r#"{"type": "record", "name": "E", "fields": []}"#,
        r#"{"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}"#,
    ] {
        assert!(Node::parse(text).is_err(), "{text}");
    }
}
