//! Against real servers where there are some, and against answers that no local server gives.

use std::path::Path;
use std::time::Duration;

use crate::{Credentials, Options};

mod answers;
mod blobs;
mod down;
mod tables;

/// The real servers, as `cargo xtask stack` names them in the file `DVSS_TEST_STACK`; `None`, and said so,
/// where there are none.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where the servers are")]
pub(super) fn stack() -> Option<Options> {
    let Some(path) = std::env::var_os("DVSS_TEST_STACK") else {
        eprintln!(
            "SKIPPED: no real S3 and DynamoDB (DVSS_TEST_STACK is not set); `cargo xtask test` has them"
        );
        return None;
    };
    let path = Path::new(&path);
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stack: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let mut options = Options {
        credentials: Some(Credentials {
            access_key: text(&stack["s3"]["accessKey"]),
            secret_key: text(&stack["s3"]["secretKey"]),
        }),
        // Both cores are the servers' as well, and other tests'.
        call_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(5),
        ..Options::default()
    };
    options.s3.endpoint = Some(text(&stack["s3"]["endpoint"]));
    options.dynamodb.endpoint = Some(text(&stack["dynamodb"]));
    Some(options)
}

/// Servers that nobody runs.
pub(super) fn nowhere() -> Options {
    let mut options = Options {
        credentials: Some(Credentials { access_key: "test".to_owned(), secret_key: "test".to_owned() }),
        ..Options::default()
    };
    options.s3.endpoint = Some("http://s3.invalid".to_owned());
    options.dynamodb.endpoint = Some("http://dynamodb.invalid".to_owned());
    options
}

/// A name that no other test and no earlier run has.
#[expect(clippy::disallowed_methods, reason = "what is left of an earlier run must differ")]
pub(super) fn unique(prefix: &str) -> String {
    format!("{prefix}-{:016x}", rand::random::<u64>())
}
