//! From accepted records to objects and facts, on stores in memory.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use contract::event::Mode;
use contract::{Code, Fingerprint, headers, topics};
use normalize::{Normalize, Options};
use ports::{Blobs, log};
use runtime::Failure;
use stores::ingest::Status;
use support::*;

const QTY: &str = "sku: .sku, quantityOnHand: .qty";

fn two_items() -> Said {
    Said::items(r#"{"sku":"A","place":"w1","qty":5},{"sku":"B","qty":"7.50"}"#)
}

#[tokio::test]
async fn an_event_becomes_an_object_and_its_lines_records() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = Said { traceparent: Some("00-abc-def-01".to_owned()), ..two_items() };
    let outputs = world.take(&said).await.expect("settled");
    assert_eq!(shown(&outputs), ["0.0 r1 A 5", "1.0 r1 B 7.50"]);
    let object = world.object(&said).await.expect("an object");
    for (output, line) in outputs.iter().zip(&object.lines) {
        assert_eq!((&*output.record.topic, &output.record.value), (topics::NORMALIZED, &line.bytes));
        let header = |name| log::header(&output.record.headers, name);
        assert_eq!(header(headers::VENDOR_ID), Some("acme"));
        assert_eq!(header(headers::INGEST_ID), Some(&*said.event().draft.ingest_id.to_string()));
        assert_eq!(header(headers::TRACEPARENT), Some("00-abc-def-01"));
    }
    let keys: Vec<_> = outputs.iter().map(|output| output.record.key.as_deref().expect("a key")).collect();
    assert_eq!(keys, [b"acme|w1|A||".as_slice(), b"acme||B||"]);
    assert_eq!((object.head.activation, &*object.head.mapping), (1, "acme/stock/1"));
    let entry = world.entry(&said).await;
    assert_eq!(
        (entry.status, entry.facts, entry.normalized_key),
        (Status::Normalized, Some(2), Some(said.key()))
    );
}

#[tokio::test]
async fn the_same_record_again_gives_the_same_bytes() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = two_items();
    let first = world.take(&said).await.expect("settled");
    let stage = world.stage();
    for _ in 0..2 {
        assert_eq!(take(&stage, &said).await.expect("settled"), first);
    }
    // A re-produced record may carry another trace; what is published is the object's.
    let traced = Said { traceparent: Some("00-abc-def-01".to_owned()), ..said };
    assert_eq!(world.take(&traced).await.expect("settled"), first);
}

#[tokio::test]
async fn an_event_may_hold_no_fact() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = Said::items("");
    assert_eq!(world.take(&said).await.expect("settled"), []);
    assert_eq!(world.object(&said).await.expect("an object").lines, []);
    let entry = world.entry(&said).await;
    assert_eq!((entry.status, entry.facts), (Status::Normalized, Some(0)));
}

#[tokio::test]
async fn a_corrected_mapping_corrects_and_takes_back() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = Said::items(
        r#"{"sku":"A","ean":"A","qty":5},{"sku":"B","ean":"X","qty":7},{"sku":"C","ean":"C","qty":0}"#,
    );
    world.take(&said).await.expect("settled");
    let doubled = "sku: .ean, quantityOnHand: .qty * 2";
    world.activate(&stock(2, doubled)).await;
    let expected = ["0.0 r2 A 10", "1.0 r2 -B 7", "1.0 r3 X 14", "2.0 r1 C 0"];
    let stage = world.stage();
    for _ in 0..2 {
        assert_eq!(shown(&take(&stage, &said).await.expect("settled")), expected);
    }
    assert_eq!(world.entry(&said).await.facts, Some(4), "each line gets coordinates");
    assert_eq!(world.object(&said).await.expect("an object").head.mapping, "acme/stock/2");
}

#[tokio::test]
async fn where_only_the_activation_grew_the_object_says_so_and_its_lines_stay() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = two_items();
    let first = world.take(&said).await.expect("settled");
    let activation = world.activate(&stock(2, QTY)).await;
    assert_eq!(world.take(&said).await.expect("settled"), first);
    assert_eq!(world.object(&said).await.expect("an object").head.activation, activation);
}

