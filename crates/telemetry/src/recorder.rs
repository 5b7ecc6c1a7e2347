//! The process's metrics, and their text on `/metrics`.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metric::{
    ALL, BATCH_BUCKETS, Kind, LATENCY_BUCKETS_MS, PIPELINE_BATCH_RECORDS, PIPELINE_LATENCY_MS,
};

static INSTALLED: OnceLock<Result<Metrics, String>> = OnceLock::new();

/// Reads the process's metrics. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics(PrometheusHandle);

/// The recorder could not be installed: another one is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot install the metrics recorder: {0}")]
pub struct InstallError(String);

/// Installs the process's recorder at the first call; every call returns the same one.
pub fn install_metrics() -> Result<Metrics, InstallError> {
    INSTALLED.get_or_init(|| install().map_err(|error| error.to_string())).clone().map_err(InstallError)
}

fn install() -> Result<Metrics, BuildError> {
    let latency = Matcher::Full(PIPELINE_LATENCY_MS.to_owned());
    let batches = Matcher::Full(PIPELINE_BATCH_RECORDS.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(latency, &LATENCY_BUCKETS_MS)?
        .set_buckets_for_metric(batches, &BATCH_BUCKETS)?;
    let handle = builder.install_recorder()?;
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
    Ok(Metrics(handle))
}

impl Metrics {
    /// Prometheus's text exposition format, version 0.0.4.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves samples into their buckets. Samples pile up in memory until this or [`Metrics::render`]
    /// runs: call it every few seconds, for nobody may be scraping.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{label, metric, vendor_label};

    #[test]
    fn shows_counters_gauges_and_fixed_buckets_under_prometheus_names() {
        let metrics = install_metrics().expect("the first recorder of this process");
        metrics::counter!(metric::INGEST_ACCEPTED, label::VENDOR_ID => vendor_label(true, "acme"))
            .increment(2);
        for id in ["mallory1", "mallory2"] {
            let vendor = vendor_label(false, id);
            metrics::counter!(metric::INGEST_ACCEPTED, label::VENDOR_ID => vendor).increment(1);
        }
        metrics::gauge!(metric::OUTBOX_COPY_LAG).set(3.0);
        metrics::histogram!(metric::PIPELINE_LATENCY_MS, label::STAGE => "dedup").record(7.0);
        install_metrics().expect("the same recorder").upkeep();
        let text = metrics.render();
        for line in [
            "# TYPE dvss_ingest_accepted counter",
            "dvss_ingest_accepted{vendorId=\"acme\"} 2",
            "dvss_ingest_accepted{vendorId=\"unknown\"} 2",
            "dvss_outbox_copy_lag 3",
            "dvss_pipeline_latency_ms_bucket{stage=\"dedup\",le=\"5\"} 0",
            "dvss_pipeline_latency_ms_bucket{stage=\"dedup\",le=\"10\"} 1",
            "dvss_pipeline_latency_ms_bucket{stage=\"dedup\",le=\"300000\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("mallory"), "{text}");
    }
}
