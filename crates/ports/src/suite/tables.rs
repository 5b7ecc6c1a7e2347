//! What [`Tables`] promise, one case a promise.
//!
//! The implementation under test has the tables [`ALL`]; rows of earlier runs may still be in them.
//! `ports::tables_suite!(open)` makes a test of every case, where `open().await` returns the tables and
//! whatever must live as long as they do. Cases on several rows are in [`queries`], on several writers
//! in [`races`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::tables::{
    Attr, Condition, Edit, Error, Index, Item, Key, MAX_ITEM, MAX_PK, MAX_SK, Table, Tables, Write, get_one,
    size,
};

pub mod queries;
pub mod races;
pub mod transactions;

/// Rows without sort keys.
pub static PLAIN: Table = Table { name: "suite_plain", sorted: false, indexes: &[] };
/// Rows with sort keys and two sparse indexes, one of them ordered.
pub static SORTED: Table = Table {
    name: "suite_sorted",
    sorted: true,
    indexes: &[
        Index { name: "pending", pk: "shard", sk: Some("since") },
        Index { name: "by_event", pk: "event", sk: None },
    ],
};
/// The tables that the cases use.
pub static ALL: [&Table; 2] = [&PLAIN, &SORTED];

/// A test of every case. `$open` is an async function without arguments that returns
/// `(Arc<dyn Tables>, impl Sized)`, or an `Option` of it: `None`, said aloud by `$open`, where there is no server.
#[macro_export]
macro_rules! tables_suite {
    ($open:path) => {
        $crate::tables_suite!(@cases $open, $crate::suite::tables:
            attributes_read_back, rows_come_in_the_order_asked, conditions_see_the_row_as_it_was,
            a_failed_condition_shows_the_row, edits_change_attributes_and_nothing_else,
            edits_that_cannot_be_are_refused, a_deleted_row_is_gone, bounds_are_kept);
        $crate::tables_suite!(@cases $open, $crate::suite::tables::transactions:
            all_or_nothing, a_check_only_checks, a_token_happens_once, a_token_of_other_writes_is_refused,
            a_failed_token_may_be_tried_again, bounds_of_transactions_are_kept, a_snapshot_reads_rows_of_any_tables,
            bounds_of_snapshots_are_kept);
        $crate::tables_suite!(@cases $open, $crate::suite::tables::queries:
            ranges_are_inclusive_both_ways, pages_lose_and_repeat_nothing, any_text_is_a_sort_key,
            queries_that_cannot_be_are_refused, an_index_holds_rows_with_its_attributes,
            an_index_is_ordered_and_paged, an_index_takes_only_text, a_scan_sees_every_row);
        $crate::tables_suite!(@cases $open, $crate::suite::tables::races:
            one_of_many_puts_wins, no_increment_is_lost, transactions_do_not_interleave,
            one_token_at_once_happens_once, a_snapshot_sees_transactions_whole);
    };
    (@cases $open:path, $module:path: $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                use $module as cases;
                let Some((tables, _held)) = Option::from($open().await) else { return };
                cases::$case(&tables).await;
            }
        )+
    };
}

/// Text, numbers to both ends, bytes and truth values read back as they were written, empty ones too.
pub async fn attributes_read_back(tables: &Arc<dyn Tables>) {
    let item = Item::from([
        ("text".to_owned(), Attr::S("žluťoučký 🐴\u{0}\n".to_owned())),
        ("empty text".to_owned(), Attr::S(String::new())),
        ("least".to_owned(), Attr::N(i64::MIN)),
        ("most".to_owned(), Attr::N(i64::MAX)),
        ("zero".to_owned(), Attr::N(0)),
        ("bytes".to_owned(), Attr::B(Bytes::from_static(&[0, 1, 0xff]))),
        ("no bytes".to_owned(), Attr::B(Bytes::new())),
        ("yes".to_owned(), Attr::Bool(true)),
        ("no".to_owned(), Attr::Bool(false)),
    ]);
    let pk = fresh("attributes");
    for (table, key) in [(&PLAIN, Key::of(&pk)), (&SORTED, Key::sorted(&pk, "sk"))] {
        assert_eq!(row(tables, table, &key).await, None);
        put(tables, table, &key, item.clone()).await;
        assert_eq!(row(tables, table, &key).await.as_ref(), Some(&item));
        put(tables, table, &key, Item::new()).await;
        assert_eq!(row(tables, table, &key).await, Some(Item::new()), "a put replaces the whole row");
    }
}

