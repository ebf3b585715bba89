//! Our signatures, addresses and requests against those of Oracle's own Python SDK.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, Uri};
use kubeassume_cloud::http::HttpClient;
use kubeassume_cloud::oci::{Content, Credential, Credentials, Environment, SecurityToken, SigningKey};
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition};
use kubeassume_publishers::Tls;
use kubeassume_publishers::oci::{OciConfig, OciStore};
use kubeassume_tests::{
    Binary, Essence, OCI_BUCKET, OCI_NAMESPACE, OciFake, Recorded, Row, Testbed, binary, differences,
    essence, sdk,
};
use serde_json::{Value, json};

const COMPARTMENT: &str = "ocid1.compartment.oc1..aaaa";
const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

fn at_date() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn api_key(fake: &OciFake) -> Credential {
    let key = fake.key();
    let signing = SigningKey::from_pem(key.pem.as_bytes(), None).unwrap();
    Credential::api_key(key.tenancy, key.user, key.fingerprint, signing)
}

fn sdk_key(fake: &OciFake) -> Value {
    let key = fake.key();
    json!({"tenancy": key.tenancy, "user": key.user, "fingerprint": key.fingerprint, "pem": key.pem})
}

/// Same key, same date, same request: same bytes.
async fn assert_signs_the_same(
    credential: &Credential,
    key: &Value,
    method: &Method,
    url: &str,
    body: &str,
    whole: bool,
) {
    let content = match whole {
        true => Content::Json(body.as_bytes()),
        false => Content::Unsigned,
    };
    let (uri, mut headers): (Uri, _) = (url.parse().unwrap(), HeaderMap::new());
    credential
        .sign(method, &uri, &mut headers, content, at_date())
        .unwrap();
    let order = json!({"key": key, "method": method.as_str(), "url": url, "body": body, "signs_body": whole,
        "headers": {"date": DATE}});
    let theirs = sdk("sign", &order, &[]).await;
    let signed = match whole {
        true => &[
            "authorization",
            "date",
            "content-length",
            "content-type",
            "x-content-sha256",
        ][..],
        false => &["authorization", "date"],
    };
    for name in signed {
        assert_eq!(
            headers[*name].to_str().unwrap(),
            theirs[name],
            "{name} of {method} {url}"
        );
    }
    assert_eq!(
        theirs.get("x-content-sha256").is_some(),
        headers.contains_key("x-content-sha256"),
        "{method} {url}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn our_signatures_are_the_sdks_byte_for_byte() {
    let row = Row::begin("oci", "signatures equal the OCI SDK's", OciFake::VERSION);
    let bed = Testbed::new("oci-sign");
    let fake = bed.oci().await;
    let (credential, key) = (api_key(&fake), sdk_key(&fake));
    let object = "https://objectstorage.eu-frankfurt-1.oraclecloud.com/n/ns/b/keys/o/c1%2Fopenid%2Fv1%2Fjwks";
    let list = "https://localhost:8443/n/ns/b/keys/o?limit=1000&prefix=c1%2F";
    let other = "https://idcs.example.com/admin/v1/IdentityPropagationTrusts";
    assert_signs_the_same(&credential, &key, &Method::PUT, object, "{\"keys\":[]}", false).await;
    assert_signs_the_same(&credential, &key, &Method::GET, list, "", false).await;
    assert_signs_the_same(&credential, &key, &Method::DELETE, object, "", false).await;
    assert_signs_the_same(
        &credential,
        &key,
        &Method::POST,
        other,
        "{\"type\": \"JWT\"}",
        true,
    )
    .await;
    assert_signs_the_same(&credential, &key, &Method::PATCH, other, "{}", true).await;

    let token = "e30.eyJleHAiOjk5OTk5OTk5OTl9.c2ln";
    let signing = SigningKey::from_pem(fake.key().pem.as_bytes(), None).unwrap();
    let session = Credential::session(SecurityToken::parse(token).unwrap(), signing);
    let key = json!({"token": token, "pem": fake.key().pem});
    assert_signs_the_same(&session, &key, &Method::PUT, object, "{}", false).await;
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_read_in_every_form_that_the_sdk_reads() {
    let bed = Testbed::new("oci-keys");
    let fake = bed.oci().await;
    let passphrase = "correct horse";
    let order = json!({"pem": fake.key().pem, "passphrase": passphrase});
    let forms = sdk("keys", &order, &[]).await;
    let expected = SigningKey::from_pem(fake.key().pem.as_bytes(), None)
        .unwrap()
        .public_key();
    let forms: BTreeMap<String, String> = serde_json::from_value(forms).unwrap();
    assert_eq!(forms.len(), 4);
    for (name, pem) in forms {
        let read = |passphrase: Option<&str>| {
            let passphrase = passphrase.map(|text| text.to_owned().into());
            SigningKey::from_pem(pem.as_bytes(), passphrase.as_ref())
        };
        assert_eq!(read(Some(passphrase)).unwrap().public_key(), expected, "{name}");
        if name.ends_with("encrypted") {
            assert!(read(None).is_err() && read(Some("wrong")).is_err(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_region_is_where_the_sdk_has_it() {
    let theirs: BTreeMap<String, String> =
        serde_json::from_value(sdk("regions", &Value::Null, &[]).await).unwrap();
    assert!(theirs.len() > 80, "{}", theirs.len());
    for (region, endpoint) in theirs {
        let config = OciConfig {
            bucket: "b".to_owned(),
            namespace: "n".to_owned(),
            region: Some(region.clone()),
            ..OciConfig::default()
        };
        assert_eq!(config.check(), Ok(()), "{region}");
        let ours = config.public_url(&region).unwrap();
        assert_eq!(ours.as_str(), format!("{endpoint}/n/n/b/b/o"), "{region}");
    }
}

fn tls(bed: &Testbed) -> Tls {
    Tls {
        ca_pem: Some(bed.pki().ca_pem().as_bytes().to_vec()),
    }
}

fn config(fake: &OciFake) -> OciConfig {
    OciConfig {
        bucket: OCI_BUCKET.to_owned(),
        namespace: OCI_NAMESPACE.to_owned(),
        region: Some("eu-frankfurt-1".to_owned()),
        endpoint: Some(fake.url()),
        prefix: Some("c1".to_owned()),
        ..OciConfig::default()
    }
}

fn document(body: &'static str) -> NewDocument {
    NewDocument {
        bytes: body.into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

/// Create, refused create, read, list, replace, delete: as the client's arguments.
fn same_calls(fake: &OciFake, bed: &Testbed, strict: bool) -> Value {
    let headers = json!({"content_type": "application/jwk-set+json", "cache_control": "public, max-age=300",
        "opc_meta": {"kubeassume-generation": "7"}});
    let with = |name: &str, value: &str| {
        let mut arguments = headers.clone();
        arguments[name] = json!(value);
        arguments
    };
    let place = json!(["c1/openid/v1/jwks"]);
    json!({"key": sdk_key(fake), "endpoint": fake.url(), "ca_file": bed.pki().ca_file(), "strict": strict,
        "namespace": OCI_NAMESPACE, "bucket": OCI_BUCKET, "calls": [
        {"operation": "put_object", "place": place, "body": "one", "arguments": with("if_none_match", "*")},
        {"operation": "put_object", "place": place, "body": "two", "arguments": with("if_none_match", "*")},
        {"operation": "get_object", "place": place},
        {"operation": "list_objects", "arguments": {"limit": 1000, "prefix": "c1/"}},
        {"operation": "put_object", "place": place, "body": "three", "arguments": with("if_match", "<last>")},
        {"operation": "delete_object", "place": place, "arguments": {"if_match": "<last>"}},
    ]})
}

/// Without what is new each time: keys, times, ETags.
fn parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "if-match" => "<etag>".to_owned(),
        "date" => "<date>".to_owned(),
        // Of the body, which is compared; the order of its keys may differ.
        "x-content-sha256" => "<digest>".to_owned(),
        // All but the signature itself, which covers a date.
        "authorization" => value.split(",signature=").next().unwrap().to_owned(),
        _ => value.to_owned(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_are_the_sdks_but_for_a_list_of_differences() {
    let row = Row::begin("oci", "requests equal the OCI SDK's", OciFake::VERSION);
    let bed = Testbed::new("oci-requests");
    let fake = bed.oci().await;
    let outcomes = sdk("calls", &same_calls(&fake, &bed, true), &[]).await;
    let statuses: Vec<u64> = outcomes
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 412, 200, 200, 200, 204], "{outcomes:#}");
    assert_eq!(outcomes[1]["code"], "IfNoneMatchFailed");
    assert_eq!(outcomes[2]["body"], "one");
    assert_eq!(outcomes[3]["names"], json!(["c1/openid/v1/jwks"]));
    let theirs: Vec<_> = fake.requests().iter().map(parts).collect();
    fake.clear();

    let store = OciStore::open_with(&config(&fake), &tls(&bed), Credentials::given(api_key(&fake)))
        .await
        .unwrap();
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
    store.list().await.unwrap();
    let replaced = Precondition::Matches(stored.version);
    let last = store.put(&path, &document("three"), &replaced).await.unwrap();
    store.delete(&path, &last).await.unwrap();
    let ours: Vec<_> = fake.requests().iter().map(parts).collect();
    // All of it harmless: a content type without a content, and an announcement that is of use for gigabytes.
    let differences = differences(&ours, &theirs);
    let differences: Vec<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(
        differences,
        [
            "content-type: theirs alone, application/json",
            "expect: theirs alone, 100-continue"
        ]
    );
    row.passed();
}

/// Makes the bucket, or makes it what it is to be, as the administrator of the tenancy.
async fn bucket_create(bed: &Testbed, fake: &OciFake) {
    let key = fake.key();
    let ended = tokio::process::Command::new(binary(Binary::Cli))
        .args([
            "bucket",
            "create",
            "oci",
            "--bucket",
            OCI_BUCKET,
            "--namespace",
            OCI_NAMESPACE,
        ])
        .args(["--region", "eu-frankfurt-1", "--compartment-id", COMPARTMENT])
        .args([
            "--writer",
            "dynamic-group kubeassume",
            "--endpoint",
            &fake.url(),
            "--cacert",
        ])
        .arg(bed.pki().ca_file())
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("OCI_CLI_AUTH", "api_key")
        .env("OCI_CLI_TENANCY", key.tenancy)
        .env("OCI_CLI_USER", key.user)
        .env("OCI_CLI_FINGERPRINT", key.fingerprint)
        .env("OCI_CLI_KEY_CONTENT", &key.pem)
        .output()
        .await
        .unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn our_requests_that_make_a_bucket_are_the_sdks() {
    let row = Row::begin("bucket oci", "requests equal the OCI SDK's", OciFake::VERSION);
    let bed = Testbed::new("oci-bucket");
    let fake = bed.oci().await;
    let changes = || {
        let requests = fake.requests().into_iter();
        let changes: Vec<Essence> = requests
            .filter(|request| request.method == "POST")
            .map(|request| parts(&request))
            .collect();
        fake.clear();
        changes
    };
    fake.remove_bucket();
    bucket_create(&bed, &fake).await;
    fake.set_bucket("versioning", "Suspended");
    bucket_create(&bed, &fake).await;
    let ours = changes();
    assert_eq!(ours.len(), 2);

    fake.remove_bucket();
    let create = json!({"operation": "create_bucket", "model": "CreateBucketDetails", "fields": {"name": OCI_BUCKET,
        "compartment_id": COMPARTMENT, "public_access_type": "ObjectReadWithoutList", "versioning": "Enabled"}});
    let update = json!({"operation": "update_bucket", "model": "UpdateBucketDetails", "fields": {"versioning": "Enabled"},
        "arguments": {"if_match": "<last>"}});
    let order = json!({"key": sdk_key(&fake), "endpoint": fake.url(), "ca_file": bed.pki().ca_file(), "strict": true,
        "namespace": OCI_NAMESPACE, "bucket": OCI_BUCKET, "calls": [create, update]});
    let outcomes = sdk("calls", &order, &[]).await;
    assert_eq!(
        (&outcomes[0]["status"], &outcomes[1]["status"]),
        (&json!(200), &json!(200)),
        "{outcomes:#}"
    );
    let differences = differences(&ours, &changes());
    assert!(differences.is_empty(), "{differences:#?}");
    row.passed();
}

/// Why a relying party may ask with plain slashes for what we wrote with encoded ones.
#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_itself_sends_plain_slashes_unless_told_otherwise() {
    let bed = Testbed::new("oci-slashes");
    let fake = bed.oci().await;
    sdk("calls", &same_calls(&fake, &bed, false), &[]).await;
    let put = &fake.requests()[0];
    assert_eq!(
        put.target,
        format!("/n/{OCI_NAMESPACE}/b/{OCI_BUCKET}/o/c1/openid/v1/jwks")
    );
    assert_eq!(put.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_identifies_itself_as_the_sdk_does() {
    let bed = Testbed::new("oci-instance");
    let fake = bed.oci().await;
    let order = json!({"federation": fake.federation_url(), "endpoint": fake.url(), "ca_file": bed.pki().ca_file(),
        "strict": true, "namespace": OCI_NAMESPACE, "bucket": OCI_BUCKET, "calls": [{"operation": "list_objects"}]});
    let outcomes = sdk(
        "calls",
        &order,
        &[("OCI_METADATA_BASE_URL", &fake.metadata_url())],
    )
    .await;
    assert_eq!(outcomes[0]["status"], 200, "{outcomes:#}");
    let exchange = |requests: Vec<Recorded>| {
        let mut found = requests
            .into_iter()
            .filter(|request| request.target == "/v1/x509");
        let request = found.next().expect("an exchange");
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        // A session key is new each time; it is an RSA key of 2048 bits.
        assert_eq!(body["publicKey"].take().as_str().unwrap().len(), 392);
        (
            request.method.clone(),
            parts(&request)["authorization"].clone(),
            body,
            request.status,
        )
    };
    let theirs = exchange(fake.requests());
    fake.clear();

    let metadata = fake.metadata_url();
    let environment =
        Environment::new(move |name| (name == "OCI_METADATA_BASE_URL").then(|| metadata.clone()));
    let http = HttpClient::new(Some(bed.pki().ca_pem().as_bytes())).unwrap();
    let credentials = Credentials::instance_principal_at(&fake.federation_url(), &environment, &http);
    let anywhere = OciConfig {
        region: None,
        ..config(&fake)
    };
    let store = OciStore::open_with(&anywhere, &tls(&bed), credentials)
        .await
        .unwrap();
    assert_eq!(store.list().await, Ok(Vec::new()));
    store
        .put(&DocumentPath::JWKS, &document("one"), &Precondition::Absent)
        .await
        .unwrap();
    assert_eq!(exchange(fake.requests()), theirs);
    let signed = fake
        .requests()
        .iter()
        .filter(|request| request.target == "/v1/x509")
        .count();
    assert_eq!(signed, 1, "the token is kept");
}
