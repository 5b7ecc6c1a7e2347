//! Connections that are slow, broken off, malformed or idle.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use crate::still_well;
use crate::support::wire::{Wire, closes_within, connect, read};
use crate::support::{Dvss, NOON, PATIENCE, Place, Vendor, stock};

/// A process whose time-outs are short enough to wait for.
async fn hasty(place: &Place) -> (Dvss, Vendor, Vendor) {
    let dvss = place
        .up()
        .env("DVSS_GATEWAY__HEADER_TIMEOUT", "300ms")
        .env("DVSS_GATEWAY__BODY_TIMEOUT", "400ms")
        .env("DVSS_GATEWAY__IDLE_TIMEOUT", "900ms")
        .env("DVSS_GATEWAY__MAX_CONNECTIONS", "60")
        .go()
        .await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    (dvss, acme, other)
}

#[tokio::test]
async fn half_sent_bodies_and_slow_ones() {
    let place = Place::new();
    let (mut dvss, acme, other) = hasty(&place).await;
    let request = Wire::event(&acme, stock("e1", NOON, "A", "1").to_string()).bytes();

    // Half a body, and then silence: told so, and sent away.
    let mut slow = connect(&dvss).await;
    slow.write_all(&request[..request.len() - 10]).await.expect("sent");
    let reply = read(&mut slow).await;
    reply.refused("half a body", 408, "request-timeout");
    assert!(closes_within(&mut slow, PATIENCE).await, "what comes late is no other request");

    // Half a body, and gone: there is nobody to tell, and nothing was taken.
    let mut gone = connect(&dvss).await;
    gone.write_all(&request[..request.len() - 10]).await.expect("sent");
    gone.shutdown().await.expect("shut");
    let reply = read(&mut gone).await;
    assert!([0, 400].contains(&reply.status), "{reply:?}");

    // A byte at a time.
    let mut drip = connect(&dvss).await;
    let head = request.len() - 20;
    drip.write_all(&request[..head]).await.expect("sent");
    let (mut reading, mut writing) = drip.into_split();
    let rest = request[head..].to_vec();
    let dripping = tokio::spawn(async move {
        for byte in rest {
            tokio::time::sleep(Duration::from_millis(60)).await;
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = String::new();
    let answered =
        tokio::time::timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_string(&mut reading, &mut answer))
            .await;
    assert!(answered.is_ok(), "the connection ends");
    assert!(answer.is_empty() || answer.contains("request-timeout"), "{answer}");
    dripping.abort();

    // The same event, sent well, is new: nothing of the above was taken.
    let sent = dvss.send(&acme, &stock("e1", NOON, "A", "1")).await;
    sent.expect(202);
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn slow_heads_idlers_and_a_crowd() {
    let place = Place::new();
    let (mut dvss, acme, other) = hasty(&place).await;
    let mut slow = connect(&dvss).await;
    slow.write_all(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("sent");
    let mut idle = connect(&dvss).await;
    // Both are sent away in time, the slow head with or without a word.
    let reply = read(&mut slow).await;
    assert!([0, 408].contains(&reply.status), "{reply:?}");
    assert!(closes_within(&mut idle, PATIENCE).await, "who says nothing at all is sent away too");

    // More connections than there are places: the idle ones make room for who has something to say.
    let mut crowd = Vec::new();
    for _ in 0..150 {
        crowd.push(connect(&dvss).await);
    }
    let sent = dvss.deliver(&acme, &stock("through", NOON, "A", "1")).await;
    assert_eq!(sent.status, 202);
    drop(crowd);
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}

#[tokio::test]
async fn malformed_requests() {
    let place = Place::new();
    let mut dvss = place.up().go().await;
    let (acme, other) = (dvss.vendor("acme").await, dvss.vendor("other").await);
    let good = stock("e1", NOON, "A", "1").to_string();
    let event = || Wire::event(&acme, good.clone());
    let mut many = event();
    many.headers.extend((0..5_000).map(|number| format!("X-{number}: y").into_bytes()));
    let mut old = event();
    old.line = "POST /v1/events HTTP/0.9".to_owned();
    let mut method = event();
    method.line = "PO\u{1}ST /v1/events HTTP/1.1".to_owned();
    let mut long = event();
    long.line = format!("POST /v1/events/{} HTTP/1.1", "x".repeat(100_000));
    for (name, bytes) in [
        ("no HTTP at all", b"hello\r\n\r\n".to_vec()),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("an old version", old.bytes()),
        ("a method of control characters", method.bytes()),
        ("a long path", long.bytes()),
        ("a large header", event().with(format!("X-Large: {}", "x".repeat(100_000))).bytes()),
        ("many headers", many.bytes()),
        ("two lengths", event().with("Content-Length: 5").with("Content-Length: 6").bytes()),
        ("a negative length", event().with("Content-Length: -1").bytes()),
        ("a header of raw bytes in its name", event().with(b"X-\xff: 1".to_vec()).bytes()),
        ("a chunk that is no chunk", event().with("Transfer-Encoding: chunked").bytes()),
        ("CRLF in the path", b"GET /v1/events/a\r\nX-Injected: 1\r\n HTTP/1.1\r\n\r\n".to_vec()),
    ] {
        let mut stream = connect(&dvss).await;
        let _broken_pipe = stream.write_all(&bytes).await;
        stream.shutdown().await.ok();
        let reply = read(&mut stream).await;
        assert!(reply.status == 0 || (400..500).contains(&reply.status), "{name}: {reply:?}");
        assert!(!reply.head.contains("x-injected"), "{name}: {reply:?}");
    }
    // Both a length and chunks: whoever is right, no second request is made of the rest (RFC 9112, 6.1).
    let smuggled = format!(
        "0\r\n\r\nGET /v1/events/smuggled HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        acme.key
    );
    let request = Wire::event(&acme, smuggled.clone())
        .with(format!("Content-Length: {}", smuggled.len()))
        .with("Transfer-Encoding: chunked");
    let mut stream = connect(&dvss).await;
    let _broken_pipe = stream.write_all(&request.bytes()).await;
    let reply = read(&mut stream).await;
    assert!((400..500).contains(&reply.status), "{reply:?}");
    assert!(!reply.body.to_string().contains("smuggled"), "{reply:?}");

    // Chunks are fine, and so is a pipeline.
    let body: String = good
        .as_bytes()
        .chunks(7)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    let mut chunked =
        Wire::event(&acme, format!("{body}0\r\n\r\n")).with("Transfer-Encoding: chunked").bytes();
    chunked.extend(Wire::event(&acme, good.clone()).bytes());
    let mut stream = connect(&dvss).await;
    stream.write_all(&chunked).await.expect("sent");
    let first = read(&mut stream).await;
    assert_eq!(first.status, 202, "{first:?}");
    still_well(&mut dvss, &other).await;
    dvss.stop().await;
}
