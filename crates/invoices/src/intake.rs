//! From a file's announcement to a queued job.

use bytes::Bytes;
use contract::{Fingerprint, VendorId};
use ports::blobs::{self, Condition, Metadata, Upload};
use ports::log::Record;

use crate::job::{File, Pinned};
use crate::store::{self, Change, Refused};
use crate::upload::{self, Presented};
use crate::{Error, Invoices, Job, JobId, State};

/// Longest file name that is kept, in bytes.
const MAX_NAME: usize = 255;
/// Longest media type, in bytes.
const MAX_TYPE: usize = 255;
/// How often a lost race is looked at again.
const ATTEMPTS: usize = 4;

/// A file that somebody announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Whose invoice it is.
    pub vendor_id: VendorId,
    /// Its name, for people.
    pub file_name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub content_length: u64,
    /// Its SHA-256, where it is known.
    pub sha256: Option<Fingerprint>,
}

/// By which door the document shall come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The object store's, where it has one; else dvss' own.
    Store,
    /// dvss' own.
    Own,
}

/// Where a document is to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A whole URL of the object store's, or the path and query below `uploads/` of dvss' own door.
    pub place: Place,
    /// Headers that the request must carry just so.
    pub headers: Vec<(String, String)>,
}

/// See [`Address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A URL.
    Url(String),
    /// `<jobId>?expires=…&signature=…`
    Own(String),
}

impl Invoices {
    /// Makes a job for a file, and signs the request that puts it.
    pub async fn announce(&self, actor: &str, file: &Announced, door: Door) -> Result<(Job, Address), Error> {
        self.check(file)?;
        let now = self.ports.clock.now();
        let job_id = JobId::new(now, (self.draw)());
        let key = format!("uploads/{}/{job_id}", file.vendor_id);
        let file_of_job = File {
            name: file.file_name.clone(),
            content_type: file.content_type.clone(),
            length: file.content_length,
            sha256: file.sha256,
            key,
            upload_until: now.plus(self.options.upload_expires),
        };
        // Signed before the job is there: a job that nobody can fill would only expire.
        let address = self.address(job_id, &file_of_job, door).await?;
        let job = Job {
            job_id,
            vendor_id: file.vendor_id.clone(),
            state: State::AwaitingUpload,
            version: 1,
            created_at: now,
            updated_at: now,
            file: file_of_job,
            index: 0,
            document_of: None,
            pinned: None,
            lease: None,
            attempts: 0,
            not_before: None,
            document: None,
            summary: None,
            plan: None,
            reason: None,
        };
        let change = Change::create(job, actor, "invoice.announce");
        store::write(&*self.ports.tables, &change, Vec::new(), None).await.map_err(lost)?;
        Ok((change.after, address))
    }

    fn check(&self, file: &Announced) -> Result<(), Error> {
        let printable = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        if !printable(&file.file_name) || file.file_name.len() > MAX_NAME {
            return Err(Error::Invalid(format!(
                "fileName has 1 to {MAX_NAME} bytes and no control characters"
            )));
        }
        let visible = file.content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !visible || !file.content_type.contains('/') || file.content_type.len() > MAX_TYPE {
            return Err(Error::Invalid("contentType is a media type, as application/pdf".to_owned()));
        }
        if file.content_length == 0 {
            return Err(Error::Invalid(
                "the document is empty (contentLength 0): there is nothing to read".to_owned(),
            ));
        }
        let most = self.options.max_document_bytes;
        if file.content_length > most {
            return Err(Error::TooLarge { length: file.content_length, most });
        }
        Ok(())
    }

    async fn address(&self, job: JobId, file: &File, door: Door) -> Result<Address, Error> {
        if door == Door::Store {
            let upload = Upload {
                key: file.key.clone(),
                length: file.length,
                content_type: file.content_type.clone(),
                sha256: file.sha256,
                expires: self.options.upload_expires,
            };
            if let Some(signed) = self.ports.invoices.presign(&upload).await? {
                return Ok(Address { place: Place::Url(signed.url), headers: signed.headers });
            }
        }
        let query = self.secret().await?.sign(job, file);
        let headers = [("content-type", file.content_type.clone()), ("if-none-match", "*".to_owned())];
        Ok(Address {
            place: Place::Own(format!("{job}?{query}")),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        })
    }

