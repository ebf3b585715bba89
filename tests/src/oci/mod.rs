//! A stateful stand-in for Oracle Cloud: Object Storage, an instance's metadata service and the authentication
//! service. There is no emulator of OCI.
//!
//! Three things keep it honest. Every signature is verified with the public key, over the bytes that came. Every
//! request is checked against the operations and models of OCI's own Python SDK ([`Contract`]); one field that they
//! do not know is a violation, and violations that nobody [takes](OciFake::take_violations) end the test. And that SDK's
//! client drives the same server ([`sdk`]), so that what it answers is what the client understands.
//!
//! What it cannot show: the order in which OCI checks permission and precondition, how fast it is consistent, and what
//! it answers to `if-match` on an absent object (here 412; `OciStore` takes 404 too).

mod bucket;
mod contract;
mod identity;
mod sdk;
mod signature;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use self::bucket::Bucket;
use self::contract::Contract;
use self::identity::Identity;
pub use self::sdk::sdk;
use self::signature::Keys;
pub use self::signature::OciKey;
use crate::Testbed;

/// The namespace of its only bucket.
pub const OCI_NAMESPACE: &str = "axaxnpcrorw5";
/// Its only bucket.
pub const OCI_BUCKET: &str = "keys";

/// The server: https on a port of its own, and http on another one for the instance's metadata.
pub struct OciFake {
    state: Arc<State>,
    port: u16,
    metadata_port: u16,
    key: OciKey,
    listeners: [AbortHandle; 2],
}

/// One request, and the status of its answer.
#[derive(Clone, Debug)]
pub struct OciRequest {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// Status of the answer.
    pub status: u16,
}

struct State {
    contract: Arc<Contract>,
    keys: Mutex<Keys>,
    bucket: Mutex<Bucket>,
    identity: Identity,
    log: Mutex<Vec<OciRequest>>,
    violations: Mutex<Vec<String>>,
    /// How far the server's clock is behind ours.
    behind: Mutex<Duration>,
}

/// What is answered.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Bytes,
}

impl OciFake {
    /// What it is, as rows of the conformance table name it.
    pub const VERSION: &str = "stand-in (OCI SDK is the contract)";

    pub(crate) async fn start(bed: &Testbed) -> Self {
        let key = OciKey::new();
        let mut keys = Keys::default();
        keys.add(key.key_id(), &key);
        let state = Arc::new(State {
            contract: contract::of_sdk().await,
            keys: Mutex::new(keys),
            bucket: Mutex::new(Bucket::new()),
            identity: Identity::new(),
            log: Mutex::default(),
            violations: Mutex::default(),
            behind: Mutex::default(),
        });
        let folder = bed.path().join(bed.name("oci"));
        let tls = TlsAcceptor::from(Arc::new(bed.pki().leaf(&folder, "tls").server_config()));
        let (port, https) = listen(state.clone(), Some(tls)).await;
        let (metadata_port, http) = listen(state.clone(), None).await;
        Self {
            state,
            port,
            metadata_port,
            key,
            listeners: [https, http],
        }
    }

    /// `https://localhost:<port>`: Object Storage.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// `OCI_METADATA_BASE_URL` of an instance.
    pub fn metadata_url(&self) -> String {
        format!("http://127.0.0.1:{}/opc/v2", self.metadata_port)
    }

    /// Where an instance's certificate is exchanged.
    pub fn federation_url(&self) -> String {
        format!("{}/v1/x509", self.url())
    }

    /// The API key of a user who may do everything that is granted.
    pub fn key(&self) -> &OciKey {
        &self.key
    }

    /// From now on exactly these permissions are granted, to everybody who signs.
    pub fn grant(&self, permissions: &[&str]) {
        let permissions: BTreeSet<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
        self.state.bucket().granted = permissions;
    }

    /// Sets its clock back.
    pub fn set_clock_behind(&self, behind: Duration) {
        *self.state.behind.lock().unwrap() = behind;
    }

