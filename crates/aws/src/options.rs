//! What an operator may set about S3 and DynamoDB.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the services are reached. Times are written `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Options {
    /// Region of both services. Default `us-east-1`.
    pub region: String,
    /// Fixed credentials. Default: the SDK's chain (environment, profile, web identity, container, instance).
    pub credentials: Option<Credentials>,
    /// Longest time of one call, all its attempts, pauses and the wait for room included; below the runtime's call time-out, so
    /// that the reason is told. Default 1.5 s.
    #[serde(with = "contract::duration")]
    pub call_timeout: Duration,
    /// Longest time until a connection stands. Default 500 ms.
    #[serde(with = "contract::duration")]
    pub connect_timeout: Duration,
    /// The object store.
    pub s3: S3Options,
    /// The table store.
    pub dynamodb: DynamoOptions,
}

/// What concerns S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct S3Options {
    /// Address of a server that speaks S3, addressed in path style. Default: the region's own service.
    pub endpoint: Option<String>,
    /// Bucket of vendors' own bytes. Default `dvss-raw`.
    pub raw_bucket: String,
    /// Bucket of normalized objects. Default `dvss-normalized`.
    pub normalized_bucket: String,
    /// Bucket of suppliers' documents, what was read in them, and plans. Default `dvss-invoices`.
    pub invoices_bucket: String,
}

/// What concerns DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DynamoOptions {
    /// Address of a server that speaks DynamoDB. Default: the region's own service.
    pub endpoint: Option<String>,
    /// Put before every table's name, so that installations can share an account. Default none.
    pub table_prefix: String,
    /// Whether tables are made with point-in-time recovery, where the server has it. Default yes.
    pub point_in_time_recovery: bool,
}

/// Fixed credentials. The secret is neither shown nor written.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    #[serde(skip_serializing)]
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            credentials: None,
            call_timeout: Duration::from_millis(1_500),
            connect_timeout: Duration::from_millis(500),
            s3: S3Options::default(),
            dynamodb: DynamoOptions::default(),
        }
    }
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            raw_bucket: "dvss-raw".to_owned(),
            normalized_bucket: "dvss-normalized".to_owned(),
            invoices_bucket: "dvss-invoices".to_owned(),
        }
    }
}

impl Default for DynamoOptions {
    fn default() -> Self {
        Self { endpoint: None, table_prefix: String::new(), point_in_time_recovery: true }
    }
}

impl Options {
    /// What is wrong with the options, if anything is.
    pub fn mistake(&self) -> Option<String> {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if self.call_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Some("callTimeout and connectTimeout must not be 0".to_owned());
        }
        if self.region.is_empty() {
            return Some("region must not be empty".to_owned());
        }
        if !self.dynamodb.table_prefix.bytes().all(name) {
            return Some("dynamodb.tablePrefix has letters, digits, `-`, `_` and `.` only".to_owned());
        }
        let endpoints = [&self.s3.endpoint, &self.dynamodb.endpoint].into_iter().flatten();
        let odd =
            endpoints.into_iter().find(|text| !text.starts_with("http://") && !text.starts_with("https://"));
        odd.map(|text| format!("the endpoint `{text}` begins with neither http:// nor https://"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_and_units_are_read() {
        let read = |text: &str| serde_json::from_str::<Options>(text);
        let options = read(r#"{"callTimeout":"250ms","s3":{"endpoint":"http://s3"}}"#).expect("options");
        assert_eq!(options.call_timeout, Duration::from_millis(250));
        assert_eq!(options.s3.endpoint.as_deref(), Some("http://s3"));
        assert_eq!(options.mistake(), None);
        assert!(read(r#"{"s3":{"endpoints":"x"}}"#).is_err());
        assert!(read(r#"{"credentials":{"accessKey":"a"}}"#).is_err());
    }

    #[test]
    fn secrets_are_neither_shown_nor_written() {
        let text = r#"{"credentials":{"accessKey":"key","secretKey":"hush"}}"#;
        let options: Options = serde_json::from_str(text).expect("options");
        assert_eq!(options.credentials.as_ref().map(|found| found.secret_key.as_str()), Some("hush"));
        let shown = format!("{options:?}{}", serde_json::to_string(&options).expect("JSON"));
        assert!(shown.contains("key") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn mistakes_are_named() {
        for text in [
            r#"{"callTimeout":"0ms"}"#,
            r#"{"connectTimeout":"0ms"}"#,
            r#"{"region":""}"#,
            r#"{"dynamodb":{"tablePrefix":"a/b"}}"#,
            r#"{"dynamodb":{"endpoint":"127.0.0.1:8000"}}"#,
        ] {
            let options: Options = serde_json::from_str(text).expect("options");
            assert!(options.mistake().is_some(), "{text}");
        }
    }
}
