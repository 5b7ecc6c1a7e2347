//! Mistakes in documents: each is told with its line, its key and what to write instead.

use crate::support::{document, order, stock};
use mapping::{Mapping, Owner};

fn mistake(text: &str) -> String {
    match Mapping::parse(text) {
        Ok(_) => panic!("taken:\n{text}"),
        Err(error) => {
            assert_eq!(error.code, contract::Code::MappingInvalid);
            error.to_string()
        }
    }
}

#[test]
fn mistakes_of_the_document() {
    for (text, expected) in [
        ("platform: x", "line 1: `mapping` is missing: a document starts with `mapping: v1`"),
        ("mapping: v2", "line 1: mapping: must be v1"),
        ("[]", "must be a mapping of keys, not a list"),
        ("mapping: v1\nplatfrom: x", "line 2: unknown key `platfrom` (did you mean `platform`?)"),
        ("mapping: v1", "`platform` (whose vendors share it) or `vendor`"),
        ("mapping: v1\nplatform: X", "line 2: platform: must be 1 to 64 of a-z"),
        ("mapping: v1\nvendor: a b", "line 2: vendor: vendorId must match"),
        (
            "mapping: v1\nplatform: x\nvendor: y",
            "line 3: vendor: a document has a platform or a vendor, not both",
        ),
        ("mapping: v1\nplatform: x", "`eventType` is missing"),
        ("mapping: v1\nplatform: x\neventType: [a, a]", "eventType[1]: is listed twice"),
        (
            "mapping: v1\nplatform: x\neventType: a\nversion: 0",
            "line 4: version: must be a whole number from 1",
        ),
        ("mapping: v1\nplatform: x\neventType: a\nversion: 1", "`facts` is missing (or `none: why`"),
        ("mapping: v1\nplatform: x\neventType: a\nversion: 1\nnone: ' '", "none: say why"),
        ("mapping: v1\nplatform: x\neventType: a\nversion: 1\nnone: x\nfacts: []", "not both"),
    ] {
        let message = mistake(text);
        assert!(message.contains(expected), "{message}\nshould say: {expected}");
    }
    for (facts, expected) in [
        ("drift: report\nnone: x", "line 5: drift: there is no `source` schema"),
        ("source: {type: objekt}\nnone: x", "line 5: source: "),
        ("source: {$ref: 'http://example.com/x'}\nnone: x", "line 5: source: "),
        ("facts: {type: InventoryUpdated}", "facts: is a list of rules"),
        ("facts: []", "facts: has 1 to 16 rules"),
        (
            "facts: [{type: InventoryUpdate, fields: {}}]",
            "facts[0].type: must be InventoryUpdated, InventoryAdjusted or OrderUpdated (did you mean InventoryUpdated?)",
        ),
        ("facts: [{type: OrderUpdated}]", "facts[0]: `fields` is missing"),
        ("facts: [{type: OrderUpdated, fields: {orderId: .id}}]", "status: {unstated: \"why\"}"),
        ("facts: [{type: InventoryUpdated, fields: {sku: .id}}]", "warehouseId: {unstated: \"why\"}"),
        (
            "facts: [{type: InventoryUpdated, fields: {sku: .id, warehouseId: .w}}]",
            "needs at least one quantity",
        ),
        ("facts: [{type: InventoryAdjusted, fields: {sku: .id, warehouseId: .w}}]", "`delta` is missing"),
        (
            "facts: [{type: InventoryUpdated, transfer: {from: .a, to: .b}, fields: {}}]",
            "a transfer gives InventoryAdjusted",
        ),
        ("facts: [{type: InventoryAdjusted, transfer: {from: .a}, fields: {}}]", "`to` is missing"),
        (
            "facts: [{type: InventoryAdjusted, transfer: {from: .a, to: .b}, fields: {sku: .s, delta: .d, warehouseId: .w}}]",
            "a transfer says its warehouses in",
        ),
        (
            "facts: [{type: InventoryAdjusted, each: '.a[] | select(.b)', fields: {sku: $parent.s, delta: .d, warehouseId: .w}}]",
            "$parent is known where `each` is a plain path",
        ),
        (
            "facts: [{type: InventoryAdjusted, each: '$root.a[]', fields: {sku: .s, delta: .d, warehouseId: .w}}]",
            "each starts at `.`",
        ),
    ] {
        let message = mistake(&document(facts));
        assert!(message.contains(expected), "{message}\nshould say: {expected}");
    }
}

