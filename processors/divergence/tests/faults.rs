//! What goes wrong between reading and writing, and what it must come to.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use contract::canonical::Fact;
use contract::{Code, topics};
use divergence::{Input, Options};
use embedded::tables::{EmbeddedTables, LaggingIndexes};
use ports::Tables;
use ports::tables::{Cursor, Error, Item, Key, Page, Query, Table, Write};
use runtime::{Failure, Processor};
use stores::effects::{self, Kind};
use support::{ENTITY, fact, record, shown, stage_on, tables, take};

/// Tables whose transactions go wrong in chosen ways; everything else is the real thing.
struct Faulty {
    tables: Arc<EmbeddedTables>,
    /// So many transactions happen, and their answer is lost.
    lost_answers: AtomicUsize,
    /// So many transactions do not happen.
    lost_calls: AtomicUsize,
    /// Facts that another instance takes in just before a transaction, the last one first.
    intruders: std::sync::Mutex<Vec<Fact>>,
    /// Facts that another instance takes in just after a range was read, the last one first.
    followers: std::sync::Mutex<Vec<Fact>>,
    transactions: AtomicUsize,
}

impl Faulty {
    fn new(tables: &Arc<EmbeddedTables>) -> Arc<Self> {
        Arc::new(Self {
            tables: tables.clone(),
            lost_answers: AtomicUsize::new(0),
            lost_calls: AtomicUsize::new(0),
            intruders: std::sync::Mutex::default(),
            followers: std::sync::Mutex::default(),
            transactions: AtomicUsize::new(0),
        })
    }

    async fn elsewhere(&self, facts: &std::sync::Mutex<Vec<Fact>>) {
        let fact = facts.lock().expect("no panic under the lock").pop();
        if let Some(fact) = fact {
            let other = stage_on(self.tables.clone(), Options::default());
            take(&other, &fact).await.expect("the other instance");
        }
    }

