//! What `OciStore` asks of a server and makes of its answers, in front of a server that says what a test wants.
//! Whether OCI's own SDK asks the same, and a server that keeps state, are in the workspace's `tests` package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say plainly what they expect"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use kubeassume_cloud::http::HttpClient;
use kubeassume_cloud::oci::{Auth, Credential, Credentials, Environment, SecurityToken, SigningKey};
use kubeassume_core::store::{DocumentPath, DocumentStore, NewDocument, Precondition, StoreError, Version};
use kubeassume_publishers::oci::{OciConfig, OciStore};
use kubeassume_publishers::{OpenError, Tls};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Slow to make.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

const OBJECTS: &str = "/n/ns/b/keys/o/c1%2F";

#[derive(Debug, Clone, Default)]
struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn ok(headers: &[(&'static str, &str)], body: &str) -> Self {
        Self {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = format!("{{\"code\": \"{code}\", \"message\": \"in words\"}}");
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.into_bytes(),
        }
    }
}

/// A server on a port of its own; it ends with the test's runtime.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), requests.clone());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (answer, log) = (answer.clone(), log.clone());
                tokio::spawn(async move {
                    let mut connection = BufReader::new(connection);
                    while let Some(request) = read(&mut connection).await {
                        let response = answer(&request);
                        log.lock().unwrap().push(request);
                        write(connection.get_mut(), &response).await;
                    }
                });
            }
        });
        Self { endpoint, requests }
    }

    fn config(&self) -> OciConfig {
        OciConfig {
            bucket: "keys".to_owned(),
            namespace: "ns".to_owned(),
            region: Some("eu-frankfurt-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            prefix: Some("c1".to_owned()),
            ..OciConfig::default()
        }
    }

    async fn store(&self) -> OciStore {
        OciStore::open_with(&self.config(), &Tls::default(), credentials())
            .await
            .unwrap()
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn credentials() -> Credentials {
    Credentials::given(Credential::api_key("tenancy", "user", "aa:bb", KEY.clone()))
}

async fn read(connection: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    connection.read_line(&mut line).await.ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
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
    let length = request
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    connection.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

async fn write(connection: &mut TcpStream, response: &Response) {
    let mut head = format!("HTTP/1.1 {} Said\r\n", response.status);
    if response.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", response.body.len()));
    }
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = connection.write_all(head.as_bytes()).await;
    let _ = connection.write_all(&response.body).await;
}

/// A store that takes every write, whatever its precondition.
fn careless(
    objects: &Arc<Mutex<BTreeMap<String, Request>>>,
    deletes: bool,
) -> impl Fn(&Request) -> Response + use<> {
    let objects = objects.clone();
    move |request| {
        let mut objects = objects.lock().unwrap();
        match request.method.as_str() {
            "PUT" => {
                objects.insert(request.path.clone(), request.clone());
                Response::ok(&[("etag", "one")], "")
            }
            "DELETE" if deletes => {
                objects.remove(&request.path);
                Response {
                    status: 204,
                    ..Response::default()
                }
            }
            "DELETE" => Response::error(404, "NotAuthorizedOrNotFound"),
            _ => match objects.get(&request.path) {
                Some(stored) => {
                    let header = |name: &str| stored.headers[name].clone();
                    let mut response = Response::ok(&[("etag", "one")], "");
                    response.headers.push(("content-type", header("content-type")));
                    response.headers.push(("cache-control", header("cache-control")));
                    response.body.clone_from(&stored.body);
                    response
                }
                None => Response::error(404, "ObjectNotFound"),
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
    let store = server.store().await;
    let error = store.validate().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured(text) if text.contains("ignores")),
        "{error}"
    );
    assert_eq!(
        objects.lock().unwrap().len(),
        0,
        "what it wrongly took is gone again"
    );

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
    let error = server.store().await.validate().await.unwrap_err();
    assert!(error.to_string().contains("c1/openid/v1/jwks"), "{error}");
    let left = objects.lock().unwrap().values().next().unwrap().body.clone();
    assert_eq!(left, br#"{"keys":[]}"#, "and it names no key");
}

#[tokio::test]
async fn a_write_is_one_conditional_put() {
    let server = Server::start(|_| Response::ok(&[("etag", "new")], "")).await;
    let store = server.store().await;
    let version = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert_eq!(version, Ok(Version::new("new")));
    let replace = Precondition::Matches(Version::new("old"));
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
    assert_eq!(create.method, "PUT");
    assert_eq!(create.path, format!("{OBJECTS}openid%2Fv1%2Fjwks"), "one segment");
    assert_eq!(
        replace.path,
        format!("{OBJECTS}.well-known%2Fopenid-configuration")
    );
    assert_eq!(
        (header(create, "if-none-match"), header(create, "if-match")),
        (is("*"), None)
    );
    assert_eq!(
        (header(replace, "if-none-match"), header(replace, "if-match")),
        (None, is("old"))
    );
    for request in [create, replace] {
        assert_eq!(request.body, b"{}");
        assert_eq!(header(request, "content-type"), is("application/jwk-set+json"));
        assert_eq!(header(request, "cache-control"), is("public, max-age=300"));
        assert_eq!(header(request, "opc-meta-kubeassume-generation"), is("7"));
        assert_eq!(
            header(request, "opc-meta-cache-control"),
            None,
            "the real header, not metadata"
        );
        assert_eq!(
            header(request, "x-content-sha256"),
            None,
            "PutObject signs no digest"
        );
        let authorization = header(request, "authorization").unwrap();
        assert!(
            authorization.contains("headers=\"date (request-target) host\""),
            "{authorization}"
        );
        assert!(
            authorization.contains("keyId=\"tenancy/user/aa:bb\""),
            "{authorization}"
        );
    }
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    for (status, code, read, written, says) in [
        (412, "IfNoneMatchFailed", "precondition", "precondition", ""),
        (409, "ConcurrentObjectUpdate", "precondition", "precondition", ""),
        (404, "ObjectNotFound", "absent", "misconfigured", ""),
        (
            404,
            "BucketNotFound",
            "misconfigured",
            "misconfigured",
            "nothing in it is granted",
        ),
        (
            404,
            "NamespaceNotFound",
            "misconfigured",
            "misconfigured",
            "oci.namespace",
        ),
        (
            404,
            "NotAuthorizedOrNotFound",
            "denied",
            "denied",
            "NotAuthorizedOrNotFound",
        ),
        (
            401,
            "NotAuthenticated",
            "denied",
            "denied",
            "NotAuthenticated: in words",
        ),
        (
            429,
            "TooManyRequests",
            "unavailable",
            "unavailable",
            "TooManyRequests",
        ),
        (500, "InternalServerError", "unavailable", "unknown", ""),
        (503, "ServiceUnavailable", "unavailable", "unknown", ""),
        (307, "", "misconfigured", "misconfigured", ""),
    ] {
        let server = Server::start(move |_| Response::error(status, code)).await;
        let store = server.store().await;
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
        assert_eq!(label, read, "GET answered with {status} {code}: {get:?}");
        assert_eq!(put.label(), written, "PUT answered with {status} {code}: {put:?}");
        let text = format!("{put} {put:?} {get:?} {store:?}");
        assert!(text.contains(says), "{status}: {text}");
        assert!(
            !text.contains("signature=") && !text.contains("Signature "),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_401_with_a_wrong_clock_says_so() {
    let server = Server::start(|_| {
        let mut response = Response::error(401, "NotAuthenticated");
        let theirs = SystemTime::now() - Duration::from_secs(3600);
        response.headers.push(("date", httpdate::fmt_http_date(theirs)));
        response
    })
    .await;
    let error = server.store().await.get(&DocumentPath::JWKS).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Denied(text) if text.contains("ahead of the server's")),
        "{error}"
    );
}

/// Everything is answered as if there were nothing, but for what is named here.
fn refusing(allowed: &'static [&'static str]) -> impl Fn(&Request) -> Response {
    move |request| {
        let what = match (request.method.as_str(), request.path.contains("/o?")) {
            ("GET", true) => "list",
            ("GET", false) => "read",
            _ => "write",
        };
        match what {
            _ if !allowed.contains(&what) => Response::error(404, "BucketNotFound"),
            "list" => Response::ok(&[], "{\"objects\": []}"),
            "read" => Response::error(404, "ObjectNotFound"),
            _ => Response::error(412, "IfMatchFailed"),
        }
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_wherever_the_bucket_is_seen() {
    let validate = async |allowed: &'static [&'static str]| {
        let server = Server::start(refusing(allowed)).await;
        (server.store().await.validate().await, server.requests())
    };
    assert_eq!(validate(&["read", "write"]).await.0, Ok(()));
    let create = "the policy lacks OBJECT_CREATE on c1/openid/v1/jwks and OBJECT_CREATE on \
                  c1/.well-known/openid-configuration";
    assert_eq!(
        validate(&["read"]).await.0,
        Err(StoreError::Denied(create.to_owned()))
    );
    let (result, requests) = validate(&["list", "write"]).await;
    let read = "the policy lacks OBJECT_READ on c1/openid/v1/jwks and OBJECT_READ on c1/.well-known/openid-configuration";
    assert_eq!(result, Err(StoreError::Denied(read.to_owned())));
    assert!(
        requests.iter().all(|request| request.method == "GET"),
        "nothing is tried on what cannot be read"
    );
    let error = validate(&[]).await.0.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured(text) if text.contains("no such bucket")),
        "{error}"
    );
    for permission in ["OBJECT_READ", "OBJECT_CREATE", "OBJECT_OVERWRITE"] {
        assert!(error.to_string().contains(permission), "{error}");
    }

    let server = Server::start(|request| match request.method.as_str() {
        "GET" => Response::ok(
            &[("etag", "one"), ("content-type", "a/b"), ("cache-control", "x")],
            "{}",
        ),
        _ => Response::error(404, "BucketNotFound"),
    })
    .await;
    let error = server.store().await.validate().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("OBJECT_OVERWRITE on c1/openid/v1/jwks"),
        "{error}"
    );
    let server = Server::start(|_| Response::error(404, "NotAuthorizedOrNotFound")).await;
    let error = server.store().await.list().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Denied(text) if text.contains("OBJECT_INSPECT")),
        "{error}"
    );
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let server = Server::start(|request| {
        let body = match request.path.as_str() {
            "/n/ns/b/keys/o?limit=1000&prefix=c1%2F" => {
                r#"{"objects":[{"name":"c1/openid/v1/jwks"},{"name":"c1/odd name"}],"nextStartWith":"c1/\u00e9 &x"}"#
            }
            "/n/ns/b/keys/o?limit=1000&prefix=c1%2F&start=c1%2F%C3%A9%20%26x" => {
                r#"{"objects":[{"name":"c1/a"}],"nextStartWith":null}"#
            }
            _ => "{}",
        };
        Response::ok(&[], body)
    })
    .await;
    let names = server.store().await.list().await.unwrap();
    let names: Vec<&str> = names.iter().map(DocumentPath::as_str).collect();
    assert_eq!(names, ["a", "openid/v1/jwks"]);
}

