//! The SDK's clients, set up once.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{
    RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use ports::Clock;
use ports::tables::Table;

use crate::retry::Timing;
use crate::{Bucket, BucketAdmin, DynamoTables, Options, TableAdmin};

/// Both services, as the options say. Cheap to clone; everything made from one shares its connections.
#[derive(Clone)]
pub struct Aws {
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    options: Options,
    timing: Timings,
}

/// Each service has its own.
#[derive(Clone)]
struct Timings {
    s3: Timing,
    dynamodb: Timing,
}

/// What stands in the place of the network and of the machine's clock.
#[derive(Default)]
pub(crate) struct Doubles {
    pub http: Option<SharedHttpClient>,
    pub time: Option<SharedTimeSource>,
}

/// A clock, as the SDK asks for the time.
struct ByClock(Arc<dyn Clock>);

impl TimeSource for ByClock {
    fn now(&self) -> SystemTime {
        let millis = u64::try_from(self.0.now().as_millis()).unwrap_or(0);
        UNIX_EPOCH + Duration::from_millis(millis)
    }
}

impl fmt::Debug for ByClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ByClock")
    }
}

impl Aws {
    /// Sets the clients up. Sends nothing to either service; looking for credentials may read files.
    pub async fn new(options: &Options) -> Self {
        Self::with_doubles(options, Doubles::default()).await
    }

    /// The same; requests are signed with this clock's time.
    pub async fn by_clock(options: &Options, clock: Arc<dyn Clock>) -> Self {
        let time = Some(SharedTimeSource::new(ByClock(clock)));
        Self::with_doubles(options, Doubles { time, http: None }).await
    }

    pub(crate) async fn with_doubles(options: &Options, doubles: Doubles) -> Self {
        let shared = shared(options, doubles).await;
        let mut s3 = aws_sdk_s3::config::Builder::from(&shared)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &options.s3.endpoint {
            s3 = s3.endpoint_url(endpoint).force_path_style(true);
        }
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(&shared);
        if let Some(endpoint) = &options.dynamodb.endpoint {
            dynamodb = dynamodb.endpoint_url(endpoint);
        }
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb.build()),
            options: options.clone(),
            timing: Timings { s3: Timing::of("s3", options), dynamodb: Timing::of("dynamodb", options) },
        }
    }

    #[cfg(test)]
    pub(crate) fn s3_for_tests(&self) -> &aws_sdk_s3::Client {
        &self.s3
    }

    /// The bucket of vendors' own bytes.
    pub fn raw(&self) -> Bucket {
        self.bucket(&self.options.s3.raw_bucket)
    }

    /// The bucket of normalized objects.
    pub fn normalized(&self) -> Bucket {
        self.bucket(&self.options.s3.normalized_bucket)
    }

    /// The bucket of suppliers' documents, what was read in them, and plans.
    pub fn invoices(&self) -> Bucket {
        self.bucket(&self.options.s3.invoices_bucket)
    }

    /// Any bucket.
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(self.s3.clone(), name, self.timing.s3.clone())
    }

    /// The tables.
    pub fn tables(&self) -> DynamoTables {
        DynamoTables::new(
            self.dynamodb.clone(),
            &self.options.dynamodb.table_prefix,
            self.timing.dynamodb.clone(),
        )
    }

    /// What makes tables.
    pub fn table_admin(&self, tables: &[&'static Table]) -> TableAdmin {
        TableAdmin::new(self.dynamodb.clone(), &self.options.dynamodb, self.timing.dynamodb.clone(), tables)
    }

    /// What makes the three buckets.
    pub fn bucket_admin(&self) -> BucketAdmin {
        let s3 = &self.options.s3;
        self.bucket_admin_of(&[&s3.raw_bucket, &s3.normalized_bucket, &s3.invoices_bucket])
    }

    /// What makes any buckets.
    pub fn bucket_admin_of(&self, buckets: &[&str]) -> BucketAdmin {
        BucketAdmin::new(self.s3.clone(), &self.options.region, self.timing.s3.clone(), buckets)
    }
}

async fn shared(options: &Options, doubles: Doubles) -> SdkConfig {
    // How long a call takes as a whole, and how often it is tried, is `retry`'s business.
    let timeouts = TimeoutConfig::builder().connect_timeout(options.connect_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(options.region.clone()))
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    if let Some(fixed) = &options.credentials {
        let credentials = aws_sdk_s3::config::Credentials::new(
            &fixed.access_key,
            &fixed.secret_key,
            None,
            None,
            "dvss configuration",
        );
        loader = loader.credentials_provider(credentials);
    }
    if let Some(http) = doubles.http {
        loader = loader.http_client(http);
    }
    if let Some(time) = doubles.time {
        loader = loader.time_source(time);
    }
    loader.load().await
}
