//! Our requests to S3, Cloud Storage and Azure's Blob service against those of the vendors' own clients, on the same
//! server.
//!
//! Each difference is listed by name; one more is a failure. Oracle's are in `oci_sdk.rs`, the exchanges of tokens in
//! `google_federation.rs` and `entra.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::sync::Arc;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use kubeassume_cloud::google;
use kubeassume_core::store::{DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition};
use kubeassume_publishers::Tls;
use kubeassume_publishers::azure::{AzureConfig, AzureStore};
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_publishers::s3::{S3Config, S3Store};
use kubeassume_tests::{
    Azurite, Essence, FakeGcs, Recorded, Recorder, Row, Testbed, Versitygw, differences, essence, vendor,
};
use serde_json::{Value, json};

const KEY: &str = "c1/openid/v1/jwks";

fn document(body: &'static str) -> NewDocument {
    NewDocument {
        bytes: body.into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

fn tls(bed: &Testbed) -> Tls {
    Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    }
}

fn statuses(outcomes: &Value) -> Vec<u64> {
    let outcomes = outcomes.as_array().unwrap().iter();
    outcomes
        .map(|outcome| outcome["status"].as_u64().unwrap())
        .collect()
}

/// Create, refused create, read, list, replace, and what a store needs of reading before and after deleting.
async fn use_store(store: &dyn DocumentStore) {
    let path = DocumentPath::JWKS;
    store
        .put(&path, &document("one"), &Precondition::Absent)
        .await
        .unwrap();
    store
        .put(&path, &document("two"), &Precondition::Absent)
        .await
        .unwrap_err();
    let stored = store.get(&path).await.unwrap().unwrap();
    assert_eq!(&stored.bytes[..], b"one");
    store.list().await.unwrap();
    let replaced = Precondition::Matches(stored.version);
    let last = store.put(&path, &document("three"), &replaced).await.unwrap();
    store.delete(&path, &last).await.unwrap();
}

#[track_caller]
fn assert_differences(ours: &[Essence], theirs: &[Essence], expected: &[&str]) {
    let differences = differences(ours, theirs);
    let differences: Vec<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(differences, expected, "{differences:#?}");
}

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
    gateway.public_bucket("issuer", &[KEY]).await;
    let recorder = Recorder::in_front_of(&bed, &gateway.url()).await;
    let put = |body: &str, precondition: &str, value: &str| {
        json!({"operation": "put_object", "arguments": {"Bucket": "issuer", "Key": KEY, "Body": body, precondition: value,
            "ContentType": "application/jwk-set+json", "CacheControl": "public, max-age=300",
            "Metadata": {"kubeassume-generation": "7"}}})
    };
    let get = json!({"operation": "get_object", "arguments": {"Bucket": "issuer", "Key": KEY}});
    let order = json!({"endpoint": recorder.url(), "ca_file": bed.pki().ca_file(), "region": gateway.region(),
        "access_key": gateway.access_key(), "secret_key": gateway.secret_key(), "calls": [
        put("one", "IfNoneMatch", "*"), put("two", "IfNoneMatch", "*"), get,
        {"operation": "list_objects_v2", "arguments": {"Bucket": "issuer", "Prefix": "c1/"}},
        put("three", "IfMatch", "<last>"), get,
        {"operation": "delete_object", "arguments": {"Bucket": "issuer", "Key": KEY, "IfMatch": "<last>"}}]});
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
        bucket: "issuer".to_owned(),
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

/// Without the token, and without generations and checksums, which are new each time.
fn gcs_parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "authorization" => value.split(' ').next().unwrap().to_owned(),
        "?ifGenerationMatch" | "?generation" if value != "0" => "<generation>".to_owned(),
        "part 0.crc32c" => "<checksum>".to_owned(),
        _ => value.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_gcs_requests_are_those_of_googles_own_client() {
    let row = Row::begin("gcs", "requests equal google-cloud-storage's", FakeGcs::VERSION);
    let bed = Testbed::new("google-requests");
    let google = bed.google().await;
    google.create_bucket("issuer", &[]).await;
    let upload = |body: &str, generation: Value| {
        json!({"does": "upload", "name": KEY, "body": body, "generation": generation,
            "content_type": "application/jwk-set+json", "cache_control": "public, max-age=300",
            "metadata": {"kubeassume-generation": "7"}})
    };
    let named = |does: &str| json!({"does": does, "name": KEY, "generation": "<last>"});
    let order = json!({"endpoint": google.url(), "ca_file": bed.pki().ca_file(), "token": google.administrator(),
        "project": "project-1", "bucket": "issuer", "calls": [upload("one", json!(0)), upload("two", json!(0)),
        named("attributes"), named("download"), {"does": "list", "prefix": "c1/"},
        upload("three", json!("<last>")), named("delete")]});
    let outcomes = vendor("gcs", &order, &[]).await;
    let statuses: Vec<_> = outcomes
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| &outcome["status"])
        .collect();
    assert_eq!(statuses, [200, 412, 200, 200, 200, 200, 200], "{outcomes:#}");
    assert_eq!(outcomes[3]["body"], "one");
    assert_eq!(outcomes[4]["names"], json!([KEY]));
    let mut theirs: Vec<Essence> = google.take().iter().map(gcs_parts).collect();
    // Before its first upload it looks at the bucket; ours needs no permission for that.
    assert_eq!(theirs.remove(0)["path"], "/storage/v1/b/issuer");

    let config = GcsConfig {
        bucket: "issuer".to_owned(),
        endpoint: Some(google.url()),
        prefix: Some("c1".to_owned()),
        ..GcsConfig::default()
    };
    let token = google::Credentials::token(google.administrator().to_owned().into());
    use_store(&GcsStore::open_with(&config, &tls(&bed), token).unwrap()).await;
    let ours: Vec<Essence> = google.take().iter().map(gcs_parts).collect();
    assert_differences(&ours, &theirs, &GCS);
    row.passed();
}