    fn one_of(counter: &AtomicUsize) -> bool {
        counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

#[async_trait]
impl Tables for Faulty {
    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.get(table, keys).await
    }
    async fn snapshot(&self, rows: &[(&'static Table, Key)]) -> Result<Vec<Option<Item>>, Error> {
        self.tables.snapshot(rows).await
    }
    async fn write(&self, write: Write) -> Result<(), Error> {
        self.tables.write(write).await
    }
    async fn transact(&self, token: &str, writes: Vec<Write>) -> Result<(), Error> {
        self.transactions.fetch_add(1, Ordering::SeqCst);
        self.elsewhere(&self.intruders).await;
        if Self::one_of(&self.lost_calls) {
            return Err(Error::Unavailable("cut".to_owned()));
        }
        self.tables.transact(token, writes).await?;
        if Self::one_of(&self.lost_answers) {
            return Err(Error::Unavailable("cut".to_owned()));
        }
        Ok(())
    }
    async fn query(&self, query: Query) -> Result<Page, Error> {
        let page = self.tables.query(query).await;
        self.elsewhere(&self.followers).await;
        page
    }
    async fn scan(&self, table: &'static Table, after: Option<Cursor>, limit: usize) -> Result<Page, Error> {
        self.tables.scan(table, after, limit).await
    }
}

async fn on_hand(tables: &EmbeddedTables) -> String {
    let known = effects::state(tables, ENTITY).await.expect("tables").expect("a state");
    shown(&known.state)
}

fn poison(failure: Failure) -> (Code, String) {
    match failure {
        Failure::Poison(poison) => {
            assert!(poison.vendor_id.is_some() && poison.ingest_id.is_some(), "whose is {poison}?");
            (poison.code, poison.message)
        }
        other => panic!("{other} is no poison"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_with_the_same_token() {
    let tables = tables();
    let faulty = Faulty::new(&tables);
    let stage = stage_on(faulty.clone(), Options::default());
    take(&stage, &fact("a @10 onHand=10")).await.expect("taken in");
    faulty.lost_answers.store(2, Ordering::SeqCst);
    faulty.lost_calls.store(2, Ordering::SeqCst);
    let outputs = take(&stage, &fact("b @11 +5")).await.expect("taken in");
    assert_eq!(on_hand(&tables).await, "on hand 15 (10 +5)");
    assert_eq!(faulty.transactions.load(Ordering::SeqCst), 6, "the faults did not happen");
    assert_eq!(outputs.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_is_transient_and_the_next_attempt_finds_its_own_row() {
    let tables = tables();
    let faulty = Faulty::new(&tables);
    let stage = stage_on(faulty.clone(), Options::default());
    faulty.lost_answers.store(5, Ordering::SeqCst);
    let failure = take(&stage, &fact("a @10 +5")).await.expect_err("no answer");
    assert!(matches!(failure, Failure::Transient(_)), "{failure}");
    assert_eq!(on_hand(&tables).await, "on hand ? (+5)", "it had happened");
    take(&stage, &fact("a @10 +5")).await.expect("known by now");
    assert_eq!(on_hand(&tables).await, "on hand ? (+5)");
}

#[tokio::test(start_paused = true)]
async fn conflicts_wait_and_are_no_loss() {
    let tables = tables();
    let conflicting = Arc::new(LaggingIndexes::new(tables.clone(), 0));
    let stage = stage_on(conflicting.clone(), Options::default());
    conflicting.conflict(4);
    take(&stage, &fact("a @10 onHand=10")).await.expect("the fifth attempt");
    conflicting.conflict(5);
    let failure = take(&stage, &fact("b @10 +5")).await.expect_err("five conflicts");
    assert!(matches!(failure, Failure::Transient(_)), "{failure}");
    take(&stage, &fact("b @12 +5")).await.expect("no conflict");
    assert_eq!(on_hand(&tables).await, "on hand 15 (10 +5)");
}

#[tokio::test(start_paused = true)]
async fn what_another_instance_wrote_in_between_is_read_again() {
    let tables = tables();
    let faulty = Faulty::new(&tables);
    let stage = stage_on(faulty.clone(), Options::default());
    // The absolute was decided without the adjustment that a former owner takes in meanwhile; the very
    // fact itself comes through the former owner, too.
    *faulty.intruders.lock().expect("no panic under the lock") =
        vec![fact("a @10 onHand=10"), fact("c @12 -1"), fact("b @11 +5")];
    let outputs = take(&stage, &fact("a @10 onHand=10")).await.expect("taken in");
    assert_eq!(on_hand(&tables).await, "on hand 14 (10 +4)");
    assert_eq!(faulty.transactions.load(Ordering::SeqCst), 3, "the intruders did not come");
    assert_eq!(take(&stage, &fact("a @10 onHand=10")).await.expect("a repeat"), outputs);
}

#[tokio::test(start_paused = true)]
async fn what_came_while_facts_were_read_is_not_overlooked() {
    let tables = tables();
    let faulty = Faulty::new(&tables);
    let stage = stage_on(faulty.clone(), Options::default());
    take(&stage, &fact("a @20 +5")).await.expect("taken in");
    faulty.followers.lock().expect("no panic under the lock").push(fact("b @30 +2"));
    take(&stage, &fact("c @10 onHand=10")).await.expect("taken in");
    assert!(faulty.followers.lock().expect("no panic under the lock").is_empty(), "nothing was read");
    assert_eq!(on_hand(&tables).await, "on hand 17 (10 +7)");
}

#[tokio::test(start_paused = true)]
async fn two_vendors_that_move_at_once_do_not_overlook_each_other() {
    let tables = tables();
    let faulty = Faulty::new(&tables);
    let member = |vendor: &str| divergence::Member {
        vendor_id: contract::VendorId::parse(vendor).expect("a vendor"),
        warehouse_id: Some("w1".to_owned()),
    };
    let members = vec![member("acme"), member("globex")];
    let shared = divergence::SharedWarehouse { name: "Ghent".to_owned(), members, tolerance_units: 0 };
    let options = Options { shared_warehouses: vec![shared], ..Options::default() };
    let stage = stage_on(faulty.clone(), options);
    for words in ["a @10 onHand=10", "b @10 vendor=globex onHand=10"] {
        assert_eq!(take(&stage, &fact(words)).await.expect("taken in").len(), 1);
    }
    // Acme moves to what globex has; globex moves away after it was read.
    let away = fact("c @11 vendor=globex onHand=7");
    faulty.intruders.lock().expect("no panic under the lock").push(away);
    let outputs = take(&stage, &fact("d @11 onHand=10.0")).await.expect("taken in");
    assert_eq!(outputs.len(), 1, "on hand did not move");
    faulty.intruders.lock().expect("no panic under the lock").push(fact("e @12 vendor=globex onHand=9"));
    let outputs = take(&stage, &fact("f @12 onHand=7")).await.expect("taken in");
    let found = outputs.get(1).expect("a divergence").record.value.clone();
    assert!(String::from_utf8_lossy(&found).contains("VENDORS_DISAGREE"));
}

#[tokio::test]
async fn too_long_a_fold_is_poison_until_it_is_recomputed() {
    let tables = tables();
    let stage = stage_on(tables.clone(), Options { longest_fold: 20, page: 7, ..Options::default() });
    for minute in 0..30 {
        take(&stage, &fact(&format!("d{minute} @{} +1", 100 + minute))).await.expect("taken in");
    }
    let late = fact("a @50 onHand=1000");
    let (code, message) = poison(take(&stage, &late).await.expect_err("30 rows"));
    assert_eq!(code, Code::FoldTooLong);
    assert!(message.contains(&format!("dvss recompute {ENTITY}")), "{message}");
    assert_eq!(on_hand(&tables).await, "on hand ? (+30)", "poison left a trace");

    // A correction of it is too long, too; the older revision comes once more behind it.
    let corrected = fact("a @50 r2 onHand=2000");
    assert_eq!(poison(take(&stage, &corrected).await.expect_err("30 rows")).0, Code::FoldTooLong);
    assert_eq!(poison(take(&stage, &late).await.expect_err("30 rows")).0, Code::FoldTooLong);

    let recomputed = stage.recompute(ENTITY).await.expect("recomputed");
    assert_eq!((recomputed.taken_in, recomputed.rows, recomputed.changed), (1, 31, false));
    assert_eq!(shown(&recomputed.state), "on hand 2030 (2000 +30)");
    assert_eq!(on_hand(&tables).await, "on hand 2030 (2000 +30)");
    for released in [&late, &corrected] {
        let outputs = take(&stage, released).await.expect("released from quarantine, it is known");
        assert_eq!(&*outputs[0].record.topic, topics::OUTBOX);
    }
    let again = stage.recompute(ENTITY).await.expect("recomputed");
    assert_eq!((again.taken_in, again.rows, again.changed), (0, 31, false));
}

#[tokio::test]
async fn recompute_mends_a_state_that_does_not_fit_its_facts() {
    let tables = tables();
    let stage = stage_on(tables.clone(), Options::default());
    for words in
        ["a @10 onHand=10 available=3", "b @11 +5", "c @12 onHand=7", "d @13 -1", "c @12 r2 reserved=1"]
    {
        take(&stage, &fact(words)).await.expect("taken in");
    }
    let known = effects::state(&*tables, ENTITY).await.expect("tables").expect("a state");
    let now = support::instant(support::START);
    let wrong = effects::write_state(ENTITY, &effects::State::default(), Some(known.version), now);
    tables.write(wrong).await.expect("the damage");
    let recomputed = stage.recompute(ENTITY).await.expect("recomputed");
    assert!(recomputed.changed);
    let mended = effects::state(&*tables, ENTITY).await.expect("tables").expect("a state");
    assert_eq!(mended.state, known.state);
    assert_eq!(mended.version, known.version + 2);

    let nothing = stage.recompute("acme|w1|unheard-of||").await.expect("nothing to do");
    assert_eq!((nothing.rows, nothing.changed), (0, false));
    assert_eq!(effects::state(&*tables, "acme|w1|unheard-of||").await, Ok(None));
}

#[tokio::test]
async fn what_the_stores_cannot_keep_is_poison() {
    let tables = tables();
    let stage = stage_on(tables.clone(), Options::default());
    take(&stage, &fact("a @10 +9999999999999999999999999999")).await.expect("28 digits");
    let (code, _) = poison(take(&stage, &fact("b @11 +1")).await.expect_err("29 digits"));
    assert_eq!(code, Code::FoldOverflow);
    let (code, _) = poison(take(&stage, &fact("c @9 onHand=1")).await.expect_err("29 digits"));
    assert_eq!(code, Code::FoldOverflow);

    let mut large = fact("o @10 OPEN");
    if let contract::canonical::Data::OrderUpdated(order) = &mut large.data {
        let line =
            contract::canonical::OrderLine { description: Some("x".repeat(1_000)), ..Default::default() };
        order.lines = vec![line; 220];
    }
    let (code, message) = poison(take(&stage, &large).await.expect_err("twice 220 kB"));
    assert_eq!(code, Code::RecordTooLarge, "{message}");
}

#[tokio::test]
async fn what_is_no_fact_of_normalize_is_poison() {
    let stage = stage_on(tables(), Options::default());
    let good = record(&fact("a @10 +1"));
    assert!(stage.decode(&good).is_ok());
    let mut elsewhere = good.clone();
    elsewhere.key = Some(bytes::Bytes::from_static(b"acme|w2|A||"));
    let mut broken = good.clone();
    broken.value = bytes::Bytes::from_static(b"{\"ingestId\":1}");
    let mut nothing = good.clone();
    nothing.value = bytes::Bytes::from_static(b"\xff");
    let mut zeroth = fact("a @10 +1");
    zeroth.revision = 0;
    for record in [elsewhere, broken, nothing, record(&zeroth)] {
        match stage.decode(&record) {
            Err(Failure::Poison(poison)) => assert_eq!(poison.code, Code::RecordInvalid, "{poison}"),
            other => panic!("{other:?} is no poison"),
        }
    }
    let long = fact(&format!("a @10 warehouse={} +1", "x".repeat(300)));
    let line = serde_json::to_vec(&long).expect("json");
    assert_eq!(poison(Input::read(&line).expect_err("too long")).0, Code::EntityTooLong);
}

#[tokio::test]
async fn an_events_rows_are_found_by_its_id() {
    let tables = tables();
    let stage = stage_on(tables.clone(), Options::default());
    let facts = ["a @10 onHand=1", "a @10 line=1 warehouse=w2 onHand=2", "b @10 +1", "a @9 line=2 onHand=-3"];
    for words in facts {
        take(&stage, &fact(words)).await.expect("taken in");
    }
    let event = fact("a @10 onHand=1").ingest_id;
    let (mut rows, next) = effects::by_event(&*tables, event, None).await.expect("tables");
    rows.sort_by_key(|row| row.fact.line);
    let shown: Vec<_> = rows.iter().map(|row| (row.entity.as_str(), row.fact.line, row.kind())).collect();
    assert_eq!(
        shown,
        [
            ("acme|w1|A||", 0, Kind::Absolute),
            ("acme|w2|A||", 1, Kind::Absolute),
            ("acme|w1|A||", 2, Kind::Absolute)
        ]
    );
    assert_eq!(next, None);
    let (found, _) = stores::divergences::by_event(&*tables, event, None).await.expect("tables");
    assert_eq!(found.len(), 2, "stale and negative");
    let vendor = fact("a @10 onHand=1").vendor_id;
    let (all, _) = stores::divergences::of_vendor(&*tables, &vendor, None, 10).await.expect("tables");
    let keys = |entries: &[stores::divergences::Entry]| {
        entries.iter().map(|entry| entry.key.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(keys(&all), keys(&found));
}
