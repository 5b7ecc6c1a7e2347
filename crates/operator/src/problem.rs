//! Errors of the operator API: RFC 9457 problem details with a stable code.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::Code;
use serde_json::json;

/// An error answer.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    detail: String,
}

impl Problem {
    /// An answer with this code; `detail` says what happened, to what, and what to do next.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
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
        let body = json!({
            "type": format!("urn:dvss:error:{}", self.code), "title": self.code.as_str(), "status": status.as_u16(),
            "code": self.code.as_str(), "detail": self.detail,
        });
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
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

    use super::*;

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
