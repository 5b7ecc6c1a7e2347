//! Every construct of the language, by example: what it gives, and what it refuses.

use crate::support::{apply, document, order, outcome, stock};
use contract::canonical::Data;

/// What one quantity came out as: its text, `-` where absent, or code and pointer.
fn quantity(source: &str, payload: &str) -> String {
    match apply(&stock(&format!("quantityOnHand: {{const: 1}}, quantityAvailable: {source}")), payload) {
        Ok(mapped) => match &mapped.facts[0].data {
            Data::InventoryUpdated(data) => {
                data.quantity_available.as_ref().map_or("-".to_owned(), ToString::to_string)
            }
            other => panic!("{other:?}"),
        },
        Err(rejection) => format!("{} {}", rejection.code, rejection.pointer),
    }
}

fn text(source: &str, payload: &str) -> String {
    match apply(&stock(&format!("quantityOnHand: {{const: 1}}, lot: {source}")), payload) {
        Ok(mapped) => match &mapped.facts[0].data {
            Data::InventoryUpdated(data) => data.item.lot.clone().unwrap_or("-".to_owned()),
            other => panic!("{other:?}"),
        },
        Err(rejection) => format!("{} {}", rejection.code, rejection.pointer),
    }
}

#[test]
fn quantities() {
    for (source, payload, expected) in [
        (".a", r#"{"a": 15.00}"#, "15.00"),
        (".a", r#"{"a": "007"}"#, "7"),
        (".a", r#"{"a": 1e3}"#, "1000"),
        (".a", r#"{"a": null}"#, "-"),
        (".a", r#"{"a": ""}"#, "-"),
        (".a", "{}", "-"),
        (".a", r#"{"a": true}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": "1,5"}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": " 1"}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": {}}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": 1e400}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": 10000000000000000000000000001}"#, "mapping-field-invalid /a"),
        (".a.b", r#"{"a": 1}"#, "mapping-field-invalid /a"),
        ("'.a[1]'", r#"{"a": [1, 2]}"#, "2"),
        ("'.a[-1]'", r#"{"a": [1, 2]}"#, "2"),
        ("'.a[]'", r#"{"a": [1, 2]}"#, "mapping-field-invalid /a/1"),
        ("'.a[]?'", r#"{"a": 3}"#, "-"),
        ("{from: .a, optional: false}", "{}", "mapping-field-missing /a"),
        ("{from: .a.b.c, optional: false}", "{}", "mapping-field-missing /a/b/c"),
        ("{from: .a, default: 0}", "{}", "0"),
        ("{from: [.a, .b]}", r#"{"a": "", "b": 2}"#, "2"),
        ("{from: [.a, .b]}", r#"{"a": 1, "b": 2}"#, "1"),
        ("{const: 0.10}", "{}", "0.10"),
        ("{from: .a, negate: true}", r#"{"a": 2.5}"#, "-2.5"),
        ("{from: .a, times: 12}", r#"{"a": 2.5}"#, "30.0"),
        ("{from: .a, times: 0.01, negate: true}", r#"{"a": 4550}"#, "-45.50"),
        ("{from: .a, times: 0.0000000001}", r#"{"a": 0.0000000000000000001}"#, "mapping-field-invalid /a"),
        ("{from: .a, default: 5, negate: true}", "{}", "5"),
        ("{from: .a, map: {in: 1, out: 0}}", r#"{"a": "out"}"#, "0"),
        // Arithmetic in filters is exact.
        (".a + .b", r#"{"a": 0.1, "b": 0.2}"#, "0.3"),
        (".a + (.b | tonumber)", r#"{"a": 9223372036854775807, "b": "1"}"#, "9223372036854775808"),
        (".a - .b", r#"{"a": 12345678901234567.89, "b": 0.01}"#, "12345678901234567.88"),
        (".a / .b", r#"{"a": 1, "b": 8}"#, "0.125"),
        (".a / .b", r#"{"a": 1, "b": 3}"#, "mapping-filter-failed "),
        (".a + .b", r#"{"a": 1, "b": "2"}"#, "mapping-filter-failed "),
        ("'if .a > 1234567890123456789.1 then 1 else 0 end'", r#"{"a": 1234567890123456789.2}"#, "1"),
    ] {
        assert_eq!(quantity(source, payload), expected, "{source} on {payload}");
    }
}

#[test]
fn sums() {
    for (source, payload, expected) in [
        ("{sum: [.a, .b]}", r#"{"a": 0.1, "b": "0.2"}"#, "0.3"),
        ("{sum: [.a, .b]}", r#"{"a": 1}"#, "mapping-field-missing /b"),
        ("{sum: [.a, {from: .b, default: 0}]}", r#"{"a": 1}"#, "1"),
        ("{sum: [.a, {from: .b, optional: true}]}", r#"{"a": 1}"#, "1"),
        ("{sum: [{from: .a, optional: true}]}", "{}", "-"),
        ("{sum: [.a, {from: .b, negate: true}]}", r#"{"a": 5, "b": 2}"#, "3"),
        ("{sum: [{sum: [.a, .b]}, {const: 10}], negate: true}", r#"{"a": 5, "b": 2}"#, "-17"),
        ("{sum: '.a[]'}", r#"{"a": [1, 2, 3.5]}"#, "6.5"),
        ("{sum: '.a[]'}", r#"{"a": {"x": 1, "y": 2}}"#, "3"),
        ("{sum: '.a[]'}", r#"{"a": []}"#, "-"),
        ("{sum: '.a[]', default: 0}", r#"{"a": []}"#, "0"),
        ("{sum: '.a[].q'}", r#"{"a": [{"q": 1}, {}]}"#, "mapping-field-missing /a/1/q"),
        ("{sum: [{from: '.a[].q', default: 0}]}", r#"{"a": [{"q": 1}, {}]}"#, "1"),
        ("{sum: '.a[]'}", r#"{"a": [1, "x"]}"#, "mapping-field-invalid /a/1"),
        ("{sum: ['.a[] | select(. > 1)']}", r#"{"a": [1, 2, 3]}"#, "5"),
        ("{sum: [{from: [.a, .b]}]}", r#"{"b": 2}"#, "2"),
        ("{sum: '.a[]'}", r#"{"a": [9999999999999999999999999999, 1]}"#, "mapping-field-invalid /a"),
    ] {
        assert_eq!(quantity(source, payload), expected, "{source} on {payload}");
    }
}

#[test]
fn texts() {
    for (source, payload, expected) in [
        (".a", r#"{"a": "x"}"#, "x"),
        (".a", r#"{"a": 808950810}"#, "808950810"),
        (".a", r#"{"a": 12345678901234567890123}"#, "12345678901234567890123"),
        (".a", r#"{"a": 1.0}"#, "1.0"),
        (".a", r#"{"a": "a\u0000b"}"#, "a\0b"),
        (".a", r#"{"a": false}"#, "mapping-field-invalid /a"),
        (".a", r#"{"a": []}"#, "mapping-field-invalid /a"),
        ("{const: 007}", "{}", "007"),
        ("{const: '1.0'}", "{}", "1.0"),
        ("{from: .a, match: 'sku=([^&]+)'}", r#"{"a": "/x?l=1&sku=ab%20c&z"}"#, "ab%20c"),
        ("{from: .a, match: 'sku=([^&]+)'}", r#"{"a": "/x"}"#, "-"),
        ("{from: .a, match: 'sku=([^&]+)', default: none}", r#"{"a": "/x"}"#, "none"),
        ("{from: .a, match: '^.*:(\\d+)$', map: {7: seven}}", r#"{"a": "x:7"}"#, "seven"),
        ("{from: .a, map: {1: one, true: yes, x: null}}", r#"{"a": 1}"#, "one"),
        ("{from: .a, map: {1: one, true: yes, x: null}}", r#"{"a": true}"#, "yes"),
        ("{from: .a, map: {1: one, true: yes, x: null}}", r#"{"a": "x"}"#, "-"),
        ("{from: .a, map: {1: one}}", r#"{"a": 2}"#, "mapping-field-invalid /a"),
        ("{from: .a, map: {1: one}, else: other}", r#"{"a": 2}"#, "other"),
        ("{from: .a, map: {1: one}, else: null}", r#"{"a": 2}"#, "-"),
        (".\"odd key\"", r#"{"odd key": "x"}"#, "x"),
        ("'.a | capture(\"sku=(?<sku>[^&]+)\").sku'", r#"{"a": "/x?sku=1"}"#, "1"),
        ("'.a | capture(\"sku=(?<sku>[^&]+)\").sku'", r#"{"a": "/x"}"#, "-"),
        ("'\"\\(.a)-\\(.b)\"'", r#"{"a": 1.50, "b": "x"}"#, "1.50-x"),
        ("'.a | fromjson | .b'", r#"{"a": "{\"b\": 1.10}"}"#, "1.10"),
        ("'.a | @urid'", r#"{"a": "a%20b"}"#, "a b"),
        ("'.a | split(\"/\") | last'", r#"{"a": "x/y/z"}"#, "z"),
        (
            "'[.a[] | select(.k == \"lot\") | .v] | first'",
            r#"{"a": [{"k": "x", "v": 1}, {"k": "lot", "v": "L"}]}"#,
            "L",
        ),
        ("$event.vendorId", "{}", "acme"),
        ("'$event | \"\\(.eventType)/\\(.externalEventId)\"'", "{}", "t/evt-1"),
        ("$root.a", r#"{"a": "x"}"#, "x"),
        ("$key", r#"{"a": "x"}"#, "-"),
    ] {
        assert_eq!(text(source, payload), expected, "{source} on {payload}");
    }
}

#[test]
fn elements_parents_and_keys() {
    let rule = |each: &str, fields: &str| {
        document(&format!("facts: [{{type: InventoryUpdated, each: '{each}', fields: {{{fields}}}}}]"))
    };
    let items = r#"{"w": "W", "items": [{"sku": "a", "nodes": [{"n": "1", "q": 1}, {"n": "2", "q": 2}]},
        {"sku": "b", "nodes": []}, {"sku": "c", "nodes": [{"n": "1", "q": 3}]}]}"#;
    let two_levels = rule(".items[].nodes[]", "sku: $parent.sku, warehouseId: .n, quantityOnHand: .q");
    assert_eq!(
        outcome(&two_levels, items),
        r#"{"line":0,"quantityOnHand":"1","sku":"a","type":"InventoryUpdated","warehouseId":"1"}
{"line":1,"quantityOnHand":"2","sku":"a","type":"InventoryUpdated","warehouseId":"2"}
{"line":2,"quantityOnHand":"3","sku":"c","type":"InventoryUpdated","warehouseId":"1"}"#
    );
    let one_level = rule(".items[]", "sku: .sku, warehouseId: $parent.w, quantityOnHand: $key");
    assert_eq!(
        outcome(&one_level, r#"{"w": "W", "items": [{"sku": "a"}]}"#),
        r#"{"line":0,"quantityOnHand":"0","sku":"a","type":"InventoryUpdated","warehouseId":"W"}"#
    );
    let by_name = rule(".stock[].at[]", "sku: $parent.sku, warehouseId: $key, quantityOnHand: .");
    assert_eq!(
        outcome(&by_name, r#"{"stock": {"x": {"sku": "a", "at": {"w/1": 5}}}}"#),
        r#"{"line":0,"quantityOnHand":"5","sku":"a","type":"InventoryUpdated","warehouseId":"w/1"}"#
    );
    assert_eq!(
        outcome(&by_name, r#"{"stock": {"x": {"sku": "a", "at": {"w/1": "z"}}}}"#),
        "mapping-field-invalid /stock/x/at/w~11 quantityOnHand: `z` is not a decimal number"
    );
    let picked =
        rule(r#"if has("items") then .items[] else . end"#, "sku: .sku, warehouseId: .w, quantityOnHand: .q");
    assert_eq!(
        outcome(&picked, r#"{"items": [{"sku": "a", "w": 1, "q": 1}, {"sku": "b", "w": 1}]}"#),
        "mapping-field-missing /items/1/q quantityOnHand: the payload does not say it (`.q`)"
    );
    assert!(outcome(&picked, r#"{"sku": "a", "w": 1, "q": 1}"#).starts_with(r#"{"line":0"#));
    let built = rule("{sku: .a}", "sku: .sku, warehouseId: .w, quantityOnHand: .q");
    assert!(
        outcome(&built, r#"{"a": 1}"#).starts_with("mapping-filter-failed  each: the filter"),
        "{}",
        outcome(&built, r#"{"a": 1}"#)
    );
    assert_eq!(outcome(&one_level, r#"{"items": []}"#), "");
    assert_eq!(
        outcome(&one_level, "{}"),
        "mapping-field-invalid /items each: `.items[]` needs an array or object here, not null"
    );
    assert_eq!(outcome(&rule(".items[]?", "sku: .sku, warehouseId: .w, quantityOnHand: .q"), "{}"), "");
}

#[test]
fn rules_share_lines_and_count_legs() {
    let both = document(
        r#"
facts:
  - type: InventoryAdjusted
    each: .changes[]
    when: .from == "IN_STOCK"
    fields: {sku: .sku, warehouseId: .at, delta: {from: .n, negate: true}}
  - type: InventoryAdjusted
    each: .changes[]
    when: .to == "IN_STOCK"
    fields: {sku: .sku, warehouseId: .at, delta: .n, reason: .from}
  - type: InventoryUpdated
    each: .counts[]
    fields: {sku: .sku, warehouseId: .at, quantityOnHand: .n}
"#,
    );
    let payload = r#"{"changes": [{"sku": "a", "at": "w", "n": 1, "from": "SOLD", "to": "WASTE"},
        {"sku": "b", "at": "w", "n": 2, "from": "SOLD", "to": "IN_STOCK"},
        {"sku": "c", "at": "w", "n": 3, "from": "IN_STOCK", "to": "IN_STOCK"}],
        "counts": [{"sku": "d", "at": "w", "n": 4}]}"#;
    assert_eq!(
        outcome(&both, payload),
        r#"{"delta":"2","line":1,"reason":"SOLD","sku":"b","type":"InventoryAdjusted","warehouseId":"w"}
{"delta":"-3","line":2,"sku":"c","type":"InventoryAdjusted","warehouseId":"w"}
{"delta":"3","leg":1,"line":2,"reason":"IN_STOCK","sku":"c","type":"InventoryAdjusted","warehouseId":"w"}
{"line":3,"quantityOnHand":"4","sku":"d","type":"InventoryUpdated","warehouseId":"w"}"#
    );
    let when = |text: &str, payload: &str| {
        outcome(
            &document(&format!(
                "facts: [{{type: InventoryUpdated, when: '{text}', fields: {{sku: .s, warehouseId: .s, quantityOnHand: .q}}}}]"
            )),
            payload,
        )
    };
    assert_eq!(when(".x", r#"{"x": false}"#), "");
    assert_eq!(when(".x", r#"{"x": null}"#), "");
    assert_eq!(when("empty", "{}"), "");
    assert_eq!(
        when(".x", r#"{"x": "no"}"#),
        "mapping-field-invalid /x when: `.x` is \"no\", neither true nor false"
    );
    assert!(when(".x[]", r#"{"x": [true, true]}"#).contains("any(…)"));
}

#[test]
fn a_transfer_is_two_facts() {
    let transfer = document(
        "facts: [{type: InventoryAdjusted, each: '.items[]', transfer: {from: $root.from, to: $root.to}, \
         fields: {sku: .sku, delta: .qty, reason: {const: transfer}}}]",
    );
    assert_eq!(
        outcome(&transfer, r#"{"from": "A", "to": "B", "items": [{"sku": "x", "qty": 2}]}"#),
        r#"{"counterpartWarehouseId":"B","delta":"-2","line":0,"reason":"transfer","sku":"x","type":"InventoryAdjusted","warehouseId":"A"}
{"counterpartWarehouseId":"A","delta":"2","leg":1,"line":0,"reason":"transfer","sku":"x","type":"InventoryAdjusted","warehouseId":"B"}"#
    );
    assert_eq!(
        outcome(&transfer, r#"{"from": "A", "items": [{"sku": "x", "qty": 2}]}"#),
        "mapping-field-missing /to transfer.to: warehouseId: the payload does not say it (`$root.to`)"
    );
}

#[test]
fn orders() {
    let full = order(
        "status: {from: .state, map: {processing: OPEN, done: COMPLETED}}, currency: .total.currency, \
         total: {from: .total.amount, minorUnits: .total.currency}, createdAt: {from: .at, format: unix}, \
         lines: {each: '.groups[].lines[]', fields: {lineId: .id, sku: .sku, quantity: .n, \
         unitPrice: {from: .price, minorUnits: $root.total.currency}, unit: $parent.unit}}",
    );
    let payload = |currency: &str| {
        format!(
            r#"{{"state": "processing", "total": {{"amount": 4550, "currency": "{currency}"}}, "at": 1682624640,
            "groups": [{{"unit": "EA", "lines": [{{"id": 1, "sku": "a", "n": "2", "price": 5}}]}}]}}"#
        )
    };
    assert_eq!(
        outcome(&full, &payload("USD")),
        r#"{"createdAt":"2023-04-27T19:44:00Z","currency":"USD","line":0,"lines":[{"lineId":"1","quantity":"2","sku":"a","unit":"EA","unitPrice":"0.05"}],"orderId":"O","status":"OPEN","total":"45.50","type":"OrderUpdated","vendorStatus":"processing"}"#
    );
    for (currency, total) in [("JPY", "\"4550\""), ("KWD", "\"4.550\"")] {
        assert!(outcome(&full, &payload(currency)).contains(&format!("\"total\":{total}")), "{currency}");
    }
    assert!(outcome(&full, &payload("usd")).starts_with("mapping-field-invalid /total/currency"));
    assert_eq!(
        outcome(&order("status: {unstated: 'not in this event'}"), "{}"),
        r#"{"line":0,"orderId":"O","status":"UNSTATED","type":"OrderUpdated"}"#
    );
    assert!(
        outcome(&order("status: .s"), r#"{"s": "paid"}"#).starts_with("mapping-field-invalid /s status: ")
    );
    assert!(outcome(&order("status: .s"), "{}").starts_with("mapping-field-missing /s "));
    assert!(
        outcome(
            &order("status: {const: OPEN}, lines: {each: '.l[]', fields: {sku: .s.x}}"),
            r#"{"l": [{}, {"s": 1}]}"#
        )
        .starts_with("mapping-field-invalid /l/1/s lines: sku: ")
    );
    let own = order("status: {from: .s, map: {x: OPEN}}, vendorStatus: .word");
    assert!(outcome(&own, r#"{"s": "x", "word": "Exotic"}"#).contains(r#""vendorStatus":"Exotic""#));
}

#[test]
fn the_other_kinds_of_fields() {
    let one = |fields: &str, payload: &str| {
        outcome(&stock(&format!("quantityOnHand: {{const: 1}}, {fields}")), payload)
    };
    assert!(
        one("skuAlt: [.a, '.b[]?', {const: c}]", r#"{"a": 1, "b": ["x", "1", null]}"#)
            .contains(r#""skuAlt":["1","x","c"]"#)
    );
    assert!(one("skuAlt: '.b[]'", r#"{"b": [true]}"#).starts_with("mapping-field-invalid /b/0 skuAlt"));
    assert!(one("discontinued: .a", r#"{"a": true}"#).contains(r#""discontinued":true"#));
    assert!(
        one("discontinued: {from: .a, map: {Y: true, N: false}}", r#"{"a": "N"}"#)
            .contains(r#""discontinued":false"#)
    );
    assert!(one("discontinued: .a", r#"{"a": "Y"}"#).starts_with("mapping-field-invalid /a"));
    assert!(one("sequence: .a", r#"{"a": "9223372036854775807"}"#).contains("9223372036854775807"));
    let beyond_a_long = ["9223372036854775808", "\"9223372036854775808\"", "18446744073709551616"];
    for wrong in ["-1", "1.5", "\"x\""].into_iter().chain(beyond_a_long) {
        assert!(
            one("sequence: .a", &format!(r#"{{"a": {wrong}}}"#))
                .starts_with("mapping-field-invalid /a sequence")
        );
    }
    let time = |source: &str, payload: &str| one(&format!("occurredAt: {source}"), payload);
    assert!(
        time(".a", r#"{"a": "2020-12-29T18:38:45.10296Z"}"#)
            .contains(r#""occurredAt":"2020-12-29T18:38:45.102960Z""#)
    );
    assert!(
        time(".a", r#"{"a": "2016-11-16T25:44:22.837Z"}"#).starts_with("mapping-field-invalid /a occurredAt")
    );
    assert!(
        time("{from: .a, match: '(\\d+)', format: unix-millis}", r#"{"a": "/Date(1623796407000)/"}"#)
            .contains("2021-06-15T22:33:27Z")
    );
    let several = "{from: .a, format: [unix-millis, rfc3339, '%Y%m%d'], zone: '+01:00'}";
    for (written, read) in [
        ("1623796407000", "2021-06-15T22:33:27Z"),
        ("2021-06-15T22:33:27Z", "2021-06-15T22:33:27Z"),
        ("2021-06-15T22:33:27", "2021-06-15T21:33:27Z"),
    ] {
        assert!(time(several, &format!(r#"{{"a": "{written}"}}"#)).contains(read), "{written}");
    }
    assert!(time(several, r#"{"a": "June"}"#).starts_with("mapping-field-invalid /a occurredAt"));
    assert_eq!(outcome(&document("none: 'notify, then fetch'"), "{}"), "", "an event that holds no fact");
}
