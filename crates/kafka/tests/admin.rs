//! Topics, their settings and groups' first offsets, on a real broker.

mod stack;

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka::{AdminError, Creation};
use ports::Log;
use ports::log::{Error, Partition, Record};

use stack::Stack;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn record(topic: &str, value: &'static [u8]) -> Record {
    let value = Bytes::from_static(value);
    Record { topic: topic.into(), partition: Some(0), key: None, value, headers: vec![] }
}

#[tokio::test]
async fn a_topic_is_made_seen_changed_grown_and_deleted() {
    let Some(stack) = Stack::open() else { return };
    let (admin, name) = (&stack.admin, stack.name("topic"));
    assert!(admin.topics(&[&name]).await.expect("topics").is_empty());
    let creation = Creation {
        name: name.clone(),
        partitions: 3,
        replicas: 1,
        config: settings(&[("retention.ms", "86400000"), ("cleanup.policy", "compact")]),
    };
    admin.create(&creation).await.expect("it is made");
    let refused = admin.create(&creation).await.expect_err("it is there");
    assert!(matches!(refused, AdminError::Refused { .. }), "{refused}");
    assert!(admin.names().await.expect("names").contains(&name));

    let topic = admin.topics(&[&name]).await.expect("topics").remove(&name).expect("it is there");
    assert_eq!((topic.partitions, topic.replicas), (3, 1));
    let shown = |topic: &kafka::Topic, key: &str| topic.config.get(key).map(|at| (at.value.clone(), at.own));
    assert_eq!(shown(&topic, "retention.ms"), Some(("86400000".to_owned(), true)));
    assert_eq!(shown(&topic, "cleanup.policy"), Some(("compact".to_owned(), true)));
    assert_eq!(shown(&topic, "max.message.bytes").map(|(_, own)| own), Some(false));

    let change = settings(&[("max.message.bytes", "500000")]);
    admin.alter(&name, &change, &["cleanup.policy"]).await.expect("it is changed");
    let topic = admin.topics(&[&name]).await.expect("topics").remove(&name).expect("it is there");
    assert_eq!(shown(&topic, "max.message.bytes"), Some(("500000".to_owned(), true)));
    assert_eq!(shown(&topic, "cleanup.policy"), Some(("delete".to_owned(), false)));
    assert_eq!(shown(&topic, "retention.ms"), Some(("86400000".to_owned(), true)), "others stay");
    for wrong in [settings(&[("retention.ms", "soon")]), settings(&[("no.such.setting", "1")])] {
        let refused = admin.alter(&name, &wrong, &[]).await.expect_err("it makes no sense");
        assert!(matches!(refused, AdminError::Refused { .. }), "{refused}");
    }

    admin.grow(&name, 5).await.expect("it grows");
    assert_eq!(stack.log.partitions(&name).await, Ok(5));
    let refused = admin.grow(&name, 2).await.expect_err("it does not shrink");
    assert!(matches!(refused, AdminError::Refused { .. }), "{refused}");

    admin.delete(&name).await.expect("it is deleted");
    let began = tokio::time::Instant::now();
    while !admin.topics(&[&name]).await.expect("topics").is_empty() {
        assert!(began.elapsed().as_secs() < 30, "it is still there");
    }
    assert!(matches!(stack.log.partitions(&name).await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_group_gets_first_offsets_where_it_has_none() {
    let Some(stack) = Stack::open() else { return };
    let (name, group) = (stack.name("topic"), stack.name("group"));
    stack.topic(&name, 2, &[]).await;
    let partition = |index| Partition::new(name.as_str(), index);
    for value in [b"a", b"b", b"c"] {
        stack.log.append(record(&name, value)).await.expect("it is appended");
    }
    stack.admin.truncate(&partition(0), 2).await.expect("it is cut");
    assert_eq!(stack.log.committed(&group, &name).await, Ok(vec![None, None]));
    let given = stack.admin.first_offsets(&group, &name).await.expect("offsets");
    assert_eq!(given, [partition(0), partition(1)]);
    assert_eq!(stack.log.committed(&group, &name).await, Ok(vec![Some(2), Some(0)]), "the first ones kept");
    stack.log.set_committed(&group, &[(partition(0), 3)]).await.expect("it is set");
    stack.admin.grow(&name, 3).await.expect("it grows");
    let given = stack.admin.first_offsets(&group, &name).await.expect("offsets");
    assert_eq!(given, [partition(2)]);
    assert_eq!(stack.log.committed(&group, &name).await, Ok(vec![Some(3), Some(0), Some(0)]));
}
