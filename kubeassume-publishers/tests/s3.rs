//! What `S3Store` asks of a server and makes of its answers, in front of a server that says what a test
//! wants. Whether a real one agrees is for the conformance test of the workspace's `tests` package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition, StoreError, Version};
use kubeassume_publishers::Tls;
use kubeassume_publishers::s3::{S3Config, S3Store};

mod scripted;

use scripted::{Request, Response, Server};

const SECRET: &str = "the-secret-key-that-nobody-may-read";

fn refusal(status: u16, code: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>in words</Message></Error>");
    Response::new(status, body).with("content-type", "application/xml")
}

fn config(server: &Server) -> S3Config {
    S3Config {
        bucket: "keys".to_owned(),
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(server.url.clone()),
        force_path_style: true,
        prefix: Some("c1".to_owned()),
        ..S3Config::default()
    }
}

async fn open(server: &Server) -> S3Store {
    let credentials = Credentials::new("access", SECRET, None, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    S3Store::open_with(&config(server), &Tls::default(), credentials)
        .await
        .unwrap()
}

/// A store that takes every write, whatever its precondition.
fn careless(
    objects: &Arc<Mutex<BTreeMap<String, Request>>>,
    deletes: bool,
) -> impl Fn(&Request) -> Response + use<> {
    let objects = objects.clone();
    move |request| {
        let mut objects = objects.lock().unwrap();
        let etag = ("etag", "\"one\"".to_owned());
        match request.method.as_str() {
            "PUT" => {
                objects.insert(request.path.clone(), request.clone());
                Response {
                    status: 200,
                    headers: vec![etag],
                    ..Response::default()
                }
            }
            "DELETE" if deletes => {
                objects.remove(&request.path);
                Response {
                    status: 204,
                    ..Response::default()
                }
            }
            "DELETE" => refusal(403, "AccessDenied"),
            _ => match objects.get(&request.path) {
                Some(stored) => Response {
                    status: 200,
                    headers: vec![
                        etag,
                        ("content-type", stored.headers["content-type"].clone()),
                        ("cache-control", stored.headers["cache-control"].clone()),
                    ],
                    body: stored.body.clone(),
                    ..Response::default()
                },
                None => refusal(404, "NoSuchKey"),
            },
        }
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

#[tokio::test]
async fn a_server_that_takes_stale_writes_is_refused_and_left_as_it_was() {
    let objects = Arc::default();
    let server = Server::start(careless(&objects, true)).await;
    let error = open(&server).await.validate().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured(text) if text.contains("ignores")),
        "{error}"
    );
    assert_eq!(
        objects.lock().unwrap().len(),
        0,
        "what it wrongly took is gone again"
    );

    let store = open(&server).await;
    store
        .put(&DocumentPath::JWKS, &document("[]"), &Precondition::Absent)
        .await
        .unwrap();
    let before = store.get(&DocumentPath::JWKS).await.unwrap();
    let error = store.validate().await.unwrap_err();
    assert!(error.to_string().contains("ignores"), "{error}");
    assert_eq!(
        store.get(&DocumentPath::JWKS).await.unwrap(),
        before,
        "overwritten by itself"
    );
}

#[tokio::test]
async fn what_cannot_be_taken_away_again_is_named() {
    let objects = Arc::default();
    let server = Server::start(careless(&objects, false)).await;
    let error = open(&server).await.validate().await.unwrap_err();
    assert!(error.to_string().contains("c1/openid/v1/jwks"), "{error}");
    let left = objects.lock().unwrap().values().next().unwrap().body.clone();
    assert_eq!(left, br#"{"keys":[]}"#, "and it names no key");
}

#[tokio::test]
async fn a_write_is_one_conditional_put() {
    let server = Server::start(|_| Response {
        status: 200,
        headers: vec![("etag", "\"new\"".to_owned())],
        ..Response::default()
    })
    .await;
    let store = open(&server).await;
    let version = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert_eq!(version, Ok(Version::new("\"new\"")));
    let replace = Precondition::Matches(Version::new("\"old\""));
    store
        .put(&DocumentPath::DISCOVERY, &document("{}"), &replace)
        .await
        .unwrap();

    let requests = server.requests();
    let [create, replace] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    let header = |request: &Request, name: &str| request.headers.get(name).cloned();
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(
        (create.method.as_str(), create.path.as_str()),
        ("PUT", "/keys/c1/openid/v1/jwks")
    );
    assert_eq!(replace.path, "/keys/c1/.well-known/openid-configuration");
    assert_eq!(
        (header(create, "if-none-match"), header(create, "if-match")),
        (is("*"), None)
    );
    assert_eq!(
        (header(replace, "if-none-match"), header(replace, "if-match")),
        (None, is("\"old\""))
    );
    for request in [create, replace] {
        assert_eq!(request.body, b"{}", "no chunks with checksums behind them");
        assert_eq!(header(request, "content-encoding"), None);
        assert_eq!(header(request, "content-type"), is("application/jwk-set+json"));
        assert_eq!(header(request, "cache-control"), is("public, max-age=300"));
        assert_eq!(header(request, "x-amz-meta-kubeassume-generation"), is("7"));
        assert_eq!(header(request, "x-amz-acl"), None, "never an object ACL");
        let authorization = header(request, "authorization").unwrap();
        assert!(
            authorization.contains("if-match") || authorization.contains("if-none-match"),
            "signed too"
        );
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    type Case = (fn() -> Response, &'static str, &'static str, &'static str);
    let cases: [Case; 9] = [
        (
            || refusal(412, "PreconditionFailed"),
            "precondition",
            "precondition",
            "",
        ),
        (
            || refusal(409, "ConditionalRequestConflict"),
            "precondition",
            "precondition",
            "",
        ),
        (|| refusal(404, "NoSuchKey"), "absent", "precondition", ""),
        (
            || refusal(404, "NoSuchBucket"),
            "misconfigured",
            "misconfigured",
            "no such bucket",
        ),
        (
            || refusal(403, "AccessDenied"),
            "denied",
            "denied",
            "AccessDenied",
        ),
        (
            || refusal(400, "ExpiredToken"),
            "denied",
            "denied",
            "ExpiredToken",
        ),
        (|| refusal(503, "SlowDown"), "unavailable", "unknown", "SlowDown"),
        (
            || refusal(501, "NotImplemented"),
            "unavailable",
            "misconfigured",
            "",
        ),
        (
            || {
                let mut response = refusal(301, "PermanentRedirect");
                response
                    .headers
                    .push(("x-amz-bucket-region", "ap-south-1".to_owned()));
                response
            },
            "misconfigured",
            "misconfigured",
            "ap-south-1",
        ),
    ];
    for (answer, read, written, says) in cases {
        let server = Server::start(move |_| answer()).await;
        let store = open(&server).await;
        let get = store.get(&DocumentPath::JWKS).await;
        let label = match &get {
            Ok(None) => "absent",
            Ok(Some(_)) => "something",
            Err(error) => error.label(),
        };
        let status = answer().status;
        let put = store
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .unwrap_err();
        assert_eq!(label, read, "GET answered with {status}: {get:?}");
        assert_eq!(put.label(), written, "PUT answered with {status}: {put:?}");
        let text = format!("{put} {put:?} {get:?} {store:?}");
        assert!(text.contains(says), "{status}: {text}");
        assert!(!text.contains(SECRET) && !text.contains("Signature="), "{text}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let server = Server::start(|request| match request.method.as_str() {
        "PUT" => refusal(403, "AccessDenied"),
        _ => refusal(404, "NoSuchKey"),
    })
    .await;
    let error = open(&server).await.validate().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    assert!(
        error.to_string().contains("s3:PutObject on c1/openid/v1/jwks"),
        "{error}"
    );

    let server = Server::start(|_| refusal(403, "AccessDenied")).await;
    let error = open(&server).await.validate().await.unwrap_err();
    assert!(
        error.to_string().contains("s3:GetObject on c1/openid/v1/jwks"),
        "{error}"
    );
    let wrote = server.requests().iter().any(|request| request.method == "PUT");
    assert!(!wrote, "nothing is tried on what cannot be read");
}

#[tokio::test]
async fn without_an_etag_nothing_can_be_tied_to_a_version() {
    let server = Server::start(|_| Response {
        status: 200,
        ..Response::default()
    })
    .await;
    let store = open(&server).await;
    assert!(matches!(
        store.get(&DocumentPath::JWKS).await,
        Err(StoreError::Misconfigured(_))
    ));
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unknown(_))), "{put:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_write_leaves_it_open() {
    let server = Server::start(|_| Response::silence()).await;
    let store = open(&server).await;
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unknown(_))), "{put:?}");
    let get = store.get(&DocumentPath::JWKS).await;
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
}

#[tokio::test]
async fn web_identity_alone_means_that_no_other_credentials_are_taken() {
    let server = Server::start(|_| refusal(404, "NoSuchKey")).await;
    let config = S3Config {
        use_irsa: Some(true),
        ..config(&server)
    };
    let store = S3Store::open(&config, &Tls::default()).await.unwrap();
    let error = store.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    assert!(error.to_string().contains("no credentials"), "{error}");
    assert_eq!(server.requests().len(), 0, "nothing is sent unsigned");
}

#[tokio::test]
async fn the_location_names_the_server_when_it_is_not_amazons() {
    let server = Server::start(|_| Response::default()).await;
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(open(&server).await.location(), format!("s3://keys/c1 at {host}"));
    let credentials = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
    let amazon = S3Config {
        endpoint: None,
        ..config(&server)
    };
    let store = S3Store::open_with(&amazon, &Tls::default(), credentials)
        .await
        .unwrap();
    assert_eq!(store.location(), "s3://keys/c1");
}
