//! How commands end, and what the process is told: exit codes, stdout and stderr, layers of configuration.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{NOON, Place, run, stock};

#[tokio::test]
async fn how_commands_end() {
    // Nobody listens there: the port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = format!("http://{port}");
    for command in [&["reconcile", "--json"][..], &["vendors", "list"], &["tail", "dvss.raw", "--until-end"]]
    {
        let ran = run(&[&["--server", server.as_str()], command].concat()).await;
        assert!(
            ran.code == 4 && ran.stdout.is_empty() && ran.stderr.contains(&server),
            "{command:?}: {ran:?}"
        );
    }
    for command in [
        &["no-such-command"][..],
        &["explain"],
        &["up", "--no-such-flag"],
        &["offsets", "reset", "--data", "x"],
    ] {
        let ran = run(command).await;
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{command:?}: {ran:?}");
    }
    let help = run(&["--help"]).await;
    assert!(help.code == 0 && help.stdout.contains("reconcile"), "{help:?}");

    let place = Place::embedded();
    let config = place.file("dvss.yaml", "gateway:\n  maxBodyByte: 1\n");
    let ran = run(&[
        "up",
        "--config",
        &config.display().to_string(),
        "--data",
        &place.data().display().to_string(),
    ])
    .await;
    assert!(
        ran.code == 1 && ran.stderr.contains("maxBodyByte"),
        "an unknown key is refused and named: {ran:?}"
    );

    // One process a directory; and a stopped store is needed to move offsets.
    let mut dvss = place.up().go().await;
    let data = place.data().display().to_string();
    let second =
        run(&["up", "--data", &data, "--listen", "127.0.0.1:0", "--operator-listen", "127.0.0.1:0"]).await;
    assert!(second.code == 1 && second.stderr.contains("data-directory-locked"), "{second:?}");
    let reset =
        run(&["offsets", "reset", "--data", &data, "--group", "dvss.normalize", "--to-earliest"]).await;
    assert!(reset.code == 1 && reset.stderr.contains("data-directory-locked"), "{reset:?}");
    assert!(dvss.runs(), "and the first one never noticed");
    dvss.stop().await;
    let unknown =
        run(&["offsets", "reset", "--data", &data, "--group", "dvss.nothing", "--to-earliest"]).await;
    assert!(unknown.code == 1 && unknown.stderr.contains("dvss.normalize"), "{unknown:?}");
    let shown =
        run(&["offsets", "show", "--data", &data, "--group", "dvss.normalize", "--json"]).await.json();
    assert_eq!(shown.as_array().map(Vec::len), Some(12), "{shown}");
}

#[tokio::test]
async fn what_is_mistyped_is_said() {
    for (command, named) in [
        (&["explain", ""][..], "<INGEST_ID>"),
        (&["vendors", "add", ""], "<ID>"),
        (&["quarantine", "discard", "dvss.dedup", "x", "--reason", ""], "--reason"),
        (&["divergences", "resolve", "x"], "--reason"),
        (&["--server", "", "status"], "http://127.0.0.1:8081"),
        (&["--server", "https://localhost:8081", "status"], "not https"),
    ] {
        let ran = run(command).await;
        assert!(ran.code == 2 && ran.stdout.is_empty() && ran.stderr.contains(named), "{command:?}: {ran:?}");
    }
    // Somebody answers who is not dvss: with a page, be it an error or not.
    for status in ["502 Bad Gateway", "200 OK"] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let page = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1_024];
            assert!(stream.read(&mut request).await.expect("a request") > 0);
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
            stream.write_all(answer.as_bytes()).await.expect("sent");
        });
        let ran = run(&["--server", &address, "vendors", "list"]).await;
        page.await.expect("it was asked");
        let said = ran.stderr.contains(status) && ran.stderr.contains("not as dvss does");
        assert!(ran.code == 4 && ran.stdout.is_empty() && said, "{ran:?}");
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let dvss = place.up().go().await;
    let acme = dvss.vendor("acme").await;
    dvss.send(&acme, &stock("e1", NOON, "A", "1")).await.expect(202);
    let server = dvss.operators.strip_prefix("http://").expect("an address").to_owned();
    for command in [&["tail", "dvss.raw", "--from-start"][..], &["vendors", "list"], &["reconcile", "--json"]]
    {
        let mut child = crate::support::dvss()
            .args([&["--server", server.as_str()], command].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let ended = tokio::time::timeout(crate::support::PATIENCE, child.wait_with_output()).await;
        let output = ended.expect("it ends, though a tail would follow").expect("an output");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(0) && stderr.is_empty(),
            "{command:?}: {:?} {stderr}",
            output.status
        );
    }
    dvss.stop().await;
}

#[tokio::test]
async fn configuration_lies_in_layers() {
    let place = Place::embedded();
    let config = place.file("dvss.yaml", "gateway:\n  maxBodyBytes: 2000\n  maxBatchItems: 2\n");
    let dvss = place
        .up()
        .env("DVSS_CONFIG", &config.display().to_string())
        .env("DVSS_GATEWAY__MAX_BODY_BYTES", "1000")
        .go()
        .await;
    let acme = dvss.vendor("acme").await;
    let padded = |bytes: usize| {
        let mut event = stock("e1", NOON, "A", "1");
        event["padding"] = Value::String(String::new());
        let empty = event.to_string().len();
        event["padding"] = Value::String("x".repeat(bytes - empty));
        event
    };
    dvss.send(&acme, &padded(1_000)).await.expect(202);
    dvss.send(&acme, &padded(1_001)).await.refused(413, "body-too-large");
    dvss.post(&acme, "/v1/events:batch", "application/json", "[1,2,3]").await.refused(413, "batch-too-large");
    dvss.stop().await;
}