/// `get` answers in the order asked, with `None` for what is not there, for any number of keys.
pub async fn rows_come_in_the_order_asked(tables: &Arc<dyn Tables>) {
    let pk = fresh("order");
    let key = |number: i64| Key::of(format!("{pk}#{number}"));
    for number in (0..220).step_by(2) {
        put(tables, &PLAIN, &key(number), numbered(number)).await;
    }
    let mut asked: Vec<i64> = (0..220).rev().collect();
    asked.push(4);
    let keys: Vec<Key> = asked.iter().map(|number| key(*number)).collect();
    let expected: Vec<_> = asked.iter().map(|number| (number % 2 == 0).then(|| numbered(*number))).collect();
    assert_eq!(tables.get(&PLAIN, &keys).await, Ok(expected));
    assert_eq!(tables.get(&PLAIN, &[]).await, Ok(vec![]));
}

/// Every condition is a test on the row before the write; an absent row has no attributes.
pub async fn conditions_see_the_row_as_it_was(tables: &Arc<dyn Tables>) {
    use Condition::*;
    let pk = fresh("conditions");
    let (there, absent) = (Key::of(format!("{pk}#there")), Key::of(format!("{pk}#absent")));
    let item = Item::from([
        ("n".to_owned(), Attr::N(7)),
        ("s".to_owned(), Attr::S("x".into())),
        ("b".to_owned(), Attr::B(Bytes::from_static(b"x"))),
        ("t".to_owned(), Attr::Bool(true)),
    ]);
    let seven = || Equals("n", Attr::N(7));
    let eight = || Equals("n", Attr::N(8));
    for (condition, on_row, on_absent) in [
        (Always, true, true),
        (Absent, false, true),
        (Exists, true, false),
        (seven(), true, false),
        (eight(), false, false),
        (Equals("s", Attr::S("x".into())), true, false),
        (Equals("s", Attr::B(Bytes::from_static(b"x"))), false, false),
        (Equals("b", Attr::B(Bytes::from_static(b"x"))), true, false),
        (Equals("t", Attr::Bool(true)), true, false),
        (Equals("t", Attr::Bool(false)), false, false),
        (Missing("n"), false, true),
        (Missing("gone"), true, true),
        (Below("n", 8), true, false),
        (Below("n", 7), false, false),
        (Below("s", 8), false, false),
        (All(vec![seven(), Exists]), true, false),
        (All(vec![seven(), eight()]), false, false),
        (Any(vec![eight(), seven()]), true, false),
        (Any(vec![Absent, eight()]), false, true),
        (All(vec![Any(vec![Absent, Missing("gone")]), Any(vec![Absent, seven()])]), true, true),
    ] {
        for (key, expected) in [(&there, on_row), (&absent, on_absent)] {
            put(tables, &PLAIN, &there, item.clone()).await;
            delete(tables, &PLAIN, &absent).await;
            let write =
                Write::edit(&PLAIN, key.clone(), vec![Edit::Set("new", Attr::N(1))], condition.clone());
            let result = tables.write(write).await;
            assert_eq!(result.is_ok(), expected, "{condition:?}, {}: {result:?}", key.pk);
            let changed = row(tables, &PLAIN, key).await.is_some_and(|item| item.contains_key("new"));
            assert_eq!(changed, expected, "{condition:?}, {}", key.pk);
        }
    }
}

/// A write whose condition fails changes nothing and shows the row as it is; an absent row as empty.
pub async fn a_failed_condition_shows_the_row(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("shows"));
    let write = |item: Item, condition| tables.write(Write::put(&PLAIN, key.clone(), item, condition));
    let shown = |item: Item| Err(Error::Condition(vec![Some(item)]));
    assert_eq!(write(numbered(1), Condition::Exists).await, shown(Item::new()));
    assert_eq!(row(tables, &PLAIN, &key).await, None);
    assert_eq!(write(numbered(1), Condition::Absent).await, Ok(()));
    assert_eq!(write(numbered(2), Condition::Absent).await, shown(numbered(1)));
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(1)));
}

/// Edits set, remove and add; other attributes stay, and a row that is absent is made.
pub async fn edits_change_attributes_and_nothing_else(tables: &Arc<dyn Tables>) {
    let key = Key::sorted(fresh("edits"), "a");
    let edit = |edits| tables.write(Write::edit(&SORTED, key.clone(), edits, Condition::Always));
    assert_eq!(edit(vec![Edit::Add("n", 5), Edit::Set("s", Attr::S("x".into()))]).await, Ok(()));
    assert_eq!(edit(vec![Edit::Add("n", -7), Edit::Remove("gone")]).await, Ok(()));
    let after = Item::from([("n".to_owned(), Attr::N(-2)), ("s".to_owned(), Attr::S("x".into()))]);
    assert_eq!(row(tables, &SORTED, &key).await, Some(after));
    assert_eq!(edit(vec![Edit::Remove("s"), Edit::Set("n", Attr::Bool(true))]).await, Ok(()));
    let after = Item::from([("n".to_owned(), Attr::Bool(true))]);
    assert_eq!(row(tables, &SORTED, &key).await, Some(after));
}

