//! DynamoDB, as its makers' local server has it.

use std::sync::Arc;

use ports::Tables;
use ports::suite::tables as suite_tables;
use ports::tables::{Condition, Error, Index, Item, Key, Query, Table, Write};

use super::{stack, unique};
use crate::{Aws, TableStep};

/// Tables of their own for every test.
async fn aws() -> Option<Aws> {
    let mut options = stack()?;
    options.dynamodb.table_prefix = format!("{}.", unique("suite"));
    Some(Aws::new(&options).await)
}

async fn open() -> Option<(Arc<dyn Tables>, Aws)> {
    let aws = aws().await?;
    let plans = aws.table_admin(&suite_tables::ALL).apply().await.expect("tables");
    assert!(plans.iter().all(crate::TablePlan::is_settled), "{plans:?}");
    Some((Arc::new(aws.tables()) as Arc<dyn Tables>, aws))
}

async fn open_together() -> Option<(Arc<dyn Tables>, Aws)> {
    let (tables, aws) = open().await?;
    Some((Arc::new(crate::Together::new(tables)) as Arc<dyn Tables>, aws))
}

mod suite {
    ports::tables_suite!(super::open);
}

mod together {
    ports::tables_suite!(super::open_together);
}

static ONE_INDEX: Table = Table {
    name: "grown",
    sorted: true,
    indexes: &[Index { name: "pending", pk: "shard", sk: Some("since") }],
};
static TWO_INDEXES: Table = Table {
    name: "grown",
    sorted: true,
    indexes: &[
        Index { name: "pending", pk: "shard", sk: Some("since") },
        Index { name: "by_event", pk: "event", sk: None },
    ],
};
static OTHER_KEY: Table = Table { name: "grown", sorted: false, indexes: &[] };

#[tokio::test]
async fn tables_are_planned_made_and_grown_but_never_remade() {
    let Some(aws) = aws().await else { return };
    let plan = aws.table_admin(&[&ONE_INDEX]).plan().await.expect("a plan");
    assert_eq!(plan[0].steps, [TableStep::Create, TableStep::EnableRecovery]);
    let missing = aws.tables().get(&ONE_INDEX, &[Key::sorted("a", "b")]).await;
    let name = plan[0].table.clone();
    assert_eq!(missing, Err(Error::Invalid(format!("there is no table {name}"))));
    let transact = Write::put(&ONE_INDEX, Key::sorted("a", "b"), Item::new(), Condition::Always);
    assert!(matches!(aws.tables().transact("t", vec![transact]).await, Err(Error::Invalid(_))));

    for _ in 0..2 {
        let left = aws.table_admin(&[&ONE_INDEX]).apply().await.expect("a table");
        assert!(left[0].is_settled(), "{left:?}");
    }
    let absent = aws.tables().query(Query::over(&TWO_INDEXES, "by_event", "x")).await;
    assert!(matches!(absent, Err(Error::Invalid(_))), "{absent:?}");
    let grown = aws.table_admin(&[&TWO_INDEXES]);
    assert_eq!(grown.plan().await.expect("a plan")[0].steps, [TableStep::CreateIndex("by_event")]);
    assert!(grown.apply().await.expect("an index")[0].is_settled());
    assert!(aws.tables().query(Query::over(&TWO_INDEXES, "by_event", "x")).await.is_ok());

    let other = aws.table_admin(&[&OTHER_KEY]).apply().await.expect("a plan");
    assert_eq!(other[0].steps, []);
    assert_eq!(other[0].drift.len(), 3, "{other:?}");
    assert!(grown.plan().await.expect("a plan")[0].is_settled(), "nothing was changed");
}

#[tokio::test]
async fn prefixes_keep_installations_apart() {
    let (Some(one), Some(other)) = (aws().await, aws().await) else { return };
    let table = suite_tables::ALL[0];
    for aws in [&one, &other] {
        aws.table_admin(&[table]).apply().await.expect("a table");
    }
    let write = Write::put(table, Key::of("a"), Item::new(), Condition::Absent);
    one.tables().write(write.clone()).await.expect("a put");
    assert_eq!(other.tables().get(table, &[Key::of("a")]).await, Ok(vec![None]));
    other.tables().write(write).await.expect("a put");
}
