//! Workload identity federation with Google Cloud: a pod's token becomes an access token, and that one a write; and our
//! requests on the way are those of Google's own library.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kubeassume_cloud::google::STORAGE_READ_WRITE;
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition};
use kubeassume_publishers::Tls;
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_tests::{Essence, GoogleFake, Recorded, Row, Testbed, differences, essence, vendor};
use serde_json::{Value, json};

const BUCKET: &str = "issuer";
const ISSUER: &str = "https://oidc.example.com/one";
const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pods/providers/cluster";
const PRINCIPAL: &str =
    "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pods/subject/publisher";
const ACCOUNT: &str = "publisher@project-1.iam.gserviceaccount.com";

fn document(body: &'static str) -> NewDocument {
    NewDocument {
        bytes: body.into(),
        content_type: "application/jwk-set+json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: [("kubeassume-generation".to_owned(), "7".to_owned())].into(),
    }
}

fn config(google: &GoogleFake) -> GcsConfig {
    GcsConfig {
        bucket: BUCKET.to_owned(),
        endpoint: Some(google.url()),
        prefix: Some("c1".to_owned()),
        use_workload_identity: Some(true),
        ..GcsConfig::default()
    }
}

fn tls(ca_pem: Vec<u8>) -> Tls {
    Tls { ca_pem: Some(ca_pem) }
}

/// A pod's token for this audience.
fn subject_token(audience: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": ISSUER, "aud": [format!("https:{audience}")], "sub": "system:serviceaccount:a:b",
        "iat": now, "exp": now + 600});
    format!(
        "{}.{}.c2ln",
        part(json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    )
}

/// What a pod is given: a token, and a file that says what to do with it.
fn external_account(bed: &Testbed, google: &GoogleFake, audience: &str, impersonates: bool) -> PathBuf {
    let token = bed.path().join("token");
    std::fs::write(&token, subject_token(audience)).unwrap();
    let mut described = json!({
        "type": "external_account", "audience": AUDIENCE, "universe_domain": "googleapis.com",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", google.plain_url()),
        "credential_source": {"file": token},
    });
    if impersonates {
        let name = format!("projects/-/serviceAccounts/{ACCOUNT}");
        let url = format!("{}/v1/{name}:generateAccessToken", google.plain_url());
        described["service_account_impersonation_url"] = json!(url);
    }
    let file = bed.path().join("external-account.json");
    std::fs::write(&file, described.to_string()).unwrap();
    file
}

/// The environment is that of a process: what this test was started with says where everything is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by other tests here, each with an environment of its own"]
async fn in_a_process_of_its_own_a_document_is_written() {
    let order: Value = serde_json::from_str(&std::env::var("ORDER").unwrap()).unwrap();
    let config: GcsConfig = serde_json::from_value(order["config"].clone()).unwrap();
    let store = GcsStore::open(&config, &tls(order["ca"].as_str().unwrap().into())).unwrap();
    let written = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    written.unwrap_or_else(|error| panic!("{error}"));
}

