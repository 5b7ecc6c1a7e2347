//! The state is sort-then-fold, whatever order the facts arrive in: corrections and retractions before
//! and after their facts, facts that moved to another place, equal instants, missing fields, repeats.

mod support;

use std::collections::BTreeMap;

use contract::Decimal;
use contract::canonical::{Fact, FoldKey, OrderStatus, Outcome};
use divergence::decide::{Given, Need, Reads, Stop, decide};
use divergence::fold::{self, Field, Predecessors, Wanted};
use divergence::{Options, find};
use proptest::prelude::*;
use stores::effects::{self, Kind, State, StatedStatus, Winner};
use support::{fact, stage_on, tables, take};

/// What a row says at one revision.
#[derive(Debug, Clone)]
enum Saying {
    Absolute([Option<i8>; 4]),
    Adjustment(i8),
    /// A status, UNSTATED among them, with the vendor's word; a total.
    Order(&'static str, i8),
}

/// One identity: the places it had in the fold, in order, and at each what it said, revision by revision.
#[derive(Debug, Clone)]
struct Story {
    event: u8,
    line: u8,
    stays: Vec<Stay>,
}

#[derive(Debug, Clone)]
struct Stay {
    minute: u8,
    sequence: u8,
    sayings: Vec<(Saying, bool)>,
}

fn of_stock() -> impl Strategy<Value = Saying> + Clone {
    let quantity = || proptest::option::weighted(0.6, -3_i8..10);
    prop_oneof![
        [quantity(), quantity(), quantity(), quantity()].prop_map(Saying::Absolute),
        (-5_i8..10).prop_map(Saying::Adjustment),
    ]
}

fn of_orders() -> impl Strategy<Value = Saying> + Clone {
    let status = prop_oneof![
        Just("UNSTATED"),
        Just("UNSTATED word=x"),
        Just("OPEN word=a"),
        Just("OPEN word=b"),
        Just("SHIPPED"),
    ];
    (status, 0_i8..3).prop_map(|(status, total)| Saying::Order(status, total))
}

fn stay(saying: impl Strategy<Value = Saying>) -> impl Strategy<Value = Stay> {
    let sayings = proptest::collection::vec((saying, proptest::bool::weighted(0.2)), 1..4);
    (0_u8..4, 0_u8..2, sayings).prop_map(|(minute, sequence, sayings)| Stay { minute, sequence, sayings })
}

/// Of one entity: an item at a place, or an order.
fn stories() -> impl Strategy<Value = Vec<Story>> {
    prop_oneof![3 => stories_of(of_stock()), 2 => stories_of(of_orders())]
}

fn stories_of(saying: impl Strategy<Value = Saying>) -> impl Strategy<Value = Vec<Story>> {
    let story = (0_u8..4, 0_u8..3, proptest::collection::vec(stay(saying), 1..3));
    let story = story.prop_map(|(event, line, stays)| Story { event, line, stays });
    proptest::collection::vec(story, 1..8)
}

/// The facts of stories, as normalize would send them: one identity has one story, revisions only grow,
/// and who moves to another place is taken back at the old one first.
fn facts(stories: &[Story]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut told = BTreeMap::new();
    for story in stories {
        if told.insert((story.event, story.line), ()).is_some() {
            continue;
        }
        let mut revision = 0;
        let mut last: Option<Fact> = None;
        for stay in &story.stays {
            for (saying, gone) in &stay.sayings {
                let mut next = said(story, stay, saying);
                let moved = last.as_ref().is_some_and(|last| place(last) != place(&next));
                if let Some(last) = last.take().filter(|last| moved && !last.retracted) {
                    revision += 1;
                    facts.push(Fact { revision, retracted: true, ..last });
                }
                revision += 1;
                (next.revision, next.retracted) = (revision, *gone);
                facts.push(next.clone());
                last = Some(next);
            }
        }
    }
    facts
}

fn said(story: &Story, stay: &Stay, saying: &Saying) -> Fact {
    let Story { event, line, .. } = story;
    let words = match saying {
        Saying::Adjustment(delta) if *delta < 0 => delta.to_string(),
        Saying::Adjustment(delta) => format!("+{delta}"),
        Saying::Order(status, total) => format!("{status} total={total}"),
        Saying::Absolute(quantities) => {
            let names = ["onHand", "available", "reserved", "incoming"].iter().zip(quantities);
            let words = names.filter_map(|(name, value)| Some(format!("{name}={}", (*value)?)));
            words.collect::<Vec<_>>().join(" ")
        }
    };
    fact(&format!("e{event} @{}.{} line={line} {words}", stay.minute, stay.sequence))
}

fn place(fact: &Fact) -> (Kind, FoldKey) {
    (Kind::of(&fact.data), fact.fold_key())
}

/// The definition: of each place the highest revision; sorted; folded. Written without a look at the
/// stage's own fold.
fn sort_then_fold(facts: &[Fact]) -> State {
    let mut rows: BTreeMap<(FoldKey, bool), &Fact> = BTreeMap::new();
    for fact in facts {
        // An adjustment at an absolute's own place is not later than it, so it folds before it.
        let absolute = Kind::of(&fact.data) != Kind::Adjustment;
        let row = rows.entry((fact.fold_key(), absolute)).or_insert(fact);
        if row.revision < fact.revision {
            *row = fact;
        }
    }
    let mut state = State::default();
    for ((key, absolute), fact) in rows {
        if absolute {
            state.last_absolute = Some(key);
        } else {
            state.last_adjustment = Some(key);
        }
        if fact.retracted {
            continue;
        }
        match &fact.data {
            contract::canonical::Data::InventoryUpdated(data) => {
                let won = |value: &Option<Decimal>| value.clone().map(|value| Winner { value, key });
                if data.quantity_on_hand.is_some() {
                    state.adjustments = Decimal::zero();
                }
                state.on_hand = won(&data.quantity_on_hand).or(state.on_hand);
                state.available = won(&data.quantity_available).or(state.available);
                state.reserved = won(&data.quantity_reserved).or(state.reserved);
                state.incoming = won(&data.quantity_incoming).or(state.incoming);
            }
            contract::canonical::Data::InventoryAdjusted(data) => {
                state.adjustments = state.adjustments.plus(&data.delta);
            }
            contract::canonical::Data::OrderUpdated(data) => {
                if data.status != OrderStatus::Unstated {
                    let (status, vendor_status) = (data.status, data.vendor_status.clone());
                    state.order_status = Some(Winner { value: StatedStatus { status, vendor_status }, key });
                }
                state.order = Some(Winner { value: data.clone(), key });
            }
            other => panic!("{} is not part of the stories", other.name()),
        }
    }
    state
}

/// The stage without its tables: rows in a map, decisions by the stage's own pure functions.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(Kind, FoldKey), Fact>,
    state: State,
    /// Rows read, for all facts together.
    read: usize,
}