/// We ask for the fields that we read, where theirs takes all; theirs adds a checksum, and downloads from another of the
/// two paths. The rest is what it says by default.
const GCS: [&str; 10] = [
    "?fields: ours alone, generation",
    "?fields: ours alone, generation,contentType,cacheControl,metadata",
    "?prettyPrint: theirs alone, false",
    "?projection: theirs alone, noAcl",
    "content-type: theirs alone, application/json; charset=UTF-8",
    "part 0.contentType: ours alone, application/jwk-set+json",
    "part 0.crc32c: theirs alone, <checksum>",
    "path: ours /storage/v1/b/issuer/o/c1%2Fopenid%2Fv1%2Fjwks, theirs /download/storage/v1/b/issuer/o/c1%2Fopenid%2Fv1%2Fjwks",
    "x-upload-content-type: theirs alone, application/json; charset=UTF-8",
    "x-upload-content-type: theirs alone, application/jwk-set+json",
];

/// A token that the emulator takes.
#[derive(Debug)]
struct Token(String);

#[async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.clone(), OffsetDateTime::now_utc()))
    }
}

fn azure_parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "x-ms-date" => "<date>".to_owned(),
        "if-match" => "<etag>".to_owned(),
        "authorization" => value.split(' ').next().unwrap().to_owned(),
        _ => value.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_blob_requests_are_those_of_azures_own_client() {
    let row = Row::begin("azure", "requests equal azure-storage-blob's", Azurite::VERSION);
    let bed = Testbed::new("azure-client");
    let azurite = bed.azurite().await;
    azurite.private_container("oidc").await;
    let recorder = Recorder::in_front_of(&bed, azurite.url().trim_end_matches("/kubeassume")).await;
    let endpoint = format!("{}/{}", recorder.url(), azurite.account());
    let upload = |body: &str, precondition: &str| {
        json!({"does": "upload", "name": KEY, "body": body, "if": precondition,
            "content_type": "application/jwk-set+json", "cache_control": "public, max-age=300",
            "metadata": {"kubeassume_generation": "7"}})
    };
    let order = json!({"endpoint": endpoint, "ca_file": bed.pki().ca_file(), "token": azurite.token(),
        "container": "oidc", "window": MAX_DOCUMENT_BYTES, "calls": [upload("one", "absent"), upload("two", "absent"),
        {"does": "download", "name": KEY}, {"does": "list", "prefix": "c1/"}, upload("three", "<last>"),
        {"does": "delete", "name": KEY, "if": "<last>"}]});
    let outcomes = vendor("azure", &order, &[]).await;
    assert_eq!(
        statuses(&outcomes),
        [200, 409, 200, 200, 200, 200],
        "{outcomes:#}"
    );
    assert_eq!(outcomes[1]["code"], "BlobAlreadyExists");
    assert_eq!(outcomes[2]["body"], "one");
    assert_eq!(outcomes[3]["names"], json!([KEY]));
    let theirs: Vec<Essence> = recorder.take().iter().map(azure_parts).collect();

    let config = AzureConfig {
        storage_account: azurite.account().to_owned(),
        container: "oidc".to_owned(),
        endpoint: Some(endpoint),
        prefix: Some("c1".to_owned()),
        ..AzureConfig::default()
    };
    let store = AzureStore::open_with(&config, &tls(&bed), Arc::new(Token(azurite.token()))).unwrap();
    use_store(&store).await;
    let ours: Vec<Essence> = recorder.take().iter().map(azure_parts).collect();
    assert_differences(&ours, &theirs, &AZURE);
    row.passed();
}

/// Slashes in a blob's name are the same encoded or not, and both range headers are read; the version is that of the
/// client's release.
const AZURE: [&str; 5] = [
    "path: ours /kubeassume/oidc/c1%2Fopenid%2Fv1%2Fjwks, theirs /kubeassume/oidc/c1/openid/v1/jwks",
    "range: ours alone, bytes=0-1048575",
    "x-ms-date: theirs alone, <date>",
    "x-ms-range: theirs alone, bytes=0-1048575",
    "x-ms-version: ours 2026-04-06, theirs 2026-10-06",
];
