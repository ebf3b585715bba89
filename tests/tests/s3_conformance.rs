//! `S3Store` against a real S3 server with real signatures.
//!
//! The server itself is looked at first: what follows proves nothing on one that takes stale writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::primitives::ByteStream;
use kubeassume_core::http::HttpReader;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError,
};
use kubeassume_core::testing::publisher::{self, Place};
use kubeassume_core::testing::{FaultStore, store};
use kubeassume_publishers::s3::{S3Config, S3Store};
use kubeassume_publishers::{OpenError, Tls};
use kubeassume_tests::{Row, Testbed, Versitygw};

const BUCKET: &str = "issuer";

/// Amazon does each of these; versitygw does not, so that nothing here speaks for it.
const NOT_SHOWN: [(&str, &str); 3] = [
    (
        "a bucket in another region",
        "it has one region, and answers for every bucket",
    ),
    (
        "absence hidden from who may not list",
        "its administrator may list",
    ),
    ("roles and web identity", "it has no STS"),
];

/// One server, and a new prefix for every store.
struct Server {
    bed: Testbed,
    gateway: Versitygw,
    prefixes: AtomicUsize,
}

impl Server {
    /// The public may read both documents below that many prefixes.
    async fn start(name: &str, prefixes: usize) -> Self {
        let bed = Testbed::new(name);
        let gateway = bed.versitygw().await;
        let documents = [DocumentPath::JWKS, DocumentPath::DISCOVERY];
        let public: Vec<String> = (0..prefixes)
            .flat_map(|number| documents.iter().map(move |path| format!("c{number}/{path}")))
            .collect();
        let public: Vec<&str> = public.iter().map(String::as_str).collect();
        gateway.public_bucket(BUCKET, &public).await;
        Self {
            bed,
            gateway,
            prefixes: AtomicUsize::new(0),
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            ca_pem: Some(self.bed.pki().ca_pem().as_bytes().to_vec()),
        }
    }

    fn config(&self) -> S3Config {
        let number = self.prefixes.fetch_add(1, Ordering::Relaxed);
        S3Config {
            bucket: BUCKET.to_owned(),
            region: Some(self.gateway.region().to_owned()),
            endpoint: Some(self.gateway.url()),
            force_path_style: true,
            prefix: Some(format!("c{number}")),
            ..S3Config::default()
        }
    }

    async fn open(&self, config: &S3Config) -> S3Store {
        let (access, secret) = (self.gateway.access_key(), self.gateway.secret_key());
        let store = S3Store::open_with(config, &self.tls(), credentials(access, secret)).await;
        store.unwrap_or_else(|error| panic!("{error}"))
    }
}

fn credentials(access: &str, secret: &str) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(access, secret, None, None, "test"))
}

