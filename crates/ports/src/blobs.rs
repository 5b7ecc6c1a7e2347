//! Objects in one bucket: S3, cut to what is used.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use contract::Fingerprint;

pub mod check;

/// Most bytes of all metadata names and values of one object (S3: 2 KB of user metadata).
pub const MAX_METADATA: usize = 2_048;
/// Most bytes of an object's key (S3).
pub const MAX_KEY: usize = 1_024;

/// Text beside an object's bytes: lower-case names, any Unicode values (adapters encode them).
pub type Metadata = BTreeMap<String, String>;

/// Under which condition an object is written. There is no unconditional put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `If-None-Match: *`: only where no object is. Atomic under races.
    Absent,
    /// `If-Match`: only where the object's entity tag is this one.
    /// The tag speaks of the bytes: a rewrite of the same bytes with other metadata may keep it.
    Match(String),
}

/// An object as it was read; its bytes have the checksum that they were written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The bytes.
    pub bytes: Bytes,
    /// What was written beside them.
    pub metadata: Metadata,
    /// Entity tag, for [`Condition::Match`].
    pub etag: String,
    /// SHA-256 of the bytes.
    pub sha256: Fingerprint,
}

/// One version of an object that somebody else put, by a request that was signed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The bytes. Checked where they were put with a checksum; whoever needs more compares [`Version::sha256`].
    pub bytes: Bytes,
    /// The version's id; it never names other bytes.
    pub version: String,
    /// SHA-256 of the bytes as they were read.
    pub sha256: Fingerprint,
}

/// What somebody else may put, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The object's key. The put succeeds only while no object has it.
    pub key: String,
    /// Length in bytes, exactly.
    pub length: u64,
    /// Media type, exactly.
    pub content_type: String,
    /// SHA-256 of the bytes, where it is known beforehand. Without it the object has none, so [`Blobs::get`]
    /// calls it corrupt, and [`Blobs::version`] reads it.
    pub sha256: Option<Fingerprint>,
    /// How long the request is taken: from a second to a week, and no longer than the credentials live.
    pub expires: Duration,
}

/// Longest validity of a signature (S3).
pub const MAX_EXPIRY: Duration = Duration::from_hours(7 * 24);

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

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The object's key.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
}

/// One page of a listing, in key order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Pass it as `after` to go on; `None` at the end.
    pub next: Option<String>,
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The condition does not hold (S3: 412, and 404 for `Match` on an absent key).
    #[error("the object is there already, or has changed")]
    Precondition,
    /// Another write of the key is going on; try again (S3: 409).
    #[error("another write of the same object is going on")]
    Conflict,
    /// No such object.
    #[error("no such object")]
    NotFound,
    /// The bytes are not those that were written.
    #[error("the object's bytes do not have the checksum they were written with")]
    Corrupt,
    /// The object has so many bytes, which are more than were asked for; none was read.
    #[error("the object has {0} bytes, more than were expected")]
    TooLarge(u64),
    /// The service refuses who is asking: credentials, permissions, or a clock that is far off. Nothing was
    /// written. It passes when somebody has put that right, so whoever asks again must say why it waits.
    #[error("the object store refuses our credentials: {0}")]
    Denied(String),
    /// Key or metadata beyond the bounds.
    #[error("{0}")]
    Invalid(String),
    /// The store does not answer or asks to slow down; **the write may have happened**.
    #[error("the object store does not answer: {0}")]
    Unavailable(String),
    /// No space left; nothing was written.
    #[error("the object store is full")]
    Full,
}

/// One bucket.
///
/// Keys are such as every server takes, also those that keep objects as files: the parts between slashes have
/// 255 bytes at most and are not empty, nothing in them is a control character, and no key goes on behind
/// another one and a slash.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// The bucket's name, as `rawRef` gives it.
    fn bucket(&self) -> &str;
    /// Writes an object under a condition and returns its entity tag. Durable when it returns Ok.
    async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        metadata: Metadata,
        condition: Condition,
    ) -> Result<String, Error>;
    /// Reads an object and verifies its checksum.
    async fn get(&self, key: &str) -> Result<Object, Error>;
    /// Reads one version of an object, or the newest one where none is named; for objects that others put.
    /// Of more than `most` bytes it is [`Error::TooLarge`]: whoever may put objects may put any.
    /// A store that keeps one version only calls its entity tag the version, and any other [`Error::NotFound`].
    async fn version(&self, key: &str, version: Option<&str>, most: u64) -> Result<Version, Error> {
        let Object { bytes, etag, sha256, .. } = self.get(key).await?;
        if bytes.len() as u64 > most {
            return Err(Error::TooLarge(bytes.len() as u64));
        }
        if version.is_some_and(|wanted| wanted != etag) {
            return Err(Error::NotFound);
        }
        Ok(Version { bytes, version: etag, sha256 })
    }
    /// Signs a put for somebody else. `None`: the store has no door of its own, so that whoever wants an upload
    /// takes it himself and puts it.
    async fn presign(&self, _upload: &Upload) -> Result<Option<Presigned>, Error> {
        Ok(None)
    }
    /// Keys that start with `prefix` and sort behind `after`, at most `limit` (and at most 1,000).
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Error>;
}