    /// The bucket is gone.
    pub fn remove_bucket(&self) {
        self.state.bucket().exists = false;
    }

    /// Sets a field of the bucket, as somebody else would.
    pub fn set_bucket(&self, field: &str, value: &str) {
        self.state.bucket().properties[field] = json!(value);
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<OciRequest> {
        self.state.log.lock().unwrap().clone()
    }

    /// Forgets what was asked so far, and every object.
    pub fn clear(&self) {
        self.state.log.lock().unwrap().clear();
        self.state.bucket().objects.clear();
    }

    /// Holds this against a model of the contract, as a request's body is.
    pub fn check(&self, model: &str, body: &serde_json::Value) {
        let violation = self
            .state
            .contract
            .check_body(model, body.to_string().as_bytes())
            .err();
        self.state.violations.lock().unwrap().extend(violation);
    }

    /// What went against the contract so far; whoever takes it answers for it.
    pub fn take_violations(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.violations.lock().unwrap())
    }
}

/// A violation that nobody looked at fails the test.
impl Drop for OciFake {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
        let violations = self.take_violations();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "against OCI's contract: {violations:#?}");
        }
    }
}

impl State {
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() - *self.behind.lock().unwrap()
    }

    fn answer(&self, request: &OciRequest) -> Answer {
        let path = request.target.split('?').next().unwrap_or_default();
        if path.starts_with("/opc/") {
            return self.identity.metadata(request, path);
        }
        if path == "/v1/x509" {
            return self.identity.exchange(request, &mut self.keys.lock().unwrap());
        }
        let Some((operation, place)) = self.contract.operation(&request.method, path) else {
            return Answer::error(404, "NotFound", "there is no such operation");
        };
        if !request.headers.contains_key("authorization") {
            return self.bucket().public(operation, &place);
        }
        let violations = self.contract.check_request(operation, request);
        if !violations.is_empty() {
            self.violations.lock().unwrap().extend(violations);
            return Answer::error(400, "InvalidParameter", "the contract does not know this");
        }
        let signs_body = matches!(operation, "create_bucket" | "update_bucket");
        if let Err(why) = self.keys.lock().unwrap().verify(request, signs_body, self.now()) {
            return Answer::error(401, "NotAuthenticated", &why);
        }
        let answer = self.bucket().serve(operation, &place, request);
        if let Some(violation) = self.contract.check_answer(operation, answer.status, &answer.body) {
            self.violations.lock().unwrap().push(violation);
        }
        answer
    }
}

impl Answer {
    fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: BTreeMap::new(),
            body: body.into(),
        }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let mut answer = Self::new(status, json!({"code": code, "message": message}).to_string());
        answer.set("content-type", "application/json");
        answer
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }
}

/// Serves until it is aborted, which also ends with the test's runtime.
async fn listen(state: Arc<State>, tls: Option<TlsAcceptor>) -> (u16, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let accepting = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (state, tls) = (state.clone(), tls.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| respond(state.clone(), request));
                // A client that goes away is no matter of the server's.
                match tls {
                    None => drop(
                        http1::Builder::new()
                            .serve_connection(TokioIo::new(connection), service)
                            .await,
                    ),
                    Some(tls) => {
                        if let Ok(connection) = tls.accept(connection).await {
                            drop(
                                http1::Builder::new()
                                    .serve_connection(TokioIo::new(connection), service)
                                    .await,
                            );
                        }
                    }
                }
            });
        }
    });
    (port, accepting.abort_handle())
}

async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut request = OciRequest {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("/", hyper::http::uri::PathAndQuery::as_str)
            .to_owned(),
        headers: headers.collect(),
        body: body.collect().await?.to_bytes(),
        status: 0,
    };
    let answer = state.answer(&request);
    request.status = answer.status;
    state.log.lock().unwrap().push(request);
    let mut response = Response::builder()
        .status(answer.status)
        .header("date", httpdate::fmt_http_date(state.now()))
        .header("opc-request-id", format!("{:032X}", fastrand::u128(..)));
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body)).expect("a response"))
}
