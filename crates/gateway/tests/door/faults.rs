//! Stores and a log that fail: 503 or 507, and the retry is safe.

use std::sync::Arc;
use std::time::Duration;

use contract::IngestId;
use gateway::Options;
use ports::blobs::Error as BlobError;
use ports::log::Error as LogError;
use tokio::sync::Notify;

use crate::support::{Fault, Running, envelope};

/// Status and word of an answer.
type Expected = (u16, &'static str);

fn quick() -> Options {
    Options {
        store_timeout: Duration::from_millis(200),
        append_timeout: Duration::from_millis(200),
        batch_timeout: Duration::from_millis(500),
        retry_after: Duration::from_secs(7),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_put_that_fails() {
    let gateway = Running::with(quick()).await;
    let down = || BlobError::Unavailable("slow down".to_owned());
    // The faults, the answer, and what a retry is answered.
    let cases: Vec<(&str, Vec<Fault<BlobError>>, Expected, Expected)> = vec![
        ("before", vec![Fault::Before(down())], (503, "unavailable"), (202, "ACCEPTED")),
        ("after", vec![Fault::After(down())], (503, "unavailable"), (200, "DUPLICATE")),
        ("hang", vec![Fault::Hang], (503, "unavailable"), (202, "ACCEPTED")),
        ("full", vec![Fault::Before(BlobError::Full)], (507, "storage-full"), (202, "ACCEPTED")),
        (
            "409 twice",
            vec![Fault::Before(BlobError::Conflict), Fault::Before(BlobError::Conflict)],
            (202, "ACCEPTED"),
            (200, "DUPLICATE"),
        ),
        (
            "409 for long",
            (0..4).map(|_| Fault::Before(BlobError::Conflict)).collect(),
            (503, "unavailable"),
            (202, "ACCEPTED"),
        ),
        (
            "refused",
            vec![Fault::Before(BlobError::Invalid("x".to_owned()))],
            (503, "unavailable"),
            (202, "ACCEPTED"),
        ),
    ];
    for (name, faults, first, second) in cases {
        gateway.blobs.puts.lock().extend(faults);
        let answer = gateway.post(envelope(name, "{}")).await;
        assert_eq!((answer.status, answer.word()), first, "{name}");
        assert!(gateway.blobs.puts.lock().is_empty(), "{name}: the fault happened");
        let id = answer.text("ingestId").to_owned();
        assert!(IngestId::parse(&id).is_ok());
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), "7", "{name}");
        }
        let retry = gateway.post(envelope(name, "{}")).await;
        assert_eq!((retry.status, retry.word()), second, "{name}");
        assert_eq!(retry.text("ingestId"), id, "{name}");
        let records = gateway.records().await;
        assert!(records.iter().any(|record| record.header("dvss-ingest-id") == Some(&id)), "{name}");
    }
}

#[tokio::test]
async fn a_report_that_does_not_come() {
    let gateway = Running::with(quick()).await;
    let down = || LogError::Unavailable("no broker".to_owned());
    let cases: Vec<(&str, Fault<LogError>, (u16, &str))> = vec![
        ("before", Fault::Before(down()), (503, "unavailable")),
        ("after", Fault::After(down()), (503, "unavailable")),
        ("hang", Fault::Hang, (503, "unavailable")),
        ("missing", Fault::Before(LogError::Missing("dvss.raw".to_owned())), (503, "unavailable")),
        ("full", Fault::Before(LogError::Full), (507, "storage-full")),
        ("too large", Fault::Before(LogError::TooLarge { size: 2, most: 1 }), (413, "body-too-large")),
    ];
    for (name, fault, expected) in cases {
        gateway.log.appends.lock().push_back(fault);
        let answer = gateway.post(envelope(name, "{}")).await;
        assert_eq!((answer.status, answer.word()), expected, "{name}");
        assert!(gateway.log.appends.lock().is_empty(), "{name}: the fault happened");
        let retry = gateway.post(envelope(name, "{}")).await;
        assert_eq!((retry.status, retry.word()), (200, "DUPLICATE"), "{name}: the object is there");
        let id = retry.text("ingestId");
        let records = gateway.records().await;
        assert!(
            records.iter().any(|record| record.header("dvss-ingest-id") == Some(id)),
            "{name}: produced at last"
        );
    }
}