#[tokio::test]
async fn without_an_etag_nothing_can_be_tied_to_a_version() {
    let server = Server::start(|_| Response::ok(&[], "")).await;
    let store = server.store().await;
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
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let mut connection = BufReader::new(connection);
            let _ = read(&mut connection).await;
        }
    });
    let server = Server {
        endpoint,
        requests: Arc::default(),
    };
    let store = server.store().await;
    let put = store
        .put(&DocumentPath::JWKS, &document("{}"), &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(StoreError::Unknown(_))), "{put:?}");
    let get = store.get(&DocumentPath::JWKS).await;
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent() {
    let server = Server::start(|_| Response::error(404, "ObjectNotFound")).await;
    let nothing = Environment::new(|_| None);
    let http = HttpClient::new(None).unwrap();
    for auth in [Auth::ApiKey, Auth::SessionToken, Auth::ResourcePrincipal] {
        let credentials = Credentials::new(auth, &nothing, &http);
        let store = OciStore::open_with(&server.config(), &Tls::default(), credentials)
            .await
            .unwrap();
        let error = store.get(&DocumentPath::JWKS).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Denied(text) if text.contains("no credentials")),
            "{error:?}"
        );
    }
    assert_eq!(server.requests().len(), 0, "nothing is sent unsigned");
}

