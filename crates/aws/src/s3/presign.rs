//! Puts that somebody else makes: a request signed here, sent by a browser or a vendor's program.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_types::base64;
use ports::blobs::{Error, MAX_EXPIRY, Presigned, Upload, check};

use super::Bucket;
use crate::fault::{self, Fault};

impl Bucket {
    /// Signs a put. Asks nobody, except for credentials where they have to be fetched.
    pub(super) async fn presign_put(&self, upload: &Upload) -> Result<Presigned, Error> {
        check::key(&upload.key)?;
        if upload.expires < Duration::from_secs(1) || upload.expires > MAX_EXPIRY {
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
