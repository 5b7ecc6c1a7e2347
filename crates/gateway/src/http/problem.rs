//! Problem details (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::Code;
use contract::envelope::Refusal;
use serde_json::{Value, json};

use crate::decide::passes;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    refusal: Refusal,
    retry_after: Option<Duration>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None }
    }
}

impl Problem {
    /// What was refused, and why.
    pub fn into_refusal(self) -> Refusal {
        self.refusal
    }

    /// Whether the rest of the request's body never comes, or would be taken for another request.
    pub fn ends_connection(&self) -> bool {
        matches!(self.refusal.code, Code::RequestTimeout | Code::BodyIncomplete | Code::RequestInvalid)
    }

    /// When trying again makes sense.
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// The same, where trying again helps and nobody said when.
    pub fn retry_after_default(self, wait: Duration) -> Self {
        if !passes(self.refusal.code) {
            return self;
        }
        let retry_after = self.retry_after.or(Some(wait));
        Self { retry_after, ..self }
    }
}

/// The value of `Retry-After`.
pub fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(whole_seconds(wait))
}

/// The members of the problem document.
pub fn document(refusal: &Refusal) -> Value {
    let code = refusal.code;
    let mut document = json!({
        "type": format!("urn:dvss:error:{code}"),
        "title": code.as_str(),
        "status": code.http_status(),
        "detail": refusal.message,
        "code": code.as_str(),
    });
    if let Some(id) = refusal.ingest_id {
        document["ingestId"] = json!(id);
    }
    if let Some(pointer) = &refusal.pointer {
        document["pointer"] = json!(pointer);
    }
    document
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (code, ends_connection) = (self.refusal.code, self.ends_connection());
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, document(&self.refusal).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, retry_after(wait));
        }
        match code {
            Code::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // RFC 9110, section 15.5.16.
            Code::ContentEncodingUnsupported => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
            }
            _ => {}
        }
        if ends_connection {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Seconds, rounded up, one at least.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let refusal = Refusal::new(Code::EventTypeInvalid, "no \"\r\n").at("/eventType");
        let document = document(&refusal);
        assert_eq!(document["code"], "event-type-invalid");
        assert_eq!((&document["status"], &document["pointer"]), (&json!(400), &json!("/eventType")));
        assert_eq!(document["type"], "urn:dvss:error:event-type-invalid");
        assert!(document.get("ingestId").is_none());
    }

    #[test]
    fn retry_after_is_whole_seconds_and_only_where_it_helps() {
        let header = |code, wait| {
            let problem = Problem::from(Refusal::new(code, "x"));
            let problem = problem.retry_after_default(Duration::from_millis(wait));
            let response = problem.into_response();
            response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned())
        };
        assert_eq!(header(Code::Unavailable, 0).as_deref(), Some("1"));
        assert_eq!(header(Code::StorageFull, 1_001).as_deref(), Some("2"));
        assert_eq!(header(Code::Overloaded, 3_000).as_deref(), Some("3"));
        assert_eq!(header(Code::JsonSyntax, 1_000), None);
    }
}
