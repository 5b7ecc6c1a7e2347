//! Tables against a model: a map, and what every operation means said as plainly as can be.

use std::collections::{BTreeMap, HashMap};

use embedded::tables::EmbeddedTables;
use embedded::{Engine, Options};
use ports::Tables;
use ports::suite::tables::{ALL, PLAIN, SORTED};
use ports::tables::{Attr, Change, Condition, Edit, Error, Item, Key, Query, Table, Write};
use proptest::prelude::*;
use proptest::sample::select;

/// What the tables hold.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(&'static str, Key), Item>,
    tokens: HashMap<String, Vec<Write>>,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Write),
    Transact(String, Vec<Write>),
    /// The same transaction as some earlier one, with its token.
    Again(proptest::sample::Index),
    Query(Query),
    Get(&'static Table, Vec<Key>),
    Scan(&'static Table, usize),
    /// Closes the store and opens it again.
    Restart,
}

impl Model {
    fn row(&self, write: &Write) -> Option<&Item> {
        self.rows.get(&(write.table.name, write.key.clone()))
    }

    fn write(&mut self, write: &Write) -> Result<(), Error> {
        self.all(std::slice::from_ref(write))
    }

    fn transact(&mut self, token: &str, writes: &[Write]) -> Result<(), Error> {
        for (at, write) in writes.iter().enumerate() {
            if writes[..at].iter().any(|other| (other.table, &other.key) == (write.table, &write.key)) {
                return Err(Error::Invalid(String::new()));
            }
            check(write)?;
        }
        match self.tokens.get(token) {
            Some(before) if before == writes => return Ok(()),
            Some(_) => return Err(Error::Invalid(String::new())),
            None => {}
        }
        self.all(writes)?;
        self.tokens.insert(token.to_owned(), writes.to_vec());
        Ok(())
    }

    fn all(&mut self, writes: &[Write]) -> Result<(), Error> {
        writes.iter().try_for_each(check)?;
        let failures: Vec<_> = writes
            .iter()
            .map(|write| {
                let row = self.row(write);
                (!holds(&write.condition, row)).then(|| row.cloned().unwrap_or_default())
            })
            .collect();
        if failures.iter().any(Option::is_some) {
            return Err(Error::Condition(failures));
        }
        let mut after = self.rows.clone();
        for write in writes {
            let place = (write.table.name, write.key.clone());
            match &write.change {
                Change::Put(item) => {
                    after.insert(place, item.clone());
                }
                Change::Delete => {
                    after.remove(&place);
                }
                Change::Check => {}
                Change::Edit(edits) => {
                    let item = after.entry(place).or_default();
                    for edit in edits {
                        match edit {
                            Edit::Set(name, value) => {
                                item.insert((*name).to_owned(), value.clone());
                            }
                            Edit::Remove(name) => {
                                item.remove(*name);
                            }
                            Edit::Add(name, number) => {
                                let before = item.get(*name).cloned().unwrap_or(Attr::N(0));
                                let Attr::N(before) = before else {
                                    return Err(Error::Invalid(String::new()));
                                };
                                item.insert((*name).to_owned(), Attr::N(before + number));
                            }
                        }
                    }
                }
            }
        }
        self.rows = after;
        Ok(())
    }

    fn query(&self, query: &Query) -> Vec<(Key, Item)> {
        let rows = self.rows.iter().filter(|((table, _), _)| *table == query.table.name);
        let index = query.index.and_then(|name| query.table.indexes.iter().find(|index| index.name == name));
        let mut found: Vec<(Option<String>, Key, Item)> = rows
            .filter_map(|((_, key), item)| match index {
                None => (key.pk == query.pk).then(|| (key.sk.clone(), key.clone(), item.clone())),
                Some(index) => {
                    let text = |name| item.get(name).and_then(Attr::as_str).map(str::to_owned);
                    let sk = index.sk.map(text);
                    let there = text(index.pk)? == query.pk && sk != Some(None);
                    there.then(|| (sk.flatten(), key.clone(), Item::new()))
                }
            })
            .filter(|(sk, _, _)| query.from.as_ref().is_none_or(|from| sk.as_ref() >= Some(from)))
            .filter(|(sk, _, _)| query.to.as_ref().is_none_or(|to| sk.as_ref() <= Some(to)))
            .collect();
        found.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
        if query.descending {
            found.reverse();
        }
        found.into_iter().map(|(_, key, item)| (key, item)).collect()
    }
}

fn check(write: &Write) -> Result<(), Error> {
    let Change::Edit(edits) = &write.change else { return Ok(()) };
    let name = |edit: &Edit| match edit {
        Edit::Set(name, _) | Edit::Remove(name) | Edit::Add(name, _) => *name,
    };
    let mut names: Vec<_> = edits.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < edits.len() { Err(Error::Invalid(String::new())) } else { Ok(()) }
}

fn holds(condition: &Condition, row: Option<&Item>) -> bool {
    let empty = Item::new();
    let item = row.unwrap_or(&empty);
    match condition {
        Condition::Always => true,
        Condition::Absent => row.is_none(),
        Condition::Exists => row.is_some(),
        Condition::Equals(name, value) => item.get(*name) == Some(value),
        Condition::Missing(name) => !item.contains_key(*name),
        Condition::Below(name, bound) => matches!(item.get(*name), Some(Attr::N(number)) if number < bound),
        Condition::All(parts) => !parts.iter().any(|part| !holds(part, row)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, row)),
    }
}

