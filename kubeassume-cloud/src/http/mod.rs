//! [`HttpClient`]: one request to a cloud's REST interface, and what came of it.
//!
//! A request is sent once. It goes over https, with rustls and the system's certificate authorities, and
//! through the proxies that the environment names (`HTTPS_PROXY`, `NO_PROXY`). Plain http is for loopback
//! and for hosts that were named to the client (emulators, metadata servers), and never goes through a
//! proxy, which would see the token. Redirects are not followed: a token is for one host. Every body that
//! is read has a limit; each call ends within [`CALL_TIMEOUT`] unless it is told otherwise.
//!
//! It does not sign and does not authenticate: the request comes complete. What is worth another try,
//! [`retry`](crate::retry) knows.

mod error;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, HeaderMap, PROXY_AUTHORIZATION};
use http::{Request, StatusCode, Uri};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use thiserror::Error;

#[cfg(feature = "google")]
pub(crate) use self::error::explanation;
pub use self::error::{CallError, Refusal};
use crate::text::causes;

/// Connecting, TLS included, takes at most this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A call, from connecting to the body's last byte, takes at most this.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most that is read of a body that only explains a refusal, in bytes.
const MAX_REFUSAL_BYTES: usize = 16 << 10;

/// A client for any number of hosts. Clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    https: Client,
    /// Without proxies.
    plain: Client,
    plain_hosts: Vec<String>,
    call_timeout: Duration,
}

/// How much of a body is taken, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All of it; more than this is [`CallError::TooLarge`].
    All(usize),
    /// So much of its beginning; the rest is not fetched.
    Beginning(usize),
}

/// What a server answered; from [`HttpClient::send`] always with a status of 2xx.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it was to be [taken](Take).
    pub body: Bytes,
}

impl HttpClient {
    /// A client that trusts the system's certificate authorities and, beside them, those in `extra_roots`
    /// (PEM, one or more certificates).
    ///
    /// # Errors
    /// [`HttpClientError::Roots`] for a PEM that holds no certificate or a broken one, and
    /// [`HttpClientError::Client`] where the system has no certificate authorities at all.
    pub fn new(extra_roots: Option<&[u8]>) -> Result<Self, HttpClientError> {
        let roots = extra_roots.map(certificates).transpose()?.unwrap_or_default();
        let has_roots = !roots.is_empty();
        let https = builder().tls_certs_merge(roots).https_only(true).build();
        let https = https.map_err(|error| match causes(&error) {
            text if has_roots => HttpClientError::Roots(text),
            text => HttpClientError::Client(text),
        })?;
        let plain = builder().tls_certs_only([]).no_proxy().build();
        Ok(Self {
            https,
            plain: plain.map_err(|error| HttpClientError::Client(causes(&error)))?,
            plain_hosts: Vec::new(),
            call_timeout: CALL_TIMEOUT,
        })
    }

    /// Sends over plain http, too, when the host is this one (`HOST`, without a port).
    #[must_use]
    pub fn with_plain_http_to(mut self, host: impl Into<String>) -> Self {
        self.plain_hosts.push(host.into());
        self
    }

    /// A call takes at most this, in the place of [`CALL_TIMEOUT`].
    #[must_use]
    pub fn with_call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// Sends the request, once, and reads the answer.
    ///
    /// # Errors
    /// [`CallError`]; every status other than 2xx is [`CallError::Refused`].
    pub async fn send(&self, request: Request<Bytes>, take: Take) -> Result<Answer, CallError> {
        let secrets = secrets(request.headers());
        let response = self.respond(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = read(response, take).await?;
            return Ok(Answer {
                status,
                headers,
                body,
            });
        }
        // Without the body that explains it a status may mean another thing: OCI says in it alone whether 404 is a
        // missing object or a missing bucket.
        let body = read(response, Take::Beginning(MAX_REFUSAL_BYTES)).await?;
        let refusal = Refusal::new(status, &headers, &body, &secrets);
        Err(CallError::Refused(Box::new(refusal)))
    }