#[test]
fn mistakes_of_fields() {
    for (fields, expected) in [
        (
            "quantityOnHnd: .a",
            "facts[0].fields: there is no field `quantityOnHnd` (did you mean `quantityOnHand`?)",
        ),
        (
            "quantityOnHand: {form: .a}",
            "facts[0].fields.quantityOnHand: unknown key `form` (did you mean `from`?)",
        ),
        ("quantityOnHand: {}", "needs one of: from (a path), const, sum, unstated"),
        ("quantityOnHand: {from: .a, const: 1}", "`from` and `const` exclude one another"),
        ("quantityOnHand: [.a, .b]", "{from: [.a, .b]}"),
        ("quantityOnHand: {from: .a, else: 1}", "there is no `map` here"),
        ("quantityOnHand: {from: .a, negate: yes}", "negate: must be true or false"),
        ("quantityOnHand: {from: .a, times: ten}", "times: `ten` is not a decimal number"),
        ("quantityOnHand: {from: .a, default: many}", "default: `many` is not a decimal number"),
        ("quantityOnHand: {const: [1]}", "must be a plain value, not a list"),
        ("quantityOnHand: {unstated: no}", "leave the field out"),
        (
            "quantityOnHand: {from: .a, format: unix}",
            "format: has no meaning for `quantityOnHand`, which takes a decimal",
        ),
        ("quantityOnHand: {from: .a, map: [a]}", "map: is written {vendor's word: MEANING, …}"),
        ("quantityOnHand: {sum: [{unstated: x}]}", "a term of a sum comes from somewhere"),
        ("quantityOnHand: .a, lot: {sum: [.a]}", "sum: has no meaning for `lot`, which takes text"),
        ("quantityOnHand: .a, lot: LOT", "a constant is written {const: LOT}"),
        ("quantityOnHand: .a, lot: {from: .a, match: 'a+'}", "needs exactly one group"),
        ("quantityOnHand: .a, lot: {from: .a, match: '('}", "not a regular expression"),
        ("quantityOnHand: .a, skuAlt: []", "leave the field out"),
        ("quantityOnHand: .a, discontinued: {const: 1}", "1 is neither true nor false"),
        ("quantityOnHand: .a, sequence: {const: x}", "not a whole number"),
        ("quantityOnHand: .a, occurredAt: {from: .a, format: '%Y-%m-%d'}", "say `zone: UTC`"),
        ("quantityOnHand: .a, occurredAt: {from: .a, format: [unix, iso]}", "`iso` is not rfc3339"),
        (
            "quantityOnHand: .a, occurredAt: {from: .a, format: [unix, unix-millis], zone: UTC}",
            "`zone` has no meaning here",
        ),
        ("quantityOnHand: .a, lines: {each: .a, fields: {}}", "there is no field `lines`"),
    ] {
        let message = mistake(&stock(fields));
        assert!(message.contains(expected), "{message}\nshould say: {expected}");
    }
    for (fields, expected) in [
        ("status: {const: PAID}", "\"PAID\" is no status; they are PENDING, OPEN,"),
        ("status: {from: .s, map: {a: OPEN, b: SENT}}", "status.map.b: \"SENT\" is no status"),
        ("status: {from: .s, optional: true}", "`status` cannot be optional"),
        ("status: .s, currency: {const: euro}", "is no ISO 4217 code"),
        ("status: .s, lines: {each: '.l[]'}", "lines: `fields` is missing"),
        ("status: .s, lines: {each: '.l[]', fields: {}}", "is empty"),
        ("status: .s, lines: {each: '.l[]', fields: {price: .p}}", "there is no field `price`"),
    ] {
        let message = mistake(&order(fields));
        assert!(message.contains(expected), "{message}\nshould say: {expected}");
    }
}

#[test]
fn mistakes_of_filters() {
    for (filter, expected) in [
        (".a |", "expected term at its end"),
        (".a[", "closing bracket"),
        (".a | foo", "there is no function `foo/0`"),
        (".a | asci_downcase", "did you mean `ascii_downcase/0`?"),
        (".a | split", "did you mean `split/1`?"),
        ("$x", "there is no variable `$x`; filters have $root, $event, $parent, $key"),
        ("$ENV.HOME", "there is no variable `$ENV`"),
        ("now", "there is no function `now/0`"),
        ("input", "there is no function `input/0`"),
        ("env", "there is no function `env/0`"),
        ("[repeat(1)]", "there is no function `repeat/1`"),
        ("last(while(true; .))", "there is no function `while/2`"),
        ("until(false; .)", "there is no function `until/2`"),
        ("debug", "there is no function `debug/0`"),
        ("halt", "there is no function `halt/0`"),
        (".a | sqrt", "there is no function `sqrt/0`"),
        ("def f: f; f", "`def` is not available"),
        ("[.[] | (def f: 1; f)]", "`def` is not available"),
        ("break $x", "there is no label"),
    ] {
        let message = mistake(&stock(&format!("quantityOnHand: '{filter}'")));
        assert!(message.contains(expected), "{message}\nshould say: {expected}");
        assert!(message.contains("facts[0].fields.quantityOnHand: `"), "{message}");
    }
}

#[test]
fn what_a_document_says_of_itself() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Mapping>();
    let text =
        "mapping: v1\nvendor: acme\neventType: [a, b/c]\nversion: 3\ntitle: T\nnotes: |\n  long\nnone: x\n";
    let mapping = Mapping::parse(text).expect("a document");
    assert!(matches!(mapping.owner(), Owner::Vendor(vendor) if vendor.as_str() == "acme"));
    let types: Vec<_> = mapping.event_types().iter().map(|event_type| event_type.as_str()).collect();
    assert_eq!(
        (types, mapping.version(), mapping.title(), mapping.none()),
        (vec!["a", "b/c"], 3, Some("T"), Some("x"))
    );
    assert_eq!(mapping.source_hash().len(), 64);
    assert_ne!(
        mapping.source_hash(),
        Mapping::parse(&format!("{text}# more\n")).expect("a document").source_hash()
    );
}
