//! Who may send, and how fast.

use std::time::Duration;

use contract::VendorId;
use contract::event::Event;
use gateway::Options;
use ports::log::Coordinates;
use serde_json::Value;
use stores::ingest;
use stores::vendors::{self, Settings};
use tokio::time::Instant;

use crate::support::{Running, envelope, key, rate};

#[tokio::test]
async fn credentials() {
    let gateway = Running::start().await;
    let other = gateway.vendor("globex", Settings::default()).await;
    let url = format!("http://{}/v1/events", gateway.address);
    let send = |authorization: Vec<String>| {
        let mut request = gateway.client.post(&url).header("content-type", "application/json");
        for value in authorization {
            request = request.header("authorization", value);
        }
        gateway.send(request.body(envelope("e1", "{}")))
    };
    let good = &gateway.key;
    let wrong = key("acme", 99);
    let nobody = key("nobody", 1);
    let mut answers = Vec::new();
    for authorization in [
        vec![],
        vec![String::new()],
        vec!["Bearer".to_owned()],
        vec!["Bearer ".to_owned()],
        vec![format!("Basic {good}")],
        vec![good.clone()],
        vec![format!("Bearer {good}x")],
        vec![format!("Bearer {}", good.to_uppercase())],
        vec![format!("Bearer {}", wrong.reveal())],
        vec![format!("Bearer {}", nobody.reveal())],
        vec![format!("Bearer {good}"), format!("Bearer {good}")],
        vec![format!("Bearer {good}"), format!("Bearer {other}")],
        vec!["Bearer dvss_../../x_00".to_owned()],
    ] {
        let answer = send(authorization.clone()).await;
        assert_eq!((answer.status, answer.word()), (401, "unauthorized"), "{authorization:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answers.push(answer.json.to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "the answer does not tell what was wrong");
    assert_eq!(gateway.kept().await, (0, 0));
    assert_eq!(send(vec![format!("bearer {good}")]).await.status, 202, "the scheme has no case");
}

#[tokio::test]
async fn another_vendors_events_are_not_there() {
    let gateway = Running::start().await;
    let other = gateway.vendor("globex", Settings::default()).await;
    let accepted = gateway.post(envelope("e1", "{}")).await;
    let id = accepted.text("ingestId");
    assert_eq!(gateway.get(id, &gateway.key).await.word(), "ACCEPTED");
    let theirs = gateway.get(id, &other).await;
    assert_eq!((theirs.status, theirs.word()), (404, "not-found"));
    // The same id of two vendors is two events.
    let request = gateway.request("/v1/events", &other).header("content-type", "application/json");
    let same = gateway.send(request.body(envelope("e1", r#"{"other":1}"#))).await;
    assert_eq!(same.status, 202);
    assert_ne!(same.text("ingestId"), id);
}

#[tokio::test]
async fn a_rotation_and_a_disabled_vendor() {
    // An hour: what takes effect does so because refusals are never based on what was remembered.
    let options = Options { vendor_cache: Duration::from_secs(3_600), ..Options::default() };
    let gateway = Running::with(options).await;
    let (tables, now) = (&*gateway.ports.tables, gateway.ports.clock.now());
    let acme = VendorId::parse("acme").expect("id");
    let send = |key: &str, id: &str| {
        let request = gateway.request("/v1/events", key).header("content-type", "application/json");
        gateway.send(request.body(envelope(id, "{}")))
    };
    let old = gateway.key.clone();
    assert_eq!(send(&old, "e1").await.status, 202);
    let new = key("acme", 2);
    assert_eq!(send(new.reveal(), "e2").await.status, 401);
    vendors::rotate(tables, now, "test", &new).await.expect("rotated");
    assert_eq!(send(new.reveal(), "e2").await.status, 202, "a new key works at once");
    assert_eq!(send(&old, "e3").await.status, 202, "and the old one still does");
    assert!(vendors::rotate(tables, now, "test", &key("acme", 3)).await.is_err(), "two are active");

    // A gateway that remembers nothing sees the rest at once.
    let forgetful = Running::with(Options { vendor_cache: Duration::ZERO, ..Options::default() }).await;
    let (tables, now) = (&*forgetful.ports.tables, forgetful.ports.clock.now());
    let send = |key: &str, id: &str| {
        let request = forgetful.request("/v1/events", key).header("content-type", "application/json");
        forgetful.send(request.body(envelope(id, "{}")))
    };
    vendors::rotate(tables, now, "test", &new).await.expect("rotated");
    vendors::revoke(tables, now, "test", &acme, None).await.expect("the older one");
    assert_eq!(send(&old, "e4").await.word(), "unauthorized");
    assert_eq!(send(new.reveal(), "e4").await.status, 202);
    vendors::disable(tables, now, "test", &acme).await.expect("disabled");
    let disabled = send(new.reveal(), "e5").await;
    assert_eq!((disabled.status, disabled.word()), (403, "vendor-disabled"));
    assert_eq!(send(&old, "e5").await.status, 401, "a wrong key does not learn that");
    vendors::enable(tables, now, "test", &acme).await.expect("enabled");
    assert_eq!(send(new.reveal(), "e5").await.status, 202);
}

#[tokio::test]
async fn a_flood_meets_its_limit_and_nobody_elses() {
    let gateway = Running::start().await;
    let slow = Settings { rate: Some(rate(1, 3)), ..Settings::default() };
    let slow = gateway.vendor("slow", slow).await;
    let mut statuses = Vec::new();
    for index in 0..40 {
        let request = gateway.request("/v1/events", &slow).header("content-type", "application/json");
        let answer = gateway.send(request.body(envelope(&format!("e{index}"), "{}"))).await;
        if answer.status == 429 {
            assert_eq!((answer.word(), answer.header("retry-after")), ("rate-limited", "1"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..3], [202; 3], "a burst passes");
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 20, "{statuses:?}");
    assert_eq!(gateway.post(envelope("mine", "{}")).await.status, 202, "others are not concerned");

    let items = (0..5).map(|index| envelope(&format!("b{index}"), "{}")).collect::<Vec<_>>().join(",");
    let batchy = Settings { rate: Some(rate(1, 3)), ..Settings::default() };
    let batchy = gateway.vendor("batchy", batchy).await;
    let request = gateway.request("/v1/events:batch", &batchy).header("content-type", "application/json");
    let answer = gateway.send(request.body(format!("[{items}]"))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (200, "2"), "two events at one a second");
    let results = answer.json["results"].as_array().expect("results").clone();
    assert!(results[..3].iter().all(|result| result["status"] == "ACCEPTED"), "{results:?}");
    assert_eq!(results[4]["problem"]["code"], "rate-limited");
}

/// The whole batch again and again, as often as it takes; time passes only as `Retry-After` says.
async fn until_taken(gateway: &Running, key: &str, items: &[String], dedup: bool) -> usize {
    let mut refused = items.len();
    for attempt in 0.. {
        let request = gateway.request("/v1/events:batch", key).header("content-type", "application/json");
        let answer = gateway.send(request.body(format!("[{}]", items.join(",")))).await;
        let wait: u64 = answer.header("retry-after").parse().unwrap_or_default();
        if answer.status == 200 {
            let results = answer.json["results"].as_array().expect("results");
            let left = results.iter().filter(|result| result["status"] == "REJECTED").count();
            assert!(left < refused, "attempt {attempt} brought nothing: {left} of {refused} are left");
            refused = left;
            for result in results.iter().filter(|result| result["status"] == "REJECTED") {
                assert_eq!(result["problem"]["code"], "rate-limited");
            }
        } else {
            assert_eq!(answer.word(), "rate-limited");
        }
        if refused == 0 {
            assert_eq!(answer.header("retry-after"), "", "nothing is left to send");
            return attempt;
        }
        assert!(wait > 0, "it says when: {answer:?}");
        if dedup {
            claim_all(gateway).await;
        }
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    unreachable!("attempts do not end");
}

/// What dedup does with every record.
async fn claim_all(gateway: &Running) {
    for record in gateway.records().await {
        let event = Event::from_headers(|name| record.header(name)).expect("headers");
        let source = Coordinates { partition: record.partition.clone(), offset: record.offset };
        ingest::claim(&*gateway.ports.tables, &event, &source).await.expect("claimed");
    }
}

/// A batch larger than its vendor's rate gets through when the whole of it is repeated, whether dedup has
/// seen what was taken or not: repeats cost nothing, so every try brings new events.
#[tokio::test]
async fn a_batch_beyond_the_rate_gets_through_by_repeating_it() {
    let gateway = Running::start().await;
    for dedup in [true, false] {
        let name = if dedup { "known" } else { "unknown" };
        let settings = Settings { rate: Some(rate(20, 20)), ..Settings::default() };
        let key = gateway.vendor(name, settings).await;
        let items: Vec<String> = (0..50).map(|index| envelope(&format!("{name}{index}"), "{}")).collect();
        let attempts = until_taken(&gateway, &key, &items, dedup).await;
        assert!(attempts >= 1, "the batch was larger than the burst");
    }
}

/// What brings nothing new is free within a bound: ten times the rate. Beyond it a repeat that the index does
/// not know, which is produced again, costs what a new event costs; one that the index knows is free.
#[tokio::test]
async fn repeats_ahead_of_the_index_are_bounded() {
    const REPEATS: usize = 1_000;
    let gateway = Running::start().await;
    let send = async |key: &str, item: String, times: usize| {
        let request = gateway.request("/v1/events:batch", key).header("content-type", "application/json");
        let answer = gateway.send(request.body(format!("[{}]", vec![item; times].join(",")))).await;
        let results = answer.json["results"].as_array().expect("results").clone();
        let of = |word: &str| {
            let is = |result: &&Value| result["status"] == word || result["problem"]["code"] == word;
            results.iter().filter(is).count()
        };
        (of("DUPLICATE"), of("envelope-field-missing"), of("rate-limited"))
    };
    let vendor = async |name: &str| {
        let settings = Settings { rate: Some(rate(1, 10)), ..Settings::default() };
        gateway.vendor(name, settings).await
    };
    // 100 refunds, 9 events after the request's own, and what time brings: an event and ten refunds a second.
    let most = |began: Instant| 112 + 11 * (usize::try_from(began.elapsed().as_secs()).expect("few") + 1);

    let (known, began) = (vendor("known").await, Instant::now());
    send(&known, envelope("e", "{}"), 1).await;
    claim_all(&gateway).await;
    let produced = gateway.records().await.len();
    assert_eq!(send(&known, envelope("e", "{}"), REPEATS).await, (REPEATS, 0, 0), "{:?}", began.elapsed());
    assert_eq!(gateway.records().await.len(), produced);

    let (unknown, began) = (vendor("unknown").await, Instant::now());
    send(&unknown, envelope("e", "{}"), 1).await;
    let (repeats, _, refused) = send(&unknown, envelope("e", "{}"), REPEATS).await;
    let most_now = most(began);
    assert!((100..=most_now).contains(&repeats), "{repeats}, at most {most_now}");
    assert_eq!(repeats + refused, REPEATS);
    assert_eq!(gateway.records().await.len(), produced + 1 + repeats);

    let (broken, began) = (vendor("broken").await, Instant::now());
    let (_, read, refused) = send(&broken, "{}".to_owned(), REPEATS).await;
    let most_now = most(began);
    assert!((100..=most_now).contains(&read), "{read}, at most {most_now}");
    assert_eq!(read + refused, REPEATS, "the others were not read");
}