/// Few and awkward, so that rows meet.
const TEXTS: [&str; 6] = ["a", "a\0", "a\u{1}", "ab", "b", "\0"];

fn text() -> impl Strategy<Value = String> {
    select(&TEXTS[..]).prop_map(str::to_owned)
}

fn table_and_key() -> impl Strategy<Value = (&'static Table, Key)> {
    prop_oneof![
        1 => text().prop_map(|pk| (&PLAIN, Key::of(pk))),
        4 => (text(), text()).prop_map(|(pk, sk)| (&SORTED, Key::sorted(pk, sk))),
    ]
}

fn attribute() -> impl Strategy<Value = (&'static str, Attr)> {
    prop_oneof![
        2 => text().prop_map(|text| ("shard", Attr::S(text))),
        2 => text().prop_map(|text| ("since", Attr::S(text))),
        1 => text().prop_map(|text| ("event", Attr::S(text))),
        1 => (0..4_i64).prop_map(|number| ("n", Attr::N(number))),
        1 => text().prop_map(|text| ("n", Attr::S(text))),
        1 => any::<bool>().prop_map(|value| ("t", Attr::Bool(value))),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        4 => Just(Condition::Always),
        1 => Just(Condition::Absent),
        1 => Just(Condition::Exists),
        1 => attribute().prop_map(|(name, value)| Condition::Equals(name, value)),
        1 => attribute().prop_map(|(name, _)| Condition::Missing(name)),
        1 => (0..4_i64).prop_map(|bound| Condition::Below("n", bound)),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let parts = || proptest::collection::vec(inner.clone(), 1..3);
        prop_oneof![parts().prop_map(Condition::All), parts().prop_map(Condition::Any)]
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        3 => attribute().prop_map(|(name, value)| Edit::Set(name, value)),
        2 => attribute().prop_map(|(name, _)| Edit::Remove(name)),
        1 => (-2..3_i64).prop_map(|number| Edit::Add("n", number)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let item = proptest::collection::vec(attribute(), 0..5).prop_map(|attributes| {
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    });
    prop_oneof![
        3 => item.prop_map(Change::Put),
        3 => proptest::collection::vec(edit(), 1..4).prop_map(Change::Edit),
        1 => Just(Change::Delete),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    (table_and_key(), condition(), change()).prop_map(|((table, key), condition, change)| Write {
        table,
        key,
        condition,
        change,
    })
}

/// As `write`, and mere checks.
fn member() -> impl Strategy<Value = Write> {
    (write(), proptest::bool::weighted(0.2)).prop_map(|(write, check)| match check {
        true => Write { change: Change::Check, ..write },
        false => write,
    })
}

fn query() -> impl Strategy<Value = Query> {
    let end = || proptest::option::of(text());
    let over = select(vec![
        (&SORTED, None),
        (&SORTED, Some("pending")),
        (&SORTED, Some("by_event")),
        (&PLAIN, None),
    ]);
    (over, text(), end(), end(), any::<bool>(), 1..5_usize).prop_map(
        |((table, index), pk, from, to, descending, limit)| {
            let ranged = index == Some("pending") || (index.is_none() && table.sorted);
            let (from, to) = match (from, to) {
                _ if !ranged => (None, None),
                (Some(from), Some(to)) if from > to => (Some(to), Some(from)),
                ends => ends,
            };
            Query { table, index, pk, from, to, descending, limit, after: None }
        },
    )
}

fn step(restarts: u32) -> impl Strategy<Value = Step> {
    let keys = |table: &'static Table| {
        proptest::collection::vec(table_and_key(), 0..6).prop_map(move |keys| {
            let own = keys.into_iter().filter(|(other, _)| other.name == table.name);
            Step::Get(table, own.map(|(_, key)| key).collect())
        })
    };
    let token = select(&["1", "2", "3"][..]).prop_map(str::to_owned);
    prop_oneof![
        12 => write().prop_map(Step::Write),
        6 => (token, proptest::collection::vec(member(), 1..4))
            .prop_map(|(token, writes)| Step::Transact(token, writes)),
        2 => any::<proptest::sample::Index>().prop_map(Step::Again),
        8 => query().prop_map(Step::Query),
        1 => keys(&PLAIN),
        1 => keys(&SORTED),
        1 => (select(&ALL[..]), 1..9_usize).prop_map(|(table, limit)| Step::Scan(table, limit)),
        restarts => Just(Step::Restart),
    ]
}

/// Errors of one kind are one, whatever their words.
fn told<T>(result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|error| if let Error::Invalid(_) = error { Error::Invalid(String::new()) } else { error })
}

async fn run(steps: Vec<Step>, open: impl Fn() -> EmbeddedTables) {
    let mut model = Model::default();
    let mut sent: Vec<(String, Vec<Write>)> = Vec::new();
    let mut tables = Some(open());
    for step in steps {
        let shown = format!("{step:?}");
        if let Step::Restart = step {
            drop(tables.take());
            tables = Some(open());
            continue;
        }
        let tables = tables.as_ref().expect("it is open");
        match step {
            Step::Write(write) => {
                let expected = model.write(&write);
                assert_eq!(told(tables.write(write).await), expected, "{shown}");
            }
            Step::Again(index) => {
                let Some((token, writes)) = (!sent.is_empty()).then(|| index.get(&sent).clone()) else {
                    continue;
                };
                let expected = model.transact(&token, &writes);
                assert_eq!(told(tables.transact(&token, writes).await), expected, "{shown}");
            }
            Step::Transact(token, writes) => {
                let expected = model.transact(&token, &writes);
                sent.push((token.clone(), writes.clone()));
                assert_eq!(told(tables.transact(&token, writes).await), expected, "{shown}");
            }
            Step::Query(mut query) => {
                let mut found = Vec::new();
                loop {
                    let page = tables.query(query.clone()).await.expect("a page");
                    assert!(page.rows.len() <= query.limit, "{shown}");
                    found.extend(page.rows.into_iter().map(|row| (row.key, row.item)));
                    let Some(next) = page.next else { break };
                    query.after = Some(next);
                }
                assert_eq!(found, model.query(&query), "{shown}");
            }
            Step::Get(table, keys) => {
                let expected: Vec<_> =
                    keys.iter().map(|key| model.rows.get(&(table.name, key.clone())).cloned()).collect();
                assert_eq!(tables.get(table, &keys).await, Ok(expected), "{shown}");
            }
            Step::Scan(table, limit) => {
                let mut found = BTreeMap::new();
                let mut after = None;
                loop {
                    let page = tables.scan(table, after, limit).await.expect("a page");
                    for row in page.rows {
                        assert_eq!(
                            found.insert((table.name, row.key), row.item),
                            None,
                            "{shown}: a row twice"
                        );
                    }
                    let Some(next) = page.next else { break };
                    after = Some(next);
                }
                let mut expected = model.rows.clone();
                expected.retain(|(name, _), _| *name == table.name);
                assert_eq!(found, expected, "{shown}");
            }
            Step::Restart => unreachable!("served above"),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn in_memory_it_is_the_model(steps in proptest::collection::vec(step(0), 1..80)) {
        let open = || EmbeddedTables::new(Engine::in_memory(), &ALL).expect("tables");
        runtime().block_on(run(steps, open));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn on_disk_it_is_the_model_through_restarts(steps in proptest::collection::vec(step(2), 1..80)) {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || {
            let engine = Engine::open(dir.path(), Options::default()).expect("a store");
            EmbeddedTables::new(engine, &ALL).expect("tables")
        };
        runtime().block_on(run(steps, open));
    }
}
