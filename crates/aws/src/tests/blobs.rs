//! S3, real.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::base64;
use bytes::Bytes;
use contract::{Fingerprint, Timestamp};
use ports::Blobs;
use ports::blobs::{Condition, Error, Metadata, Presigned, Upload};

use super::{stack, unique};
use crate::{Aws, Bucket, BucketStep, Credentials, Options};

/// A bucket of its own for every test.
async fn bucket() -> Option<(Aws, Bucket)> {
    let aws = Aws::new(&stack()?).await;
    let name = unique("suite");
    let plans = aws.bucket_admin_of(&[&name]).apply().await.expect("a bucket");
    assert!(plans.iter().all(|plan| plan.steps.is_empty()), "{plans:?}");
    let bucket = aws.bucket(&name);
    Some((aws, bucket))
}

async fn open() -> Option<(Arc<dyn Blobs>, Aws)> {
    bucket().await.map(|(aws, bucket)| (Arc::new(bucket) as Arc<dyn Blobs>, aws))
}

mod suite {
    ports::blobs_suite!(super::open);
}

#[tokio::test]
async fn a_bucket_is_planned_and_made_with_versions() {
    let Some(options) = stack() else { return };
    let aws = Aws::new(&options).await;
    let name = unique("planned");
    let admin = aws.bucket_admin_of(&[&name]);
    let steps =
        |plans: Vec<crate::BucketPlan>| plans.into_iter().flat_map(|plan| plan.steps).collect::<Vec<_>>();
    let missing = [BucketStep::Create, BucketStep::EnableVersioning];
    assert_eq!(steps(admin.plan().await.expect("a plan")), missing);
    let get = aws.bucket(&name).get("x").await;
    assert_eq!(get, Err(Error::Invalid(format!("there is no bucket {name}"))));
    assert_eq!(steps(admin.apply().await.expect("a bucket")), []);
    assert_eq!(steps(admin.apply().await.expect("twice is harmless")), []);

    // A replaced object is still there as a version.
    let bucket = aws.bucket(&name);
    let put =
        |bytes: &'static str, condition| bucket.put("x", Bytes::from(bytes), Metadata::new(), condition);
    let first = put("first", Condition::Absent).await.expect("a put");
    put("second", Condition::Match(first)).await.expect("a replacement");
    let versions = aws.s3_for_tests().list_object_versions().bucket(&name).send().await.expect("versions");
    assert_eq!(versions.versions().len(), 2);
}

#[tokio::test]
async fn wrong_credentials_are_denied_and_said_so() {
    let Some(options) = stack() else { return };
    let known = options.credentials.clone().expect("credentials");
    for (access_key, secret_key) in
        [("nobody".to_owned(), known.secret_key.clone()), (known.access_key, "wrong".to_owned())]
    {
        let credentials = Some(Credentials { access_key, secret_key });
        let aws = Aws::new(&Options { credentials, ..options.clone() }).await;
        let put = aws.bucket("any").put("x", Bytes::new(), Metadata::new(), Condition::Absent).await;
        assert!(matches!(&put, Err(Error::Denied(text)) if !text.is_empty()), "{put:?}");
        assert!(matches!(aws.bucket("any").get("x").await, Err(Error::Denied(_))));
        assert!(matches!(aws.bucket_admin().plan().await, Err(Error::Denied(_))));
    }
}

struct Ahead(Duration);

impl ports::Clock for Ahead {
    #[expect(clippy::disallowed_methods, reason = "a clock that is off")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970") + self.0;
        Timestamp::from_millis(i64::try_from(since.as_millis()).expect("not yet")).expect("a time")
    }
}

#[tokio::test]
async fn a_clock_that_is_off_costs_one_request() {
    let Some((_, there)) = bucket().await else { return };
    let options = stack().expect("it was there");
    let aws = Aws::by_clock(&options, Arc::new(Ahead(Duration::from_hours(2)))).await;
    let bucket = aws.bucket(there.bucket());
    bucket.put("x", Bytes::from("x"), Metadata::new(), Condition::Absent).await.expect("a put");
    assert_eq!(bucket.get("x").await.expect("an object").bytes, "x");
}

#[tokio::test]
async fn a_signed_put_is_of_one_object_and_once() {
    let Some((_aws, bucket)) = bucket().await else { return };
    let bytes = "an invoice";
    let upload = |key: &str| Upload {
        key: key.to_owned(),
        length: bytes.len() as u64,
        content_type: "application/pdf".to_owned(),
        sha256: Some(Fingerprint::of_bytes(bytes.as_bytes())),
        expires: Duration::from_mins(5),
    };
    let send = |signed: Presigned, body: &'static str, changed: Option<(&'static str, &'static str)>| async move {
        let mut request = reqwest::Client::new().put(signed.url).body(body);
        for (name, value) in signed.headers {
            let value =
                changed.filter(|(changed, _)| *changed == name).map_or(value, |(_, value)| value.to_owned());
            request = request.header(name, value);
        }
        request.send().await.expect("an answer").status().as_u16()
    };
    let sign = |upload: Upload| {
        let bucket = bucket.clone();
        async move { bucket.presign(&upload).await.map(|signed| signed.expect("S3 has a door of its own")) }
    };
    let signed = sign(upload("a")).await.expect("a signature");
    for name in ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"] {
        assert!(signed.headers.iter().any(|(signed, _)| signed == name), "{name}: {signed:?}");
        assert!(signed.url.contains(name), "{name} is not signed: {}", signed.url);
    }
    assert!(!format!("{signed:?}").contains("Signature"), "{signed:?}");
    let other = [
        ("another body", None),
        (bytes, Some(("content-type", "text/html"))),
        (bytes, Some(("if-none-match", "\"x\""))),
        ("an INVOICE", None),
    ];
    for (body, changed) in other {
        let status = send(sign(upload("b")).await.expect("a signature"), body, changed).await;
        assert!((400..500).contains(&status), "{body} {changed:?}: {status}");
        assert_eq!(bucket.get("b").await, Err(Error::NotFound), "{body} {changed:?}");
    }
    assert_eq!(send(signed.clone(), bytes, None).await, 200);
    assert_eq!(send(signed, bytes, None).await, 412);
    assert_eq!(bucket.get("a").await.expect("an object").bytes, bytes);

    for expires in [Duration::ZERO, Duration::from_hours(8 * 24)] {
        assert!(matches!(sign(Upload { expires, ..upload("c") }).await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_sum_are_not_taken() {
    let Some((aws, bucket)) = bucket().await else { return };
    let request =
        aws.s3_for_tests().put_object().bucket(bucket.bucket()).key("x").body(Bytes::from("x").into());
    let other = base64::encode(Fingerprint::of_bytes(b"y").as_bytes());
    let error = request.checksum_sha256(other).send().await.expect_err("S3 checks the sum");
    assert!(matches!(crate::fault::of(&error), crate::fault::Fault::Unknown(_)), "{error:?}");
    assert_eq!(bucket.get("x").await, Err(Error::NotFound));
    // Without a sum of ours, nobody can say that the bytes are right.
    let request =
        aws.s3_for_tests().put_object().bucket(bucket.bucket()).key("x").body(Bytes::from("x").into());
    request.send().await.expect("a put without a sum");
    assert_eq!(bucket.get("x").await, Err(Error::Corrupt));
}
