//! `S3Store` on a second, independent S3 server, and with a role that Amazon's STS gives for a pod's token.
//!
//! moto speaks plain http, which no issuer may: a recorder in front of it brings TLS, and keeps what was asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition};
use kubeassume_core::testing::store;
use kubeassume_publishers::Tls;
use kubeassume_publishers::s3::{S3Config, S3Store};
use kubeassume_tests::{Moto, Recorded, Recorder, Row, Testbed};
use serde_json::{Value, json};

const BUCKET: &str = "issuer";

/// What its threads do to each other.
const RACES: [&str; 2] = ["one of many creators wins", "one of many replacers wins"];

/// Amazon does each of these; moto does not, so that nothing here speaks for it.
const NOT_SHOWN: [(&str, &str); 3] = [
    ("a wrong signature or an unknown key", "it takes any"),
    ("who may write", "whoever is somebody may do everything"),
    ("faults and throttling", "it has none"),
];

struct Server {
    bed: Testbed,
    _moto: Moto,
    recorder: Recorder,
    prefixes: AtomicUsize,
}

impl Server {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let moto = bed.moto().await;
        let recorder = Recorder::in_front_of(&bed, moto.url()).await;
        let resource = format!("arn:aws:s3:::{BUCKET}/*");
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}]});
        for (target, body) in [("", String::new()), ("?policy", policy.to_string())] {
            let request = bed
                .http()
                .put(format!("{}/{BUCKET}{target}", recorder.url()))
                .body(body);
            // Whose it is, and nothing that proves it.
            let signed = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, \
                SignedHeaders=host, Signature=0";
            let answer = request.header("authorization", signed).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
        Self {
            bed,
            _moto: moto,
            recorder,
            prefixes: AtomicUsize::new(0),
        }
    }

    fn config(&self) -> S3Config {
        let number = self.prefixes.fetch_add(1, Ordering::Relaxed);
        S3Config {
            bucket: BUCKET.to_owned(),
            region: Some("us-east-1".to_owned()),
            endpoint: Some(self.recorder.url().to_owned()),
            force_path_style: true,
            prefix: Some(format!("c{number}")),
            ..S3Config::default()
        }
    }

    /// With a prefix of its own.
    async fn store(&self) -> S3Store {
        let credentials = Credentials::new("testing", "testing", None, None, "test");
        let credentials = SharedCredentialsProvider::new(credentials);
        let tls = tls(self.bed.pki().ca_pem());
        S3Store::open_with(&self.config(), &tls, credentials)
            .await
            .unwrap()
    }
}

fn document() -> NewDocument {
    NewDocument {
        bytes: "{}".into(),
        content_type: "application/json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: Default::default(),
    }
}

fn tls(ca_pem: &str) -> Tls {
    Tls {
        ca_pem: Some(ca_pem.as_bytes().to_vec()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_stale_writes_and_the_store_conforms() {
    let server = Server::start("moto-store").await;
    let mut races = 0;
    for check in store::CHECKS {
        let row = Row::begin("s3", check.name, Moto::VERSION);
        if RACES.contains(&check.name) {
            races += 1;
            row.not_shown("it looks and writes in two steps, and now and then two writers win");
            continue;
        }
        check.run(Arc::new(server.store().await)).await;
        row.passed();
    }
    assert_eq!(races, RACES.len());
    for (what, why) in NOT_SHOWN {
        Row::begin("s3", what, Moto::VERSION).not_shown(why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_reads_the_keys_as_the_policy_says() {
    let server = Server::start("moto-public").await;
    let row = Row::begin(
        "s3",
        "the public reads the keys with their headers",
        Moto::VERSION,
    );
    let store = server.store().await;
    let url = store.public_url().unwrap();
    for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
        store
            .put(&path, &document(), &Precondition::Absent)
            .await
            .unwrap();
    }
    let read = async |path: &DocumentPath| {
        server
            .bed
            .http()
            .get(url.document_url(path))
            .send()
            .await
            .unwrap()
    };
    let keys = read(&DocumentPath::JWKS).await;
    assert_eq!(keys.status(), 200);
    assert_eq!(keys.headers()["content-type"], "application/json");
    assert_eq!(keys.headers()["cache-control"], "public, max-age=300");
    row.passed();

    // Its public path is one of Amazon Cognito's here, which the server takes it for.
    let row = Row::begin("s3", "the public reads the discovery document", Moto::VERSION);
    assert_eq!(read(&DocumentPath::DISCOVERY).await.status(), 500);
    row.not_shown("it takes .well-known/openid-configuration for Cognito's");
}

/// The environment is that of a process: what this test was started with says where everything is.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test here, with an environment of its own"]
async fn in_a_process_of_its_own_a_document_is_written() {
    let order: Value = serde_json::from_str(&std::env::var("ORDER").unwrap()).unwrap();
    let config: S3Config = serde_json::from_value(order["config"].clone()).unwrap();
    let store = S3Store::open(&config, &tls(order["ca"].as_str().unwrap()))
        .await
        .unwrap();
    let written = store
        .put(&DocumentPath::JWKS, &document(), &Precondition::Absent)
        .await;
    written.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn use_irsa_takes_the_role_for_the_pods_token_and_writes_with_it() {
    let check = "useIRSA: AssumeRoleWithWebIdentity, then a write (any token is taken)";
    let row = Row::begin("s3", check, Moto::VERSION);
    let server = Server::start("moto-irsa").await;
    let token = server.bed.path().join("token");
    std::fs::write(&token, "a-pods-token").unwrap();
    let config = S3Config {
        use_irsa: Some(true),
        ..server.config()
    };
    server.recorder.take();
    let order = json!({"config": config, "ca": server.bed.pki().ca_pem()});
    let own = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own_a_document_is_written", "--ignored"])
        .env("ORDER", order.to_string())
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/publisher")
        .env("AWS_ROLE_SESSION_NAME", "kubeassume")
        .env("AWS_ENDPOINT_URL_STS", server.recorder.url())
        // Others that would do, and must not be asked.
        .env("AWS_ACCESS_KEY_ID", "static")
        .env("AWS_SECRET_ACCESS_KEY", "static")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stdout));

    let asked = server.recorder.take();
    let [exchange, write] = &asked[..] else {
        panic!("{asked:#?}");
    };
    let kubeassume_tests::Content::Form(form) = exchange.content() else {
        panic!("{exchange:#?}");
    };
    let expected = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("RoleArn", "arn:aws:iam::123456789012:role/publisher"),
        ("RoleSessionName", "kubeassume"),
        ("Version", "2011-06-15"),
        ("WebIdentityToken", "a-pods-token"),
    ];
    let form: Vec<_> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(form, expected);
    assert_eq!(
        exchange.header("authorization"),
        None,
        "the token is all that is needed"
    );
    assert_eq!((write.method.as_str(), write.status), ("PUT", 200));
    assert!(access_key(write).starts_with("ASIA"), "{write:#?}");
    assert!(write.header("x-amz-security-token").is_some());
    row.passed();
}

/// Whose signature it is.
fn access_key(request: &Recorded) -> &str {
    let authorization = request.header("authorization").unwrap();
    let (_, credential) = authorization.split_once("Credential=").unwrap();
    credential.split('/').next().unwrap()
}
