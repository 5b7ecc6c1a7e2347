//! Facts in, outcomes, states and findings out, through the stage on tables in memory. These tables are
//! the meaning of the fold: what they say never changes.

mod support;

use contract::canonical::{Divergence as Finding, PublicFact};
use divergence::{Member, Options, SharedWarehouse};
use stores::divergences::{self, kind_name};
use stores::effects::{self, Kind, outcome_name};
use stores::outbox::RowRef;
use support::{codec, fact, shown, stage_on, tables, take};

/// Fact; its outcome; the state afterwards; what was found with it.
type Step = (&'static str, &'static str, &'static str, &'static str);

async fn run(name: &str, options: Options, steps: &[Step]) {
    let tables = tables();
    let stage = stage_on(tables.clone(), options);
    let codec = codec();
    for (words, outcome, state, found) in steps {
        let fact = fact(words);
        let entity = fact.entity_key().expect("a short entity");
        let outputs = take(&stage, &fact).await.unwrap_or_else(|error| panic!("{name}: {words}: {error}"));

        let kind = Kind::of(&fact.data);
        let row = effects::effect(&*tables, &entity, kind, &fact.fold_key()).await.expect("tables");
        let row = row.expect("the fact's row");
        assert_eq!(outcome_name(row.outcome), *outcome, "{name}: outcome of {words}");
        let known = effects::state(&*tables, &entity).await.expect("tables").expect("a state");
        assert_eq!(shown(&known.state), *state, "{name}: state after {words}");

        let mut kinds = Vec::new();
        for output in &outputs[1..] {
            let reference: RowRef = serde_json::from_slice(&output.record.value).expect("a reference");
            let item = ports::tables::get_one(&*tables, &stores::tables::DIVERGENCE, reference.key()).await;
            let item = item.expect("tables").expect("the row that is referred to");
            let entry =
                divergences::read(&ports::tables::Row { key: reference.key(), item }).expect("an entry");
            let public = entry.outbox.expect("it is to be published").publication;
            let public: Finding =
                serde_json::from_value(codec.decode(&public.value).await.expect("a value")).expect("json");
            assert_eq!(public, entry.divergence);
            kinds.push(kind_name(public.kind));
        }
        assert_eq!(kinds.join(" "), *found, "{name}: findings of {words}");

        // What is published says what the row says, at the row's revision.
        let outbox = row.outbox.expect("it is to be published");
        assert_eq!(outbox.publication.topic, row.fact.data.topic());
        assert_eq!(
            (outbox.publication.key.as_str(), outbox.publication.revision),
            (&*entity, row.fact.revision)
        );
        let public: PublicFact =
            serde_json::from_value(codec.decode(&outbox.publication.value).await.expect("a value"))
                .expect("json");
        assert_eq!(public, PublicFact { fact: row.fact, outcome: row.outcome });

        // The record again: the same bytes go out, and nothing changes.
        assert_eq!(take(&stage, &fact).await.expect("a repeat"), outputs, "{name}: {words} again");
        let again = effects::state(&*tables, &entity).await.expect("tables").expect("a state");
        assert_eq!(again, known, "{name}: {words} again");
    }
}

#[tokio::test]
async fn absolutes_replace_what_they_state() {
    let steps = [
        ("a @10 onHand=10 available=8", "APPLIED", "on hand 10, available 8", ""),
        ("b @20 onHand=7", "APPLIED", "on hand 7, available 8", ""),
        ("c @15 onHand=9 available=5", "APPLIED", "on hand 7, available 5", ""),
        ("d @12 onHand=3 available=4", "STALE", "on hand 7, available 5", "STALE"),
        ("e @30 reserved=2 incoming=40", "APPLIED", "on hand 7, available 5, reserved 2, incoming 40", ""),
        ("f @20.1 onHand=6", "APPLIED", "on hand 6, available 5, reserved 2, incoming 40", ""),
    ];
    run("absolutes", Options::default(), &steps).await;
}

