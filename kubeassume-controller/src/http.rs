//! Health checks and metrics over plain HTTP, for the kubelet and Prometheus.
//!
//! It answers GET and HEAD of a few paths and nothing else, one request a connection, to at most 64
//! connections at once of at most 10 seconds each. There is no authentication: what it says is no secret,
//! and a NetworkPolicy is the place for who may ask.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kubeassume_core::Health;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const CONNECTIONS: usize = 64;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 32;
/// hyper's least.
const MAX_HEAD_BYTES: usize = 8192;

/// What a path answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 or 503.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl From<Health> for Reply {
    /// 503 for what does not work; a line that says why.
    fn from(health: Health) -> Self {
        Self {
            status: if health.is_failing() {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            },
            content_type: "text/plain; charset=utf-8",
            body: format!("{health}\n"),
        }
    }
}

/// Says what a path answers; `None` for an unknown one.
pub type Routes = Arc<dyn Fn(&str) -> Option<Reply> + Send + Sync>;

/// Listens on an address.
///
/// # Errors
/// The address is taken, or not this machine's; named.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Answers until dropped.
pub async fn serve(listener: TcpListener, routes: Routes) -> Infallible {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Those beyond the limit wait in the kernel's queue.
        let Ok(permit) = connections.clone().acquire_owned().await else {
            std::future::pending().await
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, routes)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                // Out of file descriptors, most likely: that does not get better at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Routes) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &routes);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIMEOUT)
        .keep_alive(false)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended early");
    }
}

fn answer(method: &Method, path: &str, routes: &Routes) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode| Reply {
        status,
        content_type: "text/plain; charset=utf-8",
        body: format!("{status}\n"),
    };
    let allowed = matches!(*method, Method::GET | Method::HEAD);
    let reply = match allowed {
        true => routes(path).unwrap_or_else(|| plain(StatusCode::NOT_FOUND)),
        false => plain(StatusCode::METHOD_NOT_ALLOWED),
    };
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !allowed {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Sends bytes on a connection of their own and returns all that comes back.
    async fn ask(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that has heard enough may close before all is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn server() -> SocketAddr {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes: Routes = Arc::new(|path| match path {
            "/fine" => Some(Health::Ok.into()),
            "/slow" => Some(Health::Degraded("slow".to_owned()).into()),
            "/down" => Some(Health::Failing("down".to_owned()).into()),
            _ => None,
        });
        tokio::spawn(serve(listener, routes));
        address
    }

    #[tokio::test]
    async fn health_is_a_status_and_a_reason() {
        let address = server().await;
        for (path, status, body) in [
            ("/fine", "200 OK", "ok\n"),
            ("/fine?verbose", "200 OK", "ok\n"),
            ("/slow", "200 OK", "degraded: slow\n"),
            ("/down", "503 Service Unavailable", "failing: down\n"),
            ("/other", "404 Not Found", "404 Not Found\n"),
        ] {
            let answer = ask(
                address,
                format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes(),
            )
            .await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{path}: {answer}"
            );
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{path}: {answer}");
        }
        let head = ask(address, b"HEAD /down HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(
            head.starts_with("HTTP/1.1 503") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }

    #[tokio::test]
    async fn nothing_but_reading_is_answered_and_nothing_long_is_heard() {
        let address = server().await;
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
            let request = format!("{method} /fine HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
            let answer = ask(address, request.as_bytes()).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{method}: {answer}");
        }
        let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
        let long = format!("a: {}\r\n", "b".repeat(2 * MAX_HEAD_BYTES));
        for headers in [many, long] {
            let answer = ask(address, format!("GET /fine HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
            assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        }
        let answer = ask(address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        let again = ask(
            address,
            b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\nGET /fine HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await;
        assert_eq!(
            again.matches("HTTP/1.1 200").count(),
            1,
            "one request a connection"
        );
    }
}
