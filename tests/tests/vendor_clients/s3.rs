//! S3, against boto3.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_publishers::s3::{S3Config, S3Store};
use kubeassume_tests::{Essence, Moto, Recorded, Recorder, Row, Testbed, Versitygw, essence, vendor};
use serde_json::{Value, json};

use super::{BUCKET, KEY, assert_differences, create_bucket, json_of, statuses, tls, use_store};

/// Without times and signatures; each header that is signed is a part of its own.
fn s3_parts(request: &Recorded) -> Essence {
    let mut parts = essence(request, |name, value| match name {
        "x-amz-date" => "<date>".to_owned(),
        _ => value.to_owned(),
    });
    let authorization = request.header("authorization").unwrap();
    let field = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap();
        rest.split([',', ' ']).next().unwrap().trim_start_matches('=')
    };
    let (key, scope) = field("Credential").split_once('/').unwrap();
    let (_, scope) = scope.split_once('/').unwrap();
    parts.insert("authorization".to_owned(), json!(format!("{key} <date> {scope}")));
    for name in field("SignedHeaders").split(';') {
        parts.insert(format!("signed {name}"), json!(true));
    }
    parts
}

#[tokio::test(flavor = "multi_thread")]
async fn our_s3_requests_are_boto3s() {
    let row = Row::begin("s3", "requests equal boto3's", Versitygw::VERSION);
    let bed = Testbed::new("s3-boto3");
    let gateway = bed.versitygw().await;
    gateway.public_bucket(BUCKET, &[KEY]).await;
    let recorder = Recorder::in_front_of(&bed, &gateway.url()).await;
    let put = |body: &str, precondition: &str, value: &str| {
        json!({"operation": "put_object", "arguments": {"Bucket": BUCKET, "Key": KEY, "Body": body, precondition: value,
            "ContentType": "application/jwk-set+json", "CacheControl": "public, max-age=300",
            "Metadata": {"kubeassume-generation": "7"}}})
    };
    let get = json!({"operation": "get_object", "arguments": {"Bucket": BUCKET, "Key": KEY}});
    let order = json!({"endpoint": recorder.url(), "ca_file": bed.pki().ca_file(), "region": gateway.region(),
        "access_key": gateway.access_key(), "secret_key": gateway.secret_key(), "calls": [
        put("one", "IfNoneMatch", "*"), put("two", "IfNoneMatch", "*"), get,
        {"operation": "list_objects_v2", "arguments": {"Bucket": BUCKET, "Prefix": "c1/"}},
        put("three", "IfMatch", "<last>"), get,
        {"operation": "delete_object", "arguments": {"Bucket": BUCKET, "Key": KEY, "IfMatch": "<last>"}}]});
    let outcomes = vendor("s3", &order, &[]).await;
    assert_eq!(
        statuses(&outcomes),
        [200, 412, 200, 200, 200, 200, 204],
        "{outcomes:#}"
    );
    assert_eq!(outcomes[1]["code"], "PreconditionFailed");
    assert_eq!(outcomes[2]["body"], "one");
    let theirs: Vec<Essence> = recorder.take().iter().map(s3_parts).collect();

    let config = S3Config {
        bucket: BUCKET.to_owned(),
        region: Some(gateway.region().to_owned()),
        endpoint: Some(recorder.url().to_owned()),
        force_path_style: true,
        prefix: Some("c1".to_owned()),
        ..S3Config::default()
    };
    let credentials = Credentials::new(gateway.access_key(), gateway.secret_key(), None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    let store = S3Store::open_with(&config, &tls(&bed), credentials)
        .await
        .unwrap();
    use_store(&store).await;
    let ours: Vec<Essence> = recorder.take().iter().map(s3_parts).collect();
    assert_differences(&ours, &theirs, &S3);
    row.passed();
}

/// A telling name in the query, telemetry and a length that ours signs too, an announcement for gigabytes, and a listing
/// whose names are escaped.
const S3: [&str; 8] = [
    "?encoding-type: theirs alone, url",
    "?x-id: ours alone, DeleteObject",
    "?x-id: ours alone, GetObject",
    "?x-id: ours alone, PutObject",
    "expect: theirs alone, 100-continue",
    "path: ours /issuer/, theirs /issuer",
    "signed content-length: ours alone, true",
    "signed x-amz-user-agent: ours alone, true",
];

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_that_make_a_bucket_are_boto3s() {
    let row = Row::begin("bucket s3", "requests equal boto3's", Moto::VERSION);
    let bed = Testbed::new("s3-bucket-boto3");
    let (ours_on, theirs_on) = (bed.moto().await, bed.moto().await);
    let recorder = Recorder::in_front_of(&bed, ours_on.url()).await;
    let ca_file = bed.pki().ca_file().to_str().unwrap();
    let arguments = [
        "--bucket",
        BUCKET,
        "--region",
        "eu-central-1",
        "--prefix",
        "c1",
        "--writer",
        "arn:aws:iam::123456789012:role/publisher",
        "--endpoint",
        recorder.url(),
        "--force-path-style",
        "--dialect",
        "amazon",
        "--cacert",
        ca_file,
    ];
    let environment = [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
    ];
    let made = json_of(&create_bucket("s3", &arguments, &environment).await);
    let ours: Vec<Recorded> = writes(&recorder);
    let whats: Vec<&str> = made["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        whats,
        ["bucket", "versioning", "public access", "policy"],
        "{made:#}"
    );
    let again = Row::begin("bucket s3", "a second run finds nothing to do", Moto::VERSION);
    let ended = create_bucket("s3", &arguments, &environment).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        said.contains("GetBucketVersioning failed") && said.contains("cannot be read"),
        "{said}"
    );
    assert_eq!(writes(&recorder).len(), 0);
    again.not_shown("its GetBucketVersioning answers another element than S3's");

    let policy = String::from_utf8(ours.last().unwrap().body.to_vec()).unwrap();
    let call = |operation: &str, more: Value| {
        let mut arguments = json!({"Bucket": BUCKET});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"operation": operation, "arguments": arguments})
    };
    let recorder = Recorder::in_front_of(&bed, theirs_on.url()).await;
    let order = json!({"endpoint": recorder.url(), "ca_file": ca_file, "region": "eu-central-1",
        "access_key": "testing", "secret_key": "testing", "calls": [
        call("create_bucket", json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-central-1"}})),
        call("put_bucket_versioning", json!({"VersioningConfiguration": {"Status": "Enabled"}})),
        call("put_public_access_block", json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": true,
            "IgnorePublicAcls": true, "BlockPublicPolicy": false, "RestrictPublicBuckets": false}})),
        call("put_bucket_policy", json!({"Policy": policy}))]});
    let outcomes = vendor("s3", &order, &[]).await;
    assert!(
        statuses(&outcomes)
            .iter()
            .all(|status| matches!(status, 200 | 204)),
        "{outcomes:#}"
    );
    let theirs: Vec<Essence> = writes(&recorder).iter().map(bucket_parts).collect();
    let ours: Vec<Essence> = ours.iter().map(bucket_parts).collect();
    assert_differences(&ours, &theirs, &MAKING);
    row.passed();
}

/// As above, and a content type, which theirs leaves out.
const MAKING: [&str; 6] = [
    "content-type: ours alone, application/xml",
    "content-type: ours alone, text/plain",
    "path: ours /issuer/, theirs /issuer",
    "signed content-length: ours alone, true",
    "signed content-type: ours alone, true",
    "signed x-amz-user-agent: ours alone, true",
];

fn writes(recorder: &Recorder) -> Vec<Recorded> {
    let mut requests = recorder.take();
    requests.retain(|request| request.method == "PUT");
    requests
}

/// Two servers, so two hosts; elements of XML in any order, so two checksums.
fn bucket_parts(request: &Recorded) -> Essence {
    let mut parts = s3_parts(request);
    parts.remove("host");
    let body = parts.get("body").and_then(Value::as_str).unwrap_or_default();
    if body.starts_with('<') {
        let mut elements: Vec<&str> = body.split('<').collect();
        elements.sort_unstable();
        let elements = json!(elements);
        parts.insert("body".to_owned(), elements);
        for checksum in ["x-amz-checksum-crc32", "x-amz-content-sha256"] {
            parts
                .entry(checksum.to_owned())
                .and_modify(|value| *value = json!("<checksum>"));
        }
    }
    parts
}
