//! Reads of several rows: ranges, pages, indexes, scans.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::transactions::token;
use super::{PLAIN, SORTED, delete, fresh, numbered, put, refused, row, settled};
use crate::tables::{Attr, Change, Condition, Cursor, Edit, Error, Item, Key, Query, Tables, Write};

/// Ranges of sort keys include both ends, in the order of their UTF-8 bytes or against it; a prefix is a
/// range; a table without sort keys has the one row.
pub async fn ranges_are_inclusive_both_ways(tables: &Arc<dyn Tables>) {
    let pk = fresh("ranges");
    let keys = ["A", "a", "a#1", "a#10", "a#2", "b", "é", "\u{ffff}", "🐴"];
    for (number, sk) in (0..).zip(keys) {
        put(tables, &SORTED, &Key::sorted(&pk, sk), numbered(number)).await;
    }
    put(tables, &SORTED, &Key::sorted(format!("{pk}x"), "a"), numbered(99)).await;
    let all = || Query::of(&SORTED, &pk);
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (all(), &keys[..]),
        (Query { from: text("a"), ..all() }, &keys[1..]),
        (Query { to: text("a#10"), ..all() }, &keys[..4]),
        (Query { from: text("a"), to: text("b"), ..all() }, &keys[1..6]),
        (Query { from: text("a0"), to: text("az"), ..all() }, &[]),
        (Query { from: text("b"), to: text("b"), ..all() }, &keys[5..6]),
        (all().prefix("a#"), &keys[2..5]),
        (all().prefix("a#1"), &keys[2..4]),
        (all().prefix(""), &keys[..]),
        (all().prefix("🐴"), &keys[8..]),
        (Query::of(&SORTED, format!("{pk}-nobody")), &[]),
    ] {
        let found = pages(tables, query.clone()).await;
        assert_eq!(sort_keys(&found), expected, "{query:?}");
        for (key, item) in &found {
            let number = keys.iter().position(|sk| Some(*sk) == key.sk.as_deref()).unwrap_or_default();
            assert_eq!(*item, numbered(number as i64));
        }
        let backwards = pages(tables, Query { descending: true, ..query.clone() }).await;
        assert_eq!(sort_keys(&backwards), expected.iter().copied().rev().collect::<Vec<_>>(), "{query:?}");
    }
    let plain = Key::of(&pk);
    put(tables, &PLAIN, &plain, numbered(1)).await;
    put(tables, &PLAIN, &Key::of(format!("{pk}#")), numbered(2)).await;
    assert_eq!(pages(tables, Query::of(&PLAIN, &pk)).await, [(plain, numbered(1))]);
}

/// A page has at most `limit` rows; following the cursors sees every row once, with large rows too.
pub async fn pages_lose_and_repeat_nothing(tables: &Arc<dyn Tables>) {
    let pk = fresh("pages");
    let keys: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
    let large = Item::from([("s".to_owned(), Attr::S("x".repeat(200 * 1_024)))]);
    for sk in &keys {
        put(tables, &SORTED, &Key::sorted(&pk, sk), large.clone()).await;
    }
    for limit in [1, 7, 24, 25, 26] {
        for descending in [false, true] {
            let query = Query { limit, descending, from: Some("0".to_owned()), ..Query::of(&SORTED, &pk) };
            let mut expected: Vec<&str> = keys.iter().map(String::as_str).collect();
            if descending {
                expected.reverse();
            }
            assert_eq!(sort_keys(&pages(tables, query).await), expected, "{limit}, {descending}");
        }
    }
    let first = tables.query(Query { limit: 3, ..Query::of(&SORTED, &pk) }).await.expect("a page");
    put(tables, &SORTED, &Key::sorted(&pk, "02x"), Item::new()).await;
    delete(tables, &SORTED, &first.rows.last().expect("a row").key).await;
    let rest = pages(tables, Query { after: first.next, ..Query::of(&SORTED, &pk) }).await;
    let first = first.rows.iter().filter_map(|row| row.key.sk.as_deref());
    let mut seen: Vec<&str> = first.chain(sort_keys(&rest)).collect();
    assert!(seen.contains(&"02x"), "the cursor goes on where its row is gone: {seen:?}");
    seen.retain(|sk| *sk != "02x");
    assert_eq!(seen, keys);
    for sk in keys.iter().map(String::as_str).chain(["02x"]) {
        delete(tables, &SORTED, &Key::sorted(&pk, sk)).await;
    }
}