#[tokio::test]
async fn adjustments_count_from_the_latest_absolute_on_hand() {
    let steps = [
        ("a @10 +5", "APPLIED", "on hand ? (+5)", ""),
        ("b @20 -2", "APPLIED", "on hand ? (+3)", ""),
        ("c @15 onHand=100", "APPLIED", "on hand 98 (100 -2)", ""),
        ("d @14 +50", "STALE", "on hand 98 (100 -2)", "STALE"),
        ("e @17 +1.50", "APPLIED", "on hand 99.50 (100 -0.50)", ""),
        ("f @18 available=1", "APPLIED", "on hand 99.50 (100 -0.50), available 1", ""),
        ("g @18 onHand=90", "APPLIED", "on hand 88 (90 -2), available 1", ""),
        ("h @30 onHand=80", "APPLIED", "on hand 80, available 1", ""),
    ];
    run("adjustments", Options::default(), &steps).await;
}

#[tokio::test]
async fn corrections_and_retractions_move_what_they_moved() {
    let steps = [
        ("a @10 onHand=10 available=8", "APPLIED", "on hand 10, available 8", ""),
        ("b @12 +5", "APPLIED", "on hand 15 (10 +5), available 8", ""),
        ("c @20 onHand=30", "APPLIED", "on hand 30, available 8", ""),
        ("d @25 +1", "APPLIED", "on hand 31 (30 +1), available 8", ""),
        ("d @25 r2 +4", "APPLIED", "on hand 34 (30 +4), available 8", ""),
        ("c @20 r2 onHand=20", "APPLIED", "on hand 24 (20 +4), available 8", ""),
        // Not on hand any more: the absolute before it wins, and the adjustment between counts again.
        ("c @20 r3 available=7", "APPLIED", "on hand 19 (10 +9), available 7", ""),
        ("b @12 r2 +5 gone", "RETRACTED", "on hand 14 (10 +4), available 7", ""),
        ("c @20 r4 available=7 gone", "RETRACTED", "on hand 14 (10 +4), available 8", ""),
        ("a @10 r2 onHand=10 available=8 gone", "RETRACTED", "on hand ? (+4)", ""),
        // Back again at a higher revision.
        ("a @10 r4 onHand=11", "APPLIED", "on hand 15 (11 +4)", ""),
        // What is taken back before it comes stays away.
        ("x @40 r2 onHand=1 gone", "RETRACTED", "on hand 15 (11 +4)", ""),
        ("x @40 onHand=1", "RETRACTED", "on hand 15 (11 +4)", ""),
        // A correction of a fact that was in time is no news, though it moves nothing any more.
        ("y @50 onHand=2", "APPLIED", "on hand 2", ""),
        ("a @10 r5 onHand=12", "STALE", "on hand 2", ""),
    ];
    run("corrections", Options::default(), &steps).await;
}

#[tokio::test]
async fn orders_say_what_the_latest_fact_says() {
    let steps = [
        ("a @10 PENDING total=10", "APPLIED", "Pending", ""),
        ("b @20 SHIPPED", "APPLIED", "Shipped", ""),
        ("c @15 OPEN", "STALE", "Shipped", "STALE"),
        ("d @30 CANCELLED", "APPLIED", "Cancelled", ""),
        ("d @30 r2 CANCELLED gone", "RETRACTED", "Shipped", ""),
        ("b @20 r2 SHIPPED gone", "RETRACTED", "Open", ""),
        ("e @30.5 OPEN total=10", "APPLIED", "Open", ""),
        ("e @30.5 line=1 OPEN total=11", "APPLIED", "Open", "SAME_TIME_DIFFERENT_VALUE"),
    ];
    run("orders", Options::default(), &steps).await;
}

#[tokio::test]
async fn a_status_that_is_not_stated_hides_none() {
    let steps = [
        ("a @10 UNSTATED total=10", "APPLIED", "Unstated", ""),
        ("b @20 SHIPPED word=sent", "APPLIED", "Shipped", ""),
        ("c @30 UNSTATED total=12", "APPLIED", "Shipped", ""),
        // Later than the last stated status, earlier than the last order: it moves the status alone.
        ("d @25 CANCELLED", "APPLIED", "Cancelled", ""),
        ("e @15 OPEN", "STALE", "Cancelled", "STALE"),
        ("f @28 UNSTATED", "STALE", "Cancelled", "STALE"),
        // Corrected into saying nothing, and taken back: what was stated before holds again.
        ("d @25 r2 UNSTATED", "APPLIED", "Shipped", ""),
        ("b @20 r2 SHIPPED gone", "RETRACTED", "Open", ""),
        ("e @15 r2 OPEN gone", "RETRACTED", "Unstated", ""),
        ("c @30 r2 OPEN", "APPLIED", "Open", ""),
        // Who states nothing contradicts nobody.
        ("g @40 UNSTATED total=1", "APPLIED", "Open", ""),
        ("g @40 line=1 PENDING total=1", "APPLIED", "Pending", ""),
        ("g @40 line=2 UNSTATED total=2", "APPLIED", "Pending", "SAME_TIME_DIFFERENT_VALUE"),
    ];
    run("unstated", Options::default(), &steps).await;
}

