//! Answers that no local server gives: conflicts, throttling, errors of the service, damage.

use std::collections::VecDeque;
use std::sync::Arc;

use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use contract::Fingerprint;
use parking_lot::Mutex;
use ports::blobs::{self, Metadata};
use ports::tables::{Attr, Condition, Edit, Error, Item, Key, Table, Write};
use ports::{Blobs, Tables};
use serde_json::{Value, json};

use super::nowhere;
use crate::Aws;
use crate::connect::Doubles;

static TABLE: Table = Table { name: "t", sorted: false, indexes: &[] };

/// A server that gives prepared answers in turn and the last one for ever, and keeps what it was asked.
#[derive(Clone)]
struct Server {
    answers: Arc<Mutex<VecDeque<http::Response<String>>>>,
    asked: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

impl Server {
    async fn new(answers: impl IntoIterator<Item = http::Response<String>>) -> (Aws, Self) {
        let server =
            Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Arc::default() };
        let here = server.clone();
        let http = infallible_client_fn(move |request| {
            here.asked
                .lock()
                .push(request.map(|body| Bytes::copy_from_slice(body.bytes().unwrap_or_default())));
            let mut answers = here.answers.lock();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
            answer.expect("an answer").map(SdkBody::from)
        });
        let aws = Aws::with_doubles(&nowhere(), Doubles { http: Some(http), time: None }).await;
        (aws, server)
    }

    fn count(&self) -> usize {
        self.asked.lock().len()
    }

    fn bodies(&self) -> Vec<Value> {
        self.asked
            .lock()
            .iter()
            .map(|request| serde_json::from_slice(request.body()).expect("JSON"))
            .collect()
    }
}

fn answer(status: u16, body: Value) -> http::Response<String> {
    http::Response::builder().status(status).body(body.to_string()).expect("an answer")
}

fn error(status: u16, code: &str) -> http::Response<String> {
    answer(status, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "why"}))
}

fn cancelled(codes: &[&str]) -> http::Response<String> {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code, "Message": "why"})).collect();
    let code = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    answer(400, json!({"__type": code, "Message": "cancelled", "CancellationReasons": reasons}))
}

fn s3_error(status: u16, code: &str) -> http::Response<String> {
    let body = format!("<Error><Code>{code}</Code><Message>why</Message></Error>");
    http::Response::builder().status(status).body(body).expect("an answer")
}

fn add() -> Write {
    Write::edit(&TABLE, Key::of("a"), vec![Edit::Add("n", 1)], Condition::Always)
}