/// Keys may hold any text, control characters too, and none of them reaches into another's rows.
pub async fn any_text_is_a_sort_key(tables: &Arc<dyn Tables>) {
    let texts = ["\0", "\0\0", "\0\u{1}", "\u{1}", "\u{1}\u{1}", "\u{2}", "a", "a\0", "a\0b", "a\u{1}", "ab"];
    let pk = fresh("texts");
    for first in texts {
        for second in texts {
            put(tables, &SORTED, &Key::sorted(format!("{pk}{first}"), second), numbered(1)).await;
        }
    }
    for first in texts {
        let query = Query::of(&SORTED, format!("{pk}{first}"));
        assert_eq!(sort_keys(&pages(tables, query.clone()).await), texts, "{first:?}");
        let query = Query { from: Some("\u{1}".into()), to: Some("a\0".into()), limit: 2, ..query };
        assert_eq!(sort_keys(&pages(tables, query).await), &texts[3..8], "{first:?}");
    }
}

/// An index that is not there, ranges without sort keys, ranges that end before they begin, empty keys
/// and pages of no rows are refused as invalid.
pub async fn queries_that_cannot_be_are_refused(tables: &Arc<dyn Tables>) {
    let text = |text: &str| Some(text.to_owned());
    for query in [
        Query::over(&SORTED, "nothing", "x"),
        Query::over(&PLAIN, "pending", "x"),
        Query { from: text("a"), ..Query::of(&PLAIN, "x") },
        Query { to: text("a"), ..Query::over(&SORTED, "by_event", "x") },
        Query { from: text("b"), to: text("a"), ..Query::of(&SORTED, "x") },
        Query::of(&SORTED, ""),
        Query { limit: 0, ..Query::of(&SORTED, "x") },
    ] {
        let result = tables.query(query.clone()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{query:?}: {result:?}");
    }
    assert!(matches!(tables.scan(&PLAIN, None, 0).await, Err(Error::Invalid(_))));
}

/// A row is in an index exactly while it has the index's attributes: it enters, moves and leaves with
/// puts, edits, deletions and transactions. Index reads return keys only.
pub async fn an_index_holds_rows_with_its_attributes(tables: &Arc<dyn Tables>) {
    let pk = fresh("sparse");
    let (here, there) = (format!("{pk}#here"), format!("{pk}#there"));
    let key = Key::sorted(&pk, "row");
    let text = |text: &str| Attr::S(text.to_owned());
    let pending = |shard: &str| Query::over(&SORTED, "pending", shard);
    let event = || Query::over(&SORTED, "by_event", &here);
    let edit = |edits: Vec<Edit>| {
        let write = Write::edit(&SORTED, key.clone(), edits, Condition::Always);
        async move { tables.write(write).await.expect("an edit") }
    };
    let none: &[&Key] = &[];

    put(tables, &SORTED, &key, Item::from([("shard".to_owned(), text(&here))])).await;
    agrees(tables, pending(&here), none).await;
    edit(vec![Edit::Set("since", text("1")), Edit::Set("event", text(&here)), Edit::Set("n", Attr::N(1))])
        .await;
    agrees(tables, pending(&here), &[&key]).await;
    agrees(tables, event(), &[&key]).await;

    edit(vec![Edit::Set("shard", text(&there))]).await;
    agrees(tables, pending(&here), none).await;
    agrees(tables, pending(&there), &[&key]).await;
    edit(vec![Edit::Set("since", text("2")), Edit::Add("n", 1)]).await;
    agrees(tables, Query { from: Some("2".to_owned()), ..pending(&there) }, &[&key]).await;
    agrees(tables, Query { to: Some("1".to_owned()), ..pending(&there) }, none).await;

    edit(vec![Edit::Remove("since")]).await;
    agrees(tables, pending(&there), none).await;
    agrees(tables, event(), &[&key]).await;
    assert!(row(tables, &SORTED, &key).await.is_some_and(|item| item.contains_key("shard")));

    let whole = Item::from([("shard".to_owned(), text(&here)), ("since".to_owned(), text("3"))]);
    let write = Write::put(&SORTED, key.clone(), whole, Condition::Exists);
    let token = token();
    settled(|| tables.transact(&token, vec![write.clone()])).await.expect("a transaction");
    agrees(tables, pending(&here), &[&key]).await;
    agrees(tables, event(), none).await;
    let write = Write { change: Change::Delete, ..write };
    tables.write(write).await.expect("a deletion");
    agrees(tables, pending(&here), none).await;
}

/// An index is ordered by its own sort key, rows with equal ones are all there, and pages of it lose and
/// repeat nothing, both ways.
pub async fn an_index_is_ordered_and_paged(tables: &Arc<dyn Tables>) {
    let pk = fresh("ordered");
    let since = ["1", "1", "10", "2", "2", "2", "2", "3", "é"];
    for (number, since) in since.iter().enumerate() {
        let item = Item::from([
            ("shard".to_owned(), Attr::S(pk.clone())),
            ("since".to_owned(), Attr::S((*since).to_owned())),
            ("event".to_owned(), Attr::S(pk.clone())),
        ]);
        let part = format!("{pk}#{}", number % 2);
        put(tables, &SORTED, &Key::sorted(part, format!("{}", 9 - number)), item).await;
    }
    let since_of = |key: &Key| {
        let number = 9 - key.sk.as_deref().and_then(|sk| sk.parse::<usize>().ok()).expect("a number");
        since[number]
    };
    for limit in [1, 2, 4, 9, 10] {
        for descending in [false, true] {
            let query = |from: Option<&str>, to: Option<&str>| Query {
                limit,
                descending,
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
                ..Query::over(&SORTED, "pending", &pk)
            };
            for (query, expected) in [
                (query(None, None), &since[..]),
                (query(Some("2"), Some("2")), &since[3..7]),
                (query(None, Some("2")), &since[..7]),
                (query(Some("10"), None), &since[2..]),
            ] {
                let mut expected = expected.to_vec();
                if descending {
                    expected.reverse();
                }
                let found = eventually(tables, query, |found| found.len() == expected.len()).await;
                let order: Vec<&str> = found.iter().map(|(key, _)| since_of(key)).collect();
                assert_eq!(order, expected);
                assert_eq!(found.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), expected.len());
            }
        }
    }
    let query = Query { limit: 2, ..Query::over(&SORTED, "by_event", &pk) };
    let found = eventually(tables, query, |found| found.len() == since.len()).await;
    assert_eq!(found.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), since.len());
}