/// Standard output and whether it went well.
async fn in_own_process(bed: &Testbed, google: &GoogleFake, credentials: &Path) -> (bool, String) {
    let order = json!({"config": config(google), "ca": bed.pki().ca_pem()});
    let own = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "in_a_process_of_its_own_a_document_is_written",
            "--ignored",
        ])
        .env("ORDER", order.to_string())
        .env("GOOGLE_APPLICATION_CREDENTIALS", credentials)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&own.stdout).into_owned() + &String::from_utf8_lossy(&own.stderr);
    (own.status.success(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pods_token_is_exchanged_and_its_principal_writes() {
    for (check, impersonates, member) in [
        (
            "workload identity writes, as the principal itself",
            false,
            PRINCIPAL.to_owned(),
        ),
        (
            "workload identity writes, as a service account",
            true,
            format!("serviceAccount:{ACCOUNT}"),
        ),
    ] {
        let row = Row::begin("gcs", check, GoogleFake::VERSION);
        let bed = Testbed::new("google-federation");
        let google = bed.google().await;
        google.trust(ISSUER, AUDIENCE, PRINCIPAL, ACCOUNT);
        google
            .create_bucket(BUCKET, &[("roles/storage.objectUser", &member)])
            .await;
        google.take();
        let file = external_account(&bed, &google, AUDIENCE, impersonates);
        let (written, text) = in_own_process(&bed, &google, &file).await;
        assert!(written, "{text}");
        let asked = google.take();
        let asked: Vec<_> = asked
            .iter()
            .map(|request| (request.path(), request.status))
            .collect();
        let upload = "/upload/storage/v1/b/issuer/o";
        let account = format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken");
        let expected: &[(&str, u16)] = match impersonates {
            false => &[("/v1/token", 200), (upload, 200)],
            true => &[("/v1/token", 200), (&account, 200), (upload, 200)],
        };
        assert_eq!(asked, expected);
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_trusted_or_not_bound_writes_nothing_and_is_told_why() {
    let row = Row::begin(
        "gcs",
        "workload identity is refused without trust or role",
        GoogleFake::VERSION,
    );
    let bed = Testbed::new("google-refused");
    let google = bed.google().await;
    google.trust(ISSUER, AUDIENCE, PRINCIPAL, ACCOUNT);
    google
        .create_bucket(BUCKET, &[("roles/storage.legacyObjectReader", "allUsers")])
        .await;
    for (audience, impersonates, expected) in [
        ("//iam.googleapis.com/other", false, "The audience in ID Token"),
        (AUDIENCE, false, "storage.objects.create"),
        (AUDIENCE, true, "storage.objects.create"),
    ] {
        let file = external_account(&bed, &google, audience, impersonates);
        let (written, text) = in_own_process(&bed, &google, &file).await;
        assert!(!written && text.contains(expected), "{text}");
        assert!(!text.contains(&subject_token(audience)[..60]), "{text}");
    }
    row.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_exchange_is_that_of_googles_own_library() {
    let row = Row::begin("gcs", "the exchange equals google-auth's", GoogleFake::VERSION);
    let bed = Testbed::new("google-auth");
    let google = bed.google().await;
    google.trust(ISSUER, AUDIENCE, PRINCIPAL, ACCOUNT);
    let member = format!("serviceAccount:{ACCOUNT}");
    google
        .create_bucket(BUCKET, &[("roles/storage.objectUser", &member)])
        .await;
    google.take();
    let file = external_account(&bed, &google, AUDIENCE, true);
    let theirs = vendor(
        "google_federation",
        &json!({"file": file, "scopes": [STORAGE_READ_WRITE]}),
        &[],
    )
    .await;
    assert!(theirs["token"].as_str().unwrap().starts_with("account-"));
    let theirs: Vec<Essence> = google.take().iter().map(parts).collect();
    let (written, text) = in_own_process(&bed, &google, &file).await;
    assert!(written, "{text}");
    let mut ours: Vec<Essence> = google.take().iter().map(parts).collect();
    assert_eq!(ours.pop().unwrap()["path"], "/upload/storage/v1/b/issuer/o");
    let differences = differences(&ours, &theirs);
    let differences: Vec<&str> = differences.iter().map(String::as_str).collect();
    assert_eq!(differences, EXCHANGE, "{differences:#?}");
    row.passed();
}

const EXCHANGE: [&str; 1] = ["body.delegates: theirs alone, null"];

/// Without the tokens, which are new each time.
fn parts(request: &Recorded) -> Essence {
    essence(request, |name, value| match name {
        "authorization" => {
            let token = value.strip_prefix("Bearer ").unwrap();
            format!("Bearer <{}>", token.split('-').next().unwrap())
        }
        _ => value.to_owned(),
    })
}
