//! Servers that go away and come back.

use serde_json::json;

use crate::outside::publish;
use crate::support::oracle::{FACT_TOPICS, assert_balanced, assert_once, public};
use crate::support::proxy::Proxy;
use crate::support::servers::stack;
use crate::support::{Dvss, Place, eventually, http, seconds_past_noon as at, stock};

/// Waits until it is not ready and says why in these words.
async fn unready(dvss: &Dvss, words: &str) {
    let what = format!("it is not ready and names {words}");
    eventually(&what, async || {
        let answer = dvss.page("/readyz").await;
        (answer.status == 503 && answer.body.to_string().contains(words)).then_some(())
    })
    .await;
}

/// Waits until it is ready.
async fn ready(dvss: &Dvss) {
    eventually("it is ready", async || (dvss.page("/readyz").await.status == 200).then_some(())).await;
}

/// Without the registry nothing starts; what has started goes on with the ids that it knows.
#[tokio::test]
async fn a_registry_that_is_away() {
    let Some(stack) = stack() else { return };
    let url = stack.text("/registry");
    let proxy = Proxy::before(&url).await;
    let away = || async { http().get(format!("{}/subjects", proxy.url(&url))).send().await.is_err() };
    proxy.cut();
    assert!(away().await);
    let place = Place::on(stack.clone());
    let dvss = place.up().env("DVSS_SERVERS__REGISTRY__URL", &proxy.url(&url)).begin().await;
    unready(&dvss, "the schema registry does not answer").await;
    assert_eq!(dvss.page("/startupz").await.status, 503);
    assert_eq!(dvss.page("/livez").await.status, 200, "starting it anew would not help");
    proxy.mend();
    assert!(!away().await);
    ready(&dvss).await;

    proxy.cut();
    assert!(away().await);
    let acme = dvss.vendor("acme").await;
    let sent = dvss.deliver(&acme, &stock("e1", &at(0), "A", "1")).await;
    // Stale and negative: divergences have a schema too.
    dvss.deliver(&acme, &stock("e0", "2024-05-01T11:00:00Z", "A", "-2")).await;
    dvss.published(&sent.id()).await;
    assert_balanced(&dvss.settled().await);
    let before = public(&dvss).await;
    assert_once(&before);
    assert_eq!(dvss.page("/readyz").await.status, 200, "known ids go on");

    // A stranger's record, whose schema nobody has told this process: while the registry is away it is waited
    // for, and when the registry does not have it either, it is shown for what it is.
    let topic = FACT_TOPICS[0];
    let record = json!({"topic": place.name(topic), "key": "acme|w1|A||", "hex": "007fffffff0200"});
    publish(&stack, &place, &[record]).await;
    let asked = dvss.look(&format!("/topics/{topic}/records?cursor=start")).await;
    let refused = asked.refused(503, "unavailable");
    let detail = refused["detail"].as_str().expect("a text");
    assert!(detail.contains(&format!("{topic}/")) && detail.contains("schema registry"), "{detail}");
    proxy.mend();
    let records = dvss.tail(topic).await;
    let said = records.iter().filter_map(|record| record["value"]["undecodable"].as_str());
    let said: Vec<&str> = said.collect();
    assert!(matches!(said[..], [why] if why.contains("id 2147483647")), "{records:?}");
    let of_topic = before.iter().filter(|record| record["topic"] == topic).count();
    assert_eq!(records.len(), of_topic + 1, "the others are still to be seen");
    // The books name it, for nobody knows what it says.
    let books = dvss.look("/reconcile").await;
    assert!(books.refused(422, "record-invalid")["detail"].to_string().contains(topic), "{books:?}");
    dvss.stop().await;
}

/// A role notices that a store went away, says which, refuses meanwhile, and goes on by itself.
#[tokio::test]
async fn a_store_that_goes_away_later() {
    let Some(stack) = stack() else { return };
    let (s3, dynamodb) = (stack.text("/s3/endpoint"), stack.text("/dynamodb"));
    let (objects, tables) = (Proxy::before(&s3).await, Proxy::before(&dynamodb).await);
    let place = Place::on(stack);
    place.prepare().await;
    let gateway = place
        .role(&["gateway"])
        .env("DVSS_SERVERS__AWS__S3__ENDPOINT", &objects.url(&s3))
        .env("DVSS_SERVERS__AWS__DYNAMODB__ENDPOINT", &tables.url(&dynamodb));
    let (operator, mut gateway) = tokio::join!(place.role(&["operator"]).go(), gateway.go());
    let acme = operator.vendor("acme").await;
    gateway.send(&acme, &stock("before", &at(0), "A", "1")).await.expect(202);
    for (proxy, name) in [(&objects, "S3"), (&tables, "DynamoDB")] {
        proxy.cut();
        unready(&gateway, name).await;
        let event = stock(name, &at(1), "A", "2");
        gateway.send(&acme, &event).await.refused(503, "unavailable");
        assert_eq!(gateway.page("/livez").await.status, 200);
        assert_eq!(gateway.page("/startupz").await.status, 200, "it did start");
        proxy.mend();
        ready(&gateway).await;
        gateway.send(&acme, &event).await.expect(202);
    }
    assert!(gateway.runs());
    assert!(gateway.logged().contains("ready again"), "its log says so");
    assert_eq!(operator.page("/readyz").await.status, 200, "it has its own way to the stores");
    gateway.stop().await;
    operator.stop().await;
}
