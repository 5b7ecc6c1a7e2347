//! Transactions: several rows, all or none, once a token.

use std::sync::Arc;

use super::{PLAIN, SORTED, fresh, numbered, put, row, settled};
use crate::tables::{
    Attr, Change, Condition, Edit, Error, Item, Key, MAX_ITEM, MAX_TRANSACTION_ITEMS, Tables, Write, size,
};

/// Writes of several tables happen together or not at all; a failure names each write whose condition
/// failed, with its row, at that write's place.
pub async fn all_or_nothing(tables: &Arc<dyn Tables>) {
    let pk = fresh("all");
    let (plain, sorted) = (Key::of(&pk), Key::sorted(&pk, "1"));
    let absent = |key: &Key, number| {
        let table = if key.sk.is_some() { &SORTED } else { &PLAIN };
        Write::put(table, key.clone(), numbered(number), Condition::Absent)
    };
    let transact = |token: &str, writes| {
        let token = token.to_owned();
        async move { tables.transact(&token, writes).await }
    };
    assert_eq!(transact(&token(), vec![absent(&plain, 1), absent(&sorted, 1)]).await, Ok(()));
    assert_eq!(row(tables, &PLAIN, &plain).await, Some(numbered(1)));
    assert_eq!(row(tables, &SORTED, &sorted).await, Some(numbered(1)));

    let other = Key::sorted(&pk, "2");
    let gone = Key::of(format!("{pk}#gone"));
    let needs = Write::edit(&PLAIN, gone.clone(), vec![Edit::Add("n", 1)], Condition::Exists);
    let failed = transact(&token(), vec![absent(&other, 2), absent(&plain, 2), needs]).await;
    assert_eq!(failed, Err(Error::Condition(vec![None, Some(numbered(1)), Some(Item::new())])));
    assert_eq!(row(tables, &SORTED, &other).await, None);
    assert_eq!(row(tables, &PLAIN, &plain).await, Some(numbered(1)));
    assert_eq!(row(tables, &PLAIN, &gone).await, None);
}

/// A check holds a transaction back and changes nothing itself; a deletion takes part like any write.
pub async fn a_check_only_checks(tables: &Arc<dyn Tables>) {
    let pk = fresh("check");
    let (guard, old, new) = (Key::sorted(&pk, "guard"), Key::sorted(&pk, "old"), Key::sorted(&pk, "new"));
    put(tables, &SORTED, &guard, numbered(1)).await;
    put(tables, &SORTED, &old, numbered(2)).await;
    let writes = |expected| {
        let write =
            |key: &Key, condition, change| Write { table: &SORTED, key: key.clone(), condition, change };
        vec![
            write(&guard, Condition::Equals("n", Attr::N(expected)), Change::Check),
            write(&old, Condition::Exists, Change::Delete),
            write(&new, Condition::Absent, Change::Put(numbered(3))),
        ]
    };
    let failed = tables.transact(&token(), writes(9)).await;
    assert_eq!(failed, Err(Error::Condition(vec![Some(numbered(1)), None, None])));
    assert_eq!(row(tables, &SORTED, &old).await, Some(numbered(2)));
    assert_eq!(tables.transact(&token(), writes(1)).await, Ok(()));
    assert_eq!(row(tables, &SORTED, &guard).await, Some(numbered(1)));
    assert_eq!(row(tables, &SORTED, &old).await, None);
    assert_eq!(row(tables, &SORTED, &new).await, Some(numbered(3)));
}

/// The same token with the same writes happens once, though its own conditions would fail by now.
pub async fn a_token_happens_once(tables: &Arc<dyn Tables>) {
    let pk = fresh("once");
    let (counter, claim) = (Key::of(&pk), Key::of(format!("{pk}#claim")));
    let writes = vec![
        Write::edit(&PLAIN, counter.clone(), vec![Edit::Add("n", 1)], Condition::Always),
        Write::put(&PLAIN, claim, Item::new(), Condition::Absent),
    ];
    let token = token();
    for _ in 0..3 {
        assert_eq!(settled(|| tables.transact(&token, writes.clone())).await, Ok(()));
    }
    assert_eq!(row(tables, &PLAIN, &counter).await, Some(numbered(1)));
}

/// A token that happened is refused for any other writes, which do not happen.
pub async fn a_token_of_other_writes_is_refused(tables: &Arc<dyn Tables>) {
    let (key, other) = (Key::of(fresh("token")), Key::of(fresh("token")));
    let edit = |key: &Key, edits, condition| vec![Write::edit(&PLAIN, key.clone(), edits, condition)];
    let add = |number| vec![Edit::Add("n", number)];
    let token = token();
    let first = edit(&key, add(1), Condition::Always);
    assert_eq!(tables.transact(&token, first.clone()).await, Ok(()));
    for writes in [
        edit(&key, add(2), Condition::Always),
        edit(&key, add(1), Condition::Exists),
        edit(&key, vec![Edit::Set("n", Attr::N(1))], Condition::Always),
        edit(&other, add(1), Condition::Always),
        vec![Write::put(&PLAIN, key.clone(), numbered(1), Condition::Always)],
        [first, edit(&other, add(1), Condition::Always)].concat(),
    ] {
        let result = tables.transact(&token, writes.clone()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{writes:?}: {result:?}");
    }
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(1)));
    assert_eq!(row(tables, &PLAIN, &other).await, None);
}

