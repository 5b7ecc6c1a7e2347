//! Several writers at once.

use std::sync::Arc;

use super::transactions::token;
use super::{PLAIN, SORTED, fresh, numbered, put, row, settled};
use crate::tables::{Attr, Condition, Edit, Error, Item, Key, Table, Tables, Write, get_one};

const WRITERS: i64 = 50;

/// Of 50 puts of one absent key at once, exactly one happens, and every other sees its row.
pub async fn one_of_many_puts_wins(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("put race"));
    let results = at_once(WRITERS, |number| {
        let (tables, key) = (tables.clone(), key.clone());
        async move { tables.write(Write::put(&PLAIN, key, numbered(number), Condition::Absent)).await }
    })
    .await;
    let there = row(tables, &PLAIN, &key).await.expect("somebody won");
    let winners: Vec<_> = (0..).zip(&results).filter(|(_, result)| result.is_ok()).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(there, numbered(winners[0].0));
    let lost = Err(Error::Condition(vec![Some(there)]));
    assert_eq!(results.iter().filter(|result| **result == lost).count(), results.len() - 1);
}

/// 50 writers that read a row and write it back under the condition that it is as they read it, and 50
/// that add: nothing is lost.
pub async fn no_increment_is_lost(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("increments"));
    put(tables, &PLAIN, &key, numbered(0)).await;
    at_once(WRITERS, |_| {
        let (tables, key) = (tables.clone(), key.clone());
        async move {
            loop {
                let item = get_one(tables.as_ref(), &PLAIN, key.clone()).await.expect("a read");
                let before = item.and_then(|item| item.get("n")?.as_i64()).expect("the row");
                let condition = Condition::Equals("n", Attr::N(before));
                let write =
                    Write::edit(&PLAIN, key.clone(), vec![Edit::Set("n", Attr::N(before + 1))], condition);
                match tables.write(write).await {
                    Ok(()) => return,
                    Err(Error::Condition(_) | Error::Conflict) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    })
    .await;
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(WRITERS)));
    at_once(WRITERS, |_| {
        let (tables, key) = (tables.clone(), key.clone());
        async move { tables.write(Write::edit(&PLAIN, key, vec![Edit::Add("n", 1)], Condition::Always)).await }
    })
    .await
    .into_iter()
    .for_each(|result| assert_eq!(result, Ok(())));
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(2 * WRITERS)));
}

/// Transactions that race for the same rows happen entirely or not at all: each moves one unit from row 0
/// to row 1, or from there to row 2, as long as there are units and room for them, and leaves a mark. There
/// are not enough for all.
pub async fn transactions_do_not_interleave(tables: &Arc<dyn Tables>) {
    const UNITS: i64 = 5;
    let pk = fresh("chain");
    let place = |number: i64| Key::sorted(&pk, format!("{number}"));
    for number in 0..3 {
        put(tables, &SORTED, &place(number), numbered(UNITS)).await;
    }
    let results = at_once(WRITERS, |number| {
        let (tables, from, to) = (tables.clone(), place(number % 2), place(number % 2 + 1));
        let mark = Key::sorted(&pk, format!("mark {number}"));
        async move {
            let there = Condition::All(vec![Condition::Exists, at_least(1)]);
            let writes = vec![
                Write::edit(&SORTED, from, vec![Edit::Add("n", -1)], there),
                Write::edit(&SORTED, to, vec![Edit::Add("n", 1)], Condition::Below("n", 2 * UNITS)),
                Write::put(&SORTED, mark, Item::new(), Condition::Absent),
            ];
            let token = token();
            settled(|| tables.transact(&token, writes.clone())).await
        }
    })
    .await;
    let mut expected = [UNITS; 3];
    for (number, result) in results.iter().enumerate() {
        let marked = row(tables, &SORTED, &Key::sorted(&pk, format!("mark {number}"))).await.is_some();
        assert_eq!(marked, result.is_ok(), "{result:?}");
        match result {
            Ok(()) => {
                expected[number % 2] -= 1;
                expected[number % 2 + 1] += 1;
            }
            Err(Error::Condition(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(results.iter().any(Result::is_err), "more transactions than units");
    for (number, expected) in (0..).zip(expected) {
        assert_eq!(row(tables, &SORTED, &place(number)).await, Some(numbered(expected)), "row {number}");
    }
}

/// One token sent 50 times at once happens once, and everybody who is not told to try again is told Ok.
pub async fn one_token_at_once_happens_once(tables: &Arc<dyn Tables>) {
    let key = Key::of(fresh("token race"));
    let token = token();
    let results = at_once(WRITERS, |_| {
        let (tables, key, token) = (tables.clone(), key.clone(), token.clone());
        async move {
            let writes = vec![Write::edit(&PLAIN, key, vec![Edit::Add("n", 1)], Condition::Always)];
            settled(|| tables.transact(&token, writes.clone())).await
        }
    })
    .await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(row(tables, &PLAIN, &key).await, Some(numbered(1)));
}

/// Whatever a snapshot shows of two rows that only change together, they are equal.
pub async fn a_snapshot_sees_transactions_whole(tables: &Arc<dyn Tables>) {
    const CHANGES: i64 = 100;
    let pk = fresh("whole");
    let rows = [(&PLAIN, Key::of(&pk)), (&SORTED, Key::sorted(&pk, "1"))];
    for (table, key) in &rows {
        put(tables, table, key, numbered(0)).await;
    }
    let (writer, written) = (tables.clone(), rows.clone());
    let changes = tokio::spawn(async move {
        for number in 1..=CHANGES {
            let change = |(table, key): &(&'static Table, Key)| {
                Write::put(table, key.clone(), numbered(number), Condition::Always)
            };
            let (token, writes) = (token(), written.iter().map(change).collect::<Vec<_>>());
            settled(|| writer.transact(&token, writes.clone())).await.expect("a change");
        }
    });
    let mut last = 0;
    while last < CHANGES && !changes.is_finished() {
        let read = settled(|| tables.snapshot(&rows)).await.expect("a snapshot");
        let number = |place: usize| read[place].as_ref().and_then(|item| item.get("n")?.as_i64());
        assert_eq!(number(0), number(1));
        let seen = number(0).expect("the row");
        assert!(seen >= last, "{seen} after {last}");
        last = seen;
    }
    changes.await.expect("every change");
    let read = settled(|| tables.snapshot(&rows)).await.expect("a snapshot");
    assert_eq!(read, [Some(numbered(CHANGES)), Some(numbered(CHANGES))]);
}

/// There is no such condition: the number is one of those that a row can have.
fn at_least(least: i64) -> Condition {
    Condition::Any((least..=20).map(|number| Condition::Equals("n", Attr::N(number))).collect())
}

/// Runs as many tasks on all threads; their results, in order.
pub(crate) async fn at_once<F>(count: i64, task: impl Fn(i64) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(number))).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("a writer"));
    }
    results
}
