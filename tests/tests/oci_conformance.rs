//! `OciStore` against a stand-in for Oracle Cloud that verifies every signature and knows the vendor's contract.
//!
//! The stand-in itself is looked at first: what follows proves nothing on one that takes stale writes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::Method;
use kubeassume_cloud::oci::{Content, Credential, Credentials, SigningKey};
use kubeassume_core::http::HttpReader;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError,
};
use kubeassume_core::testing::publisher::{self, Place};
use kubeassume_core::testing::{FaultStore, store};
use kubeassume_publishers::oci::{OciConfig, OciStore};
use kubeassume_publishers::{OpenError, Tls};
use kubeassume_tests::{OCI_BUCKET, OCI_NAMESPACE, OciFake, Row, Testbed};

/// Oracle decides each of these; a stand-in shows nothing of it.
const NOT_SHOWN: [(&str, &str); 4] = [
    (
        "what comes first, permission or precondition",
        "OCI does not say in which order it looks",
    ),
    (
        "if-match on an absent object",
        "412 here; OCI may say 404, which is taken too",
    ),
    (
        "how soon a write is seen",
        "every operation here is under one lock",
    ),
    ("throttling (429)", "it never throttles by itself"),
];

/// One server, and a new prefix for every store.
struct Server {
    bed: Testbed,
    oci: OciFake,
    prefixes: AtomicUsize,
}

