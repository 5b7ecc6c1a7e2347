//! Buckets: there, and with versioning, so that nothing that was written is ever gone.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use ports::blobs::Error;

use crate::fault::{self, Fault};
use crate::retry::{Timing, Twice};

/// The one region whose name S3 refuses as a location.
const DEFAULT_REGION: &str = "us-east-1";

/// Plans and makes buckets. Deletes nothing and turns nothing off.
pub struct BucketAdmin {
    client: Client,
    region: String,
    timing: Timing,
    buckets: Vec<String>,
}

/// What one bucket lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketPlan {
    /// The bucket.
    pub bucket: String,
    /// What would be done, in this order; empty where nothing lacks.
    pub steps: Vec<BucketStep>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketStep {
    /// The bucket is not there.
    Create,
    /// The bucket overwrites objects without keeping them.
    EnableVersioning,
}

impl BucketAdmin {
    pub(crate) fn new(client: Client, region: &str, timing: Timing, buckets: &[&str]) -> Self {
        let buckets = buckets.iter().map(|name| (*name).to_owned()).collect();
        Self { client, region: region.to_owned(), timing, buckets }
    }

    /// What every bucket lacks.
    pub async fn plan(&self) -> Result<Vec<BucketPlan>, Error> {
        let mut plans = Vec::with_capacity(self.buckets.len());
        for bucket in &self.buckets {
            let steps = match self.versioning(bucket).await? {
                None => vec![BucketStep::Create, BucketStep::EnableVersioning],
                Some(false) => vec![BucketStep::EnableVersioning],
                Some(true) => vec![],
            };
            plans.push(BucketPlan { bucket: bucket.clone(), steps });
        }
        Ok(plans)
    }

    /// Does what a plan says and returns what then still lacks.
    pub async fn apply(&self) -> Result<Vec<BucketPlan>, Error> {
        for BucketPlan { bucket, steps } in self.plan().await? {
            for step in steps {
                tracing::info!(bucket, ?step, "bucket");
                match step {
                    BucketStep::Create => self.create(&bucket).await?,
                    BucketStep::EnableVersioning => self.enable_versioning(&bucket).await?,
                }
            }
        }
        self.plan().await
    }

    /// Whether a bucket keeps versions; `None` where there is no bucket.
    async fn versioning(&self, bucket: &str) -> Result<Option<bool>, Error> {
        let ask = || async {
            match self.client.get_bucket_versioning().bucket(bucket).send().await {
                Ok(answer) => Ok(Some(answer.status == Some(BucketVersioningStatus::Enabled))),
                Err(error) if error.code() == Some("NoSuchBucket") => Ok(None),
                Err(error) => Err(fault::of(&error)),
            }
        };
        self.repeat(ask).await
    }

    async fn create(&self, bucket: &str) -> Result<(), Error> {
        let location = (self.region != DEFAULT_REGION).then(|| {
            let region = BucketLocationConstraint::from(self.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(region).build()
        });
        let make = || async {
            let request = self.client.create_bucket().bucket(bucket);
            match request.set_create_bucket_configuration(location.clone()).send().await {
                Ok(_) => Ok(()),
                Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
                Err(error) => Err(fault::of(&error)),
            }
        };
        self.repeat(make).await
    }

    async fn enable_versioning(&self, bucket: &str) -> Result<(), Error> {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let enable = || async {
            let request = self.client.put_bucket_versioning().bucket(bucket);
            let answer = request.versioning_configuration(enabled.clone()).send().await;
            answer.map(drop).map_err(|error| fault::of(&error))
        };
        self.repeat(enable).await
    }

    /// None of these does harm when it is done twice.
    async fn repeat<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut call = self.timing.begin(Twice::Harmless).await?;
        loop {
            match call.attempt(attempt()).await {
                Ok(value) => return Ok(value),
                Err(fault) => call.again(fault).await?,
            }
        }
    }
}
