//! Clients that are slow, silent, many, or gone; and how the door closes.

use std::sync::Arc;
use std::time::Duration;

use gateway::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::faults::until;
use crate::support::{Fault, Running, envelope, read_to_end};

const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_secs(3_600);

fn head(gateway: &Running, length: usize, more: &str) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n",
        gateway.key
    )
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let gateway =
        Running::with(Options { header_timeout: SHORT, idle_timeout: NEVER, ..Options::default() }).await;
    assert_eq!(
        gateway.raw(b"POST /v1/events HTTP/1.1\r\nhost: x\r\nx-slow:").await,
        "",
        "closed without an answer"
    );

    let gateway =
        Running::with(Options { header_timeout: NEVER, idle_timeout: SHORT, ..Options::default() }).await;
    let mut silent = TcpStream::connect(gateway.address).await.expect("connected");
    assert_eq!(read_to_end(&mut silent).await, "");
    let body = envelope("e1", "{}");
    let answer = gateway.raw(format!("{}{body}", head(&gateway, body.len(), "")).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "answered, kept alive, then closed: {answer}");
}

#[tokio::test]
async fn a_slow_body_times_out() {
    let gateway = Running::with(Options { body_timeout: SHORT, ..Options::default() }).await;
    let answer = gateway.raw(format!("{}{{\"a", head(&gateway, 100, "")).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request-timeout"), "{answer}");
    assert_eq!(gateway.kept().await, (0, 0));
}

#[tokio::test]
async fn a_half_sent_body() {
    let gateway = Running::start().await;
    let body = envelope("e1", "{}");
    let half = format!("{}{}", head(&gateway, body.len(), ""), &body[..20]);
    // Gone altogether.
    let mut gone = TcpStream::connect(gateway.address).await.expect("connected");
    gone.write_all(half.as_bytes()).await.expect("sent");
    drop(gone);
    // Done sending, still listening.
    let mut listening = TcpStream::connect(gateway.address).await.expect("connected");
    listening.write_all(half.as_bytes()).await.expect("sent");
    listening.shutdown().await.expect("half closed");
    let answer = read_to_end(&mut listening).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("body-incomplete"), "{answer}");
    let chunked = head(&gateway, 0, "").replace("content-length: 0", "transfer-encoding: chunked");
    let answer = gateway.raw(format!("{chunked}zz\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(gateway.kept().await, (0, 0));
    assert_eq!(gateway.post(body).await.status, 202, "the others go on");
}

#[tokio::test]
async fn heads_are_bounded() {
    let gateway = Running::start().await;
    let long = head(&gateway, 0, &format!("x-long: {}\r\n", "x".repeat(20_000)));
    assert!(gateway.raw(long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
    let many: String = (0..500).map(|index| format!("x-{index}: 1\r\n")).collect();
    assert!(gateway.raw(head(&gateway, 0, &many).as_bytes()).await.starts_with("HTTP/1.1 431 "));
    for nonsense in ["GET\r\n\r\n", "\u{1}\u{2}\u{3}\r\n\r\n", "POST /v1/events HTTP/9.9\r\n\r\n"] {
        let answer = gateway.raw(nonsense.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{nonsense:?}: {answer}");
    }
}

#[tokio::test]
async fn refused_before_it_is_sent() {
    let gateway = Running::start().await;
    let expecting = |length: usize| head(&gateway, length, "expect: 100-continue\r\nconnection: close\r\n");
    let answer = gateway.raw(expecting(10_000_000).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "no 100 for what is refused: {answer}");
    let answer = gateway.raw(expecting(10).replace("Bearer", "Basic").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[tokio::test]
async fn idle_connections_make_room() {
    let options =
        Options { max_connections: 8, idle_timeout: NEVER, header_timeout: NEVER, ..Options::default() };
    let gateway = Running::with(options).await;
    let mut idle = Vec::new();
    for index in 0..200 {
        let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
        if index % 2 == 0 {
            stream.write_all(b"POST /v1/eve").await.expect("sent");
        }
        idle.push(stream);
        if index % 20 == 0 {
            assert_eq!(
                gateway.post(envelope(&format!("e{index}"), "{}")).await.status,
                202,
                "others are served"
            );
        }
    }
    let mut first = idle.swap_remove(0);
    assert_eq!(read_to_end(&mut first).await, "", "the one that idled longest went");
}

#[tokio::test]
async fn what_a_vendor_leaves_behind_is_finished() {
    let gateway = Running::start().await;
    let release = Arc::new(Notify::new());
    gateway.log.appends.lock().push_back(Fault::Wait(Arc::clone(&release)));
    let body = envelope("e1", "{}");
    let mut stream = TcpStream::connect(gateway.address).await.expect("connected");
    stream.write_all(format!("{}{body}", head(&gateway, body.len(), "")).as_bytes()).await.expect("sent");
    until(|| gateway.log.appends.lock().is_empty()).await;
    drop(stream);
    release.notify_one();
    let (log, objects) = (gateway.ports.log.clone(), gateway.objects().await.len());
    gateway.stop().await;
    let ends = log.ends("dvss.raw").await.expect("ends");
    let records: i64 = ends.iter().map(|ends| ends.uncommitted - ends.start).sum();
    assert_eq!((objects, records), (1, 1), "stored and produced, though nobody waited");
}

#[tokio::test]
async fn a_drain_finishes_what_it_has() {
    let gateway = Running::start().await;
    let release = Arc::new(Notify::new());
    gateway.log.appends.lock().push_back(Fault::Wait(Arc::clone(&release)));
    let request = gateway.request("/v1/events", &gateway.key).header("content-type", "application/json");
    let pending = tokio::spawn(request.body(envelope("e1", "{}")).send());
    until(|| gateway.log.appends.lock().is_empty()).await;
    let mut idle = TcpStream::connect(gateway.address).await.expect("connected");
    gateway.stop.cancel();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(30), idle.read(&mut byte)).await.expect("closed");
    assert!(matches!(read, Ok(0) | Err(_)), "idle connections end at once");
    assert!(!gateway.served.is_finished(), "but a request is at hand");
    assert!(TcpStream::connect(gateway.address).await.is_err(), "nobody new is let in");
    release.notify_one();
    let answer = pending.await.expect("no panic").expect("an answer");
    assert_eq!(answer.status().as_u16(), 202);
    tokio::time::timeout(Duration::from_secs(30), gateway.served)
        .await
        .expect("ends")
        .expect("no panic")
        .expect("served");
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let options = Options { drain_timeout: SHORT, append_timeout: NEVER, ..Options::default() };
    let gateway = Running::with(options).await;
    gateway.log.appends.lock().push_back(Fault::Hang);
    let request = gateway.request("/v1/events", &gateway.key).header("content-type", "application/json");
    let pending = tokio::spawn(request.body(envelope("e1", "{}")).send());
    until(|| gateway.log.appends.lock().is_empty()).await;
    tokio::time::timeout(Duration::from_secs(30), gateway.stop()).await.expect("ends");
    assert!(pending.await.expect("no panic").is_err(), "no answer, so no promise");
}

/// RFC 9112, section 3.2.
#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = Running::start().await;
    let body = envelope("e1", "{}");
    let good = head(&gateway, body.len(), "connection: close\r\n");
    let send = async |head: String| gateway.raw(format!("{head}{body}").as_bytes()).await;
    for bad in [good.replace("host: x\r\n", ""), good.replace("host: x", "host: x\r\nhost: y")] {
        let answer = send(bad).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("request-invalid"),
            "{answer}"
        );
    }
    assert_eq!(gateway.kept().await, (0, 0));
    assert!(send(good).await.starts_with("HTTP/1.1 202 "));
    let old = head(&gateway, body.len(), "").replace("HTTP/1.1\r\nhost: x", "HTTP/1.0");
    assert!(send(old).await.contains("DUPLICATE"), "HTTP/1.0 knows no Host");
}
