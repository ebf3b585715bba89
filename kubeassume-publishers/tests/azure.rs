//! What `AzureStore` asks of a server and makes of its answers, in front of a server that says what a test
//! wants, over TLS: without it the SDK sends no token. Whether a real one agrees is for the conformance test
//! of the workspace's `tests` package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::{Duration, OffsetDateTime};
use kubeassume_core::store::{
    DocumentPath, DocumentStore, MAX_DOCUMENT_BYTES, NewDocument, Precondition, StoreError, Version,
};
use kubeassume_publishers::azure::{AzureConfig, AzureStore};
use kubeassume_publishers::{OpenError, Tls};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const SECRET: &str = "the-token-that-nobody-may-read";
const WRITE: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write";
const READ: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read";

#[derive(Debug, Clone, Default)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Debug, Clone, Default)]
struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The connection ends after so much of the body.
    truncated: Option<usize>,
}

impl Response {
    fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>in words\nTime:\
             now</Message></Error>"
        );
        Self {
            status,
            headers: vec![
                ("content-type", "application/xml".to_owned()),
                ("x-ms-error-code", code.to_owned()),
            ],
            body: body.into_bytes(),
            ..Self::default()
        }
    }

    fn written(etag: &str) -> Self {
        Self {
            status: 201,
            headers: vec![("etag", etag.to_owned())],
            ..Self::default()
        }
    }

    fn blob(body: &[u8]) -> Self {
        Self {
            status: 206,
            headers: vec![
                ("etag", "\"0x1\"".to_owned()),
                (
                    "content-range",
                    format!("bytes 0-{}/{}", body.len().max(1) - 1, body.len()),
                ),
            ],
            body: body.to_vec(),
            ..Self::default()
        }
    }
}