    /// Whether a signed upload may come; asked before its body is read.
    pub async fn expects(&self, job: JobId, shown: Presented<'_>) -> Result<Job, Error> {
        let job = store::get(&*self.ports.tables, job).await?;
        self.secret().await?.check(job.job_id, &job.file, shown, self.ports.clock.now())?;
        Ok(job)
    }

    /// Takes the bytes of a signed upload that [`Invoices::expects`].
    pub async fn receive(&self, job: &Job, bytes: Bytes) -> Result<(), Error> {
        let sha256 = Fingerprint::of_bytes(&bytes);
        upload::announced(job.job_id, &job.file, bytes.len() as u64, sha256)?;
        match self.ports.invoices.put(&job.file.key, bytes, Metadata::new(), Condition::Absent).await {
            Ok(_) => Ok(()),
            Err(blobs::Error::Precondition) => {
                match self.ports.invoices.version(&job.file.key, None, job.file.length).await {
                    Ok(there) if there.sha256 == sha256 => return Ok(()),
                    Ok(_) | Err(blobs::Error::TooLarge(_)) => {}
                    Err(error) => return Err(error.into()),
                }
                let message = format!(
                    "job {} has a document already, and it is another one: ask for a new job",
                    job.job_id
                );
                Err(Error::OtherBytes(message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The document is there: pins its bytes and queues the job. Again is safe: what is submitted already is
    /// returned as it stands, and nudged where it still waits.
    pub async fn submit(&self, actor: &str, id: JobId) -> Result<Job, Error> {
        let mut job = store::get(&*self.ports.tables, id).await?;
        for _ in 0..ATTEMPTS {
            match job.state {
                State::AwaitingUpload => {}
                State::Expired => {
                    let wanted = "nobody submitted its document in time; ask for a new job".to_owned();
                    return Err(Error::State { job: id, state: job.state, wanted });
                }
                State::Queued => {
                    self.nudge(id).await;
                    return Ok(job);
                }
                _ => return Ok(job),
            }
            let there = self.ports.invoices.version(&job.file.key, None, job.file.length).await;
            let there = there.map_err(|error| match error {
                blobs::Error::NotFound => Error::NotUploaded(id),
                blobs::Error::TooLarge(length) => upload::other_length(id, &job.file, length),
                other => other.into(),
            })?;
            upload::announced(id, &job.file, there.bytes.len() as u64, there.sha256)?;
            let pinned = Pinned { version_id: there.version, sha256: there.sha256 };
            let change = Change::of(&job, self.ports.clock.now(), actor, "invoice.submit", |job| {
                job.state = State::Queued;
                job.pinned = Some(pinned);
            });
            match store::write(&*self.ports.tables, &change, Vec::new(), None).await {
                Ok(()) => {
                    self.nudge(id).await;
                    return Ok(change.after);
                }
                Err(Refused::Job(Some(there))) => job = *there,
                Err(refused) => return Err(lost(refused)),
            }
        }
        Err(Error::Unavailable(format!("job {id} changes all the time")))
    }

    /// Tells the worker of a job. Where that fails the sweep does it later: what is to be done stands in the row.
    pub async fn nudge(&self, job: JobId) {
        if let Err(error) = self.ports.log.append(nudge(job)).await {
            tracing::warn!(%job, %error, "the worker was not told of the job; the sweep will do it");
        }
    }
}

/// The record that tells the worker of a job.
pub fn nudge(job: JobId) -> Record {
    Record {
        topic: contract::topics::INVOICE_JOBS.into(),
        partition: None,
        key: Some(job.to_string().into()),
        value: serde_json::json!({ "jobId": job }).to_string().into(),
        headers: Vec::new(),
    }
}

/// A change that was refused and whose caller knows no way on.
pub(crate) fn lost(refused: Refused) -> Error {
    match refused {
        Refused::Error(error) => error,
        Refused::Job(Some(job)) => Error::Unavailable(format!("job {} was changed meanwhile", job.job_id)),
        Refused::Job(None) | Refused::Other(..) => {
            Error::Damaged("a row is not as it was written".to_owned())
        }
    }
}