/// Adding to what is no number, naming an attribute twice, editing a key or nothing at all is refused as
/// invalid.
pub async fn edits_that_cannot_be_are_refused(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("not edits"));
    let item = Item::from([("s".to_owned(), Attr::S("x".into()))]);
    put(tables, &PLAIN, &key, item.clone()).await;
    for edits in [
        vec![Edit::Add("s", 1)],
        vec![Edit::Set("a", Attr::N(1)), Edit::Remove("a")],
        vec![Edit::Set("pk", Attr::S("other".into()))],
        vec![],
    ] {
        let result = tables.write(Write::edit(&PLAIN, key.clone(), edits.clone(), Condition::Always)).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{edits:?}: {result:?}");
    }
    assert_eq!(row(tables, &PLAIN, &key).await, Some(item));
}

/// A deleted row is gone, and deleting it again is no failure.
pub async fn a_deleted_row_is_gone(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("delete"));
    put(tables, &PLAIN, &key, numbered(1)).await;
    delete(tables, &PLAIN, &key).await;
    assert_eq!(row(tables, &PLAIN, &key).await, None);
    delete(tables, &PLAIN, &key).await;
    let delete = Write {
        table: &PLAIN,
        key: key.clone(),
        condition: Condition::Exists,
        change: crate::tables::Change::Delete,
    };
    assert_eq!(tables.write(delete).await, Err(Error::Condition(vec![Some(Item::new())])));
}

/// Rows of 400 KB, partition keys of 2,048 and sort keys of 1,024 bytes are taken, and not a byte more;
/// a key is never empty and has a sort key exactly in sorted tables.
pub async fn bounds_are_kept(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("bounds"));
    let filled = |length| Item::from([("s".to_owned(), Attr::S("x".repeat(length)))]);
    let room = MAX_ITEM - size(&key, &filled(0));
    put(tables, &PLAIN, &key, filled(room)).await;
    assert_eq!(row(tables, &PLAIN, &key).await, Some(filled(room)));
    refused(tables, Write::put(&PLAIN, key.clone(), filled(room + 1), Condition::Always)).await;
    let grown = vec![Edit::Set("more", Attr::Bool(true))];
    refused(tables, Write::edit(&PLAIN, key.clone(), grown, Condition::Always)).await;
    assert_eq!(row(tables, &PLAIN, &key).await, Some(filled(room)));
    delete(tables, &PLAIN, &key).await;

    let long = |most: usize| format!("{:x<most$}", key.pk);
    put(tables, &SORTED, &Key::sorted(long(MAX_PK), long(MAX_SK)), Item::new()).await;
    delete(tables, &SORTED, &Key::sorted(long(MAX_PK), long(MAX_SK))).await;
    for (table, key) in [
        (&SORTED, Key::sorted(long(MAX_PK + 1), "sk")),
        (&SORTED, Key::sorted("pk", long(MAX_SK + 1))),
        (&SORTED, Key::sorted("", "sk")),
        (&SORTED, Key::sorted("pk", "")),
        (&SORTED, Key::of("pk")),
        (&PLAIN, Key::of("")),
        (&PLAIN, Key::sorted("pk", "sk")),
    ] {
        refused(tables, Write::put(table, key.clone(), Item::new(), Condition::Always)).await;
        let result = tables.get(table, std::slice::from_ref(&key)).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{key:?}: {result:?}");
    }
}

/// A name that no earlier case or run has used.
#[expect(clippy::disallowed_methods, reason = "what is left of an earlier run must differ by its time")]
pub(crate) fn fresh(case: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{case}#{:x}#{}", since.as_nanos(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A row with one number.
fn numbered(number: i64) -> Item {
    Item::from([("n".to_owned(), Attr::N(number))])
}

async fn row(tables: &Arc<dyn Tables>, table: &'static Table, key: &Key) -> Option<Item> {
    get_one(tables.as_ref(), table, key.clone()).await.expect("a read")
}

async fn put(tables: &Arc<dyn Tables>, table: &'static Table, key: &Key, item: Item) {
    settled(|| tables.write(Write::put(table, key.clone(), item.clone(), Condition::Always)))
        .await
        .expect("a put without a condition");
}

async fn delete(tables: &Arc<dyn Tables>, table: &'static Table, key: &Key) {
    let change = crate::tables::Change::Delete;
    let write = Write { table, key: key.clone(), condition: Condition::Always, change };
    settled(|| tables.write(write.clone())).await.expect("a delete without a condition");
}

async fn refused(tables: &Arc<dyn Tables>, write: Write) {
    let what = format!("{} {:.40?}", write.table.name, write.key);
    let result = tables.write(write).await;
    assert!(matches!(result, Err(Error::Invalid(_))), "{what}: {result:.200?}");
}

/// Tries again as long as the store asks for it, for a minute at most.
async fn settled<F, T>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 0..1_200 {
        match attempt().await {
            Err(Error::Conflict | Error::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            other => return other,
        }
    }
    panic!("the store does not settle");
}
