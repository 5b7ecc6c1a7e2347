//! Objects in one S3 bucket.
//!
//! Every put carries the SHA-256 of its bytes, which S3 checks and keeps; a read asks for it and compares it
//! with the bytes as they arrived. An object without one was not written here and counts as corrupt.
//! A listing tells keys in XML, which has no control characters: keys hold none.

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::base64;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use contract::Fingerprint;
use ports::Blobs;
use ports::blobs::{Condition, Entry, Error, Metadata, Object, Page, Presigned, Upload, Version, check};

use crate::fault::{self, Fault};
use crate::retry::{Timing, Twice};

pub(crate) mod admin;
mod metadata;
pub(crate) mod presign;

/// Asks S3 for the checksum that an object was written with. The SDK's own way to ask would also have it hash
/// the bytes, a second time and without saying which sum it has compared.
const CHECKSUM_MODE: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

/// One bucket.
#[derive(Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    timing: Timing,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: &str, timing: Timing) -> Self {
        Self { client, name: name.to_owned(), timing }
    }

    async fn put_once(
        &self,
        key: &str,
        bytes: &Bytes,
        sum: &str,
        metadata: &Metadata,
        condition: &Condition,
    ) -> Result<Result<String, Error>, Fault> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .body(bytes.clone().into())
            .checksum_sha256(sum)
            .set_metadata(Some(metadata::to_headers(metadata)));
        let request = match condition {
            Condition::Absent => request.if_none_match("*"),
            Condition::Match(tag) => request.if_match(tag),
        };
        match request.send().await {
            Ok(answer) => match answer.e_tag {
                Some(tag) => Ok(Ok(tag)),
                None => Err(Fault::Unknown("S3 took an object and named no entity tag".to_owned())),
            },
            Err(error) => match refused_put(&error, condition) {
                Some(refused) => Ok(Err(refused)),
                None => Err(self.fault(&error)),
            },
        }
    }

    /// One object, or one version of it; its bytes, and their SHA-256, as they arrived.
    async fn fetch_once(
        &self,
        key: &str,
        version: Option<&str>,
        most: Option<u64>,
    ) -> Result<Result<(GetObjectOutput, Bytes, Fingerprint), Error>, Fault> {
        let (name, value) = CHECKSUM_MODE;
        let request = self.client.get_object().bucket(&self.name).key(key);
        let request = request.set_version_id(version.map(str::to_owned)).customize();
        let request = request.mutate_request(move |request| {
            request.headers_mut().insert(name, value);
        });
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(Err(Error::NotFound)),
            Err(error) => return Err(self.fault(&error)),
        };
        let length = answer.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(u64::MAX);
        if most.is_some_and(|most| length > most) {
            return Ok(Err(Error::TooLarge(length)));
        }
        let bytes = std::mem::take(&mut answer.body).collect().await;
        let bytes = bytes.map_err(|error| Fault::Unknown(fault::chain(&error)))?.into_bytes();
        let sha256 = Fingerprint::of_bytes(&bytes);
        Ok(Ok((answer, bytes, sha256)))
    }

    async fn get_once(&self, key: &str) -> Result<Result<Object, Error>, Fault> {
        let (answer, bytes, sha256) = match self.fetch_once(key, None, None).await? {
            Ok(fetched) => fetched,
            Err(error) => return Ok(Err(error)),
        };
        if answer.checksum_sha256 != Some(base64::encode(sha256.as_bytes())) {
            return Ok(Err(Error::Corrupt));
        }
        let Some(etag) = answer.e_tag else {
            return Err(Fault::Unknown("S3 gave an object and named no entity tag".to_owned()));
        };
        let metadata = metadata::from_headers(answer.metadata.unwrap_or_default());
        Ok(metadata.ok_or(Error::Corrupt).map(|metadata| Object { bytes, metadata, etag, sha256 }))
    }

    async fn version_once(
        &self,
        key: &str,
        version: Option<&str>,
        most: u64,
    ) -> Result<Result<Version, Error>, Fault> {
        let (answer, bytes, sha256) = match self.fetch_once(key, version, Some(most)).await? {
            Ok(fetched) => fetched,
            Err(error) => return Ok(Err(error)),
        };
        // Whoever put it may have sent no checksum.
        if answer.checksum_sha256.is_some_and(|sum| sum != base64::encode(sha256.as_bytes())) {
            return Ok(Err(Error::Corrupt));
        }
        match answer.version_id {
            Some(version) => Ok(Ok(Version { bytes, version, sha256 })),
            None => Err(Fault::Invalid(format!("the bucket {} keeps no versions", self.name))),
        }
    }

    async fn list_once(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(|error| self.fault(&error))?;
        let entry = |object: aws_sdk_s3::types::Object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            object.key.map(|key| Entry { key, size })
        };
        let entries: Vec<Entry> = answer.contents.unwrap_or_default().into_iter().filter_map(entry).collect();
        let last = entries.last().map(|entry| entry.key.clone());
        Ok(Page { entries, next: last.filter(|_| answer.is_truncated == Some(true)) })
    }

    /// Names the bucket where it is the bucket that is missing.
    fn fault<E>(&self, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error.code() {
            Some("NoSuchBucket") => Fault::Invalid(format!("there is no bucket {}", self.name)),
            _ => fault::of(error),
        }
    }
}

/// What a put's own conditions say.
fn refused_put(error: &SdkError<PutObjectError, HttpResponse>, condition: &Condition) -> Option<Error> {
    let status = error.raw_response()?.status().as_u16();
    match (status, error.code()) {
        (412, _) => Some(Error::Precondition),
        (404, Some("NoSuchKey")) if matches!(condition, Condition::Match(_)) => Some(Error::Precondition),
        _ => None,
    }
}

fn is_missing(error: &SdkError<GetObjectError, HttpResponse>) -> bool {
    error
        .as_service_error()
        .is_some_and(|refused| refused.is_no_such_key() || refused.code() == Some("NoSuchVersion"))
}

#[async_trait]
impl Blobs for Bucket {
    fn bucket(&self) -> &str {
        &self.name
    }

    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: Condition,
    ) -> Result<String, Error> {
        check::key(key)?;
        check::metadata(&metadata)?;
        let sum = base64::encode(Fingerprint::of_bytes(&bytes).as_bytes());
        // A put that has happened unheard would be refused the second time, as if it were somebody else's.
        let mut call = self.timing.begin(Twice::Counts).await?;
        loop {
            match call.attempt(self.put_once(key, &bytes, &sum, &metadata, &condition)).await {
                Ok(outcome) => return outcome,
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn get(&self, key: &str) -> Result<Object, Error> {
        check::key(key)?;
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.get_once(key)).await {
                Ok(outcome) => return outcome,
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn version(&self, key: &str, version: Option<&str>, most: u64) -> Result<Version, Error> {
        check::key(key)?;
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.version_once(key, version, most)).await {
                Ok(outcome) => return outcome,
                Err(fault) => call.again(fault).await?,
            }
        }
    }

    async fn presign(&self, upload: &Upload) -> Result<Option<Presigned>, Error> {
        self.presign_put(upload).await.map(Some)
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let limit = check::limit(limit)?;
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(self.list_once(prefix, after, limit)).await {
                Ok(page) => return Ok(page),
                Err(fault) => call.again(fault).await?,
            }
        }
    }
}