/// A token whose transaction failed has not happened: it is tried anew.
pub async fn a_failed_token_may_be_tried_again(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("again"));
    let writes = vec![Write::edit(&PLAIN, key.clone(), vec![Edit::Add("n", 1)], Condition::Exists)];
    let token = token();
    let failed = Err(Error::Condition(vec![Some(Item::new())]));
    assert_eq!(tables.transact(&token, writes.clone()).await, failed);
    put(tables, &PLAIN, &key, numbered(1)).await;
    assert_eq!(tables.transact(&token, writes).await, Ok(()));
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(2)));
}

/// 100 rows are taken and 101 are not, nor more than 4 MB, a row twice, no row at all, or a token beyond
/// 36 bytes; what is refused does not happen.
pub async fn bounds_of_transactions_are_kept(tables: &Arc<dyn Tables>) {
    let pk = fresh("most");
    let write = |number: usize, item| {
        Write::put(&SORTED, Key::sorted(&pk, format!("{number:03}")), item, Condition::Always)
    };
    let small = |count: usize| (0..count).map(|number| write(number, numbered(1))).collect::<Vec<_>>();
    assert_eq!(tables.transact(&token(), small(MAX_TRANSACTION_ITEMS)).await, Ok(()));
    assert_eq!(tables.transact(&format!("{:t<36}", token()), vec![write(0, Item::new())]).await, Ok(()));

    let filled = |length| Item::from([("s".to_owned(), Attr::S("x".repeat(length)))]);
    let room = MAX_ITEM - size(&Key::sorted(&pk, "000"), &filled(0));
    let large = |count| (0..count).map(|number| write(number, filled(room))).collect::<Vec<_>>();
    assert_eq!(tables.transact(&token(), large(10)).await, Ok(()));

    let marker = || Write::put(&PLAIN, Key::of(&pk), Item::new(), Condition::Always);
    let twice = vec![marker(), write(0, Item::new()), write(0, Item::new())];
    for (token, mut writes) in [
        (token(), small(MAX_TRANSACTION_ITEMS)),
        (token(), large(11)),
        (token(), twice),
        ("t".repeat(37), vec![write(0, Item::new())]),
        (String::new(), vec![write(0, Item::new())]),
    ] {
        writes.push(marker());
        let result = tables.transact(&token, writes).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{token:?}: {result:?}");
    }
    assert!(matches!(tables.transact(&token(), vec![]).await, Err(Error::Invalid(_))));
    assert_eq!(row(tables, &PLAIN, &Key::of(&pk)).await, None);
    let clean = |count: usize| {
        let deletion = |mut write: Write| {
            write.change = Change::Delete;
            write
        };
        small(count).into_iter().map(deletion).collect::<Vec<_>>()
    };
    assert_eq!(tables.transact(&token(), clean(MAX_TRANSACTION_ITEMS)).await, Ok(()));
}

/// A snapshot has rows of several tables in the order asked, and `None` for those that are not there.
pub async fn a_snapshot_reads_rows_of_any_tables(tables: &Arc<dyn Tables>) {
    let pk = fresh("snapshot");
    let (plain, sorted) = (Key::of(&pk), Key::sorted(&pk, "1"));
    put(tables, &PLAIN, &plain, numbered(1)).await;
    put(tables, &SORTED, &sorted, Item::new()).await;
    let absent = Key::sorted(&pk, "2");
    let rows = [(&SORTED, absent), (&PLAIN, plain), (&SORTED, sorted)];
    let read = tables.snapshot(&rows).await;
    assert_eq!(read, Ok(vec![None, Some(numbered(1)), Some(Item::new())]));
}

/// 100 rows are read and 101 are not, nor a row twice, no row at all, or a key that is none.
pub async fn bounds_of_snapshots_are_kept(tables: &Arc<dyn Tables>) {
    let pk = fresh("wide");
    let rows = |count: usize| {
        (0..count).map(|number| (&SORTED, Key::sorted(&pk, format!("{number:03}")))).collect::<Vec<_>>()
    };
    assert_eq!(tables.snapshot(&rows(MAX_TRANSACTION_ITEMS)).await, Ok(vec![None; MAX_TRANSACTION_ITEMS]));
    for rows in [
        rows(MAX_TRANSACTION_ITEMS + 1),
        [rows(1), rows(1)].concat(),
        vec![],
        vec![(&SORTED, Key::of(&pk))],
        vec![(&PLAIN, Key::of(""))],
    ] {
        let read = tables.snapshot(&rows).await;
        assert!(matches!(read, Err(Error::Invalid(_))), "{read:?}");
    }
}

/// A token that no earlier case or run has used.
pub(super) fn token() -> String {
    fresh("t")
}