impl Model {
    /// Takes in a fact; `None` where it is known.
    fn take(&mut self, fact: &Fact) -> Option<divergence::decide::Decision> {
        let before = self.rows.get(&place(fact));
        if before.is_some_and(|before| before.revision >= fact.revision) {
            return None;
        }
        let options = Options::default();
        let entity = &fact.entity_key().expect("a short entity");
        let given = Given { entity, state: &self.state, before, fact, options: &options };
        let mut reads = Reads::default();
        let mut rounds = 0;
        let decision = loop {
            rounds += 1;
            assert!(rounds < 6, "a question was asked twice");
            match decide(given, &reads) {
                Ok(decision) => break decision,
                Err(Stop::Need(need)) => self.read += answer(&self.rows, *need, fact, &mut reads),
                Err(Stop::Overflow(what)) => panic!("{what} overflows"),
            }
        };
        self.state = decision.state.clone();
        self.rows.insert(place(fact), fact.clone());
        Some(decision)
    }
}

fn answer(rows: &BTreeMap<(Kind, FoldKey), Fact>, need: Need, fact: &Fact, reads: &mut Reads) -> usize {
    match need {
        Need::Predecessors { kind, before, wanted } => {
            assert_ne!(wanted, Wanted::Quantities(Vec::new()));
            assert_ne!(wanted, Wanted::Order { order: false, status: false });
            let mut found = Predecessors::default();
            let earlier = rows.iter().rev().filter(|((of, key), _)| *of == kind && *key < before);
            earlier.for_each(|(_, fact)| found.add(fact));
            reads.predecessors = Some(found);
        }
        Need::Adjustments(span) => {
            let inside = |key: FoldKey| {
                span.after.is_none_or(|after| key > after) && span.up_to.is_none_or(|up_to| key <= up_to)
            };
            let counted = rows.iter().filter(|((kind, key), _)| *kind == Kind::Adjustment && inside(*key));
            let deltas = counted.filter_map(|(_, fact)| fold::delta(fact));
            reads.adjustments = Some(deltas.fold(Decimal::zero(), |sum, delta| sum.plus(delta)));
        }
        Need::SameInstant => {
            let instant = |fact: &Fact| (fact.fold_key().occurred_at, fact.fold_key().sequence);
            let others = rows.values().filter(|other| place(other) != place(fact));
            let mut others = others.filter(|other| instant(other) == instant(fact));
            reads.same_instant = Some(others.find(|other| find::differ(fact, other)).cloned());
        }
        Need::Partners(_) => panic!("no warehouse is shared"),
    }
    rows.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Every arrival order gives the same state, after every single step.
    #[test]
    fn the_model_is_sort_then_fold(
        (facts, order) in stories().prop_map(|stories| facts(&stories)).prop_flat_map(|facts| {
            // Every fact once, some twice, shuffled.
            let places: Vec<usize> = (0..facts.len()).chain((0..facts.len()).step_by(3)).collect();
            (Just(facts), Just(places).prop_shuffle())
        })
    ) {
        let mut model = Model::default();
        let mut arrived: Vec<Fact> = Vec::new();
        for at in order {
            let fact = &facts[at];
            arrived.push(fact.clone());
            let before = model.state.clone();
            let decision = model.take(fact);
            prop_assert_eq!(&model.state, &sort_then_fold(&arrived), "after {:?}", fact);
            let Some(decision) = decision else {
                prop_assert_eq!(&model.state, &before);
                continue;
            };
            let quantities = |state: &State| {
                let winners = Field::ALL.map(|field| field.winner(state).cloned());
                (winners, state.adjustments.clone(), state.order.clone(), state.order_status.clone())
            };
            if decision.outcome == Outcome::Stale {
                prop_assert_eq!(quantities(&model.state), quantities(&before), "stale moved something");
            }
        }
    }

    /// Two facts of one instant that contradict each other are found when the second comes.
    #[test]
    fn a_contradiction_is_found_whichever_comes_second(
        facts in stories().prop_map(|stories| facts(&stories)).prop_shuffle()
    ) {
        use contract::canonical::DivergenceKind::SameTimeDifferentValue;
        let mut model = Model::default();
        for fact in facts.iter().filter(|fact| fact.revision == 1) {
            let instant = |fact: &Fact| (fact.fold_key().occurred_at, fact.fold_key().sequence);
            let mut earlier = model.rows.values().filter(|other| instant(other) == instant(fact));
            let contradicted = earlier.any(|other| find::differ(fact, other));
            let decision = model.take(fact).expect("every identity comes once");
            let found = decision.findings.iter().any(|finding| finding.kind == SameTimeDifferentValue);
            prop_assert_eq!(found, contradicted, "{:?}", fact);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// The same, through the stage, its rows and its paged reads.
    #[test]
    fn the_stage_is_sort_then_fold(
        facts in stories().prop_map(|stories| facts(&stories)).prop_shuffle(),
        page in 1_usize..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let entity = &facts[0].entity_key().expect("a short entity");
            let tables = tables();
            let stage = stage_on(tables.clone(), Options { page, ..Options::default() });
            let mut outputs = Vec::new();
            for fact in &facts {
                outputs.push(take(&stage, fact).await.expect("taken in"));
            }
            let known = effects::state(&*tables, entity).await.expect("tables").expect("a state");
            assert_eq!(known.state, sort_then_fold(&facts));

            // A replay of everything, in another order, changes nothing and emits the same.
            for (fact, outputs) in facts.iter().zip(outputs).rev() {
                assert_eq!(take(&stage, fact).await.expect("a repeat"), outputs);
            }
            assert_eq!(effects::state(&*tables, entity).await.expect("tables"), Some(known.clone()));

            let recomputed = stage.recompute(entity).await.expect("recomputed");
            assert_eq!((recomputed.state, recomputed.changed), (known.state, false));

            // The history holds every place once, the latest first, however it is paged.
            let mut keys: Vec<_> = facts.iter().map(|fact| (fact.fold_key(), place(fact).0)).collect();
            keys.sort();
            keys.dedup();
            let (mut history, mut after) = (Vec::new(), None);
            loop {
                let (rows, next) = effects::history(&*tables, entity, after.as_deref(), page).await.expect("tables");
                history.extend(rows.iter().map(|row| (row.fact.fold_key(), row.kind())));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            history.reverse();
            assert_eq!(history, keys);
        });
    }
}

#[test]
fn the_newest_absolute_and_any_adjustment_read_nothing() {
    let mut model = Model::default();
    for minute in 0..50 {
        model.take(&fact(&format!("a{minute} @{minute} onHand={minute} available=1")));
        model.take(&fact(&format!("d{minute} @{minute} +{minute}")));
        model.take(&fact(&format!("late{minute} @{} -1", minute / 2)));
    }
    assert_eq!(model.read, 0);
}
