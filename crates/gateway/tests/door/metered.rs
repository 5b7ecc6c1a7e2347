//! What is counted, under which labels.

use stores::vendors::Settings;

use crate::support::{Running, envelope};

#[tokio::test]
async fn outcomes_are_counted_by_known_vendors_only() {
    let metrics = telemetry::install_metrics().expect("nobody else installs them");
    let gateway = Running::start().await;
    let metered = gateway.vendor("metered", Settings::default()).await;
    let bodies = [
        envelope("e1", "{}"),
        envelope("e1", "{}"),
        envelope("e1", "[1]"),
        "nonsense".to_owned(),
        "x".repeat(300_000),
    ];
    for body in bodies {
        let request = gateway.request("/v1/events", &metered).header("content-type", "application/json");
        gateway.send(request.body(body)).await;
    }
    let stranger = crate::support::key("stranger-to-metrics", 1);
    gateway.send(gateway.request("/v1/events", stranger.reveal()).body("{}")).await;
    let text = metrics.render();
    for line in [
        r#"dvss_ingest_accepted{vendorId="metered"} 1"#,
        r#"dvss_ingest_duplicate{vendorId="metered"} 1"#,
        r#"dvss_ingest_conflict{vendorId="metered"} 1"#,
        r#"dvss_ingest_failed_validation{vendorId="metered",reason="json-syntax"} 1"#,
        r#"dvss_ingest_failed_validation{vendorId="metered",reason="body-too-large"} 1"#,
        r#"dvss_pipeline_latency_ms_count{stage="gateway"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("stranger-to-metrics"), "{text}");
}