#[tokio::test]
async fn a_damaged_object_is_not_passed_on() {
    let gateway = Running::with(quick()).await;
    gateway.post(envelope("e1", "{}")).await;
    for error in [BlobError::Corrupt, BlobError::NotFound, BlobError::Unavailable("x".to_owned())] {
        gateway.blobs.gets.lock().push_back(Fault::Before(error));
        let answer = gateway.post(envelope("e1", "{}")).await;
        assert_eq!((answer.status, answer.word()), (503, "unavailable"));
    }
    assert_eq!(gateway.records().await.len(), 1);
}

#[tokio::test]
async fn a_batch_while_the_log_is_down() {
    let gateway = Running::with(quick()).await;
    let items = |range: std::ops::Range<usize>| {
        let items: Vec<_> = range.map(|index| envelope(&format!("e{index}"), "{}")).collect();
        format!("[{},nonsense]", items.join(","))
    };
    let down = || Fault::Before(LogError::Unavailable("no broker".to_owned()));
    gateway.log.appends.lock().extend((0..100).map(|_| down()));
    let answer = gateway.batch("application/json", items(0..100)).await;
    assert_eq!((answer.status, answer.word()), (503, "unavailable"), "nothing was taken");
    let left = gateway.log.appends.lock().drain(..).count();
    assert!(left > 0, "after the first failures no more is asked");

    // One fault and one item at a time: the items before it are taken, those behind it are not tried.
    gateway.log.appends.lock().push_back(Fault::Hang);
    let answer = gateway.batch("application/json", items(100..200)).await;
    assert_eq!(answer.status, 200);
    let results = answer.json["results"].as_array().expect("results");
    assert_eq!(results.len(), 101);
    let count = |word: &str| {
        results.iter().filter(|result| result["status"] == word || result["problem"]["code"] == word).count()
    };
    assert!(count("unavailable") >= 1 && count("ACCEPTED") >= 1, "{results:?}");
    assert_eq!(count("unavailable") + count("ACCEPTED") + count("json-syntax"), 101);
    for result in results.iter().filter(|result| result["problem"]["code"] == "unavailable") {
        assert!(result["problem"]["ingestId"].is_string(), "{result}");
    }
    let retry = gateway.batch("application/json", items(100..200)).await;
    let results = retry.json["results"].as_array().expect("results");
    assert!(results[..100].iter().all(|result| result["status"] != "REJECTED"), "{results:?}");
}

#[tokio::test]
async fn too_much_at_once() {
    let options = Options { max_in_flight: 3, max_in_flight_per_vendor: 2, ..Options::default() };
    let gateway = Arc::new(Running::with(options).await);
    let other = gateway.vendor("globex", Default::default()).await;
    let third = gateway.vendor("initech", Default::default()).await;
    let release = Arc::new(Notify::new());
    gateway.log.appends.lock().extend((0..3).map(|_| Fault::Wait(Arc::clone(&release))));
    let post = |key: String, id: &'static str| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let request = gateway.request("/v1/events", &key).header("content-type", "application/json");
            gateway.send(request.body(envelope(id, "{}"))).await
        })
    };
    let mut waiting = vec![post(gateway.key.clone(), "1"), post(gateway.key.clone(), "2")];
    until(|| gateway.log.appends.lock().len() == 1).await;
    let refused = post(gateway.key.clone(), "3").await.expect("an answer");
    assert_eq!((refused.status, refused.word()), (429, "rate-limited"), "its share is taken");
    waiting.push(post(other, "1"));
    until(|| gateway.log.appends.lock().is_empty()).await;
    let refused = post(third, "1").await.expect("an answer");
    assert_eq!((refused.status, refused.word()), (503, "overloaded"));
    assert_eq!(refused.header("retry-after"), "1");
    for _ in 0..3 {
        release.notify_one();
        tokio::task::yield_now().await;
    }
    release.notify_waiters();
    let mut finished = futures::future::join_all(waiting);
    let answers = loop {
        // A permit is stored for at most one waiter; so it is given until all have gone.
        tokio::select! {
            answers = &mut finished => break answers,
            () = tokio::time::sleep(Duration::from_millis(5)) => release.notify_one(),
        }
    };
    for answer in answers {
        assert_eq!(answer.expect("an answer").status, 202);
    }
    assert_eq!(gateway.post(envelope("4", "{}")).await.status, 202);
}

/// Waits for a condition, within a bound.
pub async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it comes to that");
}