fn document(bytes: impl Into<bytes::Bytes>) -> NewDocument {
    NewDocument {
        bytes: bytes.into(),
        content_type: "application/json".to_owned(),
        cache_control: "public, max-age=300".to_owned(),
        metadata: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_refuses_stale_writes_and_the_store_conforms() {
    let server = Server::start("s3-store", 1).await;
    for check in store::CHECKS {
        let row = Row::begin("s3", check.name, Versitygw::VERSION);
        check.run(Arc::new(server.open(&server.config()).await)).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_conforms_and_the_public_reads_over_tls() {
    let server = Server::start("s3-publisher", publisher::CHECKS.len()).await;
    let ca = server.bed.pki().ca_pem().as_bytes();
    let reader = Arc::new(HttpReader::new(Some(ca)).unwrap());
    for check in publisher::CHECKS {
        let store = server.open(&server.config()).await;
        let place = Place {
            public_url: store.public_url().unwrap(),
            store: Arc::new(store),
            reader: reader.clone(),
        };
        let row = Row::begin("s3", check.name, Versitygw::VERSION);
        check.run(place).await;
        row.passed();
    }
}

#[test]
fn what_this_server_cannot_show_is_named() {
    for (check, reason) in NOT_SHOWN {
        Row::begin("s3", check, Versitygw::VERSION).not_shown(reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_front_of_it_the_promises_hold() {
    let server = Server::start("s3-faults", 1).await;
    for seed in 0..20 {
        let store = FaultStore::new(server.open(&server.config()).await).seeded(seed, 0.4);
        for round in 0..10 {
            let there = store.get(&DocumentPath::JWKS).await;
            let precondition = match there {
                Ok(Some(stored)) => Precondition::Matches(stored.version),
                _ => Precondition::Absent,
            };
            let _ = store
                .put(&DocumentPath::JWKS, &document(format!("{round}")), &precondition)
                .await;
        }
        store.heal();
        store::remove(&store, &DocumentPath::JWKS).await;
        store::refuses_stale_writes(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_probes_by_writes_that_the_server_refuses() {
    let server = Server::start("s3-validate", 1).await;
    let config = server.config();
    let store = server.open(&config).await;
    store.validate().await.unwrap();
    let key = format!("/{BUCKET}/{}", config.key(&DocumentPath::JWKS));
    let puts = |key: &str| -> Vec<u16> {
        let log = server.gateway.access_log().into_iter();
        log.filter(|access| access.method == "PUT" && access.path == key)
            .map(|access| access.status)
            .collect()
    };
    assert_eq!(puts(&key), [404], "absent: If-Match on nothing");
    store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await
        .unwrap();
    store.validate().await.unwrap();
    assert_eq!(
        puts(&key),
        [404, 200, 412, 412],
        "there: both preconditions are refused"
    );
    assert!(
        server
            .gateway
            .access_log()
            .iter()
            .all(|access| access.method != "DELETE")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_over_the_limit_is_cut_and_can_be_replaced() {
    let server = Server::start("s3-large", 1).await;
    let config = server.config();
    let store = server.open(&config).await;
    let body = ByteStream::from(vec![b'x'; 5 * MAX_DOCUMENT_BYTES]);
    let put = server.gateway.client().put_object().bucket(BUCKET);
    put.key(config.key(&DocumentPath::JWKS))
        .body(body)
        .send()
        .await
        .unwrap();
    let stored = store.get(&DocumentPath::JWKS).await.unwrap().unwrap();
    assert_eq!(stored.bytes.len(), MAX_DOCUMENT_BYTES);
    let replace = Precondition::Matches(stored.version);
    store
        .put(&DocumentPath::JWKS, &document("{}"), &replace)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_without_secrets() {
    let mut server = Server::start("s3-wrong", 1).await;
    let config = server.config();
    let secret = "a-wrong-secret-that-nobody-may-read";
    let open = async |server: &Server, config: &S3Config, secret: &str| {
        let given = credentials(server.gateway.access_key(), secret);
        S3Store::open_with(config, &server.tls(), given).await.unwrap()
    };
    let wrong_secret = open(&server, &config, secret).await;
    for result in [
        wrong_secret.get(&DocumentPath::JWKS).await.map(drop),
        wrong_secret
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .map(drop),
        wrong_secret.validate().await,
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
        let text = format!("{error} {error:?} {wrong_secret:?}");
        assert!(!text.contains(secret) && !text.contains("Signature="), "{text}");
    }

    let right = server.gateway.secret_key().to_owned();
    let elsewhere = S3Config {
        bucket: "nobodys".to_owned(),
        ..config.clone()
    };
    let no_bucket = open(&server, &elsewhere, &right).await;
    let error = no_bucket.validate().await.unwrap_err();
    assert!(error.to_string().contains("no such bucket"), "{error}");
    let put = no_bucket
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Misconfigured(_))), "{put:?}");

    let store = open(&server, &config, &right).await;
    let unknown_ca = S3Store::open_with(&config, &Tls::default(), credentials("a", "b"))
        .await
        .unwrap();
    let error = unknown_ca.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );

    server.gateway.kill().await;
    let read = store.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(read, StoreError::Unavailable(_)), "{read:?}");
    let write = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await
        .unwrap_err();
    assert!(matches!(write, StoreError::Unknown(_)), "{write:?}");

    let bad = S3Config {
        bucket: "No".to_owned(),
        ..config
    };
    let refused = S3Store::open(&bad, &Tls::default()).await;
    assert!(matches!(refused, Err(OpenError::Invalid(_))));
}