/// An attribute that an index is made of is text that is not empty, or absent.
pub async fn an_index_takes_only_text(tables: &Arc<dyn Tables>) {
    let key = Key::sorted(fresh("index text"), "a");
    for (name, value) in [
        ("shard", Attr::N(1)),
        ("since", Attr::Bool(true)),
        ("event", Attr::S(String::new())),
        ("since", Attr::S("x".repeat(crate::tables::MAX_SK + 1))),
        ("event", Attr::S("x".repeat(crate::tables::MAX_PK + 1))),
    ] {
        let item = Item::from([(name.to_owned(), value.clone())]);
        refused(tables, Write::put(&SORTED, key.clone(), item, Condition::Always)).await;
        let edits = vec![Edit::Set(name, value)];
        refused(tables, Write::edit(&SORTED, key.clone(), edits, Condition::Always)).await;
    }
    assert_eq!(row(tables, &SORTED, &key).await, None);
}

/// A scan sees every row once, in pages.
pub async fn a_scan_sees_every_row(tables: &Arc<dyn Tables>) {
    let pk = fresh("scan");
    let mut expected = Vec::new();
    for number in 0..30 {
        let key = Key::sorted(format!("{pk}#{}", number % 4), format!("{number:02}"));
        put(tables, &SORTED, &key, numbered(number)).await;
        expected.push((key, numbered(number)));
    }
    expected.sort_by(|(left, _), (right, _)| left.cmp(right));
    for limit in [7, 1_000] {
        let mut found = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page = tables.scan(&SORTED, after, limit).await.expect("a page");
            assert!(page.rows.len() <= limit);
            let own = page.rows.into_iter().filter(|row| row.key.pk.starts_with(&pk));
            found.extend(own.map(|row| (row.key, row.item)));
            match page.next {
                None => break,
                next => after = next,
            }
        }
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        assert_eq!(found, expected);
    }
}

/// Every row of a query, following its cursors.
async fn pages(tables: &Arc<dyn Tables>, mut query: Query) -> Vec<(Key, Item)> {
    let mut rows = Vec::new();
    loop {
        let page = tables.query(query.clone()).await.expect("a page");
        assert!(page.rows.len() <= query.limit, "{} rows for {}", page.rows.len(), query.limit);
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.item)));
        match page.next {
            None => return rows,
            next => query.after = next,
        }
    }
}

/// Asks an index until it has caught up, for a minute at most.
async fn eventually(
    tables: &Arc<dyn Tables>,
    query: Query,
    agrees: impl Fn(&[(Key, Item)]) -> bool,
) -> Vec<(Key, Item)> {
    let mut found = Vec::new();
    for _ in 0..1_200 {
        found = pages(tables, query.clone()).await;
        if agrees(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the index does not catch up: {query:?} has {found:?}");
}

async fn agrees(tables: &Arc<dyn Tables>, query: Query, keys: &[&Key]) {
    let found =
        eventually(tables, query, |found| found.iter().map(|(key, _)| key).eq(keys.iter().copied())).await;
    assert!(found.iter().all(|(_, item)| item.is_empty()), "an index returns keys only");
}

fn sort_keys(rows: &[(Key, Item)]) -> Vec<&str> {
    rows.iter().filter_map(|(key, _)| key.sk.as_deref()).collect()
}