impl Server {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let oci = bed.oci().await;
        Self {
            bed,
            oci,
            prefixes: AtomicUsize::new(0),
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            ca_pem: Some(self.bed.pki().ca_pem().as_bytes().to_vec()),
        }
    }

    fn config(&self) -> OciConfig {
        let number = self.prefixes.fetch_add(1, Ordering::Relaxed);
        OciConfig {
            bucket: OCI_BUCKET.to_owned(),
            namespace: OCI_NAMESPACE.to_owned(),
            region: Some("eu-frankfurt-1".to_owned()),
            endpoint: Some(self.oci.url()),
            prefix: Some(format!("c{number}")),
            ..OciConfig::default()
        }
    }

    fn credential(&self) -> Credential {
        let key = self.oci.key();
        let signing = SigningKey::from_pem(key.pem.as_bytes(), None).unwrap();
        Credential::api_key(key.tenancy, key.user, key.fingerprint, signing)
    }

    async fn open(&self, config: &OciConfig) -> OciStore {
        let credentials = Credentials::given(self.credential());
        let store = OciStore::open_with(config, &self.tls(), credentials).await;
        store.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Method and status of what was asked, without reads.
    fn writes(&self) -> Vec<(String, u16)> {
        let requests = self.oci.requests().into_iter();
        let writes = requests.filter(|request| request.method != "GET");
        writes.map(|request| (request.method, request.status)).collect()
    }
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
    let server = Server::start("oci-store").await;
    for check in store::CHECKS {
        let row = Row::begin("oci", check.name, OciFake::VERSION);
        check.run(Arc::new(server.open(&server.config()).await)).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_conforms_and_the_public_reads_over_tls() {
    let server = Server::start("oci-publisher").await;
    let ca = server.bed.pki().ca_pem().as_bytes();
    let reader = Arc::new(HttpReader::new(Some(ca)).unwrap());
    for check in publisher::CHECKS {
        let store = server.open(&server.config()).await;
        let place = Place {
            public_url: store.public_url().unwrap(),
            store: Arc::new(store),
            reader: reader.clone(),
        };
        let row = Row::begin("oci", check.name, OciFake::VERSION);
        check.run(place).await;
        row.passed();
    }
}

#[test]
fn what_a_stand_in_cannot_show_is_named() {
    for (check, reason) in NOT_SHOWN {
        Row::begin("oci", check, OciFake::VERSION).not_shown(reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_faults_in_front_of_it_the_promises_hold() {
    let server = Server::start("oci-faults").await;
    for seed in 0..10 {
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

/// Sends a signed PUT with these headers, past the store.
async fn put_with(server: &Server, name: &'static str, value: &'static str) -> u16 {
    let url = format!("{}/n/{OCI_NAMESPACE}/b/{OCI_BUCKET}/o/x", server.oci.url());
    let mut headers = http::HeaderMap::new();
    headers.insert(name, http::HeaderValue::from_static(value));
    let uri = url.parse().unwrap();
    let now = SystemTime::now();
    server
        .credential()
        .sign(&Method::PUT, &uri, &mut headers, Content::Unsigned, now)
        .unwrap();
    let request = server.bed.http().put(url).headers(headers).body("{}");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_header_or_query_is_against_the_contract_and_fails_a_test() {
    let server = Server::start("oci-contract").await;
    assert_eq!(put_with(&server, "if-none-match", "*").await, 200);
    assert_eq!(server.oci.take_violations(), [""; 0]);
    assert_eq!(put_with(&server, "if-nonematch", "*").await, 400);
    assert_eq!(
        server.oci.take_violations(),
        ["put_object has no header if-nonematch"]
    );
    assert_eq!(put_with(&server, "x-amz-meta-generation", "1").await, 400);

    let Server { bed, oci, .. } = server;
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| drop(oci)));
    assert!(ended.is_err(), "a violation that nobody took");
    drop(bed);
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_probes_by_writes_that_the_server_refuses() {
    let server = Server::start("oci-validate").await;
    let store = server.open(&server.config()).await;
    let puts = |statuses: &[u16]| {
        statuses
            .iter()
            .map(|status| ("PUT".to_owned(), *status))
            .collect::<Vec<_>>()
    };
    store.validate().await.unwrap();
    assert_eq!(
        server.writes(),
        puts(&[412, 412]),
        "absent: If-Match on nothing, for each document"
    );
    for path in [DocumentPath::JWKS, DocumentPath::DISCOVERY] {
        store
            .put(&path, &document("{}"), &Precondition::Absent)
            .await
            .unwrap();
    }
    store.validate().await.unwrap();
    assert_eq!(
        server.writes()[4..],
        puts(&[412, 412, 412, 412]),
        "there: both preconditions are refused"
    );

    let says = async |granted: &[&str]| {
        server.oci.grant(granted);
        store.validate().await.map_err(|error| error.to_string())
    };
    assert_eq!(says(&["OBJECT_READ", "OBJECT_OVERWRITE"]).await, Ok(()));
    let overwrite = says(&["OBJECT_READ", "OBJECT_CREATE"]).await.unwrap_err();
    assert!(
        overwrite.contains("OBJECT_OVERWRITE on c0/openid/v1/jwks"),
        "{overwrite}"
    );
    let read = says(&["OBJECT_INSPECT", "OBJECT_OVERWRITE"]).await.unwrap_err();
    assert!(read.contains("OBJECT_READ on c0/openid/v1/jwks"), "{read}");
    let nothing = says(&[]).await.unwrap_err();
    assert!(
        nothing.contains("no such bucket, or nothing in it is granted"),
        "{nothing}"
    );
    let list = store.list().await.unwrap_err();
    assert!(matches!(list, StoreError::Misconfigured(_)), "{list:?}");
    server.oci.clear();
    let create = says(&["OBJECT_READ", "OBJECT_OVERWRITE"]).await.unwrap_err();
    assert!(create.contains("OBJECT_CREATE on c0/openid/v1/jwks"), "{create}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_over_the_limit_is_cut_and_can_be_replaced() {
    let server = Server::start("oci-large").await;
    let config = server.config();
    let store = server.open(&config).await;
    let object = config.object(&DocumentPath::JWKS).replace('/', "%2F");
    let url = format!("{}/n/{OCI_NAMESPACE}/b/{OCI_BUCKET}/o/{object}", server.oci.url());
    let mut headers = http::HeaderMap::new();
    let uri = url.parse().unwrap();
    let now = SystemTime::now();
    server
        .credential()
        .sign(&Method::PUT, &uri, &mut headers, Content::Unsigned, now)
        .unwrap();
    let body = vec![b'x'; 5 * MAX_DOCUMENT_BYTES];
    let put = server
        .bed
        .http()
        .put(url)
        .headers(headers)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 200);
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
    let server = Server::start("oci-wrong").await;
    let config = server.config();
    let store = server.open(&config).await;
    let wrong_key = Credential::api_key("t", "u", "f", SigningKey::generate().unwrap());
    let stranger = OciStore::open_with(&config, &server.tls(), Credentials::given(wrong_key))
        .await
        .unwrap();
    let error = stranger.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Denied(text) if text.contains("nobody has this key")),
        "{error:?}"
    );

    server.oci.set_clock_behind(Duration::from_secs(3600));
    let error = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await
        .unwrap_err();
    let text = format!("{error} {error:?} {store:?}");
    assert!(text.contains("ahead of the server's"), "{text}");
    assert!(
        !text.contains("signature=") && !text.contains("PRIVATE"),
        "{text}"
    );
    server.oci.set_clock_behind(Duration::ZERO);

    let no_ca = Credentials::given(server.credential());
    let unknown_ca = OciStore::open_with(&config, &Tls::default(), no_ca)
        .await
        .unwrap();
    let error = unknown_ca.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );

    server.oci.remove_bucket();
    for error in [
        store.get(&DocumentPath::JWKS).await.unwrap_err(),
        store
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .unwrap_err(),
        store.validate().await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Misconfigured(text) if text.contains("no such bucket")),
            "{error:?}"
        );
    }
    let bad = OciConfig {
        namespace: "No".to_owned(),
        ..config
    };
    let refused = OciStore::open(&bad, &server.tls()).await;
    assert!(matches!(refused, Err(OpenError::Invalid(_))));
}