#[tokio::test]
async fn falling_back_is_a_newer_state_than_what_was_retired() {
    let world = World::new();
    let shared = stock(1, "sku: .sku, quantityOnHand: .qty * 10").replace("vendor: acme", "platform: dvss");
    world.activate(&shared).await;
    world.activate(&stock(1, QTY)).await;
    let (stage, said) = (world.stage(), Said::items(r#"{"sku":"A","qty":5}"#));
    world.claim(&said).await;
    assert_eq!(shown(&take(&stage, &said).await.expect("settled")), ["0.0 r1 A 5"]);
    world.retire("acme", "stock").await;
    assert_eq!(shown(&take(&stage, &said).await.expect("settled")), ["0.0 r2 A 50"]);
}

#[tokio::test]
async fn an_older_activation_never_wins() {
    let (world, said) = (World::new(), Said::items(r#"{"sku":"A","qty":5}"#));
    let behind = world.beside();
    for world in [&world, &behind] {
        world.activate(&stock(1, QTY)).await;
        world.claim(&said).await;
    }
    let late = behind.stage();
    take(&late, &said).await.expect("settled");
    world.activate(&stock(2, "sku: .sku, quantityOnHand: .qty + 1")).await;
    let newer = world.take(&said).await.expect("settled");
    assert_eq!(shown(&newer), ["0.0 r2 A 6"]);
    let object = world.object(&said).await;
    let failure = take(&late, &said).await.expect_err("it is behind");
    assert!(matches!(&failure, Failure::Transient(message) if message.contains("activation 2")), "{failure}");
    assert_eq!(world.object(&said).await, object);
    // Once it hears of the change it publishes the same.
    behind.activate(&stock(2, "sku: .sku, quantityOnHand: .qty + 1")).await;
    assert_eq!(take(&late, &said).await.expect("settled"), newer);
}

/// A reads the object, decides to replace it, and stands still; B comes with a newer activation under
/// which the object's facts stay as A read them. A's write must not go through.
#[tokio::test]
async fn an_older_activation_replaces_nothing_that_a_newer_one_confirmed() {
    for (said, lines) in
        [(Said::items(r#"{"sku":"A","qty":5}"#), vec!["0.0 r1 A 5"]), (Said::items(""), vec![])]
    {
        let world = World::new();
        world.activate(&stock(1, QTY)).await;
        world.take(&said).await.expect("settled");
        world.activate(&stock(2, "sku: .sku, quantityOnHand: .qty + 1")).await;
        let (newer, event) = (world.clone(), said.clone());
        let objects = Meanwhile::new(Arc::clone(&world.objects) as Arc<dyn Blobs>, async move {
            newer.activate(&stock(3, QTY)).await;
            assert_eq!(shown(&newer.take(&event).await.expect("settled")), lines);
        });
        let stage = Normalize::new(Arc::clone(&world.tables), Arc::clone(&objects) as _, Options::default());
        let failure = take(&stage, &said).await.expect_err("it is behind");
        assert!(objects.happened());
        assert!(matches!(&failure, Failure::Transient(text) if text.contains("activation 3")), "{failure}");
        assert_eq!(world.object(&said).await.expect("an object").head.mapping, "acme/stock/3");
        assert_eq!(world.entry(&said).await.activation, Some(3));
    }
}

/// A cannot map the event, and stands still before it says so in the index; B can, with a newer mapping.
#[tokio::test]
async fn an_older_activation_does_not_set_the_status_back() {
    for (fields, message) in [(Some("sku: .sku, quantityOnHand: .qty"), "a field"), (None, "a mapping")] {
        let (world, said) = (World::new(), Said::items(r#"{"sku":"A","count":5}"#));
        if let Some(fields) = fields {
            world.activate(&stock(1, fields)).await;
        }
        world.claim(&said).await;
        let (newer, event) = (world.clone(), said.clone());
        let tables = Meanwhile::new(Arc::clone(&world.tables), async move {
            newer.activate(&stock(2, "sku: .sku, quantityOnHand: .count")).await;
            newer.take(&event).await.expect("settled");
        });
        let objects = Arc::clone(&world.objects);
        let stage = Normalize::new(Arc::clone(&tables) as _, objects as _, Options::default());
        poison(take(&stage, &said).await);
        assert!(tables.happened());
        let entry = world.entry(&said).await;
        assert_eq!((entry.status, entry.facts), (Status::Normalized, Some(1)), "A lacks {message}");
    }
}

/// A has written its object, and stands still before it says so in the index; B replaces the object.
#[tokio::test]
async fn an_older_activation_does_not_count_the_facts_of_a_newer_object() {
    let (world, said) = (World::new(), Said::items(r#"{"sku":"A","ean":"X","qty":5}"#));
    world.activate(&stock(1, QTY)).await;
    world.claim(&said).await;
    let (newer, event) = (world.clone(), said.clone());
    let tables = Meanwhile::new(Arc::clone(&world.tables), async move {
        newer.activate(&stock(2, "sku: .ean, quantityOnHand: .qty")).await;
        assert_eq!(newer.take(&event).await.expect("settled").len(), 2);
    });
    let stage = Normalize::new(Arc::clone(&tables) as _, Arc::clone(&world.objects) as _, Options::default());
    assert_eq!(shown(&take(&stage, &said).await.expect("settled")), ["0.0 r1 A 5"]);
    assert!(tables.happened());
    let entry = world.entry(&said).await;
    assert_eq!((entry.activation, entry.facts), (Some(2), Some(2)));
}

#[tokio::test]
async fn an_older_activation_condemns_nothing() {
    let (world, said) = (World::new(), Said::items(r#"{"sku":"A","count":5}"#));
    let behind = world.beside();
    behind.activate(&stock(1, QTY)).await;
    behind.claim(&said).await;
    assert_eq!(poison(take(&behind.stage(), &said).await).code, Code::MappingFieldMissing);
    world.activate(&stock(1, QTY)).await;
    world.activate(&stock(2, "sku: .sku, quantityOnHand: .count")).await;
    world.take(&said).await.expect("settled");
    let failure = take(&behind.stage(), &said).await.expect_err("it is behind");
    assert!(matches!(failure, Failure::Transient(_)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn one_read_now_and_then_tells_that_no_mapping_changed_and_a_change_counts_once_it_is_told() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let tables = Arc::new(Counting {
        inner: Arc::clone(&world.tables),
        gets: AtomicUsize::new(0),
        snapshots: AtomicUsize::new(0),
    });
    let stage = Normalize::new(Arc::clone(&tables) as _, Arc::clone(&world.objects) as _, Options::default());
    let said = two_items();
    world.claim(&said).await;
    take(&stage, &said).await.expect("settled");
    let reads = || (tables.gets.swap(0, Ordering::SeqCst), tables.snapshots.swap(0, Ordering::SeqCst));
    assert!(reads().1 > 0, "the documents were read");
    for (waited, expected) in [(0, 0), (19, 0), (1, 1), (0, 0)] {
        tokio::time::advance(Duration::from_millis(waited)).await;
        take(&stage, &said).await.expect("settled");
        assert_eq!(reads(), (expected, 0), "{waited} ms later");
    }
    // The stage has just looked. Whoever activates waits until it has to look again, and says so then.
    world.activate(&stock(2, QTY)).await;
    take(&stage, &said).await.expect("settled");
    assert!(reads().1 > 0, "the documents were read again");
    take(&stage, &said).await.expect("settled");
    world.retire("acme", "stock").await;
    assert_eq!(poison(take(&stage, &said).await).code, Code::MappingMissing, "nothing is effective any more");
}

#[tokio::test]
async fn vendors_who_speak_canonical_need_no_mapping() {
    let world = World::new();
    normalize::seed(&*world.tables, now()).await.expect("seeded");
    assert_eq!(normalize::seed(&*world.tables, now()).await, Ok(vec![]), "once");
    let payload = r#"{"payload":{"sku":"A","warehouseId":"w1","quantityOnHand":"15.00","colour":"red"}}"#;
    let said = Said { event_type: "InventoryUpdated", ..Said::bytes(Mode::Envelope, payload) };
    assert_eq!(shown(&world.take(&said).await.expect("settled")), ["0.0 r1 A 15.00"]);
    let object = world.object(&said).await.expect("an object");
    assert_eq!(object.lines[0].fact.drift, ["/payload/colour"], "as a pointer into the vendor's document");
}

#[tokio::test]
async fn what_cannot_be_normalized_is_poison_and_says_why() {
    let world = World::new();
    world.activate(&stock(1, "sku: .sku, quantityOnHand: .qty, occurredAt: .at")).await;
    let item = |text: &str| Said::items(text);
    let long = "x".repeat(300);
    let wide = "x".repeat(300_000);
    let many = vec![r#"{"sku":"A","qty":1}"#; 10_001].join(",");
    let cases = [
        (Said { event_type: "unheard-of", ..two_items() }, Code::MappingMissing, None),
        (item(r#"{"sku":"A","at":null}"#), Code::MappingFieldMissing, Some("/payload/items/0/qty")),
        (item(r#"{"sku":"A","qty":1},{"qty":1}"#), Code::MappingFieldMissing, Some("/payload/items/1/sku")),
        (item(r#"{"sku":"A","qty":"many"}"#), Code::MappingFieldInvalid, Some("/payload/items/0/qty")),
        (item(&format!(r#"{{"sku":"{long}","qty":1}}"#)), Code::EntityTooLong, Some("/payload/items/0/sku")),
        (
            item(r#"{"sku":"A","qty":1,"at":"1970-01-01T14:00:00Z"}"#),
            Code::OccurredAtOutOfRange,
            Some("/payload"),
        ),
        (
            item(r#"{"sku":"A","qty":1,"at":"2099-01-01T00:00:00Z"}"#),
            Code::OccurredAtOutOfRange,
            Some("/payload"),
        ),
        (item(&many), Code::MappingTooManyFacts, Some("/payload")),
        (
            item(&format!(r#"{{"sku":"A","qty":1}},{{"sku":"{wide}","qty":1}}"#)),
            Code::EntityTooLong,
            Some("/payload/items/1/sku"),
        ),
        (Said::bytes(Mode::Binary, "sku;qty\nA;1"), Code::JsonSyntax, None),
        (
            Said::bytes(Mode::Binary, r#"{"items":[{"sku":"A"}]}"#),
            Code::MappingFieldMissing,
            Some("/items/0/qty"),
        ),
        (
            Said::bytes(Mode::Structured, r#"{"data":{"items":[{"qty":1}]}}"#),
            Code::MappingFieldMissing,
            Some("/data/items/0/sku"),
        ),
        // A CloudEvent's data may be any JSON value; what cannot be mapped is named.
        (Said::bytes(Mode::Structured, r#"{"data":"text"}"#), Code::MappingFieldInvalid, Some("/data")),
        (Said::bytes(Mode::Structured, r#"{"data":7.50}"#), Code::MappingFieldInvalid, Some("/data")),
        (
            Said::bytes(Mode::Structured, r#"{"data_base64":"AAA="}"#),
            Code::RecordInvalid,
            Some("/data_base64"),
        ),
        (
            Said::bytes(Mode::Envelope, r#"{"payload":{"a":1,"a":2}}"#),
            Code::JsonDuplicateKey,
            Some("/payload/a"),
        ),
        (Said { sha256: Fingerprint::of_bytes(b"other"), ..two_items() }, Code::ObjectCorrupt, None),
    ];
    for (said, code, pointer) in cases {
        let outcome = world.take(&said).await;
        let Err(Failure::Poison(poison)) = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!((poison.code, poison.pointer.as_deref()), (code, pointer), "{}", poison.message);
        assert_eq!(poison.ingest_id, Some(said.event().draft.ingest_id));
        assert_eq!(world.entry(&said).await.status, Status::FailedNormalize, "{code}");
        assert_eq!(world.object(&said).await, None, "{code}");
    }
}

#[tokio::test]
async fn a_fact_that_no_row_would_hold_is_refused() {
    let world = World::new();
    world.activate(&stock(1, &format!("{QTY}, gtin: .gtin"))).await;
    let wide = "x".repeat(300_000);
    let poison = poison(world.take(&Said::items(&format!(r#"{{"sku":"A","qty":1,"gtin":"{wide}"}}"#))).await);
    assert_eq!(poison.code, Code::RecordTooLarge, "{}", poison.message);
}

#[tokio::test]
async fn the_way_out_of_a_missing_mapping_is_named_and_works() {
    let (world, said) = (World::new(), two_items());
    let poison = poison(world.take(&said).await);
    assert_eq!(poison.code, Code::MappingMissing);
    for command in ["dvss vendors add", "--platform", "dvss mappings put FILE --activate"] {
        assert!(poison.message.contains(command), "{}", poison.message);
    }
    world.activate(&stock(1, QTY)).await;
    assert_eq!(world.take(&said).await.expect("released").len(), 2);
    assert_eq!(world.entry(&said).await.status, Status::Normalized);
}

#[tokio::test]
async fn a_flagged_record_does_not_belong_here() {
    let world = World::new();
    let said = Said { against: Some(two_items().event().draft.ingest_id), ..two_items() };
    assert_eq!(poison(take(&world.stage(), &said).await).code, Code::RecordInvalid);
}

#[tokio::test]
async fn an_object_that_was_altered_is_not_published() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = two_items();
    world.take(&said).await.expect("settled");
    let altered = bytes::Bytes::from_static(b"{}\n");
    world.objects.corrupt(&said.key(), altered).await.expect("altered");
    assert_eq!(poison(world.take(&said).await).code, Code::ObjectCorrupt);
    assert_eq!(world.entry(&said).await.status, Status::FailedNormalize);
}

#[tokio::test]
async fn many_at_the_same_time_publish_the_same() {
    let world = World::new();
    world.activate(&stock(1, QTY)).await;
    let said = Said::items(r#"{"sku":"A","ean":"A","qty":5},{"sku":"B","ean":"X","qty":7}"#);
    for (version, fields) in [(2, QTY), (3, "sku: .ean, quantityOnHand: .qty")] {
        let (one, two, three) = tokio::join!(world.take(&said), world.take(&said), world.take(&said));
        let one = one.expect("settled");
        assert_eq!((two.expect("settled"), three.expect("settled")), (one.clone(), one.clone()));
        let object = world.object(&said).await.expect("an object");
        assert_eq!(object.lines.len(), one.len());
        world.activate(&stock(version, fields)).await;
    }
    let (one, two) = tokio::join!(world.take(&said), world.take(&said));
    assert_eq!(shown(&one.expect("settled")), ["0.0 r1 A 5", "1.0 r2 -B 7", "1.0 r3 X 7"]);
    assert_eq!(two.expect("settled").len(), 3);
}

/// The process dies at every call that a record makes, on either side of the effect; the record comes
/// again to a new process.
#[tokio::test]
async fn a_crash_anywhere_changes_nothing() {
    let good = Said::items(r#"{"sku":"A","ean":"A","qty":5},{"sku":"B","ean":"X","qty":7}"#);
    let bad = Said::items(r#"{"sku":"A"}"#);
    for (name, said, corrected) in
        [("new", &good, false), ("corrected", &good, true), ("poison", &bad, false)]
    {
        let prepared = async || {
            let world = World::new();
            world.activate(&stock(1, QTY)).await;
            world.claim(said).await;
            if corrected {
                world.take(said).await.expect("settled");
                world.activate(&stock(2, "sku: .ean, quantityOnHand: .qty")).await;
            }
            world
        };
        let undisturbed = prepared().await;
        let expected = format!("{:?}", undisturbed.take(said).await);
        let mut crashes = 0;
        loop {
            let world = prepared().await;
            match take(&world.crashing_at(crashes), said).await {
                Err(Failure::Transient(_)) => {}
                outcome => {
                    assert_eq!(format!("{outcome:?}"), expected, "{name}: nothing was disturbed");
                    break;
                }
            }
            assert_eq!(format!("{:?}", world.take(said).await), expected, "{name}, dead at {crashes}");
            assert_eq!(world.object(said).await, undisturbed.object(said).await, "{name}, dead at {crashes}");
            assert_eq!(world.entry(said).await, undisturbed.entry(said).await, "{name}, dead at {crashes}");
            crashes += 1;
        }
        assert!(crashes > 10, "{name}: only {crashes} moments");
    }
}

/// The mapping says what the bytes are, however they came; what they say is the same in every mode.
#[tokio::test]
async fn payloads_in_other_formats() {
    let xml = "format: xml\nlists: [item]\nfacts:\n  - type: InventoryUpdated\n    each: .stock.item[]\n    fields: \
               {sku: .sku, warehouseId: {unstated: one}, quantityOnHand: .qty}\n";
    let csv = "format: csv\nfacts:\n  - type: InventoryUpdated\n    each: .[]\n    fields: {sku: .sku, warehouseId: \
               {unstated: one}, quantityOnHand: {from: .qty, decimalMark: comma}}\n";
    let edifact = "format: edifact\nloops: {item: LIN}\nfacts:\n  - type: InventoryUpdated\n    each: .messages[].item[]\n    \
                   fields: {sku: '.[\"3\"][0]', warehouseId: {unstated: one}, quantityOnHand: {from: '.segments[0].[\"1\"][1]', \
                   decimalMark: either}}\n";
    let text = "<stock><item u='1'><sku>A</sku><qty unit='EA'>10.50</qty></item></stock>";
    // The XML above.
    let base64 =
        "PHN0b2NrPjxpdGVtIHU9JzEnPjxza3U+QTwvc2t1PjxxdHkgdW5pdD0nRUEnPjEwLjUwPC9xdHk+PC9pdGVtPjwvc3RvY2s+";
    for (document, said, expected) in [
        (xml, Said::bytes(Mode::Binary, text), Ok("0.0 r1 A 10.50")),
        (xml, Said::bytes(Mode::Structured, format!(r#"{{"data":"{text}"}}"#)), Ok("0.0 r1 A 10.50")),
        (
            xml,
            Said::bytes(Mode::Structured, format!(r#"{{"data_base64":"{base64}"}}"#)),
            Ok("0.0 r1 A 10.50"),
        ),
        (csv, Said::bytes(Mode::Binary, "sku;qty\nA;1,5\n"), Ok("0.0 r1 A 1.5")),
        (
            edifact,
            Said::bytes(Mode::Binary, "UNH+1+INVRPT:D:96A:UN'BGM+35'LIN+1++A:SA'QTY+145:1,5'UNT+5+1'"),
            Ok("0.0 r1 A 1.5"),
        ),
        (xml, Said::bytes(Mode::Binary, "no xml"), Err((Code::SourceSchemaMismatch, ""))),
        (
            xml,
            Said::bytes(Mode::Structured, r#"{"data":{"stock":1}}"#),
            Err((Code::SourceSchemaMismatch, "/data")),
        ),
        (
            xml,
            Said::bytes(Mode::Structured, r#"{"data":"<stock><item/></stock>"}"#),
            Err((Code::MappingFieldInvalid, "/data/stock/item/0")),
        ),
        (
            xml,
            Said::bytes(Mode::Structured, r#"{"data":"<stock><item><qty>1</qty></item></stock>"}"#),
            Err((Code::MappingFieldMissing, "/data/stock/item/0/sku")),
        ),
        (
            xml,
            Said::bytes(Mode::Structured, r#"{"data_base64":"?"}"#),
            Err((Code::RecordInvalid, "/data_base64")),
        ),
    ] {
        let world = World::new();
        world.activate(&format!("mapping: v1\nvendor: acme\neventType: stock\nversion: 1\n{document}")).await;
        match expected {
            Ok(line) => assert_eq!(shown(&world.take(&said).await.expect("settled")), [line], "{said:?}"),
            Err((code, place)) => {
                let poison = poison(world.take(&said).await);
                assert_eq!(
                    (poison.code, poison.pointer.as_deref()),
                    (code, Some(place)),
                    "{}",
                    poison.message
                );
                assert_eq!(world.object(&said).await, None, "never half of it");
            }
        }
    }
}
