//! Errors of the operator API: RFC 9457 problem details with a stable code.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use contract::Code;
use serde_json::{Value, json};

/// Media type of every error.
const MEDIA_TYPE: &str = "application/problem+json";
/// Most bytes that are read of what a framework says of an error.
const MOST_SAID: usize = 16 * 1_024;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
    /// A further member (RFC 9457, 3.2).
    member: Option<(&'static str, Value)>,
}

impl Problem {
    /// An answer with this code; `detail` says what happened, to what, and what to do next.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), member: None }
    }

    /// The same, with one member more (RFC 9457, 3.2).
    pub fn with(self, name: &'static str, value: Value) -> Self {
        Self { member: Some((name, value)), ..self }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Nothing has this name.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    /// A mistake in the request.
    pub fn invalid(detail: impl std::fmt::Display) -> Self {
        Self::new(Code::RequestInvalid, detail.to_string())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.code == Code::Internal {
            tracing::error!(code = %self.code, detail = self.detail, "an operator's request met damage or a defect");
        } else if status.is_server_error() {
            tracing::warn!(code = %self.code, detail = self.detail, "an operator's request failed");
        }
        let mut body = json!({
            "type": format!("urn:dvss:error:{}", self.code), "title": self.code.as_str(), "status": status.as_u16(),
            "code": self.code.as_str(), "detail": self.detail,
        });
        if let Some((name, value)) = self.member {
            body[name] = value;
        }
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], Json(body)).into_response()
    }
}

/// Makes problem documents of errors that are none, as a middleware: the framework's own, about bodies that
/// are not what they should be, and methods that a path does not take.
pub async fn only(request: Request, next: Next) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let answer = next.run(request).await;
    let status = answer.status();
    let is_problem = answer.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == MEDIA_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return answer;
    }
    let said = to_bytes(answer.into_body(), MOST_SAID).await.unwrap_or_default();
    let detail = match String::from_utf8_lossy(&said).trim() {
        _ if status == StatusCode::METHOD_NOT_ALLOWED => {
            format!("{asked}: the path does not take this method; `Allow` names those that it takes")
        }
        "" => format!("{asked}: {status}"),
        said => said.to_owned(),
    };
    Problem::new(code_of(status), detail).into_response()
}

/// The code of an error that has none.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::ContentTypeUnsupported,
        status if status.is_client_error() => Code::RequestInvalid,
        _ => Code::Internal,
    }
}

impl From<ports::tables::Error> for Problem {
    fn from(error: ports::tables::Error) -> Self {
        let code = match error {
            ports::tables::Error::Full => Code::StorageFull,
            // Rows are read and written by dvss alone: what does not fit is damage or a defect, not the
            // caller's mistake, and stays so.
            ports::tables::Error::Invalid(_) => return Self::new(Code::Internal, error.to_string()),
            ports::tables::Error::Condition(_) => Code::VersionConflict,
            _ => Code::Unavailable,
        };
        Self::new(code, format!("{error}; try again"))
    }
}

impl From<invoices::Error> for Problem {
    fn from(error: invoices::Error) -> Self {
        let problem = Self::new(error.code(), error.to_string());
        match error {
            invoices::Error::Applied { first, .. } => {
                problem.with("first", json!({ "jobId": first, "href": format!("/api/v1/invoices/{first}") }))
            }
            _ => problem,
        }
    }
}

impl From<ports::blobs::Error> for Problem {
    fn from(error: ports::blobs::Error) -> Self {
        let code = match error {
            ports::blobs::Error::NotFound => Code::NotFound,
            ports::blobs::Error::Corrupt => Code::ObjectCorrupt,
            ports::blobs::Error::Full => Code::StorageFull,
            _ => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

/// What a stage says to an operator who asked it for something: its code, not "try again" for all of them.
impl From<runtime::Failure> for Problem {
    fn from(failure: runtime::Failure) -> Self {
        match failure {
            runtime::Failure::Transient(message) | runtime::Failure::Later(message) => {
                Self::new(Code::Unavailable, format!("{message}; try again"))
            }
            runtime::Failure::Poison(poison) => Self::new(poison.code, poison.message),
            runtime::Failure::Fatal { code, message } => Self::new(code, message),
        }
    }
}

impl From<ports::log::Error> for Problem {
    fn from(error: ports::log::Error) -> Self {
        let code = match error {
            ports::log::Error::Missing(_) => Code::NotFound,
            ports::log::Error::Full => Code::StorageFull,
            _ => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<stores::normalized::Error> for Problem {
    fn from(error: stores::normalized::Error) -> Self {
        match error {
            stores::normalized::Error::Blobs(error) => error.into(),
            unreadable @ stores::normalized::Error::Unreadable { .. } => {
                Self::new(Code::ObjectCorrupt, unreadable.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ports::tables::Error;
    use runtime::{Failure, Poison};

    use super::*;

    #[test]
    fn what_a_stage_could_not_do_keeps_its_code() {
        let poison = Poison {
            code: Code::FoldOverflow,
            message: "the sum has 29 digits".to_owned(),
            pointer: None,
            vendor_id: None,
            ingest_id: None,
        };
        let fatal = Failure::Fatal { code: Code::Internal, message: "a row is damaged".to_owned() };
        for (failure, code, status, detail) in [
            (Failure::Poison(poison), Code::FoldOverflow, 422, "the sum has 29 digits"),
            (fatal, Code::Internal, 500, "a row is damaged"),
            (Failure::Transient("it is away".to_owned()), Code::Unavailable, 503, "it is away; try again"),
        ] {
            let problem = Problem::from(failure);
            assert_eq!((problem.code(), problem.to_string().as_str()), (code, detail));
            assert_eq!(problem.into_response().status().as_u16(), status);
        }
    }

    #[test]
    fn damage_is_not_the_callers_mistake() {
        let damaged = Problem::from(Error::Invalid("no readable `count`".to_owned()));
        assert_eq!((damaged.code(), damaged.to_string().as_str()), (Code::Internal, "no readable `count`"));
        assert_eq!(damaged.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
        let later = Problem::from(Error::Unavailable("it is away".to_owned()));
        assert_eq!(later.code(), Code::Unavailable);
        assert!(later.to_string().ends_with("try again"));
    }
}