#[tokio::test]
async fn the_region_of_the_credential_is_taken_and_checked() {
    let server = Server::start(|_| Response::default()).await;
    let http = HttpClient::new(None).unwrap();
    let config = OciConfig {
        region: None,
        endpoint: None,
        ..server.config()
    };
    let open = async |region: Option<&'static str>| {
        let environment = Environment::new(move |name| {
            (name == "OCI_RESOURCE_PRINCIPAL_REGION").then_some(region?.to_owned())
        });
        let credentials = Credentials::new(Auth::ResourcePrincipal, &environment, &http);
        OciStore::open_with(&config, &Tls::default(), credentials).await
    };
    let store = open(Some("us-gov-ashburn-1")).await.unwrap();
    assert_eq!(
        store.public_url().unwrap().as_str(),
        "https://objectstorage.us-gov-ashburn-1.oraclegovcloud.com/n/ns/b/keys/o/c1"
    );
    assert_eq!(
        store.location(),
        "oci://keys@ns/c1 at objectstorage.us-gov-ashburn-1.oraclegovcloud.com"
    );
    assert!(matches!(
        open(Some("evil.example.com/")).await,
        Err(OpenError::Invalid(_))
    ));
    let unknown = open(None).await.unwrap_err();
    assert!(unknown.to_string().contains("oci.region"), "{unknown}");
}

#[tokio::test]
async fn a_session_that_depends_on_the_issuer_is_warned_of() {
    let server = Server::start(|_| Response::default()).await;
    // {"iss": "https://oidc.example.com", "exp": 9999999999}
    let token = "e30.eyJpc3MiOiJodHRwczovL29pZGMuZXhhbXBsZS5jb20iLCJleHAiOjk5OTk5OTk5OTl9.c2ln";
    let session = Credential::session(SecurityToken::parse(token).unwrap(), KEY.clone());
    let session = Credentials::given(session);
    let store = OciStore::open_with(&server.config(), &Tls::default(), session)
        .await
        .unwrap();
    let warnings = async |issuer: &str| store.warnings(&issuer.parse().unwrap()).await;
    let told = warnings("https://oidc.example.com").await;
    assert!(
        told.len() == 1 && told[0].contains("https://oidc.example.com"),
        "{told:?}"
    );
    assert_eq!(warnings("https://oidc.example.com/b").await, [""; 0]);
    assert_eq!(
        server
            .store()
            .await
            .warnings(&"https://oidc.example.com".parse().unwrap())
            .await,
        [""; 0]
    );
}
