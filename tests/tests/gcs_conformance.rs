//! `GcsStore` against a server that speaks Google Cloud Storage's JSON interface.
//!
//! The server itself is looked at first: what follows proves nothing on one that takes stale writes. What it
//! cannot show is probed and becomes a row, so that a later version that can show it is noticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubeassume_cloud::google::Credentials;
use kubeassume_core::http::HttpReader;
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError,
};
use kubeassume_core::testing::publisher::{self, Place};
use kubeassume_core::testing::store;
use kubeassume_publishers::Tls;
use kubeassume_publishers::gcs::{GcsConfig, GcsStore};
use kubeassume_tests::{FakeGcs, Fault, Row, Testbed, google_refusal};
use reqwest::Method;
use secrecy::SecretString;

const BUCKET: &str = "issuer";
const TOKEN: &str = "a-token-that-nobody-may-read";

/// One server, and a new prefix for every store.
struct Server {
    bed: Testbed,
    gcs: FakeGcs,
    prefixes: AtomicUsize,
}

impl Server {
    async fn start(name: &str) -> Self {
        let bed = Testbed::new(name);
        let gcs = bed.fake_gcs().await;
        gcs.bucket(BUCKET).await;
        Self {
            bed,
            gcs,
            prefixes: AtomicUsize::new(0),
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            ca_pem: Some(self.bed.pki().ca_pem().as_bytes().to_vec()),
        }
    }

    fn config(&self, endpoint: &str) -> GcsConfig {
        let prefix = format!("c{}", self.prefixes.fetch_add(1, Ordering::Relaxed));
        GcsConfig {
            bucket: BUCKET.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            public_url: Some(format!("{}/{BUCKET}/{prefix}", self.gcs.url())),
            prefix: Some(prefix),
            ..GcsConfig::default()
        }
    }

    fn open(&self, config: &GcsConfig) -> GcsStore {
        let token = Credentials::token(SecretString::from(TOKEN));
        GcsStore::open_with(config, &self.tls(), token).unwrap()
    }

    /// Through the front.
    fn fronted(&self) -> GcsStore {
        self.open(&self.config(&self.gcs.front().url()))
    }

    /// Statuses of requests other than reads.
    fn writes(&self) -> Vec<(String, u16)> {
        let requests = self.gcs.front().requests().into_iter();
        requests
            .filter(|request| request.method != "GET")
            .map(|request| (request.method, request.status))
            .collect()
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
    let server = Server::start("gcs-store").await;
    // The server itself, without the front.
    let direct = server.open(&server.config(server.gcs.url()));
    let put = async |body: &'static str, precondition: &Precondition| {
        direct
            .put(&DocumentPath::JWKS, &document(body), precondition)
            .await
    };
    let first = Precondition::Matches(put("first", &Precondition::Absent).await.unwrap());
    assert_eq!(
        put("stale", &Precondition::Absent).await,
        Err(StoreError::Precondition)
    );
    put("second", &first).await.unwrap();
    assert_eq!(put("stale", &first).await, Err(StoreError::Precondition));
    let there = direct.get(&DocumentPath::JWKS).await.unwrap().unwrap();
    assert_eq!(&there.bytes[..], b"second");