/// A server on a port of its own; it ends with the test's runtime.
struct Server {
    port: u16,
    ca_pem: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `None`: the connection ends without an answer.
    async fn start(answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> Self {
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), requests.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, answer, log) = (acceptor.clone(), answer.clone(), log.clone());
                tokio::spawn(async move {
                    let Ok(connection) = acceptor.accept(connection).await else {
                        return;
                    };
                    let mut connection = BufReader::new(connection);
                    while let Some(request) = read(&mut connection).await {
                        log.lock().unwrap().push(request.clone());
                        let Some(response) = answer(&request) else {
                            return;
                        };
                        if !write(connection.get_mut(), &response).await {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            port,
            ca_pem: certificate.cert.pem(),
            requests,
        }
    }

    fn config(&self) -> AzureConfig {
        AzureConfig {
            storage_account: "keys".to_owned(),
            container: "oidc".to_owned(),
            endpoint: Some(format!("https://localhost:{}/keys", self.port)),
            prefix: Some("c1".to_owned()),
            ..AzureConfig::default()
        }
    }

    fn tls(&self) -> Tls {
        Tls {
            ca_pem: Some(self.ca_pem.clone().into_bytes()),
        }
    }

    fn store(&self) -> AzureStore {
        AzureStore::open_with(&self.config(), &self.tls(), Arc::new(Credential)).unwrap()
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

#[derive(Debug)]
struct Credential;

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://storage.azure.com/.default"]);
        Ok(AccessToken::new(
            SECRET,
            OffsetDateTime::now_utc() + Duration::hours(1),
        ))
    }
}

/// One that has no token to give.
#[derive(Debug)]
struct Nobody;

#[async_trait]
impl TokenCredential for Nobody {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let text = "workload identity: AADSTS70021: no matching federated identity record";
        Err(azure_core::Error::with_message(ErrorKind::Credential, text))
    }
}

async fn read(connection: &mut BufReader<TlsStream<TcpStream>>) -> Option<Request> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.replace("%2F", "/"),
        query: query.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        request
            .headers
            .insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = request.header("content-length");
    let length = length.map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    connection.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// Whether the connection can go on.
async fn write(connection: &mut TlsStream<TcpStream>, response: &Response) -> bool {
    let mut head = format!(
        "HTTP/1.1 {} Said\r\ncontent-length: {}\r\n",
        response.status,
        response.body.len()
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let sent = response.truncated.unwrap_or(response.body.len());
    let _ = connection.write_all(head.as_bytes()).await;
    let _ = connection.write_all(&response.body[..sent]).await;
    let _ = connection.flush().await;
    response.truncated.is_none()
}

/// A server that takes every write, whatever its precondition.
fn careless(
    blobs: &Arc<Mutex<BTreeMap<String, Request>>>,
    deletes: bool,
) -> impl Fn(&Request) -> Option<Response> + use<> {
    let blobs = blobs.clone();
    move |request| {
        let mut blobs = blobs.lock().unwrap();
        Some(match request.method.as_str() {
            "PUT" => {
                blobs.insert(request.path.clone(), request.clone());
                Response::written("\"0x1\"")
            }
            "DELETE" if deletes => {
                blobs.remove(&request.path);
                Response {
                    status: 202,
                    ..Response::default()
                }
            }
            "DELETE" => Response::error(403, "AuthorizationPermissionMismatch"),
            _ => match blobs.get(&request.path) {
                Some(stored) => {
                    let mut response = Response::blob(&stored.body);
                    for (name, from) in [
                        ("content-type", "x-ms-blob-content-type"),
                        ("cache-control", "x-ms-blob-cache-control"),
                        (
                            "x-ms-meta-kubeassume_generation",
                            "x-ms-meta-kubeassume_generation",
                        ),
                    ] {
                        if let Some(value) = stored.header(from) {
                            response.headers.push((name, value.to_owned()));
                        }
                    }
                    response
                }
                None => Response::error(404, "BlobNotFound"),
            },
        })
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
    let blobs = Arc::default();
    let server = Server::start(careless(&blobs, true)).await;
    let store = server.store();
    let error = store.validate().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured(text) if text.contains("ignores")),
        "{error}"
    );
    assert_eq!(
        blobs.lock().unwrap().len(),
        0,
        "what it wrongly took is gone again"
    );

    let create = Precondition::Absent;
    store
        .put(&DocumentPath::JWKS, &document("[]"), &create)
        .await
        .unwrap();
    let before = store.get(&DocumentPath::JWKS).await.unwrap();
    assert_eq!(
        before.as_ref().unwrap().metadata,
        document("[]").metadata,
        "metadata comes back under our names"
    );
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
    let blobs = Arc::default();
    let server = Server::start(careless(&blobs, false)).await;
    let error = server.store().validate().await.unwrap_err();
    assert!(error.to_string().contains("c1/openid/v1/jwks"), "{error}");
    let left = blobs.lock().unwrap().values().next().unwrap().body.clone();
    assert_eq!(left, br#"{"keys":[]}"#, "and it names no key");
}

#[tokio::test]
async fn a_write_is_one_conditional_put() {
    let server = Server::start(|_| Some(Response::written("\"0x2\""))).await;
    let store = server.store();
    let version = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert_eq!(version, Ok(Version::new("\"0x2\"")));
    let replace = Precondition::Matches(Version::new("\"0x1\""));
    store
        .put(&DocumentPath::DISCOVERY, &document("{}"), &replace)
        .await
        .unwrap();

    let requests = server.requests();
    let [create, replace] = &requests[..] else {
        panic!("{} requests", requests.len());
    };
    assert_eq!(
        (
            create.method.as_str(),
            create.path.as_str(),
            create.query.as_str()
        ),
        ("PUT", "/keys/oidc/c1/openid/v1/jwks", "")
    );
    assert_eq!(replace.path, "/keys/oidc/c1/.well-known/openid-configuration");
    assert_eq!(
        (create.header("if-none-match"), create.header("if-match")),
        (Some("*"), None)
    );
    assert_eq!(
        (replace.header("if-none-match"), replace.header("if-match")),
        (None, Some("\"0x1\""))
    );
    for request in [create, replace] {
        assert_eq!(request.body, b"{}");
        for (name, value) in [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-blob-content-type", "application/jwk-set+json"),
            ("x-ms-blob-cache-control", "public, max-age=300"),
            ("x-ms-meta-kubeassume_generation", "7"),
        ] {
            assert_eq!(request.header(name), Some(value), "{name}");
        }
        assert_eq!(
            request.header("authorization"),
            Some(format!("Bearer {SECRET}").as_str())
        );
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let cases = [
        (412, "ConditionNotMet", "precondition", "precondition", ""),
        (409, "BlobAlreadyExists", "precondition", "precondition", ""),
        (404, "BlobNotFound", "absent", "misconfigured", ""),
        (
            404,
            "ContainerNotFound",
            "misconfigured",
            "misconfigured",
            "correct azure.container",
        ),
        (
            403,
            "AuthorizationPermissionMismatch",
            "denied",
            "denied",
            "AuthorizationPermissionMismatch: in words",
        ),
        (403, "AuthorizationFailure", "denied", "denied", "firewall"),
        (401, "InvalidAuthenticationInfo", "denied", "denied", ""),
        (503, "ServerBusy", "unavailable", "unknown", "ServerBusy"),
        (400, "InvalidHeaderValue", "misconfigured", "misconfigured", ""),
        (307, "", "misconfigured", "misconfigured", ""),
    ];
    for (status, code, read, written, says) in cases {
        let server = Server::start(move |_| Some(Response::error(status, code))).await;
        let store = server.store();
        let get = store.get(&DocumentPath::JWKS).await;
        let label = match &get {
            Ok(None) => "absent",
            Ok(Some(_)) => "something",
            Err(error) => error.label(),
        };
        let put = store
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .unwrap_err();
        assert_eq!(label, read, "GET answered with {status}: {get:?}");
        assert_eq!(put.label(), written, "PUT answered with {status}: {put:?}");
        let text = format!("{put} {put:?} {get:?} {store:?}");
        assert!(text.contains(says), "{status}: {text}");
        assert!(!text.contains(SECRET) && !text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_token_that_a_server_repeats_is_withheld() {
    let server = Server::start(|request| {
        let mut response = Response::error(403, "AuthenticationFailed");
        let said = format!(
            "<?xml version=\"1.0\"?><Error><Message>not {}</Message></Error>",
            request.header("authorization").unwrap()
        );
        response.body = said.into_bytes();
        Some(response)
    })
    .await;
    let error = server.store().get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(error.to_string().contains("not Bearer [withheld]"), "{error}");
    assert!(!format!("{error:?}").contains(SECRET));
}

#[tokio::test]
async fn a_write_without_an_answer_is_sent_once_and_a_read_again() {
    let server = Server::start(|_| None).await;
    let store = server.store();
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unknown(_))), "{put:?}");
    let count = |method: &str| {
        let requests = server.requests().into_iter();
        requests.filter(|request| request.method == method).count()
    };
    assert_eq!(count("PUT"), 1, "what came of it must be read first");
    let get = store.get(&DocumentPath::JWKS).await;
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
    assert_eq!(count("GET"), 3);

    let server = Server::start(|_| Some(Response::error(503, "ServerBusy"))).await;
    let store = server.store();
    let removed = store.delete(&DocumentPath::JWKS, &Version::new("\"0x1\"")).await;
    assert!(matches!(removed, Err(StoreError::Unknown(_))), "{removed:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_reached_has_not_been_written() {
    let server = Server::start(|_| None).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = AzureConfig {
        endpoint: Some(format!(
            "https://localhost:{}/keys",
            closed.local_addr().unwrap().port()
        )),
        ..server.config()
    };
    drop(closed);
    let store = AzureStore::open_with(&config, &server.tls(), Arc::new(Credential)).unwrap();
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unavailable(_))), "{put:?}");
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_no_document() {
    let server = Server::start(|_| {
        Some(Response {
            truncated: Some(3),
            ..Response::blob(br#"{"keys":[]}"#)
        })
    })
    .await;
    let get = server.store().get(&DocumentPath::JWKS).await;
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_cut_whether_the_server_minds_the_range_or_not() {
    let large = vec![b'x'; 2 * MAX_DOCUMENT_BYTES];
    for minds in [true, false] {
        let large = large.clone();
        let server = Server::start(move |request| {
            assert_eq!(
                request.header("range").or(request.header("x-ms-range")),
                Some("bytes=0-1048575")
            );
            Some(match minds {
                true => {
                    let mut response = Response::blob(&large[..MAX_DOCUMENT_BYTES]);
                    response.headers[1].1 = format!("bytes 0-1048575/{}", large.len());
                    response
                }
                false => Response {
                    status: 200,
                    headers: vec![("etag", "\"0x1\"".to_owned())],
                    body: large.clone(),
                    truncated: None,
                },
            })
        })
        .await;
        let stored = server.store().get(&DocumentPath::JWKS).await.unwrap().unwrap();
        assert_eq!(stored.bytes.len(), MAX_DOCUMENT_BYTES, "{minds}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn an_empty_blob_is_an_empty_document() {
    let server = Server::start(|request| {
        Some(match request.header("range").or(request.header("x-ms-range")) {
            Some(_) => Response::error(416, "InvalidRange"),
            None => Response {
                status: 200,
                headers: vec![("etag", "\"0x1\"".to_owned())],
                ..Response::default()
            },
        })
    })
    .await;
    let stored = server.store().get(&DocumentPath::JWKS).await.unwrap().unwrap();
    assert_eq!(stored.bytes.len(), 0);
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let server = Server::start(|request| {
        Some(match request.method.as_str() {
            "PUT" => Response::error(403, "AuthorizationPermissionMismatch"),
            _ => Response::error(404, "BlobNotFound"),
        })
    })
    .await;
    let error = server.store().validate().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    assert!(
        error.to_string().contains(&format!("lacks {WRITE} (HTTP")),
        "{error}"
    );

    let server = Server::start(|_| Some(Response::error(403, "AuthorizationPermissionMismatch"))).await;
    let error = server.store().validate().await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("lacks {READ} (HTTP")),
        "{error}"
    );
    let wrote = server.requests().iter().any(|request| request.method == "PUT");
    assert!(!wrote, "nothing is tried on what cannot be read");

    // Not a permission: the token itself.
    let server = Server::start(|_| Some(Response::error(401, "InvalidAuthenticationInfo"))).await;
    let error = server.store().validate().await.unwrap_err();
    assert!(!error.to_string().contains("Microsoft.Storage"), "{error}");
}

#[tokio::test]
async fn without_an_etag_nothing_can_be_tied_to_a_version() {
    let server = Server::start(|request| {
        Some(Response {
            status: if request.method == "PUT" { 201 } else { 200 },
            ..Response::default()
        })
    })
    .await;
    let store = server.store();
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
async fn without_a_credential_nothing_is_sent() {
    let server = Server::start(|_| Some(Response::default())).await;
    let store = AzureStore::open_with(&server.config(), &server.tls(), Arc::new(Nobody)).unwrap();
    for error in [
        store.get(&DocumentPath::JWKS).await.unwrap_err(),
        store
            .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
            .await
            .unwrap_err(),
        store.validate().await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
        assert!(error.to_string().contains("AADSTS70021"), "{error}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn the_location_names_the_server_when_it_is_not_the_public_clouds() {
    let server = Server::start(|_| None).await;
    assert_eq!(
        server.store().location(),
        format!("azure://keys/oidc/c1 at localhost:{}/keys", server.port)
    );
    let public = AzureConfig {
        endpoint: None,
        ..server.config()
    };
    let store = AzureStore::open_with(&public, &Tls::default(), Arc::new(Credential)).unwrap();
    assert_eq!(store.location(), "azure://keys/oidc/c1");
    assert_eq!(
        store.public_url().as_str(),
        "https://keys.blob.core.windows.net/oidc/c1"
    );

    let wrong = Tls {
        ca_pem: Some(b"no PEM".to_vec()),
    };
    let refused = AzureStore::open_with(&public, &wrong, Arc::new(Credential));
    assert!(
        matches!(refused, Err(OpenError::Store(StoreError::Misconfigured(text))) if text.contains("tls.caFile"))
    );
}
