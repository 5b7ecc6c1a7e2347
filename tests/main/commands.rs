//! How commands end, and what the process is told: exit codes, stdout and stderr, layers of configuration.

use serde_json::Value;

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

    let place = Place::new();
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
async fn configuration_lies_in_layers() {
    let place = Place::new();
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
