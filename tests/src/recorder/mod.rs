//! An HTTP server on loopback that keeps what it was asked: in front of a real server ([`Recorder`]), or with answers
//! of its own ([`listen`]).
//!
//! What a client sent is passed on as it came, host and signature included, so that the real server checks what the
//! client signed. Bodies are whole: neither side streams, and nothing is done about a server that goes away.

mod content;
mod difference;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::content::decoded;
pub use self::content::{Content, Part, query};
pub use self::difference::{Essence, differences, essence};
use crate::Testbed;

/// Of one connection, and not of the request.
const HOP_BY_HOP: [&str; 5] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "transfer-encoding",
];

/// One request, and the status of its answer.
#[derive(Clone, Debug)]
pub struct Recorded {
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

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

/// Passes every request on to a real server and keeps it.
#[derive(Debug)]
pub struct Recorder {
    url: String,
    log: Arc<Mutex<Vec<Recorded>>>,
    listener: AbortHandle,
}

impl Recorder {
    /// Over TLS, with a certificate of the testbed's CA, in front of `https://HOST:PORT` or `http://HOST:PORT`.
    pub async fn in_front_of(bed: &Testbed, upstream: &str) -> Self {
        let log: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let (kept, upstream, http) = (log.clone(), upstream.to_owned(), bed.http());
        let (port, listener) = listen_tls(bed, move |mut request| {
            let (kept, upstream, http) = (kept.clone(), upstream.clone(), http.clone());
            async move {
                let answer = pass_on(&http, &upstream, &request).await;
                request.status = answer.status;
                kept.lock().unwrap().push(request);
                answer
            }
        })
        .await;
        Self {
            url: format!("https://localhost:{port}"),
            log,
            listener,
        }
    }

    /// `https://localhost:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked since the last call, in order.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Recorded {
    /// Without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

impl Answer {
    /// Without headers.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: BTreeMap::new(),
            body: body.into(),
        }
    }

    /// With its content type.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let mut answer = Self::new(status, body.to_string());
        answer.set("content-type", "application/json");
        answer
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name.to_owned(), value.into());
        self
    }

    /// Sets a header.
    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }
}

/// The same request to `upstream`, and its answer.
///
/// # Panics
///
/// There is no answer.
pub(crate) async fn pass_on(http: &reqwest::Client, upstream: &str, request: &Recorded) -> Answer {
    let method = reqwest::Method::from_bytes(request.method.as_bytes()).expect("a method");
    let mut passed = http.request(method, format!("{upstream}{}", request.target));
    for (name, value) in &request.headers {
        if !HOP_BY_HOP.contains(&name.as_str()) {
            passed = passed.header(name, value);
        }
    }
    let answer = passed.body(request.body.clone()).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{upstream} does not answer: {error}"));
    let headers = answer.headers().iter();
    let headers = headers.filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()));
    Answer {
        status: answer.status().as_u16(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: answer.bytes().await.expect("a body"),
    }
}

/// Answers over TLS, with a certificate of the testbed's CA, on a port of `localhost`, until it is aborted or the test's
/// runtime ends.
pub async fn listen_tls<F, A>(bed: &Testbed, answer: F) -> (u16, AbortHandle)
where
    F: Fn(Recorded) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let config = bed
        .pki()
        .leaf(&bed.path().join(bed.name("server")), "tls")
        .server_config();
    serve(Some(TlsAcceptor::from(Arc::new(config))), answer).await
}

/// Answers plain http on a port of 127.0.0.1, until it is aborted or the test's runtime ends.
pub async fn listen<F, A>(answer: F) -> (u16, AbortHandle)
where
    F: Fn(Recorded) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    serve(None, answer).await
}

async fn serve<F, A>(tls: Option<TlsAcceptor>, answer: F) -> (u16, AbortHandle)
where
    F: Fn(Recorded) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let accepting = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(converse(connection, tls.clone(), answer.clone()));
        }
    });
    (port, accepting.abort_handle())
}

async fn converse<F, A>(connection: TcpStream, tls: Option<TlsAcceptor>, answer: F)
where
    F: Fn(Recorded) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| respond(request, answer.clone()));
    // A client that goes away is no matter of the server's.
    match tls {
        None => drop(
            http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await,
        ),
        Some(tls) => {
            if let Ok(connection) = tls.accept(connection).await {
                let connection = TokioIo::new(connection);
                drop(http1::Builder::new().serve_connection(connection, service).await);
            }
        }
    }
}

async fn respond<F, A>(request: Request<Incoming>, answer: F) -> Result<Response<Full<Bytes>>, hyper::Error>
where
    F: Fn(Recorded) -> A,
    A: Future<Output = Answer>,
{
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let target = head.uri.path_and_query();
    let request = Recorded {
        method: head.method.to_string(),
        target: target
            .map_or("/", hyper::http::uri::PathAndQuery::as_str)
            .to_owned(),
        headers: headers.collect(),
        body: body.collect().await?.to_bytes(),
        status: 0,
    };
    let answer = answer(request).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body)).expect("a response"))
}
