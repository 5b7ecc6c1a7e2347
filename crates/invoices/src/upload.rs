//! Signed uploads that dvss takes itself: where the object store has no door of its own, and for the console, whose
//! pages send to nobody else. The same request as S3's: length, type and `If-None-Match: *` are signed, and it is
//! taken once.

use contract::{Fingerprint, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ports::tables::{Attr, Condition, Error as TablesError, Item, Key, Tables, Write, get_one};
use sha2::Sha256;
use stores::tables::INVOICE_JOBS;

use crate::job::File;
use crate::{Error, JobId};

/// The secret that signs; one for all processes of an installation.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// A request for an upload as it came.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// `expires` of the query: milliseconds since 1970.
    pub expires: i64,
    /// `signature` of the query.
    pub signature: &'a str,
    /// The request's media type.
    pub content_type: &'a str,
    /// The request's length.
    pub length: u64,
    /// `If-None-Match` is `*`.
    pub only_if_absent: bool,
}

impl Secret {
    /// The installation's secret; the first who asks makes it of `random`.
    pub async fn load(tables: &dyn Tables, random: [u8; 32]) -> Result<Self, Error> {
        let key = || Key::sorted("upload", "secret");
        for _ in 0..2 {
            if let Some(item) = get_one(tables, &INVOICE_JOBS, key()).await? {
                let bytes = item.get("secret").and_then(Attr::as_bytes);
                let bytes = bytes
                    .ok_or_else(|| Error::Damaged("the upload secret's row is unreadable".to_owned()))?;
                return Ok(Self(bytes.to_vec()));
            }
            let item = Item::from([("secret".to_owned(), Attr::B(random.to_vec().into()))]);
            match tables.write(Write::put(&INVOICE_JOBS, key(), item, Condition::Absent)).await {
                Ok(()) => return Ok(Self(random.to_vec())),
                Err(TablesError::Condition(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Unavailable("the upload secret is neither there nor absent".to_owned()))
    }

    /// The signed query for a file.
    pub fn sign(&self, job: JobId, file: &File) -> String {
        let expires = file.upload_until.as_millis();
        format!(
            "expires={expires}&signature={}",
            hex::encode(self.mac(job, file, expires).finalize().into_bytes())
        )
    }

    fn mac(&self, job: JobId, file: &File, expires: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        let File { content_type, length, key, .. } = file;
        // The media type is last: it alone may hold a line feed's neighbours, never one itself.
        mac.update(format!("{job}\n{key}\n{length}\n{expires}\n{content_type}").as_bytes());
        mac
    }

    /// Whether a request is the one that was signed, in time; the message says what is not.
    pub fn check(&self, job: JobId, file: &File, shown: Presented<'_>, now: Timestamp) -> Result<(), Error> {
        let refused = |what: &str| Err(Error::Signature(format!("the upload to job {job} {what}")));
        let signature = hex::decode(shown.signature).unwrap_or_default();
        if self.mac(job, file, shown.expires).verify_slice(&signature).is_err() {
            return refused("is not signed by this installation, or not for this file");
        }
        if now.as_millis() > shown.expires {
            return refused("came after its signature had expired: ask for a new job");
        }
        if shown.length != file.length {
            return refused(&format!("has {} bytes, and {} are signed", shown.length, file.length));
        }
        if shown.content_type != file.content_type {
            return refused(&format!(
                "is of the type {:?}, and {:?} is signed",
                shown.content_type, file.content_type
            ));
        }
        if !shown.only_if_absent {
            return refused("lacks the signed header `If-None-Match: *`");
        }
        Ok(())
    }
}

/// Whether bytes are those that were announced.
pub fn announced(job: JobId, file: &File, length: u64, sha256: Fingerprint) -> Result<(), Error> {
    if length != file.length {
        return Err(other_length(job, file, length));
    }
    match file.sha256 {
        Some(wanted) if wanted != sha256 => Err(Error::OtherBytes(format!(
            "job {job} was announced with the SHA-256 {wanted}, and the document's is {sha256}"
        ))),
        _ => Ok(()),
    }
}

/// There are so many bytes, and others were announced.
pub fn other_length(job: JobId, file: &File, length: u64) -> Error {
    Error::OtherBytes(format!("job {job} was announced with {} bytes, and {length} are there", file.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_is_taken() {
        let now = Timestamp::parse("2026-03-16T08:35:06Z").expect("a time");
        let job = JobId::new(now, 1);
        let file = File {
            name: "a.xml".to_owned(),
            content_type: "application/xml".to_owned(),
            length: 7,
            sha256: None,
            key: "uploads/acme/x".to_owned(),
            upload_until: now.plus(std::time::Duration::from_secs(60)),
        };
        let secret = Secret(b"secret".to_vec());
        let query = secret.sign(job, &file);
        let signature = query.split("signature=").nth(1).expect("signed");
        let good = Presented {
            expires: file.upload_until.as_millis(),
            signature,
            content_type: "application/xml",
            length: 7,
            only_if_absent: true,
        };
        assert!(secret.check(job, &file, good, now).is_ok());
        let later = now.plus(std::time::Duration::from_secs(61));
        let refused = [
            (job, Presented { expires: good.expires + 1, ..good }, now, "not signed"),
            (job.sibling(1), good, now, "not signed"),
            (job, Presented { signature: "00", ..good }, now, "not signed"),
            (job, Presented { signature: "?", ..good }, now, "not signed"),
            (job, good, later, "expired"),
            (job, Presented { length: 8, ..good }, now, "8 bytes"),
            (job, Presented { content_type: "text/html", ..good }, now, "text/html"),
            (job, Presented { only_if_absent: false, ..good }, now, "If-None-Match"),
        ];
        for (job, shown, now, why) in refused {
            let error = secret.check(job, &file, shown, now).expect_err(why);
            assert!(matches!(&error, Error::Signature(said) if said.contains(why)), "{error}");
        }
        assert!(Secret(b"other".to_vec()).check(job, &file, good, now).is_err());
    }
}