    for check in store::CHECKS {
        let row = Row::begin("gcs", check.name, FakeGcs::VERSION);
        check.run(Arc::new(server.fronted())).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_publisher_conforms_and_the_public_reads_over_tls() {
    let server = Server::start("gcs-publisher").await;
    let ca = server.bed.pki().ca_pem().as_bytes();
    let reader = Arc::new(HttpReader::new(Some(ca)).unwrap());
    for check in publisher::CHECKS {
        let config = server.config(server.gcs.url());
        let place = Place {
            public_url: config.public_url().unwrap(),
            store: Arc::new(server.open(&config)),
            reader: reader.clone(),
        };
        let row = Row::begin("gcs", check.name, FakeGcs::VERSION);
        check.run(place).await;
        row.passed();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_gets_the_headers_that_were_written() {
    let server = Server::start("gcs-headers").await;
    let config = server.config(server.gcs.url());
    let mut written = document("{\"keys\":[]}");
    written.metadata = [("kubeassume-generation".to_owned(), "1767225600000".to_owned())].into();
    let store = server.open(&config);
    let version = store
        .put(&DocumentPath::JWKS, &written, &Precondition::Absent)
        .await
        .unwrap();
    let url = format!("{}/openid/v1/jwks", config.public_url().unwrap());
    let answer = server.bed.http().get(url).send().await.unwrap();
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    assert_eq!(header("cache-control").as_deref(), Some("public, max-age=300"));
    assert_eq!(header("x-goog-generation").as_deref(), Some(version.as_str()));
    assert_eq!(
        header("x-goog-meta-kubeassume-generation").as_deref(),
        Some("1767225600000")
    );
    assert_eq!(&answer.bytes().await.unwrap()[..], b"{\"keys\":[]}");
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_probes_by_requests_that_the_server_refuses() {
    let server = Server::start("gcs-validate").await;
    let store = server.fronted();
    let is = |method: &str, status: u16| (method.to_owned(), status);
    let absent = [is("POST", 412), is("DELETE", 404)];
    store.validate().await.unwrap();
    assert_eq!(server.writes(), [absent.clone(), absent.clone()].concat());
    assert_eq!(store.list().await.unwrap(), []);

    store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await
        .unwrap();
    let before = (store.get(&DocumentPath::JWKS).await, server.writes().len());
    store.validate().await.unwrap();
    let there = [is("POST", 412), is("POST", 412), is("DELETE", 404)];
    assert_eq!(server.writes()[before.1..], [&there[..], &absent[..]].concat());
    assert_eq!(store.get(&DocumentPath::JWKS).await, before.0);

    for (method, permission) in [
        ("GET", "storage.objects.get"),
        ("POST", "storage.objects.create"),
        ("DELETE", "storage.objects.delete"),
    ] {
        let message = format!("test@example.com does not have {permission} access to the object.");
        let refusal = Fault::Answer(google_refusal(403, "forbidden", &message));
        server
            .gcs
            .front()
            .strike(refusal, move |request| request.method == method);
        let error = store.validate().await.unwrap_err();
        assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&format!("{permission} on c0/openid/v1/jwks")),
            "{error}"
        );
    }
    server.gcs.front().heal();
    assert_eq!(
        store.get(&DocumentPath::JWKS).await,
        before.0,
        "and nothing has changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_over_the_limit_is_cut_and_can_be_replaced() {
    let server = Server::start("gcs-large").await;
    let config = server.config(server.gcs.url());
    let target = format!(
        "{}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={}",
        server.gcs.url(),
        config.object(&DocumentPath::JWKS)
    );
    let upload = server
        .bed
        .http()
        .post(target)
        .body(vec![b'x'; 5 * MAX_DOCUMENT_BYTES]);
    assert_eq!(upload.send().await.unwrap().status(), 200);
    let store = server.open(&config);
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
    let mut server = Server::start("gcs-wrong").await;
    let elsewhere = GcsConfig {
        bucket: "nobodys".to_owned(),
        ..server.config(server.gcs.url())
    };
    let no_bucket = server.open(&elsewhere);
    let put = no_bucket
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    let error = put.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    assert!(error.to_string().contains("gcs.bucket"), "{error}");

    let config = server.config(server.gcs.url());
    let unknown_ca = GcsStore::open_with(&config, &Tls::default(), Credentials::anonymous()).unwrap();
    let error = unknown_ca.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );

    let store = server.open(&config);
    server.gcs.kill().await;
    let read = store.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(read, StoreError::Unavailable(_)), "{read:?}");
    let write = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    let write = write.unwrap_err();
    assert!(
        matches!(write, StoreError::Unavailable(_)),
        "nothing was sent: {write:?}"
    );
    let text = format!("{read} {read:?} {write} {write:?} {store:?}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_server_cannot_show_is_named() {
    let server = Server::start("gcs-gaps").await;
    let store = server.open(&server.config(server.gcs.url()));
    let mut written = document("{}");
    written.metadata = [("kubeassume-generation".to_owned(), "7".to_owned())].into();
    store
        .put(&DocumentPath::JWKS, &written, &Precondition::Absent)
        .await
        .unwrap();
    let object = format!("/storage/v1/b/{BUCKET}/o/c0%2Fopenid%2Fv1%2Fjwks");
    let ask = async |method: Method, target: &str| server.gcs.ask(method, target).await;

    let (status, ..) = ask(Method::GET, &format!("{object}?ifGenerationMatch=1")).await;
    gap("preconditions on reading", "it ignores them", status == 200);
    let (status, body, headers) = ask(Method::GET, &format!("{object}?alt=media")).await;
    assert_eq!((status, body), (200, serde_json::json!({})));
    gap(
        "a download without metadata",
        "it sends the metadata along",
        headers.contains_key("x-goog-meta-kubeassume-generation"),
    );
    let (status, ..) = ask(Method::GET, &format!("/storage/v1/b/{BUCKET}/iam")).await;
    gap("who may read and write a bucket", "it has no IAM", status == 404);
    // It took the one above.
    gap("a missing, wrong or expired access token", "it takes any", true);
    let (_, missing, _) = ask(Method::GET, "/storage/v1/b/nobodys/o/x").await;
    gap(
        "a missing bucket told from a missing object",
        "its words are the same",
        !missing.to_string().contains("bucket does not exist"),
    );
    let (status, ..) = ask(Method::DELETE, &format!("{object}?ifGenerationMatch=1")).await;
    gap(
        "preconditions on deleting",
        "it ignores them; the front adds them",
        status == 200,
    );
    for (never, why) in [
        ("absence hidden from who may not list", "it has no IAM"),
        ("custom endpoints and domains", "it has one address"),
    ] {
        gap(never, why, true);
    }
}

/// A row, and a notice when it is none any more.
fn gap(what: &str, why: &str, is_there: bool) {
    let row = Row::begin("gcs", what, FakeGcs::VERSION);
    assert!(is_there, "the server can show {what} by now: test it here");
    row.not_shown(why);
}
