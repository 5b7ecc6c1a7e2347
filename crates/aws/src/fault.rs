//! What an SDK error means, apart from the outcomes that an operation itself knows.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The service asks to slow down and has done nothing.
    Throttled(String),
    /// Somebody else holds what is to be written; the service has done nothing.
    Conflict(String),
    /// The service refuses who is asking and has done nothing.
    Denied(String),
    /// No answer, or an error of the service's own: it may have been done.
    Unknown(String),
    /// No space left; nothing was done.
    Full,
    /// The request itself is refused.
    Invalid(String),
}

/// Reads an SDK error.
pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message());
            of_answer(answer.raw().status().as_u16(), code.unwrap_or_default(), message.unwrap_or_default())
        }
        other => {
            let text = chain(other);
            // Where no credentials are found, no request is made; the SDK tells it by words alone.
            if text.contains("credentials") || text.contains("identity") {
                Fault::Denied(text)
            } else {
                Fault::Unknown(text)
            }
        }
    }
}

/// Reads an answer's status, code and message.
fn of_answer(status: u16, code: &str, message: &str) -> Fault {
    let text = match (code, message) {
        ("", "") => format!("HTTP status {status}"),
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    match code {
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "BandwidthLimitExceeded"
        | "LimitExceededException" => Fault::Throttled(text),
        "TransactionConflictException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException"
        | "ConditionalRequestConflict"
        | "OperationAborted"
        | "ResourceInUseException" => Fault::Conflict(text),
        "AccessDenied"
        | "AccessDeniedException"
        | "AccountProblem"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired"
        | "UnrecognizedClientException"
        // versitygw's InvalidAccessKeyId.
        | "XAdminUserNotFound" => Fault::Denied(text),
        "QuotaExceeded" | "InsufficientStorage" | "StorageFull" | "XMinioStorageFull" => Fault::Full,
        // Refused because it arrived other than it was sent, or not in time.
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "IncompleteBody"
        | "RequestTimeout" => Fault::Unknown(text),
        _ => match status {
            401 | 403 => Fault::Denied(text),
            429 => Fault::Throttled(text),
            507 => Fault::Full,
            // A status that fits no answer, such as an empty one of a proxy, is no refusal either.
            status if !(400..500).contains(&status) => Fault::Unknown(text),
            _ => Fault::Invalid(text),
        },
    }
}

/// An error and what is behind it, in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<Fault> for ports::tables::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Throttled(text) | Fault::Unknown(text) => Self::Unavailable(text),
            Fault::Conflict(_) => Self::Conflict,
            Fault::Denied(text) => Self::Denied(text),
            Fault::Full => Self::Full,
            Fault::Invalid(text) => Self::Invalid(text),
        }
    }
}

impl From<Fault> for ports::blobs::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Throttled(text) | Fault::Unknown(text) => Self::Unavailable(text),
            Fault::Conflict(_) => Self::Conflict,
            Fault::Denied(text) => Self::Denied(text),
            Fault::Full => Self::Full,
            Fault::Invalid(text) => Self::Invalid(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let text = |code: &str| format!("{code}: m");
        for (status, code, expected) in [
            (503, "SlowDown", Fault::Throttled(text("SlowDown"))),
            (400, "ThrottlingException", Fault::Throttled(text("ThrottlingException"))),
            (429, "Anything", Fault::Throttled(text("Anything"))),
            (400, "TransactionInProgressException", Fault::Conflict(text("TransactionInProgressException"))),
            (409, "ConditionalRequestConflict", Fault::Conflict(text("ConditionalRequestConflict"))),
            (409, "ObjectParentIsFile", Fault::Invalid(text("ObjectParentIsFile"))),
            (403, "RequestTimeTooSkewed", Fault::Denied(text("RequestTimeTooSkewed"))),
            (400, "UnrecognizedClientException", Fault::Denied(text("UnrecognizedClientException"))),
            (403, "Anything", Fault::Denied(text("Anything"))),
            (507, "Anything", Fault::Full),
            (403, "QuotaExceeded", Fault::Full),
            (500, "InternalError", Fault::Unknown(text("InternalError"))),
            (503, "ServiceUnavailable", Fault::Unknown(text("ServiceUnavailable"))),
            (400, "RequestTimeout", Fault::Unknown(text("RequestTimeout"))),
            (400, "BadDigest", Fault::Unknown(text("BadDigest"))),
            (400, "ValidationException", Fault::Invalid(text("ValidationException"))),
            (404, "NoSuchBucket", Fault::Invalid(text("NoSuchBucket"))),
        ] {
            assert_eq!(of_answer(status, code, "m"), expected, "{status} {code}");
        }
        assert_eq!(of_answer(502, "", ""), Fault::Unknown("HTTP status 502".to_owned()));
        assert_eq!(of_answer(301, "", ""), Fault::Unknown("HTTP status 301".to_owned()));
    }
}
