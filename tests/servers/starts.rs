//! What a process waits for when it starts, and how it says so.

use crate::support::servers::stack;
use crate::support::{Place, Start, eventually, run};

/// A password that no server knows.
pub const SECRET: &str = "not-the-secret";

/// Starts it, waits until it says why it is not ready, and stops it.
pub async fn waits_for(start: Start<'_>, words: &[&str]) {
    let mut dvss = start.begin().await;
    let what = format!("it waits and names {words:?}");
    let said = eventually(&what, async || {
        let answer = dvss.page("/readyz").await;
        let said = answer.body.to_string();
        (answer.status == 503 && words.iter().all(|word| said.contains(word))).then_some(said)
    })
    .await;
    assert!(dvss.runs(), "it waits: {said}");
    assert_eq!(dvss.page("/livez").await.status, 200);
    assert!(dvss.logged().contains(words[0]), "its log says it too: {}", dvss.logged());
    assert!(!dvss.logged().contains("vendors may send"), "it does not begin");
    assert!(!said.contains(SECRET) && !dvss.logged().contains(SECRET), "nobody is shown a secret");
    dvss.stop().await;
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_waited_for_and_named() {
    let Some(stack) = stack() else { return };
    let place = Place::on(stack.clone());
    place.prepare().await;

    // A secret that the server does not know.
    let start = place.up().env("DVSS_SERVERS__AWS__CREDENTIALS__SECRET_KEY", SECRET);
    waits_for(start, &["SignatureDoesNotMatch", "S3"]).await;
    let ran = run(&["tables", "plan", "--config", &place.config()]).await;
    assert_eq!(ran.code, 0, "with the right one everything is there: {ran:?}");

    // Nobody there, and a broker that takes no passwords.
    waits_for(
        place.up().env("DVSS_SERVERS__KAFKA__BROKERS", "127.0.0.1:1"),
        &["Kafka", "Connection refused"],
    )
    .await;
    let sasl = format!("{{mechanism: SCRAM-SHA-512, username: dvss, password: {SECRET}}}");
    waits_for(place.up().env("DVSS_SERVERS__KAFKA__SECURITY__SASL", &sasl), &["Kafka", "SASL SCRAM-SHA-512"])
        .await;

    // Topics that are not there, and stay so.
    let start = place.up().env("DVSS_SERVERS__PREFIX", "nowhere.");
    waits_for(start, &["the topic nowhere.", "topic-missing", "dvss topics apply"]).await;
    let topics = stack.tool("TopicCommand", &["--list"]).await;
    assert!(topics.contains(&place.name("dvss.raw")) && !topics.contains("nowhere."), "{topics}");

    // A topic that somebody gave another partition.
    let topic = place.name("dvss.accepted");
    stack.tool("TopicCommand", &["--alter", "--topic", &topic, "--partitions", "3"]).await;
    waits_for(place.up(), &[&format!("the topic {topic} has 3 partitions"), "topic-drift"]).await;
    let plan = run(&["topics", "plan", "--config", &place.config()]).await;
    assert_eq!(plan.code, 3, "{plan:?}");
    let line = plan.stdout.lines().find(|line| line.contains(&topic)).expect("the topic is named");
    assert!(line.contains("3 partitions instead of 2"), "{line}");
    let applied = run(&["topics", "apply", "--force", "--config", &place.config()]).await;
    assert_eq!(applied.code, 3, "partitions cannot be taken away: {applied:?}");
}
