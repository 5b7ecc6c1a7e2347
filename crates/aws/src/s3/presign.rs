//! Puts that somebody else makes: a request signed here, sent by a browser or a vendor's program.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_types::base64;
use contract::Fingerprint;
use ports::blobs::{Error, check};

use super::Bucket;
use crate::fault::{self, Fault};

/// Longest validity of a signature.
const MOST_EXPIRY: Duration = Duration::from_hours(7 * 24);

/// What may be put, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The object's key. The put succeeds only while no object has it.
    pub key: String,
    /// Length in bytes, exactly.
    pub length: u64,
    /// Media type, exactly.
    pub content_type: String,
    /// SHA-256 of the bytes, where it is known beforehand. Without it the object has none, so [`Bucket`]'s
    /// `get` calls it corrupt.
    pub sha256: Option<Fingerprint>,
    /// How long the request is taken: from a second to a week, and no longer than the credentials live.
    pub expires: Duration,
}

/// A signed request. Whoever has it can put this one object once.
#[derive(Clone, PartialEq, Eq)]
pub struct Presigned {
    /// `PUT`.
    pub method: String,
    /// The address, the signature in its query.
    pub url: String,
    /// Headers that the request must carry just so; they are signed.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Presigned {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query is as good as a password.
        let url = self.url.split('?').next().unwrap_or_default();
        formatter
            .debug_struct("Presigned")
            .field("url", &url)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// Signs a put. Asks nobody, except for credentials where they have to be fetched.
    pub async fn presign_put(&self, upload: &Upload) -> Result<Presigned, Error> {
        check::key(&upload.key)?;
        if upload.expires < Duration::from_secs(1) || upload.expires > MOST_EXPIRY {
            return Err(Error::Invalid("a signature lasts from a second to a week".to_owned()));
        }
        let length = i64::try_from(upload.length);
        let length = length.map_err(|_| Error::Invalid("no object is that long".to_owned()))?;
        let expiry = PresigningConfig::expires_in(upload.expires);
        let expiry = expiry.map_err(|error| Error::Invalid(error.to_string()))?;
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(&upload.key)
            .content_length(length)
            .content_type(&upload.content_type)
            .if_none_match("*")
            .set_checksum_sha256(upload.sha256.map(|sum| base64::encode(sum.as_bytes())));
        let signed = request.presigned(expiry).await.map_err(|error| match fault::of(&error) {
            Fault::Unknown(text) => Error::Invalid(text),
            other => other.into(),
        })?;
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Ok(Presigned {
            method: signed.method().to_owned(),
            url: signed.uri().to_owned(),
            headers: signed.headers().map(header).collect(),
        })
    }
}
