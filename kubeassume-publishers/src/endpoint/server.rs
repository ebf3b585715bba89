//! [`Server`]: HTTP/1.1, with or without TLS, for strangers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderValue, Method, Request, Response, StatusCode, request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::connections::{Connections, Place};

const MAX_HEADERS: usize = 32;
/// hyper's least.
const MAX_HEAD_BYTES: usize = 8192;
/// How long an answer that is under way may take once its connection's time is over.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// A whole answer.
pub type Body = Full<Bytes>;

/// What a server says.
#[async_trait]
pub trait Answer: Send + Sync + 'static {
    /// The answer to a GET or HEAD, whose body, if any, is not read; for HEAD the server leaves the body of
    /// the answer out.
    async fn answer(&self, request: &request::Parts) -> Response<Body>;
}

/// What a server spends on its clients.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections there are at once. For one more, the one that was idle for longest is closed.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the next request of a connection may take to come in, waiting for it included.
    pub head: Duration,
    /// How long a connection may last.
    pub lifetime: Duration,
}

impl Default for Limits {
    /// For the public: 512 connections of a minute at most, each request within ten seconds.
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            lifetime: Duration::from_secs(60),
        }
    }
}

/// A server, until it is dropped: then it stops listening and cuts its connections.
///
/// Requests other than GET and HEAD are answered with 405, heads above 32 headers or 8 KiB with 431. A client
/// that is too slow is cut off without an answer.
#[derive(Debug)]
pub struct Server(tokio::task::JoinHandle<()>);

impl Server {
    /// Starts to answer, over TLS if there is a configuration for it. It needs a tokio runtime.
    pub fn start(
        listener: TcpListener,
        tls: Option<ServerConfig>,
        answer: Arc<dyn Answer>,
        limits: Limits,
    ) -> Self {
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        Self(tokio::spawn(accept(listener, acceptor, answer, limits)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    answer: Arc<dyn Answer>,
    limits: Limits,
) {
    let connections = Connections::new(limits.connections);
    // Dropped with this task, and every connection with it.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (place, acceptor, answer) = (connections.enter(), acceptor.clone(), answer.clone());
                    tasks.spawn(connection(stream, acceptor, answer, limits, place));
                }
                // Out of file descriptors, most likely: that does not get better at once.
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    answer: Arc<dyn Answer>,
    limits: Limits,
    place: Place,
) {
    let place = Arc::new(place);
    tokio::select! {
        () = place.lost() => {}
        () = async {
            // An answer is one small write: waiting to fill a packet only delays it.
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => serve(stream, answer, limits, &place).await,
                Some(acceptor) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(limits.handshake, acceptor.accept(stream)).await {
                        serve(stream, answer, limits, &place).await;
                    }
                }
            }
        } => {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Arc<dyn Answer>,
    limits: Limits,
    place: &Arc<Place>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        place.used();
        let answer = answer.clone();
        async move {
            let (request, _) = request.into_parts();
            Ok::<_, Infallible>(match request.method {
                Method::GET | Method::HEAD => answer.answer(&request).await,
                _ => {
                    let mut refusal = status(StatusCode::METHOD_NOT_ALLOWED);
                    let allowed = HeaderValue::from_static("GET, HEAD");
                    refusal.headers_mut().insert(ALLOW, allowed);
                    refusal
                }
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // How a connection ends early is its client's business.
    tokio::select! {
        _ = &mut connection => return,
        () = tokio::time::sleep(limits.lifetime) => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(LAST_ANSWER.min(limits.lifetime), connection).await;
}

/// An answer that is nothing but its status.
pub fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = code;
    response
}