fn writes() -> Vec<Write> {
    vec![add(), Write::put(&TABLE, Key::of("b"), Item::new(), Condition::Absent)]
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_tried_again_with_the_same_token_and_bytes() {
    let failures = [
        cancelled(&["TransactionConflict", "None"]),
        cancelled(&["None", "ThrottlingError"]),
        cancelled(&["ConditionalCheckFailed", "TransactionConflict"]),
        error(400, "TransactionInProgressException"),
        error(400, "ProvisionedThroughputExceededException"),
        error(500, "InternalServerError"),
    ];
    let count = failures.len() + 1;
    let (aws, server) = Server::new(failures.into_iter().chain([answer(200, json!({}))])).await;
    assert_eq!(aws.tables().transact("token", writes()).await, Ok(()));
    let bodies = server.bodies();
    assert_eq!(bodies.len(), count);
    assert_eq!(bodies[0]["ClientRequestToken"], "token");
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_calls_time_and_say_why() {
    for (answer, expected) in [
        (cancelled(&["TransactionConflict", "None"]), Error::Conflict),
        (error(400, "TransactionInProgressException"), Error::Conflict),
        (error(400, "ThrottlingException"), Error::Unavailable("ThrottlingException: why".to_owned())),
    ] {
        let (aws, server) = Server::new([answer]).await;
        let began = tokio::time::Instant::now();
        assert_eq!(aws.tables().transact("token", writes()).await, Err(expected));
        assert!(began.elapsed() <= nowhere().call_timeout, "{:?}", began.elapsed());
        assert!(server.count() > 3, "{} attempts", server.count());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_help_is_asked_once() {
    for (answer, expected) in [
        (cancelled(&["None", "ValidationError"]), Error::Invalid("ValidationError at t: why".to_owned())),
        (error(400, "IdempotentParameterMismatchException"), {
            Error::Invalid("IdempotentParameterMismatchException: why".to_owned())
        }),
        (cancelled(&["None", "ConditionalCheckFailed"]), Error::Condition(vec![None, Some(Item::new())])),
    ] {
        let (aws, server) = Server::new([answer]).await;
        assert_eq!(aws.tables().transact("token", writes()).await, Err(expected));
        assert_eq!(server.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_may_have_happened_is_not_repeated() {
    let (aws, server) = Server::new([error(500, "InternalServerError"), answer(200, json!({}))]).await;
    let expected = Error::Unavailable("InternalServerError: why".to_owned());
    assert_eq!(aws.tables().write(add()).await, Err(expected));
    assert_eq!(server.count(), 1);
    for known in ["ThrottlingException", "TransactionConflictException"] {
        let (aws, server) = Server::new([error(400, known), answer(200, json!({}))]).await;
        assert_eq!(aws.tables().write(add()).await, Ok(()), "{known}");
        assert_eq!(server.count(), 2, "{known}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_denied_after_two_attempts() {
    for code in ["UnrecognizedClientException", "AccessDeniedException", "InvalidSignatureException"] {
        let (aws, server) = Server::new([error(400, code)]).await;
        let expected = Error::Denied(format!("{code}: why"));
        assert_eq!(aws.tables().write(add()).await, Err(expected.clone()));
        assert_eq!(server.count(), 2, "once more, for the sake of the clock");
        assert_eq!(aws.table_admin(&[&TABLE]).plan().await, Err(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_left_over_are_asked_for_again() {
    let row = |pk: &str| json!({"pk": {"S": pk}, "n": {"N": "1"}});
    let left = |pks: &[&str]| {
        let keys: Vec<Value> = pks.iter().map(|pk| json!({"pk": {"S": pk}})).collect();
        json!({"t": {"Keys": keys, "ConsistentRead": true}})
    };
    let (aws, server) = Server::new([
        answer(200, json!({"Responses": {"t": [row("b")]}, "UnprocessedKeys": left(&["a", "c"])})),
        answer(200, json!({"Responses": {"t": []}, "UnprocessedKeys": left(&["a", "c"])})),
        error(400, "ThrottlingException"),
        answer(200, json!({"Responses": {"t": [row("a")]}, "UnprocessedKeys": {}})),
    ])
    .await;
    let keys = ["c", "b", "a", "b"].map(Key::of);
    let found = Some(Item::from([("n".to_owned(), Attr::N(1))]));
    let rows = aws.tables().get(&TABLE, &keys).await;
    assert_eq!(rows, Ok(vec![None, found.clone(), found.clone(), found]));
    let bodies = server.bodies();
    let counts: Vec<_> =
        bodies.iter().map(|body| body["RequestItems"]["t"]["Keys"].as_array().map(Vec::len)).collect();
    assert_eq!(counts, [Some(3), Some(2), Some(2), Some(2)]);
    assert!(bodies.iter().all(|body| body["RequestItems"]["t"]["ConsistentRead"] == true));

    let (aws, _server) = Server::new([answer(200, json!({"UnprocessedKeys": left(&["a"])}))]).await;
    let starved = aws.tables().get(&TABLE, &keys[2..3]).await;
    assert!(matches!(starved, Err(Error::Unavailable(_))), "{starved:?}");
}

fn object(bytes: &str, sum: Option<&[u8]>) -> http::Response<String> {
    let answer = http::Response::builder().status(200).header("etag", "\"tag\"");
    let sum = sum.map(|bytes| base64::encode(Fingerprint::of_bytes(bytes).as_bytes()));
    let answer = match sum {
        Some(sum) => answer.header("x-amz-checksum-sha256", sum),
        None => answer,
    };
    answer.body(bytes.to_owned()).expect("an answer")
}

#[tokio::test(start_paused = true)]
async fn an_object_without_its_own_sum_is_corrupt() {
    for (bytes, sum, sound) in
        [("abc", Some(&b"abc"[..]), true), ("abd", Some(b"abc"), false), ("abc", None, false)]
    {
        let (aws, server) = Server::new([object(bytes, sum)]).await;
        let got = aws.raw().get("x").await;
        assert_eq!(got.is_ok(), sound, "{got:?}");
        assert!(sound || got == Err(blobs::Error::Corrupt), "{got:?}");
        let asked = server.asked.lock();
        assert_eq!(asked[0].headers()["x-amz-checksum-mode"], "ENABLED");
        assert_eq!(asked.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_is_repeated_only_where_it_did_not_happen() {
    let done = || {
        http::Response::builder()
            .status(200)
            .header("etag", "\"tag\"")
            .body(String::new())
            .expect("an answer")
    };
    let tag = || Ok("\"tag\"".to_owned());
    for (answer, expected, count) in [
        (s3_error(503, "SlowDown"), tag(), 2),
        (s3_error(409, "ConditionalRequestConflict"), tag(), 2),
        (s3_error(403, "RequestTimeTooSkewed"), tag(), 2),
        (s3_error(500, "InternalError"), Err(blobs::Error::Unavailable("InternalError: why".to_owned())), 1),
        (s3_error(412, "PreconditionFailed"), Err(blobs::Error::Precondition), 1),
        (s3_error(507, "InsufficientStorage"), Err(blobs::Error::Full), 1),
        (
            s3_error(404, "NoSuchBucket"),
            Err(blobs::Error::Invalid("there is no bucket dvss-raw".to_owned())),
            1,
        ),
    ] {
        let (aws, server) = Server::new([answer.clone(), done()]).await;
        let put = aws.raw().put("x", Bytes::from("x"), Metadata::new(), blobs::Condition::Absent).await;
        assert_eq!(put, expected, "{answer:?}");
        assert_eq!(server.count(), count, "{answer:?}");
        let asked = server.asked.lock();
        assert_eq!(asked[0].headers()["if-none-match"], "*");
        let sum = base64::encode(Fingerprint::of_bytes(b"x").as_bytes());
        assert_eq!(asked[0].headers()["x-amz-checksum-sha256"], sum.as_str());
    }
    let (aws, _server) = Server::new([s3_error(409, "ConditionalRequestConflict")]).await;
    let put = aws.raw().put("x", Bytes::new(), Metadata::new(), blobs::Condition::Absent).await;
    assert_eq!(put, Err(blobs::Error::Conflict));
}