#[tokio::test]
async fn one_instant_different_values_is_found_whichever_comes_second() {
    let both = "SAME_TIME_DIFFERENT_VALUE";
    let steps = [
        ("v @10 onHand=10", "APPLIED", "on hand 10", ""),
        ("w @10.1 onHand=11", "APPLIED", "on hand 11", ""),
        ("v @10 line=1 onHand=10.0", "STALE", "on hand 11", "STALE"),
        ("v @10 line=2 onHand=12", "STALE", "on hand 11", "STALE SAME_TIME_DIFFERENT_VALUE"),
        ("v @10 line=3 available=12", "APPLIED", "on hand 11, available 12", ""),
        ("x @90 onHand=1 available=1", "APPLIED", "on hand 1, available 1", ""),
        ("x @90 line=1 onHand=2", "APPLIED", "on hand 2, available 1", both),
        // A correction that states the same again finds nothing new; one that states another value does.
        ("x @90 r2 onHand=1 available=1 drift=/new", "APPLIED", "on hand 2, available 1", "SCHEMA_DRIFT"),
        ("x @90 r3 onHand=3 available=1", "APPLIED", "on hand 2, available 1", both),
        ("x @90 r4 onHand=2 available=1", "APPLIED", "on hand 2, available 1", ""),
    ];
    run("instants", Options::default(), &steps).await;
}

#[tokio::test]
async fn quantities_below_zero_and_jumps_are_found() {
    let steps = [
        ("a @10 onHand=10", "APPLIED", "on hand 10", ""),
        ("b @11 -12", "APPLIED", "on hand -2 (10 -12)", "NEGATIVE_QUANTITY"),
        ("c @12 available=-1", "APPLIED", "on hand -2 (10 -12), available -1", "NEGATIVE_QUANTITY"),
        ("d @13 onHand=5", "APPLIED", "on hand 5, available -1", ""),
        ("e @9 onHand=-7", "STALE", "on hand 5, available -1", "STALE NEGATIVE_QUANTITY"),
        ("f @20 onHand=5004", "APPLIED", "on hand 5004, available -1", ""),
        ("g @21 onHand=100", "APPLIED", "on hand 100, available -1", ""),
        ("h @22 +99900", "APPLIED", "on hand 100000 (100 +99900), available -1", "ANOMALOUS_CHANGE"),
        ("i @23 onHand=999", "APPLIED", "on hand 999, available -1", "ANOMALOUS_CHANGE"),
        ("j @22 onHand=1", "STALE", "on hand 999, available -1", "STALE"),
        ("i @23 r2 onHand=1000000", "APPLIED", "on hand 1000000, available -1", ""),
    ];
    let mut options = Options::default();
    let watch = options.anomalous_change.as_mut().expect("on by default");
    watch.minimum_units = 5_000;
    run("findings", options, &steps).await;
}

#[tokio::test]
async fn vendors_of_one_warehouse_disagree() {
    let member = |vendor: &str, warehouse: &str| Member {
        vendor_id: contract::VendorId::parse(vendor).expect("a vendor"),
        warehouse_id: Some(warehouse.to_owned()),
    };
    let members = vec![member("acme", "w1"), member("globex", "AMS")];
    let shared = SharedWarehouse { name: "Amsterdam".to_owned(), members, tolerance_units: 1 };
    let options = Options { shared_warehouses: vec![shared], ..Options::default() };
    let steps = [
        ("a @10 onHand=10", "APPLIED", "on hand 10", ""),
        ("b @11 vendor=globex warehouse=AMS onHand=11", "APPLIED", "on hand 11", ""),
        ("c @12 vendor=globex warehouse=AMS -3", "APPLIED", "on hand 8 (11 -3)", "VENDORS_DISAGREE"),
        ("d @13 vendor=globex warehouse=OTHER onHand=99", "APPLIED", "on hand 99", ""),
        ("e @14 onHand=8", "APPLIED", "on hand 8", ""),
        ("f @15 onHand=8", "APPLIED", "on hand 8", ""),
    ];
    run("shared", options, &steps).await;
}
