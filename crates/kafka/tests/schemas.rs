//! The contract of schemas, on a real registry.

mod stack;

use std::sync::Arc;
use std::time::Duration;

use kafka::{Registry, RegistryOptions};
use ports::Schemas;
use ports::schemas::Error;
use ports::suite::schemas::KNOWN;

fn registry(url: String) -> Registry {
    Registry::open(&RegistryOptions { url, ..RegistryOptions::default() }).expect("a client")
}

async fn open() -> Option<(Arc<dyn Schemas>, ())> {
    let registry = registry(stack::server("registry")?);
    for (subject, text) in KNOWN {
        registry.register(subject, text).await.expect("it is registered");
    }
    Some((Arc::new(registry), ()))
}

ports::schemas_suite!(open);

#[tokio::test]
async fn registering_again_changes_nothing_and_a_lookup_registers_nothing() {
    let Some(url) = stack::server("registry") else { return };
    let (registry, subject) = (registry(url), format!("{}value", stack::unique()));
    let text = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#;
    for _ in 0..2 {
        assert!(matches!(registry.id(&subject, text).await, Err(Error::Unknown(_))));
    }
    let id = registry.register(&subject, text).await.expect("it is registered");
    assert_eq!(registry.register(&subject, text).await, Ok(id));
    assert_eq!(registry.id(&subject, text).await, Ok(id), "what was not there is asked for again");
    assert_eq!(registry.pin(&[(subject.clone(), text)]).await, Ok(()));
}

/// A proxy that forwards to the registry until it is shut.
async fn door(to: String) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let forward = async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a client");
            let mut server = tokio::net::TcpStream::connect(&to).await.expect("the registry");
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    };
    (address.to_string(), tokio::spawn(forward))
}

#[tokio::test]
async fn known_ids_go_on_while_the_registry_is_away() {
    let Some(url) = stack::server("registry") else { return };
    let host = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
    let (address, task) = door(host.clone()).await;
    let away = registry(url.replace(&host, &address));
    let subject = format!("{}value", stack::unique());
    let text = r#"{"type":"record","name":"A","fields":[]}"#;
    let id = registry(url).register(&subject, text).await.expect("it is registered");
    away.pin(&[(subject.clone(), text)]).await.expect("it is there");
    assert_eq!(away.schema(id).await.as_deref(), Ok(text));
    task.abort();
    assert!(task.await.expect_err("it was shut").is_cancelled());
    assert_eq!(away.id(&subject, text).await, Ok(id));
    assert_eq!(away.schema(id).await.as_deref(), Ok(text));
    let unknown = tokio::time::timeout(Duration::from_secs(60), away.id("other-value", text)).await;
    assert!(matches!(unknown, Ok(Err(Error::Unavailable(_)))), "{unknown:?}");
}

#[tokio::test]
async fn compatibility_is_the_subjects_rule() {
    let Some(url) = stack::server("registry") else { return };
    let subject = format!("{}value", stack::unique());
    let registry = registry(url.clone());
    let one = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]}"#;
    let good = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":0}]}"#;
    let bad = r#"{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}"#;
    assert_eq!(registry.compatible(&subject, one).await, Ok(true), "a new subject takes any");
    registry.register(&subject, one).await.expect("it is registered");
    let rule = reqwest::Client::new()
        .put(format!("{url}/config/{subject}"))
        .json(&serde_json::json!({"compatibility": "BACKWARD"}))
        .send()
        .await
        .expect("the registry answers");
    assert!(rule.status().is_success(), "{rule:?}");
    assert_eq!(registry.compatible(&subject, good).await, Ok(true));
    assert_eq!(registry.compatible(&subject, bad).await, Ok(false));
}
