//! Health checks and metrics over plain HTTP, for the kubelet and Prometheus.
//!
//! It answers GET and HEAD of a few paths and nothing else, through the same bounded server as the built-in
//! endpoint: at most 64 connections at once, each request within 10 seconds. There is no authentication: what
//! it says is no secret, and a NetworkPolicy is the place for who may ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode, request};
use kubeassume_core::Health;
use kubeassume_publishers::endpoint::{Answer, Body, Limits, Server};
use tokio::net::TcpListener;

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

/// Answers until the server is dropped.
pub fn serve(listener: TcpListener, routes: Routes) -> Server {
    let limits = Limits {
        connections: 64,
        head: Duration::from_secs(10),
        ..Limits::default()
    };
    Server::start(listener, None, Arc::new(Pages(routes)), limits)
}

struct Pages(Routes);

#[async_trait]
impl Answer for Pages {
    async fn answer(&self, request: &request::Parts) -> Response<Body> {
        let unknown = || Reply {
            status: StatusCode::NOT_FOUND,
            content_type: "text/plain; charset=utf-8",
            body: format!("{}\n", StatusCode::NOT_FOUND),
        };
        let reply = (self.0)(request.uri.path()).unwrap_or_else(unknown);
        let mut response = Response::new(Body::from(reply.body));
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

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

    async fn server() -> (SocketAddr, Server) {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes: Routes = Arc::new(|path| match path {
            "/fine" => Some(Health::Ok.into()),
            "/slow" => Some(Health::Degraded("slow".to_owned()).into()),
            "/down" => Some(Health::Failing("down".to_owned()).into()),
            _ => None,
        });
        (address, serve(listener, routes))
    }

    #[tokio::test]
    async fn health_is_a_status_and_a_reason() {
        let (address, _server) = server().await;
        for (path, status, body) in [
            ("/fine", "200 OK", "ok\n"),
            ("/fine?verbose", "200 OK", "ok\n"),
            ("/slow", "200 OK", "degraded: slow\n"),
            ("/down", "503 Service Unavailable", "failing: down\n"),
            ("/other", "404 Not Found", "404 Not Found\n"),
        ] {
            let answer = ask(
                address,
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{path}: {answer}"
            );
            assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{path}: {answer}");
        }
        let head = ask(
            address,
            b"HEAD /down HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(
            head.starts_with("HTTP/1.1 503") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }
}