    /// As [`send`](Self::send), for a vendor's SDK that has its own idea of which status is a refusal: an answer
    /// is returned whatever its status, as the server sent it.
    ///
    /// # Errors
    /// As [`send`](Self::send), never [`CallError::Refused`].
    pub async fn exchange(&self, request: Request<Bytes>, take: Take) -> Result<Answer, CallError> {
        let response = self.respond(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response, take).await?;
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    async fn respond(&self, mut request: Request<Bytes>) -> Result<Response, CallError> {
        let client = self.client_for(request.uri())?;
        for name in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            if let Some(value) = request.headers_mut().get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let mut request = reqwest::Request::try_from(request)
            .map_err(|error| CallError::Unsendable(causes(&error.without_url())))?;
        *request.timeout_mut() = Some(self.call_timeout);
        client.execute(request).await.map_err(unanswered)
    }

    fn client_for(&self, uri: &Uri) -> Result<&Client, CallError> {
        let host = uri.host().unwrap_or_default();
        match uri.scheme_str() {
            _ if host.is_empty() => Err(CallError::Unsendable("the URL names no host".to_owned())),
            Some("https") => Ok(&self.https),
            Some("http") if is_loopback(host) || self.plain_hosts.iter().any(|plain| plain == host) => {
                Ok(&self.plain)
            }
            _ => Err(CallError::Unsendable(format!(
                "{host} is not to be called without https"
            ))),
        }
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        // Shorter than any server keeps one: a write on a connection that is just ending is an open outcome.
        .pool_idle_timeout(Duration::from_secs(20))
        .user_agent(concat!("kubeassume/", env!("CARGO_PKG_VERSION")))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn read(mut response: Response, take: Take) -> Result<Bytes, CallError> {
    let (Take::All(limit) | Take::Beginning(limit)) = take;
    // Content-Length is only a promise; what counts is what arrives.
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > limit {
            if matches!(take, Take::All(_)) {
                return Err(CallError::TooLarge(limit));
            }
            bytes.truncate(limit);
            break;
        }
    }
    Ok(bytes.freeze())
}

fn unanswered(error: reqwest::Error) -> CallError {
    if error.is_connect() {
        CallError::NotSent(causes(&error.without_url()))
    } else if error.is_builder() {
        CallError::Unsendable(causes(&error.without_url()))
    } else {
        lost(error)
    }
}

fn lost(error: reqwest::Error) -> CallError {
    CallError::Lost(causes(&error.without_url()))
}

/// What of the request must not come back in a refusal's words.
fn secrets(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(AUTHORIZATION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        // The token alone; of a signature every quoted part, of which one is a key's name or a token.
        .flat_map(|value| match value.strip_prefix("Bearer ") {
            Some(token) => vec![token],
            None => std::iter::once(value)
                .chain(value.split('"').skip(1).step_by(2).filter(|part| part.len() > 40))
                .flat_map(|part| [part, part.trim_start_matches("ST$")])
                .collect(),
        })
        .filter(|secret| !secret.is_empty())
        .map(str::to_owned)
        .collect()
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, HttpClientError> {
    let roots = Certificate::from_pem_bundle(pem)
        .map_err(|_| HttpClientError::Roots("a certificate block is damaged".to_owned()))?;
    if roots.is_empty() {
        return Err(HttpClientError::Roots("there is none in it".to_owned()));
    }
    Ok(roots)
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The extra certificate authorities are not PEM certificates.
    #[error("no usable certificates: {0}")]
    Roots(String),
    /// The TLS client cannot be set up, most often because the system has no certificate authorities.
    #[error("the HTTPS client cannot be set up: {0}; install ca-certificates or set SSL_CERT_FILE")]
    Client(String),
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("plain_hosts", &self.plain_hosts)
            .finish_non_exhaustive()
    }
}

/// Without the body, which may be a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
